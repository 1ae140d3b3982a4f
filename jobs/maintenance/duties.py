"""Which duties there are and how often: a loop for whoever holds the leader lease."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from django.db import Error as DatabaseFault
from django.db import connections

from jobs import conf
from jobs.maintenance import leader, prune, relay, rescue
from jobs.maintenance.watch import HeartbeatWatch
from jobs.processes.connection import unit_of_work
from jobs.processes.outage import AWAY, Outage, Outages

logger = logging.getLogger("jobs.maintenance")

# A duty that fails is tried again after its interval, doubled with each failure, at most this.
MAX_WAIT_SECONDS = 10.0
# After the parent's end the process has this long to come to its own.
_LAST_SECONDS = 0.8


class Stop(Protocol):
    """What threading.Event has of it."""

    def is_set(self) -> bool:
        """Whether to end."""

    def wait(self, timeout: float) -> bool:
        """Return when it is set, or after `timeout` seconds."""


@dataclass(slots=True, kw_only=True)
class Duty:
    """A maintenance verb with an interval; its failures delay nothing but itself."""

    name: str
    verb: Callable[[], object]
    interval_seconds: float
    outages: Outages
    due_at: float = 0.0  # time.monotonic()
    failures: int = 0
    _outage: Outage | None = None  # what it waits for

    def do(self) -> None:
        """Do it once, whatever comes of it."""
        wait_seconds = self.interval_seconds
        try:
            with unit_of_work():
                self.verb()
        except AWAY as error:
            self._outage = self.outages.of(error)
            wait_seconds = self._outage.failed(error)
        except Exception:
            self.failures += 1
            logger.exception("Duty %s failed (%d times)", self.name, self.failures)
            longest = max(MAX_WAIT_SECONDS, self.interval_seconds)
            wait_seconds = min(self.interval_seconds * 2 ** min(self.failures, 10), longest)
        else:
            if self.failures:
                logger.warning("Duty %s works again", self.name)
            if self._outage is not None:
                self._outage.answered()
            self.failures, self._outage = 0, None
        self.due_at = time.monotonic() + wait_seconds


@dataclass(slots=True, kw_only=True)
class Leadership:
    """Whether this process leads, by its own clock: never longer than the lease it was given."""

    holder_id: UUID
    name: str
    leads_until: float = 0.0  # time.monotonic()

    @property
    def leads(self) -> bool:
        """Whether the lease is ours now."""
        return time.monotonic() < self.leads_until

    def seek(self) -> None:
        """Take or renew the lease."""
        asked_at = time.monotonic()
        led = self.leads
        if leader.take_or_renew(self.holder_id, self.name):
            self.leads_until = asked_at + conf.current().lease.total_seconds()
        else:
            self.leads_until = 0.0
        if self.leads != led:
            logger.info("%s %s the duties", self.name, "does" if self.leads else "no longer does")

    def resign(self) -> None:
        """Let another one lead at once."""
        if self.leads:
            leader.release(self.holder_id)
            self.leads_until = 0.0


def run(stop: Stop, holder_id: UUID, name: str) -> None:
    """Seek the lease and, while it is ours, do the duties, until `stop`.

    Call in a process or a thread of its own: it uses that thread's database connection. An
    outage of PostgreSQL or Redis only delays it.

    Args:
        stop: Set by whoever wants the end; seen between two duties.
        holder_id: Fresh for each process that does duties.
        name: A label, for people.
    """
    settings = conf.current()
    outages = Outages(f"Duties of {name}", log=logger)
    leadership = Leadership(holder_id=holder_id, name=name)
    seek = Duty(
        name="lease",
        verb=leadership.seek,
        interval_seconds=settings.heartbeat.total_seconds(),
        outages=outages,
    )

    def may_go_on() -> bool:
        _do_due([seek], lambda: True)
        return leadership.leads and not stop.is_set()

    duties = _duties(settings, outages, may_go_on, stop)
    try:
        while not stop.is_set():
            _do_due([seek], lambda: True)
            _do_due(duties, may_go_on)
            waiting = [seek, *duties] if leadership.leads else [seek]
            stop.wait(max(0.0, min(duty.due_at for duty in waiting) - time.monotonic()))
    finally:
        _end(leadership)


def _duties(
    settings: conf.Conf, outages: Outages, may_go_on: Callable[[], bool], stop: Stop
) -> list[Duty]:
    relay_seconds = settings.relay_interval.total_seconds()
    short = [
        Duty(name="promote", verb=relay.promote, interval_seconds=relay_seconds, outages=outages),
        Duty(
            name="rescue",
            verb=partial(rescue.rescue, HeartbeatWatch()),
            interval_seconds=settings.heartbeat.total_seconds() / 2,
            outages=outages,
        ),
    ]

    def meanwhile() -> bool:
        # To refill a queue of a million takes minutes: the others have their turns between pages.
        _do_due(short, may_go_on)
        return may_go_on()

    push_lost = Duty(
        name="push lost",
        verb=partial(relay.push_lost, meanwhile),
        interval_seconds=max(relay_seconds, settings.lost_after.total_seconds() / 3),
        outages=outages,
    )

    def rest(seconds: float) -> bool:
        # To delete a million rows takes minutes: likewise, and the database has a rest.
        stop.wait(seconds)
        _do_due([*short, push_lost], may_go_on)
        return may_go_on()

    prune_old = Duty(
        name="prune",
        outages=outages,
        verb=partial(prune.prune, rest),
        interval_seconds=settings.prune_interval.total_seconds(),
    )
    return [*short, push_lost, prune_old]


def _do_due(duties: list[Duty], may_go_on: Callable[[], bool]) -> None:
    for duty in duties:
        if may_go_on() and time.monotonic() >= duty.due_at:
            duty.do()


def _end(leadership: Leadership) -> None:
    try:
        with unit_of_work():
            leadership.resign()
    except DatabaseFault as error:
        logger.warning("The lease could not be released, it expires by itself: %s", error)
    connections.close_all()


def main(channel: socket.socket, config: Mapping[str, Any]) -> None:
    """Run the duties in a process that was forked for them, until its parent closes the channel.

    Args:
        channel: Our end; its end of file means that the parent has died or wants us to end.
        config: `worker_id`, fresh for each start of the parent, and its `name`.
    """
    stop = threading.Event()
    threading.Thread(target=_await_parent, args=(channel, stop), daemon=True).start()
    run(stop, UUID(str(config["worker_id"])), str(config["name"]))


def _await_parent(channel: socket.socket, stop: threading.Event) -> None:
    channel.settimeout(None)
    while channel.recv(4096):
        pass
    stop.set()
    # A server that hangs would hold us; each duty is safe to be cut off anywhere.
    time.sleep(_LAST_SECONDS)
    os._exit(0)
