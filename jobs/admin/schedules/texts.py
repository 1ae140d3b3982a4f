"""What a schedule's policies mean, one line each: beside the fields of its form and on its page."""

from __future__ import annotations

from jobs.models import Schedule

Overlap = Schedule.Overlap

OVERLAP = {
    Overlap.SKIP: "While the run before still goes on, a moment makes no job.",
    Overlap.QUEUE: "One run waits until the run before has ended; further moments make no job.",
    Overlap.QUEUE_ALL: "Every run waits until the run before it has ended.",
    Overlap.ALLOW: "Runs go on side by side.",
    Overlap.CANCEL_RUNNING: "The run before is cancelled; the new one starts when it has ended.",
}


def overlap(word: str) -> str:
    """Return what an overlap policy means."""
    return OVERLAP.get(Overlap(word), "") if word in set(Overlap) else ""


def catch_up(word: str) -> str:
    """Return what is made of the moments that no scheduler was there for."""
    match word:
        case "none":
            return "Missed moments are skipped."
        case "last":
            return "Of missed moments the newest is made, the others are skipped."
    return f"Missed moments of the last {word} are made in order, older ones are skipped."
