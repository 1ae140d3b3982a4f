"""What is asked of the tables: the hot path, the duties, the admin's lists, the API's."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from benchmarks.backlog_rows import WORKER
from jobs import statuses
from jobs.dispatch import create
from jobs.dispatch.create import Request
from jobs.insights import deploy, search, stats
from jobs.lifecycle import settle, start, turn
from jobs.lifecycle.outcomes import Completed, Settlement
from jobs.maintenance import prune, queued, rescue
from jobs.models import JobStatus, JobWorker
from jobs.worker import registration
from tests import jobs

Question = Callable[[], object]
WORKER_ID = UUID(WORKER)
DEEP = 10_000  # jobs before the deep page
_clients: dict[str, Client] = {}


def prepare() -> None:
    """Make the person who asks, and the worker."""
    person, _ = User.objects.get_or_create(username="boss", is_superuser=True, is_staff=True)
    worker = {"name": "worker-1", "host": "here", "pid": 1, "queues": ["default", "low", "high"]}
    moment = {"started_at": "2026-01-01T00:00:00Z", "heartbeat_at": "2026-01-01T00:00:00Z"}
    JobWorker.objects.get_or_create(id=WORKER_ID, defaults={**worker, **moment})
    client = Client(SERVER_NAME="localhost")
    client.force_login(person)
    _clients["boss"] = client


def _rolled_back(work: Question) -> Question:
    def question() -> None:
        with transaction.atomic():
            work()
            transaction.set_rollback(True)

    return question


def _dispatched(count: int) -> list[JobStatus]:
    return create.dispatch_many(Request(spec=jobs.Echo.spec), [{"value": "x"}] * count)


def run(count: int) -> None:
    """Run so many jobs through their life, as batches do."""
    begun = start.start([job.id for job in _dispatched(count)], worker_id=WORKER_ID).jobs
    settle.settle(
        [Settlement(job_id=j.id, claim=j.claim, outcome=Completed(result="x")) for j in begun]
    )


def _answer(address: str) -> bytes:
    response = _clients["boss"].get(address)
    if response.status_code != HTTPStatus.OK:
        raise RuntimeError(f"{address}: {response.status_code}")
    return response.content


def _turn(count: int) -> None:
    ids = [job.id for job in _dispatched(2 * count)]
    begun = start.start(ids[:count], worker_id=WORKER_ID).jobs
    ends = [Settlement(job_id=j.id, claim=j.claim, outcome=Completed(result="x")) for j in begun]
    turn.turn(ends, ids[count:], worker_id=WORKER_ID)


def _get(path: str, **query: str) -> Question:
    def question() -> None:
        _answer(f"{path}?{urlencode(query)}")

    return question


def _newest(status: str) -> Question:
    def question() -> None:
        page = search.page(search.Filter(statuses=(statuses.Status(status),)), size=1)
        if page.jobs:
            _get(f"/admin/jobs/jobstatus/{page.jobs[0].id}/change/")()

    return question


def _deep(path: str, **query: str) -> Question:
    """Follow `next` from the DEEP-th job on, as a program would; one page is asked for."""
    addresses: list[str] = []

    def question() -> None:
        if not addresses:
            address = f"{path}?{urlencode({**query, 'page_size': '200'})}"
            for _ in range(DEEP // 200):
                following = json.loads(_answer(address))["next"]
                address = following or address
            addresses.append(address)
        _answer(addresses[0])

    return question


ADMIN, API = "/admin/jobs/jobstatus/", "/api/jobs/"
WEEK, HOUR = "2026-01-01T00:00:00Z", "2100-01-01T00:00:00Z"

QUESTIONS: dict[str, Question] = {
    "dispatch 1": _rolled_back(lambda: _dispatched(1)),
    "dispatch 100": _rolled_back(lambda: _dispatched(100)),
    "dispatch, start and settle 1": _rolled_back(lambda: run(1)),
    "dispatch, start and settle 64": _rolled_back(lambda: run(64)),
    "dispatch 128, start 64, turn 64": _rolled_back(lambda: _turn(64)),
    "keeper: held": lambda: registration.held(WORKER_ID),
    "relay: promote": lambda: [queued.promote(timed, limit=100) for timed in queued.TIMED],
    "relay: oldest queued": lambda: queued.overdue(limit=200),
    "relay: page of all": lambda: next(queued.pages("low", size=500), None),
    "rescue: orphans": rescue.settle_orphans,
    "prune: classes and statuses": lambda: prune.lanes(prune.Selection()),
    "prune: nothing is old": prune.prune,
    "counts by status": stats.counts_by_status,
    "loads of queues": lambda: stats.queue_loads(("default", "low", "high")),
    "latest failures": lambda: stats.latest_failures(10),
    "jobs check": lambda: list(deploy.faults()),
    "admin: index": _get("/admin/"),
    "admin: jobs": _get(ADMIN),
    "admin: jobs, page 20": _get(ADMIN, p="20"),
    "admin: jobs, page 200": _get(ADMIN, p="200"),
    **{f"admin: status {status}": _get(ADMIN, status__exact=status) for status in statuses.Status},
    "admin: class Echo": _get(ADMIN, **{"class": "Echo"}),
    "admin: class of no job": _get(ADMIN, **{"class": "AddRow"}),
    "admin: class Echo, failed": _get(ADMIN, **{"class": "Echo"}, status__exact="failed"),
    "admin: queue default": _get(ADMIN, queue="default"),
    "admin: queue of no job": _get(ADMIN, queue="third"),
    "admin: tag nightly": _get(ADMIN, tag="nightly"),
    "admin: tag of no job": _get(ADMIN, tag="nothing"),
    "admin: schedule nightly": _get(ADMIN, schedule="nightly"),
    "admin: schedule of no job": _get(ADMIN, schedule="nothing"),
    "admin: made in the last week": _get(ADMIN, created_at__gte="2026-01-01 00:00:00+00:00"),
    "admin: made in the future": _get(ADMIN, created_at__gte="2100-01-01 00:00:00+00:00"),
    "admin: search id": _get(ADMIN, q="01900000-0000-7000"),
    "admin: search Echo": _get(ADMIN, q="Echo"),
    "admin: search ValueError": _get(ADMIN, q="ValueError"),
    "admin: search nowhere": _get(ADMIN, q="nowhere"),
    "admin: search tag:nightly": _get(ADMIN, q="tag:nightly"),
    "admin: search tag:nothing": _get(ADMIN, q="tag:nothing"),
    "admin: a queued job": _newest("queued"),
    "admin: a completed job": _newest("completed"),
    "admin: schedules": _get("/admin/jobs/schedule/"),
    "admin: workers": _get("/admin/jobs/jobworker/"),
    "api: jobs": _get(API),
    "api: jobs, after 10,000": _deep(API),
    **{f"api: status {status}": _get(API, status=status) for status in statuses.Status},
    "api: status completed, after 10,000": _deep(API, status="completed"),
    "api: status failed,cancelled": _get(API, status="failed,cancelled"),
    "api: job Echo": _get(API, job="Echo"),
    "api: job of no job": _get(API, job="Nothing"),
    "api: queue of no job": _get(API, queue="third"),
    "api: tag nightly": _get(API, tag="nightly"),
    "api: tag of no job": _get(API, tag="nothing"),
    "api: created after a week ago": _get(API, created_after=WEEK),
    "api: created after the future": _get(API, created_after=HOUR),
    "api: created before this year": _get(API, created_before=WEEK),
    "api: failed, job Echo": _get(API, status="failed", job="Echo"),
}
