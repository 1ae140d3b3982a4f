"""The same verbs by several at once, in threads with connections of their own.

What a deed meets is up to PostgreSQL's locks; a trigger writes down every move that was made.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from redis import Redis

from jobs.errors import Snooze, WorkerLost
from jobs.lifecycle import control, settle, start, verdict
from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.maintenance import prune, relay, rescue
from jobs.maintenance.prune import Selection
from jobs.models import JobAttempt, JobStatus
from jobs.statuses import TERMINAL, TRANSITIONS, Status
from tests import others
from tests.make import make_worker
from tests.model.test_protocol import Modelled

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

THREADS = 4
DEEDS_EACH = 150
AT_ONCE = 8  # jobs that everybody fights for


@pytest.fixture
def moves(transactional_db: None) -> Iterator[None]:
    """A table of every move of a job's status or claim, whoever made it."""
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE TABLE tests_moves (
                at serial, id uuid, was text, is_ text, claimed int, claim int);
            CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO tests_moves (id, was, is_, claimed, claim)
                VALUES (old.id, old.status, new.status, old.claim, new.claim);
                RETURN new;
            END $$;
            CREATE TRIGGER note_move AFTER UPDATE ON job_statuses FOR EACH ROW
                WHEN (old.status <> new.status OR old.claim <> new.claim)
                EXECUTE FUNCTION note_move()""")
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION note_move() CASCADE; DROP TABLE tests_moves")


class Somebody:
    """One thread's random deeds; it may settle what it started long after it lost it."""

    def __init__(self, seed: int, worker_id: UUID) -> None:
        self.rand, self.worker_id = Random(seed), worker_id
        self.running: list[JobStatus] = []
        self.deeds = [
            self.dispatches, self.starts, self.starts, self.settles, self.settles, self.rescues,
            self.cancels, self.retries, self.promotes, self.prunes,
        ]  # fmt: skip

    def work(self) -> None:
        for _ in range(DEEDS_EACH):
            self.rand.choice(self.deeds)()

    def some(self, **fields: Any) -> list[UUID]:
        ids = list(JobStatus.objects.filter(**fields).values_list("id", flat=True)[:AT_ONCE])
        return self.rand.sample(ids, k=min(len(ids), self.rand.randint(1, 4)))

    def dispatches(self) -> None:
        if JobStatus.objects.count() < AT_ONCE:
            Modelled.dispatch_many([{}] * self.rand.randint(1, 3))

    def starts(self) -> None:
        self.running += start.start(self.some(), worker_id=self.worker_id).jobs

    def settles(self) -> None:
        count = self.rand.randint(1, 4)
        ending, self.running = self.running[:count], self.running[count:]
        self.rand.shuffle(ending)  # the order of a batch must not matter
        settle.settle(
            [
                Settlement(job_id=job.id, claim=job.claim, outcome=self.outcome(job))
                for job in {job.id: job for job in ending}.values()
            ]
        )

    def outcome(self, job: JobStatus) -> Any:
        return self.rand.choice(
            [
                Completed(result=None),
                verdict.of_error(job, ValueError("no")),
                verdict.of_error(job, KeyError("never")),
                verdict.of_error(job, Snooze(timedelta(microseconds=1))),
                verdict.of_interruption(job),
            ]
        )

    def rescues(self) -> None:
        lost = JobStatus.objects.filter(id__in=self.some(status=Status.STARTED))
        rescue.settle_lost(list(lost), WorkerLost("lost"))

    def cancels(self) -> None:
        control.cancel(self.some(), by="alice")

    def retries(self) -> None:
        control.retry(self.some(), by="bob")

    def promotes(self) -> None:
        JobStatus.objects.filter(id__in=self.some(status=Status.RETRYING)).update(
            due_at="2026-01-01T00:00Z"
        )
        relay.promote()

    def prunes(self) -> None:
        if self.rand.random() < 0.3:
            for lane in prune.lanes(Selection(older_than=timedelta(0))):
                list(prune.batches(lane))


def made_moves() -> list[tuple[UUID, str, str, int, int]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, was, is_, claimed, claim FROM tests_moves ORDER BY at")
        return cursor.fetchall()


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_comes_first_every_move_is_legal_and_no_claim_is_used_twice(
    redis: Redis, moves: None, seed: int
) -> None:
    workers = [make_worker(name=f"worker-{number}") for number in range(THREADS)]

    threads = [
        others.at_once(Somebody(seed * 100 + number, worker.id).work)
        for number, worker in enumerate(workers)
    ]
    for thread in threads:
        thread.result(120)

    made = made_moves()
    starts: dict[UUID, list[int]] = defaultdict(list)
    for job_id, was, is_, claimed, claim in made:
        assert is_ in TRANSITIONS[Status(was)], f"an illegal move: {was} -> {is_}"
        assert claim == claimed + (is_ in {"queued", "started"}), (was, is_, claimed, claim)
        if is_ == "started":
            starts[job_id].append(claim)
    assert all(len(set(claims)) == len(claims) for claims in starts.values())
    assert len({(was, is_) for _, was, is_, _, _ in made}) >= 10, "they hardly met"
    for job in JobStatus.objects.all():
        ended = set(JobAttempt.objects.filter(job=job).values_list("claim", flat=True))
        running = {job.claim} if job.status == Status.STARTED else set()
        assert ended | running == set(starts[job.id]), "an attempt has no end, or two"
        assert (job.finished_at is not None) == (job.status in TERMINAL)
