"""Which hosts and addresses an import may connect to."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

from jobs.builtin.errors import SourceRefused, SourceUnavailable

Address = IPv4Address | IPv6Address
_PORTS = {"http": 80, "https": 443}
# An IPv6 address of these networks carries an IPv4 address, which is what is reached in the end.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect: a name for Host and certificate, and its addresses, already checked."""

    url: SplitResult
    host: str
    port: int
    addresses: tuple[str, ...]

    def __str__(self) -> str:
        # Without the query: signed addresses carry their secret there.
        return f"{self.url.scheme}://{self.url.netloc}{self.url.path}"


def check(address: str, allowed: tuple[str, ...]) -> Target:
    """Return where `address` leads, if the settings allow to go there.

    A name is resolved here, once, and whoever connects uses the addresses found: a second look-up
    could answer differently. A private, loopback or otherwise not public address passes only for an
    entry that is itself an IP address, and loopback for an entry `localhost`.

    Args:
        address: An http or https URL.
        allowed: Entries `host` (the scheme's own port) or `host:port`.

    Raises:
        SourceRefused: The host isn't allowed, or its name leads to an address that isn't.
        SourceUnavailable: The name can't be resolved.
    """
    url, host, port = _split(address)
    if not any(_matches(entry, host, port, _PORTS[url.scheme]) for entry in allowed):
        raise SourceRefused(
            f"Host {host}:{port} may not be imported from: it is not in "
            f'JOBS["IMPORT_HOSTS"] ({", ".join(allowed) or "none"}).'
        )
    addresses = _resolve(host, port)
    for each in addresses:
        if not _may_reach(host, ipaddress.ip_address(each)):
            raise SourceRefused(
                f"Host {host} leads to {each}, which is not a public address. To import from it, "
                'put the IP address itself into JOBS["IMPORT_HOSTS"].'
            )
    return Target(url=url, host=host, port=port, addresses=addresses)


def _split(address: str) -> tuple[SplitResult, str, int]:
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError as error:
        raise SourceRefused(f"The address is not a URL: {error}.") from error
    if url.scheme not in _PORTS or not url.hostname:
        raise SourceRefused("The address must be http://host/... or https://host/...")
    if url.username is not None or url.password is not None:
        raise SourceRefused(
            "The address holds a user or password; params are shown, so it may not."
        )
    return url, _canonical(url.hostname), _PORTS[url.scheme] if port is None else port


def _canonical(host: str) -> str:
    literal = _literal(host)
    if literal is not None:
        return str(literal)
    try:
        return host.rstrip(".").lower().encode("idna").decode()
    except UnicodeError as error:
        raise SourceRefused(f"Host {host!r} is no host name.") from error


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _matches(entry: str, host: str, port: int, usual_port: int) -> bool:
    if _literal(entry) is not None:
        return (_canonical(entry), usual_port) == (host, port)
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal():
        return (_canonical(name), int(number)) == (host, port)
    return (_canonical(entry), usual_port) == (host, port)


def _resolve(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SourceUnavailable(f"Host {host} can't be resolved: {error}.") from error
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def _may_reach(host: str, address: Address) -> bool:
    if _literal(host) is not None:
        return True
    if host == "localhost":
        return address.is_loopback
    return _is_public(address)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = _carried(address)
        if inner is not None:
            return _is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_link_local
        or address.is_loopback
        or address.is_unspecified
    )


def _carried(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
