from __future__ import annotations

import pytest

from jobs.insights import how_far


@pytest.mark.parametrize(
    ("done", "total", "message", "line"),
    [
        (1_200, 28_000, "loading", "1,200 of 28,000 - loading"),
        (1_200, None, "loading", "1,200 - loading"),
        (1_200, 28_000, "", "1,200 of 28,000"),
        (1_200, None, None, "1,200"),
        (2_613, None, "2,613 in, 0 out, 0 rejected", "2,613 in, 0 out, 0 rejected"),
        (2, None, "2,613 in, 0 out, 0 rejected", "2 - 2,613 in, 0 out, 0 rejected"),
    ],
)
def test_number_and_words_are_told_apart_and_no_number_twice(done, total, message, line):
    assert how_far.said({"done": done, "total": total, "message": message}) == line


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_job_that_says_nothing_has_no_line(nothing):
    assert how_far.said(nothing) == ""
