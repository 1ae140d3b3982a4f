"""`jobs prune`: delete ended jobs past their retention, now."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core import checks

from jobs import registry
from jobs.cli.command import BAD, OK, Output, Subcommand, duration, unusable
from jobs.maintenance import prune
from jobs.maintenance.prune import Lane, Selection
from jobs.statuses import TERMINAL, Status

MAX_BATCH = 10_000
_SAY_EACH_SECONDS = 1.0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only count what would be deleted")
    parser.add_argument(
        "--older-than", metavar="AGE", help="what ended so long ago, in place of its retention: 30d"
    )
    parser.add_argument(
        "--status", action="append", default=[], choices=sorted(map(str, TERMINAL)),
        help="only this status; may be repeated",
    )  # fmt: skip
    parser.add_argument("--job", metavar="JOB", help="only this job class")
    parser.add_argument(
        "--batch", type=int, default=prune.BATCH,
        help=f"delete at most so many in one statement (default: {prune.BATCH})",
    )  # fmt: skip


def _run(options: dict[str, Any], out: Output) -> int:
    if not 1 <= options["batch"] <= MAX_BATCH:
        raise unusable(f"--batch is a number from 1 to {MAX_BATCH:,}.")
    if faults := [fault.msg for fault in checks.run_checks(tags=["jobs"]) if fault.is_serious()]:
        raise unusable(f"Nothing is deleted by wrong settings, `jobs check` says more: {faults[0]}")
    lanes = prune.lanes(_selection(options))
    if options["dry_run"]:
        _report({lane: prune.count(lane) for lane in lanes}, out, is_dry=True)
        return OK
    deleted = dict.fromkeys(lanes, 0)
    try:
        _delete(deleted, options["batch"], out)
    except KeyboardInterrupt:
        out.say("\nStopped: the rest is whole.")
        return BAD
    finally:
        _report(deleted, out, is_dry=False)
    return OK


def _selection(options: dict[str, Any]) -> Selection:
    job, older_than = options["job"], options["older_than"]
    if job is not None and registry.find(job) is None and not prune.has_ended(job):
        # A class that is gone still has its rows; a slip of the pen has neither.
        raise unusable(f"No job class is named {job!r}, and no ended job is of such a class.")
    return Selection(
        statuses=tuple(Status(status) for status in options["status"]),
        job=job or "",
        older_than=None if older_than is None else duration(older_than),
    )


def _delete(deleted: dict[Lane, int], batch: int, out: Output) -> None:
    """Delete the jobs of each lane, count them there, and say now and then how far it is."""
    said_at = time.monotonic()
    for lane in deleted:
        for count, rest_seconds in prune.batches(lane, largest=batch):
            deleted[lane] += count
            if time.monotonic() - said_at >= _SAY_EACH_SECONDS:
                said_at = time.monotonic()
                out.say(f"{sum(deleted.values()):,} deleted ...")
            time.sleep(rest_seconds)


def _report(counts: Mapping[Lane, int], out: Output, *, is_dry: bool) -> None:
    found = [(lane, count) for lane, count in counts.items() if count]
    total = sum(counts.values())
    out.data(
        {
            "dry_run": is_dry,
            "total": total,
            "jobs": [
                {
                    "job": lane.job_class,
                    "status": lane.status,
                    "kept_seconds": lane.kept.total_seconds(),
                    "count": count,
                }
                for lane, count in found
            ],
        }
    )
    if found:
        rows = [(lane.status, lane.job_class, lane.kept, f"{count:,}") for lane, count in found]
        out.table([("STATUS", "JOB", "OLDER THAN", "JOBS"), *rows])
    out.say(f"{'To delete' if is_dry else 'Deleted'}: {total:,}")


SUBCOMMAND = Subcommand(
    name="prune",
    about="Delete ended jobs past their retention, now; a worker does it each minute by itself.",
    examples="""\
  manage.py jobs prune --dry-run
  manage.py jobs prune --older-than 30d --status failed --job ImportCsv""",
    add_arguments=_add_arguments,
    run=_run,
)
