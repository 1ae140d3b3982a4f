"""What a runner's death means for the attempts on its event loop: whose fault it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs import conf
from jobs.errors import LoopHeld, WorkerLost
from jobs.lifecycle import verdict
from jobs.lifecycle.outcomes import Failed
from jobs.models import JobStatus
from jobs.runner.lane.grip import Held
from jobs.runner.watch import Reason
from jobs.worker.aboard import Overdue, Ride


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """All that ran in a dead runner."""

    entering: frozenset[str] = frozenset()  # ids claimed for its event loop, not yet begun there
    rides: Mapping[str, Ride] = field(default_factory=dict)  # its async attempts, by job id
    overdue: Overdue | None = None  # for the fault of this one of them the supervisor killed it
    held: Held | None = None  # the step that held its event loop when it died
    main_job_id: str = ""  # of the job in its main thread

    def culprit(self, *, was_killed: bool) -> str:
        """Return for which job's fault the supervisor killed it; "" for none that is known.

        Args:
            was_killed: Whether that was for the job in the main thread.
        """
        if self.overdue is not None:
            return self.overdue.job_id
        return self.main_job_id if was_killed else ""

    def is_suspect(self, job_id: str) -> bool:
        """Whether it may have died of this job, by itself: it was executed, or none is known."""
        if self.overdue is not None:
            return True  # and nobody knows whose fault it was
        suspects = {self.main_job_id} - {""}
        if self.held is not None and self.held.job_id is not None:
            suspects.add(str(self.held.job_id))
        return job_id in suspects or not suspects

    def stopped_for(self, job_id: str) -> Reason | None:
        """Return why this async attempt had been told to stop; None where it hadn't."""
        ride = self.rides[job_id]
        if self.overdue is not None and self.overdue.job_id == job_id:
            return self.overdue.cause
        return None if ride.cause is Reason.TIMEOUT else ride.cause


def of_holder(job: JobStatus, overdue: Overdue) -> Failed:
    """Return the outcome of the attempt that held the event loop for too long."""
    limit_seconds = conf.current().async_block_limit.total_seconds()
    return verdict.of_loss(job, LoopHeld(seconds=overdue.held_seconds, limit_seconds=limit_seconds))


def of_neighbour(job: JobStatus, culprit_id: str) -> Failed:
    """Return the outcome of an attempt whose runner was killed for the fault of another job's."""
    return verdict.of_loss(job, WorkerLost(describe(culprit_id)), counts=False)


def describe(culprit_id: str) -> str:
    """Return why its runner was killed."""
    if not culprit_id:
        return (
            "The runner was killed, since a callback held its event loop, and it isn't known of "
            "which of the async jobs there."
        )
    fault = "held its event loop, or did not stop"
    return f"The runner was killed, since job {culprit_id}, which ran there too, {fault}."
