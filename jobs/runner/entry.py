"""The runner: a warm child that runs jobs, by the thousands, until it is told to stop."""

from __future__ import annotations

import signal
import socket
import threading

from jobs.processes import channel
from jobs.runner import forks, session
from jobs.runner.guard import Guard
from jobs.runner.loop import Loop
from jobs.runner.orders import Orders
from jobs.runner.watch import Watch


def main(end: socket.socket, message: channel.Message) -> None:
    """Be a runner until the supervisor says drain, or is gone; the mother's entry."""
    orders = Orders.of_message(message)
    for number in (signal.SIGTERM, signal.SIGINT):
        # The supervisor decides when a job is interrupted. A handler, not SIG_IGN: that would pass
        # through exec, and the job's own children could no longer be terminated.
        signal.signal(number, _leave_it_to_the_supervisor)
    session.mark(orders.worker_id)
    forks.keep_children_ordinary()
    watch = Watch()
    guard = Guard(end=end, watch=watch, rationed=orders.rationed)
    threading.Thread(target=guard.run, name="guard", daemon=True).start()
    Loop(orders=orders, end=end, watch=watch, guard=guard).run()


def _leave_it_to_the_supervisor(_number: int, _frame: object) -> None:
    return
