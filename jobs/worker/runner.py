"""The runner: a warm child that claims, starts, runs and settles, job after job."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from jobs import conf
from jobs.broker import claim, client
from jobs.errors import StaleAttempt
from jobs.lifecycle import announce
from jobs.lifecycle.outcomes import Settlement
from jobs.lifecycle.settle import Settled, settle
from jobs.lifecycle.start import start
from jobs.models import JobStatus
from jobs.models.job_status import job_ids
from jobs.processes import channel
from jobs.processes.connection import configure, discard, unit_of_work
from jobs.processes.outage import Outages, Tries
from jobs.worker import forks, plain, run
from jobs.worker.context import Side
from jobs.worker.guard import Guard
from jobs.worker.memory import PeakMemory
from jobs.worker.run import Ran
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


def main(end: socket.socket, message: channel.Message) -> None:
    """Be a runner until the supervisor says drain, or is gone; the mother's entry."""
    orders = Orders(
        worker_id=UUID(message["worker_id"]),
        worker_name=message["name"],
        queues=message["queues"],
        rationed=message["rationed"],
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # The supervisor decides when a job is interrupted. A handler, not SIG_IGN: that would pass
        # through exec, and the job's own children could no longer be terminated.
        signal.signal(number, _leave_it_to_the_supervisor)
    _mark_connection(orders)
    forks.keep_children_ordinary()
    watch = Watch()
    guard = Guard(end=end, watch=watch, rationed=orders.rationed)
    threading.Thread(target=guard.run, name="guard", daemon=True).start()
    _Runner(orders=orders, end=end, watch=watch, guard=guard).loop()


def _leave_it_to_the_supervisor(_number: int, _frame: object) -> None:
    return


def application_name(worker_id: UUID, pid: int) -> str:
    """Return the name of a runner's backends in pg_stat_activity; at most 63 bytes."""
    return f"jobsite {worker_id} {pid}"


def _mark_connection(orders: Orders) -> None:
    if conf.current().behind_pooler:
        return
    options = connection.settings_dict.setdefault("OPTIONS", {})
    options["application_name"] = application_name(orders.worker_id, os.getpid())
    # A killed runner's statement ends within a second; without it PostgreSQL would finish it first.
    configure(connection, client_connection_check_interval=1000)


@dataclass(slots=True, kw_only=True)
class _Runner:
    orders: Orders
    end: socket.socket
    watch: Watch
    guard: Guard
    side: Side = field(default_factory=Side)
    memory: PeakMemory = field(default_factory=PeakMemory)
    outages: Outages = field(
        default_factory=lambda: Outages(f"Runner {os.getpid()}", log=logger), init=False
    )
    jobs_run: int = 0
    # Claimed ids to put back when Redis answers.
    unreturned: list[str] = field(default_factory=list)

    def loop(self) -> None:
        """Claim and run until drained, or due for replacement."""
        while not self.guard.draining.is_set() and not self._is_worn():
            try:
                self._return_claims()
                self._await_postgresql()
                if self.guard.may_claim():
                    self._next()
                else:
                    time.sleep(0.01)  # the ration comes with the end of another runner's job
            except OUTAGES as error:
                self.guard.draining.wait(self._recover(error))
        self.side.close()

    def _next(self) -> None:
        taken = claim.take(client.for_work(), self.orders.queues, self.orders.worker_id, count=1)
        self.outages.redis.answered()
        if not taken.entries:
            self._say(say="idle")
            claim.wait(client.for_work(), self.orders.queues, seconds=IDLE_SECONDS)
            return
        self.guard.spend()
        [(queue, entry_id)] = taken.entries
        self._say(say="claimed", ids=[entry_id])
        try:
            with unit_of_work():
                began = start(job_ids([entry_id]), worker_id=self.orders.worker_id)
        except OUTAGES:
            # Whether the start was committed nobody knows: the keeper settles it if it was.
            self.unreturned.append(entry_id)
            raise
        if began.jobs:
            self._work(began.jobs[0])
        elif began.is_refused:
            self._refuse(entry_id)
        elif began.dropped:
            # A duplicate, cancelled meanwhile, or running elsewhere.
            self._drop(began.dropped)
        else:
            self._run_plain(entry_id, queue)

    def _await_postgresql(self) -> None:
        """While it is away claim nothing: the job would only go back, or miss a worker that can."""
        if self.outages.postgresql.is_on:
            with unit_of_work(), connection.cursor() as cursor:
                cursor.execute(_TRY_WRITE)
            self.outages.postgresql.answered()

    def _return_claims(self) -> None:
        if self.unreturned:
            claim.put_back(client.for_work(), self.orders.worker_id, self.unreturned)
            self.unreturned.clear()
            self._say(say="ended", status="put back", counts=False)

    def _refuse(self, entry_id: str) -> None:
        """Leave the job to others: this worker was declared dead, and its supervisor will see."""
        logger.warning("Worker %s may start nothing: it was declared dead", self.orders.worker_name)
        claim.put_back(client.for_work(), self.orders.worker_id, [entry_id])
        self._say(say="ended", status="put back", counts=False)
        time.sleep(REFUSED_SECONDS)

    def _drop(self, ids: list[UUID]) -> None:
        with unit_of_work():
            announce.dropped(
                ids, worker_name=self.orders.worker_name, worker_id=self.orders.worker_id
            )
        self._say(say="ended", status="dropped", counts=False)

    def _run_plain(self, entry_id: str, queue: str) -> None:
        redis = client.for_work()
        job = plain.find(redis, entry_id=entry_id, queue_name=queue)
        claim.forget(redis, self.orders.worker_id, [entry_id])
        if job is None:
            self._say(say="ended", status="dropped", counts=False)
            return
        self._say(
            say="started",
            job_id=entry_id,
            claim=0,
            job_class=f"rq: {job.func_name}"[:200],
            attempt=1,
            timeout_seconds=plain.timeout_seconds(job),
            memory_mark=self.memory.begin(),
        )
        with unit_of_work():
            status = plain.run(redis, job, queue_name=queue, worker_name=self.orders.worker_name)
        self.jobs_run += 1
        self._say(say="ended", status=status, counts=True)

    def _work(self, job: JobStatus) -> None:
        timeout_seconds = run.timeout_of(job).total_seconds()
        announce.started(
            [job], worker_name=self.orders.worker_name, worker_id=self.orders.worker_id
        )
        # After Redis, which may hang: from here the supervisor counts the job's time.
        self._say(
            say="started",
            job_id=str(job.id),
            claim=job.claim,
            job_class=job.job_class,
            attempt=job.attempt,
            timeout_seconds=timeout_seconds,
            memory_mark=self.memory.begin(),
        )
        with unit_of_work():
            ran = run.attempt(job, watch=self.watch, side=self.side, memory=self.memory)
        self._say(say="performed")
        settled = self._settle(ran.settlement) if ran.settled is None else ran.settled
        self.jobs_run += 1
        try:
            self._tell(job, ran, settled)
        finally:
            status = str(settled[0].status if settled else "stale")
            self._say(say="ended", status=status, counts=True)

    def _settle(self, settlement: Settlement) -> list[Settled]:
        """Record the outcome, however long PostgreSQL is away: the work has been done.

        Where it is refused this runner ends, and its supervisor settles the attempt as lost.
        """
        tries = Tries(self.outages.postgresql)
        while True:
            try:
                with unit_of_work():
                    settled = settle([settlement])
            except (DatabaseError, InterfaceError) as error:
                self._discard()
                seconds = tries.failed(error)
                if seconds is None:
                    job_id = settlement.job_id
                    logger.exception("Job %s: its outcome is refused, this runner ends", job_id)
                    raise SystemExit(1) from error
                time.sleep(seconds)
            else:
                self.outages.postgresql.answered()
                return settled

    def _tell(self, job: JobStatus, ran: Ran, settled: list[Settled]) -> None:
        if not settled:
            job_id, claimed = ran.settlement.job_id, ran.settlement.claim
            logger.warning("%s", StaleAttempt(job_id=job_id, claim=claimed))
            return
        ending = announce.Ending(settled=settled[0], outcome=ran.settlement.outcome, job=job)
        with unit_of_work():
            announce.ended(
                [ending],
                worker_name=self.orders.worker_name,
                worker_id=self.orders.worker_id,
            )

    def _recover(self, error: Exception) -> float:
        """Drop what may be broken; return how many seconds to wait."""
        self._discard()
        return self.outages.of(error).failed(error)

    def _discard(self) -> None:
        discard(connection)
        self.side.close()

    def _is_worn(self) -> bool:
        settings = conf.current()
        return (
            self.jobs_run >= settings.runner_max_jobs
            or self.memory.highest() > settings.runner_max_memory
        )

    def _say(self, **message: Any) -> None:
        channel.send(self.end, message)
