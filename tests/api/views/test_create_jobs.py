from __future__ import annotations

import json
import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import JobStatus

pytestmark = pytest.mark.django_db


def post(client, body, path="/create-jobs/"):
    return client.post(path, json.dumps(body), content_type="application/json")


def problem(response, status, slug):
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == f"urn:jobsite:problem:{slug}"
    assert not JobStatus.objects.exists()
    return response.json()


@pytest.mark.parametrize("path", ["/create-jobs/", "/create-jobs"])
def test_a_job_is_made(person, program, path):
    alice = person("run_echo")

    response = post(program(alice), {"job": "Echo", "params": {"value": "hi"}}, path)

    job = JobStatus.objects.get()
    assert response.status_code == 201
    assert response.json() == {"job_id": str(job.id), "status": "enqueued"}
    assert response.headers["Location"] == f"/job-status/{job.id}"
    assert (job.job_class, job.queue, job.params) == ("Echo", "default", {"value": "hi"})
    assert job.created_by == alice


def test_the_location_of_a_job_can_be_followed_by_its_maker(client_with):
    client = client_with("run_echo")

    response = client.get(post(client, {"job": "Echo"}).headers["Location"])

    assert response.status_code == 200
    assert response.json()["status"] == "queued"


def test_all_but_job_is_optional_and_may_be_null(client_with):
    body = {"job": "Echo", "params": None, "queue": None, "run_at": None}

    assert post(client_with("run_echo"), body).status_code == 201
    assert JobStatus.objects.get().params == {"value": ""}


def test_the_queue_may_be_chosen(client_with):
    post(client_with("run_echo"), {"job": "Echo", "queue": "low"})

    assert JobStatus.objects.get().queue == "low"


def test_a_job_for_later_is_scheduled(client_with):
    run_at = (timezone.now() + timedelta(hours=1)).isoformat()

    response = post(client_with("run_echo"), {"job": "Echo", "run_at": run_at})

    assert response.json()["status"] == "scheduled"
    assert JobStatus.objects.get().due_at.isoformat() == run_at


def test_a_moment_in_the_past_means_at_once(client_with):
    response = post(client_with("run_echo"), {"job": "Echo", "run_at": "2020-01-01T00:00:00Z"})

    assert response.json()["status"] == "enqueued"


@pytest.mark.parametrize(
    "run_at", ["2030-01-01T00:00:00", "2030-01-01", "tomorrow", 1, "9999-01-01T00:00:00Z", {}]
)
def test_a_moment_without_zone_or_sense_is_refused(client_with, run_at):
    body = problem(
        post(client_with("run_echo"), {"job": "Echo", "run_at": run_at}), 400, "invalid-option"
    )

    assert [error["pointer"] for error in body["errors"]] == ["#/run_at"]


def test_a_list_makes_a_list_in_its_order(client_with):
    client = client_with("run_echo", "view_jobstatus")
    items = [{"job": "Echo", "params": {"value": str(number)}} for number in range(1_000)]

    response = post(client, items)

    assert response.status_code == 201
    made = {str(job.id): job.params["value"] for job in JobStatus.objects.all()}
    assert [made[item["job_id"]] for item in response.json()] == [str(n) for n in range(1_000)]


def test_the_location_of_a_list_lists_just_its_jobs(client_with):
    client = client_with("run_echo", "view_jobstatus")
    JobStatus.objects.create(
        job_class="Echo", queue="low", status="queued", max_attempts=1,
        created_at=timezone.now() - timedelta(minutes=1),
        updated_at=timezone.now(), due_at=timezone.now(),
    )  # fmt: skip

    made = post(client, [{"job": "Echo"}, {"job": "Echo"}])
    listed = client.get(made.headers["Location"]).json()["results"]

    assert {job["id"] for job in listed} == {job["job_id"] for job in made.json()}


@pytest.mark.parametrize("count", [0, 1_001])
def test_a_list_has_1_to_1000_objects(client_with, count):
    problem(post(client_with("run_echo"), [{"job": "Echo"}] * count), 400, "invalid-request")


def test_one_bad_object_of_a_list_stops_all(client_with):
    items = [{"job": "Echo"}, {"job": "Echo", "params": {"value": 5}}, {"job": "Echo"}]

    body = problem(post(client_with("run_echo"), items), 400, "invalid-params")

    assert [(e["index"], e["pointer"]) for e in body["errors"]] == [(1, "#/1/params/value")]


def test_every_fault_of_every_object_is_listed_at_once(client_with):
    items = [
        {"job": "Echo", "params": {"value": 5, "colour": "red"}},
        {"job": "Nobody"},
        {"job": "Echo", "queue": "nowhere"},
        {"params": []},
        {"job": "Echo", "priority": 1},
        "Echo",
        {"job": "Sleep"},
    ]

    body = problem(post(client_with("add_jobstatus"), items), 400, "invalid-request")

    found = {(e["pointer"], e["type"].rpartition(":")[2]) for e in body["errors"]}
    assert found == {
        ("#/0/params/value", "invalid-params"),
        ("#/0/params/colour", "invalid-params"),
        ("#/1/job", "unknown-job"),
        ("#/2/queue", "unknown-queue"),
        ("#/3/job", "invalid-request"),
        ("#/3/params", "invalid-request"),
        ("#/4/priority", "invalid-request"),
        ("#/5", "invalid-request"),
        ("#/6/params/seconds", "invalid-params"),
    }


def test_an_unknown_job_says_which_there_are(client_with):
    body = problem(post(client_with("run_echo"), {"job": "Nobody"}), 400, "unknown-job")

    assert "Nobody" in body["detail"]
    assert "Echo" in body["detail"]
    assert "No job was made" in body["detail"]


def test_a_single_fault_is_told_in_whole_sentences(client_with):
    body = {"job": "Echo", "params": {"volume": 11}}

    told = problem(post(client_with("run_echo"), body), 400, "invalid-params")["detail"]

    assert told == "volume: is no param of Echo; its params are: value. No job was made."


def test_an_unknown_queue_says_which_there_are(client_with):
    body = problem(
        post(client_with("run_echo"), {"job": "Echo", "queue": "nowhere"}), 400, "unknown-queue"
    )

    assert "default" in body["detail"]


@pytest.mark.parametrize("job", [None, "", 5, ["Echo"], "E" * 101, {"name": "Echo"}])
def test_a_job_that_is_no_name_is_refused(client_with, job):
    problem(post(client_with("run_echo"), {"job": job}), 400, "invalid-request")


@pytest.mark.parametrize("params", [[], "x", 5, True])
def test_params_that_are_no_object_are_refused(client_with, params):
    problem(
        post(client_with("run_echo"), {"job": "Echo", "params": params}), 400, "invalid-request"
    )


@pytest.mark.parametrize("body", [None, "Echo", 5, True])
def test_a_body_that_is_neither_object_nor_list_is_refused(client_with, body):
    problem(post(client_with("run_echo"), body), 400, "invalid-request")


def test_a_redacted_value_is_not_repeated(client_with):
    params = {"user": "bob", "password": ["hunter2hunter2"]}

    response = post(client_with("run_secretive"), {"job": "Secretive", "params": params})

    problem(response, 400, "invalid-params")
    assert b"hunter2" not in response.content


def test_what_is_shown_in_the_place_of_a_secret_is_not_taken_for_one(client_with):
    params = {"user": "bob", "password": "[redacted]"}

    response = post(client_with("run_secretive"), {"job": "Secretive", "params": params})

    (error,) = problem(response, 400, "invalid-params")["errors"]
    assert error["pointer"] == "#/params/password"
    assert "write the secret itself" in error["detail"]
    assert not JobStatus.objects.exists()


def test_params_over_the_limit_are_refused(client_with, settings):
    settings.JOBS = {"MAX_PARAMS_BYTES": 100}

    response = post(client_with("run_echo"), {"job": "Echo", "params": {"value": "x" * 200}})

    assert problem(response, 413, "params-too-large")["errors"][0]["pointer"] == "#/params"


def test_a_class_is_run_only_by_who_may_run_it(client_with):
    client = client_with("run_echo", "view_jobstatus", "change_jobstatus")

    body = problem(post(client, {"job": "AlwaysFail"}), 403, "forbidden-job")

    assert "jobs.run_alwaysfail" in body["detail"]


def test_one_forbidden_class_in_a_list_stops_all(client_with):
    items = [{"job": "Echo"}, {"job": "AlwaysFail"}]

    body = problem(post(client_with("run_echo"), items), 403, "forbidden-job")

    assert [error["pointer"] for error in body["errors"]] == ["#/1/job"]


def test_the_params_of_a_forbidden_class_are_not_checked(client_with):
    params = {"user": 1, "colour": 2}

    body = problem(
        post(client_with("run_echo"), {"job": "Secretive", "params": params}), 403, "forbidden-job"
    )

    assert len(body["errors"]) == 1


def test_the_permission_to_add_jobs_runs_every_class(client_with):
    assert post(client_with("add_jobstatus"), {"job": "AlwaysFail"}).status_code == 201


def test_a_class_run_by_nobody_in_particular_is_closed(client_with):
    problem(post(client_with(), {"job": "Echo"}), 403, "forbidden-job")


def test_the_log_tells_of_each_job_and_not_of_its_params(client_with, caplog):
    caplog.set_level(logging.INFO, logger="jobs")

    response = post(client_with("run_echo"), {"job": "Echo", "params": {"value": "word-of-mine"}})

    assert f"created job {response.json()['job_id']}" in caplog.text
    assert "word-of-mine" not in caplog.text


def test_of_many_jobs_the_log_names_the_first(client_with, caplog):
    caplog.set_level(logging.INFO, logger="jobs")

    made = post(client_with("run_echo"), [{"job": "Echo"}] * 12).json()

    named = [f"created job {job['job_id']}" for job in made[:10]]
    said = [record.message for record in caplog.records if record.name == "jobs.api"]
    assert said == [*named, "created 2 more jobs"]


def test_an_answer_stays_small_however_many_faults_there_are(client_with):
    items = [{"job": "Echo", "params": {f"no{n}": 1 for n in range(20)}}] * 200

    response = post(client_with("run_echo"), items)

    body = problem(response, 400, "invalid-params")
    assert len(body["errors"]) == 1_000
    assert body["errors_left_out"] == 3_000
    assert len(response.content) < 500_000


def test_a_key_as_long_as_the_body_is_not_sent_back(client_with):
    response = post(client_with("run_echo"), {"job": "Echo", "params": {"k" * 500_000: 1}})

    body = problem(response, 400, "invalid-params")
    assert body["errors"][0]["pointer"] == "#/params"
    assert len(response.content) < 10_000


def test_a_thousand_jobs_cost_one_statement(person, program, django_assert_num_queries):
    client = program(person(is_superuser=True))
    post(client, {"job": "Echo"})  # the token's use of this hour is noted

    with django_assert_num_queries(2):
        post(client, [{"job": "Echo"}] * 1_000)
