"""c-ares on gevent's loop: a channel asks name servers, and answers come to callbacks.

Most programs do not need this module but its resolver, :mod:`gevent.resolver_ares`.

How it works. c-ares does the protocol: it sends, receives, sends again after a time-out, tries the next server, follows CNAMEs,
reads ``/etc/hosts`` and ``/etc/resolv.conf``. It waits for nothing: it tells which sockets it wants watched, and when it wants to be
called for its time-outs. A :class:`channel` watches those sockets with io watchers and the time with a timer, which runs, and keeps
the loop running, only while something is out. c-ares never calls Python (see ``_cares/shim.h``): after each call into it, the
channel takes the changed sockets and the answers from two lists, and hands the answers to ``loop.run_callback``. So a callback always
runs in the hub, never before the function that asked has returned, and may do what it likes, destroying the channel included.

c-ares is trusted with the protocol, not with coming to an end: each question has a time after which c-ares must have given up, by its
own settings. A question older than that is answered with ``ARES_ETIMEOUT``, and the c-ares channel behind it is replaced, since
releases have been known to get stuck (the younger questions are asked again on the new one). It is also replaced, while nothing is out,
after a time-out and when ``/etc/resolv.conf`` has changed. And the channel hands c-ares no more
than :attr:`channel.max_queries` questions at a time, so that their answers have room in the receive buffer of a socket and their ids
in 16 bits; further ones wait for their turn.
"""

import encodings.idna  # noqa: F401  the first name would import it, perhaps when no descriptor is left
import weakref
from _socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    AI_ALL,
    AI_CANONNAME,
    AI_NUMERICHOST,
    AI_NUMERICSERV,
    AI_V4MAPPED,
    NI_NAMEREQD,
    NI_NOFQDN,
    NI_NUMERICHOST,
    gaierror,
    getaddrinfo,
    gethostbyaddr,
    gethostbyname_ex,
    gethostname,
    getnameinfo,
    inet_ntop,
    inet_pton,
)
from collections import OrderedDict, deque
from time import monotonic

from gevent._cares._shim import ffi, lib
from gevent._hosts_file import MAPPED_PREFIX, file_state, hosts_file

__all__ = ["InvalidIP", "ares_host_result", "channel", "result", "strerror", "version"]

ARES_SUCCESS = lib.ARES_SUCCESS
ARES_ENODATA = lib.ARES_ENODATA
ARES_EFORMERR = lib.ARES_EFORMERR
ARES_ESERVFAIL = lib.ARES_ESERVFAIL
ARES_ENOTFOUND = lib.ARES_ENOTFOUND
ARES_ENOTIMP = lib.ARES_ENOTIMP
ARES_EREFUSED = lib.ARES_EREFUSED
ARES_EBADQUERY = lib.ARES_EBADQUERY
ARES_EBADNAME = lib.ARES_EBADNAME
ARES_EBADFAMILY = lib.ARES_EBADFAMILY
ARES_EBADRESP = lib.ARES_EBADRESP
ARES_ECONNREFUSED = lib.ARES_ECONNREFUSED
ARES_ETIMEOUT = lib.ARES_ETIMEOUT
ARES_EOF = lib.ARES_EOF
ARES_EFILE = lib.ARES_EFILE
ARES_ENOMEM = lib.ARES_ENOMEM
ARES_EDESTRUCTION = lib.ARES_EDESTRUCTION
ARES_EBADSTR = lib.ARES_EBADSTR
ARES_EBADFLAGS = lib.ARES_EBADFLAGS
ARES_ENONAME = lib.ARES_ENONAME
ARES_EBADHINTS = lib.ARES_EBADHINTS
ARES_ENOTINITIALIZED = lib.ARES_ENOTINITIALIZED
ARES_ELOADIPHLPAPI = lib.ARES_ELOADIPHLPAPI
ARES_EADDRGETNETWORKPARAMS = lib.ARES_EADDRGETNETWORKPARAMS
ARES_ECANCELLED = lib.ARES_ECANCELLED
ARES_ESERVICE = lib.ARES_ESERVICE

ARES_FLAG_USEVC = lib.ARES_FLAG_USEVC
ARES_FLAG_PRIMARY = lib.ARES_FLAG_PRIMARY
ARES_FLAG_IGNTC = lib.ARES_FLAG_IGNTC
ARES_FLAG_NORECURSE = lib.ARES_FLAG_NORECURSE
ARES_FLAG_STAYOPEN = lib.ARES_FLAG_STAYOPEN
ARES_FLAG_NOSEARCH = lib.ARES_FLAG_NOSEARCH
ARES_FLAG_NOALIASES = lib.ARES_FLAG_NOALIASES
ARES_FLAG_NOCHECKRESP = lib.ARES_FLAG_NOCHECKRESP

_RESOLV_CONF = "/etc/resolv.conf"
_READ, _WRITE = 1, 2

#: Seconds between two looks at the time-outs: a quarter of the first of them, within these.
_SHORTEST_TICK = 0.005
_LONGEST_TICK = 0.25
#: Seconds that c-ares may be late: a busy loop calls it late, too.
_LATENESS = 2.0
#: How often a question is asked again whose answer could not be read. It may have been anything: c-ares from 1.20 on ends all questions
#: of a socket, after their tries, for a datagram that is no answer.
_RETRIES = 2

if lib.ares_library_init(lib.ARES_LIB_INIT_ALL) != ARES_SUCCESS:
    raise ImportError("c-ares could not be initialized")


def version():
    """The version of c-ares that is in use, as text: ``"1.34.9"``.

    .. versionadded:: 26.11.0
    """
    return ffi.string(lib.ares_version(ffi.NULL)).decode("ascii")


def strerror(code):
    """What the ARES_E... number *code* means, as text."""
    return ffi.string(lib.ares_strerror(code)).decode("ascii", "replace")


class InvalidIP(ValueError):
    """Text that should have been an IP address, and is none."""


class ares_host_result(tuple):
    """``(name, aliases, addresses)`` of a host, with the :attr:`family` of the addresses. It can be pickled."""

    def __new__(cls, family, iterable):
        self = tuple.__new__(cls, iterable)
        self.family = family
        return self

    def __getnewargs__(self):
        return self.family, tuple(self)


class result:
    """What a callback of :class:`channel` gets: a :attr:`value`, or an :attr:`exception`."""

    __slots__ = ("exception", "value")

    def __init__(self, value=None, exception=None):
        self.value = value
        self.exception = exception

    def __repr__(self):
        if self.exception is None:
            return f"{type(self).__name__}({self.value!r})"
        return f"{type(self).__name__}(exception={self.exception!r})"

    def successful(self):
        """Whether there is a value."""
        return self.exception is None

    def get(self):
        """The value; raises the exception if there is one instead."""
        if self.exception is not None:
            raise self.exception
        return self.value


def _failure(code):
    return gaierror(code, strerror(code))


def _check_status(code):
    if code != ARES_SUCCESS:
        raise _failure(code)


# -- Arguments -----------------------------------------------------------------------------------------------------------------


def _number(name, value, bit, parse=int, factor=1):
    """(*bit*, number for c-ares) of an argument of :class:`channel`, or (0, 0) if it is not given."""
    if value is None:
        return 0, 0
    try:
        number = round(parse(value) * factor)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} must be a number, not {value!r}") from None
    highest = 65535 if name.endswith("port") else 2**31 - 1
    if not 0 <= number <= highest:
        raise ValueError(f"{name} must be within 0 and {highest // factor}, not {value!r}")
    return bit, number


def _text(value, what):
    if isinstance(value, (bytes, bytearray)):
        return value.decode("latin-1")
    if isinstance(value, str):
        return value
    raise TypeError(f"{what} must be text or bytes, not {value!r}")


def _address(text):
    """(family, packed address) of an IP address, which may have a scope; of the IPv4 one where it is IPv4 as IPv6."""
    bare = _text(text, "an IP address").partition("%")[0]
    family = AF_INET6 if ":" in bare else AF_INET
    try:
        # PyPy's inet_pton() stops reading at a NUL.
        packed = inet_pton(family, bare if "\0" not in bare else "")
    except (OSError, ValueError):  # ValueError: a surrogate
        raise InvalidIP(f"{text!r} is not an IP address") from None
    if packed.startswith(MAPPED_PREFIX) and family == AF_INET6:
        return AF_INET, packed[len(MAPPED_PREFIX) :]
    return family, packed


def _server_list(servers):
    """The addresses of name servers, and their ports, in c-ares's notation."""
    if isinstance(servers, (str, bytes)):
        servers = _text(servers, "servers").split(",")
    listed = []
    for each in servers:
        server = _text(each, "a name server's address").strip()
        if server.startswith("["):
            host, closed, port = server[1:].partition("]")
            if not closed or (port and not port.startswith(":")):
                raise InvalidIP(f"{each!r} is not [address]:port")
            port = port[1:] if port else None
        elif server.count(":") == 1:
            host, _, port = server.partition(":")
        else:
            host, port = server, None
        _address(host)
        if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise InvalidIP(f"{each!r} is not an IP address and a port number")
        if port is not None:
            host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        listed.append(host)
    return ",".join(listed).encode("ascii")


def _encode(name):
    """A host name for the wire. UnicodeError for text that cannot be one, ValueError for a NUL, at which c-ares would stop reading."""
    if isinstance(name, str):
        name = name.encode("idna")
    elif not isinstance(name, (bytes, bytearray)):
        raise TypeError(f"a host name must be str, bytes or bytearray, not {name!r}")
    if b"\0" in name:
        raise ValueError(f"embedded null character in the host name {name!r}")
    return bytes(name)


# -- libc's answers ------------------------------------------------------------------------------------------------------------


def _host_by_name(name):
    # As text where that is the same: PyPy's function takes no bytes.
    return ares_host_result(AF_INET, gethostbyname_ex(name.decode("ascii") if name.isascii() else name))


def _host_by_address(family, packed):
    return ares_host_result(family, gethostbyaddr(inet_ntop(family, packed)))


# -- Answers -------------------------------------------------------------------------------------------------------------------


def _canonical(names):
    """(canonical name, aliases) from what the shim writes: one name, or alias and name for each CNAME; twice when asked twice."""
    if len(names) == 1:
        return names[0], []
    aliases = list(dict.fromkeys(filter(None, names[::2])))
    return next((name for name in names[1::2] if name not in aliases), names[-1]), aliases


def _pointed(names):
    """(name, aliases) of an address. c-ares makes the last of its PTR records the name, and all of them aliases; libc knows the first."""
    if names[0] in names[1:]:
        return names[1], []
    return names[0], names[1:]


def _without_domain(name):
    """*name* without this host's own domain: NI_NOFQDN."""
    domain = gethostname().partition(".")[2]
    return name[: -len(domain) - 1] if domain and name.endswith(f".{domain}") else name


def _only(addresses, family):
    """The *addresses* of one *family*. gaierror if there is none."""
    wanted = family == AF_INET6
    found = [address for address in addresses if (":" in address) == wanted]
    if not found:
        raise _failure(ARES_ENODATA)
    return found


def _mapped(addresses, all_of_them):
    """The IPv6 ones of the *addresses*; for lack of them, or with *all_of_them*, the IPv4 ones as IPv6: AI_V4MAPPED, AI_ALL."""
    found = [address for address in addresses if ":" in address]
    if all_of_them or not found:
        found = [address if ":" in address else f"::ffff:{address}" for address in addresses]
    if not found:
        raise _failure(ARES_ENODATA)
    return found


class _Question:
    """One thing to find out: how to ask c-ares, and how to make a value of the names and addresses it answers, or of its failure."""

    __slots__ = ("_arguments", "_ask", "asked", "begun", "callback", "convert", "rescue", "retries")

    def __init__(self, callback, convert, ask, *arguments, rescue=None):
        self.callback = callback
        self.convert = convert
        self.rescue = rescue
        self.begun = monotonic()
        self.asked = None
        self.retries = _RETRIES
        self._ask = ask
        self._arguments = arguments

    def ask(self, handle, number):
        self.asked = monotonic()
        return self._ask(handle, number, *self._arguments)

    def answer(self, status, text, names):
        """The :class:`result` of c-ares's answer."""
        try:
            if status == ARES_SUCCESS:
                strings = text.split("\0")
                return result(self.convert(strings[:names], strings[names:]))
            if self.rescue is not None:
                return result(self.rescue(status))
            return result(exception=_failure(status))
        except Exception as error:
            return result(exception=error)


class channel:
    """Asks name servers on *loop*, which it belongs to as all watchers do: it is for the native thread that runs the loop.

    Without further arguments, c-ares is set up by ``/etc/resolv.conf``. The others, which may be numbers in text: *flags*, the sum of
    some ``ARES_FLAG_*``; *timeout*, the seconds to wait for a server at first; *tries*, how often each is asked; *ndots*, with how many
    dots a name is tried as it is before the search domains; *udp_port* and *tcp_port* of the servers; *servers*, see
    :meth:`set_servers`. ValueError or TypeError for other values.

    Functions that ask return at once; *callback* is called in the hub with a :class:`result`. Its exception is a
    :class:`socket.gaierror` with a number ``ARES_E...``. They raise ``gaierror(ARES_EDESTRUCTION)`` once the channel is destroyed.
    """

    #: How many questions c-ares is to have at a time. Others wait.
    max_queries = 1000
    #: The loop.
    loop = None
    #: Seconds that a question may take, its wait for a turn included; None: as long as c-ares tries, by its settings.
    lookup_timeout = None

    def __init__(self, loop, flags=None, timeout=None, tries=None, ndots=None, udp_port=None, tcp_port=None, servers=None):
        self.loop = loop
        self._handle = None
        self._numbers = 0
        self._out = OrderedDict()  # number: question, of those that c-ares has; the oldest first
        self._waiting = deque()  # questions that wait for their turn
        self._watchers = {}  # descriptor: io watcher
        self._depth = 0
        self._closing = False
        self._silent = False  # whether the last thing heard of the name servers was nothing
        self._set_up = (
            _number("flags", flags, lib.ARES_OPT_FLAGS),
            _number("timeout", timeout, lib.ARES_OPT_TIMEOUTMS, float, 1000),
            _number("tries", tries, lib.ARES_OPT_TRIES),
            _number("ndots", ndots, lib.ARES_OPT_NDOTS),
            _number("udp_port", udp_port, lib.ARES_OPT_UDP_PORT),
            _number("tcp_port", tcp_port, lib.ARES_OPT_TCP_PORT),
        )
        self._servers = None if servers is None else _server_list(servers)
        self._timer = None
        self._adopt(self._open())

    def _open(self):
        """A new channel of c-ares, set up as ours; gaierror where that fails."""
        self._configured = file_state(_RESOLV_CONF)
        status = ffi.new("int *")
        mask = sum(bit for bit, _ in self._set_up)
        handle = lib.gv_open(mask, *(value for _, value in self._set_up), status)
        if handle == ffi.NULL:
            raise _failure(status[0])
        handle = ffi.gc(handle, lib.gv_free)
        if self._servers:
            _check_status(lib.gv_set_servers(handle, self._servers))
        return handle

    def _adopt(self, handle):
        """Work with the *handle* that :meth:`_open` made, and with its time-outs."""
        first, bound = ffi.new("double *"), ffi.new("double *")
        _check_status(lib.gv_limits(handle, first, bound))
        self._handle = handle
        self._patience = bound[0] + _LATENESS
        tick = min(max(first[0] / 4, _SHORTEST_TICK), _LONGEST_TICK)
        if self._timer is not None:
            self._timer.close()
        self._timer = self.loop.timer(tick, tick)

    def __repr__(self):
        if self._handle is None:
            return f"<{type(self).__name__} at {id(self):#x} destroyed>"
        waiting = f", {len(self._waiting)} waiting" if self._waiting else ""
        return f"<{type(self).__name__} at {id(self):#x} {len(self._out)} out{waiting} sockets={sorted(self._watchers)}>"

    def __del__(self):
        if getattr(self, "_handle", None) is not None:
            self.destroy()

    def _check(self, callback=None):
        if callback is not None and not callable(callback):
            raise TypeError(f"the callback must be callable, not {callback!r}")
        if self._handle is None or self._closing:
            raise gaierror(ARES_EDESTRUCTION, "this ares channel has been destroyed")

    # -- setting up and ending

    def destroy(self):
        """Close all sockets and answer whatever is out with ``gaierror(ARES_EDESTRUCTION)``. Does nothing the second time."""
        if self._depth:  # called by a signal handler, say, from within one of our calls into c-ares
            self._closing = True
            return
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        lib.gv_close(handle)
        self._take_answers(handle)
        waiting, self._waiting = self._waiting, deque()
        for question in (*self._out.values(), *waiting):
            self._deliver(question, ARES_EDESTRUCTION)
        self._out.clear()
        self._forget_sockets()
        self._timer.close()

    def set_servers(self, servers=None):
        """Ask these *servers* from now on: a sequence of IP addresses, or a comma separated string of them; none: leave it as it is.

        InvalidIP for what is not an address. An address may have a port: ``"192.0.2.1:5353"``, ``"[2001:db8::1]:5353"``; without one, the
        channel's ports hold.

        .. versionchanged:: 26.11.0
           Ports.
        """
        self._check()
        if servers:
            listed = _server_list(servers)
            _check_status(lib.gv_set_servers(self._handle, listed))
            self._servers = listed
            self._settle()

    # -- asking

    def gethostbyname(self, callback, name, family=AF_INET):
        """Find out the :class:`ares_host_result` of a host *name*."""
        self._check(callback)

        name = _encode(name)
        if family == AF_INET and hosts_file.has_name(name, family) and self._libc_answers(callback, _host_by_name, name):
            return

        def convert(names, addresses):
            known, aliases = _canonical(names)
            return ares_host_result(family, (known, aliases, _only(addresses, family)))

        flags = lib.ARES_AI_CANONNAME | lib.ARES_AI_NOSORT
        self._submit(_Question(callback, convert, lib.gv_getaddrinfo, name, family, flags))

    def getaddrinfo(self, callback, name, service, family=0, type=0, proto=0, flags=0):
        """Find out the (family, type, proto, canonname, sockaddr) tuples of a host *name* and a *service*, as the system orders them.

        The *flags* are those of :func:`socket.getaddrinfo`. *service* may be a port number, or a name that the system knows: gaierror
        at once if it does not, with the :mod:`socket` module's number.

        .. versionadded:: 26.11.0
        """
        self._check(callback)
        name = _encode(name)
        question = name, service, family, type, proto, flags
        if hosts_file.has_name(name, 0 if flags & AI_V4MAPPED else family) and self._libc_answers(callback, getaddrinfo, *question):
            return
        # The types and ports for each address are the system's for any address, and so are the errors.
        kinds = [
            (kind, protocol, address[1])
            for _, kind, protocol, _, address in getaddrinfo(
                "0.0.0.0", service, AF_INET, type, proto, AI_NUMERICHOST | (flags & AI_NUMERICSERV)
            )
        ]
        mapped = family == AF_INET6 and flags & AI_V4MAPPED

        def convert(names, addresses):
            if mapped:
                addresses = _mapped(addresses, flags & AI_ALL)
            elif family:
                addresses = _only(addresses, family)
            known = _canonical(names)[0] if flags & AI_CANONNAME else ""
            found = []
            for address in addresses:
                if ":" in address:
                    found += [(AF_INET6, kind, protocol, "", (address, port, 0, 0)) for kind, protocol, port in kinds]
                else:
                    found += [(AF_INET, kind, protocol, "", (address, port)) for kind, protocol, port in kinds]
            if known and found:
                found[0] = (*found[0][:3], known, found[0][4])
            return found

        wanted = AF_UNSPEC if mapped else family
        self._submit(_Question(callback, convert, lib.gv_getaddrinfo, name, wanted, lib.ARES_AI_CANONNAME))

    def gethostbyaddr(self, callback, addr):
        """Find out the :class:`ares_host_result` of an IP address. InvalidIP at once if *addr* is none."""
        self._check(callback)
        family, packed = _address(addr)
        if hosts_file.has_address(packed) and self._libc_answers(callback, _host_by_address, family, packed):
            return

        def convert(names, addresses):
            name, aliases = _pointed(names)
            return ares_host_result(family, (name, aliases, [inet_ntop(family, packed)]))

        self._submit(_Question(callback, convert, lib.gv_getnames, family, packed))

    def getnameinfo(self, callback, sockaddr, flags):
        """Find out the (host, service) of an address tuple; *flags* are the ``NI_*`` of :func:`socket.getnameinfo`.

        InvalidIP at once if its host is no IP address, and the error of the :mod:`socket` module for a tuple that is no address
        otherwise. A host without a name is its number, but with NI_NAMEREQD.
        """
        self._check(callback)
        if not isinstance(sockaddr, tuple) or not sockaddr:
            raise TypeError(f"getnameinfo() takes an address tuple, not {sockaddr!r}")
        family, packed = _address(sockaddr[0])
        if hosts_file.has_address(packed) and self._libc_answers(callback, getnameinfo, sockaddr, flags):
            return
        number, service = getnameinfo(sockaddr, (flags | NI_NUMERICHOST) & ~NI_NAMEREQD)

        def convert(names, addresses):
            name = _pointed(names)[0]
            if flags & NI_NOFQDN:
                name = _without_domain(name)
            return name, service

        def rescue(status):
            if status in (ARES_ENOTFOUND, ARES_ENODATA) and not flags & NI_NAMEREQD:
                return number, service
            raise _failure(status)

        self._submit(_Question(callback, convert, lib.gv_getnames, family, packed, rescue=rescue))

    # -- between c-ares and the loop

    def _libc_answers(self, callback, ask, *arguments):
        """Answer with ``ask(*arguments)``, about somebody in the hosts file, so that libc asks nobody. False if it does not know."""
        try:
            answer = result(ask(*arguments))
        except (OSError, UnicodeError):
            return False
        self.loop.run_callback(callback, answer)
        return True

    def _submit(self, question):
        if self._waiting or len(self._out) >= self.max_queries:
            self._waiting.append(question)
            return
        if not self._out and not self._servers and file_state(_RESOLV_CONF) != self._configured:
            self._replace()
        self._ask(question)
        self._settle()

    def _ask(self, question):
        self._numbers += 1
        number = self._numbers
        self._out[number] = question
        self._depth += 1
        try:
            had_memory = question.ask(self._handle, number)
        finally:
            self._depth -= 1
        if not had_memory:
            self._deliver(self._out.pop(number), ARES_ENOMEM)

    def _process(self, read_fd, write_fd):
        self._depth += 1
        try:
            lib.gv_process(self._handle, read_fd, write_fd)
        finally:
            self._depth -= 1
        self._settle()

    def _settle(self):
        """Take from c-ares what there is: answers, then sockets; ask what waits; keep the timer running while something is out."""
        self._take_answers(self._handle)
        while self._waiting and len(self._out) < self.max_queries:
            self._ask(self._waiting.popleft())
            self._take_answers(self._handle)
        self._take_changes()
        if self._closing:
            self.destroy()
        elif not self._out:
            self._timer.stop()
            if self._silent:
                self._silent = False
                self._replace()
        elif not self._timer.active:
            self._timer.start(self._tick)

    def _tick(self):
        """Look at the time-outs: at ours first, then let c-ares look at its own."""
        now = monotonic()
        if self.lookup_timeout is not None:
            self._end(lambda question: now - question.begun >= self.lookup_timeout)
        if self._end(lambda question: question.asked is not None and now - question.asked > self._patience):
            self._replace()
        self._process(-1, -1)

    def _end(self, too_old):
        """Answer the oldest questions, as long as they are *too_old*, with a time-out; returns whether there was one."""
        ended = False
        while self._out and too_old(next(iter(self._out.values()))):
            self._deliver(self._out.popitem(last=False)[1], ARES_ETIMEOUT)
            ended = True
        while self._waiting and too_old(self._waiting[0]):
            self._deliver(self._waiting.popleft(), ARES_ETIMEOUT)
            ended = True
        return ended

    def _replace(self):
        """Go on with a new channel of c-ares, and put the questions that are out to it."""
        try:
            fresh = self._open()
        except gaierror:
            return  # no memory, or no descriptor left for reading /etc/resolv.conf: it is tried again when the next one is too old
        stuck, out = self._handle, self._out
        self._out = OrderedDict()  # so that nobody is told what the old one says at its end
        lib.gv_close(stuck)
        self._forget_sockets()
        self._adopt(fresh)
        for question in out.values():
            self._ask(question)

    def _forget_sockets(self):
        for watcher in self._watchers.values():
            watcher.close()
        self._watchers.clear()

    def _take_answers(self, handle):
        while True:
            answer = lib.gv_take_answer(handle)
            if answer == ffi.NULL:
                return
            question = self._out.pop(answer.request, None)
            self._silent = answer.status == ARES_ETIMEOUT
            if question is not None and answer.status == ARES_EBADRESP and question.retries:
                question.retries -= 1
                self._waiting.append(question)
            elif question is not None:
                text = ffi.unpack(answer.text, answer.size).decode("latin-1") if answer.size else ""
                self._deliver(question, answer.status, text, answer.names)
            lib.gv_free_answer(answer)

    def _deliver(self, question, status, text="", names=0):
        try:
            self.loop.run_callback(question.callback, question.answer(status, text, names))
        except ValueError:
            pass  # the loop has been destroyed, and with it whoever waited

    def _take_changes(self):
        handle = self._handle
        if not handle.n_changes:
            return
        wanted = {}
        for position in range(handle.n_changes):
            change = handle.changes[position]
            fd, events = change.fd, change.events
            if events:
                wanted[fd] = events
            else:
                # It is closed by now. What follows with the same number is another socket.
                wanted.pop(fd, None)
                self._unwatch(fd)
        handle.n_changes = 0
        for fd, events in wanted.items():
            watcher = self._watchers.get(fd)
            if watcher is None or watcher.events != events:
                self._unwatch(fd)
                watcher = self._watchers[fd] = self.loop.io(fd, events, ref=False)
                # A started watcher keeps itself alive; it shall not keep us.
                watcher.start(_on_event, weakref.ref(self), fd, pass_events=True)

    def _unwatch(self, fd):
        watcher = self._watchers.pop(fd, None)
        if watcher is not None:
            watcher.close()


def _on_event(events, reference, fd):
    self = reference()
    if self is not None and self._handle is not None:
        self._process(fd if events & _READ else -1, fd if events & _WRITE else -1)
