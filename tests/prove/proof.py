"""All breaks: first their tests without any, then each with its own, several side by side."""

from __future__ import annotations

import queue
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from tests.prove import copies, trial
from tests.prove.breaks import Break

Environment = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one break."""

    proven: Break
    why_not: str  # empty: its test turned red for the right reason
    seconds: float
    output: str = ""


@dataclass(slots=True, kw_only=True)
class Proof:
    """One run over some breaks of the tree at `root`."""

    root: Path
    lanes: Sequence[Environment]  # one for each run at a time: servers that no other run uses
    tell: Callable[[Verdict], None]
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="prove-")))
    stop: threading.Event = field(default_factory=threading.Event)  # set: kill what runs
    _free: queue.SimpleQueue[Environment] = field(default_factory=queue.SimpleQueue)

    def run(self, breaks: Sequence[Break], *, unbroken_first: bool = True) -> list[Verdict]:
        """Try each; tell each verdict as it comes, and return them all.

        A test that isn't green without its break, with these same short waits beside as many
        others, proves nothing.
        """
        for environment in self.lanes:
            self._free.put(environment)
        base = self.folder / "unbroken"
        base.mkdir()
        try:
            copies.copy_of_tree(self.root, base)
            with ThreadPoolExecutor(len(self.lanes)) as pool:
                try:
                    return self._verdicts(pool, base, breaks, unbroken_first=unbroken_first)
                except BaseException:
                    self.stop.set()  # what runs is killed, with the workers that it started
                    pool.shutdown(cancel_futures=True)
                    raise
        finally:
            shutil.rmtree(self.folder)

    def _verdicts(
        self, pool: ThreadPoolExecutor, base: Path, breaks: Sequence[Break], *, unbroken_first: bool
    ) -> list[Verdict]:
        tests = [a_break.test for a_break in breaks]
        green = self._green(pool, base, tests) if unbroken_first else set(tests)
        waiting = [pool.submit(self._try, base, one, one.test in green) for one in breaks]
        verdicts = []
        for done in as_completed(waiting):
            verdicts.append(done.result())
            self.tell(verdicts[-1])
        return verdicts

    def _green(self, pool: ThreadPoolExecutor, base: Path, tests: Sequence[str]) -> set[str]:
        files = groupby(sorted(set(tests)), key=lambda test: test.partition("::")[0])
        waiting = [pool.submit(self._unbroken, base, list(group)) for _, group in files]
        green = {test for done in as_completed(waiting) for test in done.result()}
        # Once more, each alone: on a machine that has much to do a short wait may be too short.
        waiting = [pool.submit(self._unbroken, base, [one]) for one in set(tests) - green]
        return green.union(*(done.result() for done in waiting))

    def _unbroken(self, base: Path, tests: list[str]) -> list[str]:
        environment = self._free.get()
        try:
            tree = Path(tempfile.mkdtemp(dir=self.folder)) / "tree"
            shutil.copytree(base, tree)
            ran = trial.run(tests, tree, environment, stop=self.stop)
        finally:
            self._free.put(environment)
        green = [test for test in tests if trial.is_green(test, ran)]
        for test in set(tests) - set(green):
            sys.stdout.write(f"{ran.output}\nNot green without any break: {test}\n")
        return green

    def _try(self, base: Path, a_break: Break, is_green: bool) -> Verdict:  # noqa: FBT001
        if not is_green:
            return Verdict(proven=a_break, why_not="it isn't green without the break", seconds=0.0)
        environment = self._free.get()
        tree = self.folder / a_break.name / "tree"
        try:
            copies.broken_copy(base, tree, a_break.path)
            ran = trial.run([a_break.test], tree, environment, stop=self.stop)
        except copies.DoesNotApply as error:
            why = f"the patch doesn't apply: {error}"
            return Verdict(proven=a_break, why_not=why, seconds=0.0)
        finally:
            self._free.put(environment)
            shutil.rmtree(tree, ignore_errors=True)
        why_not = trial.why_not_red(a_break, ran)
        return Verdict(proven=a_break, why_not=why_not, seconds=ran.seconds, output=ran.output)
