from __future__ import annotations

import json

import pytest

from jobs.models import JobStatus
from jobs.statuses import Status
from tests import wait

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("workers")]

JSON = "application/json"


@pytest.fixture
def client(client_with):
    return client_with("add_jobstatus", "change_jobstatus")


def create(client, **body) -> str:
    response = client.post("/create-jobs/", json.dumps(body), JSON)
    assert response.status_code == 201
    return response.json()["job_id"]


def test_a_job_made_over_rest_runs_and_is_followed_to_its_result(client, workers):
    job_id = create(client, job="Echo", params={"value": "hi"}, queue="low")
    before = client.get(f"/job-status/{job_id}")

    workers.run("low", "--burst")

    after = client.get(f"/job-status/{job_id}", headers={"if-none-match": before.headers["ETag"]})
    assert before.json()["status"] == "queued"
    assert after.status_code == 200
    assert (after.json()["status"], after.json()["result"]) == ("completed", {"value": "hi"})
    assert after.json()["attempt"] == 1


def test_a_failed_job_tells_why_without_its_secret_and_is_retried(client, workers):
    job_id = create(client, job="Secretive", params={"user": "bob", "password": "hunter2hunter2"})
    workers.run("default", "--burst")

    shown = client.get(f"/api/jobs/{job_id}/")
    retried = client.generic("POST", f"/api/jobs/{job_id}/retry/")
    workers.run("default", "--burst")

    assert "ValueError: bob can't log in with [redacted]" in shown.json()["error"]
    assert "ValueError" in shown.json()["attempts"][0]["traceback"]
    assert b"hunter2" not in shown.content
    assert retried.json()["status"] == "queued"
    assert [a["number"] for a in client.get(f"/api/jobs/{job_id}/").json()["attempts"]] == [1, 2]


def test_a_running_job_is_cancelled_over_rest(client, workers):
    job_id = create(client, job="Sleep", params={"seconds": 50})
    workers.start("default")
    job = wait.until_status(JobStatus.objects.get(id=job_id), Status.STARTED)

    response = client.post(f"/api/jobs/{job_id}/cancel/", {"reason": "not today"}, JSON)

    wait.until_status(job, Status.CANCELLED)
    assert response.status_code == 202
    assert "not today" in client.get(f"/job-status/{job_id}").json()["error"]
