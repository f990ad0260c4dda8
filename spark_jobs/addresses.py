"""Which hosts stand for machines of a private network, so that no public server can make us ask them."""

import ipaddress
import socket
from collections.abc import Callable


def resolve(host: str) -> list[str]:
    """The IP addresses of a host name; empty where it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(info[4][0]) for info in found]


def is_private(host: str, resolve: Callable[[str], list[str]] = resolve) -> bool:
    """True where any address of the host is not a public one: private, loopback, link-local or reserved."""
    return any(not _is_public(address) for address in resolve(host))


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global
