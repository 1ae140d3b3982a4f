from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos import plan
from tests.chaos.plan import GAP_SECONDS, LEASE_SECONDS, Kind


def test_the_same_seed_draws_the_same_faults_in_the_same_order():
    assert plan.draw(7, seconds=300) == plan.draw(7, seconds=300)


def test_another_seed_draws_others():
    assert plan.draw(7, seconds=300) != plan.draw(8, seconds=300)


def test_a_longer_run_begins_as_a_shorter_one():
    short = plan.draw(7, seconds=120)

    assert plan.draw(7, seconds=1500)[: len(short)] == short


def test_a_long_run_strikes_200_times_and_with_every_kind():
    faults = plan.draw(7, seconds=1500)

    assert len(faults) >= 200
    assert {fault.kind for fault in faults} == set(Kind)


@given(st.integers(), st.floats(5, 2000))
def test_no_kind_has_its_next_turn_before_all_had_theirs(seed: int, seconds: float):
    kinds = [fault.kind for fault in plan.draw(seed, seconds=seconds)]

    counts = [kinds.count(kind) for kind in Kind]
    assert max(counts) - min(counts) <= 1


@given(st.integers())
def test_faults_come_one_after_the_other_within_the_run(seed: int):
    faults = plan.draw(seed, seconds=200)

    moments = [fault.at_seconds for fault in faults]
    assert moments == sorted(moments)
    assert moments[-1] < 200
    assert all(b - a >= GAP_SECONDS[0] for a, b in pairwise(moments))


def test_what_is_paused_past_its_lease_is_paused_for_longer_than_it():
    faults = plan.draw(7, seconds=3000)

    long = [fault for fault in faults if "past its lease" in fault.kind]
    assert long
    assert all(fault.lasts_seconds > LEASE_SECONDS + 1 for fault in long)
