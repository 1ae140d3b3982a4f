"""The scheduler's process: a loop that makes due ticks, beside the duties, until a signal."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4

from rq_scheduler.scheduler import Scheduler as RqScheduler

from jobs.broker import client
from jobs.maintenance import duties
from jobs.processes.outage import Outages, is_postgresql_away
from jobs.schedules import backfilling, sync, tick, ticking
from jobs.schedules.entries import Entries
from jobs.schedules.rounds import Rounds

logger = logging.getLogger("jobs.schedules")

_LOOK_SECONDS = 1.0  # between two looks at the rows: somebody may have written one
_HELD_SECONDS = 0.1  # and where another process is at what is due
_REST_SECONDS = 1.0  # between two looks at backfills and at the dashboard's entries
# What a stop waits for a tick in the making; one cut off is rolled back and made at the next start.
_STOP_SECONDS = 1.0
_HANG_LOOK_SECONDS = 5.0  # how often the main thread looks whether the ticks hang
_BACKFILLS_SECONDS = 0.4  # of a round; the entries wait for so long at most


class Scheduler(RqScheduler):
    """Makes ticks from the Schedule rows; in Redis it keeps only what the dashboard lists.

    rq-scheduler's own loop takes its schedules from Redis, where a flush, a crash between two
    commands or a deleted entry loses them. Here nothing is read from Redis but whether our entries
    are there.

    The dashboard makes this class on every page: making it does nothing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stopping = threading.Event()
        self._is_synced = False
        self._entries = Entries(self)
        self._redis = Outages(_label(), log=logger).redis
        self._unseen_until = 0.0  # time.monotonic()

    def run(self, burst: bool = False) -> None:  # noqa: FBT001, FBT002 - rq-scheduler's signature
        """Make ticks until SIGTERM or SIGINT; with `burst` make those that are due and return."""
        self.connection = client.for_work()
        label = _label()
        outages = [Outages(f"{label}{part}", log=logger).postgresql for part in ("", " (entries)")]
        ticks = Rounds(self._tick, postgresql=outages[0])
        rest = Rounds(self._do_the_rest, postgresql=outages[1])
        if burst:
            ticks.once()
            rest.once()
            return

        def look() -> None:
            for outage in outages:
                outage.look()

        with _signalled(look) as (wait_for_signal, wake):
            # Each in a thread of its own, so that a server that hangs delays no stop, and nothing
            # the ticks.
            threads = [
                _thread("ticks", partial(ticks.run, self._stopping), then=wake),
                _thread("entries", partial(rest.run, self._stopping), then=self._say_goodbye),
                _thread("duties", partial(duties.run, self._stopping, uuid4(), label)),
            ]
            for thread in threads:
                thread.start()
            logger.info("Started %s", label)
            wait_for_signal()
            self._stopping.set()
            deadline = time.monotonic() + _STOP_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        cut_off = [thread.name for thread in threads if thread.is_alive()]
        logger.info("Stopped %s%s", label, f", cut off: {', '.join(cut_off)}" if cut_off else "")

    def _tick(self) -> float:
        if not self._is_synced:
            sync.sync()
            self._is_synced = True
        ticking.make_due(self._stopping.is_set)
        wait = tick.seconds_to_next()
        if wait is None:
            return _LOOK_SECONDS
        # What is due still is another process's: this one looks whether it lives.
        return min(_LOOK_SECONDS, wait) if wait > 0 else _HELD_SECONDS

    def _do_the_rest(self) -> float:
        self._advance_backfills()
        self._show(self._entries.show)
        return _REST_SECONDS

    def _advance_backfills(self) -> None:
        deadline = time.monotonic() + _BACKFILLS_SECONDS
        for backfill_id in backfilling.running():
            if self._stopping.is_set() or time.monotonic() > deadline:
                return  # the entries are next; then first those that had no turn
            try:
                backfilling.advance(backfill_id)
            except Exception as error:
                if is_postgresql_away(error):
                    raise
                backfilling.fail(backfill_id, error)  # recorded; the other backfills go on

    # --- What the dashboard lists ---

    def _show(self, deed: Callable[[], None]) -> None:
        if time.monotonic() < self._unseen_until:
            return
        try:
            deed()
        except client.Unreachable as error:
            self._entries.forget()
            # Schedules go on, unseen there.
            self._unseen_until = time.monotonic() + self._redis.failed(error)
        else:
            self._redis.answered()

    def _say_goodbye(self) -> None:
        self._show(self.register_death)

    # --- rq-scheduler's other doors ---

    def schedule(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: nothing would run it."""
        raise NotImplementedError(
            "rqscheduler runs the schedules of settings.JOB_SCHEDULES only: write yours there, or "
            "dispatch a job for later with run_at=..."
        )

    cron = enqueue_at = enqueue_in = schedule


def _thread(
    name: str, target: Callable[[], None], *, then: Callable[[], None] | None = None
) -> threading.Thread:
    def run() -> None:
        try:
            target()
        finally:
            if then is not None:
                then()

    return threading.Thread(target=run, name=name, daemon=True)


def _label() -> str:
    return f"scheduler {socket.gethostname()}:{os.getpid()}"


@contextmanager
def _signalled(
    meanwhile: Callable[[], None],
) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Within, SIGTERM and SIGINT end the wait; give back how to wait, and how to end it otherwise.

    While it waits it does `meanwhile` now and then. A pipe, not an Event: a handler that interrupts
    the wait itself could never take its lock.
    """
    reader, writer = os.pipe()

    def wake(*_: Any) -> None:
        os.write(writer, b".")

    def wait() -> None:
        while not select.select([reader], [], [], _HANG_LOOK_SECONDS)[0]:
            meanwhile()

    before = {number: signal.signal(number, wake) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wait, wake
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
