"""What departed workers left in Redis: claims go back, the dashboard is told the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from jobs import conf
from jobs.broker import claim, departed, registries
from jobs.broker import client as broker_client
from jobs.broker.client import Client
from jobs.broker.departed import Departed, Running
from jobs.broker.registries import Ended
from jobs.models import JobStatus, JobWorker, clock
from jobs.models.job_status import job_ids
from jobs.statuses import Status

# The worker tells Redis of an end just after the row has it; later, it was cut off.
_TOLD_WITHIN = timedelta(seconds=5)


def clear(workers: Iterable[Departed]) -> None:
    """Put back what these ended workers claimed, and show them no longer.

    Call when their started rows are settled.

    Raises:
        broker.client.Unreachable: Some of it remains; the next call clears it.
    """
    listed = list(workers)
    if not listed:
        return
    redis = broker_client.for_work()
    for worker in departed.with_claims(redis, listed):
        _put_back(redis, worker.worker_id)
    shown = departed.still_shown(redis, listed)
    # A living worker of the same name has taken over the name's keys.
    living = JobWorker.objects.filter(stopped_at=None, dead_at=None)
    taken = set(
        living.filter(name__in={item.name for item in shown}).values_list("name", flat=True)
    )
    for worker in shown:
        if worker.name not in taken:
            registries.drop_worker(redis, name=worker.name, queues=worker.queues)


def _put_back(redis: Client, worker_id: UUID) -> None:
    held = list(claim.held(redis, worker_id))
    ours = JobStatus.objects.filter(id__in=job_ids(held)).order_by("due_at", "id")
    ids = [str(job_id) for job_id in ours.values_list("id", flat=True)]
    claim.put_back(redis, worker_id, list(dict.fromkeys([*ids, *held])))


def show_ends() -> int:
    """Tell the dashboard the end of attempts that it shows as running though their rows say no.

    Nobody told it: their worker died first, or Redis was away. Returns how many.
    """
    redis = broker_client.for_work()
    shown = departed.running(redis, conf.current().queues)
    if not shown:
        return 0
    jobs = JobStatus.objects.defer("params")  # a megabyte each, of all that runs, every few seconds
    job_by_id = jobs.in_bulk([attempt.job_id for attempt in shown])
    settled_before = clock.read() - _TOLD_WITHIN
    ended_by_worker: dict[str, list[Ended]] = {}
    for attempt in shown:
        job = job_by_id.get(attempt.job_id)
        if job is not None and (_is_running(job, attempt) or job.updated_at > settled_before):
            continue
        ended_by_worker.setdefault(attempt.worker_name, []).append(_end(job, attempt))
    _record(redis, ended_by_worker)
    return sum(map(len, ended_by_worker.values()))


def _record(redis: Client, ended_by_worker: Mapping[str, Sequence[Ended]]) -> None:
    for name, ended in ended_by_worker.items():
        registries.record_end(redis, worker_name=name, ended=ended)


def _is_running(job: JobStatus, attempt: Running) -> bool:
    return job.status == Status.STARTED and job.claim == attempt.claim


def _end(job: JobStatus | None, attempt: Running) -> Ended:
    # A job that was queued or started since has an entry of its own again, which must stay; that of
    # a deleted job must not.
    if job is None:
        status = Status.CANCELLED
    else:
        status = Status(job.status) if job.claim == attempt.claim else Status.QUEUED
    return Ended(
        job_id=attempt.job_id,
        queue=attempt.queue,
        claim=attempt.claim,
        status=status,
        working_seconds=0.0,
        result=None if job is None else job.result,
        error="" if job is None else job.error,
    )
