"""Small wheels made here in place of PyPI's large ones, and an image whose /opt/pytorch has such a torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ec2tasks.local.images import IMAGES
from ec2tasks.local.requirements import GUEST_ID

SYSTEM_PYTHON = "/usr/bin/python3"


def make_wheel(folder: Path, name: str, version: str, requires: Iterable[str] = (), text: str = "") -> Path:
    """A wheel of one module.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheel, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    metadata = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {one}" for one in requires),
    ]
    files = {
        f"{name}.py": f'__version__ = "{version}"\n{text}',
        f"{info}/METADATA": "\n".join([*metadata, ""]),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel


def give_image_a_torch(local_folder: Path, version: str = "2.12.0+cu130") -> None:
    """From now on, the instances of the newest PyTorch image have an /opt/pytorch as the real ones do."""
    image = next(one for one in IMAGES if "PyTorch 2.12 (Ubuntu" in one.name and one.amazon)
    folder = local_folder / "cache" / image.family / "pytorch"
    if folder.exists():
        return
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", folder], check=True, capture_output=True, timeout=120)
    for path in (folder / "bin").iterdir():
        if path.is_file() and not path.is_symlink():
            path.write_text(
                path.read_text(encoding="utf-8").replace(str(folder), "/opt/pytorch"), encoding="utf-8"
            )
    site = next(folder.glob("lib/python3*/site-packages"))
    for name, one in (("torch", version), ("numpy", "2.0.0")):
        with zipfile.ZipFile(make_wheel(folder / "wheels", name, one)) as archive:
            archive.extractall(site)


def give_uv(home: Path) -> None:
    """Put uv where ec2tasks would have installed it on an instance, given its home here."""
    place = home / ".ec2tasks" / "tools" / "uv" / "bin"
    place.mkdir(parents=True)
    for name in ("uv", "uvx"):
        shutil.copy(Path(shutil.which(name) or ""), place / name)
    if os.geteuid() == 0:
        for path in (place.parent.parent, place.parent, place):
            os.chown(path, GUEST_ID, GUEST_ID)
