from __future__ import annotations

from ec2tasks.make.database import known_targets, unknown_targets


def test_the_database_of_3_81() -> None:
    known = known_targets(DATABASE_3_81)
    assert unknown_targets(["train", "a.bin", "eval", "gone"], known, lambda _: False) == ["gone"]


DATABASE_3_81 = """\
# GNU Make 3.81
# Variables
MAKE = $(MAKE_COMMAND)
gone = eval: x
# Implicit Rules

%.bin: %.cfg
#  commands to execute (from `Makefile', line 5):
\ttouch TRAP

# 1 implicit rules, 0 (0.0%) terminal.
# Files

# Not a target:
gone:
#  Implicit rule search has not been done.

train: data
#  Implicit rule search has not been done.
#  commands to execute (from `Makefile', line 2):
\ttouch TRAP

.PHONY: eval
"""
