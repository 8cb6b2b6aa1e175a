"""A page that stands alone: no network, no script or style but ours, which its own policy holds.

https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from functools import cache
from importlib import resources

from ec2tasks.records.html import Html, joined, tag


def page(title: str, *inside: Html, version: str, now: datetime | None = None) -> str:
    """The whole page, whose policy lets a browser run and draw nothing but what is here."""
    moment = now or datetime.now(timezone.utc)
    head = (
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy()}">'),
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="referrer" content="no-referrer">'),
        tag("title", title),
        Html(f"<style>{ours('report.css')}</style>"),
    )
    foot = tag("footer", f"ec2tasks {version}, {moment.astimezone():%Y-%m-%d %H:%M %Z}")
    body = tag("body", tag("main", *inside), foot, Html(f"<script>{ours('report.js')}</script>"))
    return f'<!doctype html>\n<html lang="en">{joined([tag("head", *head), body])}</html>\n'


def policy() -> str:
    """What a browser may do for this page: nothing but its own style and script, by their hashes."""
    return (
        f"default-src 'none'; style-src '{_hash('report.css')}'; script-src '{_hash('report.js')}';"
        " base-uri 'none'; form-action 'none'"
    )


@cache
def ours(name: str) -> str:
    """The text of the page's style or script, which stand beside this module."""
    return resources.files("ec2tasks").joinpath("records", name).read_text(encoding="utf-8")


def _hash(name: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(ours(name).encode()).digest()).decode()}"
