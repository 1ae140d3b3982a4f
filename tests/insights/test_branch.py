"""What a job has to do with others."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from redis import Redis

from jobs.base import chain, workflow
from jobs.insights import branch, explain
from jobs.lifecycle import control
from jobs.models import JobStatus
from jobs.statuses import Status
from tests.jobs import Echo, Sleep
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def test_the_graph_around_a_job_holds_all_that_hang_together(redis: Redis) -> None:
    jobs = workflow(
        flights=Echo.step(),
        airports=Sleep.step(seconds=1),
        summary=Echo.step(on_parent_failure="run").after("flights", "airports"),
    ).dispatch()
    alone = Echo.dispatch()

    for job in jobs:
        graph = branch.around(job.id)
        assert graph is not None
        assert [(node.name, node.status) for node in graph.nodes.values()] == [
            ("flights", "queued"), ("airports", "queued"), ("summary", "waiting"),
        ]  # fmt: skip
        assert {(edge.parent_id, edge.job_id, edge.runs_anyway) for edge in graph.edges} == {
            (jobs[0].id, jobs[2].id, True), (jobs[1].id, jobs[2].id, True),
        }  # fmt: skip
        assert (graph.left_out, graph.is_capped, graph.is_living) == (0, False, True)
    assert branch.around(alone.id) is None


def test_it_is_no_longer_living_when_all_have_ended(redis: Redis) -> None:
    first, _ = chain(Echo.step(), Echo.step()).dispatch()
    control.cancel([first.id], by="alice")

    graph = branch.around(first.id)

    assert graph is not None
    assert not graph.is_living


def test_a_large_graph_shows_the_nearest_and_counts_the_rest(redis: Redis) -> None:
    jobs = chain(*[Echo.step() for _ in range(30)]).dispatch()

    graph = branch.around(jobs[10].id, limit=5)

    assert graph is not None
    assert sorted(graph.nodes) == [job.id for job in jobs[8:13]]
    assert (len(graph.edges), graph.left_out, graph.is_capped) == (4, 25, False)


def test_a_job_alone_costs_one_statement(redis: Redis) -> None:
    job = make_job()

    with CaptureQueriesContext(connection) as queries:
        branch.around(job.id)

    assert len(queries) == 1


def test_parents_and_dependents_are_named(redis: Redis) -> None:
    first, second, third = workflow(
        a=Echo.step(), b=Echo.step(), c=Echo.step().after("b", "a")
    ).dispatch()

    assert [node.step for node in branch.parents(third.id)] == ["b", "a"]
    assert [node.job_id for node in branch.dependents(first.id)] == [third.id]
    assert branch.parents(second.id) == branch.dependents(uuid4()) == []


def test_a_waiting_job_names_those_it_waits_for(redis: Redis) -> None:
    parents = [make_job(), *(make_job(status=Status.COMPLETED) for _ in range(2))]
    child = Echo.dispatch(depends_on=parents)

    assert explain.explain(child) == [
        f"It waits for 1 of 3 jobs that it depends on: Echo {parents[0].id} (queued)."
    ]
    JobStatus.objects.filter(id=parents[0].id).update(status="completed")
    assert "about to be released" in explain.explain(child)[0]


def test_one_that_waits_for_many_names_some(redis: Redis) -> None:
    child = Echo.dispatch(depends_on=Echo.dispatch_many([{}] * 7))

    [said] = explain.explain(child)

    assert said.startswith("It waits for 7 of 7 jobs")
    assert said.endswith("(queued); and 2 more.")


def test_a_cancelled_job_says_which_parent_failed_and_what_to_do(redis: Redis) -> None:
    parent = make_job(status=Status.FAILED)
    child = Echo.dispatch(depends_on=[parent])

    assert explain.explain(child) == [
        f"It was cancelled since a job that it depends on did not complete: Echo {parent.id} "
        "failed. Retry that one, and this one waits for it again."
    ]
