"""`jobs backfill`: make the runs of a schedule's past moments, a few at a time."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jobs.cli import describe
from jobs.cli.command import BAD, OK, Output, Subcommand, person, unusable
from jobs.errors import ScheduleError, UnknownSchedule, WrongBackfillStatus
from jobs.insights import backfills
from jobs.insights.backfills import Progress
from jobs.models import Backfill, Schedule, clock
from jobs.schedules import backfill
from jobs.schedules.backfill import Only, Plan, Wanted
from jobs.schedules.moments import days

MAX_LISTED = 20
_SHOWN = 3  # moments of each standing, in a plan
_LOOK_SECONDS = 1.0


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the schedule")
    parser.add_argument(
        "--from", dest="first", metavar="WHEN",
        help="the first day, or moment: 2026-11-01, 2026-11-01T08:00 (in the schedule's zone)",
    )  # fmt: skip
    parser.add_argument("--to", dest="last", metavar="WHEN", help="the last; a day is included")
    parser.add_argument("--reverse", action="store_true", help="the newest first")
    parser.add_argument(
        "--max-active", type=int, default=2, metavar="N",
        help="so many of its runs live at once (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--only", choices=[only.value for only in Only], default=Only.MISSING.value,
        help="missing: moments that made no job (default); failed: those whose job failed or was "
        "cancelled, it is retried; all: both, and completed ones run again",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="only say what would be made")
    parser.add_argument("--detach", action="store_true", help="start it, and don't follow it")
    deeds = parser.add_mutually_exclusive_group()
    deeds.add_argument("--list", action="store_true", help="the newest backfills (of NAME)")
    deeds.add_argument("--follow", type=int, metavar="ID", help="follow one that was started")
    deeds.add_argument("--stop", type=int, metavar="ID", help="have one make no further runs")
    deeds.add_argument(
        "--continue", dest="resume", type=int, metavar="ID",
        help="have a stopped one go on, and follow it",
    )  # fmt: skip


def _run(options: dict[str, Any], out: Output) -> int:
    try:
        return _done(options, out)
    except WrongBackfillStatus as error:
        out.data({"error": str(error)})
        out.say(str(error))
        return BAD
    except ScheduleError as error:
        raise unusable(str(error)) from error


def _done(options: dict[str, Any], out: Output) -> int:
    if options["list"]:
        return _list(options["name"] or "", out)
    if options["stop"] is not None:
        return _stop(options["stop"], out)
    backfill_id = options["follow"] or options["resume"]
    if not backfill_id:
        return _new(options, out)
    if options["resume"]:
        backfill.resume(backfill_id, by=person())
    return _detached_or_followed(backfill_id, options, out)


def _new(options: dict[str, Any], out: Output) -> int:
    schedule, wanted = _wanted(options)
    if options["dry_run"]:
        return _plan(schedule, wanted, out)
    started = backfill.start(wanted, by=person())
    out.say(
        f"Backfill {started.pk} of {schedule.name}: {_moments(started.total)} "
        f"{_stretch(wanted, schedule)}, {wanted.max_active} at a time, {wanted.only}"
    )
    return _detached_or_followed(started.pk, options, out)


def _wanted(options: dict[str, Any]) -> tuple[Schedule, Wanted]:
    name, first, last = options["name"], options["first"], options["last"]
    if not (name and first and last):
        raise unusable(
            "Say which schedule, and from when to when: "
            "jobs backfill NAME --from 2026-11-01 --to 2026-11-07."
        )
    schedule = Schedule.objects.filter(name=name).first()
    if schedule is None:
        raise UnknownSchedule(name)
    from_at, to_at = days.stretch(first, last, timezone=schedule.timezone, now=clock.read())
    wanted = Wanted(
        schedule_name=name,
        from_at=from_at,
        to_at=to_at,
        newest_first=options["reverse"],
        max_active=options["max_active"],
        only=Only(options["only"]),
    )
    return schedule, wanted


# --- What would be made ---


def _plan(schedule: Schedule, wanted: Wanted, out: Output) -> int:
    plan = backfill.plan(wanted, shown=_SHOWN)
    out.data(_plan_data(plan))
    out.say(f"{_moments(plan.total)} {_stretch(wanted, schedule)}, {plan.to_make:,} to make")
    zone = ZoneInfo(schedule.timezone)
    rows = [
        (standing, f"{count:,}", _some(plan.first[standing], count, zone))
        for standing, count in plan.counts.items()
        if count
    ]
    out.table([("STANDING", "MOMENTS", "WHICH"), *rows])
    return OK


def _plan_data(plan: Plan) -> dict[str, Any]:
    return {
        "dry_run": True,
        "total": plan.total,
        "to_make": plan.to_make,
        "counts": dict(plan.counts),
        "first": {str(standing): moments for standing, moments in plan.first.items()},
    }


def _some(moments: Iterable[datetime], count: int, zone: ZoneInfo) -> str:
    shown = [_local(moment, zone) for moment in moments]
    return ", ".join(shown) + (", ..." if count > len(shown) else "")


def _stretch(wanted: Wanted, schedule: Schedule) -> str:
    zone = ZoneInfo(schedule.timezone)
    return (
        f"from {_local(wanted.from_at, zone)} to {_local(wanted.to_at, zone)} ({schedule.timezone})"
    )


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _moments(count: int) -> str:
    return f"{count:,} moment{'' if count == 1 else 's'}"


# --- One that was started ---


def _list(name: str, out: Output) -> int:
    found = backfills.newest(schedule_name=name, limit=MAX_LISTED)
    out.data([describe.backfill(row) for row in found])
    out.table(
        [
            ("ID", "STATUS", "SCHEDULE", "FROM", "TO", "ONLY", "LOOKED AT", "MADE", "NOTE"),
            *(
                (
                    row.pk, row.status, row.schedule_name, f"{row.from_at:%Y-%m-%d %H:%M}",
                    f"{row.to_at:%Y-%m-%d %H:%M}", row.only,
                    f"{row.made + row.passed:,}/{row.total:,}", f"{row.made:,}", row.reason,
                )
                for row in found
            ),
        ]
    )  # fmt: skip
    return OK


def _stop(backfill_id: int, out: Output) -> int:
    stopped = backfill.stop(backfill_id, by=person())
    out.data(describe.backfill(stopped))
    out.say(
        f"Backfill {backfill_id}: stopped; what it has made goes on. "
        f"Continue it: manage.py jobs backfill --continue {backfill_id}"
    )
    return OK


def _detached_or_followed(backfill_id: int, options: dict[str, Any], out: Output) -> int:
    if not options["detach"]:
        return _follow(backfill_id, out)
    out.data(describe.backfill(Backfill.objects.get(pk=backfill_id)))
    out.say(f"Follow it: manage.py jobs backfill --follow {backfill_id}")
    return OK


def _follow(backfill_id: int, out: Output) -> int:
    try:
        last = _ended(backfill_id, out)
    except KeyboardInterrupt:
        out.say(
            f"\nBackfill {backfill_id} goes on without you. "
            f"Stop it: manage.py jobs backfill --stop {backfill_id}. "
            f"Follow it again: --follow {backfill_id}"
        )
        return BAD
    out.data(describe.backfill_progress(last))
    row = last.backfill
    out.say(f"Backfill {row.pk}: {row.reason or row.status}")
    is_well = row.status == Backfill.Status.COMPLETED and not last.failed + last.refused
    return OK if is_well else BAD


def _ended(backfill_id: int, out: Output) -> Progress:
    """Say how it goes until it is no longer running; return it as it was last seen."""
    said = ""
    while True:
        now = backfills.progress(backfill_id)
        if now is None:
            raise unusable(f"There is no backfill {backfill_id}: --list shows the newest.")
        line = _line(now)
        if line != said:
            out.say(line)
            said = line
        if now.backfill.status != Backfill.Status.RUNNING:
            return now
        time.sleep(_LOOK_SECONDS)


def _line(now: Progress) -> str:
    if now.backfill.status == Backfill.Status.RUNNING and not now.is_seen_to:
        return "  no scheduler sees to it: start manage.py rqscheduler, then it goes on"
    counts = [f"{now.completed:,} completed", f"{now.living:,} living", f"{now.failed:,} failed"]
    counts += [f"{now.refused:,} refused"] if now.refused else []
    counts += [f"{now.backfill.passed:,} left alone"] if now.backfill.passed else []
    return f"  {now.looked_at:,} of {_moments(now.backfill.total)}: {', '.join(counts)}"


SUBCOMMAND = Subcommand(
    name="backfill",
    about="Make the runs of a schedule's past moments, a few at a time; rqscheduler does the work.",
    examples="""\
  manage.py jobs backfill nightly --from 2026-11-01 --to 2026-11-07 --dry-run
  manage.py jobs backfill nightly --from 2026-11-01 --to 2026-11-07 --max-active 4 --reverse
  manage.py jobs backfill nightly --from 2026-11-01 --to 2026-11-07 --only failed --detach
  manage.py jobs backfill --list
  manage.py jobs backfill --stop 3
  manage.py jobs backfill --continue 3""",
    add_arguments=_add_arguments,
    run=_run,
)
