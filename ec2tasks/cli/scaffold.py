"""The files that `ec2tasks init` puts into a project, and the text of Makefile.inc."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.errors import Failure
from ec2tasks.base.project_dir import OWN_FOLDER, make_own_folder
from ec2tasks.cli.existing_tasks import Advice, advice
from ec2tasks.config.json_schema import schema_text
from ec2tasks.make.reading import MAKEFILES
from ec2tasks.sync.ignore import DEFAULT_IGNORED, IGNORE_FILE

# Where `init` puts the schema. No address on the web has the one of the installed version, and a path to the
# installed package is this machine's, while ec2.yaml is shared: so a copy, where git and sync don't look.
SCHEMA_FILE = f"{OWN_FOLDER}/ec2.schema.json"
SETTINGS_TEXT = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
# Settings of ec2tasks for this project; `ec2tasks config` shows all of them, with values and sources.
# region: eu-central-1
# instance_type: [g4dn.xlarge, g6.xlarge]   # tried in this order
# final_state: terminate                    # or stop, leave
# recipes:                                  # settings for one target of the Makefile
#   train:
#     instance_type: g5.xlarge
"""
INCLUDE = re.compile(rb"^ *(?:-include|sinclude|include)[ \t][^#\n]*\bMakefile\.inc\b", re.MULTILINE)
TO_COPY = "    "  # before a line that is to be copied
AGENTS_FILE = "AGENTS.md"
TASKS_FILES = ("tasks.py", "tasks/__init__.py")  # in this order Invoke looks for them
TASKS_TEXT = '''\
"""Tasks of this project, each a function under `@task`: `inv --list` shows them and those of ec2tasks."""

from ec2tasks import with_ec2

ns = with_ec2(__name__)  # every task in this file, above or below, and `ec2`
'''


def makefile_text() -> str:
    """The text of Makefile.inc: from the installed package, or from the checkout it was installed from."""
    packaged = resources.files("ec2tasks").joinpath("templates", "Makefile.inc")
    beside = Path(__file__).parent.parent.parent / "templates" / "Makefile.inc"
    source = packaged if packaged.is_file() else beside
    try:
        return source.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(
            "Makefile.inc is missing from this installation", hint="pip install --force-reinstall ec2tasks"
        ) from error


def put_files(folder: Path, *, agents: bool) -> None:
    """Do what `init` does in this folder, and say it, with what to type next."""
    for line in init_project(folder, agents=agents):
        if line.startswith(TO_COPY):
            output.to_copy(line.removeprefix(TO_COPY))
        else:
            output.step(line)
    makes = any((folder / name).is_file() for name in MAKEFILES)
    first = "" if makes else "a Makefile with `include Makefile.inc`, then "
    output.hint(
        f"{first}`make on-ec2-TARGET` runs a target there; `make -n on-ec2-TARGET` shows what it calls"
    )


def init_project(folder: Path, *, agents: bool = False) -> Iterator[str]:
    """Write the files that are missing in this folder, and include ours in its Makefile; a line for each.

    The schema is written each time, as this version's settings are. `agents`: with a section of AGENTS.md.
    """
    files = {
        "Makefile.inc": makefile_text(),
        "ec2.yaml": SETTINGS_TEXT,
        IGNORE_FILE: "".join(f"{pattern}\n" for pattern in DEFAULT_IGNORED),
    }
    for name, text in files.items():
        yield _written(folder, name, text)
    yield from _with_tasks(folder)
    yield _write_schema(folder)
    makefile = next((folder / name for name in MAKEFILES if (folder / name).is_file()), None)
    if makefile:
        yield _with_include(makefile)
    if agents:
        yield _with_section(folder / AGENTS_FILE)


def _written(folder: Path, name: str, text: str) -> str:
    """Write a file where there is none of that name; the line that says so."""
    try:
        with (folder / name).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return f"kept {name} as it is"
    except OSError as error:
        raise Failure(f"`{folder / name}` can't be written: {error.strerror}") from error
    return f"wrote {name}"


def _with_tasks(folder: Path) -> Iterator[str]:
    """Write a tasks.py where there are no tasks yet; else say which lines they lack, a line for each."""
    there = next((name for name in TASKS_FILES if (folder / name).exists()), None)
    if there is None:
        yield _written(folder, TASKS_FILES[0], TASKS_TEXT)
        return
    try:
        found = advice((folder / there).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        found = Advice(what="it can't be read")
    yield f"kept {there} as it is: {found.what}{':' if found.lines else ''}"
    yield from (f"{TO_COPY}{line}" for line in found.lines)


def _write_schema(folder: Path) -> str:
    """Write the JSON Schema of ec2.yaml, over that of an earlier version; the line that says so."""
    try:
        (make_own_folder(folder) / Path(SCHEMA_FILE).name).write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        raise Failure(f"`{folder / SCHEMA_FILE}` can't be written: {error.strerror}") from error
    return f"wrote {SCHEMA_FILE}, by which editors complete and check ec2.yaml"


def _with_include(makefile: Path) -> str:
    """Let a Makefile include Makefile.inc, as its last line; what became of it."""
    try:
        text = makefile.read_bytes()
        if INCLUDE.search(text):
            return f"kept {makefile.name} as it is: it includes Makefile.inc"
        # A last line that goes on, or is not ended, would swallow ours.
        gap = b"" if (text.endswith(b"\n") and not text.endswith(b"\\\n")) or not text else b"\n"
        with makefile.open("ab") as file:
            file.write(gap + b"include Makefile.inc\n")
    except OSError as error:
        raise Failure(
            f"`{makefile}` can't be changed: {error.strerror}", hint="its last line: include Makefile.inc"
        ) from error
    return f"added `include Makefile.inc` to {makefile.name}, as its last line"


def agents_text() -> str:
    """The section of AGENTS.md (https://agents.md): how a coding agent uses ec2tasks safely."""
    return resources.files("ec2tasks").joinpath("cli", "agents.md").read_text(encoding="utf-8")


def _with_section(page: Path) -> str:
    """Put the section at the end of AGENTS.md, which may be there already; what became of it."""
    section = agents_text()
    if page.is_symlink():
        return f"kept {page.name} as it is: it is a link"
    try:
        there = page.read_bytes() if page.exists() else b""
        if section.splitlines()[0].encode() in there.splitlines():
            return f"kept {page.name} as it is: it has a section on ec2tasks"
        gap = b"" if not there else b"\n" if there.endswith(b"\n") else b"\n\n"
        with page.open("ab") as file:
            file.write(gap + section.encode())
    except OSError as error:
        raise Failure(f"`{page}` can't be written: {error.strerror}") from error
    return f"added a section on ec2tasks to {page.name}" if there else f"wrote {page.name}"
