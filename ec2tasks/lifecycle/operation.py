"""What one call asks of the project's instance: fixed from the call's beginning to its end."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime, timezone

from ec2tasks.aws.instances import Instance
from ec2tasks.aws.prices import affordable_seconds
from ec2tasks.base import output
from ec2tasks.base.dataclass import dataclass
from ec2tasks.base.final_state import FinalState
from ec2tasks.lifecycle.context import CallContext
from ec2tasks.lifecycle.outcome import Results
from ec2tasks.lifecycle.pricing import no_price_error
from ec2tasks.remote.job import new_job_id
from ec2tasks.remote.session import SessionMode, SessionRequest


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What one call asks of the project's instance.

    `final_state` None asks for none of its own; `default_end` is one that nobody asked for, for what this
    operation launches. `explicit` asks for nothing else, as `down` does. `detaches`: it leaves a job running,
    whose final state is not for the other sessions to apply. `sweep`: the sweep that it belongs to,
    whose end says what becomes of the instance. `mode` is that of its session. `fetches`: the results are to
    come here, else they are given up.
    """

    context: CallContext
    final_state: FinalState | None = None
    default_end: FinalState | None = None
    explicit: bool = False
    detaches: bool = False
    sweep: str = ""
    mode: SessionMode = SessionMode.WORK
    fetches: bool = True
    job_id: str = field(default_factory=new_job_id)
    began: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    @property
    def results_at_first(self) -> Results:
        """Where the results are before anything was fetched."""
        return Results.MISSING if self.fetches else Results.GIVEN_UP

    @property
    def may_start(self) -> bool:
        """Whether a stopped instance is started for it: not for who only watches what runs."""
        return self.mode is not SessionMode.WATCH

    def final_state_of(self, *, launched: bool, started: bool) -> FinalState | None:
        """The final state of an instance that this operation launched, started or found; None for as it was.

        A default changes nothing that was there before: what was found stopped is stopped again.
        """
        if self.final_state or not self.default_end:
            return self.final_state
        return self.default_end if launched else FinalState.STOP if started else None

    def _cost_seconds(self, instance: Instance) -> int | None:
        """How long the instance may run for max_cost; None, said, where its price is not known.

        Raises UsageError for that where it is a run: who ends an instance is never kept from it.
        """
        asked = self.context.settings.max_cost
        seconds = affordable_seconds(asked, instance.price)
        if seconds is None:
            error = no_price_error(asked, f"for {instance.where}")
            if self.default_end:
                raise error
            if not self.explicit:
                output.warn_of(error)
        return seconds

    def session_request(
        self, instance: Instance, final_state: FinalState | None, *, launched: bool
    ) -> SessionRequest:
        """What its session asks of the instance; a default limit leaves standing what an earlier call set."""
        settings = self.context.settings
        final_state = None if self.detaches else final_state
        return SessionRequest(
            job_id=self.job_id,
            remote_dir=settings.remote_dir,
            mode=SessionMode.WORK if final_state else self.mode,
            final_state=final_state,
            idle_stop=settings.idle_stop if settings.given("idle_stop") else None,
            max_seconds=settings.max_hours if settings.given("max_hours") else None,
            cost_seconds=self._cost_seconds(instance) if settings.given("max_cost") else None,
            stalled_stop=settings.stalled_stop if settings.given("stalled_stop") else None,
            start=instance.launched.isoformat(),
            new=launched,
            spot=instance.spot,
        )
