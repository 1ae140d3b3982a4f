from __future__ import annotations

import socket

import pytest

from jobs.builtin import csv_hosts
from jobs.builtin.errors import SourceRefused, SourceUnavailable


@pytest.fixture
def names(monkeypatch):
    """Answer the resolver's questions; the names are the test's."""
    answers: dict[str, list[str]] = {}

    def getaddrinfo(host, port, **_):
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answers


def test_an_allowed_name_leads_to_its_public_address(names):
    names["data.example.org"] = ["93.184.216.34"]

    target = csv_hosts.check("https://Data.Example.org./list.csv?sig=secret", ("data.example.org",))

    assert (target.host, target.port, target.addresses) == (
        "data.example.org",
        443,
        ("93.184.216.34",),
    )
    assert "secret" not in str(target)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("http://a.example.org/", "b.example.org"),
        ("http://a.example.org:8080/", "a.example.org"),
        ("http://a.example.org/", "a.example.org:8080"),
        ("http://sub.a.example.org/", "a.example.org"),
        ("http://a.example.org.evil.example/", "a.example.org"),
        ("http://127.0.0.1/", "127.0.0.2"),
        ("http://2130706433/", "127.0.0.1"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://[::ffff:127.0.0.1]/", "127.0.0.1"),
    ],
)
def test_a_host_or_port_that_is_no_entry_is_refused(address, entry):
    with pytest.raises(SourceRefused, match="IMPORT_HOSTS"):
        csv_hosts.check(address, (entry,))


@pytest.mark.parametrize(
    "found",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.1.2.3",
        "64:ff9b::a01:203",
        "2002:a01:203::1",
        "2001:0:a01:203::1",
    ],
)
def test_a_name_that_leads_to_a_private_address_is_refused(names, found):
    names["data.example.org"] = ["93.184.216.34", found]

    with pytest.raises(SourceRefused, match="not a public address"):
        csv_hosts.check("http://data.example.org/", ("data.example.org",))


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("http://10.1.2.3:8000/", "10.1.2.3:8000"),
        ("http://10.1.2.3/", "10.1.2.3"),
        ("http://[::1]:8000/", "[::1]:8000"),
        ("http://[0:0:0:0:0:0:0:1]/", "::1"),
    ],
)
def test_a_private_address_passes_where_the_entry_is_that_address(address, entry):
    assert csv_hosts.check(address, (entry,)).addresses


def test_localhost_passes_to_loopback_and_nowhere_else(names):
    names["localhost"] = ["127.0.0.1", "::1"]
    assert csv_hosts.check("http://localhost:8000/", ("localhost:8000",)).addresses

    names["localhost"] = ["10.1.2.3"]
    with pytest.raises(SourceRefused):
        csv_hosts.check("http://localhost:8000/", ("localhost:8000",))


@pytest.mark.parametrize(
    "address",
    ["ftp://a.example.org/", "http:///x", "http://a.example.org:x/", "http://u:p@a.example.org/"],
)
def test_what_is_no_plain_http_address_is_refused(address):
    with pytest.raises(SourceRefused):
        csv_hosts.check(address, ("a.example.org",))


@pytest.mark.usefixtures("names")
def test_a_name_that_does_not_resolve_is_worth_another_attempt():
    with pytest.raises(SourceUnavailable):
        csv_hosts.check("http://a.example.org/", ("a.example.org",))
