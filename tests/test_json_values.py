"""What jsonb can hold, and what nobody may read."""

from __future__ import annotations

import json
import traceback
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import json_values

SECRET = 'p\u00e4ss/w+rd="1"\nsecond line'  # noqa: S105 - of nobody

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(codec=None)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@pytest.mark.django_db
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_what_has_no_fault_is_held_by_jsonb(value: Any) -> None:
    if list(json_values.faults(value)):
        return

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [json_values.dump(value)])
        held = cursor.fetchone()[0]
    # Numbers may be written otherwise: 1e2 comes back as 100.
    assert json.loads(held, parse_int=float) == json.loads(json_values.dump(value), parse_int=float)


@given(values | st.dictionaries(st.integers() | st.text(), values))
def test_a_quick_look_takes_what_has_no_fault(value: Any) -> None:
    text = json_values.written(value)

    if text is not None:
        assert not list(json_values.faults(value))
        assert json.loads(text) == json.loads(json_values.dump(value))
        assert "\n" not in text
    else:
        # Only of a backslash before these letters it can't be sure.
        assert list(json_values.faults(value)) or "u0000" in json_values.dump(value)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_quick_look_knows_the_same_bounds(sign: int) -> None:
    longest, deepest = sign * (10**json_values.MAX_INTEGER_DIGITS - 1), 1
    for _ in range(json_values.MAX_DEPTH):
        deepest = [deepest]

    assert json_values.written(longest) == str(longest)
    assert json_values.written(longest + sign) is None
    assert list(json_values.faults(longest + sign))
    assert not list(json_values.faults(deepest))
    assert list(json_values.faults([deepest]))
    assert json_values.written([deepest]) is None
    assert json_values.written(deepest[0]) is not None


@pytest.mark.parametrize("value", [{"value": "\\u0000"}, {"value": HTTPStatus.OK}])
def test_what_a_quick_look_is_unsure_of_has_no_fault(value: Any) -> None:
    assert json_values.written(value) is None
    assert not list(json_values.faults(value))


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "\x00", "\ud800", {"\x00": 1}, {1: 2}, object(), b"x"]
)
def test_what_jsonb_cannot_hold_is_a_fault_that_names_its_place(value: Any) -> None:
    [fault] = json_values.faults({"rows": [0, value]})

    assert fault["param"] == "rows[1]"
    assert json_values.written({"rows": [0, value]}) is None


@given(st.text(alphabet=st.characters(codec=None)), st.integers(min_value=100, max_value=500))
def test_a_cleaned_text_is_short_and_can_be_held(text: str, limit: int) -> None:
    cleaned = json_values.cleaned(text, limit_bytes=limit)

    assert len(cleaned.encode()) <= limit
    assert not list(json_values.faults(cleaned))


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        repr({"password": SECRET}),
        json.dumps({"password": SECRET}),
        json.dumps({"password": SECRET}, ensure_ascii=False),
        f"no answer from https://example.org/?{urlencode({'password': SECRET})}",
        "".join(traceback.format_exception(ExceptionGroup("many", [ValueError(SECRET)]))),
    ],
    ids=["plain", "repr", "json", "json as utf-8", "address", "group"],
)
def test_a_secret_is_hidden_in_whatever_dress_it_comes(text: str) -> None:
    shown = json_values.scrubbed(text, json_values.secrets_in([{"deep": [SECRET]}]))

    assert json_values.REDACTED in shown
    assert not any(part in shown for part in ("w+rd", "w%2Brd", "second", "ss/w"))


def test_a_short_secret_is_hidden_only_as_a_word_of_its_own() -> None:
    assert json_values.scrubbed("1 of 21", json_values.secrets_in([1])) == "[redacted] of 21"
