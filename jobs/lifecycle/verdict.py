"""What an error, a loss or an interruption means for a job: the outcome of its attempt."""

from __future__ import annotations

import traceback
from datetime import timedelta
from random import SystemRandom
from types import TracebackType

from jobs import conf, json_values, registry
from jobs.errors import Cancel, Interrupted, Snooze, WorkerLost
from jobs.lifecycle import checkpoint
from jobs.lifecycle.outcomes import Cancelled, Failed, GivenBack, Outcome, Snoozed
from jobs.models import JobStatus
from jobs.retry import Backoff, RetryDecision, RetryPolicy, decide
from jobs.spec import JobSpec

# The system's: runners are forked, and copies of a seeded one would draw the same jitter.
_random = SystemRandom()


def of_error(job: JobStatus, error: BaseException) -> Outcome:
    """Return the outcome of an attempt that raised `error`, which may be Snooze or Cancel.

    The traceback begins where the job's code does.
    """
    secrets = registry.secrets(job.job_class, job.params)
    match error:
        case Snooze():
            return Snoozed(delay=error.delay)
        case Cancel():
            return Cancelled(reason=json_values.scrubbed(error.reason, secrets))
    text = "".join(traceback.format_exception(type(error), error, _authors_frames(error)))
    decision = _decide(job, error)
    return Failed(
        error_class=type(error).__name__,
        message=json_values.scrubbed(_message(error), secrets),
        traceback=json_values.scrubbed(text, secrets),
        wait=decision.wait,
        reason=decision.reason,
    )


def of_loss(job: JobStatus, error: WorkerLost, *, counts: bool = True) -> Failed:
    """Return the outcome of an attempt whose process was lost; it has no traceback.

    A job that has lost max_losses workers since its checkpoint last moved fails: it is likely what
    kills them. Where it has lost one before, one short statement asks whether it has come on.

    Args:
        job: As its attempt began.
        error: What happened.
        counts: Whether the job may be what killed it; False where another job was running.
    """
    before = 0 if job.losses and checkpoint.has_moved(job) else job.losses
    losses = before + counts
    if counts and losses >= conf.current().max_losses:
        decision = RetryDecision(wait=None, reason=f"it has lost {losses} workers")
    else:
        decision = _decide(job, error)
    return Failed(
        error_class=type(error).__name__,
        message=str(error),
        traceback="",
        wait=decision.wait,
        reason=decision.reason,
        loss=losses - job.losses,
    )


def of_interruption(job: JobStatus) -> Outcome:
    """Return the outcome of an attempt that its worker's stop interrupted.

    Given back unspent, at most max_interruptions times; a job with one attempt must not run twice
    and fails.
    """
    limit = conf.current().max_interruptions
    if job.max_attempts > 1 and job.interruptions < limit:
        return GivenBack()
    error = Interrupted("The worker's stop interrupted the attempt after its grace.")
    decision = (
        RetryDecision(wait=None, reason="its one attempt is spent")
        if job.max_attempts == 1
        else _decide(job, error)
    )
    return Failed(
        error_class=type(error).__name__,
        message=str(error),
        traceback="",
        wait=decision.wait,
        reason=decision.reason,
    )


def _decide(job: JobStatus, error: BaseException) -> RetryDecision:
    spec = registry.find(job.job_class)
    try:
        return decide(
            policy_of(spec),
            error,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            rand=_random,
        )
    except BaseException as fault:  # noqa: BLE001 - the author's own backoff raised; the attempt must end
        secrets = registry.secrets(job.job_class, job.params)
        reason = f"its backoff raised {type(fault).__name__}: {_message(fault)}"
        return RetryDecision(wait=None, reason=json_values.scrubbed(reason, secrets))


def timeout_of(job: JobStatus) -> timedelta:
    """Return how long an attempt of `job` may run; of an unknown class, as the settings say."""
    spec = registry.find(job.job_class)
    return (spec.timeout if spec else None) or conf.current().timeout


def policy_of(spec: JobSpec | None) -> RetryPolicy:
    """Return how a job class retries; of an unknown class, how the settings say."""
    settings = conf.current()
    base, cap, function = settings.backoff_base, settings.backoff_cap, None
    if spec is None:
        return RetryPolicy(base=base, cap=cap)
    match spec.backoff:
        case None:
            pass
        case Backoff():
            base, cap = spec.backoff.base, spec.backoff.cap
        case _:
            function = spec.backoff
    return RetryPolicy(
        base=base, cap=cap, function=function, retry_on=spec.retry_on, discard_on=spec.discard_on
    )


def _authors_frames(error: BaseException) -> TracebackType | None:
    frames = error.__traceback__
    while frames is not None and _is_ours(frames):
        frames = frames.tb_next
    return frames or error.__traceback__


def _is_ours(frames: TracebackType) -> bool:
    module = frames.tb_frame.f_globals.get("__name__", "")
    return module.startswith("jobs.") and not module.startswith("jobs.builtin")


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as fault:  # noqa: BLE001 - an author's __str__ may raise; the attempt must end
        return f"(its text can't be had: {type(fault).__name__})"
