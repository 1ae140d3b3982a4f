from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_class_is_described(client_with, slash):
    body = client_with("run_secretive").get(f"/api/job-classes{slash}").json()

    assert len(body) == 1
    shown = body[0]
    assert (shown["job"], shown["queue"], shown["max_attempts"]) == ("Secretive", "default", 1)
    assert shown["description"] == "Fail with its password in the error's text."
    assert shown["timeout_seconds"] == 600
    assert shown["redact"] == ["password"]
    assert shown["params"]["required"] == ["user", "password"]
    assert shown["params"]["additionalProperties"] is False
    assert shown["example"]["job"] == "Secretive"


def test_only_the_classes_that_may_be_run_are_listed(client_with):
    body = client_with("run_echo", "run_sleep").get("/api/job-classes/").json()

    assert [shown["job"] for shown in body] == ["Echo", "Sleep"]


def test_who_may_run_nothing_sees_nothing(client_with):
    assert client_with("view_jobstatus").get("/api/job-classes/").json() == []


def test_who_may_add_jobs_sees_every_class(client_with):
    names = [shown["job"] for shown in client_with("add_jobstatus").get("/api/job-classes/").json()]

    assert {"Echo", "Sleep", "Secretive"} <= set(names)
    assert names == sorted(names)
