"""The workflow on a job's page."""

from __future__ import annotations

import re

import pytest

from jobs.admin import graph
from jobs.base import chain, workflow
from jobs.insights import branch
from jobs.models import JobStatus
from tests.jobs import Echo, Sleep
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


def page_of(job):
    return f"/admin/jobs/jobstatus/{job.id}/change/"


def boxes(jobs):
    return graph.drawing(branch.around(jobs[0].id), jobs[0].id)["boxes"]


def test_it_is_drawn_with_links_and_statuses(viewer, redis):
    jobs = workflow(
        flights=Echo.step(), summary=Sleep.step(seconds=1, on_parent_failure="run").after("flights")
    ).dispatch()

    page = viewer.get(page_of(jobs[1])).content.decode()

    assert page.count('class="job-node ') == 2
    assert re.search(rf'<a href="{page_of(jobs[0])}" class="job-node job-node-queued">', page)
    assert 'class="job-node job-node-waiting job-node-here" aria-current="page"' in page
    assert 'class="job-edge job-edge-anyway"' in page
    assert "Dashed" in page
    assert f"<title>flights: Echo {jobs[0].id}, queued</title>" in page


def test_a_job_alone_has_none(viewer, redis):
    assert 'id="workflow"' not in viewer.get(page_of(make_job())).content.decode()


def test_layers_lead_from_left_to_right(redis):
    jobs = chain(
        Echo.step(), [Echo.step(), chain(Echo.step(), Echo.step())], Echo.step()
    ).dispatch()

    found = boxes(jobs)

    assert [int(box["x"]) for box in found] == [6, 220, 220, 434, 648]
    assert len({(box["x"], box["y"]) for box in found}) == 5, "no box lies on another"


def test_a_large_one_says_how_many_are_left_out(viewer, redis):
    jobs = chain(Echo.step(), [Echo.step() for _ in range(250)]).dispatch()

    page = viewer.get(page_of(jobs[0])).content.decode()

    assert page.count('class="job-node ') == 200
    assert "The nearest 200 jobs are shown; 51 more hang together with them." in page


def test_a_page_refreshes_while_any_of_them_lives(viewer, redis):
    first, second = chain(Echo.step(), Echo.step()).dispatch()
    JobStatus.objects.filter(id=first.id).update(status="completed", finished_at=first.created_at)

    assert viewer.get(f"/admin/jobs/jobstatus/{first.id}/live/").json()["is_living"]
    assert "data-living" in viewer.get(page_of(first)).content.decode()

    JobStatus.objects.filter(id=second.id).update(status="failed", finished_at=first.created_at)
    assert not viewer.get(f"/admin/jobs/jobstatus/{first.id}/live/").json()["is_living"]


def test_a_long_name_is_cut_in_its_box(redis):
    jobs = workflow({"x" * 60: Echo.step(), "y": Echo.step().after("x" * 60)}).dispatch()

    assert boxes(jobs)[0]["name"] == "x" * 20 + "\N{HORIZONTAL ELLIPSIS}"


def test_a_line_that_passes_a_layer_crosses_no_box(redis):
    jobs = workflow(
        a=Echo.step(), b=Echo.step().after("a"), c=Echo.step().after("b", "a")
    ).dispatch()

    drawn = graph.drawing(branch.around(jobs[0].id), jobs[0].id)

    [middle] = [box for box in drawn["boxes"] if box["name"] == "b"]
    [long] = [line["path"] for line in drawn["lines"] if " H " in line["path"]]
    level = int(re.search(r"(\d+) H ", long)[1])
    assert not int(middle["y"]) <= level <= int(middle["y"]) + graph.BOX_HEIGHT


def test_a_dense_graph_has_straight_lines(redis):
    layers = [[Echo.step() for _ in range(20)] for _ in range(5)]
    jobs = workflow(
        {
            f"s{depth}-{number}": step.after(
                *(f"s{above}-{other}" for above in range(depth) for other in range(20))
            )
            for depth, layer in enumerate(layers)
            for number, step in enumerate(layer)
        }
    ).dispatch()

    drawn = graph.drawing(branch.around(jobs[0].id), jobs[0].id)

    assert len(drawn["lines"]) == 4_000
    assert not any(" H " in line["path"] for line in drawn["lines"])
