"""What is asked of the instance: a source, its constraints, and the key that names what comes of it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.project import Project
from ec2tasks.config.environment import EnvWish
from ec2tasks.environment.files import Source, find_source
from ec2tasks.environment.here import (
    Here,
    asked_lines,
    environment_here,
    explicit_text,
    pinned_lines,
    pip_lines,
)

FORMAT = 1  # of what is built there: another one is built anew
KEPT_OPEN = ("requirements", "pyproject")  # what takes the versions that are installed here


@dataclass(frozen=True, kw_only=True)
class EnvironmentRequest:
    """Which environment a command is to run in there.

    `wanted`: the word for what is on the instance, as environment.sh takes it. `source`: what one is built
    from where that has none, `constraints` the versions that it is to have where its files leave them open;
    `key` the name of its folder there, empty where none is built.
    """

    wanted: str
    source: Source | None = None
    constraints: tuple[str, ...] = ()
    here: Here | None = None
    key: str = ""

    @property
    def conda_name(self) -> str:
        """How conda calls the one that the project describes, where it does."""
        return self.source.conda_name if self.source else ""

    @property
    def label(self) -> str:
        """What it is made from, in words; empty for what the instance has."""
        return self.source.label if self.source else ""


def wanted_word(wish: EnvWish) -> str:
    """What environment.sh is told to take: `built` is for one that is built and nothing else."""
    if wish.kind in ("file", "uv"):
        return "built"
    if wish.kind in ("conda", "venv"):
        return f"{wish.kind}:{wish.name}"
    return wish.name + ("?" if wish.optional else "") if wish.kind == "named" else wish.kind


def environment_request(
    project: Project,
    wish: EnvWish,
    remote_dir: str,
    environ: Mapping[str, str],
    platform: str = sys.platform,
) -> EnvironmentRequest:
    """The request for this wish. Raises UsageError for a file that is named and missing."""
    wanted = wanted_word(wish)
    if not wish.builds:
        return EnvironmentRequest(wanted=wanted)
    here = environment_here(project.root, environ)
    source = find_source(project.root, project.below, wish) or _active_source(here, platform)
    if source is None:
        return EnvironmentRequest(wanted="auto" if wanted == "built" else wanted, here=here)
    constraints = tuple(pinned_lines(here)) if here and source.open and source.kind in KEPT_OPEN else ()
    return EnvironmentRequest(
        wanted=wanted,
        source=source,
        constraints=constraints,
        here=here,
        key=environment_key(source, constraints, remote_dir),
    )


def _active_source(here: Here | None, platform: str) -> Source | None:
    """The environment that is active here as a list of its packages."""
    if here is None or not here.active:
        return None
    if here.kind == "conda" and platform == "linux":
        # Which builds they are names them; where they come from is looked up when one is built.
        return Source(
            kind="conda-explicit",
            label=here.label,
            main="explicit.txt",
            files={"explicit.txt": " ".join(here.builds)},
        )
    if here.kind == "conda":
        text = json.dumps({"channels": ["conda-forge"], "dependencies": asked_lines(here)})
        return Source(kind="conda", label=here.label, main="environment.yml", files={"environment.yml": text})
    text = "".join(f"{line}\n" for line in pinned_lines(here))
    return Source(
        kind="explicit", label=here.label, main="frozen.txt", files={"frozen.txt": text}, python=here.python
    )


def environment_key(source: Source, constraints: tuple[str, ...], remote_dir: str) -> str:
    """The name of the environment's folder there: the same for the same content.

    It lies on the instance's own disk, which was made from one image, for one architecture: these need not
    stand in the name. An environment that refers to the project's folder is that folder's own.
    """
    said = {
        "format": FORMAT,
        "source": {name: value for name, value in source.__dict__.items() if name not in ("label", "open")},
        "constraints": constraints,
        "folder": str(Path(remote_dir) / source.folder) if source.tree else "",
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode(errors="surrogatepass")).hexdigest()[:20]


def build_request(
    request: EnvironmentRequest, remote_dir: str, variables: Mapping[str, str], *, rebuild: bool = False
) -> dict[str, object]:
    """The request as data for remote/build_environment.py; `variables` are the builder's alone.

    None of it is written down there but the files, which the project has there anyway.
    """
    assert request.source is not None
    source = request.source
    return {
        "key": request.key,
        "kind": source.kind,
        "main": source.main,
        "files": _files(request, source),
        "folder": str(Path(remote_dir) / source.folder),
        "tree": source.tree,
        "package": source.package,
        "python": source.python,
        "constraints": list(request.constraints),
        "groups": list(source.groups),
        "extras": list(source.extras),
        "name": Path(remote_dir).name,
        "variables": dict(variables),
        "rebuild": rebuild,
    }


def _files(request: EnvironmentRequest, source: Source) -> dict[str, str]:
    if source.kind != "conda-explicit" or request.here is None:
        return dict(source.files)
    pip = "".join(f"{line}\n" for line in pip_lines(request.here))
    return {source.main: explicit_text(request.here), **({"frozen.txt": pip} if pip else {})}
