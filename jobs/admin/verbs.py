"""What a person may do to jobs from the admin, and the sentence that says what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from jobs.lifecycle import control
from jobs.lifecycle.control import Moved
from jobs.models import JobStatus
from jobs.statuses import LIVING, TERMINAL, Status

MAX_AT_ONCE = 10_000  # jobs of one click
_BATCH = 1_000  # jobs of one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One thing to do to jobs."""

    name: str  # in addresses and forms
    label: str  # on a button
    sources: frozenset[Status]  # on jobs of these statuses it is offered
    done: str  # "3 jobs <done>."
    takes_reason: bool = False
    is_dangerous: bool = False

    def fits(self, job: JobStatus) -> bool:
        """Whether the verb is offered for `job`."""
        return job.status in self.sources and not (self.takes_reason and not job.is_cancellable)


RETRY = Verb(
    name="retry",
    label="Retry",
    sources=frozenset({Status.FAILED, Status.CANCELLED}),
    done="queued for another attempt",
)
RUN_AGAIN = Verb(
    name="run-again",
    label="Run again",
    sources=frozenset({Status.COMPLETED}),
    done="queued to run again",
    is_dangerous=True,
)
CANCEL = Verb(
    name="cancel",
    label="Cancel",
    sources=LIVING,
    done="cancelled",
    takes_reason=True,
    is_dangerous=True,
)
# Of the django-rq dashboard: it knows only one word for both.
REQUEUE = Verb(name="requeue", label="Requeue", sources=TERMINAL, done="queued for another attempt")
BY_NAME = {verb.name: verb for verb in (RETRY, RUN_AGAIN, CANCEL)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the jobs, for people."""

    moved: list[UUID]
    sentences: list[str]
    has_refusals: bool


def apply(verb: Verb, job_ids: Sequence[UUID], *, by: str, reason: str = "") -> Report:
    """Do `verb` to the named jobs, `_BATCH` in a transaction, and say what became of them.

    A job whose status is not among the verb's sources is left alone: "run again" is another verb
    than "retry", so that a retry of a whole list never repeats what was done.
    """
    moved: list[UUID] = []
    asked: list[UUID] = []
    for start in range(0, len(job_ids), _BATCH):
        batch = job_ids[start : start + _BATCH]
        fitting = list(
            JobStatus.objects.filter(id__in=batch, status__in=verb.sources)
            .order_by("id")
            .values_list("id", flat=True)
        )
        done = _DO[verb.name](fitting, by, reason)
        moved += done.moved
        asked += done.asked
    refused = set(job_ids) - set(moved) - set(asked)
    return Report(
        moved=[*moved, *asked],
        sentences=_sentences(verb, moved, asked, refused),
        has_refusals=bool(refused),
    )


def _retry(job_ids: Sequence[UUID], by: str, _reason: str) -> Moved:
    return control.retry(job_ids, by=by)


def _cancel(job_ids: Sequence[UUID], by: str, reason: str) -> Moved:
    return control.cancel(job_ids, by=by, reason=reason)


_DO: dict[str, Callable[[Sequence[UUID], str, str], Moved]] = {
    RETRY.name: _retry,
    RUN_AGAIN.name: _retry,
    REQUEUE.name: _retry,
    CANCEL.name: _cancel,
}


def _sentences(
    verb: Verb, moved: Sequence[UUID], asked: Sequence[UUID], refused: set[UUID]
) -> list[str]:
    sentences = []
    if moved:
        sentences.append(f"{_jobs(len(moved))} {verb.done}.")
    if asked:
        sentences.append(f"{_jobs(len(asked))} asked to stop: the worker will see it in a moment.")
    if refused:
        sentences.append(f"{_jobs(len(refused))} left alone: {_why(refused)}.")
    return sentences or ["No job was named."]


def _why(refused: set[UUID]) -> str:
    rows = JobStatus.objects.filter(id__in=refused).values_list("status", "cancel_requested_at")
    kinds = Counter(
        "asked to stop before" if requested and status == Status.STARTED else status
        for status, requested in rows
    )
    gone = len(refused) - kinds.total()
    parts = [f"{count} {_is(count)} {kind}" for kind, count in sorted(kinds.items())]
    if gone:
        parts.append(f"{gone} {_is(gone)} gone")
    return ", ".join(parts)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"
