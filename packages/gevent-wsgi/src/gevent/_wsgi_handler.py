"""What a connection of :class:`gevent.pywsgi.WSGIServer` goes through, from its first byte to its close.

How it works
------------
These are the phases of a connection; :class:`ConnectionHandler` has it in ``_phase``::

    READ_HEAD --head--> RUN_APP --response sent--> DRAIN --body gone--> READ_HEAD
        |                  |                         |
        | end, idle        | took over (Upgrade)     | too much left
        v                  v                         v
      CLOSED <-------------+------------------- LINGER <--- malformed head, failed response

1. *READ_HEAD*: one ``recv``, usually. The parser of ``_http1`` works in the receive buffer itself and
   fills a copy of the environ that is the same for the whole connection.
2. *RUN_APP*: the application's result goes out with the response's head in front of its first part, in
   one system call; a result that is a list goes out whole. Framing (Content-Length, chunked or
   the end of the connection) is decided when the head is put together, and what the application
   then yields is held against it: no octet leaves that does not belong to this response.
3. *DRAIN*: what the application left of the request body is read and dropped, within a bound.
4. *LINGER*: before a close that the client does not expect, wait a little for it to stop sending; the
   kernel would otherwise answer with a reset, which can destroy the response on its way.

1.1's methods can all be overridden, and are then used. Those that only a subclass could tell apart
from doing it at once (reading the request line by itself, say) are skipped when nobody overrides
them; that is looked up once per connection, by ``_find_overrides``.

On CPython this file is compiled with the types in the same-named ``.pxd``; a handler's attributes are then
C fields. :class:`gevent.pywsgi.WSGIHandler` derives from it in Python, for subclasses to build on.
"""

import sys
import traceback
from time import gmtime, localtime, monotonic, strftime
from time import time as now

from gevent import socket as _socket
from gevent._http1 import (
    BadRequest,
    HeadParser,
    RequestHeaders,
    date_pieces,
    decimal,
    encode_fields,
    encode_status,
    environ_key,
    has_token,
    reason_phrase,
    response_head,
    split_target,
    whole_response,
)
from gevent._http_stream import RECEIVE_SIZE, ConnectionReader, Input, InvalidClientInput, set_timeout
from gevent._wsgi_file import FileWrapper, extent
from gevent._wsgi_log import LoggingLogAdapter, NoopLog
from gevent.exceptions import ConcurrentObjectUseError
from gevent.hub import get_hub, sleep
from greenlet import GreenletExit

__all__ = ["ConnectionHandler", "format_date_time"]

READ_HEAD = 0
RUN_APP = 1
DRAIN = 2
LINGER = 3
CLOSED = 4

#: Parts of a response no larger than this (bytes) are joined before they are sent: copying them costs
#: less than telling the kernel of one more buffer. Larger ones are never copied.
_JOIN_LIMIT = 16384

#: What sendmsg takes at once (IOV_MAX is 1024 on Linux).
_MAX_BUFFERS = 512

#: Says that the head's packet has room for what sendfile adds.
_MSG_MORE = getattr(_socket, "MSG_MORE", 0)

#: How many requests in a row a connection is served while no other greenlet is known to be ready. A client that always has
#: the next request there never makes its handler wait, so the loop would not look for others.
_REQUESTS_AT_A_TIME = 8


#: Statuses of responses that have no body. That of a 205 is there and empty.
_NO_BODY = frozenset((204, 205, 304))


# ---------------------------------------------------------------------------------- date and time

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (None, "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date_time(timestamp):
    """*timestamp*, in seconds since the epoch, as an HTTP date: ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(timestamp)
    return f"{_WEEKDAYS[weekday]}, {day:02d} {_MONTHS[month]} {year:4d} {hour:02d}:{minute:02d}:{second:02d} GMT"


def _format_log_time(timestamp):
    return strftime("%Y-%m-%d %H:%M:%S", localtime(timestamp))


class _SecondCache:
    """The text of the current second, made anew when the second is over.

    Safe to share between threads: the pair is replaced as one.
    """

    __slots__ = ("_format", "_pair")

    def __init__(self, format):
        self._format = format
        self._pair = (None, None)

    def get(self, timestamp):
        second = int(timestamp)
        pair = self._pair
        if pair[0] != second:
            self._pair = pair = (second, self._format(second))
        return pair[1]


_date = _SecondCache(lambda second: date_pieces(format_date_time(second).encode("ascii")))
_log_time = _SecondCache(_format_log_time)


# --------------------------------------------------------------------------------- error responses


def _error_response(code):
    """(status, headers, body) of the server's own answer with *code*."""
    reason = reason_phrase(code)
    body = reason.encode("ascii") if code >= 500 else b""
    return (f"{code} {reason}", [("Content-Type", "text/plain"), ("Connection", "close"), ("Content-Length", str(len(body)))], body)


def _raw_error_response(code):
    """All octets of the server's own answer with *code*, for when there is no valid request.

    Without a body: it may have been a HEAD request.
    """
    fields = [_date.get(now())[0], (b"Connection", b"close"), (b"Content-Length", b"0")]
    return response_head(f"{code} {reason_phrase(code)}".encode("ascii"), fields)


class ConnectionHandler:
    """See :class:`gevent.pywsgi.WSGIHandler`, which is this with the defaults of the module.

    *settings* is an object with the attributes of :class:`gevent.pywsgi.WSGIServer` that set limits;
    *namespace*, a dict, has one more limit under ``"MAX_REQUEST_LINE"``. With *asks_server* the server is asked
    for every environ, without it once for all of the connection.
    """

    def __init__(self, socket, address, server, rfile, settings, namespace, asks_server):
        self.socket = socket
        self.client_address = address
        self.server = server
        self.close_connection = False
        self.time_start = 0
        self.time_finish = 0

        # The request
        self.command = None  # str
        self.path = None  # str: the request target as sent
        self.request_version = None  # "HTTP/1.0" or "HTTP/1.1"
        self.content_length = 0  # 0 where there is no Content-Length
        self.environ = None
        self.wsgi_input = None
        self.application = None

        # The response
        self.status = None  # bytes
        self.code = None  # int
        self.response_headers = None  # list of (bytes, bytes)
        self.headers_sent = False
        self.result = None
        self.provided_content_length = None
        self.provided_date = None
        self.response_use_chunked = False
        self.response_length = 0  # bytes sent, the head included
        self.connection_upgraded = False
        self._orig_status = None  # as given by the application, str
        self._provided_connection = None
        self._announced = -1  # the body's length as the head says it; -1: it does not
        self._body_left = -1  # what Content-Length still promises; -1: nothing
        self._sends_body = True  # false for HEAD, 204 and 304
        self._overlong = False  # the application gave more than it announced

        # The connection
        self._phase = READ_HEAD
        self._first = True  # the connection has not had a whole head yet
        self._stopping = False  # the server has closed: finish this request and close
        self._linger = False  # the client may be sending still when we close
        self._peer_gone = False  # a send or receive of ours failed
        self._ordinary = False  # see HeadParser.ordinary
        self._requestline = None
        self._request_headers = None
        self._fresh_environ = None  # filled by the parser, not yet given out
        self._template = None  # what all environs have in common
        self._address = None  # whose text these are
        self._remote_addr = None
        self._remote_port = None
        self._settings = settings
        # Those that every request with a body asks for.
        self._max_body = -1 if settings.max_body is None else settings.max_body
        self._body_timeout = settings.body_timeout
        self._min_body_rate = settings.min_body_rate
        self._keep_alive_timeout = settings.keep_alive_timeout
        self._namespace = namespace
        self._asks_server = asks_server
        self._environ_class = getattr(server, "environ_class", dict)
        self._reader = ConnectionReader(socket, settings.write_timeout)
        self._released = False  # the time limits are off, as the application may take the connection over
        self.rfile = self._reader if rfile is None else rfile
        self._parser = HeadParser(
            settings.max_header_count,
            settings.max_header_bytes,
            settings.underscore_headers,
            settings.unfold_headers,
            settings.require_host,
        )
        self._no_body = Input(self.rfile, 0)  # of all requests that have none
        self._body = None  # wsgi_input as we made it
        # TLS sockets have no sendmsg.
        self._sendmsg = None if hasattr(socket, "getpeercert") else getattr(socket, "sendmsg", None)
        self._find_overrides()

    def _find_overrides(self):
        """Note which of the methods that the shortcuts below leave out a subclass replaces."""
        self._reads_lines = self._overrides("read_requestline", "read_request", "MessageClass")
        self._asks_headers = self._overrides("_headers")
        self._sends_through_hooks = self._overrides("write", "_write", "_write_with_headers", "_sendall")
        self._writes_through_hooks = self._overrides("_write")
        self._sends_all = self._overrides("_sendall")
        self._shortcut = not self._overrides("finalize_headers")
        self._logs_itself = self._overrides("log_request")
        self._formats_itself = self._overrides("format_request")

    def _overrides(self, *names):
        """Whether the instance's class has a method of its own for one of *names*."""
        cls = type(self)
        return any(getattr(cls, name) is not getattr(ConnectionHandler, name) for name in names)

    @property
    def requestline(self):
        """The request line as sent, a str without its line end; None before there is one."""
        line = self._requestline
        if line is None:
            line = self._requestline = self._parser.requestline
        return line

    @requestline.setter
    def requestline(self, line):
        self._requestline = line

    @property
    def headers(self):
        """The request's headers, a :class:`~gevent._http1.RequestHeaders`.

        Put together when somebody asks: applications get them in the environ, and only subclasses of the
        handler look here.
        """
        headers = self._request_headers
        if headers is None:
            headers = self._request_headers = self._parser.headers()
        return headers

    @headers.setter
    def headers(self, headers):
        self._request_headers = headers

    # ----------------------------------------------------------------------------- the connection

    def handle(self):
        """Serve the connection until it is over, then close it. Blocks.

        Called by the server, in a greenlet of its own. Calls :meth:`handle_one_request` again and again.
        """
        server = self.server
        live = getattr(server, "_live_handlers", None)
        if live is not None:
            live.add(self)
        reader = self._reader
        loop = get_hub().loop
        try:
            set_timeout(self.socket, self._settings.write_timeout)
            # A connection is made to send a request on it: that one may not keep us waiting as others may.
            reader.limit(self._settings.header_timeout)
            reader.timeout = self._keep_alive_timeout
            if live is not None and server.closing:
                # Accepted before the server was closed, and still to be served.
                self._stop_soon()
            served = 0
            while self.socket is not None:
                outcome = self.handle_one_request()
                if outcome is True:
                    served += 1
                    if served >= _REQUESTS_AT_A_TIME or loop.readycnt:
                        served = 0
                        sleep(0)
                    continue
                if outcome is not None:
                    self._send_refusal(*outcome)
                break
        finally:
            if live is not None:
                live.discard(self)
            self._close()

    def _send_refusal(self, status, response):
        """Send a whole *response*, bytes, to a request that could not be served, and log it."""
        self.status = status
        self._orig_status = status if isinstance(status, str) else None
        self.time_start = self.time_finish = now()
        self.response_length = 0
        self.close_connection = True
        self._linger = True
        if not self.connection_upgraded:
            try:
                self._sendall(response)
            except OSError as ex:
                if not self._is_disconnect(ex):
                    raise
        self.log_request()

    def _close(self):
        """Close the connection and let go of it."""
        sock = self.socket
        if sock is None:
            return
        self.socket = None
        try:
            if not self._peer_gone and not self._reader.taken:
                if self._sendmsg is None:
                    self._end_tls(sock)
                if (self._linger or self._reader.buffered()) and not self.connection_upgraded:
                    self._phase = LINGER
                    self._wait_for_end(sock)
        finally:
            self._phase = CLOSED
            self.rfile.close()
            self._parser.release()
            sock.close()

    def _end_tls(self, sock):
        """Send TLS's own goodbye, so that the client can tell the end of a response from a cut. Does not wait for its."""
        try:
            sock.settimeout(0)
            sock.unwrap()
        except (OSError, ValueError, AttributeError, ConcurrentObjectUseError):
            pass  # the client's goodbye is not there yet, or it is gone

    def _wait_for_end(self, sock):
        """Tell the client that nothing more comes, and drop what it sends for a short time."""
        left = self._settings.max_discard
        until = monotonic() + self._settings.linger_timeout
        try:
            sock.shutdown(_socket.SHUT_WR)
            while left > 0:
                seconds = until - monotonic()
                if seconds <= 0:
                    break
                sock.settimeout(seconds)
                data = sock.recv(RECEIVE_SIZE)
                if not data:
                    break
                left -= len(data)
        except (OSError, ValueError):
            # Gone already, timed out, or a TLS layer with an opinion: closing is what is left.
            pass

    def _stop_soon(self):
        """The server has closed. Called by it, in any greenlet of the hub's thread."""
        self._stopping = True
        if self._phase == RUN_APP and not self.headers_sent:
            self.close_connection = True
        else:
            self._stop_if_idle()

    def _is_idle(self):
        """Whether the client has sent nothing of a request."""
        return self._phase == READ_HEAD and not self._reader.buffered()

    def _stop_if_idle(self):
        """End the connection unless there is something of a request, or one may still be on its way."""
        if self._is_idle() and not getattr(self.server, "_may_still_ask", False):
            self._stop_reading()

    def _stop_reading(self):
        """Serve what has arrived and nothing else: a greenlet that waits in recv finds the end of the stream."""
        try:
            if self._sendmsg is None:
                # Below TLS there would be an end without its goodbye.
                self._end_tls(self.socket)
                self.socket.close()
            else:
                self.socket.shutdown(_socket.SHUT_RD)
        except (AttributeError, OSError):
            pass  # it is gone already

    def _is_disconnect(self, ex):
        """Whether *ex*, an OSError, only says that the client has gone away."""
        if isinstance(ex, _socket.timeout):
            gone = self._peer_gone
        else:
            gone = bool(ex.args) and ex.args[0] in self.ignored_socket_errors
            # Where we did not see it ourselves it may be an error of a connection of the application's
            # own, which is to be reported.
            gone = gone and (
                self._peer_gone
                or self._sends_all
                or self.connection_upgraded
                or self._reader.taken
                or (self._body is not None and self._body.is_failure(ex))
            )
        return gone

    # --------------------------------------------------------------------------------- the request

    def handle_one_request(self):
        """Read one request and answer it. Blocks.

        Returns True when the connection can serve another, None when it is to be closed, and
        ``(status, response)`` when the request could not be served: a str for the log, and the bytes
        to send before closing.
        """
        if self._is_closed():
            return None
        self._phase = READ_HEAD
        # Do not keep a whole response while the connection is idle.
        self.environ = None
        self.result = None
        self.wsgi_input = None
        self._body = None
        self._requestline = None
        self._request_headers = None
        try:
            if self._reads_lines or self.rfile is not self._reader:
                outcome = self._read_by_lines()
                if outcome is not True:
                    return outcome
            elif not self._read_head():
                return None
            if not self._ordinary:
                self._check_request()
        except ValueError as ex:
            self._note_request_line()
            return self._handle_client_error(ex)
        except _socket.timeout:
            return self._refuse_timeout()
        except OSError as ex:
            self._peer_gone = True
            if not self._stopping and ex.args[:1] and ex.args[0] not in self.ignored_socket_errors:
                self.log_error(f"Error while reading a request from {self.client_address!r}: {ex}")
            return None
        self._phase = RUN_APP
        if self._stopping:
            self.close_connection = True
        try:
            self.environ = self.get_environ()
        except BadRequest as ex:
            # A subclass has changed the request into one that cannot be.
            return self._handle_client_error(ex)
        self.application = self.server.application
        self.handle_one_response()
        if self.close_connection or self.connection_upgraded or self._is_closed():
            return None
        if not self._ordinary:
            self._reader.timeout = self._keep_alive_timeout
            self._reader.pace(None)
        if self._stopping:
            self._phase = READ_HEAD
            self._stop_if_idle()
        return True

    def _line_limit(self):
        return self._namespace["MAX_REQUEST_LINE"]

    def _is_closed(self):
        """Whether somebody has closed what requests are read from."""
        if self.rfile is self._reader:
            return self._reader.closed
        return self.rfile.closed

    def _read_head(self):
        """Receive and parse a request's head; false when the client closes instead. Blocks."""
        reader = self._reader
        parser = self._parser
        if reader.pos >= len(reader.data):
            # Keep nothing while the connection is idle, neither in the parser nor in the buffer.
            parser.release()
            reader.data = b""
            reader.pos = 0
            if not reader.fill():
                return False
        data = reader.data
        pos = reader.pos
        environ = self._new_environ()
        end = parser.parse(data, pos, environ, self._line_limit())
        if end < 0:
            end = self._read_rest_of_head(environ)
            if end < 0:
                return False
            data = reader.data
        elif self._first:
            reader.limit(None)
        self._first = False
        if end == len(data):
            # Do not keep a buffer while the connection is idle.
            reader.data = b""
            reader.pos = 0
        else:
            reader.pos = end
        self._note_request()
        self._fresh_environ = environ
        return True

    def _note_request(self):
        """Take over what the parser has found."""
        parser = self._parser
        self.command = parser.command
        self.path = parser.target
        self.request_version = parser.version
        self.content_length = parser.content_length if parser.content_length > 0 else 0
        self.close_connection = not parser.keep_alive
        self._ordinary = parser.ordinary

    def _read_rest_of_head(self, environ):
        """Receive until the head is whole; returns its end, or -1 when the client has gone."""
        reader = self._reader
        self._linger = True
        if not self._first:
            # One limit for the whole head: a client that sends an octet now and then does not hold the
            # connection for ever. That of the first head began with the connection.
            reader.limit(self._settings.header_timeout)
        while True:
            if not reader.fill():
                # Empty lines are nothing, and neither is half of one.
                if reader.data[reader.pos :].replace(b"\r\n", b"") not in (b"", b"\r"):
                    raise BadRequest("the connection ended inside a request's head")
                return -1
            end = self._parser.parse(reader.data, reader.pos, environ, self._line_limit())
            if end >= 0:
                break
        self._linger = False
        reader.limit(None)
        return end

    def _check_request(self):
        """See to what makes a request not an ordinary one."""
        parser = self._parser
        if parser.content_length > self._max_body and self._max_body >= 0:
            raise BadRequest(f"request body of {parser.content_length} bytes is longer than {self._max_body} bytes", 413)
        if (parser.upgrade or parser.command == "CONNECT") and not parser.chunked and parser.content_length <= 0:
            # Whoever takes the connection over has time limits of his own, and may do so without telling us.
            self._released = True
            self._reader.release()

    def _read_by_lines(self):
        """Read a request the way 1.1 did, through the methods that subclasses override. Blocks.

        Returns True, or what :meth:`handle_one_request` is to return.
        """
        own = self.rfile is self._reader
        if own:
            if not self._reader.peek():
                return None
            if not self._first:
                self._reader.limit(self._settings.header_timeout)
            self._first = False
        line = self.read_requestline()
        if not line:
            return None
        if isinstance(line, bytes):
            line = line.decode("latin-1")
        self.requestline = line.rstrip("\r\n")
        if len(line) >= self._line_limit():
            raise BadRequest(f"request line longer than {self._line_limit()} bytes", 414)
        if not self.read_request(line):
            return "400", _raw_error_response(400)
        if own:
            self._reader.limit(None)
        return True

    def read_requestline(self):
        """Read the request line and return it with its line end, a str; empty when there is none.

        Called only when a subclass overrides a method that reads requests.
        """
        line = self.rfile.readline(self._line_limit())
        for _ in range(2):
            # RFC 9112 2.2: an empty line in front of the request line is to be ignored.
            if line != b"\r\n":
                break
            line = self.rfile.readline(self._line_limit())
        return line.decode("latin-1")

    def MessageClass(self, *args):
        """Read headers from args[0], a binary file; returns them as a mapping with ``items()``.

        Called only when a subclass overrides a method that reads requests.
        """
        rfile = args[0]
        limit = self._settings.max_header_bytes
        headers = RequestHeaders()
        left = limit
        while True:
            line = rfile.readline(left + 1)
            left -= len(line)
            if left < 0:
                raise BadRequest(f"headers longer than {limit} bytes", 431)
            if line == b"\r\n":
                return headers
            if line[-2:] != b"\r\n":
                raise BadRequest("a header line does not end with CRLF")
            name, colon, value = line[:-2].decode("latin-1").partition(":")
            if not colon:
                raise BadRequest(f"header line without a colon: {name[:80]!r}")
            headers.add_header(name, value.strip(" \t"))

    def read_request(self, raw_requestline):
        """Read and check the rest of a request whose request line is *raw_requestline*, a str.

        Sets ``headers``, ``command``, ``path``, ``request_version``, ``close_connection`` and
        ``content_length``. Returns true; raises ValueError for what is no valid request, and that
        ends in :meth:`_handle_client_error`. Called only when a subclass overrides a
        method that reads requests.
        """
        self.requestline = raw_requestline.rstrip("\r\n")
        self.headers = headers = self.MessageClass(self.rfile, 0)
        lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
        if not raw_requestline.endswith("\n"):
            raw_requestline += "\r\n"
        # Through the same parser as everybody: what is checked there is checked here.
        head = "".join([raw_requestline, *lines, "\r\n"]).encode("latin-1")
        parser = self._parser
        parser.release()
        if parser.parse(head, 0, {}, self._line_limit()) != len(head):
            raise BadRequest(f"Invalid request: {self.requestline!r}")
        self._note_request()
        self._fresh_environ = None
        return True

    def _new_environ(self):
        """What the environ of a request begins with, a new dict."""
        if self._asks_server:
            environ = dict(self.server.get_environ())
        else:
            if self._template is None:
                self._template = self._settings.environ_template()
            environ = self._template.copy()
        self._add_address(environ)
        return environ

    def _add_address(self, environ):
        address = self.client_address
        if address is not self._address:
            self._address = address
            if isinstance(address, tuple):
                self._remote_addr = str(address[0])
                self._remote_port = str(address[1])
            else:  # of a UNIX socket
                self._remote_addr = self._remote_port = None
        if self._remote_addr is not None:
            environ["REMOTE_ADDR"] = self._remote_addr
            environ["REMOTE_PORT"] = self._remote_port

    def get_environ(self):
        """The WSGI environment of the request, a new dict.

        Subclasses call this and add to what it returns. The request line and the headers have been
        read by then.
        """
        environ = self._fresh_environ
        self._fresh_environ = None
        if environ is None or self._asks_headers:
            environ = self._build_environ()
        elif self._environ_class is not dict:
            environ = self._environ_class(environ)
        parser = self._parser
        if not self._ordinary and (self.content_length or parser.chunked):
            body = Input(
                self.rfile,
                None if parser.chunked else parser.content_length,
                self.socket if parser.expect_continue else None,
                parser.chunked,
            )
            if parser.chunked and self._max_body >= 0:
                body.max_length = self._max_body
            self._reader.timeout = self._body_timeout
            if self._min_body_rate is not None:
                self._reader.pace(self._min_body_rate)
        else:
            body = self._no_body
        self._body = self.wsgi_input = environ["wsgi.input"] = body
        return environ

    def _build_environ(self):
        """The environ from the attributes, which subclasses may have changed."""
        environ = self.server.get_environ()
        target = self.path.encode("latin-1")
        authority, path, query = split_target(target, self.command)
        environ["REQUEST_METHOD"] = self.command
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["REQUEST_URI"] = self.path
        environ["SERVER_PROTOCOL"] = self.request_version
        self._add_address(environ)
        for key, value in self._headers():
            if key in environ:
                environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value
            else:
                environ[key] = value
        if authority is not None:
            environ["HTTP_HOST"] = authority
        return environ

    def _headers(self):
        """Yield (environ key, value) of each header.

        Called only when a subclass overrides it, or reads requests by itself.
        """
        keep = self._settings.underscore_headers == "keep"
        for name, value in self.headers.items():
            if keep or "_" not in name:
                yield environ_key(name), value

    def _handle_client_error(self, ex):
        """Log *ex*, the ValueError for a bad request; return (status for the log, whole response).

        Subclasses may answer otherwise.
        """
        code = getattr(ex, "status", 400)
        if not isinstance(ex, BadRequest):
            # Raised by a subclass, or by code of ours: say where.
            self.log_error("".join(traceback.format_exception(type(ex), ex, ex.__traceback__)))
        self.log_error(f"Invalid request from {self.client_address!r}: {ex}")
        return str(code), _raw_error_response(code)

    def _note_request_line(self):
        """Set requestline, for the log, to what there is of one."""
        if self.requestline is None:
            reader = self._reader
            # Only to be shown: there may be anything in it.
            self.requestline = reader.data[reader.pos : reader.pos + 100].split(b"\r\n", 1)[0].decode("latin-1")

    def _refuse_timeout(self):
        """The answer to a client that took too long: none where it has sent nothing at all."""
        if self.requestline is None and not self._reader.buffered():
            return None
        self._note_request_line()
        return "408", _raw_error_response(408)

    # -------------------------------------------------------------------------------- the response

    def handle_one_response(self):
        """Run the application for the current request and send its response. Blocks.

        Sees to everything the application can do wrong; does not raise what it raises.
        """
        self.time_start = now()
        self.time_finish = 0
        self.result = None
        self.headers_sent = False
        self.response_length = 0
        # start_response sets the rest.
        self.status = None
        self._orig_status = None
        try:
            self.run_application()
        except InvalidClientInput as ex:
            self._log_bad_body(ex)
            self._send_error_response_if_possible(ex.status)
        except OSError as ex:
            if self._is_disconnect(ex):
                self.close_connection = True
            else:
                self.handle_error(*sys.exc_info())
        except:  # noqa: E722 (the greenlet may be killed; the client is answered all the same)
            self.handle_error(*sys.exc_info())
        finally:
            # A body left unread is dropped now, so that this is not counted as the response's time.
            self.time_finish = now()
            self._phase = DRAIN
            if self._logs_itself or type(self.server.log) is not NoopLog:
                self.log_request()
        if self._body is not self._no_body and self._body is not None:
            self._drain()

    def run_application(self):
        """Call the application and send what it returns. Raises whatever it raises."""
        self.result = self.application(self.environ, self.start_response)
        try:
            self.process_result()
        finally:
            if type(self.result) is not list:
                close = getattr(self.result, "close", None)
                if close is not None:
                    close()

    def start_response(self, status, headers, exc_info=None):
        """What applications call to begin a response; returns :meth:`write`. See PEP 3333.

        Raises UnicodeError when *status* or a header is not a latin-1 native str; ValueError for
        characters that cannot be in a header and for a malformed status; ApplicationError, an
        AssertionError, when called twice without *exc_info*, or for a Content-Length that cannot be.
        """
        if exc_info:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # Breaks the cycle through this frame.
                exc_info = None
        elif self.status is not None:
            raise self.ApplicationError(f"start_response called again, for {status!r}, without exc_info")
        if self._phase != RUN_APP:
            raise self.ApplicationError(f"start_response called, for {status!r}, when the request was over")

        code, octets = encode_status(status)
        fields, announced, length, date, connection, coding = encode_fields(headers)
        if announced > 0 and code in _NO_BODY:
            raise self.ApplicationError(f"Invalid Content-Length for {code} response: {length!r} (must be absent or zero)")
        if coding is not None and coding.strip().lower() != "chunked":
            raise self.ApplicationError(f"Transfer-Encoding is the server's business, not the application's: {coding!r}")
        if code == 101:
            if not self._parser.upgrade:
                raise self.ApplicationError(f"the response is {status!r}, but the client has asked for no other protocol")
        elif self._released and not self._reader.taken and not self._is_tunnel(code):
            self._released = False
            self._reader.restore(self._settings.write_timeout)
            self._reader.timeout = self._keep_alive_timeout
        if connection is not None and has_token(connection, "close"):
            self.close_connection = True
        self.status = octets
        self._orig_status = status
        self.code = code
        self.response_headers = fields
        self.provided_content_length = length
        self._announced = announced
        self.provided_date = date
        self._provided_connection = connection
        self.response_use_chunked = False
        self.connection_upgraded = False
        self._body_left = -1
        self._sends_body = True
        self._overlong = False
        return self.write

    def _is_tunnel(self, code):
        """Whether a response with *code* makes the connection one of another protocol."""
        return code == 101 or (self.command == "CONNECT" and 200 <= code < 300)

    def process_result(self):
        """Send what the application returned."""
        result = self.result
        if (type(result) is list or type(result) is tuple) and not self._sends_through_hooks and not self.headers_sent:
            self._send_whole(result)
            return
        if type(result) is FileWrapper and self._send_file(result):
            self._end_body()
            return
        if result is None or isinstance(result, (bytes, bytearray, memoryview, str)):
            raise TypeError(f"the application must return an iterable of bytes, not {result!r:.80}")
        for data in result:
            if data:
                self.write(data)
                if self._body_left == 0 and type(result) is FileWrapper:
                    break
        if not self.headers_sent:
            if self.status:
                self.write(b"")
            elif not self._reader.taken and not self._parser.upgrade:
                raise self.ApplicationError("The application did not call start_response()")
            else:
                # Somebody speaks another protocol on the socket, or did.
                self.close_connection = True
        if self.headers_sent:
            self._end_body()

    def _send_whole(self, result):
        """Send head and body at once; *result* is a list or tuple with the whole body."""
        if self.status is None:
            if not result and (self._reader.taken or self._parser.upgrade):
                self.close_connection = True
                return
            raise self.ApplicationError("The application did not call start_response()")
        if (
            len(result) == 1
            and self._shortcut
            and self._parser.simple
            and not self.close_connection
            and (self._ordinary or self._is_body_read())
        ):
            data = result[0]
            if (
                type(data) is bytes
                and len(data) <= _JOIN_LIMIT
                and self.code >= 200
                and self.code not in _NO_BODY
                and (self._announced < 0 or self._announced == len(data))
                and not self.provided_date
                and self._provided_connection is None
            ):
                # Nine responses in ten. All that is left out here comes to nothing for them.
                self.headers_sent = True
                self._send(whole_response(self.status, self.response_headers, _date.get(now()), data, self._announced >= 0))
                return
        for data in result:
            if type(data) is not bytes:
                # finalize_headers measures them, in octets.
                self.result = result = [self._checked(data) for data in result]
                break
        if self.code in _NO_BODY and any(result):
            raise self.ApplicationError(f"The {self.code} response must have no body")
        if self._announced >= 0 and self.command != "HEAD" and self.code != 304:
            if self._known_length() != self._announced:
                self.close_connection = True  # as that is how it will end, the head shall say so
        self.finalize_headers()
        out = [self._begin_body()]
        for data in result:
            if data:
                self._frame(data, out)
        self._send_buffers(out)
        self._end_body()

    def _is_body_read(self):
        """Whether the application has read all of the request's body."""
        return self._body is self._no_body or (self._body is not None and self._body.at_end())

    def _checked(self, data):
        """*data* as something that can be sent, or a TypeError that says whose mistake it is."""
        if type(data) is bytes:
            return data
        if isinstance(data, (bytes, bytearray)):
            return bytes(data)
        if isinstance(data, memoryview):
            return data.cast("B") if data.c_contiguous else data.tobytes()
        if not data and isinstance(data, str):
            return b""  # gevent-websocket writes '' to get the head sent
        raise TypeError(f"the parts of a response's body must be bytes, not {type(data).__name__}")

    def write(self, data):
        """Send *data*, bytes, as a part of the response's body; the first one with the head in front.

        What :meth:`start_response` returns. Blocks.
        """
        if type(data) is not bytes:
            data = self._checked(data)
        if self._phase != RUN_APP:
            raise self.ApplicationError("write called when the request was over")
        if self.headers_sent:
            self._write(data)
        elif self.status is None:
            raise self.ApplicationError("The application did not call start_response()")
        elif data and self.code in _NO_BODY:
            raise self.ApplicationError(f"The {self.code} response must have no body")
        else:
            self._write_with_headers(data)

    def _write_with_headers(self, data):
        """Send the head of the response and *data* behind it."""
        self.finalize_headers()
        out = [self._begin_body()]
        if self._writes_through_hooks:
            self._send_buffers(out)
            if data:
                self._write(data)
            return
        if data:
            self._frame(data, out)
        self._send_buffers(out)

    def _write(self, data):
        """Send *data* as a further part of the body."""
        out = []
        if data:
            self._frame(data, out)
        if out:
            self._send_buffers(out)

    def finalize_headers(self):
        """Add to ``response_headers`` what the server has to say: date, framing, connection.

        Sets ``response_use_chunked``. Called once per response, before its head is sent.
        """
        fields = self.response_headers
        code = self.code
        if not self.provided_date:
            fields.append(_date.get(now())[0])
        if self._is_tunnel(code):
            # What follows is another protocol's.
            if self._provided_connection is not None:
                fields.append((b"Connection", self._provided_connection.encode("latin-1")))
            if self.provided_content_length is not None:
                self._drop_content_length()
            return
        if code == 204:
            if self.provided_content_length is not None:
                self._drop_content_length()
        elif self.provided_content_length is None and code != 304:
            length = self._known_length()
            if length is not None:
                # GET might have had a body where HEAD gives an empty result: better say nothing.
                if length or self.command != "HEAD":
                    fields.append((b"Content-Length", decimal(length)))
                    self._announced = length
            elif self.request_version == "HTTP/1.1":
                self.response_use_chunked = True
                fields.append((b"Transfer-Encoding", b"chunked"))
            else:
                self.close_connection = True
        if not self.close_connection:
            self._look_for_reasons_to_close()
        # Of what the application says about the connection two things count: "close", which has been seen
        # to, and that an Upgrade header is meant for the next hop only.
        upgrade = self._provided_connection is not None and has_token(self._provided_connection, "upgrade")
        if self.close_connection:
            fields.append((b"Connection", b"close, Upgrade" if upgrade else b"close"))
        elif upgrade:
            fields.append((b"Connection", b"Upgrade"))
        elif self.request_version == "HTTP/1.0":
            fields.append((b"Connection", b"keep-alive"))

    def _drop_content_length(self):
        """RFC 9110 8.6: a 204 has none, nor has what turns the connection into a tunnel."""
        self.response_headers[:] = [field for field in self.response_headers if field[0].lower() != b"content-length"]
        self.provided_content_length = None
        self._announced = -1

    def _known_length(self):
        """The length of the whole body if it can be told now, else None."""
        result = self.result
        if isinstance(result, (list, tuple)):
            return len(result[0]) if len(result) == 1 else sum(map(len, result))
        if result is None or not hasattr(result, "__len__"):
            return None
        # PEP 3333: of other iterables only this much can be told without consuming them.
        return 0 if not len(result) else None

    def _look_for_reasons_to_close(self):
        """Set close_connection where what the client sends next could not be told from this body."""
        body = self._body
        if body is not self._no_body and body is not None and not body.at_end():
            if body.socket is not None and body.is_received():
                body.socket = None  # the client has not waited for "100 Continue"
            # "100 Continue" was withheld and the body may come or not; or more is left than we
            # are going to read.
            left = self.content_length - body.position
            if body.has_failed() or body.socket is not None or left > self._settings.max_discard:
                self.close_connection = True

    def _begin_body(self):
        """The octets of the head; from here on the response cannot be replaced by another."""
        code = self.code
        if self._body_left < 0 and not self.response_use_chunked:
            self._body_left = self._announced
        if self.command == "HEAD" or code == 204 or code == 304:
            self._sends_body = False
        elif self._is_tunnel(code):
            self.connection_upgraded = True
            self._body_left = -1
            self.response_use_chunked = False
        self.headers_sent = True
        body = self._body
        if body is not None:
            # Too late for it: "100 Continue" is no final response, and would be taken for the next.
            body.send_100_continue_enabled = False
        return response_head(self.status, self.response_headers)

    def _frame(self, data, out):
        """Append to the list *out* what has to be sent for *data*, which is not empty."""
        if not self._sends_body:
            return
        if self.response_use_chunked:
            out.append(b"%x\r\n" % len(data))
            out.append(data)
            out.append(b"\r\n")
            return
        left = self._body_left
        if left >= 0:
            if len(data) > left:
                if type(self.result) is not FileWrapper:  # see _send_file
                    self.close_connection = True
                    if not self._overlong:
                        self._overlong = True
                        self.log_error(
                            f"Response to {self.requestline!r} is longer than its Content-Length {self._announced}; the rest is dropped"
                        )
                data = data[:left]
            self._body_left = left - len(data)
            if not data:
                return
        out.append(data)

    def _send_file(self, wrapper):
        """Send head and body of a response that is a file, by sendfile(2); false when that cannot be done.

        Nothing has been sent then.
        """
        sock = self.socket
        if self._sends_through_hooks or self.headers_sent or self.status is None or self.code in _NO_BODY:
            return False
        if self._sendmsg is None or not isinstance(sock, _socket.socket) or self._is_tunnel(self.code):
            return False
        found = extent(wrapper.filelike)
        if found is None:
            return False
        file, position, left = found
        if self.provided_content_length is None:
            size = decimal(left)
            self.response_headers.append((b"Content-Length", size))
            self.provided_content_length = size.decode("ascii")
            self._announced = left
        self.finalize_headers()
        head = self._begin_body()
        # PEP 3333: up to the Content-Length, or to the end of the file. Parts of files are sent like this.
        left = min(left, self._body_left)
        if not self._sends_body or not left:
            self._send(head)
            return True
        try:
            sent = sock.send(head, _MSG_MORE)
            self.response_length += sent
            if sent < len(head):
                self._send(head[sent:])
            try:
                sock.sendfile(file, position, left)
            finally:
                sent = file.tell() - position
                self.response_length += sent
                self._body_left -= sent
        except OSError as ex:
            self._note_failed_send(ex)
            raise
        return True

    def _end_body(self):
        """The application has given all of the body."""
        if self.connection_upgraded:
            self.close_connection = True
        elif not self._sends_body:
            pass
        elif self.response_use_chunked:
            self._send(b"0\r\n\r\n")
        elif self._body_left > 0:
            self.log_error(
                f"Response to {self.requestline!r} is {self._body_left} bytes shorter than its Content-Length {self._announced}"
            )
            self.close_connection = True

    def _send_buffers(self, buffers):
        """Send a list of *buffers*, in one system call if the kernel takes them. Blocks."""
        if len(buffers) == 1:
            self._send(buffers[0])
            return
        total = sum(map(len, buffers))
        if total <= _JOIN_LIMIT or self._sends_all or self._sendmsg is None:
            if total <= 4 * _JOIN_LIMIT:
                self._send(b"".join(buffers))
            else:
                for data in buffers:
                    self._send(data)
            return
        try:
            first = 0
            while first < len(buffers):
                batch = buffers[first : first + _MAX_BUFFERS]
                sent = self._sendmsg(batch)
                self.response_length += sent
                done = 0
                for data in batch:
                    if sent < len(data):
                        break
                    sent -= len(data)
                    done += 1
                first += done
                if sent:
                    buffers[first] = memoryview(buffers[first])[sent:]
        except OSError as ex:
            self._note_failed_send(ex)
            raise

    def _send(self, data):
        """Send *data*, bytes."""
        if self._sends_all:
            self._sendall(data)
            return
        try:
            size = len(data)
            sent = self.socket.send(data)
            self.response_length += sent
            if sent < size:
                # Not sendall: its time limit is for the whole, ours for each sign of life.
                view = memoryview(data)
                while sent < size:
                    more = self.socket.send(view[sent:])
                    self.response_length += more
                    sent += more
        except OSError as ex:
            self._note_failed_send(ex)
            raise

    def _sendall(self, data):
        """Send *data*. Subclasses that override it see all that is sent."""
        try:
            self.socket.sendall(data)
        except OSError as ex:
            self._note_failed_send(ex)
            raise
        self.response_length += len(data)

    def _note_failed_send(self, ex):
        self._peer_gone = True
        self.close_connection = True
        self.status = f"socket error: {ex}"
        self._orig_status = None

    def _drain(self):
        """Read and drop what the application left of the request's body, within bounds. Blocks."""
        if self.connection_upgraded or self._peer_gone or self._reader.taken:
            return
        body = self._body
        if body.at_end():
            return
        self._phase = DRAIN
        left = self._settings.max_discard
        try:
            if body.is_received():
                body._discard()
            elif not self.close_connection and body.socket is None:
                # One time limit for all of it, as for a head.
                self._reader.limit(self._settings.header_timeout)
                while left > 0 and not body.at_end():
                    left -= body._drop()
                self._reader.limit(None)
        except InvalidClientInput as ex:
            self._log_bad_body(ex)
        except OSError:
            self._peer_gone = True
        if not body.at_end():
            self.close_connection = True
            self._linger = True

    def _log_bad_body(self, ex):
        if not ex.disconnected:
            self.log_error(f"Invalid request body from {self.client_address!r}: {ex}")

    # -------------------------------------------------------------------------------------- errors

    def handle_error(self, t, v, tb):
        """Report an error of the application and answer 500 if nothing was sent yet."""
        self._log_error(t, v, tb)
        del tb
        self._send_error_response_if_possible(500)

    def _log_error(self, t, v, tb):
        """Report an error of the application through the hub; a killed greenlet is none."""
        if issubclass(t, SystemExit):
            # One request does not end the server: to the hub this would be the end of the program.
            self.log_error("%s", "".join(traceback.format_exception(t, v, tb)))
        elif not issubclass(t, GreenletExit):
            server = self.server
            context = self.environ
            if not isinstance(context, server.secure_environ_class):
                context = server.secure_environ_class(context or {})
            server.loop.handle_error(context, t, v, tb)

    def _send_error_response_if_possible(self, error_code):
        """Answer with *error_code* if no head was sent; in any case the connection is closed after it."""
        self.close_connection = True
        if self.headers_sent or self._peer_gone or self._reader.taken:
            return
        status, headers, body = _error_response(error_code)
        self.status = None
        self.result = [body]
        try:
            self.start_response(status, headers)
            self.write(body)
        except OSError as ex:
            if not self._is_disconnect(ex):
                raise

    def log_error(self, msg, *args):
        """Write *msg*, %-formatted with *args*, to the server's error log. Never raises because of these."""
        try:
            message = msg % args if args else msg
        except Exception:
            traceback.print_exc()
            message = f"{msg!r} {args!r}"
        try:
            message = f"{self.socket!r}: {message}"
        except Exception:
            pass
        try:
            self.server.error_log.write(message + "\n")
        except Exception:
            traceback.print_exc()

    def log_request(self):
        """Write a line about the request to the server's log."""
        log = self.server.log
        if type(log) is LoggingLogAdapter and not self._formats_itself and not log.is_enabled():
            return  # spare the formatting
        log.write(self.format_request() + "\n")

    def format_request(self):
        """The line for the access log: client, time, request, status, bytes sent, seconds taken."""
        moment = _log_time.get(self.time_finish or now())
        length = self.response_length or "-"
        delta = f"{self.time_finish - self.time_start:.6f}" if self.time_finish else "-"
        address = self.client_address
        client = address[0] if isinstance(address, tuple) else address
        if isinstance(client, bytes):
            client = client.decode("latin-1")
        status = self._orig_status or self.status or "000"
        if isinstance(status, bytes):
            status = status.decode("latin-1")
        # "socket error" has two words.
        status = "socket error" if status.startswith("socket error") else status.split()[0]
        line = self.requestline or ""
        if not line.isprintable():
            line = line.encode("unicode_escape").decode("ascii")
        return f'{client or "-"} - - [{moment}] "{line}" {status} {length} {delta}'
