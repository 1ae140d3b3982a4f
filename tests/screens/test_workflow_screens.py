"""A workflow's graph on the job's page, in a real browser."""

from __future__ import annotations

import pytest

from jobs.base import chain, workflow
from jobs.models import JobStatus
from tests.jobs import Echo, Sleep

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]


BOXES = """
    const holds = (outer, inner) => outer.left <= inner.left && inner.right <= outer.right &&
        outer.top <= inner.top && inner.bottom <= outer.bottom;
    const graph = document.querySelector(".job-graph").getBoundingClientRect();
    return [...document.querySelectorAll(".job-node")].map((node) => {
        const rect = node.querySelector("rect"), texts = [...node.querySelectorAll("text")];
        const box = rect.getBoundingClientRect();
        return {
            words: texts.map((text) => text.textContent),
            fill: getComputedStyle(rect).fill,
            is_inside: holds(graph, box),
            holds_its_words: texts.every((text) => holds(box, text.getBoundingClientRect())),
        };
    });
"""


def night():
    """The flights of a night: half done, one failed."""
    jobs = workflow(
        fetch=Echo.step(),
        flights=Sleep.step(seconds=1).after("fetch"),
        airports=Echo.step().after("fetch"),
        weather=Echo.step().after("fetch"),
        planes=Echo.step().after("fetch"),
        summary=Sleep.step(seconds=1).after("flights", "airports"),
        forecast=Echo.step().after("weather", "summary"),
        report=Echo.step(on_parent_failure="run").after("forecast", "planes"),
    ).dispatch()
    words = ["completed", "started", "completed", "failed", "retrying", "waiting", "cancelled"]
    for job, word in zip(jobs, words, strict=False):
        JobStatus.objects.filter(id=job.id).update(status=word)
    return jobs


def page_of(job):
    return f"/admin/jobs/jobstatus/{job.id}/change/"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_graph_is_drawn_in_the_theme_s_colours(screen, theme):
    jobs = night()
    screen.log_in("demo")
    screen.choose_theme(theme)
    screen.open(page_of(jobs[5]))

    # At once: the page is drawn anew each second.
    boxes = screen.driver.execute_script(BOXES)
    assert len(boxes) == 8
    assert boxes[0]["words"] == ["fetch", "completed"]
    assert boxes[0]["fill"] == {"light": "rgb(217, 242, 224)", "dark": "rgb(18, 61, 32)"}[theme]
    assert all(box["is_inside"] and box["holds_its_words"] for box in boxes)
    screen.keep(f"workflow-{theme}")


def test_a_click_leads_to_a_job_and_statuses_follow(screen):
    first, second = chain(Echo.step(), Echo.step()).dispatch()
    screen.log_in("demo")
    screen.open(page_of(second))

    screen.find(".job-node:not(.job-node-here)").click()
    screen.until(lambda: str(first.id) in screen.driver.current_url)
    JobStatus.objects.filter(id=second.id).update(status="started")

    screen.until(lambda: screen.find(".job-node-started text").text == "Echo-2")


def test_a_wide_graph_stays_in_its_panel(screen):
    jobs = chain(*[Echo.step() for _ in range(12)]).dispatch()
    screen.log_in("demo")
    screen.open(page_of(jobs[0]))

    script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert screen.driver.execute_script(script) == 0
    screen.keep("workflow-wide")


def test_a_wide_graph_stands_where_the_job_is_and_stays_where_one_scrolls(screen):
    jobs = chain(*[Echo.step() for _ in range(12)]).dispatch()
    screen.log_in("demo")
    screen.open(page_of(jobs[8]))
    left = "return document.querySelector('#workflow .job-scroll').scrollLeft"
    assert screen.driver.execute_script(left) > 500

    screen.driver.execute_script(left.replace("return ", "") + " = 100")
    JobStatus.objects.filter(id=jobs[0].id).update(status="started")
    screen.until(lambda: screen.all(".job-node-started"))

    assert screen.driver.execute_script(left) == 100
