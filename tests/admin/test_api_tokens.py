from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.models import ApiToken, api_token
from tests.admin.conftest import browser, person

pytestmark = pytest.mark.django_db
LIST = "/admin/jobs/apitoken/"
ADD = f"{LIST}add/"
OWN = ("jobs.add_apitoken", "jobs.view_apitoken", "jobs.delete_apitoken")


def make(client, **fields):
    when = {"expires_at_0": "", "expires_at_1": ""}
    return client.post(ADD, {"name": "a program"} | when | fields)


def test_a_token_is_shown_once_and_opens_the_door(boss):
    owner = User.objects.get(username="boss")

    answer = make(boss, owner=owner.pk)

    token = re.search(r'id="token">([^<]+)<', answer.content.decode()).group(1)
    row = ApiToken.objects.get()
    assert row.digest == api_token.digest(token)
    assert "no-store" in answer["Cache-Control"]
    for page in (LIST, f"{LIST}{row.pk}/change/", f"{LIST}{row.pk}/history/", "/admin/"):
        assert token not in boss.get(page).content.decode()


def test_the_owner_is_oneself_whatever_the_form_says():
    superuser = User.objects.create_superuser("boss")
    rosa = person("rosa", *OWN)

    make(browser(rosa), owner=superuser.pk)

    assert ApiToken.objects.get().owner == rosa


def test_a_superuser_makes_a_token_for_somebody_else(boss):
    rosa = person("rosa")

    make(boss, owner=rosa.pk)

    assert ApiToken.objects.get().owner == rosa


def test_people_see_and_delete_only_their_own():
    rosa, sam = person("rosa", *OWN), person("sam", *OWN)
    mine, _ = api_token.issue(rosa, "mine")
    other, _ = api_token.issue(sam, "other")
    client = browser(rosa)

    html = client.get(LIST).content.decode()
    client.post(f"{LIST}{other.pk}/delete/", {"post": "yes"})
    client.post(f"{LIST}{mine.pk}/delete/", {"post": "yes"})

    assert "mine" in html
    assert "other" not in html
    assert list(ApiToken.objects.all()) == [other]


def test_a_token_is_never_edited(boss):
    row, _ = api_token.issue(User.objects.get(username="boss"), "mine")

    answer = boss.post(f"{LIST}{row.pk}/change/", {"name": "changed"})

    assert answer.status_code == 403
    assert ApiToken.objects.get().name == "mine"


def test_a_token_that_has_expired_already_is_not_made(boss):
    owner = User.objects.get(username="boss")
    past = timezone.now() - timedelta(days=1)
    when = {"expires_at_0": past.strftime("%Y-%m-%d"), "expires_at_1": past.strftime("%H:%M:%S")}

    answer = make(boss, owner=owner.pk, **when)

    assert "This moment has passed." in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_without_the_permission_no_token_is_made(viewer):
    assert make(viewer).status_code == 403
    assert not ApiToken.objects.exists()
