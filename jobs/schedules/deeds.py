"""What is to be done for the moments of one schedule: the drafts of their runs, and cancels."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable, Collection, Sequence
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
from jobs.workflows.build import MAX_EDGES

# So long the checks of one moment's params may take: then PostgreSQL ends the silent transaction.
MAX_CHECK_SECONDS = 4.0


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
    made: Collection[datetime] = (),
    refusal: str | None = None,
    meanwhile: Callable[[], object],
) -> Deed:
    """Return what is to be done for the moments of one schedule.

    Args:
        schedule: That is due.
        moments: What becomes of them, in order.
        lane: Its living runs; takes note of those that are to be made.
        made: Those that have a run already: nothing is done for them, nor to others.
        refusal: Why nothing can be made; then the runs that would are refused.
        meanwhile: Called before each of them.

    Raises:
        TimeoutError: To check its params took too long to make anything now.
    """
    deed = Deed(drafts=[], cancels=[])
    for handled in overlap.thinned(schedule.overlap, moments):
        meanwhile()
        if handled.moment in made:
            continue
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
    draft = _draft(
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


def _draft(wish: Wish) -> Draft:
    begun = time.monotonic()
    draft = drafts.draft(wish)
    took = time.monotonic() - begun
    if took > MAX_CHECK_SECONDS:
        raise TimeoutError(
            f"To check the params of {wish.schedule.name} took {took:.1f} s, and may take "
            f"{MAX_CHECK_SECONDS:.0f} s: leave to the job what takes long."
        )
    roots = sum(request.depends_on == wish.depends_on for request in draft.requests)
    ways = roots * len(wish.depends_on)
    if ways > MAX_EDGES:
        why = (
            f"its {roots:,} first steps would wait for {len(wish.depends_on):,} living jobs, in "
            f"{ways:,} ways, at most {MAX_EDGES:,}: put one step before all others"
        )
        return Draft(wish=drafts.refused(wish, why))
    return draft


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
