"""P3: a cancel holds, wherever the job is and whatever becomes of its worker."""

from __future__ import annotations

import signal
from contextlib import suppress
from datetime import timedelta

import psutil
import pytest
from django.contrib.auth.models import Permission
from django.db.models import F

from jobs.lifecycle import control
from jobs.models import JobAttempt, JobStatus
from jobs.statuses import Status
from tests import wait
from tests.jobs import Deaf, Echo, HearCancel, Sleep
from tests.make import make_job
from tests.workers import Workers

pytestmark = [pytest.mark.process]

QUICK = {"lease": 3.0, "heartbeat": 0.5}


def started(job: JobStatus) -> JobStatus:
    return wait.until_status(job, "started")


def test_one_that_has_not_begun_never_does(workers: Workers) -> None:
    soon = timedelta(seconds=1)
    jobs = [Echo.dispatch(), Echo.dispatch(run_at=soon), make_job(status=Status.RETRYING)]
    JobStatus.objects.filter(status=Status.RETRYING).update(due_at=F("created_at") + soon)
    ids = [job.id for job in jobs]

    assert sorted(control.cancel(ids, by="alice").moved) == sorted(ids), "not cancelled at once"
    workers.start("default")

    wait.until_status(Echo.dispatch(run_at=soon), "completed")
    assert not JobAttempt.objects.filter(job__in=ids).exists()
    assert JobStatus.objects.filter(id__in=ids, status="cancelled").count() == len(ids)


def test_a_running_one_hears_it(workers: Workers) -> None:
    workers.start("default")
    job = started(HearCancel.dispatch())

    moved = control.cancel([job.id], by="alice", reason="wrong file")

    # The row first: whatever is heard of it, and by whom.
    assert moved.asked == [job.id]
    assert JobStatus.objects.get(id=job.id).cancel_requested_by == "alice"
    wait.until_status(job, "cancelled")
    assert job.error == "cancelled by alice: wrong file"
    assert Permission.objects.filter(codename=f"JobCancelled in {job.id}").exists()


def test_one_that_hears_nothing_is_killed(workers: Workers) -> None:
    workers.start("default")
    job = started(Deaf.dispatch())

    control.cancel([job.id], by="alice")

    wait.until_status(job, "cancelled", limit_seconds=15)
    assert "had to be killed" in JobAttempt.objects.get(job=job).message
    wait.until_status(Echo.dispatch(), "completed")


def test_a_worker_that_dies_meanwhile_revives_none(workers: Workers) -> None:
    worker = workers.start("default", **QUICK)
    job = started(Sleep.dispatch(seconds=60))
    everybody = [*worker.tree(), worker.process]
    for process in everybody:
        process.send_signal(signal.SIGSTOP)  # so that it can't obey

    assert control.cancel([job.id], by="alice").asked == [job.id]
    for process in everybody:
        with suppress(psutil.NoSuchProcess):  # dead with its mother already
            process.send_signal(signal.SIGKILL)
    workers.start("default", **QUICK)

    wait.until_status(job, "cancelled", "retrying", "queued", "completed")
    assert (job.status, job.error) == ("cancelled", "cancelled by alice")
    assert JobAttempt.objects.get(job=job).error_class == "WorkerLost"
