"""The rq worker that `manage.py rqworker` makes: rq's face, our crew behind it."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any

from rq import Queue
from rq.serializers import JSONSerializer
from rq.worker import Worker
from rq.worker.base import DequeueStrategy

from jobs.maintenance import duties
from jobs.processes import mother
from jobs.processes.mother import Entry, Mother
from jobs.runner import entry
from jobs.worker import anew, crew, registration
from jobs.worker.options import Options

ENTRIES: Mapping[str, Entry] = {"runner": entry.main, "duties": duties.main}


class Supervisor(Worker):
    """Named in RQ["WORKER_CLASS"]; talks to neither Redis nor PostgreSQL until `work`.

    Args:
        queues: As rq's; their order is their priority.
        name: A label; default: host, pid and a random part.
        concurrency: How many runners.
        grace_seconds: What a stop leaves running jobs; default: JOBS["GRACE"].
        async_slots: How many async jobs a runner runs at once; default: JOBS["ASYNC_SLOTS"].
        mother: Forked before this process had a socket or a thread; default: forked now.
        kwargs: As rq's. Any serializer is replaced by JSON.
    """

    def __init__(
        self,
        queues: list[Queue],
        name: str | None = None,
        *args: Any,
        concurrency: int = 1,
        grace_seconds: float | None = None,
        async_slots: int | None = None,
        mother: Mother | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs |= {"serializer": JSONSerializer, "prepare_for_work": False}
        super().__init__(queues, name or _default_name(), *args, **kwargs)
        self.hostname, self.pid = socket.gethostname(), os.getpid()
        self._concurrency = concurrency
        self._grace_seconds = grace_seconds
        self._async_slots = async_slots
        self._mother = mother

    def work(  # noqa: PLR0913, PLR0917 - rq's signature
        self,
        burst: bool = False,  # noqa: FBT001, FBT002 - rq's signature
        logging_level: str | None = None,  # noqa: ARG002
        date_format: str = "",  # noqa: ARG002
        log_format: str = "",  # noqa: ARG002
        max_jobs: int | None = None,
        max_idle_time: int | None = None,
        with_scheduler: bool = False,  # noqa: FBT001, FBT002, ARG002
        dequeue_strategy: DequeueStrategy = DequeueStrategy.DEFAULT,  # noqa: ARG002
    ) -> bool:
        """Run jobs until told to stop.

        Raises:
            SystemExit: With the crew's exit code, where it is not 0.
        """
        left = anew.jobs_left()
        code = crew.Crew(
            registration.describe_this_process(
                self.name, tuple(self.queue_names()), self._concurrency
            ),
            mother=self._mother or mother.start(ENTRIES),
            options=Options(
                burst=burst,
                max_jobs=max_jobs if left is None else left,
                max_idle_seconds=max_idle_time,
                grace_seconds=self._grace_seconds,
                async_slots=self._async_slots,
                shown_seconds=self.worker_ttl + 60,
            ),
        ).run()
        if code:
            raise SystemExit(code)
        return True


def _default_name() -> str:
    return f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(2)}"
