"""Whether the instance that is there already is what this call asks for."""

from __future__ import annotations

from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.config.settings import Settings


def drift_of(found: Instance, settings: Settings) -> str | None:
    """In which way an instance is not what somebody asked for; None where it is, or nobody asked.

    Only what is launched gets what the settings say. The disk's size, and which image a name means, AWS does
    not tell with the instance.
    """
    given, pairs = settings.given, []
    if given("instance_type") and found.type not in settings.instance_type:
        pairs.append((f"a {found.type}", f"a {' or '.join(settings.instance_type)}"))
    if given("spot") and found.spot != settings.spot and not (settings.spot and settings.spot_fallback):
        pairs.append(("spot", "on demand") if found.spot else ("on demand", "spot"))
    if given("image") and settings.image.startswith("ami-") and found.image not in ("", settings.image):
        pairs.append((f"from {found.image}", f"from {settings.image}"))
    if not pairs:
        return None
    has, wanted = (" ".join(words) for words in zip(*pairs, strict=True))
    return f"{found.name} is {has}, not {wanted} as asked"


def warn_of_drift(found: Instance, settings: Settings) -> None:
    """Say in which way it is not; it is used all the same."""
    difference = drift_of(found, settings)
    if difference:
        output.warning(difference, hint="`ec2tasks down` first: the next run launches what you asked for")
