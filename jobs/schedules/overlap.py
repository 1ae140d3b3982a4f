"""What a moment does while jobs of the moments before it are still living."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.db import connection

from jobs.models import Schedule
from jobs.schedules.moments.missed import Handled
from jobs.values import value

Overlap = Schedule.Overlap

# So many living jobs of one schedule are looked at, the newest.
MAX_LIVING = 1_000


@value
class Living:
    """A run of which jobs are living."""

    logical_time: datetime
    job_ids: tuple[UUID, ...]
    waits: bool  # it has not begun: it depends on a run before it


@value
class Decision:
    """What a moment is to do."""

    skipped: str = ""  # why it makes no job; empty: it makes one
    depends_on: tuple[UUID, ...] = ()  # its job starts when these have ended
    cancels: tuple[UUID, ...] = ()
    reason: str = ""  # what was done to others, or what it waits for


class Lane:
    """The living runs of one schedule, as its moments find them one after the other.

    Args:
        policy: The schedule's.
        living: Oldest first.
    """

    def __init__(self, policy: str, living: Iterable[Living]) -> None:
        self._policy = policy
        self._living = list(living)

    def add(self, run: Living) -> None:
        """Note a run that is being made: the next moment finds it living."""
        self._living.append(run)

    def decide(self, handled: Handled) -> Decision:
        """Return what a moment that is to be made does.

        One that is made late because of the catch-up window is never skipped for an overlap, and
        cancels nobody: it waits for what is before it, unless the schedule allows overlaps.
        """
        if not self._living or self._policy == Overlap.ALLOW:
            return Decision()
        if handled.is_late or self._policy == Overlap.QUEUE_ALL:
            return self._wait()
        if self._policy == Overlap.QUEUE:
            return self._wait_alone()
        return self._cancel() if self._policy == Overlap.CANCEL_RUNNING else self._skip()

    def _skip(self) -> Decision:
        newest = self._living[-1]
        return Decision(skipped=f"overlap is skip: the run of {newest.logical_time} still lives")

    def _wait_alone(self) -> Decision:
        for run in self._living:
            if run.waits:
                why = f"overlap is queue: the run of {run.logical_time} waits already"
                return Decision(skipped=why)
        return self._wait()

    def _wait(self) -> Decision:
        newest = self._living[-1]
        # Those that wait wait for each other: the newest of them is behind them all.
        before = [run for run in self._living if run is newest or not run.waits]
        return Decision(
            depends_on=_newest(before),
            reason=f"waits for the run of {newest.logical_time}",
        )

    def _cancel(self) -> Decision:
        ids = tuple(job_id for run in self._living for job_id in run.job_ids)
        moments = ", ".join(str(run.logical_time) for run in self._living[-3:])
        before = _newest(self._living)
        return Decision(depends_on=before, cancels=ids, reason=f"cancelled the run of {moments}")


def _newest(living: Sequence[Living]) -> tuple[UUID, ...]:
    """Return the jobs of these runs, at most the MAX_LIVING newest."""
    ids = (job_id for run in reversed(living) for job_id in run.job_ids)
    return tuple(islice(ids, MAX_LIVING))


def lanes(schedules: Sequence[Schedule]) -> Mapping[str, Lane]:
    """Return the lane of each of `schedules`, by name: one statement for all that need one.

    A backfill's runs are none: they go beside the schedule's own.
    """
    names = [row.name for row in schedules if row.overlap != Overlap.ALLOW]
    living_by_name: dict[str, list[Living]] = {row.name: [] for row in schedules}
    if names:
        for name, run in _living(names):
            living_by_name[name].append(run)
    return {row.name: Lane(row.overlap, living_by_name[row.name]) for row in schedules}


def thinned(policy: str, moments: Sequence[Handled]) -> Iterator[Handled]:
    """Yield `moments`; of several on time that would cancel each other only the newest is made."""
    newest = moments[-1].moment
    for handled in moments:
        is_overtaken = handled.is_made and not handled.is_late and handled.moment < newest
        if policy == Overlap.CANCEL_RUNNING and is_overtaken:
            why = f"overlap is cancel_running: {newest} has come as well"
            yield Handled(moment=handled.moment, reason=why)
        else:
            yield handled


def _living(names: Sequence[str]) -> Iterator[tuple[str, Living]]:
    """Yield the living runs of these schedules, oldest first (job_statuses_living_runs)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT given.name, job.logical_time, array_agg(job.id), bool_or(job.waits)
            FROM unnest(%s::text[]) AS given(name), LATERAL (
                SELECT j.id, j.logical_time,
                    j.id = r.job_id AND j.status = 'waiting' AND j.held_by = 'dependency' AS waits
                FROM job_statuses j JOIN job_schedule_runs r
                    ON r.schedule_name = j.schedule AND r.logical_time = j.logical_time
                WHERE j.schedule = given.name AND j.schedule <> '' AND j.finished_at IS NULL
                    AND r.kind <> 'backfill'
                ORDER BY j.logical_time DESC LIMIT %s
            ) AS job
            GROUP BY given.name, job.logical_time ORDER BY job.logical_time
            """,
            [list(names), MAX_LIVING],
        )
        for name, moment, ids, waits in cursor.fetchall():
            yield name, Living(logical_time=moment, job_ids=tuple(ids), waits=bool(waits))
