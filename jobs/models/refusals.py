"""What PostgreSQL refuses of one row, and would not refuse of another."""

from __future__ import annotations

# By the first two letters of the code: the data, a constraint, what a trigger raises; and a row
# that is damaged.
_CLASSES = ("22", "23", "P0", "XX001")


def is_of_a_row(error: BaseException) -> bool:
    """Whether `error`, of Django's, is about a row: what was asked with others is asked apart."""
    return str(getattr(error.__cause__, "pgcode", None) or "").startswith(_CLASSES)


def words(error: BaseException) -> str:
    """Return what PostgreSQL says, in one line, without the place in a trigger's code."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
