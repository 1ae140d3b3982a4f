from __future__ import annotations

import gzip
import tracemalloc

import pytest

from jobs.builtin.import_csv import ImportCsv
from tests.builtin.conftest import rows

MIB = 1024 * 1024


def serve(server, megabytes: int) -> str:
    """Answer with so much CSV, gzipped, made while it is sent; every hundredth row is bad."""

    def send(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with gzip.GzipFile(fileobj=handler.wfile, mode="wb", compresslevel=1) as packed:
            packed.write(b"code,label,amount\n")
            sent = n = 0
            while sent < megabytes * MIB:
                block = "".join(
                    f"{i},a label,{'x' if i % 100 == 0 else i}\n" for i in range(n, n + 1_000)
                ).encode()
                packed.write(block)
                sent += len(block)
                n += 1_000

    server.answers["/big.csv"] = send
    return f"http://127.0.0.1:{server.port}/big.csv"


def peak(server, items, megabytes: int) -> tuple[int, dict]:
    source = serve(server, megabytes)
    tracemalloc.start()
    try:
        result = ImportCsv(source=source, table=items, mode="replace", max_rejected=None)._perform()
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


@pytest.mark.django_db
def test_memory_stays_flat_on_a_long_stream(server, items):
    small, _ = peak(server, items, 2)

    large, result = peak(server, items, 8)

    assert large < small + MIB
    assert result["rows_in"] > 300_000
    assert result["rows_rejected"] == result["rows_in"] // 100
    assert len(result["rejected"]) == 100
    assert rows("SELECT count(*) FROM public.items") == [(result["rows_out"],)]
