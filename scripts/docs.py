"""Writes the generated pages in docs/ from the program itself, or checks that they are as it writes."""

from __future__ import annotations

import contextlib
import io
import sys
from multiprocessing import get_context
from pathlib import Path

REPO = Path(__file__).parent.parent
LAYERS = """\
From the lowest to the highest: the built-in default; the AWS profile's region;
`~/.config/ec2tasks/config.yaml`; the project's `ec2.yaml`, or the key `ec2:` of its `invoke.yaml`; the
entry under `recipes:` for the target that `ec2tasks make` runs; the variables below in the project's `.env`
(nothing else of it is read); the same in the environment, where each key also has the variable by which
Invoke knows it (`INVOKE_EC2_INSTANCE_TYPE` and so on, before the others); options. {added} add up, any other
value replaces the lower one. What the project's own files wish beyond its folder counts once you have
[agreed to it](security.md). Where the key `ec2:` of `invoke.yaml` is another tool's, `invoke_settings: no` in
`ec2.yaml` leaves it alone. `ec2tasks config` shows each value and its source; an unknown key or an
unusable value is an error that names its place.

`ec2tasks config --schema` prints the [JSON Schema](ec2.schema.json) of `ec2.yaml`, by which editors complete
and check it. `ec2tasks init` writes it into `.ec2tasks/`, where its `ec2.yaml` points to."""


def output_of(*words: str) -> str:
    """What `ec2tasks WORDS` prints where no terminal is."""
    import ec2tasks.cli.tasks  # noqa: F401  # here, as importing it takes most of the time

    # Invoke tells a task's help once: each word needs a process of its own.
    with get_context("fork").Pool(1) as pool:
        return pool.apply(printed, words)


def printed(*words: str) -> str:
    """What the console script prints when it runs in this process."""
    from ec2tasks.cli.program import program

    with contextlib.redirect_stdout(io.StringIO()) as out:
        program().run(["ec2tasks", *words], exit=False)
    return out.getvalue().strip()


def task_names() -> list[str]:
    """The tasks in the order of the list."""
    from ec2tasks import ec2

    return sorted(ec2.task_names, key=lambda name: (name.count("."), name))


def tasks_page() -> str:
    """The list, then each task's help."""
    parts = [
        "# Tasks",
        "Written by `scripts/docs.py` from the program. `inv ec2.X` and `ec2tasks X` are the same task.",
        f"```\n{output_of('--list')}\n```",
    ]
    for name in task_names():
        parts += [f"## {name}", f"```\n{output_of('--help', name)}\n```"]
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Where settings come from, then each of them."""
    from ec2tasks.config.schema import KEYS

    rows = ["| key | environment | default | what it is |", "|---|---|---|---|"]
    for key in KEYS:
        names = ", ".join(f"`{name}`" for name in key.environment)
        value = ", ".join(key.default) if isinstance(key.default, tuple) else key.show(key.default)
        default = "" if value in (None, "", {}, False) else f"`{value}`"
        rows.append(f"| `{key.name}` | {names} | {default} | {key.about} |")
    table = "\n".join(rows)
    *most, last = (f"`{key.name}`" for key in KEYS if key.merge == "add")
    layers = LAYERS.format(added=f"{', '.join(most)} and {last}")
    return f"# Settings\n\nWritten by `scripts/docs.py` from the program.\n\n{layers}\n\n{table}\n"


def schema_page() -> str:
    """The JSON Schema of ec2.yaml."""
    from ec2tasks.config.json_schema import schema_text

    return schema_text()


def answers_page() -> str:
    """The JSON Schema of what tasks print with --json."""
    from ec2tasks.cli.answers import schema_text

    return schema_text()


PAGES = {
    "tasks.md": tasks_page,
    "settings.md": settings_page,
    "ec2.schema.json": schema_page,
    "json.schema.json": answers_page,
}


def main() -> None:
    """Write the pages, or with --check only compare."""
    for name, page in PAGES.items():
        path, text = REPO / "docs" / name, page()
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"docs/{name} is not what the program says: run `python scripts/docs.py`")


if __name__ == "__main__":
    main()
