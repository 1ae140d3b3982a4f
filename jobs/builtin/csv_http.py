"""Read an allowed http(s) address as a stream, every redirect checked like the first address."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from jobs.builtin import csv_hosts
from jobs.builtin.csv_hosts import Target
from jobs.builtin.errors import SourceRefused, SourceUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 60.0  # between two pieces of an answer
_MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_TRY_AGAIN = {408, 425, 429}
_ENCODINGS = {"", "identity", "gzip", "x-gzip"}  # what `csv_source` unpacks
_HEADERS = {
    "Accept": "text/csv, */*",
    "Accept-Encoding": "gzip",
    "Connection": "close",
    "User-Agent": "Jobsite ImportCsv",
}
# What stays as it is in a path or query: what RFC 3986 allows there, and what is quoted already.
_SAFE = "/%:@!$&'()*+,;=~?-._"


def open_address(address: str, allowed: tuple[str, ...]) -> io.RawIOBase:
    """Open `address` and return its body, as it was sent.

    Args:
        address: An http or https URL.
        allowed: Entries `host` or `host:port`, as `csv_hosts.check` reads them.

    Raises:
        SourceRefused: The address, or one it redirects to, isn't allowed; or it has no such file.
        SourceUnavailable: No answer, or one that may be another tomorrow.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        target = csv_hosts.check(address, allowed)
        response = _ask(target)
        if response.status not in _REDIRECTS:
            return _Body(_accepted(response, target), target)
        response.close()
        address = _next(address, response.getheader("Location"), target)
    raise SourceRefused(f"More than {_MAX_REDIRECTS} redirects; the last one led to {target}.")


def _ask(target: Target) -> http.client.HTTPResponse:
    secure = target.url.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(target.host, target.port)
    path = quote(target.url.path or "/", safe=_SAFE)
    query = f"?{quote(target.url.query, safe=_SAFE)}" if target.url.query else ""
    try:
        # A connection that has its socket never resolves the name itself.
        connection.sock = _dial(target, secure=secure)
        connection.request("GET", path + query, headers=_HEADERS)
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise SourceUnavailable(f"{target} did not answer: {error}.") from error


def _dial(target: Target, *, secure: bool) -> socket.socket:
    failed: OSError | None = None
    for address in target.addresses:
        try:
            plain = socket.create_connection((address, target.port), timeout=_CONNECT_SECONDS)
        except OSError as error:
            failed = error
            continue
        plain.settimeout(_SILENCE_SECONDS)
        if not secure:
            return plain
        # The certificate must be the name's, though the connection went to its address.
        return ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
    raise failed or OSError("it has no address")


def _next(address: str, location: str | None, target: Target) -> str:
    if not location:
        raise SourceRefused(f"{target} redirects to nowhere.")
    following = urljoin(address, location)
    if target.url.scheme == "https" and not following.lower().startswith("https:"):
        raise SourceRefused(f"{target} redirects from https to something else.")
    return following


def _accepted(response: http.client.HTTPResponse, target: Target) -> http.client.HTTPResponse:
    status = response.status
    if status == HTTPStatus.OK:
        encoding = (response.getheader("Content-Encoding") or "").strip().lower()
        if encoding in _ENCODINGS:
            return response
        response.close()
        raise SourceRefused(f"{target} answers packed as {encoding!r}; only gzip is understood.")
    response.close()
    message = f"{target} answered {status} {response.reason}."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN:
        raise SourceUnavailable(message)
    raise SourceRefused(message)


class _Body(io.RawIOBase):
    """A response's body that notices when it was cut short, which http.client doesn't."""

    def __init__(self, response: http.client.HTTPResponse, target: Target) -> None:
        self._response = response
        self._target = target

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = self._response.readinto(buffer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise SourceUnavailable(f"{self._target} broke off: {error}.") from error
        if not count and self._response.length:
            raise SourceUnavailable(
                f"{self._target} broke off {self._response.length:,} bytes before its end."
            )
        return count

    def close(self) -> None:
        self._response.close()
        super().close()
