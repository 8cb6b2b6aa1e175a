from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

from ec2tasks.base.errors import UsageError
from ec2tasks.local import control, tasks


def run(*argv: str) -> int:
    """The exit code of `ec2tasks ARGV`, with these tasks alone."""
    program = Program(namespace=Collection(tasks.ns), version="0")
    try:
        program.run(["ec2tasks", *argv], exit=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_up_prints_lines_for_a_shell_and_nothing_else_on_stdout(
    new_local_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("local.up")
    endpoint = control.up()
    assert capsys.readouterr().out.splitlines() == [
        f"export AWS_ENDPOINT_URL={endpoint.api_url}",
        "export AWS_ACCESS_KEY_ID=ec2-local",
        f"export AWS_SECRET_ACCESS_KEY={endpoint.secret_key}",
    ]
    run("local.status", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["url"] == endpoint.api_url
    assert said["instances"] == []
    run("local.status")
    assert "export AWS_ENDPOINT_URL=" in capsys.readouterr().out
    run("local.down")
    assert "has ended" in capsys.readouterr().err


def test_status_of_none_says_what_to_type(new_local_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("local.status")
    assert "ec2tasks local.up" in capsys.readouterr().err
    run("local.status", "--json")
    assert json.loads(capsys.readouterr().out) is None


def test_faults_are_set_shown_and_cleared(new_local_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("local.faults", "--set", "latency_ms: 5", "--set", "cut: true")
    assert json.loads(capsys.readouterr().out) == {"latency_ms": 5, "cut": True}
    run("local.faults")
    assert json.loads(capsys.readouterr().out) == {"latency_ms": 5, "cut": True}
    run("local.faults", "--clear")
    assert json.loads(capsys.readouterr().out) == {}


@pytest.mark.parametrize("text", ["latency", "3", "{", ""])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        tasks.read_faults([text])


def test_every_task_has_a_manual() -> None:
    for name in tasks.ns.task_names:
        assert tasks.ns[name].__doc__, name


def test_instances_are_a_table() -> None:
    instance = control.LocalInstance(
        id="i-1", name="n", state="running", type="t", region="r", address="127.77.0.1"
    )
    status = control.LocalStatus(url="u", folder="f", pid=1, ssh_port=22022, instances=(instance,))
    assert tasks.status_rows(status) == [
        ["INSTANCE", "NAME", "STATE", "TYPE", "REGION", "SSH"],
        ["i-1", "n", "running", "t", "r", "127.77.0.1:22022"],
    ]
