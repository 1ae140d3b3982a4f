"""The watch over an attempt: who may interrupt the job's code, and when nobody may."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from jobs.errors import JobCancelled, JobInterrupted, JobTimeout
from jobs.runner.watch import REPEAT_SECONDS, Reason, Watch

LONG = 60.0
JOB, OTHER = uuid4(), uuid4()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A watch of this process, whose alarm is given back afterwards."""
    before = signal.getsignal(signal.SIGALRM)
    made = Watch()
    yield made
    made.disarm()
    signal.signal(signal.SIGALRM, before)


def wait_to_be_interrupted() -> None:
    # Ended by the exception; the limit only keeps a broken watch from hanging the tests.
    threading.Event().wait(10)
    raise AssertionError("nobody interrupted the job")


def from_the_guard(verb, *arguments, **named) -> None:
    thread = threading.Thread(target=verb, args=arguments, kwargs=named)
    thread.start()
    thread.join()


def named(job_id: UUID, claim: int) -> dict[str, object]:
    return {"job_id": str(job_id), "claim": claim}


def test_a_job_is_interrupted_at_its_timeout(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=0.05, connections=())

    with pytest.raises(JobTimeout):
        wait_to_be_interrupted()

    assert watch.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("reason", "error"), [(Reason.CANCEL, JobCancelled), (Reason.INTERRUPT, JobInterrupted)]
)
def test_a_job_is_told_to_stop(watch: Watch, reason: Reason, error: type) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    threading.Timer(0.05, watch.stop, args=(reason,), kwargs=named(JOB, 1)).start()

    with pytest.raises(error):
        wait_to_be_interrupted()

    assert watch.reason is reason


def test_a_job_that_keeps_the_exception_gets_it_again(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=0.05, connections=())
    with contextlib.suppress(JobTimeout):
        wait_to_be_interrupted()

    begun = time.monotonic()
    with pytest.raises(JobTimeout):
        wait_to_be_interrupted()

    assert time.monotonic() - begun < 4 * REPEAT_SECONDS


@pytest.mark.parametrize("other", [named(JOB, 1), named(OTHER, 2)], ids=["claim", "job"])
def test_a_word_for_another_attempt_is_not_heard(watch: Watch, other: dict[str, object]) -> None:
    watch.arm(JOB, 2, timeout_seconds=LONG, connections=())

    from_the_guard(watch.stop, Reason.CANCEL, **other)
    from_the_guard(watch.press)

    assert watch.reason is None


def test_the_first_reason_stays(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    with contextlib.suppress(JobCancelled):
        from_the_guard(watch.stop, Reason.CANCEL, **named(JOB, 1))

    with contextlib.suppress(JobCancelled):
        from_the_guard(watch.stop, Reason.INTERRUPT, **named(JOB, 1))

    assert watch.reason is Reason.CANCEL


def test_a_longer_timeout_rings_once_the_alarm_is_set(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=0.3, connections=())
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    from_the_guard(watch.set_alarm)

    with pytest.raises(JobTimeout):
        wait_to_be_interrupted()

    assert watch.reason is Reason.TIMEOUT
    watch.disarm()
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_no_alarm_is_set_for_a_job_that_is_over(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    watch.disarm()

    from_the_guard(watch.set_alarm)

    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def the_jobs_own(_number: int, _frame: object) -> None:
    raise ConnectionAbortedError("the job's own limit")


def test_an_alarm_of_the_jobs_own_is_left_to_it(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    signal.signal(signal.SIGALRM, the_jobs_own)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    from_the_guard(watch.set_alarm)

    with pytest.raises(ConnectionAbortedError):
        wait_to_be_interrupted()


def test_an_alarm_that_the_job_leaves_behind_strikes_nobody(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    signal.signal(signal.SIGALRM, the_jobs_own)
    signal.setitimer(signal.ITIMER_REAL, LONG)
    watch.disarm()

    signal.raise_signal(signal.SIGALRM)

    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_alarm_that_a_job_left_blocked_strikes_the_next(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    watch.disarm()

    watch.arm(OTHER, 1, timeout_seconds=0.05, connections=())

    with pytest.raises(JobTimeout):
        wait_to_be_interrupted()


def test_signals_mean_after_the_job_what_they_meant_before(watch: Watch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    signal.signal(signal.SIGTERM, the_jobs_own)
    try:
        watch.disarm()

        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_word_for_a_plain_rq_job_is_for_another(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())

    watch.stop(Reason.CANCEL, job_id="nightly", claim=0)

    assert watch.reason is None


def test_after_the_job_nothing_is_raised(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    watch.disarm()

    from_the_guard(watch.stop, Reason.CANCEL, **named(JOB, 1))
    from_the_guard(watch.press)
    signal.raise_signal(signal.SIGALRM)

    assert watch.reason is None


def test_a_signal_meant_for_the_job_before_does_not_time_out_the_next(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())
    watch.disarm()
    watch.arm(JOB, 2, timeout_seconds=LONG, connections=())

    signal.raise_signal(signal.SIGALRM)

    assert watch.reason is None


def test_a_new_attempt_begins_without_the_last_ones_reason(watch: Watch) -> None:
    watch.arm(JOB, 1, timeout_seconds=0.05, connections=())
    with contextlib.suppress(JobTimeout):
        wait_to_be_interrupted()
    watch.disarm()

    watch.arm(JOB, 2, timeout_seconds=LONG, connections=())

    assert watch.reason is None


def test_an_alarm_wanted_before_its_attempt_is_armed_is_set_with_it(watch: Watch) -> None:
    watch.set_alarm()

    watch.arm(JOB, 1, timeout_seconds=LONG, connections=())

    assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    watch.disarm()
    watch.arm(OTHER, 1, timeout_seconds=LONG, connections=())
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
