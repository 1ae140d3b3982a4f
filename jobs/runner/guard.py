"""The runner's second thread: hears the supervisor while the job has the first."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from uuid import UUID

from jobs.processes import channel
from jobs.runner.lane.lane import Lane
from jobs.runner.watch import REPEAT_SECONDS, Reason, Watch


class Guard:
    """Hands the supervisor's words to the watch and the loop; dies with the supervisor."""

    def __init__(self, *, end: socket.socket, watch: Watch, rationed: bool) -> None:
        self.draining = threading.Event()
        self.lane: Lane | None = None  # of the runner, once it has one
        self._end = end
        self._watch = watch
        self._ration = threading.Semaphore(0) if rationed else None

    def may_claim(self) -> bool:
        """Whether the ration has a claim left; always, where there is none."""
        if self._ration is None:
            return True
        if not self._ration.acquire(blocking=False):
            return False
        self._ration.release()
        return True

    def spend(self) -> None:
        """Take one claim off the ration, if there is one, and say so."""
        if self._ration is not None:
            self._ration.acquire(blocking=False)
            channel.send(self._end, {"say": "claimed"})

    def ask_for_more(self, *, ran: int) -> None:
        """Say that what was claimed has ended, if there is a ration, and how many jobs have run."""
        if self._ration is not None:
            channel.send(self._end, {"say": "ended", "ran": ran})

    def run(self) -> None:
        """Listen until the process ends; press the watch and say that we live, again and again."""
        while True:
            ready, _, _ = select.select([self._end], [], [], REPEAT_SECONDS)
            if ready:
                message, _fds = channel.receive(self._end)
                if message is None:
                    # Nobody answers for this process any more: take the job's own children along.
                    os.killpg(os.getpgid(0), signal.SIGKILL)
                    return
                self._obey(message)
            self._watch.press()
            if self.lane is not None:
                self.lane.press()
                self.lane.look()
            if not self._watch.is_armed:
                # A job may keep us from speaking; between jobs silence means that we hang.
                channel.mention(self._end, {"say": "alive"})

    def _obey(self, message: channel.Message) -> None:
        match message["say"]:
            case "drain":
                self.draining.set()
            case "grant":
                if self._ration is not None:
                    self._ration.release()
            case "stop async" if self.lane is not None:
                self.lane.stop(
                    Reason(message["reason"]),
                    job_id=UUID(message["job_id"]),
                    claim=message["claim"],
                )
            case "stop":
                self._watch.stop(
                    Reason(message["reason"]), job_id=message["job_id"], claim=message["claim"]
                )
