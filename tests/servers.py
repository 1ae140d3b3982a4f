"""A Redis of a test's own, which it may kill and start again."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from jobs.dev import valkey
from jobs.dev.folder import Folder
from jobs.dev.valkey import Valkey
from tests import wait


@dataclass(slots=True)
class OwnRedis:
    """One server on a socket of its own. What it held is gone after a kill."""

    server: Valkey
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def in_folder(cls, path: Path) -> OwnRedis:
        """Describe a server whose socket and data lie in `path`, a short one; start nothing."""
        (path / "valkey").mkdir()
        return cls(valkey.find(Folder(path=path, sockets=path)))

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    def start(self) -> None:
        """Start it; return when it answers."""
        argv = [*self.server.program.argv, "--appendonly", "no"]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        wait.until("an answer of the test's own Redis", lambda: valkey.is_ready(self.server))

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
