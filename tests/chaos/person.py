"""A person in the admin: cancels jobs in passing, retries some that have ended."""

from __future__ import annotations

import argparse
import os
import time
from random import Random
from uuid import UUID

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
        try:
            if self.rand.random() < 0.7:
                self._do("cancel", self._some_living())
            else:
                self._do("retry", self._some_ended())
        except (DatabaseError, InterfaceError):
            connection.close()

    def _some_living(self) -> list[str]:
        # Those that wait outnumber those that run by far: ask for these first.
        started = JobStatus.objects.filter(status="started").order_by("?")[:1]
        living = JobStatus.objects.living().order_by("-created_at")[:20]
        return [str(job.id) for job in (started if self.rand.random() < 0.4 else living)]

    def _some_ended(self) -> list[str]:
        ended = JobStatus.objects.filter(status__in=TERMINAL, schedule="")
        return [str(job.id) for job in ended.order_by("-created_at")[:20]]

    def _do(self, verb: str, job_ids: list[str]) -> None:
        fresh = [job_id for job_id in job_ids if job_id not in self._touched]
        chosen = self.rand.sample(fresh, min(len(fresh), self.rand.choice((1, 1, 2))))
        if not chosen:
            return
        self._touched |= set(chosen)
        deed = self._ledger.begin(verb, job_ids=chosen)
        try:
            done = VERBS[verb]([UUID(job_id) for job_id in chosen], by="person")
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
