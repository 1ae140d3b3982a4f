"""What a person sees: each child's lines behind its name, in one stream or in files."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from django.utils.termcolors import make_style

Sink = Callable[[str, str], None]
"""Takes a child's name and one line."""

_WIDTH = 9
_COLOURS = itertools.cycle(("cyan", "yellow", "green", "magenta", "blue"))


class Stream:
    """One stream for all children. Safe to call from several threads."""

    def __init__(self, stream: TextIO, *, is_coloured: bool) -> None:
        self._stream = stream
        self._is_coloured = is_coloured
        self._styles: dict[str, Callable[[str], str]] = {}
        self._lock = threading.Lock()
        self.is_closed = False

    def line(self, name: str, text: str) -> None:
        """Write one line behind its child's name."""
        head = f"{name:<{_WIDTH}}| "
        if self._is_coloured:
            style = self._styles.setdefault(name, make_style(fg=next(_COLOURS)))
            head = style(head)
        self.write(head + text)

    def write(self, text: str) -> None:
        """Write a line of the stack's own, with nothing before it."""
        with self._lock:
            try:
                self._stream.write(f"{text}\n")
                self._stream.flush()
            except OSError:
                # Whoever read us has gone (`make run | head`); the stack then stops in order.
                self.is_closed = True


class Files:
    """A log file for each child, for when the stream belongs to a command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)

    def line(self, name: str, text: str) -> None:
        """Append one line to the child's file."""
        with (self._folder / f"{name}.log").open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
