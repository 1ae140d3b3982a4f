from __future__ import annotations

import logging

import pytest
from django.db import DatabaseError, OperationalError
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path

from jobs import errors
from jobs.api import problems, urls
from jobs.api.views.base import View
from jobs.models import JobStatus, api_token


class Broken(View):
    permission_classes = []
    authentication_classes = []
    raised: Exception

    def get(self, _request) -> HttpResponse:
        raise self.raised


def broken(error: Exception):
    return Broken.as_view(raised=error)


Broken.raised = ValueError()
urlpatterns = [
    path("api/broken/", broken(ValueError("secret word at /etc/somewhere"))),
    path("api/crashed/", broken(DatabaseError("server closed the connection of db.internal"))),
    path("api/down/", broken(OperationalError("could not connect to db.internal:5432"))),
    path("", include("jobs.api.urls")),
]

site_with_a_broken_view = pytest.mark.urls(__name__)


def all_subclasses(cls: type) -> set[type]:
    return {cls} | {deep for sub in cls.__subclasses__() for deep in all_subclasses(sub)}


def refused(response, status, slug):
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == f"urn:jobsite:problem:{slug}"
    assert body["status"] == status
    assert body["title"]
    return body


@pytest.mark.parametrize("root", [errors.DispatchError, errors.ScheduleError])
def test_every_error_of_a_verb_has_its_problem_type(root):
    ours = {cls for cls in all_subclasses(root) if cls.__module__ == errors.__name__}

    assert ours <= set(problems.KIND_BY_ERROR)


def test_problem_types_are_distinct():
    kinds = [value for value in vars(problems).values() if isinstance(value, problems.Kind)]

    assert len({kind.type for kind in kinds}) == len(kinds)
    assert set(problems.KIND_BY_ERROR.values()) <= set(kinds)


@pytest.mark.parametrize("debug", [True, False])
@site_with_a_broken_view
def test_an_unforeseen_error_tells_nothing_and_is_logged(settings, caplog, debug):
    settings.DEBUG = debug

    response = Client(raise_request_exception=False).get("/api/broken/")

    assert set(refused(response, 500, "internal-error")) == {"type", "title", "status"}
    assert b"secret" not in response.content
    record = next(record for record in caplog.records if record.name == "jobs.api")
    assert record.levelno == logging.ERROR
    assert "secret word" in record.exc_text


@site_with_a_broken_view
@pytest.mark.parametrize("address", ["/api/down/", "/api/crashed/"])
def test_a_database_that_is_down_is_503_without_its_address(address):
    response = Client(raise_request_exception=False).get(address)

    refused(response, 503, "unavailable")
    assert response.headers["Retry-After"] == "5"
    assert b"internal" not in response.content.replace(b"internal-error", b"")


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        "/api", "/api/", "/api/nothing", "/api/nothing/", "/api/jobs/5/", "/api/jobs/x/retry/",
        "/job-status", "/job-status/", "/job-status/5", "/create-jobs/more", "/schema/more",
        "/docs/more", "/live/more", "/ready/more",
    ],
)  # fmt: skip
def test_an_unknown_path_is_a_problem_and_no_page(settings, path, debug):
    settings.DEBUG = debug

    refused(Client().get(path), 404, "not-found")


def test_a_path_that_only_looks_like_ours_is_left_alone():
    assert Client().get("/apis/").headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("debug", [True, False])
def test_a_wrong_host_is_a_problem_and_no_page(settings, debug):
    settings.DEBUG = debug
    settings.ALLOWED_HOSTS = ["jobs.example.org"]

    response = Client().get("/api/jobs/", headers={"host": "evil.example.org"})

    refused(response, 400, "bad-request")
    assert b"evil" not in response.content


METHODS = {
    "/create-jobs/": "POST", "/api/jobs/": "GET", "/api/job-classes/": "GET", "/schema/": "GET",
    "/docs": "GET", "/live": "GET", "/ready": "GET",
    "/job-status/0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11": "GET",
    "/api/jobs/0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11/": "GET",
    "/api/jobs/0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11/retry/": "POST",
    "/api/jobs/0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11/cancel/": "POST",
    "/api/schedules/nightly/runs/": "GET",
    **{
        f"/api/schedules/nightly/{verb}/": "POST"
        for verb in ("pause", "resume", "run", "backfills/1/stop", "backfills/1/continue")
    },
    "/api/schedules/nightly/backfills/1/": "GET",
}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "GET", "POST"])
@pytest.mark.parametrize("path", METHODS)
def test_another_method_is_405(person, path, method):
    if method == METHODS[path]:
        method = "BREW"
    _, token = api_token.issue(person(is_superuser=True), "for tests")

    response = Client().generic(method, path, headers={"authorization": f"Bearer {token}"})

    refused(response, 405, "method-not-allowed")
    assert METHODS[path] in response.headers["Allow"]


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/png", "nonsense", ""])
def test_json_is_answered_whatever_is_accepted(client_with, accept):
    client = client_with("view_jobstatus")

    assert client.get("/api/jobs/", headers={"accept": accept}).status_code == 200
    refused(client.get("/api/nothing/", headers={"accept": accept}), 404, "not-found")


@pytest.mark.django_db
def test_no_address_redirects_or_allows_another_origin(client_with):
    client = client_with("view_jobstatus", "run_echo")
    for pattern in urls.urlpatterns:
        path = "/" + str(pattern.pattern).replace("<uuid:job_id>", METHODS_ID)
        path = path.replace("<slug:name>", "nightly").replace("<int:backfill_id>", "1")

        for response in (client.get(path), client.generic("POST", path)):
            assert not 300 <= response.status_code < 400
            assert "Access-Control-Allow-Origin" not in response.headers
    assert not JobStatus.objects.exists()


METHODS_ID = "0190b5a8-7c3e-7e1a-9a57-3f7f5a1f6c11"
