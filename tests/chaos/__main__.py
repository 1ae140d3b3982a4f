"""`python -m tests.chaos`: strike the whole system at random moments, and count what is lost."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import django

_folder = Path(tempfile.mkdtemp(prefix="chaos-"))
os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.chaos.settings", "CHAOS_FOLDER": str(_folder)}
django.setup()

from tests.chaos import play  # noqa: E402

JOBS_A_SECOND = 13.5  # 1,500 s make 20,000 jobs


def main() -> int:
    """Run as asked; return 1 when a rule is broken, and keep the logs."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long faults strike")
    parser.add_argument("--seed", type=int, default=None, help="the same seed, the same faults")
    parser.add_argument("--jobs", type=int, default=None, help="default: 13.5 for each second")
    parser.add_argument("--keep", action="store_true", help="keep the logs in any case")
    given = parser.parse_args()
    wanted = play.Wanted(
        seed=random.randrange(10**6) if given.seed is None else given.seed,
        seconds=given.seconds,
        jobs=given.jobs or int(given.seconds * JOBS_A_SECOND),
    )
    fate = "kept" if given.keep else "deleted when all is well"
    play.say(f"chaos: seed {wanted.seed}, {wanted.seconds:g} s, {wanted.jobs} jobs")
    play.say(f"logs in {_folder}, {fate}")
    is_well = play.conclude(play.play(wanted, _folder), wanted)
    if is_well and not given.keep:
        shutil.rmtree(_folder, ignore_errors=True)
    else:
        play.say(f"logs are in {_folder}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
