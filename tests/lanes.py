"""Tests side by side: each process of pytest-xdist has a database and a Redis of its own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.servers import OwnRedis

# Before its settings are read: they and the processes that its tests start see only this.
_TELL = "import os\nos.environ.update(channel.receive())"


class Lanes:
    """Gives a Redis to each process that runs tests; pytest-django gives it the database."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Start the server of a process that is about to read its settings."""
        folder = Path(tempfile.mkdtemp(prefix="lane-"))
        self._config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        server = OwnRedis.in_folder(folder)
        server.start()
        self._config.add_cleanup(server.kill)
        channel = node.gateway.remote_exec(_TELL)
        channel.send({"REDIS_URL": server.url})
        channel.waitclose()
