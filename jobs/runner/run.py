"""One attempt: build the job, watch it, perform it; whatever happens becomes an outcome."""

from __future__ import annotations

import os
import time

from django.conf import settings
from django.db import connections, reset_queries, transaction

from jobs import registry
from jobs.errors import (
    JobCancelled,
    JobInterrupted,
    JobTimeout,
    StaleAttempt,
)
from jobs.lifecycle import verdict
from jobs.lifecycle.outcomes import Completed, Outcome, Settlement
from jobs.lifecycle.settle import Settled, settle
from jobs.models import JobStatus
from jobs.processes import connection as job_connections
from jobs.runner import ending
from jobs.runner.context import MainContext, Side
from jobs.runner.memory import PeakMemory
from jobs.runner.watch import Reason, Watch
from jobs.spec import JobSpec
from jobs.values import value


@value
class Ran:
    """An attempt that has ended: still to be settled, unless its own commit has done it."""

    job: JobStatus
    settlement: Settlement
    settled: list[Settled] | None = None


def attempt(job: JobStatus, *, watch: Watch, side: Side, memory: PeakMemory) -> Ran:
    """Run the attempt that `start` began. Never raises for what the job does.

    An atomic job runs in a transaction of ours in which it is also settled: both commit or neither.
    """
    context = MainContext(job, side=side, watch=watch)
    settled = None
    began_at = time.monotonic()
    try:
        spec = registry.get(job.job_class)
        if spec.atomic:
            outcome, settled = _perform_atomically(spec, job, context, watch, began_at, memory)
        else:
            outcome = _perform(spec, job, context, watch)
    except BaseException as error:  # noqa: BLE001 - recorded: this is the loop's one bad item
        watch.disarm()
        settled = None
        outcome = _outcome(job, error, watch)
        context.flush()  # how far it was when it failed
    if settings.DEBUG:
        reset_queries()  # Django keeps every statement
    return Ran(job=job, settlement=_settlement(job, outcome, began_at, memory), settled=settled)


def _perform(spec: JobSpec, job: JobStatus, context: MainContext, watch: Watch) -> Completed:
    runner_pid = os.getpid()
    watch.arm(
        job.id,
        job.claim,
        timeout_seconds=verdict.timeout_of(job).total_seconds(),
        connections=job_connections.of_this_thread(),
    )
    try:
        result = spec.perform(job.params, context)
    finally:
        if os.getpid() != runner_pid:
            os._exit(0)  # a child that the job forked came back: the attempt is its parent's
        watch.disarm()
    if watch.reason is Reason.TIMEOUT:  # the job kept the exception to itself
        raise JobTimeout
    context.flush()
    return ending.completed(result)


def _perform_atomically(
    spec: JobSpec,
    job: JobStatus,
    context: MainContext,
    watch: Watch,
    began_at: float,
    memory: PeakMemory,
) -> tuple[Outcome, list[Settled]]:
    with transaction.atomic():
        outcome = _perform(spec, job, context, watch)
        settled = settle([_settlement(job, outcome, began_at, memory)])
        if not settled:
            # Another has settled this attempt meanwhile: our writes go with it.
            raise StaleAttempt(job_id=job.id, claim=job.claim)
    return outcome, settled


def _outcome(job: JobStatus, error: BaseException, watch: Watch) -> Outcome:
    if watch.reason is not None or isinstance(error, JobCancelled | JobInterrupted | JobTimeout):
        # The connection may have a late cancel on its way to it.
        for wrapper in connections.all(initialized_only=True):
            job_connections.discard(wrapper)
    return ending.of_error(job, error, watch.reason)


def _settlement(
    job: JobStatus, outcome: Outcome, began_at: float, memory: PeakMemory
) -> Settlement:
    return Settlement(
        job_id=job.id,
        claim=job.claim,
        outcome=outcome,
        peak_memory=memory.of_attempt(),
        began_at=began_at,
        ended_at=time.monotonic(),
    )
