"""A devstack of a test's own: real processes in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path

import psutil

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LIMIT_SECONDS = 60.0


def environment(**more):
    """Return an environment in which no server is given."""
    hidden = {"DATABASE_URL", "REDIS_URL", "PORT", "DEVSTACK_FOLDER"}
    return {**{name: os.environ[name] for name in os.environ if name not in hidden}, **more}


class Devstack:
    """One `manage.py devstack`, its output, and every process that belongs to it."""

    def __init__(self, path, *arguments, **variables):
        self.path = path
        self.said = ""
        self.process = subprocess.Popen(
            (sys.executable, "manage.py", "devstack", "--folder", str(path), *arguments),
            cwd=BASE_DIR,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.set_blocking(self.process.stdout.fileno(), False)

    def read_until(self, text):
        """Return once `text` was said; fail with all that was said instead."""
        until = time.monotonic() + LIMIT_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while text not in self.said:
                assert selector.select(until - time.monotonic()), f"not said: {text}\n{self.said}"
                data = os.read(self.process.stdout.fileno(), 65_536)
                assert data, f"ended before it said: {text}\n{self.said}"
                self.said += data.decode()
        return self.said

    def wait(self):
        """Return the exit code, when it has ended."""
        os.set_blocking(self.process.stdout.fileno(), True)
        rest, _ = self.process.communicate(timeout=LIMIT_SECONDS)
        self.said += rest.decode()
        return self.process.returncode

    @property
    def variables(self):
        """What it wrote for other processes."""
        lines = (self.path / "devstack.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def tree(self):
        """Return its processes, the supervisor first."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def children(self):
        """Return its own children: the servers, without their helpers."""
        return psutil.Process(self.process.pid).children()

    def kill(self):
        """Leave nothing behind, whatever the test did."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in self.tree():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def devstack(path, *arguments, **variables):
    """Start a devstack for a block, and see that it is gone afterwards."""
    stack = Devstack(path, *arguments, **variables)
    try:
        yield stack
    finally:
        stack.kill()


@contextlib.contextmanager
def services(path, **variables):
    """Start PostgreSQL and Valkey for a block, and wait until they answer."""
    with devstack(path, "services", **variables) as stack:
        stack.read_until("Ctrl-C stops both")
        yield stack


def ended(processes):
    """Say whether all of them are gone, or go within a few seconds."""
    return not psutil.wait_procs(processes, timeout=20)[1]
