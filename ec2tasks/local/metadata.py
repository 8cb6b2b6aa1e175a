"""The instance metadata service at 169.254.169.254, version 2 only (no token, no answer).

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

MAX_TOKEN_SECONDS = 21600


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an instance may know of itself."""

    instance_id: str
    instance_type: str
    image_id: str
    region: str
    zone: str
    account: str
    hostname: str
    local_ipv4: str
    public_ipv4: str | None = None
    architecture: str = "x86_64"
    lifecycle: str = "on-demand"
    launched: str = ""
    key_name: str | None = None
    public_key: str = ""
    security_groups: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    user_data: bytes = b""
    profile: Mapping[str, str] | None = None
    role: str | None = None
    credentials: Mapping[str, str] | None = None
    interruption: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One HTTP answer."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def identity_document(facts: Facts) -> str:
    """dynamic/instance-identity/document."""
    document = {
        "accountId": facts.account,
        "architecture": facts.architecture,
        "availabilityZone": facts.zone,
        "imageId": facts.image_id,
        "instanceId": facts.instance_id,
        "instanceType": facts.instance_type,
        "pendingTime": facts.launched,
        "privateIp": facts.local_ipv4,
        "region": facts.region,
        "version": "2017-09-30",
    }
    return json.dumps(document, indent=2)


def _iam_tree(facts: Facts) -> dict[str, str | bytes | None]:
    if facts.profile is None:
        return {}
    tree: dict[str, str | bytes | None] = {
        "meta-data/iam/info": json.dumps({"Code": "Success", **facts.profile}, indent=2)
    }
    if facts.role and facts.credentials:
        tree[f"meta-data/iam/security-credentials/{facts.role}"] = json.dumps(
            dict(facts.credentials), indent=2
        )
    return tree


def values_by_path(facts: Facts) -> dict[str, str | bytes | None]:
    """The values of all paths below /latest that have one; the others answer 404."""
    leaves: dict[str, str | bytes | None] = {
        "meta-data/ami-id": facts.image_id,
        "meta-data/hostname": facts.hostname,
        "meta-data/instance-id": facts.instance_id,
        "meta-data/instance-life-cycle": facts.lifecycle,
        "meta-data/instance-type": facts.instance_type,
        "meta-data/local-hostname": facts.hostname,
        "meta-data/local-ipv4": facts.local_ipv4,
        "meta-data/placement/availability-zone": facts.zone,
        "meta-data/placement/region": facts.region,
        "meta-data/public-ipv4": facts.public_ipv4,
        "meta-data/security-groups": "\n".join(facts.security_groups),
        "meta-data/services/domain": "amazonaws.com",
        "meta-data/services/partition": "aws",
        "dynamic/instance-identity/document": identity_document(facts),
        "user-data": facts.user_data,
        **_iam_tree(facts),
        **{f"meta-data/tags/instance/{key}": value for key, value in facts.tags.items()},
    }
    if facts.key_name:
        leaves["meta-data/public-keys/0/openssh-key"] = facts.public_key
    if facts.interruption:
        leaves["meta-data/spot/instance-action"] = json.dumps(dict(facts.interruption))
        leaves["meta-data/spot/termination-time"] = facts.interruption["time"]
    return {path: value for path, value in leaves.items() if value}


def lookup(facts: Facts, path: str) -> bytes | None:
    """The value at a path below /latest, or the listing of what lies below it."""
    leaves = values_by_path(facts)
    wanted = path.strip("/")
    value = leaves.get(wanted)
    if value is not None:
        return value if isinstance(value, bytes) else value.encode()
    prefix = f"{wanted}/" if wanted else ""
    below = [leaf[len(prefix) :].split("/") for leaf in sorted(leaves) if leaf.startswith(prefix)]
    names = dict.fromkeys(parts[0] + ("/" if len(parts) > 1 else "") for parts in below)
    return "\n".join(names).encode() if names else None


class Tokens:
    """The session tokens reply to one instance, and until when each is good."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def give(self, seconds: int) -> str:
        """A new token, good for so many seconds; those that have ended are forgotten."""
        now = self._clock()
        self._until = {token: until for token, until in self._until.items() if until > now}
        token = secrets.token_urlsafe(40)
        self._until[token] = now + seconds
        return token

    def good(self, token: str | None) -> bool:
        """Whether the token was reply here and hasn't ended."""
        return token is not None and self._until.get(token, 0) > self._clock()


def answer(
    method: str, path: str, headers: Mapping[str, str], *, facts: Callable[[], Facts], tokens: Tokens
) -> Answer:
    """The answer of the metadata service to a request. `headers` has lower-case names."""
    path = path.split("?", 1)[0]
    if path.rstrip("/") == "/latest/api/token":
        return _token_answer(method, headers, tokens)
    if method != "GET":
        return Answer(status=HTTPStatus.METHOD_NOT_ALLOWED)
    if not tokens.good(headers.get("x-aws-ec2-metadata-token")):
        return Answer(status=HTTPStatus.UNAUTHORIZED, body=b"Unauthorized: IMDSv2 needs a token\n")
    if path.strip("/") != "latest" and not path.startswith("/latest/"):
        return Answer(status=HTTPStatus.NOT_FOUND)
    value = lookup(facts(), path.removeprefix("/latest"))
    return Answer(status=HTTPStatus.NOT_FOUND) if value is None else Answer(body=value)


def _token_answer(method: str, headers: Mapping[str, str], tokens: Tokens) -> Answer:
    if method != "PUT":
        return Answer(status=HTTPStatus.METHOD_NOT_ALLOWED)
    if "x-forwarded-for" in headers:
        return Answer(status=HTTPStatus.FORBIDDEN)
    seconds = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
    if not seconds.isdigit() or not 1 <= int(seconds) <= MAX_TOKEN_SECONDS:
        return Answer(status=HTTPStatus.BAD_REQUEST)
    sent = {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": seconds}
    return Answer(body=tokens.give(int(seconds)).encode(), headers=sent)


class MetadataService:
    """Answers one instance on a listener that lives in its network."""

    def __init__(self, listener: socket.socket, facts: Callable[[], Facts]) -> None:
        self._listener = listener
        self._facts = facts
        self._tokens = Tokens()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, address), daemon=True).start()

    def _serve(self, client: socket.socket, address: object) -> None:
        facts, tokens = self._facts, self._tokens

        class Handler(BaseHTTPRequestHandler):
            timeout = 10
            server_version, sys_version = "EC2ws", ""

            def _answer(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = answer(self.command, self.path, headers, facts=facts, tokens=tokens)
                self.send_response(reply.status)
                for name, value in {"Content-Type": "text/plain", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815  # names of http.server

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing: instances ask every few seconds."""

        with client:
            try:
                Handler(client, address, None)  # type: ignore[arg-type]  # it needs no server
            except OSError:
                return  # the instance has gone

    def close(self) -> None:
        """Stop answering."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
