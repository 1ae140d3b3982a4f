"""What the supervisor knows and does of one runner's batch, by the board they share."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from jobs.processes import channel
from jobs.worker.board import Board
from jobs.worker.slot import Slot
from jobs.worker.watch import Reason

NOBODY = 2**30  # no process has such an id


@dataclass
class Pair:
    """A slot, and the runner's side of its board and channel."""

    slot: Slot
    board: Board
    end: socket.socket
    serial: int = 0

    def start(self, size: int, *, timeout_seconds: float = 600.0) -> list[str]:
        """Begin a batch as a runner does; return the jobs' ids."""
        self.serial += 1
        jobs: list[dict[str, Any]] = [
            {
                "job_id": str(uuid4()),
                "claim": 1,
                "job_class": "Echo",
                "attempt": 1,
                "timeout_seconds": timeout_seconds,
            }
            for _ in range(size)
        ]
        self.slot.begin({"serial": self.serial, "jobs": jobs})
        self.board.open_batch(self.serial, size)
        return [job["job_id"] for job in jobs]

    def heard(self) -> channel.Message | None:
        """Return what the supervisor has said, or None."""
        try:
            return channel.receive(self.end)[0]
        except BlockingIOError:
            return None


@pytest.fixture
def pair() -> Iterator[Pair]:
    supervisors, runners = channel.pair()
    runners.settimeout(0)
    slot, board = Slot(index=0), Board.make()
    slot.place(NOBODY, supervisors)
    slot.show_board(os.dup(board.fd))
    yield Pair(slot, board, runners)
    slot.was_killed = True
    slot.empty()
    runners.close()
    board.close()


def test_the_job_that_has_begun_last_is_the_running_one(pair: Pair) -> None:
    ids = pair.start(3)
    pair.board.begin(0)
    pair.board.finish()
    assert pair.slot.running is None

    pair.board.begin(0)

    assert pair.slot.running is not None
    assert pair.slot.running.job_id == ids[1]
    assert pair.slot.describe()["job_id"] == ids[1]


def test_a_runner_between_two_jobs_of_a_batch_is_busy(pair: Pair) -> None:
    assert "batch" not in pair.slot.describe()

    pair.start(3)
    pair.board.begin(0)
    pair.board.finish()

    assert pair.slot.describe()["batch"] == 3
    pair.slot.clear()
    assert "batch" not in pair.slot.describe()


def test_of_an_old_batch_what_has_not_begun_is_taken_away(pair: Pair) -> None:
    ids = pair.start(3)
    pair.board.begin(0)

    taken = pair.slot.look()

    assert [attempt.job_id for attempt in taken] == ids[1:]
    assert pair.slot.announced == (ids[0],)
    assert pair.board.begin(0) is False


def test_a_batch_that_the_runner_has_not_opened_yet_is_looked_at_again(pair: Pair) -> None:
    pair.start(1)
    pair.slot.begin({"serial": 99, "jobs": []})
    pair.start(1)
    pair.slot.serial += 1  # its word is here, its batch not yet

    assert pair.slot.look() == ()

    assert pair.slot.look_at is not None
    assert pair.slot.seen is None


def test_a_running_job_is_killed_at_its_own_deadline_not_its_batchs(pair: Pair) -> None:
    pair.start(2, timeout_seconds=5.0)
    pair.board.begin(0)
    pair.board.finish()
    pair.board.begin(0)

    pair.slot.look()

    assert pair.slot.kill_at is not None
    began_at = pair.board.look().began_at
    assert pair.slot.kill_at == pytest.approx(began_at + 5.0 + 1.0)  # KILL_AFTER of the tests
    assert pair.slot.cause is Reason.TIMEOUT


def test_a_job_that_has_returned_is_not_killed_while_its_end_is_recorded(pair: Pair) -> None:
    pair.start(1, timeout_seconds=0.0)
    pair.board.begin(0)
    pair.slot.look()
    pair.board.finish()
    pair.slot.kill_at = time.monotonic() - 1

    pair.slot.kill_if_due()

    assert (pair.slot.was_killed, pair.slot.kill_at) == (False, None)


def test_a_stop_names_the_job_and_its_claim(pair: Pair) -> None:
    ids = pair.start(2)
    pair.board.begin(0)

    pair.slot.stop(Reason.CANCEL)

    assert pair.heard() == {"say": "stop", "reason": "cancel", "job_id": ids[0], "claim": 1}


def test_nothing_is_stopped_between_two_jobs(pair: Pair) -> None:
    pair.start(2)
    pair.board.begin(0)
    pair.board.finish()

    pair.slot.stop(Reason.CANCEL)

    assert pair.heard() is None
    assert pair.slot.kill_at is None


def test_a_runner_owes_a_word_since_its_job_returned(pair: Pair) -> None:
    pair.start(1)
    pair.board.begin(0)
    assert pair.slot.owes_a_word_since is None
    pair.slot.heard_at = 0.0

    pair.board.finish()

    assert pair.slot.owes_a_word_since == pair.board.look().done_at
