from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Literal

import pytest
from django.urls import reverse
from pydantic import Field
from typing_extensions import TypedDict

from jobs.admin.param_schema import Kind, params_of
from jobs.base import BaseJob
from jobs.models import JobStatus, Schedule
from jobs.statuses import Status
from tests.admin.conftest import browser, person
from tests.make import make_job

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Row(TypedDict):
    name: str
    size: int


class EveryField(BaseJob):
    """Take one param of every kind.

    It only exists to be run from a form.
    """

    redact = ("secret",)
    tags = ("forms",)

    text: str
    count: int = Field(ge=1, le=10)
    share: float = 0.5
    is_dry: bool = False
    is_sure: bool
    maybe: bool | None = None
    mode: Literal["append", "replace"] = "append"
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    day: date | None = None
    moment: datetime | None = None
    price: Decimal | None = None
    names: list[str] = Field(default_factory=list)
    rows: list[Row] = Field(default_factory=list, description="What to load.")
    note: str | None = None
    secret: str = ""

    def _perform(self) -> None:
        return None


@pytest.fixture(autouse=True)
def empty_redis(redis):
    return redis


@pytest.fixture
def runner(db):
    """A browser of somebody who may run Echo and nothing else."""
    return browser(person("rosa", "jobs.run_echo"))


def address(name):
    return reverse("admin:jobs_jobstatus_run_class", args=[name])


def filled(**params):
    """Return the fields of EveryField's form, filled in as a browser sends them."""
    sent = {
        "text": "hello",
        "count": "3",
        "share": "0.25",
        "is_sure": "true",
        "maybe": "",
        "mode": '"replace"',
        "colour": '"blue"',
        "level": "2",
        "day": "2026-12-01",
        "moment": "2026-12-01T08:30:00",
        "price": "12.50",
        "names": "one\n two \n\nthree",
        "rows": '[{"name": "a", "size": 1}]',
        "note": "",
        "secret": "correct horse",
    } | params
    return {f"param-{name}": value for name, value in sent.items()}


def test_a_filled_in_form_makes_a_job_and_ends_on_its_page(boss):
    fields = filled() | {"queue": "low", "run_at": "", "tags": "by hand, twice"}

    answer = boss.post(address("EveryField"), fields, follow=True)

    job = JobStatus.objects.get()
    assert answer.redirect_chain == [(reverse("admin:jobs_jobstatus_change", args=[job.id]), 302)]
    assert (job.job_class, job.queue, job.status) == ("EveryField", "low", Status.QUEUED)
    assert job.tags == ["forms", "by hand", "twice"]
    assert job.created_by.username == "boss"
    assert job.params == {
        "text": "hello",
        "count": 3,
        "share": 0.25,
        "is_dry": False,
        "is_sure": True,
        "maybe": None,
        "mode": "replace",
        "colour": "blue",
        "level": 2,
        "day": "2026-12-01",
        "moment": "2026-12-01T08:30:00Z",
        "price": "12.50",
        "names": ["one", "two", "three"],
        "rows": [{"name": "a", "size": 1}],
        "note": None,
        "secret": "correct horse",
    }
    assert "correct horse" not in answer.content.decode()


def test_every_fault_stands_at_its_field_and_no_job_is_made(boss):
    fields = filled(count="11", text="", rows='[{"name": "a"}]', price="much")

    answer = boss.post(address("EveryField"), fields)

    errors = answer.context["form"].errors
    assert set(errors) == {"param-count", "param-text", "param-rows", "param-price"}
    assert errors["param-text"] == ["is required"]
    assert errors["param-rows"] == ["0.size: is required"]
    assert not JobStatus.objects.exists()


def test_what_is_no_json_is_said_at_its_field(boss):
    answer = boss.post(address("EveryField"), filled(rows="[{"))

    assert "This is not JSON" in answer.context["form"].errors["param-rows"][0]
    assert not JobStatus.objects.exists()


@pytest.mark.parametrize("text", ["[" * 100_000, '["\\u0000"]', '[{"name": NaN, "size": 1}]'])
def test_json_that_no_row_can_hold_is_refused_at_its_field(boss, text):
    answer = boss.post(address("EveryField"), filled(rows=text))

    assert set(answer.context["form"].errors) == {"param-rows"}
    assert not JobStatus.objects.exists()


def test_a_secret_is_not_repeated_by_a_refused_form(boss):
    answer = boss.post(address("EveryField"), filled(count="0"))

    assert "param-count" in answer.context["form"].errors
    assert "correct horse" not in answer.content.decode()


def test_a_secret_that_is_typed_as_it_is_shown_is_refused_at_its_field(boss):
    html = boss.post(address("EveryField"), filled(secret="[redacted]")).content.decode()

    assert "as a secret is shown: write the secret itself" in html
    assert not JobStatus.objects.exists()


def test_a_time_makes_a_scheduled_job(boss):
    later = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    fields = {"param-value": "x", "run_at": later.strftime("%Y-%m-%dT%H:%M:%S")}

    boss.post(address("Echo"), fields)

    job = JobStatus.objects.get()
    assert (job.status, job.due_at) == (Status.SCHEDULED, later)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"run_at": "2999-01-01T00:00:00"}, "__all__"),
        ({"run_at": "soon"}, "run_at"),
        ({"queue": "nowhere"}, "queue"),
        ({"tags": ",".join("x" * (n + 1) for n in range(21))}, "__all__"),
    ],
)
def test_a_wrong_option_is_said_and_makes_no_job(boss, fields, name):
    answer = boss.post(address("Echo"), {"param-value": "x"} | fields)

    assert set(answer.context["form"].errors) == {name}
    assert not JobStatus.objects.exists()


def test_a_form_shows_fields_by_type_with_defaults_and_descriptions(boss):
    html = boss.get(address("EveryField")).content.decode()

    for part in (
        '<input type="number" name="param-count" min="1" max="10"',
        '<input type="checkbox" name="param-is_dry"',
        '<select name="param-mode"',
        '<input type="date" name="param-day"',
        '<input type="datetime-local" name="param-moment"',
        '<input type="password" name="param-secret"',
        '<textarea name="param-rows"',
        "What to load.",
        "Take one param of every kind.",
    ):
        assert part in html


def test_a_copy_begins_with_the_params_of_the_job(boss):
    job = make_job(params={"value": "from before"})

    html = boss.get(address("Echo") + f"?job={job.id}").content.decode()

    assert 'value="from before"' in html


@pytest.mark.parametrize(
    "names", [[], ["one", "two"], ["with\nbreak"], [" spaces "], ["[]"], [""], ["[1", "2]"]]
)
def test_a_copys_form_sent_as_it_is_makes_the_same_job(boss, names):
    boss.post(address("EveryField"), filled(names=json.dumps(names), is_dry="on"))
    first = JobStatus.objects.get()
    form = boss.get(address("EveryField") + f"?job={first.id}").context["form"]
    fields = {field.html_name: field.value() for field in form}

    boss.post(
        address("EveryField"),
        {name: value for name, value in fields.items() if value not in (None, False)},
    )

    second = JobStatus.objects.exclude(id=first.id).get()
    assert first.params["names"] == names
    assert second.params == first.params | {"secret": ""}


@pytest.mark.parametrize(
    ("text", "names"), [("", []), ('["a, b", "c"]', ["a, b", "c"]), ("a\r\nb", ["a", "b"])]
)
def test_a_list_is_given_by_line_or_as_json(boss, text, names):
    boss.post(address("EveryField"), filled(names=text))

    assert JobStatus.objects.get().params["names"] == names


def test_what_is_left_empty_takes_its_default(boss):
    boss.post(address("EveryField"), filled(share="", mode='"append"', secret=""))

    params = JobStatus.objects.get().params
    assert (params["share"], params["mode"], params["secret"]) == (0.5, "append", "")


def test_a_moment_in_no_known_form_is_refused_at_its_field(boss):
    answer = boss.post(address("EveryField"), filled(moment="tomorrow"))

    assert set(answer.context["form"].errors) == {"param-moment"}


def test_a_schedule_gives_its_params(boss):
    Schedule.objects.create(
        name="nightly",
        job_class="Echo",
        queue="low",
        params={"value": "nightly"},
        synced_at=datetime.now(UTC),
    )

    assert 'value="nightly"' in boss.get(address("Echo") + "?schedule=nightly").content.decode()


@pytest.mark.parametrize("query", ["job=nonsense", "job=0193b0a0-0000-7000-8000-000000000000"])
def test_a_copy_of_nothing_is_no_server_error(boss, query):
    assert boss.get(f"{address('Echo')}?{query}").status_code in {200, 404}


# --- Who may ---


def test_a_person_sees_and_runs_only_the_permitted_classes(runner):
    picked = runner.get(reverse("admin:jobs_jobstatus_run")).content.decode()
    refused = runner.post(address("Sleep"), {"param-seconds": "1"})
    allowed = runner.post(address("Echo"), {"param-value": "x"}, follow=True)

    assert address("Echo") in picked
    assert address("Sleep") not in picked
    assert refused.status_code == 403
    assert allowed.status_code == 200
    assert JobStatus.objects.get().job_class == "Echo"


def test_an_unknown_class_and_a_forbidden_one_answer_alike(runner):
    assert (
        runner.get(address("Sleep")).status_code == runner.get(address("Gone")).status_code == 403
    )


def test_a_viewer_can_run_nothing(viewer):
    pages = [reverse("admin:jobs_jobstatus_run"), address("Echo")]

    assert {viewer.get(page).status_code for page in pages} == {403}
    assert viewer.post(address("Echo"), {"param-value": "x"}).status_code == 403
    assert not JobStatus.objects.exists()


def test_who_may_not_view_jobs_gets_no_params_of_one(runner):
    job = make_job(params={"value": "from before"})

    assert "from before" not in runner.get(address("Echo") + f"?job={job.id}").content.decode()


# --- Kinds ---


def test_what_must_be_filled_in_comes_first():
    params = params_of(EveryField.spec.params.json_schema())

    assert {param.name for param in params[:3]} == {"text", "count", "is_sure"}
    assert not any(param.is_required for param in params[3:])


@pytest.mark.parametrize(
    ("name", "kind", "choices"),
    [
        ("text", Kind.TEXT, ()),
        ("count", Kind.INTEGER, ()),
        ("share", Kind.NUMBER, ()),
        ("is_dry", Kind.BOOLEAN, ()),
        ("is_sure", Kind.BOOLEAN, (True, False)),
        ("maybe", Kind.BOOLEAN, (True, False)),
        ("mode", Kind.TEXT, ("append", "replace")),
        ("colour", Kind.TEXT, ("red", "blue")),
        ("level", Kind.INTEGER, (1, 2)),
        ("day", Kind.DATE, ()),
        ("moment", Kind.DATETIME, ()),
        ("price", Kind.TEXT, ()),
        ("names", Kind.LINES, ()),
        ("rows", Kind.JSON, ()),
        ("note", Kind.TEXT, ()),
    ],
)
def test_each_type_gets_its_kind_of_field(name, kind, choices):
    params = {param.name: param for param in params_of(EveryField.spec.params.json_schema())}

    assert (params[name].kind, params[name].choices) == (kind, choices)
