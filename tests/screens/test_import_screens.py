from __future__ import annotations

import pytest
from django.utils import timezone

from jobs.models import JobCheckpoint, JobRejectedRow
from jobs.statuses import Status
from tests.make import make_job

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]


def test_an_imports_rows_are_counted_while_it_runs(screen):
    job = make_job(status=Status.STARTED)
    checkpoint = JobCheckpoint.objects.create(
        job=job, claim=1, position=1_000, rows_in=1_000, rows_out=999, rows_rejected=1,
        updated_at=timezone.now(),
    )  # fmt: skip
    JobRejectedRow.objects.create(
        job=job, number=1, position=7, row={"city": "Berlin"}, reason="lat is missing"
    )
    screen.log_in("demo")

    screen.open(f"/admin/jobs/jobstatus/{job.id}/change/")
    assert [one.text for one in screen.all("#rows dd")] == ["1,000", "999", "1"]
    JobCheckpoint.objects.filter(pk=checkpoint.pk).update(rows_in=2_000, rows_out=1_999)

    screen.shows("2,000")
    link = screen.find("#rows a")
    assert link.text == "Download the rejected rows as CSV"
    assert link.get_attribute("href").endswith(f"/{job.id}/rejected-rows.csv")
