"""AWS's errors in the user's words: what happened, and what to type about it."""

from __future__ import annotations

import re

from ec2tasks.base import output
from ec2tasks.base.errors import Failure

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
HINTS = {
    "AuthFailure": "check the credentials: `aws sts get-caller-identity`",
    "InvalidClientTokenId": "check the credentials: `aws sts get-caller-identity`",
    "SignatureDoesNotMatch": "check the credentials: `aws configure`",
    "ExpiredToken": "log in again: `aws sso login`",
    "ExpiredTokenException": "log in again: `aws sso login`",
    "RequestExpired": "check this machine's clock, or log in again: `aws sso login`",
    "OptInRequired": "switch this region on for the account: https://console.aws.amazon.com/billing/home#/account",
    "PendingVerification": "AWS is still verifying the account; it writes an e-mail when done",
    "VcpuLimitExceeded": "end an instance (`ec2tasks ls` shows yours), or ask AWS for a higher quota",
    "MaxSpotInstanceCountExceeded": "launch without --spot, or ask AWS for a higher quota",
    "InstanceLimitExceeded": "end an instance (`ec2tasks ls` shows yours), or ask AWS for a higher quota",
    "RequestLimitExceeded": "AWS throttles the account; try again in a minute",
    "Throttling": "AWS throttles the account; try again in a minute",
    "InvalidSubnetID.NotFound": "`aws ec2 describe-subnets` lists those of the region",
    "InvalidBlockDeviceMapping": "give a larger disk_gb, or none for the image's own size",
    "InsufficientInstanceCapacity": "try again later, or another --type or --region",
    "InsufficientFreeAddressesInSubnet": "another subnet, or another zone's",
    "InvalidGroup.NotFound": "`aws ec2 describe-security-groups` lists those of the region",
    "InvalidKey.Format": "EC2 takes ED25519 and RSA keys: -i FILE names one",
    "InvalidParameterValue": "`ec2tasks config` shows what was asked for, and where it came from",
    "InvalidParameterCombination": "`ec2tasks config` shows what was asked for, and where it came from",
    "RulesPerSecurityGroupLimitExceeded": "remove old rules from the security group `ec2tasks-KEY_NAME`",
    "InternalError": "an error inside AWS; try again in a minute",
    "Unavailable": "AWS is not available right now; try again in a minute",
    "ServiceUnavailable": "AWS is not available right now; try again in a minute",
}
# Boto3's exceptions for a mistake in ~/.aws/credentials or ~/.aws/config, or a variable for a line there.
UNUSABLE_FILES = (
    *("ConfigParseError", "InfiniteLoopConfigError", "InvalidConfigError", "InvalidDefaultsMode"),
    *("InvalidIMDSEndpointError", "InvalidIMDSEndpointModeError", "InvalidMaxRetryAttemptsError"),
    *("InvalidRetryConfigurationError", "InvalidRetryModeError", "InvalidSTSRegionalEndpointsConfigError"),
    "UnknownCredentialError",
)
# Errors that pass by themselves.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
TRANSIENT_CODES = ("RequestLimitExceeded", "Throttling", "InternalError", "Unavailable", "ServiceUnavailable")
DENIED_CODES = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
DENIAL = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)(?P<rest>.*)", re.DOTALL
)
ENCODED = re.compile(r"Encoded authorization failure message: (\S+)")


def error_code(error: Exception) -> str:
    """The error code of an exception of boto3, such as `UnauthorizedOperation`; empty for any other."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def error_text(error: Exception) -> str:
    """The error message of AWS; of any other exception, its text."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Message", "")) if isinstance(response, dict) else str(error)


class UnreachableError(Failure):
    """The AWS API gives no answer from here."""


def explain(error: Exception) -> Failure | None:
    """An exception of boto3 as a Failure in the user's words; None for one that a user can't have caused."""
    from botocore import exceptions

    if failure := _of_credentials(error):
        return failure
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return UnreachableError(
            f"the AWS API can't be reached: {' '.join(str(error).split())}",
            hint="check the network; with --local, `ec2tasks local.up`",
        )
    code = error_code(error)
    operation = getattr(error, "operation_name", "")
    if code in DENIED_CODES:
        return _denied(error_text(error), operation)
    if code in HINTS:
        return Failure(f"AWS refuses {operation}: {code}: {error_text(error)}", hint=HINTS[code])
    return None


def _of_credentials(error: Exception) -> Failure | None:
    """The failure that there are no credentials to use, or none that AWS's own files here can tell."""
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return Failure(
            "no AWS credentials found",
            hint="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials, which `aws configure`"
            " writes; AWS_PROFILE=… for another account; --local for this machine, with none",
        )
    if type(error).__name__ in UNUSABLE_FILES:
        return Failure(
            f"your AWS configuration can't be used: {' '.join(str(error).split())}",
            hint="mend ~/.aws/credentials or ~/.aws/config, or move it away: `aws configure` writes another;"
            " --local for this machine, with none",
        )
    if isinstance(error, exceptions.ProfileNotFound):
        return Failure(str(error), hint="`aws configure list-profiles` lists those there are")
    if isinstance(
        error, exceptions.TokenRetrievalError | exceptions.SSOError | exceptions.CredentialRetrievalError
    ):
        return Failure(str(error), hint="log in again: `aws sso login`")
    return None


def _denied(text: str, operation: str) -> Failure:
    """The failure that names the missing IAM right; often that of another call, which this one implies."""
    encoded, text = ENCODED.search(text), ENCODED.sub("", text).strip(" .")
    denial = DENIAL.search(text)
    policy = "`ec2tasks admin.policy` prints the policy that ec2tasks needs"
    if denial:
        return Failure(
            f"AWS refuses {operation}: {denial['who']} may not `{denial['action']}`{denial['rest']}",
            hint=f"ask your administrator for `{denial['action']}`; {policy}",
        )
    decode = f"aws sts decode-authorization-message --encoded-message {encoded[1]}" if encoded else ""
    return Failure(
        f"AWS refuses {operation}: {text}",
        hint=f"ask your administrator for the right to call `{operation}`; {policy}"
        + (f"; `{decode}` tells which right is missing" if decode else ""),
    )


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
