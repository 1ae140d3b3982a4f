"""The runner's main thread: it claims, starts, runs and settles, batch after batch."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from jobs import conf
from jobs.broker import claim, client
from jobs.lifecycle import announce
from jobs.lifecycle.start import Beginning
from jobs.lifecycle.turn import turn
from jobs.models import JobStatus
from jobs.models.job_status import is_job_id, job_ids
from jobs.processes import channel
from jobs.processes.connection import discard, keep_warm, unit_of_work
from jobs.processes.outage import Outages
from jobs.worker import plain, run
from jobs.worker.batch import Batch
from jobs.worker.board import Board
from jobs.worker.clerk import Clerk
from jobs.worker.context import Side
from jobs.worker.guard import Guard
from jobs.worker.ledger import Ledger
from jobs.worker.memory import PeakMemory
from jobs.worker.pace import Pace
from jobs.worker.watch import Watch

logger = logging.getLogger("jobs.worker")

# How long an idle runner waits for a push. A plain rq job wakes nobody: the next look finds it.
IDLE_SECONDS = 0.25
# How long a runner whose worker was declared dead leaves the queues alone.
REFUSED_SECONDS = 1.0
# Whatever PostgreSQL or Redis does, a runner waits and tries again.
OUTAGES = (DatabaseError, InterfaceError, client.Unreachable)
# Moves nothing; refused by a server that would refuse a start: read-only, in recovery.
_TRY_WRITE = "UPDATE job_workers SET id = id WHERE false"


@dataclass(slots=True, kw_only=True)
class Orders:
    """What the supervisor tells a runner when it is made."""

    worker_id: UUID
    worker_name: str
    queues: list[str]
    rationed: bool  # claims only what the supervisor grants (--max-jobs)


@dataclass(slots=True, kw_only=True)
class Loop:
    """Runs until drained, or due for replacement; everything here in the main thread."""

    orders: Orders
    end: socket.socket
    watch: Watch
    guard: Guard
    board: Board = field(default_factory=Board.make)
    side: Side = field(default_factory=Side)
    memory: PeakMemory = field(default_factory=PeakMemory)
    outages: Outages = field(
        default_factory=lambda: Outages(f"Runner {os.getpid()}", log=logger), init=False
    )
    ledger: Ledger = field(init=False)
    clerk: Clerk = field(init=False)
    pace: Pace = field(init=False)
    batch: Batch | None = None  # what it has started last; what is done of it is to be settled
    serial: int = 0  # of that batch
    jobs_run: int = 0
    may_have_more: bool = False  # the queues were not empty after the last take
    is_idle: bool = False  # the last take found nothing: the next one waits for a push
    # Claimed ids to put back when Redis answers.
    unreturned: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        worker_id, name = self.orders.worker_id, self.orders.worker_name
        self.ledger = Ledger(
            worker_id=worker_id, worker_name=name, postgresql=self.outages.postgresql
        )
        outages = Outages(f"Clerk of runner {os.getpid()}", log=logger)
        ledger = Ledger(worker_id=worker_id, worker_name=name, postgresql=outages.postgresql)
        self.clerk = Clerk(ledger, watch=self.watch, worker_id=worker_id, worker_name=name)
        self.pace = Pace(1 if self.orders.rationed else conf.current().batch_size)

    def run(self) -> None:
        """Be the runner."""
        channel.send(self.end, {"say": "board"}, fds=(self.board.fd,))
        self.clerk.start()
        while not self.guard.draining.is_set() and not self._is_worn():
            try:
                self._return_claims()
                self._await_postgresql()
                if self.guard.may_claim():
                    self._next()
                else:
                    self._close_batch()
                    time.sleep(0.01)  # the ration comes with the end of another runner's job
            except OUTAGES as error:
                self.may_have_more = False
                self.guard.draining.wait(self._recover(error))
        self._close_batch()
        self.side.close()
        if not self.clerk.is_alive():
            raise SystemExit(1)

    # --- One turn ---

    def _next(self) -> None:
        if not self.may_have_more:
            self._close_batch()  # nothing waits for us: the results first
        elif self.batch is not None:
            # The clerk may be giving back what stood before all that we could take now.
            self.batch.await_clerk()
        taken = self._wait_and_take() if self.is_idle else self._take()
        self.outages.redis.answered()
        self.is_idle = not taken.entries
        self.may_have_more = taken.more
        if taken.entries and self.guard.draining.is_set():
            self.unreturned += [entry_id for _, entry_id in taken.entries]
            self._return_claims()  # told to stop while it waited
        elif taken.entries:
            self._begin(taken.entries)
        else:
            self._close_batch()
            self._say(say="idle")
            keep_warm()

    def _take(self) -> claim.Taken:
        words = self.ledger.words()
        try:
            return claim.take(
                client.for_work(),
                self.orders.queues,
                self.orders.worker_id,
                count=self.pace.size,
                ended=words,
                worker_name=self.orders.worker_name,
            )
        except client.Unreachable:
            self.ledger.keep(words)
            raise

    def _wait_and_take(self) -> claim.Taken:
        return claim.take_when_pushed(
            client.for_work(),
            self.orders.queues,
            self.orders.worker_id,
            count=self.pace.size,
            seconds=IDLE_SECONDS,
        )

    def _begin(self, entries: Sequence[tuple[str, str]]) -> None:
        """Start what can be of these claimed entries, in the commit that settles the last batch."""
        self.guard.spend()
        claimed = [entry_id for _, entry_id in entries]
        self._say(say="claimed", ids=claimed)
        rans = self.batch.await_harvest() if self.batch else []
        try:
            with unit_of_work():
                settled, beginning = turn(
                    [ran.settlement for ran in rans if ran.settled is None],
                    job_ids(itertools.takewhile(is_job_id, claimed)),
                    worker_id=self.orders.worker_id,
                )
        except OUTAGES:
            # Whether it was committed nobody knows: the keeper settles what was started.
            self.unreturned += claimed
            if self.batch:
                self.batch.keep(rans)
            raise
        self.ledger.tell_soon(rans, settled)
        self.batch = None
        self._go_on(entries, beginning)

    def _go_on(self, entries: Sequence[tuple[str, str]], beginning: Beginning) -> None:
        """Run what was started; all else that was claimed goes where it belongs."""
        started = {str(job.id) for job in beginning.jobs}
        # Duplicates, cancelled meanwhile, or running elsewhere.
        dropped = {str(job_id) for job_id in beginning.dropped}
        left = [entry for entry in entries if entry[1] not in started | dropped]
        plain_entry = None
        if left and not beginning.jobs and not beginning.is_refused:
            is_stranger = left[0][1] in {str(job_id) for job_id in beginning.strangers}
            if is_stranger or not is_job_id(left[0][1]):
                plain_entry = left.pop(0)
        if beginning.dropped:
            with unit_of_work():
                announce.dropped(
                    beginning.dropped,
                    worker_name=self.orders.worker_name,
                    worker_id=self.orders.worker_id,
                )
        self._put_back([entry_id for _, entry_id in left])
        if beginning.jobs:
            self._run(beginning.jobs)
        elif plain_entry is not None:
            self._run_plain(*plain_entry)
        else:
            self._say(say="ended", ran=0)
        if beginning.is_refused:
            # Its supervisor will see.
            name = self.orders.worker_name
            logger.warning("Worker %s may start nothing: it was declared dead", name)
            time.sleep(REFUSED_SECONDS)

    def _put_back(self, ids: Sequence[str]) -> None:
        try:
            claim.put_back(client.for_work(), self.orders.worker_id, ids)
        except client.Unreachable:
            # What was started must run: the next turn puts them back.
            self.unreturned += ids

    def _run(self, jobs: Sequence[JobStatus]) -> None:
        self.serial += 1
        self._say(say="started", serial=self.serial, jobs=[_describe(job) for job in jobs])
        self.batch = batch = Batch(jobs, board=self.board, serial=self.serial)
        self.clerk.expect(batch)
        self.memory.begin()
        while (job := batch.begin(self.memory.begin_next())) is not None:
            with unit_of_work():
                ran = run.attempt(job, watch=self.watch, side=self.side, memory=self.memory)
            batch.finish(ran)
        self.jobs_run += batch.begun
        if batch.begun:
            self.pace.note(batch.begun, seconds=time.monotonic() - batch.opened_at)

    def _run_plain(self, queue: str, entry_id: str) -> None:
        redis = client.for_work()
        self.ledger.tell_now()
        job = plain.find(redis, entry_id=entry_id, queue_name=queue)
        claim.forget(redis, self.orders.worker_id, [entry_id])
        if job is None:
            self._say(say="ended", ran=0)
            return
        self.serial += 1
        self._say(
            say="started",
            serial=self.serial,
            jobs=[
                {
                    "job_id": entry_id,
                    "claim": 0,
                    "job_class": f"rq: {job.func_name}"[:200],
                    "attempt": 1,
                    "timeout_seconds": plain.timeout_seconds(job),
                }
            ],
        )
        self.board.open_batch(self.serial, 1)
        if self.board.begin(self.memory.begin()):
            with unit_of_work():
                plain.run(redis, job, queue_name=queue, worker_name=self.orders.worker_name)
            self.board.finish()
        self.jobs_run += 1
        self._say(say="ended", ran=1)

    # --- Ends ---

    def _close_batch(self) -> None:
        """Settle what the last batch has done, and tell of all ends."""
        if self.batch is not None:
            rans = self.batch.await_harvest()
            try:
                self.ledger.record(rans)
            except SystemExit:
                self.batch.keep(rans)
                raise
            ran, self.batch = self.batch.begun, None
            self._say(say="ended", ran=ran)
        self.ledger.tell_now()

    def _await_postgresql(self) -> None:
        """While it is away claim nothing: the job would only go back, or miss a worker that can."""
        if self.outages.postgresql.is_on:
            with unit_of_work(), connection.cursor() as cursor:
                cursor.execute(_TRY_WRITE)
            self.outages.postgresql.answered()

    def _return_claims(self) -> None:
        if self.unreturned:
            self._close_batch()
            claim.put_back(client.for_work(), self.orders.worker_id, self.unreturned)
            self.unreturned.clear()
            self._say(say="ended", ran=0)

    def _recover(self, error: Exception) -> float:
        """Drop what may be broken; return how many seconds to wait."""
        discard(connection)
        self.side.close()
        return self.outages.of(error).failed(error)

    def _is_worn(self) -> bool:
        settings = conf.current()
        return (
            self.jobs_run >= settings.runner_max_jobs
            or self.memory.highest() > settings.runner_max_memory
            or not self.clerk.is_alive()
        )

    def _say(self, **message: Any) -> None:
        channel.send(self.end, message)


def _describe(job: JobStatus) -> dict[str, Any]:
    return {
        "job_id": str(job.id),
        "claim": job.claim,
        "job_class": job.job_class,
        "attempt": job.attempt,
        "timeout_seconds": run.timeout_of(job).total_seconds(),
    }
