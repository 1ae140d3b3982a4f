"""What a child that a job forks gets of the runner: nothing. It is as ordinary as any process."""

from __future__ import annotations

import os
import signal

# Our handlers would swallow a signal that comes before they are gone: these wait for that moment.
_HELD = (signal.SIGTERM, signal.SIGINT)


def keep_children_ordinary() -> None:
    """Have every child forked from now on (multiprocessing's too) be terminated as any process."""
    os.register_at_fork(
        before=_hold_signals, after_in_parent=_let_signals, after_in_child=_be_ordinary
    )


def _hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def _let_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def _be_ordinary() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _let_signals()
