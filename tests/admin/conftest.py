from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from jobs.broker import client as broker_client


def person(name, *permissions, **fields):
    """Make a member of staff with these permissions: "jobs.view_jobstatus" and the like."""
    user = User.objects.create_user(name, password=None, is_staff=True, **fields)
    for permission in permissions:
        label, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label=label, codename=codename)
        )
    return user


def browser(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(db):
    """A superuser's browser."""
    return browser(User.objects.create_superuser("boss", password=None))


@pytest.fixture
def operator(db):
    """A browser of somebody who may view and change jobs."""
    return browser(person("olga", "jobs.view_jobstatus", "jobs.change_jobstatus"))


@pytest.fixture
def viewer(db):
    """A browser of somebody who may only look at jobs."""
    return browser(person("victor", "jobs.view_jobstatus"))


@pytest.fixture
def redis():
    """An empty Redis."""
    client = broker_client.for_work()
    client.flushdb()
    yield client
    client.flushdb()
