from __future__ import annotations

import os
import subprocess
import sys

from jobs.processes import birthmark
from tests.workers import CONTAINER

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
ELSEWHERE = "from jobs.processes import birthmark; print(birthmark.of_this_process())"


def test_it_stays_the_same_as_long_as_the_process_lives() -> None:
    with subprocess.Popen(SLEEP) as process:
        mark = birthmark.of(process.pid)

        assert mark == birthmark.of(process.pid) != ""
        assert not birthmark.is_gone(mark, process.pid)
        process.kill()


def test_a_killed_process_is_gone_before_its_parent_has_waited_for_it() -> None:
    process = subprocess.Popen(SLEEP)
    mark = birthmark.of(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert birthmark.is_gone(mark, process.pid)
    process.wait()
    assert birthmark.is_gone(mark, process.pid)


def test_a_pid_that_was_used_again_is_another_process() -> None:
    mine = birthmark.of_this_process()
    former = " ".join([*mine.split()[:-1], "1"])  # started long before

    assert birthmark.is_gone(former, os.getpid())


def test_nothing_is_known_of_a_process_in_another_namespace() -> None:
    done = subprocess.run(
        [*CONTAINER, sys.executable, "-c", ELSEWHERE], check=True, capture_output=True, text=True
    )
    mark = done.stdout.strip()

    assert mark.split()[-2] == "1"
    assert not birthmark.is_gone(mark, 1)  # though it has ended


def test_without_a_birthmark_nothing_is_known() -> None:
    assert not birthmark.is_gone("", 1)
