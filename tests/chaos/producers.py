"""A producer: dispatches jobs at a steady pace, in every way a caller may, whatever happens."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.chaos.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import DatabaseError, InterfaceError, connection, transaction  # noqa: E402

from jobs.base import BaseJob  # noqa: E402
from jobs.models import JobStatus  # noqa: E402
from tests.chaos import async_jobs, flows, imports, jobs  # noqa: E402
from tests.chaos.flows import Menu  # noqa: E402
from tests.chaos.ledger import COMMITTED, ROLLED_BACK, UNKNOWN, Edge, Ledger  # noqa: E402


def _numbers(rand: Random) -> dict[str, Any]:
    return {"numbers": rand.randint(30, 250), "pause": rand.uniform(0.0, 0.08)}


# Shares of a thousand. They take 0.19 s in the mean, so that most faults meet runners at work.
MENU: Menu = (
    (196, (jobs.Quick, lambda rand: {})),
    (80, (jobs.Slow, lambda rand: {"seconds": rand.uniform(0.1, 1.5)})),
    # Longer than the grace of a stop, some longer than the lease.
    (12, (jobs.Slow, lambda rand: {"seconds": rand.uniform(3.0, 8.0)})),
    (90, (jobs.Flaky, lambda rand: {"failing": rand.choice((1, 1, 1, 2, 3))})),
    (30, (jobs.Doomed, lambda rand: {})),
    (4, (jobs.Overlong, lambda rand: {})),
    (50, (jobs.Snoozer, lambda rand: {"seconds": rand.uniform(0.1, 2.0)})),
    (17, (jobs.Quitter, lambda rand: {})),
    (130, (jobs.Booking, lambda rand: {"seconds": rand.choice((0.0, 0.0, 0.05, 0.3))})),
    (10, (jobs.Booking, lambda rand: {"seconds": rand.uniform(2.0, 7.0)})),
    (26, (jobs.Booking, lambda rand: {"failing": 1})),
    (100, (jobs.Mark, lambda rand: {"seconds": rand.choice((0.0, 0.0, 0.05, 0.3))})),
    (30, (jobs.Once, lambda rand: {"seconds": rand.choice((0.0, 0.0, 0.3))})),
    (14, (imports.Import, _numbers)),
    (6, (imports.DeadlyImport, _numbers)),
    (90, (async_jobs.AsyncWait, lambda rand: {"seconds": rand.uniform(0.0, 2.0)})),
    (4, (async_jobs.AsyncWait, lambda rand: {"seconds": rand.uniform(3.0, 8.0)})),
    (50, (async_jobs.AsyncMark, lambda rand: {"seconds": rand.choice((0.0, 0.05, 0.3))})),
    (20, (async_jobs.AsyncOnce, lambda rand: {"seconds": rand.choice((0.0, 0.3))})),
    (20, (async_jobs.AsyncFlaky, lambda rand: {"failing": rand.choice((1, 1, 2))})),
    (4, (async_jobs.AsyncOverlong, lambda rand: {})),
    (8, (async_jobs.AsyncHold, lambda rand: {"seconds": rand.uniform(0.1, 1.0)})),
    (5, (async_jobs.AsyncHold, lambda rand: {"seconds": 20.0})),
    (4, (async_jobs.AsyncDeaf, lambda rand: {})),
)
# Every fourth ends otherwise than completed, most of these until a person retries them.
FLOW_MENU: Menu = (
    (24, (jobs.Quick, lambda rand: {})),
    (12, (jobs.Slow, lambda rand: {"seconds": rand.uniform(0.1, 0.6)})),
    (10, (async_jobs.AsyncWait, lambda rand: {"seconds": rand.uniform(0.0, 0.6)})),
    (10, (jobs.Flaky, lambda rand: {"failing": 1})),
    (8, (jobs.Mark, lambda rand: {})),
    (8, (jobs.Booking, lambda rand: {})),
    (4, (jobs.Snoozer, lambda rand: {"seconds": rand.uniform(0.1, 0.5)})),
    (16, (jobs.Frail, lambda rand: {})),
    (4, (jobs.Doomed, lambda rand: {})),
    (4, (jobs.Quitter, lambda rand: {})),
)
LONG_SECONDS = 0.5
OVERLONG = (
    jobs.Overlong,
    async_jobs.AsyncOverlong,
    async_jobs.AsyncDeaf,
    imports.Import,
    imports.DeadlyImport,
)


class Producer:
    """One of several; each has its own share of the jobs and its own chance."""

    def __init__(self, name: str, seed: str) -> None:
        self.name = name
        self.rand = Random(seed)
        self.committed = 0
        self._ledger = Ledger(settings.CHAOS_FOLDER, name)
        self._tokens = 0
        self._ways: tuple[tuple[Callable[[], None], int], ...] = (
            (self._one, 55),
            (self._later, 10),
            (self._many, 5),
            (self._transaction, 15),
            (self._rolled_back, 8),
            (self._half_rolled_back, 7),
            (self._flow, 8),
            (self._after, 4),
        )

    def dispatch(self) -> None:
        """Dispatch something in one of the ways."""
        ways, weights = zip(*self._ways, strict=True)
        try:
            self.rand.choices(ways, weights)[0]()
        except (DatabaseError, InterfaceError):
            connection.close()
            time.sleep(0.5)

    def _one(self) -> None:
        self._dispatch(1)

    def _later(self) -> None:
        self._dispatch(1, run_at=timedelta(seconds=self.rand.uniform(0.2, 5.0)))

    def _many(self) -> None:
        job_class, params = self._order()
        is_long = job_class in OVERLONG or params.get("seconds", 0.0) > LONG_SECONDS
        most = 3 if is_long else 25
        tokens = self._draw_tokens(self.rand.randint(2, most))
        with self._unit(tokens):
            job_class.dispatch_many(
                [{**params, "token": token} for token in tokens], queue=self._queue()
            )

    def _transaction(self) -> None:
        tokens = self._draw_tokens(self.rand.randint(1, 4))
        with self._unit(tokens), transaction.atomic():
            for token in tokens:
                self._make(token)

    def _rolled_back(self) -> None:
        tokens = self._draw_tokens(self.rand.randint(1, 3))
        with self._unit(tokens, end=ROLLED_BACK), transaction.atomic():
            for token in tokens:
                self._make(token)
            transaction.set_rollback(True)

    def _half_rolled_back(self) -> None:
        outer, inner = self._draw_tokens(1), self._draw_tokens(2)
        commits: list[bool] = []
        with self._unit(outer, commits=commits), transaction.atomic():
            transaction.on_commit(lambda: commits.append(True))
            self._make(outer[0])
            with self._unit(inner, end=ROLLED_BACK), transaction.atomic():
                for token in inner:
                    self._make(token)
                transaction.set_rollback(True)

    def _flow(self) -> None:
        flow = flows.draw(self.rand, FLOW_MENU)
        tokens = self._draw_tokens(flow.size)
        with self._unit(tokens, edges=flow.edges(tokens)):
            flow.build(tokens).dispatch()

    def _after(self) -> None:
        """Let one depend on a job that there is, which may be about to end."""
        parent_token, token = self._draw_tokens(2)
        on_failure = flows.on_failure(self.rand)
        with self._unit([parent_token]):
            parent = self._make(parent_token)
        with self._unit([token], edges=[Edge(token, parent_token, on_failure)]):
            self._make(token, depends_on=[parent], on_parent_failure=on_failure)

    def _dispatch(self, count: int, **options: Any) -> None:
        tokens = self._draw_tokens(count)
        with self._unit(tokens):
            for token in tokens:
                self._make(token, **options)

    def _make(self, token: str, **options: Any) -> JobStatus:
        job_class, params = self._order()
        return job_class.dispatch(token=token, queue=self._queue(), **params, **options)

    def _order(self) -> tuple[type[BaseJob], dict[str, Any]]:
        recipes, weights = zip(*((recipe, share) for share, recipe in MENU), strict=True)
        job_class, params = self.rand.choices(recipes, weights)[0]
        return job_class, params(self.rand)

    def _queue(self) -> str:
        return self.rand.choice(("high", "low", "low"))

    def _draw_tokens(self, count: int) -> list[str]:
        self._tokens += count
        return [f"{self.name}:{self._tokens - left}" for left in range(count)]

    @contextmanager
    def _unit(
        self,
        tokens: list[str],
        *,
        edges: Sequence[Edge] = (),
        end: str = COMMITTED,
        commits: list[bool] | None = None,
    ) -> Iterator[None]:
        listed = [(one.child, one.parent, one.on_failure) for one in edges]
        deed = self._ledger.begin("dispatch", tokens=tokens, edges=listed)
        try:
            yield
        except (DatabaseError, InterfaceError):
            # The commit itself may have got through; what was to be rolled back never can.
            self._ledger.end(deed, UNKNOWN if end == COMMITTED else end)
            raise
        if commits == []:
            # The connection broke at the rollback of a savepoint: Django then rolls back everything
            # and raises nothing. Only its hook tells a commit.
            end = ROLLED_BACK
        self._ledger.end(deed, end)
        if end == COMMITTED:
            self.committed += len(tokens)


def main() -> None:
    """Dispatch `--jobs` jobs over `--seconds`; what an outage has held up is made up for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    wanted = parser.parse_args()
    producer = Producer(wanted.name, wanted.seed)
    begun = time.monotonic()
    while producer.committed < wanted.jobs:
        share = (time.monotonic() - begun) / wanted.seconds
        if producer.committed < wanted.jobs * share:
            producer.dispatch()
        else:
            time.sleep(0.02)


if __name__ == "__main__":
    main()
