"""What one job costs: statements and Redis round trips of its dispatch and of its attempt."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from redis import Redis

from jobs.broker import keys
from jobs.dispatch import outbox
from jobs.models import JobStatus
from jobs.processes import channel
from jobs.runner.guard import Guard
from jobs.runner.loop import Loop, Orders
from jobs.runner.watch import Watch
from tests.jobs import Echo
from tests.make import make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def runner() -> Iterator[Loop]:
    """A runner in this process, which has run a job and so has its connections."""
    supervisors, runners = channel.pair()
    worker = make_worker()
    watch = Watch()
    before = signal.getsignal(signal.SIGALRM)
    orders = Orders(
        worker_id=worker.id,
        worker_name=worker.name,
        queues=["default"],
        rationed=False,
        async_slots=1,
    )
    guard = Guard(end=runners, watch=watch, rationed=False)
    one = Loop(orders=orders, end=runners, watch=watch, guard=guard)
    Echo.dispatch()
    one._next()
    one._close_batch()
    yield one
    signal.signal(signal.SIGALRM, before)
    one.board.close()
    for end in (supervisors, runners):
        end.close()


def round_trips(redis: Redis) -> int:
    """Return how often Redis has read what somebody sent; this question is one of them."""
    return int(redis.info("stats")["total_reads_processed"])


@contextmanager
def statements() -> Iterator[list[str]]:
    """Within, the first word of each statement; the runner empties Django's own list."""
    seen: list[str] = []

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        seen.append(sql.rsplit("; ", 1)[-1].split(maxsplit=1)[0])  # a call of what is prepared
        return execute(sql, *rest)

    with connection.execute_wrapper(note):
        yield seen


def test_a_dispatch_costs_one_statement_and_one_round_trip(redis: Redis, runner: Loop) -> None:
    before = round_trips(redis)

    with statements() as seen:
        Echo.dispatch()

    assert seen == ["INSERT"]
    assert round_trips(redis) - before - 1 == 1


def test_many_cost_a_statement_and_a_push_for_each_thousand(redis: Redis, runner: Loop) -> None:
    outbox.hear()  # the last push of whoever was here before
    redis.config_resetstat()

    with statements() as seen:
        made = Echo.dispatch_many([{"value": str(number)} for number in range(2_500)])
        outbox.hear()  # its last push waits for no answer

    assert seen == ["WITH"] * 3
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == 3
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(DISTINCT xmin::text) FROM job_statuses WHERE id = ANY(%s)",
            [[job.id for job in made]],
        )
        assert cursor.fetchone() == (2_500, 1)  # one commit
    pushed = [item.decode() for item in redis.lrange(keys.queue("default"), 0, -1)]
    assert pushed == [str(job.id) for job in made]


def test_an_attempt_alone_costs_two_statements_and_two_round_trips(
    redis: Redis, runner: Loop
) -> None:
    job = Echo.dispatch()
    before = round_trips(redis)

    with statements() as seen:
        runner._next()
        runner._close_batch()

    assert seen == ["EXECUTE", "EXECUTE"]  # start, settle
    assert round_trips(redis) - before - 1 == 2  # take; tell of its end
    job.refresh_from_db()
    assert job.status == "completed"


@pytest.mark.parametrize("size", [1, 64], ids=["one at a time", "64"])
def test_a_batch_among_others_costs_one_statement_and_one_round_trip(
    redis: Redis, runner: Loop, size: int
) -> None:
    jobs = Echo.dispatch_many([{}] * (2 * size + 1))
    runner.pace.size = size
    runner._next()
    runner.pace.size = size
    before = round_trips(redis)

    with statements() as seen:
        runner._next()

    assert seen == ["EXECUTE"]  # settles the batch before, and starts this one
    assert round_trips(redis) - before - 1 == 1  # tells of those ends, and takes
    runner._close_batch()
    assert JobStatus.objects.filter(status="completed").count() == 2 * size + 1  # and the first
    jobs[-1].refresh_from_db()
    assert jobs[-1].status == "queued"
