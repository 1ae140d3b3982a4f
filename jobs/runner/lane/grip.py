"""Whose code holds a runner's event loop, and since when: written at every step, read from outside.

A step that never ends may hold the interpreter as well: then its own process can tell nobody. So it
is said before the step, in memory that the supervisor shares.
"""

from __future__ import annotations

import os
import struct
import time
from dataclasses import dataclass
from uuid import UUID

_LAYOUT = struct.Struct("=16sIxxxxdd")  # job id, claim, since; since when nobody knows whose
_MOMENT = struct.Struct("=d")
_MOMENTS = struct.Struct("=dd")
_SINCE_AT, _UNKNOWN_AT = _LAYOUT.size - 16, _LAYOUT.size - 8
SIZE_BYTES = _LAYOUT.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A step that has begun and not ended."""

    job_id: UUID | None  # None: the loop does something of which it isn't known whose it is
    claim: int
    since: float  # time.monotonic(), which is one clock for all processes of a machine


class Grip:
    """The mark itself.

    Args:
        memory: SIZE_BYTES of it; shared with whoever is to read it.
    """

    def __init__(self, memory: memoryview) -> None:
        self._memory = memory
        self._holder: tuple[bytes, int] | None = None
        self._is_child = False
        os.register_at_fork(after_in_child=self._note_fork)

    def take(self, holder: tuple[bytes, int] | None) -> tuple[bytes, int] | None:
        """Note that a step of this attempt, or of none, holds the loop from now on.

        Returns:
            Whose step held it until now; to be taken back after a step within a step.
        """
        if self._is_child:
            os._exit(0)  # a child that the job forked came back: the attempts are its parent's
        before, self._holder = self._holder, holder
        if holder is None:
            _MOMENTS.pack_into(self._memory, _SINCE_AT, 0.0, time.monotonic())
        else:
            _LAYOUT.pack_into(self._memory, 0, holder[0], holder[1], time.monotonic(), 0.0)
        return before

    def rest(self) -> None:
        """Note that the loop waits, and nobody holds it."""
        _MOMENT.pack_into(self._memory, _UNKNOWN_AT, 0.0)

    def turn(self) -> None:
        """Note that the loop does something again."""
        _MOMENT.pack_into(self._memory, _UNKNOWN_AT, time.monotonic())

    def held(self) -> Held | None:
        """Return the step that holds the loop now; from any thread."""
        return read(self._memory)

    def _note_fork(self) -> None:
        self._is_child = True


def read(memory: memoryview) -> Held | None:
    """Return the step that holds the loop; None where there is none, or one ends this moment."""
    first = bytes(memory[:SIZE_BYTES])
    job_id, claim, since, unknown_since = _LAYOUT.unpack(first)
    if not (since or unknown_since) or bytes(memory[:SIZE_BYTES]) != first:
        return None
    if not since:
        return Held(job_id=None, claim=0, since=unknown_since)
    return Held(job_id=UUID(bytes=job_id), claim=claim, since=since)
