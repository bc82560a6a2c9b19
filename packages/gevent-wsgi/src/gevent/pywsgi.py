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

from gevent import socket as _socket
from gevent._http1 import BadRequest, RequestHeaders
from gevent._http_stream import Input, InvalidClientInput
from gevent._wsgi_environ import Environ, SecureEnviron, WSGISecureEnviron
from gevent._wsgi_handler import ConnectionHandler, format_date_time
from gevent._wsgi_log import LoggingLogAdapter, NoopLog
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
    }

    #: More headers than this, or more bytes of headers: 431.
    max_header_count = 100
    max_header_bytes = 65536

    #: A request body longer than this: 413.
    max_body = None

    #: How much of a body the application did not read is read to be able to go on with the connection.
    max_discard = 1048576

    #: A request's head must be whole this long after its first byte: 408.
    header_timeout = 30

    #: How long to wait for a client at a time: for its next request, for the next part of a body,
    #: for it to take the next part of a response.
    socket_timeout = 75

    #: How long a connection is kept open after an error, for the client to read the answer.
    linger_timeout = 2

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
                # Set for every request. Being there now, they make the hash tables of the copies large
                # enough not to be rebuilt as the headers come in.
                template.setdefault(key, None)
            self._template = dict(environ), template
        return template

    def init_socket(self):
        """Open the listener, and note its address in the environ."""
        self.closing = False
        StreamServer.init_socket(self)
        self.update_environ()

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

    def close(self):
        """Stop listening; connections end with the request they are serving, idle ones now."""
        self.closing = True
        StreamServer.close(self)
        for handler in list(self._live_handlers):
            handler._stop_soon()
