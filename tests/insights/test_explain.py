from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.insights import explain
from jobs.statuses import Status
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db


def why(**fields):
    return " ".join(explain.explain(make_job(**fields)))


def test_a_queued_job_tells_its_place_and_who_serves_it():
    make_job(due_at=timezone.now() - timedelta(minutes=1))
    make_job(due_at=timezone.now() - timedelta(minutes=2))
    make_job(due_at=timezone.now() - timedelta(minutes=2), queue="high")
    make_worker(queues=["default"])

    text = why()

    assert "2 jobs are before it in queue default." in text
    assert "Worker worker-1 serves this queue." in text


@pytest.mark.parametrize(
    "fields",
    [
        {"queues": ["high"]},
        {"heartbeat_at": timezone.now() - timedelta(minutes=5)},
        {"stopped_at": timezone.now()},
        {"dead_at": timezone.now()},
    ],
)
def test_a_queue_that_nobody_serves_is_said(fields):
    make_worker(**{"queues": ["default"], **fields})

    assert "No living worker serves queue default." in why()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"status": Status.SCHEDULED}, "It waits for its time"),
        ({"status": Status.WAITING, "held_by": "approval"}, "until somebody approves it"),
        ({"status": Status.WAITING, "held_by": ""}, "It is held."),
        ({"status": Status.RETRYING, "attempt": 2}, "Attempt 2 of 5 failed; the next is due at"),
        ({"status": Status.COMPLETED}, "It completed on its first attempt."),
        ({"status": Status.COMPLETED, "attempt": 3}, "It completed on attempt 3 of 5."),
        ({"status": Status.FAILED, "attempt": 5}, "all 5 attempts are used up"),
        ({"status": Status.FAILED, "attempt": 1}, "that error isn't retried"),
        ({"status": Status.FAILED, "losses": 3}, "it lost 3 workers"),
        ({"status": Status.CANCELLED}, "It was cancelled."),
        (
            {
                "status": Status.CANCELLED,
                "cancel_requested_by": "olga",
                "cancel_reason": "not today",
            },
            "olga cancelled it: not today",
        ),
        (
            {"status": Status.STARTED, "cancel_requested_at": timezone.now()},
            "Somebody asked to cancel it.",
        ),
        ({"job_class": "Gone"}, "No job class named Gone is known here"),
    ],
)
def test_each_status_has_its_sentence(fields, words):
    assert words in why(**fields)


def test_a_started_job_names_its_worker_and_a_silent_one_is_said():
    worker = make_worker(heartbeat_at=timezone.now() - timedelta(minutes=5))

    text = why(status=Status.STARTED, worker=worker)

    assert "Attempt 1 of 5 runs on worker-1." in text
    assert "heartbeat is older than" in text
    assert "heartbeat" not in why(status=Status.STARTED, worker=make_worker(name="worker-2"))
