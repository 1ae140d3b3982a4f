"""Gather the evidence: rows, the jobs' own traces, ledgers, what is left in Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import connection
from redis import Redis

from jobs import conf, models
from jobs.models import JobAttempt, JobRejectedRow, JobStatus, ScheduleRun
from tests.chaos import ledger
from tests.chaos.evidence import (
    Attempt,
    Backfill,
    Claim,
    Evidence,
    Exit,
    Import,
    Job,
    Run,
    Struck,
    Tick,
)
from tests.chaos.traced import EFFECTS

# Redis keys that hold an entry somewhere on its way, and how to count what is in them.
_ON_THE_WAY = {
    "rq:queue:*": "llen",
    "jobs:aside:*": "llen",
    "jobs:claims:*": "hlen",
    "rq:wip:*": "zcard",
}


def collect(
    folder: Path,
    redis_url: str,
    *,
    struck: tuple[Struck, ...],
    exits: tuple[Exit, ...],
    ticking_ended_at: datetime,
) -> Evidence:
    """Return all that is judged; everything must have come to rest."""
    units, requests = ledger.read(folder)
    return Evidence(
        jobs=tuple(_jobs()),
        attempts=tuple(_attempts()),
        runs=tuple(_runs(folder / EFFECTS)),
        writes=_claims("chaos_writes"),
        marks=_claims("chaos_marks"),
        imports=tuple(_imports()),
        units=tuple(units),
        requests=tuple(requests),
        ticks=tuple(_ticks()),
        backfills=tuple(_backfills()),
        backfilled=(settings.BACKFILLED,),
        every={name: entry["every"] for name, entry in settings.JOB_SCHEDULES.items()},
        ticking_ended_at=ticking_ended_at,
        struck=struck,
        leftovers=tuple(leftovers(redis_url)),
        exits=exits,
        max_losses=conf.current().max_losses,
    )


def leftovers(redis_url: str) -> list[str]:
    """Return the keys in Redis that still hold an entry, and how many."""
    found = []
    with Redis.from_url(redis_url, decode_responses=True) as client:
        for pattern, count in _ON_THE_WAY.items():
            for key in client.scan_iter(match=pattern, count=1000):
                held = getattr(client, count)(key)
                if held:
                    found.append(f"{key} holds {held}")
    return sorted(found)


def _jobs() -> Iterator[Job]:
    for job in JobStatus.objects.order_by("id").iterator():
        yield Job(
            id=str(job.id),
            job_class=job.job_class,
            status=job.status,
            token=job.params.get("token", ""),
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            finished_at=job.finished_at,
            cancel_requested_at=job.cancel_requested_at,
            schedule=job.schedule,
            logical_time=job.logical_time,
            error=job.error,
        )


def _attempts() -> Iterator[Attempt]:
    for attempt in JobAttempt.objects.order_by("job_id", "claim").iterator():
        yield Attempt(
            job_id=str(attempt.job_id),
            claim=attempt.claim,
            number=attempt.number,
            outcome=attempt.outcome,
            status=attempt.status,
            error_class=attempt.error_class,
            result_of=(attempt.result or {}).get("claim"),
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
        )


def _imports() -> Iterator[Import]:
    for job in JobStatus.objects.filter(params__has_key="numbers").order_by("id"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT number FROM chaos_loads WHERE job_id = %s", [job.id])
            loaded = Counter(number for (number,) in cursor.fetchall())
        rejected = JobRejectedRow.objects.filter(job=job).order_by("number")
        yield Import(
            job_id=str(job.id),
            numbers=job.params["numbers"],
            loaded=loaded,
            rejected=tuple(rejected.values_list("position", flat=True)),
            counts=(job.result or {}).get("result"),
        )


def _ticks() -> Iterator[Tick]:
    for run in ScheduleRun.objects.order_by("schedule_name", "logical_time"):
        yield Tick(
            schedule=run.schedule_name,
            logical_time=run.logical_time,
            created_at=run.created_at,
            outcome=run.outcome,
            job_id=str(run.job_id) if run.job_id else None,
            backfill=run.backfill_id,
        )


def _backfills() -> Iterator[Backfill]:
    for row in models.Backfill.objects.order_by("id"):
        yield Backfill(
            id=row.pk,
            schedule=row.schedule_name,
            from_at=row.from_at,
            to_at=row.to_at,
            max_active=row.max_active,
            status=row.status,
            reason=row.reason,
            made=row.made,
            passed=row.passed,
        )


def _runs(path: Path) -> Iterator[Run]:
    counts: dict[Claim, Counter[str]] = {}
    for line in path.read_text(encoding="ascii").splitlines():
        what, job_id, claim = line.split()
        counts.setdefault((job_id, int(claim)), Counter())[what] += 1
    for (job_id, claim), count in sorted(counts.items()):
        yield Run(job_id=job_id, claim=claim, begins=count["begin"], ends=count["end"])


def _claims(table: str) -> tuple[Claim, ...]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT job_id::text, claim FROM {table} ORDER BY 1, 2")
        return tuple(cursor.fetchall())
