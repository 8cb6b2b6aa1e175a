from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.secret_stores import (
    CREDENTIAL_NAME,
    MOVED_BY,
    STORES,
    SYSTEM_STORES,
    holds_credentials,
    secret_stores,
)

HOME = Path("/home/kim")
KNOWN = secret_stores(HOME, {})
NAMES = st.lists(st.text(st.characters(codec="ascii", exclude_characters="/\0"), min_size=1), max_size=3).map(
    lambda names: [name for name in names if name not in (".", "..")]
)


@given(st.sampled_from(STORES), NAMES, st.sampled_from(["/home/kim", "/root", "/mnt/backup/home/eve"]))
def test_a_store_is_known_by_its_name_in_whatever_home_and_all_that_is_in_it(
    store: str, below: list[str], home: str
) -> None:
    found = KNOWN.holding(Path(home, store, *below))
    assert found
    assert Path(home, store).is_relative_to(found)


@given(st.sampled_from((*STORES, *SYSTEM_STORES)))
def test_capital_letters_make_no_other_store(store: str) -> None:
    assert KNOWN.holding(HOME / store.upper())
    assert KNOWN.holding(HOME / store.title())


@pytest.mark.parametrize(
    "path", ["/", "/home/kim", "/home/kim/data", "/home/kim/.config", "/home/kim/.sshx", "/mnt/ssh/.aws-cli"]
)
def test_what_is_no_store(path: str) -> None:
    assert KNOWN.holding(Path(path)) is None


@given(st.sampled_from(STORES))
def test_what_is_above_a_store_holds_it(store: str) -> None:
    for above in (HOME / store).parents:
        assert HOME / store in KNOWN.below(above)
    assert HOME / store not in KNOWN.below(HOME / "data")


@pytest.mark.parametrize("name", MOVED_BY)
def test_a_store_that_a_variable_has_moved(name: str) -> None:
    moved = secret_stores(HOME, {name: "/opt/one:/opt/two"})
    assert moved.holding(Path("/opt/one"))
    assert moved.holding(Path("/opt/two/inside"))
    assert Path("/opt/one") in moved.below(Path("/opt"))


def test_a_folder_that_a_variable_has_moved_takes_its_stores_along() -> None:
    moved = secret_stores(HOME, {"XDG_CONFIG_HOME": "/opt/settings"})
    assert moved.holding(Path("/opt/settings/gcloud/credentials.db"))
    assert moved.holding(Path("/opt/settings/editor")) is None


def test_a_store_that_is_a_link_is_known_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / ".ssh").symlink_to("disk")
    found = secret_stores(tmp_path.resolve(), {})
    assert found.holding(tmp_path.resolve() / "disk" / "id_rsa")
    assert tmp_path.resolve() / "disk" in found.below(tmp_path.resolve())


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
        *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK", "AMAZON_SECRET_ACCESS_KEY"),
        *("AWS_SECRET_KEY", "AWS_ACCESS_KEY", "AWS_CREDENTIALS", "AWS_PROD_SECRET_ACCESS_KEY"),
    ],
)
def test_a_variable_with_credentials_is_known_by_its_name(name: str) -> None:
    assert holds_credentials(name, {})


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_REGION", "WANDB_API_KEY", "GITHUB_TOKEN"])
def test_other_variables_hold_none(name: str) -> None:
    assert not holds_credentials(name, {name: "some value", "AWS_SECRET_ACCESS_KEY": "x" * 40})


@given(st.from_regex(r"[A-Za-z0-9/+]{40}", fullmatch=True), st.text(max_size=9), st.text(max_size=9))
def test_a_copy_of_a_secret_is_known_under_any_name(secret: str, before: str, after: str) -> None:
    environ = {"AWS_SECRET_ACCESS_KEY": secret, "MINE": f"{before}{secret}{after}", "OTHER": before}
    assert holds_credentials("MINE", environ)
    assert not re.fullmatch(CREDENTIAL_NAME, "OTHER")


@pytest.mark.parametrize("value", ["AKIAIOSFODNN7EXAMPLE", '{"AccessKeyId": "ASIAIOSFODNN7EXAMPLE"}'])
def test_an_access_key_is_known_by_its_form(value: str) -> None:
    assert holds_credentials("MINE", {"MINE": value})
