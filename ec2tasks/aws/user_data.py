"""The guard: the user data that makes an instance end its own bill, whatever becomes of the client."""

from __future__ import annotations

import email
import email.encoders
import io
from email.generator import BytesGenerator
from email.message import Message
from email.mime.multipart import MIMEMultipart

from ec2tasks.aws.prices import affordable_seconds
from ec2tasks.base.errors import UsageError
from ec2tasks.base.scripts import compact, remote_script
from ec2tasks.config.parsers import USER_DATA_LIMIT
from ec2tasks.config.settings import Settings

# What cloud-init takes a part for, by how it begins: https://docs.cloud-init.io/en/latest/explanation/format.html
CONTENT_TYPES = {
    "#cloud-config-archive": "text/cloud-config-archive",
    "#cloud-config-jsonp": "text/cloud-config-jsonp",
    "#cloud-config": "text/cloud-config",
    "#cloud-boothook": "text/cloud-boothook",
    "#include-once": "text/x-include-once-url",
    "#include": "text/x-include-url",
    "#part-handler": "text/part-handler",
    "## template: jinja": "text/jinja2",
    "#!": "text/x-shellscript",
}
MIME_HEADERS = ("content-type:", "mime-version:")
BOUNDARY = "==ec2tasks=="


def user_data(settings: Settings, hourly: float | None = None) -> str:
    """The user data of a launch: the guard, which cloud-init runs first, then the user's own as it is.

    `hourly`: what the instance costs, in dollars, where max_cost is to be kept.
    Raises UsageError where both together are more than AWS takes.
    """
    own = settings.user_data or ""
    text = multipart(
        [_part(boothook(settings, hourly), "text/cloud-boothook"), *([own_part(own)] if own else [])]
    )
    size = len(text.encode())
    if size > USER_DATA_LIMIT:
        rest = size - len(own.encode())
        raise UsageError(
            f"user_data holds {len(own.encode())} bytes and the guard of ec2tasks {rest};"
            f" AWS takes {USER_DATA_LIMIT} for both",
            hint="let the script fetch its bigger half, from S3 for instance",
        )
    return text


def settings_text(settings: Settings, hourly: float | None) -> str:
    """The guard's settings as its file holds them: seconds, 0 for never."""
    values = {
        "idle_stop": settings.idle_stop,
        "max_seconds": settings.max_hours,
        "cost_seconds": affordable_seconds(settings.max_cost, hourly) or 0,
        "stalled_stop": settings.stalled_stop,
        "spot": int(settings.spot),
    }
    return "".join(f"{name} {value}\n" for name, value in values.items())


def boothook(settings: Settings, hourly: float | None) -> str:
    """The script that arms the guard at each boot; it carries all that it writes."""
    files = {
        "guard_text": compact(remote_script("guard.sh")),
        "unit_text": compact(remote_script("ec2tasks-guard.service")),
        "settings_text": settings_text(settings, hourly),
    }
    functions = [f"{name}() {{ cat <<'EC2TASKS'\n{text}EC2TASKS\n}}\n" for name, text in files.items()]
    return "".join(["#!/bin/bash\n", *functions, compact(remote_script("arm.sh"))])


def own_part(text: str) -> Message:
    """The user's own user data as a part: what it holds is not changed by a byte."""
    start = text.lstrip().lower()
    if start.startswith(MIME_HEADERS):
        return email.message_from_bytes(text.encode())
    kind = next((kind for begin, kind in CONTENT_TYPES.items() if start.startswith(begin)), "text/plain")
    return _part(text, kind)


def multipart(parts: list[Message]) -> str:
    """The parts as one MIME message, in their order."""
    boundary, texts = BOUNDARY, [part.as_string() for part in parts]
    while any(boundary in text for text in texts):
        boundary += "="
    whole = MIMEMultipart(boundary=boundary)
    for part in parts:
        whole.attach(part)
    out = io.BytesIO()
    BytesGenerator(out, mangle_from_=False, maxheaderlen=0).flatten(whole)
    return out.getvalue().decode()


def _part(text: str, kind: str) -> Message:
    part = Message()
    part["Content-Type"] = f'{kind}; charset="utf-8"'
    if text.isascii() and "\r" not in text:
        part.set_payload(text)
    else:
        part.set_payload(text.encode())
        email.encoders.encode_base64(part)
    return part
