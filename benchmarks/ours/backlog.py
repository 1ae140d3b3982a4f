"""Fills our tables: millions of ended jobs with their attempts, and of queued ones with entries."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db import connection

from benchmarks.ours import jobs
from jobs.broker import client, keys
from jobs.maintenance import relay

CHUNK = 500_000
PIPELINE = 5_000
QUEUE = "low"

# A version 7 id of the moment, as real ones: they ascend with time.
_ID = """(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
    || lpad(to_hex(g & 4095), 3, '0') || '8' || lpad(to_hex(g), 15, '0'))::uuid"""
# Over the last six days: the prune leaves them alone.
_AT = "now() - interval '6 days' * ((%(all)s - g) / %(all)s::float8)"


def fill(*, finished: int, queued: int) -> None:
    """Multiply a job that has run, and one that waits.

    Call it where exactly one job has run: its row and attempt are the pattern, so that every
    column is what the worker writes.
    """
    with connection.cursor() as cursor:
        # No foreign key is looked up for each row: they fit by construction.
        cursor.execute("SET session_replication_role = replica")
        for first in range(0, finished, CHUNK):
            numbers = {"first": first + 1, "last": min(first + CHUNK, finished), "all": finished}
            _copy("job_statuses", _ended(), numbers)
            _copy("job_attempts", _attempted(), numbers)
        cursor.execute("SET session_replication_role = origin")
    waiting = jobs.Echo.dispatch(value="x", queue=QUEUE)
    for first in range(0, queued, CHUNK):
        numbers = {"first": first + 1, "last": min(first + CHUNK, queued), "all": queued}
        _copy("job_statuses", {"id": _ID, **dict.fromkeys(_TIMES, "at")}, numbers, of=waiting.id)
    _push()
    relay.push_lost()  # the relay has seen this Redis whole, as in a site that has run for a while
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) job_statuses, job_attempts")
        cursor.execute("CHECKPOINT")
    connection.close()


_TIMES = ("created_at", "updated_at", "due_at")


def _ended() -> dict[str, str]:
    return {"id": _ID, **dict.fromkeys((*_TIMES, "started_at", "finished_at"), "at")}


def _attempted() -> dict[str, str]:
    return {"job_id": _ID, **dict.fromkeys(("started_at", "ended_at"), "at")}


def _copy(
    table: str, changes: Mapping[str, str], numbers: Mapping[str, int], of: UUID | None = None
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s "
            "AND is_identity = 'NO' AND is_generated = 'NEVER' AND table_schema = current_schema",
            [table],
        )
        columns = [name for (name,) in cursor.fetchall()]
        values = (changes.get(name, f"one.{name}") for name in columns)
        # The oldest of all where none is named: the one that has run.
        which = f"id = '{of}'" if of else "true"
        cursor.execute(
            f"""
            INSERT INTO {table} ({", ".join(columns)})
            SELECT {", ".join(values)}
            FROM (SELECT * FROM {table} WHERE {which} LIMIT 1) AS one,
                generate_series(%(first)s, %(last)s) AS g,
                LATERAL (SELECT {_AT} AS at) AS moment
            """,
            numbers,
        )


def _push() -> None:
    redis = client.for_work()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id::text, claim FROM job_statuses WHERE queue = %s ORDER BY due_at, id", [QUEUE]
        )
        redis.delete(keys.queue(QUEUE))
        while rows := cursor.fetchmany(PIPELINE):
            with redis.pipeline(transaction=False) as pipe:
                for job_id, claim in rows:
                    pipe.hset(keys.entry(job_id), "claim", claim)
                pipe.rpush(keys.queue(QUEUE), *(job_id for job_id, _ in rows))
                pipe.execute()
