"""What every statement and every list costs on millions of rows, beside the same on a small table.

Two databases on one server: one has `--finished` ended and `--queued` queued jobs, one so few that
the longest page is full.
Each question is asked of them in turns; the figures are the least milliseconds and the pages that
its reads touched. What grows with the table stands out by its ratio.

On servers of its own, about ten minutes at first, then the rows are still there:

    manage.py devstack exec --folder var/backlog -- python benchmarks/backlog.py

Ends with 1 where a question takes more than `--worst` milliseconds longer on the full table.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ.setdefault("LOG_LEVEL", "ERROR")
sys.path.insert(0, ".")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks import backlog_questions, backlog_rows  # noqa: E402

FULL, SMALL = "backlog_full", "backlog_small"
FEW = {"finished": 20_000, "queued": 12_000}
SLOW_MS = 2_000.0  # a question that takes longer is asked once only


@dataclass(slots=True, kw_only=True)
class Answer:
    """What one question cost on one database."""

    milliseconds: list[float] = field(default_factory=list)
    pages: int = 0

    @property
    def least(self) -> float:
        """What it takes where nothing comes between, in milliseconds."""
        return min(self.milliseconds)


@contextmanager
def at(name: str) -> Iterator[None]:
    """Use the database `name`."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def ask(question: Callable[[], object], answer: Answer) -> None:
    """Ask `question` once, after once for the caches, unless that took long enough; note it."""
    for _ in range(2):
        begun = time.perf_counter()
        question()
        answer.milliseconds.append((time.perf_counter() - begun) * 1_000)
        if answer.milliseconds[-1] > SLOW_MS:
            return


def pages(question: Callable[[], object]) -> int:
    """Return how many pages the reads of `question` touch."""
    asked: list[tuple[str, object]] = []

    def note(execute, sql, params, many, context):  # noqa: ANN001, ANN202
        asked.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        question()
    return sum(touched(sql, params) for sql, params in asked if is_read(sql))


def is_read(sql: str) -> bool:
    words = sql.upper()
    return words.lstrip().startswith(("SELECT", "WITH")) and not any(
        verb in words for verb in ("INSERT INTO", "UPDATE ", "DELETE FROM")
    )


def touched(sql: str, params: object) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
        (found,) = cursor.fetchone()
    plan = found[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def prepare(options: argparse.Namespace) -> None:
    """Make the two databases, where they are not there."""
    for name, finished, queued in (
        (SMALL, FEW["finished"], FEW["queued"]),
        (FULL, options.finished, options.queued),
    ):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {name}")
        with at(name):
            call_command("migrate", verbosity=0)
            backlog_rows.fill(finished=finished, queued=queued)
            backlog_rows.come_to_rest()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--finished", type=int, default=5_000_000)
    parser.add_argument("--queued", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="questions whose name contains this")
    parser.add_argument("--worst", type=float, default=100.0, help="milliseconds")
    options = parser.parse_args()
    prepare(options)
    worst = 0.0
    print(f"{'':44}{'small ms':>10}{'full ms':>10}{'ratio':>8}{'pages':>8}{'pages':>8}")
    for name, question in backlog_questions.QUESTIONS.items():
        if options.only not in name:
            continue
        answers = {SMALL: Answer(), FULL: Answer()}
        for number in range(options.rounds):
            for database, answer in answers.items():
                with at(database):
                    backlog_questions.prepare()
                    ask(question, answer)
                    if number == 0 and answer.least < SLOW_MS:
                        answer.pages = pages(question)
        small, full = answers[SMALL], answers[FULL]
        worst = max(worst, full.least - small.least)
        print(
            f"{name:44}{small.least:10.2f}{full.least:10.2f}{full.least / small.least:8.2f}"
            f"{small.pages:8}{full.pages:8}",
            flush=True,
        )
    print(f"The most that any takes longer: {worst:.1f} ms")
    return int(worst > options.worst)


if __name__ == "__main__":
    sys.exit(main())
