"""Makes docs/picture.svg: a real run on the local EC2, as a terminal showed it.

The terminal is tmux's, so that what a line was before it was replaced is gone as on a screen; rich draws it.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

REPO = Path(__file__).parent.parent
PICTURE = REPO / "docs" / "picture.svg"
COLUMNS, LINES = 120, 60
PATIENCE = 180.0  # seconds
MAKEFILE = """\
EPOCHS = 10
train:
\t@for epoch in $$(seq $(EPOCHS)); do echo "epoch $$epoch  loss 0.$$((99 / epoch))"; sleep 0.3; done
\t@mkdir -p models && head -c 400000 /dev/urandom > models/digits.pt
"""
SHOWN = (
    "make on-ec2-train EPOCHS=3 EC2_FINAL_STATE=terminate",
    "ls models",
    "ec2tasks runs",
)


def environment(folder: Path) -> dict[str, str]:
    """What the shell in the picture knows: a home of its own, the local EC2, nothing of who makes it."""
    kept = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
    return {
        **({"LANG": "C.UTF-8"} | kept),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder / "home"),
        "USER": "nina",
        "EC2_LOCAL": "1",
        "EC2_LOCAL_DIR": str(folder / "ec2"),
    }


def project(folder: Path, environ: Mapping[str, str]) -> Path:
    """A small project, committed; the keys and the first run's messages are behind it."""
    root = folder / "digits"
    root.mkdir()
    (folder / "home").mkdir()
    (folder / "ec2").mkdir(mode=0o755)
    (root / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    identity = ("-c", "user.name=nina", "-c", "user.email=nina@example.com")
    for argv in (
        ["ec2tasks", "init"],
        ["git", "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", *identity, "commit", "--quiet", "--message", "Train"],
        ["ec2tasks", "run", "--no-rsync", "true"],
    ):
        subprocess.run(argv, cwd=root, env=environ, check=True, capture_output=True)
    (root / ".ec2tasks" / "runs.jsonl").unlink()
    return root


def capture(root: Path, environ: Mapping[str, str]) -> str:
    """What a terminal shows of these commands, with its colours."""
    tmux = ["tmux", "-L", f"picture{os.getpid()}", "-f", "/dev/null"]
    told = [word for name, value in environ.items() for word in ("-e", f"{name}={value}")]
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    new = [*tmux, "new-session", "-d", *size, *told, "-c", str(root), "bash --norc --noprofile"]
    subprocess.run(new, check=True, env={**os.environ, **environ})
    try:
        subprocess.run([*tmux, "send-keys", r"PS1='\[\e[1;32m\]$\[\e[0m\] '; clear", "Enter"], check=True)
        until_last_line(tmux, "$")
        for command in SHOWN:
            show(tmux, command)
        return screen(tmux)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def show(tmux: list[str], command: str) -> None:
    """Type a command and wait until it has ended, which the shell's prompt shows."""
    subprocess.run([*tmux, "send-keys", "-l", command], check=True)
    until_last_line(tmux, f"$ {command}")
    subprocess.run([*tmux, "send-keys", "Enter"], check=True)
    until_last_line(tmux, "$")


def until_last_line(tmux: list[str], wanted: str) -> None:
    """Wait until this is the last line that the terminal shows."""
    deadline = time.monotonic() + PATIENCE
    while re.sub(r"\x1b\[[\d;]*m", "", screen(tmux)).split("\n")[-1].strip() != wanted:
        if time.monotonic() > deadline:
            sys.exit(f"the terminal does not come to `{wanted}`:\n{screen(tmux)}")
        time.sleep(0.2)


def screen(tmux: list[str]) -> str:
    """What the terminal shows, with escapes for its colours."""
    argv = [*tmux, "capture-pane", "-p", "-e"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.rstrip("\n")


def drawn(shown: str) -> str:
    """The same as an SVG that loads nothing: no font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    lines = shown.split("\n")[:-1]  # without the last prompt
    console.print(Text.from_ansi("\n".join(lines)))
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace(
        "<!-- Generated with Rich https://www.textualize.io -->", "<!-- scripts/picture.py -->"
    )
    return console.export_svg(title="digits", code_format=form, unique_id="picture")


def main() -> None:
    """Run the commands and write the picture."""
    with tempfile.TemporaryDirectory(prefix="pic-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        environ = environment(folder)
        try:
            PICTURE.write_text(drawn(capture(project(folder, environ), environ)), encoding="utf-8")
        finally:
            subprocess.run(["ec2tasks", "local.down"], env=environ, check=False, capture_output=True)


if __name__ == "__main__":
    main()
