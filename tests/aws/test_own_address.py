from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.values import settings

from ec2tasks.aws.client import Aws
from ec2tasks.aws.own_address import networks_here, own_cidr
from ec2tasks.base.endpoint import Endpoint
from ec2tasks.base.errors import Failure, UsageError


@contextmanager
def service(text: str, status: int = 200, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A page on this machine that says this."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http{'s' if context else ''}://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def asking(*urls: str) -> Aws:
    return Aws(endpoint=Endpoint(address_urls=urls), region="eu-central-1")


def test_one_service_after_the_other_is_asked() -> None:
    with (
        service("busy", 503) as busy,
        service("<html>log in</html>") as portal,
        service("2001:db8::7\n") as tells,
    ):
        assert own_cidr(asking("http://127.0.0.1:9", busy, portal, tells)) == "2001:db8::7/128"


def test_nobody_who_tells_it_is_said_with_each_reason() -> None:
    with service("x" * 10_000) as endless, pytest.raises(Failure, match="nobody told") as caught:
        own_cidr(asking("http://127.0.0.1:9", endless))
    assert "http://127.0.0.1:9: " in caught.value.what
    assert len(caught.value.what) < 1000
    assert "ssh_from: " in str(caught.value.hint)


def test_the_company_s_authority_counts_as_for_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "company.pem")]
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(new, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "company.pem", tmp_path / "key")
    with service("203.0.113.7", context=context) as url:
        with pytest.raises(Failure, match="CERTIFICATE_VERIFY_FAILED"):
            own_cidr(asking(url))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "company.pem"))
        assert own_cidr(asking(url)) == "203.0.113.7/32"


def test_it_is_asked_through_the_company_s_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with service("198.51.100.9") as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        assert own_cidr(asking("http://checkip.example")) == "198.51.100.9/32"


def test_what_the_setting_names_is_not_asked_for() -> None:
    nobody = asking()
    assert networks_here(nobody, settings(ssh_from="10.0.0.0/8, 2001:db8::/32")) == (
        "10.0.0.0/8",
        "2001:db8::/32",
    )
    with pytest.raises(UsageError, match="via: bastion needs ssh_from") as caught:
        networks_here(nobody, settings(via="bastion"))
    assert "10.0.0.0/16" in str(caught.value.hint)
