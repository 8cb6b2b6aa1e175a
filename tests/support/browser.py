"""A real browser, as a person uses it: pages, keys, what is shown, a picture of it.

Chromium's own protocol over a pipe, https://chromedevtools.github.io/devtools-protocol/, needs no library.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from support.waiting import PATIENCE, until

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
KEYS = {"Enter": 13, "Escape": 27, "s": 83}
CONTROL, SHIFT = 2, 8


def browser_argv(folder: Path, *words: str) -> list[str]:
    """A browser without a window, whose profile is in this folder."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser, "no Chromium here: `make setup` installs it"
    background = ["background-networking", "component-update", "sync", "quic", "gpu"]
    argv = [browser, "--headless", "--no-sandbox", "--no-first-run"]
    argv += [f"--disable-{one}" for one in background]
    return [*argv, f"--user-data-dir={folder / 'browser'}", *words]


def document(url: str, folder: Path) -> str:
    """What a browser makes of a page, scripts included."""
    argv = browser_argv(folder, "--virtual-time-budget=30000", "--dump-dom", url)
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout


class Tab:
    """One page in a browser, told what to do over two pipes; each message ends with a zero byte."""

    def __init__(self, commands: int, answers: int) -> None:
        self.commands, self.answers = commands, answers
        self.count, self.rest, self.session = 0, b"", ""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **params: object) -> Mapping[str, Any]:
        """What the browser answers."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            *whole, self.rest = (self.rest + os.read(self.answers, 1 << 20)).split(b"\0")
            for said in map(json.loads, whole):
                if said.get("id") == self.count:
                    # A page that is left in the meantime has no answer.
                    assert "result" in said or "navigated" in said["error"]["message"], said
                    found: Mapping[str, Any] = said.get("result", {})
                    return found
        raise AssertionError(f"no answer to {method}")

    def open(self, url: str) -> None:
        """Go there."""
        self.ask("Page.navigate", url=url)

    def js(self, code: str) -> Any:
        """The value of this JavaScript on the page; None while there is none."""
        said = self.ask("Runtime.evaluate", expression=code, returnByValue=True)
        return said.get("result", {}).get("value")

    def text(self) -> str:
        """What can be read on the page."""
        return str(self.js("document.body ? document.body.innerText : ''"))

    def shows(self, words: str) -> None:
        """Wait until these words are on the page."""
        until(lambda: words in self.text(), f"`{words}` on the page")

    def click(self, selector: str) -> None:
        """Click on the middle of the first thing that fits, once it is there."""
        code = (
            f"(() => {{ const box = document.querySelector({json.dumps(selector)})?.getBoundingClientRect();"
            "return box && [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        x, y = until(lambda: self.js(code), selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type it."""
        self.ask("Input.insertText", text=text)

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key, with the modifiers held."""
        code = KEYS[key]
        named = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        if key == "Enter":
            named["text"] = "\r"
        self.ask("Input.dispatchKeyEvent", type="keyDown", **named)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **named)

    def picture(self, path: Path) -> None:
        """What the page looks like, as PNG."""
        shot = self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """A page in a browser of its own."""
    its_commands, commands = os.pipe()
    answers, its_answers = os.pipe()

    # It looks for them at 3 and 4.
    moved = ["bash", "-c", f'exec "$@" 3<&{its_commands} 4>&{its_answers}', "bash"]
    with subprocess.Popen(
        [*moved, *browser_argv(folder, "--remote-debugging-pipe", "--window-size=1280,800")],
        pass_fds=(its_commands, its_answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(its_commands)
        os.close(its_answers)
        try:
            yield Tab(commands, answers)
        finally:
            process.kill()
            os.close(commands)
            os.close(answers)
