"""How each fault of the plan is done to the stage, and how it is undone."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import psutil
import psycopg2
from redis import Redis, RedisError

from tests.chaos.evidence import Struck
from tests.chaos.plan import Fault, Kind
from tests.chaos.programs import Program, send
from tests.chaos.stage import Stage

T = TypeVar("T")

_LOOK_SECONDS = 2


@dataclass(slots=True)
class Faults:
    """Does them; remembers what was struck, and when."""

    stage: Stage
    struck: list[Struck] = field(default_factory=list)
    _runner_pids: set[int] = field(default_factory=set)

    def strike(self, fault: Fault) -> Struck:
        """Do one fault; return what it hit."""
        begun_at = time.time()
        hit = self._deeds()[fault.kind](fault)
        struck = Struck(
            kind=fault.kind,
            hit=hit,
            begun_at=begun_at,
            ended_at=time.time() + fault.lasts_seconds,
        )
        self.struck.append(struck)
        return struck

    def _deeds(self) -> dict[Kind, Callable[[Fault], str]]:
        return {
            Kind.KILL_RUNNER: self._kill_runner,
            Kind.KILL_SUPERVISOR: self._kill_supervisor,
            Kind.KILL_MOTHER: self._kill_mother,
            Kind.KILL_DUTIES: self._kill_duties,
            Kind.KILL_WORKER: self._kill_worker,
            Kind.KILL_SCHEDULER: self._kill_scheduler,
            Kind.TERMINATE_WORKER: self._terminate_worker,
            Kind.TERMINATE_TWICE: self._terminate_twice,
            Kind.TERMINATE_TREE: self._terminate_tree,
            Kind.PAUSE_RUNNER: self._pause_runner,
            Kind.PAUSE_SUPERVISOR: self._pause_supervisor,
            Kind.PAUSE_WORKER: self._pause_worker,
            Kind.PAUSE_WORKER_LONG: self._pause_worker,
            Kind.PAUSE_SCHEDULER: self._pause_scheduler,
            Kind.FLUSH_REDIS: self._flush_redis,
            Kind.KILL_REDIS: self._kill_redis,
            Kind.STOP_REDIS: self._stop_redis,
            Kind.PAUSE_REDIS: self._pause_redis,
            Kind.CUT_REDIS: self._cut_redis,
            Kind.RESTART_POSTGRES: partial(self._stop_postgres, immediate=False),
            Kind.CRASH_POSTGRES: partial(self._stop_postgres, immediate=True),
            Kind.PAUSE_POSTGRES: self._pause_postgres,
            Kind.CUT_POSTGRES: self._cut_postgres,
            Kind.BOTH_DOWN: self._both_down,
        }

    # --- Workers ---

    def _worker(self, fault: Fault) -> Program:
        return _pick(self.stage.workers, fault.target) or self.stage.workers[0]

    def _runners(self, worker: Program) -> list[psutil.Process]:
        """The runners by the worker's row; while nobody answers, what was last known of them."""
        try:
            rows = self.stage.postgres.query(
                "SELECT runners::text FROM job_workers WHERE stopped_at IS NULL "
                "AND dead_at IS NULL ORDER BY started_at DESC LIMIT 4"
            )
            self._runner_pids |= {
                item["pid"] for (text,) in rows for item in json.loads(str(text)) if item["pid"]
            }
        except psycopg2.Error:
            pass
        return [one for one in worker.brood() if one.pid in self._runner_pids]

    def _runner(self, fault: Fault) -> psutil.Process | None:
        return _pick(self._runners(self._worker(fault)), fault.second)

    def _kill_runner(self, fault: Fault) -> str:
        return _kill(self._runner(fault))

    def _kill_supervisor(self, fault: Fault) -> str:
        worker = self._worker(fault)
        worker.is_condemned = True
        return f"{worker.name} {_kill(next(iter(worker.tree()), None))}"

    def _kill_mother(self, fault: Fault) -> str:
        worker = self._worker(fault)
        return f"{worker.name} {_kill(worker.mother())}"

    def _kill_duties(self, fault: Fault) -> str:
        worker = self._worker(fault)
        runners = self._runners(worker)
        others = [one for one in worker.brood() if one not in runners]
        # More than one: a runner is so young that no row names it yet.
        return f"{worker.name} {_kill(*others if len(others) == 1 else ())}"

    def _kill_worker(self, fault: Fault) -> str:
        worker = self._worker(fault)
        worker.is_condemned = True
        return f"{worker.name} {_kill(*worker.tree())}"

    def _terminate_worker(self, fault: Fault) -> str:
        worker = self._worker(fault)
        self.stage.terminate(worker)
        return worker.name

    def _terminate_twice(self, fault: Fault) -> str:
        worker = self._worker(fault)
        self.stage.terminate(worker)
        first = worker.process

        def again() -> None:
            if worker.process is first:
                self.stage.terminate(worker)

        self.stage.later(fault.lasts_seconds, again)
        return worker.name

    def _terminate_tree(self, fault: Fault) -> str:
        worker = self._worker(fault)
        worker.is_told = True
        for one in worker.tree():
            send(one, signal.SIGTERM)
        return worker.name

    def _pause(self, fault: Fault, processes: Iterable[psutil.Process]) -> str:
        paused = [one for one in processes if send(one, signal.SIGSTOP)]

        def resume() -> None:
            for one in paused:
                send(one, signal.SIGCONT)

        self.stage.later(fault.lasts_seconds, resume)
        pids = ", ".join(str(one.pid) for one in paused)
        return f"pid {pids or 'of nobody'} for {fault.lasts_seconds:.1f} s"

    def _pause_runner(self, fault: Fault) -> str:
        return self._pause(fault, filter(None, [self._runner(fault)]))

    def _pause_supervisor(self, fault: Fault) -> str:
        worker = self._worker(fault)
        return f"{worker.name} {self._pause(fault, worker.tree()[:1])}"

    def _pause_worker(self, fault: Fault) -> str:
        worker = self._worker(fault)
        return f"{worker.name} {self._pause(fault, worker.tree())}"

    # --- Schedulers ---

    def _scheduler(self, fault: Fault) -> Program:
        running = [one for one in self.stage.schedulers if one.is_running]
        return _pick(running, fault.target) or self.stage.schedulers[0]

    def _kill_scheduler(self, fault: Fault) -> str:
        scheduler = self._scheduler(fault)
        scheduler.is_condemned = True
        return f"{scheduler.name} {_kill(*scheduler.tree())}"

    def _pause_scheduler(self, fault: Fault) -> str:
        scheduler = self._scheduler(fault)
        return f"{scheduler.name} {self._pause(fault, scheduler.tree())}"

    # --- Redis ---

    def _flush_redis(self, fault: Fault) -> str:
        return self._tell_redis("FLUSHALL")

    def _cut_redis(self, fault: Fault) -> str:
        killed = self._tell_redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        listening = self._tell_redis("CLIENT", "KILL", "TYPE", "pubsub")
        return f"connections cut: {killed} plain, {listening} listening"

    def _tell_redis(self, *command: str) -> str:
        try:
            with Redis.from_url(self.stage.redis.url, socket_timeout=_LOOK_SECONDS) as client:
                return str(client.execute_command(*command))
        except RedisError as error:
            return f"nobody ({type(error).__name__})"

    def _kill_redis(self, fault: Fault) -> str:
        self.stage.redis.kill()
        self.stage.later(fault.lasts_seconds, self._redis_back)
        return f"for {fault.lasts_seconds:.1f} s"

    def _stop_redis(self, fault: Fault) -> str:
        self.stage.redis.stop()
        self.stage.later(fault.lasts_seconds, self._redis_back)
        return f"for {fault.lasts_seconds:.1f} s"

    def _redis_back(self) -> None:
        if self.stage.redis.process is None:
            self.stage.redis.start()

    def _pause_redis(self, fault: Fault) -> str:
        if self.stage.redis.process is None:
            return "nobody: it is down"
        return self._pause(fault, [psutil.Process(self.stage.redis.process.pid)])

    # --- PostgreSQL ---

    def _postgres_tree(self) -> list[psutil.Process]:
        process = self.stage.postgres.process
        if process is None:
            return []
        top = psutil.Process(process.pid)
        return [top, *top.children(recursive=True)]

    def _stop_postgres(self, fault: Fault, *, immediate: bool) -> str:
        # One that hangs would not stop either.
        for one in self._postgres_tree():
            send(one, signal.SIGCONT)
        self.stage.postgres.stop(immediate=immediate)
        self.stage.later(fault.lasts_seconds, self._postgres_back)
        return f"for {fault.lasts_seconds:.1f} s"

    def _postgres_back(self) -> None:
        if self.stage.postgres.process is None:
            self.stage.postgres.start()

    def _pause_postgres(self, fault: Fault) -> str:
        return self._pause(fault, self._postgres_tree())

    def _cut_postgres(self, fault: Fault) -> str:
        try:
            return f"{self.stage.postgres.cut_connections()} connections"
        except psycopg2.Error:
            return "nobody: it is down"

    def _both_down(self, fault: Fault) -> str:
        # The other one comes back sooner, or later.
        self._stop_postgres(fault, immediate=fault.target < 0.5)
        self.stage.redis.kill()
        redis_seconds = fault.lasts_seconds * 2 * fault.second
        self.stage.later(redis_seconds, self._redis_back)
        return f"for {fault.lasts_seconds:.1f} s, Redis for {redis_seconds:.1f} s"


def _pick(things: Sequence[T], draw: float) -> T | None:
    return things[int(draw * len(things))] if things else None


def _kill(*processes: psutil.Process | None) -> str:
    killed = [one for one in processes if one is not None and send(one, signal.SIGKILL)]
    return "pid " + (", ".join(str(one.pid) for one in killed) or "of nobody")
