from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import wait
from tests.chaos.evidence import Exit
from tests.chaos.programs import DEAF_SECONDS, Program

pytestmark = pytest.mark.process


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Program]:
    program = Program(name="sleeper", argv=("sleep", "60"), environment={}, folder=tmp_path)
    program.start()
    yield program
    program.kill()


def keep(program: Program, former: int) -> None:
    def is_another() -> bool:
        program.keep()
        return program.process is not None and program.process.pid != former

    wait.until("another process", is_another)


def test_one_that_ends_unbidden_is_noted_and_started_again(sleeper: Program):
    former = sleeper.process.pid
    sleeper.process.kill()
    sleeper.process.wait()

    keep(sleeper, former)

    assert sleeper.is_running
    assert sleeper.exits == [Exit(name="sleeper", code=-signal.SIGKILL)]


def test_one_that_a_fault_has_ended_is_started_again_and_not_noted(sleeper: Program):
    former = sleeper.process.pid
    sleeper.is_condemned = True
    sleeper.process.kill()

    keep(sleeper, former)

    assert sleeper.is_running
    assert sleeper.exits == []
    assert not sleeper.is_condemned


def test_one_that_was_told_to_end_may_end_in_order(sleeper: Program):
    sleeper.is_told = True
    sleeper.process.terminate()

    sleeper.note_end()

    assert sleeper.exits == []


def test_one_that_was_told_to_end_and_crashes_is_noted(sleeper: Program):
    sleeper.is_told = True
    sleeper.process.send_signal(signal.SIGSEGV)

    sleeper.note_end()

    assert sleeper.exits == [Exit(name="sleeper", code=-signal.SIGSEGV)]


def test_one_that_ends_as_it_may_is_not_noted(sleeper: Program):
    sleeper.process.kill()

    sleeper.note_end(allowed=-signal.SIGKILL)

    assert sleeper.exits == []


def test_one_that_is_dismissed_while_it_is_new_may_not_listen_yet(sleeper: Program):
    sleeper.dismiss()

    sleeper.note_end(allowed=0)

    assert sleeper.exits == []


def test_one_that_is_dismissed_and_does_not_listen_is_noted(sleeper: Program):
    sleeper._started_at -= DEAF_SECONDS

    sleeper.dismiss()
    sleeper.note_end(allowed=0)

    assert sleeper.exits == [Exit(name="sleeper", code=-signal.SIGTERM)]
