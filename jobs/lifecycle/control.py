"""What people do to a living or ended job: cancel it, retry it, run it again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.expressions import RawSQL
from django.db.models.functions import Greatest

from jobs import json_values
from jobs.dispatch import advance, outbox
from jobs.lifecycle import checkpoint
from jobs.models import JobDependency, JobQuerySet, JobStatus, clock, locking
from jobs.statuses import TERMINAL, HeldBy, Status, sources
from jobs.workflows import revive

logger = logging.getLogger("jobs.lifecycle")

MAX_REASON_BYTES = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of the jobs that somebody named, in no order."""

    moved: list[UUID]  # now in the status asked for
    asked: list[UUID]  # started: the cancel stands on the row, the worker will see it
    refused: list[UUID]  # their status forbids it, or they are gone


def retry(job_ids: Sequence[UUID], *, by: str) -> Moved:
    """Give ended jobs one more attempt: completed, failed, cancelled -> queued.

    Opens its own transaction, which is repeated when it is a deadlock's victim. Keeps every
    attempt; resets the losses. What was cancelled because one of them had failed or was cancelled
    waits for it again: cancelled -> waiting.

    Args:
        job_ids: Jobs in any status; those that haven't ended are refused.
        by: Who asks, for the log.
    """
    jobs = locking.repeat_on_conflict(lambda: _retry(job_ids))
    for job in jobs:
        logger.info("Job %s: retried by %s", job.id, by, extra={"job_id": str(job.id)})
    moved = [job.id for job in jobs]
    return Moved(moved=moved, asked=[], refused=_rest(job_ids, moved))


def _retry(job_ids: Sequence[UUID]) -> list[JobStatus]:
    with transaction.atomic():
        named = JobStatus.objects.filter(id__in=job_ids)
        named.lock()
        jobs = _queued_again(named)
        revive.branch_of([job.id for job in jobs])
    return jobs


def repeat(job_ids: Sequence[UUID], *, by: str) -> Moved:
    """Give ended jobs of workflows one more attempt, each in its turn.

    Those of which a parent is among them, or lives, wait for it: completed, failed, cancelled ->
    waiting. The others are retried: -> queued. Opens its own transaction, or joins the caller's.

    Args:
        job_ids: Jobs in any status; those that haven't ended are refused.
        by: Who asks, for the log.
    """
    moved = locking.repeat_on_conflict(lambda: _repeat(job_ids))
    for job_id in moved:
        logger.info("Job %s: repeated by %s", job_id, by, extra={"job_id": str(job_id)})
    return Moved(moved=moved, asked=[], refused=_rest(job_ids, moved))


def _repeat(job_ids: Sequence[UUID]) -> list[UUID]:
    with transaction.atomic():
        ended = JobStatus.objects.filter(id__in=job_ids, status__in=TERMINAL).lock()
        edges = JobDependency.objects.filter(job__in=ended)
        to_end = edges.filter(Q(parent__in=ended) | Q(parent__finished_at=None))
        # A parent that ends just now releases nothing: then the duty does.
        behind = set(to_end.values_list("job_id", flat=True))
        # Else a later retry of the parent would revive what a person had cancelled meanwhile.
        edges.filter(job__in=behind).update(broken_claim=None)
        held = JobStatus.objects.filter(id__in=behind)
        outbox.withdraw_on_commit(list(held.only("id", "queue")))
        _begin_anew(held)
        moved = held.move(Status.WAITING, sources=TERMINAL, held_by=HeldBy.DEPENDENCY, **_fresh())
        jobs = _queued_again(JobStatus.objects.filter(id__in=set(ended) - behind))
        revive.branch_of([job.id for job in jobs])
    return [*moved, *(job.id for job in jobs)]


def _queued_again(named: JobQuerySet) -> list[JobStatus]:
    _begin_anew(named)
    moved = named.move(Status.QUEUED, sources=TERMINAL, **_fresh())
    rows = JobStatus.objects.filter(id__in=moved).only(*outbox.PUSHED, "status")
    jobs = list(rows.order_by("id"))
    outbox.withdraw_on_commit(jobs)
    outbox.push_on_commit(outbox.entries_of(jobs))
    return jobs


def _begin_anew(named: JobQuerySet) -> None:
    # What failed goes on where it stopped; what completed begins anew.
    completed = named.filter(status=Status.COMPLETED)
    checkpoint.forget(list(completed.values_list("id", flat=True)))


def _fresh() -> dict[str, Any]:
    return {
        "max_attempts": Greatest(F("max_attempts"), F("attempt") + 1),
        "losses": 0,
        "interruptions": 0,
        "due_at": RawSQL(clock.NOW, ()),
        "finished_at": None,
        "cancel_requested_at": None,
        "cancel_requested_by": "",
        "cancel_reason": "",
        "result": None,
        "error": "",
        "progress": None,
    }


def cancel(job_ids: Sequence[UUID], *, by: str, reason: str = "") -> Moved:
    """Stop jobs on purpose: everything not ended -> cancelled.

    Opens its own transaction, which is repeated when it is a deadlock's victim. A started job is
    only asked: the request stands on its row, and every end but completed becomes cancelled. What
    depends on a cancelled job goes on as after a failed one.

    Args:
        job_ids: Jobs in any status; those that have ended, or were asked before, are refused.
        by: Who asks; kept on the row.
        reason: Why, for people; kept on the row, in one line, at most MAX_REASON_BYTES.
    """
    reason = " ".join(json_values.cleaned(reason, limit_bytes=MAX_REASON_BYTES).split())
    request: dict[str, Any] = {
        "cancel_requested_at": RawSQL(clock.NOW, ()),
        "cancel_requested_by": by[:150],
        "cancel_reason": reason,
    }
    moved, asked = locking.repeat_on_conflict(
        lambda: _cancel(job_ids, request, error=_why(by, reason))
    )
    for job_id in moved:
        logger.info("Job %s: cancelled by %s", job_id, by, extra={"job_id": str(job_id)})
    for job_id in asked:
        logger.info("Job %s: its cancel was asked by %s", job_id, by, extra={"job_id": str(job_id)})
    return Moved(moved=moved, asked=asked, refused=_rest(job_ids, moved + asked))


def _cancel(
    job_ids: Sequence[UUID], request: dict[str, Any], *, error: str
) -> tuple[list[UUID], list[UUID]]:
    with transaction.atomic():
        named = JobStatus.objects.filter(id__in=job_ids)
        # Before anything is decided: a started job that its worker settles to `retrying` between
        # the move and the request would be neither cancelled nor asked.
        named.living().lock()
        moved = named.move(
            Status.CANCELLED,
            sources=sources(Status.CANCELLED) - {Status.STARTED},
            # The wall's: an attempt may have begun and ended while we waited for its row.
            finished_at=RawSQL(clock.WALL, ()),
            held_by="",
            error=error,
            **request,
        )
        asked = named.request_cancel(request)
        # Of each a few words: a whole row may be two megabytes.
        ended = list(JobStatus.objects.filter(id__in=moved).only("id", "queue", "has_dependents"))
        outbox.withdraw_on_commit(ended)
        advance.follow([job.id for job in ended if job.has_dependents])
        running = JobStatus.objects.filter(id__in=asked).select_related("worker")
        outbox.stop_on_commit(list(running.only("id", "claim", "worker__name")))
    return moved, asked


def _why(by: str, reason: str) -> str:
    return f"cancelled by {by}: {reason}" if reason else f"cancelled by {by}"


def _rest(job_ids: Sequence[UUID], done: Sequence[UUID]) -> list[UUID]:
    gone_on = set(done)
    return [job_id for job_id in job_ids if job_id not in gone_on]
