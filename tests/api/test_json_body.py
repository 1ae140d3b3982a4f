from __future__ import annotations

import json

import pytest

from jobs.models import JobStatus

pytestmark = pytest.mark.django_db

JSON = "application/json"


@pytest.fixture
def post(client_with):
    client = client_with("run_echo")

    def send(body: bytes, content_type: str = JSON):
        return client.generic("POST", "/create-jobs/", body, content_type)

    return send


def refused(response, status, slug):
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["type"] == f"urn:jobsite:problem:{slug}"
    assert not JobStatus.objects.exists()
    return response.json()["detail"]


@pytest.mark.parametrize("content_type", [JSON, JSON + "; charset=utf-8", "Application/JSON"])
def test_json_is_read(post, content_type):
    body = '{"job": "Echo", "params": {"value": "Zürich \\ud83d\\ude80"}}'.encode()

    assert post(body, content_type).status_code == 201
    assert JobStatus.objects.get().params == {"value": "Zürich 🚀"}


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b'{"job": "Echo",}', b"{'job': 'Echo'}", b'{"job": "Echo"} x', b"\xff",
        b"\xef\xbb\xbf{}", '{"job": "Echo"}'.encode("utf-16"),
        b'{"job": "Echo", "params": {"value": NaN}}',
        b'{"job": "Echo", "params": {"value": Infinity}}',
        b'{"job": "Echo", "params": {"value": -Infinity}}',
        b'{"job": "Echo", "params": {"value": 1e999}}',
        b'{"job": "Echo", "params": {"value": ' + b"9" * 5_000 + b"}}",
        b'{"job": "Echo", "job": "Sleep"}',
        b'{"job": "Echo", "params": {"value": "a", "value": "b"}}',
        b'{"job": "Echo", "params": {"value": "a\\u0000b"}}',
        b'{"job": "Echo", "params": {"value": "a\\ud800b"}}',
        b'{"job": "Echo", "params": {"a\\ud800b": 1}}',
        b'{"job": "Echo", "params": {"a\\u0000b": 1}}',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"job": "Echo", "params": {"value": ' + b"[" * 150 + b"]" * 150 + b"}}",
    ],
    ids=range(24),
)  # fmt: skip
def test_what_is_not_storable_json_is_refused(post, body):
    refused(post(body), 400, "malformed-json")


def test_a_refusal_tells_where_the_fault_is(post):
    assert "line 2, column 1" in refused(post(b'{"job":\n}'), 400, "malformed-json")
    nul = b'{"job": "Echo", "params": {"value": "\\u0000"}}'
    assert "params.value" in refused(post(nul), 400, "malformed-json")
    assert "'job'" in refused(post(b'{"job": "Echo", "job": "Echo"}'), 400, "malformed-json")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/xml", "application/jsonx", "application/json; charset=latin-1",
        "application/json; charset=bz2_codec", "nonsense",
    ],
)  # fmt: skip
def test_a_body_of_another_type_is_refused(post, content_type):
    detail = refused(post(b'{"job": "Echo"}', content_type), 415, "unsupported-media-type")

    assert "application/json" in detail


def test_a_body_up_to_the_limit_is_read(post, settings):
    body = b'{"job": "Echo"}'
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = len(body)

    assert post(body).status_code == 201


@pytest.mark.parametrize("content_type", [JSON, "multipart/form-data; boundary=x"])
def test_a_body_over_the_limit_is_refused(post, settings, content_type):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    refused_413 = post(b'{"job": "Echo", "params": {"value": "' + b"x" * 100 + b'"}}', content_type)

    assert refused_413.status_code == 413
    assert refused_413.json()["type"] == "urn:jobsite:problem:body-too-large"


def test_an_object_with_thousands_of_wrong_keys_is_refused(post):
    body = {"job": "Echo", "params": {f"k{number}": number for number in range(10_000)}}

    response = post(json.dumps(body).encode())

    refused(response, 400, "invalid-params")
    assert response.json()["errors_left_out"] == 9_000
