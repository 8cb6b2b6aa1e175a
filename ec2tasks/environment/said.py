"""The lines that a run, its plan and `ec2tasks env` say of an environment."""

from __future__ import annotations

from collections.abc import Mapping

from ec2tasks.config.parsers import duration
from ec2tasks.environment.here import Here
from ec2tasks.environment.request import EnvironmentRequest

SHOWN_DIFFERENCES = 20


def environment_line(
    request: EnvironmentRequest, word: str, about: Mapping[str, str], seconds: float | None = None
) -> str:
    """What a job runs in, for this choice of the instance's; `seconds` are those that its building took."""
    if word == "built":
        took = "ready" if seconds is None else duration(seconds)
        return f"environment: {', '.join([request.label, *about_words(about)])} · {took}"
    kind, _, name = word.partition(":")
    if word == "venv:.venv":
        return "environment: .venv, made there by a recipe"
    if kind == "venv":
        return f"environment: {name}" + (", the image's" if name == "/opt/pytorch" else ", there")
    if kind == "conda":
        return f"environment: conda's `{name}` there"
    return "environment: none, the system's own programs" if word == "none" else ""


def about_words(about: Mapping[str, str]) -> list[str]:
    """What is known of one that is built: Python, how many packages, its torch."""
    python = ".".join(about.get("python", "").split(".")[:2])
    count = about.get("packages", "")
    torch = (
        f"torch {about['torch']}{' from the image' if about.get('image') else ''}" if "torch" in about else ""
    )
    packages = f"{count} package{'' if count == '1' else 's'}" if count else ""
    return [word for word in (f"Python {python}" if python else "", packages, torch) if word]


def chosen_text(request: EnvironmentRequest) -> str:
    """Which one a run would use, before the instance is asked."""
    if request.key:
        recipe = " or a recipe made a .venv there" if request.wanted != "built" else ""
        return f"an environment from {request.label}, built there unless it is ready{recipe}"
    if request.wanted == "auto":
        return "a .venv that a recipe made there, else the image's own environment"
    if request.wanted == "none":
        return "no environment"
    kind, _, name = request.wanted.removesuffix("?").rpartition(":")
    return f"the {'conda ' if kind == 'conda' else ''}environment `{name}` there"


def why_text(request: EnvironmentRequest) -> str:
    """Why this one is taken."""
    if not request.key:
        return (
            "nothing in the project says what it needs, and no environment is active here"
            if request.wanted == "auto"
            else "`env` says so"
        )
    assert request.source is not None
    if request.wanted == "built":
        return "`env` names it"
    if request.source.kind in ("explicit", "conda-explicit"):
        return "it is active here, and nothing in the project says what it needs"
    held = (
        f"; versions that it leaves open are those of {request.here.label}"
        if request.constraints and request.here
        else ""
    )
    return f"it is the first in the project that says what it needs{held}"


def difference_lines(here: Here | None, there: Mapping[str, str]) -> list[str]:
    """What of Python's packages has another version here, or is missing there; the first twenty by name."""
    if here is None or not there:
        return []
    pairs = ((name, version, there.get(name)) for name, version in here.versions.items())
    lines = [
        f"{name}: {version} here, {found or 'not there'}{' there' if found else ''}"
        for name, version, found in pairs
        if found is None or found.partition("+")[0] != version
    ]
    more = len(lines) - SHOWN_DIFFERENCES
    return [*lines[:SHOWN_DIFFERENCES], *([f"… and {more} more"] if more > 0 else [])]
