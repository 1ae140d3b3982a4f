from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.deploy import production

pytestmark = pytest.mark.process

SHOW = "from django.conf import settings; print(settings.ENVIRONMENT)"


def test_djangos_checks_of_a_deployment_find_nothing():
    done = production.run("manage.py", "check", "--deploy", "--fail-level", "WARNING")

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"SECRET_KEY": None}, "SECRET_KEY is missing or short"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is missing or short"),
        ({"DEBUG": "1"}, "DEBUG is on"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS has '*'"),
        ({"ALLOWED_HOSTS": "jobs.example.com,*"}, "ALLOWED_HOSTS has '*'"),
        ({"DATABASE_URL": None}, "DATABASE_URL is missing"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL is no address of PostgreSQL"),
        ({"DATABASE_URL": "mysql://root@mysql/jobs"}, "DATABASE_URL is no address of PostgreSQL"),
        ({"REDIS_URL": None}, "REDIS_URL is missing"),
        ({"ENVIRONMENT": "staging"}, "set it to 'production' or 'development'"),
    ],
)
def test_what_is_not_safe_does_not_start(changes: dict[str, str | None], complaint: str):
    done = production.run("manage.py", "check", **changes)

    assert done.returncode != 0
    assert complaint in done.stderr


@pytest.mark.parametrize("missing", ["DATABASE_URL", "SECRET_KEY", "ALLOWED_HOSTS"])
def test_what_a_killed_stack_left_behind_makes_no_production_safe(tmp_path: Path, missing: str):
    # The settings look beside themselves: a folder of their own, with the code of this one.
    shutil.copytree(production.BASE_DIR / "jobsite", tmp_path / "jobsite")
    shutil.copy(production.BASE_DIR / "manage.py", tmp_path)
    (tmp_path / "jobs").symlink_to(production.BASE_DIR / "jobs")
    (tmp_path / "var").mkdir()
    left = f"ENVIRONMENT=development\nDATABASE_URL=postgres:///demo\nSECRET_KEY={'x' * 60}\n"
    (tmp_path / "var" / "devstack.env").write_text(left)

    done = production.run("manage.py", "shell", "-c", SHOW, cwd=tmp_path, **{missing: None})

    assert "development" not in done.stdout
    assert (missing in done.stderr) is (missing != "ALLOWED_HOSTS")


def test_every_fault_is_named_at_once():
    done = production.run("manage.py", "check", SECRET_KEY=None, DEBUG="1", ALLOWED_HOSTS="*")

    assert all(name in done.stderr for name in ("SECRET_KEY", "DEBUG", "ALLOWED_HOSTS"))


def test_no_secret_is_repeated_in_the_refusal():
    done = production.run("manage.py", "check", DEBUG="1")

    assert done.returncode != 0
    assert not any(
        value in done.stdout + done.stderr
        for name, value in production.SAFE.items()
        if name != "ALLOWED_HOSTS"
    )
