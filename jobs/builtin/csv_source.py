"""A source's bytes in pieces, wherever it lies and whether or not it is gzipped."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from jobs.builtin.csv_file import open_file
from jobs.builtin.csv_http import open_address
from jobs.builtin.errors import SourceRefused, SourceUnavailable

_PIECE_BYTES = 256 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
# A server may pack a .csv.gz once more on its way.
_MAX_LAYERS = 2


@contextmanager
def pieces(
    source: str, *, folders: tuple[str, ...], hosts: tuple[str, ...], limit_bytes: int
) -> Iterator[Iterator[bytes]]:
    """Open `source` and hand out its bytes, unpacked, in pieces of at most 256 KiB.

    Whether it is gzipped is read from its first two bytes, never from a name or a header.

    Args:
        source: A path inside one of `folders`, or an http(s) address on one of `hosts`.
        folders: JOBS["IMPORT_FOLDERS"].
        hosts: JOBS["IMPORT_HOSTS"].
        limit_bytes: JOBS["MAX_IMPORT_BYTES"], of what comes out unpacked.

    Raises:
        SourceRefused: It isn't allowed, isn't there, or is larger than the limit.
        SourceUnavailable: It didn't answer, or broke off; also while the pieces are read.
    """
    scheme, mark, _ = source.partition("://")
    if not mark:
        raw: io.RawIOBase = open_file(source, folders)
    elif scheme.lower() in {"http", "https"}:
        raw = open_address(source, hosts)
    else:
        raise SourceRefused("The source must be a path, or an http:// or https:// address.")
    with io.BufferedReader(raw, _PIECE_BYTES) as stream:
        yield _bounded(_read(stream), limit_bytes)


def _read(stream: io.BufferedReader[Any]) -> Iterator[bytes]:
    try:
        for _ in range(_MAX_LAYERS):
            if stream.peek(2)[:2] != _GZIP_MAGIC:
                break
            unpacked = cast("io.RawIOBase", gzip.GzipFile(fileobj=stream, mode="rb"))
            stream = io.BufferedReader(unpacked, _PIECE_BYTES)
        while piece := stream.read(_PIECE_BYTES):
            yield piece
    except (OSError, EOFError, zlib.error) as error:
        raise SourceUnavailable(f"The source is damaged or was cut short: {error}.") from error


def _bounded(pieces: Iterator[bytes], limit_bytes: int) -> Iterator[bytes]:
    # A small gzip file can unpack to anything; the staging table would fill the server's disk.
    read_bytes = 0
    for piece in pieces:
        read_bytes += len(piece)
        if read_bytes > limit_bytes:
            raise SourceRefused(
                f"The source is larger, unpacked, than {limit_bytes:,} bytes. "
                'Split it, or raise JOBS["MAX_IMPORT_BYTES"].'
            )
        yield piece
