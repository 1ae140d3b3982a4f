from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from jobs.builtin.import_csv import ImportCsv

CERTIFICATE = Path(__file__).with_name("certificate.pem")


@pytest.fixture
def allow(settings) -> Callable[..., None]:
    """Return what opens tables, folders and hosts to the built-in jobs."""

    def open_to(**keys: Any) -> None:
        settings.JOBS = {**settings.JOBS, **keys}

    return open_to


@pytest.fixture
def folder(tmp_path, allow) -> Path:
    """Return the one folder that may be imported from."""
    path = tmp_path / "imports"
    path.mkdir()
    allow(IMPORT_FOLDERS=[str(path)])
    return path


@pytest.fixture
def items(db, allow) -> str:
    """Make the table that most tests import into, and return its name."""
    run(
        """
        CREATE TABLE public.items (
            code text PRIMARY KEY,
            label varchar(10) NOT NULL,
            amount integer,
            price numeric(6, 2),
            made date DEFAULT '2000-01-01'
        )
        """
    )
    allow(IMPORT_TABLES=["public.items"])
    return "public.items"


@pytest.fixture
def load(folder, items) -> Callable[..., dict[str, Any]]:
    """Return what writes a file and imports it into `items`."""

    def run_import(content: str | bytes, **params: Any) -> dict[str, Any]:
        raw = content.encode() if isinstance(content, str) else content
        (folder / "items.csv").write_bytes(raw)
        return ImportCsv(**{"source": "items.csv", "table": items} | params)._perform()

    return run_import


def run(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


class Server:
    """A web server of the test's own: address -> what answers."""

    def __init__(self, *, secure: bool = False) -> None:
        self.requests: list[Mapping[str, str]] = []
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append(dict(self.headers))
                server.answers[self.path](self)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

            def handle(self) -> None:
                # A client that stops reading is what some of the tests are about.
                try:
                    super().handle()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

        return Handler

    def answer(self, path: str, body: bytes = b"", *, status: int = 200, **headers: str) -> None:
        """Answer `path` with this; in a header's name "_" stands for "-"."""

        def send(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in ({"Content_Length": str(len(body))} | headers).items():
                handler.send_header(name.replace("_", "-"), value)
            handler.end_headers()
            handler.wfile.write(body)

        self.answers[path] = send

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server(allow) -> Iterator[Server]:
    """Run a web server whose address may be imported from."""
    running = Server()
    allow(IMPORT_HOSTS=[f"127.0.0.1:{running.port}"])
    yield running
    running.stop()


@pytest.fixture
def secure_server(allow) -> Iterator[Server]:
    """Run a web server with a certificate for `localhost` that nobody has signed."""
    running = Server(secure=True)
    allow(IMPORT_HOSTS=[f"localhost:{running.port}"])
    yield running
    running.stop()
