"""What becomes of the instance when a client leaves it, and what to type next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from enum import Enum


class FinalState(Enum):
    """The end of life of an instance; the values are the words shown."""

    LEAVE = "leave"
    STOP = "stop"
    TERMINATE = "terminate"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to do with the instance; where it is not what was asked for, why; what to type next."""

    ending: FinalState
    because: str | None = None
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known when a client leaves.

    `explicit`: the user asked for the end itself, not for a run. `launched`, `started`: by this call.
    `joined`: this call got a session on the instance. `touched`: something may be on it. `results_here`:
    everything on it was fetched, or the user gave it up. `others`: whether other clients are on it, None
    where it could not be asked; `run`: the command that is, where it is one.

    `elsewhere`: a folder on it, another project's, that nobody has fetched. `left`: what a command left
    working there on purpose. `detached`: this call leaves a command running, after Ctrl-C where `pressed`.
    """

    wanted: FinalState
    explicit: bool
    launched: bool
    started: bool
    joined: bool
    touched: bool
    results_here: bool
    others: bool | None
    can_stop: bool
    run: str = ""
    elsewhere: str = ""
    left: str = ""
    detached: bool = False
    pressed: bool = False


def decide(facts: Facts) -> Verdict:
    """The end of life that loses neither results nor money, and what to type next."""
    verdict = _decide(facts)
    return replace(verdict, hint=_next(facts, verdict))


def _decide(facts: Facts) -> Verdict:
    if not facts.joined:
        return _never_got_on(facts)
    if facts.others:
        return Verdict(
            ending=FinalState.LEAVE, because=None if facts.wanted is FinalState.LEAVE else _who(facts)
        )
    if facts.left and facts.wanted is not FinalState.LEAVE and not facts.explicit:
        return Verdict(
            ending=FinalState.LEAVE, because=f"`{facts.left}`, which a command left there, goes on"
        )
    if facts.wanted is FinalState.TERMINATE and facts.touched:
        if not facts.results_here:
            return _stopped(facts, "its results could not be fetched whole")
        if facts.elsewhere:
            return _stopped(facts, f"nobody has fetched what is in `~/{facts.elsewhere}` there")
        if facts.others is None:
            return _stopped(facts, "it could not be asked whether another session is on it")
    if facts.wanted is FinalState.STOP:
        return _stopped(facts, None)
    return Verdict(ending=facts.wanted)


def _who(facts: Facts) -> str:
    return f"run {facts.run} goes on" if facts.run else "another session is on it; the last one out ends it"


def _never_got_on(facts: Facts) -> Verdict:
    if facts.others:
        return Verdict(ending=FinalState.LEAVE, because="another client has got on it")
    why = "this call was interrupted" if facts.pressed else "it takes no commands"
    if facts.launched and not facts.touched:
        return Verdict(ending=FinalState.TERMINATE, because=f"{why}, and nothing is on it")
    if facts.started or facts.explicit:
        return _stopped(facts, why)
    return Verdict(ending=FinalState.LEAVE, because="it ran before, and this call never got on it")


def _stopped(facts: Facts, because: str | None) -> Verdict:
    if facts.can_stop:
        return Verdict(ending=FinalState.STOP, because=because)
    words = [because] if because else []
    return Verdict(
        ending=FinalState.LEAVE, because=", and ".join([*words, "a spot instance can't be stopped"])
    )


ENDS = "`ec2tasks down` ends it"
GIVES_UP = "`ec2tasks down --no-rsync` gives it up"
FINISHES = "`ec2tasks finish` waits for its end, fetches its results and applies its end of life"


def _next(facts: Facts, verdict: Verdict) -> str | None:
    """What to type next, None for nothing."""
    if verdict.ending is FinalState.TERMINATE:
        return None
    if facts.detached and facts.pressed:
        return f"it was sent Ctrl-C and may end; `ec2tasks attach` comes back to it, {FINISHES}"
    if facts.detached:
        return f"the command goes on there: `ec2tasks attach` comes back to it, {FINISHES}"
    if facts.others and facts.run and verdict.because:
        return f"{FINISHES}; `ec2tasks sync --pull` fetches what there is now" + (
            f", {GIVES_UP}" if facts.explicit else ""
        )
    if verdict.because and not facts.results_here:
        return f"`ec2tasks down` fetches what is there and ends it; {GIVES_UP}"
    if verdict.because and facts.elsewhere and not facts.others:
        down = f"`ec2tasks down --remote-dir {shlex.quote(facts.elsewhere)}`"
        return f"{down} in that project's folder fetches it and ends the instance; {GIVES_UP}"
    return ENDS if verdict.ending is FinalState.LEAVE else f"the next run starts it again; {ENDS}"
