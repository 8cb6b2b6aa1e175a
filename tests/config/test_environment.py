from __future__ import annotations

import pytest

from ec2tasks.config.environment import EnvWish, env, env_text


@pytest.mark.parametrize(
    ("value", "wish"),
    [
        ("auto", EnvWish(kind="auto")),
        ("None", EnvWish(kind="none")),
        ("nlp", EnvWish(kind="named", name="nlp")),
        ("nlp?", EnvWish(kind="named", name="nlp", optional=True)),
        ("requirements-gpu.txt", EnvWish(kind="file", name="requirements-gpu.txt")),
        ({"conda": "nlp"}, EnvWish(kind="conda", name="nlp")),
        ({"conda": "gpu.yml"}, EnvWish(kind="file", name="gpu.yml")),
        ({"venv": "~/there"}, EnvWish(kind="venv", name="~/there")),
        ({"uv": "req/a.in"}, EnvWish(kind="file", name="req/a.in")),
        (
            {"uv": {"groups": "gpu", "extras": ["a", "b"]}},
            EnvWish(kind="uv", groups=("gpu",), extras=("a", "b")),
        ),
    ],
)
def test_the_forms_of_a_wish(value: object, wish: EnvWish) -> None:
    assert env(value) == wish
    shown = env_text(wish)
    assert env(shown) == wish or wish.kind == "file"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "text"),
        ("?", "text"),
        ({}, "one of conda, venv and uv"),
        ({"pip": "x"}, "one of conda, venv and uv"),
        ({"uv": {"group": ["x"]}}, "not `group`"),
        ({"uv": {"groups": ["--all"]}}, "`--all` is no name"),
        ({"uv": {"groups": [5]}}, "`5` is no name"),
        (["x"], "text"),
    ],
)
def test_what_is_no_wish_is_refused(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        env(value)
