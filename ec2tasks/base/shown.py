"""Text as a terminal can be trusted with it: what would move its cursor or hide stands there as an escape.

File names, tags and answers come from others, and may hold what clears the screen, turns the direction of
writing or prints a line that looks like ours. An escape reads as in Python;
a backslash is doubled only where it could be taken for the beginning of one, so that no two texts look alike.
"""

from __future__ import annotations

import re

# What a terminal shows as nothing or as a space, and Python takes for printable.
INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
HIDDEN = re.compile(f"[{INVISIBLE}]")
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
BEGIN_AN_ESCAPE = frozenset("\\nrtxuU")


def shown(text: str) -> str:
    """A text on one line, with nothing in it that a terminal acts upon or hides."""
    if text.isprintable() and "\\" not in text and not HIDDEN.search(text):
        return text
    following = [*text[1:], ""]
    return "".join(_shown(char, after) for char, after in zip(text, following, strict=True))


def shown_lines(text: str) -> str:
    """A text of ours over several lines; its line ends, tabs and backslashes stay."""
    return "".join(char if char in "\n\t" or _is_plain(char) else _escape(char) for char in text)


def _shown(char: str, after: str) -> str:
    if char == "\\":
        ambiguous = after in BEGIN_AN_ESCAPE or (after and not _is_plain(after))
        return "\\\\" if ambiguous else char
    return char if _is_plain(char) else _escape(char)


def _is_plain(char: str) -> bool:
    # Spaces other than the usual one are not printable to Python: they look like it.
    return char.isprintable() and not HIDDEN.match(char)


def _escape(char: str) -> str:
    code = ord(char)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return SHORT.get(char) or (f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}")
