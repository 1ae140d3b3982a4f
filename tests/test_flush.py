"""The tests' own `flush` leaves what Django's leaves."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import JobAttempt, JobStatus
from tests.make import make_attempt, make_job

pytestmark = pytest.mark.django_db(transaction=True)


def flush() -> list[str]:
    """Flush as a test's end does; return the statements."""
    with CaptureQueriesContext(
        connection,
    ) as seen:
        call_command("flush", verbosity=0, interactive=False, allow_cascade=False)
    return [query["sql"] for query in seen]


def kept() -> set[tuple[int, str, str]]:
    return set(Permission.objects.values_list("id", "codename", "content_type__model"))


def test_what_a_test_made_is_gone_and_what_migrate_made_has_stayed():
    flush()
    before = kept()
    make_attempt(make_job())
    Group.objects.create(name="operators").permissions.set(Permission.objects.all()[:3])
    User.objects.create_user("alice").groups.add(Group.objects.get())

    statements = flush()

    for model in (JobStatus, JobAttempt, Group, User, Group.permissions.through):
        assert not model.objects.exists()
    assert kept() == before
    assert len(before) > 50
    assert len(statements) <= 6


def test_nothing_is_emptied_that_is_empty():
    flush()

    assert not [one for one in flush() if "TRUNCATE" in one]


def test_a_permission_that_a_test_made_is_gone_as_well():
    flush()  # makes those of job classes that other tests have declared
    before = {(codename, model) for _, codename, model in kept()}
    Permission.objects.create(
        codename="written", name="written", content_type=ContentType.objects.all()[0]
    )
    make_job()

    flush()

    assert {(codename, model) for _, codename, model in kept()} == before
    assert not JobStatus.objects.exists()
