"""What producers and people set out to do and how it ended, in files that outlive any fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

COMMITTED = "committed"
ROLLED_BACK = "rolled back"
UNKNOWN = "unknown"  # an error came instead of an answer: it stands or it doesn't, but as a whole


class Ledger:
    """One process's file. Each deed is written before it is done, and again when it is over."""

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._count = 0
        self._path = folder / f"{name}.ledger"

    def begin(self, do: str, **what: Any) -> str:
        """Note that something is about to be done; return its name."""
        self._count += 1
        deed = f"{self._name}-{self._count}"
        self._write({"deed": deed, "do": do, **what})
        return deed

    def end(self, deed: str, end: str, **what: Any) -> None:
        """Note how it ended."""
        self._write({"deed": deed, "end": end, **what})

    def _write(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="ascii") as file:
            file.write(json.dumps(line) + "\n")


@dataclass(frozen=True, slots=True)
class Edge:
    """That one job waits for another, by the tokens they bear."""

    child: str
    parent: str
    on_failure: str  # of the parent: "cancel" or "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Dispatches that stand or fall together, by the tokens they bear."""

    tokens: tuple[str, ...]
    end: str
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person asked for: a cancel or a retry of these jobs, and which of them moved."""

    do: str
    job_ids: tuple[str, ...]
    end: str
    moved: tuple[str, ...] = ()
    # Of a retry: when each job had ended, as the person saw it.
    ended_at: tuple[datetime, ...] = ()


def read(folder: Path) -> tuple[list[Unit], list[Request]]:
    """Return what all the files in `folder` say."""
    units, requests = [], []
    for begun, ended in _deeds(folder):
        end = ended.get("end", UNKNOWN)
        if begun["do"] == "dispatch":
            edges = tuple(Edge(*edge) for edge in begun.get("edges", ()))
            units.append(Unit(tokens=tuple(begun["tokens"]), end=end, edges=edges))
        else:
            requests.append(
                Request(
                    do=begun["do"],
                    job_ids=tuple(begun["job_ids"]),
                    end=end,
                    moved=tuple(ended.get("moved", ())),
                    ended_at=tuple(map(datetime.fromisoformat, begun.get("ended_at", ()))),
                )
            )
    return units, requests


def _deeds(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for path in sorted(folder.glob("*.ledger")):
        begun: dict[str, dict[str, Any]] = {}
        ended: dict[str, dict[str, Any]] = {}
        for text in path.read_text(encoding="ascii").splitlines():
            line = json.loads(text)
            (begun if "do" in line else ended)[line["deed"]] = line
        for name, line in begun.items():
            yield line, ended.get(name, {})
