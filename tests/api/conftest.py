from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from jobs.models import api_token


@pytest.fixture
def person(db) -> Callable[..., User]:
    """A maker of users who have just these permissions of `jobs`."""

    def make(*codenames: str, name: str = "alice", **fields) -> User:
        user = User.objects.create_user(name, password="secret", **fields)
        found = Permission.objects.filter(content_type__app_label="jobs", codename__in=codenames)
        assert found.count() == len(codenames)
        user.user_permissions.set(found)
        return user

    return make


@pytest.fixture
def program() -> Callable[[User], Client]:
    """A maker of clients that bring a token of the given user."""

    def make(user: User, **options) -> Client:
        _, token = api_token.issue(user, "for tests")
        return Client(headers={"authorization": f"Bearer {token}"}, **options)

    return make


@pytest.fixture
def client_with(person, program) -> Callable[..., Client]:
    """A maker of clients whose user has just these permissions."""

    def make(*codenames: str, **options) -> Client:
        return program(person(*codenames), **options)

    return make
