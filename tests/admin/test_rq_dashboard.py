from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from jobs.broker import client as broker_client
from jobs.broker import keys
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.admin.conftest import browser, person
from tests.admin.entries import WORKER, make_shown_job, show_worker

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

QUEUES = ["default", "etl", "high", "low"]  # as django-rq numbers them
DEFAULT = QUEUES.index("default")
QUEUE_PAGES = [
    "jobs", "queue_details", "finished_jobs", "failed_jobs", "scheduled_jobs", "started_jobs",
    "deferred_jobs", "workers", "clear", "requeue_all", "delete_failed_jobs",
]  # fmt: skip
JOB_PAGES = ["job_detail", "delete_job", "requeue_job", "enqueue_job"]
# Where the dashboard lists a job; the other statuses have no entry in Redis.
LISTED = {
    Status.QUEUED: "jobs",
    Status.STARTED: "started_jobs",
    Status.COMPLETED: "finished_jobs",
    Status.FAILED: "failed_jobs",
}


def address(name, *args):
    return reverse(f"admin:django_rq_{name}", args=args)


def queue_pages():
    return [address(name, index) for name in QUEUE_PAGES for index in range(len(QUEUES))]


def site_pages():
    return [address("home"), address("home_json"), address("scheduler_jobs", 0)]


@pytest.fixture
def rq_only(db):
    """A browser of somebody with the dashboard's permission and none of ours."""
    return browser(person("rita", "django_rq.admin"))


@pytest.fixture
def steward(db):
    """A browser of somebody who may use the dashboard and change jobs."""
    return browser(person("stan", "django_rq.admin", "jobs.change_jobstatus"))


@pytest.fixture(autouse=True)
def empty_redis(redis):
    return redis


# --- The truth ---


@pytest.mark.parametrize("status", list(Status))
def test_every_page_opens_in_every_status(boss, status):
    show_worker()
    job = make_shown_job(status)
    pages = [*site_pages(), *queue_pages(), address("worker_details", DEFAULT, WORKER)]
    if status in LISTED:
        pages += [address(name, DEFAULT, job.id) for name in JOB_PAGES]

    answers = {page: boss.get(page).status_code for page in pages}

    assert {page: code for page, code in answers.items() if code != 200} == {}


@pytest.mark.parametrize("status", list(LISTED))
def test_a_job_is_listed_by_class_where_its_status_says(boss, status):
    show_worker()
    job = make_shown_job(status)

    lists = {name: boss.get(address(name, DEFAULT)).content.decode() for name in LISTED.values()}
    page = boss.get(address("job_detail", DEFAULT, job.id)).content.decode()

    assert {name for name, html in lists.items() if str(job.id) in html} == {LISTED[status]}
    assert "Echo" in lists[LISTED[status]]
    assert "Echo" in page


def test_a_secret_param_is_not_on_any_page(boss):
    params = {"user": "alice", "password": "correct horse"}
    job = make_shown_job(Status.QUEUED, job_class="Secretive", params=params)

    html = boss.get(address("job_detail", DEFAULT, job.id)).content.decode()

    assert "alice" in html
    assert "correct horse" not in html


def test_a_job_started_long_ago_is_still_started_after_every_page_was_opened(boss):
    show_worker()
    job = make_shown_job(Status.STARTED)
    redis = broker_client.for_work()
    for name in ("started_at", "created_at", "enqueued_at", "last_heartbeat"):
        redis.hset(keys.entry(job.id), name, "2020-01-01T00:00:00.000000Z")

    for page in (*site_pages(), *queue_pages(), address("worker_details", DEFAULT, WORKER)):
        assert boss.get(page).status_code == 200

    assert str(job.id) in boss.get(address("started_jobs", DEFAULT)).content.decode()
    assert redis.hget(keys.entry(job.id), "status") == b"started"
    job.refresh_from_db()
    assert job.status == Status.STARTED


@pytest.mark.parametrize("name", [WORKER, f"rq:worker:{WORKER}"])
def test_a_workers_page_opens_by_name_and_by_key_and_is_404_when_it_is_gone(boss, name):
    show_worker()

    answers = [boss.get(address("worker_details", DEFAULT, key)) for key in (name, f"{name}-gone")]

    assert [answer.status_code for answer in answers] == [200, 404]


def test_the_numbers_as_json(boss):
    make_shown_job(Status.QUEUED)

    queues = json.loads(boss.get(address("home_json")).content)["queues"]

    assert {queue["name"]: queue["jobs"] for queue in queues}["default"] == 1


# --- Nothing is unpickled ---


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.write_text, (self.path, "unpickled"))


def plant(redis, job, path):
    """Put a pickle wherever the dashboard looks for data."""
    bomb = pickle.dumps(Bomb(path))
    redis.hset(keys.entry(job.id), mapping={"data": bomb, "meta": bomb, "result": bomb})
    redis.hset("rq:job:planted", mapping={"data": bomb, "meta": bomb, "status": "scheduled"})
    redis.hset("rq:job:planted", mapping={"created_at": "2020-01-01T00:00:00.000000Z"})
    redis.zadd("rq:scheduler:scheduled_jobs", {"planted": 2_000_000_000})
    redis.xadd(keys.results(job.id), {"type": 1, "return_value": bomb, "worker_name": WORKER})


@pytest.mark.parametrize("status", list(LISTED))
def test_a_planted_pickle_never_runs(boss, tmp_path, status):
    show_worker()
    job = make_shown_job(status)
    mark = tmp_path / "mark"
    plant(broker_client.for_work(), job, mark)
    pages = [*site_pages(), *queue_pages(), address("worker_details", DEFAULT, WORKER)]
    pages += [address(name, DEFAULT, job.id) for name in JOB_PAGES]

    browser_of_errors = Client(raise_request_exception=False)
    browser_of_errors.cookies = boss.cookies
    for page in pages:
        browser_of_errors.get(page)

    assert not mark.exists()


def test_the_plant_would_run_where_pickles_are_read(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "mark")))  # noqa: S301 - ours

    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("status", list(LISTED))
def test_lists_and_worker_pages_show_an_entry_that_is_not_json(boss, tmp_path, status):
    show_worker()
    job = make_shown_job(status)
    broker_client.for_work().hset(keys.entry(job.id), "data", pickle.dumps(Bomb(tmp_path / "x")))
    pages = [*site_pages(), *queue_pages(), address("worker_details", DEFAULT, WORKER)]

    answers = {page: boss.get(page).status_code for page in pages}

    assert {page: code for page, code in answers.items() if code != 200} == {}


# --- Who may ---


def test_every_page_is_refused_to_staff_without_the_permission(viewer):
    show_worker()
    job = make_shown_job(Status.STARTED)
    pages = [*site_pages(), *queue_pages(), *(address(name, DEFAULT, job.id) for name in JOB_PAGES)]
    pages += [address("worker_details", DEFAULT, WORKER)]

    answers = {page: viewer.get(page).status_code for page in pages}

    assert {page: code for page, code in answers.items() if code != 403} == {}


def test_every_action_is_refused_to_staff_without_the_permission(operator):
    job = make_shown_job(Status.QUEUED)
    pages = [address(name, DEFAULT) for name in ("clear", "requeue_all", "delete_failed_jobs")]
    pages += [address(name, DEFAULT, job.id) for name in (*JOB_PAGES, "stop_job")]
    selected = {"action": "delete", "job_ids": [str(job.id)]}

    answers = [operator.post(page).status_code for page in pages]
    answers.append(operator.post(address("actions", DEFAULT), selected).status_code)

    assert set(answers) == {403}
    assert broker_client.for_work().llen(keys.queue("default")) == 1


def test_strangers_are_sent_to_the_login_and_get_no_numbers():
    stranger = Client()

    assert stranger.get(address("home")).status_code == 302
    assert stranger.post(address("clear", DEFAULT)).status_code == 302
    assert stranger.get(address("home_json")).status_code == 401


def test_the_permission_opens_every_page_and_the_index_links_there(rq_only):
    answers = {page: rq_only.get(page).status_code for page in (*site_pages(), *queue_pages())}

    assert set(answers.values()) == {200}
    assert address("home") in rq_only.get(reverse("admin:index")).content.decode()


def test_without_the_permission_the_index_has_no_link(viewer):
    assert address("home") not in viewer.get(reverse("admin:index")).content.decode()


def test_the_dashboards_permission_alone_moves_no_job_of_ours(rq_only):
    job = make_shown_job(Status.FAILED)
    queued = make_shown_job(Status.QUEUED)

    answers = [
        rq_only.post(address("requeue_job", DEFAULT, job.id)).status_code,
        rq_only.post(address("requeue_all", DEFAULT)).status_code,
        rq_only.post(address("delete_job", DEFAULT, queued.id)).status_code,
        rq_only.post(address("clear", DEFAULT)).status_code,
        rq_only.post(
            address("actions", DEFAULT), {"action": "delete", "job_ids": [str(queued.id)]}
        ).status_code,
    ]

    assert set(answers) == {403}
    assert sorted(JobStatus.objects.values_list("status", flat=True)) == ["failed", "queued"]


# --- Our verbs ---


@pytest.mark.parametrize("name", ["requeue_job", "enqueue_job"])
def test_requeue_retries_the_row(steward, name):
    job = make_shown_job(Status.FAILED, attempt=5)

    steward.post(address(name, DEFAULT, job.id))

    job.refresh_from_db()
    redis = broker_client.for_work()
    assert (job.status, job.max_attempts, job.claim) == (Status.QUEUED, 6, 2)
    assert redis.lrange(keys.queue("default"), 0, -1) == [str(job.id).encode()]
    assert redis.zcard(keys.failed("default")) == 0


def test_delete_cancels_a_queued_job_and_refuses_an_ended_one(steward):
    queued = make_shown_job(Status.QUEUED)
    failed = make_shown_job(Status.FAILED)

    first = steward.post(address("delete_job", DEFAULT, queued.id), follow=True)
    second = steward.post(address("delete_job", DEFAULT, failed.id), follow=True)

    queued.refresh_from_db()
    assert (queued.status, queued.cancel_requested_by) == (Status.CANCELLED, "stan")
    assert "1 job cancelled." in first.content.decode()
    assert "1 job left alone: 1 is failed." in second.content.decode()
    assert JobStatus.objects.get(id=failed.id).status == Status.FAILED


def test_stop_asks_a_started_job_to_stop(steward):
    show_worker()
    job = make_shown_job(Status.STARTED)

    steward.post(address("stop_job", DEFAULT, job.id))

    job.refresh_from_db()
    assert (job.status, job.cancel_requested_by) == (Status.STARTED, "stan")


def test_selected_entries_go_their_own_ways(steward):
    ours = make_shown_job(Status.FAILED)
    plain_job("plain-1", "failed")
    selected = {
        "action": "requeue",
        "job_ids": [str(ours.id), "plain-1"],
        "next_url": "https://evil.example/",
    }

    answer = steward.post(address("actions", DEFAULT), selected)

    ours.refresh_from_db()
    waiting = set(broker_client.for_work().lrange(keys.queue("default"), 0, -1))
    assert ours.status == Status.QUEUED
    assert waiting == {str(ours.id).encode(), b"plain-1"}
    assert answer["Location"] == address("jobs", DEFAULT)


def test_requeue_all_retries_our_rows_and_leaves_plain_entries_to_rq(steward):
    ours = [make_shown_job(Status.FAILED) for _ in range(3)]
    plain_job("plain-1", "failed")

    steward.post(address("requeue_all", DEFAULT))

    redis = broker_client.for_work()
    waiting = redis.lrange(keys.queue("default"), 0, -1)
    assert set(JobStatus.objects.values_list("status", flat=True)) == {"queued"}
    assert sorted(waiting) == sorted([*(str(job.id).encode() for job in ours), b"plain-1"])
    assert redis.zcard(keys.failed("default")) == 0


def test_to_empty_a_queue_cancels_its_queued_jobs(steward):
    here = make_shown_job(Status.QUEUED)
    elsewhere = make_shown_job(Status.QUEUED, queue="high")
    plain_job("plain-1", "queued")

    steward.post(address("clear", DEFAULT))

    redis = broker_client.for_work()
    assert JobStatus.objects.get(id=here.id).status == Status.CANCELLED
    assert JobStatus.objects.get(id=elsewhere.id).status == Status.QUEUED
    assert redis.llen(keys.queue("default")) == 0
    assert redis.llen(keys.queue("high")) == 1


def test_to_clear_the_failed_ones_keeps_the_rows(steward):
    job = make_shown_job(Status.FAILED)

    answer = steward.post(address("delete_failed_jobs", DEFAULT), follow=True)

    assert JobStatus.objects.get(id=job.id).status == Status.FAILED
    assert broker_client.for_work().zcard(keys.failed("default")) == 0
    assert "failed jobs stay in the admin" in answer.content.decode()


@pytest.mark.parametrize("name", ["delete_job", "requeue_job", "enqueue_job", "stop_job"])
def test_a_schedules_entry_is_left_alone(steward, name):
    plain_job("schedule-nightly", "scheduled")

    answer = steward.post(address(name, DEFAULT, "schedule-nightly"))

    redis = broker_client.for_work()
    assert answer.status_code == 302
    assert redis.exists(keys.entry("schedule-nightly"))
    assert redis.llen(keys.queue("default")) == 0


@pytest.mark.parametrize("action", ["delete", "requeue", "stop"])
def test_a_selection_with_a_schedules_entry_is_left_alone_whole(steward, action):
    plain_job("schedule-nightly", "scheduled")
    ours = make_shown_job(Status.QUEUED)
    selected = {"action": action, "job_ids": ["schedule-nightly", str(ours.id)]}

    answer = steward.post(address("actions", DEFAULT), selected, follow=True)

    assert "declared in settings.JOB_SCHEDULES: nothing was done" in answer.content.decode()
    assert broker_client.for_work().exists(keys.entry("schedule-nightly"))
    assert JobStatus.objects.get(id=ours.id).status == Status.QUEUED


@pytest.mark.parametrize(
    "fields", [{}, {"action": "delete"}, {"action": "explode", "job_ids": ["x"]}]
)
def test_an_action_without_a_meaning_does_nothing(steward, fields):
    job = make_shown_job(Status.QUEUED)

    answer = steward.post(address("actions", DEFAULT), fields)

    assert answer.status_code == 302
    assert JobStatus.objects.get(id=job.id).status == Status.QUEUED


def test_selected_jobs_of_ours_are_cancelled_not_deleted(steward):
    job = make_shown_job(Status.QUEUED)
    selected = {"action": "delete", "job_ids": [str(job.id)], "next_url": address("home")}

    answer = steward.post(address("actions", DEFAULT), selected)

    assert JobStatus.objects.get(id=job.id).status == Status.CANCELLED
    assert answer["Location"] == address("home")


@pytest.mark.parametrize("name", ["clear", "requeue_all", "delete_failed_jobs"])
def test_a_queue_that_is_not_there_is_404(steward, name):
    assert steward.post(address(name, 99)).status_code == 404


def test_a_plain_entry_goes_rqs_way(steward):
    plain_job("plain-1", "failed")
    plain_job("plain-2", "queued")

    steward.post(address("requeue_job", DEFAULT, "plain-1"))
    steward.post(address("delete_job", DEFAULT, "plain-2"))

    assert broker_client.for_work().lrange(keys.queue("default"), 0, -1) == [b"plain-1"]


def test_an_id_in_another_spelling_is_not_ours(steward):
    job = make_shown_job(Status.FAILED)
    plain_job(str(job.id).upper(), "failed")

    steward.post(address("requeue_job", DEFAULT, str(job.id).upper()))

    assert JobStatus.objects.get(id=job.id).status == Status.FAILED


def plain_job(entry_id, status):
    """Write an entry of a plain rq job."""
    redis = broker_client.for_work()
    redis.hset(
        keys.entry(entry_id),
        mapping={
            "data": json.dumps(["time.time", None, [], {}]),
            "status": status,
            "origin": "default",
            "created_at": "2026-01-01T00:00:00.000000Z",
            "enqueued_at": "2026-01-01T00:00:00.000000Z",
        },
    )
    redis.sadd(keys.QUEUES, keys.queue("default"))
    if status == "failed":
        redis.zadd(keys.failed("default"), {entry_id: 2_000_000_000})
    elif status == "queued":
        redis.rpush(keys.queue("default"), entry_id)


# --- Redis away ---


def test_a_page_says_that_redis_does_not_answer(boss, settings):
    gone = "unix:///nowhere/redis.sock"
    settings.RQ_QUEUES = {
        name: {**queue, "URL": gone} for name, queue in settings.RQ_QUEUES.items()
    }

    answer = boss.get(address("home"))

    assert answer.status_code == 503
    assert "Redis does not answer" in answer.content.decode()


def test_the_overview_opens_without_redis_and_says_so(boss, settings):
    gone = "unix:///nowhere/redis.sock"
    settings.RQ_QUEUES = {
        name: {**queue, "URL": gone} for name, queue in settings.RQ_QUEUES.items()
    }
    broker_client._client.cache_clear()

    answer = boss.get(reverse("admin:index"))
    broker_client._client.cache_clear()

    assert answer.status_code == 200
    assert "Redis does not answer" in answer.content.decode()
