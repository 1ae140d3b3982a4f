from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.conf import settings as site
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from jobs.models import ApiToken, JobCheckpoint, JobStatus, Schedule, ScheduleRun
from jobs.schedules import control
from jobs.statuses import Status
from tests.make import make_attempt, make_job, make_worker

pytestmark = pytest.mark.django_db


def run(*arguments):
    """Run the command; return its exit code and what it printed."""
    stdout = StringIO()
    try:
        call_command("jobs", *arguments, stdout=stdout)
    except SystemExit as stop:
        return stop.code, stdout.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, stdout.getvalue()


def answer(*arguments):
    """Run the command with --json; return its exit code and the value."""
    code, text = run(*arguments, "--json")
    return code, json.loads(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "--tag", "a\udcff"),
        ("cancel", "a\udcff"),
        ("dispatch", "Echo", "value=a\udcff"),
        ("token", "a\udcff"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_an_argument_that_is_not_utf_8_is_a_bad_question(arguments):
    code, text = run(*arguments)

    assert code == 2
    assert "is not UTF-8 text" in text


# --- list ---


def test_list_shows_the_newest_first():
    first = make_job(created_at=timezone.now() - timedelta(hours=1))
    second = make_job()

    code, text = run("list")

    assert code == 0
    assert text.index(str(second.id)) < text.index(str(first.id))


def test_list_filters_by_status_job_queue_and_tag():
    wanted = make_job(status=Status.FAILED, queue="etl", tags=["nightly"])
    make_job(status=Status.FAILED, queue="low", tags=["nightly"])
    make_job(status=Status.FAILED, queue="etl")
    make_job(queue="etl", tags=["nightly"])
    make_job(status=Status.FAILED, queue="etl", tags=["nightly"], job_class="Sleep")

    _, found = answer(
        *("list", "--status", "failed", "--job", "Echo", "--queue", "etl", "--tag", "nightly")
    )

    assert [job["id"] for job in found] == [str(wanted.id)]


def test_list_keeps_to_its_limit_and_says_that_there_are_more():
    for _ in range(3):
        make_job()

    code, text = run("list", "--limit", "2")

    assert code == 0
    assert text.count("Echo") == 2
    assert "There are more" in text


@pytest.mark.parametrize("arguments", [("--limit", "0"), ("--status", "done"), ("--colour", "red")])
def test_list_refuses_what_makes_no_sense(arguments):
    code, _ = run("list", *arguments)

    assert code != 0


def test_an_error_of_several_lines_stays_in_its_row():
    make_job(status=Status.FAILED, error="ValueError: no\n\x1b[31mred")

    _, text = run("list")

    assert "ValueError: no" in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2


def test_a_reader_that_has_enough_gets_no_traceback():
    command = [sys.executable, "manage.py", "jobs", "check", "--settings-only"]
    with subprocess.Popen(
        command, cwd=site.BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()  # as `| head` does

        assert process.stderr.read() == ""


# --- show ---


def test_show_tells_all_of_a_job_with_its_attempts():
    job = make_job(status=Status.FAILED, created_by=User.objects.create(username="ann"))
    make_attempt(job)

    code, text = run("show", str(job.id))

    assert code == 0
    for word in (str(job.id), "ann", "ValueError: no", "Traceback", '"value": "x"'):
        assert word in text


def test_show_tells_how_much_memory_an_attempt_took():
    job = make_job()
    make_attempt(job, outcome="given_back", peak_memory=70 * 1024 * 1024)

    _, text = run("show", str(job.id))

    assert "attempt 1: given back after 1.00 s" in text
    assert ", peak memory 70 MiB" in text


def test_show_tells_the_rows_of_an_import():
    job = make_job(status=Status.FAILED)
    JobCheckpoint.objects.create(
        job=job, claim=1, rows_in=10, rows_out=9, rows_rejected=1, updated_at=job.created_at
    )

    _, text = run("show", str(job.id))
    _, value = answer("show", str(job.id))

    assert '"rejected": 1' in text
    assert value["rows"] == {"in": 10, "out": 9, "rejected": 1, "kept": 0}


def test_show_hides_redacted_params():
    job = make_job(job_class="Secretive", params={"user": "ann", "password": "hunter22"})

    _, text = run("show", str(job.id))
    _, value = answer("show", str(job.id))

    assert "hunter22" not in text
    assert value["params"] == {"user": "ann", "password": "[redacted]"}


def test_show_tells_a_job_whose_worker_s_row_is_pruned():
    job = make_job(status=Status.FAILED, worker_id=uuid.uuid4())
    make_attempt(job, worker_id=uuid.uuid4(), worker_name="long-gone")

    code, value = answer("show", str(job.id))

    assert (code, value["worker"]) == (0, None)
    assert [attempt["worker"] for attempt in value["attempts"]] == ["long-gone"]


def test_show_of_an_unknown_job_is_a_bad_question():
    assert run("show", str(uuid.uuid4()))[0] == 2
    assert run("show", "nonsense")[0] == 2


@pytest.mark.parametrize("status", list(Status))
def test_show_and_list_work_in_every_status(status):
    job = make_job(status=status, progress={"done": 5, "total": None, "message": "loading"})

    assert run("show", str(job.id))[0] == 0
    assert status in run("list")[1]


# --- dispatch ---


def test_dispatch_makes_a_job():
    code, value = answer("dispatch", "Echo", "value=a=b", "--queue", "low", "--tag", "mine")

    job = JobStatus.objects.get()
    assert code == 0
    assert value["id"] == str(job.id)
    assert (job.params, job.queue, job.tags, job.status) == (
        {"value": "a=b"},
        "low",
        ["mine"],
        "queued",
    )


def test_dispatch_takes_params_as_json_and_reads_texts_as_what_the_class_wants():
    run("dispatch", "Sleep", "seconds=1.5")
    run("dispatch", "Echo", "--params", '{"value": "y"}')
    run("dispatch", "Sleep", "seconds:=2")

    params = list(JobStatus.objects.order_by("id").values_list("params", flat=True))
    assert params == [{"seconds": 1.5}, {"value": "y"}, {"seconds": 2.0}]


@pytest.mark.parametrize("moment", ["+2h", "2036-01-01T00:00:00+00:00"])
def test_dispatch_for_later(moment):
    run("dispatch", "Echo", "--at", moment)

    job = JobStatus.objects.get()
    assert job.status == "scheduled"
    assert job.due_at > timezone.now() + timedelta(hours=1)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("Nobody",), "Nobody"),
        (("Echo", "valeu=x"), "valeu"),
        (("Echo", "value"), "key=text"),
        (("Echo", "value:={"), "JSON"),
        (("Echo", "--params", "[1]"), "object"),
        (("Echo", "--queue", "nowhere"), "nowhere"),
        (("Echo", "--at", "tomorrow"), "tomorrow"),
        (("Echo", "--at", "+5y"), "5y"),
        (("Echo", "--at", "2036-01-01T00:00:00"), "time zone"),
    ],
)
def test_a_dispatch_that_makes_no_sense_makes_no_job(arguments, word):
    code, text = run("dispatch", *arguments)

    assert code == 2
    assert word in text
    assert not JobStatus.objects.exists()


def play_the_worker(end):
    """Wait for the job, start it and bring it to its end."""
    deadline = time.monotonic() + 20
    try:
        while (job := JobStatus.objects.first()) is None:
            assert time.monotonic() < deadline
        found = JobStatus.objects.filter(id=job.id)
        found.move(Status.STARTED, attempt=1, progress={"done": 1, "total": 2, "message": ""})
        found.move(end, result={"value": "x"})
    finally:
        connection.close()


@pytest.mark.redis
@pytest.mark.usefixtures("redis")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("end", "code"), [(Status.COMPLETED, 0), (Status.CANCELLED, 1)])
def test_dispatch_follows_a_job_to_its_end(end, code):
    worker = threading.Thread(target=play_the_worker, args=[end])
    worker.start()

    found, text = run("dispatch", "Echo", "value=x", "--wait", "20")

    worker.join()

    assert found == code
    assert f"{end}" in text.splitlines()[-1]


def test_a_wait_that_ends_before_the_job_is_a_bad_answer():
    code, text = run("dispatch", "Echo", "--wait", "0.1")

    assert code == 1
    assert "queued" in text.splitlines()[-1]


# --- retry, cancel ---


def test_retry_queues_again_and_says_what_it_refused():
    failed, started = make_job(status=Status.FAILED), make_job(status=Status.STARTED)

    code, value = answer("retry", str(failed.id), str(started.id))

    failed.refresh_from_db()
    assert code == 1
    assert failed.status == "queued"
    assert value["moved"] == [str(failed.id)]
    assert value["refused"] == [{"id": str(started.id), "reason": "it is started"}]


def test_retry_of_all_is_a_good_answer():
    failed = make_job(status=Status.FAILED)

    assert run("retry", str(failed.id))[0] == 0


def test_cancel_stops_what_waits_and_asks_what_runs():
    queued, started = make_job(), make_job(status=Status.STARTED)

    code, value = answer("cancel", str(queued.id), str(started.id), "--reason", "wrong file")

    queued.refresh_from_db()
    started.refresh_from_db()
    assert code == 0
    assert (queued.status, started.status) == ("cancelled", "started")
    assert started.cancel_requested_by.startswith("cli:")
    assert started.cancel_reason == "wrong file"
    assert (value["moved"], value["asked"]) == ([str(queued.id)], [str(started.id)])


def test_an_id_that_is_none_moves_nothing():
    job = make_job()

    assert run("cancel", str(job.id), "nonsense")[0] == 2
    job.refresh_from_db()
    assert job.status == "queued"


def test_an_unknown_job_is_refused():
    code, text = run("cancel", str(uuid.uuid4()))

    assert code == 1
    assert "no such job" in text


# --- queues, health ---


def test_queues_shows_loads_waits_and_workers():
    make_worker(name="ann-1", queues=["high"])
    make_job(queue="high", due_at=timezone.now() - timedelta(minutes=5))
    make_job(queue="high", status=Status.STARTED)

    code, value = answer("queues")
    _, text = run("queues")

    high = {load["queue"]: load for load in value}["high"]
    assert code == 0
    assert (high["queued"], high["started"], high["workers"]) == (1, 1, ["ann-1"])
    assert 299 < high["oldest_wait_seconds"] < 330
    assert "0:05:0" in text


@pytest.mark.django_db(transaction=True)
def test_health_is_good_with_a_living_worker_only():
    assert answer("health") == (
        1,
        {"ok": False, "database": True, "redis": True, "worker": False},
    )
    make_worker()

    code, text = run("health")

    assert code == 0
    assert text.split() == ["database", "ok", "redis", "ok", "worker", "ok"]


# --- prune ---


def ended(days_ago, status=Status.COMPLETED, **fields):
    return make_job(status=status, finished_at=timezone.now() - timedelta(days=days_ago), **fields)


def test_prune_deletes_what_is_past_its_retention_and_says_what():
    old, young = ended(8), ended(6)
    make_attempt(old)

    code, text = run("prune")

    assert code == 0
    assert list(JobStatus.objects.all()) == [young]
    assert text.splitlines()[-1] == "Deleted: 1"
    assert text.splitlines()[-2].split() == ["completed", "Echo", "7", "days,", "0:00:00", "1"]


def test_a_dry_prune_counts_by_status_and_class_and_deletes_nothing():
    for _ in range(2):
        ended(8)
    ended(31, Status.FAILED, job_class="LongGone")
    ended(6)

    code, value = answer("prune", "--dry-run")

    assert (code, value) == (
        0,
        {
            "dry_run": True,
            "total": 3,
            "jobs": [
                {"job": "Echo", "status": "completed", "kept_seconds": 604_800.0, "count": 2},
                {"job": "LongGone", "status": "failed", "kept_seconds": 2_592_000.0, "count": 1},
            ],
        },
    )
    assert JobStatus.objects.count() == 4


def test_prune_takes_an_age_a_status_and_a_class_and_only_them():
    meant = ended(3, Status.FAILED)
    kept = {
        ended(1, Status.FAILED).id,
        ended(3).id,
        ended(3, Status.FAILED, job_class="Sleep").id,
        make_job(created_at=timezone.now() - timedelta(days=3)).id,
    }

    code, value = answer(
        *("prune", "--older-than", "2d", "--status", "failed", "--job", "Echo", "--batch", "1")
    )

    assert (code, value["total"]) == (0, 1)
    assert set(JobStatus.objects.values_list("id", flat=True)) == kept
    assert not JobStatus.objects.filter(id=meant.id).exists()


def test_an_age_of_nothing_prunes_all_that_has_ended():
    ended(0)
    living = make_job()

    assert answer("prune", "--older-than", "0s")[1]["total"] == 1
    assert list(JobStatus.objects.all()) == [living]


def test_a_prune_that_is_interrupted_says_what_it_has_deleted(monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    for _ in range(3):
        ended(8)
    monkeypatch.setattr(time, "sleep", interrupt)

    code, text = run("prune", "--batch", "2")

    assert (code, text.splitlines()[-1]) == (1, "Deleted: 2")
    assert JobStatus.objects.count() == 1


def test_wrong_settings_delete_nothing_and_are_told(settings):
    ended(60)
    settings.JOBS = settings.JOBS | {"RETENTION_FAILED": 3}

    code, text = run("prune")

    assert code == 2
    assert 'JOBS["RETENTION_FAILED"] must be a positive timedelta, it is 3.' in text
    assert JobStatus.objects.count() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--older-than", "30"),
        ("--older-than", "-1d"),
        ("--status", "queued"),
        ("--batch", "0"),
        ("--batch", "10001"),
        ("--older-than", "0s", "--job", "Ecko"),
        ("--older-than", "0s", "--job", ""),
    ],
)
def test_a_prune_that_makes_no_sense_deletes_nothing(arguments):
    ended(8)

    assert run("prune", *arguments)[0] != 0
    assert JobStatus.objects.count() == 1


# --- check ---


def test_check_is_good_where_all_is_well():
    make_job()
    make_job(status=Status.FAILED, job_class="LongGone")

    code, text = run("check")

    assert (code, text.strip()) == (0, "No faults found.")


def test_check_finds_living_jobs_that_this_code_cannot_run():
    make_job(job_class="LongGone")
    make_job(queue="closed")

    code, value = answer("check")

    assert code == 1
    assert [word in " ".join(value["rows"]) for word in ("LongGone", "closed")] == [True, True]


def test_check_finds_a_schedule_whose_last_tick_made_no_job():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    Schedule.objects.create(name="nightly", job_class="Echo", crons=["0 2 * * *"], synced_at=now)
    ScheduleRun.objects.create(
        schedule_name="nightly", logical_time=now, outcome="refused", reason="no", created_at=now
    )

    assert run("check")[0] == 1


def test_check_reports_settings_with_their_hints(settings):
    settings.JOB_SCHEDULES = {
        "nightly": {"job": "Echo", "cron": "@daily", "jitter": "soon"},
        "hourly": {"job": "Nobody", "every": "1h"},
    }

    code, value = answer("check", "--settings-only")

    assert code == 1
    assert [(item["id"], bool(item["hint"])) for item in value["settings"]] == [
        ("jobs.E014", True),
        ("jobs.E016", True),
        ("jobs.W011", True),
    ]


def test_check_finds_a_schedule_of_the_admin_that_this_code_cannot_make():
    control.create("weekly", {"job": "Echo", "cron": "0 2 * * sun"}, by="ann")
    assert run("check")[0] == 0
    Schedule.objects.update(job_class="LongGone")

    code, value = answer("check")

    assert code == 1
    (said,) = value["rows"]
    assert [word in said for word in ("weekly", "LongGone", "jobs.W011")] == [True, True, True]


# --- token, demo ---


def test_token_opens_the_door_as_its_owner():
    User.objects.create(username="ann")

    code, value = answer("token", "ann", "--name", "nightly report", "--expires-in", "90d")

    found = ApiToken.objects.use(value["token"])
    assert code == 0
    assert (found.owner.username, found.name) == ("ann", "nightly report")
    assert found.expires_at > timezone.now() + timedelta(days=89)


def test_token_for_nobody_is_a_bad_question():
    assert run("token", "nobody")[0] == 2


@pytest.fixture
def import_folder(settings, tmp_path):
    settings.JOBS = {**settings.JOBS, "IMPORT_FOLDERS": [str(tmp_path)]}


@pytest.mark.usefixtures("import_folder")
def test_demo_makes_a_superuser_and_a_token_that_work_and_may_be_repeated():
    _, first = answer("demo")
    code, second = answer("demo")

    user = User.objects.get()
    assert code == 0
    assert (user.is_superuser, user.check_password(second["password"])) == (True, True)
    assert ApiToken.objects.use(second["token"]).owner == user
    assert ApiToken.objects.use(first["token"]) is None


@pytest.mark.usefixtures("import_folder")
def test_demo_in_production_makes_no_user_unless_told_to(settings):
    settings.ENVIRONMENT = "production"

    code, value = answer("demo")

    assert (code, value) == (0, {"username": None, "password": None, "token": None})
    assert not User.objects.exists()


@pytest.mark.usefixtures("import_folder")
def test_the_demo_user_in_production_is_no_superuser_and_has_its_own_password(settings):
    settings.ENVIRONMENT = "production"

    _, first = answer("demo", "--yes")
    _, second = answer("demo", "--yes")

    user = User.objects.get()
    assert not user.is_superuser
    assert user.has_perms(["jobs.add_jobstatus", "jobs.view_jobstatus", "jobs.change_jobstatus"])
    assert user.check_password(first["password"])
    assert second["password"] is None


# --- the command itself ---


@pytest.mark.parametrize(
    "name",
    [
        "list",
        "show",
        "dispatch",
        "retry",
        "cancel",
        "queues",
        "health",
        "check",
        "prune",
        "token",
        "demo",
    ],
)
def test_help_of_each_subcommand_has_examples_and_exit_codes(name, capsys):
    with pytest.raises(SystemExit) as stop:
        call_command("jobs", name, "--help")

    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"manage.py jobs {name}" in text
    assert "exit codes" in text
