"""The socket calls that programs make all the time, in Python: for PyPy, and for GEVENT_PURE_PYTHON.

The same class as in ``_socket_base.pyx``, which CPython uses, with the same names; see there for how it works. Here every call goes
to a native socket object that never blocks, and EAGAIN is an exception.
"""

import _socket
import os
import sys
import warnings
from _socket import MSG_DONTWAIT, SHUT_RD, SHUT_RDWR, SHUT_WR
from _socket import timeout as timeout_error
from errno import EAGAIN, EALREADY, EBADF, EINPROGRESS, EINTR, ENOTCONN
from select import POLLOUT, poll
from socket import AF_INET, AF_UNIX, SO_ERROR, SOCK_STREAM, SOL_SOCKET, AddressFamily, SocketKind
from time import monotonic

from gevent._fdio import octets_of
from gevent._switching import get_loop
from gevent.core import current_loop
from gevent.exceptions import ConcurrentObjectUseError, InvalidThreadUseError

_READ = 1
_WRITE = 2
# PyPy's own send() copies what it is given, and not only what the kernel takes of it.
_PIECE = 1 << 18  # bytes of one send() in sendall()
if sys.implementation.name == "pypy":
    from gevent._libev.cffi import send_bytes as _send_bytes

    _WORTHWHILE = 1 << 14  # bytes of a sendall() that does without copies
else:
    _WORTHWHILE = sys.maxsize

_NONBLOCK = getattr(_socket, "SOCK_NONBLOCK", 0)
_TIMED_OUT = -1  # what _connect() returns for our own time limit: no errno

#: The default of the *timeout* argument of :meth:`SocketBase.send`: the socket's own time limit.
timeout_default = object()

_FAMILIES = {int(each): each for each in AddressFamily}
_TYPES = {int(each): each for each in SocketKind}


def closed_elsewhere():
    """The error of whoever waits on a descriptor while another greenlet closes it."""
    return OSError(EBADF, "File descriptor was closed in another greenlet")


def _limit(value):
    """A time limit as a float, or None."""
    if value is None:
        return None
    if isinstance(value, (str, bytes)):
        raise TypeError(f"must be real number, not {type(value).__name__}")
    seconds = float(value)
    if seconds != seconds:
        raise ValueError("Invalid value NaN (not a number)")
    if seconds < 0:
        raise ValueError(f"Timeout value out of range: {value!r}")
    return seconds


class SocketBase:
    """What :class:`gevent.socket.socket` is built on: the descriptor, the time limit, and the calls that wait."""

    __slots__ = ("__weakref__", "_closed", "_io_refs", "_kind", "_reader", "_sock", "_timeout", "_writer", "ref")

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        self._closed = False
        self._io_refs = 0  # files from makefile() that keep the descriptor open
        self._kind = SOCK_STREAM
        self._reader = self._writer = None
        self._sock = None
        self._timeout = None
        self.ref = True
        return self

    def _open(self, family, type, proto, fileno):
        """Make the descriptor, or take over *fileno*; -1 for family, type and proto means what the stdlib makes of it."""
        if self._sock is not None:
            raise RuntimeError(f"{self!r} is open already")
        if fileno is None:
            family = AF_INET if family == -1 else family
            type = SOCK_STREAM if type == -1 else type
            proto = 0 if proto == -1 else proto
        self._adopt(_socket.socket(family, type, proto, fileno))
        if type >= 0 and type & _NONBLOCK:
            self._timeout = 0.0

    def _adopt(self, native):
        native.setblocking(False)
        self._sock = native
        self._kind = native.type
        self._timeout = _socket.getdefaulttimeout()

    def __del__(self):
        if self._sock is not None and self._sock.fileno() >= 0:
            try:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            finally:
                self._close_now()

    # -- what it is

    @property
    def family(self):
        """The address family, an :class:`AddressFamily` where the stdlib knows it."""
        return _FAMILIES.get(self._sock.family, self._sock.family)

    @property
    def type(self):
        """The kind of socket, a :class:`SocketKind` where the stdlib knows it, without the flags SOCK_NONBLOCK and SOCK_CLOEXEC."""
        return _TYPES.get(self._kind, self._kind)

    @property
    def proto(self):
        """The number of the protocol."""
        return self._sock.proto

    @property
    def closed(self):
        """Whether :meth:`close` or :meth:`detach` was called; files from :meth:`makefile` may still keep the descriptor open."""
        return self._closed

    @property
    def hub(self):
        """The hub in which greenlets wait on this socket."""
        park = self._reader or self._writer
        return (get_loop() if park is None else park.loop).hub

    def fileno(self):
        """The descriptor, -1 once closed."""
        return -1 if self._sock is None else self._sock.fileno()

    # -- time limits

    @property
    def timeout(self):
        """Seconds that a call may wait; None without limit, 0.0 if it never waits."""
        return self._timeout

    @timeout.setter
    def timeout(self, value):
        self._timeout = _limit(value)

    def gettimeout(self):
        """:attr:`timeout`."""
        return self._timeout

    def settimeout(self, howlong):
        """Let each call wait for at most *howlong* seconds, or without limit (None); with 0 none ever waits.

        A call over its limit raises :class:`timeout`. ValueError for negative numbers and NaN, OSError for a closed socket.
        """
        timeout = _limit(howlong)
        if self.fileno() < 0:
            raise OSError(EBADF, os.strerror(EBADF))
        self._timeout = timeout

    def setblocking(self, flag):
        """``settimeout(None)`` if *flag* is true, else ``settimeout(0.0)``. OSError too if the descriptor was closed elsewhere."""
        if self.fileno() >= 0:
            os.get_blocking(self.fileno())  # the standard one changes that, and so notices
        self.settimeout(None if flag else 0.0)

    def getblocking(self):
        """Whether calls may wait at all."""
        return self._timeout != 0

    # -- waiting

    def _block(self, events, seconds):
        """Leave the greenlet until the descriptor is ready (True) or *seconds* have passed (False); None: no limit."""
        park = self._reader if events == _READ else self._writer
        loop = get_loop()
        if park is None or not park.loop.ptr:
            if self.fileno() < 0:
                raise OSError(EBADF, os.strerror(EBADF))
            park = loop.io_park(self.fileno(), events)
            if events == _READ:
                self._reader = park
            else:
                self._writer = park
        if park.greenlet is not None and not park.evict():
            raise ConcurrentObjectUseError(
                f"{self!r} is already being waited on for {'reading' if events == _READ else 'writing'} by {park.greenlet!r}; "
                "use one greenlet for each direction of a socket"
            )
        if park.loop is not loop:
            raise InvalidThreadUseError(f"{self!r} belongs to the event loop of another native thread")
        return park.wait_io(seconds, self.ref)

    def _wait(self, events, timeout, deadline):
        """One of several waits of one call that may take *timeout* seconds in all; returns the *deadline*, None before the first."""
        seconds = timeout
        if timeout is not None:
            now = monotonic()
            if deadline is None:
                deadline = now + timeout
            seconds = deadline - now
            if seconds <= 0:
                raise timeout_error("timed out")
        if not self._block(events, seconds):
            raise timeout_error("timed out")
        return deadline

    def _wait_readable(self, timeout=timeout_default):
        """Wait until a read may succeed, for *timeout* seconds, by default the socket's own. Raises :class:`timeout`."""
        self._wait(_READ, self._timeout if timeout is timeout_default else _limit(timeout), None)

    def _wait_writable(self, timeout=timeout_default):
        """Wait until a write may succeed, for *timeout* seconds, by default the socket's own. Raises :class:`timeout`."""
        self._wait(_WRITE, self._timeout if timeout is timeout_default else _limit(timeout), None)

    def _until_ready(self, events, function, *args):
        """``function(*args)``, a method of :attr:`_sock`, again whenever the descriptor is ready until it does not say EAGAIN."""
        deadline = None
        timeout = self._timeout
        while True:
            try:
                return function(*args)
            except BlockingIOError:
                if timeout == 0:
                    raise
            deadline = self._wait(events, timeout, deadline)

    # -- receiving

    def recv(self, bufsize, flags=0, /):
        """Up to *bufsize* bytes that came in, waiting for the first; b"" once the other side has ended.

        Raises :class:`timeout` after :attr:`timeout` seconds, ConcurrentObjectUseError while another greenlet waits to read.
        """
        if flags & MSG_DONTWAIT:
            return self._sock.recv(bufsize, flags)
        return self._until_ready(_READ, self._sock.recv, bufsize, flags)

    def recv_into(self, buffer, nbytes=0, flags=0):
        """As :meth:`recv`, into *buffer*, at most *nbytes* bytes (0: as many as fit); returns how many."""
        if flags & MSG_DONTWAIT:
            return self._sock.recv_into(buffer, nbytes, flags)
        return self._until_ready(_READ, self._sock.recv_into, buffer, nbytes, flags)

    def recvfrom(self, bufsize, flags=0, /):
        """As :meth:`recv`, with the address it came from: ``(data, address)``."""
        if flags & MSG_DONTWAIT:
            return self._sock.recvfrom(bufsize, flags)
        return self._until_ready(_READ, self._sock.recvfrom, bufsize, flags)

    # -- sending

    def send(self, data, flags=0, timeout=timeout_default):
        """Send what the kernel takes of *data*, at least one byte, waiting for room; returns how many bytes that was.

        *timeout* seconds instead of the socket's own limit, if given.
        """
        limit = self._timeout if timeout is timeout_default else _limit(timeout)
        deadline = None
        while True:
            try:
                return self._sock.send(data, flags)
            except BlockingIOError:
                if limit == 0 or flags & MSG_DONTWAIT:
                    raise
            deadline = self._wait(_WRITE, limit, deadline)

    def sendall(self, data, flags=0):
        """Send all of *data*, waiting for room as often as needed. The time limit is for the whole call.

        After an error nobody can tell how much was sent.
        """
        timeout = self._timeout
        deadline = None if timeout is None else monotonic() + timeout
        with memoryview(data) as view, octets_of(view) as rest:
            size = len(rest)
            sent = 0
            copied = size < _WORTHWHILE or type(data) is not bytes
            while True:
                try:
                    if copied:
                        sent += self._sock.send(rest[sent : sent + _PIECE], flags)
                    else:
                        sent += _send_bytes(self._sock.fileno(), data, sent, size - sent, flags)
                except BlockingIOError:
                    if timeout == 0 or flags & MSG_DONTWAIT:
                        raise
                    self._wait(_WRITE, timeout, deadline)
                else:
                    if sent >= size:
                        return

    def sendto(self, data, *args):
        """``sendto(data, address)`` or ``sendto(data, flags, address)``: send one datagram; returns how many bytes that was.

        A host name is looked up without blocking other greenlets.
        """
        if len(args) not in (1, 2):
            raise TypeError(f"sendto() takes 2 or 3 arguments ({len(args) + 1} given)")
        flags = args[0] if len(args) == 2 else 0
        if not isinstance(flags, int):
            return self._sock.sendto(data, *args)  # which says what is wrong
        address = self._resolve(args[-1])
        if flags & MSG_DONTWAIT:
            return self._sock.sendto(data, flags, address)
        return self._until_ready(_WRITE, self._sock.sendto, data, flags, address)

    def sendmsg(self, buffers, ancdata=(), flags=0, address=None):
        """Send what the kernel takes of several *buffers* in one call, with ancillary data; returns how many bytes that was."""
        args = [list(buffers), list(ancdata), flags]
        if address is not None:
            args.append(self._resolve(address))
        if flags & MSG_DONTWAIT:
            return self._sock.sendmsg(*args)
        return self._until_ready(_WRITE, self._sock.sendmsg, *args)

    # -- connections

    def _connect(self, address):
        """Connect; returns 0, an errno, or _TIMED_OUT."""
        address = self._resolve(address)
        timeout = self._timeout
        deadline = None if timeout is None else monotonic() + timeout
        pause = 0.001
        while True:
            number = self._sock.connect_ex(address)
            if number == EINTR:  # it goes on by itself
                number = EINPROGRESS
            if timeout == 0:
                return number
            if number == EAGAIN and self._sock.family == AF_UNIX:
                # The listener's backlog is full. A blocking connect would sleep until there is room, but nothing tells us when.
                if deadline is not None and monotonic() + pause >= deadline:
                    return _TIMED_OUT
                get_loop().sleep(pause, self.ref)
                pause = min(pause * 2, 0.05)
                continue
            if number not in (EINPROGRESS, EALREADY):
                return number
            break
        while True:
            try:
                self._wait(_WRITE, timeout, deadline)
            except timeout_error:
                return _TIMED_OUT
            number = self._connect_result()
            if number != EINPROGRESS:
                return number

    def _connect_result(self):
        """How a connection attempt ended: 0 or an errno, EINPROGRESS if it has not."""
        try:
            number = self._sock.getsockopt(SOL_SOCKET, SO_ERROR)
        except OSError as error:
            return error.errno
        if number:
            return number
        try:
            self._sock.getpeername()
        except OSError as error:
            if error.errno == ENOTCONN:
                # Woken by shutdown(), or for nothing.
                ready = poll()
                ready.register(self.fileno(), POLLOUT)
                return ENOTCONN if ready.poll(0) else EINPROGRESS
        return 0

    def connect(self, address):
        """Connect to *address*. A host name is looked up first, without blocking other greenlets.

        Raises :class:`timeout` after :attr:`timeout` seconds, OSError if it fails, gaierror if the name is not found.
        """
        number = self._connect(address)
        if number == _TIMED_OUT:
            raise timeout_error("timed out")
        if number:
            raise OSError(number, os.strerror(number))

    def connect_ex(self, address):
        """As :meth:`connect`, but returns an errno, 0 for success, EAGAIN after :attr:`timeout`. A gaierror is raised still."""
        number = self._connect(address)
        return EAGAIN if number == _TIMED_OUT else number

    def _resolve(self, address):
        """*address* with a numeric host. The class above knows how; this one leaves it as it is."""
        return address

    def _accept_now(self, cls):
        """The next connection as ``(socket, address)``; None if there is none at the moment. *cls* makes the socket."""
        while True:
            try:
                fd, address = self._sock._accept()
                break
            except BlockingIOError:
                return None
            except ConnectionAbortedError:  # it was gone before we came
                continue
        try:
            native = _socket.socket(self._sock.family, self._kind, self._sock.proto, fd)
        except BaseException:
            os.close(fd)
            raise
        sock = cls.__new__(cls)
        sock._adopt(native)
        return sock, address

    def _accept(self, cls):
        """Wait for a connection; as :meth:`_accept_now`."""
        deadline = None
        while True:
            accepted = self._accept_now(cls)
            if accepted is not None:
                return accepted
            if self._timeout == 0:
                raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
            deadline = self._wait(_READ, self._timeout, deadline)

    def shutdown(self, how):
        """End one direction of the connection, or both: SHUT_RD, SHUT_WR, SHUT_RDWR. Who waits on that direction is woken."""
        self._sock.shutdown(how)
        # The kernel tells most waiters itself; for the others, they try again and see.
        if how in (SHUT_RD, SHUT_RDWR) and self._reader is not None:
            self._reader.wake()
        if how in (SHUT_WR, SHUT_RDWR) and self._writer is not None:
            self._writer.wake()

    # -- names and options

    def getsockname(self):
        """The socket's own address."""
        return self._sock.getsockname()

    def getpeername(self):
        """The address of the other side. OSError if not connected."""
        return self._sock.getpeername()

    def setsockopt(self, level, optname, *value):
        """``setsockopt(level, optname, value)``, or ``(level, optname, None, optlen)``; see setsockopt(2) for the options."""
        self._sock.setsockopt(level, optname, *value)

    def getsockopt(self, level, optname, *buflen):
        """The value of an option as a number; with *buflen*, as up to that many bytes."""
        return self._sock.getsockopt(level, optname, *buflen)

    # -- the end

    def _release(self):
        """Stop using the descriptor and return it; -1 if there is none. Waiters get EBADF, through the loop."""
        for park in (self._reader, self._writer):
            if park is not None:
                park.close(closed_elsewhere())
        return self._sock.detach()

    def _close_now(self):
        """Close the descriptor, whoever still uses it; nothing if that was done. Waiters get EBADF, through the loop."""
        if self.fileno() < 0:
            return
        for park in (self._reader, self._writer):
            if park is not None and park.greenlet is not None and park.loop.ptr and park.loop is not current_loop():
                # Another native thread's greenlet waits in a loop that only that thread may touch.
                park.loop.run_callback_threadsafe(self._close_now)
                return
        try:
            os.close(self._release())
        except ConnectionResetError:  # the peer has closed already
            pass

    def _detach_now(self):
        """Give the descriptor away and return it; -1 if there is none. It stays non-blocking. Waiters get EBADF."""
        return -1 if self.fileno() < 0 else self._release()
