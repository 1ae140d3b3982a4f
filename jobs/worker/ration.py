"""--max-jobs: how many jobs the runners may still claim, all of them together."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.worker.slot import Slot


class Ration:
    """A runner claims one job for each grant it was given; without a limit it needs none."""

    def __init__(self, max_jobs: int | None) -> None:
        self._left = max_jobs  # not yet granted; None: no limit

    @property
    def is_limited(self) -> bool:
        """Whether runners need a grant."""
        return self._left is not None

    def give(self, slot: Slot) -> None:
        """Grant this runner its next claim, if it has none and one is left."""
        if self._left and not slot.granted:
            self._left -= 1
            slot.granted = True
            slot.say(say="grant")

    def take_back(self, slot: Slot) -> None:
        """Free the grant of a runner that is gone."""
        if slot.granted:
            slot.granted = False
            self.give_one_more()

    def give_one_more(self) -> None:
        """Don't count a claim that ran no job."""
        if self._left is not None:
            self._left += 1

    def left(self, slots: Iterable[Slot]) -> int | None:
        """Return how many jobs have not yet been claimed; None: there is no limit."""
        return None if self._left is None else self._left + sum(slot.granted for slot in slots)

    def is_used_up(self, slots: Iterable[Slot]) -> bool:
        """Whether every job of the ration has been run."""
        return self._left == 0 and not any(slot.granted or slot.announced for slot in slots)

    def lets_rest(self, slot: Slot) -> bool:
        """Whether this runner may claim nothing at the moment."""
        return self.is_limited and not slot.granted
