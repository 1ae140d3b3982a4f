from __future__ import annotations

import pytest

from tests.dev.stacks import devstack, services

pytestmark = pytest.mark.process

ASK_BOTH = """
import os, psycopg2, redis
connection = psycopg2.connect(os.environ["DATABASE_URL"])
cursor = connection.cursor()
cursor.execute("SELECT 40 + 2")
redis.Redis.from_url(os.environ["REDIS_URL"]).set("answer", "42")
print("answers", cursor.fetchone()[0], os.environ["ENVIRONMENT"])
raise SystemExit(7)
"""

MAKE_A_TABLE = """
import os, psycopg2
connection = psycopg2.connect(os.environ["DATABASE_URL"])
connection.cursor().execute("CREATE TABLE made()")
connection.commit()
"""


def test_a_command_finds_both_servers_and_its_exit_code_is_handed_on(tmp_path):
    with devstack(tmp_path, "exec", "--", "python", "-c", ASK_BOTH) as stack:
        assert stack.wait() == 7
        assert stack.said == "answers 42 development\n"


def test_a_command_killed_by_a_signal_ends_as_in_a_shell(tmp_path):
    with devstack(tmp_path, "exec", "--", "sh", "-c", "kill -KILL $$") as stack:
        assert stack.wait() == 128 + 9


def test_an_unknown_command_is_named(tmp_path):
    with devstack(tmp_path, "exec", "--", "no-such-command") as stack:
        assert stack.wait() == 127
        assert "no-such-command: No such file or directory" in stack.said


def test_fresh_begins_with_empty_servers(tmp_path):
    script = MAKE_A_TABLE
    with devstack(tmp_path, "exec", "--", "python", "-c", script) as stack:
        assert stack.wait() == 0
    with devstack(tmp_path, "exec", "--", "python", "-c", script) as stack:
        assert stack.wait() == 1
        assert "DuplicateTable" in stack.said

    with devstack(tmp_path, "exec", "--fresh", "--", "python", "-c", script) as stack:
        assert stack.wait() == 0


def test_given_servers_are_used_and_none_is_started(tmp_path):
    with services(tmp_path / "given") as given:
        named = {name: given.variables[name] for name in ("DATABASE_URL", "REDIS_URL")}
        with devstack(tmp_path / "own", "exec", "--", "env", **named) as stack:
            assert stack.wait() == 0
            assert f"DATABASE_URL={named['DATABASE_URL']}" in stack.said.splitlines()
            assert f"REDIS_URL={named['REDIS_URL']}" in stack.said.splitlines()
            assert not (tmp_path / "own" / "postgres").exists()
            assert not (tmp_path / "own" / "valkey").exists()


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:9/nothing"),
        ("REDIS_URL", "redis://127.0.0.1:9/0"),
    ],
)
def test_a_given_server_that_does_not_answer_is_named(tmp_path, name, address):
    with devstack(tmp_path, "exec", "--", "true", **{name: address}) as stack:
        assert stack.wait() == 1
        assert f"{name} names a server that does not serve" in stack.said
