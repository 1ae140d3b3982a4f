"""No attempt outlives its job, though no foreign key is checked at each settle."""

from __future__ import annotations

import pytest
from django.db import connection, transaction
from redis import Redis

from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import start
from jobs.models import JobAttempt, JobStatus
from jobs.statuses import Status
from tests import others
from tests.make import make_attempt, make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def delete(job: JobStatus) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM job_statuses WHERE id = %s", [job.id])


def test_a_job_that_somebody_deletes_by_hand_takes_its_attempts_along(redis: Redis) -> None:
    gone, other = (make_job(status=Status.FAILED) for _ in range(2))
    for claim in (1, 2):
        make_attempt(gone, claim=claim)
    kept = make_attempt(other)

    delete(gone)

    assert [attempt.pk for attempt in JobAttempt.objects.all()] == [kept.pk]


@pytest.mark.parametrize("is_by_hand", [True, False], ids=["by hand", "by Django"])
def test_a_job_deleted_while_it_is_settled_leaves_no_attempt(
    redis: Redis, *, is_by_hand: bool
) -> None:
    job = start([make_job().id], worker_id=make_worker().id).jobs[0]

    with transaction.atomic():
        settle([Settlement(job_id=job.id, claim=job.claim, outcome=Completed(result=1))])
        deletion = others.at_once(lambda: delete(job) if is_by_hand else job.delete())
        others.until_blocked()
    deletion.result(30)

    assert not JobStatus.objects.exists()
    assert not JobAttempt.objects.exists()
