"""What the supervisor knows and does of one runner's batch, by the board they share."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from jobs.processes import channel
from jobs.runner.board import Board
from jobs.runner.seen import Attempt
from jobs.runner.watch import Reason
from jobs.worker.doom import Doom
from jobs.worker.slot import OLD_SECONDS, Slot

NOBODY = 2**30  # no process has such an id


@dataclass
class Pair:
    """A slot, and the runner's side of its board and channel."""

    slot: Slot
    board: Board
    end: socket.socket

    def start(self, size: int, *, timeout_seconds: float = 600.0) -> list[str]:
        """Begin a batch as a runner does, and its first job; return the jobs' ids."""
        ids = [str(uuid4()) for _ in range(size)]
        self.board.open_batch(
            [Attempt(job_id, 1, "Echo", 1, timeout_seconds) for job_id in ids], memory_mark=0
        )
        return ids

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
    slot.killed_for = slot.killed_for or Doom(at=0.0)
    slot.empty()
    runners.close()
    board.close()


def test_the_job_that_has_begun_last_is_the_running_one(pair: Pair) -> None:
    ids = pair.start(3)
    pair.board.finish()
    assert pair.slot.seen.running is None

    pair.board.begin(0)

    assert pair.slot.seen.running is not None
    assert pair.slot.seen.running.job_id == ids[1]
    assert pair.slot.describe()["job_id"] == ids[1]


def test_a_runner_between_two_jobs_of_a_batch_is_busy(pair: Pair) -> None:
    assert "batch" not in pair.slot.describe()

    pair.start(3)
    pair.board.finish()

    assert pair.slot.describe()["batch"] == 3
    pair.board.end()
    assert "batch" not in pair.slot.describe()


def test_what_it_claims_is_announced_until_its_batch_has_ended(pair: Pair) -> None:
    pair.board.claim(["a", "b"])
    claimed = pair.slot.announced
    ids = pair.start(2)

    assert claimed == ("a", "b")
    assert pair.slot.announced == tuple(ids)
    pair.board.end()
    assert pair.slot.announced == ()


def test_it_is_idle_when_it_found_nothing_since_its_last_job(pair: Pair) -> None:
    assert not pair.slot.is_idle

    assert pair.board.rest() is True
    assert pair.slot.is_idle
    assert pair.board.rest() is False
    pair.board.claim(["a"])

    assert not pair.slot.is_idle
    assert pair.board.rest() is True


def test_it_is_not_idle_before_it_has_looked_once_more_after_an_async_job(pair: Pair) -> None:
    pair.board.rest()

    pair.slot.aboard_at = time.monotonic()

    assert not pair.slot.is_idle
    pair.board.rest()
    assert pair.slot.is_idle


def test_of_an_old_batch_what_has_not_begun_is_taken_away(pair: Pair) -> None:
    ids = pair.start(3)
    assert pair.slot.old_at == pytest.approx(time.monotonic() + OLD_SECONDS, abs=5.0)

    serial, taken = pair.slot.break_up()

    assert [attempt.job_id for attempt in taken] == ids[1:]
    assert pair.board.begin(0) is False
    assert pair.slot.old_at is None
    assert pair.slot.announced == tuple(ids)  # until they are given back
    pair.slot.note_return(NOBODY + 1, serial)
    assert pair.slot.announced == tuple(ids)
    pair.slot.note_return(NOBODY, serial)
    assert pair.slot.announced == (ids[0],)


def test_a_running_job_is_killed_at_its_own_deadline_not_its_batchs(pair: Pair) -> None:
    pair.start(2, timeout_seconds=5.0)
    pair.board.finish()
    pair.board.begin(0)

    doom = pair.slot._doom()

    assert doom is not None
    began_at = pair.board.look().began_at
    assert doom.at == pytest.approx(began_at + 5.0 + 1.0)  # KILL_AFTER of the tests
    assert doom.cause is Reason.TIMEOUT


def test_a_job_that_has_returned_is_not_killed_while_its_end_is_recorded(pair: Pair) -> None:
    pair.start(1)
    pair.slot.stop(Reason.CANCEL)
    overdue(pair.slot)
    pair.board.finish()

    pair.slot.kill_if_due()

    assert (pair.slot.killed_for, pair.slot.doom) == (None, None)


def test_a_job_is_not_killed_for_the_one_before_it(pair: Pair) -> None:
    pair.start(2)
    pair.slot.stop(Reason.CANCEL)
    overdue(pair.slot)
    pair.board.finish()
    pair.board.begin(0)

    pair.slot.kill_if_due()

    assert pair.slot.killed_for is None


def test_one_that_does_not_stop_is_killed_for_that(pair: Pair) -> None:
    pair.start(1)
    pair.slot.stop(Reason.CANCEL)
    overdue(pair.slot)

    pair.slot.kill_if_due()

    assert pair.slot.kill_cause is Reason.CANCEL


def test_a_stop_names_the_job_and_its_claim_and_is_said_once(pair: Pair) -> None:
    ids = pair.start(2)

    pair.slot.stop(Reason.CANCEL)
    pair.slot.stop(Reason.CANCEL)

    assert pair.heard() == {"say": "stop", "reason": "cancel", "job_id": ids[0], "claim": 1}
    assert pair.heard() is None


def test_nothing_is_stopped_between_two_jobs(pair: Pair) -> None:
    pair.start(2)
    pair.board.finish()

    pair.slot.stop(Reason.CANCEL)

    assert pair.heard() is None
    assert pair.slot.doom is None


def test_a_runner_owes_a_word_since_its_job_returned(pair: Pair) -> None:
    pair.start(1)
    assert pair.slot.owes_a_word_since is None
    pair.slot.heard_at = 0.0

    pair.board.finish()

    assert pair.slot.owes_a_word_since == pair.board.look().done_at


def test_an_idle_runner_that_has_worked_since_is_spared(pair: Pair) -> None:
    pair.slot.end_if_idle(0.0)
    pair.board.claim(["a"])
    pair.board.end()

    pair.slot.kill_if_due()

    assert pair.slot.killed_for is None


def test_an_idle_runner_that_goes_on_doing_nothing_is_ended(pair: Pair) -> None:
    pair.slot.end_if_idle(0.0)

    pair.slot.kill_if_due()

    assert pair.slot.killed_for is not None


def overdue(slot: Slot) -> None:
    """Let the time of what was told to stop be over."""
    assert slot.doom is not None
    slot.doom = dataclasses.replace(slot.doom, at=time.monotonic() - 1)
