from __future__ import annotations

import gzip
import socket
import threading

import pytest

from jobs import conf
from jobs.builtin import csv_http, csv_source
from jobs.builtin.errors import SourceRefused, SourceUnavailable
from tests.builtin.conftest import CERTIFICATE

BODY = b"code,label\n" + b"a,b\n" * 50_000


def fetch(address: str) -> bytes:
    with csv_source.pieces(
        address,
        folders=(),
        hosts=conf.current().import_hosts,
        limit_bytes=conf.current().max_import_bytes,
    ) as pieces:
        return b"".join(pieces)


def at(server, path: str = "/a.csv") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def test_a_body_is_read_in_full(server):
    server.answer("/a.csv", BODY)

    assert fetch(at(server)) == BODY


@pytest.mark.parametrize("headers", [{}, {"Content_Encoding": "gzip"}])
def test_a_gzipped_body_is_unpacked_whatever_its_headers_say(server, headers):
    server.answer("/a.csv.gz", gzip.compress(BODY), **headers)

    assert fetch(at(server, "/a.csv.gz")) == BODY


def test_a_gzipped_file_packed_again_on_its_way_is_unpacked_twice(server):
    server.answer("/a.csv.gz", gzip.compress(gzip.compress(BODY)), Content_Encoding="gzip")

    assert fetch(at(server, "/a.csv.gz")) == BODY


def test_a_gzip_of_several_members_is_read_to_its_end(server):
    server.answer("/a.csv", gzip.compress(BODY) + gzip.compress(BODY))

    assert fetch(at(server)) == BODY + BODY


def test_an_encoding_that_nobody_asked_for_is_refused(server):
    server.answer("/a.csv", b"x", Content_Encoding="br")

    with pytest.raises(SourceRefused, match="br"):
        fetch(at(server))


def test_a_redirect_within_what_is_allowed_is_followed(server):
    server.answer("/old.csv", status=302, Location="/a.csv")
    server.answer("/a.csv", BODY)

    assert fetch(at(server, "/old.csv")) == BODY


@pytest.mark.parametrize(
    "location",
    ["http://localhost:{port}/a.csv", "//elsewhere.example/a.csv", "http://169.254.169.254/"],
)
def test_a_redirect_to_a_host_not_allowed_is_refused(server, location):
    server.answer("/old.csv", status=302, Location=location.format(port=server.port))
    server.answer("/a.csv", BODY)

    with pytest.raises(SourceRefused, match="IMPORT_HOSTS"):
        fetch(at(server, "/old.csv"))

    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/a.csv"])
def test_a_redirect_to_another_scheme_is_refused(server, location):
    server.answer("/old.csv", status=302, Location=location)

    with pytest.raises(SourceRefused):
        fetch(at(server, "/old.csv"))


def test_redirects_in_a_circle_end(server):
    server.answer("/a.csv", status=301, Location="/a.csv")

    with pytest.raises(SourceRefused, match="redirects"):
        fetch(at(server))


def test_the_address_that_was_checked_is_the_one_connected_to(server, monkeypatch, allow):
    # The second answer is what a name server would say that wants to lead us elsewhere.
    answers = iter(["127.0.0.1", "127.0.0.9"])
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        return real(next(answers) if host == "localhost" else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    allow(IMPORT_HOSTS=[f"localhost:{server.port}"])
    server.answer("/a.csv", BODY)

    assert fetch(f"http://localhost:{server.port}/a.csv") == BODY
    assert next(answers) == "127.0.0.9"
    assert server.requests[0]["Host"] == f"localhost:{server.port}"


def test_a_body_cut_short_is_noticed(server):
    server.answer("/a.csv", BODY, Content_Length=str(len(BODY) + 1))

    with pytest.raises(SourceUnavailable, match="1 bytes before its end"):
        fetch(at(server))


def test_a_gzip_cut_short_is_noticed(server):
    server.answer("/a.csv", gzip.compress(BODY)[:-20])

    with pytest.raises(SourceUnavailable):
        fetch(at(server))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, SourceRefused),
        (403, SourceRefused),
        (204, SourceRefused),
        (429, SourceUnavailable),
        (503, SourceUnavailable),
    ],
)
def test_a_status_tells_whether_another_attempt_makes_sense(server, status, error):
    server.answer("/a.csv", status=status)

    with pytest.raises(error, match=str(status)):
        fetch(at(server))


def test_nobody_at_the_address_is_worth_another_attempt(server):
    server.stop()

    with pytest.raises(SourceUnavailable, match="did not answer"):
        fetch(at(server))


def test_a_server_that_falls_silent_is_not_waited_for(server, monkeypatch):
    heard = threading.Event()

    def send(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b"code,label\n")
        heard.wait(30)

    server.answers["/a.csv"] = send
    monkeypatch.setattr(csv_http, "_SILENCE_SECONDS", 0.1)

    with pytest.raises(SourceUnavailable, match="timed out"):
        fetch(at(server))

    heard.set()


def test_an_error_does_not_repeat_the_query(server):
    server.answer("/a.csv?sig=secret", status=404)

    with pytest.raises(SourceRefused) as refused:
        fetch(at(server, "/a.csv?sig=secret"))

    assert "secret" not in str(refused.value)


def test_a_path_with_spaces_and_letters_beyond_ascii_is_quoted(server):
    server.answer("/caf%C3%A9%20list.csv", BODY)

    assert fetch(at(server, "/café list.csv")) == BODY


def test_a_certificate_is_checked_for_the_name(secure_server, monkeypatch):
    secure_server.answer("/a.csv", BODY)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))

    assert fetch(f"https://localhost:{secure_server.port}/a.csv") == BODY


def test_a_certificate_that_nobody_vouches_for_is_refused(secure_server):
    secure_server.answer("/a.csv", BODY)

    with pytest.raises(SourceUnavailable, match="certificate"):
        fetch(f"https://localhost:{secure_server.port}/a.csv")


def test_a_redirect_from_https_to_http_is_refused(secure_server, monkeypatch):
    secure_server.answer("/a.csv", status=302, Location=f"http://localhost:{secure_server.port}/a")
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))

    with pytest.raises(SourceRefused, match="https"):
        fetch(f"https://localhost:{secure_server.port}/a.csv")
