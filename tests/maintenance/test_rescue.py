from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from redis import Redis

from jobs.broker import claim, client, keys, registries
from jobs.broker.push import description
from jobs.dispatch import outbox
from jobs.errors import WorkerLost
from jobs.lifecycle import settle, start
from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.maintenance import rescue
from jobs.maintenance.watch import HeartbeatWatch
from jobs.models import JobAttempt, JobStatus, JobWorker
from jobs.processes.connection import unit_of_work
from jobs.statuses import Status
from tests.make import make_job, make_worker
from tests.others import at_once, elsewhere
from tests.refusals import DIE, refused

pytestmark = [
    pytest.mark.redis,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("redis"),
]


class Eyes:
    """A leader's watch whose clock goes five seconds with every look."""

    def __init__(self) -> None:
        self.at = 0.0
        self.watch = HeartbeatWatch(monotonic=lambda: self.at)

    def rescue_for(self, seconds: int) -> list[settle.Settled]:
        settled = []
        for _ in range(0, seconds + 5, 5):
            settled += rescue.rescue(self.watch)
            self.at += 5
        return settled


def started(worker: JobWorker, **fields: Any) -> JobStatus:
    job = make_job(**fields)
    [job] = start.start([job.id], worker_id=worker.id).jobs
    return job


def show(redis: Redis, worker: JobWorker, job: JobStatus) -> None:
    """Show it on the dashboard as a worker does."""
    now = timezone.now()
    fields = {"birth": "2026-01-01T00:00:00Z", "state": "busy", "queues": "default"}
    registries.record_worker(
        redis, name=worker.name, queues=worker.queues, fields=fields, seconds=3_600
    )
    item = registries.Started(
        job_id=job.id,
        queue=job.queue,
        claim=job.claim,
        data=description(job.job_class, {}),
        created_at=now,
        timeout_seconds=60,
    )
    registries.record_start(redis, worker_name=worker.name, worker_id=worker.id, started=[item])


def later() -> None:
    """Let ten seconds pass since every row was moved."""
    JobStatus.objects.update(updated_at=F("updated_at") - timedelta(seconds=10))


def test_a_dead_workers_job_fails_an_attempt_and_is_retried():
    worker = make_worker(name="host-7")
    job = started(worker)

    (settled,) = Eyes().rescue_for(30)

    assert (settled.job_id, settled.status) == (job.id, Status.RETRYING)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.losses) == (Status.RETRYING, 1, 1)
    attempt = JobAttempt.objects.get()
    assert (attempt.error_class, attempt.outcome) == ("WorkerLost", "failed")
    assert "host-7" in attempt.message
    worker.refresh_from_db()
    assert worker.dead_at is not None


def test_the_log_names_a_dead_worker_as_people_do(caplog):
    make_worker(name="host-7")

    Eyes().rescue_for(30)

    assert "Worker host-7 is dead: no heartbeat since" in caplog.text


def test_a_living_worker_is_never_rescued():
    worker = make_worker()
    job = started(worker, started_at=timezone.now() - timedelta(days=2))
    eyes = Eyes()
    for _ in range(20):
        assert eyes.rescue_for(20) == []
        JobWorker.objects.update(heartbeat_at=F("heartbeat_at") + timedelta(seconds=5))

    job.refresh_from_db()
    assert job.status == Status.STARTED
    worker.refresh_from_db()
    assert worker.dead_at is None


def test_a_job_that_lost_too_many_workers_fails():
    job = make_job(max_attempts=10)
    for number in range(1, 4):
        worker = make_worker(name=f"worker-{number}")
        JobStatus.objects.filter(id=job.id).update(status="queued")
        start.start([job.id], worker_id=worker.id)
        Eyes().rescue_for(30)

    job.refresh_from_db()
    assert (job.status, job.attempt, job.losses) == (Status.FAILED, 3, 3)
    assert "it has lost 3 workers" in job.error


def test_a_job_whose_attempts_are_used_up_fails():
    started(make_worker(), max_attempts=1)

    (settled,) = Eyes().rescue_for(30)

    assert settled.status == Status.FAILED


def test_a_job_whose_cancel_was_asked_for_is_cancelled():
    job = started(make_worker())
    JobStatus.objects.update(cancel_requested_at=timezone.now(), cancel_requested_by="ann")

    (settled,) = Eyes().rescue_for(30)

    assert (settled.job_id, settled.status) == (job.id, Status.CANCELLED)


def test_a_worker_that_beats_just_before_its_death_is_declared_lives():
    worker = make_worker()
    seen = worker.heartbeat_at
    JobWorker.objects.update(heartbeat_at=F("heartbeat_at") + timedelta(seconds=5))

    rescue._declare_dead(worker.id, seen)

    worker.refresh_from_db()
    assert worker.dead_at is None


def test_a_late_finisher_changes_nothing_after_the_rescue():
    job = started(make_worker())
    Eyes().rescue_for(30)

    outcome = Completed(result={"late": True})
    late = settle.settle([Settlement(job_id=job.id, claim=job.claim, outcome=outcome)])

    assert late == []
    job.refresh_from_db()
    assert (job.status, job.result) == (Status.RETRYING, None)


def test_a_dead_worker_starts_nothing_more():
    worker = make_worker()
    Eyes().rescue_for(30)

    assert start.start([make_job().id], worker_id=worker.id).is_refused


def test_what_it_had_claimed_goes_back_to_the_head_in_order(redis: Redis):
    worker = make_worker()
    now = timezone.now()
    jobs = [make_job(due_at=now - timedelta(seconds=seconds)) for seconds in range(9, 0, -1)]
    outbox.push(jobs)
    claim.take(redis, ["default"], worker.id, count=6)

    Eyes().rescue_for(30)

    listed = [item.decode() for item in redis.lrange(keys.queue("default"), 0, -1)]
    assert listed == [str(job.id) for job in jobs]
    assert claim.held(redis, worker.id) == {}


def test_a_claimed_plain_rq_job_goes_back_too(redis: Redis):
    worker = make_worker()
    redis.rpush(keys.queue("default"), "a-plain-rq-job")
    claim.take(redis, ["default"], worker.id, count=1)

    Eyes().rescue_for(30)

    assert redis.lrange(keys.queue("default"), 0, -1) == [b"a-plain-rq-job"]


def test_the_dashboard_shows_neither_worker_nor_attempt_any_more(redis: Redis):
    worker = make_worker()
    job = started(worker, max_attempts=1)
    show(redis, worker, job)
    eyes = Eyes()
    eyes.rescue_for(30)
    later()

    eyes.rescue_for(5)

    assert redis.zcard(keys.started("default")) == 0
    assert redis.hget(keys.entry(job.id), "status") == b"failed"
    assert redis.zscore(keys.failed("default"), str(job.id)) is not None
    assert redis.smembers(keys.WORKERS) == set()
    assert redis.smembers(keys.workers_of("high")) == set()
    assert redis.exists(keys.worker(worker.name), keys.worker_executions(worker.name)) == 0


def test_the_dashboard_goes_on_showing_what_runs(redis: Redis):
    worker = make_worker()
    job = started(worker)
    show(redis, worker, job)
    later()

    Eyes().rescue_for(5)

    assert redis.zcard(keys.started("default")) == 1


def test_no_pass_reads_the_params_of_what_runs(redis: Redis):
    worker = make_worker()
    show(redis, worker, started(worker, params={"value": "x" * 1_000_000}))
    eyes = Eyes()

    with CaptureQueriesContext(connection) as queries:
        eyes.rescue_for(0)

    reads = [query["sql"] for query in queries if "job_statuses" in query["sql"]]
    assert len(reads) == 2
    assert not [sql for sql in reads if '"params"' in sql]


def test_what_is_lost_is_settled_without_its_params():
    former, other = make_worker(name="former"), make_worker(name="other")
    jobs = [started(former), started(other)]
    eyes = Eyes()
    JobWorker.objects.filter(id=former.id).update(dead_at=timezone.now())

    with CaptureQueriesContext(connection) as queries:
        settled = eyes.rescue_for(0)
        settled += rescue.rescue_worker(other.id, WorkerLost("It died."))

    assert [one.job_id for one in settled] == [job.id for job in jobs]
    assert not [
        query["sql"] for query in queries if "params" in query["sql"] or "j.*" in query["sql"]
    ]


def test_a_job_that_runs_again_keeps_its_new_entry(redis: Redis):
    former, living = make_worker(name="former"), make_worker(name="living")
    job = started(former)
    show(redis, former, job)
    JobWorker.objects.filter(id=former.id).update(dead_at=timezone.now())
    rescue.settle_orphans()
    JobStatus.objects.update(status="queued", claim=F("claim") + 1)
    [again] = start.start([job.id], worker_id=living.id).jobs
    show(redis, living, again)
    later()

    Eyes().rescue_for(5)

    members = redis.zrange(keys.started("default"), 0, -1)
    assert members == [f"{job.id}:{again.claim}".encode()]
    assert redis.hget(keys.entry(job.id), "worker_name") == b"living"


def test_a_name_that_was_taken_over_stays_on_the_dashboard(redis: Redis):
    dead = make_worker(name="web-1")
    job = started(dead)
    show(redis, dead, job)
    make_worker(name="web-1")

    rescue.rescue_worker(dead.id, WorkerLost("The worker died and was started anew."))

    assert redis.exists(keys.worker("web-1")) == 1
    job.refresh_from_db()
    assert (job.status, job.error) == (
        Status.RETRYING,
        "WorkerLost: The worker died and was started anew.",
    )


def test_rescuing_a_worker_twice_settles_once():
    worker = make_worker()
    started(worker)
    error = WorkerLost("It died.")

    assert len(rescue.rescue_worker(worker.id, error)) == 1
    assert rescue.rescue_worker(worker.id, error) == []
    assert JobAttempt.objects.count() == 1


def test_rows_that_a_stopped_worker_left_started_are_settled_a_lease_later():
    worker = make_worker()
    started(worker)
    JobWorker.objects.update(stopped_at=timezone.now() - timedelta(seconds=10))
    assert rescue.settle_orphans() == []

    JobWorker.objects.update(stopped_at=timezone.now() - timedelta(seconds=31))

    (settled,) = rescue.settle_orphans()
    assert settled.status == Status.RETRYING


def test_rows_of_one_that_stopped_before_the_clock_was_set_back_are_settled():
    worker = make_worker()
    started(worker)
    JobWorker.objects.update(stopped_at=timezone.now() + timedelta(hours=1))

    (settled,) = rescue.settle_orphans()

    assert settled.status == Status.RETRYING


def test_a_started_row_whose_worker_has_no_record_is_settled():
    job = started(make_worker())
    JobStatus.objects.update(worker=uuid4())

    (settled,) = rescue.settle_orphans()

    assert (settled.job_id, settled.status) == (job.id, Status.RETRYING)


def test_who_can_declare_nobody_dead_has_seen_nothing():
    worker, eyes = make_worker(), Eyes()
    eyes.rescue_for(25)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        with pytest.raises(DatabaseError, match="cannot execute UPDATE"):
            eyes.rescue_for(30)
        cursor.execute("SET default_transaction_read_only = off")

    eyes.rescue_for(20)

    worker.refresh_from_db()
    assert worker.dead_at is None
    eyes.rescue_for(20)
    worker.refresh_from_db()
    assert worker.dead_at is not None


def test_an_orphan_that_somebody_holds_locked_holds_up_no_other():
    worker = make_worker()
    held, free = started(worker), started(worker)
    JobWorker.objects.update(dead_at=timezone.now())
    with elsewhere() as cursor:
        cursor.execute("SELECT 1 FROM job_statuses WHERE id = %s FOR UPDATE", [held.id])

        rescued = at_once(rescue.settle_orphans).result(20)

        assert [done.job_id for done in rescued] == [free.id]
    assert [done.job_id for done in rescue.settle_orphans()] == [held.id]


def test_an_orphan_whose_settlement_is_refused_holds_up_no_other(redis: Redis, caplog):
    worker, claimed = make_worker(), make_job()
    orphans = [started(worker) for _ in range(3)]
    [first, second, third] = sorted(orphans, key=lambda job: job.id)
    JobWorker.objects.update(dead_at=timezone.now())
    redis.lpush(keys.queue("default"), str(claimed.id))
    claim.take(redis, ["default"], worker.id, count=1)

    with refused(f"NEW.job_id = '{first.id}'"), pytest.raises(ProgrammingError, match="by a test"):
        Eyes().rescue_for(0)

    status_by_id = dict(JobStatus.objects.values_list("id", "status"))
    assert status_by_id[first.id] == Status.STARTED
    assert [status_by_id[job.id] for job in (second, third)] == [Status.RETRYING] * 2
    assert f"Job {first.id} can't be settled" in caplog.text
    assert not claim.held(redis, worker.id)
    assert [done.job_id for done in rescue.settle_orphans()] == [first.id]


def test_where_the_connection_breaks_no_other_orphan_is_tried(caplog):
    worker = make_worker()
    orphans = [started(worker) for _ in range(2)]
    JobWorker.objects.update(dead_at=timezone.now())

    with refused("true", by=DIE), pytest.raises(OperationalError), unit_of_work():
        rescue.settle_orphans()

    assert "can't be settled" not in caplog.text
    settled = rescue.settle_orphans()
    assert {done.job_id for done in settled} == {job.id for job in orphans}


def test_with_redis_down_the_rows_are_settled_and_redis_is_cleared_later(
    redis: Redis, dead_redis: Callable[[], Redis]
):
    worker = make_worker()
    job = started(worker)
    redis.hset(keys.claims(worker.id), "a-plain-rq-job", "default")
    show(redis, worker, job)
    JobWorker.objects.update(dead_at=timezone.now())
    watch = HeartbeatWatch()

    with pytest.raises(client.Unreachable):
        rescue.rescue(watch)

    job.refresh_from_db()
    assert job.status == Status.RETRYING
    dead_redis()
    later()
    rescue.rescue(watch)
    assert redis.lrange(keys.queue("default"), 0, -1) == [b"a-plain-rq-job"]
    assert redis.zcard(keys.started("default")) == 0
    assert redis.smembers(keys.WORKERS) == set()


def test_a_name_is_taken_over_while_redis_is_down(dead_redis: Callable[[], Redis]):
    worker = make_worker()
    job = started(worker)

    assert len(rescue.rescue_worker(worker.id, WorkerLost("It died."))) == 1

    job.refresh_from_db()
    assert job.status == Status.RETRYING
    dead_redis()


def test_two_leaders_at_once_settle_each_attempt_once():
    worker = make_worker()
    for _ in range(50):
        started(worker)
    JobWorker.objects.update(dead_at=timezone.now())
    barrier = threading.Barrier(3, timeout=20)
    settled: list[settle.Settled] = []

    def lead() -> None:
        barrier.wait()
        settled.extend(rescue.settle_orphans())
        connection.close()

    threads = [threading.Thread(target=lead) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert len(settled) == len({done.job_id for done in settled}) == 50
    assert JobAttempt.objects.count() == 50
    assert set(JobStatus.objects.values_list("status", "losses")) == {("retrying", 1)}


def test_a_leader_that_leads_no_more_ends_after_the_job_in_flight():
    worker = make_worker(dead_at=timezone.now())
    for _ in range(3):
        make_job(status=Status.STARTED, worker=worker)
    answers = iter([True, False, False, False])

    settled = rescue.rescue(HeartbeatWatch(), lambda: next(answers))

    assert len(settled) == 1
    assert JobStatus.objects.filter(status=Status.STARTED).count() == 2


def test_a_leader_that_leads_no_more_declares_nobody_dead():
    worker = make_worker()
    eyes = Eyes()
    eyes.rescue_for(25)
    eyes.at += 10  # less than what would make the watch begin anew

    assert rescue.rescue(eyes.watch, lambda: False) == []

    worker.refresh_from_db()
    assert worker.dead_at is None
