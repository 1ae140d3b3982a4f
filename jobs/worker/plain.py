"""A plain rq job in our queues: run as under rq, with rq's own bookkeeping. No row knows it."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis
from rq import Queue
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker

from jobs.broker import keys

logger = logging.getLogger("jobs.worker")

ENDLESS_SECONDS = 365 * 86_400


class _PlainWorker(SimpleWorker):
    """rq's own worker for one job, under the supervisor's name."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        # A job without a timeout would be declared abandoned after seven minutes.
        if job.timeout == -1:
            return ENDLESS_SECONDS
        return super().get_heartbeat_ttl(job, working_time)


def run(client: Redis, *, entry_id: str, queue_name: str, worker_name: str) -> str:
    """Run the rq job behind an entry that is no row's; return what became of it, in rq's words.

    An entry without a job hash is dropped, so is one of ours whose row is gone; one that isn't
    JSON is put aside in rq's failed registry: nothing is ever unpickled.
    """
    if client.hexists(keys.entry(entry_id), "claim"):
        logger.warning(
            "Entry %s of queue %s is a job without a row: dropped. Its row was deleted, or another "
            "site uses this Redis database.",
            entry_id,
            queue_name,
        )
        return "dropped"
    queue = Queue(queue_name, connection=client, serializer=JSONSerializer)
    try:
        job = Job.fetch(entry_id, connection=client, serializer=JSONSerializer)
        _ = job.func_name, job.args, job.kwargs  # decodes the data, where a pickle shows
    except NoSuchJobError:
        logger.info("Entry %s of queue %s has no job: dropped", entry_id, queue_name)
        return "dropped"
    except (DeserializationError, UnicodeDecodeError, ValueError, TypeError) as error:
        _put_aside(client, entry_id, queue_name)
        logger.error(  # noqa: TRY400 - what the entry holds is not for the log
            "Entry %s of queue %s is not JSON and was put aside as failed: %s. Enqueue with rq's "
            "JSONSerializer (RQ_QUEUES[...]['SERIALIZER']).",
            entry_id,
            queue_name,
            error,
        )
        return "failed"
    worker = _PlainWorker(
        [queue],
        name=worker_name,
        connection=client,
        prepare_for_work=False,
        serializer=JSONSerializer,
    )
    logger.info("Working on %s (plain rq job)", entry_id)
    worker.execute_job(job, queue)
    status: Any = job.get_status(refresh=True)
    logger.info("Job %s: %s (plain rq job)", entry_id, status)
    return str(status)


def _put_aside(client: Redis, entry_id: str, queue_name: str) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.hset(keys.entry(entry_id), mapping={"status": "failed", "origin": queue_name})
        pipe.zadd(keys.failed(queue_name), {entry_id: "+inf"})
        pipe.execute()
