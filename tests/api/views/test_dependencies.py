"""depends_on over REST: made, shown, and only of jobs that one may follow."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from jobs.base import workflow
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.jobs import Echo
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def post(client, body):
    return client.post("/create-jobs/", json.dumps(body), content_type="application/json")


def test_a_job_waits_for_one_s_own(person, program, redis):
    client = program(person("run_echo"))
    parent = post(client, {"job": "Echo"}).json()["job_id"]

    answer = post(client, {"job": "Echo", "depends_on": [parent], "on_parent_failure": "run"})

    assert answer.status_code == 201
    assert answer.json()["status"] == "waiting"
    child = JobStatus.objects.get(id=answer.json()["job_id"])
    assert child.dependencies.get().on_parent_failure == "run"


def test_one_of_a_failed_job_says_that_it_is_cancelled(client_with, redis):
    parent = make_job(status=Status.FAILED)

    answer = post(
        client_with("run_echo", "view_jobstatus"), {"job": "Echo", "depends_on": [str(parent.id)]}
    )

    assert answer.json()["status"] == "cancelled"


def test_another_s_job_looks_as_if_there_were_none(client_with, redis):
    client = client_with("run_echo")
    theirs, none = make_job().id, uuid4()

    answers = [
        post(client, [{"job": "Echo"}, {"job": "Echo", "depends_on": [str(each)]}])
        for each in (theirs, none)
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    said = [answer.json() for answer in answers]
    for each, one in zip((theirs, none), said, strict=True):
        assert one["type"] == "urn:jobsite:problem:invalid-option"
        assert [error["pointer"] for error in one["errors"]] == ["#/1/depends_on"]
        assert str(each) in one["detail"]
    assert str(said[0]).replace(str(theirs), "") == str(said[1]).replace(str(none), "")
    assert JobStatus.objects.count() == 1


def test_who_may_view_jobs_is_told_of_a_parent_that_is_not_there(client_with, redis):
    client = client_with("run_echo", "view_jobstatus")

    answer = post(client, {"job": "Echo", "depends_on": [str(uuid4())]})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "#/depends_on"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("depends_on", "x"), ("depends_on", ["x"]), ("depends_on", [1]), ("depends_on", {}),
        ("depends_on", ["0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11"] * 1_001),
        ("on_parent_failure", "skip"), ("on_parent_failure", 1), ("on_parent_failure", []),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(client_with, redis, key, value):
    answer = post(client_with("run_echo"), {"job": "Echo", key: value})

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == f"#/{key}"


def test_the_detail_names_both_sides(client_with, redis):
    first, second = workflow(a=Echo.step(), b=Echo.step().after("a")).dispatch()
    client = client_with("view_jobstatus")

    one = client.get(f"/api/jobs/{first.id}/").json()
    other = client.get(f"/api/jobs/{second.id}/").json()

    assert one["depends_on"] == other["dependents"] == []
    assert one["dependents"] == [
        {"id": str(second.id), "job": "Echo", "status": "waiting", "step": "b"}
    ]
    assert other["depends_on"] == [
        {"id": str(first.id), "job": "Echo", "status": "queued", "step": "a"}
    ]
