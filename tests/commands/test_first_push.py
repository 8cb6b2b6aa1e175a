"""What is said, and asked, of a big first push."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ec2tasks.base.errors import UsageError
from ec2tasks.base.process import Tools
from ec2tasks.commands import first_push
from ec2tasks.commands.first_push import ignore_hint, look_at_first_push
from ec2tasks.lifecycle.context import CallContext


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CallContext:
    """A project of 3 kB with a cache, where as much is big."""
    monkeypatch.setattr(first_push, "WORTH_A_LOOK", 2000)
    monkeypatch.setattr("ec2tasks.sync.caches.WORTH_NAMING", 100)
    root = tmp_path / "shop"
    (root / "mlruns").mkdir(parents=True)
    (root / "mlruns" / "a").write_bytes(b"x" * 1000)
    (root / "model.bin").write_bytes(b"x" * 2000)
    found = SimpleNamespace(project=SimpleNamespace(root=root), tools=Tools())
    return cast(CallContext, found)


def unasked(_question: str) -> bool | None:
    pytest.fail("asked")


def test_the_biggest_and_the_caches_are_named(
    context: CallContext, capsys: pytest.CaptureFixture[str]
) -> None:
    look_at_first_push(context, ask=lambda _question: None, environ={})
    said = capsys.readouterr().err
    assert "3.0 kB in 2 files to push to a new instance; the biggest: model.bin (2.0 kB), mlruns/a" in said
    assert "mlruns (1.0 kB) need not travel: MLflow's records of earlier runs" in said
    assert "hint: `ec2tasks init` writes .rsyncignore; then `echo /mlruns/ >> .rsyncignore`" in said


@pytest.mark.parametrize(("answer", "goes_on"), [(True, True), (None, True), (False, False)])
def test_a_no_alone_keeps_it_from_going_on(context: CallContext, answer: bool | None, goes_on: bool) -> None:
    if goes_on:
        look_at_first_push(context, ask=lambda _question: answer, environ={})
        return
    with pytest.raises(UsageError, match="nothing was launched") as error:
        look_at_first_push(context, ask=lambda _question: answer, environ={})
    assert "/mlruns/" in str(error.value.hint)


def test_what_is_small_and_who_shares_a_terminal_is_not_asked(
    context: CallContext, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    look_at_first_push(context, ask=unasked, environ={"MAKEFLAGS": " -j2 --jobserver-auth=3,4"})
    assert "to push" in capsys.readouterr().err
    monkeypatch.setattr(first_push, "WORTH_A_LOOK", 4000)
    look_at_first_push(context, ask=unasked, environ={})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("patterns", "ignores", "hint"),
    [
        ([], True, "a line in .rsyncignore for each path keeps it here"),
        (["/mlruns/"], True, "`echo /mlruns/ >> .rsyncignore` keeps it here"),
        (["/a b/", "/c/"], True, "`echo '/a b/' >> .rsyncignore; echo /c/ >> .rsyncignore` keeps them here"),
    ],
)
def test_what_to_type(patterns: list[str], ignores: bool, hint: str) -> None:
    assert ignore_hint(patterns, ignores=ignores) == hint
