"""The console output of an instance, as AWS keeps it."""

from __future__ import annotations

import base64

from ec2tasks.aws.client import Aws
from ec2tasks.aws.errors import DENIED_CODES, error_code, warn_if_denied


def console_output(aws: Aws, instance_id: str, *, instead: str | None) -> str:
    """What an instance has printed on its console; empty where AWS does not show it.

    `instead` is how the work goes on without it, which a warning says once where the right to ask is missing;
    empty for no warning. None where it can't go on: then this raises AWS's refusal.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html
    """
    try:
        text = aws.ec2.get_console_output(InstanceId=instance_id, Latest=True).get("Output", "")
    except Exception as error:
        # Types that are not built on Nitro refuse `Latest`.
        refused = error_code(error) in ("UnsupportedOperation", "InvalidParameterCombination")
        if not refused and not aws.made.explains(error) and not _goes_on(aws, error, instead):
            raise
        return ""
    return _decoded(text)


def _goes_on(aws: Aws, error: Exception, instead: str | None) -> bool:
    """Whether the work goes on without the right to ask for a console, which is said the first time."""
    if instead is None or error_code(error) not in DENIED_CODES:
        return False
    if instead and aws.first_told(instead):
        warn_if_denied(error, instead)
    return True


def _decoded(text: str) -> str:
    """The console's text; boto3 decodes AWS's base64 itself, but not that of every server like it."""
    if "SSH HOST KEY" in text:
        return text
    try:
        return base64.b64decode(text, validate=True).decode(errors="replace")
    except ValueError:
        return text
