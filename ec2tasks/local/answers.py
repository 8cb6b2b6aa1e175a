"""Requests of the AWS API read, and errors written, in each service's own form. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

THROTTLE_CODES = {
    "ec2": ("RequestLimitExceeded", 503),
    "ssm": ("ThrottlingException", 400),
    "s3": ("SlowDown", 503),
    "pricing": ("ThrottlingException", 400),
    "servicequotas": ("TooManyRequestsException", 400),
}
JSON_SERVICES = ("ssm", "pricing", "servicequotas")
THROTTLE_TEXT = "Request limit exceeded."


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the AWS API; `content` is what a service that takes JSON is asked."""

    service: str
    region: str
    action: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    content: Mapping[str, Any] = field(default_factory=dict)

    def list_parameter(self, name: str) -> list[str]:
        """The values of a list parameter: NAME.1, NAME.2 and so on."""
        found = [(key, value) for key, value in self.parameters.items() if key.startswith(f"{name}.")]
        pairs = [(key.removeprefix(f"{name}."), value) for key, value in found]
        return [value for number, value in sorted(pairs) if number.isdigit()]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error of the AWS API."""

    code: str
    message: str
    status: int = 400


def read_call(authorization: str, target: str, content_type: str, query: str, body: bytes) -> Call:
    """What a request asks, from its headers and body."""
    service, region = "s3", "us-east-1"
    for part in authorization.replace(",", " ").split():
        scope = part.removeprefix("Credential=").split("/")
        if part.startswith("Credential=") and len(scope) >= 5:
            region, service = scope[-3], scope[-2].lower()
    parameters: dict[str, str] = {}
    if content_type.startswith("application/x-www-form-urlencoded"):
        parameters = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    elif service in ("ec2", "iam", "sts"):
        parameters = dict(parse_qsl(query, keep_blank_values=True))
    action = parameters.get("Action") or target.rpartition(".")[2]
    content = _json(body) if service in JSON_SERVICES else {}
    return Call(service=service, region=region, action=action, parameters=parameters, content=content)


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def throttle_refusal(service: str) -> Refusal:
    """How the service says `too many calls`."""
    code, status = THROTTLE_CODES.get(service, ("Throttling", 400))
    return Refusal(code=code, message=THROTTLE_TEXT, status=status)


def error_body(service: str, refusal: Refusal) -> tuple[str, bytes]:
    """The content type and body of an error, as the service writes it."""
    code, message, request_id = escape(refusal.code), escape(refusal.message), uuid.uuid4()
    if service in JSON_SERVICES:
        text = json.dumps({"__type": refusal.code, "message": refusal.message})
        return "application/x-amz-json-1.1", text.encode()
    error = f"<Code>{code}</Code><Message>{message}</Message>"
    if service == "ec2":
        text = (
            f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
    elif service == "s3":
        text = f"<Error>{error}<RequestId>{request_id}</RequestId></Error>"
    else:
        kind = "Sender" if refusal.status < 500 else "Receiver"
        error = f"<Error><Type>{kind}</Type>{error}</Error>"
        text = f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>"
    return "text/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
