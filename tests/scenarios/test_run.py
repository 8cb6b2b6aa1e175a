"""The whole line on the local EC2, as users see it: what runs, what comes back, what is left."""

from __future__ import annotations

import json
import os
import signal

from support.background import start
from support.local_ec2 import until_state
from support.project import ScratchProject
from support.waiting import until


def test_a_failing_command_brings_its_code_and_its_files(local_project: ScratchProject) -> None:
    local_project.write("data/in put.txt", "42\n")
    said = local_project.ec2tasks("run", "hostname; cat 'data/in put.txt' > out.txt; exit 7")
    assert said.code == 7
    assert local_project.read("out.txt") == "42\n"
    assert said.out.strip() != os.uname().nodename
    assert "terminated" in said.err
    assert local_project.status() is None


def test_stopped_its_disk_stays_and_the_next_run_starts_it(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("run", "--stop", "echo kept > ~/kept").code == 0
    before = local_project.status()
    assert before
    assert before["state"] in ("stopping", "stopped")
    said = local_project.ec2tasks("run", "--leave", "cat ~/kept")
    assert (said.code, said.out) == (0, "kept\n"), said.err
    after = local_project.status()
    assert after
    assert (after["id"], after["state"]) == (before["id"], "running")


def test_a_stopped_instance_whose_results_are_here_is_not_started_to_end_it(
    local_project: ScratchProject,
) -> None:
    assert local_project.ec2tasks("run", "--stop", "touch result").code == 0
    until_state(local_project, "stopped")
    said = local_project.ec2tasks("down")
    assert said.code == 0
    assert "starting" not in said.err
    assert local_project.status() is None


def test_a_stop_without_fetching_is_not_taken_for_fetched(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("run", "--leave", "true").code == 0
    assert local_project.ec2tasks("run", "--stop", "--no-rsync", "echo dear > result").code == 0
    until_state(local_project, "stopped")
    assert local_project.ec2tasks("down").code == 0
    assert local_project.read("result") == "dear\n"


def test_down_beside_a_running_command_says_so_and_ends_nothing(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("run", "--detach", "sleep 60").code == 0
    said = local_project.ec2tasks("down")
    assert said.code == 125
    assert "ec2tasks finish" in said.err
    assert (local_project.status() or {})["state"] == "running"


def test_an_amazon_linux_image_has_its_own_login_user(local_project: ScratchProject) -> None:
    image = "Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023)*"
    said = local_project.ec2tasks("run", "--image", image, "whoami; pwd")
    assert (said.code, said.out) == (0, "ec2-user\n/home/ec2-user/shop\n"), said.err


def test_results_that_can_t_be_fetched_stop_the_instance_instead(local_project: ScratchProject) -> None:
    said = local_project.ec2tasks("run", "echo dear > result; echo hidden > secret; chmod 000 secret")
    assert said.code == 125
    assert "stopped, because its results could not be fetched whole" in said.err
    assert "`ec2tasks down`" in said.err
    assert local_project.read("result") == "dear\n"
    until_state(local_project, "stopped")
    assert local_project.ec2tasks("run", "--leave", "--no-rsync", "chmod 600 secret").code == 0
    ended = local_project.ec2tasks("down")
    assert ended.code == 0, ended.err
    assert local_project.read("secret") == "hidden\n"
    assert local_project.status() is None


def test_ctrl_c_reaches_the_command_and_its_results_come_back(local_project: ScratchProject) -> None:
    process = start(
        local_project,
        "ec2tasks",
        "run",
        "trap 'echo caught > caught; exit 3' INT; echo ready; while :; do sleep 0.1; done",
    )
    assert process.line() == "ready"
    process.signal_all(signal.SIGINT)
    said = process.end()
    assert said.code == 130, said.err
    assert local_project.read("caught") == "caught\n"
    assert local_project.status() is None


def test_ctrl_c_while_it_boots_leaves_nothing(local_project: ScratchProject) -> None:
    process = start(local_project, "ec2tasks", "run", "true")
    until(lambda: process.says("launched"), "launched")
    process.signal_all(signal.SIGINT)
    assert process.end().code == 130
    assert local_project.status() is None


def test_the_last_client_to_leave_ends_the_instance(local_project: ScratchProject) -> None:
    long = start(
        local_project, "ec2tasks", "run", "echo here; while [ ! -e done ]; do sleep 0.1; done; echo ended"
    )
    assert long.line() == "here"
    short = local_project.ec2tasks("run", "--terminate", "true")
    assert short.code == 0
    assert "goes on" in short.err
    assert (local_project.status() or {})["state"] == "running"
    assert local_project.ec2tasks("run", "touch done").code == 0
    said = long.end()
    assert (said.code, said.out) == (0, "here\nended\n")
    assert local_project.status() is None


def test_a_later_session_s_final_state_replaces_an_earlier_one_s(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("up").code == 0
    long = start(
        local_project, "ec2tasks", "run", "--terminate", "echo here; while [ ! -e done ]; do sleep 0.1; done"
    )
    assert long.line() == "here"
    assert local_project.ec2tasks("run", "--leave", "touch done").code == 0
    assert long.end().code == 0
    assert (local_project.status() or {})["state"] == "running"


def test_two_clients_at_once_launch_one_instance(local_project: ScratchProject) -> None:
    both = [start(local_project, "ec2tasks", "run", "--leave", "hostname") for _ in range(2)]
    said = [one.end() for one in both]
    assert [one.code for one in said] == [0, 0], [one.err for one in said]
    assert said[0].out == said[1].out
    assert len(json.loads(local_project.ec2tasks("ls", "--json").out)) == 1


def test_a_project_of_the_same_folder_name_is_not_taken_for_this_one(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("up").code == 0
    other = ScratchProject(root=local_project.root.parent / "other" / "shop", environ=local_project.environ)
    other.root.mkdir(parents=True)
    # As on another machine: nothing is remembered of the first.
    other.environ = {**other.environ, "XDG_STATE_HOME": str(other.root.parent / "state")}
    said = other.ec2tasks("run", "true")
    assert said.code == 2
    assert "another project" in said.err
    assert "--name" in said.err


def test_a_clone_of_the_same_repository_elsewhere_finds_the_instance(local_project: ScratchProject) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    local_project.call("git", "init", "-q")
    local_project.call(*git, "commit", "-q", "--allow-empty", "-m", "first")
    assert local_project.ec2tasks("run", "--leave", "touch made-there").code == 0
    clone = ScratchProject(
        root=local_project.root.parent / "laptop" / "shop", environ=dict(local_project.environ)
    )
    clone.root.parent.mkdir()
    clone.environ["XDG_STATE_HOME"] = str(clone.root.parent / "state")
    local_project.call("git", "clone", "-q", str(local_project.root), str(clone.root))
    assert clone.ec2tasks("sync", "--pull").code == 0
    assert (clone.root / "made-there").exists()


def test_up_tells_the_address_the_cost_and_the_next_command(local_project: ScratchProject) -> None:
    said = local_project.ec2tasks("up")
    assert said.code == 0
    assert "g4dn.xlarge" in said.out
    assert "≈ $0.67/h" in said.out
    assert "ec2tasks run" in said.err
    # What it will cost stands there before anything is launched.
    priced, launched = (
        said.err.index("g4dn.xlarge in eu-central-1: $0.66 an hour, disk $0.0089"),
        said.err.index("launched "),
    )
    assert priced < launched
    assert "(AWS's price list of " in said.err


def test_down_without_rsync_gives_up_unfetched_results(local_project: ScratchProject) -> None:
    assert local_project.ec2tasks("run", "--leave", "--no-rsync", "touch lost").code == 0
    assert local_project.ec2tasks("down", "--no-rsync").code == 0
    assert not (local_project.root / "lost").exists()
    assert local_project.status() is None


def test_the_plan_asks_nothing_and_costs_nothing(project: ScratchProject) -> None:
    for words in (("run", "--dry", "make x"), ("--dry", "run", "make x")):
        said = project.ec2tasks(*words)
        assert said.code == 0, said.err
        assert "would run in ~/shop: make x" in said.out
        assert "would pay g4dn.xlarge in eu-central-1: $0.66 an hour" in said.out
        assert "would terminate the instance" in said.out
