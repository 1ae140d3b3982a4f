"""The rows of new jobs: what stands in them, the statements that insert them, their instances."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models.base import ModelState

from jobs.dispatch.bonds import FREE, Bond
from jobs.models import JobStatus, clock, prepared
from jobs.spec import JobSpec
from jobs.statuses import HeldBy, Status
from jobs.values import value

# Of one statement; the params of a thousand jobs may be a gigabyte, which none would hold.
MAX_ROWS = 1_000
MAX_CHARACTERS = 16 * 1024 * 1024

# Preparing costs what some five uses then save; a web process may have a connection a request.
USES_UNPREPARED = 4


@value
class Terms:
    """What rows have in common beside their params; many share one."""

    spec: JobSpec
    queue: str
    max_attempts: int
    tags: tuple[str, ...]
    created_by_id: Any
    schedule: str
    logical_time: datetime | None
    run_at: datetime | None  # it or `wait_seconds`, or neither: at once
    wait_seconds: float | None
    bond: Bond


class Draft(NamedTuple):
    """A row before it is inserted."""

    job_id: UUID
    id_text: str
    params: dict[str, Any]
    params_json: str  # the same, compact: no line break stands in it
    terms: Terms


class _Moments(NamedTuple):
    """What only the database knows of a new row."""

    created_at: datetime
    due_at: datetime
    status: str


def rows(drafts: Sequence[Draft]) -> list[JobStatus]:
    """Insert a row for each of `drafts`, all or none; one statement for each thousand.

    Becomes queued, or scheduled where it is due later by the database's clock, or waiting where it
    is held. Joins the caller's transaction; without one, and where it takes several statements,
    opens its own.
    """
    if len(drafts) == 1 and drafts[0].terms.bond is FREE:
        # One alone costs less as the plain statement that it is.
        return [row(drafts[0])]
    chunks = list(_chunks(drafts))
    several = len(chunks) > 1
    with transaction.atomic(savepoint=False) if several else contextlib.nullcontext():
        return [job for chunk in chunks for job in _insert_many(chunk)]


def _chunks(drafts: Sequence[Draft]) -> Iterator[Sequence[Draft]]:
    begin, size = 0, 0
    for number, draft in enumerate(drafts):
        size += len(draft.params_json)
        if number - begin == MAX_ROWS or (size > MAX_CHARACTERS and number > begin):
            yield drafts[begin:number]
            begin, size = number, len(draft.params_json)
    if begin < len(drafts):
        yield drafts[begin:]


def row(draft: Draft) -> JobStatus:
    """Insert the row of `draft`, which nothing holds, as `rows` does."""
    terms = draft.terms
    values = {"id": draft.id_text, "params": draft.params_json, **_columns(terms)}
    with connection.cursor() as cursor:
        if terms.run_at is not None or terms.wait_seconds is not None:
            cursor.execute(_one_timed(clock.NOW), values)
            moments = _Moments(*cursor.fetchone())
        else:
            is_plain = terms.created_by_id is None and not (terms.tags or terms.schedule)
            text, types = _one(clock.NOW, is_plain=is_plain), _types(is_plain=is_plain)
            prepared.execute(cursor, text, types, values, plan="", after_uses=USES_UNPREPARED)
            [now] = cursor.fetchone()
            moments = _Moments(now, now, Status.QUEUED)
    return _job(draft, _shared(terms, moments))


def _insert_many(drafts: Sequence[Draft]) -> list[JobStatus]:
    terms_by_id = {id(draft.terms): draft.terms for draft in drafts}
    numbers = {identity: number for number, identity in enumerate(terms_by_id)}
    values = {
        "ids": ",".join([draft.id_text for draft in drafts]),
        "params": "\n".join([draft.params_json for draft in drafts]),
        "numbers": ",".join([str(numbers[id(draft.terms)]) for draft in drafts]),
        "terms": json.dumps(
            [
                {
                    "number": number,
                    "held_by": _held_by(terms),
                    "has_dependents": terms.bond.has_dependents,
                    **_columns(terms),
                }
                for number, terms in enumerate(terms_by_id.values())
            ],
            default=str,
        ),
    }
    with connection.cursor() as cursor:
        cursor.execute(_many(clock.NOW), values)
        moments = {number: _Moments(*found) for number, *found in cursor.fetchall()}
    shared_by_terms = {
        identity: _shared(terms, moments[numbers[identity]])
        for identity, terms in terms_by_id.items()
    }
    return [_job(draft, shared_by_terms[id(draft.terms)]) for draft in drafts]


def _columns(terms: Terms) -> dict[str, Any]:
    return {
        "job_class": terms.spec.name,
        "queue": terms.queue,
        "max_attempts": terms.max_attempts,
        "tags": list(terms.tags),
        "created_by_id": terms.created_by_id,
        "schedule": terms.schedule,
        "logical_time": terms.logical_time,
        "run_at": terms.run_at,
        "wait_seconds": terms.wait_seconds,
    }


def _held_by(terms: Terms) -> str:
    return HeldBy.DEPENDENCY if terms.bond.is_held else ""


def _shared(terms: Terms, moments: _Moments) -> dict[str, Any]:
    """Return what the instances of rows with these terms have in common, tags aside."""
    return _defaults() | {
        "job_class": terms.spec.name,
        "queue": terms.queue,
        "status": moments.status,
        "max_attempts": terms.max_attempts,
        "created_at": moments.created_at,
        "updated_at": moments.created_at,
        "due_at": moments.due_at,
        "created_by_id": terms.created_by_id,
        "schedule": terms.schedule,
        "logical_time": terms.logical_time,
        "held_by": _held_by(terms),
        "has_dependents": terms.bond.has_dependents,
    }


@cache
def _defaults() -> dict[str, Any]:
    return {field.attname: field.get_default() for field in JobStatus._meta.concrete_fields}


def _job(draft: Draft, shared: dict[str, Any]) -> JobStatus:
    # As Django makes one that it unpickles: JobStatus() would be the dearest part of a job of many.
    job = JobStatus.__new__(JobStatus)
    state = ModelState()
    state.adding, state.db = False, DEFAULT_DB_ALIAS
    job.__dict__ = {
        "_state": state,
        **shared,
        "id": draft.job_id,
        "params": draft.params,
        "tags": list(draft.terms.tags),
    }
    return job


_COLUMNS = """
    id, job_class, queue, params, status, attempt, max_attempts, claim, losses, interruptions,
    created_at, updated_at, due_at, cancel_requested_by, cancel_reason, error, tags, held_by,
    created_by_id, schedule, logical_time
"""


_SELDOM = {
    "tags": "%(tags)s::text[]",
    "created_by_id": "%(created_by_id)s",
    "schedule": "%(schedule)s",
    "logical_time": "%(logical_time)s",
}
# Said in the statement itself they cost nothing to send and to read.
_PLAIN = {"tags": "'{}'", "created_by_id": "NULL", "schedule": "''", "logical_time": "NULL"}


@cache
def _one(now: str, *, is_plain: bool) -> str:
    seldom = _PLAIN if is_plain else _SELDOM
    return _values(now, due_at=now, status="'queued'", seldom=seldom) + " RETURNING created_at"


@cache
def _one_timed(now: str) -> str:
    due_at = _due_at(now, run_at="%(run_at)s::timestamptz", wait="%(wait_seconds)s::float8")
    values = _values(now, due_at=due_at, status=_timed(now, due_at), seldom=_SELDOM)
    return values + " RETURNING created_at, due_at, status"


def _values(now: str, *, due_at: str, status: str, seldom: Mapping[str, str]) -> str:
    return f"""
        INSERT INTO job_statuses ({_COLUMNS}) VALUES (
            %(id)s, %(job_class)s, %(queue)s, %(params)s::jsonb, {status},
            0, %(max_attempts)s, 0, 0, 0, {now}, {now}, {due_at}, '', '', '', {seldom["tags"]}, '',
            {seldom["created_by_id"]}, {seldom["schedule"]}, {seldom["logical_time"]})
    """


@cache
def _types(*, is_plain: bool) -> dict[str, str]:
    types = {
        "id": "uuid",
        "job_class": "text",
        "queue": "text",
        "params": "jsonb",
        "max_attempts": "int",
    }
    if is_plain:
        return types
    return types | {
        "tags": "text[]",
        "created_by_id": str(JobStatus._meta.get_field("created_by").db_type(connection)),
        "schedule": "text",
        "logical_time": "timestamptz",
    }


@cache
def _many(now: str) -> str:
    user_type = JobStatus._meta.get_field("created_by").db_type(connection)
    due_at = _due_at(now, run_at="given.run_at", wait="given.wait_seconds")
    return f"""
        WITH terms AS MATERIALIZED (
            SELECT given.*, {due_at} AS due_at
            FROM jsonb_to_recordset(%(terms)s::jsonb) AS given(
                number text, job_class text, queue text, max_attempts int, tags text[],
                created_by_id {user_type}, schedule text, logical_time timestamptz,
                run_at timestamptz, wait_seconds float8, held_by text, has_dependents bool)
        ), made AS (
            INSERT INTO job_statuses ({_COLUMNS}, has_dependents)
            SELECT
                new.id::uuid, t.job_class, t.queue, new.params::jsonb, {_status(now, "t")},
                0, t.max_attempts, 0, 0, 0, {now}, {now}, t.due_at, '', '', '', t.tags, t.held_by,
                t.created_by_id, t.schedule, t.logical_time, t.has_dependents
            FROM ROWS FROM (
                string_to_table(%(ids)s, ','),
                string_to_table(%(params)s, E'\\n'),
                string_to_table(%(numbers)s, ',')
            ) AS new(id, params, number)
            JOIN terms AS t USING (number)
        )
        SELECT number::int, {now}, t.due_at, {_status(now, "t")} FROM terms t
    """


def _due_at(now: str, *, run_at: str, wait: str) -> str:
    return f"greatest({now}, coalesce({run_at}, {now} + make_interval(secs => {wait})))"


def _status(now: str, terms: str) -> str:
    timed = _timed(now, f"{terms}.due_at")
    return f"CASE WHEN {terms}.held_by <> '' THEN 'waiting' ELSE {timed} END"


def _timed(now: str, due_at: str) -> str:
    return f"CASE WHEN {due_at} > {now} THEN 'scheduled' ELSE 'queued' END"
