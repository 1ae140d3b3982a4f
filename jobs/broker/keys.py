"""Every Redis key of the house: rq's own, and ours beside them."""

from __future__ import annotations

import re

from rq.defaults import RQ_KEY_PREFIX as RQ

QUEUES = f"{RQ}:queues"
WORKERS = f"{RQ}:workers"
EPOCH = "jobs:epoch"  # gone after a flush: then the relay asks for every queued row
PROBE = "jobs:probe"  # stands for a millisecond: does Redis take writes?
SUSPENDED = f"{RQ}:suspended"
EXECUTION = f"{RQ}:execution:"  # before "<id>:<claim>"
ODD = "jobs:poison:entries"  # a list: what stood in a queue and can be nobody's id
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")


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


def wake_room(name: str) -> str:
    """Likewise, but only of runners with room for async jobs: others pass their token on to it."""
    return f"jobs:wake-room:{name}"


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


def registries(name: str) -> list[str]:
    """Of rq: all registries of a queue; the last three stay empty of our jobs."""
    others = [f"{RQ}:{kind}:{name}" for kind in ("scheduled", "deferred", "canceled")]
    return [started(name), finished(name), failed(name), *others]


def execution(job_id: object, claim: int) -> str:
    """Of rq: the hash of a running execution; its id is our claim."""
    return f"{EXECUTION}{job_id}:{claim}"


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


def poison(key: str) -> str:
    """Where what lay under one of our keys is put, when it isn't of the key's type."""
    return f"jobs:poison:{key}"


def is_entry_id(text: str) -> bool:
    """Whether `text` is what rq takes for a job's id; the script in claim.py asks the same."""
    return _ENTRY_ID.fullmatch(text) is not None


# What each key of the house holds. rq has further keys below a job's and a worker's.
_TYPES = [
    (re.compile(pattern, re.DOTALL), type_name)
    for pattern, type_name in [
        (rf"{RQ}:(queues|workers)|{RQ}:workers:.*|{RQ}:worker:.*:executions", "set"),
        (rf"{RQ}:queue:.*|jobs:(aside|wake|wake-room):.*|{ODD}", "list"),
        (rf"{RQ}:job:[^:]*|{RQ}:execution:.*|{RQ}:worker:.*|jobs:claims:.*", "hash"),
        (rf"{RQ}:(wip|finished|failed|deferred|scheduled|canceled):.*", "zset"),
        (rf"{RQ}:results:.*", "stream"),
        (EPOCH, "string"),
        # rq-scheduler's, whose prefix can't be set.
        ("rq:scheduler:scheduled_jobs", "zset"),
        ("rq:scheduler_instance:.*", "hash"),
    ]
]


def type_of(key: str) -> str | None:
    """Return the type that `key` must have, in Redis' words; None where it isn't the house's."""
    return next((name for pattern, name in _TYPES if pattern.fullmatch(key)), None)
