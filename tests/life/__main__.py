"""`python -m tests.life`: a year of schedulers that die, by a standing clock, and its account."""

from __future__ import annotations

import argparse
import os
import sys
import time

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()

from django.conf import settings  # noqa: E402
from django.test.runner import DiscoverRunner  # noqa: E402

from tests.life import drive, plan, verdict  # noqa: E402

_SHOWN = 20


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201


def main() -> int:
    """Live as asked; return 1 where the difference is not empty."""
    parser = argparse.ArgumentParser(prog="python -m tests.life", description=__doc__)
    parser.add_argument("--year", type=int, default=2027)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--schedules", type=int, default=50)
    parser.add_argument("--kills", type=int, default=200, help="between two statements")
    parser.add_argument("--outages", type=int, default=24, help="of an hour each")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same life")
    given = parser.parse_args()
    wanted = plan.drawn(
        given.seed,
        begins=plan.new_year(given.year),
        days=given.days,
        schedules=given.schedules,
        kills=given.kills,
        outages=given.outages,
    )
    settings.JOB_SCHEDULES = {}
    databases = DiscoverRunner(verbosity=0, interactive=False)
    config = databases.setup_databases()
    began = time.monotonic()
    try:
        told = drive.live(wanted, seed=given.seed, say=say)
        say(f"lived {given.days} days in {time.monotonic() - began:.0f} s; now the account")
        found = verdict.judge(wanted)
    finally:
        databases.teardown_databases(config)
    zones = {life.eras[0][1].zone for life in wanted.lives.values()}
    say(f"{len(wanted.lives)} schedules in {len(zones)} zones; {told.starts:,} starts,")
    say(f"{told.kills} of them after a kill ({told.killed_at}), {given.outages} after an outage")
    say(f"moments that must exist: {found.expected:,}; made {found.made:,}, skipped")
    say(f"{found.skipped:,}; jobs {found.jobs:,}; wrongs {len(found.wrongs)}")
    for wrong in found.wrongs[:_SHOWN]:
        say(f"  {wrong}")
    return 1 if found.wrongs or told.kills < given.kills else 0


if __name__ == "__main__":
    sys.exit(main())
