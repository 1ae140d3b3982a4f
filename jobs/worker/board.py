"""What a runner and its supervisor both see of the batch it runs: memory they share, and a lock."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.worker import grip

_SIZE_BYTES = 128
# The places of whole numbers, then those of moments by time.monotonic(), which is the machine's.
_SERIAL, _LIMIT, _BEGUN, _DONE, _MARK = range(5)
_BEGAN_AT, _DONE_AT = 5, 6
# Behind them stands who holds the event loop (grip.py).
_GRIP = slice(64, 64 + grip.SIZE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The board at one moment. Jobs are counted from the batch's first."""

    serial: int  # which batch; grows by one with each
    limit: int  # how many of its jobs may begin
    begun: int
    done: int  # the job's own code has returned, for so many
    memory_mark: int  # bytes; of the job that began last
    began_at: float  # time.monotonic(), of the job that began last
    done_at: float  # time.monotonic(), of the job that was done last

    @property
    def is_running(self) -> bool:
        """Whether a job's own code is on the stack."""
        return self.begun > self.done


class Board:
    """Shared by two processes; each opens it with the same file.

    Whoever lets a job begin, or takes away those that haven't begun, holds the lock. It is a POSIX
    record lock: the kernel releases it with its holder, and a child that a job forks doesn't have
    it. It keeps processes apart, not the threads of one: those have a second one.

    Args:
        fd: The file; closed by `close`.

    Attributes:
        grip: The memory of the grip that the runner's event loop is held by.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _SIZE_BYTES)
        self._view = memoryview(self._map)
        self.grip = self._view[_GRIP]
        self._numbers = self._view.cast("q")
        self._moments = self._view.cast("d")
        # A record lock is its process's: a clerk that comes late to the batch before and lets go of
        # it would take it from the main thread, which is letting a job begin.
        self._threads = threading.Lock()

    @classmethod
    def make(cls) -> Board:
        """Return a board of its own; the other process opens it by the file's descriptor."""
        if sys.platform == "linux":
            fd = os.memfd_create("board", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        os.ftruncate(fd, _SIZE_BYTES)
        return cls(fd)

    def close(self) -> None:
        """Let go of it."""
        self._numbers.release()
        self._moments.release()
        self.grip.release()
        self._view.release()
        self._map.close()
        os.close(self.fd)

    # --- The runner's ---

    def open_batch(self, serial: int, size: int) -> None:
        """Begin a batch of `size` jobs."""
        numbers = self._numbers
        with self._lock():
            numbers[_LIMIT] = numbers[_BEGUN] = numbers[_DONE] = 0
            numbers[_SERIAL] = serial
            numbers[_LIMIT] = size

    def begin(self, memory_mark: int) -> bool:
        """Let the next job begin; False when the batch has none left."""
        numbers = self._numbers
        with self._threads:
            # As `_lock`, which would cost each job a microsecond more.
            fcntl.lockf(self.fd, fcntl.LOCK_EX)
            try:
                if numbers[_BEGUN] >= numbers[_LIMIT]:
                    return False
                self._moments[_BEGAN_AT] = time.monotonic()
                numbers[_MARK] = memory_mark
                numbers[_BEGUN] += 1
                return True
            finally:
                fcntl.lockf(self.fd, fcntl.LOCK_UN)

    def finish(self) -> None:
        """Note that the job that began last is done."""
        self._moments[_DONE_AT] = time.monotonic()
        self._numbers[_DONE] = self._numbers[_BEGUN]

    # --- Anybody's ---

    def take_rest(self, serial: int, *, may_wait: bool) -> range | None:
        """Take away the jobs of the batch `serial` that haven't begun: they never will.

        Args:
            serial: Of which batch; of a later one nothing is taken.
            may_wait: Wait for the lock; its holder may have been stopped.

        Returns:
            Their places in the batch; None where the lock is held and `may_wait` is False.
        """
        try:
            with self._lock(may_wait=may_wait):
                numbers = self._numbers
                if numbers[_SERIAL] != serial:
                    return range(0)
                rest = range(numbers[_BEGUN], numbers[_LIMIT])
                numbers[_LIMIT] = numbers[_BEGUN]
                return rest
        except BlockingIOError:
            return None

    def look(self) -> Seen:
        """Return what stands there; without the lock it may be changing."""
        numbers, moments = self._numbers, self._moments
        return Seen(
            serial=numbers[_SERIAL],
            limit=numbers[_LIMIT],
            begun=numbers[_BEGUN],
            done=numbers[_DONE],
            memory_mark=numbers[_MARK],
            began_at=moments[_BEGAN_AT],
            done_at=moments[_DONE_AT],
        )

    @contextlib.contextmanager
    def _lock(self, *, may_wait: bool = True) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self.fd, fcntl.LOCK_EX if may_wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield
            finally:
                fcntl.lockf(self.fd, fcntl.LOCK_UN)
