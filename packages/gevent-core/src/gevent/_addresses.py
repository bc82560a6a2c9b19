"""Hosts and ports as people write them: what is an address, of which family, and what is none."""

import _socket
from socket import AF_INET, AF_INET6, has_ipv6

__all__ = ["family_of", "format_address", "has_working_ipv6", "is_ipv6", "parse_address"]

_ipv6_works = None


def has_working_ipv6():
    """Whether a socket of the family AF_INET6 can be made: the system, not only Python, has to know it."""
    global _ipv6_works
    if _ipv6_works is None:
        try:
            _socket.socket(AF_INET6, _socket.SOCK_STREAM).close()
            _ipv6_works = True
        except OSError:
            _ipv6_works = False
    return has_ipv6 and _ipv6_works


def is_ipv6(host):
    """Whether *host* is a numeric IPv6 address, perhaps with a scope, without brackets."""
    return isinstance(host, str) and ":" in host


def family_of(host):
    """AF_INET6 for a numeric IPv6 address, AF_INET for everything else, names included."""
    return AF_INET6 if is_ipv6(host) else AF_INET


def parse_address(address):
    """(family, (host, port)) of an address in one of the usual notations.

    These are a (host, port) tuple, ``"host:port"``, ``"[ipv6]:port"``, ``":port"`` and ``"*:port"`` (all IPv4 interfaces), and the port
    alone, as a number or text: all interfaces, IPv6 and IPv4. ValueError for text that is none of these and a port out of range,
    TypeError for other types.

    >>> parse_address("[::1]:80")[1], parse_address("*:80")[1]
    (('::1', 80), ('', 80))
    """
    if isinstance(address, tuple):
        if not address:
            raise ValueError(f"an address is a host and a port, not {address!r}")
        return (AF_INET6 if len(address) > 2 else family_of(address[0])), address
    if isinstance(address, str):
        host, colon, port = address.rpartition(":")
        if not colon:
            return _everywhere(_parse_port(port, address))
        number = _parse_port(port, address)
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if not is_ipv6(host):
                raise ValueError(f"cannot parse address {address!r}: only an IPv6 address stands in brackets")
        elif is_ipv6(host):
            raise ValueError(f"cannot parse address {address!r}: an IPv6 address stands in brackets, as in '[::1]:80'")
        if host == "*":
            host = ""
        return family_of(host), (host, number)
    if isinstance(address, int) and not isinstance(address, bool):
        return _everywhere(_check_port(address, address))
    raise TypeError(f"an address is a tuple, text or a port number, not {address!r}")


def _everywhere(port):
    return (AF_INET6 if has_working_ipv6() else AF_INET), ("", port)


def _parse_port(text, address):
    # int() would take "+80", " 80" and "8_0" too.
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"cannot parse address {address!r}: {text!r} is no port number")
    return _check_port(int(text), address)


def _check_port(port, address):
    if not 0 <= port <= 65535:
        raise ValueError(f"the port of the address {address!r} is not within 0 and 65535")
    return port


def format_address(address):
    """A (host, port, ...) tuple as ``"host:port"``, with brackets around an IPv6 host; anything else as str() shows it."""
    if isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str):
        return f"[{address[0]}]:{address[1]}" if is_ipv6(address[0]) else f"{address[0]}:{address[1]}"
    return str(address)
