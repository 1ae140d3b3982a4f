from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Backfill, JobStatus
from jobs.schedules import backfill, backfilling
from tests.api.views.test_jobs import refused
from tests.api.views.test_schedules import make_schedule, post

pytestmark = pytest.mark.django_db

WEEK = {"from": "2026-11-01", "to": "2026-11-07"}


@pytest.fixture
def client(client_with):
    return client_with("change_schedule", "view_schedule", "run_echo")


@pytest.fixture(autouse=True)
def nightly(db):
    return make_schedule()


def start(client, **body):
    answer = post(client, "nightly/backfills/", WEEK | body)
    assert answer.status_code == 201, answer.content
    return answer


def test_a_started_one_is_shown_and_followed(client):
    answer = start(client, newest_first=True, max_active=3, only="all")

    body = answer.json()
    assert answer.headers["Location"] == f"/api/schedules/nightly/backfills/{body['id']}/"
    assert (body["schedule"], body["status"], body["total"]) == ("nightly", "running", 7)
    # Days of Berlin.
    assert (body["from"], body["to"]) == ("2026-10-31T23:00:00Z", "2026-11-07T22:59:59.999999Z")
    assert (body["newest_first"], body["max_active"], body["only"]) == (True, 3, "all")
    assert body["made_by"] == "alice"
    backfilling.advance(body["id"])

    seen = client.get(answer.headers["Location"]).json()
    assert (seen["made"], seen["living"], seen["completed"]) == (3, 3, 0)
    assert (seen["failed"], seen["refused"], seen["is_seen_to"]) == (0, 0, True)
    assert JobStatus.objects.count() == 3


def test_moments_with_a_zone_are_themselves(client):
    body = start(client, **{"from": "2026-11-03T01:00:00Z", "to": "2026-11-04T02:00"}).json()

    assert (body["from"], body["to"]) == ("2026-11-03T01:00:00Z", "2026-11-04T01:00:00Z")
    assert body["total"] == 2


def test_a_dry_run_says_what_would_be_made(client):
    answer = post(client, "nightly/backfills/", WEEK | {"dry_run": True})

    assert answer.status_code == 200
    assert (answer.json()["total"], answer.json()["to_make"]) == (7, 7)
    assert answer.json()["counts"]["missing"] == 7
    assert answer.json()["first"]["missing"][0] == "2026-11-01T01:00:00Z"
    assert Backfill.objects.count() == 0


def test_one_is_stopped_and_goes_on(client):
    place = start(client).headers["Location"].removeprefix("/api/schedules/")

    stopped = post(client, f"{place}stop/")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    assert stopped.json()["reason"] == "stopped by alice"
    refused(post(client, f"{place}stop/"), 409, "wrong-backfill-status")

    going = post(client, f"{place}continue/")
    assert (going.status_code, going.json()["status"]) == (200, "running")
    refused(post(client, f"{place}continue/"), 409, "wrong-backfill-status")


def test_the_newest_are_listed_first(client):
    first = start(client).json()["id"]
    backfill.stop(first, by="ann")
    second = start(client).json()["id"]
    make_schedule("another")

    def listed(name):
        with CaptureQueriesContext(connection) as queries:
            rows = client.get(f"/api/schedules/{name}/backfills/").json()["results"]
        assert sum("job_backfills" in each["sql"] for each in queries) == 1
        return [row["id"] for row in rows]

    assert listed("nightly") == [second, first]
    assert listed("another") == []


def test_a_second_one_is_a_conflict(client):
    start(client)

    body = refused(post(client, "nightly/backfills/", WEEK), 409, "wrong-backfill-status")

    assert "is running" in body["detail"]


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        ({"from": "2026-11-01"}, "invalid-request"),
        ({}, "invalid-request"),
        ([], "invalid-request"),
        (WEEK | {"from": 5}, "invalid-request"),
        (WEEK | {"max_active": 0}, "invalid-request"),
        (WEEK | {"max_active": True}, "invalid-request"),
        (WEEK | {"max_active": 2_000}, "invalid-request"),
        (WEEK | {"only": "some"}, "invalid-request"),
        (WEEK | {"only": []}, "invalid-request"),
        (WEEK | {"newest_first": "yes"}, "invalid-request"),
        (WEEK | {"colour": "red"}, "invalid-request"),
        (WEEK | {"from": "November"}, "invalid-backfill"),
        (WEEK | {"from": "2026-11-08"}, "invalid-backfill"),
        (WEEK | {"to": "2199-01-01"}, "invalid-backfill"),
        ({"from": "2026-11-01T12:00", "to": "2026-11-01T13:00"}, "invalid-backfill"),
    ],
)
def test_what_makes_no_sense_is_refused(client, body, slug):
    refused(post(client, "nightly/backfills/", body or {"dry_run": False}), 400, slug)
    assert Backfill.objects.count() == 0


def test_one_of_another_schedule_or_of_none_is_not_found(client):
    make_schedule("another")
    number = start(client).json()["id"]

    for path in (f"another/backfills/{number}/", f"nightly/backfills/{2**70}/"):
        refused(client.get(f"/api/schedules/{path}"), 404, "not-found")
        for verb in ("stop", "continue"):
            refused(post(client, f"{path}{verb}/"), 404, "not-found")
    assert Backfill.objects.get().status == "running"
