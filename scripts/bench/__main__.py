"""`python -m bench [--quick] [--compare REV] [GROUP …]`: print the rows; write the page of all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial

from bench import compare, growth, output, page, starts, waiting, warm
from bench.measure import Row
from bench.stage import Stage, stage

GROUPS = {"starts": starts.rows, "warm": warm.rows, "output": output.rows, "waiting": waiting.rows}
QUICK = {
    "starts": starts.rows,
    "warm": partial(warm.rows, latencies=(50,)),
    "output": partial(output.rows, sizes=(200,)),
}


def said(ready: Stage, names: list[str], rounds: int, *, quick: bool) -> Iterator[Row]:
    """Each row of these groups, printed as it comes."""
    groups = QUICK if quick else GROUPS
    for name in names or groups:
        for row in (groups.get(name) or GROUPS[name])(ready, rounds):
            print(page.line(row), flush=True)
            yield row


def main() -> None:
    """Print the figures; end with 1 where one misses its target."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[[], *GROUPS], help="only these rows")
    parser.add_argument("--rounds", type=int, default=0, help="how often each is timed (7; 3 with --quick)")
    parser.add_argument("--quick", action="store_true", help="a minute: fewer rounds and rows, no page")
    parser.add_argument("--compare", metavar="REV", help="another commit beside this one, no page")
    given = parser.parse_args()
    rounds = given.rounds or (3 if given.quick else 7)
    with stage() as ready:
        if given.compare:
            for line in compare.lines(ready, rounds, given.compare):
                print(line, flush=True)
            return
        rows = list(said(ready, given.groups, rounds, quick=given.quick))
        whole = not (given.quick or given.groups)
        curves = [growth.output_curve(ready), growth.jobs_curve(ready)] if whole else []
    if whole:
        page.write(rows, [*curves, growth.files_curve()])
    sys.exit(not all(row.good for row in rows))


if __name__ == "__main__":
    main()
