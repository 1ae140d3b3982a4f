"""Bytes to records: lines decoded, parsed by the csv module, never more than a record in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from jobs.builtin.errors import FileRefused

# A record may span lines, in quotes. Past this many bytes it is none, but a quote forgotten.
MAX_RECORD_BYTES = 1024 * 1024
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


def is_line_wise(encoding: str) -> bool:
    """Whether lines, quotes and digits look the same in `encoding` as in ASCII.

    They don't in UTF-16 and UTF-32: there a byte 10 isn't the end of a line.
    """
    plain = "".join(map(chr, range(32, 127))) + "\r\n"
    try:
        return "escape" not in encoding and plain.encode("ascii").decode(encoding) == plain
    except (LookupError, UnicodeError):
        return False


class Records:
    """The records of a CSV file, one at a time, each with what makes it worthless.

    A broken record (not in its encoding, misquoted, a field past 128 KiB) ends with its line, the
    next line begins the next record. Empty lines are no records.

    Raises:
        FileRefused: While iterating, at a record without an end.
    """

    def __init__(self, pieces: Iterable[bytes], *, encoding: str, delimiter: str) -> None:
        self.line = 0  # where the last record begins, counted from 1
        self._pieces = pieces
        self._encoding = encoding
        self._fault = ""
        self._ended = 0
        # strict: a forgotten quote is a fault, instead of swallowing what follows.
        self._reader = csv.reader(self._lines(), delimiter=delimiter, strict=True)

    def __iter__(self) -> Iterator[tuple[list[str], str]]:
        """Yield each record's fields, and its fault or ""; with a fault the fields mean nothing."""
        reader = self._reader
        while True:
            self.line = reader.line_num + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                fields, self._fault = [], self._fault or self._misquoted(error)
            self._ended += 1
            if self._fault:
                fault, self._fault = self._fault, ""
                yield fields, fault
            elif fields:
                yield fields, ""

    def _misquoted(self, error: csv.Error) -> str:
        last = self._reader.line_num
        if last > self.line:
            return f"{error} (a quote opened here goes on to line {last})"
        return str(error)

    def _lines(self) -> Iterator[str]:
        rest = b""
        ended = pending = 0
        first = True
        for piece in self._pieces:
            pending = pending + len(piece) if ended == self._ended else len(piece)
            ended = self._ended
            if pending > MAX_RECORD_BYTES:
                raise FileRefused(
                    f"The record that begins in line {self.line} has no end within "
                    f"{MAX_RECORD_BYTES:,} bytes: is a quote missing, or is this no CSV?"
                )
            whole, newline, rest = (rest + piece).rpartition(b"\n")
            if newline:
                yield from self._decoded(whole + newline, first=first)
                first = False
        if rest:
            yield from self._decoded(rest, first=first)

    def _decoded(self, block: bytes, *, first: bool) -> Iterator[str]:
        try:
            text = block.decode(self._encoding)
        except UnicodeDecodeError:
            yield from self._one_by_one(block)
            return
        yield from io.StringIO(text.removeprefix(_BOM) if first else text, newline="\n")

    def _one_by_one(self, block: bytes) -> Iterator[str]:
        for line in io.BytesIO(block):
            try:
                text = line.decode(self._encoding)
            except UnicodeDecodeError as error:
                # The reader asks for a line only when it needs one: the fault meets its own record.
                self._fault = f"byte {error.start + 1} of a line is not {self._encoding}"
                text = line.decode(self._encoding, "replace")
            yield text
