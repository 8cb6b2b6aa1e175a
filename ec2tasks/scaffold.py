"""The files that `ec2tasks init` puts into a project, and the text of Makefile.inc."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from ec2tasks.errors import Failure
from ec2tasks.ignored import DEFAULT_IGNORED, IGNORE_FILE

SETTINGS_TEXT = """\
# Settings of ec2tasks for this project; `ec2tasks config` shows all of them, with values and sources.
# region: eu-central-1
# instance_type: [g4dn.xlarge, g6.xlarge]   # tried in this order
# final_state: terminate                    # or stop, leave
# recipes:                                  # settings for one target of the Makefile
#   train:
#     instance_type: g5.xlarge
"""
TASKS_TEXT = "from ec2tasks import ns  # noqa: F401  # `inv --list` shows what this brings\n"


def makefile_text() -> str:
    """The text of Makefile.inc: from the installed package, or from the checkout it was installed from."""
    packaged = resources.files("ec2tasks").joinpath("templates", "Makefile.inc")
    beside = Path(__file__).parent.parent / "templates" / "Makefile.inc"
    source = packaged if packaged.is_file() else beside
    try:
        return source.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(
            "Makefile.inc is missing from this installation", hint="pip install --force-reinstall ec2tasks"
        ) from error


def init_project(folder: Path) -> Iterator[str]:
    """Write the files that are missing in this folder; a line for each file, written or kept."""
    files = {
        "Makefile.inc": makefile_text(),
        "ec2.yaml": SETTINGS_TEXT,
        IGNORE_FILE: "".join(f"{one}\n" for one in DEFAULT_IGNORED),
        "tasks.py": TASKS_TEXT,
    }
    for name, text in files.items():
        try:
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
            yield f"wrote {name}"
        except FileExistsError:
            yield f"kept {name} as it is"
        except OSError as error:
            raise Failure(f"`{folder / name}` can't be written: {error.strerror}") from error
