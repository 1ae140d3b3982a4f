"""What a dead runner leaves behind: attempts to settle, ids to put back, statements to end."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import DatabaseError

from jobs import conf
from jobs.broker import claim, client
from jobs.errors import TimedOut, WorkerLost
from jobs.lifecycle import announce, verdict
from jobs.lifecycle.outcomes import Cancelled, Failed, Outcome, Settlement, Unbegun
from jobs.lifecycle.settle import Settled, settle
from jobs.models import JobStatus
from jobs.models.job_status import job_ids
from jobs.processes.outage import first_line, is_postgresql_away
from jobs.runner import plain
from jobs.runner.seen import Attempt, Seen
from jobs.runner.session import application_name
from jobs.runner.watch import Reason
from jobs.statuses import Status
from jobs.worker import neighbours, registration
from jobs.worker.neighbours import Neighbours
from jobs.worker.slot import Slot

logger = logging.getLogger("jobs.worker")

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A runner that is gone."""

    pid: int
    code: int | None  # its exit code; negative: minus the signal; None: it died with the mother
    peak_memory: int | None  # bytes; None where it may be that of an earlier job
    seen: Seen  # what its board says
    cause: Reason | None = None  # why the supervisor killed its job; None: it didn't
    was_cut_off: bool = False  # it was killed since it could be heard no more
    aboard: Neighbours = field(default_factory=Neighbours)  # beside the batch, on its event loop

    @property
    def running(self) -> Attempt | None:
        """The attempt whose own code was running."""
        return self.seen.running

    @property
    def ids(self) -> tuple[str, ...]:
        """All entry ids that it may leave behind."""
        batch = [attempt.job_id for attempt in self.seen.batch]
        return (*batch, *self.seen.taken, *self.aboard.entering, *self.aboard.rides)


def death_of(slot: Slot, *, code: int | None, peak_memory: int | None) -> Death:
    """Return the death of the runner in `slot`, which has just died."""
    seen = slot.seen
    mark = seen.memory_mark
    return Death(
        pid=slot.pid or 0,
        code=code,
        peak_memory=peak_memory if peak_memory and peak_memory > mark else None,
        seen=seen,
        cause=slot.kill_cause,
        was_cut_off=slot.was_cut_off,
        aboard=Neighbours(
            entering=frozenset(slot.aboard.entering),
            rides=dict(slot.aboard.rides),
            overdue=slot.overdue,
            held=slot.held,
            main_job_id=seen.running.job_id if seen.running else "",
        ),
    )


def settle_death(
    death: Death, *, worker_id: UUID, worker_name: str, announced: Callable[[], Collection[str]]
) -> None:
    """Settle what the runner had started, put back what it hadn't. May be repeated.

    Args:
        death: The runner's end.
        worker_id: The worker it belonged to.
        worker_name: That worker's name.
        announced: Returns the entry ids that the worker's runners say they have claimed; what the
            living ones have is left alone, though an outage may part this from the death.
    """
    if not conf.current().behind_pooler:
        registration.terminate_backends(application_name(worker_id, death.pid))
    living = set(announced())
    others = living - set(death.ids)
    jobs = JobStatus.objects.filter(
        id__in=job_ids(death.ids), status=Status.STARTED, worker_id=worker_id
    )
    left_jobs = [job for job in jobs if _is_left(job, death, living)]
    for is_aboard, peak_memory in ((False, death.peak_memory), (True, None)):
        settle_lost(
            {
                job: _outcome(job, death)
                for job in left_jobs
                if (str(job.id) in death.aboard.rides) is is_aboard
            },
            worker_id=worker_id,
            worker_name=worker_name,
            peak_memory=peak_memory,
        )
    try:
        redis = client.for_work()
        for entry in death.ids:
            why = _describe(death)
            plain.record_loss(redis, entry_id=entry, worker_name=worker_name, why=why)
        held = claim.held(redis, worker_id)
        left = [entry for entry in held if entry not in others]
        claim.put_back(redis, worker_id, left)
    except client.Unreachable as error:
        logger.warning(
            "Redis is unreachable: the relay pushes what the runner had claimed (%s)", error
        )


def _is_left(job: JobStatus, death: Death, living: Collection[str]) -> bool:
    # What was given back may run in another runner of this worker by now, under a later claim.
    claims = {attempt.job_id: attempt.claim for attempt in death.seen.batch}
    claims |= {job_id: ride.job["claim"] for job_id, ride in death.aboard.rides.items()}
    job_id = str(job.id)
    # Of what it had only claimed another runner may be running the job: a second entry, pushed
    # again or put there by a person.
    return claims[job_id] == job.claim if job_id in claims else job_id not in living


def give_back(attempts: Sequence[Attempt], *, worker_id: UUID, worker_name: str) -> None:
    """Give back jobs that were started and never began; to be posted."""
    settled = settle(
        [
            Settlement(job_id=UUID(attempt.job_id), claim=attempt.claim, outcome=Unbegun())
            for attempt in attempts
        ]
    )
    announce.ended(
        [announce.Ending(settled=end, outcome=Unbegun()) for end in settled],
        worker_name=worker_name,
        worker_id=worker_id,
    )


def settle_orphans(
    orphans: Sequence[registration.Held], *, worker_id: UUID, worker_name: str
) -> None:
    """Settle rows that say this worker runs them, though none of its runners does.

    One that PostgreSQL refuses is logged, and holds up no other.
    """
    error = WorkerLost(
        "Nobody runs it: the connection broke at the attempt's start, or its end was refused."
    )
    jobs = JobStatus.objects.filter(id__in=[orphan.job_id for orphan in orphans])
    claims = {orphan.job_id: orphan.claim for orphan in orphans}
    for job in jobs:
        if job.claim != claims[job.id]:
            continue
        try:
            outcome = verdict.of_loss(job, error)
            settle_lost(
                {job: outcome}, worker_name=worker_name, worker_id=worker_id, peak_memory=None
            )
        except DatabaseError as fault:
            if is_postgresql_away(fault):
                raise
            logger.error("Job %s can't be settled: %s", job.id, first_line(fault))  # noqa: TRY400 - with every heartbeat


def settle_lost(
    outcomes: dict[JobStatus, Outcome],
    *,
    worker_name: str,
    worker_id: UUID,
    peak_memory: int | None,
) -> list[Settled]:
    """Settle these attempts in somebody else's place, and tell Redis."""
    settled = settle(
        [
            Settlement(job_id=job.id, claim=job.claim, outcome=outcome, peak_memory=peak_memory)
            for job, outcome in outcomes.items()
        ]
    )
    by_id = {job.id: (job, outcome) for job, outcome in outcomes.items()}
    endings = []
    for end in settled:
        job, outcome = by_id[end.job_id]
        endings.append(announce.Ending(settled=end, outcome=outcome, job=job))
    announce.ended(endings, worker_name=worker_name, worker_id=worker_id)
    return settled


def _outcome(job: JobStatus, death: Death) -> Outcome:
    if str(job.id) in death.aboard.rides:
        return _outcome_of_ride(job, death)
    places = {attempt.job_id: place for place, attempt in enumerate(death.seen.batch)}
    place = places.get(str(job.id))
    if place is None or place >= death.seen.begun:
        # The first of a batch begins in the moment in which the batch stands on the board.
        return Unbegun()
    if death.running is not None and death.running.job_id == str(job.id):
        return _outcome_of_running(job, death)
    return _outcome_of_done(job, death)


def _outcome_of_running(job: JobStatus, death: Death) -> Outcome:
    if death.aboard.overdue is not None and death.cause is None:
        return neighbours.of_neighbour(job, death.aboard.overdue.job_id)
    return _outcome_of_stopped(job, death, death.cause)


def _outcome_of_ride(job: JobStatus, death: Death) -> Outcome:
    job_id, aboard = str(job.id), death.aboard
    reason = aboard.stopped_for(job_id)
    culprit_id = aboard.culprit(was_killed=death.cause is not None)
    if reason is None and culprit_id == job_id and aboard.overdue is not None:
        return neighbours.of_holder(job, aboard.overdue)
    if reason is None and culprit_id:
        return neighbours.of_neighbour(job, culprit_id)
    if reason is None and not aboard.is_suspect(job_id):
        return verdict.of_loss(job, WorkerLost(_describe(death)), counts=False)
    return _outcome_of_stopped(job, death, reason)


def _outcome_of_stopped(job: JobStatus, death: Death, reason: Reason | None) -> Outcome:
    match reason:
        case Reason.TIMEOUT:
            return _timed_out(job)
        case Reason.INTERRUPT:
            return verdict.of_interruption(job)
        case Reason.CANCEL:
            return Cancelled(reason="cancelled while it ran; its runner had to be killed")
        case None:
            return verdict.of_loss(job, WorkerLost(_describe(death)))


def _outcome_of_done(job: JobStatus, death: Death) -> Outcome:
    """Of a job that had ended before the death and wasn't settled: what killed it was another."""
    if death.cause is Reason.INTERRUPT:
        return verdict.of_interruption(job)
    error = WorkerLost(f"The job had ended, its end was not yet recorded. {_describe(death)}")
    return verdict.of_loss(job, error, counts=False)


def _timed_out(job: JobStatus) -> Outcome:
    kill_after = conf.current().kill_after.total_seconds()
    error = TimedOut(
        f"The attempt ran for longer than its timeout of {verdict.timeout_of(job)} and did not "
        f"stop within {kill_after:g} s more: its runner was killed."
    )
    outcome = verdict.of_error(job, error)
    assert isinstance(outcome, Failed)  # noqa: S101 - TimedOut is neither Snooze nor Cancel
    return outcome


def _describe(death: Death) -> str:
    if death.cause is not None or death.aboard.overdue is not None:
        return _describe_kill(death)
    if death.was_cut_off:
        return (
            "The runner could be heard no more, and was killed: it hung, or its job closed the "
            "files of the process or put another program in its place."
        )
    if death.code is None:
        return "The worker's mother process died, and the runner with her."
    memory = f"; its peak memory was {death.peak_memory / MIB:.0f} MiB" if death.peak_memory else ""
    if death.code >= 0:
        return (
            f"The runner's process exited with code {death.code} in the middle of the job{memory}."
        )
    name = _signal_name(-death.code)
    guess = ", perhaps by the kernel for want of memory" if name == "SIGKILL" else ""
    return f"The runner was killed by {name}{guess}{memory}."


def _describe_kill(death: Death) -> str:
    if death.aboard.overdue is not None:
        return neighbours.describe(death.aboard.overdue.job_id)
    return f"The job was stopped ({death.cause}) and its runner killed."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time one
