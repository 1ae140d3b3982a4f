"""What a job leaves behind on its runner's connection keeps no job from being recorded."""

from __future__ import annotations

import pytest

from jobs.models import JobAttempt
from tests import jobs, wait
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

LEFT = {
    "a search path": "SET search_path TO nowhere",
    "a role": "SET ROLE pg_monitor",
    "read only": "SET default_transaction_read_only = on",
    "a time limit": "SET statement_timeout = 1",
    "no statements": "DISCARD ALL",
    "a plan": "SET plan_cache_mode = force_custom_plan; SET enable_indexscan = off",
    "a table of our name": "CREATE TEMPORARY TABLE job_statuses (id int)",
}


@pytest.mark.parametrize("what", LEFT)
def test_the_job_and_those_after_it_complete(workers: Workers, what: str) -> None:
    leaving = jobs.Litter.dispatch(what=LEFT[what])
    after = jobs.Echo.dispatch_many([{}] * 3)

    worker = workers.start("default")

    for job in [leaving, *after]:
        wait.until_status(job, "completed", "failed", "retrying")
        assert job.status == "completed"
    assert JobAttempt.objects.count() == 1 + len(after)
    worker.stop()
