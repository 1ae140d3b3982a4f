"""The rows that a job rejects: all counted, the first of them kept, with the reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from jobs import json_values, registry
from jobs.errors import TooManyRejected
from jobs.models import JobStatus
from jobs.values import value

MAX_KEPT = 10_000  # of a job
MAX_ROW_BYTES = 4 * 1024
MAX_REASON_BYTES = 500
# Shown in a job's result and in its error, beside what the table keeps.
MAX_SHOWN = 100
_SHOWN_IN_ERROR = 3
# A share is no measure of the first few rows.
SHARE_FROM_ROWS = 1_000


@value
class RejectedRow:
    """A row that is left out.

    Attributes:
        position: Where it stands in its source, as `extract` said; None: nowhere.
        row: What is kept of it, any value; None: nothing.
        reason: Why, in one line for people.
    """

    position: Any
    row: Any
    reason: str


class Rejected:
    """What the running attempt has rejected.

    Args:
        limit: How many may be rejected, or a share of the rows as a float; None: any number.
        before: How many the attempts before have rejected.
        place: What a position is called: "row", "line".

    Attributes:
        count: All of them, those of the attempts before included.
    """

    def __init__(self, limit: float | None, before: int, *, place: str) -> None:
        self.count = before
        self._place = place
        self._limit = limit
        self._first: list[RejectedRow] = []
        self._unwritten: list[RejectedRow] = []
        self._written = min(before, MAX_KEPT)

    @property
    def first(self) -> list[RejectedRow]:
        """The first of this attempt, as they were found: MAX_SHOWN and a few more."""
        return self._first

    def add(self, rows: Iterable[RejectedRow], *, count: int = 1) -> None:
        """Count `count` more, of which `rows` are the first."""
        self.count += count
        for row in rows:
            if len(self._first) < 2 * MAX_SHOWN:
                self._first.append(row)
            if self._written + len(self._unwritten) < MAX_KEPT:
                self._unwritten.append(row)

    def refuse_too_many(self, rows_in: int, *, is_end: bool = False) -> None:
        """See whether the limit is passed.

        Args:
            rows_in: How many rows have been read.
            is_end: Whether these are all: then a share counts however few they are.

        Raises:
            TooManyRejected: It is, with the first rows' reasons.
        """
        limit = self._limit
        if limit is None:
            return
        if isinstance(limit, float):
            if self.count <= limit * rows_in or not (is_end or rows_in >= SHARE_FROM_ROWS):
                return
            allowed = f"{limit:.1%} of them"
        elif self.count > limit:
            allowed = f"{limit:,}"
        else:
            return
        shown = "; ".join(self._shown(row) for row in self.first[:_SHOWN_IN_ERROR])
        raise TooManyRejected(
            f"{self.count:,} of {rows_in:,} rows were rejected, and max_rejected allows {allowed}. "
            f"First: {shown or 'see the rejected rows'}"
        )

    def _shown(self, row: RejectedRow) -> str:
        at = "" if row.position is None else f"{self._place} {row.position}: "
        return f"{at}{row.reason}"

    def write(self, job: JobStatus | None) -> None:
        """Keep what isn't kept yet. Call in the transaction that has recorded the checkpoint.

        Args:
            job: Whose rows they are; None: nobody's, they are let go.
        """
        rows, self._unwritten = self._unwritten, []
        if job is not None:
            _insert(job, rows, after=self._written)
        self._written += len(rows)


def drop(job: JobStatus, *, after: int) -> None:
    """Drop the rows past the first `after`: those of a batch that was never recorded.

    Call in the transaction that has taken the checkpoint over.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM job_rejected_rows WHERE job_id = %s AND number > %s", [job.id, after]
        )


def _insert(job: JobStatus, rows: Sequence[RejectedRow], *, after: int) -> None:
    if not rows:
        return
    secrets = registry.secrets(job.job_class, job.params)
    values = [
        {
            "position": _kept(row.position),
            "row": _kept(row.row),
            "reason": json_values.cleaned(
                json_values.scrubbed(row.reason, secrets), limit_bytes=MAX_REASON_BYTES
            ),
        }
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO job_rejected_rows (job_id, number, position, row, reason)
            SELECT %s, %s + r.number, (r.said ->> 'position')::jsonb, (r.said ->> 'row')::json,
                r.said ->> 'reason'
            FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS r(said, number)
            """,
            [job.id, after, json_values.dump(values)],
        )


def _kept(anything: Any) -> str | None:
    """Return JSON that PostgreSQL can hold, of whatever it is, at most MAX_ROW_BYTES."""
    if anything is None:
        return None
    text = json_values.written(anything) or _text_of(anything)
    if len(text.encode()) > MAX_ROW_BYTES:
        shortened = json_values.cleaned(text, limit_bytes=MAX_ROW_BYTES // 2)
        text = json_values.dump(shortened)
    return text


def _text_of(anything: Any) -> str:
    try:
        # Dates, decimals and the like as their texts.
        text = json.dumps(anything, default=str, allow_nan=False, ensure_ascii=False)
        whole = not any(json_values.faults(json.loads(text)))
    except (ValueError, TypeError, RecursionError):
        whole = False
    if whole:
        return text
    return json_values.dump(json_values.cleaned(repr(anything), limit_bytes=MAX_ROW_BYTES // 2))
