"""Millions of rows as years of use would leave them, made in the database."""

from __future__ import annotations

from django.db import connection

STEP = 500_000
TABLES = ("job_statuses", "job_attempts")
WORKER = "01900000-0000-7000-8000-000000000001"


def fill(*, finished: int, queued: int) -> None:
    """Insert ended jobs with their attempts, then a backlog that is newer; where no job is yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM job_statuses)")
        (there,) = cursor.fetchone()
        if there or not finished + queued:
            return
        cursor.execute(_V7)
        for first in range(1, finished + 1, STEP):
            last = min(first + STEP - 1, finished)
            cursor.execute(_ENDED, [first, last])
        cursor.execute(_ATTEMPTS)
        for first in range(1, queued + 1, STEP):
            cursor.execute(_QUEUED, [first, min(first + STEP - 1, queued)])
        for table in TABLES:
            cursor.execute(f"ANALYZE {table}")


def come_to_rest() -> None:
    """Vacuum what was filled, as time would."""
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"VACUUM {table}")
        cursor.execute("CHECKPOINT")


# Ids as our processes make them: they ascend with the time.
_V7 = """
    CREATE OR REPLACE FUNCTION pg_temp.v7(at timestamptz) RETURNS uuid LANGUAGE sql AS $$
        SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(random()::text), 1, 3) || '8'
            || substr(md5(random()::text), 1, 15))::uuid $$
"""

_CLASSES = "(ARRAY['Echo', 'Slow', 'SyncOrders', 'SendMail', 'ImportCsv'])[1 + g %% 5]"

# Within their retention for half a day.
# One in a hundred has failed, one in a thousand was cancelled, one in fifty bears a tag.
_ENDED = f"""
    INSERT INTO job_statuses (id, job_class, queue, params, status, attempt, max_attempts, claim,
        losses, interruptions, worker_id, created_at, updated_at, due_at, started_at, finished_at,
        cancel_requested_by, cancel_reason, result, error, tags, held_by, schedule)
    SELECT pg_temp.v7(at), {_CLASSES}, (ARRAY['default', 'low', 'high'])[1 + g %% 3],
        jsonb_build_object('value', 'x' || g),
        CASE WHEN g %% 1000 = 0 THEN 'cancelled' WHEN g %% 100 = 0 THEN 'failed'
            ELSE 'completed' END,
        1, 5, 1, 0, 0, '{WORKER}', at, at + interval '2 s', at, at + interval '1 s',
        at + interval '2 s', '', '', '"done"',
        CASE WHEN g %% 100 = 0 THEN 'ValueError: no ' || g ELSE '' END,
        CASE WHEN g %% 50 = 0 THEN '{{nightly}}'::text[] ELSE '{{}}' END, '',
        CASE WHEN g %% 200 = 0 THEN 'nightly' ELSE '' END
    FROM generate_series(%s, %s) AS g,
        LATERAL (SELECT now() - interval '6.5 days' + g * interval '0.1 s' AS at) AS m
"""

_ATTEMPTS = f"""
    INSERT INTO job_attempts (job_id, number, claim, worker_id, worker_name, started_at, ended_at,
        outcome, status, error_class, message, traceback, peak_memory, result)
    SELECT id, 1, 1, '{WORKER}', 'worker-1', started_at, finished_at, status, status,
        CASE status WHEN 'failed' THEN 'ValueError' ELSE '' END, '', '', 50000000, result
    FROM job_statuses WHERE finished_at IS NOT NULL
"""

# One job every twentieth of a second, until three hours ago: newer than all that has ended.
_QUEUED = f"""
    INSERT INTO job_statuses (id, job_class, queue, params, status, attempt, max_attempts, claim,
        losses, interruptions, created_at, updated_at, due_at, cancel_requested_by, cancel_reason,
        error, tags, held_by, schedule)
    SELECT pg_temp.v7(at), {_CLASSES}, 'low', jsonb_build_object('value', 'x' || g), 'queued', 0,
        5, 0, 0, 0, at, at, at, '', '', '', '{{}}', '', ''
    FROM generate_series(%s, %s) AS g,
        LATERAL (SELECT now() - interval '0.7 days' + g * interval '0.05 s' AS at) AS m
"""
