"""What a browser makes of a page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def document(url: str, folder: Path) -> str:
    """What a browser makes of a page, scripts included."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert browser, "no Chromium here: `make setup` installs it"
    background = ["background-networking", "component-update", "sync", "quic", "gpu"]
    argv = [browser, "--headless", "--no-sandbox", "--no-first-run"]
    argv += [f"--disable-{one}" for one in background]
    argv += [f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=30000", "--dump-dom", url]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
