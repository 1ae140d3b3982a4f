"""Whose name a worker may take over."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.errors import NameTaken, NameUnclear
from jobs.models import JobWorker
from jobs.processes import birthmark
from jobs.worker import registration
from tests.make import make_worker

pytestmark = pytest.mark.django_db


def another(*, beat_ago: timedelta) -> JobWorker:
    """Insert a worker of another machine, of whose process nobody knows here."""
    at = timezone.now() - beat_ago
    return make_worker(name="alpha", birthmark="elsewhere 7 7", pid=7, heartbeat_at=at)


@pytest.mark.parametrize(
    "beat_ago",
    [timedelta(seconds=31), timedelta(hours=-1)],
    ids=["silent for a lease", "from before the clock was set back"],
)
def test_the_name_of_one_that_is_silent_is_taken_over(beat_ago: timedelta) -> None:
    other = another(beat_ago=beat_ago)

    _, lost = registration.register(registration.describe_this_process("alpha", ("low",), 1))

    assert lost == [other.id]


@pytest.mark.parametrize("seconds", [5, -5])
def test_the_name_of_one_that_may_live_is_not(seconds: int) -> None:
    another(beat_ago=timedelta(seconds=seconds))

    with pytest.raises(NameUnclear):
        registration.register(registration.describe_this_process("alpha", ("low",), 1))


def test_the_name_of_one_that_lives_here_is_not_before_it_beats_by_the_clock_set_back() -> None:
    pid = os.getppid()
    at = timezone.now() + timedelta(hours=1)
    make_worker(name="alpha", birthmark=birthmark.of(pid), pid=pid, heartbeat_at=at)

    with pytest.raises(NameTaken):
        registration.register(registration.describe_this_process("alpha", ("low",), 1))
