"""Runs that somebody wants, not yet inserted: checked, with the jobs that they would make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from jobs.dispatch.create import Request
from jobs.errors import DispatchError
from jobs.models import Backfill, Schedule, ScheduleRun
from jobs.schedules import requests
from jobs.values import value

Kind = ScheduleRun.Kind
Outcome = ScheduleRun.Outcome


@value
class Wish:
    """A run that somebody wants of a moment."""

    schedule: Schedule
    logical_time: datetime
    kind: Kind = Kind.TICK
    made_by: str = ""
    outcome: Outcome = Outcome.DISPATCHED  # any other makes no job
    reason: str = ""  # of the outcome, for people
    params: Mapping[str, Any] | None = None  # in the place of the schedule's own
    run_at: datetime | None = None  # the job starts no earlier
    depends_on: tuple[UUID, ...] = ()  # the job starts when these have ended, however they ended
    backfill: Backfill | None = None


@value
class Draft:
    """A run before it is inserted, and its jobs, which can be made."""

    wish: Wish
    requests: tuple[Request, ...] = ()

    @property
    def job_ids(self) -> tuple[UUID, ...]:
        """Of its jobs; others of the same call may depend on them."""
        return tuple(request.job_id for request in self.requests if request.job_id is not None)


def draft(wish: Wish) -> Draft:
    """Return the run and its jobs; refused, and without one, where they can't be made."""
    if wish.outcome != Outcome.DISPATCHED:
        return Draft(wish=wish)
    try:
        found = requests.of_moment(
            wish.schedule,
            wish.logical_time,
            params=wish.params,
            run_at=wish.run_at,
            depends_on=wish.depends_on,
        )
    except DispatchError as error:
        return Draft(wish=refused(wish, str(error)))
    return Draft(wish=wish, requests=found)


def refused(wish: Wish, reason: str) -> Wish:
    """Return the wish for a run that says why this one's job can't be made."""
    return replace(wish, outcome=Outcome.REFUSED, reason=reason)


def skipped(wish: Wish, reason: str) -> Wish:
    """Return the wish for a run that makes no job, on purpose."""
    return replace(wish, outcome=Outcome.SKIPPED, reason=reason)
