"""P2: somebody always does the duties, and never two for longer than a lease."""

from __future__ import annotations

from datetime import timedelta

import psutil
import pytest

from jobs.models import Lease
from tests import wait
from tests.jobs import Echo, FailTwice
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def leads(worker: Worker) -> bool:
    return Lease.objects.filter(holder=worker.row.id).exists()


def duties_of(worker: Worker) -> psutil.Process:
    """Return the process that does the worker's duties: the mother's child that is no runner."""
    [mother] = psutil.Process(worker.process.pid).children()
    wait.until("its children", lambda: worker.runners() and len(mother.children()) == 2)
    [process] = [one for one in mother.children() if one.pid not in worker.runners()]
    return process


def lead_in_order(workers: Workers, **seconds: float) -> tuple[Worker, Worker]:
    """Start two workers; return them, the leader first."""
    first = workers.start("default", **seconds)
    wait.until("its lease", lambda: leads(first))
    return first, workers.start("default", **seconds)


def test_a_site_with_one_worker_retries_and_starts_jobs_at_their_time(workers: Workers) -> None:
    workers.start("default")
    retried = FailTwice.dispatch()
    later = Echo.dispatch(run_at=timedelta(seconds=0.5))

    wait.until_status(retried, "completed")
    wait.until_status(later, "completed")


def test_a_killed_leader_is_replaced_within_15_s(workers: Workers) -> None:
    leader, other = lead_in_order(workers, leader_lease=10.0, heartbeat=5.0, lease=30.0)

    # Paused, it can't give its lease back in the moment between its supervisor's death and its own.
    duties_of(leader).suspend()
    leader.process.kill()

    wait.until("its successor", lambda: leads(other), limit_seconds=15)
    wait.until_status(Echo.dispatch(run_at=timedelta(seconds=0.1)), "completed")


def test_a_leader_that_was_paused_leads_no_more(workers: Workers) -> None:
    former, other = lead_in_order(workers, leader_lease=1.0, lease=60.0)
    paused = duties_of(former)
    paused.suspend()
    wait.until("its successor", lambda: leads(other))
    wait.until_status(Echo.dispatch(run_at=timedelta(seconds=0.1)), "completed")

    paused.resume()

    wait.until("its word", lambda: "no longer does the duties" in former.log)
    assert leads(other)


def test_duties_that_hang_are_noticed_by_their_own_worker(workers: Workers) -> None:
    worker = workers.start("default", lease=3.0, heartbeat=0.5)
    wait.until("its lease", lambda: leads(worker))
    hung = duties_of(worker)

    hung.suspend()

    wait.until_status(Echo.dispatch(run_at=timedelta(seconds=0.1)), "completed")
    assert "The duties said nothing for 3 s: killed" in worker.log
    assert not hung.is_running()
