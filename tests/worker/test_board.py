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

from jobs.worker.board import Board


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
from jobs.worker.board import Board
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


def test_jobs_begin_one_after_another_until_the_batch_is_over(board: Board) -> None:
    board.open_batch(7, 2)

    assert [board.begin(memory_mark=5) for _ in range(3)] == [True, True, False]

    seen = board.look()
    assert (seen.serial, seen.begun, seen.done, seen.memory_mark) == (7, 2, 0, 5)
    assert seen.is_running
    board.finish()
    assert not board.look().is_running


def test_what_was_taken_away_never_begins(board: Board) -> None:
    board.open_batch(1, 4)
    board.begin(0)

    rest = board.take_rest(1, may_wait=True)

    assert rest == range(1, 4)
    assert board.begin(0) is False
    assert board.take_rest(1, may_wait=True) == range(0)


def test_of_another_batch_nothing_is_taken(board: Board) -> None:
    board.open_batch(2, 4)

    assert board.take_rest(1, may_wait=True) == range(0)

    assert board.begin(0) is True


def test_another_process_sees_the_same(board: Board) -> None:
    other = Board(os.dup(board.fd))
    board.open_batch(3, 2)

    rest = other.take_rest(3, may_wait=True)

    assert rest == range(2)
    assert board.begin(0) is False
    other.close()


def test_whoever_may_not_wait_is_told_that_the_lock_is_held(board: Board) -> None:
    board.open_batch(1, 2)

    with lock_held_by_another_process(board):
        assert board.take_rest(1, may_wait=False) is None


def test_the_lock_of_a_holder_that_was_killed_is_free(board: Board) -> None:
    board.open_batch(1, 2)
    with lock_held_by_another_process(board):
        pass

    assert board.take_rest(1, may_wait=False) == range(2)


def test_a_thread_that_comes_late_to_a_batch_takes_the_lock_from_no_other(board: Board) -> None:
    board.open_batch(2, 4)
    late = threading.Thread(target=board.take_rest, args=(1,), kwargs={"may_wait": True})

    with board._lock():
        late.start()
        late.join(0.3)
        assert rest_that_another_process_takes(board, 2) == "None"

    late.join(30)
    assert rest_that_another_process_takes(board, 2) == "range(0, 4)"
