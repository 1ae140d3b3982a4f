"""The memory that a runner and its supervisor share, and its lock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from jobs.runner.board import Board
from jobs.runner.seen import Attempt, Seen
from tests import wait


@pytest.fixture
def board() -> Iterator[Board]:
    one = Board.make()
    yield one
    one.close()


@contextmanager
def lock_held_by_another_process(board: Board) -> Iterator[int]:
    """Fork a child that holds the board's lock; yields its pid."""
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with board._lock():
            os.write(ready_write, b"!")
            time.sleep(60)
        os._exit(0)
    os.read(ready_read, 1)
    try:
        yield pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        for end in (ready_read, ready_write):
            os.close(end)


# A fork of a process with threads is warned of.
TAKE_REST = """
import sys
from jobs.runner.board import Board
print(Board(int(sys.argv[1])).take_rest(int(sys.argv[2]), may_wait=False))
"""


def rest_that_another_process_takes(board: Board, serial: int) -> str:
    """Return the places that another process can take away now; None where it is kept off."""
    return subprocess.run(
        [sys.executable, "-c", TAKE_REST, str(board.fd), str(serial)],
        pass_fds=[board.fd],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    ).stdout.strip()


def open_batch(board: Board, size: int) -> int:
    attempts = [Attempt(f"job {number}", number, "Echo", 1, 600.0) for number in range(size)]
    return board.open_batch(attempts, memory_mark=5)


def test_a_batch_opens_with_its_first_job_and_others_begin_after_it(board: Board) -> None:
    serial = open_batch(board, 2)

    seen = board.look()
    assert (seen.serial, seen.begun, seen.done, seen.memory_mark) == (serial, 1, 0, 5)
    assert seen.running == Attempt("job 0", 0, "Echo", 1, 600.0)
    assert [board.begin(memory_mark=7) for _ in range(2)] == [True, False]
    assert board.look().running == seen.batch[1]
    assert board.look().memory_mark == 7
    board.finish()
    assert not board.look().is_running


def test_what_was_taken_away_never_begins(board: Board) -> None:
    serial = open_batch(board, 4)

    rest = board.take_rest(serial, may_wait=True)

    assert rest == range(1, 4)
    assert board.begin(0) is False
    assert board.take_rest(serial, may_wait=True) == range(0)


def test_what_was_taken_away_is_held_until_it_is_given_back(board: Board) -> None:
    serial = open_batch(board, 3)
    assert not board.awaits_return(serial)

    board.take_rest(serial, may_wait=True)

    assert board.awaits_return(serial)
    assert len(board.look().batch) == 3
    board.note_return(serial)
    assert not board.awaits_return(serial)
    assert len(board.look().batch) == 1


def test_of_another_batch_nothing_is_taken(board: Board) -> None:
    former = open_batch(board, 4)
    open_batch(board, 4)

    assert board.take_rest(former, may_wait=True) == range(0)

    assert board.begin(0) is True


def test_another_process_sees_the_same(board: Board) -> None:
    other = Board(os.dup(board.fd))
    board.claim(["a"])
    seen = other.look()
    serial = open_batch(board, 2)

    rest = other.take_rest(serial, may_wait=True)

    assert seen.taken == ("a",)
    assert rest == range(1, 2)
    assert other.look() == board.look()
    assert board.begin(0) is False
    other.close()


def test_a_claim_is_answered_by_the_batch_after_it_or_by_the_end(board: Board) -> None:
    board.claim(["a", "b"])
    open_batch(board, 1)
    assert board.look().taken == ()

    board.claim(["c"])

    assert (len(board.look().batch), board.look().taken) == (1, ("c",))
    board.end()
    assert (board.look().batch, board.look().taken) == ((), ())


# Each batch bears one number throughout, and is as long as that says; the claim after it likewise.
WORK = """
import sys
from jobs.runner.board import Board
from jobs.runner.seen import Attempt
board = Board(int(sys.argv[1]))
print("ready", flush=True)
for number in range(10**9):
    board.open_batch(
        [Attempt(str(number), number, "Echo", 1, 600.0)] * (number % 40 + 1), memory_mark=number
    )
    board.claim([str(number)] * (number % 50 + 1))
"""


def assert_whole(seen: Seen) -> None:
    """Check that nothing on the board comes from two moments."""
    [number] = {attempt.claim for attempt in seen.batch} or {0}
    assert len(seen.batch) in {0, number % 40 + 1}
    assert seen.taken in {(), (str(number),) * (number % 50 + 1)}


OPEN_BATCH = """
import sys
from jobs.runner.board import Board
from jobs.runner.seen import Attempt
Board(int(sys.argv[1])).open_batch([Attempt("late", 7, "Echo", 1, 600.0)], memory_mark=0)
"""


def test_a_batch_that_is_written_and_not_yet_open_hides_nothing(board: Board) -> None:
    open_batch(board, 2)
    before = board.look()
    other = Board(os.dup(board.fd))
    command = [sys.executable, "-c", OPEN_BATCH, str(board.fd)]

    with board._lock(), subprocess.Popen(command, pass_fds=[board.fd]) as writer:
        wait.until("it has written", lambda: b'"late", 7' in bytes(board._view))
        seen = other.look()
        writer.kill()

    assert seen == before
    assert board.look() == before
    other.close()


@pytest.mark.parametrize("milliseconds", [3, 10, 20])
def test_whoever_is_killed_while_it_writes_leaves_the_board_whole(
    board: Board, milliseconds: int
) -> None:
    command = [sys.executable, "-c", WORK, str(board.fd)]
    with subprocess.Popen(command, pass_fds=[board.fd], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        until = time.monotonic() + milliseconds / 1000
        while time.monotonic() < until or (board.look().serial < 100 and writer.poll() is None):
            assert_whole(board.look())
        writer.kill()

    assert_whole(board.look())
    assert board.look().serial >= 100


def test_what_is_too_long_is_refused_and_leaves_what_stood_before(board: Board) -> None:
    open_batch(board, 2)
    before = board.look()

    with pytest.raises(ValueError, match="too many for the board"):
        board.claim(["x" * 20_000])

    assert board.look() == before


def test_64_of_the_longest_have_room(board: Board) -> None:
    ids = [f"{number:0200}" for number in range(64)]
    attempts = [Attempt(entry_id, 10**9, "j" * 200, 10**9, 1e9) for entry_id in ids]

    board.claim(ids)
    claimed = board.look()
    board.open_batch(attempts, memory_mark=0)

    assert claimed.taken == tuple(ids)
    assert board.look().batch == tuple(attempts)


def test_whoever_may_not_wait_is_told_that_the_lock_is_held(board: Board) -> None:
    serial = open_batch(board, 2)

    with lock_held_by_another_process(board):
        assert board.take_rest(serial, may_wait=False) is None


def test_the_lock_of_a_holder_that_was_killed_is_free(board: Board) -> None:
    serial = open_batch(board, 2)
    with lock_held_by_another_process(board):
        pass

    assert board.take_rest(serial, may_wait=False) == range(1, 2)


def test_a_thread_that_comes_late_to_a_batch_takes_the_lock_from_no_other(board: Board) -> None:
    former, serial = open_batch(board, 4), open_batch(board, 4)
    late = threading.Thread(target=board.take_rest, args=(former,), kwargs={"may_wait": True})

    with board._lock():
        late.start()
        late.join(0.3)
        assert rest_that_another_process_takes(board, serial) == "None"

    late.join(30)
    assert rest_that_another_process_takes(board, serial) == "range(1, 4)"
