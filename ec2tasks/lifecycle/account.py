"""Which account's instances these are: by its number, told by the AWS profile, remembered, or asked for.

Not by an access key, which may be another tomorrow, nor by a profile's name, which may come to mean another
account: what this machine knows of an instance would be forgotten, or be taken for that of another one.
"""

from __future__ import annotations

import configparser
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from ec2tasks.aws.client import Aws
from ec2tasks.aws.credential_errors import CredentialsError
from ec2tasks.aws.errors import explain, not_aws_error
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.state import State, digest, read_cached, write_cached
from ec2tasks.config.parsers import in_home
from ec2tasks.config.settings import Settings

ACCOUNT = re.compile(r"arn:[\w-]+:(?:iam|sts)::(?P<of_arn>\d{12}):.+|(?P<alone>\d{12})", re.ASCII)
# What in a profile says whose it is: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
TELLING = ("role_arn", "sso_account_id", "login_session")
# What makes other credentials of a profile; no secret, and nothing that changes with each login.
MARKING = ("aws_access_key_id", "credential_process", "credential_source")
LIFE = 12 * 3600.0  # seconds; a program or this machine's role may come to mean another account


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Whose credentials are used, as far as files and variables tell without asking AWS.

    `number` is the account's where they say it; `mark` tells them from others; `lasting`: what has that mark
    is of one account for ever.
    """

    mark: tuple[str, ...]
    number: str = ""
    lasting: bool = False


def credentials_of(
    profile: str | None, sections: Mapping[str, str], environ: Mapping[str, str]
) -> Credentials:
    """Whose credentials boto3 uses, by its own order.

    `profile` is one that was chosen elsewhere than in the environment; `sections` what its lines say.
    https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
    """
    key = environ.get("AWS_ACCESS_KEY_ID", "")
    if key and not profile:
        return Credentials(mark=("key", key), lasting=True)
    parts = tuple(sections.get(name, "") for name in MARKING)
    for name in TELLING:
        number = account_in(sections.get(name, ""))
        # Keys of the profile's own count before a login, not before a role or SSO.
        if number and not (name == "login_session" and parts[0]):
            return Credentials(mark=(name, sections[name]), number=number, lasting=True)
    if parts[0]:
        return Credentials(mark=("key", parts[0]), lasting=True)
    role = environ.get("AWS_ROLE_ARN", "")
    if not any(parts) and account_in(role):
        return Credentials(mark=("role", role), number=account_in(role), lasting=True)
    return Credentials(mark=("other", profile or environ.get("AWS_PROFILE", ""), *parts))


def account_in(text: str) -> str:
    """The account's number that this ARN, or text, is; empty where it is neither."""
    match = ACCOUNT.fullmatch(text.strip())
    return match["of_arn"] or match["alone"] if match else ""


def profile_lines(home: Path, environ: Mapping[str, str], profile: str) -> dict[str, str]:
    """What ~/.aws/config and ~/.aws/credentials say of a profile; the latter counts."""
    lines: dict[str, str] = {}
    for variable, name, section in (
        ("AWS_CONFIG_FILE", "config", profile if profile == "default" else f"profile {profile}"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", profile),
    ):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(in_home(environ.get(variable) or str(home / ".aws" / name)))
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue  # whoever needs its credentials tells of it
        if parser.has_section(section):
            lines.update(parser.items(section))
    return lines


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Who asks for the account of a call, and what this machine may know of it.

    `profile` is one that was chosen in a file; `asks`: AWS may be asked, as a plan may not.
    """

    aws: Aws
    settings: Settings
    state: State
    home: Path
    environ: Mapping[str, str]
    profile: str | None = None
    asks: bool = True
    clock: Callable[[], float] = field(default=time.time, repr=False)


def account_of(call: Asking) -> str:
    """What tells this account's instances from another's on this machine: its number, where that is known.

    Raises UsageError where it is another one than the settings say, CredentialsError where there are none.
    """
    if call.aws.endpoint.name == "local":
        return ""
    name = call.profile or call.settings.profile or "default"
    by_key = call.environ.get("AWS_ACCESS_KEY_ID") and not call.profile
    lines = {} if by_key else profile_lines(call.home, call.environ, name)
    credentials = credentials_of(call.profile, lines, call.environ)
    # What answers in AWS's place has accounts of its own.
    place = call.environ.get("AWS_ENDPOINT_URL", "")
    number = credentials.number or _remembered(call, credentials, place)
    check_account(call.settings, number, call.environ)
    return f"{number or digest(*credentials.mark)} {place}"


def _remembered(call: Asking, credentials: Credentials, place: str) -> str:
    """The account's number from an earlier call, else AWS's answer; empty where neither is to be had.

    Asking takes no right: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    key = digest("account", place, *credentials.mark)
    known = read_cached(call.state, key) or {}
    number, since = str(known.get("account", "")), known.get("since", 0.0)
    fresh = credentials.lasting or (isinstance(since, float) and 0 <= call.clock() - since < LIFE)
    if (number and fresh) or not call.asks:
        return number
    call.aws.check_region()
    try:
        asked = call.aws.sts.get_caller_identity().get("Account")
    except CredentialsError:
        raise
    except Exception as error:
        if (failure := explain(error)) is None:
            raise
        if call.settings.account:
            raise Failure(
                f"whether these credentials are of account {call.settings.account} can't be seen:"
                f" {failure.what}",
                hint=failure.hint,
            ) from error
        return number  # a network without a way to STS; what EC2 says is for whoever asks it
    if not asked:
        raise not_aws_error("STS names no account")
    write_cached(call.state, key, {"account": asked, "since": call.clock()})
    return asked


def check_account(settings: Settings, number: str, environ: Mapping[str, str]) -> None:
    """Raise UsageError where the settings say another account than that of these credentials."""
    wanted, source = settings.account, settings.sources["account"]
    if not wanted or not number or wanted == number:
        return
    whose = f"profile `{settings.profile}`" if settings.profile else "your credentials"
    hint = "AWS_PROFILE=NAME takes another profile: `aws configure list-profiles` lists those there are"
    if environ.get("AWS_ACCESS_KEY_ID") and not chosen_profile(settings, environ):
        whose = "the keys in your environment"
        hint = f"`unset AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN`, then a profile counts; {hint}"
    raise UsageError(f"{whose}: of AWS account {number}, but {source} says account: {wanted}", hint=hint)


def chosen_profile(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """The profile that a file or the like chooses; None where boto3 finds it, or keys, in the environment."""
    if settings.endpoint == "local" or environ.get("AWS_ACCESS_KEY_ID") or not settings.profile:
        return None
    in_environment = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    return settings.profile if settings.profile != in_environment else None
