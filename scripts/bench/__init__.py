"""What ec2tasks takes beside what it stands for, each row against its floor, in turn on the local EC2.

`stage` is the project, the instance and the plain commands; `measure` times in turn and holds a row. A module
a group of rows: `starts`, `warm`, `output`, `waiting`; what grows is in `growth`, drawn by `plot`. `page`
writes docs/performance.md, `compare` sets another commit beside this one.
"""

from bench.stage import environment, quietly, timed

__all__ = ["environment", "quietly", "timed"]
