"""What a call takes to begin, in seconds of processor: on the clock, the machine's other work weighs too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.measure import Row, in_turn, used
from bench.stage import Stage

BOUND = "the import of Invoke takes nine tenths of it"
TASKS = """from invoke import Collection, task

ns = Collection()
for number in range(35):
    def body(c, one=None, two=None, three=None, four=False):
        '''Do something of this kind.'''
    ns.add_task(task(body), name=f"task{number}")
"""
# What is called, and the same of Invoke on as many tasks.
CALLS = {
    "--version": (["ec2tasks", "--version"], ["inv", "--version"]),
    "--list": (["ec2tasks", "--list"], ["inv", "--list"]),
    "completion": (["ec2tasks", "--complete", "--", "ec2tasks r"], ["inv", "--complete", "--", "inv t"]),
}


def rows(stage: Stage, rounds: int) -> Iterator[Row]:
    """`--version`, `--list`, completion beside `inv`; the start of make around a task."""
    folder = Path(stage.environ["HOME"]) / "tasks"
    folder.mkdir(exist_ok=True)
    (folder / "tasks.py").write_text(TASKS)
    for name, both in CALLS.items():
        ours, theirs = both
        found = in_turn(
            rounds * 2,
            {
                "ours": lambda argv=ours: used(argv, folder, stage.environ).cpu,
                "theirs": lambda argv=theirs: used(argv, folder, stage.environ).cpu,
            },
        )
        yield Row(
            what=f"`ec2tasks {name}`, CPU",
            figure=found["ours"],
            floor=found["theirs"],
            beside=f"`inv {name}` on as many tasks",
            target=1.2,
            bound=BOUND,
        )
