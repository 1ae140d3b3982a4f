"""Declaring job classes: what is a param, what is an option, and what is refused."""

from __future__ import annotations

import asyncio
import enum
import functools
import re
from collections.abc import Callable
from dataclasses import field
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import pytest
from django.conf import settings
from pydantic import Field, Json, Secret, SecretStr

from jobs import registry
from jobs.base import RESERVED, BaseJob
from jobs.errors import DuplicateJob, Fault, InvalidDeclaration, InvalidParams, JobError
from jobs.retention import Retention
from tests import jobs


class Color(enum.Enum):
    RED = "red"


class Ancestor(BaseJob):
    abstract = True
    queue = "etl"
    max_attempts = 2

    source: str


class Descendant(Ancestor):
    """Say what it is about."""

    max_attempts = 7

    rows: int | None = None
    day: date = date(2026, 1, 1)
    color: Color = Color.RED
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    names: list[str] = field(default_factory=list)

    def _perform(self) -> str:
        return f"{self.source} {self.rows}"


class Named(BaseJob):
    job_name = "imports.nightly"

    def _perform(self) -> None:
        return None


def refusal(body: str, header: str = "class Bad(BaseJob):") -> str:
    scope = {"BaseJob": BaseJob, "timedelta": timedelta, "Ancestor": Ancestor, "jobs": jobs}
    with pytest.raises(InvalidDeclaration) as caught:
        exec(f"{header}\n    {body}\n    def _perform(self): pass", scope)  # noqa: S102
    return str(caught.value)


def test_annotations_are_params_and_plain_attributes_are_options() -> None:
    spec = registry.get("Descendant")

    assert spec.params.names == {"source", "rows", "day", "color", "share", "names"}
    assert (spec.queue, spec.max_attempts) == ("etl", 7)
    assert spec.description == "Say what it is about."


def test_params_are_coerced_and_stored_as_json() -> None:
    params = registry.get("Descendant").params.check(
        {"source": "x", "rows": "3", "day": "2026-11-24", "names": ["a"]}
    )

    assert params == {
        "source": "x",
        "rows": 3,
        "day": "2026-11-24",
        "color": "red",
        "share": 0.5,
        "names": ["a"],
    }


def test_a_row_s_params_build_the_instance_back() -> None:
    spec = registry.get("Descendant")

    built = spec.params.build(spec.params.check({"source": "x", "day": "2026-11-24"}))

    assert (built.day, built.color) == (date(2026, 11, 24), Color.RED)


class Odd(BaseJob):
    document: Json = field(default_factory=list)
    raw: bytes = b""
    call: Callable[[], None] | None = None

    def _perform(self) -> None:
        return None


def test_a_param_given_as_json_text_is_built_from_its_row_again() -> None:
    params = Odd.spec.params.check({"document": "[1, 2]"})

    assert Odd.spec.params.build(params).document == [1, 2]


@pytest.mark.parametrize("given", [{"raw": b"\xff"}, {"call": print}])
def test_a_value_that_json_has_no_words_for_is_a_fault(given: dict[str, object]) -> None:
    with pytest.raises(InvalidParams, match="can't be written as JSON"):
        Odd.spec.params.check(given)


def test_a_type_that_json_schema_has_no_words_for_leaves_a_schema_that_says_so() -> None:
    assert "no words for" in Odd.spec.params.json_schema()["description"]


def test_every_fault_is_listed_at_once() -> None:
    with pytest.raises(InvalidParams) as caught:
        registry.get("Descendant").params.check({"rows": "many", "share": 2, "typo": 1})

    faults = {fault["param"]: fault["message"] for fault in caught.value.faults}
    assert faults.keys() == {"source", "rows", "share", "typo"}
    assert faults["source"] == "is required"
    assert "its params are: color, day, names, rows, share, source" in faults["typo"]


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"])
def test_params_that_postgresql_cannot_hold_are_a_fault(value: str) -> None:
    with pytest.raises(InvalidParams):
        registry.get("Echo").params.check({"value": value})


def test_an_abstract_class_is_not_registered_and_not_dispatched() -> None:
    assert registry.find("Ancestor") is None
    with pytest.raises(JobError, match="abstract"):
        Ancestor.dispatch(source="x")


def test_job_name_overrides_the_class_name() -> None:
    assert registry.get("imports.nightly").path.endswith("Named")


@pytest.mark.parametrize("name", ["Echo", "ECHO"])
def test_two_classes_of_one_name_are_an_error_that_names_both(name: str) -> None:
    with pytest.raises(DuplicateJob) as caught:

        class Twin(BaseJob):
            job_name = name

            def _perform(self) -> None:
                return None

    assert "tests.jobs.Echo" in str(caught.value)
    assert "test_two_classes" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["queue", "job_id", "run_at", "limit", "unique", "dispatch", "log"]
)
def test_a_param_may_not_bear_a_reserved_name(name: str) -> None:
    assert name in RESERVED
    assert "can't be a param's name" in refusal(f"{name}: str = 'x'")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("rows: list = []", "default_factory"),
        ("_hidden: int = 1", "begin with an underscore"),
        ("max_attempts = 0", "max_attempts must be a whole number from 1"),
        ("timeout = 30", "timeout must be a positive timedelta"),
        ("retry_on = 'ValueError'", "retry_on must be a tuple"),
        ("tags = ('',)", "tags must be"),
        ("redact = ('password',)", "redact names 'password'"),
        ("job_name = 'with space'", "is no name for a job"),
        ("backoff = 5", "backoff must be"),
        ("retention = 7", "retention must be a positive timedelta or a Retention("),
        ("retention = timedelta(0)", "retention must be a positive timedelta"),
        ("def backoff(self, attempt, error): pass", "must be a @staticmethod"),
    ],
)
def test_a_wrong_declaration_says_what_to_do(body: str, says: str) -> None:
    assert says in refusal(body)


@pytest.mark.parametrize("kept", [7, timedelta(0), timedelta(days=-1), "7d"])
def test_a_retention_of_no_positive_length_is_refused(kept: object) -> None:
    with pytest.raises(ValueError, match="failed must be a positive timedelta"):
        Retention(failed=kept)


def test_a_retention_is_for_all_ways_to_end_or_by_status() -> None:
    week = timedelta(days=7)

    assert registry.get("KeptForAnHour").retention == Retention.of_all(timedelta(hours=1))
    assert registry.get("FailuresKept").retention == Retention(failed=timedelta.max)
    assert registry.get("Echo").retention == Retention()
    assert Retention.of_all(week) == Retention(completed=week, failed=week, cancelled=week)


def test_an_inherited_param_needs_its_annotation_again() -> None:
    assert "repeat its annotation" in refusal("source = 'y'", "class Bad(Ancestor):")


def test_a_mixin_with_annotations_is_refused() -> None:
    class Mixin:
        lost: str

    with pytest.raises(InvalidDeclaration, match="its mixin Mixin has annotations"):

        class Bad(Mixin, BaseJob):
            def _perform(self) -> None:
                return None


def test_a_class_without_perform_is_refused() -> None:
    with pytest.raises(InvalidDeclaration, match="has no _perform"):

        class Bad(BaseJob):
            pass


class Partly(BaseJob):
    async def _perform_in(self, place: str) -> str:
        return place

    _perform = functools.partialmethod(_perform_in, "here")


class Wrapped(BaseJob):
    def _perform_as_ever(self) -> None:
        return None

    @functools.wraps(_perform_as_ever)
    async def _perform(self) -> str:
        return "wrapped"


def test_a_coroutine_function_makes_a_class_async() -> None:
    assert [cls.spec.is_async for cls in (Partly, Wrapped, Named)] == [True, True, False]
    assert asyncio.run(Partly()._perform()) == "here"


def test_an_async_job_is_never_atomic() -> None:
    with pytest.raises(InvalidDeclaration, match=r"`async def _perform`.*sync_to_async"):

        class Bad(BaseJob):
            atomic = True

            async def _perform(self) -> None:
                return None


@pytest.mark.parametrize("word", ["def", "async def"])
def test_a_perform_that_yields_is_refused(word: str) -> None:
    with pytest.raises(InvalidDeclaration, match="yields, so it would never run"):
        exec(  # noqa: S102
            f"class Bad(BaseJob):\n    {word} _perform(self):\n        yield 1",
            {"BaseJob": BaseJob},
        )


def test_a_job_can_be_performed_in_a_plain_test() -> None:
    job = Descendant(source="x", rows=1)

    job.progress(1, 2, "half")
    assert job._perform() == "x 1"
    with pytest.raises(JobError, match="isn't running"):
        _ = job.job_id


def test_faults_never_repeat_a_redacted_value() -> None:
    with pytest.raises(InvalidParams) as caught:
        registry.get("Secretive").params.check(
            {"user": 5, "password": "hunter2hunter2" * 2, "x": 1}
        )

    assert "hunter2" not in str(caught.value)


def test_a_secret_that_is_given_as_it_is_shown_is_a_fault() -> None:
    params = registry.get("Secretive").params

    with pytest.raises(InvalidParams) as caught:
        params.check({"user": 5, **params.redacted({"password": "hunter22"})})

    told = "is '[redacted]', as a secret is shown: write the secret itself"
    assert {fault["param"] for fault in caught.value.faults} == {"user", "password"}
    assert Fault(param="password", message=told) in caught.value.faults


def test_what_is_shown_where_nobody_knows_the_class_is_a_fault_of_any_param() -> None:
    shown = registry.shown_params("Nobody", {"user": "ann", "password": "hunter22"})

    with pytest.raises(InvalidParams, match="as a secret is shown") as caught:
        registry.get("Secretive").params.check(shown)

    assert [fault["param"] for fault in caught.value.faults] == ["password", "user"]


@pytest.mark.parametrize("value", ["no number", "\ud800"])
def test_faults_never_repeat_a_key_within_a_redacted_param(value: str) -> None:
    class Keys(BaseJob):
        redact = ("scopes",)

        scopes: dict[str, int | Annotated[str, Field(max_length=3)]]

        def _perform(self) -> None:
            return None

    with pytest.raises(InvalidParams) as caught:
        Keys.spec.params.check({"scopes": {"hunter2": value}})

    assert {fault["param"] for fault in caught.value.faults} == {"scopes"}
    assert "hunter2" not in str(caught.value)


def test_a_subclass_s_redact_leaves_what_it_inherits_hidden() -> None:
    class Login(BaseJob):
        abstract = True
        redact = ("token",)

        token: str

    class LoginTwice(Login):
        redact = ("password",)

        password: str

        def _perform(self) -> None:
            return None

    params = {"token": "a", "password": "b"}

    assert LoginTwice.spec.params.redacted(params) == dict.fromkeys(params, "[redacted]")


@pytest.mark.parametrize("kind", [SecretStr, Secret[int], SecretStr | None, list[SecretStr]])
def test_a_param_whose_json_would_be_asterisks_is_refused(kind: object) -> None:
    with pytest.raises(InvalidDeclaration, match="as str and name it in redact"):
        type("Bad", (BaseJob,), {"__annotations__": {"password": kind}, "_perform": print})


def test_the_docs_list_every_reserved_name() -> None:
    text = (Path(settings.BASE_DIR) / "docs" / "job-classes.md").read_text()
    section = text[text.index("A param may not begin") : text.index("## Options")]

    assert set(re.findall(r"`(\w+)`", section)) == RESERVED


class Picky(BaseJob):
    """Has a rule of its own."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("last comes before first")

    def _perform(self) -> None:
        return None


def test_a_class_s_own_rule_speaks_in_its_own_words() -> None:
    with pytest.raises(InvalidParams) as caught:
        registry.get("Picky").params.check({"first": 2, "last": 1})

    assert [fault["message"] for fault in caught.value.faults] == ["last comes before first"]
