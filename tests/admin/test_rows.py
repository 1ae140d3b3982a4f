"""An import's rows on its page."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import JobCheckpoint, JobRejectedRow
from jobs.statuses import Status
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db]


@pytest.fixture
def job():
    job = make_job(status=Status.FAILED)
    JobCheckpoint.objects.create(
        job=job, claim=1, position={"page": 777}, rows_in=12_345, rows_out=12_343, rows_rejected=2,
        updated_at=timezone.now(),
    )  # fmt: skip
    JobRejectedRow.objects.create(
        job=job, number=1, position=5, row={"city": "Köln"}, reason="no such city"
    )
    return job


def page(client, job):
    return client.get(reverse("admin:jobs_jobstatus_change", args=[job.id])).content.decode()


def test_the_page_tells_rows_in_out_and_rejected_and_links_to_them(viewer, job):
    html = page(viewer, job)

    assert "<dt>In</dt><dd>12,345</dd>" in html
    assert "<dt>Out</dt><dd>12,343</dd>" in html
    assert "<dt>Rejected</dt><dd>2</dd>" in html
    assert reverse("admin:jobs_jobstatus_rejected_rows", args=[job.id]) in html
    assert "the first 1<" in html
    assert "goes on behind" in html
    assert "777" in html


def test_a_job_that_records_nothing_has_no_such_panel(viewer):
    assert 'id="rows"' not in page(viewer, make_job())


def test_the_rejected_rows_are_downloaded(viewer, job):
    answer = viewer.get(reverse("admin:jobs_jobstatus_rejected_rows", args=[job.id]))

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rejected-{job.id}.csv"'
    assert "no-store" in answer.headers["Cache-Control"]
    content = b"".join(answer.streaming_content).decode()
    assert content == "\ufeffposition,reason,city\r\n5,no such city,Köln\r\n"
