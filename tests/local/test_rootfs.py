from __future__ import annotations

from pathlib import Path

from ec2tasks.local.rootfs import Folders, HostSpec, etc_texts, own_argv, sandbox_argv, sshd_text, system_argv

SPEC = HostSpec(
    instance_id="i-1",
    hostname="ip-10-0-0-1",
    login="ec2-user",
    region="eu-west-1",
    folders=Folders(root=Path("/state/instances/i-1")),
    tools=Path("/state/guest"),
    caches=Path("/state/cache"),
)


def pairs(argv: list[str], option: str) -> list[tuple[str, str]]:
    return [(argv[at + 1], argv[at + 2]) for at, word in enumerate(argv) if word == option]


def test_only_the_instances_own_folders_can_be_written() -> None:
    assert dict(pairs(sandbox_argv(SPEC), "--bind")) == {
        "/state/instances/i-1/home": "/home/ec2-user",
        "/state/instances/i-1/log": "/var/log",
        "/state/instances/i-1/cloud": "/var/lib/cloud",
        "/state/cache/pip": "/home/ec2-user/.cache/pip",
        "/state/cache/uv": "/home/ec2-user/.cache/uv",
    }


def test_the_root_is_sealed_after_all_else() -> None:
    argv = sandbox_argv(SPEC)
    seal = argv.index("--remount-ro")
    assert argv[seal + 1] == "/"
    assert not any(word in argv[seal:] for word in ("--bind", "--ro-bind", "--tmpfs", "--dir"))


def test_nothing_of_this_machine_is_seen_but_programs() -> None:
    sources = {
        source for source, _ in pairs(system_argv(), "--ro-bind") + pairs(system_argv(), "--ro-bind-try")
    }
    assert not {"/", "/etc", "/root", "/home", "/var", "/opt", "/etc/shadow", "/etc/ssh"} & sources


def test_a_root_with_real_folders_is_bound_and_one_with_links_is_linked(tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "lib64").mkdir()
    argv = system_argv(tmp_path)
    assert ("usr/bin", "/bin") in pairs(argv, "--symlink")
    assert (f"{tmp_path}/lib64", "/lib64") in pairs(argv, "--ro-bind")


def test_a_small_disk_is_a_tmpfs_of_that_size() -> None:
    argv = own_argv(SPEC, 20)
    at = argv.index("--size")
    assert argv[at : at + 4] == ["--size", str(20 * 1024 * 1024), "--tmpfs", "/home/ec2-user"]


def test_sshd_lets_in_the_login_user_by_key_alone() -> None:
    lines = sshd_text(SPEC).splitlines()
    assert "AllowUsers ec2-user" in lines
    assert "PasswordAuthentication no" in lines
    assert "UsePAM no" in lines
    assert any(line.startswith("SetEnv ") and "AWS_REGION=eu-west-1" in line for line in lines)


def test_no_credentials_lie_in_the_instance() -> None:
    everything = " ".join([*sandbox_argv(SPEC), *etc_texts(SPEC).values(), sshd_text(SPEC)])
    assert "ACCESS_KEY" not in everything
    assert "ec2-user:x:1000:1000" in etc_texts(SPEC)["passwd"]
