"""Statements that PostgreSQL has parsed and planned before: of the hot path, where that pays."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DatabaseError
from django.db.backends.utils import CursorWrapper

from jobs import conf

# Each connection's own; gone with it. Of text -> call, and of text -> how often it went unprepared.
_calls: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
_uses: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()
_PARAMETER = re.compile(r"%\((\w+)\)s")

# What the server says of a statement it no longer has (a job may have said DISCARD ALL), and of one
# whose columns a migration has changed.
_FORGOTTEN, _OUTDATED = "26000", "0A000"
# Another process has prepared it on this server process, which a pooler then handed on to us.
_THERE = "42P05"

# A plan that is kept is one for any table. It would be made for an empty one, and be a scan of all
# of it when a thousand times as many rows stand there.
_PLAN = "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; "


def execute(
    cursor: CursorWrapper,
    text: str,
    types: Mapping[str, str],
    values: Mapping[str, Any],
    *,
    plan: str = _PLAN,
    after_uses: int = 0,
) -> None:
    """Execute a statement: one round trip, one commit.

    Prepared in autocommit only, and not behind a transaction pooler, where the next transaction may
    be another server process's.

    Args:
        cursor: Of Django's connection.
        text: With a %(name)s for each parameter.
        types: The SQL type of each.
        values: Of each.
        plan: Settings that it is planned and executed with; none where it reads no table.
        after_uses: How often a connection says it in full first: a short one's last use of it would
            have paid for nothing.
    """
    connection = cursor.db
    is_own = connection.autocommit and not connection.in_atomic_block
    if (
        conf.current().behind_pooler
        or not is_own
        or _is_seldom(connection.connection, text, after_uses)
    ):
        cursor.execute(text, values)
        return
    try:
        cursor.execute(_call(connection.connection, text, types, plan), values)
    except DatabaseError as error:
        code = getattr(error.__cause__, "pgcode", None)
        if code not in {_FORGOTTEN, _OUTDATED, _THERE}:
            raise
        if code != _THERE:
            _calls.pop(connection.connection, None)
        if code == _OUTDATED:
            with contextlib.suppress(DatabaseError):  # a pooler's next server process has none
                cursor.execute(f"DEALLOCATE {_name(text, types)}")
        # In full, which none can refuse: behind a pooler that nobody has declared, this may come to
        # yet another server process.
        cursor.execute(text, values)


def _is_seldom(connection: Any, text: str, after_uses: int) -> bool:
    if not after_uses:
        return False
    uses = _uses.setdefault(connection, {})
    uses[text] = uses.get(text, 0) + 1
    return uses[text] <= after_uses


def _call(connection: Any, text: str, types: Mapping[str, str], plan: str) -> str:
    calls = _calls.setdefault(connection, {})
    if text in calls:
        return calls[text]
    name = _name(text, types)
    number_by_name = {name: f"${number}" for number, name in enumerate(types, start=1)}
    body = _PARAMETER.sub(lambda match: number_by_name[match[1]], text)
    given = ", ".join(f"%({name})s" for name in types)
    calls[text] = f"{plan}EXECUTE {name} ({given})"
    return f"PREPARE {name} ({', '.join(types.values())}) AS {body}; {calls[text]}"


def _name(text: str, types: Mapping[str, str]) -> str:
    # A digest: another process' statement of the same name is the same statement.
    digest = hashlib.sha1(f"{text}{types}".encode(), usedforsecurity=False).hexdigest()
    return f"jobs_{digest[:16]}"
