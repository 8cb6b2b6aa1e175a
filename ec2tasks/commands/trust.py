"""The gate before what a project's own files wish beyond its folder: agreed to, asked about, or refused.

It is passed before anything is launched or sent. Where links lead is looked at again right before each
transfer: one that does not lead where the user agreed to is kept out of it. And again after it: where one was
touched meanwhile, the push has failed, and no command begins beside what it may have sent.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.errors import Failure, UsageError
from ec2tasks.base.process import Tools
from ec2tasks.base.project import Project, check_syncable
from ec2tasks.base.secret_stores import holds_credentials, secret_stores
from ec2tasks.base.state import State, lock
from ec2tasks.config.schema import GUARD_SETTINGS
from ec2tasks.config.settings import Settings
from ec2tasks.config.trust import LINK, REACHING, Wish, link_wish
from ec2tasks.config.trust_store import agree, agreed_digests
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.sync.ignore import IGNORE_FILE
from ec2tasks.sync.links import OutwardLink, changed_links, outward_links
from ec2tasks.sync.transfer import names_text
from ec2tasks.sync.withheld import withhold

SHOWN_LINKS = 20
HINT = "`ec2tasks trust` lists it and asks once; where nobody can be asked, `ec2tasks trust --yes`"
QUESTION = "trust these files with that, for this folder, from now on?"
LOOKED_AT = frozenset({"endpoint", "profile", "name", "key_name", "key_file", "reap_after"})
SESSION = frozenset({"ports", "reverse_ports", *GUARD_SETTINGS})


class Acts(Enum):
    """What a task acts on: the kinds of wishes that it needs a yes for."""

    LOOK = LOOKED_AT  # it looks at an instance, or ends it
    ATTACH = LOOKED_AT | SESSION  # it comes back to a job
    LAUNCH = frozenset(REACHING)  # it may launch
    PUSH = LAUNCH | {LINK}  # it may launch, and sends files


class NotTrustedError(UsageError):
    """The project's own files wish what reaches beyond its folder, and nobody has agreed to that."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the gate looks at: the settings of a call, its project, and what this machine remembers."""

    settings: Settings
    project: Project
    state: State
    tools: Tools
    home: Path

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project.root

    def links(self) -> list[OutwardLink]:
        """The project's links that lead out of it and would travel as content.

        Raises UsageError for a folder that is no project to send.
        """
        check_syncable(self.project, self.home)
        return outward_links(self.root, self.tools, self.home)


def pass_gate(gate: Gate, acts: Acts, *, asks: bool, dry: bool = False) -> None:
    """Let a task on that has a yes for all it acts on; ask for what is missing where `asks`.

    Raises UsageError for what never travels, NotTrustedError where there is no yes. A `dry` one only says so.
    """
    if acts in (Acts.LAUNCH, Acts.PUSH):
        check_never(gate.settings, gate.root, gate.home)
    wishes = [wish for wish in gate.settings.wishes if wish.kind in acts.value]
    if LINK in acts.value:
        wishes += wishes_of(checked(gate.links()))
    if not missing(gate, wishes):
        return
    if dry:
        output.warning(f"{_untrusted(gate)}: {'; '.join(lines(missing(gate, wishes)))}", hint=HINT)
        return
    # Of several recipes of a parallel make, one asks and the others wait for the answer.
    with lock(gate.state, f"trust-{os.path.realpath(gate.root)}"):
        left = missing(gate, wishes)
        if not left:
            return
        if not (asks and output.can_ask()):
            raise NotTrustedError(f"{_untrusted(gate)}:", lines=lines(left), hint=HINT)
        if not ask_for(gate, left):
            raise NotTrustedError(f"{_untrusted(gate)}, and you did not say yes", hint=HINT)
        agree(gate.state, gate.root, left, earlier=agreed_digests(gate.state, gate.root))


def all_wishes(gate: Gate, recipes: Iterable[Settings]) -> list[Wish]:
    """Each wish of the project's files once, whichever recipe has it.

    Raises UsageError for what never travels.
    """
    for settings in (gate.settings, *recipes):
        check_never(settings, gate.root, gate.home)
    wishes = [wish for settings in (gate.settings, *recipes) for wish in settings.wishes]
    wishes += wishes_of(checked(gate.links()))
    return list({wish.digest: wish for wish in reversed(wishes)}.values())[::-1]


def settle(gate: Gate, wishes: Sequence[Wish], *, yes: bool) -> None:
    """Show these wishes, and agree to them and no others, with a `yes` or once asked.

    Raises NotTrustedError without one.
    """
    new = missing(gate, wishes)
    for wish in wishes:
        output.data(f"{'new    ' if wish in new else 'trusted'}  {lines([wish])[0]}")
    if not wishes:
        output.step(f"the files of `{_printable(str(gate.root))}` wish nothing beyond that folder")
    elif not new:
        output.hint("`ec2tasks trust --revoke` takes it back")
    elif not yes and not output.ask(QUESTION):
        raise NotTrustedError(
            f"{_untrusted(gate)}, and nobody said yes", hint="`ec2tasks trust --yes` says it"
        )
    agree(gate.state, gate.root, wishes)
    if new:
        output.step(f"trusted: {len(wishes)} of its wishes")


def missing(gate: Gate, wishes: Iterable[Wish]) -> list[Wish]:
    """Those of these wishes that the user has not agreed to."""
    agreed = agreed_digests(gate.state, gate.root)
    return [wish for wish in wishes if wish.digest not in agreed]


def ask_for(gate: Gate, wishes: Sequence[Wish]) -> bool:
    """List wishes on the terminal and ask for a yes to all of them."""
    output.step(f"{_untrusted(gate)}:")
    for line in lines(wishes):
        output.step(f"  {line}")
    return bool(output.ask(QUESTION))


def check_never(settings: Settings, root: Path, home: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Raise UsageError for what no yes allows: variables with AWS credentials, a project in a key store."""
    for name in settings.forward_env:
        if holds_credentials(name, environ):
            raise UsageError(
                f"{settings.sources['forward_env']}: forward_env: `{name}` holds AWS credentials,"
                " which never go to an instance",
                hint="take it out: the instance has the rights of its role (iam_instance_profile)",
            )
    if store := secret_stores(home).holding(Path(os.path.realpath(root))):
        raise UsageError(
            f"`{root}` is in `{store}`: keys and tokens never leave this machine",
            hint="cd into a project that holds none",
        )


def checked(links: Iterable[OutwardLink]) -> list[OutwardLink]:
    """These links. Raises UsageError for one through which keys or tokens would travel."""
    links = list(links)
    for link in links:
        if link.secret:
            path = _printable(link.path)
            raise UsageError(
                f"the link `{path}` -> `{_printable(link.target)}` leads to `{_printable(str(link.secret))}`:"
                " keys and tokens never leave this machine",
                hint=f"rm {shlex.quote(path)}; or a line `/{path}` in {IGNORE_FILE}",
            )
    return links


def wishes_of(links: Iterable[OutwardLink]) -> list[Wish]:
    """The wishes of links that lead out of the project."""
    return [link_wish(link.path, link.real) for link in links]


def lines(wishes: Sequence[Wish]) -> list[str]:
    """Wishes in words, a line each; of very many links, the first."""
    settings = [wish for wish in wishes if wish.kind != LINK]
    links = [wish for wish in wishes if wish.kind == LINK]
    told = [f"{wish.source}: {wish.kind}: {wish.parts[0]} ({wish.words})" for wish in settings]
    told += [f"{wish.source} ({wish.words})" for wish in links[:SHOWN_LINKS]]
    more = len(links) - SHOWN_LINKS
    return [_printable(line) for line in told] + (
        [f"and {more} more links that lead out"] if more > 0 else []
    )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _untrusted(gate: Gate) -> str:
    return f"the files of `{_printable(str(gate.root))}` wish what reaches beyond that folder"


def keep_out_untrusted(context: CallContext, *, says: bool) -> list[OutwardLink]:
    """Keep out of the next transfer each link that nobody agreed to as it leads now; return the others.

    Raises Failure where that can't be written down.
    """
    links = outward_links(context.project.root, context.tools, context.home)
    agreed = agreed_digests(context.state, context.project.root)
    trusted = [link for link in links if not link.secret and wishes_of([link])[0].digest in agreed]
    out = [link for link in links if link not in trusted]
    withhold(context.project.root, (link.path for link in out))
    if out and says:
        names = _printable(names_text([link.path for link in out]))
        output.warning(f"kept out, as links that lead out of the project: {names}", hint=HINT)
    return trusted


def check_unchanged(context: CallContext, trusted: Sequence[OutwardLink]) -> None:
    """Raise Failure where links were touched while they were sent: other than agreed on may have arrived."""
    if changed := changed_links(context.project.root, trusted):
        names = _printable(names_text(changed))
        raise Failure(
            f"links that lead out of the project were changed while they were sent: {names}",
            hint="`ec2tasks down` ends the instance, and what may have gone there; then run it again",
        )
