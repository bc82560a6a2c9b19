"""The standard :mod:`ssl` module for greenlets: handshakes, reads and writes block the calling greenlet only.

Everything the running interpreter's module has is here under the same name. The functions that make contexts give
:class:`SSLContext` of this module, and that makes sockets of this module:

    >>> from gevent import socket, ssl
    >>> context = ssl.create_default_context()
    >>> def head(host):
    ...     with context.wrap_socket(socket.create_connection((host, 443)), server_hostname=host) as sock:
    ...         sock.sendall(f"HEAD / HTTP/1.0\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    ...         return sock.recv(1024)

How it works
============
OpenSSL works on the descriptor itself, through the interpreter's own ``_ssl`` object; that is given a native socket object over our
descriptor, which never blocks. OpenSSL then says "I want to read" or "I want to write", the greenlet waits for that in the loop as
every socket here does, and asks OpenSSL again (:meth:`SSLSocket._drive`).

*Who wants what.* Either direction of TLS may need either direction of the descriptor: a read may have to answer a handshake message,
a write to finish a handshake first. While a greenlet waits to read, another one whose write needs incoming data must not wait for
the same descriptor and event; it waits until the reader has taken one more step, for what comes next may be for it
(:meth:`SSLSocket._await`). Two greenlets in the same operation are an error, as for all sockets; for writes this is checked before
OpenSSL is asked, which takes the next write after an unfinished one for its repetition, whatever the data.

*Closed descriptors.* OpenSSL keeps the descriptor's number, which the system gives to somebody else as soon as it is closed. So after
every wait the socket is looked at first.

*Functions of the standard module, rebound.* What the defaults of a context are changes with every version of Python, for the sake of
security. The standard functions that make contexts are therefore used as they are, only with our classes among their globals.
"""

import contextlib
import functools
import socket as _socket_module
import ssl as _stdlib
from _socket import socket as _native_socket
from errno import EINVAL, ENOTCONN
from ssl import *  # noqa: F403  what the running interpreter has, whatever that is
from ssl import (
    CERT_NONE,
    CHANNEL_BINDING_TYPES,
    PROTOCOL_TLS,
    PROTOCOL_TLS_CLIENT,
    PROTOCOL_TLS_SERVER,
    SSL_ERROR_EOF,
    SSLEOFError,
    SSLError,
    SSLWantReadError,
    SSLWantWriteError,
)
from time import monotonic
from types import FunctionType, ModuleType

from greenlet import getcurrent

from gevent._fdio import octets_of
from gevent._originals import get_original
from gevent._waiting import WaitQueue
from gevent.exceptions import ConcurrentObjectUseError
from gevent.hub import sleep
from gevent.socket import AF_INET, SO_TYPE, SOCK_STREAM, SOL_SOCKET, closed_elsewhere, create_connection, socket, timeout_default
from gevent.socket import timeout as _timeout

#: What replaces the standard module's, here and when that is patched.
__implements__ = ["SSLContext", "SSLSocket", "wrap_socket", "get_server_certificate"]

#: What is the standard module's own, or made from it; not what that has imported for itself.
__imports__ = [
    name
    for name, each in vars(_stdlib).items()
    if not name.startswith("_")
    and name not in __implements__
    and not isinstance(each, ModuleType)
    and not (callable(each) and each.__module__.partition(".")[0] not in ("ssl", "_ssl", "_cffi_ssl"))  # the last is PyPy's
]

__all__ = [*__implements__, *__imports__]

_READ = 1
_WRITE = 2

_NONBLOCK = getattr(_socket_module, "SOCK_NONBLOCK", 0)

#: A record holds no more than this (RFC 8446, 5.1), and a read gives no more than one record.
_LARGEST_READ = 16384

#: sendall() hands OpenSSL no more at once, and then lets others run: to a fast receiver it would send gigabytes without ever waiting.
_LARGEST_WRITE = 262144

_StdContext = get_original("ssl", "SSLContext")
_StdSocket = get_original("ssl", "SSLSocket")


class _Transport(_native_socket):
    """The native socket that OpenSSL gets; it must allow weak references, and borrows its descriptor: never closed, only detached."""

    __slots__ = ("__weakref__",)


def _rebound(function, **names):
    """*function*, of the standard module, with other objects for some of its global *names*."""
    if not isinstance(function, FunctionType):  # somebody has replaced it by an object of theirs
        return function
    copy = FunctionType(
        function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__, function.__closure__
    )
    return functools.update_wrapper(copy, function, assigned=("__doc__", "__kwdefaults__", "__annotations__", "__qualname__"))


# ---- Contexts ----------------------------------------------------------------------------------------------------------------


class SSLContext(_StdContext):  # type: ignore[no-redef, valid-type, misc]
    """A standard :class:`ssl.SSLContext` that makes sockets of this module."""

    def wrap_socket(
        self,
        sock,
        server_side=False,
        do_handshake_on_connect=True,
        suppress_ragged_eofs=True,
        server_hostname=None,
        session=None,
    ):
        """An :class:`SSLSocket` that takes over the descriptor of *sock*, which need not be a gevent socket; it is detached.

        If *sock* is connected and unless *do_handshake_on_connect* is false, the handshake is made at once, within the timeout of
        *sock*. When that fails the connection is closed.
        """
        return self.sslsocket_class._create(
            sock=sock,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=server_hostname,
            context=self,
            session=session,
        )


def _context_patches():
    """{name: property} of the standard context's settings, of a kind that stays right when ``ssl.SSLContext`` is replaced.

    The standard ones find the setter of the base class through the module's global name; once that is another class, they find
    themselves, without end. Our class needs them always, and the standard class while the module is patched: for contexts made before.
    """
    return {
        name: property(each.fget, _rebound(each.fset, SSLContext=_StdContext), each.fdel, each.__doc__)
        for name, each in vars(_StdContext).items()
        if isinstance(each, property) and each.fset is not None
    }


for _name, _property in _context_patches().items():
    setattr(SSLContext, _name, _property)
del _name, _property

create_default_context = _rebound(_stdlib.create_default_context, SSLContext=SSLContext)
_create_unverified_context = _rebound(_stdlib._create_unverified_context, SSLContext=SSLContext)
_create_stdlib_context = _create_unverified_context
_create_default_https_context = create_default_context


def _own_context(server_side, keyfile, certfile, cert_reqs, ssl_version, ca_certs, ciphers):
    """A context as the standard wrap_socket() made it, while there was one."""
    if server_side and not certfile:
        raise ValueError("certfile must be specified for server-side operations")
    if keyfile and not certfile:
        raise ValueError("certfile must be specified")
    if ssl_version == PROTOCOL_TLS:
        # It speaks the same versions as these two, but is deprecated, and warns.
        ssl_version = PROTOCOL_TLS_SERVER if server_side else PROTOCOL_TLS_CLIENT
    context = SSLContext(ssl_version)
    context.check_hostname = False
    context.verify_mode = cert_reqs
    if ca_certs:
        context.load_verify_locations(ca_certs)
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    if ciphers:
        context.set_ciphers(ciphers)
    return context


# ---- Sockets -----------------------------------------------------------------------------------------------------------------


class SSLSocket(socket):  # type: ignore[no-redef]
    """A :class:`gevent.socket.socket` that speaks TLS. It has all methods of the standard :class:`ssl.SSLSocket`.

    :meth:`SSLContext.wrap_socket` makes them. Called directly, as in gevent 1.1, it takes over the descriptor of *sock*, or *fileno*,
    or makes a new socket; *_context* is any :class:`ssl.SSLContext`, and stands for *keyfile* to *ca_certs* and *ciphers*.

    Calls wait for at most :attr:`timeout` seconds in all, and raise :class:`socket.timeout` after that; with a timeout of 0 they raise
    SSLWantReadError and SSLWantWriteError. One greenlet can read while another one writes; a second one in the same operation gets
    ConcurrentObjectUseError. An unfinished write cannot be taken back: after a timeout, only the same data may be sent again.

    .. versionchanged:: 26.11.0
       The time limit is for the whole of :meth:`sendall`. A read that was called while a write waits for the handshake, or the other way
       round, is no error.
    """

    _context = None
    _session = None
    _sslobj = None
    _transport = None
    _connected = False
    _waits = None  # {operation: (greenlet, events it waits for)}
    _bystanders = None  # who waits until the one that waits for the descriptor has taken a step
    server_side = False
    server_hostname = None
    do_handshake_on_connect = True
    suppress_ragged_eofs = True

    def __init__(
        self,
        sock=None,
        keyfile=None,
        certfile=None,
        server_side=False,
        cert_reqs=CERT_NONE,
        ssl_version=PROTOCOL_TLS,
        ca_certs=None,
        do_handshake_on_connect=True,
        family=AF_INET,
        type=SOCK_STREAM,
        proto=0,
        fileno=None,
        suppress_ragged_eofs=True,
        npn_protocols=None,
        ciphers=None,
        server_hostname=None,
        _session=None,
        _context=None,
    ):
        if npn_protocols:
            raise ValueError(f"npn_protocols={npn_protocols!r}: OpenSSL has dropped NPN; use SSLContext.set_alpn_protocols()")
        if _context is None:
            _context = _own_context(server_side, keyfile, certfile, cert_reqs, ssl_version, ca_certs, ciphers)
        self._set_up(
            sock,
            (family, type, proto, fileno),
            _context,
            _session,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=server_hostname,
        )

    @classmethod
    def _create(
        cls,
        sock,
        server_side=False,
        do_handshake_on_connect=True,
        suppress_ragged_eofs=True,
        server_hostname=None,
        context=None,
        session=None,
    ):
        # As in the standard module: __init__ of a subclass is not called.
        self = cls.__new__(cls)
        self._set_up(
            sock,
            None,
            context,
            session,
            server_side=server_side,
            do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
            server_hostname=server_hostname,
        )
        return self

    def _set_up(self, sock, new, context, session, *, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname):
        kind = new[1] if sock is None else sock.getsockopt(SOL_SOCKET, SO_TYPE)
        if kind != SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        if server_side:
            if server_hostname:
                raise ValueError("server_hostname can only be specified in client mode")
            if session is not None:
                raise ValueError("session can only be specified in client mode")
        if context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")

        if sock is None:
            socket.__init__(self, *new)
        else:
            limit = sock.gettimeout()
            socket.__init__(self, sock.family, sock.type, sock.proto, sock.fileno())
            sock.detach()
        try:
            if sock is not None:
                self.settimeout(limit)
            self._context = context
            self._session = session
            self.server_side = server_side
            self.server_hostname = context._encode_hostname(server_hostname)
            self.do_handshake_on_connect = do_handshake_on_connect
            self.suppress_ragged_eofs = suppress_ragged_eofs
            self._connected = self._is_connected()
            if self._connected:
                self._attach()
                if do_handshake_on_connect:
                    if self.timeout == 0:
                        raise ValueError("do_handshake_on_connect should not be specified for non-blocking sockets")
                    self.do_handshake()
        except BaseException:
            with contextlib.suppress(OSError):
                self.close()
            raise

    def _is_connected(self):
        """Whether there is another side. SSLError if there was one, and left data: nobody shall take that for decrypted."""
        try:
            self.getpeername()
            return True
        except OSError as failure:
            if failure.errno != ENOTCONN:
                raise
        limit = self.timeout
        self.settimeout(0.0)
        try:
            data = socket.recv(self, 1)
        except OSError as failure:
            if failure.errno not in (ENOTCONN, EINVAL):  # EINVAL: UNIX sockets
                raise
            data = b""
        self.settimeout(limit)
        if data:
            early = SSLError(ENOTCONN, "Closed before TLS handshake with data in recv buffer.")
            early.reason, early.library = early.args[1], None  # as OpenSSL's own errors have them
            try:
                raise early
            finally:
                del early  # its traceback holds this frame
        return False

    # -- the native object

    def _attach(self):
        """Make the native TLS object."""
        self._transport = _Transport(self.family, self.type | _NONBLOCK, self.proto, self.fileno())
        if not _NONBLOCK:
            self._transport.setblocking(False)
        self._sslobj = self._context._wrap_socket(
            self._transport, self.server_side, self.server_hostname, owner=self, session=self._session
        )

    def _let_go(self):
        """Undo :meth:`_attach`, before OpenSSL's descriptor may become somebody else's."""
        self._sslobj = None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.detach()
        if self._bystanders is not None:
            self._bystanders.wake_all()

    def _close_now(self):
        self._sslobj = None
        try:
            socket._close_now(self)
        finally:
            if self.fileno() < 0:  # otherwise another native thread is about to call us again
                self._let_go()

    def _detach_now(self):
        self._let_go()
        return socket._detach_now(self)

    def _drive(self, operation, method, *args, limit=timeout_default, deadline=None):
        """``method(*args)``, of the native object, again and again until it does not want to read or write first.

        *limit* is in seconds, by default the socket's own; *deadline* says when they are over, if they have begun.
        """
        stood_by = False
        while True:
            events = 0
            try:
                return method(*args)
            except SSLWantReadError:
                if limit is timeout_default:
                    limit = self.timeout
                if limit == 0:
                    raise
                events = _READ
            except SSLWantWriteError:
                if limit is timeout_default:
                    limit = self.timeout
                if limit == 0:
                    raise
                events = _WRITE
            finally:
                # Not after a step that was in vain: two of them would wake one another for ever.
                if self._bystanders is not None and not (stood_by and events):
                    self._bystanders.wake_all()
            if limit is not None and deadline is None:
                deadline = monotonic() + limit
            stood_by = self._await(operation, events, deadline)

    def _await(self, operation, events, deadline):
        """Wait for *events* of the descriptor on behalf of *operation*, or stand by while another one does that.

        Returns, when it is worth trying again, whether it stood by.
        """
        waits = self._waits
        taken = False
        if waits:
            if operation in waits:
                self._refuse_second(operation)
            taken = any(each[1] == events for each in waits.values())
        elif waits is None:
            waits = self._waits = {}
        seconds = None
        if deadline is not None:
            seconds = deadline - monotonic()
            if seconds <= 0:
                raise _timeout(f"The {operation} operation timed out")
        waits[operation] = (getcurrent(), 0 if taken else events)
        try:
            if taken:
                if self._bystanders is None:
                    self._bystanders = WaitQueue()
                if not self._bystanders.wait(self, seconds):
                    raise _timeout("timed out")
            elif events == _READ:
                self._wait_readable(seconds)
            else:
                self._wait_writable(seconds)
        except _timeout as failure:
            if failure.args == ("timed out",):  # ours, and not what somebody has thrown in
                failure.args = (f"The {operation} operation timed out",)
            raise
        finally:
            del waits[operation]
            if self._bystanders is not None and not taken:
                self._bystanders.wake_all()
        if self.fileno() < 0:
            raise closed_elsewhere()
        return taken

    def _let_others_run(self, operation):
        """Give way to other greenlets in the midst of *operation*."""
        waits = self._waits
        if waits is None:
            waits = self._waits = {}
        waits[operation] = (getcurrent(), 0)
        try:
            sleep(0)
        finally:
            del waits[operation]
        if self.fileno() < 0:
            raise closed_elsewhere()

    def _refuse_second(self, operation):
        raise ConcurrentObjectUseError(
            f"{self!r} is already in the operation {operation!r} of {self._waits[operation][0]!r}; "
            "use one greenlet for each direction of a socket"
        )

    def _refuse_flags(self, name, flags):
        raise ValueError(f"non-zero flags not allowed in calls to {name}() on {type(self)} (got {flags!r})")

    def _checkClosed(self, msg=None):
        """Called by methods of the standard class, for subclasses to override; does nothing."""

    def _check_connected(self):
        if not self._connected:
            self.getpeername()  # ENOTCONN; if it does not fail, a connect() that did not wait has succeeded since

    # -- what it is

    @property
    def context(self):
        """The :class:`SSLContext`. May be set by a callback for server names, to choose another certificate."""
        return self._context

    @context.setter
    def context(self, value):
        self._context = value
        if self._sslobj is not None:
            self._sslobj.context = value

    @property
    def session(self):
        """The :class:`SSLSession`; None before the handshake. A client may set that of an earlier connection before its handshake."""
        return None if self._sslobj is None else self._sslobj.session

    @session.setter
    def session(self, value):
        self._session = value
        if self._sslobj is not None:
            self._sslobj.session = value

    @property
    def session_reused(self):
        """Whether the handshake went on with an earlier session; None without TLS."""
        return None if self._sslobj is None else self._sslobj.session_reused

    def getpeercert(self, binary_form=False):
        """The other side's certificate: a dictionary, empty if it was not verified; DER bytes with *binary_form*; None if it sent none.

        ValueError before the handshake is done, or without TLS.
        """
        self._check_connected()
        return self._native("getpeercert")(binary_form)

    def selected_npn_protocol(self):
        """None: NPN is no more."""
        return None

    def selected_alpn_protocol(self):
        """The protocol that both sides agreed on, or None."""
        return None if self._sslobj is None else self._sslobj.selected_alpn_protocol()

    def cipher(self):
        """(name, TLS version, secret bits) of the cipher, or None."""
        return None if self._sslobj is None else self._sslobj.cipher()

    def shared_ciphers(self):
        """What ciphers the client offered, as :meth:`cipher` shows them; None on the client's side."""
        return None if self._sslobj is None else self._sslobj.shared_ciphers()

    def compression(self):
        """The name of the compression, or None."""
        return None if self._sslobj is None else self._sslobj.compression()

    def version(self):
        """The protocol's version, such as ``"TLSv1.3"``; None before the handshake."""
        return None if self._sslobj is None else self._sslobj.version()

    def pending(self):
        """How many bytes can be read without asking the descriptor."""
        return 0 if self._sslobj is None else self._sslobj.pending()

    def get_channel_binding(self, cb_type="tls-unique"):
        """Bytes that tell this connection from all others, for authentication above it; None before the handshake.

        ValueError if *cb_type* is not one of CHANNEL_BINDING_TYPES.
        """
        if self._sslobj is not None:
            return self._sslobj.get_channel_binding(cb_type)
        if cb_type not in CHANNEL_BINDING_TYPES:
            raise ValueError(f"{cb_type} channel binding type not implemented")
        return None

    def _native(self, operation):
        """A method of the native object; ValueError if there is none."""
        if self._sslobj is None:
            raise ValueError(f"{operation}() on closed or unwrapped SSL socket.")
        return getattr(self._sslobj, operation)

    # -- handshakes

    def do_handshake(self, block=False):
        """Make the handshake. With *block*, a socket whose timeout is 0 waits as long as it takes.

        Raises SSLError if the sides do not agree, SSLCertVerificationError if the certificate is not good enough for the context or
        not for ``server_hostname``; OSError if not connected, ValueError once closed.
        """
        self._check_connected()
        handshake = self._native("do_handshake")
        if block and self.timeout == 0:
            self._drive("handshake", handshake, limit=None)
        else:
            self._drive("handshake", handshake)

    def verify_client_post_handshake(self):
        """Ask the client for its certificate, now; it comes with what is read next. TLS 1.3 servers only."""
        if self._sslobj is None:
            raise ValueError(f"No SSL wrapper around {self}")
        return self._sslobj.verify_client_post_handshake()

    def unwrap(self):
        """End TLS and wait until the other side has done so too; returns this socket, which goes on without it.

        OSError or SSLError if the other side does not end it properly; ValueError without TLS.
        """
        sslobj = self._sslobj
        if sslobj is None:
            raise ValueError(f"No SSL wrapper around {self}")
        self._drive("shutdown", sslobj.shutdown)
        self._sslobj = None
        return self

    def shutdown(self, how):
        """End the connection, or one direction of it, without telling TLS. What is sent and received after that is not encrypted."""
        self._sslobj = None
        socket.shutdown(self, how)

    # -- connections

    def _real_connect(self, address, connect):
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connected or self._sslobj is not None:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        self._attach()
        try:
            number = connect(self, address)
            if not number:
                self._connected = True
                if self.do_handshake_on_connect:
                    self.do_handshake()
            return number
        except BaseException:
            self._let_go()
            raise

    def connect(self, addr):
        """Connect to *addr*, then make the handshake unless ``do_handshake_on_connect`` is false. Each has the whole timeout."""
        self._real_connect(addr, socket.connect)

    def connect_ex(self, addr):
        """As :meth:`connect`, but returns an errno if the connection itself fails, 0 for success."""
        return self._real_connect(addr, socket.connect_ex)

    def accept(self):
        """Wait for a connection: (SSLSocket, address). The handshake is made here, unless ``do_handshake_on_connect`` is false."""
        sock, address = socket.accept(self)
        try:
            wrapped = _wrapper(self._context)(
                sock,
                do_handshake_on_connect=self.do_handshake_on_connect,
                suppress_ragged_eofs=self.suppress_ragged_eofs,
                server_side=True,
            )
        except BaseException:
            sock.close()
            raise
        return wrapped, address

    def dup(self):
        """Refused: two sockets cannot share the state of one connection."""
        raise NotImplementedError(f"Can't dup() {type(self).__name__} instances")

    # -- receiving

    def read(self, len=1024, buffer=None):
        """Up to *len* bytes, waiting for the first; b"" at the end. With *buffer*, they go in there; returns how many.

        A connection that ends without TLS being ended is an end too, if ``suppress_ragged_eofs`` is true, else SSLEOFError.
        """
        sslobj = self._sslobj
        if sslobj is None:
            raise ValueError("Read on closed or unwrapped SSL socket.")
        try:
            if buffer is None:
                # Without the limit it would allocate what was asked for, to give most of it back.
                return self._drive("read", sslobj.read, len if len < _LARGEST_READ else _LARGEST_READ)
            return self._drive("read", sslobj.read, len, buffer)
        except SSLError as failure:
            if failure.args[0] == SSL_ERROR_EOF and self.suppress_ragged_eofs:
                return b"" if buffer is None else 0
            raise
        except BrokenPipeError:
            # OpenSSL 3.6 answers an end without TLS being ended with an alert, which nobody is there to receive.
            if self.suppress_ragged_eofs:
                return b"" if buffer is None else 0
            raise SSLEOFError(SSL_ERROR_EOF, "EOF occurred in violation of protocol") from None

    def recv(self, buflen=1024, flags=0):
        """As :meth:`read`; without TLS as that of a plain socket. ValueError for *flags*."""
        if self._sslobj is None:
            return socket.recv(self, buflen, flags)
        if flags:
            self._refuse_flags("recv", flags)
        return self.read(buflen)

    def recv_into(self, buffer, nbytes=None, flags=0):
        """Receive into *buffer*, at most *nbytes* bytes (by default what fits); returns how many. ValueError for *flags*."""
        if nbytes is None:
            nbytes = 1024
            if buffer is not None:
                with memoryview(buffer) as view:
                    nbytes = view.nbytes or 1024
        if self._sslobj is None:
            return socket.recv_into(self, buffer, nbytes, flags)
        if flags:
            self._refuse_flags("recv_into", flags)
        return self.read(nbytes, buffer)

    def recvfrom(self, buflen=1024, flags=0):
        """ValueError; without TLS as that of a plain socket."""
        if self._sslobj is not None:
            raise ValueError(f"recvfrom not allowed on instances of {type(self)}")
        return socket.recvfrom(self, buflen, flags)

    def recvfrom_into(self, buffer, nbytes=None, flags=0):
        """ValueError; without TLS as that of a plain socket."""
        if self._sslobj is not None:
            raise ValueError(f"recvfrom_into not allowed on instances of {type(self)}")
        return socket.recvfrom_into(self, buffer, nbytes or 0, flags)

    def recvmsg(self, *args, **kwargs):
        """Refused."""
        raise NotImplementedError(f"recvmsg not allowed on instances of {type(self)}")

    def recvmsg_into(self, *args, **kwargs):
        """Refused."""
        raise NotImplementedError(f"recvmsg_into not allowed on instances of {type(self)}")

    # -- sending

    def write(self, data):
        """Send *data*, waiting for room as often as needed; returns how many bytes that was: all, where OpenSSL is as Python sets it up."""
        sslobj = self._sslobj
        if sslobj is None:
            raise ValueError("Write on closed or unwrapped SSL socket.")
        if self._waits and "write" in self._waits:
            self._refuse_second("write")
        return self._drive("write", sslobj.write, data)

    def send(self, data, flags=0, timeout=timeout_default):
        """As :meth:`write`, within *timeout* seconds instead of the socket's own limit, if given; ValueError for *flags*.

        Without TLS as that of a plain socket.
        """
        sslobj = self._sslobj
        if sslobj is None:
            return socket.send(self, data, flags, timeout)
        if flags:
            self._refuse_flags("send", flags)
        if self._waits and "write" in self._waits:
            self._refuse_second("write")
        return self._drive("write", sslobj.write, data, limit=timeout)

    def sendall(self, data, flags=0):
        """Send all of *data*, waiting for room as often as needed. The time limit is for the whole call. ValueError for *flags*."""
        sslobj = self._sslobj
        if sslobj is None:
            return socket.sendall(self, data, flags)
        if flags:
            self._refuse_flags("sendall", flags)
        if self._waits and "write" in self._waits:
            self._refuse_second("write")
        limit = self.timeout
        deadline = monotonic() + limit if limit else None
        with memoryview(data) as view, octets_of(view) as octets:
            # Without time to wait it is one write, which OpenSSL resumes when it is called again with the same data.
            part = _LARGEST_WRITE if limit != 0 else octets.nbytes
            sent = 0
            while sent < octets.nbytes:
                if sent and limit != 0:
                    self._let_others_run("write")
                sent += self._drive("write", sslobj.write, octets[sent : sent + part], limit=limit, deadline=deadline)

    def sendto(self, data, flags_or_addr, addr=None):
        """ValueError; without TLS as that of a plain socket."""
        if self._sslobj is not None:
            raise ValueError(f"sendto not allowed on instances of {type(self)}")
        if addr is None:
            return socket.sendto(self, data, flags_or_addr)
        return socket.sendto(self, data, flags_or_addr, addr)

    def sendmsg(self, *args, **kwargs):
        """Refused: nothing shall be sent without encryption by mistake."""
        raise NotImplementedError(f"sendmsg not allowed on instances of {type(self)}")

    if hasattr(_native_socket, "sendmsg_afalg"):

        def sendmsg_afalg(self, *args, **kwargs):
            """Refused."""
            raise NotImplementedError(f"sendmsg_afalg not allowed on instances of {type(self)}")

    def sendfile(self, file, offset=0, count=None):
        """Send a file opened in binary mode, from *offset* on, all of it or *count* bytes; returns how many were sent."""
        if self._sslobj is None:
            return socket.sendfile(self, file, offset, count)
        return self._sendfile_use_send(file, offset, count)


def _adopt_newer_methods():
    """What a later Python has added to the class: accessors of the native object, which work on ours as they are."""
    for name, each in vars(_StdSocket).items():
        if isinstance(each, FunctionType) and each.__closure__ is None and not hasattr(SSLSocket, name):
            setattr(SSLSocket, name, each)


_adopt_newer_methods()
SSLContext.sslsocket_class = SSLSocket


# ---- Functions ---------------------------------------------------------------------------------------------------------------


def _wrapper(context):
    """The function that wraps sockets with *context*: its ``wrap_socket``, unless that would make sockets that block everything."""
    if isinstance(context, _StdContext) and context.sslsocket_class is _StdSocket:
        return functools.partial(SSLSocket._create, context=context)
    return context.wrap_socket


def wrap_socket(  # type: ignore[no-redef]
    sock,
    keyfile=None,
    certfile=None,
    server_side=False,
    cert_reqs=CERT_NONE,
    ssl_version=PROTOCOL_TLS,
    ca_certs=None,
    do_handshake_on_connect=True,
    suppress_ragged_eofs=True,
    ciphers=None,
):
    """An :class:`SSLSocket` that takes over the descriptor of *sock*, with a context of its own; in gevent 1.1's form.

    Host names are not checked, and certificates only with *cert_reqs*. A context's ``wrap_socket`` can do more: server names, for one.
    Python 3.12 has dropped the standard function; this one stays. ValueError if *certfile* is missing where it is needed.
    """
    return SSLSocket(
        sock=sock,
        keyfile=keyfile,
        certfile=certfile,
        server_side=server_side,
        cert_reqs=cert_reqs,
        ssl_version=ssl_version,
        ca_certs=ca_certs,
        do_handshake_on_connect=do_handshake_on_connect,
        suppress_ragged_eofs=suppress_ragged_eofs,
        ciphers=ciphers,
    )


get_server_certificate = _rebound(
    _stdlib.get_server_certificate,
    create_connection=create_connection,
    SSLContext=SSLContext,
    _create_stdlib_context=_create_stdlib_context,
)
