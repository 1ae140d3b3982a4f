"""A break: a small patch that switches one mechanism off, and the test that must then fail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("tests/promises/breaks")

_FORMAT = """{path}: a break begins with

    Proves: tests/promises/test_x.py::test_y
    Fails with: a short text of the output that a red for the right reason has
    One sentence: what is switched off.

and goes on with a `git diff` of 1 to {most} changed lines of the code. {fault}"""
MOST_LINES = 10
_PREAMBLE = r"Proves: (\S+::\S+)\nFails with: (\S.*)\n\s*(\S[\s\S]*?)\s*"


class BadBreak(Exception):
    """Raised when a file isn't a break."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One patch of tests/promises/breaks."""

    path: Path
    test: str  # pytest's node id
    fails_with: str
    what: str  # is switched off
    changed: frozenset[str]  # the files that it changes

    @property
    def name(self) -> str:
        """The file's name, without its ending."""
        return self.path.stem

    @property
    def test_file(self) -> str:
        """Where its test stands."""
        return self.test.partition("::")[0]


def read(path: Path) -> Break:
    """Read one break.

    Raises:
        BadBreak: It lacks something, or changes too much, or a test.
    """
    preamble, diff, patch = path.read_text().partition("diff --git ")
    found = re.fullmatch(_PREAMBLE, preamble)
    if not found:
        raise _bad(path, "Its beginning is another.")
    lines = (diff + patch).splitlines()
    changed = {line.partition("/")[2] for line in lines if line.startswith(("--- a/", "+++ b/"))}
    if not changed or any(name.startswith("tests/") for name in changed):
        raise _bad(path, "It changes no file, or a test.")
    for sign in "+-":
        count = sum(line.startswith(sign) and not line.startswith(sign * 3) for line in lines)
        if count > MOST_LINES:
            raise _bad(path, f"It has {count} lines with {sign}.")
    what = " ".join(found[3].split())
    return Break(
        path=path, test=found[1], fails_with=found[2], what=what, changed=frozenset(changed)
    )


def _bad(path: Path, fault: str) -> BadBreak:
    return BadBreak(_FORMAT.format(path=path, most=MOST_LINES, fault=fault))


def read_all(folder: Path) -> list[Break]:
    """Read every break of a folder, by name."""
    return [read(path) for path in sorted(folder.glob("*.patch"))]
