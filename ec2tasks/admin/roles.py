"""What the roles are that instances may be given: who may take them on, and what they reach of S3. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ec2tasks.admin.policy import EC2_SERVICE, VERSION, Document, allow, in_partition
from ec2tasks.base.errors import UsageError


def trust_document() -> Document:
    """The trust policy of a role: EC2 alone may assume it, for the instance that it was lent to.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_switch-role-ec2.html
    """
    statement = {"Effect": "Allow", "Principal": {"Service": EC2_SERVICE}, "Action": "sts:AssumeRole"}
    return {"Version": VERSION, "Statement": [statement]}


def bucket_document(buckets: Sequence[str], *, write: bool, partition: str = "aws") -> Document:
    """The inline policy of a role for S3: read, or everything; in these buckets alone, where any are named.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
    """
    arns = [arn for name in buckets for arn in (f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*")]
    statement = allow("Buckets", ["s3:*"] if write else ["s3:Get*", "s3:List*"], arns or ["*"])
    return in_partition({"Version": VERSION, "Statement": [statement]}, partition)


def check_buckets(names: Iterable[str]) -> tuple[str, ...]:
    """The names of S3 buckets, each once. Raises UsageError for a name that no bucket can have.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    buckets = tuple(dict.fromkeys(name.removeprefix("s3://").rstrip("/") for name in names))
    for name in buckets:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
            raise UsageError(f"`{name}` is no name of a bucket", hint="`aws s3 ls` lists them")
    return buckets
