"""What the pages about these jobs show is true."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings

from jobs import conf, registry
from jobs.builtin.import_csv import ImportCsv
from jobs.models import JobStatus
from tests.builtin.conftest import rows, run

DOCS = Path(settings.BASE_DIR) / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Import the page's job class, and take it out of the registry afterwards."""
    file = tmp_path / "etl_page.py"
    file.write_text(blocks("etl.md", "python")[0])
    spec = importlib.util.spec_from_file_location("etl_page", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "etl_page", module)
    spec.loader.exec_module(module)
    yield module
    del registry._spec_by_name["LoadRates"]


@pytest.mark.django_db
def test_the_etl_job_of_the_page_runs(example, tmp_path):
    run("CREATE TABLE rates (day date, currency text, rate numeric, PRIMARY KEY (day, currency))")
    file = tmp_path / "rates.jsonl"
    file.write_text('{"currency": "CHF", "rate": "0.93"}\nnonsense\n{"currency": "SEK"}\n')
    job = example.LoadRates(path=str(file), day=date(2026, 11, 24))

    first, second = job._perform(), job._perform()

    assert (
        first
        == second
        == {
            "loaded": 1,
            "rejected": 2,
            "first": ["line 2: JSONDecodeError", "line 3: KeyError"],
        }
    )
    assert rows("SELECT * FROM rates") == [(date(2026, 11, 24), "CHF", Decimal("0.93"))]


@pytest.mark.django_db
def test_the_call_of_the_page_makes_a_job_and_its_refusal_is_raised(example, tmp_path):
    run("CREATE TABLE rates (day date, currency text, rate numeric, PRIMARY KEY (day, currency))")
    (tmp_path / "empty.jsonl").write_text("")

    call = blocks("etl.md", "python")[1]
    exec(call, {"LoadRates": example.LoadRates})  # noqa: S102 - our own page

    job = JobStatus.objects.get()
    assert (job.job_class, job.queue, job.params["day"]) == ("LoadRates", "etl", "2026-11-24")
    with pytest.raises(example.RatesRefused):
        example.LoadRates(path=str(tmp_path / "empty.jsonl"), day=date(2026, 11, 24))._perform()


def test_the_requests_of_the_page_are_valid():
    requests = [json.loads(block) for block in blocks("builtin-jobs.md", "json")]

    assert [request["job"] for request in requests] == ["TruncateTable", "ImportCsv"]
    for request in requests:
        registry.get(request["job"]).params.check(request["params"])


def test_the_page_names_every_param_and_every_setting():
    page = (DOCS / "builtin-jobs.md").read_text()
    settings_of_these_jobs = {
        key for key in conf.KEYS if key.startswith(("IMPORT_", "TRUNCATABLE_"))
    }

    for name in ImportCsv.spec.params.names | settings_of_these_jobs:
        assert f"| `{name}` |" in page


@pytest.mark.django_db
def test_the_page_shows_a_result_as_it_is(load):
    [shown] = blocks("builtin-jobs.md", "text")

    assert json.loads(shown).keys() == load("code,label\na,one\n").keys()
