"""Dates and moments as people write them, read in a schedule's time zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from jobs.errors import InvalidBackfill
from jobs.schedules.moments import spans

_FIRST_YEAR, _LAST_YEAR = 1970, 9_000


def stretch(first: str, last: str, *, timezone: str, now: datetime) -> tuple[datetime, datetime]:
    """Return from when to when a stretch of time goes, both included.

    A date alone is the whole day, as the zone has it; today as a last day ends now. A moment
    without a zone is read in `timezone`.

    Args:
        first: "2026-11-01", "2026-11-01T08:00" or "2026-11-01T08:00:00+00:00".
        last: As `first`.
        timezone: The schedule's.
        now: The database's time.

    Raises:
        InvalidBackfill: A text is neither a date nor a moment; the message says what to write.
    """
    zone = ZoneInfo(timezone)
    from_at, to_at = _read(first, "from", zone), _read(last, "to", zone)
    if isinstance(from_at, date) and not isinstance(from_at, datetime):
        from_at = _midnight(from_at, zone)
    if isinstance(to_at, datetime):
        return from_at, to_at
    end = _midnight(to_at + timedelta(days=1), zone) - spans.MICROSECOND
    is_today = to_at == now.astimezone(zone).date()
    return from_at, min(end, now) if is_today else end


def _read(text: str, name: str, zone: ZoneInfo) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidBackfill(
                f"{name}: {text[:100]!r} is neither a date (2026-11-01) nor a moment "
                "(2026-11-01T08:00, or with a zone 2026-11-01T08:00:00+00:00)."
            ) from None
    if isinstance(found, datetime) and found.tzinfo is None:
        found = found.replace(tzinfo=zone)
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise InvalidBackfill(f"{name}: {text[:100]!r} is too far away.")
    return found


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone)
