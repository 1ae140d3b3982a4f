from __future__ import annotations

import logging
import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from jobs import conf
from jobs.maintenance import leader
from jobs.models import Lease


@pytest.mark.django_db
def test_the_first_who_asks_leads():
    me = uuid4()

    assert leader.take_or_renew(me, "one")

    lease = Lease.objects.get()
    assert (lease.holder, lease.holder_name) == (me, "one")


@pytest.mark.django_db
def test_nobody_else_leads_while_the_lease_lasts():
    leader.take_or_renew(uuid4(), "one")

    assert not leader.take_or_renew(uuid4(), "two")
    assert Lease.objects.get().holder_name == "one"


@pytest.mark.django_db
def test_the_holder_renews_its_lease():
    me = uuid4()
    leader.take_or_renew(me, "one")
    before = Lease.objects.get().expires_at

    assert leader.take_or_renew(me, "one")
    assert Lease.objects.get().expires_at > before


@pytest.mark.django_db
def test_an_expired_lease_goes_to_who_asks_next():
    former, next_one = uuid4(), uuid4()
    leader.take_or_renew(former, "one")
    Lease.objects.update(expires_at=Now())

    assert leader.take_or_renew(next_one, "two")
    assert not leader.take_or_renew(former, "one")


@pytest.mark.django_db
def test_a_lease_from_before_the_clock_was_set_back_is_free():
    leader.take_or_renew(uuid4(), "one")
    Lease.objects.update(expires_at=Now() + timedelta(hours=1))

    assert leader.take_or_renew(uuid4(), "two")
    assert Lease.objects.get().expires_at < timezone.now() + timedelta(minutes=10)


@pytest.mark.django_db
def test_a_released_lease_is_free_at_once():
    former = uuid4()
    leader.take_or_renew(former, "one")

    leader.release(former)

    assert leader.take_or_renew(uuid4(), "two")


@pytest.mark.django_db
def test_nobody_releases_the_lease_of_another():
    holder = uuid4()
    leader.take_or_renew(holder, "one")

    leader.release(uuid4())

    assert Lease.objects.filter(holder=holder).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("expired", [False, True])
def test_of_many_who_ask_at_once_one_leads(*, expired: bool):
    if expired:
        leader.take_or_renew(uuid4(), "former")
        Lease.objects.update(expires_at=Now())
    barrier = threading.Barrier(8, timeout=20)
    answers: list[bool] = []

    def ask() -> None:
        barrier.wait()
        answers.append(leader.take_or_renew(uuid4(), "somebody"))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)

    assert sorted(answers) == [False] * 7 + [True]


class TestLeadership:
    @pytest.mark.django_db
    def test_a_leader_that_can_not_renew_its_lease_stops_leading_at_its_end(self, monkeypatch):
        now = 1_000.0
        monkeypatch.setattr(leader, "uptime", lambda: now)
        leadership = leader.Leadership(holder_id=uuid4(), name="one")
        leadership.seek()
        assert leadership.leads
        lease_seconds = conf.current().leader_lease.total_seconds()

        now += lease_seconds - 0.1
        assert leadership.leads

        now += 0.2
        assert not leadership.leads

    @pytest.mark.django_db
    def test_a_lease_counts_from_before_it_was_asked_for(self, monkeypatch):
        now = 1_000.0
        monkeypatch.setattr(leader, "uptime", lambda: now)
        take = leader.take_or_renew

        def slowly(holder_id: UUID, name: str) -> bool:
            nonlocal now
            taken = take(holder_id, name)
            now += conf.current().leader_lease.total_seconds() + 1  # its answer was long in coming
            return taken

        monkeypatch.setattr(leader, "take_or_renew", slowly)
        leadership = leader.Leadership(holder_id=uuid4(), name="one")

        leadership.seek()

        assert not leadership.leads

    @pytest.mark.django_db
    def test_a_lease_that_ended_by_itself_is_told_too(self, monkeypatch, caplog):
        caplog.set_level(logging.INFO, "jobs.maintenance")
        now = 1_000.0
        monkeypatch.setattr(leader, "uptime", lambda: now)
        leadership = leader.Leadership(holder_id=uuid4(), name="one")
        leadership.seek()
        leader.release(leadership.holder_id)
        leader.take_or_renew(uuid4(), "two")

        now += 3_600  # it was paused meanwhile
        leadership.seek()

        said = [record.message for record in caplog.records]
        assert said == ["one does the duties", "one no longer does the duties"]
