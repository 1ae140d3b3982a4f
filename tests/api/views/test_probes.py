from __future__ import annotations

import socket

import pytest
from django.test import Client

from jobs.broker import client
from tests.make import make_worker


@pytest.fixture
def redis_is_down(settings):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings.RQ_QUEUES = {"default": {"URL": f"redis://127.0.0.1:{port}/0"}}
    client._client.cache_clear()
    yield
    client._client.cache_clear()


@pytest.mark.parametrize("path", ["/live", "/live/"])
def test_a_process_that_answers_is_live_without_a_database(path):
    response = Client().get(path)

    assert (response.status_code, response.json()) == (200, {"status": "live"})
    assert response.headers["Cache-Control"] == "no-store"


# The question is asked over a connection of its own: the worker's row must be committed.
@pytest.mark.redis
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/ready", "/ready/"])
def test_a_site_whose_parts_answer_is_ready(path):
    make_worker()

    response = Client().get(path)

    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "checks": {"database": "ok", "redis": "ok", "worker": "ok"},
    }


@pytest.mark.redis
@pytest.mark.django_db
def test_a_site_without_a_worker_is_ready_and_says_so():
    response = Client().get("/ready")

    assert response.status_code == 200
    assert response.json()["checks"]["worker"] == "none"


@pytest.mark.django_db
@pytest.mark.usefixtures("redis_is_down")
def test_a_site_without_redis_is_not_ready_and_names_no_address():
    response = Client().get("/ready")

    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"] == "urn:jobsite:problem:not-ready"
    assert body["checks"] == {"database": "ok", "redis": "failed", "worker": "none"}
    assert b"127.0.0.1" not in response.content


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
@pytest.mark.parametrize("path", ["/live", "/ready"])
def test_a_probe_only_reads(path, method):
    response = getattr(Client(), method)(path)

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/live", "/live/", "/ready", "/ready/"])
def test_a_probe_is_never_sent_to_https(settings, path):
    settings.SECURE_SSL_REDIRECT = True

    # The method no probe has: it is answered before anything is asked.
    assert Client().post(path).status_code == 405
