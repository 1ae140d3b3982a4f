"""P8: nobody reads, starts, retries or cancels a job without the permission for it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import resolve
from redis import Redis

from jobs.models import JobStatus
from jobs.statuses import Status
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

DISPATCH = {"job": "Echo", "params": {"value": "x"}}


def addresses(job: JobStatus) -> list[tuple[str, str]]:
    return [
        ("get", f"/job-status/{job.id}"),
        ("get", "/api/jobs/"),
        ("get", f"/api/jobs/{job.id}/"),
        ("post", f"/api/jobs/{job.id}/retry/"),
        ("post", f"/api/jobs/{job.id}/cancel/"),
        ("post", "/create-jobs/"),
        ("get", "/admin/jobs/jobstatus/"),
        ("get", f"/admin/jobs/jobstatus/{job.id}/change/"),
        ("get", f"/admin/jobs/jobstatus/{job.id}/live/"),
        ("get", f"/admin/jobs/jobstatus/{job.id}/history/"),
        ("post", f"/admin/jobs/jobstatus/{job.id}/do/retry/"),
        ("post", f"/admin/jobs/jobstatus/{job.id}/do/cancel/"),
        ("get", "/admin/jobs/jobstatus/run/"),
        ("post", "/admin/jobs/jobstatus/run/Echo/"),
        ("get", "/admin/jobs/jobworker/"),
        ("get", "/admin/jobs/schedule/"),
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
    job = make_job(status=Status.FAILED)

    for method, address in addresses(job):
        assert resolve(address).url_name  # a 404 says that there is nothing for a stranger
        answer = getattr(stranger, method)(address, DISPATCH, content_type="application/json")
        assert answer.status_code in {302, 401, 403, 404}, address
        assert str(job.id) not in answer.content.decode().replace(address, "")

    job.refresh_from_db()
    assert job.status == "failed"
    assert JobStatus.objects.count() == 1
    assert redis.keys("rq:*") == []
