"""The clients that ask AWS, made once per call and handed on, and what its errors mean to a user."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from ec2tasks.base import output
from ec2tasks.base.endpoint import Endpoint
from ec2tasks.base.errors import Failure, UsageError

if TYPE_CHECKING:
    import boto3
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import InstanceTypeDef
    from types_boto3_iam import IAMClient
    from types_boto3_ssm import SSMClient

T = TypeVar("T")
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
ATTEMPTS = 6
# Errors that pass by themselves: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
PASSING = ("RequestLimitExceeded", "Throttling", "InternalError", "Unavailable", "ServiceUnavailable")
DENIED = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
DENIAL = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)(?P<rest>.*)", re.DOTALL
)
ENCODED = re.compile(r"Encoded authorization failure message: (\S+)")


@dataclass(frozen=True, kw_only=True)
class Aws:
    """AWS in one region: its clients, each made when first asked for."""

    endpoint: Endpoint
    region: str
    _kept: dict[tuple[str, int], Any] = field(default_factory=dict, repr=False)

    def check_region(self) -> None:
        """Raise UsageError for a region that AWS does not have, which would only fail to answer."""
        known = self.session.get_available_regions("ec2")
        if self.region not in known:
            like = difflib.get_close_matches(self.region, known, n=3)
            raise UsageError(
                f"AWS has no region `{self.region}`",
                hint=f"one of {', '.join(like or known)}; for a newer one: pip install --upgrade boto3",
            )

    def types_like(self, name: str) -> list[str]:
        """The instance types that boto3 knows whose names are nearest to this; it alone where it is one."""
        types: Any = self.ec2.meta.service_model.shape_for("InstanceType")
        return [name] if name in types.enum else difflib.get_close_matches(name, types.enum, n=3)

    def in_region(self, region: str) -> Aws:
        """The same AWS in another region."""
        return self if region == self.region else Aws(endpoint=self.endpoint, region=region)

    @cached_property
    def session(self) -> boto3.Session:
        """A boto3 session with the endpoint's credentials, else the user's."""
        import boto3
        import botocore.session

        # A profile that AWS_PROFILE names need not exist where the endpoint has its own credentials.
        no_profile = {"profile": (None, None, None, None)} if self.endpoint.is_own else None
        return boto3.Session(
            botocore_session=botocore.session.Session(no_profile),
            region_name=self.region,
            aws_access_key_id=self.endpoint.access_key,
            aws_secret_access_key=self.endpoint.secret_key,
        )

    def _client(self, service: str, attempts: int = ATTEMPTS) -> Any:
        from botocore.config import Config

        retries = {"mode": "standard", "total_max_attempts": attempts}
        proxies: dict[str, str] | None = {} if self.endpoint.is_own else None
        config = Config(connect_timeout=10, read_timeout=60, retries=retries, proxies=proxies)  # type: ignore[arg-type]
        if (service, attempts) not in self._kept:
            self._kept[service, attempts] = self.session.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.endpoint.api_url,
                config=config,
            )
        return self._kept[service, attempts]

    @property
    def ec2(self) -> EC2Client:
        """EC2: instances, images, key pairs, security groups."""
        client: EC2Client = self._client("ec2")
        return client

    def run_instances(
        self, request: Mapping[str, Any], sleep: Callable[[float], None] = time.sleep
    ) -> InstanceTypeDef:
        """Launch one instance; the request's token makes a repeated one launch nothing twice."""
        client: EC2Client = self._client("ec2", attempts=1)
        return _patiently(lambda: client.run_instances(**request), sleep)["Instances"][0]

    def start_instance(self, instance_id: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Start one instance that is stopped."""
        client: EC2Client = self._client("ec2", attempts=1)
        _patiently(lambda: client.start_instances(InstanceIds=[instance_id]), sleep)

    @property
    def ssm(self) -> SSMClient:
        """Systems Manager: the public parameters that name the newest images."""
        client: SSMClient = self._client("ssm")
        return client

    @property
    def iam(self) -> IAMClient:
        """IAM: whether an instance profile exists."""
        client: IAMClient = self._client("iam")
        return client


def _patiently(ask: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """Ask until AWS answers, waiting out throttling and its own errors.

    boto3 would also repeat a refusal for want of capacity, which AWS sends as an error 500, for most of a
    minute; another zone or type serves better.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return ask()
        except Exception as error:
            if not passes(error) or attempt == ATTEMPTS:
                raise
            sleep(2.0**attempt / 2)
    raise AssertionError("unreachable")


def error_code(error: Exception) -> str:
    """The code of an AWS error, empty for any other exception."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def error_text(error: Exception) -> str:
    """AWS's own words for an error."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Message", "")) if isinstance(response, dict) else str(error)


class UnreachableError(Failure):
    """The AWS API gives no answer from here."""


def explain(error: Exception) -> Failure | None:
    """What an exception of boto3 means to a user; None for one that a user can't have caused."""
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return Failure(
            "no AWS credentials found",
            hint="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials, which `aws configure`"
            " writes; AWS_PROFILE=… for another account; --local for this machine, with none",
        )
    if isinstance(error, exceptions.ProfileNotFound):
        return Failure(str(error), hint="`aws configure list-profiles` lists those there are")
    if isinstance(
        error, exceptions.TokenRetrievalError | exceptions.SSOError | exceptions.CredentialRetrievalError
    ):
        return Failure(str(error), hint="log in again: `aws sso login`")
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return UnreachableError(
            f"the AWS API can't be reached: {' '.join(str(error).split())}",
            hint="check the network; with --local, `ec2tasks local.up`",
        )
    code = error_code(error)
    operation = getattr(error, "operation_name", "")
    if code in DENIED:
        return _denied(error_text(error), operation)
    if code in HINTS:
        return Failure(f"AWS refuses {operation}: {code}: {error_text(error)}", hint=HINTS[code])
    return None


def _denied(text: str, operation: str) -> Failure:
    """The failure that names the missing right; often that of another call, which this one implies."""
    encoded, text = ENCODED.search(text), ENCODED.sub("", text).strip(" .")
    found = DENIAL.search(text)
    policy = "`ec2tasks admin.policy` prints the policy that ec2tasks needs"
    if found:
        return Failure(
            f"AWS refuses {operation}: {found['who']} may not `{found['action']}`{found['rest']}",
            hint=f"ask your administrator for `{found['action']}`; {policy}",
        )
    decode = f"aws sts decode-authorization-message --encoded-message {encoded[1]}" if encoded else ""
    return Failure(
        f"AWS refuses {operation}: {text}",
        hint=f"ask your administrator for the right to call `{operation}`; {policy}"
        + (f"; `{decode}` tells which right is missing" if decode else ""),
    )


def passes(error: Exception) -> bool:
    """Whether to ask again: AWS is busy or broken, or its answer was lost on the way."""
    from botocore import exceptions

    lost = isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError)
    # A proxy in between answers with a bare number.
    return lost or error_code(error) in (*PASSING, "500", "502", "503", "504")


def does_without(error: Exception, instead: str) -> bool:
    """Whether a right is missing, which a warning then says, and `instead`: how the work goes on without."""
    failure = explain(error) if error_code(error) in DENIED else None
    if failure:
        output.warning(f"{failure.what}: {instead}", hint=failure.hint)
    return failure is not None
