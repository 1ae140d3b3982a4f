"""Outcomes that can't be stored: one of a batch fails alone."""

from __future__ import annotations

import functools
from datetime import timedelta

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.lifecycle.outcomes import Completed, Failed, Outcome, Settlement, Snoozed
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import start
from jobs.models import JobAttempt, JobStatus
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db(transaction=True)

BATCH = 64
HALVINGS = 6
# What Python can write as JSON and PostgreSQL refuses: found by the statement that fails.
REFUSED = {
    "NUL": Completed(result={"rows": ["a\x00b"]}),
    "NUL in a key": Completed(result={"a\x00b": 1}),
    "a moment too far away": Snoozed(delay=timedelta.max),
    "a retry too far away": Failed(
        error_class="ValueError", message="no", traceback="", wait=timedelta.max
    ),
}
# What isn't JSON at all: seen before any statement.
NO_JSON = {
    "NaN": Completed(result=float("nan")),
    "infinity": Completed(result=[float("inf")]),
    "surrogate": Completed(result="\ud800"),
    "surrogate in a key": Completed(result={"\udfff": 1}),
    "too deep": Completed(result=functools.reduce(lambda inner, _: [inner], range(100_000), [])),
    "huge number": Completed(result=10**5_000),
    "object": Completed(result=object()),
}


def running(count: int) -> list[JobStatus]:
    ids = [make_job().id for _ in range(count)]
    return start(ids, worker_id=make_worker().id).jobs


def settlement(job: JobStatus, outcome: Outcome) -> Settlement:
    return Settlement(job_id=job.id, claim=job.claim, outcome=outcome)


@pytest.mark.parametrize("what", [*REFUSED, *NO_JSON])
@pytest.mark.parametrize("place", [0, 37, BATCH - 1])
def test_one_culprit_among_64_fails_alone(what: str, place: int) -> None:
    jobs = running(BATCH)
    outcomes: list[Outcome] = [Completed(result={"n": number}) for number in range(BATCH)]
    outcomes[place] = {**REFUSED, **NO_JSON}[what]

    with CaptureQueriesContext(connection) as queries:
        ends = settle([settlement(*pair) for pair in zip(jobs, outcomes, strict=True)])

    assert len(queries) == (1 + 2 * HALVINGS + 1 if what in REFUSED else 1)
    culprit = JobStatus.objects.get(id=jobs[place].id)
    assert (culprit.status, culprit.attempt) == ("failed", 1)
    assert culprit.error.startswith("InvalidResult: PostgreSQL can't hold the outcome")
    assert JobAttempt.objects.get(job=culprit).error_class == "InvalidResult"
    assert len(ends) == BATCH
    assert JobStatus.objects.filter(status="completed").count() == BATCH - 1
    assert JobAttempt.objects.count() == BATCH


def test_in_a_callers_transaction_nothing_is_settled_in_its_place() -> None:
    # An atomic job's writes must not be committed with a failure.
    [job] = running(1)

    with pytest.raises(DataError), transaction.atomic():
        settle([settlement(job, REFUSED["NUL"])])
    with pytest.raises(ValueError, match="not JSON compliant"), transaction.atomic():
        settle([settlement(job, NO_JSON["NaN"])])

    job.refresh_from_db()
    assert job.status == "started"
    assert not JobAttempt.objects.exists()


def test_a_row_shows_one_short_line_of_a_long_error_and_its_attempt_all_that_fits() -> None:
    [job] = running(1)
    said = "x" * 50_000

    settle(
        [settlement(job, Failed(error_class="ValueError", message=said, traceback=said, wait=None))]
    )

    job.refresh_from_db()
    assert len(job.error) < 1_100
    assert JobAttempt.objects.get().message == said
