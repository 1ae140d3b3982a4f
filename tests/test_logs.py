"""What the logs say, and what they never say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from redis import Redis

from tests import jobs
from tests.workers import MANAGE, Workers, environment

pytestmark = [pytest.mark.process]


def listed(**variables: str) -> str:
    done = subprocess.run(
        [sys.executable, MANAGE, "jobs", "list"],
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr


def test_a_job_is_named_where_it_runs(workers: Workers) -> None:
    job = jobs.Echo.dispatch()

    worker = workers.run("default", "--burst")

    assert f"Job {job.id}: completed (Echo, attempt 1" in worker.log


def test_what_runs_for_a_while_is_named_when_it_begins(workers: Workers) -> None:
    job = jobs.Sleep.dispatch(seconds=0.5)

    worker = workers.run("default", "--burst")

    assert f"Working on {job.id} (Sleep, attempt 1)" in worker.log
    assert f"Job {job.id}: completed (Sleep, attempt 1" in worker.log


@pytest.mark.django_db
@pytest.mark.parametrize(("level", "count"), [("INFO", 0), ("DEBUG", 3)])
def test_a_dispatch_is_logged_where_asked_for(redis: Redis, caplog, level, count) -> None:
    with caplog.at_level(level, logger="jobs"):
        made = [jobs.Echo.dispatch(), *jobs.Echo.dispatch_many([{}, {}])]

    said = [each for each in caplog.messages if each.startswith("created job")]
    assert said == [f"created job {job.id}" for job in made][:count]


def test_params_are_never_logged(workers: Workers, monkeypatch, caplog) -> None:
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    with caplog.at_level("DEBUG", logger="jobs"):
        jobs.Echo.dispatch(value="needle-in-params")

    worker = workers.run("default", "--burst")

    assert "completed" in worker.log
    assert "needle-in-params" not in worker.log + caplog.text


def test_the_level_comes_from_the_environment(workers: Workers, monkeypatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    jobs.Echo.dispatch()

    worker = workers.run("default", "--burst")

    assert worker.log == ""


def test_statements_are_logged_only_where_asked_for(workers: Workers) -> None:
    assert "SELECT" not in listed()
    assert "job_statuses" in listed(SQL_LOG_LEVEL="DEBUG")
