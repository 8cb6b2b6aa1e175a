"""Why there are no AWS credentials to use, in the user's words, with the command that gets some.

boto3's own texts name neither the profile nor what to type.
https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
"""

from __future__ import annotations

import shlex
from typing import Any

from ec2tasks.base.errors import Failure

# boto3's exceptions for a mistake in ~/.aws/credentials or ~/.aws/config, or a variable for a line there.
UNUSABLE_FILES = (
    *("ConfigParseError", "InfiniteLoopConfigError", "InvalidConfigError", "InvalidDefaultsMode"),
    *("InvalidIMDSEndpointError", "InvalidIMDSEndpointModeError", "InvalidMaxRetryAttemptsError"),
    *("InvalidRetryConfigurationError", "InvalidRetryModeError", "InvalidSTSRegionalEndpointsConfigError"),
    "UnknownCredentialError",
)
# What boto3 raises as a plain RuntimeError.
STILL_EXPIRED = "refreshed credentials are still expired"
# AWS's codes for credentials that have ended. EC2 says RequestExpired, also where the clock here is wrong.
ENDED_CODES = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
PROFILES = "`aws configure list-profiles` lists those there are"
IN_CONFIG = "mend that in ~/.aws/config"
MEND_PROFILE = f"{IN_CONFIG}; {PROFILES}"
MEND_FILES = (
    "mend ~/.aws/credentials or ~/.aws/config, or move it away: `aws configure` writes another;"
    " --local for this machine, with none"
)
NEW_KEYS = "get new ones, as you got these"


class CredentialsError(Failure):
    """There are no AWS credentials to use."""


class EndedError(CredentialsError):
    """There were AWS credentials, and they have ended: whoever waits for them to come back may go on."""


def credentials_error(error: Exception, profile: str = "", process: str = "") -> CredentialsError | None:
    """The failure that an exception of boto3 means for credentials; None for one that is not about them.

    `profile` is the one in use, where it is known, and `process` its credential_process.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    text = " ".join(str(error).split())
    of_profile = f" of profile `{profile}`" if profile else ""
    if isinstance(error, CredentialsError):
        return error
    if kinds & {"SSOError", "TokenRetrievalError"}:
        return EndedError(f"the login{of_profile} has ended, or there was none: {text}", hint=sso(profile))
    if "LoginError" in kinds:
        return EndedError(f"the login{of_profile} has ended, or there was none: {text}", hint=login(profile))
    if "RefreshWithMFAUnsupportedError" in kinds:
        return EndedError(
            f"the session{of_profile} has ended, and another one takes another MFA code", hint=asks_anew()
        )
    if isinstance(error, RuntimeError) and STILL_EXPIRED in text:
        return EndedError(f"the AWS credentials{of_profile} have ended", hint=NEW_KEYS)
    if "MissingDependencyException" in kinds:
        return no_library(of_profile)
    if "CredentialRetrievalError" in kinds and (process or "custom-process" in text):
        return process_error(said(error), of_profile, process)
    return _of_files(kinds, text, of_profile)


def _of_files(kinds: set[str], text: str, of_profile: str) -> CredentialsError | None:
    """The same for what stands in the files, or does not."""
    if "PartialCredentialsError" in kinds and "source_profile" in text:
        return CredentialsError(
            f"the role_arn{of_profile} stands there without the credentials to take that role on:"
            " source_profile or credential_source is missing",
            hint="source_profile = NAME beside it in ~/.aws/config; " + PROFILES,
        )
    if "PartialCredentialsError" in kinds:
        return CredentialsError(f"half of AWS credentials: {text}", hint="`aws configure` asks for both")
    if "CredentialRetrievalError" in kinds:
        return CredentialsError(f"no AWS credentials: {text}", hint=f"{IN_CONFIG}; or other credentials")
    if "NoCredentialsError" in kinds:
        return no_credentials(of_profile)
    if "ProfileNotFound" in kinds:
        return CredentialsError(text, hint=PROFILES)
    if kinds & set(UNUSABLE_FILES):
        hint = MEND_PROFILE if "profile" in text and "InvalidConfigError" in kinds else MEND_FILES
        return CredentialsError(f"your AWS configuration can't be used: {text}", hint=hint)
    return None


def no_library(of_profile: str) -> CredentialsError:
    """The failure that boto3 here can't read the session of the console's login."""
    return CredentialsError(
        f"the login{of_profile} is one of `aws login`, for which boto3 needs the library awscrt",
        hint="pip install 'ec2tasks[login]'; or that alone: pip install --upgrade 'boto3[crt]'",
    )


def no_credentials(of_profile: str = "") -> CredentialsError:
    """The failure that there are none at all."""
    return CredentialsError(
        f"no AWS credentials found{f', none{of_profile} either' if of_profile else ''}",
        hint="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials, which `aws configure`"
        " writes; AWS_PROFILE=… for another account; --local for this machine, with none",
    )


def process_error(text: str, of_profile: str, process: str) -> CredentialsError:
    """The failure of what stands as credential_process in a profile.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
    """
    return CredentialsError(
        f"the credential_process{of_profile} failed: {' '.join(text.split()) or 'it said nothing'}",
        hint=f"run it by hand: `{process}`; it must print JSON with Version 1"
        if process
        else "run it by hand, as it stands in ~/.aws/config; it must print JSON with Version 1",
    )


def no_code_error(profile: str) -> CredentialsError:
    """The failure that a profile asks for an MFA code, and nobody types one."""
    of_profile = f"profile `{profile}`" if profile else "the AWS profile"
    return CredentialsError(
        f"{of_profile} asks for an MFA code, and no terminal gave one",
        hint="`ec2tasks ls` on a terminal asks for it once; the session that it opens counts for every call,"
        " and for the AWS CLI",
    )


def said(error: Exception) -> str:
    """The words that boto3 was told by somebody else; its own where there are none."""
    kwargs: Any = getattr(error, "kwargs", {})
    return str(kwargs.get("error_msg", error))


def sso(profile: str = "") -> str:
    """What to type for a session of IAM Identity Center."""
    return f"`aws sso login{_of(profile)}`"


def login(profile: str = "") -> str:
    """What to type for a session of the console's login."""
    return f"`aws login{_of(profile)}`"


def asks_anew() -> str:
    """What to type for a session that takes an MFA code."""
    return "`ec2tasks ls` on a terminal asks for the code"


def _of(profile: str) -> str:
    return f" --profile {shlex.quote(profile)}" if profile and profile != "default" else ""
