"""The birth of jobs: rows, queues, times, bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from jobs.dispatch import create, insert
from jobs.dispatch.create import Request
from jobs.errors import DispatchError, InvalidOption, ParamsTooLarge, UnknownQueue
from jobs.models import JobStatus, clock
from tests import jobs

pytestmark = [pytest.mark.redis, pytest.mark.django_db]


def test_a_job_is_one_row(redis: Redis) -> None:
    job = jobs.Echo.dispatch(value="x", queue="low", tags=("nightly",))

    row = JobStatus.objects.get()
    assert (row.id, row.status, row.queue, row.params) == (job.id, "queued", "low", {"value": "x"})
    assert (row.attempt, row.claim, row.max_attempts, row.tags) == (0, 0, 5, ["nightly"])
    assert row.created_at == row.due_at == row.updated_at


def test_a_dispatch_is_one_statement(redis: Redis) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        jobs.Echo.dispatch()

    assert len(queries) == 1


def test_a_thousand_jobs_are_one_statement_and_keep_their_order(redis: Redis) -> None:
    with CaptureQueriesContext(connection) as queries:
        made = jobs.Echo.dispatch_many([{"value": str(n)} for n in range(1_000)])

    assert len(queries) == 1
    assert [job.params["value"] for job in made] == [str(n) for n in range(1_000)]


def fields_of(job: JobStatus) -> dict[str, object]:
    return {field.attname: getattr(job, field.attname) for field in JobStatus._meta.concrete_fields}


def test_what_the_caller_gets_is_the_whole_row(redis: Redis) -> None:
    ann = User.objects.create(username="ann")
    run_at = clock.read() + timedelta(minutes=5)
    wishes = [
        Request(spec=jobs.Echo.spec, params={"value": "x"}),
        Request(spec=jobs.Echo.spec, params={"value": "y\n\\ \u2028"}, tags=("a", "b")),
        Request(spec=jobs.Secretive.spec, params={"user": "u", "password": "p"}, queue="low"),
        Request(spec=jobs.Echo.spec, run_at=run_at, created_by_id=ann.pk),
        Request(spec=jobs.Echo.spec, run_at=timedelta(seconds=90), tags=("a",)),
        Request(spec=jobs.Echo.spec, schedule="nightly", logical_time=run_at),
    ]
    made = [*create.dispatch(wishes), *map(create.dispatch_one, wishes)]

    assert [job.status for job in made] == [*["queued"] * 3, *["scheduled"] * 2, "queued"] * 2
    for job in made:
        assert fields_of(job) == fields_of(JobStatus.objects.get(id=job.id))
        assert not job.get_deferred_fields()
        assert (job._state.adding, job._state.db) == (False, "default")
    assert len({id(job.tags) for job in made}) == len(made)  # nobody's list is another's


def test_a_job_of_many_can_be_saved_by_its_caller(redis: Redis) -> None:
    _, job = jobs.Echo.dispatch_many([{}, {}])

    job.error = "by hand"
    job.save(update_fields=["error"])

    assert JobStatus.objects.get(error="by hand").id == job.id


def test_none_is_made_where_none_is_asked_for(redis: Redis) -> None:
    assert jobs.Echo.dispatch_many([]) == []


def test_large_params_are_spread_over_statements(
    redis: Redis, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insert, "MAX_CHARACTERS", 1_000)
    sizes = [10, 2_000, 400, 400, 400, 10]  # [10], [2_000], [400, 400], [400, 10]

    with django_assert_num_queries(4):
        made = create.dispatch(
            [Request(spec=jobs.Echo.spec, params={"value": "x" * size}) for size in sizes]
        )

    assert [len(job.params["value"]) for job in made] == sizes
    assert JobStatus.objects.count() == len(sizes)


def test_one_bad_one_of_many_makes_none(redis: Redis) -> None:
    with pytest.raises(DispatchError):
        jobs.Echo.dispatch_many([{"value": "x"}, {"value": 3}])

    assert not JobStatus.objects.exists()


def test_a_job_for_later_is_scheduled_by_the_databases_clock(redis: Redis) -> None:
    later = jobs.Echo.dispatch(run_at=timedelta(minutes=5))
    past = jobs.Echo.dispatch(run_at=datetime(2020, 1, 1, tzinfo=UTC))

    now = clock.read()
    assert (later.status, past.status) == ("scheduled", "queued")
    assert timedelta(minutes=4, seconds=50) < later.due_at - now <= timedelta(minutes=5)
    assert abs(past.due_at - now) < timedelta(seconds=10)


def test_an_unknown_queue_is_refused(redis: Redis) -> None:
    with pytest.raises(UnknownQueue, match="Queues are: high, default, etl, low"):
        jobs.Echo.dispatch(queue="nosuch")


@pytest.mark.parametrize(
    "run_at",
    [datetime(2026, 1, 1), timedelta(days=40_000), "tomorrow", 60],  # noqa: DTZ001
    ids=["naive", "far", "text", "number"],
)
def test_a_run_at_that_makes_no_sense_is_refused(redis: Redis, run_at: object) -> None:
    with pytest.raises(InvalidOption, match="run_at"):
        jobs.Echo.dispatch(run_at=run_at)


@pytest.mark.parametrize("past", [timedelta(seconds=-1), timedelta.min])
def test_a_wait_that_is_over_means_at_once(redis: Redis, past: timedelta) -> None:
    assert jobs.Echo.dispatch(run_at=past).status == "queued"


@pytest.mark.parametrize("tag", ["", "x" * 101, "a\x00b", "\ud800"])
def test_odd_tags_are_refused(redis: Redis, tag: str) -> None:
    with pytest.raises(InvalidOption, match="up to 20 texts of up to 100 characters"):
        jobs.Echo.dispatch(tags=(tag,))


def test_params_over_the_limit_are_refused(redis: Redis) -> None:
    with pytest.raises(ParamsTooLarge, match="the limit is 1,048,576"):
        jobs.Echo.dispatch(value="x" * (1024 * 1024))

    assert not JobStatus.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_dispatches_often_has_its_statement_prepared(redis: Redis) -> None:
    ann = User.objects.create(username="ann")
    wishes = [
        Request(spec=jobs.Echo.spec, params={"value": "y\n\\ \u2028"}, tags=("a", "b c")),
        Request(spec=jobs.Echo.spec, created_by_id=ann.pk),
        Request(spec=jobs.Echo.spec, schedule="nightly", logical_time=clock.read()),
    ]
    with CaptureQueriesContext(connection) as queries:
        made = [
            create.dispatch([wish])[0] for wish in wishes for _ in range(insert.USES_UNPREPARED)
        ]

    assert ["EXECUTE" in query["sql"] for query in queries] == [
        number >= insert.USES_UNPREPARED for number in range(len(made))
    ]
    for job in made:
        assert fields_of(job) == fields_of(JobStatus.objects.get(id=job.id))
