from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.errors import UsageError
from ec2tasks.config.layers import Kind, Layer, Source, dotenv_content, file_layer, merge
from ec2tasks.config.schema import KEYS_BY_NAME


def file_source(name: str) -> Source:
    return Source(Kind.FILE, name)


def test_a_layer_above_wins_whatever_lies_below() -> None:
    layers = [Layer(source=file_source(str(n)), values={"region": f"eu-west-{n}"}) for n in (1, 2, 3)]
    values, sources = merge(layers)
    assert (values["region"], str(sources["region"])) == ("eu-west-3", "3")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(KEYS_BY_NAME)), JUNK)
def test_whatever_a_file_holds_gives_a_value_or_a_usage_error(name: str, value: object) -> None:
    try:
        merge([Layer(source=file_source("ec2.yaml"), values={name: value})])
    except UsageError as error:
        assert error.what.startswith("ec2.yaml")  # noqa: PT017  # a value without an error is as good


def test_what_a_dotenv_says(tmp_path: Path) -> None:
    assert dotenv_content(tmp_path / ".env") == {}
    (tmp_path / ".env").write_text("A=1\nexport B='x y'\nC\n")
    assert dotenv_content(tmp_path / ".env") == {"A": "1", "B": "x y"}


def test_a_file_without_an_end_is_no_settings_file(tmp_path: Path) -> None:
    """A cloned repository can hold a link to a device."""
    (tmp_path / "ec2.yaml").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="more than 1 MB"):
        file_layer(tmp_path / "ec2.yaml", "ec2.yaml")
