from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.schedules.moments import spans


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1h 30m", timedelta(minutes=90)),
        ("15s", timedelta(seconds=15)),
        ("2d", timedelta(days=2)),
        ("2D4H", timedelta(days=2, hours=4)),
        (" 90 m ", timedelta(minutes=90)),
        ("0.5s", timedelta(milliseconds=500)),
        ("0s", timedelta(0)),
        (timedelta(minutes=5), timedelta(minutes=5)),
    ],
)
def test_a_length_of_time_is_read(text, span):
    assert spans.read(text) == span


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        "15",
        "m",
        "1m 1h",
        "1h 1h",
        "-5m",
        "1w",
        "½h",
        "٣h",
        "1.5h",
        "999999d",
        15,
        None,
        b"1h",
    ],
)
def test_what_is_none_is_refused_with_what_to_write(value):
    with pytest.raises(ValueError, match=r"write '1h 30m'|between zero"):
        spans.read(value)


@pytest.mark.parametrize("span", [timedelta(seconds=-1), timedelta(days=3_651)])
def test_what_is_below_zero_or_endless_is_refused(span):
    with pytest.raises(ValueError, match="between zero"):
        spans.read(span)


@given(st.timedeltas(timedelta(0), spans.MAX_SPAN))
def test_what_is_written_is_read_again(span):
    assert spans.read(spans.written(span)) == span


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    try:
        span = spans.read(text)
    except ValueError:
        return
    assert timedelta(0) <= span <= spans.MAX_SPAN
