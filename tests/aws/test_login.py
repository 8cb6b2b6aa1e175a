"""Whose credentials AWS is asked with, in each of the shapes that people come with."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from botocore import credentials as boto_credentials
from botocore import exceptions

from ec2tasks.aws import login as login_module
from ec2tasks.aws.client import Aws
from ec2tasks.aws.credential_errors import CredentialsError, EndedError, credentials_error
from ec2tasks.aws.errors import explain
from ec2tasks.aws.login import Login
from ec2tasks.base import output
from ec2tasks.base.endpoint import AWS

REGION = "eu-central-1"
START_URL = "https://corp.awsapps.com/start"
SSO_ROLE = "ed0df17d2171efb64e41540b485b3004238a633e"  # the CLI's name of these role credentials
CONFIG = """
[profile session]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Dev
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-central-1
[profile no-session]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-central-1
sso_account_id = 111122223333
sso_role_name = Dev
[profile console]
login_session = arn:aws:iam::111122223333:user/kim
[profile code]
role_arn = arn:aws:iam::123456789012:role/Dev
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/kim
[profile base]
aws_access_key_id = KEY
aws_secret_access_key = SECRET
[profile nobody-s]
role_arn = arn:aws:iam::123456789012:role/Dev
[profile stranger-s]
role_arn = arn:aws:iam::123456789012:role/Dev
source_profile = stranger
[profile refusing]
credential_process = sh -c "echo 'log  in first' >&2; exit 3"
[profile chatty]
credential_process = echo hello
[profile unclosed]
credential_process = echo "hello
[profile missing]
credential_process = /nowhere/creds --json
[profile token]
role_arn = arn:aws:iam::123456789012:role/Dev
web_identity_token_file = /nowhere/token
[profile nothing]
region = eu-west-1
"""


@pytest.fixture(autouse=True)
def config(environment: dict[str, str]) -> Path:
    folder = Path(environment["HOME"]) / ".aws"
    folder.mkdir()
    (folder / "config").write_text(CONFIG)
    return folder / "config"


def refused(login: Login) -> CredentialsError:
    """What a call is told that uses this login, before it reaches AWS."""
    aws = Aws(endpoint=AWS, region=REGION, login=login)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # which it is, is looked at below
        aws.ec2.describe_regions()
    failure = explain(caught.value)
    assert isinstance(failure, CredentialsError), caught.value
    assert len(str(failure.message).splitlines()) == 2
    return failure


@pytest.mark.parametrize(
    ("profile", "says", "hint"),
    [
        (
            "session",
            "login of profile `session` has ended, or there was none",
            "`aws sso login --profile session`",
        ),
        ("no-session", "login of profile `no-session` has ended", "`aws sso login --profile no-session`"),
        ("nobody-s", "profile `nobody-s` stands there without the credentials", "source_profile = NAME"),
        ("stranger-s", '"stranger" referenced in the profile "stranger-s"', "list-profiles"),
        ("refusing", "credential_process of profile `refusing` failed: log in first", "by hand: `sh -c "),
        ("chatty", "credential_process of profile `chatty` failed: ", "`echo hello`"),
        ("unclosed", "credential_process of profile `unclosed` failed: ", "by hand"),
        ("missing", "No such file or directory: '/nowhere/creds'", "`/nowhere/creds --json`"),
        ("token", "'/nowhere/token'", "~/.aws/config"),
        ("nothing", "no AWS credentials found, none of profile `nothing` either", "AWS_PROFILE=…"),
        ("no-such", "The config profile (no-such) could not be found", "list-profiles"),
    ],
)
def test_a_profile_without_credentials_is_told_what_to_type(profile: str, says: str, hint: str) -> None:
    failure = refused(Login(profile=profile))
    assert says in failure.what
    assert hint in str(failure.hint)


def test_a_program_that_is_asked_for_credentials_is_waited_for_with_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    def waiting(what: str) -> nullcontext[None]:
        said.append(what)
        return nullcontext()

    monkeypatch.setattr(login_module, "waiting", waiting)
    refused(Login(profile="chatty"))
    assert set(said) == {"the credentials of `echo hello`"}
    said.clear()
    refused(Login(profile="session"))
    assert said == []


def test_a_login_of_the_console_needs_a_library_or_that_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto_credentials, "EC", None, raising=False)
    failure = refused(Login(profile="console"))
    assert "library awscrt" in failure.what
    assert "pip install 'ec2tasks[login]'" in str(failure.hint)
    monkeypatch.setattr(boto_credentials, "EC", object(), raising=False)
    failure = refused(Login(profile="console"))
    assert isinstance(failure, EndedError)
    assert failure.hint == "`aws login --profile console`"


def test_an_older_boto3_that_passes_the_login_over_is_told_of_too(monkeypatch: pytest.MonkeyPatch) -> None:
    login = Login(profile="console")
    monkeypatch.setattr(Login, "_credentials", lambda _login: None)
    login.session(AWS, REGION)
    with pytest.raises(CredentialsError, match="library awscrt"):
        login.resolve()


def test_a_profile_in_the_environment_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "session")
    assert refused(Login()).hint == "`aws sso login --profile session`"


def test_keys_of_the_environment_that_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.setenv(f"AWS_{name}", "x")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2026-01-01T00:00:00Z")
    failure = refused(Login())
    assert isinstance(failure, EndedError)
    assert failure.what == "the AWS credentials have ended"
    assert failure.hint


@pytest.mark.parametrize(
    "error",
    [
        exceptions.UnauthorizedSSOTokenError(),
        exceptions.SSOTokenLoadError(error_msg="Token for https://x does not exist"),
        exceptions.TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        exceptions.RefreshWithMFAUnsupportedError(),
        *(getattr(exceptions, name)() for name in ("LoginRefreshRequired",) if hasattr(exceptions, name)),
    ],
)
def test_what_has_ended_is_told_apart_from_what_never_was(error: Exception) -> None:
    assert isinstance(credentials_error(error), EndedError)
    assert not isinstance(credentials_error(exceptions.NoCredentialsError()), EndedError)


@contextmanager
def typing(monkeypatch: pytest.MonkeyPatch, *codes: str | None) -> Iterator[list[str]]:
    """Somebody at the terminal who types these codes; the questions that were asked."""
    questions: list[str] = []
    answers = iter(codes)

    def ask_text(question: str, *, patience: float) -> str | None:
        questions.append(question)
        return next(answers)

    with monkeypatch.context() as patch:
        patch.setattr(output, "ask_text", ask_text)
        yield questions


def test_an_mfa_code_is_asked_for_once_and_shared_with_the_aws_cli(
    aws: Aws, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = (str(aws.endpoint.access_key), str(aws.endpoint.secret_key))
    config.write_text(CONFIG.replace("= KEY", f"= {keys[0]}").replace("= SECRET", f"= {keys[1]}"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(aws.endpoint.api_url))
    with typing(monkeypatch, None, "123456") as questions:
        assert "terminal" in refused(Login(profile="code")).what
        for _ in range(2):
            login = Login(profile="code")
            one = Aws(endpoint=AWS, region=REGION, login=login)
            assert one.sts.get_caller_identity()["Account"] == "123456789012"
            assert one.in_region("us-east-1").ec2.describe_instances()["Reservations"] == []
            assert login.ends
            assert login.ends > datetime.now(timezone.utc) + timedelta(minutes=30)
    assert questions == ["Enter MFA code for arn:aws:iam::123456789012:mfa/kim:"] * 2
    (kept,) = (config.parent / "cli" / "cache").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    # The AWS CLI names it by a hash of how the role is taken on.
    assert kept.name == "5d21beb7a341840d07983f169e838d58350227f2.json"
    assert json.loads(kept.read_text())["AssumedRoleUser"]["Arn"].endswith(
        ":assumed-role/Dev/" + kept_name(kept)
    )
    kept.write_text("[")
    with typing(monkeypatch, "123456") as questions:
        Aws(endpoint=AWS, region=REGION, login=Login(profile="code")).sts.get_caller_identity()
    assert len(questions) == 1


def kept_name(kept: Path) -> str:
    """The name of the session in the CLI's cache, which boto3 makes of the time."""
    return str(json.loads(kept.read_text())["AssumedRoleUser"]["Arn"]).rpartition("/")[2]


@pytest.mark.parametrize(("more", "known"), [({}, True), ({"refreshToken": "x"}, False)])
def test_the_end_of_an_sso_login_is_known_where_nothing_renews_it(
    more: dict[str, str], known: bool, config: Path
) -> None:
    """The AWS CLI keeps it by a hash of its address; role credentials are in its other cache."""
    noon, one = "2099-01-01T12:00:00Z", "2099-01-01T13:00:00Z"
    tokens, roles = config.parent / "sso" / "cache", config.parent / "cli" / "cache"
    for folder in (tokens, roles):
        folder.mkdir(parents=True)
    token = {"startUrl": START_URL, "accessToken": "t", "expiresAt": one, **more}
    (tokens / f"{hashlib.sha1(START_URL.encode(), usedforsecurity=False).hexdigest()}.json").write_text(
        json.dumps(token)
    )
    keys = {"AccessKeyId": "a", "SecretAccessKey": "b", "SessionToken": "c", "Expiration": noon}
    (roles / f"{SSO_ROLE}.json").write_text(json.dumps({"ProviderType": "sso", "Credentials": keys}))
    login = Login(profile="no-session")
    Aws(endpoint=AWS, region=REGION, login=login).sign_in()
    assert login.ends == (datetime(2099, 1, 1, 13, tzinfo=timezone.utc) if known else None)


def test_where_the_endpoint_has_credentials_the_user_s_are_not_looked_for(aws: Aws) -> None:
    own = Aws(endpoint=aws.endpoint, region=REGION, login=Login(profile="no-such"))
    assert own.ec2.describe_regions()["Regions"]
    assert own.login.ends is None
