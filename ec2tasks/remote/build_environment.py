"""Runs on the instance: builds an environment as ~/.ec2tasks/env/KEY, under a lock, and keeps three.

Its input is the request of `environment/request.py`; its output lines of the protocol: `note`, then `built`
or `failed`. A folder is complete once `ready` stands in it: `python=,packages=,torch=,image=` in one word,
which session.sh hands on. Beside it `activate`, which job.sh sources, and `packages` as NAME==VERSION.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ec2tasks.remote.build_conda import build_conda, conda_packages
from ec2tasks.remote.build_packages import build_packages, packages_in, site_of
from ec2tasks.remote.build_step import ENVIRONMENTS, TOOLS, BrokenError, Build, say

KEPT = 3
SHOWN_LINES = 15
CONDA_KINDS = ("conda", "conda-lock", "conda-explicit", "pixi")


def main(request: dict[str, Any]) -> int:
    """Build what is asked for, unless it is there; the exit code."""
    place = ENVIRONMENTS / request["key"]
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with locked(request["key"]):
        if request["rebuild"]:
            (place / "ready").unlink(missing_ok=True)
        if not (place / "ready").exists():
            try:
                make(Build(request))
            except BrokenError as error:
                last = "\n".join(error.said.splitlines()[-SHOWN_LINES:])
                say("failed", step=error.step, text=last)
                shutil.rmtree(place, ignore_errors=True)
                return 1
        tidy(request["key"])
        say("built", about=(place / "ready").read_text(encoding="utf-8").strip())
    return 0


@contextlib.contextmanager
def locked(key: str) -> Iterator[None]:
    """While inside, nobody else builds this one; the kernel frees the lock, however this ends."""
    with (ENVIRONMENTS / f"{key}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("note", text="another run builds it already: waiting for that")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make(build: Build) -> None:
    """Build it from nothing; `ready` comes last."""
    shutil.rmtree(build.place, ignore_errors=True)
    build.log.unlink(missing_ok=True)
    build.source.mkdir(parents=True)
    for name, text in build.request["files"].items():
        path = build.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    if build.request["kind"] in CONDA_KINDS:
        prefix = build_conda(build)
        packages = {**packages_in(site_of(prefix)), **conda_packages(prefix)}
        lines = conda_lines(prefix, build.request["name"])
        tell(build.place, lines, packages, {}, packages.get("python", ""))
        return
    image, prefix = build_packages(build), build.venv
    version = re.search(r"^version(?:_info)?\s*=\s*(\S+)", (prefix / "pyvenv.cfg").read_text(), re.MULTILINE)
    lines = venv_lines(prefix, layered=bool(image))
    tell(build.place, lines, packages_in(site_of(prefix)), image, version[1] if version else "")


def tell(place: Path, lines: list[str], packages: dict[str, str], image: dict[str, str], python: str) -> None:
    """Write down how it is activated and what is in it, its own packages and the image's."""
    own = {name: version for name, version in packages.items() if name != "pip"}
    torch = own.get("torch") or image.get("torch", "")
    about = {"python": python, "packages": str(len(own)), "torch": torch, "image": "yes" if image else ""}
    shown = "".join(f"{name}=={version}\n" for name, version in sorted({**packages, **image}.items()))
    (place / "activate").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (place / "packages").write_text(shown, encoding="utf-8")
    (place / "ready.new").write_text(",".join(f"{name}={one}" for name, one in about.items() if one))
    (place / "ready.new").replace(place / "ready")


def venv_lines(prefix: Path, *, layered: bool) -> list[str]:
    """How a shell activates it; where the image's torch is used, `uv run` must not install another."""
    lines = [f". {shlex.quote(str(prefix / 'bin' / 'activate'))}"]
    # `uv run` takes it, and trusts what the system trusts.
    lines += [f"export UV_PROJECT_ENVIRONMENT={shlex.quote(str(prefix))} UV_NATIVE_TLS=1 UV_SYSTEM_CERTS=1"]
    lines += ["export UV_NO_SYNC=1"] if layered else []
    return [*lines, f"PATH=$PATH:{shlex.quote(str(TOOLS / 'bin'))}"]


def conda_lines(prefix: Path, name: str) -> list[str]:
    """The same for an environment of conda's, as `conda activate` does it."""
    quoted = shlex.quote(str(prefix))
    return [
        f"export CONDA_PREFIX={quoted} CONDA_DEFAULT_ENV={shlex.quote(name)}",
        f"PATH={quoted}/bin:$PATH:{shlex.quote(str(TOOLS / 'bin'))}",
        f'for script in {quoted}/etc/conda/activate.d/*.sh; do [ ! -r "$script" ] || . "$script"; done',
    ]


def tidy(key: str) -> None:
    """Keep the three that were used last, this one, and whatever a process runs in."""
    (ENVIRONMENTS / key / "used").touch()
    found = [path for path in ENVIRONMENTS.iterdir() if path.is_dir()]
    by_use = sorted(found, key=last_use, reverse=True)
    for path in by_use[KEPT:]:
        if path.name != key and not in_use(path) and not is_locked(path.name):
            shutil.rmtree(path, ignore_errors=True)
            (ENVIRONMENTS / f"{path.name}.log").unlink(missing_ok=True)


def last_use(place: Path) -> float:
    """When a job was last started in it."""
    with contextlib.suppress(OSError):
        return (place / "used").stat().st_mtime
    return 0.0


def in_use(place: Path) -> bool:
    """Whether a process of this user has it for its environment."""
    word = f"{place}/".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if word in environ.read_bytes():
                return True
    return False


def is_locked(key: str) -> bool:
    """Whether somebody builds it just now."""
    with (ENVIRONMENTS / f"{key}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
