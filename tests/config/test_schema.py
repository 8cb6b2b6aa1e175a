from __future__ import annotations

import dataclasses

import pytest

from ec2tasks.config.schema import KEYS, UnknownSettingError, check_known, closest
from ec2tasks.config.settings import Settings


def test_every_field_has_its_key() -> None:
    fields = {field.name for field in dataclasses.fields(Settings)} - {"sources", "wishes"}
    assert fields == {key.name for key in KEYS}


def test_an_unknown_key_is_named_with_the_one_most_like_it() -> None:
    check_known("spot", place="", known=["spot"])
    with pytest.raises(UnknownSettingError, match="unknown setting `spto` in `train`; did you mean `spot`"):
        check_known("spto", place="in `train`", known=["spot"])
    assert closest("zzz", ["spot"]) is None
