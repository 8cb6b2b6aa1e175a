"""The parser of the setting `tags`: the user's own tags, and which AWS takes."""

from __future__ import annotations

from collections.abc import Mapping

from ec2tasks.config.parsers import any_case, parser, text

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html
TAG_KEY_LIMIT, TAG_VALUE_LIMIT = 128, 256  # characters
RESERVED_PREFIXES = ("aws:", "ec2tasks")  # of tags that only AWS or ec2tasks sets
NOT_RESERVED = f"(?!{any_case(RESERVED_PREFIXES)})"
PAIR_PATTERN = rf"{NOT_RESERVED}[^=]{{1,{TAG_KEY_LIMIT}}}=[\s\S]{{0,{TAG_VALUE_LIMIT}}}"


@parser(
    rf"(?=\S){PAIR_PATTERN}",
    {
        "type": "object",
        "propertyNames": {"minLength": 1, "maxLength": TAG_KEY_LIMIT, "pattern": f"^{NOT_RESERVED}"},
        "additionalProperties": {"maxLength": TAG_VALUE_LIMIT},
    },
    {"type": "array", "items": {"type": "string", "pattern": f"^{PAIR_PATTERN}$"}},
)
def tags(value: object) -> dict[str, str]:
    """The user's own tags: a mapping, or texts `key=value`."""
    if isinstance(value, Mapping):
        own_tags = {str(key): "" if item is None else str(item) for key, item in value.items()}
    else:
        pairs = [str(pair) for pair in value] if isinstance(value, list | tuple) else [text(value)]
        broken = [pair for pair in pairs if "=" not in pair]
        if broken:
            raise ValueError(f"`{broken[0]}` is not of the form `key=value`")
        own_tags = dict(pair.split("=", 1) for pair in pairs)
    for key, item in own_tags.items():
        if not key or len(key) > TAG_KEY_LIMIT or len(item) > TAG_VALUE_LIMIT:
            raise ValueError(f"`{key}` is empty or too long for AWS (128 characters, its value 256)")
        if key.lower().startswith(RESERVED_PREFIXES):
            raise ValueError(f"`{key}` is a tag that only AWS or ec2tasks sets")
    return own_tags
