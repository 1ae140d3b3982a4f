"""The line in the log that each attempt's end leaves."""

from __future__ import annotations

import logging
from datetime import timedelta

from jobs.lifecycle.settle import Settled
from jobs.statuses import Status

logger = logging.getLogger("jobs.worker")


class EndLines:
    """Writes the lines of attempts that were settled together.

    The records of those that completed, which are most, are copies of one: what is dear about a
    record is to find out where it comes from, and that is the same for all.
    """

    def __init__(self) -> None:
        self._first: logging.LogRecord | None = None

    def write(self, end: Settled, seconds: float) -> None:
        """Write the line of one end.

        Args:
            end: What became of the job.
            seconds: How long the attempt worked.
        """
        job_id = str(end.job_id)
        what = f"({end.job_class}, attempt {end.attempt}, {seconds:.3f} s)"
        if end.status is Status.COMPLETED:
            self._completed(job_id, end.queue, what)
            return
        extra = {"job_id": job_id, "queue": end.queue}
        wait = f"{(end.wait or timedelta()).total_seconds():.1f} s"
        match end.status:
            case Status.FAILED:
                logger.error("Job %s: failed %s: %s", job_id, what, end.error, extra=extra)
            case Status.RETRYING:
                logger.warning(
                    "Job %s: retrying in %s %s: %s", job_id, wait, what, end.error, extra=extra
                )
            case Status.SCHEDULED:
                logger.info("Job %s: snoozed for %s %s", job_id, wait, what, extra=extra)
            case Status.QUEUED:
                logger.info("Job %s: given back %s", job_id, what, extra=extra)
            case _:
                logger.info("Job %s: %s %s: %s", job_id, end.status, what, end.error, extra=extra)

    def _completed(self, job_id: str, queue: str, what: str) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        if self._first is None:
            text = "Job %s: completed %s"
            caller = self._completed.__code__
            self._first = logger.makeRecord(
                logger.name,
                logging.INFO,
                caller.co_filename,
                caller.co_firstlineno,
                text,
                (),
                None,
                caller.co_name,
            )
        record = object.__new__(type(self._first))
        fields = {"args": (job_id, what), "job_id": job_id, "queue": queue}
        record.__dict__.update(self._first.__dict__, **fields)
        logger.handle(record)
