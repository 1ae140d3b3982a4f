"""A person who has past moments made: one backfill after the other, some stopped in between."""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime, timedelta
from random import Random

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.chaos.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import DatabaseError, InterfaceError, connection  # noqa: E402

from jobs.errors import JobError  # noqa: E402
from jobs.models import Backfill, Schedule, clock  # noqa: E402
from jobs.schedules import backfill  # noqa: E402

BY = "backfiller"
BACKFILLED: str = settings.BACKFILLED
EVERY: timedelta = settings.JOB_SCHEDULES[BACKFILLED]["every"]
MOMENTS = 8  # of one backfill: the last one is waited for, at one a second or slower
# Before the first tick of the schedule's own, whose moments are another rule's.
BEFORE = timedelta(hours=1)


class Backfiller:
    """What it has done it reads from the rows: an answer that was lost is no matter."""

    def __init__(self, seed: str) -> None:
        self.rand = Random(seed)
        self.is_done = False  # nothing that it began will go on

    def act(self, *, is_last: bool) -> None:
        """Begin the next one, or stop or continue the one that runs; begin none if `is_last`."""
        try:
            self._act(is_last=is_last)
        except (DatabaseError, InterfaceError):
            connection.close()
        except JobError:
            pass  # a scheduler has completed it just now

    def _act(self, *, is_last: bool) -> None:
        latest = Backfill.objects.order_by("id").last()
        if latest is None or latest.status == Backfill.Status.COMPLETED:
            self.is_done = is_last and latest is not None
            if not self.is_done:
                self._start(before=latest)
        elif latest.status == Backfill.Status.STOPPED:
            # One that stopped for a reason of its own is for the verdict to see.
            self.is_done = latest.reason != f"stopped by {BY}"
            if not self.is_done:
                backfill.resume(latest.pk, by=BY)
        elif self.rand.random() < 0.05 and not is_last:
            backfill.stop(latest.pk, by=BY)

    def _start(self, *, before: Backfill | None) -> None:
        if not Schedule.objects.filter(name=BACKFILLED).exists():
            return  # no scheduler has been up yet
        last = _first() if before is None else before.from_at - EVERY
        wanted = backfill.Wanted(
            schedule_name=BACKFILLED,
            from_at=last - (MOMENTS - 1) * EVERY,
            to_at=last,
            newest_first=self.rand.random() < 0.5,
            max_active=self.rand.choice((1, 2, 3)),
        )
        backfill.start(wanted, by=BY)


def _first() -> datetime:
    """Return a past moment of the schedule: its moments are counted from 1970."""
    seconds = (clock.read() - BEFORE).timestamp()
    every = EVERY.total_seconds()
    return datetime.fromtimestamp(seconds // every * every, UTC)


def main() -> None:
    """Act for `--seconds`, and then until the last one is completed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    wanted = parser.parse_args()
    backfiller = Backfiller(wanted.seed)
    until = time.monotonic() + wanted.seconds
    while not backfiller.is_done:
        time.sleep(backfiller.rand.uniform(0.2, 0.6))
        backfiller.act(is_last=time.monotonic() >= until)


if __name__ == "__main__":
    main()
