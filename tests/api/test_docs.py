from __future__ import annotations

import re
from pathlib import Path

from jobs.api import problems, urls

TEXT = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()


def test_the_docs_list_every_problem_type_with_its_status_and_no_other():
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", TEXT, re.MULTILINE)
    listed = {
        (int(status), slug) for status, names in rows for slug in re.findall("`(.+?)`", names)
    }

    kinds = [value for value in vars(problems).values() if isinstance(value, problems.Kind)]
    assert listed == {(kind.status, kind.slug) for kind in kinds}


def test_the_docs_name_every_address():
    for pattern in urls.urlpatterns:
        if pattern.name:
            assert re.sub(r"<\w+:(\w+)>", r"{\1}", f"/{pattern.pattern}`") in TEXT
