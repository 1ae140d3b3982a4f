"""Of each end the log has a line, with a record of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from jobs.lifecycle import end_lines
from jobs.lifecycle.end_lines import EndLines
from jobs.lifecycle.settle import Settled
from jobs.statuses import Status

ONE, TWO = UUID(int=1), UUID(int=2)


def end(job_id: UUID, status: Status = Status.COMPLETED, **fields: Any) -> Settled:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    values: dict[str, Any] = {
        "job_id": job_id,
        "claim": 1,
        "status": status,
        "queue": f"queue-{job_id.int}",
        "error": "",
        "wait": None,
        "job_class": "Echo",
        "attempt": 3,
        "started_at": now,
        "ended_at": now,
        "has_dependents": False,
    }
    return Settled(**(values | fields))


@pytest.fixture
def factory() -> Iterator[list[str]]:
    """A site's own: it notes whence its records come, and gives them a field."""
    made: list[str] = []
    before = logging.getLogRecordFactory()

    def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        record.site = "ours"
        made.append(record.name)
        return record

    logging.setLogRecordFactory(make)
    yield made
    logging.setLogRecordFactory(before)


def test_each_completed_attempt_has_a_record_of_its_own(caplog, factory) -> None:
    lines = EndLines()

    with caplog.at_level(logging.INFO, logger="jobs.worker"):
        lines.write(end(ONE), 0.25)
        lines.write(end(TWO), 1)

    assert caplog.messages == [
        f"Job {ONE}: completed (Echo, attempt 3, 0.250 s)",
        f"Job {TWO}: completed (Echo, attempt 3, 1.000 s)",
    ]
    first, second = caplog.records
    assert (first.job_id, first.queue) == (str(ONE), "queue-1")
    assert (second.job_id, second.queue) == (str(TWO), "queue-2")
    assert first.args == (str(ONE), "(Echo, attempt 3, 0.250 s)")
    for record in caplog.records:
        assert (record.name, record.levelname) == ("jobs.worker", "INFO")
        assert (record.module, record.funcName) == ("end_lines", "_completed")
        assert record.pathname == end_lines.__file__
        assert record.site == "ours"
        assert record.created > 0


@pytest.mark.parametrize(
    ("status", "fields", "level", "said"),
    [
        (
            Status.FAILED,
            {"error": "Boom: x"},
            "ERROR",
            "failed (Echo, attempt 3, 1.000 s): Boom: x",
        ),
        (
            Status.RETRYING,
            {"error": "Boom: x", "wait": timedelta(seconds=5)},
            "WARNING",
            "retrying in 5.0 s (Echo, attempt 3, 1.000 s): Boom: x",
        ),
        (
            Status.SCHEDULED,
            {"wait": timedelta(seconds=60)},
            "INFO",
            "snoozed for 60.0 s (Echo, attempt 3, 1.000 s)",
        ),
        (Status.QUEUED, {}, "INFO", "given back (Echo, attempt 3, 1.000 s)"),
        (
            Status.CANCELLED,
            {"error": "cancelled by ann"},
            "INFO",
            "cancelled (Echo, attempt 3, 1.000 s): cancelled by ann",
        ),
    ],
)
def test_every_other_end_says_what_became_of_the_job(caplog, status, fields, level, said) -> None:
    with caplog.at_level(logging.INFO, logger="jobs.worker"):
        EndLines().write(end(ONE, status, **fields), 1.0)

    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == (level, f"Job {ONE}: {said}")
    assert (record.job_id, record.queue) == (str(ONE), "queue-1")


def test_where_the_log_is_quiet_nothing_is_made(caplog, factory) -> None:
    with caplog.at_level(logging.WARNING, logger="jobs.worker"):
        EndLines().write(end(ONE), 1.0)

    assert factory == []
    assert caplog.records == []
