"""What a job used, measure by measure."""

from __future__ import annotations

import json

from ec2tasks.usage.line import GIB
from ec2tasks.usage.samples import Gpu, Sample
from ec2tasks.usage.summary import Summary, summed_up
from ec2tasks.usage.table import HEADING, summary_json, table_rows


def summary(*gpus: Gpu) -> Summary:
    made = summed_up(
        [
            Sample(
                time=time,
                cpu=0.5,
                memory=5 * GIB,
                memory_total=16 * GIB,
                disk=30 * GIB,
                disk_total=100 * GIB,
                received=int(time * 2e6),
                sent=0,
                gpus=gpus,
            )
            for time in (10.0, 20.0)
        ]
    )
    assert made
    return made


TOLD = Gpu(utilisation=0.25, memory=3 * GIB, memory_total=15 * GIB, power=52.4, power_limit=70)
SILENT = Gpu(utilisation=None, memory=None, memory_total=None, power=None, power_limit=None)


def test_each_measure_is_a_row_and_what_was_not_told_is_none() -> None:
    assert table_rows(summary(TOLD, SILENT), curves=True) == [
        HEADING,
        ("gpu 0", "▃▃", "25 %", "25 %", ""),
        ("gpu 0 memory", "▂▂", "3 GB", "3 GB", "15 GB"),
        ("gpu 0 power", "▆▆", "52 W", "52 W", "70 W"),
        ("cpu", "▅▅", "50 %", "50 %", ""),
        ("memory", "▃▃", "5 GB", "5 GB", "16 GB"),
        ("disk", "▃▃", "30 GB", "30 GB", "100 GB"),
        ("network in", "██", "2.0 MB/s", "2.0 MB/s", "0 GB in all"),
        ("network out", "", "0.0 MB/s", "0.0 MB/s", "0 GB in all"),
    ]
    assert table_rows(summary(TOLD), curves=False)[1] == ("gpu", "25 %", "25 %", "")


def test_as_json_it_is_numbers_by_name() -> None:
    values = json.loads(json.dumps(summary_json(summary(TOLD))))
    assert values["gpus"][0]["memory_total"] == 15 * GIB
    assert values["cpu"] == {"mean": 0.5, "peak": 0.5, "points": [0.5, 0.5]}
