"""The deed of schedules that are due: their runs and jobs, in one transaction, once a moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from jobs.lifecycle import control
from jobs.models import Schedule, ScheduleRun, clock
from jobs.processes.outage import is_postgresql_away
from jobs.schedules import deeds, drafts, making, overlap, strange
from jobs.schedules.drafts import Draft, Wish
from jobs.schedules.moments import missed
from jobs.schedules.moments.missed import Plan
from jobs.values import value

BATCH = 100  # schedules of one transaction
# And so many jobs, and those of one moment more: a workflow may have a thousand.
MAX_JOBS = 2_000

# What a process that is stopped in the middle of a tick holds, others can't make: PostgreSQL ends
# its transaction, in time for them to make it.
_HANGS_MILLISECONDS = 5_000
_SILENCE_SECONDS = 1.0
_PUT_OFF = timedelta(minutes=1)
# So long one tick waits for the row of a job that it is to cancel; then it comes again.
_LOCK_MILLISECONDS = 200


@value
class Made:
    """What one transaction did."""

    count: int  # of the schedules that it moved on
    apart: tuple[str, ...] = ()  # due still: they cancel jobs, which may wait for a row; `run` them


def batch(*, missed_ones: bool = False) -> Made:
    """Handle what is due of up to BATCH schedules, the longest overdue first.

    Opens its own transaction. A schedule that another process handles is left to it.

    Args:
        missed_ones: Handle those whose oldest moment is no longer on time, not the others: a long
            past that somebody catches up with holds up nobody's present.
    """
    with transaction.atomic():
        _set_local("idle_in_transaction_session_timeout", _HANGS_MILLISECONDS)
        return _handle(list(_lock(_due(missed_ones=missed_ones))[:BATCH]))


def due() -> list[str]:
    """Return the names of the schedules that are due, the longest overdue first."""
    return list(_due().values_list("name", flat=True))


def left() -> list[str]:
    """Return the names of those whose moment has come and whose job class is unknown here."""
    come = Schedule.objects.filter(enabled=True, next_at__lte=RawSQL(clock.NOW, ()))
    return list(come.exclude(strange.ripe()).order_by("name").values_list("name", flat=True))


def run(name: str, *, fault: Exception | None = None) -> list[ScheduleRun] | None:
    """Handle what is due of one schedule, one plan of it. Opens its own transaction.

    Args:
        name: The schedule's.
        fault: What came of the last try, and nobody foresaw: the runs that would make a job are
            refused and keep its traceback, without the values of redacted params.

    Returns:
        The new runs; None where it isn't due, or another process is at it.
    """
    with transaction.atomic():
        _set_local("idle_in_transaction_session_timeout", _HANGS_MILLISECONDS)
        _set_local("lock_timeout", _LOCK_MILLISECONDS)
        found = list(_lock(_due().filter(name=name)))
        return _handle_one(found[0], fault) if found else None


def put_off(name: str, fault: Exception) -> None:
    """Refuse the moment of a schedule of which nobody can say when it is due; look again later.

    Opens its own transaction.

    Args:
        name: One whose row somebody has made unreadable: a rule that is none, a zone that is gone.
        fault: What came of reading it; kept on the run.
    """
    with transaction.atomic():
        _set_local("idle_in_transaction_session_timeout", _HANGS_MILLISECONDS)
        for schedule in _lock(_due().filter(name=name)):
            moment = schedule.next_at or clock.read()
            wish = Wish(schedule=schedule, logical_time=moment)
            making.make_many([Draft(wish=drafts.refused(wish, deeds.told(schedule, fault)))])
            _move({name: clock.read() + _PUT_OFF})


def settle(schedule: Schedule) -> None:
    """Handle all that is due of `schedule` by now, as it stands. Call inside a transaction.

    For whoever changes its rule: what was due under the old one is not lost.

    Args:
        schedule: A row that the caller has locked; its next_at moves on.
    """
    while schedule.enabled and schedule.next_at and schedule.next_at <= clock.read():
        try:
            with transaction.atomic():
                _handle_one(schedule, None)
        except Exception as error:
            if is_postgresql_away(error):
                raise
            _handle_one(schedule, error)  # recorded on the runs


def seconds_to_next() -> float | None:
    """Return how long it is until the next moment comes; None if none ever does.

    Zero or below: one has come, and another process is at it.
    """
    ripe = strange.ripe()
    due_now = f"SELECT 1 FROM job_schedules WHERE enabled AND {ripe.sql}"
    later = f"SELECT min(next_at) FROM job_schedules WHERE enabled AND next_at > {clock.NOW}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT CASE WHEN EXISTS ({due_now}) THEN 0
                ELSE extract(epoch FROM ({later}) - {clock.WALL})::float8 END
            """,
            ripe.params,
        )
        (seconds,) = cursor.fetchone()
    return None if seconds is None else float(seconds)


# --- Which ---


def _due(*, missed_ones: bool | None = None) -> QuerySet[Schedule]:
    """Return the schedules that are due, by job_schedules_due; longest overdue first."""
    found = Schedule.objects.filter(strange.ripe(), enabled=True)
    late = RawSQL(f"{clock.NOW} - %s", (missed.ON_TIME,))
    if missed_ones is True:
        found = found.filter(next_at__lt=late)
    elif missed_ones is False:
        found = found.filter(next_at__gte=late)
    return found.order_by("next_at", "name")


def _lock(found: QuerySet[Schedule]) -> QuerySet[Schedule]:
    # A second scheduler that is at it now holds the row: skip it, it is being made. One that has
    # made it has moved next_at: the row no longer fits.
    return found.select_for_update(skip_locked=True, of=("self",))


def _set_local(name: str, milliseconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [name, str(milliseconds)])


# --- What becomes of it ---


def _handle(found: Sequence[Schedule]) -> Made:
    if not found:
        return Made(count=0)
    now = clock.read()
    limit = max(1, missed.MAX_MOMENTS // len(found))
    lanes = overlap.lanes(found)
    wanted: list[Draft] = []
    moved: dict[str, datetime | None] = {}
    apart = []
    life = _Life()
    plans: dict[str, Plan] = {}
    for row in found:
        life.show()
        facts = deeds.facts(row, strange.now_for(row, now))
        plans[row.name] = missed.plan(facts, limit=_limit(row, limit))
    made = making.made_of(
        {name: plan.moments for name, plan in plans.items() if len(plan.moments) > 1}
    )
    for schedule in found:
        if sum(len(draft.requests) for draft in wanted) >= MAX_JOBS:
            break  # the others stay due, and come next
        plan, lane = plans[schedule.name], lanes[schedule.name]
        # One alone that has a run is found out when it is inserted.
        known = made.get(schedule.name, ())
        deed = deeds.of(schedule, plan.moments, lane, made=known, meanwhile=life.show)
        if deed.cancels:
            apart.append(schedule.name)
        else:
            wanted += deed.drafts
            moved[schedule.name] = plan.next_at
    making.make_many(wanted)
    _move(moved)
    return Made(count=len(moved), apart=tuple(apart))


class _Life:
    """Has PostgreSQL hear of this transaction now and then.

    The checks of a job's params are its author's, and those of a hundred may take some time: that
    is not to be taken for a process that is stopped.
    """

    def __init__(self) -> None:
        self._shown_at = time.monotonic()

    def show(self) -> None:
        if time.monotonic() - self._shown_at >= _SILENCE_SECONDS:
            clock.read()
            self._shown_at = time.monotonic()


def _limit(schedule: Schedule, limit: int = missed.MAX_MOMENTS) -> int:
    return max(1, min(limit, MAX_JOBS // max(1, len(schedule.steps or ()))))


def _handle_one(schedule: Schedule, fault: Exception | None) -> list[ScheduleRun]:
    facts = deeds.facts(schedule, strange.now_for(schedule, clock.read()))
    plan = missed.plan(facts, limit=_limit(schedule))
    lane = overlap.lanes([schedule])[schedule.name]
    refusal = None if fault is None else deeds.told(schedule, fault)
    made = making.made_of({schedule.name: plan.moments})[schedule.name]
    deed = deeds.of(
        schedule, plan.moments, lane, made=made, refusal=refusal, meanwhile=_Life().show
    )
    if deed.cancels:
        why = f"overlap is cancel_running: {plan.moments[-1].moment} has come"
        control.cancel(deed.cancels, by=f"schedule {schedule.name}", reason=why)
    runs = making.make_many(deed.drafts)
    _move({schedule.name: plan.next_at})
    schedule.next_at = plan.next_at
    return [run for run in runs if run is not None]


def _move(next_by_name: Mapping[str, datetime | None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE job_schedules s SET next_at = made.next_at
            FROM unnest(%s::text[], %s::timestamptz[]) AS made(name, next_at)
            WHERE s.name = made.name
            """,
            [list(next_by_name), list(next_by_name.values())],
        )
