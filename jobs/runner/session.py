"""A runner's sessions in PostgreSQL: by their name others find them, and end with their process."""

from __future__ import annotations

import os
from uuid import UUID

from django.db import connection

from jobs import conf
from jobs.processes.connection import configure


def application_name(worker_id: UUID, pid: int) -> str:
    """Return the name of a runner's backends in pg_stat_activity; at most 63 bytes."""
    return f"jobsite {worker_id} {pid}"


def mark(worker_id: UUID) -> None:
    """Name this runner's sessions, those of all its threads; call it before the first is opened."""
    if conf.current().behind_pooler:
        return
    options = connection.settings_dict.setdefault("OPTIONS", {})
    options["application_name"] = application_name(worker_id, os.getpid())
    # A killed runner's statement ends within a second; without it PostgreSQL would finish it first.
    configure(connection, client_connection_check_interval=1000)
