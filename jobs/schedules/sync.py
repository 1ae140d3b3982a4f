"""From settings.JOB_SCHEDULES to the Schedule rows: added, changed, removed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db import connection, transaction

from jobs.models import Schedule, clock
from jobs.schedules import cron, declaration
from jobs.schedules.declaration import Declared
from jobs.schedules.rules import rule_of

logger = logging.getLogger("jobs.schedules")

# Any number that nobody else of this database uses: syncs take turns, ticks don't wait for them.
_SYNC_LOCK = 7_064_862_113


def sync() -> None:
    """Make the rows say what the settings say. Opens its own transaction.

    A schedule whose rule is unchanged keeps its next tick, so ticks missed while no scheduler ran
    are noticed; a new one, one with a new rule and one enabled again start from now. A row that the
    settings don't name is deleted; its runs stay. An unreadable entry is logged and left out.
    """
    _log_flaws()
    declared = declaration.sound()
    with transaction.atomic():
        _take_turn()
        now = clock.read()
        rows = Schedule.objects.select_for_update().order_by("name")
        present = {row.name: row for row in rows}
        gone = sorted(set(present) - {item.name for item in declared})
        Schedule.objects.filter(name__in=gone).delete()
        _write([_row(item, present, now) for item in declared])
    logger.info(
        "Schedules: %d registered, %d new, %d removed",
        len(declared),
        len({item.name for item in declared} - set(present)),
        len(gone),
    )


def _take_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SYNC_LOCK])


def _row(item: Declared, present: Mapping[str, Schedule], now: datetime) -> Schedule:
    return Schedule(
        name=item.name,
        **item.columns(),
        next_at=_next_at(item, present.get(item.name), now),
        synced_at=now,
    )


def _next_at(item: Declared, before: Schedule | None, now: datetime) -> datetime | None:
    if not item.enabled:
        return None
    if before is not None and before.next_at is not None and rule_of(before) == item.rule:
        return before.next_at
    return cron.next_after(item.rule, now)


def _write(rows: list[Schedule]) -> None:
    kept = {"name", "paused_at", "paused_by", "pause_note"}
    columns = [f.name for f in Schedule._meta.concrete_fields if f.name not in kept]
    Schedule.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["name"], update_fields=columns
    )


def _log_flaws() -> None:
    for name, entry in declaration.entries().items():
        for flaw in declaration.read(name, entry)[1]:
            logger.error(
                "%s (%s) It is left out. %s", flaw.in_settings(name), flaw.check_id, flaw.hint
            )
