"""The leader lease: which process does the duties."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from jobs import conf
from jobs.models import Lease, clock

logger = logging.getLogger("jobs.maintenance")

LEASE = "duties"
# A leader asks for its lease so many times before it would end.
RENEWALS = 4
# Another leader's lease may be longer than ours, during a deploy that changes it; not much longer.
_BELIEVED_LEASES = 10


@dataclass(slots=True, kw_only=True)
class Leadership:
    """Whether this process leads, by its own clock: never longer than the lease it was given."""

    holder_id: UUID
    name: str
    leads_until: float = 0.0  # of `uptime`
    said: bool = False  # what the log was last told; a lease may also end by itself

    @property
    def leads(self) -> bool:
        """Whether the lease is ours now."""
        return uptime() < self.leads_until

    def seek(self) -> None:
        """Take or renew the lease."""
        asked_at = uptime()
        if take_or_renew(self.holder_id, self.name):
            self.leads_until = asked_at + conf.current().leader_lease.total_seconds()
        else:
            self.leads_until = 0.0
        if self.leads != self.said:
            self.said = self.leads
            logger.info("%s %s the duties", self.name, "does" if self.leads else "no longer does")

    def resign(self) -> None:
        """Let another one lead at once."""
        if self.leads:
            release(self.holder_id)
            self.leads_until = 0.0


def uptime() -> float:
    """Return the seconds since this machine's start, those that it was suspended included."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def take_or_renew(holder_id: UUID, name: str) -> bool:
    """Take the lease if nobody holds it, renew it if we do; return whether it is ours now.

    One statement by primary key, in autocommit. Somebody else's lease is read, not locked.

    Args:
        holder_id: Who asks; fresh for each process that does duties.
        name: Its label, for people.
    """
    lease_seconds = conf.current().leader_lease.total_seconds()
    with connection.cursor() as cursor:
        cursor.execute(
            _take(),
            [
                *(LEASE, holder_id, name[:200], lease_seconds),
                *(LEASE, holder_id, lease_seconds),
                lease_seconds,
            ],
        )
        return cursor.fetchone() is not None


def release(holder_id: UUID) -> None:
    """Give the lease back, if it is ours, so that the next holder need not wait for its end."""
    Lease.objects.filter(name=LEASE, holder=holder_id).delete()


def _take() -> str:
    # Two that find it expired both come to the row; the second sees the first's and moves nothing.
    # One that ends in a far future is from before the database's clock was set back: nobody's.
    wall = clock.WALL
    lasts = f"BETWEEN {wall} AND {wall} + {_BELIEVED_LEASES} * make_interval(secs => %s)"
    return f"""
        INSERT INTO job_leases AS l (name, holder, holder_name, expires_at)
        SELECT %s, %s, %s, {wall} + make_interval(secs => %s)
        WHERE NOT EXISTS (
            SELECT 1 FROM job_leases WHERE name = %s AND holder <> %s AND expires_at {lasts})
        ON CONFLICT (name) DO UPDATE SET
            holder = excluded.holder, holder_name = excluded.holder_name,
            expires_at = excluded.expires_at
        WHERE l.holder = excluded.holder OR l.expires_at NOT {lasts}
        RETURNING 1
    """
