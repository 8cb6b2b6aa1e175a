"""The targets that stand in a folder's makefiles as text, to be completed: nothing is run for it.

Make's own database would tell all of them, but make runs what a Makefile asks for while it reads it
(`$(shell …)`, `!=`): a key pressed in a folder just cloned is no yes to that.
https://www.gnu.org/software/make/manual/html_node/Reading-Makefiles.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ec2tasks.make.reading import MAKEFILES

FILES, BYTES = 20, 200_000  # that are read: a key press waits for it
# Names that a shell takes as they are: what is completed is typed for the user.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@%+/-]*")
RULE = re.compile(r"(?P<names>[^\s#:=$][^#:=$]*):(?!:?:?=):?(?P<rest>.*)")
INCLUDE = re.compile(r" *(?:-include|sinclude|include)[ \t]+(?P<files>[^#$]+)")


def written_targets(folder: Path) -> list[str]:
    """The names of this folder's rules, in order; of what make would compute, or generate, none."""
    texts = _texts(folder)
    return sorted({name for text in texts for name in targets_in(text) if NAME.fullmatch(name)})


def targets_in(makefile: str) -> Iterator[str]:
    """The targets of a makefile's explicit rules, and what it calls phony."""
    defining = False
    for line in makefile.replace("\\\n", " ").splitlines():
        defining = not line.startswith("endef") if defining else line.startswith("define ")
        if defining or not (rule := RULE.match(line)):
            continue
        names = rule["names"].rstrip(" &").split()
        if names == [".PHONY"]:
            yield from rule["rest"].partition("#")[0].split()
        elif "%" not in rule["names"]:
            yield from (name for name in names if not name.startswith("."))


def _texts(folder: Path) -> Iterator[str]:
    """The text of the Makefile and of what it includes by name."""
    first = next((folder / name for name in MAKEFILES if (folder / name).is_file()), None)
    waiting, seen = [first] if first else [], set[Path]()
    while waiting and len(seen) < FILES:
        path = waiting.pop(0)
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        with path.open("rb") as file:
            text = file.read(BYTES).decode(errors="replace").replace("\r\n", "\n")
        yield text
        included = (INCLUDE.match(line) for line in text.splitlines())
        waiting += [folder / name for found in included if found for name in found["files"].split()]
