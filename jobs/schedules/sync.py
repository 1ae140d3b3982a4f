"""From settings.JOB_SCHEDULES to the Schedule rows: added, changed, removed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Q

from jobs.models import Schedule, clock
from jobs.schedules import declaration, rows
from jobs.schedules.declaration import Declared
from jobs.schedules.history import Hand

logger = logging.getLogger("jobs.schedules")

# Who does it, in the history.
BY = "settings"

# Any number that nobody else of this database uses: syncs take turns, ticks don't wait for them.
_SYNC_LOCK = 7_064_862_113
_MOST_NAMED = 10  # in a line of the log


def sync() -> None:
    """Make the rows say what the settings say. Opens its own transaction.

    To be called once a process, at its start: a process of an older release that did it again would
    undo what a newer one has read.

    What is unchanged keeps its next tick, so ticks missed while no scheduler ran are noticed; a new
    schedule, one with a new rule and one enabled again start from now. A row of the settings that
    they don't name any more is deleted; its runs and its history stay. An unreadable entry is
    logged, and its row left as it is. Rows made in the admin are left alone, but one whose name the
    settings claim is theirs from then on.
    """
    declared = declaration.sound()
    with transaction.atomic():
        _take_turn()
        hand = Hand(by=BY, at=clock.read())
        present = _present(declared)
        new = [item for item in declared if item.name not in present]
        rows.insert(new, Schedule.Source.SETTINGS, hand)
        changed = [item for item in declared if _change(item, present.get(item.name), hand)]
        named = set(declaration.entries())
        gone = [row for name, row in present.items() if name not in named]
        rows.delete(gone, hand)
        Schedule.objects.filter(source=Schedule.Source.SETTINGS).update(synced_at=hand.at)
    _log_flaws()
    logger.info(
        "Schedules: %d registered, %s, %s, %s",
        len(declared),
        _told("new", [item.name for item in new]),
        _told("changed", [item.name for item in changed]),
        _told("removed", [row.name for row in gone]),
    )


def _take_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_SYNC_LOCK])


def _present(declared: Sequence[Declared]) -> dict[str, Schedule]:
    """Return, locked, the rows of the settings and those whose names they claim."""
    theirs = Q(source=Schedule.Source.SETTINGS) | Q(name__in=[item.name for item in declared])
    found = Schedule.objects.select_for_update().filter(theirs).order_by("name")
    return {row.name: row for row in found}


def _change(item: Declared, row: Schedule | None, hand: Hand) -> bool:
    if row is None:
        return False
    if not row.is_of_settings:
        logger.error(
            "Schedule %s was made in the admin, and JOB_SCHEDULES declares one of that name: the "
            "settings hold now; what it was is in its history.",
            row.name,
        )
    return rows.change(row, item, Schedule.Source.SETTINGS, hand)


def _told(what: str, names: Sequence[str]) -> str:
    if not names:
        return f"0 {what}"
    more = ", ..." if len(names) > _MOST_NAMED else ""
    return f"{len(names)} {what} ({', '.join(names[:_MOST_NAMED])}{more})"


def _log_flaws() -> None:
    for name, entry in declaration.entries().items():
        for flaw in declaration.read(name, entry)[1]:
            logger.error(
                "%s (%s) It is left as it was. %s",
                flaw.in_settings(name),
                flaw.check_id,
                flaw.hint,
            )
