from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.admin import render

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 ms"),
        (0.042, "42 ms"),
        (3.24, "3.2 s"),
        (42, "42 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7_260, "2 h 1 min"),
        (7_201, "2 h 1 s"),
        (187_200, "2 d 4 h"),
        (-5, "0 ms"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds, words):
    assert render.duration(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (5, "in 5 s"),
        (-65, "1 min ago"),
        (7_300, "in 2 h 1 min"),
        (10_795, "in 2 h 59 min"),
        (-200_000, "2 d ago"),
    ],
)
def test_a_moment_is_told_from_now(seconds, words):
    assert render.relative(NOW + timedelta(seconds=seconds), NOW) == words


def test_a_tree_escapes_what_it_shows():
    html = render.tree({"<b>": "<script>alert(1)</script>", "list": ["&", {"deep": None}]})

    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("text", '<span class="json-text">text</span>'),
        (1.5, '<span class="json-number">1.5</span>'),
        (True, '<span class="json-word">true</span>'),
        (None, '<span class="json-word">null</span>'),
        ([], '<span class="json-word">[]</span>'),
        ({}, '<span class="json-word">{}</span>'),
    ],
)
def test_a_leaf_is_shown_as_json_writes_it(value, shown):
    assert shown in render.tree(value)


def test_a_huge_tree_is_cut_and_says_so():
    html = render.tree([[number] for number in range(5_000)])

    assert html.count("<li>") < 2 * render.MAX_NODES
    assert "more, see the API for all of it" in html


def test_a_long_text_is_cut_and_says_so():
    html = render.tree("x" * 5_000)

    assert len(html) < 3_000
    assert "3,000 characters more" in html


def test_progress_has_a_bar_and_its_numbers():
    html = render.progress({"done": 18_400, "total": 28_312, "message": "<loading>"})

    assert '<progress class="job-progress" max="28312" value="18400">' in html
    assert "64 %" in html
    assert "18,400 of 28,312" in html
    assert "&lt;loading&gt;" in html


@pytest.mark.parametrize("total", [None, 0])
def test_progress_without_a_total_has_no_percentage(total):
    html = render.progress({"done": 7, "total": total, "message": ""})

    assert "%" not in html
    assert "7" in html


def test_a_number_that_the_message_begins_with_stands_once():
    html = render.progress({"done": 2_613, "total": None, "message": "2,613 in, 0 out"})

    assert html.count("2,613") == 1


@pytest.mark.parametrize("value", [None, {}, {"done": "many"}])
def test_no_progress_is_nothing(value):
    assert render.progress(value) == ""


@pytest.mark.parametrize(
    ("count", "words"),
    [(512, "512 B"), (64 * 1024 * 1024, "64.0 MiB"), (5 * 1024**4, "5120.0 GiB")],
)
def test_a_size_is_told_in_its_unit(count, words):
    assert render.size(count) == words


def test_an_outcome_of_two_words_is_shown_as_two():
    assert ">given back<" in render.badge("given_back")
