"""A cloned repository's files reach nothing beyond their folder, unless the user has said so."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.project import ScratchProject
from support.terminal import Terminal

from ec2tasks.aws.client import Aws

SECRET = "s3cr3t"


def clone(project: ScratchProject, files: dict[str, str], links: dict[str, str]) -> ScratchProject:
    """What `git clone` brings of a repository with these files and links, two folders below the home."""
    home = Path(project.environ["HOME"])
    for store in (".ssh/id_rsa", ".aws/credentials", ".config/gh/hosts.yml", "notes/diary"):
        (home / store).parent.mkdir(parents=True, exist_ok=True)
        (home / store).write_text(f"# {SECRET} {store}\n")
    (home / "notes" / "setup.sh").write_text("#!/bin/sh\necho made >~ubuntu/made\n")
    origin = replace(project, root=project.root / "origin")
    for name, text in {"README": "", **files}.items():
        origin.write(name, text)
    for name, target in links.items():
        (origin.root / name).parent.mkdir(parents=True, exist_ok=True)
        (origin.root / name).symlink_to(target)
    who = ["-c", "user.name=eve", "-c", "user.email=eve@example.com"]
    for words in (["init", "-q"], ["add", "-A", "-f"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(origin.root), *words], check=True)
    root = home / "work" / "clone"
    root.parent.mkdir()
    subprocess.run(["git", "clone", "-q", str(origin.root), str(root)], check=True)
    return replace(project, root=root)


NEVER: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "a link into .ssh": ({}, {"docs-assets": "../../.ssh"}, "docs-assets"),
    "a link to a key": ({}, {"docs/logo.png": "../../../.ssh/id_rsa"}, "docs/logo.png"),
    "a link to the home": ({}, {"assets": "../.."}, "assets"),
    "a link to all there is": ({}, {"assets": "/"}, "assets"),
    "a link to tokens": ({}, {"x": "../../.config/gh"}, ".config/gh"),
    "a link that is let in again": ({".rsyncignore": "+ /x\n"}, {"x": "../../.aws"}, ".aws"),
    "a name to be typed": ({}, {"x; curl evil": "../../.ssh"}, "rm 'x; curl evil'"),
    "user data": ({"ec2.yaml": "user_data: file://../../.aws/credentials\n"}, {}, ".aws"),
    "user data by a link": ({"ec2.yaml": "user_data: file://boot\n"}, {"boot": "../../.ssh/id_rsa"}, ".ssh"),
    "user data in .env": ({".env": "AWS_USER_DATA=file://../../.aws/credentials\n"}, {}, ".aws"),
    "credentials": ({"ec2.yaml": "forward_env: [AWS_SECRET_ACCESS_KEY]\n"}, {}, "AWS_SECRET_ACCESS_KEY"),
    "a copy of them": ({"ec2.yaml": "forward_env: [TF_VAR_key]\n"}, {}, "TF_VAR_key"),
}


@pytest.mark.long
@pytest.mark.parametrize("case", NEVER)
def test_keys_and_tokens_are_for_nobody_whatever_is_said(case: str, project: ScratchProject) -> None:
    files, links, named = NEVER[case]
    cloned = clone(project, files, links)
    cloned.environ |= {"AWS_SECRET_ACCESS_KEY": SECRET * 4, "TF_VAR_key": SECRET * 4}
    for words in (["run", "--local", "true"], ["trust", "--yes"]):
        said = cloned.ec2tasks(*words)
        assert (said.code, said.out) == (2, ""), said.err
        assert named in said.err
        assert "hint: " in said.err
        assert SECRET not in said.err
        assert "Traceback" not in said.err
    assert not list(Path(project.environ["HOME"]).glob(".local/state/ec2tasks/trust/*"))


FEW = 5  # of these cases are for every run of the tests
ASKED: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "a link": ({}, {"data": "../../notes"}, "data ("),
    "a link of a folder": ({}, {"a/b/data": "../../../../notes/diary"}, "a/b/data ("),
    "a file outside": ({"ec2.yaml": "user_data: file://../../notes/setup.sh\n"}, {}, "user_data: "),
    "a token": ({"ec2.yaml": "forward_env: [GITHUB_TOKEN]\n"}, {}, "forward_env: GITHUB_TOKEN"),
    "in invoke.yaml": (
        {"invoke.yaml": "ec2: {forward_env: X}\n"},
        {},
        "invoke.yaml, key `ec2`: forward_env: X",
    ),
    "a role": ({"ec2.yaml": "iam_instance_profile: Admin\n"}, {}, "iam_instance_profile: Admin"),
    "in .env": ({".env": "AWS_IAM_INSTANCE_PROFILE=Admin\n"}, {}, "iam_instance_profile: Admin"),
    "a port here": ({"ec2.yaml": "reverse_ports: [22]\n"}, {}, "reverse_ports: 22:localhost:22"),
    "a stranger's image": ({"ec2.yaml": "image: ami-0123456789\n"}, {}, "image: ami-0123456789"),
    "no end": ({"ec2.yaml": "idle_stop: never\n"}, {}, "idle_stop: never"),
    "another's instance": ({"ec2.yaml": "name: tester-shop\n"}, {}, "name: tester-shop"),
    "a clear screen": ({}, {"\x1b[2Jx": "../../notes"}, r"\x1b[2Jx ("),
}


@pytest.mark.parametrize(
    "case",
    [case if at < FEW else pytest.param(case, marks=pytest.mark.long) for at, case in enumerate(ASKED)],
)
def test_what_reaches_beyond_the_clone_is_refused_before_anything_is_launched(
    case: str, project: ScratchProject
) -> None:
    files, links, named = ASKED[case]
    cloned = clone(project, files, links)
    # Here no local EC2 can start: whoever came as far would say so.
    said = cloned.ec2tasks("run", "--local", "true")
    assert said.code == 2, said.err
    assert named in said.err
    assert "hint: `ec2tasks trust` lists it and asks once" in said.err
    assert "\x1b" not in said.err
    assert r"\n" not in said.err  # a wish is a line of its own
    asked = cloned.ec2tasks("trust")
    assert (asked.code, asked.out[:4]) == (2, "new "), asked.err
    assert named in asked.out


@pytest.mark.long
def test_every_way_in_refuses_and_a_plan_says_so(project: ScratchProject) -> None:
    cloned = clone(project, {"Makefile": "train:\n\techo x\n"}, {"data": "../../notes"})
    assert cloned.ec2tasks("init").code == 0
    for argv in (
        ["ec2tasks", "shell", "--local"],
        ["ec2tasks", "notebook", "--local"],
        ["ec2tasks", "sync", "--local"],
        ["make", "on-ec2-train", "EC2_FLAGS=--local"],
        ["inv", "ec2.run", "--local", "true"],
    ):
        said = cloned.call(*argv)
        assert said.code == 2, said.err
        assert "data (what is at" in said.err
    said = cloned.ec2tasks("run", "--dry", "--local", "true")
    assert said.code == 0, said.err
    assert "warning: the files of" in said.err
    assert "would run" in said.out


def test_what_init_writes_and_the_caller_says_needs_no_asking(project: ScratchProject) -> None:
    cloned = clone(project, {}, {})
    assert cloned.ec2tasks("init").code == 0
    said = cloned.ec2tasks("trust")
    assert (said.code, said.out) == (0, "")
    assert "wish nothing beyond that folder" in said.err
    own = {"AWS_IAM_INSTANCE_PROFILE": "Mine", "AWS_NAME_INSTANCE": "mine"}
    said = cloned.ec2tasks("run", "--dry", "--local", "-R", "22", "--idle-stop", "never", "true", **own)
    assert "beyond" not in said.err


def test_python_s_connect_refuses_too(project: ScratchProject) -> None:
    cloned = clone(project, {"ec2.yaml": "endpoint: local\n"}, {})
    cloned.write("own.py", "from ec2tasks import connect\nwith connect() as there:\n    there.run('true')\n")
    said = cloned.call("python", "own.py")
    assert said.code != 0
    assert "NotTrustedError" in said.err
    assert "endpoint: local" in said.err


@pytest.fixture
def trusting(local_project: ScratchProject) -> ScratchProject:
    """A clone with a link to the user's notes and other wishes, to which the user has said yes."""
    settings = "forward_env: [GITHUB_TOKEN]\nuser_data: file://../../notes/setup.sh\n"
    cloned = clone(
        local_project, {"ec2.yaml": settings, "own": "own\n"}, {"data": "../../notes", "in": "own"}
    )
    cloned.environ |= {"GITHUB_TOKEN": "t0ken", "AWS_FINAL_STATE": "leave"}
    cloned.trust()
    return cloned


def test_what_was_agreed_to_arrives_and_nothing_that_came_later(trusting: ScratchProject, aws: Aws) -> None:
    home = Path(trusting.environ["HOME"])
    said = trusting.ec2tasks("run", "cat data/diary; echo $GITHUB_TOKEN; cat ~/made; readlink in")
    assert (said.code, said.out) == (0, f"# {SECRET} notes/diary\nt0ken\nmade\nown\n"), said.err
    instance = json.loads(trusting.ec2tasks("status", "--json").out)["id"]
    answer = aws.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")
    assert b"echo made" in base64.b64decode(answer["UserData"]["Value"])
    assert trusting.ec2tasks("trust").out.count("trusted") == 3

    # The next version of the repository turns the link elsewhere, and brings another into the keys.
    (home / "other").mkdir()
    (home / "other" / "taxes").write_text("taxes\n")
    (trusting.root / "data").unlink()
    (trusting.root / "data").symlink_to("../../other")
    refused = trusting.ec2tasks("run", "true")
    assert refused.code == 2
    assert f"data (what is at `{home}/other`" in refused.err
    assert "GITHUB_TOKEN" not in refused.err  # which stays agreed to
    (trusting.root / "keys").symlink_to("../../.ssh")
    there = "find . -path ./.ec2tasks -prune -o -print; cat ~/clone/data/* ~/clone/keys/*"
    for words in (["sync", "--pull"], ["sync", "--diff"]):
        said = trusting.ec2tasks(*words)
        assert said.code == 0, said.err
        assert "kept out, as links that lead out of the project: data, keys" in said.err
        assert "taxes" not in said.out + said.err
    said = trusting.ec2tasks("run", "--no-rsync", there)
    assert "taxes" not in said.out
    assert "keys" not in said.out
    assert trusting.ec2tasks("trust", "--revoke").code == 0
    (trusting.root / "keys").unlink()
    said = trusting.ec2tasks("trust")
    assert (said.code, said.out.count("new "), said.out.count("trusted ")) == (2, 3, 0)

    # What ends a bill never waits for a yes to what it does not act on.
    said = trusting.ec2tasks("down")
    assert said.code == 0, said.err
    assert trusting.status() is None


def turned_while(folder: Path, is_it: str, link: Path, target: Path) -> Callable[[ScratchProject], str]:
    """A PATH on which rsync, once it is called for that, turns a link elsewhere before it begins."""
    folder.mkdir()
    turn = f'case "$*" in *{is_it}*) ln -sfn "{target}" "{link}";; esac'
    (folder / "rsync").write_text(f'#!/bin/sh\nPATH=${{PATH#*:}}\n{turn}\nexec rsync "$@"\n')
    (folder / "rsync").chmod(0o755)
    return lambda project: f"{folder}:{project.environ['PATH']}"


def test_a_link_that_is_turned_while_it_is_sent_ends_the_run_before_its_command(
    trusting: ScratchProject, tmp_path: Path
) -> None:
    home = Path(trusting.environ["HOME"])
    path = turned_while(tmp_path / "bin", "--temp-dir=", trusting.root / "data", home / ".config" / "gh")
    said = trusting.ec2tasks("run", "echo began", PATH=path(trusting))
    assert said.code == 125
    assert "changed while they were sent: data" in said.err
    assert "began" not in said.out
    assert trusting.ec2tasks("run", "true").code == 2


def test_a_link_that_is_turned_while_the_instance_boots_is_kept_out(
    trusting: ScratchProject, tmp_path: Path
) -> None:
    """Between the yes and the push there are minutes; what counts is where it leads then."""
    home = Path(trusting.environ["HOME"])
    assert trusting.ec2tasks("up").code == 0
    path = turned_while(tmp_path / "bin", "--dirs*--list-only", trusting.root / "data", home / ".ssh")
    trusting.write(".env", "AWS_ACCESS_KEY_ID=x\n")  # which is what the gate's last look by rsync is about
    said = trusting.ec2tasks("run", "ls", PATH=path(trusting))
    assert (trusting.root / "data").readlink() == home / ".ssh"
    assert said.code == 0, said.err
    assert "data" not in said.out
    assert "kept out, as links that lead out of the project: data" in said.err


def test_on_a_terminal_it_is_asked_once(warm: ScratchProject, terminal: Terminal) -> None:
    warm.write("ec2.yaml", "forward_env: [GREETING, OTHER]\n")
    warm.write("Makefile", "hello:\n\t@echo $$GREETING there\ninclude Makefile.inc\n")
    try:
        assert warm.ec2tasks("makefile").code == 0
        warm.write("Makefile.inc", warm.ec2tasks("makefile").out)
        terminal.type("GREETING=hello ec2tasks run 'echo $GREETING there'")
        shown = terminal.wait_for(r"from now on\? \[y/N\]")
        assert "ec2.yaml: forward_env: GREETING" in shown
        assert "ec2.yaml: forward_env: OTHER" in shown
        terminal.type("n")
        terminal.wait_for("you did not say yes")
        terminal.clear()
        terminal.type("GREETING=hello make on-ec2-hello; echo ended with $?")
        terminal.wait_for(r"from now on\? \[y/N\]")
        terminal.type("y")
        terminal.wait_for("ended with 0")
        assert "hello there" in terminal.screen()
        terminal.clear()
        terminal.type("GREETING=again ec2tasks run 'echo $GREETING there'; echo ended with $?")
        assert "[y/N]" not in terminal.wait_for("ended with 0")
        assert "again there" in terminal.screen()
    finally:
        for name in ("ec2.yaml", "Makefile", "Makefile.inc"):
            (warm.root / name).unlink(missing_ok=True)
        warm.ec2tasks("trust", "--revoke")


def test_a_profile_that_a_clone_names_runs_no_program_before_the_yes(project: ScratchProject) -> None:
    ran = project.root / "ran"
    config = Path(project.environ["HOME"]) / ".aws" / "config"
    config.parent.mkdir()
    config.write_text(f'[profile work]\ncredential_process = sh -c "touch {ran}; exit 3"\n')
    project.write("ec2.yaml", "profile: work\ninstance_type: g5.xlarge\n")
    planned, refused = project.ec2tasks("run", "--dry", "true"), project.ec2tasks("status")
    assert (planned.code, refused.code) == (0, 2), planned.err
    assert "profile: work (whose credentials of yours are used" in refused.err
    assert not ran.exists()
    project.trust()
    failed = project.ec2tasks("status")
    assert (failed.code, ran.exists()) == (125, True)
    assert "credential_process of profile `work` failed" in failed.err
