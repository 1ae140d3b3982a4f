from __future__ import annotations

import pickle
import re
import zlib

import pytest
from redis import Redis

from jobs.broker import keys
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Echo
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

NOBODY = "01a20cb1-ece2-75b2-b161-375ea598a6c4"
QUEUE = keys.queue("default")

# What may stand in a queue without being anybody's job, and what the worker's log says of it.
ENTRIES = {
    "not UTF-8": (b"\xff\xfe\x00", r"can be no id were put aside, .*\\xff\\xfe"),
    "empty": (b"", r"can be no id were put aside, .*: b''"),
    "huge": (b"x" * 3_000_000, r"can be no id were put aside, .*xxxxxx"),
    "JSON": (b'{"id": 1}', r"can be no id were put aside, .*\"id\": 1"),
    "no row": (NOBODY.encode(), rf"Entry {NOBODY} of queue default has no job: dropped"),
    "an id in capitals": (NOBODY.upper().encode(), rf"Entry {NOBODY.upper()} .* has no job"),
}
# Job hashes of nobody: the entry's id, the hash, and what is said of it.
HASHES = {
    "another site's": ("foreign", {"claim": 3, "data": b"x"}, "is a job without a row: dropped"),
    "a pickle": (
        "pickle",
        {"data": zlib.compress(pickle.dumps(("os.getpid", None, (), {}))), "status": "queued"},
        "is not JSON and was put aside",
    ),
    "not a call": ("no-call", {"data": b'{"a": 1}', "status": "queued"}, "is not JSON"),
    "a status of nobody": ("status", {"data": b'["a",null,[],{}]', "status": "?"}, "can't be read"),
    "a number too many": (
        "number",
        {"data": b'["a",null,[],{}]', "status": "queued", "timeout": "9" * 5_000},
        "can't be read",
    ),
    "no data": ("no-data", {"status": "queued"}, "has no job: dropped"),
}


def all_completed() -> bool:
    return not JobStatus.objects.exclude(status="completed").exists()


def says_once(worker: Worker, pattern: str) -> bool:
    return len(re.findall(pattern, worker.log)) == 1


def test_garbage_between_jobs_is_put_aside_and_all_jobs_run(workers: Workers, redis: Redis):
    for entry, _ in ENTRIES.values():
        Echo.dispatch(value="before")
        redis.rpush(QUEUE, entry)
    for entry_id, fields, _ in HASHES.values():
        Echo.dispatch(value="before")
        redis.hset(keys.entry(entry_id), mapping=fields)
        redis.rpush(QUEUE, entry_id)
    Echo.dispatch(value="behind it all")

    worker = workers.run("default", "--burst")

    assert all_completed()
    assert JobAttempt.objects.count() == len(ENTRIES) + len(HASHES) + 1
    assert redis.llen(QUEUE) == 0
    for _, said in ENTRIES.values():
        assert says_once(worker, said), said
    for entry_id, _, said in HASHES.values():
        assert says_once(worker, rf"Entry {entry_id} of queue default {said}"), said
    assert redis.llen(keys.ODD) == 4


def keys_of_the_house(worker: Worker) -> list[str]:
    row = worker.row
    return [
        QUEUE,
        keys.wake("default"),
        keys.claims(row.id),
        keys.EPOCH,
        keys.QUEUES,
        keys.WORKERS,
        keys.workers_of("default"),
        keys.worker(row.name),
        keys.worker_executions(row.name),
        *keys.registries("default"),
    ]


def test_a_key_of_another_type_is_put_aside_and_the_queue_goes_on(workers: Workers, redis: Redis):
    worker = workers.start("default", heartbeat=0.5)
    Echo.dispatch(value="the first")
    wait.until("the first job", all_completed)
    house = keys_of_the_house(worker)
    for key in house:
        wrong = "list" if keys.type_of(key) != "list" else "string"
        redis.eval(PLANT, 1, key, wrong)
        Echo.dispatch(value=key)
        wait.until(f"the job beside a planted {key}", all_completed)
        wait.until(f"{key} put aside", lambda key=key: redis.exists(keys.poison(key)))
    redis.set(keys.SUSPENDED, "1")  # nobody takes the next one before it is planted
    job = Echo.dispatch(value="the last")
    redis.eval(PLANT, 1, keys.entry(job.id), "string")
    redis.delete(keys.SUSPENDED)

    wait.until("all completed", all_completed)

    # The dashboard is told of an end after its commit.
    wait.until("the entry put aside", lambda: redis.exists(keys.poison(keys.entry(job.id))))
    assert JobAttempt.objects.count() == len(house) + 2
    assert worker.process.poll() is None
    assert "unreachable" not in worker.log.lower()


# In one step: the worker may be about to write the key.
PLANT = """
redis.call('DEL', KEYS[1])
if ARGV[1] == 'list' then redis.call('RPUSH', KEYS[1], 'x') else redis.call('SET', KEYS[1], 'x') end
"""
