"""Bring the database up to date and fill it with the demo: ``python -m jobs.dev.prepare FILE``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import django
from django.core.management import call_command

from jobs.dev.folder import write_private


def _main(answer: Path) -> None:
    django.setup()
    call_command("migrate", interactive=False, verbosity=1 if sys.flags.verbose else 0)
    said = io.StringIO()
    call_command("jobs", "demo", "--json", stdout=said)
    write_private(answer, said.getvalue())


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
