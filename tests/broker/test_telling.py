"""What the dashboard is told of attempts: in one round trip, with the next claim, and all of it."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from jobs.broker import claim, keys, push, registries
from jobs.broker.registries import Described, Ended, Started
from jobs.broker.seldom import Seldom
from jobs.statuses import Status

pytestmark = [pytest.mark.redis]

WORKER = UUID(int=1)
NAME = "worker-ä"
CREATED, BEGAN, ENDED = (datetime(2026, 1, 1, 12, second, 0, 1_500, UTC) for second in (0, 1, 2))
DATA = push.description("Echo", {"value": "x" * 300})


def pushed(redis: Redis, count: int = 1) -> list[UUID]:
    ids = [uuid4() for _ in range(count)]
    entries = [push.Entry(str(job_id), "high", 0, DATA, CREATED) for job_id in ids]
    push.push(redis, entries)
    return ids


def take(redis: Redis, ended: list[Ended] | None = None) -> claim.Taken:
    return claim.take(redis, ["high", "low"], WORKER, count=64, ended=ended or [], worker_name=NAME)


def end(job_id: UUID, status: Status = Status.COMPLETED, **fields: Any) -> Ended:
    values: dict[str, Any] = {
        "job_id": job_id,
        "queue": "high",
        "claim": 1,
        "status": status,
        "working_seconds": 1.0,
        "result": {"rows": [1, "ä"]},
        "error": "Traceback ...\nValueError: ä" if status == Status.FAILED else "",
        "started_at": BEGAN,
        "ended_at": ENDED,
    }
    return Ended(**(values | fields))


def start(redis: Redis, *ids: UUID) -> None:
    started = [
        Started(
            job_id=job_id,
            queue="high",
            claim=1,
            data=DATA,
            created_at=CREATED,
            timeout_seconds=600,
            started_at=BEGAN,
        )
        for job_id in ids
    ]
    registries.record_start(redis, worker_name=NAME, worker_id=WORKER, started=started)


def round_trips(redis: Redis) -> int:
    return int(redis.info("stats")["total_reads_processed"])


def all_of(redis: Redis, job_id: UUID) -> dict[str, Any]:
    """Return what Redis has of a job, keys and values, without what only a start tells."""
    entry = redis.hgetall(keys.entry(job_id))
    for name in (b"last_heartbeat", b"timeout"):
        entry.pop(name, None)
    return {
        "entry": entry,
        "results": [fields for _, fields in redis.xrange(keys.results(job_id))],
        "others": {
            name.decode().replace(str(job_id), "ID") for name in redis.scan_iter(f"*{job_id}*")
        },
        "finished": redis.zscore(keys.finished("high"), str(job_id)) is not None,
        "failed": redis.zscore(keys.failed("high"), str(job_id)) is not None,
    }


def test_the_ends_of_a_batch_and_the_next_claim_are_one_round_trip(redis: Redis) -> None:
    ids = pushed(redis, 16)  # of 64 the words are read in two portions
    assert [entry for _, entry in take(redis).entries] == [str(job_id) for job_id in ids]
    [late] = pushed(redis)
    take(redis, [end(uuid4())])  # Redis knows the scripts
    pushed(redis)
    before = round_trips(redis)

    taken = take(redis, [end(job_id) for job_id in ids])

    assert round_trips(redis) - before - 1 == 1
    assert len(taken.entries) == 1
    assert redis.zcard(keys.finished("high")) == 17
    assert set(claim.held(redis, WORKER)) == {str(late), taken.entries[0][1]}
    assert redis.hget(keys.worker(NAME), "successful_job_count") == b"17"
    assert float(redis.hget(keys.worker(NAME), "total_working_time") or 0) == 17.0


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
def test_of_a_job_that_is_told_of_only_at_its_end_nothing_is_missing(
    redis: Redis, status: Status
) -> None:
    both, only = pushed(redis, 2)
    take(redis)
    start(redis, both)

    take(redis, [end(both, status), end(only, status)])

    assert all_of(redis, only) == all_of(redis, both)
    job = Job.fetch(str(only), connection=redis, serializer=JSONSerializer)
    assert (job.func_name, job.kwargs) == ("Echo", {"value": "x" * 300})
    assert (job.created_at, job.started_at, job.ended_at) == (CREATED, BEGAN, ENDED)
    assert (job.origin, job.worker_name) == ("high", NAME)
    result = job.latest_result()
    assert result is not None
    if status == Status.COMPLETED:
        assert (job.get_status(), result.return_value) == ("finished", {"rows": [1, "ä"]})
    else:
        assert (job.get_status(), result.exc_string) == ("failed", "Traceback ...\nValueError: ä")
        packed = redis.hget(keys.entry(only), "exc_info")
        assert packed is not None
        assert zlib.decompress(packed).decode() == result.exc_string


def test_after_a_flush_the_entry_is_described_anew(redis: Redis) -> None:
    [job_id] = pushed(redis)
    take(redis)
    redis.flushdb()

    take(redis, [end(job_id, describe=lambda: Described(data=DATA, created_at=CREATED))])

    job = Job.fetch(str(job_id), connection=redis, serializer=JSONSerializer)
    assert (job.func_name, job.origin, job.created_at) == ("Echo", "high", CREATED)
    assert 0 < redis.ttl(keys.entry(job_id)) <= registries.FINISHED_SECONDS


def test_an_entry_that_is_there_is_not_described_again(redis: Redis) -> None:
    [job_id] = pushed(redis)
    take(redis)

    def never() -> Described:
        raise AssertionError

    take(redis, [end(job_id, describe=never)])

    assert redis.hget(keys.entry(job_id), "data") == DATA


@pytest.mark.parametrize("status", [Status.RETRYING, Status.SCHEDULED, Status.CANCELLED])
def test_what_rq_has_no_word_for_leaves_nothing(redis: Redis, status: Status) -> None:
    [job_id] = pushed(redis)
    take(redis)
    start(redis, job_id)

    take(redis, [end(job_id, status)])

    assert not [*redis.scan_iter(f"*{job_id}*")]
    assert not redis.exists(keys.started("high"), keys.worker_executions(NAME))


def test_of_what_is_given_back_the_entry_stays(redis: Redis) -> None:
    [job_id] = pushed(redis)
    take(redis)
    start(redis, job_id)

    take(redis, [end(job_id, Status.QUEUED)])

    assert [*redis.scan_iter(f"*{job_id}*")] == [keys.entry(job_id).encode()]
    assert claim.held(redis, WORKER) == {}


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.RETRYING, Status.QUEUED])
def test_what_was_pushed_again_meanwhile_is_left_as_it_is(redis: Redis, status: Status) -> None:
    [job_id] = pushed(redis)
    take(redis)
    start(redis, job_id)
    redis.hset(keys.entry(job_id), mapping={"claim": 2, "status": "queued"})
    redis.rpush(keys.queue("high"), str(job_id))
    take(redis)

    registries.record_end(redis, worker_name=NAME, worker_id=WORKER, ended=[end(job_id, status)])

    assert redis.hmget(keys.entry(job_id), "claim", "status") == [b"2", b"queued"]
    assert claim.held(redis, WORKER) == {str(job_id): "high"}
    assert not redis.exists(keys.started("high"), keys.finished("high"), keys.execution(job_id, 1))


def test_a_server_that_has_forgotten_the_scripts_is_sent_them_again(redis: Redis) -> None:
    ids = pushed(redis, 2)
    take(redis)
    redis.script_flush()

    start(redis, ids[0])
    redis.script_flush()
    [late] = pushed(redis)
    redis.script_flush()
    taken = take(redis, [end(job_id) for job_id in ids])

    assert taken.entries == [("high", str(late))]
    assert redis.zcard(keys.finished("high")) == 2


@pytest.fixture
def full(redis: Redis) -> Iterator[Redis]:
    """A Redis that takes nothing new, once `maxmemory` is set."""
    yield redis
    redis.config_set("maxmemory", "0")


def test_a_full_redis_is_told_nothing_gives_ids_and_gets_emptier(
    full: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ended, begun, waiting = pushed(full, 3)
    first = claim.take(full, ["high"], WORKER, count=2)
    start(full, begun)
    full.config_set("maxmemory", "1")

    taken = take(full, [end(ended)])
    with pytest.raises(registries.ResponseError, match="maxmemory"):
        start(full, waiting)

    assert [*first.entries, *taken.entries] == [("high", str(i)) for i in (ended, begun, waiting)]
    assert not [*full.scan_iter(f"*{ended}*")]
    assert claim.held(full, WORKER) == {}
    take(full, [end(begun)])
    assert not [*full.scan_iter(f"*{begun}*")]
    said = [record for record in caplog.records if "the dashboard misses" in record.getMessage()]
    assert len(said) <= 1


@pytest.mark.parametrize("kind", ["entry", "results", "started", "finished", "execution"])
def test_a_planted_key_is_put_aside_while_an_end_and_a_claim_share_a_round_trip(
    redis: Redis, kind: str
) -> None:
    [job_id] = pushed(redis)
    take(redis)
    key = {
        "entry": keys.entry(job_id),
        "results": keys.results(job_id),
        "started": keys.started("high"),
        "finished": keys.finished("high"),
        "execution": keys.execution(job_id, 1),
    }[kind]
    redis.delete(key)
    redis.set(key, "planted")
    [late] = pushed(redis)

    taken = take(redis, [end(job_id)])

    assert taken.entries == [("high", str(late))]
    assert redis.zscore(keys.finished("high"), str(job_id)) is not None
    assert redis.hget(keys.worker(NAME), "successful_job_count") == b"1"


def test_more_says_whether_something_is_left(redis: Redis) -> None:
    pushed(redis, 65)

    assert [take(redis).more for _ in range(3)] == [True, False, False]


def test_of_suspended_workers_nothing_is_left_to_take(redis: Redis) -> None:
    pushed(redis)
    redis.set(keys.SUSPENDED, 1)

    assert take(redis) == claim.Taken(entries=[], more=False)


def test_many_ends_are_told_in_portions(redis: Redis) -> None:
    ids = [uuid4() for _ in range(1_200)]

    registries.record_end(redis, worker_name=NAME, ended=[end(job_id) for job_id in ids])

    assert redis.zcard(keys.finished("high")) == 1_200


def test_a_warning_that_comes_with_every_job_is_said_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    moments = iter((0.0, 1.0, 59.0, 61.0, 62.0))
    log = logging.getLogger("jobs.broker")
    seldom = Seldom(log, "it fails (%s)", monotonic=lambda: next(moments))

    for _ in range(5):
        seldom.warn(ValueError("no"))

    assert [record.getMessage() for record in caplog.records] == [
        "it fails (no)",
        "it fails (no), and 2 more of the last minute",
    ]


def test_of_a_job_that_runs_again_and_again_ten_results_are_kept(redis: Redis) -> None:
    [job_id] = pushed(redis)

    for number in range(1, 15):
        take(redis, [end(job_id, claim=number, result=number)])

    job = Job.fetch(str(job_id), connection=redis, serializer=JSONSerializer)
    assert [result.return_value for result in job.results()] == list(range(14, 4, -1))
