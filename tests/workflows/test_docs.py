"""What the page about workflows shows is true."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis

from jobs.models import JobDependency, JobStatus
from jobs.workflows import build
from tests import contexts, pages

PAGE = "docs/workflows.md"
CLASSES, DEPENDS, CHAIN, FAN, GRAPH = pages.blocks(PAGE)

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    with pages.declared(CLASSES, "LoadFlights", "LoadAirports", "Summarise", "TidyUp") as scope:
        yield scope


def lines() -> set[tuple[str, str]]:
    return set(JobDependency.objects.values_list("parent_step", "step"))


def statuses() -> list[tuple[str, str]]:
    return list(JobStatus.objects.order_by("id").values_list("job_class", "status"))


def test_a_job_waits_for_one_that_there_is(redis: Redis, names: dict[str, Any]) -> None:
    exec(DEPENDS, names)  # noqa: S102 - our own page

    assert statuses() == [("LoadFlights", "queued"), ("Summarise", "waiting")]


def test_a_chain_is_a_line(redis: Redis, names: dict[str, Any]) -> None:
    exec(CHAIN, names)  # noqa: S102 - our own page

    assert [job.status for job in names["jobs"]] == ["queued", "waiting", "waiting"]
    assert lines() == {("LoadFlights", "Summarise"), ("Summarise", "TidyUp")}


def test_a_list_in_a_chain_runs_side_by_side(redis: Redis, names: dict[str, Any]) -> None:
    exec(FAN, names)  # noqa: S102 - our own page

    assert lines() == {
        ("LoadFlights", "LoadFlights-2"), ("LoadFlights-2", "TidyUp"), ("LoadAirports", "TidyUp"),
    }  # fmt: skip


def test_a_graph_s_jobs_see_what_those_before_have_returned(
    redis: Redis, names: dict[str, Any]
) -> None:
    exec(GRAPH, names)  # noqa: S102 - our own page
    flights, airports, summary, tidy = names["jobs"]
    for job, rows in ((flights, 842), (airports, 1_458)):
        JobStatus.objects.filter(id=job.id).update(status="completed", result={"rows": rows})
    JobStatus.objects.filter(id=summary.id).update(status="started")

    assert contexts.run(summary) == {"flights": 842, "all": 2_300}

    JobStatus.objects.filter(id=summary.id).update(status="failed")
    assert contexts.run(tidy) == {"not completed": ["summary"]}


def test_the_limits_are_those_of_the_code() -> None:
    assert f"more than {build.MAX_STEPS:,} steps" in pages.text(PAGE)
    assert f"more than {build.MAX_EDGES:,} lines" in pages.text(PAGE)
