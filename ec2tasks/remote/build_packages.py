"""Runs on the instance: Python's packages in a virtual environment, on the image's torch where it fits.

An environment sees the image's packages by a .pth file that names their folder, behind its own
(https://docs.python.org/3/library/site.html). uv does not look there, so what the image has is named to it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ec2tasks.remote.build_step import TOOLS, BrokenError, Build, say

IMAGE = Path("/opt/pytorch")
# What the image's torch is made of; what only a torch needs is left out with it.
FAMILY = re.compile(r"torch|torchvision|torchaudio|triton|nvidia-.+")
ONLY_FOR_TORCH = re.compile(r"triton|nvidia-.+-cu\d+")

# Run by the environment's Python, with pip's own reading of requirements: what is wanted of the image's.
CHECK = """
import json, re, sys
from importlib import metadata
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet
asked = json.load(sys.stdin)
wanted, unfit = set(), []
def look(text):
    try:
        one = Requirement(re.sub(r"(==[^,;\\s]*?)\\+[\\w.]+", r"\\1", text))
    except InvalidRequirement:
        return
    name = re.sub(r"[-_.]+", "-", one.name).lower()
    if name not in asked["image"] or (one.marker and not one.marker.evaluate({"extra": ""})):
        return
    wanted.add(name)
    has = asked["image"][name].partition("+")[0]
    if one.url or not one.specifier.contains(has, prereleases=True):
        unfit.append([name, str(one.specifier) or str(one.url), has])
for text in asked["lines"]:
    look(text)
for package in metadata.distributions(path=[asked["own"]]):
    for text in package.requires or []:
        look(text)
try:
    python = SpecifierSet(asked["python"]).contains("%d.%d.%d" % sys.version_info[:3], prereleases=True)
except InvalidSpecifier:
    python = "%d.%d.%d." % sys.version_info[:3]
    python = python.startswith(asked["python"] + ".")
print(json.dumps({"wanted": sorted(wanted), "unfit": unfit, "python": python}))
"""


def have_uv(build: Build) -> Path:
    """Uv, from PyPI, by whichever Python of the image has pip; PEP 668 knows no such folder."""
    uv = TOOLS / "uv" / "bin" / "uv"
    if not uv.exists():
        errors = []
        for python in (IMAGE / "bin" / "python3", Path(sys.executable)):
            words = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade")
            try:
                build.run("installing uv", python, *words, "--target", TOOLS / "uv", "uv")
                break
            except BrokenError as error:
                errors.append(error)
        else:
            raise errors[-1]
    shown = TOOLS / "bin"
    shown.mkdir(parents=True, exist_ok=True)
    for name in ("uv", "uvx"):
        if not (shown / name).exists():
            (shown / name).symlink_to(f"../uv/bin/{name}")
    return uv


def packages_in(site: Path) -> dict[str, str]:
    """The packages in a folder of such, by name."""
    found = (path.name[: -len(".dist-info")].rpartition("-") for path in site.glob("*.dist-info"))
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in found}


def site_of(venv: Path) -> Path:
    """The site-packages of a virtual environment."""
    return next(iter(sorted(venv.glob("lib/python3*/site-packages"))), venv / "lib")


def make_venv(build: Build, uv: Path, python: str) -> None:
    """An empty virtual environment, with pip where that can be had: recipes call it."""
    words = ("--quiet", "--clear", "--prompt", build.request["name"])
    build.run("uv venv", uv, "venv", *words, *(["--python", python] if python else []), build.venv)
    with contextlib.suppress(BrokenError):
        build.run("uv pip install", uv, "pip", "install", "--quiet", "--python", build.venv, "pip")


def locked_lines(build: Build, uv: Path) -> list[str]:
    """What a source asks for, as lines of requirements; exact where its file is a lock file."""
    request, files = build.request, build.request["files"]
    choices = [word for one in request["groups"] for word in ("--group", one)]
    choices += [word for one in request["extras"] for word in ("--extra", one)]
    if request["kind"] == "uv":
        words = ("--frozen", "--no-hashes", "--no-emit-local", "--no-header", "--no-annotate", "--quiet")
        return build.run("reading uv.lock", uv, "export", *words, *choices).splitlines()
    if request["kind"] in ("poetry", "pdm"):
        return exported_lines(build, uv, choices)
    if request["kind"] == "pyproject":
        return re.findall(r"""["']([A-Za-z0-9][^"'\n]*)["']""", files["pyproject.toml"])
    return [line.split("#")[0].strip() for text in files.values() for line in text.splitlines()]


def exported_lines(build: Build, uv: Path, choices: list[str]) -> list[str]:
    """What Poetry or PDM reads in its lock file; recipes find the tool there afterwards."""
    name: str = build.request["kind"]
    places = {"UV_TOOL_DIR": str(TOOLS / "installed"), "UV_TOOL_BIN_DIR": str(TOOLS / "bin")}
    export = ("--with", "poetry-plugin-export") if name == "poetry" else ()
    build.run(f"installing {name}", uv, "tool", "install", "--quiet", *export, name, **places)
    if name == "poetry":
        words = [word.replace("--group", "--with").replace("--extra", "--extras") for word in choices]
        words += ["--format", "requirements.txt"]
    else:
        words = [word.replace("--extra", "--group") for word in choices]
        words += ["--format", "requirements"]
    call = (TOOLS / "bin" / name, "export", "--without-hashes", *words)
    # Both make an environment of their own where none is active; PDM would remember it in the project.
    active = {"VIRTUAL_ENV": str(build.venv), "PDM_IGNORE_SAVED_PYTHON": "1", "PDM_CHECK_UPDATE": "0"}
    return build.run(f"reading {name}.lock", *call, **active).splitlines()


def image_torch() -> dict[str, str]:
    """The packages of the image's torch, by name; none where it has no torch."""
    found = {name: one for name, one in packages_in(site_of(IMAGE)).items() if FAMILY.fullmatch(name)}
    return found if "torch" in found else {}


def build_packages(build: Build) -> dict[str, str]:
    """Build it; the packages of the image's that it uses, none where it stands by itself."""
    before = set(build.folder.rglob("*.egg-info")) if build.request["package"] else set()
    try:
        return _build(build)
    finally:
        # setuptools leaves them beside the project's sources; what was installed does not need them.
        for left in set(build.folder.rglob("*.egg-info")) - before if build.request["package"] else ():
            shutil.rmtree(left, ignore_errors=True)


def _build(build: Build) -> dict[str, str]:
    uv, image = have_uv(build), image_torch()
    if image:
        make_venv(build, uv, str(IMAGE / "bin" / "python3"))
        layer = site_of(build.venv) / "zz-image.pth"
        layer.write_text(f"{site_of(IMAGE)}\n", encoding="utf-8")
        lines = locked_lines(build, uv)
        if fits(build, image, lines):
            install(build, uv, lines, image)
            used = look(build, image, lines)
            if not used["unfit"] and imports_torch(build):
                # Where nothing asks for it, it is there all the same, as in the image's own environment.
                return image if used["wanted"] else {}
            say("note", text="the image's torch does not do here: another one is installed, a large download")
    make_venv(build, uv, plain_python(build.request["python"]))
    install(build, uv, locked_lines(build, uv), {})
    return {}


def plain_python(wish: str) -> str:
    """The Python to ask uv for: the one that is wished, else the system's, as a recipe would."""
    return wish or sys.executable


def imports_torch(build: Build) -> bool:
    """Whether torch can be imported."""
    try:
        build.run("import torch", build.venv / "bin" / "python", "-c", "import torch")
    except BrokenError:
        return False
    return True


def look(build: Build, image: dict[str, str], lines: Iterable[str]) -> dict[str, Any]:
    """What is wanted of the image's torch by these lines and by what is installed, and what does not fit."""
    asked = {
        "lines": [*lines, *build.request["constraints"]],
        "image": image,
        "own": str(site_of(build.venv)),
        "python": build.request["python"],
    }
    answer = build.run("checking", build.venv / "bin" / "python", "-c", CHECK, stdin=json.dumps(asked))
    found: dict[str, Any] = json.loads(answer)
    return found


def fits(build: Build, image: dict[str, str], lines: list[str]) -> bool:
    """Whether the image's torch is what these lines ask for; what else it has is told."""
    found = look(build, image, lines)
    for name, wanted, has in found["unfit"][:1]:
        size = ": a large download, once per disk"
        say("note", text=f"{name} {wanted.lstrip('=') or wanted} is pinned, the image has {has}{size}")
    if not found["python"] and found["wanted"]:
        say("note", text=f"Python {build.request['python']} is wanted, which the image's torch is not for")
    return not found["unfit"] and bool(found["python"])


def install(build: Build, uv: Path, lines: list[str], image: dict[str, str]) -> None:
    """Install what the source asks for, but for what the image has."""
    request, python = build.request, build.venv / "bin" / "python"
    names = {re.split(r"[^A-Za-z0-9._-]", line)[0].replace("_", "-").lower() for line in lines}
    excluded = sorted({*image, *(name for name in names if image and ONLY_FOR_TORCH.fullmatch(name))})
    words: list[object] = []
    if request["kind"] == "uv":
        words += [word for one in excluded for word in ("--no-install-package", one)]
        words += [word for one in request["groups"] for word in ("--group", one)]
        words += [word for one in request["extras"] for word in ("--extra", one)]
        project = [] if request["package"] else ["--no-install-project"]
        call = (uv, "sync", "--quiet", "--frozen", "--inexact", "--python", python, *project, *words)
        build.run("uv sync", *call, UV_PROJECT_ENVIRONMENT=str(build.venv))
        return
    if excluded:
        (build.place / "excluded.txt").write_text("\n".join(excluded), encoding="utf-8")
        words += ["--excludes", build.place / "excluded.txt"]
    call = (uv, "pip", "install", "--quiet", "--python", python, *words)
    if request["kind"] in ("poetry", "pdm"):
        (build.place / "locked.txt").write_text("\n".join(lines), encoding="utf-8")
        build.run("uv pip install", *call, "--requirements", build.place / "locked.txt")
        if request["package"]:
            build.run("installing the project", *call, "--no-deps", "--editable", build.folder)
        return
    with_versions(build, call)


def with_versions(build: Build, call: tuple[object, ...]) -> None:
    """Install with the versions that are installed where the run comes from, as far as they exist here.

    Those are constraints, or what is installed itself. A version that uv names in its refusal is dropped, and
    it is asked again.
    """
    request, frozen = build.request, build.request["kind"] == "explicit"
    kept = request["files"]["frozen.txt"].splitlines() if frozen else list(request["constraints"])
    file, gone = build.place / "versions.txt", list[str]()
    target = (
        ["--no-deps", "--requirements", file] if frozen else [*target_words(build), "--constraints", file]
    )
    while True:
        file.write_text("\n".join(kept), encoding="utf-8")
        try:
            build.run("uv pip install", *call, *target)
            break
        except BrokenError as error:
            lost = named_in(error.said, kept)
            if not lost:
                raise
            kept, gone = [one for one in kept if one not in lost], [*gone, *lost]
    if gone:
        more = f" and {len(gone) - 3} more" if len(gone) > 3 else ""
        say("note", text=f"in this version not to be had there: {', '.join(gone[:3])}{more}")


def named_in(said: str, lines: list[str]) -> list[str]:
    """Those of these NAME==VERSION that a refusal of uv's names, which breaks its lines anywhere."""
    words = " ".join(said.split()).lower()
    return [
        line for line in lines if re.search(rf"(?<![\w.-]){re.escape(line.lower())}(?![\w-]|\.\w)", words)
    ]


def target_words(build: Build) -> list[object]:
    """What uv is to install: the project with its dependencies, or what a file asks for."""
    request = build.request
    groups = [word for one in request["groups"] for word in ("--group", one)]
    if request["kind"] == "pyproject" and request["package"]:
        chosen = f"[{','.join(request['extras'])}]" if request["extras"] else ""
        return ["--editable", f"{build.folder}{chosen}", *groups]
    extras = [word for one in request["extras"] for word in ("--extra", one)]
    return ["--requirements", request["main"], *groups, *extras]
