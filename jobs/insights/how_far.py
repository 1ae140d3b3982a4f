"""How far a job says it is, in one line for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def said(progress: Mapping[str, Any] | None) -> str:
    """Return what a job's `progress` tells: "1,200 of 28,000 - loading"; empty if it says nothing.

    A number that the job's own words begin with is not said twice.
    """
    if not progress:
        return ""
    done, total = progress.get("done"), progress.get("total")
    message = progress.get("message") or ""
    counted = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    if not message or repeats(counted, message):
        return message or counted
    return f"{counted} - {message}"


def repeats(counted: str, message: str) -> bool:
    """Whether a message begins with the number that stands before it anyway."""
    return message == counted or message.startswith(f"{counted} ")
