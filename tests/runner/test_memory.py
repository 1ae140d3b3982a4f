"""An attempt's peak memory is its own, not that of the jobs before it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from jobs.models import JobAttempt, JobStatus
from jobs.runner import memory
from jobs.runner.memory import PeakMemory
from tests import jobs
from tests.workers import Workers

MIB = 1024 * 1024
LARGE = 150 * MIB


def in_a_child(body: Callable[[], bool]) -> None:
    """Run `body` in a forked process, as a runner is one; it must return True."""
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            code = 0 if body() else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def hold(size: int) -> None:
    held = bytearray(size)
    del held


def test_what_an_earlier_attempt_held_is_not_counted() -> None:
    def body() -> bool:
        peak = PeakMemory()
        peak.begin()
        hold(LARGE)
        first = peak.of_attempt() or 0
        peak.begin()
        second = peak.of_attempt() or 0
        # What the forked process already held counts in both.
        return second > 0 and first - second > LARGE / 2 and peak.highest() == first

    in_a_child(body)


def test_of_a_batch_what_held_much_is_not_counted_in_the_next() -> None:
    def body() -> bool:
        peak = PeakMemory()
        peak.begin()
        small = peak.of_attempt() or 0
        peak.begin()
        hold(LARGE)
        large = peak.of_attempt() or 0
        peak.begin()
        after = peak.of_attempt() or 0
        return large - small > LARGE / 2 and 0 < after < small + 2 * memory.SLACK_BYTES

    in_a_child(body)


def test_an_attempt_that_took_no_time_shows_its_own_peak() -> None:
    def body() -> bool:
        peak = PeakMemory()
        peak.begin()
        small = peak.of_attempt() or 0
        peak.begin()
        hold(LARGE)
        return (peak.of_attempt() or 0) - small > LARGE / 2

    in_a_child(body)


def test_where_the_mark_cannot_be_reset_a_peak_is_told_only_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "_reset", lambda: False)

    def body() -> bool:
        peak = PeakMemory()
        peak.begin()
        hold(LARGE)
        known = peak.of_attempt() or 0
        peak.begin()
        return known > LARGE and peak.of_attempt() is None

    in_a_child(body)


def test_the_mark_counts_children_that_earlier_attempts_waited_for() -> None:
    def body() -> bool:
        peak = PeakMemory()
        peak.begin()
        before = peak.begin()  # of the same batch or another
        subprocess.run([sys.executable, "-c", f"x = bytearray({LARGE})"], check=True)
        return before < LARGE < peak.begin()

    in_a_child(body)


@pytest.mark.process
def test_a_small_job_after_a_large_one_shows_its_own_peak(workers: Workers) -> None:
    large = jobs.Hold.dispatch(mebibytes=200)
    small = jobs.Echo.dispatch()
    dying = jobs.KillItself.dispatch()

    workers.run("default", "--burst")

    peaks = dict(JobAttempt.objects.values_list("job_id", "peak_memory"))
    assert peaks[large.id] > 200 * MIB
    assert 10 * MIB < peaks[small.id] < 150 * MIB
    assert 10 * MIB < peaks[dying.id] < 150 * MIB


@pytest.mark.process
def test_a_dead_runners_peak_is_left_out_when_it_may_be_an_earlier_jobs(workers: Workers) -> None:
    jobs.Hold.dispatch(mebibytes=200, in_a_child=True)
    dying = jobs.KillItself.dispatch()

    workers.run("default", "--burst")

    attempt = JobAttempt.objects.get(job=dying)
    assert attempt.peak_memory is None
    assert "peak memory" not in attempt.message


@pytest.mark.process
def test_a_runner_above_its_limit_is_replaced(workers: Workers) -> None:
    held = [jobs.Hold.dispatch(mebibytes=mebibytes) for mebibytes in (1, 300, 1)]

    workers.run("default", "--burst", runner_max_memory=200 * MIB)

    small, large, after = (JobStatus.objects.get(id=job.id).result for job in held)
    assert small["pid"] == large["pid"] != after["pid"]
