"""A person in the admin: cancels jobs in passing, retries what has ended or broken a branch."""

from __future__ import annotations

import argparse
import os
import time
from random import Random

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.chaos.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import DatabaseError, InterfaceError, connection  # noqa: E402

from jobs.lifecycle import control  # noqa: E402
from jobs.models import JobStatus  # noqa: E402
from jobs.statuses import TERMINAL  # noqa: E402
from tests.chaos.ledger import COMMITTED, UNKNOWN, Ledger  # noqa: E402

VERBS = {"cancel": control.cancel, "retry": control.retry}


class Person:
    """Never cancels what it has retried, nor the other way round: each job tells one story."""

    def __init__(self, seed: str) -> None:
        self.rand = Random(seed)
        self._ledger = Ledger(settings.CHAOS_FOLDER, "person")
        self._touched: set[str] = set()

    def act(self) -> None:
        """Do one thing to one job, or to a few."""
        draw = self.rand.random()
        try:
            if draw < 0.6:
                self._do("cancel", self._some_living())
            elif draw < 0.85:
                self._do("retry", self._some_ended())
            else:
                self._do("retry", self._some_broken())
        except (DatabaseError, InterfaceError):
            connection.close()

    def _some_living(self) -> list[JobStatus]:
        # Those that wait outnumber those that run by far: ask for these first.
        started = JobStatus.objects.filter(status="started").order_by("?")[:1]
        living = JobStatus.objects.living().order_by("-created_at")[:20]
        return list(started if self.rand.random() < 0.4 else living)

    def _some_ended(self) -> list[JobStatus]:
        ended = JobStatus.objects.filter(status__in=TERMINAL, schedule="")
        return list(ended.order_by("-created_at")[:20])

    def _some_broken(self) -> list[JobStatus]:
        """Failed jobs that others depend on: their retry revives what was cancelled."""
        broken = JobStatus.objects.filter(status="failed", has_dependents=True)
        return list(broken.order_by("-created_at")[:20])

    def _do(self, verb: str, jobs: list[JobStatus]) -> None:
        fresh = [job for job in jobs if str(job.id) not in self._touched]
        chosen = self.rand.sample(fresh, min(len(fresh), self.rand.choice((1, 1, 2))))
        if not chosen:
            return
        job_ids = [str(job.id) for job in chosen]
        self._touched |= set(job_ids)
        ended_at = [job.finished_at.isoformat() for job in chosen if job.finished_at]
        deed = self._ledger.begin(verb, job_ids=job_ids, ended_at=ended_at)
        try:
            done = VERBS[verb]([job.id for job in chosen], by="person")
        except (DatabaseError, InterfaceError):
            self._ledger.end(deed, UNKNOWN)
            raise
        self._ledger.end(deed, COMMITTED, moved=[str(job_id) for job_id in done.moved])


def main() -> None:
    """Act every half second for `--seconds`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    wanted = parser.parse_args()
    person = Person(wanted.seed)
    until = time.monotonic() + wanted.seconds
    while time.monotonic() < until:
        time.sleep(person.rand.uniform(0.1, 0.9))
        person.act()


if __name__ == "__main__":
    main()
