"""A spot instance that AWS takes back: announced, fetched for the last time, begun again on a new one."""

from __future__ import annotations

from conftest import Shop
from helpers import faults, instance, start, until

JOB = """
n=$(cat count 2>/dev/null || echo 0)
echo "begins at $n, resumed ${EC2TASKS_RESUMED:-0}"
while [ "$n" -lt "$(cat enough)" ]; do n=$((n + 1)); echo $n >.new; mv .new count; sleep 0.3; done
echo done >result
"""


def test_a_run_goes_on_where_it_was_after_aws_took_its_instance(local_shop: Shop) -> None:
    shop = local_shop
    shop.write("ec2.yaml", "spot: true\nresume: true\npull_every: 1 s\n")
    shop.write("job.sh", JOB)
    shop.write("enough", "1000\n")
    run = start(shop, "ec2tasks", "run", "bash job.sh")
    until(lambda: (shop.root / "count").exists(), "what the command makes while it runs")
    first = instance(shop)
    assert first
    faults(shop, spot_seconds=8, spot_notice=first["id"])
    shop.write("enough", "1\n")
    until(lambda: run.over() or run.says("begins again on a new instance"), "a new instance")
    said = run.end()
    assert said.code == 0, said.err
    assert "AWS takes this spot instance back at 20" in said.err
    assert said.err.count("begins again on a new instance") == 1
    begins = [line for line in said.out.splitlines() if line.startswith("begins")]
    assert [line.split()[-1] for line in begins] == ["0", "1"]
    assert int(begins[1].split()[2].rstrip(",")) > 0, "from the results fetched so far"
    assert shop.read("result") == "done\n"
    assert instance(shop) is None


def test_what_its_owner_ends_is_not_begun_again(local_shop: Shop) -> None:
    shop = local_shop
    shop.write("ec2.yaml", "spot: true\nresume: true\npull_every: 1 s\n")
    run = start(shop, "ec2tasks", "run", "touch began; sleep 600")
    until(lambda: (shop.root / "began").exists(), "the command")
    assert shop.ec2tasks("down", "--no-rsync").code == 0
    said = run.end()
    assert said.code == 125
    assert "begins again" not in said.err
    assert instance(shop) is None
