from __future__ import annotations

from uuid import uuid4

import pytest

from jobs.models import JobStatus
from jobs.statuses import Status
from tests.make import make_job

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_job_is_told_with_just_the_promised_fields(client_with, slash):
    job = make_job(status=Status.COMPLETED)

    response = client_with("view_jobstatus").get(f"/job-status/{job.id}{slash}")

    assert response.status_code == 200
    body = response.json()
    assert set(body) == {
        "id", "status", "result", "created_at", "updated_at", "job", "queue", "attempt",
        "max_attempts", "progress", "error", "due_at", "started_at", "finished_at",
    }  # fmt: skip
    assert (body["id"], body["status"], body["job"]) == (str(job.id), "completed", "Echo")
    assert (body["result"], body["error"]) == ({"value": "x"}, None)
    assert body["created_at"].endswith("Z")


@pytest.mark.parametrize("status", list(Status))
def test_every_status_is_told_by_its_word(client_with, status):
    job = make_job(status=status)

    assert client_with("view_jobstatus").get(f"/job-status/{job.id}").json()["status"] == status


def test_progress_is_told(client_with):
    progress = {"done": 3, "total": 10, "message": "loading", "at": "2026-01-01T00:00:00Z"}
    job = make_job(status=Status.STARTED, progress=progress)

    assert client_with("view_jobstatus").get(f"/job-status/{job.id}").json()["progress"] == progress


def test_an_unchanged_job_is_304_without_a_body(client_with):
    job, client = make_job(status=Status.STARTED), client_with("view_jobstatus")
    etag = client.get(f"/job-status/{job.id}").headers["ETag"]

    response = client.get(f"/job-status/{job.id}", headers={"if-none-match": etag})

    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["ETag"] == etag


@pytest.mark.parametrize(
    "change",
    [{"status": Status.FAILED}, {"progress": {"done": 2}}, {"result": 1}, {"attempt": 2}],
)
def test_a_changed_job_has_another_etag(client_with, change):
    job, client = make_job(status=Status.STARTED), client_with("view_jobstatus")
    etag = client.get(f"/job-status/{job.id}").headers["ETag"]

    JobStatus.objects.filter(id=job.id).update(**change)
    response = client.get(f"/job-status/{job.id}", headers={"if-none-match": etag})

    assert response.status_code == 200
    assert response.headers["ETag"] != etag


def test_who_made_a_job_may_follow_it(person, program):
    alice = person()
    job = make_job(created_by=alice)

    assert program(alice).get(f"/job-status/{job.id}").status_code == 200


def test_another_persons_job_looks_like_no_job(person, program):
    job = make_job(created_by=person(name="bob"))
    client = program(person("run_echo", "add_jobstatus", name="alice"))

    hidden, missing = (client.get(f"/job-status/{id_}") for id_ in (job.id, uuid4()))

    assert hidden.status_code == missing.status_code == 404
    assert hidden.content == missing.content
    assert dict(hidden.headers) == dict(missing.headers)


def test_a_job_of_nobody_is_hidden_from_who_may_not_view(client_with):
    job = make_job(created_by=None)

    assert client_with("run_echo").get(f"/job-status/{job.id}").status_code == 404


def test_an_id_that_is_none_is_404(client_with):
    response = client_with("view_jobstatus").get("/job-status/not-an-id")

    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_its_maker_asks_with_one_query_beside_the_token(person, program, django_assert_num_queries):
    alice = person()
    job, client = make_job(created_by=alice), program(alice)
    client.get(f"/job-status/{job.id}")  # the token's use of this hour is noted

    with django_assert_num_queries(2):
        client.get(f"/job-status/{job.id}")
