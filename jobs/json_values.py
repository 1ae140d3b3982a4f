"""What is JSON that PostgreSQL's jsonb can hold, and hiding secrets in texts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic_core import to_json

from jobs.errors import Fault

REDACTED = "[redacted]"
HIDDEN = "[hidden: unknown job class]"  # of a class that this process doesn't know, any param
MAX_DEPTH = 100
MAX_INTEGER_DIGITS = 4_000  # Python itself refuses to read longer ones back
# A secret shorter than this is replaced only where it stands as a word of its own.
SHORT_SECRET = 4
# Of a secret of many lines each one is hidden by itself too that is as long as this.
TELLING_LINE = 8

_SCALARS = frozenset((str, bool, type(None)))
_TOO_LONG: int = 10**MAX_INTEGER_DIGITS
# Kept: json.dumps would make one a call.
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


def written(value: Any) -> str | None:
    """Return `value` as compact JSON where one quick look shows that jsonb can hold it, else None.

    None says neither that there is a fault nor which: ask `faults`, and if it finds none, `dump`.
    """
    if not _is_plain(value, 0):
        return None
    try:
        text = to_json(value).decode()  # a tenth of what json's own takes
    except ValueError:  # a lone surrogate
        return None
    # An escaped NUL, or perhaps only a backslash before these letters.
    return None if "\\u0000" in text else text


def _is_plain(value: Any, depth: int) -> bool:
    """Whether `value` holds nothing but JSON's own types, text keys, and no number too long."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is int or kind is float:
        return math.isfinite(value) if kind is float else bool(abs(value) < _TOO_LONG)
    if depth >= MAX_DEPTH:
        return False
    if kind is dict:
        return all(
            type(key) is str and (type(item) in _SCALARS or _is_plain(item, depth + 1))
            for key, item in value.items()
        )
    return (kind is list or kind is tuple) and all(
        type(item) in _SCALARS or _is_plain(item, depth + 1) for item in value
    )


def faults(value: Any, *, path: str = "") -> Iterator[Fault]:
    """Yield each place where `value` is not JSON that jsonb can hold.

    jsonb knows no NaN, no infinity, no NUL and no lone surrogate; JSON has only string keys.

    Args:
        value: Anything; a tuple counts as a list.
        path: Where `value` stands, for the faults' `param`.
    """
    yield from _faults(value, path, 0)


def _faults(value: Any, path: str, depth: int) -> Iterator[Fault]:
    if depth > MAX_DEPTH:
        yield Fault(param=path, message=f"is nested deeper than {MAX_DEPTH} levels")
        return
    match value:
        case dict():
            for key, item in value.items():
                yield from _key_faults(key, path)
                yield from _faults(item, f"{path}.{key}" if path else str(key), depth + 1)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _faults(item, f"{path}[{index}]", depth + 1)
        case _:
            message = _scalar_fault(value)
            if message:
                yield Fault(param=path or "(whole)", message=message)


def _key_faults(key: Any, path: str) -> Iterator[Fault]:
    if not isinstance(key, str):
        message = f"has a key that is a {type(key).__name__}; JSON keys are text"
        yield Fault(param=path or "(whole)", message=message)
    elif fault := _text_fault(key):
        yield Fault(param=path or "(whole)", message=f"has a key that {fault}")


def _scalar_fault(value: Any) -> str:
    match value:
        case None | bool():
            return ""
        case int():
            too_long = abs(value) >= _TOO_LONG
            return f"has more than {MAX_INTEGER_DIGITS} digits" if too_long else ""
        case float():
            return "" if math.isfinite(value) else f"is {value}, which JSON has no word for"
        case str():
            return _text_fault(value)
        case _:
            return f"is a {type(value).__name__}, which is not JSON"


def _text_fault(value: str) -> str:
    if "\x00" in value:
        return "contains a NUL character, which PostgreSQL can't hold"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "contains a lone surrogate, which is not text"
    return ""


def dump(value: Any) -> str:
    """Return `value` as compact JSON; call `faults` first.

    Raises:
        ValueError: `value` holds NaN or an infinity.
        TypeError: `value` holds something that is not JSON.
    """
    return _encode(value)


def cleaned(text: str, *, limit_bytes: int) -> str:
    """Return `text` as PostgreSQL can hold it: no NUL, no lone surrogate, at most `limit_bytes`.

    What is too long loses its middle: a traceback's cause is at its end, its origin at its start.
    """
    raw = text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    if len(raw) <= limit_bytes:
        return raw.decode()
    note = f"\n... {len(raw) - limit_bytes:,} bytes left out ...\n".encode()
    half = max(0, limit_bytes - len(note)) // 2
    kept = raw[:half] + note + raw[len(raw) - half :]
    return kept.decode(errors="ignore")


def secrets_in(values: Iterable[Any]) -> list[str]:
    """Return every text and number within `values`, longest first, to be hidden by `scrubbed`."""
    found = {text for value in values for text in _texts(value) if text}
    return sorted(found, key=len, reverse=True)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case None | bool():
            return
        case dict():
            for item in value.values():
                yield from _texts(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _texts(item)
        case _:
            text = str(value)
            yield text
            yield from _disguises(text)


def _disguises(text: str) -> Iterator[str]:
    # As a traceback shows it, a JSON dump, an address; and its lines, which an error within a group
    # of errors has indented.
    yield repr(text)[1:-1]
    yield from (json.dumps(text, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    yield from (quote(text, safe=safe, errors="replace") for safe in ("", "/"))
    yield quote_plus(text, errors="replace")
    yield from (line for line in text.splitlines() if len(line) >= TELLING_LINE)


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every one of `secrets` replaced by [redacted].

    A secret shorter than four characters is replaced where it is a word of its own: replacing every
    "1" in a traceback would hide nothing and ruin the text.
    """
    for secret in secrets:
        if len(secret) >= SHORT_SECRET:
            text = text.replace(secret, REDACTED)
        else:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REDACTED, text)
    return text
