"""Schedule rows: made, changed and deleted, each with its history."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.models import Schedule
from jobs.schedules import history, tick
from jobs.schedules.declaration import Declared
from jobs.schedules.history import Hand
from jobs.schedules.moments import cron
from jobs.schedules.rules import rule_of

# What says when it is due; the rest says what is made then.
_OF_THE_RULE = ("crons", "every", "timezone", "start_at", "end_at", "enabled")


def insert(declared: Sequence[Declared], source: Schedule.Source, hand: Hand) -> list[Schedule]:
    """Make rows, whose first moments are yet to come. Call inside a transaction."""
    rows = [
        Schedule(
            name=item.name,
            source=source,
            **item.columns(),
            next_at=cron.next_after(item.rule, hand.at) if item.enabled else None,
            synced_at=hand.at,
        )
        for item in declared
    ]
    Schedule.objects.bulk_create(rows)
    changes = [(row.name, history.difference(None, row)) for row in rows]
    history.record_all(changes, "created", hand)
    return rows


def change(row: Schedule, declared: Declared, source: Schedule.Source, hand: Hand) -> bool:
    """Make a row say what is declared. Call inside a transaction that has locked it.

    Where its rule has changed, what was due under the old one is handled first, as the policies say
    that are declared now; then it goes on from now. Otherwise it keeps its next moment: what was
    missed is still missed. A pause stays.

    Returns:
        Whether there was anything to change.
    """
    before = copy.copy(row)
    columns = declared.columns()
    _set(row, {key: to for key, to in columns.items() if key not in _OF_THE_RULE})
    has_same_rule = rule_of(row) == declared.rule
    if not has_same_rule and declared.enabled:
        tick.settle(row)
    _set(row, {"source": source, **columns})
    what = history.difference(before, row)
    if not what:
        return False
    if not declared.enabled:
        row.next_at = None
    elif not (has_same_rule and before.enabled):
        row.next_at = cron.next_after(declared.rule, hand.at)
    row.synced_at = hand.at
    row.save()
    history.record(row.name, "changed", hand, what)
    return True


def delete(rows: Sequence[Schedule], hand: Hand) -> None:
    """Delete rows; their runs, jobs and history stay. Call inside a transaction."""
    changes = [(row.name, history.difference(row, None)) for row in rows]
    history.record_all(changes, "deleted", hand)
    Schedule.objects.filter(name__in=[row.name for row in rows]).delete()


def _set(row: Schedule, columns: Mapping[str, Any]) -> None:
    for column, to in columns.items():
        setattr(row, column, to)
