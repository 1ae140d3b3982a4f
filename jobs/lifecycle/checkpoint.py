"""How far a job has come: recorded by the attempt that holds it, read by the next one.

The fence is the checkpoint's own row. An attempt takes it over by writing its claim there, for
which it waits until an earlier attempt's open transaction has ended. From then on the earlier one,
whose claim is lower, writes no row, and what it loaded meanwhile is rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import connection

from jobs import json_values
from jobs.errors import InvalidCheckpoint, LoopHeld, StaleAttempt, WorkerLost
from jobs.models import JobStatus, clock
from jobs.values import value

MAX_POSITION_BYTES = 64 * 1024


@value
class Counts:
    """How many rows a job has read, loaded and rejected so far, in all of its attempts."""

    rows_in: int = 0
    rows_out: int = 0
    rows_rejected: int = 0

    def __str__(self) -> str:
        return f"{self.rows_in:,} in, {self.rows_out:,} out, {self.rows_rejected:,} rejected"


@value
class Checkpoint:
    """What the attempts before have recorded.

    Attributes:
        position: The job's own word for how far it is; None before the first.
        counts: Of the rows until there.
        result: What the job returns, where only its end was still to be recorded; else None.
    """

    position: Any
    counts: Counts
    result: dict[str, Any] | None


def take_over(job: JobStatus) -> Checkpoint:
    """Return what was recorded last, and let no earlier attempt of `job` record anything more.

    In the caller's transaction or in autocommit. Waits for an earlier attempt that is recording.

    Args:
        job: As the attempt began; its claim is the attempt's.

    Raises:
        StaleAttempt: The job has moved on; roll back.
    """
    position, result, *counts = _write(job, _taken_over(), {})
    return Checkpoint(
        position=None if position is None else json.loads(position),
        counts=Counts(**dict(zip(_COUNTS, counts, strict=True))),
        result=None if result is None else json.loads(result),
    )


def record(
    job: JobStatus, position: Any, *, counts: Counts | None = None, result: Any = None
) -> None:
    """Record how far the attempt is, in the transaction of what it wrote until there.

    Args:
        job: As the attempt began; its claim is the attempt's.
        position: JSON of at most MAX_POSITION_BYTES; None: from the start.
        counts: Of the rows until there; None: those recorded stay.
        result: What the job returns, where all that it does is done with this transaction.

    Raises:
        InvalidCheckpoint: The position is no JSON that PostgreSQL can hold, or too large.
        StaleAttempt: The job has moved on; roll back.
    """
    given = {
        "position": None if position is None else _position_text(position),
        "result": None if result is None else json_values.dump(result),
        **{name: getattr(counts, name, None) for name in _COUNTS},
    }
    _write(job, _recorded(), given)


def has_moved(job: JobStatus) -> bool:
    """Whether the position has moved since an attempt of `job` was last lost.

    By the claims, whatever the clock does. Waits for nobody: what a transaction still holds open is
    not seen. To take the checkpoint over moves nothing, nor does the same position once more.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MOVED, {"id": job.id, "losses": list(_LOSSES)})
        (answer,) = cursor.fetchone()
    return bool(answer)


def forget(job_ids: Sequence[UUID]) -> None:
    """Have these jobs begin from the start, without the rows they rejected.

    Call inside a transaction that holds their rows.
    """
    with connection.cursor() as cursor:
        for table in ("job_checkpoints", "job_rejected_rows"):
            cursor.execute(f"DELETE FROM {table} WHERE job_id = ANY(%s)", [list(job_ids)])


_COUNTS = ("rows_in", "rows_out", "rows_rejected")

_LOSSES = (WorkerLost.__name__, LoopHeld.__name__)

# By both primary keys.
_MOVED = """
    SELECT EXISTS (
        SELECT FROM job_checkpoints c WHERE c.job_id = %(id)s AND c.moved_claim > ALL(
            SELECT a.claim FROM job_attempts a
            WHERE a.job_id = %(id)s AND a.error_class = ANY(%(losses)s)))
"""


def _write(job: JobStatus, statement: str, given: dict[str, Any]) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"id": job.id, "claim": job.claim, **given})
        row: Sequence[Any] | None = cursor.fetchone()
    if row is None:
        raise StaleAttempt(job_id=job.id, claim=job.claim)
    return row


def _taken_over() -> str:
    return f"""
        INSERT INTO job_checkpoints AS c
            (job_id, claim, rows_in, rows_out, rows_rejected, updated_at)
        SELECT j.id, j.claim, 0, 0, 0, {clock.NOW} {_HOLDER}
        ON CONFLICT (job_id) DO UPDATE SET claim = excluded.claim {_FENCE}
        RETURNING c.position::text, c.result::text, {", ".join(f"c.{name}" for name in _COUNTS)}
    """


def _recorded() -> str:
    return f"""
        INSERT INTO job_checkpoints AS c
            (job_id, claim, moved_claim, position, result, rows_in, rows_out, rows_rejected,
                updated_at)
        SELECT j.id, j.claim, CASE WHEN %(position)s IS NOT NULL THEN j.claim END,
            %(position)s::jsonb, %(result)s::jsonb,
            {", ".join(f"coalesce(%({name})s::bigint, 0)" for name in _COUNTS)},
            {clock.NOW} {_HOLDER}
        ON CONFLICT (job_id) DO UPDATE SET
            claim = excluded.claim, position = excluded.position, result = excluded.result,
            moved_claim = CASE WHEN excluded.position IS DISTINCT FROM c.position
                THEN coalesce(excluded.moved_claim, c.moved_claim) ELSE c.moved_claim END,
            {", ".join(f"{name} = coalesce(%({name})s::bigint, c.{name})" for name in _COUNTS)},
            updated_at = excluded.updated_at {_FENCE}
        RETURNING c.claim
    """


# Both by primary key. The first alone would not do: it sees the row as it was when the statement
# began, and locks nothing, so that no heartbeat, cancel or rescue waits for a batch.
_HOLDER = "FROM job_statuses j WHERE j.id = %(id)s AND j.claim = %(claim)s AND j.status = 'started'"
_FENCE = "WHERE c.claim <= excluded.claim"


def _position_text(position: Any) -> str:
    text = json_values.written(position)
    if text is None:
        faults = list(islice(json_values.faults(position), 5))
        if faults:
            found = "; ".join(f"{fault['param']} {fault['message']}" for fault in faults)
            raise InvalidCheckpoint(f"A position can't be recorded: {found}.")
        text = json_values.dump(position)
    size_bytes = len(text.encode())
    if size_bytes > MAX_POSITION_BYTES:
        raise InvalidCheckpoint(
            f"A position is {size_bytes:,} bytes of JSON, the limit is {MAX_POSITION_BYTES:,}: "
            "record where the work stands, not the work."
        )
    return text
