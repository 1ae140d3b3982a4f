"""Notice that the site's code has changed."""

from __future__ import annotations

import threading
from pathlib import Path

import watchfiles

_NOT_OURS = {"tests", "var"}


class Watcher:
    """Watches every package beside manage.py, in a thread of its own."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._stop = threading.Event()
        self._changed: set[Path] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=2)

    def take(self) -> list[Path]:
        """Return what has changed since the last call, relative to the project."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return sorted(path.relative_to(self._base) for path in changed)

    def _watch(self) -> None:
        packages = [
            found.parent
            for found in self._base.glob("*/__init__.py")
            if found.parent.name not in _NOT_OURS
        ]
        for changes in watchfiles.watch(
            *packages,
            watch_filter=watchfiles.PythonFilter(),
            stop_event=self._stop,
            rust_timeout=500,
            debounce=400,
            raise_interrupt=False,
        ):
            with self._lock:
                self._changed.update(Path(path) for _, path in changes)
