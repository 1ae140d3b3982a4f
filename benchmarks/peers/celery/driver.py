"""Dispatches Celery's tasks; many at once as a group."""

from __future__ import annotations

from typing import Any

import django
from celery import group
from django.core.management import call_command
from django.db import connection

from benchmarks import driver
from benchmarks.peers.celery import app as tasks

django.setup()


class Celery:
    """`apply_async`."""

    def prepare(self) -> None:
        """Make the tables."""
        call_command("migrate", verbosity=0)

    def one(self, job: str, queue: str, value: Any) -> None:
        """Send one task."""
        getattr(tasks, job.lower()).apply_async((value,), queue=queue)

    def many(self, job: str, queue: str, values: list[Any]) -> None:
        """Send a group."""
        task = getattr(tasks, job.lower())
        group(task.s(value).set(queue=queue) for value in values).apply_async()

    def close(self) -> None:
        """Close the database connection."""
        connection.close()


if __name__ == "__main__":
    driver.serve(Celery())
