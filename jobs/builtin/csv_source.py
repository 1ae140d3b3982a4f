"""A source's bytes in pieces, wherever it lies and whether or not it is gzipped."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from jobs.builtin.csv_file import open_file
from jobs.builtin.csv_http import open_address
from jobs.builtin.errors import SourceRefused, SourceUnavailable

_PIECE_BYTES = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
# A server may pack a .csv.gz once more on its way.
_MAX_LAYERS = 2


@contextmanager
def pieces(
    source: str, *, folders: tuple[str, ...], hosts: tuple[str, ...]
) -> Iterator[Iterator[bytes]]:
    """Open `source` and hand out its bytes, unpacked, in pieces of at most 256 KiB.

    Whether it is gzipped is read from its first two bytes, never from a name or a header.

    Args:
        source: A path inside one of `folders`, or an http(s) address on one of `hosts`.
        folders: JOBS["IMPORT_FOLDERS"].
        hosts: JOBS["IMPORT_HOSTS"].

    Raises:
        SourceRefused: It isn't allowed, or isn't there.
        SourceUnavailable: It didn't answer, or broke off; also while the pieces are read.
    """
    scheme, mark, _ = source.partition("://")
    if not mark:
        raw: io.RawIOBase | BinaryIO = open_file(source, folders)
    elif scheme.lower() in {"http", "https"}:
        raw = open_address(source, hosts)
    else:
        raise SourceRefused("The source must be a path, or an http:// or https:// address.")
    with raw:
        yield _read(raw)


def _read(raw: io.RawIOBase | BinaryIO) -> Iterator[bytes]:
    stream: BinaryIO = io.BufferedReader(cast("io.RawIOBase", raw), _PIECE_BYTES)
    try:
        for _ in range(_MAX_LAYERS):
            buffered = cast("io.BufferedReader", stream)
            if buffered.peek(2)[:2] != _GZIP_MAGIC:
                break
            unpacked = cast("io.RawIOBase", gzip.GzipFile(fileobj=buffered, mode="rb"))
            stream = io.BufferedReader(unpacked, _PIECE_BYTES)
        while piece := stream.read(_PIECE_BYTES):
            yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise SourceUnavailable(f"The source is damaged or was cut short: {error}.") from error
