"""`jobs queues`: what waits and runs in each queue, and who serves it."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from jobs import conf
from jobs.cli.command import OK, Output, Subcommand
from jobs.insights import presence, stats


def _add_arguments(_: ArgumentParser) -> None:
    """Take none."""


def _run(_: dict[str, Any], out: Output) -> int:
    workers = presence.living_workers()
    loads = stats.queue_loads(conf.current().queues)
    names = {
        load.queue: [worker.name for worker in workers if presence.serves(worker, load.queue)]
        for load in loads
    }
    out.data(
        [
            {
                "queue": load.queue,
                "queued": load.queued.value,
                "queued_is_capped": load.queued.is_capped,
                "started": load.started.value,
                "started_is_capped": load.started.is_capped,
                "oldest_due_at": load.oldest_due_at,
                "oldest_wait_seconds": load.oldest_wait.total_seconds() if load.oldest_wait else 0,
                "workers": names[load.queue],
            }
            for load in loads
        ]
    )
    out.table(
        [
            ("QUEUE", "QUEUED", "STARTED", "OLDEST WAITS", "WORKERS"),
            *(
                (
                    load.queue,
                    load.queued,
                    load.started,
                    _wait(load.oldest_wait),
                    ", ".join(names[load.queue]) or "none",
                )
                for load in loads
            ),
        ]
    )
    return OK


def _wait(wait: timedelta | None) -> str:
    if wait is None:
        return "-"
    return str(timedelta(seconds=max(0, round(wait.total_seconds()))))


SUBCOMMAND = Subcommand(
    name="queues",
    about="Show each queue: what waits and runs, how long the oldest waits, who serves it.",
    examples="""\
  manage.py jobs queues
  manage.py jobs queues --json""",
    add_arguments=_add_arguments,
    run=_run,
)
