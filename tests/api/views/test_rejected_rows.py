from __future__ import annotations

import pytest
from django.utils import timezone

from jobs.models import JobCheckpoint, JobRejectedRow, JobStatus
from jobs.statuses import Status
from tests.make import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def job():
    job = make_job(status=Status.COMPLETED)
    JobCheckpoint.objects.create(
        job=job, claim=1, rows_in=10, rows_out=9, rows_rejected=1, updated_at=timezone.now()
    )
    JobRejectedRow.objects.create(job=job, number=1, position=5, row=["a", "=b"], reason="bad")
    return job


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_rejected_rows_are_csv(client_with, job, slash):
    client = client_with("view_jobstatus")

    answer = client.get(
        f"/api/jobs/{job.id}/rejected-rows.csv{slash}", headers={"accept": "text/csv"}
    )

    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert b"".join(answer.streaming_content) == (
        b"position,reason,field 1,field 2\r\n5,bad,a,'=b\r\n"
    )


def test_whoever_made_the_job_may_read_them(person, program, job):
    alice = person()
    JobStatus.objects.filter(id=job.id).update(created_by=alice)

    answer = program(alice).get(f"/api/jobs/{job.id}/rejected-rows.csv")

    assert answer.status_code == 200


def test_to_others_they_arent_there(client_with, job):
    answer = client_with().get(f"/api/jobs/{job.id}/rejected-rows.csv")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_job_in_detail_tells_its_rows(client_with, job):
    client = client_with("view_jobstatus")

    assert client.get(f"/api/jobs/{job.id}/").json()["rows"] == {
        "in": 10, "out": 9, "rejected": 1, "kept": 1,
    }  # fmt: skip
    assert client.get(f"/api/jobs/{make_job().id}/").json()["rows"] is None
