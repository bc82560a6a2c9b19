"""A WSGI server: HTTP/1.0 and 1.1, one greenlet per connection.

    from gevent.pywsgi import WSGIServer

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello"]

    WSGIServer(("127.0.0.1", 8000), application).serve_forever()

:class:`WSGIServer` accepts and configures; a :class:`WSGIHandler` lives as long as a connection does.

The work of a handler is done in ``_wsgi_handler``; its docstring tells how.
"""

import errno
import sys
from time import monotonic

from gevent import socket as _socket
from gevent._http1 import BadRequest, RequestHeaders
from gevent._http_stream import Input, InvalidClientInput
from gevent._wsgi_environ import Environ, SecureEnviron, WSGISecureEnviron
from gevent._wsgi_file import FileWrapper
from gevent._wsgi_handler import ConnectionHandler, format_date_time
from gevent._wsgi_log import LoggingLogAdapter, NoopLog
from gevent.event import Event
from gevent.server import StreamServer

__all__ = [
    "WSGIServer",
    "WSGIHandler",
    "LoggingLogAdapter",
    "Environ",
    "SecureEnviron",
    "WSGISecureEnviron",
    # Not in the __all__ of gevent 1.1, but part of the module as much:
    "Input",
    "MAX_REQUEST_LINE",
    "format_date_time",
]

#: A request line of this many bytes, its line end included, or more is answered with 414. Programs
#: assign to it, so it is read for each request.
MAX_REQUEST_LINE = 8192

_SERVER_SOFTWARE = f"gevent/26.11 Python/{sys.version_info[0]}.{sys.version_info[1]}"

# The names that gevent-ws knows.
_InvalidClientInput = InvalidClientInput
_InvalidClientRequest = BadRequest


class _Headers:
    """``headers`` of handlers; of the class, an empty mapping, as in gevent 1.1."""

    def __init__(self, attribute):
        self.attribute = attribute
        self.none = RequestHeaders()

    def __get__(self, handler, owner=None):
        return self.none if handler is None else self.attribute.__get__(handler, owner)

    def __set__(self, handler, headers):
        self.attribute.__set__(handler, headers)


class WSGIHandler(ConnectionHandler):
    """Serves one connection: reads requests, runs the application, sends what it returns.

    ``WSGIServer.handler_class`` names the class to use; subclasses may override any method. An
    instance is called as ``handler_class(socket, address, server).handle()``. The attributes describe
    the request being served and are set anew for each:

    ``requestline``, ``command``, ``path``, ``request_version``
        str, as sent
    ``headers``, ``content_length``, ``environ``, ``wsgi_input``, ``application``, ``client_address``
        of the request
    ``status``, ``code``, ``response_headers``, ``result``, ``headers_sent``, ``response_length``
        of the response; *status* is bytes and *response_headers* a list of pairs of bytes once
        :meth:`start_response` was called, *response_length* counts the bytes sent, with the head
    ``provided_content_length``, ``provided_date``, ``response_use_chunked``
        whether the application gave these headers, and how the body is sent
    ``close_connection``, ``connection_upgraded``
        whether the connection ends with this response, and whether another protocol is spoken on it
    ``time_start``, ``time_finish``
        seconds since the epoch
    """

    protocol_version = "HTTP/1.1"

    #: Class of the errors raised for what applications do against PEP 3333.
    ApplicationError = AssertionError

    #: Errors of the connection that mean no more than that the client has gone away.
    ignored_socket_errors = (errno.EPIPE, errno.ECONNRESET, errno.ECONNABORTED, errno.ESHUTDOWN)

    headers = _Headers(ConnectionHandler.headers)

    def __init__(self, socket, address, server, rfile=None):
        settings = server if isinstance(server, WSGIServer) else WSGIServer
        # A server that makes each environ by itself has to be asked for each.
        asks_server = getattr(type(server), "get_environ", None) is not WSGIServer.get_environ
        ConnectionHandler.__init__(self, socket, address, server, rfile, settings, globals(), asks_server)


def _as_log(log, default, level):
    """The file to log to for the constructor's argument *log*."""
    if isinstance(log, str) and log == "default":
        return default
    if log is None:
        return NoopLog()
    if not hasattr(log, "write") and hasattr(log, "log"):
        return LoggingLogAdapter(log, level)
    return log


class WSGIServer(StreamServer):
    """An HTTP or HTTPS server that runs a WSGI *application*.

    *listener*, *backlog* and *spawn* are :class:`~gevent.server.StreamServer`'s, as are the *ssl_args*
    that make it an HTTPS server (*keyfile*, *certfile*, *ssl_context*...).

    *log* gets a line per request and *error_log* what goes wrong: a file, a logger (written to
    at INFO and ERROR) or None for nothing; both default to sys.stderr. *error_log* is also
    ``wsgi.errors``. *handler_class* replaces :class:`WSGIHandler`; *environ* is a dict
    of what to put into every WSGI environment.

    The class attributes below are settings: assign to the server before it is started, or override
    them in a subclass. Sizes are in bytes, times in seconds; None means no limit.
    """

    handler_class = WSGIHandler
    log = None
    error_log = None

    #: True once the server was closed: its connections end with the request they are serving.
    closing = False

    #: Class of the environ given to applications. PEP 3333 asks for dict itself.
    environ_class = dict

    #: Class that environs are put into for error reports, so that these give no secrets away.
    secure_environ_class = WSGISecureEnviron

    base_env = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": _SERVER_SOFTWARE,
        "SCRIPT_NAME": "",
        "wsgi.version": (1, 0),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        # Reading wsgi.input stops at the end of the body, chunked or not.
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
    }

    #: More headers than this, or more bytes of headers: 431.
    max_header_count = 100
    max_header_bytes = 65536

    #: A request body longer than this: 413. Reading is lazy, so a body takes memory only as the application
    #: reads it; this is for applications that read whatever there is.
    max_body = 1 << 30

    #: How much of a body the application did not read is read to be able to go on with the connection.
    max_discard = 1048576

    #: More connections than this are not accepted until others end. When there is no room, those that have
    #: been idle for longest are closed to make some.
    max_connections = None

    #: A request's head must be whole this long after its first byte, that of a connection's first request
    #: after it was accepted: 408. The same goes for a TLS handshake.
    header_timeout = 30

    #: How long a connection waits for a further request.
    keep_alive_timeout = 75

    #: How long to wait for the client at a time: for the next part of a request's body (408), and for it
    #: to take some more of a response.
    body_timeout = 75
    write_timeout = 75

    #: How many bytes a second of a request's body a client has to send on the average, where the application
    #: waits for them; it may fall behind by what takes ``body_timeout``, then it gets 408. None: any, for there
    #: are clients with little to say that take their time.
    min_body_rate = None

    #: How long a connection is kept open after an error, for the client to read the answer.
    linger_timeout = 2

    #: How long after :meth:`close` a request is still answered that comes on an idle connection: it was
    #: under way already, and to end the connection at once would lose it.
    idle_grace = 0.1

    #: Whether other sockets may listen at the same address (SO_REUSEPORT), those of other processes, say;
    #: the kernel then shares out the connections. For listeners that the server makes itself.
    reuse_port = False

    #: What becomes of headers with "_" in their name, which would look like ones with "-" in the environ:
    #: "drop", "refuse" (400), or "keep" as 1.1 did.
    underscore_headers = "drop"

    #: Whether folded header lines are joined, as 1.1 did; RFC 9112 5.2 lets servers refuse them (400).
    unfold_headers = False

    #: Whether an HTTP/1.1 request needs a Host header; RFC 9112 3.2 demands it.
    require_host = True

    def __init__(
        self,
        listener,
        application=None,
        backlog=None,
        spawn="default",
        log="default",
        error_log="default",
        handler_class=None,
        environ=None,
        **ssl_args,
    ):
        self._live_handlers = set()
        self._connections = set()
        self._no_connections = Event()
        self._no_connections.set()
        self._awaits_connection = False
        self._may_still_ask = False
        self._grace = None
        self._template = {}, {}
        StreamServer.__init__(self, listener, backlog=backlog, spawn=spawn, **ssl_args)
        if application is not None:
            self.application = application
        elif not hasattr(self, "application"):
            self.application = None
        if handler_class is not None:
            self.handler_class = handler_class
        self.log = _as_log(log, sys.stderr, 20)
        self.error_log = _as_log(error_log, sys.stderr, 40)
        self.set_environ(environ)
        self.set_max_accept()

    def set_environ(self, environ=None):
        """Make the environ that every request's is copied from: base_env, and *environ* over it."""
        if environ is not None:
            self.environ = environ
        update = getattr(self, "environ", None)
        self.environ = self.environ_class(self.base_env)
        self.environ["wsgi.url_scheme"] = "https" if self.ssl_enabled else "http"
        if update is not None:
            self.environ.update(update)
        if self.environ.get("wsgi.errors") is None:
            self.environ["wsgi.errors"] = self.error_log

    def set_max_accept(self):
        """Accept one connection at a time where other processes listen on the same socket."""
        if self.environ.get("wsgi.multiprocess"):
            self.max_accept = 1

    def get_environ(self):
        """A copy of the environ that is common to all requests."""
        return self.environ_class(self.environ)

    def environ_template(self):
        """The dict that environs are copied from: :meth:`get_environ`, and room for what requests add.

        It is shared by all connections, and must not be changed.
        """
        environ = self.environ
        known, template = self._template
        if len(known) != len(environ) or any(known.get(key, self) is not value for key, value in environ.items()):
            template = dict(environ)
            for key in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "REQUEST_URI", "wsgi.input"):
                template.setdefault(key, None)  # set for every request
            # A few more, and out again: that leaves a hash table which has room. Copies have one as large,
            # and so need not rebuild it as the headers come in.
            spare = [f"spare {number}" for number in range(1 + len(template) // 8)]
            template.update(dict.fromkeys(spare))
            for key in spare:
                del template[key]
            self._template = dict(environ), template
        return template

    def init_socket(self):
        """Open the listener, and note its address in the environ."""
        self.closing = False
        self._end_grace()
        if self.closed and self.reuse_port:
            self.socket = self._shared_listener()
            self.address = self.socket.getsockname()
        StreamServer.init_socket(self)
        self.update_environ()

    def _shared_listener(self):
        """A listening socket that leaves the address to others too."""
        sock = _socket.socket(family=self.family)
        try:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, 1)
            sock.bind(self.address)
            sock.listen(self.backlog)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        return sock

    def update_environ(self):
        """Fill in SERVER_NAME and SERVER_PORT unless they were given. Called once the port is known."""
        address = self.address
        environ = self.environ
        if isinstance(address, tuple):
            if "SERVER_NAME" not in environ:
                try:
                    name = _socket.getfqdn(address[0])
                except OSError:
                    name = str(address[0])
                if not isinstance(name, str):
                    name = name.decode("ascii")
                environ["SERVER_NAME"] = name
            environ.setdefault("SERVER_PORT", str(address[1]))
        else:
            # A UNIX socket has neither, but PEP 3333 wants both and not empty.
            environ.setdefault("SERVER_NAME", "localhost")
            environ.setdefault("SERVER_PORT", "443" if self.ssl_enabled else "80")

    def handle(self, socket, address):
        """Serve the connection *socket* until it is over. Blocks; runs in a greenlet of its own."""
        try:
            if socket.family != _socket.AF_UNIX:
                socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except OSError:
            pass  # not TCP, or gone already; the handler will find out
        self.handler_class(socket, address, self).handle()

    def wrap_socket_and_handle(self, client_socket, address):
        """Make the TLS handshake, within ``header_timeout``, and serve the connection."""
        client_socket.settimeout(self.header_timeout)
        return StreamServer.wrap_socket_and_handle(self, client_socket, address)

    # -- connections: how many there are, and room for more

    def full(self):
        """Whether no more connections can be served at the moment."""
        if self.max_connections is not None and len(self._connections) >= self.max_connections:
            return True
        return StreamServer.full(self)

    def _await_room(self):
        if StreamServer.full(self):
            StreamServer._await_room(self)
            return
        if self._awaits_connection:
            # We have looked again after a moment, and been called: so somebody waits outside.
            self._close_idle()
        self._awaits_connection = True
        self._pause(self.min_delay)

    def _close_idle(self):
        """End the one connection in a hundred, but at least one, that has been idle for longest."""
        idle = [handler for handler in self._live_handlers if handler.time_finish and handler._is_idle()]
        if idle:
            idle.sort(key=lambda handler: handler.time_finish)
            for handler in idle[: 1 + len(idle) // 100]:
                handler._stop_if_idle()

    def do_handle(self, socket, address):
        """Have a connection served in a greenlet of its own."""
        self._connections.add(socket)
        self._no_connections.clear()
        StreamServer.do_handle(self, socket, address)

    def do_close(self, socket, *args):
        """Close a connection, and take note that it is over."""
        StreamServer.do_close(self, socket, *args)
        self._connections.discard(socket)
        if not self._connections:
            self._no_connections.set()
        if self._awaits_connection and not self.full():
            self._awaits_connection = False
            self._go_on()

    # -- the end

    def close(self):
        """Stop listening; connections end with the request they are serving, idle ones after ``idle_grace``.

        Connections that are complete, but wait to be accepted, are accepted first: their clients do not
        know of the difference. Does not wait.
        """
        self.closing = True
        self._awaits_connection = False
        if self.started and not self.environ.get("wsgi.multiprocess"):
            self._accept_backlog()
        was_open = not self.closed
        StreamServer.close(self)
        if was_open and self._connections and self.idle_grace and self._grace is None:
            self._may_still_ask = True
            self._grace = self.loop.timer(self.idle_grace)
            self._grace.start(self._end_grace)
        for handler in list(self._live_handlers):
            handler._stop_soon()

    def _accept_backlog(self):
        try:
            while not self.full():
                connection = self.do_read()
                if connection is None:
                    break
                self.do_handle(*connection)
        except Exception:
            pass  # the listener is the reason to close, perhaps

    def _end_grace(self):
        self._may_still_ask = False
        if self._grace is not None:
            self._grace.close()
            self._grace = None
        if self.closing:
            for handler in list(self._live_handlers):
                handler._stop_if_idle()

    def stop(self, timeout=None):
        """:meth:`close`; then wait until what is in flight has been answered, for at most *timeout* seconds.

        The default is ``stop_timeout``. After that, handlers in a pool are killed; others go on.
        """
        limit = self.stop_timeout if timeout is None else timeout
        self.close()
        until = monotonic() + limit
        self._no_connections.wait(limit)
        self._end_grace()
        StreamServer.stop(self, max(0, until - monotonic()))
