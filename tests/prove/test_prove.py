"""The tool itself, on a project of three lines: it must not be content with just any red."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests import wait
from tests.prove import breaks, trial
from tests.prove.breaks import BadBreak
from tests.prove.proof import Proof, Verdict

CODE = "def double(number):\n    return number * 2\n"
TESTS = """
import doubling

def test_two():
    assert doubling.double(2) == 4, "two is wrong"

def test_nothing():
    assert True

def test_always_red():
    assert False, "two is wrong"
"""
DIFF = """diff --git a/doubling.py b/doubling.py
--- a/doubling.py
+++ b/doubling.py
@@ -1,2 +1,2 @@
 def double(number):
-    return number * {times}
+    return number * 3
"""


class Project(NamedTuple):
    root: Path
    patches: Path

    def write(
        self, test: str = "test_two", fails_with: str = "two is wrong", diff: str = DIFF
    ) -> None:
        (self.patches / "break.patch").write_text(
            f"Proves: test_doubling.py::{test}\nFails with: {fails_with}\n"
            f"Doubling is\noff.\n{diff.format(times=2) if diff is DIFF else diff}"
        )

    def prove(self, *, unbroken_first: bool = False) -> Verdict:
        told: list[Verdict] = []
        proof = Proof(root=self.root, lanes=[{}], tell=told.append)
        (verdict,) = proof.run(breaks.read_all(self.patches), unbroken_first=unbroken_first)
        assert told == [verdict]
        assert not proof.folder.exists()
        assert (self.root / "doubling.py").read_text() == CODE
        return verdict


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root, patches = tmp_path / "project", tmp_path / "patches"
    root.mkdir()
    patches.mkdir()
    (root / "doubling.py").write_text(CODE)
    (root / "test_doubling.py").write_text(TESTS)
    (root / "pytest.ini").write_text("[pytest]\naddopts = -p no:django\n")
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)  # noqa: S607
    return Project(root, patches)


def test_a_test_that_its_break_turns_red_is_proven(project: Project) -> None:
    project.write()

    verdict = project.prove(unbroken_first=True)

    assert verdict.why_not == ""
    assert verdict.proven.what == "Doubling is off."


def test_a_test_that_stays_green_is_told(project: Project) -> None:
    project.write(test="test_nothing")

    assert project.prove().why_not == "it passes"


def test_a_red_for_another_reason_is_told(project: Project) -> None:
    project.write(fails_with="three is wrong")

    assert "another reason" in project.prove().why_not


def test_a_patch_that_fits_nothing_is_told(project: Project) -> None:
    project.write(diff=DIFF.format(times=7))

    assert "doesn't apply" in project.prove().why_not


def test_a_test_that_is_red_anyway_proves_nothing(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write(test="test_always_red")

    assert "isn't green without" in project.prove(unbroken_first=True).why_not
    assert "test_always_red" in capsys.readouterr().out


def test_the_text_in_a_line_of_source_is_no_reason(project: Project) -> None:
    named = "+    return two is wrong"  # a NameError
    project.write(diff=DIFF.format(times=2).replace("+    return number * 3", named))

    assert "another reason" in project.prove().why_not


def test_an_error_at_import_is_no_red(project: Project) -> None:
    project.write(diff=DIFF.format(times=2).replace("+    return number * 3", "+    return ("))

    assert "exit code 4" in project.prove().why_not


def test_an_error_before_the_test_is_no_red(project: Project) -> None:
    fixture = "import pytest, doubling\n@pytest.fixture(autouse=True)\ndef two():\n"
    fixture += "    assert doubling.double(1) == 2, 'two is wrong'\n"
    (project.root / "conftest.py").write_text(fixture)
    project.write()

    assert "an error kept it" in project.prove().why_not


def test_a_test_that_is_not_there_is_no_red(project: Project) -> None:
    project.write(test="test_three")

    assert "exit code 4" in project.prove().why_not


def test_a_test_that_hangs_is_ended_and_no_red(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "HUNG_SECONDS", 3.0)
    hanging = "+    while True: print('two is wrong', flush=True)"
    project.write(diff=DIFF.format(times=2).replace("+    return number * 3", hanging))

    assert "hung" in project.prove().why_not


def test_an_interrupted_run_leaves_no_process_and_no_folder(project: Project) -> None:
    sleeping = "+    import subprocess; subprocess.run(['sleep', '987'])"
    project.write(diff=DIFF.format(times=2).replace("+    return number * 3", sleeping))
    proof = Proof(root=project.root, lanes=[{}], tell=print)

    def interrupt() -> None:
        wait.until("the test runs", lambda: any("987" in line for line in command_lines()))
        proof.stop.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    (verdict,) = proof.run(breaks.read_all(project.patches), unbroken_first=False)
    thread.join()

    assert verdict.why_not
    assert not any("987" in line for line in command_lines())
    assert not proof.folder.exists()


def command_lines() -> list[list[str]]:
    lines = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended; a zombie is one too
            lines.append(process.cmdline())
    return lines


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Fails with: x\nWhat.\n" + DIFF, "beginning"),
        ("Proves: test_a.py::test_b\nWhat.\n" + DIFF, "beginning"),
        ("Proves: test_a.py::test_b\nFails with: x\n" + DIFF, "beginning"),
        ("Proves: test_a.py\nFails with: x\nWhat.\n" + DIFF, "beginning"),
        ("Proves: test_a.py::test_b\nFails with: x\nWhat.\n", "no file"),
        (
            "Proves: test_a.py::test_b\nFails with: x\nWhat.\n"
            + DIFF.replace("doubling.py", "tests/wait.py"),
            "or a test",
        ),
        ("Proves: test_a.py::test_b\nFails with: x\nWhat.\n" + DIFF + "+more\n" * 10, "11 lines"),
    ],
)
def test_what_is_no_break_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "bad.patch"
    path.write_text(text)

    with pytest.raises(BadBreak, match=fault):
        breaks.read(path)
