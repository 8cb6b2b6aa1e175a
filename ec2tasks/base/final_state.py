"""The three final states of an instance: left running, stopped, terminated."""

from __future__ import annotations

from enum import Enum


class FinalState(Enum):
    """What becomes of an instance after a run; the values are the words of options and settings."""

    LEAVE = "leave"
    STOP = "stop"
    TERMINATE = "terminate"
