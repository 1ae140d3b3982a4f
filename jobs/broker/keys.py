"""Every Redis key of the house: rq's own, and ours beside them."""

from __future__ import annotations

from rq.defaults import RQ_KEY_PREFIX as RQ

QUEUES = f"{RQ}:queues"
WORKERS = f"{RQ}:workers"
EPOCH = "jobs:epoch"  # gone after a flush: then the relay asks for every queued row
PROBE = "jobs:probe"  # stands for a millisecond: does Redis take writes?
SUSPENDED = f"{RQ}:suspended"


def queue(name: str) -> str:
    """The list of a queue's ids, head first."""
    return f"{RQ}:queue:{name}"


def entry(job_id: object) -> str:
    """The hash beside the id: rq's fields for the dashboard, and the row's claim."""
    return f"{RQ}:job:{job_id}"


def aside(name: str) -> str:
    """What lay in a queue's list when the relay began to refill it; empty but for that moment."""
    return f"jobs:aside:{name}"


def wake(name: str) -> str:
    """A list of at most one token: an idle runner blocks on it."""
    return f"jobs:wake:{name}"


def claims(worker_id: object) -> str:
    """A hash of what a worker has taken and not started: id -> queue."""
    return f"jobs:claims:{worker_id}"


def started(name: str) -> str:
    """Of rq: the started registry, "<id>:<execution>" -> expiry."""
    return f"{RQ}:wip:{name}"


def finished(name: str) -> str:
    """Of rq: the finished registry: id -> expiry."""
    return f"{RQ}:finished:{name}"


def failed(name: str) -> str:
    """Of rq: the failed registry: id -> expiry."""
    return f"{RQ}:failed:{name}"


def execution(job_id: object, claim: int) -> str:
    """Of rq: the hash of a running execution; its id is our claim."""
    return f"{RQ}:execution:{job_id}:{claim}"


def results(job_id: object) -> str:
    """Of rq: the stream of a job's results."""
    return f"{RQ}:results:{job_id}"


def worker(name: str) -> str:
    """Of rq: the hash of a worker."""
    return f"{RQ}:worker:{name}"


def worker_executions(name: str) -> str:
    """Of rq: the set of what a worker is running."""
    return f"{RQ}:worker:{name}:executions"


def workers_of(queue_name: str) -> str:
    """Of rq: the set of the workers of a queue."""
    return f"{RQ}:workers:{queue_name}"


def commands(worker_name: str) -> str:
    """Of rq: the channel of commands to a worker."""
    return f"{RQ}:pubsub:{worker_name}"
