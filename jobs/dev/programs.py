"""Where a server's program lies, and which version it is."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path


def package_folders(package: str) -> list[Path]:
    """Return the folders of an installed package, without importing it.

    Importing the servers' wheels would make lock files, and for root a user.
    """
    spec = importlib.util.find_spec(package)
    return [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []


def major_version(program: Path, pattern: str) -> int:
    """Return the first group of `pattern` in what ``--version`` says; 0 if it does not run."""
    try:
        answer = subprocess.run(
            (program, "--version"), capture_output=True, text=True, check=False, timeout=10
        )
    except OSError:
        return 0
    found = re.search(pattern, answer.stdout)
    return int(found[1]) if found and answer.returncode == 0 else 0
