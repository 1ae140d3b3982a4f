from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.models import F

from jobs.maintenance.watch import HeartbeatWatch
from jobs.models import JobWorker
from tests.make import make_worker

pytestmark = pytest.mark.django_db


@dataclass
class Hands:
    """A monotonic clock that a test moves."""

    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


def beat(worker: JobWorker) -> None:
    JobWorker.objects.filter(id=worker.id).update(
        heartbeat_at=F("heartbeat_at") + timedelta(seconds=5)
    )


def look_for(watch: HeartbeatWatch, hands: Hands, seconds: int) -> set[object]:
    """Look every five seconds; return who was called silent at any look."""
    silent: set[object] = set()
    for _ in range(0, seconds, 5):
        hands.at += 5
        silent |= set(watch.look())
    return silent


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def watch(hands: Hands) -> HeartbeatWatch:
    return HeartbeatWatch(monotonic=hands)


def test_a_heartbeat_that_stands_still_for_a_lease_is_silent(watch: HeartbeatWatch, hands: Hands):
    worker = make_worker()
    watch.look()

    assert look_for(watch, hands, 25) == set()
    assert look_for(watch, hands, 5) == {worker.id}
    assert watch.look() == {worker.id: worker.heartbeat_at}


def test_however_old_a_heartbeat_is_a_new_leader_watches_for_a_lease(
    watch: HeartbeatWatch, hands: Hands
):
    worker = make_worker()
    JobWorker.objects.update(heartbeat_at=F("heartbeat_at") - timedelta(days=3))
    watch.look()

    assert look_for(watch, hands, 25) == set()
    assert look_for(watch, hands, 5) == {worker.id}


def test_a_worker_that_beats_is_never_silent(watch: HeartbeatWatch, hands: Hands):
    worker = make_worker()
    watch.look()
    for _ in range(20):
        beat(worker)
        assert look_for(watch, hands, 25) == set()


def test_a_host_clock_that_is_wrong_makes_nobody_silent(watch: HeartbeatWatch, hands: Hands):
    worker = make_worker()
    JobWorker.objects.update(heartbeat_at=F("heartbeat_at") - timedelta(hours=5))
    watch.look()
    for _ in range(4):
        beat(worker)
        assert look_for(watch, hands, 25) == set()


def test_while_the_database_does_not_answer_nobody_is_silent(watch: HeartbeatWatch, hands: Hands):
    make_worker()
    watch.look()
    look_for(watch, hands, 20)

    for _ in range(12):
        hands.at += 5
        with database_is_away(), pytest.raises(OperationalError):
            watch.look()

    assert look_for(watch, hands, 30) == set()


def test_a_look_that_came_late_says_nothing_of_the_time_between(
    watch: HeartbeatWatch, hands: Hands
):
    worker = make_worker()
    watch.look()
    hands.at += 3_600

    assert watch.look() == {}
    assert look_for(watch, hands, 25) == set()
    assert look_for(watch, hands, 5) == {worker.id}


@pytest.mark.parametrize("end", ["stopped_at", "dead_at"])
def test_a_worker_that_has_ended_is_not_watched(watch: HeartbeatWatch, hands: Hands, end: str):
    worker = make_worker()
    watch.look()
    JobWorker.objects.update(**{end: worker.heartbeat_at})

    assert look_for(watch, hands, 60) == set()


class database_is_away:  # noqa: N801 - reads as a condition in a with statement
    """Every statement of this thread fails as with a server that is gone."""

    def __enter__(self) -> None:
        self.hook = connection.execute_wrapper(_refuse)
        self.hook.__enter__()

    def __exit__(self, *exc: object) -> None:
        self.hook.__exit__(*exc)


def _refuse(*_: object) -> None:
    raise OperationalError("server closed the connection unexpectedly")
