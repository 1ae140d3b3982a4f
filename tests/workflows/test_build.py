"""Chains and workflows: how steps follow one another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from jobs.base import BaseJob, chain, workflow
from jobs.dispatch import outbox
from jobs.errors import InvalidParams, InvalidWorkflow, JobError, UnknownJob
from jobs.models import JobDependency, JobStatus
from jobs.workflows import declared
from jobs.workflows.build import Origin, Workflow
from tests.jobs import AlwaysFail, Echo, Sleep
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def shape(flow: Workflow) -> dict[str, set[str]]:
    return {name: set(step.parents) for name, step in flow.steps.items()}


def edges() -> set[tuple[str, str]]:
    return set(JobDependency.objects.values_list("parent_step", "step"))


def test_a_chain_is_a_line_of_jobs_made_at_once(redis: Redis) -> None:
    first, second, third = chain(
        Echo.step(value="a"), Sleep.step(seconds=1, queue="low"), Echo.step(tags=("last",))
    ).dispatch()

    assert [job.status for job in (first, second, third)] == ["queued", "waiting", "waiting"]
    assert [job.has_dependents for job in (first, second, third)] == [True, True, False]
    assert (first.params, second.queue, third.tags) == ({"value": "a"}, "low", ["last"])
    assert edges() == {("Echo", "Sleep"), ("Sleep", "Echo-2")}
    outbox.hear()
    assert redis.lrange("rq:queue:default", 0, -1) == [str(first.id).encode()]


def test_its_rows_are_one_statement_in_one_transaction(redis: Redis) -> None:
    flow = chain(Echo.step(), [Echo.step() for _ in range(998)], Echo.step())

    with CaptureQueriesContext(connection) as queries:
        jobs = flow.dispatch()

    said = [query["sql"].split()[0] for query in queries]
    assert said == ["BEGIN", "WITH", "INSERT", "COMMIT"]
    assert len(jobs) == JobStatus.objects.count() == 1_000


def test_what_the_caller_gets_are_the_rows(redis: Redis) -> None:
    for job in chain(Echo.step(), Echo.step(run_at=timedelta(hours=1))).dispatch():
        row = JobStatus.objects.get(id=job.id)
        for field in JobStatus._meta.concrete_fields:
            assert getattr(job, field.attname) == getattr(row, field.attname), field.attname


def test_a_list_in_a_chain_fans_out_and_in() -> None:
    flow = chain(
        Echo.step(), [Sleep.step(seconds=1), chain(Echo.step(), Echo.step())], AlwaysFail.step()
    )

    assert shape(flow) == {
        "Echo": set(),
        "Sleep": {"Echo"},
        "Echo-2": {"Echo"},
        "Echo-3": {"Echo-2"},
        "AlwaysFail": {"Sleep", "Echo-3"},
    }


def test_a_workflow_names_its_steps(redis: Redis) -> None:
    ann = User.objects.create(username="ann")
    jobs = workflow(
        flights=Echo.step(value="f"),
        airports=Echo.step(value="a"),
        summary=Echo.step(on_parent_failure="run").after("flights", "airports"),
    ).dispatch(created_by=ann)

    assert edges() == {("flights", "summary"), ("airports", "summary")}
    assert [job.status for job in jobs] == ["queued", "queued", "waiting"]
    assert {job.created_by_id for job in jobs} == {ann.pk}
    assert set(JobDependency.objects.values_list("on_parent_failure", "number")) == {
        ("run", 0), ("run", 1),
    }  # fmt: skip


def test_a_workflow_is_a_link_of_a_chain() -> None:
    inner = workflow(Echo=Echo.step().after("b"), b=Echo.step())

    assert shape(chain(Echo.step(), inner, Echo.step())) == {
        "Echo": set(),
        "Echo-2": {"b"},
        "b": {"Echo"},
        "Echo-3": {"Echo-2"},
    }


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (chain, "at least one step"),
        (workflow, "at least one step"),
        (lambda: chain(Echo), "takes steps, lists of steps and workflows, not"),
        (lambda: chain(Echo.step(), []), "takes steps"),
        (lambda: chain("Echo"), "takes steps"),
        (lambda: chain(Echo.step().after("x")), "follow its order"),
        (lambda: workflow(a=Echo), r"write a=SomeJob.step"),
        (lambda: workflow(a=Echo.step().after("b")), "Step a follows 'b', which is no step"),
        (lambda: workflow(a=Echo.step().after("a")), "in a circle: a -> a"),
        (lambda: workflow({"a b": Echo.step()}), "'a b' is no name of a step"),
        (
            lambda: workflow(a=Echo.step().after("b"), b=Echo.step().after("a")),
            r"in a circle: (a -> b -> a|b -> a -> b)",
        ),
        (lambda: chain([Echo.step() for _ in range(1_001)]), "1,001 steps, at most 1,000"),
        (
            lambda: chain([Echo.step()] * 101, [Echo.step()] * 100),
            "10,100 ways, at most 10,000",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, said: str) -> None:
    with pytest.raises(InvalidWorkflow, match=said):
        make()


def test_wrong_params_of_one_step_make_no_row(redis: Redis) -> None:
    with pytest.raises(InvalidParams, match="Sleep"):
        chain(Echo.step(), Sleep.step()).dispatch()

    assert not JobStatus.objects.exists()


def test_an_abstract_class_has_no_step() -> None:
    with pytest.raises(JobError, match="abstract"):
        BaseJob.step()


# --- Declared ---

DECLARED = {
    "flights": {"job": "Echo", "params": {"value": "f"}, "queue": "low", "tags": ["t"]},
    "airports": {"job": "Echo"},
    "summary": {"job": "Echo", "after": ["flights", "airports"], "on_parent_failure": "run"},
}


def test_a_declared_workflow_is_the_same_value() -> None:
    written = workflow(
        flights=Echo.step(value="f", queue="low", tags=("t",)),
        airports=Echo.step(),
        summary=Echo.step(on_parent_failure="run").after("flights", "airports"),
    )

    assert declared.read(DECLARED) == written
    assert declared.faults(DECLARED) == []


def test_all_jobs_of_a_run_bear_its_moment_and_the_first_ones_wait_for_others(
    redis: Redis,
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    before = make_job()
    origin = Origin(
        schedule="nightly", logical_time=moment, depends_on=(before.id,), on_parent_failure="run"
    )

    jobs = declared.read(DECLARED).dispatch(origin)

    assert {(job.schedule, job.logical_time) for job in jobs} == {("nightly", moment)}
    assert {job.status for job in jobs} == {"waiting"}
    assert edges() == {
        ("", "flights"), ("", "airports"), ("flights", "summary"), ("airports", "summary"),
    }  # fmt: skip
    before.refresh_from_db()
    assert before.has_dependents


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "steps must be a mapping"),
        ({}, "at least one step"),
        ({"a": "Echo"}, "Step a: it must be a mapping"),
        ({1: {"job": "Echo"}}, "The name of a step is text, not 1"),
        ({"a": {}}, 'Step a: "job" must name'),
        ({"a": {"job": "Echo", "parms": {}}}, "Step a: 'parms' is unknown. Keys are: job, params"),
        ({"a": {"job": "Echo", "params": []}}, None),
        ({"a": {"job": "Echo", "params": [1]}}, '"params" must be a mapping'),
        ({"a": {"job": "Echo", "queue": 1}}, '"queue" must be'),
        ({"a": {"job": "Echo", "after": "b"}}, '"after" must be a list'),
        ({"a": {"job": "Echo", "tags": [1]}}, '"tags" must be a list'),
        ({"a": {"job": "Echo", "on_parent_failure": "skip"}}, '"cancel" or "run"'),
        ({"a": {"job": "Echo", "after": ["b"]}}, "Step a follows 'b'"),
    ],
)
def test_faults_of_a_declaration_say_where_and_what(steps: Any, said: str | None) -> None:
    found = declared.faults(steps)

    if said is None:
        assert found == []
    else:
        assert any(said in fault for fault in found), found


def test_a_faulty_declaration_is_not_read() -> None:
    with pytest.raises(InvalidWorkflow, match="must be a mapping"):
        declared.read({"a": "Echo"})
    with pytest.raises(UnknownJob):
        declared.read({"a": {"job": "Nothing"}})
