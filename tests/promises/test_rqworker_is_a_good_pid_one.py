"""P6 in a container: as PID 1 the worker reaps what dies in there, and stops when it is told."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from jobs.models import JobWorker
from tests import wait
from tests.jobs import LeaveOrphan, Sleep
from tests.workers import CONTAINER, Worker, Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def start(workers: Workers) -> Worker:
    """Start a worker as PID 1 of a namespace."""
    worker = workers.start("default", "--name", "one", wait_for_row=False, inside=CONTAINER)
    wait.until("its row", lambda: JobWorker.objects.filter(name="one", stopped_at=None).exists())
    return worker


def pid_one(worker: Worker) -> psutil.Process:
    """Return it as it is seen from here."""
    [one] = psutil.Process(worker.process.pid).children()
    return one


def children(process: psutil.Process) -> list[psutil.Process]:
    """Return them; none where the process has gone since it was listed."""
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def name(process: psutil.Process) -> str:
    """Return it; nothing where the process has gone since it was listed."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def sleepers(worker: Worker) -> list[int]:
    return [process.pid for process in worker.tree() if name(process) == "sleep"]


def zombies(worker: Worker) -> list[psutil.Process]:
    return [one for one in worker.tree() if one.status() == psutil.STATUS_ZOMBIE]


def test_it_stops_on_sigterm_and_lets_its_job_finish(workers: Workers) -> None:
    worker = start(workers)
    job = Sleep.dispatch(seconds=1)
    wait.until_status(job, "started")
    assert JobWorker.objects.get().pid == 1

    pid_one(worker).send_signal(signal.SIGTERM)

    assert worker.wait() == 0
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("completed", 1)


def test_it_reaps_what_a_job_leaves_behind(workers: Workers) -> None:
    worker = start(workers)
    LeaveOrphan.dispatch()
    [orphan] = wait.until("the orphan", lambda: sleepers(worker))

    wait.until("its reaping", lambda: not psutil.pid_exists(orphan))


def test_it_reaps_what_others_leave_behind(workers: Workers) -> None:
    worker = start(workers)
    target = str(pid_one(worker).pid)
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", *user, "--target", target, "--pid"]
    # As `docker exec` does it: nobody in there is its parent.
    subprocess.run([*enter, "sh", "-c", "sleep 1.5 &"], check=True)
    [orphan] = wait.until("the orphan", lambda: sleepers(worker))

    wait.until("its reaping", lambda: not psutil.pid_exists(orphan))


def test_it_reaps_the_children_of_a_mother_that_died(workers: Workers) -> None:
    worker = start(workers)
    [mother] = wait.until("its mother", lambda: pid_one(worker).children())
    below = wait.until("her children", mother.children)

    mother.kill()

    wait.until("another mother", lambda: [
        one for one in pid_one(worker).children() if one.pid != mother.pid and children(one)
    ])  # fmt: skip
    wait.until("their reaping", lambda: not any(psutil.pid_exists(one.pid) for one in below))
    assert zombies(worker) == []
