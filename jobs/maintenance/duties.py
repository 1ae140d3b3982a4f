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
from django.db import connection, connections

from jobs import conf
from jobs.maintenance import leader, prune, relay, rescue
from jobs.maintenance.dependents import EVERY_SECONDS, Dependents
from jobs.maintenance.watch import HeartbeatWatch
from jobs.processes import channel
from jobs.processes.connection import LOCK_MILLISECONDS, configure, unit_of_work
from jobs.processes.outage import Outage, Outages, is_away

logger = logging.getLogger("jobs.maintenance")

# A duty that fails is tried again after its interval, doubled with each failure, at most this.
MAX_WAIT_SECONDS = 10.0
# After the parent's end the process has this long to come to its own.
_LAST_SECONDS = 0.8
# So often, at least and at most, its parent hears that it lives.
_LONGEST_WAIT_SECONDS = 1.0
_ALIVE_SECONDS = 0.5


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
        except Exception as error:  # noqa: BLE001 - recorded: the loop must outlive any one duty
            wait_seconds = self._fail(error)
        else:
            if self.failures:
                logger.warning("Duty %s works again", self.name)
            if self._outage is not None:
                self._outage.answered()
            self.failures, self._outage = 0, None
        self.due_at = time.monotonic() + wait_seconds

    def _fail(self, error: Exception) -> float:
        """Note the failure; return how many seconds to wait."""
        if is_away(error):
            self._outage = self.outages.of(error)
            return self._outage.failed(error)
        self.failures += 1
        logger.error("Duty %s failed (%d times)", self.name, self.failures, exc_info=error)
        longest = max(MAX_WAIT_SECONDS, self.interval_seconds)
        return min(self.interval_seconds * 2.0 ** min(self.failures, 10), longest)


def _say_nothing() -> None:
    return


def run(
    stop: Stop, holder_id: UUID, name: str, *, say_alive: Callable[[], None] = _say_nothing
) -> None:
    """Seek the lease and, while it is ours, do the duties, until `stop`.

    Call in a process or a thread of its own: it uses that thread's database connection. An
    outage of PostgreSQL or Redis only delays it.

    Args:
        stop: Set by whoever wants the end; seen between two duties.
        holder_id: Fresh for each process that does duties.
        name: A label, for people.
        say_alive: Called about every second, as long as no single statement takes longer.
    """
    settings = conf.current()
    outages = Outages(f"Duties of {name}", log=logger)
    leadership = leader.Leadership(holder_id=holder_id, name=name)
    seek = Duty(
        name="lease",
        verb=leadership.seek,
        interval_seconds=settings.leader_lease.total_seconds() / leader.RENEWALS,
        outages=outages,
    )

    def may_go_on() -> bool:
        say_alive()
        _do_due([seek], lambda: True)
        return leadership.leads and not stop.is_set()

    duties = _duties(settings, outages, may_go_on, stop)
    try:
        while not stop.is_set():
            say_alive()
            _do_due([seek], lambda: True)
            _do_due(duties, may_go_on)
            waiting = [seek, *duties] if leadership.leads else [seek]
            seconds = min(duty.due_at for duty in waiting) - time.monotonic()
            stop.wait(max(0.0, min(seconds, _LONGEST_WAIT_SECONDS)))
    finally:
        _end(leadership)


def _duties(
    settings: conf.Conf, outages: Outages, may_go_on: Callable[[], bool], stop: Stop
) -> list[Duty]:
    relay_seconds = settings.relay_interval.total_seconds()
    rescue_lost = Duty(
        name="rescue",
        verb=partial(rescue.rescue, HeartbeatWatch(), may_go_on),
        interval_seconds=settings.heartbeat.total_seconds() / 2,
        outages=outages,
    )

    def between() -> bool:
        # To promote a million jobs that are due at once takes a minute.
        _do_due([rescue_lost], may_go_on)
        return may_go_on()

    promote = Duty(
        name="promote",
        verb=partial(relay.promote, between),
        interval_seconds=relay_seconds,
        outages=outages,
    )
    release = Duty(
        name="release",
        verb=partial(Dependents().release, between),
        interval_seconds=max(relay_seconds, EVERY_SECONDS),
        outages=outages,
    )
    short = [promote, release, rescue_lost]

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


def _end(leadership: leader.Leadership) -> None:
    try:
        with unit_of_work():
            leadership.resign()
    except DatabaseFault as error:
        logger.warning("The lease could not be released, it expires by itself: %s", error)
    connections.close_all()


def main(end: socket.socket, config: Mapping[str, Any]) -> None:
    """Run the duties in a process that was forked for them, until its parent closes the channel.

    Says {"say": "alive"} all the time; a parent that misses it may kill this process: a duty is
    safe to be cut off anywhere.

    Args:
        end: Ours of the channel; its end of file means that the parent has died or wants us to end.
        config: `worker_id`, fresh for each start of the parent, and its `name`.
    """
    stop = threading.Event()
    threading.Thread(target=_await_parent, args=(end, stop), daemon=True).start()
    # A statement ends with us; and a row that somebody holds locked must not hold up all duties.
    configure(connection, client_connection_check_interval=1000, lock_timeout=LOCK_MILLISECONDS)
    run(stop, UUID(str(config["worker_id"])), str(config["name"]), say_alive=_Voice(end).say_alive)


class _Voice:
    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._said_at = 0.0  # time.monotonic()

    def say_alive(self) -> None:
        if time.monotonic() - self._said_at >= _ALIVE_SECONDS:
            self._said_at = time.monotonic()
            channel.mention(self._end, {"say": "alive"})


def _await_parent(end: socket.socket, stop: threading.Event) -> None:
    end.settimeout(None)
    while channel.receive(end)[0] is not None:
        pass
    stop.set()
    # A server that hangs would hold us; each duty is safe to be cut off anywhere.
    time.sleep(_LAST_SECONDS)
    os._exit(0)
