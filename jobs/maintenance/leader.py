"""The leader lease: which process does the duties."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from jobs import conf
from jobs.models import Lease, clock

LEASE = "duties"


def take_or_renew(holder_id: UUID, name: str) -> bool:
    """Take the lease if nobody holds it, renew it if we do; return whether it is ours now.

    One statement by primary key, in autocommit. Somebody else's lease is read, not locked.

    Args:
        holder_id: Who asks; fresh for each process that does duties.
        name: Its label, for people.
    """
    lease_seconds = conf.current().lease.total_seconds()
    with connection.cursor() as cursor:
        cursor.execute(_take(), [LEASE, holder_id, name[:200], lease_seconds, LEASE, holder_id])
        return cursor.fetchone() is not None


def release(holder_id: UUID) -> None:
    """Give the lease back, if it is ours, so that the next holder need not wait for its end."""
    Lease.objects.filter(name=LEASE, holder=holder_id).delete()


def _take() -> str:
    # Two that find it expired both come to the row; the second sees the first's and moves nothing.
    wall = clock.WALL
    return f"""
        INSERT INTO job_leases AS l (name, holder, holder_name, expires_at)
        SELECT %s, %s, %s, {wall} + make_interval(secs => %s)
        WHERE NOT EXISTS (
            SELECT 1 FROM job_leases WHERE name = %s AND holder <> %s AND expires_at > {wall})
        ON CONFLICT (name) DO UPDATE SET
            holder = excluded.holder, holder_name = excluded.holder_name,
            expires_at = excluded.expires_at
        WHERE l.holder = excluded.holder OR l.expires_at <= {wall}
        RETURNING 1
    """
