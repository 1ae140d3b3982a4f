"""Wrong settings are told by checks with stable ids, each with what to do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site

from jobs import checks, conf


def ids(found: list) -> list[str]:
    return [one.id for one in found]


def test_the_sites_own_settings_are_right() -> None:
    assert checks.check_settings() == []


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ({"TIMOUT": timedelta(1)}, "jobs.E001"),
        ({"QUEUE": "nosuch"}, "jobs.E002"),
        ({"TIMEOUT": 600}, "jobs.E005"),
        ({"GRACE": timedelta(0)}, "jobs.E005"),
        ({"RETENTION_FAILED": None}, "jobs.E005"),
        ({"RETENTION_COMPLETED": 7}, "jobs.E005"),
        ({"MAX_ATTEMPTS": 0}, "jobs.E005"),
        ({"MAX_ATTEMPTS": True}, "jobs.E005"),
        ({"BATCH_SIZE": 0}, "jobs.E005"),
        ({"BATCH_SIZE": 65}, "jobs.E005"),
        ({"ASYNC_SLOTS": 0}, "jobs.E005"),
        ({"ASYNC_SLOTS": 10_001}, "jobs.E005"),
        ({"ASYNC_THREADS": "4"}, "jobs.E005"),
        ({"ASYNC_BLOCK_LIMIT": 10}, "jobs.E005"),
        ({"BEHIND_POOLER": "yes"}, "jobs.E005"),
        ({"IMPORT_HOSTS": "example.com"}, "jobs.E005"),
        ({"TRUNCATABLE_TABLES": ["daily_stats"]}, "jobs.E005"),
        ({"LEASE": timedelta(seconds=9)}, "jobs.E007"),
        ({"HEARTBEAT": timedelta(minutes=1)}, "jobs.E007"),
    ],
)
def test_a_wrong_setting_has_its_id_and_a_hint(settings, jobs: dict, expected: str) -> None:
    settings.JOBS = jobs

    found = checks.check_settings()

    assert ids(found) == [expected]
    assert found[0].hint


@pytest.mark.parametrize("size", [1, 64])
def test_a_batch_has_one_job_or_up_to_sixty_four(settings, size: int) -> None:
    settings.JOBS = {"BATCH_SIZE": size}

    assert checks.check_settings() == []


def test_queues_on_two_servers_are_refused(settings) -> None:
    settings.RQ_QUEUES = {
        "default": {"URL": "redis://one:6379/0"},
        "low": {"URL": "redis://two:6379/0"},
    }

    assert ids(checks.check_settings()) == ["jobs.E006"]


def test_the_docs_list_every_setting() -> None:
    text = (Path(site.BASE_DIR) / "docs" / "settings.md").read_text()

    assert [key for key in sorted(conf.KEYS) if f"| `{key}` |" not in text] == []
