"""How many jobs a runner takes at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.runner.pace import BATCH_SECONDS, Pace


def test_batches_double_up_to_the_limit_while_they_are_short() -> None:
    pace = Pace(64)
    sizes = [pace.size]

    for _ in range(8):
        pace.note(pace.size, seconds=0.0001)
        sizes.append(pace.size)

    assert sizes == [1, 2, 4, 8, 16, 32, 64, 64, 64]


def test_no_more_are_taken_than_have_lately_fitted_into_the_bound() -> None:
    pace = Pace(64)

    pace.note(1, seconds=0.02)

    assert pace.size == 2  # 2 x 20 ms are less than 50 ms, 3 are not


def test_after_a_slow_job_the_next_is_taken_alone() -> None:
    pace = Pace(64)
    pace.note(32, seconds=0.001)

    pace.note(5, seconds=3.0)

    assert pace.size == 1


def test_a_short_queue_does_not_make_the_next_batch_long() -> None:
    pace = Pace(64)
    pace.note(32, seconds=0.001)

    pace.note(3, seconds=0.0001)

    assert pace.size == 6


@given(
    limit=st.integers(1, 64),
    batches=st.lists(st.tuples(st.integers(1, 64), st.floats(0, 1e6)), max_size=20),
)
def test_a_size_is_from_one_to_the_limit_and_fits(
    limit: int, batches: list[tuple[int, float]]
) -> None:
    pace = Pace(limit)

    for count, seconds in batches:
        pace.note(count, seconds=seconds)

        assert 1 <= pace.size <= limit
        assert pace.size == 1 or pace.size * seconds / count <= BATCH_SECONDS * (
            1 + 1e-9
        )  # floats round
