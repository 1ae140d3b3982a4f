"""`make many`: many schedules of one second, made by several schedulers; how many runs, how late.

On servers of its own:

    manage.py devstack exec --fresh --folder var/many -- python -m tests.schedules
"""

from __future__ import annotations

import argparse
import os
import sys

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.core.management import call_command  # noqa: E402

from tests.schedulers import Schedulers  # noqa: E402
from tests.schedules import many  # noqa: E402

SIZES = ("schedulers", "schedules", "seconds", "every_seconds")


def main() -> int:
    """Measure as the arguments say; return 1 where a moment has no job, or two."""
    parser = argparse.ArgumentParser(prog="make many", description=__doc__)
    for name in SIZES:
        default = getattr(many.Size(), name)
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=default, help="default: %(default)s")
    size = many.Size(**vars(parser.parse_args()))
    call_command("migrate", verbosity=0)
    schedulers = Schedulers()
    try:
        found = many.make(size, schedulers)
    finally:
        for scheduler in schedulers.all:
            scheduler.kill()
            scheduler.log_path.unlink()
    sys.stdout.write(f"{size}\n" + "\n".join(found.lines()) + "\n")
    return 0 if found.doubles == found.missing == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
