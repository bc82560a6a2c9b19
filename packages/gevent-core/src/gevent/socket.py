"""The standard :mod:`socket` module for greenlets: what blocks there lets other greenlets run here.

Everything the standard module has is here under the same name, with the same arguments, results and exceptions. Constants, errors
and functions that never wait are the standard ones themselves. Beside them there are a few functions to wait for descriptors of
other libraries:

    >>> from gevent import socket
    >>> here, there = socket.socketpair()
    >>> here.sendall(b"ping")
    >>> socket.wait_read(there.fileno(), timeout=1)
    >>> there.recv(10)
    b'ping'
    >>> here.close(); there.close()

How it works: :mod:`gevent._socket_base` has the calls that programs make all the time. Here is the rest of the class, and the module's
functions. Names are looked up by the hub's resolver. Sockets are always non-blocking for the kernel; :attr:`socket.timeout` says
how long a call may keep its greenlet waiting.
"""

import _socket
import io
import os
import socket as _stdlib
import sys
from errno import EAGAIN, EALREADY, EBADF, EINPROGRESS, EINVAL, EISCONN, EWOULDBLOCK  # noqa: F401  as in gevent 1.1
from os import strerror  # noqa: F401  as in gevent 1.1
from socket import *  # noqa: F403  what the running interpreter has, whatever that is
from socket import AF_INET, AF_INET6, SOCK_STREAM, SOL_SOCKET, AddressFamily, SocketIO, SocketKind, error, has_ipv6, timeout

from gevent._originals import is_patched
from gevent._socket_base import SocketBase, closed_elsewhere, timeout_default  # noqa: F401
from gevent._switching import get_hub, get_loop
from gevent.exceptions import ConcurrentObjectUseError
from gevent.timeout import Timeout

#: What replaces the standard module's, here and when that is patched.
__implements__ = [
    "create_connection",
    "create_server",
    "socket",
    "SocketType",
    "fromfd",
    "socketpair",
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_ex",
    "gethostbyaddr",
    "getnameinfo",
    "getfqdn",
]

#: Those of them that look up names.
__dns__ = ["getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo", "getfqdn"]

#: What the standard module does not have.
__extensions__ = ["cancel_wait", "wait_read", "wait_write", "wait_readwrite"]

#: What is the standard module's own.
__imports__ = [name for name in _stdlib.__all__ if name not in __implements__ and hasattr(_stdlib, name)]

__all__ = [*__implements__, *__extensions__, *__imports__]

_READ = 1
_WRITE = 2

_UNSET = object()
_GLOBAL_DEFAULT = getattr(_stdlib, "_GLOBAL_DEFAULT_TIMEOUT", _UNSET)  # by identity, as http.client passes it on

#: sendfile(2) cannot do it: the standard module's own exception, where it has one.
_GiveUp = getattr(_stdlib, "_GiveupOnSendfile", None) or type("_GiveUp", (Exception,), {})

_FAMILIES = {int(each): each for each in AddressFamily}
_KINDS = {int(each): each for each in SocketKind}

#: What :func:`cancel_wait` raises by default.
cancel_wait_ex = closed_elsewhere()


# ---- Waiting for descriptors -------------------------------------------------------------------------------------------------


def wait(io=None, timeout=None, timeout_exc=_UNSET, hub=None, *, watcher=None):
    """Wait until the watcher *io*, made by the loop and not started, has an event. *watcher* is another name of *io*.

    After *timeout* seconds *timeout_exc* is raised, by default :class:`timeout`. ConcurrentObjectUseError if another greenlet waits
    for that watcher already.

    .. versionchanged:: 26.11.0
       The name *watcher*.
    """
    if (io is None) == (watcher is None):
        raise TypeError(f"wait() takes one watcher, as io or as watcher, not {io!r} and {watcher!r}")
    if io is None:
        io = watcher
    if io.callback is not None:
        raise ConcurrentObjectUseError(f"{io!r} is already being waited on; use one watcher for each greenlet")
    if hub is None:
        hub = get_hub()
    if timeout is None:
        hub.wait(io)
        return
    limit = Timeout.start_new(timeout, _timed_out() if timeout_exc is _UNSET else timeout_exc)
    try:
        hub.wait(io)
    finally:
        limit.cancel()


def _timed_out():
    return timeout("timed out")


def _raise_timeout(seconds, exception):
    if exception is _UNSET:
        raise _timed_out()
    if exception is None or exception is False:
        raise Timeout(seconds)
    raise exception


def wait_read(fileno, timeout=None, timeout_exc=_UNSET):
    """Wait until a read from the descriptor would not block.

    After *timeout* seconds *timeout_exc* is raised, by default :class:`timeout`; None stands for a :class:`gevent.Timeout`.
    """
    if not get_loop().wait_fd(fileno, _READ, timeout):
        _raise_timeout(timeout, timeout_exc)


def wait_write(fileno, timeout=None, timeout_exc=_UNSET, event=_UNSET):
    """Wait until a write to the descriptor would not block; else as :func:`wait_read`. *event* is ignored, as in gevent 1.1."""
    if not get_loop().wait_fd(fileno, _WRITE, timeout):
        _raise_timeout(timeout, timeout_exc)


def wait_readwrite(fileno, timeout=None, timeout_exc=_UNSET, event=_UNSET):
    """Wait until a read or a write would not block; else as :func:`wait_read`. *event* is ignored, as in gevent 1.1."""
    if not get_loop().wait_fd(fileno, _READ | _WRITE, timeout):
        _raise_timeout(timeout, timeout_exc)


def cancel_wait(watcher, error=cancel_wait_ex):
    """Raise *error*, by default an OSError with EBADF, in the greenlet that is in :func:`wait` for *watcher*; soon, not at once."""
    get_hub().cancel_wait(watcher, closed_elsewhere() if error is cancel_wait_ex else error)


# ---- Names -------------------------------------------------------------------------------------------------------------------


class BlockingResolver:
    """Looks up names with the system's functions, which block the whole native thread. ``GEVENT_RESOLVER=block`` selects it."""

    def __init__(self, hub=None):
        """*hub* is ignored."""

    def close(self):
        """Nothing is to be closed."""

    gethostbyname = staticmethod(_socket.gethostbyname)
    gethostbyname_ex = staticmethod(_socket.gethostbyname_ex)
    getaddrinfo = staticmethod(_socket.getaddrinfo)
    gethostbyaddr = staticmethod(_socket.gethostbyaddr)
    getnameinfo = staticmethod(_socket.getnameinfo)


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    """The addresses of *host* and *port*, as (family, type, proto, canonname, sockaddr) tuples; see :func:`socket.getaddrinfo`."""
    return [
        (_FAMILIES.get(each[0], each[0]), _KINDS.get(each[1], each[1]), *each[2:])
        for each in get_hub().resolver.getaddrinfo(host, port, family, type, proto, flags)
    ]


def gethostbyname(hostname):
    """The IPv4 address of *hostname*, as text."""
    return get_hub().resolver.gethostbyname(hostname)


def gethostbyname_ex(hostname):
    """(canonical name, aliases, IPv4 addresses) of *hostname*."""
    return get_hub().resolver.gethostbyname_ex(hostname)


def gethostbyaddr(ip_address):
    """(canonical name, aliases, addresses) of a host given by address."""
    return get_hub().resolver.gethostbyaddr(ip_address)


def getnameinfo(sockaddr, flags):
    """(host, service) of an address; *flags* are NI_* bits. TypeError unless *sockaddr* is a tuple."""
    if not isinstance(sockaddr, tuple):
        # A mistake is no business of the resolver's threads. The error keeps this frame, and is not to keep the argument.
        kind = type(sockaddr).__name__
        del sockaddr
        raise TypeError(f"getnameinfo() argument 1 must be a tuple, not {kind}")
    return get_hub().resolver.getnameinfo(sockaddr, flags)


def getfqdn(name=""):
    """The fully qualified name of a host, by default this one; *name* itself if nobody knows a better one."""
    name = name.strip()
    if not name or name in ("0.0.0.0", "::"):
        name = _socket.gethostname()
    try:
        hostname, aliases, _addresses = gethostbyaddr(name)
    except error:
        return name
    return next((each for each in (hostname, *aliases) if "." in each), hostname)


# ---- The class ---------------------------------------------------------------------------------------------------------------


class socket(SocketBase):
    """A socket whose calls block the calling greenlet only. It has all methods of the standard :class:`socket.socket`.

    Without *fileno* a new socket is made; with it, that descriptor is taken over, and made non-blocking. Its calls wait for at most
    :attr:`timeout` seconds. One greenlet can wait for each direction at a time, a second one gets ConcurrentObjectUseError. A socket
    belongs to the native thread that waits on it; only :meth:`close` may be called in another one.

    .. versionchanged:: 26.11.0
       A reader that waits while :meth:`shutdown` is called gets the end of the stream, as with threads, not an error.
    """

    __slots__ = ()

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        self._open(family, type, proto, fileno)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if not self._closed:
            self.close()

    def __repr__(self):
        cls = type(self)
        closed = " [closed]" if self._closed else ""
        # !s, because that is what the standard one shows of an enum: a name before Python 3.11, a number since.
        text = (
            f"<{cls.__module__}.{cls.__qualname__}{closed} fd={self.fileno()}, family={self.family!s}, type={self.type!s},"
            f" proto={self.proto}"
        )
        if self.fileno() != -1:
            for name, get in (("laddr", self.getsockname), ("raddr", self.getpeername)):
                try:
                    address = get()
                except (error, AttributeError):
                    continue
                if address:
                    text += f", {name}={address}"
        return text + ">"

    def __reduce_ex__(self, protocol):
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    # -- connections

    def accept(self):
        """Wait for a connection; returns (a new socket, the address of the other side). Raises :class:`timeout` as usual."""
        return self._accept(socket)

    def bind(self, address, /):
        """Give the socket *address*. A host name is looked up by the system, blocking everything."""
        self._sock.bind(address)

    def listen(self, *backlog):
        """Accept connections; *backlog* of them, by default as many as the system thinks best, wait to be accepted."""
        self._sock.listen(*backlog)

    def _resolve(self, address):
        """*address* with a numeric host, looked up by the hub's resolver if it was a name."""
        if self.family not in (AF_INET, AF_INET6) or not isinstance(address, tuple) or len(address) < 2:
            return address
        host = address[0]
        if not isinstance(host, (str, bytes, bytearray)) or host in ("", "<broadcast>", b"", b"<broadcast>"):
            return address
        if isinstance(host, str):
            try:
                _socket.inet_pton(self.family, host)
                return address  # it is numeric already
            except (OSError, ValueError):
                pass
        found = getaddrinfo(host, None, self.family)[0][4]
        if len(found) == 4 and found[3] and len(address) < 4:
            return (found[0], address[1], address[2] if len(address) > 2 else 0, found[3])
        return (found[0], *address[1:])

    # -- receiving and sending, the rarer ways

    def recvfrom_into(self, buffer, nbytes=0, flags=0):
        """As :meth:`recv_into`, with the address it came from: (number of bytes, address)."""
        return self._receive_by(flags, self._sock.recvfrom_into, buffer, nbytes, flags)

    def recvmsg(self, bufsize, ancbufsize=0, flags=0, /):
        """Receive *bufsize* bytes and *ancbufsize* bytes of ancillary data at most: (data, ancillary data, flags, address)."""
        return self._receive_by(flags, self._sock.recvmsg, bufsize, ancbufsize, flags)

    def recvmsg_into(self, buffers, ancbufsize=0, flags=0, /):
        """As :meth:`recvmsg`, into several buffers: (number of bytes, ancillary data, flags, address)."""
        return self._receive_by(flags, self._sock.recvmsg_into, list(buffers), ancbufsize, flags)

    def _receive_by(self, flags, function, *args):
        if flags & _stdlib.MSG_DONTWAIT:
            return function(*args)
        return self._until_ready(_READ, function, *args)

    if hasattr(_socket.socket, "sendmsg_afalg"):

        def sendmsg_afalg(self, *args, **kwargs):
            """Ask the kernel's cryptography, on a socket of the family AF_ALG; see :meth:`socket.socket.sendmsg_afalg`."""
            return self._until_ready(_WRITE, lambda: self._sock.sendmsg_afalg(*args, **kwargs))

    def sendfile(self, file, offset=0, count=None):
        """Send a regular file opened in binary mode, from *offset* to its end, or *count* bytes; returns how many were sent.

        The kernel copies where it can (sendfile(2)). The file's position is moved to behind what was sent, also after an error. Each
        wait is limited by :attr:`timeout`. ValueError for a non-blocking socket, one that is no stream, and a text file.
        """
        try:
            return self._sendfile_use_sendfile(file, offset, count)
        except _GiveUp:
            return self._sendfile_use_send(file, offset, count)

    def _check_sendfile_params(self, file, offset, count):
        if "b" not in getattr(file, "mode", "b"):
            raise ValueError("file should be opened in binary mode")
        if self.type != SOCK_STREAM:
            raise ValueError("only SOCK_STREAM type sockets are supported")
        if count is not None:
            if not isinstance(count, int):
                raise TypeError(f"count must be a positive integer (got {count!r})")
            if count <= 0:
                raise ValueError(f"count must be a positive integer (got {count!r})")
        if self.timeout == 0:
            raise ValueError("non-blocking sockets are not supported")

    def _sendfile_use_sendfile(self, file, offset=0, count=None):
        """Send by sendfile(2). Raises _GiveUp, nothing having been sent, if the kernel cannot do that."""
        self._check_sendfile_params(file, offset, count)
        try:
            fileno = file.fileno()
            size = os.fstat(fileno).st_size
        except (AttributeError, io.UnsupportedOperation, OSError) as failure:
            raise _GiveUp(failure) from None  # not a regular file
        if not size:
            return 0
        total = 0
        try:
            while count is None or total < count:
                # More than 1 GiB at a time does not fit everywhere.
                part = 1 << 30 if count is None else min(count - total, 1 << 30)
                try:
                    sent = os.sendfile(self.fileno(), fileno, offset + total, part)
                except BlockingIOError:
                    self._wait_writable()
                    continue
                except OSError as failure:
                    if not total:
                        raise _GiveUp(failure) from None  # if it is not the kernel's inability, send() will fail too
                    raise
                if not sent:
                    break
                total += sent
            return total
        finally:
            if total and hasattr(file, "seek"):
                file.seek(offset + total)

    def _sendfile_use_send(self, file, offset=0, count=None):
        """Send by reading the file and send()."""
        self._check_sendfile_params(file, offset, count)
        if offset:
            file.seek(offset)
        total = 0
        try:
            while count is None or total < count:
                data = memoryview(file.read(8192 if count is None else min(8192, count - total)))
                if not data:
                    break
                while data:
                    sent = self.send(data)
                    total += sent
                    data = data[sent:]
            return total
        finally:
            if total and hasattr(file, "seek"):
                file.seek(offset + total)

    # -- files

    def makefile(self, mode="r", buffering=None, *, encoding=None, errors=None, newline=None):
        """A file over the socket, as :func:`open` makes it: *mode* is of "r", "w" and "b". Its reads and writes keep to :attr:`timeout`.

        The descriptor stays open until the file is closed too.
        """
        if not set(mode) <= {"r", "w", "b"}:
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        writing = "w" in mode
        reading = "r" in mode or not writing
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0 and "b" not in mode:
            raise ValueError("unbuffered streams must be binary")
        raw = SocketIO(self, ("r" if reading else "") + ("w" if writing else ""))
        self._io_refs += 1
        if buffering == 0:
            return raw
        if reading and writing:
            buffered = io.BufferedRWPair(raw, raw, buffering)
        elif reading:
            buffered = io.BufferedReader(raw, buffering)
        else:
            buffered = io.BufferedWriter(raw, buffering)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode
        return text

    def _decref_socketios(self):
        """A file from :meth:`makefile` was closed; :class:`socket.SocketIO` calls this."""
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()

    # -- the descriptor

    def dup(self):
        """A new socket over a duplicate of the descriptor, not inherited by child processes, with the same :attr:`timeout`."""
        sock = type(self)(self.family, self.type, self.proto, fileno=_socket.dup(self.fileno()))
        sock.settimeout(self.gettimeout())
        return sock

    def get_inheritable(self):
        """Whether child processes inherit the descriptor."""
        return os.get_inheritable(self.fileno())

    def set_inheritable(self, inheritable):
        """Say whether child processes shall inherit the descriptor."""
        os.set_inheritable(self.fileno(), inheritable)

    def close(self):
        """Close the socket; greenlets that wait on it get an OSError with EBADF.

        The descriptor itself is closed once all files from :meth:`makefile` are closed too. May be called again, and in any native
        thread: where a greenlet of another one waits, that one closes it.
        """
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def _real_close(self):
        self._close_now()

    def detach(self):
        """Give the descriptor away: returns it, still open, and treats the socket as closed. -1 if it was closed.

        Greenlets that wait on the socket get an OSError with EBADF. The descriptor stays non-blocking, as in gevent 1.1.
        """
        self._closed = True
        return self._detach_now()


SocketType = socket


# ---- Functions that make sockets ---------------------------------------------------------------------------------------------


def fromfd(fd, family, type, proto=0):
    """A socket over a duplicate of the descriptor *fd*, which stays open and is to be closed by the caller."""
    return socket(family, type, proto, fileno=_socket.dup(fd))


def socketpair(family=None, type=SOCK_STREAM, proto=0):
    """Two sockets that are connected with each other, of the family AF_UNIX if not said otherwise."""
    if family is None:
        family = getattr(_stdlib, "AF_UNIX", AF_INET)
    here, there = _socket.socketpair(family, type, proto)
    return socket(family, type, proto, fileno=here.detach()), socket(family, type, proto, fileno=there.detach())


def _class():
    """What to make sockets of: in a patched program what stands in its module, which may be somebody else's by now, a proxy's say."""
    return _stdlib.socket if is_patched("socket", "socket") else socket


def create_connection(address, timeout=_GLOBAL_DEFAULT, source_address=None, *, all_errors=False):
    """A socket connected over TCP to *address*, a (host, port) tuple: the addresses of the host are tried one after the other.

    *timeout* is set on the socket before it connects, so it is for each address. *source_address* is what to bind to. When nothing
    worked, the last error is raised; with *all_errors* an ExceptionGroup of all (from Python 3.11 on, which has it).

    .. versionchanged:: 26.11.0
       The *all_errors* argument.
    """
    host, port = address
    failures = []
    for family, kind, proto, _name, found in getaddrinfo(host, port, 0 if has_ipv6 else AF_INET, SOCK_STREAM):
        sock = None
        try:
            sock = _class()(family, kind, proto)
            if timeout is not _GLOBAL_DEFAULT:
                sock.settimeout(timeout)
            if source_address:
                sock.bind(source_address)
            sock.connect(found)
            failures.clear()  # each holds a traceback, and that this frame
            return sock
        except error as failure:
            failures.append(failure)
            if sock is not None:
                sock.close()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
    if not failures:
        raise error("getaddrinfo returns an empty list")
    try:
        if all_errors and sys.version_info >= (3, 11):
            raise ExceptionGroup("create_connection failed", failures)  # noqa: F405 - a builtin there
        raise failures[-1]
    finally:
        failures.clear()


def create_server(address, *, family=AF_INET, backlog=None, reuse_port=False, dualstack_ipv6=False):
    """A socket that listens on *address* over TCP.

    *backlog* connections wait to be accepted; with *reuse_port* several processes may listen on the port; with *dualstack_ipv6* and
    the family AF_INET6 it takes IPv4 connections too, ValueError where that is not possible.

    .. versionadded:: 26.11.0
    """
    if reuse_port and not hasattr(_stdlib, "SO_REUSEPORT"):
        raise ValueError("SO_REUSEPORT not supported on this platform")
    if dualstack_ipv6:
        if not _stdlib.has_dualstack_ipv6():
            raise ValueError("dualstack_ipv6 not supported on this platform")
        if family != AF_INET6:
            raise ValueError("dualstack_ipv6 requires AF_INET6 family")
    sock = _class()(family, SOCK_STREAM)
    try:
        if os.name == "posix" and sys.platform != "cygwin":
            sock.setsockopt(SOL_SOCKET, _stdlib.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(SOL_SOCKET, _stdlib.SO_REUSEPORT, 1)
        if has_ipv6 and family == AF_INET6:
            sock.setsockopt(_stdlib.IPPROTO_IPV6, _stdlib.IPV6_V6ONLY, 0 if dualstack_ipv6 else 1)
        try:
            sock.bind(address)
        except error as failure:
            raise error(failure.errno, f"{failure.strerror} (while attempting to bind on address {address!r})") from None
        if backlog is None:
            sock.listen()
        else:
            sock.listen(backlog)
        return sock
    except BaseException:
        sock.close()
        raise
