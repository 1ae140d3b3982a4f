"""The benchmarks run, each figure with tiny numbers: what they find means nothing here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from benchmarks import claims
from benchmarks.rounds import Row, in_turns, rows

# `load` and `burn` are `idle` and `drain` with other numbers.
FIGURES = ("dispatch", "drain", "idle", "waiting", "memory", "costs", "backlog")


@pytest.mark.process
def test_every_figure_is_measured(tmp_path: Path) -> None:
    found = tmp_path / "found.json"

    done = subprocess.run(
        [
            *(sys.executable, "manage.py", "devstack", "--folder", str(tmp_path / "var")),
            *("exec", "--", "python", "-m", "benchmarks", *FIGURES),
            *("--tiny", "--json", str(found)),
        ],
        # On servers of its own: it makes databases, and counts what the servers do.
        env={k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is judged" in done.stdout
    assert "MISSED" not in done.stdout
    measured = json.loads(found.read_text())
    assert {row["figure"].split(",")[0] for row in measured["rows"]} == set(FIGURES)
    # CPU time is counted in hundredths of a second: so few jobs may cost none.
    timed = [row for row in measured["rows"] if "CPU" not in row["what"]]
    assert all(value > 0 for row in timed for value in row["values"])
    claimed = {claim.key for claim in claims.CLAIMS if claim.key[0] in FIGURES}
    assert claimed <= {(row["figure"], row["what"], row["subject"]) for row in measured["rows"]}


def test_turns_alternate_and_ratios_are_taken_round_by_round() -> None:
    taken: list[str] = []
    given = {"naive": iter([1.0, 2.0]), "ours": iter([2.0, 8.0])}

    def turn(name: str) -> float:
        taken.append(name)
        return next(given[name])

    values = in_turns("x", {name: lambda name=name: turn(name) for name in given}, 2)

    assert taken == ["naive", "ours", "ours", "naive"]
    assert [row.ratios for row in rows("f", "w", "u", values)] == [[], [2.0, 4.0]]


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [([19.0, 19.9, 90.0], "MISSED"), ([20.0], "at least"), ([36.0, 37.0, 38.0], "aim")],
)
def test_a_claim_is_judged_by_the_median_of_its_ratios(ratios: list[float], verdict: str) -> None:
    row = Row("drain", "no-op", "ours", "jobs/s", [1.0], ratios)

    [judged] = claims.judge([row])

    assert judged.verdict == verdict


def test_where_less_is_better_more_is_missed() -> None:
    row = Row("memory", "PSS", "ours", "MiB", [1.0], [1.21])

    assert [each.verdict for each in claims.judge([row])] == ["MISSED"]
