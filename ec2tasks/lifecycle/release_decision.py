"""Decides whether an instance is left running, stopped or terminated when a client leaves it; pure."""

from __future__ import annotations

import shlex
from dataclasses import replace

from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.final_state import FinalState
from ec2tasks.lifecycle.outcome import End


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The final state of the instance; where it is not what was asked for, why; what to type next."""

    final_state: FinalState
    reason: str | None = None
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known when a client leaves.

    `explicit`: the user asked for the final state itself, not for a run. `launched`, `started`: by this
    operation, whose work came to this `end`. `joined`: it got a session on the instance. `used`: something
    may be on the instance. `results_here`: everything on it was fetched, or the user gave it up. `others`:
    whether other clients are on it, None where it could not be asked; `job`: the job that runs on, where that
    is who else is there.

    `as_found`: it is to be left as this operation found it, for nobody asked for another final state.
    `ignored`: files on it that never come here, and that nobody has agreed to lose. `other_folder`: one on
    it, another project's, that nobody has fetched. `background`: the program that a job left working there on
    purpose. `halted`: why it is stopped already.
    """

    wanted: FinalState
    explicit: bool
    launched: bool
    started: bool
    joined: bool
    used: bool
    results_here: bool
    others: bool | None
    can_stop: bool
    as_found: bool = False
    ignored: str = ""
    job: str = ""
    other_folder: str = ""
    background: str = ""
    halted: str = ""
    end: End = End.COMPLETED


def decide(facts: Facts) -> Decision:
    """The final state that loses neither results nor money, why, and what to type next."""
    decision = _decide(facts)
    if facts.halted and decision.final_state is FinalState.LEAVE:
        decision = Decision(final_state=FinalState.STOP, reason=facts.halted)
    return replace(decision, hint=_next_command(facts, decision))


def _decide(facts: Facts) -> Decision:
    if not facts.joined:
        return _never_joined(facts)
    if facts.others:
        reason = None if facts.wanted is FinalState.LEAVE else _who_is_on_it(facts)
        return Decision(final_state=FinalState.LEAVE, reason=reason)
    if facts.background and facts.wanted is not FinalState.LEAVE and not facts.explicit:
        reason = f"`{facts.background}`, which a command left there, goes on"
        return Decision(final_state=FinalState.LEAVE, reason=reason)
    if facts.wanted is FinalState.TERMINATE and facts.used:
        if not facts.results_here:
            return _stopped(facts, "its results could not be fetched whole")
        if facts.other_folder:
            return _stopped(facts, f"nobody has fetched what is in `~/{facts.other_folder}` there")
        if facts.ignored:
            return _stopped(facts, f"{facts.ignored} would be lost, and no option or setting asks for that")
        if facts.others is None:
            return _stopped(facts, "it could not be asked whether another session is on it")
    if facts.wanted is FinalState.STOP:
        return _stopped(facts, None)
    return Decision(final_state=facts.wanted)


def _who_is_on_it(facts: Facts) -> str:
    return f"job {facts.job} goes on" if facts.job else "another session is on it; the last one out ends it"


def _never_joined(facts: Facts) -> Decision:
    if facts.others:
        return Decision(final_state=FinalState.LEAVE, reason="another client has got on it")
    interrupted = facts.end in (End.INTERRUPTED, End.LEFT_BY_INTERRUPT)
    reason = "this call was interrupted" if interrupted else "it takes no commands"
    if facts.launched and not facts.used:
        return Decision(final_state=FinalState.TERMINATE, reason=f"{reason}, and nothing is on it")
    if facts.started or facts.explicit:
        return _stopped(facts, reason)
    return Decision(final_state=FinalState.LEAVE, reason="it ran before, and this call never got on it")


def _stopped(facts: Facts, reason: str | None) -> Decision:
    if facts.can_stop:
        return Decision(final_state=FinalState.STOP, reason=reason)
    reasons = [*([reason] if reason else []), "a spot instance can't be stopped"]
    return Decision(final_state=FinalState.LEAVE, reason=", and ".join(reasons))


FOUND = "it was found {state}, and no option or setting asks for another end; {}"
ENDS = "`ec2tasks down` ends it"
GIVES_UP = "`ec2tasks down --no-rsync` gives it up"
COMES_BACK = "`ec2tasks attach` comes back to it, `ec2tasks cancel` ends it"
FINISHES = "`ec2tasks finish` waits for its end, fetches its results and applies its end of life"


def _next_command(facts: Facts, decision: Decision) -> str | None:
    """What to type next, None for nothing."""
    if decision.final_state is FinalState.TERMINATE:
        return None
    if facts.end is End.LEFT_BY_INTERRUPT:
        return f"it was sent Ctrl-C and may end; {COMES_BACK}, {FINISHES}"
    if facts.end is End.DETACHED:
        return f"the command goes on there: {COMES_BACK}, {FINISHES}"
    if facts.others and facts.job and decision.reason:
        gives_up = f", {GIVES_UP}" if facts.explicit else ""
        return f"{FINISHES}; `ec2tasks sync --pull` fetches what there is now{gives_up}"
    if decision.reason and not facts.results_here:
        return f"`ec2tasks down` fetches what is there and ends it; {GIVES_UP}"
    if decision.reason and facts.other_folder and not facts.others:
        down = f"`ec2tasks down --remote-dir {shlex.quote(facts.other_folder)}`"
        return f"{down} in that project's folder fetches it and ends the instance; {GIVES_UP}"
    if facts.ignored and decision.reason:
        return f"`ec2tasks shell` looks at them, without their line in .rsyncignore they come here; {ENDS}"
    found = FOUND if facts.as_found and not decision.reason else "{}"
    if decision.final_state is FinalState.LEAVE:
        return found.format(ENDS, state="running")
    return found.format(f"the next run starts it again; {ENDS}", state="stopped")
