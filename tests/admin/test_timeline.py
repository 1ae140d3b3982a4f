from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.admin import timeline
from jobs.statuses import Status
from tests.make import make_attempt, make_job

pytestmark = pytest.mark.django_db


def told(job, *attempts):
    return [(event.kind, event.text) for event in timeline.events(job, attempts)]


def test_a_job_that_waits_tells_who_made_it_and_when_it_is_due(admin_user):
    job = make_job(status=Status.SCHEDULED, created_by=admin_user)

    assert told(job) == [("queued", "Created by admin"), ("scheduled", "Attempt 1 is due")]


def test_a_job_of_a_schedule_names_it():
    assert told(make_job(schedule="nightly")) == [("queued", "Created by schedule nightly")]


@pytest.mark.parametrize(
    ("outcome", "kind", "words"),
    [
        ("completed", "completed", "completed"),
        ("failed", "failed", "failed"),
        ("snoozed", "scheduled", "snoozed"),
        ("cancelled", "cancelled", "was cancelled"),
        ("given_back", "queued", "was given back"),
    ],
)
def test_an_attempts_end_is_told_by_its_outcome(outcome, kind, words):
    created = timezone.now() - timedelta(minutes=1)
    job = make_job(status=Status.QUEUED, created_at=created)
    attempt = make_attempt(job, outcome=outcome, worker_name="worker-1")

    assert told(job, attempt) == [
        ("queued", "Created"),
        ("started", "Attempt 1 started on worker-1"),
        (kind, f"Attempt 1 {words}"),
    ]


def test_a_running_attempt_stands_last():
    job = make_job(status=Status.STARTED, attempt=2, cancel_requested_at=timezone.now())

    assert told(job)[-1] == ("started", "Attempt 2 started")
    assert ("cancelled", "Cancel asked for by somebody") in told(job)


def test_an_end_without_an_attempt_is_told_once():
    ended = timezone.now()
    job = make_job(status=Status.CANCELLED, finished_at=ended)
    done = make_job(
        status=Status.COMPLETED, created_at=ended - timedelta(minutes=1), finished_at=ended
    )
    attempt = make_attempt(done, outcome="completed", ended_at=ended)

    assert told(job)[-1] == ("cancelled", "Ended cancelled")
    assert told(done, attempt)[-1] == ("completed", "Attempt 1 completed")
