"""Who answers is held to the host key on AWS's console, before the first contact or once it is shown."""

from __future__ import annotations

from pathlib import Path

from support.background import start
from support.keys import make_key
from support.local_ec2 import faults
from support.ports import free_port
from support.project import ScratchProject, other_machine
from support.waiting import until

from ec2tasks.local.layout import Layout

AT_FIRST_SIGHT = "was taken at first sight"
LASTING = "echo began; sleep 600"


def instance_of(project: ScratchProject) -> str:
    """The id of the project's instance, as its host key is pinned."""
    pinned = Path(project.environ["HOME"]) / ".local/state/ec2tasks/known_hosts"
    return pinned.read_text().split()[-4 if pinned.read_text().endswith(" console\n") else -3]


def forge_console(project: ScratchProject, folder: Path) -> None:
    """Let the console show the host key of somebody else."""
    layout = Layout(root=Path(project.environ["EC2_LOCAL_DIR"]))
    path, other = layout.instances / instance_of(project) / "console.log", make_key(folder / "other")
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{other if line.startswith('ssh-') else line}\n" for line in lines))


def test_a_console_that_shows_the_key_in_time_leaves_nothing_to_say(local_project: ScratchProject) -> None:
    done = local_project.ec2tasks("run", "--leave", "echo ran")
    assert done.out == "ran\n", done.err
    assert AT_FIRST_SIGHT not in done.err


def test_a_late_console_is_compared_and_another_key_ends_what_goes_on(
    local_project: ScratchProject, tmp_path: Path
) -> None:
    faults(local_project, console_late=3600)
    first = local_project.ec2tasks("run", "--leave", "echo ran")
    assert (first.code, first.out) == (0, "ran\n"), first.err
    looking = other_machine(local_project, tmp_path / "elsewhere").ec2tasks("jobs")
    assert looking.code == 0, looking.err
    # One with ports has a connection of its own; each has met the key, whichever compares it first.
    calls = (("-L", f"{free_port()}:localhost:8888"), ())
    again = [start(local_project, "ec2tasks", "run", "--leave", *words, LASTING) for words in calls]
    until(lambda: all(one.prints("began") for one in again), "both commands")
    forge_console(local_project, tmp_path)
    faults(local_project)
    ended = [one.end() for one in again]
    for done in ended:
        assert done.code == 125
        assert "is not the one on AWS's console: someone may be in between" in done.err
        assert "is the one that AWS's console shows" not in done.err
    for done in (first, looking, *ended):
        assert AT_FIRST_SIGHT in done.err
    refused = local_project.ec2tasks("jobs")
    assert (refused.code, refused.out) == (125, "")
    assert "does not show the host key pinned" in refused.err
    assert local_project.ec2tasks("down", "--no-rsync").code == 0


def test_strict_nothing_is_sent_before_the_console_shows_the_key(local_project: ScratchProject) -> None:
    local_project.write("ec2.yaml", "strict_host_keys: true\n")
    faults(local_project, console_late=3600)
    waiting = start(local_project, "ec2tasks", "up")
    until(lambda: waiting.says("waiting for AWS's console to show its host key"), "what is waited for")
    faults(local_project)
    up = waiting.end()
    assert up.code == 0, up.err
    assert AT_FIRST_SIGHT not in up.err
