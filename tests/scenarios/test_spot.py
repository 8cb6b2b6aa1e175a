"""A spot instance that AWS takes back: announced, fetched for the last time, begun again on a new one."""

from __future__ import annotations

import pytest
from support.background import start
from support.local_ec2 import faults
from support.project import ScratchProject
from support.waiting import until

JOB = """
n=$(cat count 2>/dev/null || echo 0)
echo "begins at $n, resumed ${EC2TASKS_RESUMED:-0}"
while [ "$n" -lt "$(cat enough)" ]; do n=$((n + 1)); echo $n >.new; mv .new count; sleep 0.3; done
echo done >result
"""


SAVES = "trap 'touch saved; exit 143' TERM\n"


@pytest.mark.parametrize("first_lines", ["", SAVES], ids=["taken", "saves at the notice and ends"])
def test_a_run_goes_on_where_it_was_after_aws_took_its_instance(
    first_lines: str, local_project: ScratchProject
) -> None:
    project = local_project
    project.write("ec2.yaml", "spot: true\nresume: true\npull_every: 1 s\n")
    project.write("job.sh", first_lines + JOB)
    project.write("enough", "1000\n")
    run = start(project, "ec2tasks", "run", "bash job.sh")
    until(lambda: (project.root / "count").exists(), "what the command makes while it runs")
    first = project.status()
    assert first
    faults(project, spot_seconds=20 if first_lines else 8, spot_notice=first["id"])
    project.write("enough", "1\n")
    until(lambda: run.over() or run.says("begins again on a new instance"), "a new instance")
    said = run.end()
    assert said.code == 0, said.err
    assert "AWS takes this spot instance back at 20" in said.err
    assert said.err.count("begins again on a new instance") == 1
    begins = [line for line in said.out.splitlines() if line.startswith("begins")]
    assert [line.split()[-1] for line in begins] == ["0", "1"]
    assert int(begins[1].split()[2].rstrip(",")) > 0, "from the results fetched so far"
    assert project.read("result") == "done\n"
    assert (project.root / "saved").exists() == bool(first_lines)
    assert project.status() is None


def test_a_spot_instance_that_its_owner_ends_is_not_replaced(local_project: ScratchProject) -> None:
    project = local_project
    project.write("ec2.yaml", "spot: true\nresume: true\npull_every: 1 s\n")
    run = start(project, "ec2tasks", "run", "touch began; sleep 600")
    until(lambda: (project.root / "began").exists(), "the command")
    assert project.ec2tasks("down", "--no-rsync").code == 0
    said = run.end()
    assert said.code == 125
    assert "begins again" not in said.err
    assert project.status() is None
