"""One chaos run from the first process to the verdict."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
from django.core.management import call_command
from django.db import connection

from tests import servers
from tests.chaos import collect, imports, jobs, plan, report, verdict
from tests.chaos.evidence import Evidence, Exit
from tests.chaos.faults import Faults
from tests.chaos.programs import Program
from tests.chaos.stage import Stage
from tests.servers import OwnPostgres, OwnRedis

PROGRESS_SECONDS = 10.0
# Everything has come to rest when nothing moves; a run that still moves is given so long.
LONGEST_STILLNESS_SECONDS = 40.0
STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_PULSE = """
    SELECT (SELECT count(*) FROM job_statuses),
        (SELECT count(*) FROM job_statuses
            WHERE status NOT IN ('completed', 'failed', 'cancelled')),
        (SELECT count(*) FROM job_attempts)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    seed: int
    seconds: float
    jobs: int


def play(wanted: Wanted, folder: Path) -> Evidence:
    """Run it; return the evidence. Leaves no process behind."""
    stage = Stage(
        folder=folder,
        postgres=OwnPostgres.in_folder(folder),
        redis=OwnRedis.in_folder(folder),
    )
    try:
        _prepare(stage)
        faults = Faults(stage)
        stage.raise_curtain(seed=wanted.seed, seconds=wanted.seconds, jobs=wanted.jobs)
        _strike_all(stage, faults, wanted)
        ticking_ended_at = _come_to_rest(stage, wanted)
        return collect.collect(
            folder,
            stage.redis.url,
            struck=tuple(faults.struck),
            exits=tuple(end for program in stage.everybody for end in program.exits),
            ticking_ended_at=ticking_ended_at,
        )
    finally:
        connection.close()
        stage.kill()


def _prepare(stage: Stage) -> None:
    stage.postgres.start()
    stage.redis.start()
    servers.use(stage.postgres)
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(jobs.TABLES + imports.TABLE)
    connection.close()


def _strike_all(stage: Stage, faults: Faults, wanted: Wanted) -> None:
    coming = list(plan.draw(wanted.seed, seconds=wanted.seconds))
    shown_at = 0.0
    while stage.seconds < wanted.seconds:
        stage.keep()
        if coming and coming[0].at_seconds <= stage.seconds:
            fault = coming.pop(0)
            struck = faults.strike(fault)
            say(f"{stage.seconds:7.1f} s  {fault.kind}: {struck.hit}")
        if stage.seconds - shown_at >= PROGRESS_SECONDS:
            shown_at = stage.seconds
            say(f"{stage.seconds:7.1f} s  {len(faults.struck)} faults, {_progress(stage)}")
        time.sleep(_LOOK_SECONDS)


def _come_to_rest(stage: Stage, wanted: Wanted) -> datetime:
    """Wait until every job has ended and every process has stopped; return the last tick's time."""
    say(f"{stage.seconds:7.1f} s  the faults are over: waiting for every job's end")
    stage.end_faults()
    _wait_for_callers(stage, seconds=60 + wanted.seconds / 4)
    ticking_ended_at = datetime.now(UTC)
    _stop(stage, stage.schedulers)
    _wait_for_stillness(stage, seconds=60 + wanted.seconds / 2)
    _stop(stage, stage.workers)
    return ticking_ended_at


def _wait_for_callers(stage: Stage, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while any(program.is_running for program in stage.callers) and time.monotonic() < until:
        stage.keep()
        time.sleep(_LOOK_SECONDS)
    for program in stage.callers:
        if program.is_running:
            program.kill()
            say(f"{stage.seconds:7.1f} s  {program.name} was far behind: cut off")
        else:
            program.note_end(allowed=0)


def _wait_for_stillness(stage: Stage, *, seconds: float) -> None:
    """Return when no job is left to run and Redis holds nothing, or when nothing moves."""
    until, moved_at, before = time.monotonic() + seconds, time.monotonic(), ((), ())
    while time.monotonic() < until:
        for worker in stage.workers:
            worker.keep()
        now = (tuple(stage.postgres.query(_PULSE)), tuple(collect.leftovers(stage.redis.url)))
        if now[0][0][1] == 0 and not now[1]:
            return
        if now != before:
            before, moved_at = now, time.monotonic()
        elif time.monotonic() - moved_at > LONGEST_STILLNESS_SECONDS:
            break
        time.sleep(0.5)
    say(f"{stage.seconds:7.1f} s  it does not come to rest: {_progress(stage)}")


def _stop(stage: Stage, programs: list[Program]) -> None:
    for program in programs:
        if not program.is_running:
            program.note_end()
        program.dismiss()
    until = time.monotonic() + STOP_SECONDS
    while any(program.is_running for program in programs) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    for program in programs:
        if program.is_running:
            program.kill()
            program.exits.append(Exit(name=program.name, code=None))
        else:
            program.note_end(allowed=0)


def _progress(stage: Stage) -> str:
    try:
        [(jobs, living, attempts)] = stage.postgres.query(_PULSE)
    except psycopg2.Error:
        return "PostgreSQL does not answer"
    return f"{jobs} jobs, {living} not ended, {attempts} attempts"


def say(line: str) -> None:
    """Show a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def conclude(evidence: Evidence, wanted: Wanted) -> bool:
    """Print the table and what is wrong; return whether nothing is."""
    wrongs = verdict.judge(evidence)
    say("")
    say(report.table(evidence))
    say("")
    for line in report.offenders(wrongs):
        say(line)
    say(
        f"seed {wanted.seed}: {sum(one.has_hit for one in evidence.struck)} faults, "
        f"{len(evidence.jobs)} jobs, "
        f"{report.lost(evidence)} lost, {len(wrongs)} wrongs"
    )
    return not wrongs
