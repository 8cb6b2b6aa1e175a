from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ec2tasks.base.errors import UsageError
from ec2tasks.base.project import Project
from ec2tasks.base.state import State
from ec2tasks.config.schema import KEYS_BY_NAME
from ec2tasks.config.settings import Settings, read_settings
from ec2tasks.config.trust import REACHING, Wish, link_wish
from ec2tasks.config.trust_store import agree, agreed_digests, revoke

# By these a project says how it runs, on what and at what price: they reach nothing beyond it. A new setting
# is one of these or has its line in REACHING.
OF_THE_PROJECT = {
    *("region", "instance_type", "user", "remote_dir", "final_state", "multiplex", "tags", "env", "spot"),
    *("disk_gb", "pull_every", "log_mb", "spot_fallback", "resume", "recipes", "invoke_settings"),
    *("wait_capacity", "account", "warn_before", "notice_signal", "append"),
}
# A value of each that reaches beyond the project, and what of it is asked about.
BEYOND: dict[str, tuple[object, list[str]]] = {
    "endpoint": ("local", ["local"]),
    "profile": ("work", ["work"]),
    "name": ("kim-other", ["kim-other"]),
    "key_name": ("eve", ["eve"]),
    "key_file": ("key.pem", ["ROOT/key.pem"]),
    "image": ("ami-0123456789abcdef0", ["ami-0123456789abcdef0"]),
    "iam_instance_profile": ("Admin", ["Admin"]),
    "security_group": ("open-to-all", ["open-to-all"]),
    "create_security_group": (True, ["yes"]),
    "strict_host_keys": (False, ["no"]),
    "subnet": ("subnet-0abc", ["subnet-0abc"]),
    "capacity_reservation": ("cr-0abc", ["cr-0abc"]),
    "via": ("eve.example", ["eve.example"]),
    "ssh_from": (["192.0.2.0/24"], ["192.0.2.0/24"]),
    "user_data": ("file://../outside.sh", ["ABOVE/outside.sh"]),
    "ports": (["0.0.0.0:8888:localhost:8888", "6006"], ["0.0.0.0:8888:localhost:8888"]),
    "reverse_ports": (["9000", "22"], ["9000:localhost:9000", "22:localhost:22"]),
    "forward_env": (["GITHUB_TOKEN", "EDITOR"], ["GITHUB_TOKEN", "EDITOR"]),
    "idle_stop": ("never", ["never"]),
    "max_hours": ("never", ["never"]),
    "max_cost": ("$20", ["$20.00"]),
    "stalled_stop": ("never", ["never"]),
    "reap_after": ("1 s", ["1 s"]),
}
# What the user's own file says, where a wish is one only beside that.
OWN_LIMITS = {
    "max_hours": "8 h",
    "max_cost": 5,
    "stalled_stop": "2 h",
    "create_security_group": False,
    "strict_host_keys": True,
}
VARIABLES = {
    name: key.environment[0] for name, key in KEYS_BY_NAME.items() if key.environment and name in BEYOND
}


def folder_with(files: dict[str, object], base: Path) -> Path:
    root = base / "above" / "shop"
    root.mkdir(parents=True, exist_ok=True)
    for place in (root / "key.pem", root / "setup.sh", base / "above" / "outside.sh"):
        place.write_text(f"echo {place.name}\n")
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return root


def read(
    root: Path,
    *,
    options: dict[str, object] | None = None,
    targets: tuple[str, ...] = (),
    invoke_values: dict[str, object] | None = None,
    **environ: str,
) -> Settings:
    home = root.parent / "home"
    (home / ".config" / "ec2tasks").mkdir(parents=True, exist_ok=True)
    (home / ".config" / "ec2tasks" / "config.yaml").write_text(yaml.safe_dump(OWN_LIMITS))
    return read_settings(
        Project(root=root, below=Path()),
        options=options or {},
        targets=targets,
        invoke_values=invoke_values,
        environ={"HOME": str(home), "USER": "kim", **environ},
    )


def asked(wishes: tuple[Wish, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for wish in wishes:
        found.setdefault(wish.kind, []).extend(wish.parts)
    return found


def expected(names: list[str], root: Path) -> dict[str, list[str]]:
    places = {"ROOT": str(root.resolve()), "ABOVE": str(root.parent.resolve())}

    def placed(part: str) -> str:
        word, _, rest = part.partition("/")
        return f"{places[word]}/{rest}" if word in places else part

    return {name: [placed(part) for part in BEYOND[name][1]] for name in names}


def test_of_each_setting_it_is_decided_whether_it_reaches_beyond() -> None:
    assert set(REACHING) | OF_THE_PROJECT == set(KEYS_BY_NAME)
    assert not set(REACHING) & OF_THE_PROJECT
    assert set(BEYOND) == set(REACHING)


PLACES = ["ec2.yaml", "invoke.yaml", "recipe", "Invoke"]


@given(st.lists(st.sampled_from(sorted(BEYOND)), unique=True), st.data())
def test_no_wish_of_a_project_s_files_is_missed(names: list[str], data: st.DataObject) -> None:
    values = {name: BEYOND[name][0] for name in names}
    homes = {name: data.draw(st.sampled_from(PLACES)) for name in names}
    by_place: dict[str, dict[str, object]] = {
        place: {name: values[name] for name in names if homes[name] == place} for place in PLACES
    }
    with tempfile.TemporaryDirectory() as base:
        root = folder_with(
            {
                "ec2.yaml": {**by_place["ec2.yaml"], "recipes": {"train": by_place["recipe"]}},
                "invoke.yaml": {"ec2": by_place["invoke.yaml"]},
            },
            Path(base),
        )
        settings = read(root, targets=("train",), invoke_values=by_place["Invoke"])
        assert asked(settings.wishes) == expected(names, root)
        elsewhere = read(root, targets=("eval",), invoke_values=by_place["Invoke"])
        assert asked(elsewhere.wishes) == expected([name for name in names if homes[name] != "recipe"], root)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_in_the_project_s_dotenv_is_the_project_s(name: str, tmp_path: Path) -> None:
    value, _ = BEYOND[name]
    root = folder_with({".env": f"{VARIABLES[name]}='{value}'\n"}, tmp_path)
    assert asked(read(root).wishes) == expected([name], root)


@pytest.mark.parametrize("name", sorted(set(BEYOND) - {"ports", "reverse_ports"}))
def test_what_the_user_says_asks_nothing(name: str, tmp_path: Path) -> None:
    value: Any = BEYOND[name][0]
    root = folder_with({"ec2.yaml": {name: value}}, tmp_path)
    if name in ("key_file", "user_data"):
        place = root / str(value).removeprefix("file://")
        value = f"file://{place}" if name == "user_data" else str(place)
    assert read(root, options={name: value}).wishes == ()


def test_beside_the_user_s_own_forwards_the_project_s_are_asked_about(tmp_path: Path) -> None:
    root = folder_with({"ec2.yaml": {"reverse_ports": ["22", "9000"]}}, tmp_path)
    settings = read(root, options={"reverse_ports": ["9000", "7000"]})
    assert asked(settings.wishes) == {"reverse_ports": ["22:localhost:22"]}


@pytest.mark.parametrize(
    "values",
    [
        {"user_data": "file://setup.sh"},
        {"user_data": "#!/bin/sh\necho\n"},
        {"ports": ["8888", "localhost:1:db:5432", "127.0.0.2:8888:localhost:8888", "[::1]:80:localhost:80"]},
        {"image": "base"},
        {"idle_stop": "10 min"},
        {"idle_stop": "2 h"},
        {"max_hours": "2 h"},
        {"max_cost": 4},
        {"stalled_stop": "1 h"},
        {"reap_after": "never"},
        {"create_security_group": False},
        {"endpoint": "aws"},
        {"name": "kim-shop"},
    ],
)
def test_what_stays_in_the_project_or_changes_nothing_is_no_wish(
    values: dict[str, object], tmp_path: Path
) -> None:
    assert read(folder_with({"ec2.yaml": values}, tmp_path)).wishes == ()


@pytest.mark.parametrize(
    "port", [":8888:localhost:8888", "*:80:localhost:80", "[::]:80:localhost:80", "host:80:x:80"]
)
def test_a_port_that_others_reach_is_a_wish_in_whichever_form(port: str, tmp_path: Path) -> None:
    assert asked(read(folder_with({"ec2.yaml": {"ports": [port]}}, tmp_path)).wishes) == {"ports": [port]}


def test_a_time_so_long_that_it_comes_to_never_is_one_too(tmp_path: Path) -> None:
    root = folder_with({"ec2.yaml": {"idle_stop": "3000 days", "max_hours": "9 h"}}, tmp_path)
    assert asked(read(root).wishes) == {"idle_stop": ["3000 days"], "max_hours": ["9 h"]}


def test_a_file_of_the_project_that_is_a_link_is_where_it_leads(tmp_path: Path) -> None:
    root = folder_with({"ec2.yaml": {"user_data": "file://boot.sh"}}, tmp_path)
    (root / "boot.sh").symlink_to("../outside.sh")
    settings = read(root)
    assert asked(settings.wishes) == expected(["user_data"], root)
    assert settings.user_data == "echo outside.sh\n"


STORE = "home/.aws"


@pytest.mark.parametrize(
    "way", ["straight", "a link", "a link to its folder", "a recipe", ".env", "an option"]
)
def test_a_file_of_a_store_of_keys_is_refused_whoever_names_it(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: dict[str, dict[str, object]] = {
        "straight": {"ec2.yaml": {"user_data": f"file://../{STORE}/credentials"}},
        "a link": {"ec2.yaml": {"user_data": "file://boot.sh"}},
        "a link to its folder": {"ec2.yaml": {"user_data": "file://docs/credentials"}},
        "a recipe": {"ec2.yaml": {"recipes": {"train": {"user_data": f"file://../{STORE}/credentials"}}}},
        ".env": {".env": f"AWS_USER_DATA=file://../{STORE}/credentials\n"},
        "an option": {},
    }
    root = folder_with(files[way], tmp_path)
    store = root.parent / STORE
    store.mkdir(parents=True)
    (store / "credentials").write_text("aws_secret_access_key = s3cr3t\n")
    (root / "boot.sh").symlink_to(store / "credentials")
    (root / "docs").symlink_to(f"../{STORE}")
    monkeypatch.setenv("HOME", str(root.parent / "home"))
    options: dict[str, object] = {"user_data": f"file://{store}/credentials"} if way == "an option" else {}
    with pytest.raises(UsageError, match=r"\.aws`: keys and tokens never leave this machine") as caught:
        read(root, targets=("train",), options=options)
    assert "s3cr3t" not in caught.value.what


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_credentials_are_handed_on_for_nobody(name: str, tmp_path: Path) -> None:
    for files in (
        {"ec2.yaml": {"forward_env": [name]}},
        {"ec2.yaml": {"recipes": {"train": {"forward_env": f"A,{name}"}}}},
    ):
        with pytest.raises(UsageError, match=f"`{name}` holds AWS credentials"):
            read(folder_with(dict(files), tmp_path), targets=("train",))


WISHES = st.builds(
    lambda kind, parts: Wish(kind=kind, source="ec2.yaml", words="", parts=tuple(parts)),
    st.text(),
    st.lists(st.text(), min_size=1, max_size=3),
)


@given(WISHES, WISHES)
def test_two_wishes_are_the_same_where_all_that_is_agreed_to_is(one: Wish, other: Wish) -> None:
    same = (one.kind, one.parts) == (other.kind, other.parts)
    assert (one.digest == other.digest) is same
    assert dataclasses.replace(one, source="invoke.yaml", words="in other words").digest == one.digest


def test_a_link_that_leads_elsewhere_is_another_wish() -> None:
    digests = {link_wish(path, Path(real)).digest for path in ("a", "b") for real in ("/mnt/a", "/mnt/b")}
    assert len(digests) == 4


def new_state(folder: Path) -> State:
    folder.mkdir(exist_ok=True)
    return State(folder=folder, sockets=folder)


@given(st.lists(WISHES, max_size=4), st.lists(WISHES, max_size=4))
def test_any_change_is_asked_about_again(agreed: list[Wish], wanted: list[Wish]) -> None:
    with tempfile.TemporaryDirectory() as base:
        state, root = new_state(Path(base) / "state"), Path(base)
        agree(state, root, agreed)
        known = agreed_digests(state, root)
        for wish in wanted:
            same = any((wish.kind, wish.parts) == (one.kind, one.parts) for one in agreed)
            assert (wish.digest in known) is same


def test_a_yes_is_for_that_folder_alone_until_it_is_taken_back(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state")
    wish = link_wish("data", Path("/mnt/data"))
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "way").symlink_to("one")
    agree(state, tmp_path / "one", [wish])
    assert agreed_digests(state, tmp_path / "way") == {wish.digest}
    assert agreed_digests(state, tmp_path / "other") == frozenset()
    agree(state, tmp_path / "one", [], earlier=["before"])
    assert agreed_digests(state, tmp_path / "one") == {"before"}
    assert revoke(state, tmp_path / "one")
    assert not revoke(state, tmp_path / "one")
    assert agreed_digests(state, tmp_path / "one") == frozenset()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"folder": "x", "wishes": []}', '{"wishes": 3}', "\0"])
def test_what_can_t_be_read_is_no_yes(content: str, tmp_path: Path) -> None:
    state, wish = new_state(tmp_path / "state"), link_wish("data", Path("/mnt/data"))
    agree(state, tmp_path, [wish])
    next((state.folder / "trust").iterdir()).write_text(content)
    assert agreed_digests(state, tmp_path) == frozenset()
