"""What becomes of the instance when a client leaves it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Ending(Enum):
    """The end of life of an instance; the values are the words shown."""

    LEAVE = "leave"
    STOP = "stop"
    TERMINATE = "terminate"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to do with the instance and, where it is not what was asked for, why."""

    ending: Ending
    because: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known when a client leaves.

    `explicit`: the user asked for the end itself, not for a run. `launched`, `started`: by this call.
    `joined`: this call got a session on the instance. `touched`: something may be on it. `results_here`:
    everything on it was fetched, or the user gave it up. `others`: whether other clients are on it, None
    where it could not be asked. `left`: what a command left working there on purpose.
    """

    wanted: Ending
    explicit: bool
    launched: bool
    started: bool
    joined: bool
    touched: bool
    results_here: bool
    others: bool | None
    can_stop: bool
    left: str = ""


def decide(facts: Facts) -> Verdict:
    """The end of life that loses neither results nor money."""
    if not facts.joined:
        return _never_got_on(facts)
    if facts.others:
        because = (
            None if facts.wanted is Ending.LEAVE else "another session is on it; the last one out ends it"
        )
        return Verdict(ending=Ending.LEAVE, because=because)
    if facts.left and facts.wanted is not Ending.LEAVE and not facts.explicit:
        return Verdict(ending=Ending.LEAVE, because=f"`{facts.left}`, which a command left there, goes on")
    if facts.wanted is Ending.TERMINATE and facts.touched:
        if not facts.results_here:
            return _stopped(facts, "its results could not be fetched whole")
        if facts.others is None:
            return _stopped(facts, "it could not be asked whether another session is on it")
    if facts.wanted is Ending.STOP:
        return _stopped(facts, None)
    return Verdict(ending=facts.wanted)


def _never_got_on(facts: Facts) -> Verdict:
    if facts.others:
        return Verdict(ending=Ending.LEAVE, because="another client has got on it")
    if facts.launched and not facts.touched:
        return Verdict(ending=Ending.TERMINATE, because="it takes no commands, and nothing is on it")
    if facts.started or facts.explicit:
        return _stopped(facts, "it takes no commands")
    return Verdict(ending=Ending.LEAVE, because="it ran before, and this call never got on it")


def _stopped(facts: Facts, because: str | None) -> Verdict:
    if facts.can_stop:
        return Verdict(ending=Ending.STOP, because=because)
    words = [because] if because else []
    return Verdict(ending=Ending.LEAVE, because=", and ".join([*words, "a spot instance can't be stopped"]))
