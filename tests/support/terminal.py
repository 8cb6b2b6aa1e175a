"""A real terminal, to type in and to look at."""

from __future__ import annotations

import re
import secrets
import subprocess
import time

from support.project import ScratchProject


class Terminal:
    """A real terminal of 100 columns and 30 lines in the warm project."""

    def __init__(self, project: ScratchProject) -> None:
        self.name = f"t{secrets.token_hex(4)}"
        self.tmux = ["tmux", "-L", self.name, "-f", "/dev/null"]
        size = ["-x", "100", "-y", "30"]
        environ = [word for name, value in project.environ.items() for word in ("-e", f"{name}={value}")]
        subprocess.run(
            [*self.tmux, "new-session", "-d", *size, *environ, "-c", str(project.root), "bash --norc"],
            check=True,
        )
        self.type("PS1='$ '")

    def type(self, text: str) -> None:
        subprocess.run([*self.tmux, "send-keys", "-l", text], check=True)
        self.key("Enter")

    def key(self, name: str) -> None:
        subprocess.run([*self.tmux, "send-keys", name], check=True)

    def screen(self) -> str:
        argv = [*self.tmux, "capture-pane", "-p", "-J", "-S", "-500"]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    def resize(self, columns: int, lines: int) -> None:
        size = ["-x", str(columns), "-y", str(lines)]
        subprocess.run([*self.tmux, "resize-window", *size], check=True)

    def clear(self) -> None:
        """Forget what was shown, so that what is waited for is new."""
        subprocess.run([*self.tmux, "send-keys", "-R", ";", "clear-history"], check=True)

    def wait_for(self, form: str) -> str:
        deadline = time.monotonic() + 100
        while not re.search(form, self.screen(), re.MULTILINE):
            assert time.monotonic() < deadline, f"no {form!r} in:\n{self.screen()}"
            time.sleep(0.1)
        return self.screen()

    def end(self) -> None:
        subprocess.run([*self.tmux, "kill-server"], check=False)
