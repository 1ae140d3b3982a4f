"""A job sees what its parents have returned."""

from __future__ import annotations

import pytest

from jobs.base import workflow
from jobs.errors import JobError
from jobs.workflows.results import ParentResult, ParentResults
from tests import wait
from tests.jobs import AlwaysFail, Echo, SumOfParents
from tests.make import make_job
from tests.workers import Workers


def results(*names: str) -> ParentResults:
    job_id = make_job().id
    return ParentResults(
        [
            ParentResult(name, job_id, "completed" if number else "failed", number or None)
            for number, name in enumerate(names)
        ]
    )


@pytest.mark.django_db
def test_they_are_found_by_number_and_by_name() -> None:
    found = results("a", "b", "c", "c")

    assert (found[1], found["b"], found[1:3], list(found)) == (1, 1, [1, 2], [None, 1, 2, 3])
    assert found.failed == ["a"]
    assert repr(found) == "ParentResults(a, b, c, c)"
    with pytest.raises(KeyError, match=r"No parent is named d\. There are: a, b, c, c"):
        found["d"]
    with pytest.raises(KeyError, match="2 parents are named c"):
        found["c"]


def test_without_a_worker_there_are_none() -> None:
    with pytest.raises(JobError, match="isn't running"):
        SumOfParents().parent_results()


@pytest.mark.process
@pytest.mark.django_db(transaction=True)
def test_a_job_reads_them_in_the_order_of_what_it_depends_on(workers: Workers) -> None:
    *_, last = workflow(
        bad=AlwaysFail.step(),
        one=Echo.step(value="1"),
        end=SumOfParents.step(on_parent_failure="run").after("one", "bad"),
    ).dispatch()

    workers.start("default")
    wait.until_status(last, "completed")

    assert last.result == {
        "values": [{"value": "1"}, None], "names": ["one", "bad"], "failed": ["bad"],
    }  # fmt: skip
    outside = SumOfParents.dispatch(depends_on=[last])
    wait.until_status(outside, "completed")
    assert outside.result["names"] == ["SumOfParents"]
