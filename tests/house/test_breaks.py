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
PROMISES = range(1, 10)
PROMISE_FILES = sorted((ROOT / "tests/promises").glob("test_*.py"))
PROVEN_FILES = {Path(one.test_file).name for one in BREAKS}


@pytest.mark.parametrize("a_break", BREAKS, ids=lambda one: one.name)
def test_a_break_fits_the_code_and_names_a_test(a_break: Break) -> None:
    copies.apply(a_break.path, ROOT, "--check")

    name = re.sub(r"\[.*", "", a_break.test.split("::")[-1])
    assert f"def {name}(" in (ROOT / a_break.test_file).read_text()


@pytest.mark.parametrize("path", PROMISE_FILES, ids=lambda path: path.name)
def test_a_promises_test_is_known_to_fail(path: Path) -> None:
    assert path.name in PROVEN_FILES, f"no patch in {breaks.FOLDER} breaks what {path.name} tests"


@pytest.mark.parametrize("number", PROMISES)
def test_each_promise_names_a_test_that_is_known_to_fail(number: int) -> None:
    page = (ROOT / "docs/guarantees.md").read_text()
    section = re.search(rf"^## {number}\. .*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)

    assert section is not None
    tests = re.findall(r"test_\w+\.py", section[0])
    assert PROVEN_FILES & set(tests)
    assert all(list((ROOT / "tests").glob(f"**/{name}")) for name in tests)


def test_the_guarantees_name_every_test_of_a_promise() -> None:
    page = (ROOT / "docs/guarantees.md").read_text()

    unnamed = [path for path in PROMISE_FILES if path.name not in page]

    assert unnamed == []
