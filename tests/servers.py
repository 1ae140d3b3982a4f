"""Servers of a test's own, which it may kill, pause and start again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, connections

from jobs.broker import client
from jobs.dev import launch, postgres, valkey
from jobs.dev.folder import Folder
from jobs.dev.postgres import Postgres
from jobs.dev.valkey import Valkey
from jobs.dispatch import outbox
from tests import wait

# Of a server that hangs we don't wait for an answer.
_CONNECT_SECONDS = 2


@dataclass(slots=True)
class OwnRedis:
    """One server on a socket of its own. What it held is gone after a kill or a stop."""

    server: Valkey
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def in_folder(cls, path: Path) -> OwnRedis:
        """Describe a server whose socket and data lie in `path`, a short one; start nothing."""
        (path / "valkey").mkdir()
        return cls(valkey.find(Folder(path=path, sockets=path)))

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    def start(self) -> None:
        """Start it; return when it answers."""
        argv = [*self.server.program.argv, "--appendonly", "no"]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        wait.until("an answer of the test's own Redis", lambda: valkey.is_ready(self.server))

    def stop(self) -> None:
        """Stop it as a deploy does; it saves nothing."""
        _end(self.process, signal.SIGTERM)
        self.process = None

    def kill(self) -> None:
        """Kill it, if it runs."""
        _end(self.process, signal.SIGKILL)
        self.process = None

    def pause(self) -> None:
        """Have it hang: connections are accepted by the kernel, nothing is answered."""
        _send(self.process, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        _send(self.process, signal.SIGCONT)


@dataclass(slots=True)
class OwnPostgres:
    """One cluster on a socket of its own; its data outlive every stop and kill.

    Start it from the main thread: the kernel ends it with the thread that started it.
    """

    server: Postgres
    log_path: Path
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def in_folder(cls, path: Path) -> OwnPostgres:
        """Describe a cluster in `path`, a short one, and make its data; start nothing."""
        server = postgres.find(Folder(path=path, sockets=path))
        postgres.initialise(server)
        return cls(server, path / "postgres.log")

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    def start(self) -> None:
        """Start it; return when it answers and its database stands."""

        def is_ready() -> bool:
            # The backends of a killed one hold its memory for a moment: until then none starts.
            if self.process is None or self.process.poll() is not None:
                self.process = self._spawn()
            return postgres.is_ready(self.server)

        wait.until("an answer of the test's own PostgreSQL", is_ready, limit_seconds=60)

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = self.server.program
        argv = launch.command(program.argv, death_signal=signal.SIGQUIT, identity=program.identity)
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                argv, env=dict(program.environment), stdout=log, stderr=subprocess.STDOUT
            )

    def stop(self, *, immediate: bool = False) -> None:
        """Stop it: fast cuts every connection; immediate is a crash, recovered at the start."""
        _end(self.process, signal.SIGQUIT if immediate else signal.SIGINT)
        self.process = None

    def restart(self, *, immediate: bool = False) -> None:
        """Stop it and start it again; return when it answers."""
        self.stop(immediate=immediate)
        self.start()

    def kill(self) -> None:
        """Kill the first of its processes, if it runs; the others follow by themselves."""
        _end(self.process, signal.SIGKILL)
        self.process = None

    def pause(self) -> None:
        """Have it hang, each of its processes: the kernel takes connections, nothing answers."""
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        """Let it go on."""
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        assert self.process is not None, "It doesn't run."
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def cut_connections(self) -> int:
        """Terminate every backend but the one that does it; return how many."""
        return len(
            self.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
        )

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of `statement`, over a connection of its own."""
        other = psycopg2.connect(self.url, connect_timeout=_CONNECT_SECONDS)
        try:
            other.autocommit = True
            with other.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            other.close()


@contextmanager
def own_redis_for(settings: Any) -> Iterator[OwnRedis]:
    """Within, this process and the workers it starts use a Redis of their own."""
    folder = Path(tempfile.mkdtemp(prefix="own-redis-"))
    server = OwnRedis.in_folder(folder)
    server.start()
    settings.RQ_REDIS_URL = server.url
    settings.RQ_QUEUES = {
        name: {**queue, "URL": server.url} for name, queue in settings.RQ_QUEUES.items()
    }
    _forget_redis()
    try:
        yield server
    finally:
        server.kill()
        _forget_redis()
        shutil.rmtree(folder, ignore_errors=True)


def _forget_redis() -> None:
    client._client.cache_clear()
    outbox.breaker.close()


@contextmanager
def migrated_postgres() -> Iterator[OwnPostgres]:
    """Within, this process's `connection` and the workers it starts use a cluster of their own."""
    folder = Path(tempfile.mkdtemp(prefix="own-postgres-"))
    server = OwnPostgres.in_folder(folder)
    before = dict(connection.settings_dict)
    try:
        server.start()
        use(server)
        call_command("migrate", verbosity=0)
        yield server
    finally:
        connections.close_all()
        connection.settings_dict.clear()
        connection.settings_dict.update(before)
        ContentType.objects.clear_cache()  # its ids are the other cluster's
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def use(own: OwnPostgres) -> None:
    """Point this process's `connection` at it, and so the workers that tests/workers.py starts."""
    connections.close_all()
    connection.settings_dict.update(
        NAME=postgres.NAME,
        USER=postgres.NAME,
        PASSWORD="",
        HOST=str(own.server.sockets),
        PORT="",
    )


def _end(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is not None:
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        process.wait(60)


def _send(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    assert process is not None, "It doesn't run."
    process.send_signal(number)
