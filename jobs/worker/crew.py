"""The supervisor's loop: events of runners, mother, keeper and signals, each with its handler."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from jobs.processes import channel
from jobs.processes.mother import Mother
from jobs.runner.watch import Reason
from jobs.worker import anew, losses
from jobs.worker.ears import Ears
from jobs.worker.inbox import Inbox
from jobs.worker.keeper import Keeper
from jobs.worker.nursery import Nursery
from jobs.worker.options import Options
from jobs.worker.own_end import OwnEnd
from jobs.worker.ration import Ration
from jobs.worker.registration import Identity
from jobs.worker.slot import Slot
from jobs.worker.stop import Stop

logger = logging.getLogger("jobs.worker")

SIGN_OFF_SECONDS = 4.0  # the worker's row is closed within so long, or left to the rescue
LOOK_SECONDS = 0.1  # how often the boards are looked at
REPORT_SECONDS = 0.1  # at most so often the keeper is told; batches are shorter
NAME_TAKEN = 2  # exit code


class Crew:
    """The runners of one worker. Everything here runs in the supervisor's main thread.

    It waits on pipes and signals only: what may hang is the keeper's.
    """

    def __init__(self, identity: Identity, *, mother: Mother, options: Options) -> None:
        self.identity = identity
        self.options = options
        self._mother = mother
        self._nursery = Nursery(identity, mother=mother, async_slots=options.async_slots)
        self._slots = self._nursery.runners
        self._worker_id: UUID | None = None
        self._inbox = Inbox()
        self._keeper = Keeper(identity, tell=self._inbox.tell, shown_seconds=options.shown_seconds)
        self._ears = Ears(identity.name, tell=self._inbox.tell)
        self._duties = self._nursery.duties
        self._stop = Stop(
            self._slots,
            worker_name=identity.name,
            break_up=self._break_up,
            grace_seconds=options.grace_seconds,
        )
        self._ration = Ration(options.max_jobs)
        self._own_end = OwnEnd(options, slots=self._slots, ration=self._ration)
        self._code: int | None = None  # set when it is over
        self._is_orphaned = False  # the mother has died
        self._report_at = 0.0  # time.monotonic(): not before

    def run(self) -> int:
        """Work until told to stop; return the exit code."""
        self._inbox.catch_signals(self._stop.ask)
        self._keeper.start()
        self._ears.start()
        while self._code is None:
            self._wait()
            self._fork_due()
            self._look()
            self._nursery.kill_due()
            self._mother.reap_adopted()
            self._consider_stop()
            self._report()
            self._keeper.look()
        code = self._leave()
        left = self._ration.left(self._slots)
        is_wanted = not (self._stop.is_asked or self._stop.has_begun) and left != 0
        if self._is_orphaned and is_wanted:
            logger.info("Worker %s starts itself anew", self.identity.name)
            anew.start(jobs_left=left)
        return code

    # --- Waiting ---

    def _wait(self) -> None:
        slots_by_end = {slot.end: slot for slot in self._nursery.everyone if slot.end is not None}
        ready = self._inbox.wait([self._mother.end, *slots_by_end], seconds=self._seconds_to_next())
        for event in self._inbox.events():
            self._handle(*event)
        for end in ready:
            if end is self._mother.end:
                self._hear_mother()
            elif slots_by_end[end].end is end:  # the mother may just have told of its death
                # Or have died: then what it said has been heard already, as its last words.
                with contextlib.suppress(BlockingIOError):
                    self._hear_runner(slots_by_end[end])

    def _seconds_to_next(self) -> float:
        moments = self._nursery.next_at(may_fork=self._worker_id is not None)
        end_at = self._stop.next_at if self._stop.has_begun else self._own_end.next_at
        if end_at is not None:
            moments.append(end_at)
        return max(0.01, min([moment - time.monotonic() for moment in moments] + [LOOK_SECONDS]))

    def _look(self) -> None:
        """Look at the boards of the runners: they say little else of their jobs."""
        for slot in self._nursery.old():
            self._break_up(slot)
        for slot in self._slots:
            self._own_end.note_work(slot.seen.worked_at)

    # --- Events ---

    def _handle(self, name: str, value: Any) -> None:
        match name:
            case "registered":
                self._worker_id = value
                logger.info(
                    "Worker %s listens on %s with %d runner(s)",
                    self.identity.name,
                    ", ".join(self.identity.queues),
                    self.identity.concurrency,
                )
            case "refused":
                sys.stderr.write(f"{value}\n")
                self._code = NAME_TAKEN
            case "dead":
                self._begin_anew()
            case "closed" if self._code is None:
                # By a fault of ours; without heartbeats this worker is dead. Its jobs are rescued.
                logger.critical("The keeper thread died: the worker ends")
                self._code = 1
            case "cancel":
                self._cancel(*value)
            case "command":
                self._obey(value)
            case "returned":
                index, pid, serial = value
                self._slots[index].note_return(pid, serial)

    def _obey(self, payload: dict[str, Any]) -> None:
        match payload.get("command"):
            case "shutdown":
                self._stop.ask()
            case "stop-job":
                self._cancel(str(payload.get("job_id")), payload.get("claim"))
            case other:
                logger.warning("Command %r is not for this worker: ignored", other)

    def _cancel(self, job_id: str, claim: int | None) -> None:
        """Stop a running job; a runner that has moved on is left alone."""
        for slot in self._slots:
            slot.cancel_ride(job_id, claim)
            if not slot.has(job_id, claim):
                continue
            self._break_up(slot)  # one that has not begun never begins
            slot.stop(Reason.CANCEL, job_id=job_id)

    def _break_up(self, slot: Slot) -> None:
        """Give back what hasn't begun of a batch."""
        serial, attempts = slot.break_up()
        if attempts:
            self._post(losses.give_back, attempts)
            # Its runner claims nothing meanwhile.
            returned = "returned", (slot.index, slot.pid, serial)
            self._keeper.post(partial(self._inbox.tell, returned))

    def _post(self, settle: Callable[..., None], *args: Any, **options: Any) -> None:
        """Have the keeper settle something in this worker's name."""
        assert self._worker_id is not None  # noqa: S101 - runners are forked after registration
        options |= {"worker_id": self._worker_id, "worker_name": self.identity.name}
        self._keeper.post(partial(settle, *args, **options))

    def _hear_mother(self) -> None:
        message, fds = channel.receive(self._mother.end)
        if message is None:
            self._lose_mother()
        elif "forked" in message:
            self._place(message, fds)
        elif "unforked" in message:
            self._nursery.try_later(message, may_fork=not self._stop.has_begun)
        else:
            self._bury(message)

    def _place(self, message: channel.Message, fds: list[int]) -> None:
        slot = self._nursery.place(message, fds)
        if message["worker_id"] != str(self._worker_id):
            # Asked for before this worker was declared dead: what it claims is put back already.
            slot.hang_up()
            slot.kill()
            return
        if self._stop.has_begun:
            if slot is self._duties:
                slot.empty()
            else:
                slot.say(say="drain")
        if slot is not self._duties:
            self._ration.give(slot)

    def _hear_runner(self, slot: Slot) -> None:
        assert slot.end is not None  # noqa: S101 - it was selected
        message, fds = channel.receive(slot.end)
        if message is None:
            slot.hang_up()  # the mother's word of its death follows
            return
        slot.heard_at = time.monotonic()
        if message["say"] == "board":
            slot.show_board(fds[0])
        else:
            self._heed(slot, message)

    def _heed(self, slot: Slot, message: channel.Message) -> None:
        match message["say"]:
            case "alive" | "idle":
                return  # it has woken us, who look at its board
            case "claimed":
                slot.granted = False
            case "entering" | "entered" | "left":
                slot.aboard.heed(message)
                slot.aboard_at = slot.heard_at
                self._own_end.note_work(slot.heard_at)
            case "ended":
                if not message["ran"]:
                    self._ration.give_one_more()
                self._ration.give(slot)

    def _bury(self, message: channel.Message) -> None:
        slot = self._nursery.find(message["died"])
        if slot is None:
            return
        self._hear_last_words(slot)
        if slot.announced:
            self._post_death(slot, code=message["code"], peak_memory=message["peak_memory"])
        self._ration.take_back(slot)
        self._nursery.bury(slot, code=message["code"], may_fork=not self._stop.has_begun)

    def _hear_last_words(self, slot: Slot) -> None:
        with contextlib.suppress(BlockingIOError):
            while slot.end is not None:
                self._hear_runner(slot)

    def _post_death(self, slot: Slot, *, code: int | None, peak_memory: int | None) -> None:
        self._keeper.announced = self._nursery.announced(but=slot)
        death = losses.death_of(slot, code=code, peak_memory=peak_memory)
        self._post(losses.settle_death, death, announced=lambda: self._keeper.announced)

    # --- Forking and killing ---

    def _fork_due(self) -> None:
        if self._worker_id is not None and not self._stop.has_begun:
            self._nursery.fork_due(self._worker_id, rationed=self._ration.is_limited)

    def _begin_anew(self) -> None:
        """The leader has declared this worker dead and settled its jobs: none may go on."""
        if self._worker_id is None:
            return  # heard already, not yet registered anew
        logger.error("This worker was declared dead: its runners are killed, it registers anew")
        for slot in self._nursery.everyone:
            slot.clear_all()
            slot.hang_up()
            slot.kill()
        self._worker_id = None
        self._keeper.post(self._keeper.reregister)

    def _lose_mother(self) -> None:
        """The mother is gone, and her runners with her: settle their jobs, then start again."""
        logger.error("The mother process died, and her runners with her")
        for slot in self._slots:
            slot.kill()  # what its job has started
            self._hear_last_words(slot)
            if slot.announced:
                self._post_death(slot, code=None, peak_memory=None)
        self._is_orphaned = True
        self._code = 0

    # --- Stopping ---

    def _consider_stop(self) -> None:
        reason = "asked to stop" if self._stop.is_asked else ""
        if self._worker_id is not None:
            reason = reason or self._own_end.reason()
        if reason and not self._stop.has_begun:
            self._stop.begin(reason)
            self._duties.empty()  # they end with their channel, and let go of the lease
        self._stop.proceed()
        if self._stop.has_ended and self._code is None:
            self._code = 0

    def _leave(self) -> int:
        self._ears.close()
        if self._keeper.is_alive():
            self._keeper.close()
            self._keeper.join(SIGN_OFF_SECONDS)
        self._mother.close()
        self._inbox.close()
        if not self._code:
            logger.info("Worker %s has stopped", self.identity.name)
        return self._code or 0

    def _report(self) -> None:
        """Let the keeper know what the runners do; it asks every few seconds."""
        if time.monotonic() < self._report_at:
            return
        self._report_at = time.monotonic() + REPORT_SECONDS
        self._keeper.runners = [slot.describe() for slot in self._slots]
        self._keeper.running = {one for slot in self._slots for one in slot.running_claims()}
        self._keeper.announced = self._nursery.announced()
