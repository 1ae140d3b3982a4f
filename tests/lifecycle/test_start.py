"""What of a claimed line starts at once: the batchable prefix, and what becomes of the rest."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.base import BaseJob
from jobs.lifecycle.start import JOB_COLUMNS, Beginning, start
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.make import make_job, make_worker

pytestmark = pytest.mark.django_db


class StartedAsync(BaseJob):
    """A job that waits beside others."""

    async def _perform(self) -> None:
        return None


MAKE = {
    "plain": lambda: make_job().id,
    "last": lambda: make_job(attempt=4, max_attempts=5).id,
    "single": lambda: make_job(max_attempts=1).id,
    "atomic": lambda: make_job(job_class="Atomic").id,
    "unknown": lambda: make_job(job_class="Gone").id,
    "async": lambda: make_job(job_class="StartedAsync", max_attempts=1).id,
    "no row": uuid4,
    "cancelled": lambda: make_job(status=Status.CANCELLED).id,
}
# The line, the room for async jobs -> the fate of each.
LINES: list[tuple[list[str], int, str]] = [
    (["plain", "plain", "plain"], 0, "sss"),
    (["plain", "unknown", "plain"], 0, "sss"),
    (["plain", "last", "plain"], 0, "sll"),
    (["plain", "single", "plain"], 0, "sll"),
    (["plain", "atomic", "plain"], 0, "sll"),
    (["plain", "no row", "plain"], 0, "sll"),
    (["last", "plain"], 0, "sl"),
    (["single", "single"], 0, "sl"),
    (["atomic", "plain"], 0, "sl"),
    (["no row", "plain", "no row"], 0, "xll"),
    (["cancelled", "plain", "cancelled", "plain"], 0, "dsds"),
    (["cancelled", "single", "cancelled", "plain"], 0, "dsdl"),
    (["cancelled", "no row", "plain"], 0, "dxl"),
    (["cancelled"], 0, "d"),
    (["async", "plain"], 0, "ll"),
    (["async", "plain", "async", "plain"], 1, "ssll"),
    (["async", "plain", "async", "plain"], 2, "ssss"),
    (["atomic", "async"], 9, "sl"),
    (["async", "atomic"], 9, "sl"),
]


@pytest.mark.parametrize(
    ("kinds", "room", "fates"), LINES, ids=[f"{kinds}, room {room}" for kinds, room, _ in LINES]
)
def test_the_batchable_prefix_starts_and_the_rest_goes_back(
    kinds: list[str], room: int, fates: str
) -> None:
    ids = [MAKE[kind]() for kind in kinds]

    with CaptureQueriesContext(connection) as queries:
        told = start(ids, worker_id=make_worker().id, room=room)

    assert len([query for query in queries if "job_statuses" in query["sql"]]) == 1
    assert told.jobs == list(JobStatus.objects.filter(id__in=fated(ids, fates, "s")).order_by("id"))
    assert told.later == fated(ids, fates, "l")
    assert told.strangers == fated(ids, fates, "x")
    assert told.dropped == fated(ids, fates, "d")
    assert not told.is_refused
    started = set(JobStatus.objects.filter(status="started").values_list("id", flat=True))
    assert started == set(fated(ids, fates, "s"))


def fated(ids: list[UUID], fates: str, fate: str) -> list[UUID]:
    return [job_id for job_id, its in zip(ids, fates, strict=True) if its == fate]


def test_jobs_start_in_the_order_of_the_line_not_of_their_ids() -> None:
    ids = [make_job().id for _ in range(5)]
    line = [ids[3], ids[0], ids[4], ids[0], ids[1], ids[2]]

    told = start(line, worker_id=make_worker().id)

    assert [job.id for job in told.jobs] == list(dict.fromkeys(line))


def test_no_ids_ask_nothing() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert start([], worker_id=uuid4()) == Beginning()

    assert not len(queries)


def test_what_is_read_of_a_job_is_what_its_row_says() -> None:
    made = make_job(params={"value": ["ä", 1.5, None]}, losses=2, interruptions=1)
    worker = make_worker()

    [job] = start([made.id], worker_id=worker.id).jobs

    row = JobStatus.objects.get(id=made.id)
    with CaptureQueriesContext(connection) as queries:
        assert {name: getattr(job, name) for name in JOB_COLUMNS} == {
            name: getattr(row, name) for name in JOB_COLUMNS
        }
    assert not len(queries)
    assert (job.worker_id, job.attempt, job.claim) == (worker.id, 1, 1)


def test_what_is_not_read_of_a_job_is_loaded_when_asked_for() -> None:
    made = make_job(tags=["nightly"])

    [job] = start([made.id], worker_id=make_worker().id).jobs

    assert job.tags == ["nightly"]
    assert job.get_deferred_fields() >= {"result", "progress"}


def test_a_dead_worker_puts_all_back_that_could_start() -> None:
    queued, cancelled, unknown = MAKE["plain"](), MAKE["cancelled"](), MAKE["no row"]()
    dead = make_worker(dead_at="2026-01-01T00:00Z")

    told = start([unknown, cancelled, queued], worker_id=dead.id, room=9)

    assert told == Beginning(later=[unknown, queued], dropped=[cancelled], is_refused=True)
    assert JobStatus.objects.get(id=queued).status == "queued"
