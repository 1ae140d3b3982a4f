"""How long a job class keeps its ended jobs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """A job class's own retention by status; what is None follows settings.JOBS.

    timedelta.max keeps for ever.
    """

    completed: timedelta | None = None
    failed: timedelta | None = None
    cancelled: timedelta | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            kept = getattr(self, field.name)
            if kept is not None and not (isinstance(kept, timedelta) and kept > timedelta(0)):
                raise ValueError(
                    f"Retention: {field.name} must be a positive timedelta (timedelta.max keeps "
                    f"for ever) or None, not {kept!r}"
                )

    @classmethod
    def of_all(cls, kept: timedelta) -> Retention:
        """Return the retention that keeps ended jobs for `kept`, whatever they ended with."""
        return cls(completed=kept, failed=kept, cancelled=kept)
