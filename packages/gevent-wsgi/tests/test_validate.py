"""PEP 3333 as the standard library's wsgiref.validate has it, over every kind of request and response.

The validator raises inside the server, which makes it a 500 and lines in the error log; each of them fails the test.
"""

import contextlib
import hashlib
import http.client
import json
import socket
import ssl

import pytest

PATHS = [f"/answer/{how}" for how in ("list", "parts", "counted-parts", "generator", "write", "file", "unread")]
READERS = ["read", "one-read", "readline", "readlines", "iteration"]
BODY = b"a line\nand another\r\n\nand no end" * 500


class UnixConnection(http.client.HTTPConnection):
    """http.client over a UNIX socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(self.path)


@pytest.fixture(scope="module", params=["tcp", "unix", "tls"])
def connect(request, serve, certificate, tmp_path_factory):
    """A function that gives a new connection to the validated application, as a context."""
    options = {
        "tcp": (),
        "unix": ("--unix", str(tmp_path_factory.mktemp("unix") / "socket")),
        "tls": ("--tls", certificate),
    }[request.param]

    def open_connection():
        if server.path:
            return contextlib.closing(UnixConnection(server.path))
        if request.param == "tls":
            context = ssl.create_default_context(cafile=str(certificate))  # PyPy takes no Path
            context.check_hostname = False
            return contextlib.closing(http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context))
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10))

    with serve("kinds", *options) as server:
        yield open_connection


def ask(connection, method, path, body=None, headers=(), **options):
    connection.request(method, path, body=body, headers=dict(headers), **options)
    response = connection.getresponse()
    return response.status, response.read()


@pytest.mark.parametrize("path", PATHS)
def test_every_kind_of_result(connect, path):
    with connect() as connection:
        assert [ask(connection, method, path) for method in ("GET", "POST", "OPTIONS", "HEAD", "GET")] == [
            (200, b"hello"),
            (200, b"hello"),
            (200, b"hello"),
            (200, b""),
            (200, b"hello"),
        ]


def test_no_body(connect):
    with connect() as connection:
        found = [ask(connection, method, f"/answer/{how}") for how in ("empty", "204", "304") for method in ("GET", "HEAD")]
    assert found == [(200, b""), (200, b""), (204, b""), (204, b""), (304, b""), (304, b"")]


def test_an_answer_replaced_in_time(connect):
    with connect() as connection:
        assert ask(connection, "GET", "/answer/replaced") == (503, b"later")


def test_results_are_closed(connect):
    with connect() as connection:
        before = int(ask(connection, "GET", "/answer/closed")[1])
        for method in ("GET", "HEAD", "POST"):
            ask(connection, method, "/answer/parts")
        assert int(ask(connection, "GET", "/answer/closed")[1]) == before + 3


@pytest.mark.parametrize("how", READERS)
@pytest.mark.parametrize("framing", ["none", "length", "chunked"])
def test_every_kind_of_reading(connect, how, framing):
    parts = [BODY[start : start + 777] for start in range(0, len(BODY), 777)]
    with connect() as connection:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            if framing == "none":
                status, body = ask(connection, method, f"/read/{how}")
                expected = b""
            elif framing == "length":
                status, body = ask(connection, method, f"/read/{how}", BODY)
                expected = BODY
            else:
                status, body = ask(connection, method, f"/read/{how}", iter(parts), encode_chunked=True)
                expected = BODY
            assert status == 200
            found = json.loads(body)
            assert found["REQUEST_METHOD"] == method
            assert (found["length"], found["digest"]) == (len(expected), hashlib.sha256(expected).hexdigest())


def raw(connection, request):
    """All that comes for *request*, whose last must end the connection."""
    connection.connect()
    connection.sock.sendall(request)
    with connection.sock.makefile("rb") as file:
        return file.read()


RAW = {
    "HTTP/1.0": (b"GET /answer/parts HTTP/1.0\r\n\r\n", 1),
    "HTTP/1.0 with Host and a query": (b"GET /answer/list?a=b&c=%20 HTTP/1.0\r\nHost: localhost\r\n\r\n", 1),
    "HTTP/1.0 keep-alive": (
        b"GET /answer/list HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /answer/list HTTP/1.0\r\n\r\n",
        2,
    ),
    "pipelined": (
        b"GET /answer/list HTTP/1.1\r\nHost: a\r\n\r\n" * 3 + b"GET /answer/file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        4,
    ),
    "absolute form": (b"GET http://localhost/answer/list?x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 1),
    "percent and octets": (b"GET /answer/%E2%82%AC%00%0d HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 1),
    "double slash": (b"GET //answer//list HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 1),
    "expects": (
        b"POST /read/read HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
        1,
    ),
    "trailers": (
        b"POST /read/read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3;x=y\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n",
        1,
    ),
    "odd headers": (
        b"GET /answer/list HTTP/1.1\r\nHost: a\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Empty:\r\nX-Octets: \xe4\r\nCookie: a=b\r\n"
        b"Cookie: c=d\r\nContent-Type: text/x\r\nX_Underscore: 1\r\nConnection: close\r\n\r\n",
        1,
    ),
    "an upgrade that is not taken": (
        b"GET /answer/list HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n",
        1,
    ),
}


@pytest.mark.parametrize("name", RAW)
def test_raw_requests(connect, name):
    request, count = RAW[name]
    with connect() as connection:
        found = raw(connection, request)
    assert found.count(b"HTTP/1.1 200 ") + found.count(b"HTTP/1.1 404 ") == count
    assert b" 500 " not in found


def test_the_asterisk_form(serve):
    with (
        serve("kinds") as server,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection,
    ):
        found = raw(connection, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 404 ")
