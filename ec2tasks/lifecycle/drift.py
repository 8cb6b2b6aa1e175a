"""Tells in which way the instance that is there already differs from what this call asks for."""

from __future__ import annotations

from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.config.settings import Settings


def drift_of(instance: Instance, settings: Settings) -> str | None:
    """In which way an instance differs from what was asked for; None where it does not, or nobody asked.

    Only what is launched gets what the settings say. The disk's size, and which image a name means, AWS does
    not tell with the instance.
    """
    given, differences = settings.given, []
    if given("instance_type") and instance.type not in settings.instance_type:
        differences.append((f"a {instance.type}", f"a {' or '.join(settings.instance_type)}"))
    if given("spot") and instance.spot != settings.spot and not (settings.spot and settings.spot_fallback):
        differences.append(("spot", "on demand") if instance.spot else ("on demand", "spot"))
    if given("image") and settings.image.startswith("ami-") and instance.image not in ("", settings.image):
        differences.append((f"from {instance.image}", f"from {settings.image}"))
    if not differences:
        return None
    actual, asked = (" ".join(words) for words in zip(*differences, strict=True))
    return f"{instance.name} is {actual}, not {asked} as asked"


def warn_of_drift(instance: Instance, settings: Settings) -> None:
    """Say in which way it differs; it is used all the same."""
    drift = drift_of(instance, settings)
    if drift:
        output.warning(drift, hint="`ec2tasks down` first: the next run launches what you asked for")
