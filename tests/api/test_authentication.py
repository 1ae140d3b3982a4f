from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from jobs.api import urls
from jobs.models import ApiToken, JobStatus, api_token

pytestmark = pytest.mark.django_db

OPEN = {"live", "live/", "ready", "ready/"}
SOME_ID = "0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11"


def address(pattern: URLPattern) -> str:
    path = str(pattern.pattern).replace("<uuid:job_id>", SOME_ID)
    return "/" + path.replace("<slug:name>", "nightly").replace("<int:backfill_id>", "1")


CLOSED = [address(pattern) for pattern in urls.urlpatterns if str(pattern.pattern) not in OPEN]


def ask(token: str, scheme: str = "Bearer"):
    return Client().get("/api/job-classes/", headers={"authorization": f"{scheme} {token}"})


def test_a_token_acts_as_its_owner(person):
    _, token = api_token.issue(person("run_echo"), "for tests")

    response = ask(token)

    assert [shown["job"] for shown in response.json()] == ["Echo"]


def test_the_schemes_case_does_not_matter(person):
    _, token = api_token.issue(person(), "for tests")

    assert ask(token, "bearer").status_code == 200


def test_there_are_closed_addresses():
    assert len(CLOSED) == 40


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options", "head"])
@pytest.mark.parametrize("path", CLOSED)
def test_every_address_but_health_is_closed_to_strangers(path, method):
    response = getattr(Client(), method)(path)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="jobs"'
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("path", CLOSED)
def test_every_closed_address_refuses_a_wrong_token(path):
    response = Client().get(path, headers={"authorization": "Bearer js_wrong"})

    assert response.status_code == 401


@pytest.mark.parametrize(
    "value",
    [
        "Bearer", "Bearer ", "Bearer js_x js_y", "Bearer js_\u00e4",
        "Bearer js_" + "x" * 9_000,
    ],
)  # fmt: skip
def test_a_token_that_is_none_is_refused(value):
    response = Client().get("/api/job-classes/", headers={"authorization": value})

    assert response.status_code == 401


def test_another_scheme_is_no_token():
    assert Client().get("/api/jobs/", headers={"authorization": "Basic eDp5"}).status_code == 401


def test_only_the_digest_of_a_token_is_kept(person):
    row, token = api_token.issue(person(), "for tests")

    values = ApiToken.objects.filter(pk=row.pk).values_list()[0]
    assert token not in map(str, values)
    assert row.digest == api_token.digest(token)
    assert token.startswith(row.hint)


def test_an_expired_token_is_refused(person):
    _, token = api_token.issue(person(), "old", timezone.now() - timedelta(seconds=1))

    assert ask(token).status_code == 401


def test_a_token_serves_until_it_expires(person):
    _, token = api_token.issue(person(), "new", timezone.now() + timedelta(minutes=1))

    assert ask(token).status_code == 200


def test_the_token_of_an_inactive_user_is_refused(person):
    alice = person(is_active=False)
    _, token = api_token.issue(alice, "for tests")

    assert ask(token).status_code == 401


def test_a_deleted_token_is_refused(person):
    row, token = api_token.issue(person(), "for tests")
    row.delete()

    assert ask(token).status_code == 401


def test_refusals_of_a_token_all_look_the_same(person):
    _, expired = api_token.issue(person(), "old", timezone.now() - timedelta(days=1))
    _, inactive = api_token.issue(person(name="bob", is_active=False), "for tests")

    answers = {ask(token).content for token in (expired, inactive, "js_unknown")}

    assert len(answers) == 1


def test_use_is_noted_to_the_hour(person):
    row, token = api_token.issue(person(), "for tests")

    ask(token)

    row.refresh_from_db()
    noted = row.last_used_at
    assert (noted.minute, noted.second, noted.microsecond) == (0, 0, 0)
    assert timezone.now() - noted < timedelta(hours=1, minutes=1)


def test_use_is_written_once_an_hour(person, django_assert_num_queries):
    row, token = api_token.issue(person(is_superuser=True), "for tests")
    with django_assert_num_queries(2):
        ask(token)

    with django_assert_num_queries(1):
        ask(token)
    ApiToken.objects.filter(pk=row.pk).update(last_used_at=timezone.now() - timedelta(hours=2))
    with django_assert_num_queries(2):
        ask(token)


# --- Sessions ---


def session_of(user: User, *, checks: bool = True) -> Client:
    client = Client(enforce_csrf_checks=checks)
    client.force_login(user)
    return client


def test_a_session_reads(person):
    assert session_of(person("view_jobstatus")).get("/api/jobs/").status_code == 200


def test_a_session_needs_the_csrf_token_to_write(person):
    client = session_of(person("run_echo"))

    response = client.post("/create-jobs/", '{"job": "Echo"}', "application/json")

    assert response.status_code == 403
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "CSRF" in response.json()["detail"]
    assert not JobStatus.objects.exists()


def test_a_session_with_the_csrf_token_writes(person):
    client = session_of(person("run_echo"))
    csrf = "a" * 32
    client.cookies["csrftoken"] = csrf

    response = client.post(
        "/create-jobs/", '{"job": "Echo"}', "application/json", headers={"x-csrftoken": csrf}
    )

    assert response.status_code == 201


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
)
def test_a_foreign_form_with_the_persons_session_makes_nothing(person, content_type):
    client = session_of(person("run_echo"))

    response = client.post("/create-jobs/", json.dumps({"job": "Echo"}), content_type)

    assert response.status_code in {400, 403}
    assert not JobStatus.objects.exists()


def test_a_token_needs_no_csrf_token(person):
    _, token = api_token.issue(person("run_echo"), "for tests")
    client = Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {token}"})

    response = client.post("/create-jobs/", '{"job": "Echo"}', "application/json")

    assert response.status_code == 201
