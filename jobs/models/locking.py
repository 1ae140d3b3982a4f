"""Repeat a transaction that PostgreSQL ended because of another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

T = TypeVar("T")

TRIES = 5
# deadlock_detected, serialization_failure: the transaction did nothing and may be repeated.
_CONFLICTS = frozenset({"40P01", "40001"})


def repeat_on_conflict(work: Callable[[], T]) -> T:
    """Return what `work`, a whole transaction, returns; repeat it when it was chosen as victim.

    Inside a caller's transaction nothing is repeated: that transaction is lost and the caller's.
    """
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            return work()
        except OperationalError as error:
            code = getattr(error.__cause__, "pgcode", None)
            if code not in _CONFLICTS or connection.in_atomic_block or not tries_left:
                raise
    raise AssertionError("unreachable")  # the last round returns or raises
