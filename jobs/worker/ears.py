"""The supervisor's third thread: hears rq's commands on the worker's channel."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable

from jobs.broker import client, keys
from jobs.worker.inbox import Event

logger = logging.getLogger("jobs.worker")

LOOK_SECONDS = 1.0


class Ears(threading.Thread):
    """Subscribes, and again after every outage; tells ("command", payload)."""

    def __init__(self, worker_name: str, *, tell: Callable[[Event], None]) -> None:
        super().__init__(name="ears", daemon=True)
        self._channel = keys.commands(worker_name)
        self._tell = tell
        self._closing = threading.Event()

    def close(self) -> None:
        """End within a look's time."""
        self._closing.set()

    def run(self) -> None:
        """Be the thread."""
        while not self._closing.is_set():
            try:
                self._listen()
            except client.Unreachable:
                # The keeper says that Redis is away. Not all ears at one moment.
                self._closing.wait(LOOK_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - jitter

    def _listen(self) -> None:
        with client.for_work().pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe(self._channel)
            while not self._closing.is_set():
                message = channel.get_message(timeout=LOOK_SECONDS)
                if message is not None:
                    self._hear(message["data"])

    def _hear(self, data: bytes) -> None:
        try:
            payload = json.loads(data)
        except ValueError:
            payload = None
        if isinstance(payload, dict):
            self._tell(("command", payload))
        else:
            logger.warning("A message on %s is no command: ignored", self._channel)
