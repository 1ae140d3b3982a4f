from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.urls import reverse

from jobs.models import ApiToken, JobStatus, Schedule, ScheduleRun, api_token
from jobs.statuses import Status
from tests.make import make_attempt, make_job, make_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db]


def page_of(job):
    return reverse("admin:jobs_jobstatus_change", args=[job.id])


@pytest.mark.parametrize("status", list(Status))
def test_a_job_page_opens_and_names_the_status(boss, status):
    job = make_job(status=status)
    make_attempt(job)

    answer = boss.get(page_of(job))

    assert answer.status_code == 200
    assert f'<span class="job-badge job-badge-{status}">{status}</span>' in answer.content.decode()


@pytest.mark.parametrize("status", list(Status))
def test_a_job_whose_worker_s_row_is_pruned_opens_and_is_listed(boss, status):
    job = make_job(status=status, worker_id=uuid4())
    make_attempt(job, worker_id=uuid4(), worker_name="long-gone")

    page = boss.get(page_of(job))
    listed = boss.get(reverse("admin:jobs_jobstatus_changelist"))

    assert (page.status_code, listed.status_code) == (200, 200)
    assert "long-gone" in page.content.decode()
    assert page_of(job) in listed.content.decode()


@pytest.mark.parametrize("status", list(Status))
def test_the_list_shows_jobs_of_each_status(boss, status):
    job = make_job(status=status)

    answer = boss.get(reverse("admin:jobs_jobstatus_changelist"), {"status__exact": status})

    html = answer.content.decode()
    assert answer.status_code == 200
    assert page_of(job) in html
    assert f'job-badge-{status}">{status}<' in html


@pytest.fixture
def everything(admin_user):
    worker = make_worker(runners=[{"pid": 3, "job_id": None}])
    started = make_job(status=Status.STARTED, worker=worker, created_by=admin_user)
    make_worker(name="worker-2", runners=[{"pid": 4, "job_id": str(started.id), "attempt": 1}])
    schedule = Schedule.objects.create(
        name="nightly",
        job_class="Echo",
        crons=["0 2 * * *"],
        queue="low",
        params={"value": "x"},
        synced_at=started.created_at,
        next_at=started.created_at,
    )
    ScheduleRun.objects.create(
        schedule_name="nightly",
        logical_time=started.created_at,
        job=started,
        outcome="dispatched",
        created_at=started.created_at,
    )
    api_token.issue(admin_user, "a program")
    for status in Status:
        make_attempt(make_job(status=status))
    return {
        "jobs_jobstatus": started.pk,
        "jobs_jobworker": worker.pk,
        "jobs_schedule": schedule.pk,
        "jobs_schedulerun": ScheduleRun.objects.get().pk,
        "jobs_apitoken": ApiToken.objects.get().pk,
    }


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("jobs_jobstatus", "Echo"),
        ("jobs_jobworker", "worker-1"),
        ("jobs_schedule", "At 02:00"),
        ("jobs_schedulerun", "nightly"),
        ("jobs_apitoken", "a program"),
    ],
)
def test_every_list_and_page_of_every_model_opens(admin_client, everything, model, word):
    pages = [
        reverse(f"admin:{model}_changelist"),
        reverse(f"admin:{model}_change", args=[everything[model]]),
        reverse(f"admin:{model}_history", args=[everything[model]]),
    ]

    answers = [admin_client.get(page) for page in pages]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert word in answers[0].content.decode()


@pytest.mark.usefixtures("redis", "everything")
def test_the_overview_counts_and_links(admin_client):
    html = admin_client.get(reverse("admin:index")).content.decode()

    assert 'href="/admin/jobs/jobstatus/?status__exact=failed"' in html
    assert "<strong>2</strong><span>started</span>" in html
    assert reverse("admin:jobs_jobstatus_run") in html
    assert reverse("admin:django_rq_home") in html
    assert "2 living workers" in html


def test_a_page_of_a_job_that_is_gone_is_404(boss):
    missing = "0193b0a0-0000-7000-8000-000000000000"

    answers = [boss.get(f"/admin/jobs/jobstatus/{text}/change/") for text in (missing, "nonsense")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert not JobStatus.objects.exists()


INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE
)


@pytest.mark.usefixtures("redis", "everything")
@pytest.mark.parametrize("status", list(Status))
def test_our_pages_hold_no_inline_code(admin_client, status):
    job = JobStatus.objects.filter(status=status).first()
    do = [
        reverse("admin:jobs_jobstatus_do", args=[job.id, verb])
        for verb in ("cancel", "retry", "run-again")
    ]
    pages = [page_of(job), *do, reverse("admin:jobs_jobstatus_changelist"), reverse("admin:index")]
    pages += [reverse("admin:jobs_jobstatus_run"), "/admin/jobs/jobstatus/run/Echo/"]
    pages += ["/admin/jobs/schedule/", "/admin/jobs/jobworker/"]
    views = ("", "?view=day", "?view=days", "?view=weeks", "?view=year")
    pages += [f"/admin/jobs/schedule/nightly/change/{view}" for view in views]
    Schedule.objects.filter(name="nightly").update(source="admin")
    verbs = ("edit", "pause", "run", "delete", "history", "backfill")
    pages += [f"/admin/jobs/schedule/nightly/{verb}/" for verb in verbs]
    pages += ["/admin/jobs/schedule/add/", "/admin/jobs/schedule/params/?job=Echo"]

    answers = {page: admin_client.get(page) for page in pages}
    found = {page: INLINE.findall(answer.content.decode()) for page, answer in answers.items()}

    assert {page: parts for page, parts in found.items() if parts} == {}
    assert {answer.status_code for answer in answers.values()} == {200}
