"""What the README shows can be done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from redis import Redis

from jobs import registry
from jobs.models import JobStatus
from jobs.schedules import fitting

PAGE = (Path(settings.BASE_DIR) / "README.md").read_text()
CLASS, FLOW, SCHEDULES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """Return what the first block declares; its class is forgotten afterwards."""
    before = dict(registry._spec_by_name)
    scope: dict[str, Any] = {"__name__": __name__}
    exec(CLASS, scope)  # noqa: S102 - our own page
    yield scope
    registry._spec_by_name.clear()
    registry._spec_by_name.update(before)


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
