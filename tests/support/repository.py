"""Where this repository stands."""

from __future__ import annotations

from pathlib import Path

REPO = Path(__file__).parents[2]
HIT_AT_STEP = Path(__file__).with_name("hit_at_step.py")  # a script: running it is the only use of it
