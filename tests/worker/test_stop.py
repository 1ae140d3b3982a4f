"""A stop, from the first signal to the last runner's end, as each runner's board shows it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from uuid import uuid4

import pytest

from jobs.processes import channel
from jobs.runner.board import Board
from jobs.runner.seen import Attempt
from jobs.runner.watch import Reason
from jobs.worker.doom import Doom
from jobs.worker.slot import Slot
from jobs.worker.stop import Stop

NOBODY = 2**30  # no process has such an id


class Place:
    """One runner's slot, and what stands on the runner's side."""

    def __init__(self) -> None:
        supervisors, self.end = channel.pair()
        self.end.settimeout(0)
        self.slot, self.board = Slot(index=0), Board.make()
        self.slot.place(NOBODY, supervisors)
        self.slot.show_board(os.dup(self.board.fd))
        self.given_back: list[str] = []
        self.stop = Stop([self.slot], worker_name="alpha", break_up=self._break_up)

    def _break_up(self, slot: Slot) -> None:
        _serial, attempts = slot.break_up()
        self.given_back += [attempt.job_id for attempt in attempts]

    def open_batch(self, size: int) -> list[str]:
        ids = [str(uuid4()) for _ in range(size)]
        self.board.open_batch([Attempt(one, 1, "Echo", 1, 600.0) for one in ids], memory_mark=0)
        return ids

    def stop_at_once(self) -> None:
        self.stop.ask()
        self.stop.begin("asked to stop")
        self.stop.ask()
        self.stop.proceed()

    def heard(self) -> list[tuple[str, str | None]]:
        """Return what the runner was told, and of which job."""
        words = []
        while (message := _receive(self.end)) is not None:
            words.append((message["say"], message.get("job_id")))
        return words


def _receive(end: socket.socket) -> channel.Message | None:
    try:
        return channel.receive(end)[0]
    except BlockingIOError:
        return None


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.slot.killed_for = Doom(at=0.0)
    made.slot.empty()
    made.end.close()
    made.board.close()


def test_the_first_signal_interrupts_nothing(place: Place) -> None:
    place.open_batch(2)

    place.stop.ask()
    place.stop.begin("asked to stop")
    place.stop.proceed()

    assert place.heard() == [("drain", None)]
    assert place.board.begin(0) is True


def test_a_second_one_interrupts_the_running_job_and_lets_none_behind_it_begin(
    place: Place,
) -> None:
    running, *behind = place.open_batch(3)

    place.stop_at_once()

    assert place.heard() == [("drain", None), ("stop", running)]
    assert place.given_back == behind
    assert place.board.begin(0) is False


def test_a_job_that_begins_after_it_is_interrupted_as_well_and_each_once(place: Place) -> None:
    place.board.claim(["claimed just then"])
    place.stop_at_once()
    assert place.heard() == [("drain", None)]
    [late] = place.open_batch(1)

    place.stop.proceed()
    place.stop.proceed()

    assert place.heard() == [("stop", late)]


def test_a_runner_between_two_jobs_has_as_long_to_end_as_a_job(place: Place) -> None:
    place.open_batch(1)
    place.board.finish()

    place.stop_at_once()

    doom = place.slot.doom
    assert doom is not None
    assert (doom.cause, doom.attempt, doom.idle_since) == (Reason.INTERRUPT, None, None)
    place.stop.proceed()
    assert place.slot.doom is doom  # it gets no more time
