from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings as site
from django.utils import timezone

from jobs.models import Backfill, JobStatus, Schedule, ScheduleRun
from jobs.schedules import backfill, backfilling
from jobs.statuses import Status
from tests import wait
from tests.cli.test_jobs_command import answer, run
from tests.make import make_job
from tests.workers import environment

pytestmark = pytest.mark.django_db

WEEK = ("--from", "2026-11-01", "--to", "2026-11-07")


@pytest.fixture
def nightly():
    return Schedule.objects.create(
        name="nightly",
        job_class="Echo",
        crons=["0 2 * * *"],
        timezone="America/New_York",
        synced_at=timezone.now(),
    )


def start(*arguments):
    code, found = answer("backfill", "nightly", *WEEK, "--detach", *arguments)
    assert code == 0, found
    return found


def work_off(status=Status.COMPLETED):
    """Do what rqscheduler and a worker would, to the end."""
    for _ in range(50):
        for backfill_id in backfilling.running():
            backfilling.advance(backfill_id)
        JobStatus.objects.filter(finished_at=None).update(status=status, finished_at=timezone.now())
        if not backfilling.running():
            return


# --- Starting ---


def test_a_started_one_says_what_it_will_make_and_how_to_follow_it(nightly):
    code, text = run("backfill", "nightly", *WEEK, "--detach")

    row = Backfill.objects.get()
    assert code == 0
    assert f"Backfill {row.pk} of nightly: 7 moments from 2026-11-01 00:00:00" in text
    assert "(America/New_York)" in text
    assert f"--follow {row.pk}" in text


def test_days_are_whole_days_of_the_schedule_s_zone(nightly):
    found = start()

    # The clocks go back in the night of the first.
    assert found["from"] == "2026-11-01T04:00:00Z"
    assert found["to"] == "2026-11-08T04:59:59.999Z"
    assert found["total"] == 7
    assert found["made_by"].startswith("cli:")


def test_a_moment_without_a_zone_is_one_of_the_schedule_s_and_one_with_a_zone_is_itself(nightly):
    arguments = ("--from", "2026-11-03T02:00", "--to", "2026-11-05T02:00:00+00:00", "--detach")

    _, found = answer("backfill", "nightly", *arguments)

    assert (found["from"], found["to"]) == ("2026-11-03T07:00:00Z", "2026-11-05T02:00:00Z")
    assert found["total"] == 2


def test_today_ends_now(nightly):
    today = f"{timezone.now().astimezone(UTC):%Y-%m-%d}"
    Schedule.objects.update(timezone="UTC", crons=["* * * * *"])

    code, found = answer("backfill", "nightly", "--from", today, "--to", today, "--detach")

    assert code == 0
    assert datetime.fromisoformat(found["to"]) <= timezone.now()


def test_its_options_stand_on_its_row(nightly):
    start("--reverse", "--max-active", "5", "--only", "all")

    row = Backfill.objects.get()
    assert (row.newest_first, row.max_active, row.only) == (True, 5, "all")


def test_a_dry_run_counts_and_makes_nothing(nightly):
    moment = datetime(2026, 11, 2, 7, tzinfo=UTC)
    job = make_job(status=Status.FAILED, schedule="nightly", logical_time=moment)
    ScheduleRun.objects.create(
        schedule_name="nightly",
        logical_time=moment,
        outcome="dispatched",
        job=job,
        created_at=moment,
    )

    code, text = run("backfill", "nightly", *WEEK, "--dry-run")
    _, found = answer("backfill", "nightly", *WEEK, "--dry-run")

    assert code == 0
    assert "7 moments from 2026-11-01" in text
    assert "6 to make" in text
    assert "2026-11-01 02:00:00, 2026-11-03 02:00:00, 2026-11-04 02:00:00, ..." in text
    assert (found["total"], found["to_make"]) == (7, 6)
    assert found["counts"] == {"missing": 6, "living": 0, "failed": 1, "completed": 0}
    assert found["first"]["failed"] == ["2026-11-02T07:00:00Z"]
    assert Backfill.objects.count() == 0


def test_the_docs_show_what_a_dry_run_prints():
    Schedule.objects.create(
        name="nightly-import",
        job_class="Echo",
        crons=["0 2 * * *"],
        timezone="Europe/Berlin",
        synced_at=timezone.now(),
    )
    for day, status in ((3, Status.FAILED), (7, Status.COMPLETED)):
        moment = datetime(2026, 11, day, 1, tzinfo=UTC)
        ScheduleRun.objects.create(
            schedule_name="nightly-import",
            logical_time=moment,
            outcome="dispatched",
            job=make_job(status=status, schedule="nightly-import", logical_time=moment),
            created_at=moment,
        )

    _, text = run("backfill", "nightly-import", *WEEK, "--dry-run")

    assert text in Path(site.BASE_DIR, "docs", "schedules.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Say which schedule"),
        (("nightly", "--from", "2026-11-01"), "Say which schedule"),
        (("nobody", *WEEK), "No schedule is named 'nobody'"),
        (("nightly", "--from", "November", "--to", "2026-11-07"), "from: 'November'"),
        (("nightly", "--from", "2026-11-01", "--to", "2026-11-31"), "to: '2026-11-31'"),
        (("nightly", "--from", "0001-01-01", "--to", "2026-11-07"), "too far away"),
        (("nightly", "--from", "2026-11-07", "--to", "2026-11-01"), "ends before it begins"),
        (("nightly", "--from", "2026-11-01", "--to", "2199-01-01"), "is yet to come"),
        (("nightly", "--from", "2026-11-01T03:00", "--to", "2026-11-01T04:00"), "no moment"),
        (("nightly", *WEEK, "--max-active", "0"), "max_active"),
        (("--stop", "77"), "There is no backfill 77"),
        (("--continue", "77"), "There is no backfill 77"),
        (("--follow", "77"), "There is no backfill 77"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(nightly, arguments, words):
    code, text = run("backfill", *arguments)

    assert code == 2
    assert words in text
    assert Backfill.objects.count() == 0


def test_a_second_one_is_a_bad_answer(nightly):
    first = start()

    code, text = run("backfill", "nightly", *WEEK)

    assert code == 1
    assert f"Backfill {first['id']} of nightly is running" in text


# --- Steering ---


def test_a_stopped_one_is_continued(nightly):
    found = start()

    code, text = run("backfill", "--stop", str(found["id"]))
    assert code == 0
    assert f"--continue {found['id']}" in text
    assert answer("backfill", "--stop", str(found["id"]))[0] == 1

    code, found = answer("backfill", "--continue", str(found["id"]), "--detach")
    assert (code, found["status"]) == (0, "running")


def test_the_newest_are_listed(nightly):
    first = start()["id"]
    backfill.stop(first, by="ann")
    second = start()["id"]

    code, text = run("backfill", "--list")
    _, found = answer("backfill", "--list", "nightly")

    assert code == 0
    assert "stopped by ann" in text
    assert [row["id"] for row in found] == [second, first]
    assert answer("backfill", "--list", "other")[1] == []


# --- Following ---


def test_one_that_completed_well_is_a_good_answer(nightly):
    found = start()
    work_off()

    code, text = run("backfill", "--follow", str(found["id"]))

    assert code == 0
    assert "7 of 7 moments: 7 completed, 0 living, 0 failed" in text
    assert f"Backfill {found['id']}: completed" in text


def test_failed_jobs_are_a_bad_answer(nightly):
    found = start()
    work_off(Status.FAILED)

    code, found = answer("backfill", "--follow", str(found["id"]))

    assert code == 1
    assert (found["status"], found["failed"], found["completed"]) == ("completed", 7, 0)


def test_one_that_somebody_stops_is_a_bad_answer(nightly):
    found = start()
    backfill.stop(found["id"], by="bob")

    code, text = run("backfill", "--follow", str(found["id"]))

    assert code == 1
    assert "stopped, stopped by bob" not in text
    assert "stopped by bob" in text


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_whoever_follows_is_told_that_no_scheduler_runs_and_may_leave(nightly, tmp_path):
    found = start()
    Backfill.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    log = tmp_path / "follow.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "jobs", "backfill", "--follow", str(found["id"])],
            cwd=site.BASE_DIR,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    try:
        wait.until("it says so", lambda: "start manage.py rqscheduler" in log.read_text())
        process.send_signal(signal.SIGINT)

        assert process.wait(wait.LIMIT_SECONDS) == 1
        assert f"--stop {found['id']}" in log.read_text()
        assert "Traceback" not in log.read_text()
    finally:
        process.kill()
    assert Backfill.objects.get().status == "running"
