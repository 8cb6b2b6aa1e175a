"""A request to a page here, past any proxy."""

from __future__ import annotations

import http.client
import re

from support.waiting import PATIENCE


def answer(url: str, method: str = "GET", body: str = "", token: str = "") -> tuple[int, str | None]:
    """The status of an answer, and where it leads."""
    found = re.fullmatch(r"http://([^/]+)(/.*)", url)
    assert found, url
    connection = http.client.HTTPConnection(found[1], timeout=PATIENCE)
    try:
        connection.request(
            method, found[2], body or None, {"Authorization": f"token {token}"} if token else {}
        )
        said = connection.getresponse()
        return said.status, said.getheader("Location")
    finally:
        connection.close()
