"""What a runner holds stands in memory that its supervisor shares, and may be read after its death.

Claims and batches are written in turns, each into the area that is not read, and then a number is
counted up: whoever is killed in the middle leaves what stood there before.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence

from jobs.runner.lane import grip
from jobs.runner.seen import Attempt, Seen

# Places are counted in words of eight bytes, but for _GRIP, _TEXT_AT, _BATCHES_AT and _..._BYTES.
# The head: whole numbers, then moments by time.monotonic(), which is the machine's; then who holds
# the event loop (grip.py).
_SERIAL, _CLAIM, _RETURNED, _CLERK_RETURNED = range(4)
_WORKED_AT, _IDLE_AT = 4, 5
_GRIP = slice(64, 64 + grip.SIZE_BYTES)
_HEAD_BYTES = 128
# A claim: a length, and then up to 64 ids of up to 200 characters.
_CLAIM_BYTES = 16 * 1024
# A batch: numbers, moments, and the attempts.
_LENGTH, _ANSWERS, _SIZE, _LIMIT, _BEGUN, _DONE, _MARK = range(7)
_OPENED_AT, _BEGAN_AT, _DONE_AT = 7, 8, 9
_BATCH_BYTES = 128 * 1024
_TEXT_AT = 128
_BATCHES_AT = _HEAD_BYTES + 2 * _CLAIM_BYTES
_SIZE_BYTES = _BATCHES_AT + 2 * _BATCH_BYTES


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
        self._batch = _batch_at(0)  # where the runner's stands
        self._read: tuple[int, tuple[Attempt, ...]] = (0, ())  # the last one that was read

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

    def claim(self, entry_ids: Sequence[str]) -> None:
        """Note what was claimed: until the next batch is open, or `end`."""
        number = self._numbers[_CLAIM] + 1
        at = _claim_at(number)
        self._numbers[at] = self._write(at + 1, "\n".join(entry_ids), _CLAIM_BYTES - 8)
        self._numbers[_CLAIM] = number
        self._moments[_WORKED_AT] = time.monotonic()

    def open_batch(self, attempts: Sequence[Attempt], *, memory_mark: int) -> int:
        """Begin the first of these attempts, at least one; the others may follow.

        Returns:
            The serial of the batch.
        """
        numbers, moments = self._numbers, self._moments
        serial = numbers[_SERIAL] + 1
        self._batch = at = _batch_at(serial)
        text = json.dumps(attempts)
        numbers[at + _LENGTH] = self._write(at + _TEXT_AT // 8, text, _BATCH_BYTES - _TEXT_AT)
        numbers[at + _ANSWERS] = numbers[_CLAIM]
        numbers[at + _SIZE] = numbers[at + _LIMIT] = len(attempts)
        numbers[at + _BEGUN], numbers[at + _DONE] = 1, 0
        numbers[at + _MARK] = memory_mark
        now = time.monotonic()
        moments[at + _OPENED_AT] = moments[at + _BEGAN_AT] = moments[at + _DONE_AT] = now
        # Who takes away the rest of a batch must be through before its place is written again.
        with self._lock():
            numbers[_SERIAL] = serial
        moments[_WORKED_AT] = now
        return serial

    def begin(self, memory_mark: int) -> bool:
        """Let the next job begin; False when the batch has none left."""
        numbers, at = self._numbers, self._batch
        with self._threads:
            # As `_lock`, which would cost each job a microsecond more.
            fcntl.lockf(self.fd, fcntl.LOCK_EX)
            try:
                if numbers[at + _BEGUN] >= numbers[at + _LIMIT]:
                    return False
                self._moments[at + _BEGAN_AT] = time.monotonic()
                numbers[at + _MARK] = memory_mark
                numbers[at + _BEGUN] += 1
                return True
            finally:
                fcntl.lockf(self.fd, fcntl.LOCK_UN)

    def finish(self) -> None:
        """Note that the job that began last is done."""
        at = self._batch
        self._moments[at + _DONE_AT] = time.monotonic()
        self._numbers[at + _DONE] = self._numbers[at + _BEGUN]

    def end(self) -> None:
        """Note that nothing is held any more: all is settled, or put back."""
        self._numbers[self._batch + _SIZE] = 0
        self._numbers[self._batch + _ANSWERS] = self._numbers[_CLAIM]
        self._moments[_WORKED_AT] = time.monotonic()

    def rest(self) -> bool:
        """Note that nothing was found; return whether that is news."""
        is_news = self._moments[_IDLE_AT] <= self._moments[_WORKED_AT]
        self._moments[_IDLE_AT] = time.monotonic()
        return is_news

    def awaits_return(self, serial: int) -> bool:
        """Whether somebody has taken away jobs of this batch, and not yet given them back."""
        at = _batch_at(serial)
        return self._numbers[at + _LIMIT] < self._numbers[at + _SIZE] and not (
            self._is_returned(serial)
        )

    # --- Anybody's ---

    def take_rest(self, serial: int, *, may_wait: bool) -> range | None:
        """Take away the jobs of the batch `serial` that haven't begun: they never will.

        Whoever does so gives them back, and then says so with `note_return`.

        Args:
            serial: Of which batch; of a later one nothing is taken.
            may_wait: Wait for the lock; its holder may have been stopped.

        Returns:
            Their places in the batch; None where the lock is held and `may_wait` is False.
        """
        try:
            with self._lock(may_wait=may_wait):
                numbers, at = self._numbers, _batch_at(serial)
                if numbers[_SERIAL] != serial:
                    return range(0)
                rest = range(numbers[at + _BEGUN], numbers[at + _LIMIT])
                numbers[at + _LIMIT] = numbers[at + _BEGUN]
                return rest
        except BlockingIOError:
            return None

    def note_return(self, serial: int, *, by_clerk: bool = False) -> None:
        """Note that what was taken away of the batch `serial` has been given back."""
        # A place for each of the two who may: neither writes over the other's word.
        self._numbers[_CLERK_RETURNED if by_clerk else _RETURNED] = serial

    def look(self) -> Seen:
        """Return what stands there; without the lock the counts may be changing."""
        numbers, moments = self._numbers, self._moments
        idle_at, worked_at = moments[_IDLE_AT], moments[_WORKED_AT]
        # First the claim, then the batch, which may answer it: else one might be in neither.
        claim, entry_ids = self._read_claim()
        while True:
            serial = numbers[_SERIAL]
            at, attempts = _batch_at(serial), self._read_batch(serial)
            limit, size = numbers[at + _LIMIT], numbers[at + _SIZE]
            seen = Seen(
                taken=entry_ids if claim > numbers[at + _ANSWERS] else (),
                batch=attempts[: min(limit, size) if self._is_returned(serial) else size],
                serial=serial,
                limit=limit,
                done=numbers[at + _DONE],
                begun=numbers[at + _BEGUN],
                memory_mark=numbers[at + _MARK],
                opened_at=moments[at + _OPENED_AT],
                began_at=moments[at + _BEGAN_AT],
                done_at=moments[at + _DONE_AT],
                worked_at=worked_at,
                idle_at=idle_at,
            )
            if numbers[_SERIAL] == serial:
                return seen

    def _read_claim(self) -> tuple[int, tuple[str, ...]]:
        while True:
            number = self._numbers[_CLAIM]
            at = _claim_at(number)
            text = self._text(at + 1, self._numbers[at])
            if self._numbers[_CLAIM] == number:
                return number, tuple(text.decode().split("\n")) if text else ()

    def _read_batch(self, serial: int) -> tuple[Attempt, ...]:
        if serial != self._read[0]:
            at = _batch_at(serial)
            text = self._text(at + _TEXT_AT // 8, self._numbers[at + _LENGTH])
            if self._numbers[_SERIAL] != serial:
                return ()  # written over meanwhile
            self._read = serial, tuple(Attempt(*one) for one in json.loads(text))
        return self._read[1]

    def _is_returned(self, serial: int) -> bool:
        return serial in (self._numbers[_RETURNED], self._numbers[_CLERK_RETURNED])

    def _write(self, at: int, text: str, most_bytes: int) -> int:
        data = text.encode()
        if len(data) > most_bytes:
            raise ValueError(f"{len(data)} bytes are too many for the board.")
        self._view[8 * at : 8 * at + len(data)] = data
        return len(data)

    def _text(self, at: int, length: int) -> bytes:
        return bytes(self._view[8 * at : 8 * at + length])

    @contextlib.contextmanager
    def _lock(self, *, may_wait: bool = True) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self.fd, fcntl.LOCK_EX if may_wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                yield
            finally:
                fcntl.lockf(self.fd, fcntl.LOCK_UN)


def _claim_at(number: int) -> int:
    return (_HEAD_BYTES + number % 2 * _CLAIM_BYTES) // 8


def _batch_at(serial: int) -> int:
    return (_BATCHES_AT + serial % 2 * _BATCH_BYTES) // 8
