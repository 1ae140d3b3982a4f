"""What production looks like to a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings

BASE_DIR = Path(settings.BASE_DIR)
LIMIT_SECONDS = 60

SAFE = {
    "SECRET_KEY": "cBq0x5GZ3nR8vT1yLw7mKdP4sUaJ9eHf2oXiVtMlQzWgYbNuCr",
    "ALLOWED_HOSTS": "jobs.example.com",
    "DATABASE_URL": "postgres://jobsite:secret@postgres:5432/jobsite",
    "REDIS_URL": "redis://:secret@valkey:6379/0",
}


def environment(**changes: str | None) -> dict[str, str]:
    """Return a safe production's variables; one that is None is left out."""
    variables: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        **SAFE,
        **changes,
    }
    return {name: value for name, value in variables.items() if value is not None}


def run(
    *arguments: str, cwd: Path = BASE_DIR, **changes: str | None
) -> subprocess.CompletedProcess[str]:
    """Run `python ARGUMENTS` in a safe production with these changes."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
