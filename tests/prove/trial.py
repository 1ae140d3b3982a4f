"""One run of pytest in a copy, and what it proves."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.prove.breaks import Break

HUNG_SECONDS = 240.0
# The source line of each frame: it may hold the text that only an error should.
_SOURCE = re.compile(r"^(\S+:\d+: in .*\n)(?:    .*\n)+", re.MULTILINE)
_FAILED = 1  # pytest's exit code when tests ran and some failed; 2 to 5 are no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What pytest did."""

    code: int | None  # None: it hung and was killed
    output: str
    seconds: float


def run(
    tests: Sequence[str], tree: Path, environment: Mapping[str, str], *, stop: threading.Event
) -> Ran:
    """Run these tests of `tree` and nothing else; kill them when `stop` is set."""
    begun = time.monotonic()
    options = ["-q", "-rA", "--tb=short", "-p", "no:cacheprovider", "--color=no"]
    output = tree.with_name(f"{tree.name}.output")
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=tree,
            env={**os.environ, **environment, "PYTHONPATH": str(tree)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            while process.poll() is None and time.monotonic() < begun + HUNG_SECONDS:
                if stop.wait(0.05):
                    break
            code = process.poll()
        finally:
            _end(process)
    text = output.read_text(errors="replace")
    output.unlink()
    return Ran(code=code, output=text, seconds=time.monotonic() - begun)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it and what it started, where it still runs."""
    if process.poll() is None:
        below = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def is_green(test: str, ran: Ran) -> bool:
    """Whether `test` passed, each of its cases, among others."""
    return bool(_cases("PASSED", test, ran)) and not (
        _cases("FAILED", test, ran) or _cases("ERROR", test, ran)
    )


def why_not_red(a_break: Break, ran: Ran) -> str:
    """Return why this run doesn't prove that `a_break` matters; empty: it does."""
    if ran.code is None:
        return f"it hung for {HUNG_SECONDS:.0f} s"
    if ran.code == 0:
        return "it passes"
    if ran.code != _FAILED:
        return f"pytest could not run it (exit code {ran.code})"
    return _why_not_this_red(a_break, ran)


def _why_not_this_red(a_break: Break, ran: Ran) -> str:
    if not _cases("FAILED", a_break.test, ran):
        return "an error kept it from running"
    if a_break.fails_with not in _SOURCE.sub(r"\1", ran.output):
        return f"it fails for another reason: nothing says {a_break.fails_with!r}"
    return ""


def _cases(word: str, test: str, ran: Ran) -> list[str]:
    # As the summary has them: "FAILED file::test[case] - message".
    return re.findall(
        rf"^{word} {re.escape(test)}(?:\[.*?\])?(?: - .*)?$", ran.output, re.MULTILINE
    )
