"""Log lines at half their price: for the log on stderr as the site ships it."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

# Of one write, in bytes: so much a pipe takes whole, and no other process's line comes between.
PIPE_BYTES = 4_096


class LineFormatter(logging.Formatter):
    """As logging's own, but a second is written once, not for each line of it."""

    _written = (-1, "")  # the second, and its text

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Return when `record` was made."""
        if datefmt:
            return super().formatTime(record, datefmt)
        second, text = self._written
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime(self.default_time_format, self.converter(second))
            self._written = (second, text)
        return f"{text},{int(record.msecs):03d}"


class _Kept(threading.local):
    lines: list[str] | None = None  # None: nothing is kept


class Lines:
    """A stream for a logging handler, on which a thread may say many lines with few writes.

    Args:
        stream: Where they go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._kept = _Kept()

    def write(self, text: str) -> None:
        """Write `text`, or keep it until the end of `together`."""
        if self._kept.lines is None:
            self._stream.write(text)
        else:
            self._kept.lines.append(text)

    def flush(self) -> None:
        """Have written what isn't kept."""
        if self._kept.lines is None:
            self._stream.flush()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Keep what this thread says meanwhile, and say it at the end; not to be nested."""
        lines = list[str]()
        self._kept.lines = lines
        try:
            yield
        finally:
            self._kept.lines = None
            # As with logging's own handlers: a log that can't be written ends no job.
            with contextlib.suppress(OSError, ValueError):
                for portion in _portions(lines):
                    self._stream.write(portion)
                    self._stream.flush()


def _portions(lines: list[str]) -> Iterator[str]:
    kept, size_bytes = list[str](), 0
    for line in lines:
        line_bytes = len(line.encode(errors="replace"))
        if kept and size_bytes + line_bytes > PIPE_BYTES:
            yield "".join(kept)
            kept, size_bytes = [], 0
        kept.append(line)
        size_bytes += line_bytes
    if kept:
        yield "".join(kept)


# What the settings name; a site with another log has lines one by one.
STDERR = Lines(sys.stderr)
