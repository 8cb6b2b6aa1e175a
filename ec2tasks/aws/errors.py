"""AWS's errors in the user's words: what happened, and what to type about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ec2tasks.aws.credential_errors import ENDED_CODES, EndedError, credentials_error
from ec2tasks.aws.explanations import hint_for
from ec2tasks.base import output
from ec2tasks.base.errors import Failure

# Errors that pass by themselves.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
TRANSIENT_CODES = (
    *(
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "EC2ThrottledException",
        "RequestThrottled",
    ),
    *("InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable"),
)
ASKED_REGION = "AskedRegion"
DENIED_CODES = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
DENIAL = re.compile(r"is not authorized to perform: (?P<action>[\w-]+:\w+)")
ROLE = (
    "the role must trust you, with an MFA code where it asks for one: role_arn, source_profile and mfa_serial"
    " of the profile, in ~/.aws/config; whose credentials those are: `aws sts get-caller-identity`"
)
CODE = "type the code that your device shows now; AWS takes each once, so wait for the next one"
ENCODED = re.compile(r"Encoded authorization failure message: (\S+)")


def error_code(error: Exception) -> str:
    """The error code of an exception of boto3, such as `UnauthorizedOperation`; empty for any other."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def error_text(error: Exception) -> str:
    """The error message of AWS; of any other exception, its text."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Message", "")) if isinstance(response, dict) else str(error)


def error_region(error: Exception) -> str:
    """The region that was asked, where the client that asked noted it; else empty."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    return str(metadata.get(ASKED_REGION, ""))


def note_region(parsed: dict[str, Any], context: Mapping[str, Any], **_: object) -> None:
    """Note in an answer which region was asked: an error tells its code and text alone."""
    parsed.setdefault("ResponseMetadata", {})[ASKED_REGION] = context.get("client_region") or ""


class UnreachableError(Failure):
    """The AWS API gives no answer from here."""


def explain(error: Exception) -> Failure | None:
    """An exception of boto3 as a Failure in the user's words; None for one that a user can't have caused."""
    from botocore import exceptions

    if failure := credentials_error(error) or _unanswered(error):
        return failure
    if error_code(error) in DENIED_CODES:
        return _denied(error)
    if isinstance(error, exceptions.ClientError):
        hint = hint_for(error_code(error), error_text(error), error_region(error))
        kind = EndedError if error_code(error) in ENDED_CODES else Failure
        return kind(_refusal(error, error_text(error)), hint=hint)
    if isinstance(error, exceptions.BotoCoreError):
        return Failure(f"AWS can't be asked: {error}", hint=hint_for("", str(error)))
    return None


def not_aws_error(why: str) -> UnreachableError:
    """The failure that somebody else than AWS answers, and what tells that."""
    return UnreachableError(
        f"what answers in the place of the AWS API is not AWS: {why}",
        hint="a proxy, or a network that wants a login first? HTTPS_PROXY=URL names the proxy to ask by",
    )


def _unanswered(error: Exception) -> UnreachableError | None:
    """The failure that nothing answered, or somebody else than AWS; None for an answer of its own."""
    from botocore import exceptions, parsers

    text = " ".join(str(error).split())
    if isinstance(error, parsers.ResponseParserError):
        return not_aws_error(text[:200])
    if isinstance(error, exceptions.SSLError):
        return UnreachableError(
            f"the AWS API can't be trusted from here: {text}",
            hint="where your company looks into what is encrypted, name its certificates:"
            " AWS_CA_BUNDLE=FILE.pem, or ca_bundle = FILE.pem in ~/.aws/config",
        )
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        seconds = getattr(error, "seconds", None)
        waited = f", for {seconds} s each time" if seconds else ""
        return UnreachableError(
            f"the AWS API can't be reached: {text}{waited}",
            hint="check the network; with --local, `ec2tasks local.up`",
        )
    return None


def _refusal(error: Exception, text: str) -> str:
    """What AWS refuses, by its own code and words."""
    operation = getattr(error, "operation_name", "") or "the call"
    return ": ".join(part for part in (f"AWS refuses {operation}", error_code(error), text) if part)


def _denied(error: Exception) -> Failure:
    """The failure that names the missing IAM right; often that of another call, which this one implies."""
    said = error_text(error)
    encoded, text = ENCODED.search(said), ENCODED.sub("", said).strip()
    denial = DENIAL.search(text)
    action = denial["action"] if denial else ""
    right = f"`{action}`" if action else f"the right to call `{getattr(error, 'operation_name', '')}`"
    hints = [
        f"ask your administrator for {right}",
        "`ec2tasks admin.policy` prints the policy that ec2tasks needs",
    ]
    if action == "sts:AssumeRole":
        hints = [ROLE]
    if "MultiFactorAuthentication" in text:
        hints = [CODE]
    if "service control policy" in text or "resource control policy" in text:
        hints.insert(
            0, "your organization forbids it, often in some regions or for some types only: another one"
        )
    if encoded:
        decode = f"aws sts decode-authorization-message --encoded-message {encoded[1]}"
        hints.append(f"`{decode}` tells which right is missing")
    return Failure(_refusal(error, text), hint="; ".join(hints))


def is_silence(error: Exception) -> bool:
    """Whether AWS gave no answer in time: its endpoint can't be connected to, or accepts and says nothing."""
    from botocore import exceptions

    return isinstance(error, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError)


def note_silence(error: Exception, config: Any) -> int | None:
    """The seconds that were waited for AWS by a client's `config`, which the error tells from then on.

    None for an error that is no silence.
    """
    from botocore.exceptions import ConnectTimeoutError

    if not is_silence(error):
        return None
    connecting = isinstance(error, ConnectTimeoutError)
    seconds: int = config.connect_timeout if connecting else config.read_timeout
    error.seconds = seconds  # type: ignore[attr-defined]
    return seconds


def is_transient(error: Exception) -> bool:
    """Whether to ask again: AWS is busy or broken for the moment, or its answer was lost on the way."""
    from botocore import exceptions

    lost = isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError)
    # A proxy in between answers with a bare number.
    return lost or error_code(error) in (*TRANSIENT_CODES, "500", "502", "503", "504")


def warn_if_denied(error: Exception, instead: str) -> bool:
    """Whether the error is a missing IAM right; if so, warn, and say how the work goes on `instead`."""
    failure = explain(error) if error_code(error) in DENIED_CODES else None
    if failure:
        output.warning(f"{failure.what}: {instead}", hint=failure.hint)
    return failure is not None
