"""What the README shows can be done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from jobs.models import JobStatus
from jobs.schedules import fitting
from tests import pages

CLASS, FLOW, SCHEDULES = pages.blocks("README.md")

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    with pages.declared(CLASS) as scope:
        yield scope


def statuses() -> list[tuple[str, str]]:
    return list(JobStatus.objects.order_by("id").values_list("job_class", "status"))


def test_a_job_class_of_ones_own_is_dispatched(redis: Redis, names: dict[str, Any]) -> None:
    assert statuses() == [("SendReminders", "queued")]


def test_reminders_wait_for_two_imports(redis: Redis, names: dict[str, Any]) -> None:
    exec(FLOW, names)  # noqa: S102 - our own page

    assert statuses()[1:] == [
        ("ImportCsv", "queued"),
        ("ImportCsv", "queued"),
        ("SendReminders", "waiting"),
    ]


def test_the_schedule_could_be_made() -> None:
    scope: dict[str, Any] = {}
    exec(SCHEDULES, scope)  # noqa: S102 - our own page

    for name, entry in scope["JOB_SCHEDULES"].items():
        assert fitting.examined(name, entry)[1] == []
