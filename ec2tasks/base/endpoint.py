"""Where the AWS API answers and how its instances are reached: AWS itself, or the local EC2, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the AWS API answers, and how its instances are reached.

    `api_url` is None for AWS itself, where boto3 finds its own URL per service. `access_key` and
    `secret_key` are set only where the endpoint has credentials of its own, so that the user's are
    never sent to it; its profiles and proxies are not looked at there either. `address_url` answers the
    caller's public address as plain text.
    """

    name: str = "aws"
    api_url: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    ssh_port: int = 22
    address_url: str = "https://checkip.amazonaws.com"

    @property
    def is_own(self) -> bool:
        """Whether this endpoint has credentials of its own, and the user's are not for it."""
        return self.access_key is not None


AWS = Endpoint()
