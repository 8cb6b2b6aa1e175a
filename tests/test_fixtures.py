"""What holds for every test, whatever it asks for."""

from __future__ import annotations

from support.project import ScratchProject


def test_without_its_fixture_no_local_ec2_starts(project: ScratchProject) -> None:
    started = project.ec2tasks("local.up")
    assert started.code != 0
    assert "ask-for-the-fixture-local_project" in started.err
