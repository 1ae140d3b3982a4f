from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import JobWorker, ScheduleRun
from jobs.statuses import Status
from tests.histories import make_run, make_schedule
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", ["schedulerun", "jobworker"])
def test_runs_and_workers_are_only_to_look_at(boss, model):
    run, worker = make_run(make_schedule(), timezone.now()), make_worker()
    pk = {"schedulerun": run.pk, "jobworker": worker.pk}[model]

    for verb in ("add", f"{pk}/change", f"{pk}/delete"):
        assert boss.post(f"/admin/jobs/{model}/{verb}/", {"post": "yes"}).status_code == 403
    assert (ScheduleRun.objects.count(), JobWorker.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("fields", "life"),
    [
        ({}, "living"),
        ({"heartbeat_at": timezone.now() - timedelta(minutes=5)}, "silent"),
        ({"stopped_at": timezone.now()}, "stopped"),
        ({"dead_at": timezone.now()}, "dead"),
    ],
)
def test_a_workers_life_is_told_by_its_heartbeat(boss, fields, life):
    make_worker(**fields)

    html = boss.get("/admin/jobs/jobworker/").content.decode()

    assert f'job-badge-{life}">{life}<' in html


def test_a_worker_tells_what_each_runner_does(boss):
    job = make_job(status=Status.STARTED)
    runner = {
        "pid": 41,
        "job_id": str(job.id),
        "job_class": "Echo",
        "attempt": 1,
        "started_at": (timezone.now() - timedelta(seconds=90)).isoformat(),
    }
    worker = make_worker(runners=[runner, {"pid": 42, "job_id": None}])

    html = boss.get(f"/admin/jobs/jobworker/{worker.id}/change/").content.decode()

    assert f"/admin/jobs/jobstatus/{job.id}/change/" in html
    assert "for 1 min 30 s, pid 41" in html
    assert "idle, pid 42" in html


def test_a_runner_of_a_batch_of_short_jobs_is_not_called_idle(boss):
    make_worker(runners=[{"pid": 42, "batch": 64}])

    html = boss.get("/admin/jobs/jobworker/").content.decode()

    assert "busy with short jobs, pid 42" in html
    assert "idle" not in html


def test_a_runner_of_many_async_jobs_shows_the_oldest_and_counts_all(boss):
    job = make_job(status=Status.STARTED)
    told = {"job_id": str(job.id), "claim": 1, "job_class": "FetchRates", "attempt": 1}
    runner = {
        "pid": 41,
        "async": [told],
        "async_classes": [["FetchRates", 36], ["Ping", 1]],
        "async_count": 37,
    }
    worker = make_worker(runners=[runner])

    html = boss.get(f"/admin/jobs/jobworker/{worker.id}/change/").content.decode()

    assert "main thread idle, pid 41" in html
    assert "37 async: FetchRates \N{MULTIPLICATION SIGN} 36, Ping" in html
    assert f"/admin/jobs/jobstatus/{job.id}/change/" in html
    assert "and 36 more" in html


def test_of_a_silent_worker_nobody_knows_what_its_runners_do(boss):
    heartbeat_at = timezone.now() - timedelta(minutes=5)
    make_worker(heartbeat_at=heartbeat_at, runners=[{"pid": 42, "job_id": None}])

    html = boss.get("/admin/jobs/jobworker/").content.decode()

    assert "idle" not in html
    assert "not known" in html


@pytest.mark.parametrize(
    "runners",
    [
        None,
        {},
        "x",
        [None],
        [{"job_id": "nonsense", "started_at": 3}],
        [{"async_count": 2, "async": [None, {"job_id": 7}], "async_classes": [3, []]}],
    ],
)
def test_odd_words_about_runners_are_no_server_error(boss, runners):
    worker = make_worker()
    JobWorker.objects.filter(id=worker.id).update(runners=runners or [])

    assert boss.get(f"/admin/jobs/jobworker/{worker.id}/change/").status_code == 200
