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
from typing import Any, NoReturn
from uuid import uuid4

from django.db import connections
from rq_scheduler.scheduler import Scheduler as RqScheduler
from rq_scheduler.utils import to_unix

from jobs import registry
from jobs.broker import client
from jobs.maintenance import duties
from jobs.models import Schedule
from jobs.processes.connection import unit_of_work
from jobs.processes.outage import Outages, is_postgresql_away
from jobs.schedules import backfilling, sync, tick

logger = logging.getLogger("jobs.schedules")

_SHORTEST_WAIT_SECONDS = 0.01
_AFTER_FAULT_SECONDS = 5.0
# What a stop waits for a tick in the making; one cut off is rolled back and made at the next start.
_STOP_SECONDS = 1.0
_LOOK_SECONDS = 5.0  # how often the main thread looks whether the ticks hang
_BACKFILLS_SECONDS = 0.4  # of a round; the ticks wait for so long at most
_MAX_SHOWN_TEXT = 200

ENTRY_PREFIX = "schedule-"


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
        self._is_born = False
        self._outages = Outages(_label(), log=logger)
        self._unseen_until = 0.0  # time.monotonic()

    def run(self, burst: bool = False) -> None:  # noqa: FBT001, FBT002 - rq-scheduler's signature
        """Make ticks until SIGTERM or SIGINT; with `burst` make those that are due and return."""
        # Whatever Redis does, it holds up ticks for half a second at most.
        self.connection = client.for_push()
        if burst:
            self._round()
            return
        label = _label()
        with _signalled(self._outages.postgresql.look) as (wait_for_signal, wake):
            # Each in a thread of its own, so that a server that hangs delays no stop.
            threads = [
                threading.Thread(target=self._loop, args=[wake], name="ticks", daemon=True),
                threading.Thread(
                    target=duties.run,
                    args=[self._stopping, uuid4(), label],
                    name="duties",
                    daemon=True,
                ),
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

    def _loop(self, on_end: Callable[[], None]) -> None:
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self._round())
            self._show(self.register_death)
        finally:
            connections.close_all()
            on_end()

    def _round(self) -> float:
        """Make what is due and return how many seconds the next round may wait."""
        postgresql = self._outages.postgresql
        try:
            with postgresql.question(), unit_of_work():
                wait = self._work()
        except Exception as error:  # this loop must outlive any one round
            if is_postgresql_away(error):
                return postgresql.failed(error)
            logger.exception("A round of the scheduler failed: trying again")
            return _AFTER_FAULT_SECONDS
        postgresql.answered()
        soon = self._interval if wait is None else min(self._interval, wait)
        return max(float(soon), _SHORTEST_WAIT_SECONDS)

    def _work(self) -> float | None:
        if not self._is_synced:
            sync.sync()
            self._is_synced = True
        self._make_ticks()
        self._advance_backfills()
        self._show(self._show_entries)
        return tick.seconds_to_next()

    def _make_ticks(self) -> None:
        for name in tick.due():
            if self._stopping.is_set():
                return
            try:
                tick.run(name)
            except Exception as error:
                if is_postgresql_away(error):
                    raise  # not this schedule's fault: it stays due
                tick.refuse(name, error)  # recorded; the other schedules go on

    def _advance_backfills(self) -> None:
        deadline = time.monotonic() + _BACKFILLS_SECONDS
        for backfill_id in backfilling.running():
            if self._stopping.is_set() or time.monotonic() > deadline:
                return  # the ticks are next; then first those that had no turn
            try:
                backfilling.advance(backfill_id)
            except Exception as error:
                if is_postgresql_away(error):
                    raise
                logger.exception("Backfill %d can't go on", backfill_id)
                backfilling.fail(backfill_id, error)

    # --- What the dashboard lists ---

    def _show(self, deed: Callable[[], None]) -> None:
        if time.monotonic() < self._unseen_until:
            return
        try:
            deed()
        except client.Unreachable as error:
            self._is_born = False
            # Schedules go on, unseen there.
            self._unseen_until = time.monotonic() + self._outages.redis.failed(error)
        else:
            self._outages.redis.answered()

    def _show_entries(self) -> None:
        """Make the entries in Redis those of the rows; others' entries are left alone."""
        self._keep_alive()
        rows = {
            ENTRY_PREFIX + row.name: row
            for row in Schedule.objects.filter(enabled=True, next_at__isnull=False)
        }
        shown = dict(self.connection.zrange(self.scheduled_jobs_key, 0, -1, withscores=True))
        scores = {key.decode(errors="replace"): score for key, score in shown.items()}
        for entry_id, row in rows.items():
            is_there = self.connection.exists(
                f"{self.job_class.redis_job_namespace_prefix}{entry_id}"
            )
            if not is_there or scores.get(entry_id) != to_unix(row.next_at):
                self._show_entry(entry_id, row)
        gone = [key for key in scores if key.startswith(ENTRY_PREFIX) and key not in rows]
        if gone:
            self.connection.zrem(self.scheduled_jobs_key, *gone)
            self.connection.delete(
                *(f"{self.job_class.redis_job_namespace_prefix}{entry_id}" for entry_id in gone)
            )

    def _show_entry(self, entry_id: str, row: Schedule) -> None:
        entry = self._create_job(
            row.job_class,
            kwargs=_shown_params(row),
            id=entry_id,
            queue_name=row.queue or self.queue_name,
            description=f"schedule {row.name}, times in {row.timezone}",
            commit=False,
            result_ttl=-1,
        )
        if row.every is not None:
            entry.meta["interval"] = int(row.every.total_seconds())
        else:
            entry.meta["cron_string"] = "; ".join(row.crons)
        entry.save()
        self.connection.zadd(self.scheduled_jobs_key, {entry_id: to_unix(row.next_at)})

    def _keep_alive(self) -> None:
        if not self._is_born or not self.connection.exists(self.key):
            self.connection.delete(self.key)
            self.register_birth()
            self._is_born = True
        self.heartbeat()

    # --- rq-scheduler's other doors ---

    def schedule(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: nothing would run it."""
        raise NotImplementedError(
            "rqscheduler runs the schedules of settings.JOB_SCHEDULES only: write yours there, or "
            "dispatch a job for later with run_at=..."
        )

    cron = enqueue_at = enqueue_in = schedule


def _shown_params(row: Schedule) -> dict[str, Any]:
    return {
        name: text if len(text := str(value)) <= _MAX_SHOWN_TEXT else f"{text[:_MAX_SHOWN_TEXT]}..."
        for name, value in registry.shown_params(row.job_class, row.params).items()
    }


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
        while not select.select([reader], [], [], _LOOK_SECONDS)[0]:
            meanwhile()

    before = {number: signal.signal(number, wake) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wait, wake
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
