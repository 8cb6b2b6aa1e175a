"""The keys that the account gives out: access keys of its users, temporary credentials of its roles."""

from __future__ import annotations

from typing import Any

from moto.core.utils import utcnow
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

ACCOUNT = "123456789012"
ROLE_SECONDS = 6 * 3600


def secret_of(access_key: str) -> str | None:
    """The secret of an access key of a user or a role of the account; None where it has no such key."""
    users = iam_backends[ACCOUNT]["aws"].list_users("/", None, None)
    keys: list[Any] = [key for user in users for key in user.access_keys]
    keys += sts_backends[ACCOUNT]["aws"].assumed_roles
    return next((str(key.secret_access_key) for key in keys if key.access_key_id == access_key), None)


class Credentials:
    """The roles' temporary credentials, made when first asked for and again before they end."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Any] = {}

    def of(self, instance_id: str, role: Any) -> dict[str, str]:
        """What the metadata service says of the role's credentials."""
        assumed = self._held.get((instance_id, role.arn))
        if assumed is None or (assumed.expiration - utcnow()).total_seconds() < ROLE_SECONDS / 6:
            assumed = sts_backends[ACCOUNT]["aws"].assume_role(
                region_name="us-east-1",
                role_session_name=instance_id,
                role_arn=role.arn,
                policy="",
                duration=ROLE_SECONDS,
                external_id="",
            )
            self._held[instance_id, role.arn] = assumed
        return {
            "Code": "Success",
            "LastUpdated": utcnow().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Type": "AWS-HMAC",
            "AccessKeyId": assumed.access_key_id,
            "SecretAccessKey": assumed.secret_access_key,
            "Token": assumed.session_token,
            "Expiration": assumed.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
