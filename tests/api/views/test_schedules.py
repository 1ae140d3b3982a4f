from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.models import JobStatus, Schedule, ScheduleChange, ScheduleRun
from jobs.schedules import control
from jobs.statuses import Status
from tests.api.views.test_jobs import refused
from tests.make import make_job

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ENTRY = {
    "job": "Echo",
    "cron": "0 2 * * *",
    "timezone": "Europe/Berlin",
    "params": {"value": "{logical_date}"},
}


def make_schedule(name="nightly", **entry):
    return control.create(name, ENTRY | entry, by="ann")


def make_run(moment=NOON, name="nightly", *, status=None, **fields):
    job = None
    if status:
        job = make_job(status=status, schedule=name, logical_time=moment)
    values = {"outcome": "dispatched" if job else "skipped", "job": job, "created_at": moment}
    return ScheduleRun.objects.create(schedule_name=name, logical_time=moment, **(values | fields))


def post(client, path, body=None):
    return client.post(f"/api/schedules/{path}", body or {}, content_type="application/json")


@pytest.fixture
def reader(client_with):
    return client_with("view_schedule")


@pytest.fixture
def changer(client_with):
    return client_with("change_schedule", "run_echo")


# --- Lists ---


@pytest.mark.parametrize("slash", ["", "/"])
def test_schedules_are_listed_by_name_with_their_last_run(reader, slash):
    make_schedule("weekly", cron=["0 9 * * mon", "0 17 * * fri"], queue="low")
    make_schedule("often", cron=None, every="1h 30m")
    make_run(NOON, "weekly", status=Status.COMPLETED)
    make_run(NOON + HOUR, "weekly", status=Status.FAILED)
    control.pause("often", by="bob", note="until it is mended")

    response = reader.get(f"/api/schedules{slash}")

    often, weekly = response.json()["results"]
    assert response.json()["next"] is None
    assert (often["name"], often["description"], often["every"]) == (
        *("often", "Every 1 h 30 min", "1h 30m"),
    )
    assert (often["cron"], often["last_run"], often["queue"]) == ([], None, None)
    assert often["paused"] | {"at": ""} == {"at": "", "by": "bob", "note": "until it is mended"}
    assert (weekly["job"], weekly["queue"], weekly["source"]) == ("Echo", "low", "admin")
    assert weekly["cron"] == ["0 9 * * mon", "0 17 * * fri"]
    assert "Monday" in weekly["description"]
    assert (weekly["paused"], weekly["enabled"]) == (None, True)
    assert datetime.fromisoformat(weekly["next_at"]) > timezone.now()
    last = weekly["last_run"]
    assert (last["status"], last["outcome"], last["kind"]) == ("failed", "dispatched", "tick")
    assert last["logical_time"] == "2026-11-01T13:00:00Z"
    assert last["job_id"] == str(JobStatus.objects.get(status="failed").id)
    assert "params" not in weekly


def test_a_page_costs_two_queries_beside_those_of_the_asker(reader):
    for number in range(3):
        make_schedule(f"s{number}")
        make_run(NOON, f"s{number}", status=Status.COMPLETED)
    reader.get("/api/schedules/")

    def cost():
        with CaptureQueriesContext(connection) as queries:
            assert reader.get("/api/schedules/").status_code == 200
        return [each["sql"] for each in queries if "job_schedule" in each["sql"]]

    assert len(cost()) == 2
    for number in range(3, 30):
        make_schedule(f"s{number}")
    assert len(cost()) == 2


def test_pages_hold_every_schedule_once(reader):
    names = [f"s{number:02}" for number in range(7)]
    for name in reversed(names):
        make_schedule(name)
    seen, address = [], "/api/schedules/?page_size=3&source=admin"

    while address:
        body = reader.get(address).json()
        seen.append([row["name"] for row in body["results"]])
        address = body["next"]

    assert seen == [names[:3], names[3:6], names[6:]]


def test_a_filter_finds_what_it_names(reader):
    make_schedule("a")
    make_schedule("b")
    control.pause("b", by="ann")
    Schedule.objects.filter(name="a").update(source="settings")

    def named(query):
        return [row["name"] for row in reader.get(f"/api/schedules/{query}").json()["results"]]

    assert (named("?paused=true"), named("?paused=false")) == (["b"], ["a"])
    assert (named("?source=settings"), named("?source=admin")) == (["a"], ["b"])


@pytest.mark.parametrize(
    "query",
    [
        "?paused=yes", "?source=file", "?page_size=0", "?cursor=%00", "?cursor=!", "?colour=red",
        "?paused=true&paused=true", "?cursor=AA",
    ],
)  # fmt: skip
def test_a_bad_filter_is_a_problem(reader, query):
    body = refused(reader.get(f"/api/schedules/{query}"), 400, "invalid-query")

    assert body["errors"][0]["parameter"] in query


# --- One ---


def test_one_is_shown_whole_with_its_next_five_moments(reader):
    make_schedule(overlap="queue", catch_up="1h", jitter="30s", end_at="2199-01-01T00:00:00Z")

    body = reader.get("/api/schedules/nightly/").json()

    assert (body["overlap"], body["catch_up"], body["jitter"]) == ("queue", "1h", "30s")
    assert (body["start_at"], body["end_at"]) == (None, "2199-01-01T00:00:00Z")
    assert (body["params"], body["steps"]) == ({"value": "{logical_date}"}, None)
    moments = [datetime.fromisoformat(moment) for moment in body["next_moments"]]
    assert len(moments) == 5
    assert moments == sorted(moments)
    assert body["next_moments"][0] == body["next_at"]


def test_one_costs_three_queries_beside_those_of_the_asker(reader):
    make_schedule()
    make_run(NOON, status=Status.COMPLETED)
    reader.get("/api/schedules/nightly/")

    with CaptureQueriesContext(connection) as queries:
        reader.get("/api/schedules/nightly/")

    asked = [each["sql"] for each in queries]
    # The row, its last run, the time.
    assert sum("job_schedule" in sql or "clock_timestamp" in sql for sql in asked) == 3
    assert len(asked) == 3 + 3  # the token, and the permissions


def test_a_secret_param_is_hidden(reader):
    make_schedule(job="Secretive", params={"user": "ann", "password": "hunter22"})

    answer = reader.get("/api/schedules/nightly/")

    assert b"hunter22" not in answer.content
    assert answer.json()["params"]["user"] == "ann"


def test_a_workflow_is_shown_by_its_steps_without_secrets(reader):
    steps = {
        "load": {"job": "Secretive", "params": {"user": "ann", "password": "hunter22"}},
        "sum": {"job": "Echo", "after": ["load"]},
    }
    make_schedule(job=None, params=None, steps=steps)

    answer = reader.get("/api/schedules/nightly/")

    assert b"hunter22" not in answer.content
    assert answer.json()["job"] is None
    assert answer.json()["steps"]["sum"]["after"] == ["load"]


def test_a_disabled_one_has_no_next_moments(reader):
    make_schedule(enabled=False)

    assert reader.get("/api/schedules/nightly/").json()["next_moments"] == []


def test_one_that_is_not_there_is_not_found(client_with):
    client = client_with("change_schedule", "view_schedule", "add_jobstatus")

    for path in ("", "runs/", "backfills/", "backfills/1/"):
        refused(client.get(f"/api/schedules/nobody/{path}"), 404, "not-found")
    for path in ("pause/", "resume/", "run/", "backfills/1/stop/", "backfills/1/continue/"):
        refused(post(client, f"nobody/{path}"), 404, "not-found")
    refused(client.delete("/api/schedules/nobody/"), 404, "not-found")
    refused(client.put("/api/schedules/nobody/", ENTRY, "application/json"), 404, "not-found")
    refused(client.get("/api/schedules/a%00b/"), 404, "not-found")


# --- Runs ---


def test_runs_are_listed_from_the_newest_moment_on(reader):
    make_schedule()
    make_run(NOON, status=Status.FAILED)
    make_run(NOON + HOUR, reason="paused by bob")
    make_run(NOON + 2 * HOUR, status=Status.STARTED, kind="manual", made_by="ann")

    body = reader.get("/api/schedules/nightly/runs/").json()

    assert [run["status"] for run in body["results"]] == ["started", "skipped", "failed"]
    started, skipped, failed = body["results"]
    assert (started["kind"], started["made_by"]) == ("manual", "ann")
    assert (started["finished_at"], failed["made_by"]) == (None, None)
    assert (skipped["reason"], skipped["job_id"]) == ("paused by bob", None)
    assert failed["finished_at"] is not None


def test_pages_hold_every_run_once_and_cost_the_same(reader):
    make_schedule()
    moments = [NOON + number * HOUR for number in range(7)]
    for moment in moments:
        make_run(moment, status=Status.COMPLETED)
    make_run(NOON, "another", status=Status.COMPLETED)
    seen, address, costs = [], "/api/schedules/nightly/runs/?page_size=3", []

    while address:
        with CaptureQueriesContext(connection) as queries:
            body = reader.get(address).json()
        costs.append(sum("job_schedule" in each["sql"] for each in queries))
        seen += [datetime.fromisoformat(run["logical_time"]) for run in body["results"]]
        address = body["next"]

    assert seen == moments[::-1]
    assert costs == [2, 2, 2]


@pytest.mark.parametrize("query", ["?cursor=bmlnaHRseQ", "?page_size=x", "?status=failed"])
def test_a_bad_page_of_runs_is_a_problem(reader, query):
    make_schedule()

    refused(reader.get(f"/api/schedules/nightly/runs/{query}"), 400, "invalid-query")


# --- Pause, resume, run ---


def test_a_pause_is_shown_with_who_and_why_and_ended_by_a_resume(changer):
    make_schedule()

    paused = post(changer, "nightly/pause/", {"note": "moving house"})
    assert paused.status_code == 200
    assert paused.json()["paused"]["by"] == "alice"
    assert paused.json()["paused"]["note"] == "moving house"

    resumed = post(changer, "nightly/resume/")
    assert (resumed.status_code, resumed.json()["paused"]) == (200, None)
    verbs = ScheduleChange.objects.order_by("id").values_list("verb", "by")
    assert list(verbs) == [("created", "ann"), ("paused", "alice"), ("resumed", "alice")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("pause/", {"note": 5}),
        ("pause/", {"note": "x" * 501}),
        ("pause/", {"reason": "x"}),
        ("pause/", ["x"]),
        ("resume/", {"note": "x"}),
        ("run/", {"params": []}),
        ("run/", {"value": "x"}),
    ],
)
def test_a_body_of_another_shape_is_refused(changer, path, body):
    make_schedule()

    refused(post(changer, f"nightly/{path}", body), 400, "invalid-request")
    assert ScheduleRun.objects.count() == 0


def test_a_run_of_now_is_made_beside_the_others(client_with):
    make_schedule()
    client = client_with("view_schedule", "run_echo")

    answer = post(client, "nightly/run/")

    job = JobStatus.objects.get()
    assert answer.status_code == 201
    assert answer.json()["job_id"] == str(job.id)
    assert (answer.json()["kind"], answer.json()["made_by"]) == ("manual", "alice")
    assert answer.json()["status"] == "queued"
    assert job.schedule == "nightly"


def test_a_run_with_other_params_and_one_whose_params_do_not_fit(client_with):
    make_schedule()
    client = client_with("view_schedule", "run_echo")

    assert post(client, "nightly/run/", {"params": {"value": "mine"}}).status_code == 201
    body = refused(post(client, "nightly/run/", {"params": {"valeu": 1}}), 400, "invalid-params")

    assert JobStatus.objects.get().params == {"value": "mine"}
    assert [error["pointer"] for error in body["errors"]] == ["#/params/valeu"]


# --- Make, change, delete ---


def test_a_schedule_is_made_changed_and_deleted(changer):
    made = changer.post("/api/schedules/", {"name": "mine", **ENTRY}, "application/json")
    assert made.status_code == 201, made.content
    assert made.headers["Location"] == "/api/schedules/mine/"
    assert made.json()["source"] == "admin"

    changed = changer.put(
        made.headers["Location"], {"job": "Echo", "every": "15m"}, "application/json"
    )
    assert (changed.status_code, changed.json()["every"]) == (200, "15m")
    assert (changed.json()["cron"], changed.json()["params"]) == ([], {})

    deleted = changer.delete(made.headers["Location"])
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert Schedule.objects.count() == 0
    by = ScheduleChange.objects.order_by("id").values_list("verb", "by")
    assert list(by) == [("created", "alice"), ("changed", "alice"), ("deleted", "alice")]


def test_a_change_of_what_somebody_else_has_changed_meanwhile_is_refused(changer):
    address = "/api/schedules/mine/"

    def put(every, if_match):
        entry, headers = {"job": "Echo", "every": every}, {"If-Match": if_match}
        return changer.put(address, entry, "application/json", headers=headers)

    made = changer.post("/api/schedules/", {"name": "mine", **ENTRY}, "application/json")
    read = changer.get(address).headers["ETag"]
    first = put("15m", read)

    assert read == made.headers["ETag"]
    assert first.status_code == 200
    body = refused(put("20m", read), 412, "schedule-changed")
    assert "alice has changed 'mine' meanwhile" in body["detail"]
    for no_tag in ("no etag", first.headers["ETag"].strip('"'), "W/" + first.headers["ETag"], ""):
        refused(put("20m", no_tag), 412, "schedule-changed")
    assert changer.get(address).json()["every"] == "15m"
    assert put("20m", f'"other", {first.headers["ETag"]}').status_code == 200
    assert put("25m", "*").json()["every"] == "25m"


def test_what_somebody_else_has_changed_meanwhile_is_not_deleted(changer):
    address = "/api/schedules/mine/"
    made = changer.post("/api/schedules/", {"name": "mine", **ENTRY}, "application/json")
    changed = changer.put(address, {"job": "Echo", "every": "15m"}, "application/json")

    answer = changer.delete(address, headers={"If-Match": made.headers["ETag"]})

    refused(answer, 412, "schedule-changed")
    assert Schedule.objects.filter(name="mine").exists()
    seen = {"If-Match": changed.headers["ETag"]}
    assert changer.delete(address, headers=seen).status_code == 204
    refused(changer.delete(address, headers=seen), 404, "not-found")


@pytest.mark.parametrize("is_workflow", [False, True])
def test_what_is_shown_in_the_place_of_a_secret_is_not_taken_for_one(client_with, is_workflow):
    client = client_with("change_schedule", "run_secretive")
    one = {"job": "Secretive", "params": {"user": "ann", "password": "hunter22"}}
    make_schedule(**({"steps": {"a": one}, "job": None, "params": None} if is_workflow else one))
    seen = client.get("/api/schedules/nightly/").json()
    keys = ("job", "steps", "cron", "timezone", "params")
    entry = {key: seen[key] for key in keys if seen[key]}

    answer = client.put("/api/schedules/nightly/", entry, content_type="application/json")

    assert answer.status_code == 400
    assert "password: is '[redacted]', as a secret is shown" in answer.json()["detail"]
    row = Schedule.objects.get()
    assert (row.steps["a"] if is_workflow else {"params": row.params})["params"] == one["params"]


def test_what_is_shown_in_the_place_of_a_secret_is_not_run(client_with):
    client = client_with("view_schedule", "run_secretive")
    make_schedule(job="Secretive", params={"user": "ann", "password": "hunter22"})
    shown = client.get("/api/schedules/nightly/").json()["params"]

    answer = post(client, "nightly/run/", {"params": shown})

    body = refused(answer, 400, "invalid-params")
    assert "as a secret is shown: write the secret itself" in body["detail"]
    assert not ScheduleRun.objects.exists()


def test_every_fault_of_a_schedule_is_named_with_its_place(changer):
    body = {"name": "mine", "job": "Echo", "cron": "61 * * * *", "overlap": "never"}

    answer = refused(
        changer.post("/api/schedules/", body, "application/json"), 400, "invalid-schedule"
    )

    assert {error["pointer"] for error in answer["errors"]} == {"#/cron", "#/overlap"}
    assert Schedule.objects.count() == 0


@pytest.mark.parametrize(
    "body", [[], '"x"', "null", {}, {"name": None}, {"name": ["a"], "job": {}}]
)
def test_what_is_no_schedule_is_refused(changer, body):
    answer = changer.post("/api/schedules/", body, "application/json")

    assert answer.status_code == 400
    assert answer.json()["type"].endswith(("invalid-schedule", "invalid-request"))


def test_an_unknown_class_is_a_fault_and_no_matter_of_permission(changer):
    body = {"name": "mine", **ENTRY, "job": "Nobody"}

    answer = refused(
        changer.post("/api/schedules/", body, "application/json"), 400, "invalid-schedule"
    )

    assert [error["pointer"] for error in answer["errors"]] == ["#/job"]


def test_a_name_that_is_taken_is_a_conflict(changer):
    make_schedule("mine")

    response = changer.post("/api/schedules/", {"name": "mine", **ENTRY}, "application/json")

    refused(response, 409, "schedule-exists")


def test_one_of_the_settings_is_paused_and_run_but_not_changed(client_with):
    make_schedule()
    Schedule.objects.update(source="settings")
    client = client_with("change_schedule", "view_schedule", "run_echo")

    for response in (
        client.put("/api/schedules/nightly/", ENTRY, "application/json"),
        client.delete("/api/schedules/nightly/"),
    ):
        refused(response, 409, "schedule-is-of-settings")
    assert post(client, "nightly/pause/").status_code == 200
    assert post(client, "nightly/run/").status_code == 201


# --- Who may not ---

READS = ["", "nightly/", "nightly/runs/", "nightly/backfills/"]
WRITES = [
    ("post", "", {"name": "mine", **ENTRY}),
    ("put", "nightly/", ENTRY),
    ("delete", "nightly/", {}),
    ("post", "nightly/pause/", {}),
    ("post", "nightly/resume/", {}),
    ("post", "nightly/backfills/", {"from": "2026-11-01", "to": "2026-11-02"}),
    ("post", "nightly/backfills/1/stop/", {}),
    ("post", "nightly/backfills/1/continue/", {}),
]


@pytest.mark.parametrize("path", READS)
def test_who_may_not_view_schedules_reads_none(client_with, path):
    make_schedule()
    client = client_with("view_jobstatus", "change_jobstatus", "add_jobstatus")

    refused(client.get(f"/api/schedules/{path}"), 403, "forbidden")


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_who_may_only_view_and_run_changes_none(client_with, method, path, body):
    make_schedule()
    client = client_with("view_schedule", "add_jobstatus", "change_jobstatus")

    response = getattr(client, method)(f"/api/schedules/{path}", body, "application/json")

    refused(response, 403, "forbidden")
    assert ScheduleChange.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("post", "", {"name": "mine", **ENTRY}),
        ("put", "nightly/", ENTRY),
        ("post", "nightly/run/", {}),
        ("post", "nightly/backfills/", {"from": "2026-11-01", "to": "2026-11-02"}),
    ],
)
def test_who_may_not_run_a_class_has_no_schedule_run_it(client_with, method, path, body):
    make_schedule()
    client = client_with("view_schedule", "change_schedule", "run_sleep")

    response = getattr(client, method)(f"/api/schedules/{path}", body, "application/json")

    assert "jobs.run_echo" in refused(response, 403, "forbidden-job")["detail"]
    assert ScheduleChange.objects.count() == 1
    assert JobStatus.objects.count() == 0


def test_who_may_not_run_what_it_is_may_not_make_it_something_else(client_with):
    make_schedule(job="Sleep", params={"seconds": 1})
    client = client_with("change_schedule", "run_echo")

    response = client.put("/api/schedules/nightly/", ENTRY, "application/json")

    assert "jobs.run_sleep" in refused(response, 403, "forbidden-job")["detail"]
