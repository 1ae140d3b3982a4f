"""Sync jobs that pass the async ones which wait, before them, for room on a full lane."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from jobs import conf, registry
from jobs.broker import client, heads
from jobs.broker.claim import Taken
from jobs.broker.heads import Heads
from jobs.runner.claims import IDLE_SECONDS
from jobs.runner.lane import intake
from jobs.runner.orders import Orders

# Between a look that found nothing and the next, however much is pushed meanwhile.
REST_SECONDS = 0.01


class Passing:
    """How the main thread finds its jobs while the lane can't take all that a claim may bring.

    It looks at the first `BATCH_SIZE` ids of each queue and takes the sync ones alone: the async
    ones keep their places, and are the usher's as soon as there is room. Everything here in the
    main thread; every method may raise `client.Unreachable`.

    Args:
        orders: The runner's.

    Attributes:
        is_on: Whether this is how it looks for them now: then the usher claims the async ones.
    """

    def __init__(self, orders: Orders) -> None:
        self.is_on = False
        self._orders = orders
        self._others_wait = False  # async jobs stood in the queues at the last look
        self._is_async_by_id: dict[str, bool] = {}  # of what was seen at the last look
        # Registered before any runner was forked.
        self._is_possible = bool(registry.async_names())

    def is_called_for(self, count: int, *, room: int) -> bool:
        """Whether the next claim is to be made here.

        Args:
            count: How many jobs may be claimed.
            room: How many async ones may begin.
        """
        may_not_fit = self._others_wait and room < min(count, self._orders.async_slots)
        self.is_on = self._is_possible and (not room or may_not_fit)
        return self.is_on

    def take(self, count: int) -> Taken:
        """Take up to `count` sync jobs of the first queue that has one in sight.

        Where async jobs stand before it, just one: what a batch gives back goes to the head of its
        queue, and there it would stand before them, perhaps for as long as a sync job lasts.
        """
        window = conf.current().batch_size
        seen = heads.windows(client.for_work(), self._orders.queues, count=window)
        self._learn([one for queue in seen for one in queue.ids])
        self._others_wait = any(self._is_async_by_id.values())
        for queue, ids in seen:
            wanted = self._first_sync(ids)[:count]
            if not wanted:
                continue
            found = Heads(queue=queue, ids=wanted)
            taken = heads.pick(client.for_work(), found, self._orders.worker_id, count=window)
            if taken:
                return Taken(entries=[(queue, one) for one in taken], more=True)
        return Taken()

    def _first_sync(self, ids: Sequence[str]) -> list[str]:
        run = list(itertools.takewhile(lambda one: not self._is_async_by_id[one], ids))
        return run or [one for one in ids if not self._is_async_by_id[one]][:1]

    def _learn(self, ids: Sequence[str]) -> None:
        new = [one for one in ids if one not in self._is_async_by_id]
        found = intake.async_among(new) if new else frozenset()
        known = self._is_async_by_id
        self._is_async_by_id = {one: known.get(one, one in found) for one in ids}

    def wait(self) -> None:
        """Wait for a push, at most a moment; after a look that found nothing."""
        if heads.await_push(client.for_work(), self._orders.queues, seconds=IDLE_SECONDS):
            time.sleep(REST_SECONDS)
