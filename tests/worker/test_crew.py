"""The supervisor's loop, where its events come in an order that no signal can arrange."""

from __future__ import annotations

import os
import subprocess
import sys
from uuid import uuid4

from jobs.processes import channel
from jobs.processes.mother import Mother
from jobs.worker import registration
from jobs.worker.crew import Crew
from jobs.worker.options import Options


def test_a_runner_forked_for_a_worker_that_is_dead_since_is_killed_unheard() -> None:
    mothers, supervisors = channel.pair()
    supervisors.settimeout(0)
    identity = registration.describe_this_process("alpha", ("default",), 1)
    crew = Crew(identity, mother=Mother(pid=0, end=supervisors), options=Options())
    runner = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    runners, heard = channel.pair()
    channel.send(runners, {"say": "claimed", "ids": [str(uuid4())]})
    forked = {"forked": runner.pid, "index": 0, "worker_id": str(uuid4())}

    crew._place(forked, [os.dup(heard.fileno())])
    killed_by = -runner.wait(30)
    crew._bury({"died": runner.pid, "code": -killed_by, "peak_memory": 0})

    assert killed_by == 9
    [slot] = crew._nursery.runners
    assert (slot.pid, slot.announced) == (None, ())
    assert slot.fork_at is not None
    for end in (mothers, supervisors, runners, heard, crew._inbox._bell, crew._inbox._ring):
        end.close()
    assert runner.stdin is not None
    runner.stdin.close()
