"""What a subcommand of `manage.py jobs` is, and how it speaks."""

from __future__ import annotations

import getpass
import json
import os
import re
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder

OK = 0
BAD = 1  # the answer is bad: a fault was found, something was refused, a job did not complete
UNUSABLE = 2  # the question is: an unknown job, an id that is none

_DURATION = re.compile(r"(\d{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FOREIGN_BYTE = re.compile(r"[\udc80-\udcff]")  # as Python shows one in an argument
# What a terminal would obey rather than show; texts come from jobs, and jobs from anywhere.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where a subcommand writes: text for people, or one JSON value for programs."""

    stream: OutputWrapper
    is_json: bool

    def say(self, text: str = "") -> None:
        """Write a line for people; nothing where JSON was asked for."""
        if not self.is_json:
            self.stream.write(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text))

    def data(self, value: Any) -> None:
        """Write the JSON value; nothing where people read."""
        if self.is_json:
            self.stream.write(as_json(value))

    def table(self, rows: Sequence[Sequence[object]]) -> None:
        """Write rows, the first of them perhaps headers, in columns; a cell is one line."""
        cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.say(line.rstrip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Subcommand:
    """One verb of the command line. `run` returns the exit code."""

    name: str
    about: str
    examples: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[dict[str, Any], Output], int]


def unusable(message: str) -> CommandError:
    """Return the error that ends the command with one line and exit code 2."""
    return CommandError(message, returncode=UNUSABLE)


def refuse_other_bytes(options: Mapping[str, Any]) -> None:
    """Refuse arguments that aren't UTF-8: Python lets them through, PostgreSQL and JSON don't.

    Raises:
        CommandError: One of them isn't.
    """
    for name, given in options.items():
        texts = given if isinstance(given, list) else [given]
        if any(isinstance(text, str) and _FOREIGN_BYTE.search(text) for text in texts):
            raise unusable(f"What is given as {name} is not UTF-8 text.")


def as_json(value: Any) -> str:
    """Return `value` as indented JSON; moments as ISO 8601."""
    return json.dumps(value, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)


def job_id(text: str) -> UUID:
    """Return the id that `text` is."""
    try:
        return UUID(text)
    except ValueError:
        raise unusable(f"{text!r} is no job id: it is a UUID, as `jobs list` shows it.") from None


def duration(text: str) -> timedelta:
    """Return the length of time that `text` is: 30s, 15m, 2h, 7d."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise unusable(f"{text!r} is no length of time: write 30s, 15m, 2h or 7d.")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise unusable(f"{text!r} is too long.") from None


def person() -> str:
    """Return who is at the command line, for rows and logs."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid())
    return f"cli:{name}"
