"""What was recorded is told, even where the connection broke at its very commit."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from jobs.lifecycle.outcomes import Completed, Settlement, Unbegun
from jobs.lifecycle.settle import settle
from jobs.lifecycle.start import start
from jobs.models import JobStatus
from jobs.processes.outage import Outages
from jobs.runner import ledger
from jobs.runner.kept import Kept
from jobs.runner.ledger import Ledger
from jobs.runner.run import Ran
from tests import others
from tests.make import make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


class Runner:
    """A runner's ledger, and what its supervisor hears."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.worker = make_worker()
        self.kept = Kept(lambda **message: self.said.append(message))
        self.ledger = Ledger(
            worker_id=self.worker.id,
            worker_name=self.worker.name,
            postgresql=Outages("A test", log=ledger.logger).postgresql,
            kept=self.kept,
        )

    def ran(self) -> Ran:
        [job] = start([make_job().id], worker_id=self.worker.id).jobs
        outcome = Completed(result="done")
        return Ran(job=job, settlement=Settlement(job_id=job.id, claim=job.claim, outcome=outcome))


@pytest.fixture
def runner(redis: Redis) -> Runner:
    return Runner()


def shown(redis: Redis, job: JobStatus) -> str | None:
    status = redis.hget(f"rq:job:{job.id}", "status")
    return None if status is None else status.decode()


def test_an_end_is_recorded_and_told(redis: Redis, runner: Runner) -> None:
    ran = runner.ran()

    runner.ledger.record([ran])

    ran.job.refresh_from_db()
    assert (ran.job.status, shown(redis, ran.job)) == ("completed", "finished")
    assert runner.said == []


def test_an_end_whose_commit_gave_no_answer_is_told(
    redis: Redis, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    ran = runner.ran()
    settle([ran.settlement])  # its answer was lost

    runner.ledger.record([ran])

    assert shown(redis, ran.job) == "finished"
    assert f"Job {ran.job.id}: completed" in caplog.text
    assert "Its result" not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_an_end_that_came_too_late_is_said_and_not_told(
    redis: Redis, runner: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    ran = runner.ran()
    settle([Settlement(job_id=ran.job.id, claim=ran.job.claim, outcome=Unbegun())])

    runner.ledger.record([ran])

    assert shown(redis, ran.job) is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_end_whose_row_is_held_is_kept_until_it_is_let_go(redis: Redis, runner: Runner) -> None:
    held, free = runner.ran(), runner.ran()

    with others.elsewhere() as cursor:
        others.lock(cursor, held.job)
        others.at_once(lambda: runner.ledger.record([held, free])).result(30)
        others.at_once(runner.ledger.record_kept).result(30)
        assert runner.kept.rans == [held]
        assert (shown(redis, held.job), shown(redis, free.job)) == (None, "finished")
    runner.ledger.record_kept()

    assert not runner.kept
    assert shown(redis, held.job) == "finished"
    assert [message["say"] for message in runner.said] == ["entered", "left"]
