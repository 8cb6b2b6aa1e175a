from __future__ import annotations

import fcntl
import os
import sys

import pytest

from ec2tasks.remote.follow import BLOCK, widen


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' pipes have the size that they have")
def test_a_pipe_takes_a_whole_block() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb", buffering=0) as pipe, os.fdopen(theirs, "wb", buffering=0) as other:
        widen(pipe)
        assert fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) >= BLOCK
        assert other.write(b"x" * BLOCK) == len(pipe.read(BLOCK) or b"") == BLOCK


def test_what_is_no_pipe_stays_as_it_is() -> None:
    with open(os.devnull, "rb", buffering=0) as file:  # noqa: PTH123  # a file as Popen has one
        widen(file)
    widen(None)
