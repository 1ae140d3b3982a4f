from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from jobs.models import JobStatus
from jobs.statuses import LIVING, TERMINAL, Status
from tests.make import make_attempt, make_job, make_worker

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def listed(client, query=""):
    response = client.get(f"/api/jobs/{query}")
    assert response.status_code == 200, response.content
    return [job["id"] for job in response.json()["results"]]


def refused(response, status, slug):
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == f"urn:jobsite:problem:{slug}"
    return response.json()


def test_a_job_whose_worker_s_row_is_pruned_is_told_without_it(client_with):
    job = make_job(status=Status.FAILED, worker_id=uuid4())
    make_attempt(job, worker_id=uuid4(), worker_name="long-gone")
    client = client_with("view_jobstatus")

    body = client.get(f"/api/jobs/{job.id}").json()

    assert body["worker"] is None
    assert [attempt["worker"] for attempt in body["attempts"]] == ["long-gone"]
    assert listed(client) == [str(job.id)]


# --- Lists ---


@pytest.mark.parametrize("slash", ["", "/"])
def test_jobs_are_listed_newest_first(client_with, slash):
    old = make_job(created_at=NOON)
    new = make_job(created_at=NOON + timedelta(hours=1))

    response = client_with("view_jobstatus").get(f"/api/jobs{slash}")

    assert [job["id"] for job in response.json()["results"]] == [str(new.id), str(old.id)]
    assert response.json()["next"] is None
    assert "result" not in response.json()["results"][0]
    assert "params" not in response.json()["results"][0]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?status=failed", {"status": Status.FAILED}),
        ("?status=failed,cancelled", {"status": Status.CANCELLED}),
        ("?status=failed&status=cancelled", {"status": Status.CANCELLED}),
        ("?job=Sleep", {"job_class": "Sleep"}),
        ("?queue=low", {"queue": "low"}),
        ("?tag=nightly", {"tags": ["nightly", "big"]}),
        ("?created_after=2027-01-01T00:00:00Z", {"created_at": datetime(2027, 1, 1, tzinfo=UTC)}),
        ("?created_before=2025-01-01T00:00:01Z", {"created_at": datetime(2025, 1, 1, tzinfo=UTC)}),
        ("?job=Sleep&queue=low", {"job_class": "Sleep", "queue": "low"}),
    ],
)
def test_a_filter_finds_what_it_names_and_nothing_else(client_with, query, fields):
    make_job(created_at=NOON)
    make_job(created_at=NOON, job_class="Sleep", tags=["nightly-not"], queue="high")
    wanted = make_job(**({"created_at": NOON} | fields))
    found = listed(client_with("view_jobstatus"), query)

    assert str(wanted.id) in found
    assert len(found) == (2 if query == "?job=Sleep" else 1)


def test_created_before_leaves_its_moment_out_and_created_after_has_it(client_with):
    job, client = make_job(created_at=NOON), client_with("view_jobstatus")

    assert listed(client, "?created_after=2026-03-01T12:00:00Z") == [str(job.id)]
    assert listed(client, "?created_before=2026-03-01T12:00:00Z") == []


@pytest.mark.parametrize(
    "query",
    [
        "?status=done", "?status=", "?stauts=failed", "?job=", "?job=a%00b", "?job=A&job=B",
        "?queue=" + "q" * 101, "?created_after=yesterday", "?created_after=2026-01-01T00:00:00",
        "?page_size=0", "?page_size=201", "?page_size=-1", "?page_size=ten", "?page_size=1.5",
        "?page_size=%D9%A1", "?cursor=x", "?cursor=", "?cursor=" + "A" * 300, "?tag=%00",
        "?cursor=MjAyNi0wMS0wMXxub3QtYS11dWlk", "?format=xml",
    ],
)  # fmt: skip
def test_a_bad_filter_is_a_problem(client_with, query):
    body = refused(client_with("view_jobstatus").get(f"/api/jobs/{query}"), 400, "invalid-query")

    assert len(body["errors"]) == 1
    assert body["errors"][0]["parameter"] in query


def test_every_bad_filter_is_named_at_once(client_with):
    response = client_with("view_jobstatus").get("/api/jobs/?status=done&page_size=0&colour=red")

    errors = refused(response, 400, "invalid-query")["errors"]
    assert {error["parameter"] for error in errors} == {"status", "page_size", "colour"}


def test_pages_hold_every_job_once_though_many_share_a_moment(client_with):
    client = client_with("view_jobstatus")
    made = [make_job(created_at=NOON + timedelta(seconds=n // 4)) for n in range(25)]
    seen, address = [], "/api/jobs/?page_size=3&job=Echo"

    for _ in range(20):
        body = client.get(address).json()
        seen += [job["id"] for job in body["results"]]
        assert len(body["results"]) <= 3
        make_job(created_at=NOON + timedelta(days=1))  # newer ones shift nothing
        if (address := body["next"]) is None:
            break

    wanted = sorted(made, key=lambda job: (job.created_at, job.id), reverse=True)
    assert seen == [str(job.id) for job in wanted]


def test_a_page_costs_two_queries_beside_the_token(person, program, django_assert_num_queries):
    client = program(person(is_superuser=True))
    for _ in range(5):
        make_job()
    listed(client)  # the token's use of this hour is noted

    with django_assert_num_queries(3):
        listed(client)


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/jobs/{id}/"])
def test_only_who_may_view_sees_jobs(client_with, path):
    job = make_job()
    client = client_with("run_echo", "add_jobstatus")

    refused(client.get(path.format(id=job.id)), 403, "forbidden")


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/jobs/{id}/"])
def test_who_may_change_jobs_sees_them(client_with, path):
    job = make_job()

    assert client_with("change_jobstatus").get(path.format(id=job.id)).status_code == 200


# --- One job ---


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_job_is_shown_whole(person, program, slash):
    job = make_job(
        status=Status.FAILED, attempt=2, claim=3, tags=["nightly"], worker=make_worker(),
        created_by=person(name="bob"),
    )  # fmt: skip
    make_attempt(job, number=2, claim=3)
    make_attempt(job, number=1, claim=1)

    response = program(person("view_jobstatus")).get(f"/api/jobs/{job.id}{slash}")

    body = response.json()
    assert body["params"] == {"value": "x"}
    assert (body["tags"], body["created_by"], body["worker"]) == (["nightly"], "bob", "worker-1")
    assert [attempt["number"] for attempt in body["attempts"]] == [1, 2]
    assert body["attempts"][0]["traceback"].startswith("Traceback")


def test_only_the_newest_attempts_are_shown(client_with):
    job = make_job(status=Status.FAILED)
    for claim in range(60):
        make_attempt(job, number=claim, claim=claim)

    body = client_with("view_jobstatus").get(f"/api/jobs/{job.id}/").json()

    assert [attempt["number"] for attempt in body["attempts"]] == list(range(10, 60))


def test_redacted_params_are_hidden(client_with):
    params = {"user": "bob", "password": "hunter2hunter2"}
    job = make_job(job_class="Secretive", params=params)

    response = client_with("view_jobstatus").get(f"/api/jobs/{job.id}/")

    assert response.json()["params"] == {"user": "bob", "password": "[redacted]"}
    assert b"hunter2" not in response.content


def test_all_params_of_a_class_that_is_gone_are_hidden(client_with):
    job = make_job(job_class="Gone", params={"password": "hunter2hunter2"})

    response = client_with("view_jobstatus").get(f"/api/jobs/{job.id}/")

    assert b"hunter2" not in response.content


def test_a_job_that_is_not_there_is_404(client_with):
    refused(client_with("view_jobstatus").get(f"/api/jobs/{uuid4()}/"), 404, "not-found")


# --- Retry ---


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_ended_job_is_retried(client_with, status, slash):
    job = make_job(status=status, attempt=5)

    response = client_with("change_jobstatus").generic("POST", f"/api/jobs/{job.id}/retry{slash}")

    assert response.status_code == 200
    assert (response.json()["id"], response.json()["status"]) == (str(job.id), "queued")
    assert response.json()["max_attempts"] == 6


@pytest.mark.parametrize("status", sorted(LIVING))
def test_a_living_job_is_not_retried(client_with, status):
    job = make_job(status=status)

    body = refused(
        client_with("change_jobstatus").generic("POST", f"/api/jobs/{job.id}/retry/"),
        409,
        "wrong-status",
    )

    assert body["job_status"] == status
    assert JobStatus.objects.get().status == status


# --- Cancel ---


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("status", sorted(LIVING - {Status.STARTED}))
def test_a_job_that_has_not_started_is_cancelled_at_once(client_with, status, slash):
    job = make_job(status=status)

    response = client_with("change_jobstatus").post(
        f"/api/jobs/{job.id}/cancel{slash}", {"reason": "wrong file"}, "application/json"
    )

    assert response.status_code == 200
    assert response.json()["status"] == "cancelled"
    assert response.json()["error"] == "cancelled by alice: wrong file"


def test_a_started_job_is_asked_to_stop(client_with):
    job = make_job(status=Status.STARTED)

    response = client_with("change_jobstatus").generic("POST", f"/api/jobs/{job.id}/cancel/")

    assert (response.status_code, response.json()["status"]) == (202, "started")
    job.refresh_from_db()
    assert job.cancel_requested_by == "alice"


def test_a_job_asked_to_stop_is_not_asked_again(client_with):
    job = make_job(status=Status.STARTED, cancel_requested_at=timezone.now())

    response = client_with("change_jobstatus").generic("POST", f"/api/jobs/{job.id}/cancel/")

    refused(response, 409, "wrong-status")


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_an_ended_job_is_not_cancelled(client_with, status):
    job = make_job(status=status)

    response = client_with("change_jobstatus").generic("POST", f"/api/jobs/{job.id}/cancel/")

    refused(response, 409, "wrong-status")
    assert JobStatus.objects.get().cancel_requested_at is None


@pytest.mark.parametrize(
    "body", [b'{"reason": 5}', b'{"why": "x"}', b"[]", b'{"reason": "' + b"x" * 1_001 + b'"}']
)
def test_a_bad_cancel_body_changes_nothing(client_with, body):
    job = make_job()
    client = client_with("change_jobstatus")

    response = client.post(f"/api/jobs/{job.id}/cancel/", body, "application/json")

    refused(response, 400, "invalid-request")
    assert JobStatus.objects.get().status == Status.QUEUED


# --- Both ---


@pytest.mark.parametrize("verb", ["retry", "cancel"])
@pytest.mark.parametrize("status", list(Status))
def test_only_who_may_change_jobs_changes_one(client_with, verb, status):
    job = make_job(status=status)
    client = client_with("view_jobstatus", "add_jobstatus", "run_echo", "delete_jobstatus")

    refused(client.generic("POST", f"/api/jobs/{job.id}/{verb}/"), 403, "forbidden")

    job.refresh_from_db()
    assert (job.status, job.cancel_requested_at) == (status, None)


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_the_maker_of_a_job_may_not_change_it_without_the_permission(person, program, verb):
    alice = person("run_echo")
    job = make_job(status=Status.FAILED if verb == "retry" else Status.QUEUED, created_by=alice)

    refused(program(alice).generic("POST", f"/api/jobs/{job.id}/{verb}/"), 403, "forbidden")


@pytest.mark.parametrize("verb", ["retry", "cancel"])
def test_a_job_that_is_not_there_is_not_changed(client_with, verb):
    response = client_with("change_jobstatus").generic("POST", f"/api/jobs/{uuid4()}/{verb}/")

    refused(response, 404, "not-found")
