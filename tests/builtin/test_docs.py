"""What the pages about these jobs show is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.conf import settings

from jobs import conf, registry
from jobs.builtin.import_csv import ImportCsv

DOCS = Path(settings.BASE_DIR) / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )


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
