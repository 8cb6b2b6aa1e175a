from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.make.names import NAME, targets_in, written_targets

MAKEFILE = r"""
.PHONY: train eval \
  all  # what else
X := a:b
Y ::= c
Z :::= d
train: EPOCHS = 3
data/a.csv data/b.csv &: raw
	@echo hi: there
%.o: %.c
define foo
inner: x
endef
$(MODELS): y
help:: ## text
ifeq ($(A),b)
$(id): z
`id`: z
a;b: z
endif
"""


def test_the_rules_that_stand_there_are_told_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE + "-include more.mk absent.mk\ninclude m2 # too\n")
    (tmp_path / "more.mk").write_text("more: ; @:\ninclude Makefile\n")
    (tmp_path / "m2").write_text("second:\r\n\t@true\r\n")
    found = "all data/a.csv data/b.csv eval help more second train"
    assert written_targets(tmp_path) == found.split()


def test_a_folder_without_a_makefile_has_none(tmp_path: Path) -> None:
    assert written_targets(tmp_path) == []


def test_what_make_would_run_while_it_reads_is_not_run(tmp_path: Path) -> None:
    runs = "X := $(shell touch owned)\nY != touch owned\n$(shell touch owned)\n"
    (tmp_path / "GNUmakefile").write_text(f"{runs}all:\n")
    assert written_targets(tmp_path) == ["all"]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["$(id)", "`id`", "a;b", "-x", "a b", "~", "a&b", "*", "", "x\ny"])
def test_what_a_shell_would_read_as_more_than_a_word_is_no_name(name: str) -> None:
    assert not NAME.fullmatch(name)


@given(st.text(alphabet="ab:=%$#\\\n\t &.define", max_size=60))
def test_any_text_is_read(text: str) -> None:
    assert all(name.strip() == name for name in targets_in(text))
