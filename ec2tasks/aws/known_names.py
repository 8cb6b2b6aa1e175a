"""Names of AWS's as the data that boto3 brings along has them: nobody is asked, and boto3 is not imported."""

from __future__ import annotations

import gzip
import json
import re
from importlib.util import find_spec
from pathlib import Path

ENUM = re.compile(rb'"InstanceType":\s*\{\s*"type":\s*"string",\s*"enum":\s*\[(?P<names>[^\]]*)\]')


def _data() -> Path:
    """Botocore's folder of data (https://github.com/boto/botocore/tree/develop/botocore/data)."""
    spec = find_spec("botocore")
    return Path(spec.origin).parent / "data" if spec and spec.origin else Path("/nowhere")


def instance_types() -> list[str]:
    """The instance types that there are, offered in a region or not; none where the data has another form."""
    newest = max((_data() / "ec2").glob("*/service-2.json.gz"), default=None)
    found = ENUM.search(gzip.decompress(newest.read_bytes())) if newest else None
    return re.findall(r'"([a-z0-9.-]+)"', found["names"].decode()) if found else []


def regions() -> list[str]:
    """The regions that there are, of each partition."""
    partitions = json.loads((_data() / "partitions.json").read_bytes())["partitions"]
    return [name for one in partitions for name in one["regions"] if re.search(r"\d$", name)]
