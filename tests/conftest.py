from __future__ import annotations

from pathlib import Path

import pytest

from jobs.dev import folder

BASE_DIR = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    # The servers of a running `make run` are not meant: settings read their addresses from a file.
    given = folder.given_environment(BASE_DIR / "var" / "devstack.env")
    if not (given.get("DATABASE_URL") and given.get("REDIS_URL")):
        pytest.exit(
            "The tests need PostgreSQL and Valkey: run `make test`, or "
            "`manage.py devstack exec -- pytest ...`, or set DATABASE_URL and REDIS_URL.",
            returncode=4,
        )
