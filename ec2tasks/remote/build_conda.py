"""Runs on the instance: packages of conda's world, by micromamba or pixi, which need no installation."""

from __future__ import annotations

import os
import shutil
import urllib.request
from pathlib import Path

from ec2tasks.remote.build_step import TOOLS, BrokenError, Build

PROGRAMS = {
    "micromamba": "https://github.com/mamba-org/micromamba-releases/releases/latest/download/micromamba-linux-{}",
    "pixi": "https://github.com/prefix-dev/pixi/releases/latest/download/pixi-{}-unknown-linux-musl",
}


def fetch_program(name: str) -> str:
    """A program of conda's world: the instance's own, else ours, which is fetched once."""
    ours = TOOLS / "bin" / name
    if found := shutil.which(name) or (str(ours) if ours.exists() else None):
        return found
    machine = os.uname().machine
    short = {"x86_64": "64", "arm64": "aarch64"}.get(machine, machine)
    url = PROGRAMS[name].format(short if name == "micromamba" else machine)
    ours.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  # https, by the table above
            ours.with_suffix(".new").write_bytes(answer.read())
    except OSError as error:
        raise BrokenError(f"fetching {name}", f"{url}: {error}") from error
    ours.with_suffix(".new").chmod(0o755)
    ours.with_suffix(".new").replace(ours)
    return str(ours)


def build_conda(build: Build) -> Path:
    """Build from a file of conda's; where the environment is."""
    request, prefix = build.request, build.place / "conda"
    if request["kind"] == "pixi":
        # Where it stands beside its files, the project's folder is left alone.
        pixi = fetch_program("pixi")
        build.run("pixi install", pixi, "install", "--frozen", "--manifest-path", build.source)
        return build.source / ".pixi" / "envs" / "default"
    file: Path = build.folder / request["main"]
    micromamba = fetch_program("micromamba")
    build.run(
        "micromamba create",
        micromamba,
        "create",
        "--yes",
        "--quiet",
        "--prefix",
        prefix,
        "--file",
        file,
        MAMBA_ROOT_PREFIX=str(TOOLS / "micromamba"),
    )
    if "frozen.txt" in request["files"]:
        pip = (prefix / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps")
        build.run("pip install", *pip, "--requirement", build.source / "frozen.txt")
    return prefix


def conda_packages(prefix: Path) -> dict[str, str]:
    """What stands in conda-meta, by name: NAME-VERSION-BUILD.json."""
    parts = (path.stem.rsplit("-", 2) for path in prefix.glob("conda-meta/*.json"))
    return {part[0]: part[1] for part in parts if len(part) == 3}
