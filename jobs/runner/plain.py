"""A plain rq job in our queues: run as under rq, with rq's own bookkeeping. No row knows it."""

from __future__ import annotations

import logging

from redis import Redis
from rq import Queue
from rq.exceptions import (
    DeserializationError,
    InvalidJobOperation,
    NoSuchJobError,
    TimeoutFormatError,
)
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker

from jobs.broker import keys, poison

logger = logging.getLogger("jobs.worker")

ENDLESS_SECONDS = 365 * 86_400.0
DEFAULT_TIMEOUT = Queue.DEFAULT_TIMEOUT

# What reading a job hash raises that isn't rq's: anybody may have written it.
_UNREADABLE = (
    DeserializationError,
    InvalidJobOperation,
    TimeoutFormatError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class _PlainWorker(SimpleWorker):
    """rq's own worker for one job, under the supervisor's name."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        # A job without a timeout would be declared abandoned after seven minutes.
        if job.timeout == -1:
            return int(ENDLESS_SECONDS)
        return super().get_heartbeat_ttl(job, working_time)


def find(client: Redis, *, entry_id: str, queue_name: str) -> Job | None:
    """Return the rq job behind an entry that is no row's; None, logged, where nobody can run it.

    An entry without a job hash is dropped, so is one of ours whose row is gone; a hash that rq
    can't read is put aside, one whose call isn't JSON into rq's failed registry: nothing is ever
    unpickled.
    """
    if client.hexists(keys.entry(entry_id), "claim"):
        # Whose row it is, if it is another site's, pushes it again: the entry is gone.
        client.delete(keys.entry(entry_id))
        logger.warning(
            "Entry %s of queue %s is a job without a row: dropped. Its row was deleted, or another "
            "site uses this Redis database.",
            entry_id,
            queue_name,
        )
        return None
    try:
        job = Job.fetch(entry_id, connection=client, serializer=JSONSerializer)
    except NoSuchJobError:
        logger.info("Entry %s of queue %s has no job: dropped", entry_id, queue_name)
        return None
    except _UNREADABLE as error:
        poison.put_aside(client, keys.entry(entry_id))
        logger.error(  # noqa: TRY400 - what the entry holds is not for the log
            "Entry %s of queue %s can't be read by rq and was put aside: %s",
            entry_id,
            queue_name,
            type(error).__name__,
        )
        return None
    try:
        _ = job.func_name, job.args, job.kwargs  # decodes the data, where a pickle shows
    except _UNREADABLE:
        _show_as_failed(client, entry_id, queue_name)
        logger.error(  # noqa: TRY400 - what the entry holds is not for the log
            "Entry %s of queue %s is not JSON and was put aside as failed. Enqueue with rq's "
            "JSONSerializer (RQ_QUEUES[...]['SERIALIZER']).",
            entry_id,
            queue_name,
        )
        return None
    return job


def timeout_seconds(job: Job) -> float:
    """Return after how long the supervisor may kill the job; rq's own timeout comes first."""
    return ENDLESS_SECONDS if job.timeout == -1 else float(job.timeout or DEFAULT_TIMEOUT)


def run(client: Redis, job: Job, *, queue_name: str, worker_name: str) -> str:
    """Run a plain rq job; return what became of it, in rq's words."""
    logger.info("Working on %s (plain rq job)", job.id)
    _worker(client, queue_name, worker_name).execute_job(job, _queue(client, queue_name))
    status = str(job.get_status(refresh=True).value)
    logger.info("Job %s: %s (plain rq job)", job.id, status)
    return status


def record_loss(client: Redis, *, entry_id: str, worker_name: str, why: str) -> None:
    """Fail a plain rq job whose runner died, as rq does for its own; leave anything else alone."""
    try:
        if _fail_started(client, entry_id=entry_id, worker_name=worker_name, why=why):
            logger.error("Job %s: failed: %s (plain rq job)", entry_id, why)
    except NoSuchJobError:
        return
    except _UNREADABLE as error:
        logger.error(  # noqa: TRY400 - what the entry holds is not for the log
            "Entry %s can't be read by rq and was left alone: %s", entry_id, type(error).__name__
        )


def _fail_started(client: Redis, *, entry_id: str, worker_name: str, why: str) -> bool:
    job = Job.fetch(entry_id, connection=client, serializer=JSONSerializer)
    if client.hexists(keys.entry(entry_id), "claim") or job.get_status() != JobStatus.STARTED:
        return False
    worker = _worker(client, job.origin, worker_name)
    execution = next((one for one in job.get_executions()), None)
    worker.handle_job_failure(job, _queue(client, job.origin), exc_string=why, execution=execution)
    return True


def _queue(client: Redis, name: str) -> Queue:
    return Queue(name, connection=client, serializer=JSONSerializer)


def _worker(client: Redis, queue_name: str, worker_name: str) -> _PlainWorker:
    return _PlainWorker(
        [_queue(client, queue_name)],
        name=worker_name,
        connection=client,
        prepare_for_work=False,
        serializer=JSONSerializer,
    )


def _show_as_failed(client: Redis, entry_id: str, queue_name: str) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.hset(keys.entry(entry_id), mapping={"status": "failed", "origin": queue_name})
        pipe.zadd(keys.failed(queue_name), {entry_id: "+inf"})
        pipe.execute()
