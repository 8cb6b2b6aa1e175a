"""Whose instances these are: by the account's number, whatever becomes of keys and of profiles' names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import client_error, settings

from ec2tasks.aws.client import Aws
from ec2tasks.aws.credential_errors import CredentialsError
from ec2tasks.base.endpoint import AWS, Endpoint
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.state import State
from ec2tasks.lifecycle.account import (
    LIFE,
    Asking,
    account_of,
    chosen_profile,
    credentials_of,
    profile_lines,
)

KEY = {"AWS_ACCESS_KEY_ID": "AKIA1", "AWS_SECRET_ACCESS_KEY": "x"}


class Sts:
    """STS that answers with this account, or fails so; how often it was asked."""

    def __init__(self, answer: str | Exception | None) -> None:
        self.answer, self.asked = answer, 0

    def get_caller_identity(self) -> dict[str, str]:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Account": self.answer} if self.answer else {}


def asking(state: State, sts: Sts, environ: Mapping[str, str], **rest: Any) -> Asking:
    options = {"account": rest.pop("account")} if "account" in rest else {}
    return Asking(
        aws=Aws(endpoint=AWS, region="eu-central-1", _kept={("sts", 1): sts}),
        settings=settings(**options),
        state=state,
        home=state.folder,
        environ=environ,
        **{"clock": lambda: 1000.0, **rest},
    )


ROLE = "arn:aws:iam::123456789012:role/Dev"


@pytest.mark.parametrize(
    ("lines", "environ", "number"),
    [
        ({"role_arn": ROLE, "source_profile": "base"}, {}, "123456789012"),
        ({"role_arn": ROLE.replace("arn:aws:", "arn:aws-us-gov:")}, {}, "123456789012"),
        ({"sso_account_id": "111122223333"}, {}, "111122223333"),
        ({"login_session": "arn:aws:sts::111122223333:assumed-role/Admin/kim"}, {}, "111122223333"),
        ({"login_session": "arn:aws:iam::111122223333:user/kim", "aws_access_key_id": "AKIA2"}, {}, ""),
        ({"aws_access_key_id": "AKIA2", "aws_account_id": "111122223333"}, {}, ""),
        ({"credential_process": "creds"}, {}, ""),
        ({"role_arn": "nonsense"}, {}, ""),
        ({}, {}, ""),
        ({}, {"AWS_ROLE_ARN": ROLE}, "123456789012"),
        # Keys in the environment count before what a profile says that was named there.
        ({"role_arn": ROLE}, KEY, ""),
    ],
)
def test_what_files_and_variables_tell_of_the_account(
    lines: dict[str, str], environ: dict[str, str], number: str
) -> None:
    assert credentials_of(None, lines, environ).number == number


def test_a_profile_that_was_chosen_counts_before_the_keys() -> None:
    assert credentials_of("work", {"role_arn": ROLE}, KEY).number == "123456789012"


LINES = st.dictionaries(st.sampled_from(["aws_access_key_id", "credential_process"]), st.text(max_size=3))


@given(LINES, LINES)
def test_other_credentials_have_another_mark(one: dict[str, str], other: dict[str, str]) -> None:
    marks = [credentials_of("work", lines, {}).mark for lines in (one, other)]
    same_key = one.get("aws_access_key_id") and one.get("aws_access_key_id") == other.get("aws_access_key_id")
    filled = [{name: text for name, text in lines.items() if text} for lines in (one, other)]
    assert (marks[0] == marks[1]) == (bool(same_key) or filled[0] == filled[1])


def test_lines_of_both_files_count_those_of_the_credentials_more(tmp_path: Path) -> None:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        "[profile a b]\nregion = x\naws_access_key_id = 1\n[default]\nregion = y\n"
    )
    (folder / "credentials").write_text("[a b]\naws_access_key_id = 2\n")
    assert profile_lines(tmp_path, {}, "a b") == {"region": "x", "aws_access_key_id": "2"}
    assert profile_lines(tmp_path, {}, "default") == {"region": "y"}
    (folder / "config").write_text("nonsense\n")
    assert profile_lines(tmp_path, {}, "a b") == {"aws_access_key_id": "2"}


def test_a_new_key_of_the_same_account_is_the_same_account(state: State) -> None:
    sts = Sts("123456789012")
    first = account_of(asking(state, sts, KEY))
    again = account_of(asking(state, sts, KEY, clock=lambda: 1e9))
    rotated = account_of(asking(state, sts, {**KEY, "AWS_ACCESS_KEY_ID": "AKIA2"}))
    assert first == again == rotated
    assert sts.asked == 2  # once a key
    assert account_of(asking(state, Sts("210987654321"), {"AWS_ACCESS_KEY_ID": "AKIA3"})) != first
    assert account_of(asking(state, sts, {**KEY, "AWS_ENDPOINT_URL": "http://x"})) != first


def test_what_may_come_to_mean_another_account_is_asked_again(state: State) -> None:
    for now, number in (
        (1e6, "123456789012"),
        (1e6 + LIFE - 1, "123456789012"),
        (1e6 + LIFE, "210987654321"),
    ):
        said = account_of(asking(state, Sts(number), {}, clock=lambda now=now: now))
        assert said.startswith(number)


def test_a_plan_asks_nobody_and_an_own_endpoint_needs_none(state: State) -> None:
    sts = Sts("123456789012")
    planned = account_of(asking(state, sts, KEY, asks=False, account="210987654321"))
    own = Endpoint(name="local", access_key="a", secret_key="b")
    local = asking(state, sts, KEY, account="210987654321")
    object.__setattr__(local, "aws", Aws(endpoint=own, region="eu-central-1"))
    assert (account_of(local), sts.asked) == ("", 0)
    assert planned != account_of(asking(state, sts, KEY))


def test_another_account_than_the_settings_say_is_refused(state: State) -> None:
    sts = Sts("123456789012")
    for asks in (True, False):  # by then it is known
        with pytest.raises(UsageError) as caught:
            account_of(asking(state, sts, KEY, account="2109-8765-4321", asks=asks))
        assert caught.value.what == (
            "the keys in your environment: of AWS account 123456789012, but option --account says"
            " account: 210987654321"
        )
        assert "`unset AWS_ACCESS_KEY_ID" in str(caught.value.hint)
    of_profile = asking(state, sts, {}, account="210987654321", profile="work")
    object.__setattr__(of_profile, "settings", settings(account="210987654321", profile="work"))
    with pytest.raises(UsageError, match="profile `work`: of AWS account 123456789012"):
        account_of(of_profile)
    assert account_of(asking(state, sts, KEY, account="123456789012")).startswith("123456789012")


def test_where_sts_does_not_answer_only_a_wanted_account_can_t_be_left_open(state: State) -> None:
    """A private network may have a way to EC2 and none to STS."""
    unable = Sts(client_error("ServiceUnavailable", operation="GetCallerIdentity"))
    assert account_of(asking(state, unable, KEY)) == account_of(asking(state, unable, KEY))
    with pytest.raises(Failure, match="account 123456789012 can't be seen"):
        account_of(asking(state, unable, KEY, account="123456789012"))
    wanted = {"account": "123456789012"}
    assert account_of(asking(state, Sts("123456789012"), {}, clock=lambda: 0.0, **wanted))
    with pytest.raises(Failure, match="can't be seen"):  # they may be another's by now
        account_of(asking(state, unable, {}, clock=lambda: LIFE, **wanted))
    with pytest.raises(CredentialsError):
        account_of(asking(state, Sts(CredentialsError("none")), KEY))
    with pytest.raises(Failure, match="is not AWS: STS names no account"):
        account_of(asking(state, Sts(None), KEY))
    with pytest.raises(ZeroDivisionError):
        account_of(asking(state, Sts(ZeroDivisionError()), KEY))


@pytest.mark.parametrize(
    ("options", "environ", "chosen"),
    [
        ({"profile": "work"}, {}, "work"),
        ({"profile": "work"}, KEY, None),
        ({"profile": "work"}, {"AWS_PROFILE": "work"}, None),
        ({"profile": "work", "endpoint": "local"}, {}, None),
        ({}, {"AWS_PROFILE": "work"}, None),
    ],
)
def test_a_profile_of_a_file_counts_as_if_it_were_typed_but_after_keys(
    options: dict[str, object], environ: dict[str, str], chosen: str | None
) -> None:
    assert chosen_profile(settings(**options), environ) == chosen
