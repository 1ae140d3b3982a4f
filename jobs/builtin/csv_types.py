"""One field's text to what PostgreSQL's COPY takes, for each type a column may have."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal
from uuid import UUID

from jobs import json_values

Converter = Callable[[str], str]
MAX_SHOWN = 60  # characters of a value in a reason
_SPECIAL = re.compile(r"[\\\n\r\t]").search
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_WHOLE = re.compile(r" *[+-]?[0-9]{1,40} *").fullmatch
_NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,6})? *").fullmatch
_NOT_FINITE = frozenset({"nan", "infinity", "+infinity", "-infinity", "inf", "+inf", "-inf"})
_BOOLEANS = {
    **dict.fromkeys(("t", "true", "y", "yes", "on", "1"), "t"),
    **dict.fromkeys(("f", "false", "n", "no", "off", "0"), "f"),
}
_MAX_DIGITS = 16_000  # of an unbounded numeric, after its point; PostgreSQL's own limit is 16,383
_DECIMALS = Context(prec=2_100)
_FLOAT4 = struct.Struct("f")


class BadValue(Exception):
    """A field that its column can't hold; the text says what it should have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """A column's type as pg_attribute states it.

    Attributes:
        name: The type's own name if it lies in pg_catalog and is a base type, else "".
        modifier: `atttypmod`; -1 where the type has no length or precision.
        sql: As it is written in SQL.
    """

    name: str
    modifier: int
    sql: str


def converter(kind: ColumnType) -> Converter | None:
    """Return the function that checks a field and writes it for COPY; None for a type unknown here.

    A converter is given no empty field, and raises BadValue. It may be stricter than PostgreSQL
    (dates are ISO 8601 only), never laxer: what it lets through, COPY takes. NUL characters are the
    caller's business.
    """
    match kind.name:
        case "int2" | "int4" | "int8":
            return _integer(8 * int(kind.name[-1]))
        case "numeric":
            return _numeric(kind.modifier)
        case "varchar" | "bpchar":
            return text if kind.modifier < 0 else _bounded_text(kind.modifier - 4)
        case _:
            return _SIMPLE.get(kind.name)


def text(value: str) -> str:
    """Return `value` escaped for COPY's text format."""
    return value.translate(_ESCAPES) if _SPECIAL(value) else value


def shown(value: str) -> str:
    """Return `value` for a reason: quoted, and short."""
    return repr(value if len(value) <= MAX_SHOWN else value[:MAX_SHOWN] + "...")


def _integer(bits: int) -> Converter:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def convert(value: str) -> str:
        if _WHOLE(value) is None:
            raise BadValue("is not a whole number")
        if not low <= int(value) <= high:
            raise BadValue(f"is not from {low} to {high}")
        return value

    return convert


def _numeric(modifier: int) -> Converter:
    if modifier < 0:
        return _unbounded_numeric
    precision = (modifier - 4) >> 16 & 0xFFFF
    scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024  # signed, 11 bits
    unit = Decimal((0, (1,), -scale))
    limit = Decimal((0, (1,), precision - scale))

    def convert(value: str) -> str:
        if value.strip().lower() == "nan":
            return "NaN"
        number = _decimal(value)
        if abs(number) >= limit or abs(number.quantize(unit, ROUND_HALF_UP, _DECIMALS)) >= limit:
            raise BadValue(f"has more digits than numeric({precision},{scale}) holds")
        return value

    return convert


def _unbounded_numeric(value: str) -> str:
    if value.strip().lower() == "nan":
        return "NaN"
    number = _decimal(value)
    if abs(number.adjusted()) > _MAX_DIGITS or len(value) > _MAX_DIGITS:
        raise BadValue("has more digits than numeric holds")
    return value


def _decimal(value: str) -> Decimal:
    if _NUMBER(value) is None:
        raise BadValue("is not a number")
    return Decimal(value.strip(" "))


def _float8(value: str) -> str:
    if _NUMBER(value) is None:
        if value.strip().lower() in _NOT_FINITE:
            return value.strip()
        raise BadValue("is not a number")
    number = float(value)
    if math.isinf(number) or (number == 0.0 and _has_digit(value)):
        raise BadValue("is out of the range of double precision")
    return value


def _float4(value: str) -> str:
    written = _float8(value)
    number = float(value)
    if math.isfinite(number):
        try:
            (kept,) = _FLOAT4.unpack(_FLOAT4.pack(number))
        except OverflowError:
            kept = math.inf
        if math.isinf(kept) or (kept == 0.0 and number != 0.0):
            raise BadValue("is out of the range of real")
    return written


def _has_digit(value: str) -> bool:
    return any(digit in "123456789" for digit in re.split("[eE]", value)[0])


def _boolean(value: str) -> str:
    try:
        return _BOOLEANS[value.strip().lower()]
    except KeyError:
        raise BadValue("is neither true nor false") from None


def _date(value: str) -> str:
    try:
        return date.fromisoformat(value.strip()).isoformat()
    except ValueError:
        raise BadValue("is not a date like 2026-11-24") from None


def _moment(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise BadValue("is not a time like 2026-11-24 08:30:00") from None


def _timestamp(value: str) -> str:
    moment = _moment(value)
    if moment.tzinfo is not None:
        raise BadValue("has a time zone, and its column has none")
    return moment.isoformat(" ")


def _timestamptz(value: str) -> str:
    moment = _moment(value)
    try:
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise BadValue("is not within the years 1 to 9999") from None
    return aware.isoformat(" ")


def _time(value: str) -> str:
    try:
        clock = time.fromisoformat(value.strip())
    except ValueError:
        raise BadValue("is not a time like 08:30:00") from None
    if clock.tzinfo is not None:
        raise BadValue("has a time zone, and its column has none")
    return clock.isoformat()


def _uuid(value: str) -> str:
    try:
        return str(UUID(value.strip()))
    except ValueError:
        raise BadValue("is not a UUID") from None


def _json(value: str) -> str:
    try:
        fault = next(json_values.faults(json.loads(value)), None)
    except (ValueError, RecursionError):
        raise BadValue("is not JSON") from None
    if fault is not None:
        raise BadValue(f"is JSON of which {fault['param']} {fault['message']}")
    return text(value)


def _bounded_text(length: int) -> Converter:
    def convert(value: str) -> str:
        if len(value) > length:
            raise BadValue(f"is longer than {length} characters")
        return text(value)

    return convert


_SIMPLE: dict[str, Converter] = {
    "text": text,
    "float4": _float4,
    "float8": _float8,
    "bool": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "time": _time,
    "uuid": _uuid,
    "json": _json,
    "jsonb": _json,
}
