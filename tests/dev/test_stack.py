from __future__ import annotations

import os
import signal
import sys

import pytest

from jobs.dev.child import Program
from jobs.dev.signals import StopSignals
from jobs.dev.stack import MAX_QUICK_DEATHS, Stack

pytestmark = pytest.mark.process

STOPPABLE = """
import signal, sys
def stop(number, frame):
    print("stopped", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
signal.pause()
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""

IMPATIENT = """
import os, signal
signal.signal(signal.SIGTERM, lambda number, frame: os.kill(os.getppid(), signal.SIGINT))
print("ready", flush=True)
while True:
    signal.pause()
"""


def a_program(name, script, **more):
    argv = (sys.executable, "-c", script)
    return Program(name=name, argv=argv, environment=dict(os.environ), **more)


@pytest.fixture
def said():
    return []


@pytest.fixture
def signals():
    return StopSignals()


@pytest.fixture
def stack(said, signals, tmp_path):
    stack = Stack(
        lambda name, text: said.append((name, text)),
        signals,
        record=tmp_path / "children.json",
        backoff_seconds=0.01,
    )
    yield stack
    stack.stop()


def test_children_stop_in_the_order_of_their_phases(stack, said):
    for phase, name in enumerate(("worker", "web", "server")):
        stack.start(a_program(name, STOPPABLE, stop_phase=phase))
    stack.wait_until(lambda: len(said) == 3, seconds=20, what="A child")

    stack.stop()

    assert said[3:] == [("worker", "stopped"), ("web", "stopped"), ("server", "stopped")]


def test_a_child_that_outlasts_its_grace_is_killed(stack, said):
    child = stack.start(a_program("worker", STUBBORN, grace_seconds=0.2))
    stack.wait_until(lambda: len(said) == 1, seconds=20, what="The child")

    stack.stop()

    assert child.end == "killed by SIGKILL"


def test_one_more_signal_hastens_the_stop(stack, signals, said):
    # This worker's end would take a minute; whoever sees it told to stop presses Ctrl-C again.
    child = stack.start(a_program("worker", IMPATIENT, grace_seconds=60))
    stack.wait_until(lambda: len(said) == 1, seconds=20, what="The child")

    with signals.caught():
        stack.stop()

    assert child.end == "killed by SIGKILL"
    assert signals.last is signal.SIGINT


def test_a_signal_that_comes_twice_at_once_counts_once(signals):
    with signals.caught():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    assert signals.count == 1


def test_a_dead_child_is_started_again(stack, said):
    child = stack.start(a_program("web", STOPPABLE))
    stack.wait_until(lambda: len(said) == 1, seconds=20, what="The child")
    first = child.process.pid

    child.kill()

    stack.wait_until(lambda: said.count(("web", "ready")) == 2, seconds=20, what="Its successor")
    assert child.process.pid != first
    assert ("web", "[killed by SIGKILL; starts again in 0.01 s]") in said


def test_a_last_line_without_an_end_is_shown_too(stack, said):
    script = "import sys; sys.stdout.write('x' * 200_000 + '\\nlast words')"
    child = stack.start(a_program("web", script, runs_once=True))

    stack.wait_until(lambda: child.has_ended and len(said) == 2, seconds=20, what="The child")

    assert said == [("web", "x" * 200_000), ("web", "last words")]


def test_a_crash_loop_asks_for_the_end_and_shows_the_last_lines(stack):
    stack.start(a_program("web", "import sys; sys.exit('no such setting')"))

    while not stack.is_stopping:
        stack.step()

    assert "web died 5 times right after its start (exit code 1)" in stack.fault
    assert stack.fault.count("no such setting") == MAX_QUICK_DEATHS


def test_a_change_of_code_restarts_what_runs_it_and_nothing_else(stack, said):
    worker = stack.start(a_program("worker", STOPPABLE, reloads=True))
    server = stack.start(a_program("server", STOPPABLE))
    stack.wait_until(lambda: len(said) == 2, seconds=20, what="A child")
    pids = worker.process.pid, server.process.pid

    stack.reload()

    stack.wait_until(lambda: said.count(("worker", "ready")) == 2, seconds=20, what="The worker")
    assert worker.process.pid != pids[0]
    assert worker.quick_deaths == 0
    assert server.process.pid == pids[1]
    assert ("worker", "stopped") in said


def test_waiting_in_vain_is_a_fault(stack):
    assert not stack.wait_until(lambda: False, seconds=0, what="Godot")
    assert stack.fault == "Godot did not answer within 0 s."
