"""P9: what depends on others starts once, when all of them have ended, whatever is killed."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from django.db import connection

from jobs.base import chain, workflow
from jobs.models import JobAttempt
from tests import others, wait
from tests.jobs import Echo, FailAfter, Meet, Sleep
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

ROUNDS = 60
NO_DUTY = {"relay_interval": 3600.0, "leader_lease": 2.0}


def looks() -> int:
    """Return how many looks after an end wait for the table of dependencies."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock' AND query LIKE '%SELECT DISTINCT d.job_id%'"
        )
        return cursor.fetchone()[0]


@pytest.mark.parametrize("job", [Sleep, FailAfter])
def test_a_kill_between_the_end_and_the_release_only_delays(workers: Workers, job: Any) -> None:
    fails = job is FailAfter
    parent, child = chain(job.step(seconds=1.5), Echo.step()).dispatch()
    worker = workers.start("default", **NO_DUTY)
    wait.until_status(parent, "started")
    with others.elsewhere() as cursor:
        cursor.execute("LOCK TABLE job_dependencies IN ACCESS EXCLUSIVE MODE")
        wait.until("the look after the end", looks)
        parent.refresh_from_db()
        assert parent.status == ("failed" if fails else "completed")
        worker.signal(signal.SIGKILL)
        worker.wait()
        wait.until("the dead runner's statement ends", lambda: not looks())
    child.refresh_from_db()
    assert child.status == "waiting", "it was released before the kill"

    workers.start("default", leader_lease=2.0)

    wait.until_status(child, "cancelled" if fails else "completed")
    assert JobAttempt.objects.filter(job=child).count() == (0 if fails else 1)
    if fails:
        assert child.error == f"cancelled: FailAfter {parent.id} (step FailAfter) failed"


def test_parents_that_end_at_one_moment_in_two_processes_release_once(workers: Workers) -> None:
    workers.start("high", **NO_DUTY)
    workers.start("low", **NO_DUTY)
    flows = [
        workflow(
            one=Meet.step(gate=gate, queue="high"),
            other=Meet.step(gate=gate, queue="low"),
            child=Echo.step(queue="default").after("one", "other"),
        )
        for gate in range(ROUNDS)
    ]
    with others.elsewhere() as cursor:
        cursor.execute("SELECT pg_advisory_lock(gate) FROM generate_series(0, 99) AS gate")
        made = [flow.dispatch() for flow in flows]
        for gate in range(ROUNDS):
            others.until_blocked(2)
            cursor.execute("SELECT pg_advisory_unlock(%s)", [gate])
        for one, other, _ in made:
            wait.until_status(one, "completed")
            wait.until_status(other, "completed")
    workers.start("default", **NO_DUTY)

    for one, other, child in made:
        wait.until_status(child, "completed")
        assert child.started_at >= max(one.finished_at, other.finished_at)
        assert (child.attempt, child.claim) == (1, 2), "released once, started once"
    children = [child.id for _, _, child in made]
    assert JobAttempt.objects.filter(job__in=children).count() == ROUNDS
