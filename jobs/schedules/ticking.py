"""All that is due is made, whatever is wrong with one schedule."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from jobs.broker.seldom import Seldom
from jobs.models import locking
from jobs.processes.outage import first_line, is_postgresql_away
from jobs.schedules import strange, tick

logger = logging.getLogger("jobs.schedules")

# lock_not_available
_HELD = "55P03"
# It comes again many times a second.
_held = Seldom(logger, "A schedule needs a row that is held, it stays due: %s")
_NAMED = 10
_left = Seldom(
    logger,
    f"A job class is unknown here: for {strange.PATIENCE.seconds} s other schedulers may make what "
    "is due of %s",
)


def make_due(is_stopping: Callable[[], bool]) -> None:
    """Handle what is due of all schedules. Opens its own transactions.

    What is on time comes first: whoever catches up with a long past holds up nobody's present.
    What another release may know is left to it, and the log says so once a minute.

    Args:
        is_stopping: Asked between two transactions; what is due then stays so.

    Raises:
        DatabaseError: PostgreSQL is away; what is due stays so.
    """
    while not is_stopping():
        if not _made_some(missed_ones=False) and not _made_some(missed_ones=True):
            _tell_what_is_left()
            return


def _made_some(*, missed_ones: bool) -> bool:
    try:
        # A backfill may be making the same moments, in another order.
        made = locking.repeat_on_conflict(partial(tick.batch, missed_ones=missed_ones))
    except Exception as error:
        if is_postgresql_away(error):
            raise
        logger.exception("A batch of ticks failed: making them one by one")
        names = tuple(tick.due()[: tick.BATCH])
        return sum(map(_made_one, names)) > 0
    return made.count + sum(map(_made_one, made.apart)) > 0


def _tell_what_is_left() -> None:
    if _left.is_due and (left := tick.left()):
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        _left.warn(", ".join(left[:_NAMED]) + more)


def _made_one(name: str) -> bool:
    try:
        return locking.repeat_on_conflict(partial(tick.run, name)) is not None
    except Exception as error:
        if getattr(error.__cause__, "pgcode", None) == _HELD:
            _held.warn(f"{name} ({first_line(error)})")
            return False
        if is_postgresql_away(error):
            raise  # not this schedule's fault: it stays due
        return _refused(name, error)


def _refused(name: str, fault: Exception) -> bool:
    """Record on the schedule's runs what nobody foresaw; the other schedules go on."""
    try:
        return tick.run(name, fault=fault) is not None
    except Exception as error:
        if is_postgresql_away(error):
            raise
        logger.exception("Schedule %s can't be read: it is put off", name)
        tick.put_off(name, error)
        return True
