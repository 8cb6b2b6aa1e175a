"""Where the AWS API answers and how its instances are reached: AWS itself, or the local EC2, as data."""

from __future__ import annotations

from ec2tasks.base.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the AWS API answers, and how its instances are reached.

    `api_url` is None for AWS itself, where boto3 finds its own URL per service. `access_key` and
    `secret_key` are set only where the endpoint has credentials of its own, so that the user's are
    never sent to it; its profiles and proxies are not looked at there either. `address_urls` answer
    the caller's public address as plain text, each for when those before it don't. `answer_seconds` may
    pass until the API answers a call.
    """

    name: str = "aws"
    api_url: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    ssh_port: int = 22
    answer_seconds: int = 15
    # The last one also answers who has none but an IPv6 address. https://www.ipify.org
    address_urls: tuple[str, ...] = (
        "https://checkip.amazonaws.com",
        "https://api.ipify.org",
        "https://api64.ipify.org",
    )

    @property
    def is_own(self) -> bool:
        """Whether this endpoint has credentials of its own, and the user's are not for it."""
        return self.access_key is not None


AWS = Endpoint()
