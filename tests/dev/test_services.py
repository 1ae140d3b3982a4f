from __future__ import annotations

import os
import signal
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.dev.stacks import devstack, ended, services

pytestmark = pytest.mark.process


def ask(stack, statement):
    connection = psycopg2.connect(stack.variables["DATABASE_URL"])
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
    finally:
        connection.close()


def valkey(stack, **options):
    return redis.Redis.from_url(stack.variables["REDIS_URL"], decode_responses=True, **options)


def test_both_servers_are_durable_and_hear_only_their_sockets(tmp_path):
    with services(tmp_path) as stack, valkey(stack) as client:
        settings = {
            name: ask(stack, f"SHOW {name}")[0]
            for name in ("fsync", "full_page_writes", "synchronous_commit", "listen_addresses")
        }
        listening = [c for p in stack.children() for c in p.net_connections(kind="inet")]

        assert settings == {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "listen_addresses": "",
        }
        assert client.config_get("appendonly")["appendonly"] == "yes"
        assert listening == []
        assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "devstack.env").stat().st_mode) == 0o600


def test_sigterm_stops_both_and_leaves_no_process(tmp_path):
    with services(tmp_path) as stack:
        tree = stack.tree()

        stack.process.send_signal(signal.SIGTERM)

        assert stack.wait() == 0
        assert ended(tree)
        assert not (tmp_path / "devstack.env").exists()


def test_a_second_stack_on_the_folder_says_so_and_stops(tmp_path):
    with services(tmp_path) as first, devstack(tmp_path, "services") as second:
        assert second.wait() == 2
        assert f"A stack already runs in {tmp_path} (process {first.process.pid})" in second.said
        assert ask(first, "SELECT 1") == (1,)


def test_data_and_recovery_after_the_whole_tree_was_killed(tmp_path):
    with services(tmp_path) as stack, valkey(stack) as client:
        ask(stack, "CREATE TABLE kept AS SELECT 42 AS answer")
        client.set("kept", "42")
        supervisor, *others = tree = stack.tree()
        # Held, so that it can't stop anything in order while the others are killed.
        supervisor.suspend()
        for process in (*others, supervisor):
            os.kill(process.pid, signal.SIGKILL)
        stack.process.wait()
        assert ended(tree)
        assert (tmp_path / "postgres" / "postmaster.pid").exists()

    with services(tmp_path) as stack, valkey(stack) as client:
        assert ask(stack, "SELECT answer FROM kept") == (42,)
        assert client.get("kept") == "42"


def test_the_servers_die_with_a_killed_supervisor(tmp_path):
    with services(tmp_path) as stack:
        tree = stack.tree()

        stack.process.kill()

        assert ended(tree)


def test_servers_that_outlived_their_supervisor_are_stopped_by_the_next(tmp_path):
    with services(tmp_path) as stack:
        servers = stack.children()
        # Held, they don't act on the parent-death signal.
        for process in servers:
            process.suspend()
        stack.process.kill()
        stack.process.wait()

        with services(tmp_path) as successor:
            assert ended(servers)
            assert ask(successor, "SELECT 1") == (1,)


def test_a_killed_server_is_started_again(tmp_path):
    with services(tmp_path) as stack:
        patient = Retry(ConstantBackoff(0.1), 200)
        with valkey(stack, retry=patient) as client:
            before = client.info("server")["process_id"]

            os.kill(before, signal.SIGKILL)

            assert client.info("server")["process_id"] != before
        stack.read_until("killed by SIGKILL; starts again in")


def test_sockets_of_a_long_path_lie_in_a_short_private_folder(tmp_path):
    path = tmp_path / ("a-long-name-" * 8)
    with services(path) as stack:
        folder = parse_qs(urlsplit(stack.variables["DATABASE_URL"]).query)["host"][0]

        assert ask(stack, "SELECT 1") == (1,)
        assert not folder.startswith(str(path))
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
        assert len(f"{folder}/.s.PGSQL.5432") <= 100

        stack.process.send_signal(signal.SIGTERM)

        assert stack.wait() == 0
        assert not Path(folder).exists()


def test_a_folder_of_another_postgresql_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("13\n")

    with devstack(tmp_path, "services") as stack:
        assert stack.wait() == 1
        assert "was made by PostgreSQL 13" in stack.said
        assert not (tmp_path / "valkey" / "appendonlydir").exists()
