"""A virtual environment for each peer, made once from its pinned requirements."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import rounds
from benchmarks.peers.plans import HOME, bin_of

NEWER = {"django_ox": (3, 12)}  # of those that need a newer Python than ours


class NoPython(Exception):
    """No Python on this machine is new enough for the peer."""


def install(name: str) -> None:
    """Make it, unless it stands as its requirements say.

    Raises:
        NoPython: The peer needs a newer one; PEERS_PYTHON may name it.
    """
    wanted = Path(__file__).parent / name / "requirements.txt"
    stamp = HOME / name / "requirements.txt"
    if stamp.is_file() and stamp.read_text() == wanted.read_text():
        return
    rounds.say(f"installing {name}")
    shutil.rmtree(HOME / name, ignore_errors=True)
    subprocess.run([_python(NEWER.get(name, (3, 11))), "-m", "venv", HOME / name], check=True)
    pip = [str(bin_of(name) / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", "-r", str(wanted)], check=True)
    shutil.copy(wanted, stamp)


def _python(least: tuple[int, int]) -> str:
    if sys.version_info >= least:
        return sys.executable
    named = os.environ.get("PEERS_PYTHON")
    found = named or next(
        filter(None, (shutil.which(f"python3.{minor}") for minor in range(14, least[1] - 1, -1))),
        None,
    )
    if found is None:
        raise NoPython(
            f"needs Python {least[0]}.{least[1]} or newer: put one on the PATH, or name it with "
            "PEERS_PYTHON=/path/to/python3"
        )
    return found
