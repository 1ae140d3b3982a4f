"""The birth of jobs that depend on others: their rows, the edges, and what follows the commit."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction

from jobs.broker.seldom import Seldom
from jobs.dispatch import advance, insert
from jobs.dispatch.bonds import Bonds
from jobs.dispatch.insert import Draft
from jobs.models import JobStatus, locking

logger = logging.getLogger("jobs.dispatch")
_late = Seldom(logger, "PostgreSQL can't be told at once that a job has dependents: %s")

# What the moves after the commit may have changed of a row that the caller has in hand.
_MOVED = ("status", "held_by", "claim", "due_at", "updated_at", "finished_at", "error")


def rows(drafts: Sequence[Draft], bonds: Bonds) -> list[JobStatus]:
    """Insert `drafts` and their edges, all or none. Joins the caller's transaction, or opens one.

    A job becomes waiting where one that it depends on has not completed. What has ended meanwhile,
    or had failed before, is looked at once the transaction has committed; until then no row of a
    parent is written or locked.
    """
    with transaction.atomic(savepoint=False):
        jobs = insert.rows(drafts)
        _insert_edges(drafts)
        held = [job for job in jobs if job.held_by]
        if held and bonds.outside:
            transaction.on_commit(partial(_after_commit, bonds, held), robust=True)
    return jobs


def _insert_edges(drafts: Sequence[Draft]) -> None:
    step_by_id = {draft.job_id: draft.terms.bond.step for draft in drafts}
    edges = [
        (
            draft.id_text,
            str(parent),
            number,
            bond.step,
            step_by_id.get(parent, ""),
            bond.on_parent_failure,
        )
        for draft in drafts
        for bond in (draft.terms.bond,)
        for number, parent in enumerate(bond.depends_on)
    ]
    columns = [list(column) for column in zip(*edges, strict=True)]
    if not columns:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO job_dependencies
                (job_id, parent_id, number, step, parent_step, on_parent_failure)
            SELECT * FROM unnest(
                %s::uuid[], %s::uuid[], %s::int[], %s::text[], %s::text[], %s::text[])
            """,
            columns,
        )


def _after_commit(bonds: Bonds, held: Sequence[JobStatus]) -> None:
    try:
        _mark(bonds.outside)
        # An end from before the mark was followed by no look at these; one that comes after it is.
        moved = advance.check([job.id for job in held])
        _refresh(held, moved)
    except (DatabaseError, InterfaceError) as error:
        _late.warn(error)  # the duty finds them


def _mark(parent_ids: Iterable[UUID]) -> None:
    locking.repeat_on_conflict(partial(_execute_mark, sorted(parent_ids)))


def _execute_mark(parent_ids: list[UUID]) -> None:
    # Whose row somebody holds goes without: its dependents are the duty's.
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH locked AS MATERIALIZED (
                SELECT id FROM job_statuses WHERE id = ANY(%s) AND NOT has_dependents
                ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE job_statuses j SET has_dependents = true FROM locked l WHERE j.id = l.id
            """,
            [parent_ids],
        )


def _refresh(held: Sequence[JobStatus], moved: Iterable[UUID]) -> None:
    now_by_id = JobStatus.objects.only(*_MOVED).in_bulk(list(moved))
    for job in held:
        if job.id in now_by_id:
            for name in _MOVED:
                setattr(job, name, getattr(now_by_id[job.id], name))
