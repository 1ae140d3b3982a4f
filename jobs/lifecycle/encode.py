"""Settlements as the rows that the settling statement reads: JSON, whatever a job has said."""

from __future__ import annotations

import logging
from typing import Any, assert_never
from uuid import UUID

from django.db import DatabaseError, DataError, connection

from jobs import conf, json_values
from jobs.lifecycle.outcomes import (
    Cancelled,
    Completed,
    Failed,
    GivenBack,
    Outcome,
    Settlement,
    Snoozed,
    Unbegun,
)
from jobs.models import refusals
from jobs.values import value

logger = logging.getLogger("jobs.lifecycle")

MAX_LINE = 1_000  # characters of an error's first line on the row; the attempt has all of it


@value
class Row:
    """A settlement and its JSON."""

    settlement: Settlement
    text: str

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return self.settlement.job_id


def encode(settlement: Settlement) -> Row:
    """Return `settlement` as JSON; one that is none becomes the failure of its attempt.

    Raises:
        ValueError, TypeError, RecursionError: It is no JSON, in a transaction of the caller's.
    """
    outcome = settlement.outcome
    if isinstance(outcome, Completed) and outcome.text:
        return Row(settlement=settlement, text=_completed(settlement, outcome.text))
    try:
        columns = _columns_of(settlement)
        text = json_values.written(columns) or json_values.dump(columns)
        text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        if connection.in_atomic_block:
            raise
        # No JSON at all: the statement could not even be sent, nor those of its batch.
        logger.warning("Job %s: its outcome is no JSON: %s", settlement.job_id, error)
        text = json_values.dump(_columns_of(_unstorable(settlement, error)))
    return Row(settlement=settlement, text=text)


def _completed(settlement: Settlement, result: str) -> str:
    """Return what most settlements are, without looking at the result again."""
    peak_memory, began_at, ended_at = (
        "null" if number is None else repr(number)
        for number in (settlement.peak_memory, settlement.began_at, settlement.ended_at)
    )
    return (
        f'{{"id":"{settlement.job_id}","claim":{settlement.claim},'
        f'"status":"completed","outcome":"completed","result":{result},'
        f'"peak_memory":{peak_memory},"began_at":{began_at},"ended_at":{ended_at}}}'
    )


def kind(outcome: Outcome) -> tuple[str, str]:
    """Return what an attempt that ended so says: its outcome and its error's class."""
    columns = _columns(outcome)
    return columns["outcome"], columns.get("error_class", "")


def unstorable(row: Row, error: Exception) -> Row:
    """Return the failure of an attempt whose outcome PostgreSQL refuses, with its words."""
    words = refusals.words(error)
    logger.warning("Job %s: its outcome can't be stored: %s", row.job_id, words)
    return encode(_unstorable(row.settlement, error))


def _unstorable(settlement: Settlement, error: Exception) -> Settlement:
    is_data = not isinstance(error, DatabaseError) or isinstance(error, DataError)
    verb = "can't hold" if is_data else "refuses"
    return Settlement(
        job_id=settlement.job_id,
        claim=settlement.claim,
        outcome=Failed(
            error_class="InvalidResult" if is_data else type(error).__name__,
            message=f"PostgreSQL {verb} the outcome: {error}",
            traceback="",
            wait=None,
        ),
        peak_memory=settlement.peak_memory,
        began_at=settlement.began_at,
        ended_at=settlement.ended_at,
    )


# What people's code has said; it may hold what PostgreSQL can't, and any length.
_TEXTS = ("error", "error_class", "message", "traceback")


def _columns_of(settlement: Settlement) -> dict[str, Any]:
    columns = _columns(settlement.outcome)
    for name in _TEXTS:
        if name in columns:
            limit_bytes = conf.current().max_error_bytes
            columns[name] = json_values.cleaned(columns[name], limit_bytes=limit_bytes)
    columns["id"] = str(settlement.job_id)
    columns["claim"] = settlement.claim
    columns["peak_memory"] = settlement.peak_memory
    columns["began_at"] = settlement.began_at
    columns["ended_at"] = settlement.ended_at
    return columns


def _columns(outcome: Outcome) -> dict[str, Any]:
    """Return the columns of the statement's input; those left out are null there."""
    match outcome:
        case Completed():
            return {"status": "completed", "outcome": "completed", "result": outcome.result}
        case Failed():
            return {
                "status": "failed" if outcome.wait is None else "retrying",
                "outcome": "failed",
                "wait_seconds": None if outcome.wait is None else outcome.wait.total_seconds(),
                "error": _one_line(outcome),
                "error_class": outcome.error_class[:200],
                "message": outcome.message,
                "traceback": outcome.traceback,
                "loss": outcome.loss,
            }
        case Snoozed():
            return {
                "status": "scheduled",
                "outcome": "snoozed",
                "wait_seconds": outcome.delay.total_seconds(),
            }
        case Cancelled():
            return {
                "status": "cancelled",
                "outcome": "cancelled",
                "error": _first_line(outcome.reason),
                "message": outcome.reason,
            }
        case GivenBack() | Unbegun():
            has_begun = isinstance(outcome, GivenBack)
            return {"status": "queued", "outcome": "given_back" if has_begun else "unbegun"}
        case _:
            assert_never(outcome)


def _one_line(outcome: Failed) -> str:
    first = _first_line(outcome.message)
    line = f"{outcome.error_class}: {first}" if first else outcome.error_class
    return f"{line} ({_first_line(outcome.reason)})" if outcome.reason else line


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")[:MAX_LINE]
