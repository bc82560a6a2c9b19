"""Looking up host names: what resolvers have in common.

A resolver is an object with five functions of the :mod:`socket` module: ``getaddrinfo``, ``gethostbyname``, ``gethostbyname_ex``,
``gethostbyaddr`` and ``getnameinfo``; and with ``close()``. Each hub has one, ``hub.resolver``; ``gevent.config.resolver`` says of
which class. :class:`AbstractResolver` helps to write one.

This package is shared: gevent-ares adds a module to it.

.. versionadded:: 26.11.0
"""

import _socket
import abc
import os
import sys
from _socket import (
    AF_INET,
    AF_INET6,
    AI_CANONNAME,
    EAI_FAMILY,
    EAI_NONAME,
    EAI_SERVICE,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NI_NUMERICHOST,
    NI_NUMERICSERV,
    SOCK_DGRAM,
    SOCK_STREAM,
    gaierror,
    inet_pton,
)

__all__ = ["AbstractResolver"]

for _entry in sys.modules["gevent"].__path__:  # other distributions may be installed in other folders, as for gevent itself
    _part = os.path.join(_entry, "resolver")
    if _part not in __path__ and os.path.isdir(_part) and not os.path.exists(os.path.join(_part, "__init__.py")):
        __path__.append(_part)


def is_numeric_host(host):
    """Whether *host* is an IP address in its usual form, as text or bytes: nobody has to be asked for it."""
    if isinstance(host, (bytes, bytearray)):
        host = host.decode("latin-1")
    elif not isinstance(host, str):
        return False
    if "\0" in host:  # PyPy's inet_pton does not look beyond it
        return False
    try:
        inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    except (OSError, ValueError):  # ValueError: a surrogate
        return False
    return True


def is_numeric_port(port):
    """Whether *port* is a port number, as a number or in digits, or None: no list of services has to be read for it."""
    if isinstance(port, int):
        return port >= 0
    if isinstance(port, (str, bytes)):
        return port.isascii() and port.isdigit()
    return port is None


def is_numeric_nameinfo(flags):
    """Whether ``getnameinfo`` with *flags* only formats numbers."""
    both = NI_NUMERICHOST | NI_NUMERICSERV
    return isinstance(flags, int) and flags & both == both


class AbstractResolver(abc.ABC):
    """The public functions in terms of three that ask somebody: subclasses define ``_getaddrinfo``, ``_gethostbyaddr``, ``_getnameinfo``.

    Those get names as bytes, ready for the wire, and port numbers; what can be answered without asking does not reach them. They
    block the calling greenlet only, and raise gaierror or herror, as the :mod:`socket` module's do.
    """

    #: How host names that are given as text are encoded.
    HOSTNAME_ENCODING = "idna"

    def close(self):  # noqa: B027  most hold nothing
        """Let go of whatever the resolver holds. Subclasses that hold something extend it."""

    @abc.abstractmethod
    def _getaddrinfo(self, host_bytes, port, family, socktype, proto, flags):
        """The (family, type, proto, canonname, sockaddr) tuples for a host name and a port number."""

    @abc.abstractmethod
    def _gethostbyaddr(self, ip_address_bytes):
        """(name, aliases, addresses) for a numeric address."""

    @abc.abstractmethod
    def _getnameinfo(self, address_bytes, port, sockaddr, flags):
        """(host, service) for a numeric address and a port number; *sockaddr* is the whole address as it was given."""

    def _gethostbyname_ex(self, hostname_bytes, family):
        """(name, aliases, addresses) for a host name; from ``_getaddrinfo`` unless a subclass knows better."""
        found = self._getaddrinfo(hostname_bytes, 0, family, SOCK_STREAM, 0, AI_CANONNAME)
        name = found[0][3] or hostname_bytes.decode("latin-1")
        return name, [], list(dict.fromkeys(each[4][0] for each in found))

    def _hostname_to_bytes(self, hostname):
        if isinstance(hostname, str):
            return hostname.encode(self.HOSTNAME_ENCODING)
        if isinstance(hostname, (bytes, bytearray)):
            return bytes(hostname)
        raise TypeError(f"a host name must be str, bytes or bytearray, not {hostname!r}")

    def gethostbyname(self, hostname, family=AF_INET):
        """The first address of *hostname*, as text. "" is any address of this host, as for the system."""
        if family == AF_INET and (hostname in ("", b"", "<broadcast>", b"<broadcast>") or is_numeric_host(hostname)):
            return _socket.gethostbyname(hostname)
        return self.gethostbyname_ex(hostname, family)[2][0]

    def gethostbyname_ex(self, hostname, family=AF_INET):
        """(canonical name, aliases, addresses) of *hostname*."""
        if is_numeric_host(hostname):
            found = _socket.getaddrinfo(hostname, 0, family, SOCK_STREAM)  # or its error, for an address of another family
            return found[0][4][0], [], [found[0][4][0]]
        return self._gethostbyname_ex(self._hostname_to_bytes(hostname), family)

    def getaddrinfo(self, host, port, family=0, socktype=0, proto=0, flags=0):
        """(family, type, proto, canonname, sockaddr) tuples for *host* and *port*, either of which may be None."""
        if host is None or is_numeric_host(host):
            return _socket.getaddrinfo(host, port, family, socktype, proto, flags)
        name = self._hostname_to_bytes(host)
        if is_numeric_port(port):
            return self._getaddrinfo(name, int(port or 0), family, socktype, proto, flags)
        found = []
        for number, kind, protocol in _services(port, socktype, proto):
            found += self._getaddrinfo(name, number, family, kind, protocol, flags)
        return found

    def gethostbyaddr(self, ip_address):
        """(canonical name, aliases, addresses) of a host given by address, or by a name that has one."""
        if not is_numeric_host(ip_address):
            ip_address = self.getaddrinfo(ip_address, 0, 0, SOCK_STREAM)[0][4][0]
        return self._gethostbyaddr(self._hostname_to_bytes(ip_address))

    def getnameinfo(self, sockaddr, flags):
        """(host, service) for an address tuple, as names or numbers: see the NI_* *flags*."""
        if not isinstance(sockaddr, tuple):
            raise TypeError(f"getnameinfo() takes an address tuple, not {sockaddr!r}")
        if len(sockaddr) < 2 or not isinstance(sockaddr[1], int):
            raise TypeError(f"getnameinfo() takes a tuple that begins with host and port number, not {sockaddr!r}")
        if is_numeric_nameinfo(flags):
            return _socket.getnameinfo(sockaddr, flags)
        host, port = sockaddr[:2]
        if not is_numeric_host(host):
            raise gaierror(EAI_NONAME, "Name or service not known")
        if len(sockaddr) > 2 and ":" not in host:
            raise gaierror(EAI_FAMILY, "ai_family not supported")
        return self._getnameinfo(self._hostname_to_bytes(host), port, sockaddr, flags)


def _services(service, socktype, proto):
    """(port number, socket type, protocol) for each way in which the system knows the name of a *service*."""
    if isinstance(service, bytes):
        service = service.decode("ascii")
    found = []
    for kind, protocol, name in ((SOCK_STREAM, IPPROTO_TCP, "tcp"), (SOCK_DGRAM, IPPROTO_UDP, "udp")):
        if socktype in (0, kind) and proto in (0, protocol):
            try:
                found.append((_socket.getservbyname(service, name), kind, protocol))
            except OSError:
                pass
    if not found:
        raise gaierror(EAI_SERVICE, "Servname not supported for ai_socktype")
    return found
