"""P3, P4, P7: what one job of a batch does is not felt by the others, nor by those behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from redis import Redis

from jobs.broker import keys
from jobs.lifecycle import control
from jobs.models import JobStatus
from tests import wait
from tests.jobs import Sleep, Step, Tally
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

# So many that the batch after them is one of eight.
WARM = 7
QUICK = {"lease": 3.0, "heartbeat": 0.5}


@pytest.fixture
def slow_give_back(transactional_db: None) -> Iterator[None]:
    """To give a job back takes PostgreSQL 0.3 s."""
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION take_long() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN PERFORM pg_sleep(0.3); RETURN NEW; END';
            CREATE TRIGGER take_long BEFORE UPDATE ON job_statuses FOR EACH ROW
                WHEN (OLD.status = 'started' AND NEW.status = 'queued') EXECUTE FUNCTION take_long()
        """)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION take_long CASCADE")


def test_a_result_is_what_the_job_returned_whatever_its_neighbours_make_of_it(
    workers: Workers,
) -> None:
    jobs = Tally.dispatch_many({} for _ in range(WARM + 8))

    workers.run("default", "--burst")

    for job in jobs:
        job.refresh_from_db()
    assert [job.result for job in jobs] == [{"count": n, "all": [n]} for n in range(1, WARM + 9)]


def test_what_is_given_back_starts_before_what_was_dispatched_after_it(
    workers: Workers, slow_give_back: None, tmp_path: Path
) -> None:
    path = tmp_path / "words"
    words = [f"warm {number}" for number in range(WARM)]
    Step.dispatch_many({"path": str(path), "word": word} for word in words)
    Step.dispatch_many(
        {"path": str(path), "word": word, "seconds": seconds}
        for word, seconds in [("a", 0), ("slow", 0.2), *((word, 0) for word in "bcdefghi")]
    )

    workers.run("default", "--burst")

    assert path.read_text().split("\n")[WARM:-1] == ["a", "slow", *"bcdefghi"]


def test_what_the_supervisor_gives_back_starts_before_what_was_dispatched_after_it(
    workers: Workers, slow_give_back: None, tmp_path: Path
) -> None:
    path = tmp_path / "words"
    words = [f"warm {number}" for number in range(WARM)]
    Step.dispatch_many({"path": str(path), "word": word} for word in words)
    Step.dispatch_many(
        {"path": str(path), "word": word, "seconds": seconds, "how": how}
        for word, seconds, how in [
            ("a", 0, "sleep"),
            ("slow", 0.25, "hold the interpreter"),
            *((word, 0, "sleep") for word in "bcdefghi"),
        ]
    )

    workers.run("default", "--burst")

    assert path.read_text().split("\n")[WARM:-1] == ["a", "slow", *"bcdefghi"]


def test_what_starts_runs_though_nobody_can_be_told_of_a_duplicate_beside_it(
    workers: Workers, redis: Redis
) -> None:
    # One that lets the next batch be of two.
    _, job, gone = Sleep.dispatch_many({"seconds": seconds} for seconds in (0, 1, 0))
    control.cancel([gone.id], by="alice")
    redis.rpush(keys.queue("default"), str(gone.id))
    rename = "ALTER TABLE job_statuses RENAME {} TO {}"

    with connection.cursor() as cursor:
        cursor.execute(rename.format("tags", "away"))
        try:
            worker = workers.start("default", **QUICK)
            found = JobStatus.objects.filter(id=job.id, status="started")
            wait.until("its start", found.exists, scene=lambda: worker.log)
        finally:
            cursor.execute(rename.format("away", "tags"))

    wait.until_status(job, "completed")
    assert (job.attempt, job.losses) == (1, 0)
