"""The mother: a clean process that has imported everything, owns nothing, and forks the others."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.db import connections

from jobs.processes import channel, parent_death

# What a child runs: its end of a channel to the supervisor, and the message that asked for it.
Entry = Callable[[socket.socket, channel.Message], None]


@dataclass(slots=True, kw_only=True)
class Mother:
    """The supervisor's side: ask for children, hear of their deaths."""

    pid: int
    end: socket.socket

    def fork(self, kind: str, **config: object) -> None:
        """Ask for a child of this kind; `{"forked": pid, ...}` with its socket comes back.

        Or `{"unforked": why, ...}`, where there is no room for one.
        """
        channel.send(self.end, {"kind": kind, **config})

    def reap_adopted(self) -> None:
        """Wait for the dead whom nobody else waits for: as PID 1 of a container we are given them.

        While she lives the mother adopts what jobs leave; this is for everything else in there.
        """
        if os.getpid() != 1:
            return
        with contextlib.suppress(ChildProcessError):
            while dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if dead.si_pid == self.pid:
                    return  # hers is waited for by `close`
                os.waitpid(dead.si_pid, 0)

    def kill(self) -> None:
        """Kill her; her children die with her."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the mother go; she kills what she still has, and is waited for."""
        self.end.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def start(entries: Mapping[str, Entry]) -> Mother:
    """Fork the mother. Call it before this process opens a socket or starts a thread.

    Args:
        entries: What a child of each kind runs.
    """
    connections.close_all()
    ours, hers = channel.pair()
    sys.stdout.flush()
    sys.stderr.flush()
    # A collection writes into every object that it looks at, and the kernel then copies its page:
    # what has been imported is looked at no more, here and in every child, and stays shared.
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        # No death with the parent for her: she must live on to kill the groups of her runners.
        _run_child(lambda: _Mother(end=hers, entries=entries).run(), ours)
    hers.close()
    ours.settimeout(0)
    return Mother(pid=pid, end=ours)


def _run_child(body: Callable[[], None], foreign: socket.socket) -> None:
    """Run `body` in a fresh child and leave without the parent's exit handlers."""
    code = 1
    try:
        os.setpgid(0, 0)
        foreign.close()
        body()
        code = 0
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:  # noqa: BLE001 - the process ends here; its last words go to its log
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # its reader is gone, a job closed it
                stream.flush()
        os._exit(code)


@dataclass(slots=True, kw_only=True)
class _Mother:
    end: socket.socket
    entries: Mapping[str, Entry]
    children: dict[int, str] = field(default_factory=dict)  # pid -> kind

    def run(self) -> None:
        parent_death.adopt_orphans()
        wake_read, wake_write = socket.socketpair()
        wake_read.settimeout(0)
        wake_write.settimeout(0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _ignore)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self.end, wake_read], [], [])
            if wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    while wake_read.recv(4096):
                        pass
                self._reap()
            if self.end in ready:
                message, _fds = channel.receive(self.end)
                if message is None:
                    return self._end()
                self._fork(message, (wake_read, wake_write))

    def _fork(self, message: channel.Message, own: tuple[socket.socket, ...]) -> None:
        my_pid = os.getpid()
        kind = str(message["kind"])
        ends: tuple[socket.socket, ...] = ()
        try:
            supervisors, childs = ends = channel.pair()
            pid = os.fork()
        except OSError as error:
            # Too many processes or files, perhaps a job's; her other children must not die of that.
            for end in ends:
                end.close()
            channel.send(self.end, {**message, "unforked": str(error)})
            return
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (*own, self.end):
                inherited.close()
            parent_death.die_with_parent(my_pid)
            _run_child(lambda: self.entries[kind](childs, message), supervisors)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # as the child does: whoever comes first
        self.children[pid] = kind
        channel.send(self.end, {**message, "forked": pid}, fds=(supervisors.fileno(),))
        supervisors.close()
        childs.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.children.pop(pid, None) is None:
                continue  # an orphan of a job, adopted
            # What the runner leaves in its group would work on for a job that is over.
            _kill_group(pid)
            code = os.waitstatus_to_exitcode(status)
            peak_memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            channel.send(self.end, {"died": pid, "code": code, "peak_memory": peak_memory})

    def _end(self) -> None:
        for pid in self.children:
            _kill_group(pid)
        for pid in self.children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _ignore(_number: int, _frame: object) -> None:
    # A handler, not SIG_IGN: ignoring passes through exec, and a job's own children would keep it.
    return
