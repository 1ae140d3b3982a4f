"""Every promise's test is known to fail: tests/promises/breaks has a patch for it (make prove)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from tests.prove import breaks, copies
from tests.prove.breaks import Break

ROOT = Path(settings.BASE_DIR)
BREAKS = breaks.read_all(ROOT / breaks.FOLDER)
PROMISES = range(1, 9)
PROVEN_FILES = {Path(one.test_file).name for one in BREAKS}


@pytest.mark.parametrize("a_break", BREAKS, ids=lambda one: one.name)
def test_a_break_fits_the_code_and_names_a_test(a_break: Break) -> None:
    copies.apply(a_break.path, ROOT, "--check")

    name = re.sub(r"\[.*", "", a_break.test.split("::")[-1])
    assert f"def {name}(" in (ROOT / a_break.test_file).read_text()


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests/promises").glob("test_*.py")), ids=lambda path: path.name
)
def test_a_promises_test_is_known_to_fail(path: Path) -> None:
    assert path.name in PROVEN_FILES, f"no patch in {breaks.FOLDER} breaks what {path.name} tests"


@pytest.mark.parametrize("number", PROMISES)
def test_each_promise_names_a_test_that_is_known_to_fail(number: int) -> None:
    # | 1 | A job dispatched ... | `test_rolled_back_jobs_never_run.py`, ... |
    row = re.search(rf"^\| {number} \|.*$", (ROOT / "docs/guarantees.md").read_text(), re.MULTILINE)

    assert row is not None
    assert PROVEN_FILES & set(re.findall(r"test_\w+\.py", row[0]))
