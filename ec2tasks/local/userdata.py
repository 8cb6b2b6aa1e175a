"""What cloud-init makes of user data, as far as the instances here do: scripts, and boothooks. Pure."""

from __future__ import annotations

import email

FOLDERS = {"text/x-shellscript": "scripts", "text/cloud-boothook": "boothooks"}
BOOTHOOK = b"#cloud-boothook"


def runnable_parts(user_data: bytes) -> list[tuple[str, bytes]]:
    """Each part that is run, in its order, with cloud-init's folder for it; others are left out.

    https://docs.cloud-init.io/en/latest/explanation/format.html
    """
    if not user_data.lstrip().lower().startswith((b"content-type:", b"mime-version:")):
        return _runnable("text/plain", user_data)
    parts = [part for part in email.message_from_bytes(user_data).walk() if not part.is_multipart()]
    contents = [(part.get_content_type(), part.get_payload(decode=True) or b"") for part in parts]
    return [runnable for kind, content in contents for runnable in _runnable(kind, content)]


def _runnable(kind: str, content: bytes | object) -> list[tuple[str, bytes]]:
    if not isinstance(content, bytes):
        return []
    if kind == "text/plain":
        kind = "text/x-shellscript" if content.startswith(b"#!") else kind
        kind = "text/cloud-boothook" if content.startswith(BOOTHOOK) else kind
    if kind not in FOLDERS:
        return []
    return [
        (FOLDERS[kind], content.removeprefix(BOOTHOOK).lstrip() if FOLDERS[kind] == "boothooks" else content)
    ]
