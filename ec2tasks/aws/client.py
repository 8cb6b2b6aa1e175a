"""The boto3 clients of one call: made once, where they are first needed, and handed on."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from ec2tasks.aws.consistency import JustMade
from ec2tasks.aws.errors import note_region
from ec2tasks.aws.login import Login
from ec2tasks.aws.silence import passes, watch_silence
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.endpoint import Endpoint
from ec2tasks.base.errors import UsageError
from ec2tasks.base.retry import retry

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import InstanceTypeDef
    from types_boto3_iam import IAMClient
    from types_boto3_ssm import SSMClient
    from types_boto3_sts import STSClient

CONNECT_SECONDS = 10  # that a connection to AWS may take
ATTEMPTS = 6  # of each call
PRICE_LIST_REGION = "us-east-1"
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between those that are not boto3's own


def known_regions(session: boto3.Session) -> dict[str, str]:
    """The regions that boto3 knows EC2 to be in, each with its partition: the part of AWS that it is in."""
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition)
    }


def partition_of(region: str) -> str:
    """The part of AWS that a region is in, by its name: `aws`, `aws-us-gov` …; no credentials are needed.

    Raises UsageError for a name that is of none.
    """
    import botocore.session
    from botocore.exceptions import UnknownRegionError

    try:
        core: Any = botocore.session.Session({"profile": (None, None, None, None)})
        return str(core.get_partition_for_region(region))
    except UnknownRegionError as error:
        raise UsageError(f"AWS has no region `{region}`", hint="--only-region eu-central-1") from error


@dataclass(frozen=True, kw_only=True)
class Aws:
    """AWS in one region: its clients, each made when first asked for."""

    endpoint: Endpoint
    region: str
    login: Login = field(default_factory=Login, repr=False)
    made: JustMade = field(default_factory=JustMade, repr=False)
    _told: set[str] = field(default_factory=set, repr=False)
    _silences: list[Exception] = field(default_factory=list, repr=False)
    _kept: dict[tuple[str, int], Any] = field(default_factory=dict, repr=False)

    def first_told(self, warning: str) -> bool:
        """Whether this is the first time in this call that this warning is to be said."""
        is_new = warning not in self._told
        self._told.add(warning)
        return is_new

    def check_region(self) -> None:
        """Raise UsageError for a region that AWS does not have, which would only fail to answer."""
        known = known_regions(self.session)
        if self.region not in known:
            like = difflib.get_close_matches(self.region, known, n=3)
            usual = [name for name, part in known.items() if part == "aws"]
            raise UsageError(
                f"AWS has no region `{self.region}`",
                hint=f"one of {', '.join(like or usual)}; for a newer one: pip install --upgrade boto3",
            )

    def types_like(self, name: str) -> list[str]:
        """The instance types that boto3 knows whose names are nearest to this; it alone where it is one."""
        types: Any = self.ec2.meta.service_model.shape_for("InstanceType")
        return [name] if name in types.enum else difflib.get_close_matches(name, types.enum, n=3)

    def in_region(self, region: str) -> Aws:
        """The same AWS in another region."""
        return self if region == self.region else Aws(endpoint=self.endpoint, region=region, login=self.login)

    @property
    def session(self) -> boto3.Session:
        """The boto3 session of the call, with the endpoint's credentials, else the user's."""
        return self.login.session(self.endpoint, self.region)

    def sign_in(self) -> None:
        """Have credentials before several threads ask for them: a prompt in a thread hears no Ctrl-C."""
        _ = self.session
        self.login.resolve()

    def text_at(self, url: str, *, seconds: int, limit: int) -> str:
        """What a page says, so many bytes of it, asked as AWS is: by the same proxies and authorities.

        Raises OSError, or ValueError for an answer that is none.
        """
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError
        from botocore.httpsession import URLLib3Session
        from botocore.utils import get_environ_proxies

        own = self.endpoint.is_own
        authorities = None if own else self.login.authorities(self.endpoint, self.region)
        proxies = {} if own else get_environ_proxies(url)
        http = URLLib3Session(
            verify=authorities or True,  # type: ignore[arg-type]
            proxies=proxies,
            timeout=seconds,
            max_pool_connections=1,
        )
        try:
            answer = http.send(AWSRequest(method="GET", url=url, stream_output=True).prepare())
            text: str = answer.raw.read(limit).decode()
        except BotoCoreError as error:
            raise OSError(" ".join(str(error).split())) from error
        finally:
            http.close()
        if answer.status_code != 200:
            raise ValueError(f"HTTP status {answer.status_code}")
        return text

    def _client(self, service: str, attempts: int = ATTEMPTS, region: str | None = None) -> Any:
        from botocore.config import Config

        retries = {"mode": "standard", "total_max_attempts": attempts}
        proxies: dict[str, str] | None = {} if self.endpoint.is_own else None
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=self.endpoint.answer_seconds,
            retries=retries,  # type: ignore[arg-type]
            proxies=proxies,
        )
        with self.login.making, self.login.explained():
            return self._made_once(service, attempts, config, region or self.region)

    def _made_once(self, service: str, attempts: int, config: Config, region: str) -> Any:
        if (service, attempts) not in self._kept:
            client = self.session.client(
                service,  # type: ignore[call-overload]
                region_name=region,
                endpoint_url=self.endpoint.api_url,
                config=config,
            )
            client.meta.events.register("before-call", self.login.resolve)
            client.meta.events.register("after-call", note_region)
            watch_silence(client.meta.events, self._silences, config)
            self._kept[service, attempts] = client
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
        client = self._client_without_retries()

        def ask() -> InstanceTypeDef:
            answer = retry(lambda: client.run_instances(**request), on=passes(), pauses=PAUSES, sleep=sleep)
            return answer["Instances"][0]

        launched = self.made.ask(ask, sleep=sleep)
        self.made.add_instance(launched)
        return launched

    def start_instance(self, instance_id: str, sleep: Callable[[float], None] = time.sleep) -> None:
        """Start one instance that is stopped."""
        client = self._client_without_retries()
        retry(
            lambda: client.start_instances(InstanceIds=[instance_id]),
            on=passes(),
            pauses=PAUSES,
            sleep=sleep,
        )

    def _client_without_retries(self) -> EC2Client:
        """EC2, asked again by us alone.

        boto3 would also repeat a refusal for want of capacity, which AWS sends as an error 500, for most of
        a minute; another zone or type serves better.
        """
        client: EC2Client = self._client("ec2", attempts=1)
        return client

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

    @property
    def pricing(self) -> Any:
        """The Price List, which answers for every region in few of them.

        https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-price-list-query-api.html
        """
        return self._client("pricing", attempts=2, region=PRICE_LIST_REGION)

    @property
    def sso_admin(self) -> Any:
        """IAM Identity Center, in the region where it is: its permission sets."""
        return self._client("sso-admin")

    @property
    def servicequotas(self) -> Any:
        """Service Quotas: how many vCPUs may run."""
        return self._client("service-quotas", attempts=2)

    @property
    def sts(self) -> STSClient:
        """STS: whose credentials these are."""
        client: STSClient = self._client("sts", attempts=1)
        return client
