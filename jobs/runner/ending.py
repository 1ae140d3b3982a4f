"""What an attempt's return, its error or its being stopped means, however it was run."""

from __future__ import annotations

import inspect
from itertools import islice
from typing import Any

from jobs import conf, json_values
from jobs.errors import InvalidResult, ResultTooLarge, TimedOut
from jobs.lifecycle import verdict
from jobs.lifecycle.outcomes import Cancelled, Completed, Outcome
from jobs.models import JobStatus
from jobs.runner.watch import Reason


def completed(result: Any) -> Completed:
    """Return the outcome of an attempt whose `_perform` has returned `result`, as it is now.

    Raises:
        InvalidResult: It is no JSON that PostgreSQL can hold.
        ResultTooLarge: It is larger than JOBS["MAX_RESULT_BYTES"].
    """
    if inspect.iscoroutine(result):
        result.close()
        raise InvalidResult("_perform returned a coroutine: write it as `async def _perform`.")
    text = json_values.written(result)
    if text is None:
        _refuse_faults(result)
        text = json_values.dump(result)
    size_bytes = len(text.encode())
    limit_bytes = conf.current().max_result_bytes
    if size_bytes > limit_bytes:
        raise ResultTooLarge(size_bytes=size_bytes, limit_bytes=limit_bytes)
    return Completed(result=result, text=text)


def _refuse_faults(result: Any) -> None:
    faults = list(islice(json_values.faults(result), 5))  # of a million one needn't name them all
    if faults:
        found = "; ".join(f"{fault['param']} {fault['message']}" for fault in faults)
        raise InvalidResult(f"What _perform returned can't be stored: {found}.")


def of_error(job: JobStatus, error: BaseException, reason: Reason | None) -> Outcome:
    """Return the outcome of an attempt that raised `error`.

    Args:
        job: The job, as the attempt began.
        error: What was raised, by the job or by us.
        reason: Why the attempt had been told to stop; the error's class says nothing of that.
    """
    match reason:
        case Reason.TIMEOUT:
            late = TimedOut(
                f"The attempt ran for longer than its timeout of {verdict.timeout_of(job)}."
            )
            return verdict.of_error(job, late.with_traceback(error.__traceback__))
        case Reason.CANCEL:
            return Cancelled(reason="cancelled while it ran")  # the row knows by whom and why
        case Reason.INTERRUPT:
            return verdict.of_interruption(job)
        case None:
            return verdict.of_error(job, error)
