"""The rules of causes: what neither a fault nor its job explains loses or fails no attempt.

Without them a system that loses attempts for nothing would pass: it runs them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.chaos.evidence import Attempt, Evidence, Job
from tests.chaos.plan import LEASE_SECONDS, LOSE_NO_ATTEMPT, STRIKE_POSTGRES, Kind

LOST = (
    "An attempt is lost only to a fault that may have ended its runner, worker or connection, or "
    "to a neighbour in its runner."
)
FAILED = (
    "An attempt fails only of what its job raises, a loss, a stop, or a database that was away."
)
# What a fault has struck is not whole again at its end: a server starts, a worker registers.
RECOVERY = timedelta(seconds=LEASE_SECONDS)
RAISED = {
    "Flaky": {"ConnectionError"},
    "Frail": {"ConnectionError"},
    "Booking": {"ConnectionError"},
    "Doomed": {"RuntimeError"},
    "Overlong": {"TimedOut"},
    "AsyncFlaky": {"ConnectionError"},
    "AsyncOverlong": {"TimedOut"},
    "AsyncHold": {"LoopHeld"},
    "AsyncDeaf": {"TimedOut"},
}
# Whose runner is killed for it or by it, and how the culprit's attempt ends: by its own fault, or
# cancelled by a person whom it doesn't hear.
BAD_NEIGHBOURS = {"AsyncHold": "LoopHeld", "AsyncDeaf": "TimedOut", "DeadlyImport": "WorkerLost"}
# From the end of one that is lost to that of another, settled in the same statements or just after.
TOGETHER = timedelta(seconds=2)
OF_THE_DATABASE = {"OperationalError", "InterfaceError", "DatabaseError", "InternalError"}
LOSES = frozenset(Kind) - LOSE_NO_ATTEMPT


def wrongs(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Yield each broken rule with what breaks it."""
    job_by_id = {job.id: job for job in evidence.jobs}
    bad = [
        one
        for one in evidence.attempts
        if one.job_id in job_by_id and _is_bad_neighbour(one, job_by_id[one.job_id])
    ]
    for attempt in evidence.attempts:
        if attempt.error_class == "WorkerLost":
            if not (_was_struck(evidence, attempt, LOSES) or _had_bad_neighbour(attempt, bad)):
                yield LOST, _describe(attempt)
        elif attempt.outcome == "failed" and not _is_explained(
            evidence, attempt, job_by_id.get(attempt.job_id)
        ):
            yield FAILED, _describe(attempt)


def _is_explained(evidence: Evidence, attempt: Attempt, job: Job | None) -> bool:
    own = RAISED.get(job.job_class, set()) if job else set()
    if attempt.error_class in OF_THE_DATABASE:
        return _was_struck(evidence, attempt, STRIKE_POSTGRES)
    return attempt.error_class in own | {"Interrupted"}


def _is_bad_neighbour(attempt: Attempt, job: Job) -> bool:
    fault = BAD_NEIGHBOURS.get(job.job_class)
    if job.job_class == "DeadlyImport" and attempt.number > 1:
        return False
    return fault is not None and (attempt.error_class == fault or attempt.outcome == "cancelled")


def _had_bad_neighbour(attempt: Attempt, bad: list[Attempt]) -> bool:
    return any(
        one.started_at <= attempt.ended_at and abs(attempt.ended_at - one.ended_at) <= TOGETHER
        for one in bad
    )


def _was_struck(evidence: Evidence, attempt: Attempt, kinds: frozenset[Kind]) -> bool:
    return any(
        struck.kind in kinds
        and _at(struck.begun_at) <= attempt.ended_at
        and attempt.started_at <= _at(struck.ended_at) + RECOVERY
        for struck in evidence.struck
    )


def _describe(attempt: Attempt) -> str:
    return f"{attempt.job_id} {attempt} from {attempt.started_at} to {attempt.ended_at}"


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
