from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.schedules import control

pytestmark = pytest.mark.django_db

# Each example makes at most rows in the test's own transaction; they hinder no later one.
many = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
PARAMS = st.dictionaries(st.sampled_from(["value", "seconds", "user", "password"]), VALUES)
MOMENTS = st.datetimes().map(lambda moment: f"{moment.isoformat()}+14:00")
ITEMS = st.fixed_dictionaries(
    {"job": st.sampled_from(["Echo", "Sleep", "Secretive", "Nobody"]) | VALUES},
    optional={
        "params": PARAMS | VALUES,
        "queue": st.sampled_from(["low", "nowhere"]) | VALUES,
        "run_at": MOMENTS | VALUES,
        "more": VALUES,
    },
)
FILTERS = st.sampled_from(
    ["status", "job", "queue", "tag", "created_after", "created_before", "cursor", "page_size"]
)


@pytest.fixture
def client(person, program):
    return program(person(is_superuser=True))


@many
@given(body=ITEMS | st.lists(ITEMS, max_size=4) | VALUES)
def test_any_json_makes_jobs_or_is_a_problem(client, body):
    response = client.post("/create-jobs/", json.dumps(body), "application/json")

    assert response.status_code in {201, 400}, (body, response.content)
    assert ("job_id" in response.content.decode()) == (response.status_code == 201)


@many
@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_problem(client, body):
    response = client.generic("POST", "/create-jobs/", body, "application/json")

    assert response.status_code == 400, body
    assert response.json()["status"] == 400


@many
@given(query=st.dictionaries(FILTERS | st.text(), st.text() | MOMENTS | SCALARS, max_size=4))
def test_any_query_finds_jobs_or_is_a_problem(client, query):
    text = urlencode(query, errors="surrogatepass")

    response = client.get(f"/api/jobs/?{text}")

    assert response.status_code in {200, 400}, (text, response.content)


ENTRIES = st.fixed_dictionaries(
    {"name": st.just("mine") | VALUES, "job": st.sampled_from(["Echo", "Nobody"]) | VALUES},
    optional={
        "cron": st.sampled_from(["0 2 * * *", "* * * * * *", "0 0 30 2 *"]) | VALUES,
        "every": st.sampled_from(["15m", "0s", "2d 1h"]) | VALUES,
        "timezone": st.sampled_from(["Europe/Berlin", "../etc/passwd", "Nowhere"]) | VALUES,
        "start_at": MOMENTS | VALUES,
        "params": PARAMS | VALUES,
        "steps": st.dictionaries(st.text(), ITEMS | VALUES, max_size=3) | VALUES,
        "overlap": VALUES,
        "catch_up": st.sampled_from(["1h", "last"]) | VALUES,
        "jitter": VALUES,
        "enabled": VALUES,
        "more": VALUES,
    },
)


@many
@given(entry=ENTRIES | VALUES)
def test_any_entry_is_a_schedule_or_a_problem(client, entry):
    for method, path in (("POST", "/api/schedules/"), ("PUT", "/api/schedules/mine/")):
        response = client.generic(method, path, json.dumps(entry), "application/json")

        assert response.status_code in {200, 201, 400, 404, 409}, (entry, response.content)


WISHES = st.fixed_dictionaries(
    {"from": MOMENTS | st.dates().map(str) | VALUES, "to": MOMENTS | st.dates().map(str) | VALUES},
    optional={
        "newest_first": VALUES,
        "max_active": VALUES,
        "only": VALUES,
        "dry_run": st.booleans() | VALUES,
    },
)


@many
@given(wish=WISHES | VALUES)
def test_any_wish_for_a_backfill_is_one_or_a_problem(client, wish):
    control.create("daily", {"job": "Echo", "cron": "0 2 * * *"}, by="ann")
    try:
        response = client.post(
            "/api/schedules/daily/backfills/", json.dumps(wish), "application/json"
        )
    finally:
        control.delete("daily", by="ann")

    assert response.status_code in {200, 201, 400, 409}, (wish, response.content)


@many
@given(
    query=st.dictionaries(
        st.sampled_from(["paused", "source", "cursor", "page_size"]) | st.text(),
        st.sampled_from(["true", "false", "admin"]) | st.text() | MOMENTS | SCALARS,
        max_size=4,
    )
)
def test_any_query_finds_schedules_or_is_a_problem(client, query):
    text = urlencode(query, errors="surrogatepass")

    response = client.get(f"/api/schedules/?{text}")

    assert response.status_code in {200, 400}, (text, response.content)
