"""The resolver over c-ares: look-ups on the hub, without native threads, answered as the :mod:`socket` module answers them.

How it works. What needs no network is left to the system, in place: its own ``getaddrinfo`` with AI_NUMERICHOST checks the arguments,
knows numeric hosts in every notation, scopes, services and flags, and answers or raises as it always does. Only when it says that the
host is a name, the name goes to :class:`gevent.ares.channel`. So arguments, types, errors, ports and their order are the system's by
construction, and c-ares is asked for nothing but addresses and names.

A look-up waits in a loop: when it ends because its channel was destroyed (in a forked child, where the sockets are the parent's too), it
is made again on the channel that came after it.
"""

import _socket
import os
import weakref
from _socket import (
    AF_INET,
    AF_INET6,
    AI_ADDRCONFIG,
    AI_NUMERICHOST,
    EAI_AGAIN,
    EAI_FAIL,
    EAI_MEMORY,
    EAI_NODATA,
    EAI_NONAME,
    NI_NAMEREQD,
    NI_NUMERICHOST,
    SOCK_STREAM,
    gaierror,
    herror,
)

from gevent import ares
from gevent._config import config, import_path
from gevent.hub import Waiter, get_hub
from gevent.resolver import AbstractResolver

__all__ = ["Resolver"]

_PREFIX = "GEVENTARES_"
#: GEVENTARES_FLAGS and so on: what is an argument of the channel.
_CHANNEL_SETTINGS = ("flags", "timeout", "tries", "ndots", "udp_port", "tcp_port", "servers")
#: And what is an argument of the resolver.
_OWN_SETTINGS = ("system_names", "fallback")

_NO_RECOVERY = (EAI_FAIL, 3)
#: ARES_E...: (EAI_..., h_errno). What is not here is not recoverable.
_CODES = {
    ares.ARES_ENOTFOUND: (EAI_NONAME, 1),
    ares.ARES_ENONAME: (EAI_NONAME, 1),
    ares.ARES_EBADNAME: (EAI_NONAME, 1),
    ares.ARES_EFORMERR: (EAI_NONAME, 3),
    ares.ARES_ENODATA: (EAI_NODATA, 4),
    ares.ARES_EBADRESP: (EAI_AGAIN, 2),
    ares.ARES_ESERVFAIL: (EAI_AGAIN, 2),
    ares.ARES_ETIMEOUT: (EAI_AGAIN, 2),
    ares.ARES_ECONNREFUSED: (EAI_AGAIN, 2),
    ares.ARES_EREFUSED: (EAI_AGAIN, 2),
    ares.ARES_ENOTIMP: (EAI_AGAIN, 2),
    ares.ARES_ECANCELLED: (EAI_AGAIN, 2),
    ares.ARES_EDESTRUCTION: (EAI_AGAIN, 2),
    ares.ARES_ENOMEM: (EAI_MEMORY, 3),
}
#: The answers after which another resolver may know more.
_NOT_FOUND = (ares.ARES_ENOTFOUND, ares.ARES_ENONAME, ares.ARES_ENODATA)

_EAI_TEXTS = {
    EAI_NONAME: "Name or service not known",
    EAI_NODATA: "No address associated with hostname",
    EAI_AGAIN: "Temporary failure in name resolution",
    EAI_FAIL: "Non-recoverable failure in name resolution",
    EAI_MEMORY: "Memory allocation failure",
}
_HERROR_TEXTS = {
    1: "Unknown host",
    2: "Host name lookup failure",
    3: "Unknown server error",
    4: "No address associated with name",
}


class _Failed(Exception):
    """A look-up failed; *code* is c-ares's."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code

    def gaierror(self):
        number = _CODES.get(self.code, _NO_RECOVERY)[0]
        return gaierror(number, _EAI_TEXTS[number])

    def herror(self):
        number = _CODES.get(self.code, _NO_RECOVERY)[1]
        return herror(number, _HERROR_TEXTS[number])


class Resolver(AbstractResolver):
    """Looks names up for the greenlets of *hub*, by default the current thread's, and blocks only the greenlet that asks.

    Arguments for :class:`gevent.ares.channel` may be given by keyword, and these two:

    - *system_names*: domains, as a sequence or separated by commas, whose names are looked up by the system instead, as ``local`` for
      what only multicast DNS knows. ``.`` is all names without a dot.
    - *fallback*: whether the system is asked, too, for what c-ares does not find: it may have it from NIS, LDAP, or another module of
      ``/etc/nsswitch.conf``.

    The system is asked by a resolver of :attr:`system_class`. What is not given comes, with *use_environ*, from the settings, that is,
    ``GEVENTARES_SERVERS``, ``GEVENTARES_TIMEOUT`` and so on, ``GEVENT_RESOLVER_NAMESERVERS`` and ``GEVENT_RESOLVER_TIMEOUT``, which is
    the time for a look-up in all, in seconds.

    It is for the native thread of its hub: RuntimeError elsewhere. gaierror once it is closed.

    .. versionchanged:: 1.1
       Look-ups that are under way in a forked child are made again.
    .. versionchanged:: 26.11.0
       Works on PyPy as it does on CPython. *system_names*, *fallback*.
    """

    #: What asks the name servers.
    ares_class = ares.channel
    #: The same by its other name.
    cares_class = ares.channel
    #: Who is asked for the system's names: a class, or its import path.
    system_class = "gevent.resolver_thread.Resolver"

    _system = None

    def __init__(self, hub=None, use_environ=True, **kwargs):
        self.hub = get_hub() if hub is None else hub
        own = {name: kwargs.pop(name) for name in _OWN_SETTINGS if name in kwargs}
        lookup_timeout = None
        if use_environ:
            _refuse_unknown_variables()
            for name in _CHANNEL_SETTINGS:
                value = getattr(config, f"ares_{name}")
                if value is not None:
                    kwargs.setdefault(name, value)
            if config.resolver_nameservers:
                kwargs.setdefault("servers", config.resolver_nameservers)
            for name in _OWN_SETTINGS:
                own.setdefault(name, getattr(config, f"ares_{name}"))
            lookup_timeout = config.resolver_timeout
        #: The keyword arguments of the channel.
        self.params = kwargs
        self.pid = os.getpid()
        self._lookup_timeout = lookup_timeout
        self._system_names = _domains(own.get("system_names"))
        self._fallback = bool(own.get("fallback"))
        #: The channel.
        self.ares = self._make_channel()
        #: Makes look-ups work in forked children.
        self.fork_watcher = self.hub.loop.fork(ref=False)
        self.fork_watcher.start(_forked, weakref.ref(self))  # a started watcher keeps itself alive; it shall not keep us

    def _make_channel(self):
        theirs = type(self).cares_class
        make = theirs if theirs is not Resolver.cares_class else type(self).ares_class
        channel = make(self.hub.loop, **self.params)
        channel.lookup_timeout = self._lookup_timeout
        return channel

    @property
    def cares(self):
        """:attr:`ares` by its other name."""
        return self.ares

    def __repr__(self):
        return f"<{type(self).__module__}.{type(self).__name__} at {id(self):#x} ares={self.ares!r}>"

    def __del__(self):
        if hasattr(self, "fork_watcher"):
            self.close()

    def close(self):
        """Destroy the channel: look-ups that are out fail, and later ones, with gaierror."""
        self.fork_watcher.close()
        self.ares.destroy()
        if self._system is not None:
            self._system.close()
            self._system = None

    def _on_fork(self):
        """Called in a forked child, where the sockets are the parent's too: go on with sockets of our own."""
        if self.pid == os.getpid():
            return
        self.pid = os.getpid()
        before, self.ares = self.ares, self._make_channel()
        before.destroy()
        if self._system is not None and hasattr(self._system, "_on_fork"):
            self._system._on_fork()

    # -- the five functions

    def getaddrinfo(self, host, port, family=0, socktype=0, proto=0, flags=0):
        """See :func:`socket.getaddrinfo`."""
        name = host.encode(self.HOSTNAME_ENCODING) if isinstance(host, str) else host  # once, instead of in each of the calls below
        rest = (port, family, socktype, proto, flags)
        try:
            return _socket.getaddrinfo(name, *rest[:-1], flags | AI_NUMERICHOST)
        except gaierror as error:
            if error.args[0] != EAI_NONAME or name is None or flags & AI_NUMERICHOST:
                raise
        try:
            return self._find(name, "getaddrinfo", (host, *rest), self._getaddrinfo, name, *rest)
        except _Failed as failed:
            raise failed.gaierror() from None

    def gethostbyname(self, hostname, family=AF_INET):
        """See :func:`socket.gethostbyname`. With *family* AF_INET6, an IPv6 address."""
        if family == AF_INET and hostname in ("", b"", "<broadcast>", b"<broadcast>"):
            return _socket.gethostbyname(hostname if isinstance(hostname, str) else hostname.decode("ascii"))
        return self._by_name("gethostbyname", hostname, family)[2][0]

    def gethostbyname_ex(self, hostname, family=AF_INET):
        """See :func:`socket.gethostbyname_ex`. With *family* AF_INET6, IPv6 addresses."""
        if family == AF_INET and hostname in ("", b"", "<broadcast>", b"<broadcast>"):
            raise _Failed(ares.ARES_ENOTFOUND).herror()  # an address, so far, but not the name of a host
        return self._by_name("gethostbyname_ex", hostname, family)

    def gethostbyaddr(self, ip_address):
        """See :func:`socket.gethostbyaddr`."""
        name = self._checked("gethostbyaddr", ip_address)
        if name == b"":
            return _socket.gethostbyaddr("")  # an error: there are several such addresses
        if name == b"<broadcast>":
            name = b"255.255.255.255"
        # As libc does, and for a numeric address the way to its usual form.
        address = self.getaddrinfo(name, 0, 0, SOCK_STREAM)[0][4][0].encode("ascii")
        try:
            return self._find(None, "gethostbyaddr", (ip_address,), self._gethostbyaddr, address)
        except _Failed as failed:
            raise failed.herror() from None

    def getnameinfo(self, sockaddr, flags):
        """See :func:`socket.getnameinfo`."""
        if flags & NI_NUMERICHOST:
            return _socket.getnameinfo(sockaddr, flags)
        host, service = _socket.getnameinfo(sockaddr, (flags | NI_NUMERICHOST) & ~NI_NAMEREQD)
        usual = (host, *sockaddr[1:])
        try:
            return self._find(
                None, "getnameinfo", (sockaddr, flags), self._getnameinfo, host.encode(), sockaddr[1], usual, flags | NI_NAMEREQD
            )
        except _Failed as failed:
            if failed.code in _NOT_FOUND and not flags & NI_NAMEREQD:
                return host, service
            # glibc makes no difference here between an address without a name and a name without an address.
            raise (_Failed(ares.ARES_ENOTFOUND) if failed.code in _NOT_FOUND else failed).gaierror() from None

    # -- asking

    def _by_name(self, function, hostname, family):
        """What gethostbyname_ex() returns."""
        name = self._checked(function, hostname)
        try:
            found = _socket.getaddrinfo(name, None, family, SOCK_STREAM, 0, AI_NUMERICHOST)
        except gaierror as error:
            if error.args[0] != EAI_NONAME:
                raise
        else:
            return name.decode("latin-1"), [], [found[0][4][0]]
        try:
            if family != AF_INET:  # the system's functions have no such argument
                return self._gethostbyname_ex(name, family)
            found = self._find(name, "gethostbyname_ex", (hostname,), self._gethostbyname_ex, name, family)
        except _Failed as failed:
            raise failed.gaierror() from None
        return found

    def _checked(self, function, name):
        """*name* for the wire; for what cannot be one, the error of the system's own *function*."""
        if not isinstance(name, (str, bytes, bytearray)) or (0 if isinstance(name, (bytes, bytearray)) else "\0") in name:
            getattr(_socket, function)(name)
        return self._hostname_to_bytes(name)

    def _find(self, name, function, arguments, ask, *question):
        """``ask(*question)``, or the system's *function* with its own *arguments* if the answer is the system's.

        That is for a host *name* (None: an address) of its domains, and for what was not found.
        """
        if name is not None and self._system_names and self._is_systems(name):
            return self._ask_system(function, arguments)
        try:
            return ask(*question)
        except _Failed as failed:
            if not (self._fallback and failed.code in _NOT_FOUND):
                raise
        return self._ask_system(function, arguments)

    def _is_systems(self, name):
        name = name.lower().rstrip(b".")
        for domain in self._system_names:
            if domain == b".":
                if b"." not in name:
                    return True
            elif name == domain or name.endswith(b"." + domain):
                return True
        return False

    def _ask_system(self, function, arguments):
        if self._system is None:
            self._system = import_path(self.system_class)(hub=self.hub)
        return getattr(self._system, function)(*arguments)

    def _getaddrinfo(self, host_bytes, port, family, socktype, proto, flags):
        if flags & AI_ADDRCONFIG:
            family = _configured(family)
        return self._ask("getaddrinfo", host_bytes, port, family, socktype, proto, flags)

    def _gethostbyname_ex(self, hostname_bytes, family):
        return tuple(self._ask("gethostbyname", hostname_bytes, family))

    def _gethostbyaddr(self, ip_address_bytes):
        return tuple(self._ask("gethostbyaddr", ip_address_bytes))

    def _getnameinfo(self, address_bytes, port, sockaddr, flags):
        return self._ask("getnameinfo", sockaddr, flags)

    def _ask(self, method, *question):
        """Ask the channel and wait; _Failed if it fails."""
        if get_hub() is not self.hub:
            raise RuntimeError(f"{self!r} belongs to the hub of another native thread; use gevent.get_hub().resolver")
        if self.pid != os.getpid():  # forked without gevent
            self._on_fork()
        if question[0][:1] == b"-":  # glibc refuses such names, which pass for options on command lines
            raise _Failed(ares.ARES_ENOTFOUND)
        while True:
            channel = self.ares
            waiter = Waiter(self.hub)
            getattr(channel, method)(waiter, *question)
            try:
                return waiter.get()
            except gaierror as error:
                if channel is self.ares:
                    raise _Failed(error.args[0]) from None


def _forked(reference):
    resolver = reference()
    if resolver is not None:
        resolver._on_fork()


def _domains(value):
    """Domains as lower-case bytes, from a sequence or a comma separated string; b"." stays what it is."""
    words = value.split(",") if isinstance(value, str) else value or ()
    words = [word.strip().lower() for word in words]
    return tuple(word.strip(".").encode("idna") or b"." for word in words if word)


def _refuse_unknown_variables():
    known = [_PREFIX + name.upper() for name in (*_CHANNEL_SETTINGS, *_OWN_SETTINGS)]
    unknown = sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)
    if unknown:
        raise TypeError(f"there is no setting {', '.join(unknown)}; there are {', '.join(known)}")


def _configured(family):
    """AI_ADDRCONFIG: the *family* to ask for, as this host has IPv4, IPv6 or both; gaierror if it does not have the one asked for.

    libc knows which: it refuses an address of a family that is not configured.
    """
    found = []
    for each, address in ((AF_INET, "0.0.0.0"), (AF_INET6, "::")):
        if family in (0, each):
            try:
                _socket.getaddrinfo(address, 0, each, SOCK_STREAM, 0, AI_ADDRCONFIG | AI_NUMERICHOST)
                found.append(each)
            except gaierror:
                pass
    if not found and family:
        raise _Failed(ares.ARES_ENOTFOUND)
    return found[0] if len(found) == 1 else family
