"""TCP (and UNIX stream) servers, with TLS if wanted, and UDP servers.

>>> from gevent.server import StreamServer
>>> def echo(sock, address):
...     sock.sendall(sock.recv(100))
>>> with StreamServer(("127.0.0.1", 0), echo) as server:
...     from gevent.socket import create_connection
...     with create_connection(("127.0.0.1", server.server_port)) as client:
...         client.sendall(b"hello")
...         client.recv(100)
b'hello'
"""

from _socket import MSG_DONTWAIT, SO_REUSEADDR, SOL_SOCKET
from socket import AF_INET, SOCK_DGRAM

from gevent._config import import_path
from gevent.baseserver import BaseServer
from gevent.lock import Semaphore
from gevent.socket import socket

__all__ = ["StreamServer", "DatagramServer"]

#: Whether servers set SO_REUSEADDR, so that they can be restarted while connections of their predecessor linger.
DEFAULT_REUSE_ADDR = 1

#: The largest datagram there is over IP.
_LARGEST = 65536


class StreamServer(BaseServer):
    """StreamServer(listener, handle=None, backlog=None, spawn="default", **ssl_args)

    A server of connections: ``handle(socket, address)`` is called for each. When it has returned or failed, the socket is closed,
    whatever references to it remain; a subclass may define :meth:`do_close` otherwise.

    *backlog* is how many connections wait to be accepted (``StreamServer.backlog`` if not given); TypeError with a *listener* that is a
    socket. *ssl_args* switch on TLS: ``ssl_context``, or what :func:`gevent.ssl.wrap_socket` takes, such as ``certfile`` and ``keyfile``;
    then *handle* gets an SSLSocket, and the handshake is made in the handler's greenlet. The other arguments are those of
    :class:`gevent.baseserver.BaseServer`.
    """

    #: How many connections wait to be accepted.
    backlog = 256
    #: Whether to set SO_REUSEADDR; None: DEFAULT_REUSE_ADDR.
    reuse_addr = DEFAULT_REUSE_ADDR

    #: The arguments for TLS, or None.
    ssl_args = None

    def __init__(self, listener, handle=None, backlog=None, spawn="default", **ssl_args):
        BaseServer.__init__(self, listener, handle=handle, spawn=spawn)
        try:
            if ssl_args:
                self.ssl_args = ssl_args
                ssl_args.setdefault("server_side", True)
                context = ssl_args.pop("ssl_context", None)
                if context is None:
                    self.wrap_socket = self._find("gevent.ssl.wrap_socket")
                elif isinstance(getattr(context, "sslsocket_class", None), type):
                    # One of the standard module would make sockets that block everything.
                    self.wrap_socket = self._find("gevent.ssl._wrapper")(context)
                else:
                    self.wrap_socket = context.wrap_socket
                self._handle = self.wrap_socket_and_handle
            if backlog is not None:
                if not self.closed:
                    raise TypeError(f"backlog={backlog!r} cannot be set on a socket that is passed in: call its listen()")
                self.backlog = backlog
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _find(name):
        # By name: a server without TLS does not load OpenSSL.
        try:
            return import_path(name)
        except ImportError as error:
            raise TypeError("TLS arguments need gevent.ssl, which cannot be imported here; pass ssl_context instead") from error

    @property
    def ssl_enabled(self):
        """Whether connections are wrapped in TLS."""
        return self.ssl_args is not None

    def set_handle(self, handle):
        BaseServer.set_handle(self, handle)
        if self.ssl_enabled:
            self._handle = self.wrap_socket_and_handle

    def wrap_socket_and_handle(self, client_socket, address):
        """Make the TLS handshake, call ``handle`` with the wrapped socket, and close that."""
        ssl_socket = self.wrap_socket(client_socket, **self.ssl_args)
        try:
            return self.handle(ssl_socket, address)
        finally:
            self.do_close(ssl_socket, address)

    @classmethod
    def get_listener(cls, address, backlog=None, family=None):
        """A socket that listens at *address*."""
        return _tcp_listener(
            address,
            backlog=cls.backlog if backlog is None else backlog,
            reuse_addr=cls.reuse_addr,
            family=AF_INET if family is None else family,
        )

    def init_socket(self):
        if self.closed:
            self.socket = self.get_listener(self.address, self.backlog, self.family)
            self.address = self.socket.getsockname()
        elif not isinstance(self.socket, socket):
            self.socket.setblocking(False)

    def do_read(self):
        """Accept one connection: (socket, address), or None if there is none."""
        listener = self.socket
        if isinstance(listener, socket):
            return listener._accept_now(socket)
        try:
            fd, address = listener._accept()
        except BlockingIOError:
            return None
        return socket(listener.family, listener.type, listener.proto, fileno=fd), address

    def do_close(self, socket, *args):
        """Close the connection: called when the handler has returned or failed."""
        socket.close()
        if socket.fileno() >= 0:
            # A file from makefile() is still open somewhere, in a traceback for example.
            socket._real_close()


class DatagramServer(BaseServer):
    """DatagramServer(listener, handle=None, spawn="default")

    A server of messages: ``handle(data, address)`` is called for each. It may answer with :meth:`sendto`. The arguments are those of
    :class:`gevent.baseserver.BaseServer`.
    """

    #: Whether to set SO_REUSEADDR; None: do not.
    reuse_addr = DEFAULT_REUSE_ADDR

    def __init__(self, *args, **kwargs):
        # One greenlet at a time can wait for room in the socket, and any number of them may want to send.
        self._writelock = Semaphore()
        BaseServer.__init__(self, *args, **kwargs)

    @classmethod
    def get_listener(cls, address, family=None):
        """A socket bound to *address*."""
        return _udp_socket(address, reuse_addr=cls.reuse_addr, family=AF_INET if family is None else family)

    def init_socket(self):
        if self.closed:
            self.socket = self.get_listener(self.address, self.family)
            self.address = self.socket.getsockname()

    def do_read(self):
        """Receive one message: (data, address), or None if there is none."""
        try:
            return self.socket.recvfrom(_LARGEST, MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def sendto(self, *args):
        """``sendto(data, address)``: send a message from the server's socket. Any number of greenlets may do so."""
        with self._writelock:
            return self.socket.sendto(*args)


def _tcp_listener(address, backlog=50, reuse_addr=None, family=AF_INET):
    """A socket that listens at *address* and never waits (``timeout`` 0): for servers, several of which may share it."""
    sock = socket(family=family)
    try:
        if reuse_addr is not None:
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, reuse_addr)
        _bind(sock, address)
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _udp_socket(address, backlog=50, reuse_addr=None, family=AF_INET):
    """A socket for datagrams bound to *address*. *backlog* is ignored."""
    sock = socket(family=family, type=SOCK_DGRAM)
    try:
        if reuse_addr is not None:
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, reuse_addr)
        _bind(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock, address):
    try:
        sock.bind(address)
    except OSError as error:
        # Which address it was is the first thing to ask.
        if error.errno is not None:
            raise type(error)(error.errno, f"{error.strerror}: {address!r}") from None
        raise
