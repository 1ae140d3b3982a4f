from __future__ import annotations

from uuid import UUID

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from jobs.broker import claim, client, departed, keys, lost, push, registries
from jobs.broker.departed import Departed
from jobs.statuses import Status

pytestmark = [pytest.mark.redis]

JOB, WORKER = UUID(int=1), UUID(int=2)
NAME = "worker-1"


def entry_of(job_id: UUID, queue: str) -> push.Entry:
    return push.Entry(job_id=str(job_id), queue=queue, claim=1, data=b"", created_at=MOMENT)


def push_one(redis: Redis) -> None:
    push.push(redis, [entry_of(JOB, "high")])


MOMENT = push.datetime(2026, 1, 1)


def record_start(redis: Redis) -> None:
    started = registries.Started(
        job_id=JOB, queue="high", claim=1, data=b"", created_at=MOMENT, timeout_seconds=1
    )
    registries.record_start(redis, worker_name=NAME, worker_id=WORKER, started=[started])


def record_end(redis: Redis, status: Status) -> None:
    ended = registries.Ended(
        job_id=JOB, queue="high", claim=1, status=status, working_seconds=1, error="no"
    )
    registries.record_end(redis, worker_name=NAME, ended=[ended])


def record_worker(redis: Redis) -> None:
    registries.record_worker(redis, name=NAME, queues=["high"], fields={"pid": 1}, seconds=9)


GONE = Departed(worker_id=WORKER, name=NAME, queues=("high",))
# Each key of the house with what touches it.
DEEDS = {
    keys.QUEUES: push_one,
    keys.queue("high"): push_one,
    keys.wake("high"): push_one,
    keys.entry(JOB): push_one,
    keys.claims(WORKER): record_start,
    keys.started("high"): record_start,
    keys.execution(JOB, 1): record_start,
    keys.worker_executions(NAME): record_start,
    keys.worker(NAME): record_worker,
    keys.WORKERS: record_worker,
    keys.workers_of("high"): record_worker,
    keys.finished("high"): lambda redis: record_end(redis, Status.COMPLETED),
    keys.results(JOB): lambda redis: record_end(redis, Status.COMPLETED),
    keys.failed("high"): lambda redis: record_end(redis, Status.FAILED),
    keys.EPOCH: lost.is_checked,
    keys.aside("high"): lambda redis: lost.bring_back(redis, "high"),
}
READS = {
    keys.entry(JOB): lambda redis: lost.missing(redis, {JOB: 1}),
    keys.claims(WORKER): lambda redis: lost.look(redis, ["high"], [WORKER]),
    keys.started("high"): lambda redis: departed.running(redis, ["high"]),
    **{key: lambda redis: departed.running(redis, ["high"]) for key in keys.registries("high")[1:]},
    keys.wake("high"): lambda redis: claim.take_when_pushed(
        redis, ["high"], WORKER, count=1, seconds=0.01
    ),
    keys.queue("high"): lambda redis: lost.set_aside(redis, "high"),
}
PLANTED = {"string": "SET k v", "list": "RPUSH k v", "set": "SADD k v", "hash": "HSET k f v"}


def plant(redis: Redis, key: str) -> str:
    wrong = "string" if keys.type_of(key) != "string" else "hash"
    command, _, *rest = PLANTED[wrong].split()
    redis.execute_command(command, key, *rest)
    return wrong


@pytest.mark.parametrize(
    ("key", "deed"),
    [*DEEDS.items(), *READS.items()],
    ids=[*DEEDS, *(f"read {key}" for key in READS)],
)
def test_a_key_of_another_type_is_put_aside_and_the_deed_is_done(
    redis: Redis, caplog: pytest.LogCaptureFixture, key: str, deed
):
    deed(redis)
    undisturbed = {name: redis.type(name) for name in redis.keys("*")}
    redis.flushdb()
    wrong = plant(redis, key)

    deed(redis)
    deed(redis)

    aside = keys.poison(key)
    assert redis.type(aside).decode() == wrong
    assert 0 < redis.ttl(aside) <= 86_400
    assert {
        name: redis.type(name) for name in redis.keys("*") if name != aside.encode()
    } == undisturbed
    said = [record for record in caplog.records if record.name == "jobs.broker"]
    assert len(said) == 1
    assert key in said[0].getMessage()


@pytest.mark.parametrize("bad", [keys.QUEUES, keys.queue("low"), keys.wake("low"), keys.entry(JOB)])
def test_what_is_pushed_beside_a_bad_key_is_pushed_once(redis: Redis, bad: str):
    plant(redis, bad)
    other = UUID(int=3)

    push.push(redis, [entry_of(other, "high"), entry_of(JOB, "low")])

    assert redis.lrange(keys.queue("high"), 0, -1) == [str(other).encode()]
    assert redis.lrange(keys.queue("low"), 0, -1) == [str(JOB).encode()]
    assert redis.hget(keys.entry(JOB), "claim") == b"1"
    assert redis.smembers(keys.QUEUES) == {keys.queue(name).encode() for name in ("high", "low")}


def test_in_a_pipeline_only_what_was_refused_is_done_again(redis: Redis):
    plant(redis, keys.entry(JOB))

    with redis.pipeline() as pipe:
        pipe.hset(keys.entry(JOB), "claim", 1)
        pipe.rpush(keys.queue("high"), str(JOB))
        pipe.execute()

    assert redis.lrange(keys.queue("high"), 0, -1) == [str(JOB).encode()]
    assert redis.hget(keys.entry(JOB), "claim") == b"1"


def test_a_key_of_the_right_type_is_never_put_aside(redis: Redis):
    plant(redis, keys.entry(JOB))
    redis.rpush(keys.queue("high"), "a")
    with pytest.raises(ResponseError, match=r"unknown command"):
        redis.execute_command("NONSENSE", keys.entry(JOB), keys.queue("high"))

    push_one(redis)

    assert redis.lrange(keys.queue("high"), 0, -1) == [b"a", str(JOB).encode()]
    assert redis.keys("jobs:poison:*") == [keys.poison(keys.entry(JOB)).encode()]


def test_keys_that_are_not_ours_are_left_alone(redis: Redis):
    redis.set("somebody:else", "x")

    with pytest.raises(client.Unreachable):
        redis.lpush("somebody:else", "y")

    assert redis.get("somebody:else") == b"x"


def test_rqs_further_keys_below_a_job_are_not_taken_for_its_hash():
    assert keys.type_of(f"rq:job:{JOB}") == "hash"
    assert keys.type_of(f"rq:job:{JOB}:dependents") is None
    assert keys.type_of("rq:worker:a:executions") == "set"
    assert keys.type_of("rq:executions:x") is None


def test_forged_attempts_are_no_attempts_of_ours(redis: Redis):
    good = UUID("01a20cb1-ece2-75b2-b161-375ea598a6c4")
    members = [
        f"{good}:3",
        f"{str(good).upper()}:3",
        f"{good}:\u0663",
        f"{good}:{'9' * 99}",
        b"\xff",
    ]
    redis.zadd(keys.started("high"), dict.fromkeys(members, 1))
    redis.hset(keys.execution(good, 3), "worker_name", b"\xff")

    (found,) = departed.running(redis, ["high"])

    assert (found.job_id, found.claim, found.worker_name) == (good, 3, "\ufffd")
