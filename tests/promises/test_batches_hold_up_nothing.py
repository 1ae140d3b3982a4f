"""P3, P4: jobs run in batches, and nobody but their bookkeeping shows it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis

from jobs.broker import claim
from jobs.models import JobAttempt, JobStatus
from tests import wait
from tests.jobs import OnlyStep, Step
from tests.workers import Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

# So many that the batch after them is one of eight.
WARM = 7
# So long that nobody but the runner and its supervisor can have done anything.
LONG = {"lease": 600.0}


class Words:
    """A file that jobs of a test append to."""

    def __init__(self, path: Path) -> None:
        self.path = path / "words"
        self.path.touch()

    def dispatch(
        self, *words: str, job_class: type[Step] = Step, **params: object
    ) -> list[JobStatus]:
        return job_class.dispatch_many(
            {"path": str(self.path), "word": word, **params} for word in words
        )

    def warm_up(self) -> None:
        self.dispatch(*[f"warm {number}" for number in range(WARM)])

    def said(self) -> Counter[str]:
        return Counter(self.path.read_text().split("\n")[:-1])


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words(tmp_path)


def refreshed(jobs: list[JobStatus]) -> list[JobStatus]:
    for job in jobs:
        job.refresh_from_db()
    return jobs


def until_all(status: str, jobs: list[JobStatus], worker: Worker) -> None:
    wait.until(
        f"all {status}",
        lambda: {job.status for job in refreshed(jobs)} == {status},
        scene=lambda: f"{[(job.params, job.status, job.error) for job in jobs]}\n{worker.log}",
    )


def test_results_before_a_slow_job_and_jobs_behind_it_do_not_wait_for_it(
    workers: Workers, words: Words
) -> None:
    words.warm_up()
    before = words.dispatch("a", "b")
    [slow] = words.dispatch("slow", seconds=60)
    behind = words.dispatch("c", "d")

    worker = workers.start("default", **LONG)

    until_all("completed", before, worker)
    wait.until_status(slow, "started")
    until_all("queued", behind, worker)
    assert [(job.attempt, job.interruptions) for job in behind] == [(0, 0), (0, 0)]
    assert not JobAttempt.objects.filter(job__in=behind).exists()
    until_all("completed", behind, workers.start("default", **LONG))
    slow.refresh_from_db()
    assert slow.status == "started"
    assert words.said()["c"] == words.said()["d"] == 1


def test_the_dashboard_hears_of_ends_though_the_next_batch_is_slow(
    workers: Workers, words: Words, redis: Redis
) -> None:
    before = words.dispatch(*[f"warm {number}" for number in range(WARM)])
    [slow] = words.dispatch("slow", seconds=60)

    worker = workers.start("default", **LONG)

    wait.until_status(slow, "started")
    ids = {str(job.id).encode() for job in before}
    wait.until("all are told of", lambda: ids <= set(redis.zrange("rq:finished:default", 0, -1)))
    wait.until("none is claimed", lambda: not claim.held(redis, worker.row.id))


def test_jobs_behind_one_that_holds_the_interpreter_do_not_wait_for_it(
    workers: Workers, words: Words
) -> None:
    words.warm_up()
    [slow] = words.dispatch("slow", seconds=12, how="hold the interpreter")
    behind = words.dispatch("c", "d")
    worker = workers.start("default", **LONG)
    wait.until("it has begun", lambda: words.said()["slow"])

    until_all("queued", behind, worker)
    until_all("completed", behind, workers.start("default", **LONG))

    slow.refresh_from_db()
    assert slow.status == "started"
    wait.until_status(slow, "completed")
    assert words.said()["c"] == words.said()["d"] == 1


def test_of_a_killed_runners_batch_only_the_running_job_counts_a_loss(
    workers: Workers, words: Words
) -> None:
    words.warm_up()
    before = words.dispatch("a", "b")
    [killer] = words.dispatch("killer", how="die at first")
    behind = words.dispatch("c", "d")

    worker = workers.start("default", **LONG)

    until_all("completed", [*before, killer, *behind], worker)
    assert killer.losses == 1
    assert [job.losses for job in (*before, *behind)] == [0, 0, 0, 0]
    assert words.said()["killer"] == 2
    assert [words.said()[word] for word in "cd"] == [1, 1]
    assert [job.attempt for job in behind] == [1, 1]
    lost = JobAttempt.objects.filter(job__in=before, error_class="WorkerLost")
    # None where the machine is so slow that they filled a batch of their own.
    assert {attempt.message.split(".")[0] for attempt in lost} <= {
        "The job had ended, its end was not yet recorded"
    }


def test_a_kill_repeats_no_more_work_than_fits_into_a_batch(workers: Workers, words: Words) -> None:
    jobs = words.dispatch(*[str(number) for number in range(150)], seconds=0.01)
    worker = workers.start("default", **LONG)
    wait.until("half of them", lambda: len(words.said()) > 75)
    [runner] = wait.until("its runner", worker.runners)

    os.kill(runner, signal.SIGKILL)

    until_all("completed", jobs, worker)
    repeated = sum(words.said().values()) - len(jobs)
    assert repeated <= 5  # of 10 ms each


def test_a_job_with_one_attempt_is_not_lost_to_what_runs_after_it(
    workers: Workers, words: Words
) -> None:
    words.warm_up()
    before = words.dispatch("a", "b", job_class=OnlyStep)
    words.dispatch("quick")
    more = words.dispatch("c", "d", job_class=OnlyStep)
    [killer] = words.dispatch("killer", how="die at first")

    worker = workers.start("default", **LONG)

    until_all("completed", [*before, *more, killer], worker)
    assert [words.said()[word] for word in "abcd"] == [1, 1, 1, 1]


def test_without_batches_nothing_is_ever_taken_and_given_back(
    workers: Workers, words: Words
) -> None:
    words.warm_up()
    [slow] = words.dispatch("slow", seconds=60)
    behind = words.dispatch("c", "d")

    workers.start("default", batch_size=1, **LONG)

    wait.until_status(slow, "started")
    assert [(job.status, job.claim) for job in refreshed(behind)] == [("queued", 0), ("queued", 0)]
