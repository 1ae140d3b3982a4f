"""What is to be done for the moments of one schedule: the drafts of their runs, and cancels."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from jobs import json_values
from jobs.models import Schedule
from jobs.schedules import drafts, overlap, requests
from jobs.schedules.drafts import Draft, Wish
from jobs.schedules.moments import missed
from jobs.schedules.moments.missed import Handled
from jobs.schedules.overlap import Decision, Lane, Living
from jobs.schedules.rules import rule_of
from jobs.values import value


@value
class Deed:
    """What is to be done for one schedule."""

    drafts: list[Draft]
    cancels: list[UUID]  # jobs that the new ones take the place of


def facts(schedule: Schedule, now: datetime) -> missed.Due:
    """Return what is to be known of a schedule that is due, to say what becomes of its moments."""
    assert schedule.next_at is not None  # noqa: S101 - it is due
    return missed.Due(
        rule=rule_of(schedule),
        first=schedule.next_at,
        now=now,
        catch_up=schedule.catch_up,
        pause=_pause(schedule),
    )


def _pause(schedule: Schedule) -> str:
    if not schedule.is_paused:
        return ""
    by = f" by {schedule.paused_by}" if schedule.paused_by else ""
    note = f": {schedule.pause_note}" if schedule.pause_note else ""
    return f"paused{by}{note}"


def of(
    schedule: Schedule,
    moments: Sequence[Handled],
    lane: Lane,
    *,
    refusal: str | None = None,
) -> Deed:
    """Return what is to be done for the moments of one schedule.

    Args:
        schedule: That is due.
        moments: What becomes of them, in order.
        lane: Its living runs; takes note of those that are to be made.
        refusal: Why nothing can be made; then the runs that would are refused.
    """
    deed = Deed(drafts=[], cancels=[])
    for handled in overlap.thinned(schedule.overlap, moments):
        wish = Wish(schedule=schedule, logical_time=handled.moment)
        if not handled.is_made:
            deed.drafts.append(Draft(wish=drafts.skipped(wish, handled.reason)))
        elif refusal is not None:
            deed.drafts.append(Draft(wish=drafts.refused(wish, refusal)))
        else:
            _decide(deed, wish, lane.decide(handled), lane)
    return deed


def _decide(deed: Deed, wish: Wish, decision: Decision, lane: Lane) -> None:
    if decision.skipped:
        deed.drafts.append(Draft(wish=drafts.skipped(wish, decision.skipped)))
        return
    draft = drafts.draft(
        replace(
            wish,
            run_at=jittered(wish.schedule, wish.logical_time),
            depends_on=decision.depends_on,
            reason=decision.reason,
        )
    )
    deed.drafts.append(draft)
    if draft.requests:  # else it is refused, and nobody is cancelled for it
        deed.cancels.extend(decision.cancels)
        lane.add(
            Living(
                logical_time=wish.logical_time,
                job_ids=draft.job_ids,
                waits=bool(decision.depends_on),
            )
        )


def jittered(schedule: Schedule, moment: datetime) -> datetime | None:
    """Return when the job of a moment starts: the same for whoever asks; None: at once."""
    if not schedule.jitter:
        return None
    seed = f"{schedule.name} {moment.astimezone(UTC).isoformat()}"
    drawn = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) / 2**64
    return moment + schedule.jitter * drawn


def told(schedule: Schedule, fault: Exception) -> str:
    """Return the traceback of what nobody foresaw, without the values of redacted params."""
    text = "".join(traceback.format_exception(fault))
    return json_values.scrubbed(text, requests.secrets(schedule))
