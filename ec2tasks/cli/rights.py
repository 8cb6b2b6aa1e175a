"""The rights that the options of `admin.policy` and `admin.setup` mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ec2tasks.admin.policy import Rights, parse_rights
from ec2tasks.aws.client import partition_of
from ec2tasks.base.errors import UsageError


def rights(given: Mapping[str, Any], region: str) -> Rights:
    """The rights that the options mean, in the part of AWS that they, or else the region in use, are in."""
    regions = given["only_region"]
    parts = sorted({partition_of(one) for one in regions or [region]})
    if len(parts) > 1:
        raise UsageError(
            f"{' and '.join(f'`{one}`' for one in regions)} are in parts of AWS that share no account:"
            f" {', '.join(parts)}",
            hint="one call for each",
        )
    return parse_rights(
        without=given["without"],
        roles=given["role"],
        owner=given["owner"],
        types=given["only_type"],
        regions=regions,
        keys=given["kms_key"],
        partition=parts[0],
    )
