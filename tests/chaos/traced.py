"""What each job class of a chaos run does: leave a trace that no rollback takes back."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from jobs.base import BaseJob
from jobs.retry import Backoff

EFFECTS = "effects.log"


class Traced(BaseJob):
    """Note in a file when a run begins and when its work is done."""

    abstract = True
    backoff = Backoff(base=timedelta(seconds=0.2), cap=timedelta(seconds=1))

    token: str = ""  # the producer's own name for this dispatch

    def _perform(self) -> Any:
        self._note("begin")
        result = self._work()
        self._note("end")
        return {"claim": self._claim, "result": result}

    def _work(self) -> Any:
        raise NotImplementedError

    @property
    def _claim(self) -> int:
        return self._running()._job.claim

    def _note(self, what: str) -> None:
        # One small append is whole or absent, whoever is killed meanwhile.
        file = os.open(settings.CHAOS_FOLDER / EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{what} {self.job_id} {self._claim}\n".encode())
        os.close(file)

    def _write_into(self, table: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} VALUES (%s, %s)", [self.job_id, self._claim])
