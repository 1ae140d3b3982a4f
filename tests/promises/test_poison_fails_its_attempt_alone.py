"""P3: what can't be stored ends its own attempt, says why, and touches no other job."""

from __future__ import annotations

import pytest
from redis import Redis

from jobs.models import JobAttempt
from tests import wait
from tests.jobs import Pid, Poison
from tests.make import make_job
from tests.workers import Workers

pytestmark = [pytest.mark.process]

RESULTS = {
    "NUL": "text contains a NUL character",
    "NUL in a key": "has a key that contains a NUL character",
    "NaN": "rows[1] is nan",
    "infinity": "rows[0] is -inf",
    "a million NaNs": "[0] is nan",
    "surrogate": "[1] contains a lone surrogate",
    "too deep": "nested deeper than 100 levels",
    "endless": "nested deeper than 100 levels",
    "huge number": "has more than 4000 digits",
    "key that is no text": "has a key that is a int",
    "not JSON": "when is a object, which is not JSON",
    "too much": "The result is 2,097,154 bytes",
}
ERRORS = {
    "huge error": "bytes left out",
    "error with a surrogate": "? and \N{REPLACEMENT CHARACTER}",
    "recursion": "maximum recursion depth exceeded",
    "chain of a thousand": "number 999",
    "huge group": "many (10000 sub-exceptions)",
}
MAX_ERROR_BYTES = 64 * 1024
MAX_LINE = 1_200  # what a list and a log line show


def test_the_jobs_around_it_complete_in_the_same_runner(workers: Workers) -> None:
    around, poisons = [], {}
    for what in [*RESULTS, *ERRORS]:
        around.append(Pid.dispatch())
        poisons[what] = Poison.dispatch(what=what)
    around.append(Pid.dispatch())

    workers.start("default")

    for job in [*poisons.values(), *around]:
        wait.until_status(job, "completed", "failed", "retrying", limit_seconds=60)
    assert {job.status for job in around} == {"completed"}, "a runner died"
    assert len({job.result for job in around}) == 1, "a runner died"
    for what, said in {**RESULTS, **ERRORS}.items():
        attempt = JobAttempt.objects.get(job=poisons[what])
        assert poisons[what].status == "failed"
        assert said in attempt.message, what
        assert len(attempt.message.encode()) <= MAX_ERROR_BYTES
        assert len(attempt.traceback.encode()) <= MAX_ERROR_BYTES
        assert 0 < len(poisons[what].error) < MAX_LINE
        assert "\n" not in poisons[what].error


def test_params_that_somebody_wrote_by_hand_hold_up_no_other_job(
    workers: Workers, redis: Redis
) -> None:
    poisons = [make_job(params=params) for params in ([1], "text", 3)]
    job = make_job(params={"value": "after them"})

    # Never pushed: all of them are the relay's.
    workers.start("default", lost_after=0.5)

    wait.until_status(job, "completed")
    for poison in poisons:
        wait.until_status(poison, "retrying", "failed")
        assert JobAttempt.objects.filter(job=poison).exists()
