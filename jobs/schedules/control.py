"""What people do to schedules: make, change, delete, pause, resume and run them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from jobs import registry
from jobs.errors import (
    Fault,
    InvalidParams,
    RunRefused,
    ScheduleChanged,
    ScheduleExists,
    ScheduleIsOfSettings,
    UnknownSchedule,
)
from jobs.models import Schedule, ScheduleChange, ScheduleRun, clock
from jobs.schedules import declaration, fitting, history, making, requests, rows, tick
from jobs.schedules.history import Hand

logger = logging.getLogger("jobs.schedules")

_ADMIN = Schedule.Source.ADMIN


def create(name: str, entry: Mapping[str, Any], *, by: str, note: str = "") -> Schedule:
    """Make a schedule beside those of the settings. Opens its own transaction.

    Args:
        name: Letters, digits, "_" and "-"; no other schedule has it.
        entry: As an entry of JOB_SCHEDULES, `declaration.read` says how.
        by: Who makes it; kept in the history.
        note: Why; kept likewise.

    Raises:
        InvalidSchedule: With every fault, by key.
        ScheduleExists: One of the admin or of the settings has this name.
    """
    declared = fitting.checked(name, entry)
    if name in declaration.entries():
        raise ScheduleExists(name, source="settings")
    try:
        with transaction.atomic():
            (row,) = rows.insert([declared], _ADMIN, _hand(by, note))
    except IntegrityError as error:
        present = Schedule.objects.filter(name=name).first()
        if present is None:
            raise
        raise ScheduleExists(name, source=present.source) from error
    logger.info("Schedule %s: created by %s", name, by)
    return row


def version(row: Schedule) -> str:
    """Return what differs after each change of what a schedule says; a pause or a run is none."""
    return row.synced_at.isoformat()


def change(
    name: str, entry: Mapping[str, Any], *, by: str, note: str = "", seen: str = ""
) -> Schedule:
    """Make a schedule say what `entry` says, and nothing else. Opens its own transaction.

    What was due under a rule that it gives up is handled first. `declaration.entry_of` is what it
    says now, with the values of redacted params.

    Args:
        name: A schedule made in the admin.
        entry: The whole of it, as `create` takes it.
        by: Who changes it; kept in the history, where something is changed.
        note: Why; kept likewise.
        seen: Its `version` when `by` looked at it; empty: whatever it says now.

    Raises:
        UnknownSchedule: There is none of this name.
        ScheduleIsOfSettings: It is declared there.
        ScheduleChanged: It is another version than `seen`.
        InvalidSchedule: With every fault, by key.
    """
    with transaction.atomic():
        row = _locked_of_admin(name, seen)
        declared = fitting.checked(name, entry)
        if rows.change(row, declared, _ADMIN, _hand(by, note)):
            logger.info("Schedule %s: changed by %s", name, by)
    return row


def delete(name: str, *, by: str, note: str = "", seen: str = "") -> None:
    """Delete a schedule; its runs, its jobs and its history stay. Opens its own transaction.

    Args:
        name: A schedule made in the admin.
        by: Who deletes it; kept in the history.
        note: Why; kept likewise.
        seen: As `change` takes it.

    Raises:
        UnknownSchedule: There is none of this name.
        ScheduleIsOfSettings: It is declared there.
        ScheduleChanged: It is another version than `seen`.
    """
    with transaction.atomic():
        rows.delete([_locked_of_admin(name, seen)], _hand(by, note))
    logger.info("Schedule %s: deleted by %s", name, by)


def pause(name: str, *, by: str, note: str = "") -> Schedule:
    """Have its moments recorded as skipped from now on. Opens its own transaction.

    What runs goes on. Of one that is paused already only the person and the note are changed.

    Args:
        name: Any schedule.
        by: Who pauses it; shown beside it until it is resumed.
        note: Why; likewise.

    Raises:
        UnknownSchedule: There is none of this name.
    """
    with transaction.atomic():
        row = _locked(name)
        hand = _hand(by, note)
        row.paused_at = row.paused_at or hand.at
        row.paused_by, row.pause_note = by[:150], history.told(note)
        row.save(update_fields=["paused_at", "paused_by", "pause_note"])
        history.record(name, "paused", hand)
    logger.info("Schedule %s: paused by %s", name, by)
    return row


def resume(name: str, *, by: str, note: str = "") -> Schedule:
    """End its pause; what came in it stays skipped. Opens its own transaction.

    One that isn't paused is left as it is.

    Raises:
        UnknownSchedule: There is none of this name.
    """
    with transaction.atomic():
        row = _locked(name)
        if not row.is_paused:
            return row
        # What came in the pause while no scheduler ran: it would be made up for afterwards.
        tick.settle(row)
        row.paused_at, row.paused_by, row.pause_note = None, "", ""
        row.save(update_fields=["paused_at", "paused_by", "pause_note"])
        history.record(name, "resumed", _hand(by, note))
    logger.info("Schedule %s: resumed by %s", name, by)
    return row


def run_now(name: str, *, by: str, params: Mapping[str, Any] | None = None) -> ScheduleRun:
    """Make a run of now beside those of its rule, paused or not. Opens its own transaction.

    Its logical time is the database's clock. Other runs of it don't keep it from starting.

    Args:
        name: Any schedule.
        by: Who wants it; kept on the run.
        params: In the place of its own; of a workflow there are none.

    Raises:
        UnknownSchedule: There is no schedule of this name.
        DispatchError: The job can't be made; then there is no run either.
    """
    with transaction.atomic():
        row = Schedule.objects.filter(name=name).first()
        if row is None:
            raise UnknownSchedule(name)
        moment = clock.read()
        if row.steps is not None and params:
            fault = Fault(param="(whole)", message="they belong to its steps")
            raise InvalidParams(name, [fault])
        requests.of_moment(row, moment, params=params)  # raises what is wrong, by param
        run = making.make(row, moment, kind=ScheduleRun.Kind.MANUAL, made_by=by, params=params)
        if run is None or run.outcome != ScheduleRun.Outcome.DISPATCHED:
            raise RunRefused(run.reason if run else "")
        what: dict[str, Any] = {"logical_time": [None, moment.isoformat()]}
        if params is not None and params != row.params:
            shown = [registry.shown_params(row.job_class, each) for each in (row.params, params)]
            what["params"] = shown
        history.record(name, "ran", Hand(by=by, at=moment), what)
    return run


def _hand(by: str, note: str) -> Hand:
    return Hand(by=by, at=clock.read(), note=note)


def _last_writer(row: Schedule) -> str:
    found = ScheduleChange.objects.filter(schedule_name=row.name, at=row.synced_at)
    return found.order_by("-id").values_list("by", flat=True).first() or "Somebody"


def _locked(name: str) -> Schedule:
    row = Schedule.objects.select_for_update().filter(name=name).first()
    if row is None:
        raise UnknownSchedule(name)
    return row


def _locked_of_admin(name: str, seen: str) -> Schedule:
    row = _locked(name)
    if row.is_of_settings:
        raise ScheduleIsOfSettings(name)
    if seen and seen != version(row):
        raise ScheduleChanged(name, by=_last_writer(row), version=version(row))
    return row
