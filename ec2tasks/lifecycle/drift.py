"""Settles what becomes of a call whose instance is there already, and is another than it asks for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping

from ec2tasks.aws.instances import Instance
from ec2tasks.base import output
from ec2tasks.base.errors import UsageError
from ec2tasks.config.layers import Kind
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


def is_another_type(instance: Instance, settings: Settings) -> bool:
    """Whether an instance is not of the type that this very call names, by an option or a variable."""
    named = settings.sources["instance_type"].kind in (Kind.OPTION, Kind.VARIABLE)
    return named and instance.type not in settings.instance_type


def type_refusal(instance: Instance, settings: Settings, *, in_make: bool) -> UsageError:
    """The error that the instance there is of another type than the call names, with both ways on."""
    wanted, beside = " or ".join(settings.instance_type), f"{settings.name}-{settings.instance_type[0]}"
    named = f"--name {shlex.quote(beside)}"
    reuse, other = (
        (f"EC2_FLAGS={words}" for words in ("--reuse", shlex.quote(named))) if in_make else ("--reuse", named)
    )
    return UsageError(
        f"{instance.where} is {instance.state}, and this call asks for a {wanted}",
        hint=f"`{reuse}` uses it all the same, `{other}` another one beside it; `ec2tasks down` ends it",
    )


def settle_drift(
    instance: Instance,
    settings: Settings,
    *,
    reuse: bool,
    ask: Callable[[str], bool | None] = output.ask,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Say in which way the instance differs from what was asked for; it is used all the same.

    Where this very call names another type, only after a yes, on the terminal or by `reuse`. Raises
    UsageError for none.
    """
    drift = drift_of(instance, settings)
    if drift is None:
        return
    if is_another_type(instance, settings) and not reuse:
        if not ask(f"{drift}: use it all the same?"):
            raise type_refusal(instance, settings, in_make="MAKELEVEL" in environ)
        return
    output.warning(drift, hint="`ec2tasks down` first: the next run launches what you asked for")
