"""What the django-rq dashboard lists: an entry in Redis for each schedule, with its next time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rq.job import Job
from rq_scheduler.scheduler import Scheduler as RqScheduler
from rq_scheduler.utils import to_unix

from jobs import registry
from jobs.models import Schedule

logger = logging.getLogger("jobs.schedules")

PREFIX = "schedule-"

_AT_ONCE = 500  # entries described in one pipeline
_LIFE_SECONDS = 30  # how long the dashboard takes a silent scheduler for living
_MAX_SHOWN_TEXT = 200


class Entries:
    """Keeps the entries those of the rows; nothing is read from them.

    Args:
        scheduler: Whose they are; its connection may change before `show`.
    """

    def __init__(self, scheduler: RqScheduler) -> None:
        self._scheduler = scheduler
        self._is_born = False
        # When the rows were written of which a description stands in Redis, as far as we know.
        self._described: dict[str, datetime] = {}
        self._unshown: set[str] = set()  # of these: what can't be described, until it is changed

    def show(self) -> None:
        """Say the scheduler's alive and write what is missing or has changed.

        One statement, one round trip to look, and one or more to write where there is need.

        Raises:
            Unreachable: Redis is; what was written stays, the rest is written next time.
        """
        rows = {
            f"{PREFIX}{name}": (written_at, to_unix(next_at))
            for name, written_at, next_at in Schedule.objects.filter(
                enabled=True, next_at__isnull=False
            ).values_list("name", "synced_at", "next_at")
        }
        # Another scheduler may have taken the entry of one that was disabled for a while.
        self._described = {
            entry_id: at for entry_id, at in self._described.items() if entry_id in rows
        }
        was_flushed, scores, gone = self._look(rows)
        if was_flushed:
            self._described.clear()
            self._register()
        else:
            self._warn_of(gone)
        self._describe(
            [
                entry_id
                for entry_id, (written_at, _) in rows.items()
                if entry_id in gone or self._described.get(entry_id) != written_at
            ],
            rows,
        )
        self._write_scores(rows, scores)

    def forget(self) -> None:
        """Take nothing for granted any more: Redis was away."""
        self._is_born = False

    # --- Reading ---

    def _look(self, rows: Iterable[str]) -> tuple[bool, dict[str, float], set[str]]:
        """Return whether Redis lost all, the entries' times, and which we wrote are gone."""
        scheduler = self._scheduler
        known = [each for each in rows if each in self._described and each not in self._unshown]
        with scheduler.connection.pipeline(transaction=False) as pipeline:
            pipeline.expire(scheduler.key, _LIFE_SECONDS)
            pipeline.zrange(scheduler.scheduled_jobs_key, 0, -1, withscores=True)
            for some in _chunks(known):
                pipeline.exists(*(self._key(entry_id) for entry_id in some))
            is_alive, listed, *counts = pipeline.execute()
        scores = {
            entry_id: score
            for key, score in listed
            if (entry_id := key.decode(errors="replace")).startswith(PREFIX)
        }
        gone = {entry_id for entry_id in known if entry_id not in scores}
        if sum(counts) < len(known):
            gone |= self._without_description(known)
        return not (is_alive and self._is_born), scores, gone

    def _without_description(self, known: Sequence[str]) -> set[str]:
        with self._scheduler.connection.pipeline(transaction=False) as pipeline:
            for entry_id in known:
                pipeline.exists(self._key(entry_id))
            found = pipeline.execute()
        return {entry_id for entry_id, is_there in zip(known, found, strict=True) if not is_there}

    def _key(self, entry_id: str) -> str:
        return f"{self._scheduler.job_class.redis_job_namespace_prefix}{entry_id}"

    def _warn_of(self, gone: Iterable[str]) -> None:
        for entry_id in sorted(gone):
            logger.warning(
                "Schedule %s: its entry was removed from Redis, as the dashboard does: it is "
                "written again. To stop the schedule pause it in the admin, or take it out of "
                "JOB_SCHEDULES.",
                entry_id.removeprefix(PREFIX),
            )

    # --- Writing ---

    def _register(self) -> None:
        self._scheduler.connection.delete(self._scheduler.key)
        self._scheduler.register_birth()
        self._scheduler.connection.expire(self._scheduler.key, _LIFE_SECONDS)
        self._is_born = True

    def _describe(self, entry_ids: Sequence[str], rows: Mapping[str, tuple[datetime, int]]) -> None:
        for some in _chunks(entry_ids):
            names = [entry_id.removeprefix(PREFIX) for entry_id in some]
            self._unshown.difference_update(some)
            with self._scheduler.connection.pipeline(transaction=False) as pipeline:
                for entry in self._entries(Schedule.objects.filter(name__in=names)):
                    entry.save(pipeline=pipeline)
                pipeline.execute()
            self._described |= {entry_id: rows[entry_id][0] for entry_id in some}

    def _entries(self, found: Iterable[Schedule]) -> Iterator[Job]:
        for row in found:
            try:
                yield self._entry(row)
            except Exception:  # one that can't be described hides no other
                logger.exception("Schedule %s: the dashboard can't show it", row.name)
                self._unshown.add(f"{PREFIX}{row.name}")

    def _entry(self, row: Schedule) -> Job:
        scheduler = self._scheduler
        entry: Job = scheduler._create_job(  # noqa: SLF001 - how rq-scheduler makes its own
            row.job_class or ", ".join(_step_jobs(row)),
            kwargs=_shown_params(row),
            id=f"{PREFIX}{row.name}",
            queue_name=row.queue or scheduler.queue_name,
            description=f"schedule {row.name}, times in {row.timezone}",
            commit=False,
            result_ttl=-1,
        )
        if row.every is not None:
            entry.meta["interval"] = int(row.every.total_seconds())
        else:
            entry.meta["cron_string"] = "; ".join(row.crons)
        return entry

    def _write_scores(
        self, rows: Mapping[str, tuple[datetime, int]], scores: Mapping[str, float]
    ) -> None:
        changed = {
            entry_id: score
            for entry_id, (_, score) in rows.items()
            if scores.get(entry_id) != score
        }
        gone = [entry_id for entry_id in scores if entry_id not in rows]
        if not changed and not gone:
            return
        with self._scheduler.connection.pipeline(transaction=False) as pipeline:
            if changed:
                pipeline.zadd(self._scheduler.scheduled_jobs_key, changed)
            if gone:
                pipeline.zrem(self._scheduler.scheduled_jobs_key, *gone)
                pipeline.delete(*(self._key(entry_id) for entry_id in gone))
            pipeline.execute()


def _shown_params(row: Schedule) -> dict[str, Any]:
    return {
        name: text if len(text := str(value)) <= _MAX_SHOWN_TEXT else f"{text[:_MAX_SHOWN_TEXT]}..."
        for name, value in registry.shown_params(row.job_class, row.params).items()
    }


def _chunks(entry_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(entry_ids), _AT_ONCE):
        yield entry_ids[begin : begin + _AT_ONCE]


def _step_jobs(row: Schedule) -> Iterator[str]:
    for step in (row.steps or {}).values():
        yield str(step.get("job", "?"))
