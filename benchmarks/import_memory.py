"""Measures ImportCsv's peak memory on 1 MB and on 1 GB of CSV, gzipped, over HTTP.

Each import runs in a fresh process; the server makes the file while it sends it, one row in a
hundred bad. Prints both peaks, their difference and the rows a second. Exit 1 if the difference
passes 50 MB.

    python benchmarks/import_memory.py [megabytes of the large file]

Needs DATABASE_URL and REDIS_URL; makes and drops the table public.import_memory.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import django
from django.db import connection

MB = 1_000_000
ALLOWED_GROWTH_MB = 50
BLOCK_ROWS = 5_000
TABLE = "public.import_memory"


def block(first: int) -> bytes:
    """Return the rows from `first` on."""
    return "".join(
        f"{n},visitor {n % 977},{'bad' if n % 100 == 0 else n % 1000},{n / 8},"
        f"2026-{n % 12 + 1:02}-{n % 28 + 1:02} 08:30:00\n"
        for n in range(first, first + BLOCK_ROWS)
    ).encode()


class Handler(BaseHTTPRequestHandler):
    """Sends as many megabytes of CSV as the path says, gzipped."""

    def do_GET(self) -> None:
        """Answer `/<megabytes>`."""
        wanted = int(self.path.strip("/")) * MB
        self.send_response(200)
        self.end_headers()
        packer = zlib.compressobj(1, wbits=31)
        self.wfile.write(packer.compress(b"id,label,amount,price,seen\n"))
        sent = first = 0
        while sent < wanted:
            rows = block(first)
            self.wfile.write(packer.compress(rows))
            sent += len(rows)
            first += BLOCK_ROWS
        self.wfile.write(packer.flush())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def import_once(address: str) -> None:
    """Import `address` in this process and print its result and peak memory."""
    django.setup()
    import_csv = importlib.import_module("jobs.builtin.import_csv")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")
        cursor.execute(
            f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, label text NOT NULL, amount integer, "
            "price numeric(12, 3), seen timestamptz)"
        )
    job = import_csv.ImportCsv(source=address, table=TABLE, mode="replace", max_rejected=None)
    result = job._perform()  # noqa: SLF001 - the job alone, without a worker
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    print(json.dumps({**result, "rejected": len(result["rejected"]), "peak_mb": round(peak_mb, 1)}))


def measure(server: str, megabytes: int) -> dict[str, Any]:
    """Return what a fresh process says of importing so many megabytes."""
    done = subprocess.run(
        [sys.executable, __file__, "--import", f"http://{server}/{megabytes}"],
        env=os.environ
        | {
            "IMPORT_HOSTS": server,
            "IMPORT_TABLES": TABLE,
            "DJANGO_SETTINGS_MODULE": "jobsite.settings",
            "ENVIRONMENT": "development",
            "DEBUG": "0",
            "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        },
        check=True,
        stdout=subprocess.PIPE,
        timeout=3_600,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    print(
        f"{megabytes:>5} MB: {result['rows_in']:>11,} rows in, {result['rows_out']:>11,} out, "
        f"{result['rows_rejected']:>8,} rejected ({result['rejected']} kept), "
        f"{result['seconds']:>7.1f} s, {result['rows_in'] / result['seconds']:>9,.0f} rows/s, "
        f"peak {result['peak_mb']:.1f} MB",
        flush=True,
    )
    return result


def main() -> int:
    """Measure the small and the large import."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("megabytes", type=int, nargs="?", default=1_000, help="of the large file")
    large = parser.parse_args().megabytes
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"127.0.0.1:{server.server_address[1]}"
        growth = measure(address, large)["peak_mb"] - measure(address, 1)["peak_mb"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    print(f"The large file's peak lies {growth:+.1f} MB from the small one's.")
    return int(growth > ALLOWED_GROWTH_MB)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--import"]:
        import_once(sys.argv[2])
    else:
        sys.exit(main())
