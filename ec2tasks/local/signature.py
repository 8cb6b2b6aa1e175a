"""Whether a request of the AWS API is signed with a secret key that this account gave out.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

import contextlib
import hmac
import io
from collections.abc import Callable, Mapping
from typing import Any

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ec2tasks.local.answers import Refusal

BODY_LIMIT = 16 * 2**20  # bytes; what is longer is an object of S3, whose hash is signed in its stead
REFUSALS = {
    "ec2": ("AuthFailure", 401),
    **dict.fromkeys(("ssm", "pricing", "servicequotas"), ("UnrecognizedClientException", 400)),
    "s3": ("InvalidAccessKeyId", 403),
}


def refusal(environ: dict[str, Any], service: str, secret_of: Callable[[str], str | None]) -> Refusal | None:
    """Why this request is not answered; None where it is signed with the secret of a key of the account.

    How old a signature is does not matter: nobody but root can listen on this machine's loopback.
    """
    fields = _authorization_fields(environ.get("HTTP_AUTHORIZATION", ""))
    scope = fields["Credential"].split("/")
    secret = secret_of(scope[0])
    with contextlib.suppress(ValueError):  # a URL or length that is none
        if secret is not None and len(scope) == 5 and _is_signed(environ, fields, secret):
            return None
    code, status = REFUSALS.get(service, ("InvalidClientTokenId", 403))
    key = f"access key `{scope[0][:128]}`" if scope[0] else "no access key"
    hint = 'its keys are in `eval "$(ec2tasks local.up)"`, typed by the user who started it'
    return Refusal(
        code=code, message=f"that is not signed with a key of this local EC2 ({key}): {hint}", status=status
    )


def _authorization_fields(header: str) -> dict[str, str]:
    kind, _, rest = header.partition(" ")
    pairs = [part.strip().partition("=") for part in rest.split(",")] if kind == "AWS4-HMAC-SHA256" else []
    none = {"Credential": "", "SignedHeaders": "", "Signature": ""}
    return {**none, **{name: value for name, _, value in pairs}}


def _is_signed(environ: dict[str, Any], fields: Mapping[str, str], secret: str) -> bool:
    key, _, region, service, _ = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    if "host" not in names:
        return False
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    auth = kind(Credentials(key, secret), service, region)
    request = _signed_request(environ, names)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    return hmac.compare_digest(auth.signature(text, request).encode(), fields["Signature"].encode())


def _signed_request(environ: dict[str, Any], names: list[str]) -> AWSRequest:
    headers = {name: _header(environ, name) for name in names}
    body = b""
    if "x-amz-content-sha256" not in names:
        length = environ.get("CONTENT_LENGTH", "")
        body = environ["wsgi.input"].read(min(int(length), BODY_LIMIT) if length.isdecimal() else 0)
        environ["wsgi.input"] = io.BytesIO(body)
    request = AWSRequest(
        method=environ["REQUEST_METHOD"], url=environ["REQUEST_URI"], data=body, headers=headers
    )
    request.context["timestamp"] = headers.get("x-amz-date", "")
    return request


def _header(environ: dict[str, Any], name: str) -> str:
    plain = name.upper().replace("-", "_")
    value: str = environ.get(plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}", "")
    return value
