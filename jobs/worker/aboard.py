"""The async attempts of one runner, as its supervisor knows them: when each must be over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs import conf
from jobs.processes import channel
from jobs.runner.lane.grip import Held
from jobs.runner.watch import REPEAT_SECONDS, Reason

LOOK_SECONDS = 0.5
SHOWN = 10  # of a runner's async jobs, in the worker's row


@dataclass(slots=True, kw_only=True)
class Ride:
    """One attempt on the runner's event loop."""

    # As it was told of: job_id, claim, job_class, attempt, timeout_seconds; is_over where it has
    # ended, and only its row is still to say so.
    job: dict[str, Any]
    started_at: str
    kill_at: float  # time.monotonic(): after this its runner is killed
    cause: Reason = Reason.TIMEOUT  # why

    def describe(self) -> dict[str, Any]:
        """Return what the worker's row says of it."""
        told = {key: self.job[key] for key in ("job_id", "claim", "job_class", "attempt")}
        return {**told, "started_at": self.started_at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Why the runner must be killed: one attempt's fault, by its job's id."""

    job_id: str  # "": it isn't known whose
    cause: Reason | None  # None: it holds the loop
    held_seconds: float = 0.0


class Aboard:
    """What is on the lane of the runner in one slot."""

    def __init__(self) -> None:
        self.rides: dict[str, Ride] = {}  # by job id
        self.entering: set[str] = set()  # claimed for the lane, not yet begun

    @property
    def ids(self) -> frozenset[str]:
        """Of all that would be lost with the runner."""
        return frozenset(self.rides) | self.entering

    def __bool__(self) -> bool:
        return bool(self.rides or self.entering)

    def clear(self) -> None:
        """Forget them: the runner is gone."""
        self.rides.clear()
        self.entering.clear()

    def heed(self, message: channel.Message) -> None:
        """Take what the runner says of them."""
        match message["say"]:
            case "entering":
                self.claim(message["ids"])
            case "entered":
                self.enter(message["jobs"])
            case "left":
                self.leave(message["ids"])

    def claim(self, entry_ids: Iterable[str]) -> None:
        """Note what the runner has claimed for its lane."""
        self.entering.update(entry_ids)

    def enter(self, jobs: Iterable[channel.Message]) -> None:
        """Note attempts that have begun."""
        now = time.monotonic() + conf.current().kill_after.total_seconds()
        started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        for job in jobs:
            self.entering.discard(job["job_id"])
            self.rides[job["job_id"]] = Ride(
                job=job, started_at=started_at, kill_at=now + job["timeout_seconds"]
            )

    def leave(self, entry_ids: Iterable[str]) -> None:
        """Note what is settled, or was given back."""
        for entry in entry_ids:
            self.entering.discard(entry)
            self.rides.pop(entry, None)

    def stop(self, ride: Ride, reason: Reason) -> channel.Message | None:
        """Note that an attempt is to stop; return what the runner is to be told of it."""
        if ride.cause is reason:
            return None
        if reason is Reason.CANCEL and ride.job.get("is_over"):
            return None  # too late: killing its runner for it would only lose how it ended
        ride.cause = reason
        ride.kill_at = time.monotonic() + conf.current().kill_after.total_seconds()
        return {"say": "stop async", "reason": str(reason), **ride.describe()}

    @property
    def next_at(self) -> float | None:
        """When to ask again whether one is overdue, by time.monotonic()."""
        if not self.rides:
            return None
        # One may hold the loop at any time.
        look_at = time.monotonic() + LOOK_SECONDS
        return min(look_at, *(ride.kill_at for ride in self.rides.values()))

    def overdue(self, held: Held | None) -> Overdue | None:
        """Return for whose fault the runner must be killed now, if it must.

        Args:
            held: The step that holds its event loop.
        """
        settings, now = conf.current(), time.monotonic()
        if held and now - held.since >= settings.async_block_limit.total_seconds():
            job_id = str(held.job_id) if held.job_id else ""
            return Overdue(job_id=job_id, cause=None, held_seconds=now - held.since)
        for job_id, ride in self.rides.items():
            if ride.kill_at > now:
                continue
            if held and str(held.job_id) != job_id and now - held.since >= REPEAT_SECONDS:
                # It can't have heard that it should stop: not before the other lets go of the loop.
                ride.kill_at = now + settings.kill_after.total_seconds()
            else:
                return Overdue(job_id=job_id, cause=ride.cause)
        return None

    def describe(self) -> dict[str, Any]:
        """Return what the worker's row says of them, the oldest first and not each of hundreds."""
        if not self.rides:
            return {}
        classes = Counter(ride.job["job_class"] for ride in self.rides.values())
        return {
            "async": [ride.describe() for ride in list(self.rides.values())[:SHOWN]],
            "async_classes": [list(pair) for pair in classes.most_common(SHOWN)],
            "async_count": len(self.rides),
        }
