"""The house's own rules, read from its code: what no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
CODE = sorted(path for path in (ROOT / "jobs").rglob("*.py") if "migrations" not in path.parts)
# The raw statements that stand beside `move`, and move itself.
STATUS_WRITERS = {
    "jobs/models/job_status.py",
    "jobs/dispatch/insert.py",
    "jobs/lifecycle/single.py",
    "jobs/lifecycle/start.py",
    "jobs/dispatch/advance.py",
    "jobs/lifecycle/settle.py",
    "jobs/workflows/revive.py",
    "jobs/maintenance/queued.py",
}
# The loops that must outlive one bad item, and where an author's own code is asked.
BROAD_CATCHERS = {
    "jobs/runner/run.py",
    "jobs/runner/lane/async_attempt.py",
    "jobs/processes/mother.py",
    "jobs/lifecycle/verdict.py",
    "jobs/maintenance/duties.py",
    "jobs/schedules/entries.py",
    "jobs/schedules/rounds.py",
    "jobs/schedules/scheduler.py",
    "jobs/schedules/tick.py",
    "jobs/schedules/ticking.py",
    "jobs/schedules/fitting.py",
}
# Words that elsewhere mean what the house has a word for: dispatch, relay, worker, give back ...
SECOND_WORDS = {
    "abort", "ack", "blocked", "consumer", "dag", "dedupe", "defer", "enqueue", "expiry",
    "forwarder", "horse", "mask", "nack", "permit", "poller", "postpone", "priority", "purge",
    "rerun", "revoke", "semaphore", "submit", "topic", "visibility", "zombie",
}  # fmt: skip
# Where a host's clock is read, and why none of it is ever compared with the database's.
HOST_CLOCK_READERS = {
    "jobs/broker/registries.py",  # what rq's dashboard shows, and rq's own expiry of it
    "jobs/dispatch/create.py",  # bounds a run_at at ten years
    "jobs/runner/context.py",  # shown beside a progress
    "jobs/worker/keeper.py",  # what rq's dashboard shows of a worker
    "jobs/worker/slot.py",  # shown beside a runner
    "jobs/worker/aboard.py",  # likewise
}
# rq-scheduler's methods, which ours must refuse under their own names, and an executor's.
NOT_OURS = {"enqueue_at", "enqueue_in", "submit"}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_every_public_name_is_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert path.name == "__init__.py" or ast.get_docstring(tree)

    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def writes_status(text: str) -> bool:
    raw = re.findall(r"UPDATE job_statuses\b.*?\bSET\b(.*?)\b(?:FROM|WHERE)\b", text, re.DOTALL)
    by_orm = [
        keyword.arg
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".update")
        for keyword in node.keywords
    ]
    return (
        any(re.search(r"\bstatus\s*=", part) for part in raw)
        or "status" in by_orm
        or re.search(r"\bjob\.status\s=\s", text) is not None
    )


def test_status_is_written_only_beside_move() -> None:
    found = {name(path) for path in CODE if writes_status(path.read_text())}

    assert found == STATUS_WRITERS - {"jobs/dispatch/insert.py"}


def test_a_hosts_clock_is_read_only_where_nothing_is_decided_by_it() -> None:
    reads = re.compile(
        r"\b(datetime\.(now|utcnow|today)|date\.today|time\.time(_ns)?|timezone\.now)\("
    )

    found = {name(path) for path in CODE if reads.search(path.read_text())}

    assert {one for one in found if not one.startswith("jobs/dev/")} == HOST_CLOCK_READERS


@pytest.mark.parametrize("path", CODE, ids=name)
def test_the_databases_clock_is_asked_when_a_statement_is_made(path: Path) -> None:
    # Not when its module is imported: the tests' clock takes its place (tests/clock.py).
    everything = list(nodes(path))
    within = {
        id(inner)
        for node in everything
        if isinstance(node, ast.FunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    names = [
        node
        for node in everything
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"clock.NOW", "clock.WALL"}
    ]

    assert [node.lineno for node in names if id(node) not in within] == []


def test_jobs_are_inserted_only_in_dispatch() -> None:
    inserts = re.compile(r"INSERT INTO job_statuses|JobStatus\.objects\.(bulk_)?create|JobStatus\(")

    found = [name(path) for path in CODE if inserts.search(path.read_text())]

    assert [one for one in found if not one.startswith("jobs/dispatch/")] == [
        # `class JobStatus(models.Model)` itself.
        "jobs/models/job_status.py"
    ]


def test_broad_excepts_stand_only_where_a_loop_must_outlive_one_bad_item() -> None:
    found = set()
    for path in CODE:
        for node in nodes(path):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                if caught in {"Exception", "BaseException", "everything"}:
                    found.add(name(path))

    assert found <= BROAD_CATCHERS


def test_nothing_is_imported_inside_a_function() -> None:
    found = [
        f"{name(path)}:{inner.lineno}"
        for path in CODE
        if path.name != "apps.py"
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]

    assert found == []


def names_made_in(path: Path) -> Iterator[str]:
    for node in nodes(path):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr


def test_no_name_is_a_second_word_for_a_thing() -> None:
    found = {
        f"{name(path)}: {made}"
        for path in CODE
        for made in set(names_made_in(path)) - NOT_OURS
        if SECOND_WORDS & {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", made)}
    }

    assert found == set()


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "helpers", "common", "services", "managers", "misc"}

    assert [name(path) for path in CODE if path.stem in drawers] == []


def test_nothing_pickles() -> None:
    assert [
        name(path)
        for path in CODE
        for node in nodes(path)
        if isinstance(node, ast.Import | ast.ImportFrom) and "pickle" in ast.unparse(node)
    ] == []


def test_no_file_has_two_ideas() -> None:
    # 250 lines are where one looks for a second idea; past 320 nobody needs to look.
    long = {name(path): len(path.read_text().splitlines()) for path in CODE}

    assert {one: lines for one, lines in long.items() if lines > 320} == {}


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout
