"""The runner's main thread: it claims, starts, runs and settles, batch after batch."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from jobs import conf
from jobs.broker import claim, client
from jobs.lifecycle import announce
from jobs.lifecycle.start import Beginning
from jobs.lifecycle.turn import turn
from jobs.models import JobStatus
from jobs.models.job_status import is_job_id, job_ids
from jobs.processes import channel
from jobs.processes.connection import discard, keep_warm, unit_of_work
from jobs.processes.outage import OUTAGES, Outages
from jobs.runner import plain, run
from jobs.runner.batch import Batch
from jobs.runner.board import Board
from jobs.runner.claims import Claims, sort_out
from jobs.runner.clerk import Clerk
from jobs.runner.context import Side
from jobs.runner.guard import Guard
from jobs.runner.lane import usher
from jobs.runner.lane.grip import Grip
from jobs.runner.lane.intake import is_async
from jobs.runner.lane.usher import Usher
from jobs.runner.ledger import Ledger, ledger_maker
from jobs.runner.memory import PeakMemory
from jobs.runner.orders import Orders, attempt_of_plain
from jobs.runner.pace import BATCH_SECONDS, Pace
from jobs.runner.passing import Passing
from jobs.runner.watch import Watch

logger = logging.getLogger("jobs.worker")

# How long a runner whose worker was declared dead leaves the queues alone.
REFUSED_SECONDS = 1.0
# Moves nothing; refused by a server that would refuse a start: read-only, in recovery.
_TRY_WRITE = "UPDATE job_workers SET id = id WHERE false"


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
    claims: Claims = field(init=False)
    passing: Passing = field(init=False)
    clerk: Clerk = field(init=False)
    usher: Usher = field(init=False)
    pace: Pace = field(init=False)
    batch: Batch | None = None  # what it has started last; what is done of it is to be settled
    jobs_run: int = 0
    busy_since: float | None = None  # time.monotonic(): with what runs in this thread
    may_have_more: bool = False  # the queues were not empty after the last take
    is_idle: bool = False  # the last take found nothing: the next one waits for a push

    def __post_init__(self) -> None:
        make = ledger_maker(self.orders, self._say)
        self.ledger = make(self.outages)
        self.claims = Claims(self.orders, self.ledger)
        self.passing = Passing(self.orders)
        clerks = Outages(f"Clerk of runner {os.getpid()}", log=logger)
        self.clerk = Clerk(make(clerks), self.orders, watch=self.watch, main_ledger=self.ledger)
        self.usher = usher.make(
            self.orders,
            make,
            grip=Grip(self.board.grip),
            say=self._say,
            may_claim=self._may_take_in,
        )
        self.guard.lane = self.usher.lane
        self.pace = Pace(1 if self.orders.rationed else conf.current().batch_size)

    def run(self) -> None:
        """Be the runner."""
        channel.send(self.end, {"say": "board"}, fds=(self.board.fd,))
        self.clerk.start()
        self.usher.start()
        while not self.guard.draining.is_set() and not self._is_over():
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
        while not self._is_broken() and not self.usher.is_idle:
            time.sleep(0.01)  # drained; the supervisor minds the grace
        if self._is_broken():
            raise SystemExit(1)

    # --- One turn ---

    def _next(self) -> None:
        if not self.may_have_more:
            self._close_batch()  # nothing waits for us: the results first
        elif self.batch is not None:
            # The clerk may be giving back what stood before all that we could take now.
            self.batch.await_clerk()
            if self.batch.awaits_return:
                self._close_batch()  # or the supervisor is
        is_passing = self.passing.is_called_for(self.pace.size, room=self._room())
        # Sync jobs alone fill no slot: that way the usher, who doesn't wait, finds the door open.
        with contextlib.nullcontext() if is_passing else self.usher.door:
            take = self.claims.wait_and_take if self.is_idle else self.claims.take
            taken = (self.passing.take if is_passing else take)(self.pace.size)
            self.outages.redis.answered()
            self.is_idle = not (taken.entries or is_passing)
            self.may_have_more = taken.more
            is_late = bool(taken.entries) and self.guard.draining.is_set()
            beginning = None if is_late or not taken.entries else self._begin(taken.entries)
        if beginning is not None:
            self._go_on(taken.entries, beginning)
        elif is_late:
            self.claims.owe([entry_id for _, entry_id in taken.entries])
            self._return_claims()  # told to stop while it waited
        else:
            self._close_batch()
            keep_warm()
            if is_passing:
                self.usher.look()
                self.passing.wait()
            elif self.board.rest():
                self._say(say="idle")

    def _begin(self, entries: Sequence[tuple[str, str]]) -> Beginning:
        """Start what can be of these entries, in the commit that settles the last batch."""
        claimed = [entry_id for _, entry_id in entries]
        self.board.claim(claimed)
        self.guard.spend()
        rans = self.batch.await_harvest() if self.batch else []
        try:
            with unit_of_work():
                settled, beginning = turn(
                    [ran.settlement for ran in rans if ran.settled is None],
                    job_ids(itertools.takewhile(is_job_id, claimed)),
                    worker_id=self.orders.worker_id,
                    room=self._room(),
                )
        except OUTAGES:
            # Whether it was committed nobody knows: the keeper settles what was started.
            self.claims.owe(claimed)
            if self.batch:
                self.batch.keep(rans)
            raise
        if rans:
            self.ledger.tell_soon(rans, settled)
        self.batch = None
        # At once: they wait for no sync job of their batch.
        self.usher.begin([job for job in beginning.jobs if is_async(job)])
        return beginning

    def _go_on(self, entries: Sequence[tuple[str, str]], beginning: Beginning) -> None:
        """Run what was started; all else that was claimed goes where it belongs."""
        left, plain_entry = sort_out(entries, beginning)
        if beginning.dropped:
            with unit_of_work():
                name, worker_id = self.orders.worker_name, self.orders.worker_id
                announce.dropped(beginning.dropped, worker_name=name, worker_id=worker_id)
        self.claims.put_back(left)
        jobs = [job for job in beginning.jobs if not is_async(job)]
        if jobs:
            self._run(jobs)
        elif plain_entry is not None:
            self._run_plain(*plain_entry)
        else:
            self._end(ran=len(beginning.jobs))
            if beginning.jobs:  # all of them async
                self.pace.note(len(beginning.jobs), seconds=0.0)
        if beginning.is_refused:
            # Its supervisor will see.
            name = self.orders.worker_name
            logger.warning("Worker %s may start nothing: it was declared dead", name)
            time.sleep(REFUSED_SECONDS)

    def _run(self, jobs: Sequence[JobStatus]) -> None:
        self.busy_since = time.monotonic()
        self.batch = batch = Batch(jobs, board=self.board, memory_mark=self.memory.begin())
        self.clerk.expect(batch)
        job = batch.running
        while job is not None:
            with unit_of_work():
                ran = run.attempt(job, watch=self.watch, side=self.side, memory=self.memory)
            batch.finish(ran)
            job = batch.begin(self.memory.begin())
        self.busy_since = None
        self.jobs_run += batch.begun
        self.pace.note(batch.begun, seconds=time.monotonic() - batch.opened_at)

    def _run_plain(self, queue: str, entry_id: str) -> None:
        redis = client.for_work()
        self.ledger.tell_now()
        try:
            job = plain.find(redis, entry_id=entry_id, queue_name=queue)
            claim.forget(redis, self.orders.worker_id, [entry_id])
        except client.Unreachable:
            self.claims.owe([entry_id])
            raise
        if job is None:
            self._end(ran=0)
            return
        attempt = attempt_of_plain(entry_id, job.func_name, plain.timeout_seconds(job))
        self.board.open_batch([attempt], memory_mark=self.memory.begin())
        self.busy_since = time.monotonic()
        try:
            with unit_of_work():
                plain.run(redis, job, queue_name=queue, worker_name=self.orders.worker_name)
        except client.Unreachable:
            self._end_plain()  # it has ended, though Redis wasn't told how
            raise
        self._end_plain()

    def _end_plain(self) -> None:
        self.busy_since = None
        self.board.finish()
        self.jobs_run += 1
        self._end(ran=1)

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
            self.batch.await_return()
            ran, self.batch = self.batch.begun, None
            self._end(ran=ran)
        self.ledger.tell_now()

    def _await_postgresql(self) -> None:
        """While it is away claim nothing: the job would only go back, or miss a worker that can."""
        if self.outages.postgresql.is_on:
            with unit_of_work(), connection.cursor() as cursor:
                cursor.execute(_TRY_WRITE)
            self.outages.postgresql.answered()

    def _return_claims(self) -> None:
        if self.claims.is_owing:
            self._close_batch()
            self.claims.pay()
            self._end(ran=0)

    def _end(self, *, ran: int) -> None:
        """Note that nothing is held any more."""
        self.guard.ask_for_more(ran=ran)
        self.board.end()

    def _recover(self, error: Exception) -> float:
        """Drop what may be broken; return how many seconds to wait."""
        discard(connection)
        self.side.close()
        return self.outages.of(error).failed(error)

    def _room(self) -> int:
        return 0 if self._is_worn() else self.usher.lane.free

    def _is_worn(self) -> bool:
        settings = conf.current()
        return (
            self.jobs_run + self.usher.jobs_run >= settings.runner_max_jobs
            or self.memory.highest() > settings.runner_max_memory
        )

    def _is_over(self) -> bool:
        # Worn, it takes no more async jobs; while those that it has last, sync ones go on.
        return self._is_broken() or (self._is_worn() and self.usher.is_idle)

    def _is_broken(self) -> bool:
        return not (self.clerk.is_alive() and self.usher.is_alive())

    def _may_take_in(self) -> bool:
        """Whether the usher may claim, since this thread can't; in the usher's."""
        if self.orders.rationed or self.guard.draining.is_set() or self._is_worn():
            return False
        since, batch = self.busy_since, self.batch
        return self.passing.is_on or (
            since is not None
            and time.monotonic() - since > BATCH_SECONDS
            # Else the clerk may be giving back what stood before all that it could take.
            and (batch is None or batch.is_attended)
        )

    def _say(self, **message: Any) -> None:
        channel.send(self.end, message)
