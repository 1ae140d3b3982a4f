"""What a running job says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jobs.models import JobStatus
from jobs.runner.context import MAX_MESSAGE_BYTES, MainContext, Side
from jobs.runner.watch import Watch
from jobs.statuses import Status
from tests.make import make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def side() -> Iterator[Side]:
    side = Side()
    yield side
    side.close()


def progress_of(job: JobStatus) -> dict[str, Any]:
    job.refresh_from_db()
    assert job.progress is not None
    return job.progress


def test_progress_stands_on_the_row(side: Side) -> None:
    job = make_job(status=Status.STARTED)

    MainContext(job, side=side, watch=Watch()).progress(1, 2, "loading")

    assert progress_of(job).items() >= {"done": 1, "total": 2, "message": "loading"}.items()


def test_a_redacted_value_is_not_in_the_message(side: Side) -> None:
    params = {"user": "alice", "password": "correct-horse"}
    job = make_job(status=Status.STARTED, job_class="Secretive", params=params)

    MainContext(job, side=side, watch=Watch()).progress(1, None, "alice logs in with correct-horse")

    assert progress_of(job)["message"] == "alice logs in with [redacted]"


def test_a_message_is_cut_and_cleaned(side: Side) -> None:
    job = make_job(status=Status.STARTED)

    MainContext(job, side=side, watch=Watch()).progress(1, None, "a\x00b" + "x" * 1_000)

    message = progress_of(job)["message"]
    assert message.startswith("a\N{REPLACEMENT CHARACTER}bx")
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
