"""The supervisor's second thread: owns its connections, so that no hung server delays the first."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from jobs import conf
from jobs.broker import claim, client, registries
from jobs.broker.push import Key, Value, rq_time
from jobs.errors import NameTaken, NameUnclear, WorkerLost
from jobs.maintenance import leader, rescue
from jobs.processes.connection import LOCK_MILLISECONDS, configure, unit_of_work
from jobs.processes.outage import Outages, Tries
from jobs.worker import losses, registration
from jobs.worker.inbox import Event
from jobs.worker.registration import Held, Identity

logger = logging.getLogger("jobs.worker")

HURRY_SECONDS = 0.5  # between two tries once the worker is about to end


class Keeper(threading.Thread):
    """Registers the worker, beats for it, and does what the supervisor posts, in order.

    Tells the supervisor: ("registered", worker_id), ("refused", why), ("dead", None),
    ("cancel", (job_id, claim)), ("closed", None).
    """

    def __init__(
        self, identity: Identity, *, tell: Callable[[Event], None], shown_seconds: int
    ) -> None:
        super().__init__(name="keeper", daemon=True)
        self.identity = identity
        self.runners: list[dict[str, Any]] = []  # what each does; replaced whole by the supervisor
        self.running: set[tuple[str, int]] = set()  # jobs and their claims; likewise
        self.announced: frozenset[str] = frozenset()  # ids that the runners have claimed
        self._tell = tell
        self._shown_seconds = shown_seconds
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._worker_id: UUID | None = None
        self._beat_at = 0.0  # time.monotonic(): when to beat next
        self._is_behind = False  # a task has failed, and is to be repeated
        self._suspects: frozenset[Held] = frozenset()
        self._strays: frozenset[str] = frozenset()
        self._birth = datetime.now(UTC)
        self._outages = Outages(f"Worker {identity.name}", log=logger)
        self._redis_at = 0.0  # time.monotonic(): until then it is left alone

    def post(self, task: Callable[[], None]) -> None:
        """Have `task` done in this thread; while PostgreSQL is away it is repeated.

        What PostgreSQL refuses again and again is given up: the next heartbeats settle what they
        find that nobody runs.
        """
        self._tasks.put(task)

    def close(self) -> None:
        """Do what has been posted, close the worker's row, and end."""
        self._closing.set()
        self._tasks.put(None)

    def look(self) -> None:
        """Say so if this thread has hung for long; to be called from another one."""
        self._outages.postgresql.look()

    def run(self) -> None:
        """Be the thread."""
        # What it settles may be locked for long, and its heart must beat meanwhile.
        configure(connection, lock_timeout=LOCK_MILLISECONDS)
        try:
            self._keep()
        finally:
            self._tell(("closed", None))

    def _keep(self) -> None:
        if not self.register():
            return
        while True:
            self._beat_if_due()
            try:
                task = self._tasks.get(timeout=max(0.0, self._beat_at - time.monotonic()))
            except queue.Empty:
                continue
            if task is None:
                break
            self._do(task)
        self._do(self._sign_off)

    def reregister(self) -> None:
        """Register anew after being declared dead; to be posted."""
        self.register()

    def register(self) -> bool:
        """Register the worker, taking over a dead one's name; however long PostgreSQL is away."""
        try:
            self._take_name()
        except NameTaken as error:
            self._tell(("refused", str(error)))
            return False
        self._tend_redis()
        self._tell(("registered", self._worker_id))
        return True

    def _take_name(self) -> None:
        """Register; where the name's holder may be dead, watch its heartbeat for up to a lease."""
        seen_at = None
        while True:
            try:
                return self._do(self._register, is_vital=True)
            except NameUnclear as unclear:
                if self._closing.is_set() or seen_at not in {None, unclear.heartbeat_at}:
                    raise
                if seen_at is None:
                    logger.info("Waiting whether the worker named %s lives", self.identity.name)
                seen_at = unclear.heartbeat_at
                self._closing.wait(HURRY_SECONDS)

    def _register(self) -> None:
        self._worker_id, lost = registration.register(self.identity)
        for worker_id in lost:
            error = WorkerLost(f"The worker {self.identity.name} died and was started anew.")
            rescue.rescue_worker(worker_id, error)

    def _do(self, task: Callable[[], None], *, is_vital: bool = False) -> None:
        postgresql = self._outages.postgresql
        tries = Tries(postgresql)
        while True:
            try:
                with postgresql.question(), unit_of_work():
                    task()
            except (DatabaseError, InterfaceError) as error:
                seconds = postgresql.failed(error) if is_vital else tries.failed(error)
                if seconds is None:
                    logger.exception("A task of the keeper is refused, and given up")
                    break
                self._is_behind = True
                self._pause(seconds)
            else:
                postgresql.answered()
                break
        self._is_behind = False

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set():
            time.sleep(min(seconds, HURRY_SECONDS))
            return
        until = time.monotonic() + seconds
        # What fails may be this task alone, for as long as somebody holds its row locked.
        while not self._closing.is_set() and (left := until - time.monotonic()) > 0:
            self._beat_if_due()
            if self._worker_id is not None:
                left = min(left, max(0.0, self._beat_at - time.monotonic()))
            self._closing.wait(left)

    def _beat_if_due(self) -> None:
        # In its last seconds a worker needs no heartbeat, and has no time to wait for Redis.
        is_due = time.monotonic() >= self._beat_at and self._worker_id is not None
        if is_due and not self._closing.is_set():
            self._beat_at = time.monotonic() + self._beat()

    def _beat(self) -> float:
        """Renew the heartbeat; return in how many seconds to do so again."""
        interval = conf.current().heartbeat.total_seconds()
        postgresql = self._outages.postgresql
        try:
            with postgresql.question(), unit_of_work():
                self._renew()
        except (DatabaseError, InterfaceError) as error:
            interval = min(interval, postgresql.failed(error))
        else:
            postgresql.answered()
        self._tend_redis()
        return interval

    def _renew(self) -> None:
        assert self._worker_id is not None  # noqa: S101 - registered before the first beat
        if registration.beat(self._worker_id, self.runners):
            self._compare(self._worker_id, registration.held(self._worker_id))
        else:
            self._tell(("dead", None))

    def _compare(self, worker_id: UUID, held: list[Held]) -> None:
        orphans = set()
        for row in held:
            if (str(row.job_id), row.claim) in self.running:
                if row.is_cancel_requested:
                    self._tell(("cancel", (str(row.job_id), row.claim)))
            elif str(row.job_id) not in self.announced:
                orphans.add(row)
        # Seen once it may have started or ended this very moment; seen twice nobody runs it.
        if not self._is_behind:  # else what is to be repeated may know better how they ended
            losses.settle_orphans(
                list(orphans & self._suspects),
                worker_id=worker_id,
                worker_name=self.identity.name,
            )
        self._suspects = frozenset(orphans)

    def _tend_redis(self) -> None:
        if time.monotonic() < self._redis_at:
            return  # it would only hold up the heartbeat
        try:
            self._show()
            self._return_strays()
        except client.Unreachable as error:
            self._redis_at = time.monotonic() + self._outages.redis.failed(error)
        else:
            self._outages.redis.answered()

    def _return_strays(self) -> None:
        """Put back ids that no runner says it has: its word, or Redis's answer to it, was lost."""
        assert self._worker_id is not None  # noqa: S101 - registered before the first beat
        redis = client.for_work()
        strays = [
            entry for entry in claim.held(redis, self._worker_id) if entry not in self.announced
        ]
        # Seen once it may be on its way to us; seen twice nobody will start it.
        lost = [entry for entry in strays if entry in self._strays]
        claim.put_back(redis, self._worker_id, lost)
        self._strays = frozenset(strays) - frozenset(lost)
        if lost:
            logger.warning("Put back %d claimed job(s) that no runner had heard of", len(lost))

    def _show(self) -> None:
        busy = bool(self.running) or any(runner.get("batch") for runner in self.runners)
        fields: dict[Key, Value] = {
            "birth": rq_time(self._birth),
            "last_heartbeat": rq_time(datetime.now(UTC)),
            "queues": ",".join(self.identity.queues),
            "pid": self.identity.pid,
            "hostname": self.identity.host,
            "state": "busy" if busy else "idle",
        }
        registries.record_worker(
            client.for_work(),
            name=self.identity.name,
            queues=self.identity.queues,
            fields=fields,
            seconds=self._shown_seconds,
        )

    def _sign_off(self) -> None:
        assert self._worker_id is not None  # noqa: S101 - only a registered worker signs off
        if not self._outages.redis.is_on:  # else the leader clears it after a lease
            self._leave_redis(self._worker_id)
        leader.release(self._worker_id)  # its duties may have died with the mother
        registration.close(self._worker_id)

    def _leave_redis(self, worker_id: UUID) -> None:
        try:
            redis = client.for_work()
            claim.put_back(redis, worker_id, list(claim.held(redis, worker_id)))
            registries.drop_worker(redis, name=self.identity.name, queues=self.identity.queues)
        except client.Unreachable as error:
            self._outages.redis.failed(error)
