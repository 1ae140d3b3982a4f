from __future__ import annotations

import logging

import pytest
from django.db import DatabaseError, OperationalError, ProgrammingError, connection

from jobs.broker.client import Unreachable
from jobs.models import clock as clock_room
from jobs.processes import outage
from jobs.processes.outage import (
    CAP_SECONDS,
    FIRST_SECONDS,
    HANGS_SECONDS,
    TRIES,
    Outage,
    Outages,
    Tries,
)
from tests.servers import OwnPostgres

log = logging.getLogger("jobs.worker")


class Clock:
    """A monotonic clock that the test moves."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(outage.time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def postgresql(clock: Clock) -> Outage:
    return Outage("PostgreSQL", who="Worker one", log=log)


def gone() -> OperationalError:
    return OperationalError("connection refused\n\tIs the server running?")


def test_an_outage_is_said_at_its_beginning_and_its_end(postgresql, clock, caplog):
    postgresql.failed(gone())
    assert postgresql.is_on
    clock.now += 12.3
    postgresql.answered()

    assert not postgresql.is_on
    assert caplog.messages == [
        "Worker one: PostgreSQL doesn't answer, waiting for it: connection refused",
        "Worker one: PostgreSQL answers again, after 12.3 s",
    ]


def test_a_long_one_is_said_once_a_minute(postgresql, clock, caplog):
    for _ in range(1_800):
        postgresql.failed(gone())
        clock.now += 0.1

    assert len(caplog.messages) == 3
    assert "PostgreSQL doesn't answer for 120 s, waiting for it" in caplog.messages[2]


def test_a_server_that_comes_and_goes_is_said_once_a_minute_too(postgresql, clock, caplog):
    for _ in range(600):
        postgresql.failed(gone())
        clock.now += 0.1
        postgresql.answered()

    assert len(caplog.messages) == 2


def test_the_waits_double_up_to_a_limit_and_are_never_the_same(postgresql, clock):
    waits, began = [], clock.now
    for _ in range(12):
        seconds = postgresql.failed(gone())
        longest = min(CAP_SECONDS, max(FIRST_SECONDS, clock.now - began))
        assert longest / 2 <= seconds <= longest
        waits.append(seconds)
        clock.now += seconds

    assert waits[0] <= FIRST_SECONDS
    assert waits[-1] >= CAP_SECONDS / 2
    assert len(set(waits)) == len(waits)


def test_the_next_outage_begins_with_short_waits_again(postgresql, clock):
    postgresql.failed(gone())
    clock.now += 60
    assert postgresql.failed(gone()) > FIRST_SECONDS
    postgresql.answered()

    assert postgresql.failed(gone()) <= FIRST_SECONDS


def test_an_answer_where_nothing_was_said_says_nothing(postgresql, caplog):
    postgresql.answered()

    assert caplog.messages == []


def test_a_question_that_stays_open_is_seen_by_another_thread(postgresql, clock, caplog):
    with postgresql.question():
        clock.now += HANGS_SECONDS - 1
        postgresql.look()
        assert caplog.messages == []
        clock.now += 1
        for _ in range(5):
            postgresql.look()
        clock.now += 20
    postgresql.answered()
    postgresql.look()

    assert caplog.messages == [
        "Worker one: PostgreSQL doesn't answer for 5 s, waiting for it: a question is open",
        "Worker one: PostgreSQL answers again, after 25.0 s",
    ]


def test_each_error_belongs_to_its_server(clock, caplog):
    outages = Outages("Runner 1", log=log)

    assert outages.of(Unreachable("down")) is outages.redis
    assert outages.of(gone()) is outages.postgresql
    assert outages.of(ProgrammingError("no such column")) is outages.refusal


def test_a_refusal_has_its_own_words_and_growing_pauses(clock, caplog):
    refusal = Outages("Runner 1", log=log).refusal

    pauses = []
    for _ in range(60):
        pauses.append(refusal.failed(ProgrammingError("no such column")))
        clock.now += pauses[-1]
    clock.now += 60
    again = refusal.failed(ProgrammingError("no such column"))

    assert caplog.messages[0] == (
        "Runner 1: PostgreSQL refuses what it is asked, a person is needed: no such column"
    )
    assert len(caplog.messages) < 8
    assert pauses[0] <= FIRST_SECONDS < CAP_SECONDS / 2 <= pauses[-1]
    assert again <= FIRST_SECONDS


def test_what_is_refused_is_tried_a_few_times_and_what_is_away_without_end(postgresql, clock):
    tries, refusal = Tries(postgresql), ProgrammingError("no such table")

    waits = [tries.failed(refusal) for _ in range(TRIES - 1)]
    away = [tries.failed(gone()) for _ in range(2 * TRIES)]

    assert waits == [0.2, 0.4, 0.8, 1.6]
    assert None not in away
    assert postgresql.is_on
    assert tries.failed(refusal) is None
    assert not postgresql.is_on  # a refusal is an answer


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["fast", "immediate", "cut"])
def test_whatever_a_server_says_when_it_goes_it_is_away(own_postgres: OwnPostgres, how: str):
    clock_room.read()
    if how == "cut":
        own_postgres.cut_connections()
    else:
        own_postgres.stop(immediate=how == "immediate")

    with pytest.raises(DatabaseError) as caught:
        clock_room.read()

    assert outage.is_away(caught.value)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement", ["SELECT 1 / 0", "SELECT nothing", "INSERT INTO job_leases VALUES (NULL)"]
)
def test_what_a_server_answers_is_no_outage(statement: str):
    with pytest.raises(DatabaseError) as caught, connection.cursor() as cursor:
        cursor.execute(statement)

    assert not outage.is_away(caught.value)
