"""The lane: many async attempts on one event loop, each of them an attempt like any other."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import re
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection

from jobs import registry
from jobs.base import BaseJob
from jobs.lifecycle.outcomes import Cancelled, Completed, Failed, GivenBack, Outcome, Snoozed
from jobs.models import JobStatus
from jobs.runner.lane import grip, lane
from jobs.runner.lane.async_attempt import AsyncAttempt
from jobs.runner.lane.grip import Grip
from jobs.runner.watch import Reason
from jobs.statuses import Status
from tests import wait
from tests.make import make_job

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT_SECONDS = 30.0


class Ride:
    """A lane of a test's own."""

    def __init__(self, slots: int) -> None:
        self.memory = memoryview(bytearray(grip.SIZE_BYTES))
        self.ended: queue.SimpleQueue[AsyncAttempt] = queue.SimpleQueue()
        self.lane = lane.Lane(slots=slots, grip=Grip(self.memory), ended=self.ended.put)

    def begin(self, job_class: str, **params: Any) -> JobStatus:
        job = make_job(status=Status.STARTED, job_class=job_class, params=params)
        self.lane.begin(job)
        return job

    def next(self) -> AsyncAttempt:
        return self.ended.get(timeout=LIMIT_SECONDS)

    def outcome_of(self, job_class: str, **params: Any) -> Outcome:
        self.begin(job_class, **params)
        return self.next().settlement().outcome


@pytest.fixture
def ride() -> Iterator[Ride]:
    made = Ride(slots=500)
    stop = threading.Event()

    def press() -> None:
        while not stop.wait(0.05):
            made.lane.press()

    guard = threading.Thread(target=press)
    guard.start()
    yield made
    for attempt in made.lane.attempts:
        made.lane.stop(Reason.INTERRUPT, job_id=attempt.job.id, claim=attempt.job.claim)
    wait.until("the lane is empty", lambda: not made.lane.attempts)
    stop.set()
    guard.join()
    made.lane.close()


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


def test_what_an_async_job_returns_is_its_result(ride: Ride) -> None:
    outcome = ride.outcome_of("AsyncEcho", value="x")

    assert outcome == Completed(result={"value": "x"})


def test_five_hundred_jobs_wait_at_once(ride: Ride) -> None:
    twins = [
        JobStatus(id=uuid4(), job_class="AsyncSleep", params={"seconds": 2}, claim=1, attempt=1)
        for _ in range(500)
    ]
    begun = time.monotonic()

    for twin in twins:
        ride.lane.begin(twin)
    assert ride.lane.free == 0
    for _ in range(500):
        assert isinstance(ride.next().settlement().outcome, Completed)

    assert time.monotonic() - begun < 30  # one after the other they would take 1000 s
    wait.until("all is free again", lambda: ride.lane.free == 500)


@pytest.mark.parametrize("deaf", [0, 3])
def test_a_job_is_stopped_at_its_timeout_though_it_keeps_that_to_itself(
    ride: Ride, deaf: int
) -> None:
    failed = failure(ride.outcome_of("AsyncTooLong", deaf=deaf))

    assert failed.error_class == "TimedOut"
    assert "longer than its timeout" in failed.message


@pytest.mark.parametrize(
    ("what", "error_class"),
    [
        ("error", "ValueError"),
        ("exit", "SystemExit"),
        ("interrupt", "KeyboardInterrupt"),
        ("exit in a task", "SystemExit"),
        ("cancelled", "CancelledError"),
        ("nan", "InvalidResult"),
    ],
)
def test_whatever_it_raises_fails_its_attempt_and_no_other(
    ride: Ride, what: str, error_class: str
) -> None:
    ride.begin("AsyncSleep", seconds=0.2)

    assert failure(ride.outcome_of("AsyncRaise", what=what)).error_class == error_class
    assert ride.next().settlement().outcome == Completed(result={"slept": 0.2, "attempt": 1})


def test_a_traceback_begins_in_the_jobs_own_code(ride: Ride) -> None:
    text = failure(ride.outcome_of("AsyncRaise", what="error")).traceback

    first = text.splitlines()[1]
    assert "tests/async_jobs.py" in first


def test_a_job_snoozes_and_cancels_itself(ride: Ride) -> None:
    assert ride.outcome_of("AsyncRaise", what="snooze") == Snoozed(delay=timedelta(hours=1))
    assert ride.outcome_of("AsyncRaise", what="cancel") == Cancelled(reason="nothing to do today")


def test_one_of_many_is_cancelled(ride: Ride) -> None:
    jobs = [ride.begin("AsyncSleep", seconds=60) for _ in range(10)]

    ride.lane.stop(Reason.CANCEL, job_id=jobs[3].id, claim=99)  # of another attempt
    ride.lane.stop(Reason.CANCEL, job_id=jobs[7].id, claim=jobs[7].claim)

    ended = ride.next()
    assert ended.job == jobs[7]
    assert isinstance(ended.settlement().outcome, Cancelled)
    assert len(ride.lane.attempts) == 9


def test_the_first_reason_stays(ride: Ride) -> None:
    job = ride.begin("AsyncSleep", seconds=60)

    ride.lane.stop(Reason.INTERRUPT, job_id=job.id, claim=job.claim)
    ride.lane.stop(Reason.CANCEL, job_id=job.id, claim=job.claim)

    assert ride.next().settlement().outcome == GivenBack()


def test_jobs_share_no_context(ride: Ride) -> None:
    assert ride.outcome_of("AsyncContext") == Completed(result="nobody's")
    assert ride.outcome_of("AsyncContext") == Completed(result="nobody's")


def test_tasks_that_a_job_leaves_behind_are_cancelled_and_named(
    ride: Ride, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "end"

    outcome = ride.outcome_of("AsyncLeaveTasks", path=str(path))

    assert outcome == Completed(result="returned")
    assert path.read_text() == "cancelled"
    assert "1 task(s) of its own still running, they are cancelled: forgotten" in caplog.text


# --- Sync code and the ORM ---


@pytest.mark.parametrize("how", ["awaited", "in a thread", "through sync code"])
def test_the_orm_is_awaited(ride: Ride, how: str) -> None:
    assert ride.outcome_of("AsyncRows", how=how) == Completed(result=Permission.objects.count())


def test_the_sync_orm_is_refused_on_the_loop(ride: Ride) -> None:
    assert (
        failure(ride.outcome_of("AsyncRows", how="straight")).error_class
        == "SynchronousOnlyOperation"
    )


@pytest.mark.parametrize("sensitive", [True, False])
def test_a_statement_ends_with_its_attempt(ride: Ride, *, sensitive: bool) -> None:
    begun = time.monotonic()

    outcome = ride.outcome_of("AsyncStatement", sensitive=sensitive)

    assert failure(outcome).error_class == "TimedOut"
    assert time.monotonic() - begun < 20  # it would have sat there for 60 s


def test_a_transaction_left_open_is_nobody_elses(ride: Ride) -> None:
    first = ride.outcome_of("AsyncLeaveOpen")
    second = ride.outcome_of("AsyncLeaveOpen")

    assert isinstance(first, Completed)
    assert isinstance(second, Completed)
    assert first.result != second.result  # its connection was closed


def test_an_attempt_is_over_when_its_threads_are(ride: Ride, tmp_path: Path) -> None:
    path = tmp_path / "work"

    outcome = ride.outcome_of("AsyncThread", seconds=1, path=str(path))

    assert failure(outcome).error_class == "TimedOut"
    assert path.read_text() == "done"


def test_the_loops_own_threads_are_no_work_of_a_job(ride: Ride) -> None:
    assert ride.outcome_of("AsyncResolve") == Completed(result="127.0.0.1")


# --- Progress ---


def test_progress_stands_on_the_row(ride: Ride) -> None:
    jobs = [ride.begin("AsyncTell") for _ in range(5)]

    for job in jobs:
        wait.until("its progress", lambda job=job: progress_of(job).get("done", 0) > 5)
        assert progress_of(job)["message"] == "on the loop"


def test_the_last_progress_is_written_before_the_end(ride: Ride) -> None:
    job = ride.begin("AsyncTell", steps=3)

    assert ride.next().settlement().outcome == Completed(result=3)
    assert progress_of(job)["done"] == 3


def test_the_end_waits_for_its_own_last_word_not_for_an_earlier_one(ride: Ride) -> None:
    job = make_job(status=Status.STARTED, job_class="AsyncTell", params={"steps": 3})
    other = connection.copy("other")
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE job_statuses IN ACCESS EXCLUSIVE MODE")
            attempt = ride.lane.begin(job)  # whose first word is written now, and has to wait
            wait.until("its code is over", lambda: attempt.begun_at and not attempt.tasks)
            cursor.execute("ROLLBACK")
    finally:
        other.close()

    assert ride.next().settlement().outcome == Completed(result=3)
    assert progress_of(job)["done"] == 3


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_a_cancel_is_heard_of_by_progress(ride: Ride, *, in_a_thread: bool) -> None:
    job = ride.begin("AsyncTell", in_a_thread=in_a_thread)
    wait.until("its progress", lambda: progress_of(job))

    JobStatus.objects.filter(id=job.id).update(cancel_requested_at="2026-11-24T00:00:00Z")

    assert isinstance(ride.next().settlement().outcome, Cancelled)


def test_an_attempt_that_is_no_longer_its_jobs_stops(ride: Ride) -> None:
    job = ride.begin("AsyncTell")
    wait.until("its progress", lambda: progress_of(job))

    JobStatus.objects.filter(id=job.id).update(claim=job.claim + 1)

    assert isinstance(ride.next().settlement().outcome, Cancelled)


def progress_of(job: JobStatus) -> dict[str, Any]:
    return JobStatus.objects.get(id=job.id).progress or {}


# --- Who holds the loop ---


@pytest.mark.parametrize("how", ["sleep", "task", "callback", "reader"])
def test_a_step_that_holds_the_loop_is_seen_from_outside(
    ride: Ride, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    ride.begin("AsyncSleep", seconds=60)
    job = ride.begin("AsyncBlock", seconds=3, how=how)

    held = wait.until(
        "somebody holds the loop",
        lambda: (held := grip.read(ride.memory)) and time.monotonic() - held.since > 0.5 and held,
    )

    assert (held.job_id, held.claim) == (job.id, job.claim)
    wait.until("it is long enough to be named", ride.lane.look)
    assert "async_jobs.py, line" in caplog.text
    assert ride.next().job == job
    wait.until("nobody holds it", lambda: grip.read(ride.memory) is None)


def test_a_callback_that_is_nobodys_step_is_seen_as_well(
    ride: Ride, caplog: pytest.LogCaptureFixture
) -> None:
    job = ride.begin("AsyncBlock", seconds=3, how="protocol")

    held = wait.until(
        "something holds the loop",
        lambda: (held := grip.read(ride.memory)) and time.monotonic() - held.since > 0.5 and held,
    )

    assert held.job_id is None
    wait.until("it is long enough to be named", ride.lane.look)
    assert "A callback, it isn't known of which job, holds the event loop" in caplog.text
    assert ride.next().job == job
    wait.until("nobody holds it", lambda: grip.read(ride.memory) is None)


def test_a_loop_that_waits_is_held_by_nobody(ride: Ride) -> None:
    ride.begin("AsyncSleep", seconds=60)
    wait.until("it waits", lambda: grip.read(ride.memory) is None)

    # Nor is one that turns again and again, however long.
    ride.begin("AsyncTell")
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        held = grip.read(ride.memory)
        assert held is None or time.monotonic() - held.since < 0.4


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_a_forked_child_that_comes_back_ends(ride: Ride, *, in_a_thread: bool) -> None:
    assert ride.outcome_of("AsyncFork", in_a_thread=in_a_thread) == Completed(result="parent")


def test_a_task_shows_its_own_stack(ride: Ride) -> None:
    ride.begin("AsyncSleep", seconds=60)
    [attempt] = ride.lane.attempts

    [task] = wait.until("its task", lambda: list(attempt.tasks))

    with contextlib.suppress(RuntimeError):
        frame = task.get_stack()[-1]
        assert "async_attempt.py" in frame.f_code.co_filename
    assert asyncio.iscoroutine(task.get_coro())


class Rate:
    """The model that the docs' example writes to."""

    kept: list[tuple[date, str, float]] = []

    class objects:  # noqa: N801 - a manager's place
        @staticmethod
        async def aupdate_or_create(
            *, day: date, currency: str, defaults: dict[str, float]
        ) -> None:
            Rate.kept.append((day, currency, defaults["rate"]))


async def fetch_rates(day: date) -> dict[str, float]:
    await asyncio.sleep(0)
    return {"EUR": 1.0, "CHF": 0.9 + day.day / 1000}


def test_the_docs_example_runs(ride: Ride, request: pytest.FixtureRequest) -> None:
    page = (Path(settings.BASE_DIR) / "docs" / "job-classes.md").read_text()
    section = page[page.index("## Async jobs") : page.index("## Testing")]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    scope = {
        "__name__": __name__,
        "BaseJob": BaseJob,
        "timedelta": timedelta,
        "date": date,
        "Rate": Rate,
        "fetch_rates": fetch_rates,
    }
    exec(code, scope)  # noqa: S102
    request.addfinalizer(lambda: registry._spec_by_name.pop("FetchRates"))

    assert ride.outcome_of("FetchRates", day="2026-11-24") == Completed(result=2)
    assert Rate.kept == [(date(2026, 11, 24), "EUR", 1.0), (date(2026, 11, 24), "CHF", 0.924)]
    assert asyncio.run(scope["FetchRates"](day=date(2026, 11, 1))._perform()) == 2
