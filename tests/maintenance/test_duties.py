from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone
from redis import Redis

from jobs.dispatch import outbox
from jobs.maintenance import duties, leader, prune, relay
from jobs.maintenance.duties import Duty
from jobs.models import JobStatus, Lease
from jobs.processes.outage import CAP_SECONDS, Outages
from jobs.statuses import Status
from tests.make import make_job, make_worker

LIMIT_SECONDS = 20.0


@contextmanager
def running(name: str = "one") -> Iterator[threading.Thread]:
    """Do the duties in a thread, as the scheduler does."""
    stop = threading.Event()
    thread = threading.Thread(target=duties.run, args=(stop, uuid4(), name))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(LIMIT_SECONDS)
        assert not thread.is_alive()


def until(question: Callable[[], bool]) -> None:
    """Return when it is so; say what the rows were if it never is."""
    end = time.monotonic() + LIMIT_SECONDS
    while not question():
        rows = list(JobStatus.objects.values("id", "status", "claim", "due_at", "error"))
        assert time.monotonic() < end, (rows, list(Lease.objects.values()))
        threading.Event().wait(0.02)


def is_queued(job: JobStatus) -> bool:
    return JobStatus.objects.filter(id=job.id, status=Status.QUEUED).exists()


@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
class TestRunning:
    def test_a_job_due_in_a_second_is_queued_about_then(self):
        now = timezone.now()
        job = make_job(status=Status.SCHEDULED, due_at=now + timedelta(seconds=1))

        with running():
            until(lambda: is_queued(job))

        job.refresh_from_db()
        assert timedelta(seconds=1) <= job.updated_at - now < timedelta(seconds=3)

    def test_it_gives_the_lease_back_at_its_end(self):
        with running("one"):
            until(lambda: Lease.objects.filter(holder_name="one").exists())

        assert not Lease.objects.exists()

    def test_who_does_not_lead_does_no_duty(self):
        leader.take_or_renew(uuid4(), "another")
        due = make_job(status=Status.SCHEDULED, due_at=timezone.now() - timedelta(seconds=60))
        stop = Rounds(3)

        duties.run(stop, uuid4(), "one")

        due.refresh_from_db()
        assert due.status == Status.SCHEDULED
        assert Lease.objects.get().holder_name == "another"

    def test_a_second_one_takes_over_what_the_first_leaves(self):
        with running("one"):
            until(lambda: Lease.objects.filter(holder_name="one").exists())
        job = make_job(status=Status.SCHEDULED, due_at=timezone.now())

        with running("two"):
            until(lambda: is_queued(job))

    def test_a_dead_workers_rows_are_settled(self):
        worker = make_worker(dead_at=timezone.now())
        job = make_job(status=Status.STARTED, worker=worker)

        with running():
            until(lambda: JobStatus.objects.get(id=job.id).status == Status.RETRYING)

    def test_while_a_long_backlog_is_pushed_again_other_duties_have_their_turn(self, monkeypatch):
        monkeypatch.setattr(relay, "PAGE", 1)
        for _ in range(40):
            make_job()
        job = make_job(status=Status.SCHEDULED)
        entry_of, seen = outbox.entry_of, []

        def slow(pushed: JobStatus) -> object:
            # Between two pages the job comes due, long after the promotion of this round.
            seen.append(is_queued(job))
            JobStatus.objects.filter(id=job.id, status="scheduled").update(due_at=timezone.now())
            if not seen[-1]:
                threading.Event().wait(0.1)
            return entry_of(pushed)

        monkeypatch.setattr(outbox, "entry_of", slow)
        with running():
            until(lambda: is_queued(job))
            pushed_before = len(seen)

        assert pushed_before < 40

    def test_while_many_jobs_are_pruned_other_duties_have_their_turn(self, monkeypatch):
        for _ in range(500):
            make_job(status=Status.COMPLETED, finished_at=timezone.now() - timedelta(days=8))
        job = make_job(status=Status.SCHEDULED)
        delete, seen = prune._delete, []

        def slow(*given: object) -> object:
            # The job comes due with the first batch, long after the promotion of this round.
            JobStatus.objects.filter(id=job.id, status="scheduled").update(due_at=timezone.now())
            seen.append(is_queued(job))
            threading.Event().wait(0.3)
            return delete(*given)

        monkeypatch.setattr(prune, "_delete", slow)
        monkeypatch.setattr(prune, "LONGEST_SECONDS", 0.0)  # ever smaller batches
        with running():
            until(lambda: True in seen)
            left = JobStatus.objects.filter(status=Status.COMPLETED).count()

        assert left > 0
        assert seen[0] is False

    def test_without_redis_due_jobs_are_still_queued(self, dead_redis: Callable[[], Redis]):
        job = make_job(status=Status.SCHEDULED, due_at=timezone.now())

        with running():
            until(lambda: is_queued(job))
            redis = dead_redis()
            JobStatus.objects.update(updated_at=timezone.now() - timedelta(seconds=60))
            until(lambda: redis.llen("rq:queue:default") == 1)

    def test_its_broken_database_connection_is_replaced(self):
        with running():
            until(Lease.objects.exists)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            job = make_job(status=Status.SCHEDULED, due_at=timezone.now())
            until(lambda: is_queued(job))


class Rounds:
    """A stop that comes after so many rounds, without waiting."""

    def __init__(self, count: int) -> None:
        self.left = count

    def is_set(self) -> bool:
        return self.left <= 0

    def wait(self, timeout: float) -> bool:
        assert timeout >= 0
        self.left -= 1
        return self.is_set()


def duty(name: str, verb: Callable[[], object], *, interval_seconds: float = 1) -> Duty:
    outages = Outages("Duties of one", log=logging.getLogger("jobs.maintenance"))
    return Duty(name=name, verb=verb, interval_seconds=interval_seconds, outages=outages)


class TestDuty:
    def test_a_duty_that_raises_stops_nobody_and_is_logged(self, caplog):
        duty("breaking", lambda: 1 / 0).do()

        assert "Duty breaking failed" in caplog.text
        assert "ZeroDivisionError" in caplog.text

    def test_an_outage_is_said_once_and_its_end_too(self, caplog):
        caplog.set_level(logging.WARNING, "jobs.maintenance")
        answers = iter([False, False, False, True, True])

        def verb() -> None:
            if not next(answers):
                raise OperationalError("the server is gone\nhint")

        asking = duty("asking", verb)
        for _ in range(5):
            asking.do()

        assert [record.message for record in caplog.records] == [
            "Duties of one: PostgreSQL doesn't answer, waiting for it: the server is gone",
            "Duties of one: PostgreSQL answers again, after 0.0 s",
        ]

    def test_an_outage_makes_it_wait_for_at_most_five_seconds(self):
        def verb() -> None:
            raise OperationalError("the server is gone")

        asking = duty("asking", verb, interval_seconds=60)
        asking.do()

        assert asking.due_at - time.monotonic() <= CAP_SECONDS

    def test_a_duty_that_fails_waits_longer_each_time_up_to_a_limit(self):
        breaking = duty("breaking", lambda: 1 / 0)
        waits = []
        for _ in range(6):
            breaking.do()
            waits.append(round(breaking.due_at - time.monotonic()))

        assert waits == [2, 4, 8, 10, 10, 10]

    def test_one_that_seldom_has_its_turn_keeps_its_interval(self):
        breaking = duty("breaking", lambda: 1 / 0, interval_seconds=60)

        breaking.do()

        assert round(breaking.due_at - time.monotonic()) == 60


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("is_hung", [False, True])
def test_its_process_ends_within_a_second_of_its_parent(*, is_hung: bool):
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connections.close_all()
    with held_lease(is_hung=is_hung):
        pid = os.fork()
        if pid == 0:
            ours.close()
            try:
                duties.main(its, {"worker_id": str(uuid4()), "name": "forked"})
            finally:
                os._exit(3)
        its.close()
        if is_hung:
            until(is_waiting_for_a_lock)
        else:
            until(lambda: Lease.objects.filter(holder_name="forked").exists())
        ended_at = time.monotonic()
        ours.close()
        os.waitpid(pid, 0)

        assert time.monotonic() - ended_at < 1.5
    # Cut off inside its statement it can't give the lease back, which then expires by itself.
    assert is_hung or not Lease.objects.exists()


@contextmanager
def held_lease(*, is_hung: bool) -> Iterator[None]:
    """Lock the table of leases, so that whoever seeks one hangs."""
    if not is_hung:
        yield
        return
    other = connection.copy("other")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE job_leases")
            yield
            cursor.execute("ROLLBACK")
    finally:
        other.close()


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() is not None
