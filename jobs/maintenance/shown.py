"""What the dashboard shows of jobs, told anew after a flush; workers show themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import JSONField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Left

from jobs import conf, registry
from jobs.broker import client as broker_client
from jobs.broker import past, push, registries
from jobs.broker.client import Client
from jobs.broker.past import Past
from jobs.broker.registries import Ended, Started
from jobs.models import JobAttempt, JobStatus, JobWorker, clock
from jobs.statuses import Status

# How long rq's registries keep an end, and how many of each class are told anew.
WINDOWS = {
    Status.COMPLETED: timedelta(seconds=registries.FINISHED_SECONDS),
    Status.FAILED: timedelta(seconds=registries.FAILED_SECONDS),
}
NEWEST = 200  # of each class
NEWEST_IN_ALL = 1_000
TOLD_AT_ONCE = 100
MAX_TEXT = 4_096  # characters of a traceback
MAX_BYTES = registries.MAX_SHOWN_RESULT_BYTES  # of params or result; larger ones stay in their row


def tell_anew() -> int:
    """Show what runs, and what ended lately, where Redis knows nothing of it; return how many.

    Reads rows only, a bounded number of them: by `job_statuses_by_status` and `job_statuses_ended`.

    Raises:
        broker.client.Unreachable: Redis is down or hangs; the next check of all rows tells it.
    """
    redis = broker_client.for_work()
    return _tell_running(redis) + sum(_tell_ended(redis, status) for status in WINDOWS)


def _tell_running(redis: Client) -> int:
    jobs = list(
        JobStatus.objects.filter(
            status=Status.STARTED, worker__dead_at=None, worker__stopped_at=None
        ).select_related("worker")
    )
    unknown = past.unknown(redis, [job.id for job in jobs])
    started_by_worker: dict[JobWorker, list[Started]] = {}
    for job in jobs:
        # What ends meanwhile is shown as running for a moment, until the rescue looks.
        if job.id in unknown and job.worker is not None:
            started_by_worker.setdefault(job.worker, []).append(_started(job))
    for worker, started in started_by_worker.items():
        registries.record_start(
            redis, worker_name=worker.name, worker_id=worker.id, started=started
        )
    return sum(map(len, started_by_worker.values()))


def _started(job: JobStatus) -> Started:
    spec = registry.find(job.job_class)
    timeout = conf.current().timeout if spec is None or spec.timeout is None else spec.timeout
    return Started(
        job_id=job.id,
        queue=job.queue,
        claim=job.claim,
        data=push.description(job.job_class, registry.shown_params(job.job_class, job.params)),
        created_at=job.created_at,
        timeout_seconds=timeout.total_seconds(),
        started_at=job.started_at,
    )


def _tell_ended(redis: Client, status: Status) -> int:
    newest = sorted(
        (row for spec in registry.specs() for row in _newest(spec.name, status)),
        key=lambda row: row["finished_at"],
    )[-NEWEST_IN_ALL:]
    unknown = past.unknown(redis, [row["id"] for row in newest])
    rows = [row for row in newest if row["id"] in unknown]
    for start in range(0, len(rows), TOLD_AT_ONCE):
        past.show(redis, list(_past(rows[start : start + TOLD_AT_ONCE], status)))
    return len(rows)


def _newest(job_class: str, status: Status) -> list[dict[str, Any]]:
    rows = (
        JobStatus.objects.filter(
            job_class=job_class, status=status, finished_at__gt=clock.read() - WINDOWS[status]
        )
        .order_by("-finished_at")
        .annotate(small_params=_if_small("params"), small_result=_if_small("result"))
        .values(
            *("id", "queue", "claim", "job_class", "created_at", "started_at", "finished_at"),
            *("error", "small_params", "small_result"),
        )
    )
    return list(rows[:NEWEST])


def _if_small(column: str) -> RawSQL:
    return RawSQL(
        f"CASE WHEN pg_column_size({column}) <= %s THEN {column} END",
        (MAX_BYTES,),
        output_field=JSONField(),
    )


def _past(rows: list[dict[str, Any]], status: Status) -> Iterator[Past]:
    attempts = _attempts([row["id"] for row in rows])
    for row in rows:
        attempt: Mapping[str, Any] = attempts.get((row["id"], row["claim"]), {})
        params = row["small_params"]
        shown = {} if params is None else registry.shown_params(row["job_class"], params)
        yield Past(
            ended=Ended(
                job_id=row["id"],
                queue=row["queue"],
                claim=row["claim"],
                status=status,
                working_seconds=0.0,
                result=row["small_result"],
                error=attempt.get("text") or row["error"],
            ),
            data=push.description(row["job_class"], shown),
            worker_name=attempt.get("worker_name", ""),
            created_at=row["created_at"],
            started_at=row["started_at"] or row["finished_at"],
            ended_at=row["finished_at"],
        )


def _attempts(ids: list[UUID]) -> dict[tuple[UUID, int], Mapping[str, Any]]:
    attempts = JobAttempt.objects.filter(job__in=ids).annotate(text=Left("traceback", MAX_TEXT))
    rows: Iterable[Mapping[str, Any]] = attempts.values("job_id", "claim", "worker_name", "text")
    return {(row["job_id"], row["claim"]): row for row in rows}
