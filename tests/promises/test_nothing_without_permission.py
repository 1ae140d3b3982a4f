"""P8: nobody reads, starts, retries or cancels a job without the permission for it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import resolve
from django_rq.settings import get_queues_list
from redis import Redis

from jobs.models import JobStatus, Schedule, ScheduleChange
from jobs.schedules import control
from jobs.statuses import Status
from tests.jobs import Echo
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

NIGHTLY = {"job": "Echo", "cron": "0 2 * * *"}
DISPATCH = {"job": "Echo", "params": {"value": "x"}}


SCHEDULE = (
    "nightly/", "nightly/runs/", "nightly/pause/", "nightly/resume/", "nightly/run/",
    "nightly/backfills/", "nightly/backfills/1/", "nightly/backfills/1/stop/",
    "nightly/backfills/1/continue/",
)  # fmt: skip


PAGES = (
    "nightly/change/", "nightly/history/", "nightly/edit/", "nightly/pause/", "nightly/resume/",
    "nightly/run/", "nightly/backfill/", "nightly/backfill/1/stop/", "nightly/backfill/1/continue/",
    "nightly/delete/", "add/", "preview/", "params/",
)  # fmt: skip


def addresses(job: JobStatus) -> list[tuple[str, str]]:
    return [
        ("get", f"/job-status/{job.id}"),
        ("get", "/api/jobs/"),
        ("get", f"/api/jobs/{job.id}/"),
        ("get", f"/api/jobs/{job.id}/rejected-rows.csv"),
        ("post", f"/api/jobs/{job.id}/retry/"),
        ("post", f"/api/jobs/{job.id}/cancel/"),
        ("post", "/create-jobs/"),
        *(("get", f"/api/schedules/{path}") for path in ("", *SCHEDULE)),
        *(("post", f"/api/schedules/{path}") for path in ("", *SCHEDULE)),
        ("get", "/admin/jobs/jobstatus/"),
        ("get", f"/admin/jobs/jobstatus/{job.id}/change/"),
        ("get", f"/admin/jobs/jobstatus/{job.id}/live/"),
        ("get", f"/admin/jobs/jobstatus/{job.id}/rejected-rows.csv"),
        ("get", f"/admin/jobs/jobstatus/{job.id}/history/"),
        ("post", f"/admin/jobs/jobstatus/{job.id}/do/retry/"),
        ("post", f"/admin/jobs/jobstatus/{job.id}/do/cancel/"),
        ("get", "/admin/jobs/jobstatus/run/"),
        ("post", "/admin/jobs/jobstatus/run/Echo/"),
        ("get", "/admin/jobs/jobworker/"),
        ("get", "/admin/jobs/schedule/"),
        *((method, f"/admin/jobs/schedule/{path}") for method in ("get", "post") for path in PAGES),
        ("get", "/admin/jobs/schedulerun/"),
        ("get", "/admin/jobs/apitoken/"),
        ("post", "/admin/jobs/apitoken/add/"),
        ("get", "/admin/django_rq/dashboard/"),
        ("get", "/admin/django_rq/dashboard/stats.json"),
        ("get", f"/admin/django_rq/dashboard/queues/0/{job.id}/"),
        ("post", f"/admin/django_rq/dashboard/queues/0/{job.id}/requeue/"),
        ("post", "/admin/django_rq/dashboard/queues/0/empty/"),
    ]


@pytest.fixture(params=["nobody", "user", "staff"])
def stranger(request) -> Client:
    """Nobody, somebody logged in, somebody who may enter the admin: none with a permission."""
    client = Client()
    if request.param != "nobody":
        user = User.objects.create_user("mallory", is_staff=request.param == "staff")
        client.force_login(user)
    return client


def test_a_stranger_gets_nothing_anywhere(stranger: Client, redis: Redis) -> None:
    run = control.run_now(control.create("nightly", NIGHTLY, by="ann").name, by="ann")
    JobStatus.objects.filter(pk=run.job_id).delete()
    redis.flushdb()
    job = make_job(status=Status.FAILED, schedule="nightly", logical_time=run.logical_time)

    for method, address in addresses(job):
        assert resolve(address).url_name  # a 404 says that there is nothing for a stranger
        answer = getattr(stranger, method)(address, DISPATCH, content_type="application/json")
        assert answer.status_code in {302, 401, 403, 404}, address
        assert str(job.id) not in answer.content.decode().replace(address, "")

    job.refresh_from_db()
    assert job.status == "failed"
    assert JobStatus.objects.count() == 1, "dispatched by a stranger"
    assert not Schedule.objects.filter(paused_at__isnull=False).exists()
    assert Schedule.objects.count() == 1
    assert redis.keys("rq:*") == []


QUEUE_0 = get_queues_list()[0]["name"]  # of the dashboard's addresses
READ = {"view_jobstatus", "admin"}  # jobs, and the django-rq dashboard
CHANGE = {*READ, "change_jobstatus", "add_jobstatus"}


def changes(ended: JobStatus, waiting: JobStatus) -> list[tuple[str, dict[str, object]]]:
    admin, dashboard = "/admin/jobs/jobstatus", "/admin/django_rq/dashboard/queues/0"
    return [
        (f"/api/jobs/{ended.id}/retry/", {}),
        (f"/api/jobs/{waiting.id}/cancel/", {}),
        ("/create-jobs/", DISPATCH),
        (f"{admin}/{ended.id}/do/retry/", {}),
        (f"{admin}/{waiting.id}/do/cancel/", {}),
        (f"{admin}/", {"action": "retry_selected", "_selected_action": [ended.id]}),
        (
            f"{admin}/",
            {"action": "cancel_selected", "_selected_action": [waiting.id], "confirmed": "1"},
        ),
        (f"{admin}/run/Echo/", {"value": "x"}),
        (f"{dashboard}/{waiting.id}/delete/", {"post": "yes"}),
        (f"{dashboard}/empty/", {"post": "yes"}),
    ]


def staff(name: str, codenames: set[str]) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("number", range(10))
def test_who_may_only_read_changes_nothing_anywhere(number: int, redis: Redis) -> None:
    ended, waiting = make_job(status=Status.FAILED), Echo.dispatch(queue=QUEUE_0)
    address, fields = changes(ended, waiting)[number]
    kind = {} if "/admin/" in address else {"content_type": "application/json"}

    def statuses() -> list[str]:
        return list(JobStatus.objects.order_by("created_at").values_list("status", flat=True))

    staff("ann", READ).post(address, fields, **kind)
    assert statuses() == ["failed", "queued"], f"changed by a reader: {address}"

    staff("bob", CHANGE).post(address, fields, **kind)
    assert statuses() != ["failed", "queued"], f"changed by nobody: {address}"


def of_schedules() -> list[tuple[str, dict[str, object]]]:
    admin = "/admin/jobs/schedule"
    form = {**NIGHTLY, "timezone": "UTC", "overlap": "skip", "catch_up": "last"}
    wish = {"first": "2026-11-01", "last": "2026-11-02", "only": "missing", "max_active": "1"}
    return [
        (f"{admin}/nightly/run/", {"param-value": "x"}),
        (f"{admin}/nightly/pause/", {}),
        (f"{admin}/nightly/backfill/", {**wish, "start": "Start"}),
        (f"{admin}/nightly/edit/", {**form, "cron": "0 3 * * *", "enabled": "on"}),
        (f"{admin}/add/", {**form, "name": "other", "enabled": "on"}),
        (f"{admin}/nightly/delete/", {}),
    ]


@pytest.mark.parametrize("number", range(6))
def test_who_may_only_read_schedules_changes_and_runs_none(number: int) -> None:
    control.create("nightly", NIGHTLY, by="ann")
    address, fields = of_schedules()[number]
    done = ScheduleChange.objects.filter(by__in=("ann", "bob"))

    staff("ann", {"view_schedule"}).post(address, fields)
    assert done.count() == 1, f"done by a reader: {address}"

    staff("bob", {"change_schedule", "run_echo"}).post(address, fields)
    assert done.count() == 2, f"done by nobody: {address}"
