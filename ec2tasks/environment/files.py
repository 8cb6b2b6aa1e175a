"""What stands in the project that says which packages it needs: a Source, by one order of precedence."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path, PurePosixPath
from typing import Literal

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import UsageError
from ec2tasks.config.environment import EnvWish
from ec2tasks.environment.pyproject import Pyproject, read_pyproject

Kind = Literal[
    "uv",
    "pixi",
    "poetry",
    "pdm",
    "conda-lock",
    "conda",
    "conda-explicit",
    "requirements",
    "pyproject",
    "explicit",
]
LARGEST = 32 * 1024 * 1024  # bytes of a file that is taken for a list of packages
# Reads a file of the folder that it is for, by its name there: None for one that isn't there.
Read = Callable[[str], "str | None"]
CONDA_FILES = ("environment.yml", "environment.yaml")
# Beside a lock file or pyproject.toml, what may change its meaning.
BESIDE = ("pyproject.toml", ".python-version", "uv.toml", "poetry.toml", "pixi.toml", "setup.py", "setup.cfg")
LOCKS: tuple[tuple[str, Kind], ...] = (
    ("uv.lock", "uv"),
    ("pixi.lock", "pixi"),
    ("poetry.lock", "poetry"),
    ("pdm.lock", "pdm"),
    ("conda-lock.yml", "conda-lock"),
)
# What a line of requirements names in the project's folder: pip's options, paths, editable installs.
# https://pip.pypa.io/en/stable/reference/requirements-file-format/
INCLUDE = re.compile(r"^(?:-r|-c|--requirement|--constraint)[\s=]+(\S+)", re.MULTILINE)
LOCAL = re.compile(
    r"^(?:(?:-e|--editable|-f|--find-links|-i|--index-url|--extra-index-url)[\s=]+(?!\w+\+?\w*://)|\.{0,2}/|file:|\S+\.(?:whl|tar\.gz|zip)\s*$)"
    r"|@\s*(?:file:|\.)",
    re.MULTILINE,
)
LOCKED_LOCALLY = re.compile(r'source = \{ (editable|directory|path|virtual|registry) = "([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Source:
    """What an environment is made from: `files` by name, as they stand in `folder` of the project.

    `label` names it in words, `main` is the file that the tool is given. `tree`: it needs the project's other
    files there. `package`: the project itself is to be installed. `open`: versions are left open. `python`:
    the one that it needs, as a version or specifiers. `conda_name`: how conda calls it.
    """

    kind: Kind
    label: str
    main: str
    folder: str = "."
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    tree: bool = False
    package: bool = False
    open: bool = False
    python: str = ""
    conda_name: str = ""
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()


def reader(root: Path, folder: str) -> Read:
    """Reads files of a folder of the project: none that a link leads out of it to, whatever has its name."""
    real = root.resolve()

    def read(name: str) -> str | None:
        path = root / folder / name
        try:
            if path.resolve().is_relative_to(real) and path.is_file() and path.stat().st_size <= LARGEST:
                return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return None

    return read


def find_source(root: Path, below: Path, wish: EnvWish) -> Source | None:
    """What the project says, from the folder that a command runs in upwards; None where it says nothing.

    Raises UsageError for a file that is wished and is not there.
    """
    if wish.kind == "file":
        return _wished(root, below, wish)
    folders = [below, *below.parents] if below != Path() else [below]
    for folder in folders:
        names = [path.name for path in sorted((root / folder).glob("*requirements*.txt"))]
        found = source_of(reader(root, folder.as_posix()), names, wish)
        above = next((up for up in folder.parents if (root / up / "uv.lock").is_file()), None)
        if found and found.kind == "pyproject" and above is not None:
            # A member of a workspace: its lock file stands further up.
            return _workspace(root, folder, above, found)
        if found:
            return _placed(found, folder)
    return None


def _workspace(root: Path, folder: Path, above: Path, member: Source) -> Source:
    lock = reader(root, above.as_posix())("uv.lock") or ""
    files = {**member.files, "uv.lock": lock}
    return _placed(
        _replaced(member, kind="uv", label="uv.lock", main="uv.lock", files=files, tree=True), folder
    )


def _wished(root: Path, below: Path, wish: EnvWish) -> Source:
    for folder in dict.fromkeys((below, Path())):
        path = PurePosixPath(posixpath.normpath(folder / wish.name))
        read = reader(root, path.parent.as_posix())
        if ".." not in path.parts and not path.is_absolute() and read(path.name) is not None:
            return _placed(_of_file(read, path.name), Path(path.parent))
    raise UsageError(
        f"env: there is no file `{wish.name}` in the project",
        hint="`env: auto` takes what is there; `ec2tasks env` says what that is",
    )


def _placed(source: Source, folder: Path) -> Source:
    label = source.label if folder == Path() else f"{folder.as_posix()}/{source.label}"
    return _replaced(source, folder=folder.as_posix(), label=label)


def _replaced(source: Source, **changes: object) -> Source:
    return Source(**{**source.__dict__, **changes})


def source_of(read: Read, requirements: list[str], wish: EnvWish) -> Source | None:
    """What one folder says, by the order of precedence: lock files, conda's, requirements, pyproject.toml."""
    for name, _ in LOCKS:
        if read(name) is not None:
            return _chosen(_of_file(read, name), wish)
    for name in (*CONDA_FILES, _one_of(requirements)):
        if name and read(name) is not None:
            return _chosen(_of_file(read, name), wish)
    project = read_pyproject(read("pyproject.toml"))
    if not project.depends:
        return None
    return _chosen(_of_file(read, "pyproject.toml"), wish)


def _one_of(names: list[str]) -> str:
    """The file of requirements that is meant: that of the usual name, else the only one."""
    return "requirements.txt" if "requirements.txt" in names else names[0] if len(names) == 1 else ""


def _chosen(source: Source, wish: EnvWish) -> Source:
    if not (wish.groups or wish.extras):
        return source
    return _replaced(source, groups=wish.groups or source.groups, extras=wish.extras)


def _of_file(read: Read, name: str) -> Source:
    text = read(name) or ""
    kind = dict(LOCKS).get(name) or ("pyproject" if name == "pyproject.toml" else "requirements")
    if name.endswith((".yml", ".yaml")):
        kind = "conda-lock" if name.endswith("-lock.yml") else "conda"
    if kind == "conda":
        return _of_conda(name, text, read)
    project = read_pyproject(read("pyproject.toml"))
    if kind == "requirements":
        return _of_requirements(name, text, read)
    beside = {one: found for one in BESIDE if (found := read(one)) is not None}
    package = project.package and kind in ("uv", "poetry", "pdm", "pyproject")
    return Source(
        kind=kind,
        label=name,
        main=name,
        files={name: text, **beside},
        tree=package or _has_local_parts(kind, text),
        package=package,
        open=kind == "pyproject",
        python=_python(read, project),
        groups=("dev",) if kind == "pyproject" and project.dev else (),
    )


def _python(read: Read, project: Pyproject) -> str:
    """The Python that is wished: the one that .python-version pins, else what the project requires."""
    lines = (line.strip() for line in (read(".python-version") or "").splitlines())
    pinned = next((line for line in lines if re.fullmatch(r"(?:cpython[-@])?3(?:\.\d+){1,2}", line)), "")
    return pinned.removeprefix("cpython").lstrip("-@") or project.python


def _has_local_parts(kind: Kind, lock: str) -> bool:
    """Whether a lock file names folders or files here; uv's project that is none to install is no such."""
    if kind in ("poetry", "pdm"):
        return re.search(r'^(?:type = "(?:file|directory)"|path = )', lock, re.MULTILINE) is not None
    found = LOCKED_LOCALLY.findall(lock)
    return any(
        (kind, at) != ("virtual", ".") and not (kind == "registry" and "://" in at) for kind, at in found
    )


def _of_requirements(name: str, text: str, read: Read) -> Source:
    files, missing = {name: text}, False
    for included in _included(name, text, read):
        missing = missing or included[1] is None
        if included[1] is not None:
            files[included[0]] = included[1]
    lines = [line for one in files.values() for line in requirement_lines(one)]
    if (pinned := read(".python-version")) is not None:
        files[".python-version"] = pinned
    return Source(
        kind="requirements",
        label=name,
        main=name,
        files=files,
        tree=missing or any(LOCAL.search(one) for one in files.values()),
        open=any("==" not in line and "@" not in line for line in lines),
        python=_python(read, Pyproject()),
    )


def requirement_lines(text: str) -> list[str]:
    """The requirements in a file of such, without comments, options and the hashes behind them."""
    joined = re.sub(r"\\\n", " ", text)
    lines = (re.sub(r"(?:^|\s)#.*", "", line).split(" --hash")[0].strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def _included(name: str, text: str, read: Read) -> Iterator[tuple[str, str | None]]:
    """The files that a file of requirements includes, by name and text: None for one that can't be had."""
    waiting, seen = [(name, text)], {name}
    while waiting:
        of, inner = waiting.pop()
        for word in INCLUDE.findall(inner):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(of), word))
            if path in seen:
                continue
            seen.add(path)
            inside = not path.startswith(("..", "/")) and "://" not in word
            found = read(path) if inside else None
            if found is not None:
                waiting.append((path, found))
            if "://" not in word:
                yield path, found


def _of_conda(name: str, text: str, read: Read) -> Source:
    called = re.search(r"^name:\s*[\"']?([^\s#\"']+)", text, re.MULTILINE)
    beside = {"requirements.txt": found} if (found := read("requirements.txt")) is not None else {}
    local = re.search(r"^\s*-\s+(?:-r|-e|-c|\.{1,2}/)", text, re.MULTILINE) is not None
    return Source(
        kind="conda",
        label=name,
        main=name,
        files={name: text, **(beside if local else {})},
        tree=local,
        conda_name=called[1] if called else "",
    )
