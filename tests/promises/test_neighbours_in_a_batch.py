"""P3, P4, P7: what one job of a batch does is not felt by the others, nor by those behind it."""

from __future__ import annotations

import pytest

from tests.jobs import Tally
from tests.workers import Workers

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

# So many that the batch after them is one of eight.
WARM = 7


def test_a_result_is_what_the_job_returned_whatever_its_neighbours_make_of_it(
    workers: Workers,
) -> None:
    jobs = Tally.dispatch_many({} for _ in range(WARM + 8))

    workers.run("default", "--burst")

    for job in jobs:
        job.refresh_from_db()
    assert [job.result for job in jobs] == [{"count": n, "all": [n]} for n in range(1, WARM + 9)]
