"""What a worker costs before its first job: memory of its own, modules, seconds of CPU."""

from __future__ import annotations

import resource
import subprocess
import sys

import psutil
import pytest
from django.conf import settings

from tests import jobs, wait
from tests.workers import MANAGE, Workers, environment

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

# Measured 0.14; 0.53 where nothing is frozen before the fork.
MAX_OWN_PART = 0.35
# Measured 0.9 to 1.04, all its processes counted; 1.54 where it runs all system checks.
MAX_TIMES_DJANGO = 1.35
# What serves pages, tests or a laptop. A worker that imports one of these imports all of them.
OF_THE_WEB = (
    "jobs.admin",
    "jobs.api",
    "django.contrib.auth.admin",
    "jobs.cli",
    "jobs.dev",
    "jobsite.urls",
    "django.test",
    "drf_spectacular.openapi",
    "rest_framework.views",
    "uvicorn",
    "whitenoise.middleware",
    "yaml",
)


def test_a_runner_keeps_sharing_what_was_imported(workers: Workers) -> None:
    workers.start("default")

    job = wait.until_status(jobs.CollectGarbage.dispatch(), "completed")

    memory = psutil.Process(job.result["pid"]).memory_full_info()
    part = memory.uss / memory.rss
    assert part < MAX_OWN_PART, f"{part:.2f} of {memory.rss:,} bytes are this runner's own"


def test_a_worker_imports_nothing_that_serves_pages(workers: Workers) -> None:
    workers.start("default")

    job = wait.until_status(jobs.TellModules.dispatch(), "completed")

    assert "jobs.runner.entry" in job.result
    assert [name for name in OF_THE_WEB if name in job.result] == []


def test_a_job_may_still_ask_for_a_pages_address(workers: Workers) -> None:
    job = jobs.TellAddress.dispatch(view="admin:jobs_jobstatus_changelist")

    workers.run("default", "--burst")

    job.refresh_from_db()
    assert job.result == "/admin/jobs/jobstatus/"


def test_a_worker_starts_about_as_fast_as_django(workers: Workers) -> None:
    plain, whole = [], []
    for _ in range(3):
        plain.append(cpu_seconds("-c", "import django; django.setup()"))
        jobs.Echo.dispatch()
        whole.append(cpu_seconds(MANAGE, "rqworker", "default", "--burst"))

    times = min(whole) / min(plain)
    assert times < MAX_TIMES_DJANGO, f"{min(whole):.2f} s of CPU, Django {min(plain):.2f} s"


def cpu_seconds(*arguments: str) -> float:
    """Return what a Python process and its children took; others' load hardly changes it."""
    before = _of_children()
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        env={**environment(), "PYTHONPATH": str(settings.BASE_DIR)},
        cwd=settings.BASE_DIR,
        capture_output=True,
    )
    return _of_children() - before


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
