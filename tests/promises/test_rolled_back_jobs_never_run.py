"""P1: a job dispatched inside a transaction exists if and only if the transaction commits."""

from __future__ import annotations

import contextlib

import pytest
from django.db import IntegrityError, transaction
from redis import Redis

from jobs.broker import keys
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import Echo
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def test_what_commits_runs_and_what_rolls_back_never_was(workers: Workers) -> None:
    workers.start("default")

    for number in range(20):
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            Echo.dispatch(value=str(number))
            if number % 2:
                raise ZeroDivisionError

    last = Echo.dispatch(value="last")
    wait.until_status(last, "completed")
    values = JobStatus.objects.order_by("created_at").values_list("params__value", flat=True)
    assert list(values) == [*(str(number) for number in range(0, 20, 2)), "last"], (
        "a rolled back one stands"
    )
    assert JobAttempt.objects.count() == 11


def test_nothing_of_a_job_is_anywhere_before_its_commit(workers: Workers, redis: Redis) -> None:
    workers.start("default")

    with transaction.atomic():
        job = Echo.dispatch()
        nobodys = Echo.dispatch(queue="low")  # no worker takes it out of sight
        other = transaction.get_connection().copy("other")
        with contextlib.closing(other), other.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM job_statuses")
            assert cursor.fetchone() == (0,)
        assert redis.lrange(keys.queue("low"), 0, -1) == [], "pushed before its commit"
        assert not JobAttempt.objects.exists()

    wait.until_status(job, "completed")
    assert redis.lrange(keys.queue("low"), 0, -1) == [str(nobodys.id).encode()]


def test_a_dispatch_many_that_fails_at_its_last_row_leaves_none(redis: Redis) -> None:
    wishes = [Request(spec=Echo.spec) for _ in range(1_500)]
    wishes[-1] = Request(
        spec=Echo.spec, created_by_id=999_999
    )  # no such user; in the 2nd statement

    with pytest.raises(IntegrityError):
        create.dispatch(wishes)

    assert JobStatus.objects.count() == 0, "some of them stand"
    assert redis.keys() == []
