from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connection

from jobs.api.body_limit import BodyLimit
from jobs.models import JobStatus, api_token


def ask(parts: list[bytes], **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Send `parts` as chunks of one body through the site's ASGI application."""

    async def talk():
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "path": "/create-jobs/", "raw_path": b"/create-jobs/", "query_string": b"",
            "root_path": "", "scheme": "http", "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
            "headers": [(name.replace("_", "-").encode(), value.encode())
                        for name, value in ({"host": "localhost"} | headers).items()],
        }  # fmt: skip
        site = ApplicationCommunicator(BodyLimit(get_asgi_application()), scope)
        for index, part in enumerate(parts):
            more = index < len(parts) - 1
            await site.send_input({"type": "http.request", "body": part, "more_body": more})
        start = await site.receive_output(timeout=10)
        body = b""
        while True:
            message = await site.receive_output(timeout=10)
            body += message["body"]
            if not message.get("more_body"):
                break
        await site.wait(timeout=10)
        names = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], names, json.loads(body)

    return asyncio.run(talk())


@pytest.mark.redis
@pytest.mark.usefixtures("redis")
@pytest.mark.django_db(transaction=True)
def test_a_chunked_body_without_a_length_is_read(person, monkeypatch):
    # The site answers in a thread of its own, whose connection would outlive the test.
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    _, token = api_token.issue(person("run_echo"), "for tests")

    status, _, body = ask(
        [b'{"job": ', b'"Echo"}'],
        authorization=f"Bearer {token}",
        content_type="application/json",
    )

    assert (status, body["status"]) == (201, "enqueued")
    assert JobStatus.objects.count() == 1


def test_a_chunked_body_over_the_limit_is_cut_off(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000

    status, headers, body = ask([b"x" * 600] * 3 + [b""], content_type="application/json")

    assert status == body["status"] == 413
    assert headers["content-type"] == "application/problem+json"


def test_a_declared_length_over_the_limit_is_refused_unread(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000

    status, headers, body = ask([], content_length="1001")

    assert status == body["status"] == 413
    assert headers["connection"] == "close"


def test_a_body_longer_than_it_said_is_cut_off(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000

    assert ask([b"x" * 600, b"x" * 600], content_length="10")[0] == 413
