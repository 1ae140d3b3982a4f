"""The keys of a small body: each known, each of its kind, or a problem that names them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.request import Request

from jobs.api import creation, json_body, problems
from jobs.api.problems import Refusal

# Returns what is wrong with a value, in a sentence; empty where nothing is.
Check = Callable[[Any], str]


def read(request: Request, checks: Mapping[str, Check], *, required: tuple[str, ...] = ()) -> Any:
    """Return the body, an object with none but these keys; an empty body is an empty object.

    Raises:
        Refusal: With every fault.
    """
    body = json_body.read(request, may_be_empty=not required)
    if not isinstance(body, dict):
        raise Refusal(problems.INVALID_REQUEST, "The body must be an object.")
    found = {key: "This is required." for key in required if key not in body}
    for key, value in body.items():
        known = f"There is no such key; there are: {', '.join(checks) or 'none'}."
        detail = checks[key](value) if key in checks else known
        if detail:
            found[key] = detail
    if found:
        errors = [
            {"pointer": creation.pointer((key[: creation.MAX_STEP],)), "detail": detail}
            for key, detail in found.items()
        ]
        detail = " ".join(f"{key[:100]}: {detail}" for key, detail in list(found.items())[:10])
        raise Refusal(problems.INVALID_REQUEST, detail, errors=errors[: creation.MAX_ERRORS])
    return body


def text(limit: int) -> Check:
    """Return the check of a text of up to `limit` characters."""

    def check(value: Any) -> str:
        is_one = isinstance(value, str) and len(value) <= limit
        return "" if is_one else f"This must be a text of up to {limit:,} characters."

    return check


def one_of(*words: str) -> Check:
    """Return the check of one of these words."""
    return lambda value: "" if value in words else f"This must be one of: {', '.join(words)}."


def flag(value: Any) -> str:
    """Check a boolean."""
    return "" if isinstance(value, bool) else "This must be true or false."


def mapping(value: Any) -> str:
    """Check an object."""
    return "" if isinstance(value, dict) else "This must be an object."


def number(lowest: int, highest: int) -> Check:
    """Return the check of a whole number."""

    def check(value: Any) -> str:
        is_one = isinstance(value, int) and not isinstance(value, bool)
        if is_one and lowest <= value <= highest:
            return ""
        return f"This must be a whole number from {lowest:,} to {highest:,}."

    return check
