"""The WSGI server, over real connections: what clients see on the wire, and what ends up in the logs."""

import errno
import gc
import gzip
import io
import logging
import os
import pathlib
import pickle
import re
import socket as stdlib_socket
import struct
import sys
import tempfile
import time
import types
import warnings
import wsgiref.validate

import gevent
import pytest
from gevent import pywsgi, socket
from gevent.event import Event
from gevent.pool import Pool

HERE = pathlib.Path(__file__).parent
DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z][a-z] \d{4} \d\d:\d\d:\d\d GMT")
LOG_LINE = re.compile(r'127\.0\.0\.1 - - \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] "(.*)" (.*) (\d+|-) \d+\.\d{6}\n')


# ------------------------------------------------------------------------------------------- tools


class Log(list):
    """A log that can be read back."""

    def write(self, text):
        self.append(text)

    def writelines(self, lines):
        self.extend(lines)

    def flush(self):
        pass

    def __str__(self):
        return "".join(self)


class Response:
    def __init__(self, client, method="GET"):
        head = client.read_until(b"\r\n\r\n")
        lines = head[:-4].decode("latin-1").split("\r\n")
        protocol, self.status, self.reason = lines[0].split(" ", 2)
        assert protocol == "HTTP/1.1"
        self.status = int(self.status)
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.chunks = None
        if method == "HEAD" or self.status in (204, 304) or self.status < 200:
            self.body = b""
        elif self["transfer-encoding"] == "chunked":
            assert self["content-length"] is None
            self.chunks = []
            while True:
                size = int(client.read_until(b"\r\n"), 16)
                self.chunks.append(client.read(size))
                assert client.read(2) == b"\r\n"
                if not size:
                    break
            assert self.chunks.pop() == b""
            self.body = b"".join(self.chunks)
        elif self["content-length"] is not None:
            self.body = client.read(int(self["content-length"]))
        else:
            assert self["connection"] == "close"
            self.body = client.rest()

    def __getitem__(self, name):
        values = [value for key, value in self.headers if key.lower() == name]
        assert len(values) < 2
        return values[0] if values else None


class Client:
    """A connection whose every octet the test says."""

    def __init__(self, address):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address)
        self.socket.settimeout(10)
        self.data = b""

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        data = self.socket.recv(65536)
        self.data += data
        return bool(data)

    def read_until(self, mark):
        while mark not in self.data:
            assert self.receive(), f"the connection ended behind {self.data!r}"
        end = self.data.index(mark) + len(mark)
        found, self.data = self.data[:end], self.data[end:]
        return found

    def read(self, size):
        while len(self.data) < size:
            assert self.receive(), f"the connection ended behind {self.data!r}"
        found, self.data = self.data[:size], self.data[size:]
        return found

    def rest(self):
        """All up to the end of the connection, which must come."""
        while self.receive():
            pass
        found, self.data = self.data, b""
        return found

    def ask(self, request, method=None):
        self.send(request)
        return Response(self, method or request.split(b" ", 1)[0].decode())

    def finish(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Close so that the server gets an error instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


class Site:
    """A running server, its logs, and clients of it."""

    def __init__(self, application, listener=("127.0.0.1", 0), server_class=pywsgi.WSGIServer, settings=None, **kwargs):
        self.log = Log()
        self.errors = Log()
        kwargs.setdefault("log", self.log)
        kwargs.setdefault("error_log", self.errors)
        kwargs.setdefault("spawn", 1000)
        self.server = server_class(listener, application, **kwargs)
        for name, value in (settings or {}).items():
            assert hasattr(self.server, name)
            setattr(self.server, name, value)
        self.server.start()
        self.clients = []

    def client(self):
        address = self.server.address
        client = Client(address if isinstance(address, str) else ("127.0.0.1", self.server.server_port))
        self.clients.append(client)
        return client

    def ask(self, request, method=None):
        """The response to one request on a connection of its own."""
        return self.client().ask(request, method)

    def exchange(self, raw):
        """All that comes back on a connection on which the client sends *raw* and no more."""
        client = self.client()
        client.send(raw)
        client.finish()
        return client.rest()

    def stop(self):
        for client in self.clients:
            client.close()
        self.server.stop(timeout=5)


@pytest.fixture
def site():
    sites = []

    def start(*args, **kwargs):
        sites.append(Site(*args, **kwargs))
        return sites[-1]

    yield start
    for each in sites:
        each.stop()


def request(path="/", method="GET", headers=(), body=b"", version="1.1"):
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(*parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


GET = request()
CHUNKED = "Transfer-Encoding: chunked"


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [body]


def show(environ, start_response):
    """The environ's strings."""
    environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [repr({key: value for key, value in environ.items() if isinstance(value, str)}).encode()]


def returning(result, status="200 OK", headers=()):
    """An application that answers with *result*; made anew each time if it is callable."""

    def application(environ, start_response):
        start_response(status, list(headers))
        return result() if callable(result) else result

    return application


def environ_of(response):
    return eval(response.body)


# ---------------------------------------------------------------------------------------- corpus


def load_corpus():
    import importlib.util

    spec = importlib.util.spec_from_file_location("_corpus_of_http1", HERE / "test_http1.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CORPUS


CORPUS = load_corpus()


@pytest.fixture(scope="module")
def corpus_site():
    running = Site(echo)
    yield running
    running.stop()


@pytest.mark.leaks("one server serves all of the corpus")
@pytest.mark.parametrize(("name", "raw", "statuses", "expected"), CORPUS, ids=[entry[0] for entry in CORPUS])
def test_corpus(corpus_site, name, raw, statuses, expected):
    """WSG-03, WSG-04, WSG-05, WSG-24: the right answers in order, then the end of the connection."""
    client = corpus_site.client()
    try:
        client.send(raw)
        client.finish()
        methods = re.findall(rb"(?:^|\n)([A-Z]+) [/*h]", raw) or [b"GET"]
        responses = []
        while client.data or client.receive():
            answered = sum(response.status >= 200 for response in responses)
            method = methods[answered] if answered < len(methods) else b"GET"
            responses.append(Response(client, method.decode()))
        interim = [response.status for response in responses if response.status < 200]
        assert interim == [100] * len(interim)
        assert len(interim) <= raw.lower().count(b"expect:")  # echo asks for the body, and so for "100 Continue"
        responses = [response for response in responses if response.status >= 200]
        assert [response.status for response in responses] == statuses
        for response in responses:
            if response.status >= 400:
                assert response["connection"] == "close"
        if responses and "body" in expected and statuses[0] == 200:
            assert responses[0].body == expected["body"]
    finally:
        client.close()


class ThroughHooks(pywsgi.WSGIHandler):
    """Does nothing else, but makes the server go the way of 1.1."""

    def read_requestline(self):
        return super().read_requestline()

    def _sendall(self, data):
        return super()._sendall(data)


@pytest.fixture(scope="module")
def corpus_site_of_hooks():
    running = Site(echo, handler_class=ThroughHooks)
    yield running
    running.stop()


@pytest.mark.leaks("one server serves all of the corpus")
@pytest.mark.parametrize(("name", "raw", "statuses", "expected"), CORPUS, ids=[entry[0] for entry in CORPUS])
def test_corpus_through_the_overridable_methods(corpus_site_of_hooks, name, raw, statuses, expected):
    """WSG-04: a subclass that overrides how requests are read is no less strict."""
    test_corpus(corpus_site_of_hooks, name, raw, statuses, expected)


# ----------------------------------------------------------------------------------- the response


def test_hello(site):
    response = site(hello).ask(GET)
    assert (response.status, response.reason, response.body) == (200, "OK", b"hello")
    assert DATE.fullmatch(response["date"])
    assert response.headers == [("Content-Type", "text/plain"), ("Date", response["date"]), ("Content-Length", "5")]


def recording_handler(calls):
    """A handler class that notes how the socket is written to."""

    class Recorder:
        def __init__(self, sock):
            self._recorded = sock

        def send(self, data):
            calls.append(("send", len(data)))
            return self._recorded.send(data)

        def sendmsg(self, buffers):
            calls.append(("sendmsg", [len(data) for data in buffers]))
            return self._recorded.sendmsg(buffers)

        def sendall(self, data):
            calls.append(("sendall", len(data)))
            return self._recorded.sendall(data)

        def __getattr__(self, name):
            if name == "getpeercert":
                raise AttributeError(name)
            return getattr(self._recorded, name)

    class Handler(pywsgi.WSGIHandler):
        def __init__(self, sock, address, server):
            super().__init__(Recorder(sock), address, server)

    return Handler


@pytest.mark.parametrize(
    "result",
    [
        [b"hello"],
        (b"hello",),
        [b"hell", b"o"],
        [b"", b"hello", b""],
        [b"x" * 16384],
        [b""],
        [],
        [bytearray(b"hello")],
        [memoryview(b"hello"), b"x"],
    ],
)
def test_one_write_for_a_whole_response(site, result):
    """Status line, headers and body leave together."""
    calls = []
    here = site(returning(result), handler_class=recording_handler(calls))
    assert here.ask(GET).body == b"".join(result)
    assert [name for name, _ in calls] == ["send"]


def test_large_bodies_are_not_copied(site):
    calls = []
    here = site(returning([b"x" * 100_000, b"y" * 200_000]), handler_class=recording_handler(calls))
    response = here.ask(GET)
    assert response.body == b"x" * 100_000 + b"y" * 200_000
    assert response["content-length"] == "300000"
    name, sizes = calls[0]
    assert (name, sizes[1:]) == ("sendmsg", [100_000, 200_000])


def test_many_large_parts(site):
    """More buffers than the kernel takes at once, each sent in part now and then."""
    parts = [bytes([number % 256]) * 2_000 for number in range(1500)]
    response = site(returning(parts)).ask(GET)
    assert response.body == b"".join(parts)


def test_one_write_for_each_part_of_a_stream(site):
    calls = []
    here = site(returning(lambda: iter([b"", b"a", b"bc"])), handler_class=recording_handler(calls))
    assert here.ask(GET).chunks == [b"a", b"bc"]
    assert [name for name, _ in calls] == ["send", "send", "send"]


def test_connections_do_not_delay_small_packets(site):
    seen = []

    class Handler(pywsgi.WSGIHandler):
        def handle(self):
            seen.append(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            super().handle()

    site(hello, handler_class=Handler).ask(GET)
    assert seen != [0]
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("result", "length"),
    [
        ([b"hello"], "5"),
        ([b"hell", b"o"], "5"),
        ((b"hello",), "5"),
        ([], "0"),
        ([b""], "0"),
        ((), "0"),
    ],
)
def test_length_is_added(site, result, length):
    """WSG-14: results with a length are sent with Content-Length."""
    response = site(returning(result)).ask(GET)
    assert (response["content-length"], response["transfer-encoding"]) == (length, None)


def test_streams_are_chunked(site):
    """WSG-14: chunked for HTTP/1.1, the end of the connection for 1.0."""
    here = site(returning(lambda: iter([b"hell", b"", b"o"])))
    response = here.ask(GET)
    assert response.chunks == [b"hell", b"o"]
    response = here.ask(request(version="1.0"))
    assert (response.chunks, response.body, response["connection"]) == (None, b"hello", "close")


def test_a_stream_of_nothing_has_a_length(site):
    here = site(returning(lambda: iter([])))
    client = here.client()
    assert client.ask(GET).body == b""
    assert client.ask(GET).body == b""


def test_stream_with_a_length(site):
    """The application's Content-Length is kept and the body is not chunked."""
    response = site(returning(lambda: iter([b"he", b"llo"]), headers=[("content-LENGTH", "5")])).ask(GET)
    assert ("content-LENGTH", "5") in response.headers
    assert (response.body, response.chunks) == (b"hello", None)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("headers", [[], [("Content-Length", "0")]])
@pytest.mark.parametrize("result", [[], [b""], lambda: iter([])])
def test_no_body(site, status, headers, result):
    """WSG-14: no coding for 204 and 304, no length for 204 in any case, and the connection goes on."""
    client = site(returning(result, status, headers)).client()
    for _ in range(2):
        response = client.ask(GET)
        assert response.status == int(status[:3])
        assert response["transfer-encoding"] is None
        assert response["content-length"] == ("0" if headers and status.startswith("304") else None)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("result", [[b"a"], [b"", b"a"], lambda: iter([b"a"])])
def test_body_where_none_may_be(site, capsys, status, result):
    """WSG-15: an AssertionError, and nothing of the body on the wire."""
    response = site(returning(result, status)).ask(GET)
    assert response.status == 500
    assert f"AssertionError: The {status[:3]} response must have no body" in capsys.readouterr().err


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_length_where_none_may_be(site, status):
    """WSG-15: start_response raises."""
    caught = []

    def application(environ, start_response):
        with pytest.raises(AssertionError, match="Content-Length") as info:
            start_response(status, [("Content-Length", "5")])
        caught.append(info.value)
        start_response("200 OK", [])
        return [b"ok"]

    assert site(application).ask(GET).body == b"ok"
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("result", "headers", "length", "coding"),
    [
        ([b"hello"], [], "5", None),
        (lambda: iter([b"hello"]), [], None, "chunked"),
        ([b"hello"], [("Content-Length", "5")], "5", None),
        ([], [("Content-Length", "5")], "5", None),
        ([], [], None, None),
    ],
)
def test_head(site, result, headers, length, coding):
    """The headers of GET, as far as they are known, and no body: the next response follows at once."""
    client = site(returning(result, headers=headers)).client()
    for _ in range(2):
        response = client.ask(request(method="HEAD"))
        assert (response.status, response["content-length"], response["transfer-encoding"]) == (200, length, coding)
    client.send(request(method="HEAD", headers=["Connection: close"]))
    assert client.rest().endswith(b"\r\n\r\n")


def test_header_names_as_spelled(site):
    """WSG-22."""
    headers = [("x-ALL-kinds", "1"), ("ETag", "2"), ("www-authenticate", "3")]
    assert site(returning([b""], headers=headers)).ask(GET).headers[:3] == headers


def test_own_date(site):
    response = site(returning([b""], headers=[("date", "tomorrow")])).ask(GET)
    assert response["date"] == "tomorrow"


@pytest.mark.parametrize("part", [bytearray(b"hello"), memoryview(b"hello"), memoryview(b"h.e.l.l.o.")[::2]])
@pytest.mark.parametrize("kind", [list, iter])
def test_other_kinds_of_bytes(site, part, kind):
    """WSG-20: bytearray chunks are accepted."""
    assert site(returning(lambda: kind([part]))).ask(GET).body == b"hello"


def test_memoryview_of_wider_items(site):
    """Lengths are octets."""
    part = memoryview(struct.pack("4i", 1, 2, 3, 4)).cast("i")
    for kind in (list, iter):
        response = site(returning(lambda kind=kind: kind([part]))).ask(GET)
        assert response.body == part.tobytes()


def test_subclass_of_bytes(site):
    class Text(bytes):
        pass

    assert site(returning([Text(b"hello")])).ask(GET).body == b"hello"


def test_write_callable(site):
    def application(environ, start_response):
        write = start_response("200 OK", [])
        write(b"")
        write(b"he")
        write(b"l")
        return [b"lo"]

    assert site(application).ask(GET).chunks == [b"he", b"l", b"lo"]


def test_generator_that_calls_start_response_late(site):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"hello"

    assert site(application).ask(GET).body == b"hello"


def test_result_with_a_length_of_its_own(site):
    """Of an iterable that is no list, only that it is empty can be told in advance."""

    class Result:
        def __init__(self, parts):
            self.parts = parts

        def __len__(self):
            return len(self.parts)

        def __iter__(self):
            return iter(self.parts)

    here = site(
        lambda environ, start_response: (
            start_response("200 OK", []),
            Result([b"he", b"llo"] if environ["PATH_INFO"] == "/" else []),
        )[1]
    )
    assert here.ask(GET).chunks == [b"he", b"llo"]
    assert here.ask(request("/empty"))["content-length"] == "0"


def test_transfer_encoding_of_the_application(site, capsys):
    """The body's framing is the server's: no header of the application's makes it wrong."""
    response = site(returning([b"hello"], headers=[("Transfer-Encoding", "chunked")])).ask(GET)
    assert (response.body, response["transfer-encoding"], response["content-length"]) == (b"hello", None, "5")
    response = site(returning([b"hello"], headers=[("Transfer-Encoding", "gzip")])).ask(GET)
    assert response.status == 500
    assert "Transfer-Encoding" in capsys.readouterr().err


# --------------------------------------------------------------------------- the connection


def test_keep_alive(site):
    """WSG-12: an HTTP/1.1 connection goes on."""
    client = site(hello).client()
    for _ in range(3):
        response = client.ask(GET)
        assert (response.body, response["connection"]) == (b"hello", None)


def test_client_closes(site):
    """WSG-12."""
    client = site(hello).client()
    client.send(request(headers=["Connection: close"]) + GET)
    assert Response(client)["connection"] == "close"
    assert client.rest() == b""


@pytest.mark.parametrize("result", [[b"hello"], lambda: iter([b"hello"])])
@pytest.mark.parametrize("value", ["close", "Close", "x, close"])
def test_application_closes(site, result, value):
    """WSG-12."""
    client = site(returning(result, headers=[("Connection", value)])).client()
    client.send(GET + GET)
    assert Response(client)["connection"] == "close"
    assert client.rest() == b""


def test_application_cannot_keep_what_must_be_closed(site):
    client = site(returning([b""], headers=[("Connection", "keep-alive")])).client()
    assert client.ask(request(version="1.0"))["connection"] == "close"
    assert client.rest() == b""


def test_http_1_0(site):
    """WSG-12: HTTP/1.0 closes, unless the client asks otherwise and the length is known."""
    here = site(hello)
    client = here.client()
    assert client.ask(request(version="1.0"))["connection"] == "close"
    assert client.rest() == b""
    client = here.client()
    for _ in range(2):
        response = client.ask(request(version="1.0", headers=["Connection: keep-alive"]))
        assert (response["connection"], response["content-length"]) == ("keep-alive", "5")


def test_http_1_0_stream_closes_in_spite_of_keep_alive(site):
    client = site(returning(lambda: iter([b"hello"]))).client()
    response = client.ask(request(version="1.0", headers=["Connection: keep-alive"]))
    assert (response["connection"], response.body) == ("close", b"hello")


def test_pipelined_requests_in_order(site):
    """WSG-12: served one after the other, bodies included."""
    client = site(
        lambda environ, start_response: (
            start_response("200 OK", []),
            [environ["PATH_INFO"].encode() + environ["wsgi.input"].read()],
        )[1]
    ).client()
    client.send(
        b"".join(
            [
                request("/1"),
                request("/2", "POST", body=b"two"),
                request("/3", "POST", [CHUNKED]) + chunked(b"thr", b"ee"),
                request("/4"),
            ]
        )
    )
    assert [Response(client).body for _ in range(4)] == [b"/1", b"/2two", b"/3three", b"/4"]


def test_a_client_that_always_has_the_next_request_lets_others_have_theirs(site):
    """Who is ready is served after one of its requests, not after all."""
    served = []

    def application(environ, start_response):
        served.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"x"]

    here = site(application)
    before, greedy, after = (here.client() for _ in range(3))
    for each in (before, greedy, after):
        assert each.ask(request("/first")).status == 200  # all of them have a handler that waits
    served.clear()
    before.send(request("/modest"))
    greedy.send(request("/greedy") * 100)
    after.send(request("/modest"))
    assert [Response(each).body for each in (before, after)] == [b"x", b"x"]
    assert sorted(served[:3]) == ["/greedy", "/modest", "/modest"]
    assert [Response(greedy).body for _ in range(100)] == [b"x"] * 100


def test_request_in_single_octets(site):
    client = site(echo).client()
    for raw in (request("/a", "POST", body=b"hello"), request("/a", "POST", [CHUNKED]) + chunked(b"hell", b"o")):
        for position in range(len(raw)):
            client.send(raw[position : position + 1])
            gevent.sleep(0)
        assert Response(client).body == b"hello"


def test_a_request_larger_than_one_receive(site):
    client = site(echo).client()
    body = bytes(range(256)) * 4096
    for _ in range(2):
        assert client.ask(request(method="POST", body=body)).body == body
        assert client.ask(request(method="POST", headers=[CHUNKED]) + chunked(body, b"x", body)).body == body + b"x" + body


def test_many_connections_at_once(site):
    here = site(echo)
    clients = [here.client() for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(request(method="POST", body=b"%d" % number))
    assert [Response(client).body for client in clients] == [b"%d" % number for number in range(100)]


def test_idle_connections_keep_no_body(site):
    """What was received for one request is not kept while the connection waits for the next."""
    tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy does not trace its memory")
    here = site(echo)
    clients = [here.client() for _ in range(20)]
    body = b"x" * 60000

    def ask_all():
        for client in clients:
            assert client.ask(request(method="POST", body=body)).body == body

    ask_all()
    gc.collect()
    tracemalloc.start()
    try:
        ask_all()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < len(clients) * 10000


def test_idle_connections_are_closed(site):
    here = site(hello, settings={"keep_alive_timeout": 0.05, "header_timeout": 0.05})
    client = here.client()
    assert client.ask(GET).body == b"hello"
    assert client.rest() == b""
    assert here.client().rest() == b""
    assert str(here.errors) == ""


@pytest.mark.parametrize("handler_class", [pywsgi.WSGIHandler, ThroughHooks])
def test_slow_heads_are_refused(site, handler_class):
    """The limit is on the whole head, not on each piece of it."""
    here = site(hello, settings={"header_timeout": 0.1}, handler_class=handler_class)
    client = here.client()
    began = time.monotonic()
    client.send(b"GET / HTTP/1.1\r\nHost: h\r\n")

    def drip():
        while True:
            client.send(b"X: y\r\n")
            gevent.sleep(0.02)

    dripping = gevent.spawn(drip)
    try:
        response = Response(client)
    finally:
        dripping.kill()
    assert (response.status, response["connection"]) == (408, "close")
    assert time.monotonic() - began < 5
    assert [LOG_LINE.fullmatch(line).group(1, 2) for line in here.log] == [("GET / HTTP/1.1", "408")]


def test_slow_bodies_are_not_dropped_for_ever(site):
    """What the application did not read is waited for no longer than for a head."""
    here = site(hello, settings={"header_timeout": 0.1, "linger_timeout": 0.1})
    client = here.client()
    began = time.monotonic()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")

    def drip():
        while True:
            client.send(b"a")
            gevent.sleep(0.02)

    dripping = gevent.spawn(drip)
    try:
        assert Response(client).body == b"hello"
        assert client.rest() == b""
    finally:
        dripping.kill()
    assert time.monotonic() - began < 5


@pytest.mark.slow
def test_the_limit_on_heads_is_not_one_on_what_follows(site):
    for handler_class in (pywsgi.WSGIHandler, ThroughHooks):
        client = site(echo, settings={"header_timeout": 0.1}, handler_class=handler_class).client()
        for _ in range(2):
            client.send(b"POST / HTTP/1.1\r\nHo")
            gevent.sleep(0.01)
            client.send(b"st: h\r\nContent-Length: 5\r\n\r\n")
            gevent.sleep(0.15)
            client.send(b"hello")
            assert Response(client).body == b"hello"
            gevent.sleep(0.15)


def test_slow_bodies_are_refused(site):
    here = site(echo, settings={"body_timeout": 0.05})
    response = here.ask(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")
    assert (response.status, response["connection"]) == (408, "close")


def test_bodies_that_come_in_too_slowly_are_refused(site):
    """An octet now and then does not hold the connection for ever, where there is a rate to keep."""
    here = site(echo, settings={"body_timeout": 0.3})
    client = here.client()

    def drip(octets):
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n")
        for _ in range(octets):
            gevent.sleep(0.025)
            client.send(b"a")
        return Response(client)

    for rate in (None, 10):
        here.server.min_body_rate = rate
        assert drip(20).body == b"a" * 20
    here.server.min_body_rate = 1000
    response = drip(15)
    assert (response.status, response["connection"]) == (408, "close")


def test_the_rate_of_bodies_is_not_one_of_applications(site):
    """What the application does meanwhile is not the client's fault; neither is what comes after the body."""

    def application(environ, start_response):
        body = environ["wsgi.input"].read(5)
        gevent.sleep(0.1)
        return echo({"wsgi.input": io.BytesIO(body + environ["wsgi.input"].read())}, start_response)

    client = site(application, settings={"body_timeout": 0.05, "min_body_rate": 1_000_000}).client()
    for _ in range(2):
        client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
        client.send(b"hello")
        client.send(b"hello")
        assert Response(client).body == b"hellohello"
        gevent.sleep(0.1)


def test_clients_that_never_read_are_dropped(site, capsys):
    ended = Event()

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.set()

    here = site(application, settings={"write_timeout": 0.05})
    here.client().send(GET)
    assert ended.wait(10)
    assert "Traceback" not in capsys.readouterr().err


def test_body_limit(site):
    here = site(echo, settings={"max_body": 10})
    assert here.ask(request(method="POST", body=b"0123456789")).body == b"0123456789"
    assert here.ask(request(method="POST", body=b"0123456789a")).status == 413
    assert here.ask(request(method="POST", headers=[CHUNKED]) + chunked(b"01234", b"56789")).body == b"0123456789"
    assert here.ask(request(method="POST", headers=[CHUNKED]) + chunked(b"01234", b"56789", b"a")).status == 413


def test_header_limits_are_settings(site):
    here = site(hello, settings={"max_header_count": 3, "max_header_bytes": 100})
    assert here.ask(request(headers=["A: b", "C: d"])).status == 200
    assert here.ask(request(headers=["A: b", "C: d", "E: f"])).status == 431
    assert here.ask(request(headers=["A: " + "b" * 100])).status == 431


def test_request_line_limit(site, monkeypatch):
    """WSG-05: 414, and MAX_REQUEST_LINE is read for each request."""
    client = site(hello).client()
    assert client.ask(request("/" + "a" * 100)).status == 200
    monkeypatch.setattr(pywsgi, "MAX_REQUEST_LINE", 100)
    response = client.ask(request("/" + "a" * 100))
    assert (response.status, response["connection"]) == (414, "close")
    assert client.rest() == b""
    assert pywsgi.__dict__["MAX_REQUEST_LINE"] == 100


def test_header_policies_are_settings(site):
    """WSG-20: what 1.1 did with folded and underscored headers can be had."""
    folded = request(headers=["X_Under: 1", "X-Fold: a\r\n b"])
    here = site(show)
    assert here.ask(folded).status == 400
    here = site(show, settings={"unfold_headers": True, "underscore_headers": "keep", "require_host": False})
    environ = environ_of(here.ask(folded))
    assert (environ["HTTP_X_FOLD"], environ["HTTP_X_UNDER"]) == ("a b", "1")
    assert here.ask(b"GET / HTTP/1.1\r\n\r\n").status == 200


def test_nothing_is_served_after_a_refusal(site):
    here = site(hello)
    client = here.client()
    client.send(GET + b"GET / HTTP/1.1\r\nbad\r\n\r\n" + GET + GET)
    assert [Response(client).status, Response(client).status] == [200, 400]
    assert client.rest() == b""


def test_a_refusal_reaches_a_client_that_is_still_sending(site):
    """No reset destroys the answer on its way."""
    client = site(hello).client()
    client.send(b"bad\r\n\r\n" + b"x" * 100_000)
    client.send(b"x" * 100_000)
    response = Response(client)
    assert response.status == 400
    client.send(b"x" * 1000)
    assert client.rest() == b""


# -------------------------------------------------------------------------------- request bodies


@pytest.fixture(params=["length", "chunked"])
def with_body(request):
    def make(body):
        if request.param == "length":
            return globals()["request"](method="POST", body=body)
        parts = [body[position : position + 3] for position in range(0, len(body), 3)]
        return globals()["request"](method="POST", headers=[CHUNKED]) + chunked(*parts)

    return make


def reading(read):
    """An application that answers with the repr of what *read* does to wsgi.input."""

    def application(environ, start_response):
        found = repr(read(environ["wsgi.input"]))
        start_response("200 OK", [])
        return [found.encode()]

    return application


BODY = b"line 1\nline 2\n\nlast"


@pytest.mark.parametrize(
    "read",
    [
        lambda body: body.read(),
        lambda body: body.read(-1),
        lambda body: body.read(None),
        lambda body: body.read(1 << 70),
        lambda body: [body.read(1), body.read(5), body.read(), body.read()],
        lambda body: [body.read(0), body.read(100), body.read(100)],
        lambda body: [body.read(len(BODY)), body.read(1)],
        lambda body: body.readline(),
        lambda body: [body.readline() for _ in range(6)],
        lambda body: [body.readline(3), body.readline(4), body.readline(5), body.readline(0), body.readline()],
        lambda body: [body.readline(1 << 70), body.readline(-1), body.readline(None), body.readline(7)],
        lambda body: body.readlines(),
        lambda body: [body.readlines(1), body.readlines(9), body.readlines()],
        lambda body: list(body),
        lambda body: [next(body), body.read(3), body.readline(), body.readlines()],
        lambda body: [iter(body) is body, next(iter(body))],
    ],
)
def test_reading_is_as_of_a_file(site, with_body, read):
    """WSG-27: readline works without a hint and with a huge one; and so does the rest of it."""
    found = site(reading(read)).ask(with_body(BODY)).body.decode()
    file = io.BytesIO(BODY)
    if "iter(body)" in found:
        return
    sized = types.SimpleNamespace(
        read=lambda size=-1: file.read(min(size, 1 << 30) if size is not None else None),
        readline=lambda size=-1: file.readline(min(size, 1 << 30) if size is not None else -1),
        readlines=file.readlines,
    )

    class Expected:
        read = staticmethod(sized.read)
        readline = staticmethod(sized.readline)
        readlines = staticmethod(sized.readlines)

        def __iter__(self):
            return self

        def __next__(self):
            return next(file)

    assert eval(found) == read(Expected())


def test_end_of_iteration(site, with_body):
    def read(body):
        body.read()
        with pytest.raises(StopIteration):
            next(body)

    assert site(reading(read)).ask(with_body(BODY)).body == b"None"


def test_a_request_without_a_body_has_an_empty_input(site):
    assert (
        site(reading(lambda body: [body.read(), body.readline(), body.readlines(), body.read(5)])).ask(GET).body
        == b"[b'', b'', [], b'']"
    )


def test_reading_does_not_wait_for_more_than_is_asked_for(site):
    """A line, or a number of octets, comes as soon as it is there."""
    client = site(reading(lambda body: [body.readline(), body.read(3)])).client()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nline\nabc")
    assert Response(client).body == repr([b"line\n", b"abc"]).encode()
    client = site(reading(lambda body: [body.readline(), body.read(3)])).client()
    client.send(request(method="POST", headers=[CHUNKED]) + b"8\r\nline\nabc")
    assert Response(client).body == repr([b"line\n", b"abc"]).encode()


@pytest.mark.parametrize(
    "read", [lambda body: body.read(), lambda body: body.read(100), lambda body: body.readline(), lambda body: list(body)]
)
@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
)
def test_truncated_body(site, capsys, raw, read):
    """WSG-17: IOError in the application, again when it reads again; 400 if it lets it pass."""
    caught = []

    def application(environ, start_response):
        for _ in range(2):
            with pytest.raises(IOError) as info:
                read(environ["wsgi.input"])
            caught.append(info.value)
        raise info.value

    here = site(application)
    raw = here.exchange(raw)
    assert raw.startswith(b"HTTP/1.1 400 ")
    assert raw.count(b"HTTP/1.1") == 1
    assert len(caught) == 2
    assert "unexpected end of file" in str(caught[0])
    assert "Traceback" not in capsys.readouterr().err + str(here.errors)


def test_continue_is_sent_when_the_body_is_read(site):
    """WSG-16: once, and not before."""
    may_read = Event()

    def application(environ, start_response):
        may_read.wait()
        body = environ["wsgi.input"].read(2) + environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [body]

    for extra, body in ((["Content-Length: 5"], b"hello"), ([CHUNKED], chunked(b"hello"))):
        may_read.clear()
        client = site(application).client()
        client.send(request(method="POST", headers=["Expect: 100-Continue", *extra]))
        client.socket.settimeout(0.05)
        with pytest.raises(socket.timeout):
            client.receive()
        client.socket.settimeout(10)
        may_read.set()
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(body)
        assert Response(client).body == b"hello"
        assert client.ask(GET).body == b""
        assert client.data == b""


@pytest.mark.parametrize("extra", ["Content-Length: 5", CHUNKED])
def test_continue_is_withheld_when_the_body_is_not_read(site, extra):
    """WSG-13, WSG-16: the client may send the body or not, so nothing can be read behind it."""
    client = site(hello).client()
    response = client.ask(request(method="POST", headers=["Expect: 100-continue", extra]))
    assert (response.status, response["connection"], response.body) == (200, "close", b"hello")
    assert client.rest() == b""


def test_no_continue_behind_the_head_of_the_response(site):
    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"first "
        yield environ["wsgi.input"].read()

    client = site(application).client()
    client.send(request(method="POST", headers=["Expect: 100-continue", "Content-Length: 5"]))
    head = client.read_until(b"\r\n\r\n")
    client.send(b"hello")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in head
    assert client.rest() == chunked(b"first ", b"hello")


@pytest.mark.parametrize("path", ["/", "/read"])
def test_a_body_that_came_without_waiting_for_continue(site, path):
    """All of it is there before the response begins: the client cannot leave it out any more, and the connection goes on."""

    def application(environ, start_response):
        body = environ["wsgi.input"].read() if environ["PATH_INFO"] == "/read" else b""
        start_response("200 OK", [])
        return [body]

    client = site(application).client()
    whole = request(path, method="POST", headers=["Expect: 100-continue"], body=b"hello")
    client.send(whole + GET)
    if path == "/read":
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    for body in (b"hello" if path == "/read" else b"", b""):
        response = Response(client)
        assert (response.body, response["connection"]) == (body, None)
    client.send(whole[:-1])
    if path == "/":
        assert Response(client)["connection"] == "close"
        assert client.rest() == b""


def test_continue_is_not_for_1_0(site):
    client = site(echo).client()
    client.send(request(method="POST", version="1.0", headers=["Expect: 100-continue"], body=b"hello"))
    assert client.rest().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("take", [0, 1, 99])
@pytest.mark.parametrize("made", ["length", "chunked"])
def test_unread_bodies_are_dropped(site, take, made):
    """WSG-13: the next request is found behind a body that nobody read."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n" * 3000
    raw = (
        request(method="POST", body=body)
        if made == "length"
        else request(method="POST", headers=[CHUNKED]) + chunked(*[body[at : at + 1000] for at in range(0, len(body), 1000)])
    )
    here = site(
        lambda environ, start_response: (
            environ["wsgi.input"].read(take),
            start_response("200 OK", []),
            [environ["PATH_INFO"].encode()],
        )[2]
    )
    client = here.client()
    client.send(raw + request("/next"))
    assert [Response(client).body, Response(client).body] == [b"/", b"/next"]


@pytest.mark.parametrize("made", ["length", "chunked"])
def test_dropping_is_bounded(site, made):
    """WSG-13: past the bound the connection is closed, and the answer still arrives."""
    body = b"x" * 200_000
    raw = request(method="POST", body=body) if made == "length" else request(method="POST", headers=[CHUNKED]) + chunked(body, body)
    here = site(hello, settings={"max_discard": 1000})
    client = here.client()
    client.send(raw)
    response = Response(client)
    assert response.body == b"hello"
    if made == "length":
        assert response["connection"] == "close"
    assert client.rest() == b""


def test_broken_chunks_that_nobody_reads(site):
    """WSG-03, WSG-13: the response is the application's, and then the connection ends."""
    here = site(hello)
    raw = here.exchange(request(method="POST", headers=[CHUNKED]) + b"zz\r\nabc\r\n0\r\n\r\n" + GET)
    assert raw.count(b"HTTP/1.1 ") == 1
    assert raw.endswith(b"hello")
    assert "Invalid chunk size" in str(here.errors)


def test_broken_chunks_in_the_middle_of_the_response(site):
    """WSG-02, WSG-03: nothing is added to a response that has begun."""

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        yield environ["wsgi.input"].read()

    raw = site(application).exchange(request(method="POST", headers=[CHUNKED]) + b"zz\r\n\r\n")
    assert raw.endswith(b"\r\n\r\n5\r\nfirst\r\n")


def test_application_that_swallows_a_broken_body(site):
    def application(environ, start_response):
        with pytest.raises(IOError):
            environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"whatever"]

    client = site(application).client()
    client.send(request(method="POST", headers=[CHUNKED]) + b"zz\r\n\r\n" + GET)
    response = Response(client)
    assert (response.body, response["connection"]) == (b"whatever", "close")
    assert client.rest() == b""


def test_input_over_other_files():
    """WSG-27, WSG-03: wsgi.input's class works over any binary file and takes no more than the body."""
    file = io.BytesIO(b"hello\nworld, and more")
    body = pywsgi.Input(file, 11)
    assert [body.readline(), body.read(2), body.read(), body.read()] == [b"hello\n", b"wo", b"rld", b""]
    assert body.position == 11
    assert file.read() == b", and more"
    file = io.BytesIO(chunked(b"hello\nw", b"orld") + b"and more")
    body = pywsgi.Input(file, None, chunked_input=True)
    assert body.chunk_length == 0
    assert [body.readline(), body.read(2), body.read(), body.read()] == [b"hello\n", b"wo", b"rld", b""]
    assert file.read() == b"and more"
    assert pywsgi.Input(io.BytesIO(b"abc"), None).read() == b""
    for broken in (b"", b"5", b"5\r\nhell", b"5\r\nhello", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"x\r\n"):
        with pytest.raises(IOError, match="chunk"):
            pywsgi.Input(io.BytesIO(broken), None, chunked_input=True).read()


def test_input_tells_what_the_client_waits_for():
    """WSG-16: "100 Continue" goes to the socket given, once."""
    sent = []
    body = pywsgi.Input(io.BytesIO(b"hello"), 5, types.SimpleNamespace(sendall=sent.append))
    assert sent == []
    assert body.read(1) + body.read() == b"hello"
    assert sent == [b"HTTP/1.1 100 Continue\r\n\r\n"]


# ---------------------------------------------------------------------------------- the environ


def test_environ(site):
    """WSG-20, and all that PEP 3333 asks for."""
    seen = []

    def application(environ, start_response):
        seen.append(environ)
        return hello(environ, start_response)

    here = site(application)
    client = here.client()
    client.ask(
        request("/a%20b?c=d", "POST", ["Content-Type: a/b", "X-Twice: 1", "X-Twice: 2", "Cookie: e=f", "Cookie: g=h"], b"hello")
    )
    (environ,) = seen
    assert type(environ) is dict
    host, port = client.socket.getsockname()
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "c=d",
        "REQUEST_URI": "/a%20b?c=d",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "5",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": str(here.server.server_port),
        "REMOTE_ADDR": host,
        "REMOTE_PORT": str(port),
        "HTTP_HOST": "localhost",
        "HTTP_X_TWICE": "1,2",
        "HTTP_COOKIE": "e=f; g=h",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.errors": here.errors,
    }
    assert {key: environ[key] for key in expected} == expected
    assert set(environ) - set(expected) == {"SERVER_NAME", "SERVER_SOFTWARE", "wsgi.input", "wsgi.file_wrapper"}
    assert environ["SERVER_NAME"]
    assert isinstance(environ["wsgi.input"], pywsgi.Input)


def test_server_software_is_of_this_version():
    """simple-websocket looks for "gevent" at its beginning; the rest is this distribution's version."""
    version = re.search(r'^version = "(\d+\.\d+)', (HERE.parent / "pyproject.toml").read_text(), re.M)[1]
    expected = f"gevent/{version} Python/{sys.version_info[0]}.{sys.version_info[1]}"
    assert pywsgi.WSGIServer.base_env["SERVER_SOFTWARE"] == expected


def test_path_is_unquoted_as_latin_1(site):
    """WSG-10."""
    environ = environ_of(site(show).ask(request("/%C3%A9%E9%00")))
    assert environ["PATH_INFO"] == "/\xc3\xa9\xe9\x00"


def test_environs_are_not_shared(site):
    """Each request has its own, also on one connection."""
    seen = []

    def application(environ, start_response):
        seen.append(dict(environ))
        environ["changed"] = environ["HTTP_HOST"] = True
        del environ["wsgi.version"]
        return hello(environ, start_response)

    client = site(application).client()
    client.ask(request(headers=["X-First: 1"]))
    client.ask(GET)
    assert "changed" not in seen[1]
    assert "HTTP_X_FIRST" not in seen[1]
    assert seen[1]["wsgi.version"] == (1, 0)
    assert seen[1]["HTTP_HOST"] == "localhost"


def test_environ_of_the_server(site):
    """What is given to the server is in every environ."""
    environ = environ_of(site(show, environ={"SERVER_NAME": "given", "extra": "1", "SCRIPT_NAME": "/app"}).ask(GET))
    assert (environ["SERVER_NAME"], environ["extra"], environ["SCRIPT_NAME"]) == ("given", "1", "/app")
    assert environ["GATEWAY_INTERFACE"] == "CGI/1.1"


def test_environ_class(site):
    """The class can be chosen."""
    seen = []

    class Server(pywsgi.WSGIServer):
        environ_class = pywsgi.SecureEnviron

    site(lambda environ, start_response: (seen.append(environ), hello(environ, start_response))[1], server_class=Server).ask(GET)
    assert type(seen[0]) is pywsgi.SecureEnviron
    assert seen[0]["PATH_INFO"] == "/"
    assert "localhost" not in repr(seen[0])


def test_get_environ_of_the_server_can_be_overridden(site):
    class Server(pywsgi.WSGIServer):
        count = 0

        def get_environ(self):
            environ = super().get_environ()
            Server.count += 1
            environ["count"] = str(self.count)
            return environ

    client = site(show, server_class=Server).client()
    assert [environ_of(client.ask(GET))["count"] for _ in range(2)] == ["1", "2"]


def test_multiprocess_accepts_one_at_a_time():
    """WSG-21."""
    server = pywsgi.WSGIServer(("127.0.0.1", 0), hello, environ={"wsgi.multiprocess": True})
    assert server.max_accept == 1
    assert pywsgi.WSGIServer(("127.0.0.1", 0), hello).max_accept > 1


def test_unix_socket(site, tmp_path):
    """WSG-23: requests, environ and log."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))
    listener.listen(5)
    here = site(show, listener)
    environ = environ_of(here.ask(GET))
    assert "REMOTE_ADDR" not in environ
    assert environ["SERVER_NAME"]
    assert environ["SERVER_PORT"]
    assert re.fullmatch(r'- - - \[.*\] "GET / HTTP/1.1" 200 \d+ \d\.\d{6}\n', str(here.log))


def test_tls(site):
    """WSG-26."""
    ssl = pytest.importorskip("gevent.ssl")
    pem = str(HERE / "localhost.pem")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    here = site(show, ssl_context=serving)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(pem)
    client = here.client()
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
    for _ in range(2):
        assert environ_of(client.ask(GET))["wsgi.url_scheme"] == "https"
    here = site(returning([b"x" * 100_000, b"y" * 100_000]), ssl_context=serving)
    client = here.client()
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
    assert client.ask(GET).body == b"x" * 100_000 + b"y" * 100_000


# --------------------------------------------------------------------- mistakes of the application


def failing(environ, start_response):
    raise ZeroDivisionError("of the test")


def failing_later(environ, start_response):
    start_response("200 OK", [("X-Secret", "1")])
    raise ZeroDivisionError("of the test")


def failing_in_iteration(environ, start_response):
    start_response("200 OK", [("X-Secret", "1")])

    def parts():
        yield b""
        raise ZeroDivisionError("of the test")

    return parts()


def test_the_end_of_a_failed_request_does_not_wait_for_the_client(site):
    """When all of the request was read there is nothing that could destroy the answer."""
    here = site(failing, settings={"linger_timeout": 60})
    client = here.client()
    client.ask(GET)
    began = time.monotonic()
    assert client.rest() == b""
    here.server.stop(timeout=10)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("application", [failing, failing_later, failing_in_iteration])
def test_error_before_anything_was_sent(site, capsys, application):
    """WSG-02: 500, closed, with the traceback where the hub puts it and no secrets beside it."""
    here = site(application)
    client = here.client()
    client.send(request(headers=["Authorization: password1"]) + GET)
    response = Response(client)
    assert (response.status, response["connection"], response.body) == (500, "close", b"Internal Server Error")
    assert response["x-secret"] is None
    assert client.rest() == b""
    text = capsys.readouterr().err
    assert "ZeroDivisionError: of the test" in text
    assert "failed with ZeroDivisionError" in text
    assert "password1" not in text
    assert LOG_LINE.fullmatch(str(here.log)).group(1, 2) == ("GET / HTTP/1.1", "500")


@pytest.mark.parametrize("headers", [[], [("Content-Length", "100")]])
def test_error_after_something_was_sent(site, capsys, headers):
    """WSG-02: the connection ends, visibly too early."""

    def application(environ, start_response):
        start_response("200 OK", headers)
        yield b"part"
        raise ZeroDivisionError("of the test")

    client = site(application).client()
    client.send(GET + GET)
    raw = client.rest()
    assert raw.count(b"HTTP/1.1") == 1
    assert raw.endswith(b"part" if headers else b"4\r\npart\r\n")
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("result", [[], [b"hello"], lambda: iter([]), lambda: iter([b"hello"])])
def test_start_response_is_not_called(site, capsys, result):
    """WSG-18."""
    here = site(lambda environ, start_response: result() if callable(result) else result)
    assert here.ask(GET).status == 500
    assert "AssertionError: The application did not call start_response()" in capsys.readouterr().err


def test_write_before_start_response(site, capsys):
    """WSG-18: a body before start_response is an AssertionError."""
    writers = []

    def application(environ, start_response):
        if writers:
            writers[0](b"too early")
        writers.append(start_response("200 OK", []))
        return [b"hello"]

    client = site(application).client()
    assert client.ask(GET).status == 200
    assert client.ask(GET).status == 500
    assert "AssertionError" in capsys.readouterr().err


def test_start_response_replaced(site):
    """WSG-18: with exc_info it replaces headers that were not sent."""

    def application(environ, start_response):
        start_response("200 OK", [("X-First", "1"), ("Content-Length", "3")])
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Oops", [("X-Second", "2")], sys.exc_info())
        return [b"hello"]

    client = site(application).client()
    for _ in range(2):
        response = client.ask(GET)
        assert (response.status, response.reason, response.body) == (500, "Oops", b"hello")
        assert (response["x-first"], response["x-second"]) == (None, "2")


def test_start_response_too_late(site, capsys):
    """WSG-18: with exc_info it re-raises when headers were sent."""
    seen = []

    def application(environ, start_response):
        start_response("200 OK", [])
        yield b"first"
        try:
            raise ZeroDivisionError("of the test")
        except ZeroDivisionError:
            try:
                start_response("500 Oops", [], sys.exc_info())
            except ZeroDivisionError as ex:
                seen.append(ex)
                raise

    raw = site(application).exchange(GET)
    assert raw.endswith(b"5\r\nfirst\r\n")
    assert raw.count(b"HTTP/1.1") == 1
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("result", "sent"),
    [
        ([b"hello"], b"hell"),
        (lambda: iter([b"hello"]), b"hell"),
        (lambda: iter([b"he", b"llo", b"!"]), b"hell"),
        ([b"h", b"ello"], b"hell"),
    ],
)
def test_more_than_the_length(site, result, sent):
    """What is too much is dropped: it would be taken for the next response."""
    here = site(returning(result, headers=[("Content-Length", "4")]))
    raw = here.exchange(GET + GET)
    assert raw.count(b"HTTP/1.1") == 1
    assert raw.endswith(b"\r\n\r\n" + sent)
    # Where it is known beforehand, the head says how it will end.
    assert raw.count(b"\r\nConnection: close\r\n") == isinstance(result, list)
    assert str(here.errors).count("longer than its Content-Length") == 1


@pytest.mark.parametrize("result", [[b"he"], lambda: iter([b"h", b"e"]), lambda: iter([]), []])
def test_less_than_the_length(site, result):
    """The connection ends, so that the client does not take the next response for the rest."""
    here = site(returning(result, headers=[("Content-Length", "3")]))
    raw = here.exchange(GET + GET)
    assert raw.count(b"HTTP/1.1") == 1
    assert raw.count(b"\r\nConnection: close\r\n") == isinstance(result, list)
    assert "shorter than" in str(here.errors)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_length_without_its_body(site, method):
    """Of a HEAD the length is what GET would have, and the connection goes on."""
    client = site(returning([], headers=[("Content-Length", "3")])).client()
    response = client.ask(request(method=method), "HEAD")
    assert response["content-length"] == "3"
    assert response["connection"] == (None if method == "HEAD" else "close")


class Closing:
    """A result that notes its close()."""

    def __init__(self, parts, events):
        self.parts = iter(parts)
        self.events = events

    def __iter__(self):
        return self

    def __next__(self):
        part = next(self.parts)
        if isinstance(part, type):
            raise part("of the test")
        return part

    def close(self):
        self.events.append("close")


@pytest.mark.parametrize("parts", [[], [b"hello"], [b"a", b"b"], [ZeroDivisionError], [b"a", ZeroDivisionError], ["text"]])
def test_close_is_called(site, parts):
    """WSG-19: once, whatever happens."""
    events = []
    site(returning(lambda: Closing(parts, events))).exchange(GET)
    assert events == ["close"]


def test_close_is_called_when_the_client_has_gone(site):
    """WSG-19."""
    closed = Event()

    class Result:
        def __iter__(self):
            return self

        def __next__(self):
            gevent.sleep(0)
            return b"x" * 65536

        def close(self):
            closed.set()

    client = site(returning(Result)).client()
    client.send(GET)
    client.receive()
    client.reset()
    assert closed.wait(10)


def test_failing_close(site, capsys):
    """The response is whole; the error is reported and the connection closed."""

    class Result(Closing):
        def close(self):
            raise ZeroDivisionError("of the test")

    raw = site(returning(lambda: Result([b"hello"], []))).exchange(GET + GET)
    assert raw.endswith(b"5\r\nhello\r\n0\r\n\r\n")
    assert raw.count(b"HTTP/1.1") == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_error_of_another_connection_is_reported(site, capsys):
    """A reset connection to a database is not the client's going away."""

    def application(environ, start_response):
        raise ConnectionResetError(errno.ECONNRESET, "database")

    assert site(application).ask(GET).status == 500
    assert "database" in capsys.readouterr().err


def test_timeout_of_another_connection_is_reported(site, capsys):
    def application(environ, start_response):
        raise socket.timeout("database")

    assert site(application).ask(GET).status == 500
    assert "database" in capsys.readouterr().err


# What follows is one table: (name, application, what goes out, what is logged). Each application is asked for twice in one
# packet, then another connection is served. A response that is in order is given twice, all others end the connection.

ERROR = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 21\r\nDate: DATE\r\n"
    b"Connection: close\r\n\r\nInternal Server Error"
)


def response_of(body, *headers, status="200 OK", closes=False):
    """A response with a length, as the server puts it together."""
    lines = [f"HTTP/1.1 {status}", *headers, "Date: DATE"]
    if not any(line.lower().startswith("content-length") for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    if closes:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunks_of(*parts, whole=True):
    """A response in chunks; without its end unless it is *whole*."""
    return b"HTTP/1.1 200 OK\r\nDate: DATE\r\nTransfer-Encoding: chunked\r\n\r\n" + (
        chunked(*parts) if whole else chunked(*parts)[: -len(chunked())]
    )


def failing(stage, error, *headers):
    """An application that raises *error* at *stage* of a response of two parts."""

    class Parts:
        def __init__(self):
            self.parts = iter([b"abc", b"def"])

        def __iter__(self):
            if stage == "iter":
                raise error("of the test")
            return self

        def __next__(self):
            part = next(self.parts)
            if stage == {b"abc": "first part", b"def": "second part"}[part]:
                raise error("of the test")
            return part

        def close(self):
            if stage == "close":
                raise error("of the test")

    def application(environ, start_response):
        if stage == "call":
            raise error("of the test")
        write = start_response("200 OK", list(headers))
        if stage == "write":
            write(b"abc")
        if stage in ("start_response", "write"):
            raise error("of the test")
        return Parts()

    return application


def writing(*parts, headers=(), result=()):
    def application(environ, start_response):
        write = start_response("200 OK", list(headers))
        for part in parts:
            write(part)
        return result

    return application


def starting(*calls, result=(b"hello",), catch=()):
    """An application that calls start_response with the arguments of each of *calls*; one is an exception to pass with them."""

    def application(environ, start_response):
        for status, headers, *error in calls:
            exc_info = ()
            if error:
                try:
                    # Not the table's own: its traceback would stay there, and with it the greenlet, where frames are all Python's.
                    raise type(error[0])(*error[0].args)
                except Exception:
                    exc_info = (sys.exc_info(),)
            try:
                write = start_response(status, headers, *exc_info)
            except catch:
                continue
            if status == "200 and write":
                write(b"abc")
        return list(result)

    return application


def late(*parts):
    """An application that calls start_response between the two *parts* of its result."""

    def application(environ, start_response):
        yield parts[0]
        start_response("200 OK", [])
        yield parts[1]

    return application


def reading_on(environ, start_response):
    body = environ["wsgi.input"]
    start_response("200 OK", [])
    return [repr([body.read(), body.read(5), body.readline(), body.readlines(), list(body)]).encode()]


def clearing(environ, start_response):
    environ.clear()
    start_response("200 OK", [])
    return [b"hello"]


def killing(environ, start_response):
    start_response("200 OK", [])
    yield b"abc"
    gevent.getcurrent().kill(block=False)
    gevent.sleep(0)
    yield b"def"


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class OfBase(BaseException):
    pass


MISTAKES = [
    # An exception at each stage: before anything was sent there is a 500, later the connection ends, visibly too early.
    *[
        (f"{error.__name__} in {stage}", failing(stage, error), sent, f"{error.__name__}: of the test")
        for error in (ZeroDivisionError, OfBase, SystemExit, GeneratorExit, MemoryError, OSError, gevent.Timeout)
        for stage, sent in [
            ("call", ERROR),
            ("start_response", ERROR),
            ("iter", ERROR),
            ("first part", ERROR),
            ("write", chunks_of(b"abc", whole=False)),
            ("second part", chunks_of(b"abc", whole=False)),
            ("close", chunks_of(b"abc", b"def") + b"!"),
        ]
    ],
    (
        "a part short",
        failing("second part", KeyError, ("Content-Length", "6")),
        response_of(b"abc", "Content-Length: 6"),
        "KeyError",
    ),
    ("cannot be printed", failing("call", lambda text: Unprintable()), ERROR, "Unprintable: <exception str() failed>"),
    ("killed", failing("call", gevent.GreenletExit), ERROR, None),
    ("killed, later", killing, chunks_of(b"abc", whole=False), None),
    # Statuses
    *[
        (f"status {status!r}", returning([b"hello"], status), ERROR, "the status")
        for status in [
            *(None, 200, b"200 OK", "", "OK", "20 OK", "200OK", "1000 x", "2 OK", " 200 OK", "-20 x", "200\tOK"),
            *("200 a\r\nX: b", "200 a\nb", "200 a\x00", "200 \u20ac"),
        ]
    ],
    ("status 100", returning([b"hello"], "100 Continue"), ERROR, "'100 Continue' is no status of a final response"),
    ("status 101", returning([], "101 Switching Protocols"), ERROR, "the client has asked for no other protocol"),
    ("no reason", returning([b"hello"], "200"), response_of(b"hello", status="200 "), ""),
    ("any code of three digits", returning([b"hello"], "999 \xe9"), response_of(b"hello", status="999 \xe9"), ""),
    # Headers
    *[
        (f"headers {headers!r}", starting(("200 OK", headers)), ERROR, message)
        for headers, message in [
            (None, "must be a list of (name, value), not None"),
            (5, "must be a list of (name, value), not 5"),
            ("ab", "must be a list of (name, value), not 'ab'"),
            ({"A": "b"}, "must be a list of (name, value), not {'A': 'b'}"),
            (("A", "b"), "must be a pair (name, value), not 'A'"),
            (["Ab"], "must be a pair (name, value), not 'Ab'"),
            ([5], "must be a pair (name, value), not 5"),
            ([None], "must be a pair (name, value), not None"),
            ([("A",)], "must be a pair (name, value), not ('A',)"),
            ([("A", "b", "c")], "must be a pair (name, value), not ('A', 'b', 'c')"),
            ([(b"A", "b")], "must be a native string, not b'A'"),
            ([("A", b"b")], "must be a native string, not b'b'"),
            ([("A", 5)], "must be a native string, not 5"),
            ([("A", None)], "must be a native string, not None"),
            ([("", "b")], "is empty"),
            ([("A B", "b")], "character ' ' in the name"),
            ([("A:", "b")], "character ':' in the name"),
            ([("A\r\nB", "b")], "in the name"),
            ([("A", "b\r\nC: d")], "in the value of response header 'A'"),
            ([("A", "b\nC: d")], "in the value of response header 'A'"),
            ([("A", "b\r")], "in the value of response header 'A'"),
            ([("A", "\x00")], "in the value of response header 'A'"),
            ([("A", "\u20ac")], "is not latin-1"),
            ([("Transfer-Encoding", "gzip")], "Transfer-Encoding is the server's business"),
            ([("Content-Length", "")], "Content-Length of the response"),
            ([("Content-Length", "five")], "Content-Length of the response"),
            ([("Content-Length", "\xb2")], "Content-Length of the response"),
            ([("Content-Length", "-5")], "Content-Length of the response"),
            ([("Content-Length", "5, 5")], "Content-Length of the response"),
            ([("Content-Length", "9" * 19)], "Content-Length of the response"),
            ([("Content-Length", 5)], "must be a native string, not 5"),
            ([("Content-Length", "5"), ("content-length", "6")], "Content-Length is given twice: '5', '6'"),
        ]
    ],
    *[
        (f"header {name}: {value}", returning([b"hello"], headers=[(name, value)]), response_of(b"hello", *sent), "")
        for name, value, *sent in [
            ("Connection", "keep-alive"),
            ("Connection", "X-Mine"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "close"),
            ("TE", "trailers"),
            ("Trailer", "X"),
            ("Transfer-Encoding", "chunked"),
            ("Server", "mine", "Server: mine"),
            ("X", "\xe9", "X: \xe9"),
            ("Content-Length", "5", "Content-Length: 5"),
        ]
    ],
    ("closes", returning([b"hello"], headers=[("Connection", "close")]), response_of(b"hello", closes=True), ""),
    ("a Date", returning([b"hello"], headers=[("Date", "a"), ("date", "b")]), response_of(b"hello").replace(b"DATE", b"a"), ""),
    # start_response
    ("not called", starting(), ERROR, "The application did not call start_response()"),
    ("called behind an empty part", late(b"", b"hello"), chunks_of(b"hello"), ""),
    ("called behind a part", late(b"early", b"hello"), ERROR, "The application did not call start_response()"),
    ("called twice", starting(("200 OK", []), ("201 Created", [])), ERROR, "start_response called again, for '201 Created'"),
    (
        "replaced",
        starting(("200 OK", [("X", "1")]), ("500 Oops", [("Y", "2")], KeyError())),
        response_of(b"hello", "Y: 2", status="500 Oops"),
        "",
    ),
    (
        "replaced too late",
        starting(("200 and write", []), ("500 Oops", [], KeyError("of the test"))),
        chunks_of(b"abc", whole=False).replace(b"OK", b"and write"),
        "KeyError: 'of the test'",
    ),
    (
        "called twice, too late",
        starting(("200 and write", []), ("500 Oops", [])),
        chunks_of(b"abc", whole=False).replace(b"OK", b"and write"),
        "start_response called again, for '500 Oops'",
    ),
    ("called again after an error", starting(("bad", []), ("200 OK", []), catch=ValueError), response_of(b"hello"), ""),
    # write() and what is returned
    ("write and a list", writing(b"abc", result=[b"def"]), chunks_of(b"abc", b"def"), ""),
    (
        "write and an iterator, of known length",
        writing(b"abc", headers=[("Content-Length", "6")], result=(b"def",)),
        response_of(b"abcdef", "Content-Length: 6"),
        "",
    ),
    ("write nothing", writing(b"", None), chunks_of(whole=False), "must be bytes, not NoneType"),
    ("write a str", writing("abc"), ERROR, "must be bytes, not str"),
    ("write a str, later", writing(b"abc", "def"), chunks_of(b"abc", whole=False), "must be bytes, not str"),
    ("write, and return None", writing(b"abc", result=None), chunks_of(b"abc", whole=False), "an iterable of bytes, not None"),
    (
        "write too much",
        writing(b"abc", b"def", headers=[("Content-Length", "4")]),
        response_of(b"abcd", "Content-Length: 4"),
        "Response to 'GET / HTTP/1.1' is longer than its Content-Length 4; the rest is dropped",
    ),
    (
        "write too little",
        writing(b"abc", headers=[("Content-Length", "4")]),
        response_of(b"abc", "Content-Length: 4"),
        "Response to 'GET / HTTP/1.1' is 1 bytes shorter than its Content-Length 4",
    ),
    (
        "a list that is too long",
        returning([b"hello"], headers=[("Content-Length", "0")]),
        response_of(b"", "Content-Length: 0", closes=True),
        "is longer than its Content-Length 0; the rest is dropped",
    ),
    (
        "a list that is too short",
        returning([b"hello"], headers=[("Content-Length", "9" * 18)]),
        response_of(b"hello", "Content-Length: " + "9" * 18, closes=True),
        "shorter than its Content-Length " + "9" * 18,
    ),
    *[
        (f"result {message}", returning(result), ERROR, message)
        for result, message in [
            (None, "must return an iterable of bytes, not None"),
            (5, "'int' object is not iterable"),
            ("text", "must return an iterable of bytes, not 'text'"),
            (b"bytes", "must return an iterable of bytes, not b'bytes'"),
            (bytearray(b"bytes"), "must return an iterable of bytes, not bytearray(b'bytes')"),
            (["text"], "must be bytes, not str"),
            (["", 5], "must be bytes, not int"),
            ([b"a", None], "must be bytes, not NoneType"),
            (lambda: iter(["text"]), "must be bytes, not str"),
        ]
    ],
    ("a str among the parts", returning(lambda: iter([b"a", "b"])), chunks_of(b"a", whole=False), "must be bytes, not str"),
    ("a file", returning(lambda: io.BytesIO(b"a\nb")), chunks_of(b"a\n", b"b"), ""),
    ("other buffers", returning([bytearray(b"ab"), memoryview(b"cd")]), response_of(b"abcd"), ""),
    *[
        (f"{code} with {kind}", application, ERROR, f"The {code} response must have no body")
        for code in (204, 205, 304)
        for kind, application in [
            ("a list", returning([b"hello"], f"{code} x")),
            ("an iterator", returning(lambda: iter([b"", b"hello"]), f"{code} x")),
        ]
    ],
    *[
        (
            f"{code} with a length",
            returning([], f"{code} x", [("Content-Length", "5")]),
            ERROR,
            f"Invalid Content-Length for {code}",
        )
        for code in (204, 205, 304)
    ],
    # The request
    ("reads on", reading_on, response_of(repr([b"", b"", b"", [], []]).encode()), ""),
    ("clears the environ", clearing, response_of(b"hello"), ""),
]


@pytest.mark.parametrize(("application", "sent", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_mistakes(site, capsys, application, sent, message):
    """WSG-01, WSG-02, WSG-18: a clear line in the log, never a second or malformed response, and the server goes on.

    A message of "" says that there is nothing to complain of, None that it ends quietly all the same.
    """
    here = site(
        lambda environ, start_response: (hello if environ["PATH_INFO"] == "/hello" else application)(environ, start_response)
    )
    raw = DATE.sub("DATE", here.exchange(GET + GET).decode("latin-1")).encode("latin-1")
    fine = message == "" and b"Connection: close" not in sent
    assert raw == (sent * 2 if fine else sent.rstrip(b"!"))
    assert here.ask(request("/hello")).body == b"hello"
    complaints = capsys.readouterr().err + str(here.errors)
    if message:
        assert message in complaints
    else:
        assert complaints == ""


def test_keyboard_interrupt_in_an_application(site):
    """It is for the whole program; the client is answered all the same."""
    here = site(failing("call", KeyboardInterrupt))
    client = here.client()
    client.send(GET)
    with pytest.raises(KeyboardInterrupt):
        client.rest()
    assert Response(client).status == 500
    assert client.rest() == b""


# --------------------------------------------------------------------------- clients that go away


def test_client_gone_while_sending(site, capsys):
    """WSG-06: nothing is printed; the log says socket error."""
    ended = Event()

    def application(environ, start_response):
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 65536
                gevent.sleep(0)
        finally:
            ended.set()

    here = site(application)
    client = here.client()
    client.send(GET)
    client.receive()
    client.reset()
    assert ended.wait(10)
    here.stop()
    assert LOG_LINE.fullmatch(str(here.log)).group(1, 2) == ("GET / HTTP/1.1", "socket error")
    assert "Traceback" not in capsys.readouterr().err
    assert str(here.errors) == ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: h\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_client_gone_while_receiving(site, capsys, raw):
    """WSG-06."""
    here = site(echo)
    client = here.client()
    client.send(raw)
    gevent.sleep(0)
    client.reset()
    here.stop()
    assert "Traceback" not in capsys.readouterr().err
    assert "Traceback" not in str(here.errors)


# -------------------------------------------------------------------------------------------- logs


def test_access_log(site):
    """WSG-11: a line per request, the status code as text; its length is all that was sent."""
    here = site(hello)
    client = here.client()
    sizes = []
    for raw in (request("/a?b"), request(method="HEAD")):
        client.send(raw)
        head = client.read_until(b"\r\n\r\n")
        sizes.append(len(head) + (0 if raw.startswith(b"HEAD") else len(client.read(5))))
    assert [LOG_LINE.fullmatch(line).group(1, 2, 3) for line in here.log] == [
        ("GET /a?b HTTP/1.1", "200", str(sizes[0])),
        ("HEAD / HTTP/1.1", "200", str(sizes[1])),
    ]


def test_refused_requests_are_logged(site):
    """WSG-04: in both logs, and nothing the client sent can forge a line or change a terminal's colours."""
    here = site(hello)
    here.exchange(b"GET /\x1b[31m\n127.0.0.1 - - HTTP/1.1\r\n\r\n")
    found = LOG_LINE.fullmatch(str(here.log))
    assert found[2] == "400"
    assert "\x1b" not in str(here.log)
    assert "\x1b" not in str(here.errors)
    assert "Invalid request" in str(here.errors)
    assert str(here.errors).count("\n") == 1


def test_status_of_a_handler_that_answers_itself(site):
    """WSG-11: text, also where a subclass sets only the status as it goes out."""

    class Handler(pywsgi.WSGIHandler):
        def handle_one_response(self):
            self.socket.sendall(b"HTTP/1.1 299 Own\r\nContent-Length: 0\r\n\r\n")
            self.status = b"299 Own"
            self.time_start = self.time_finish = 1.0
            self.log_request()

    here = site(hello, handler_class=Handler)
    assert here.ask(GET).status == 299
    assert LOG_LINE.fullmatch(str(here.log))[2] == "299"


def test_each_line_counts_its_own_response(site):
    """What was sent for earlier requests of the connection is not counted again."""
    here = site(hello)
    client = here.client()
    sizes = [len(client.read_until(b"\r\n\r\n") + client.read(5)) for _ in range(2) if not client.send(GET)]
    client.send(b"bad\r\n\r\n")
    sizes.append(len(client.rest()))
    assert [int(LOG_LINE.fullmatch(line)[3]) for line in here.log] == sizes


def test_default_logs(site, capsys):
    """WSG-07: sys.stderr."""
    site(failing, log="default", error_log="default", spawn=1).ask(b"bad\r\n\r\n")
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if '"bad" 400' in line]) == 1
    assert len([line for line in lines if "Invalid request" in line]) == 1


def test_no_logs(site, capsys):
    """WSG-07: None silences."""
    here = site(hello, log=None, error_log=None)
    assert here.ask(GET).status == 200
    assert here.ask(b"bad\r\n\r\n").status == 400
    assert capsys.readouterr().err == ""
    here.server.log.write("nothing")
    here.server.log.writelines(["nothing"])
    here.server.log.flush()


def test_loggers(site, caplog):
    """WSG-07: a Logger is adapted at INFO and ERROR."""
    caplog.set_level(logging.DEBUG)
    here = site(hello, log=logging.getLogger("access"), error_log=logging.getLogger("errors"))
    assert here.ask(GET).status == 200
    assert here.ask(b"bad\r\n\r\n").status == 400
    found = [(record.name, record.levelno, record.getMessage()) for record in caplog.records]
    assert [(name, level) for name, level, _ in found] == [
        ("access", logging.INFO),
        ("errors", logging.ERROR),
        ("access", logging.INFO),
    ]
    assert [text.endswith("\n") for _, _, text in found] == [False, False, False]


def test_logging_adapter():
    """WSG-09: strips the line end, passes unknown attributes through both ways."""
    calls = []
    logger = types.SimpleNamespace(log=lambda level, text: calls.append((level, text)), access=5)
    adapter = pywsgi.LoggingLogAdapter(logger)
    adapter.write("a\r\n")
    adapter.writelines(["b\n", "c"])
    adapter.flush()
    pywsgi.LoggingLogAdapter(logger, 40).write("d\n\n")
    assert calls == [(20, "a"), (20, "b"), (20, "c"), (40, "d")]
    assert adapter.access == 5
    adapter.access = 6
    assert logger.access == 6
    del adapter.access
    assert not hasattr(logger, "access")
    with pytest.raises(AttributeError):
        adapter.missing()


def test_gunicorns_logger(site):
    """WSG-09: gunicorn gives its own logger as log and calls methods of it from its handler class."""
    calls = []

    class GunicornLogger:
        def log(self, level, text):
            raise AssertionError("the access log goes through access()")

        def access(self, response, headers, environ, seconds):
            calls.append((response.status, response.sent, headers, environ["PATH_INFO"], seconds >= 0))

    class Handler(pywsgi.WSGIHandler):
        """As gunicorn's PyWSGIHandler."""

        def log_request(self):
            status = self.status.decode() if isinstance(self.status, bytes) else self.status
            response = types.SimpleNamespace(status=status, headers=self.response_headers, sent=self.response_length)
            headers = self.headers.items() if hasattr(self, "headers") else []
            self.server.log.access(response, headers, self.environ, self.time_finish - self.time_start)

        def get_environ(self):
            environ = super().get_environ()
            environ["gunicorn.sock"] = self.socket
            environ["RAW_URI"] = self.path
            return environ

    def application(environ, start_response):
        assert environ["gunicorn.sock"].fileno() >= 0
        assert environ["RAW_URI"] == "/a%20b"
        return hello(environ, start_response)

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    environ = {"wsgi.multithread": True, "SERVER_SOFTWARE": "gunicorn"}
    here = site(application, listener, log=GunicornLogger(), handler_class=Handler, environ=environ, spawn=Pool(10))
    response = here.ask(request("/a%20b"))
    assert response.status == 200
    ((status, sent, headers, path, measured),) = calls
    assert (status, headers, path, measured) == ("200 OK", [("Host", "localhost")], "/a b", True)
    assert sent > 100


def test_error_log_is_wsgi_errors(site):
    """WSG-08: unless environ gives one."""

    def application(environ, start_response):
        environ["wsgi.errors"].write("from the application\n")
        return hello(environ, start_response)

    here = site(application)
    here.ask(GET)
    assert str(here.errors) == "from the application\n"
    other = Log()
    here = site(application, environ={"wsgi.errors": other})
    here.ask(GET)
    assert (str(here.errors), str(other)) == ("", "from the application\n")


# ---------------------------------------------------------------------------- overridable methods


def test_every_method_is_called(site):
    """A subclass that overrides all documented methods sees all of them used, once each where that makes sense."""
    calls = []

    def spy(name):
        def method(self, *args):
            calls.append(name)
            return getattr(pywsgi.WSGIHandler, name)(self, *args)

        return method

    names = [
        "handle",
        "handle_one_request",
        "read_requestline",
        "read_request",
        "MessageClass",
        "get_environ",
        "_headers",
        "handle_one_response",
        "run_application",
        "start_response",
        "process_result",
        "write",
        "finalize_headers",
        "_sendall",
        "log_request",
        "format_request",
    ]
    Handler = type("Handler", (pywsgi.WSGIHandler,), {name: spy(name) for name in names})
    client = site(hello, handler_class=Handler).client()
    assert client.ask(request(headers=["Connection: close"])).body == b"hello"
    assert client.rest() == b""
    assert calls == names


@pytest.mark.parametrize(
    "name",
    [
        "handle",
        "handle_one_request",
        "read_requestline",
        "read_request",
        "MessageClass",
        "get_environ",
        "_headers",
        "handle_one_response",
        "run_application",
        "start_response",
        "process_result",
        "write",
        "_write",
        "_write_with_headers",
        "finalize_headers",
        "_sendall",
        "log_request",
        "format_request",
    ],
)
@pytest.mark.parametrize("result", [[b"he", b"llo"], [b"hello"], lambda: iter([b"he", b"llo"])])
def test_each_method_alone(site, name, result):
    """Overriding one changes nothing about what is sent, and it is called."""
    calls = []

    def method(self, *args):
        calls.append(name)
        return getattr(pywsgi.WSGIHandler, name)(self, *args)

    Handler = type("Handler", (pywsgi.WSGIHandler,), {name: method})
    application = returning(result, headers=[("X-A", "b")])
    here = site(application, handler_class=Handler)
    plain = site(application)
    raw = request("/a?b", headers=["X-C: d", "X-C: e"])
    found, expected = here.ask(raw), plain.ask(raw)
    assert calls
    found.headers = [(key, value) for key, value in found.headers if key != "Date"]
    expected.headers = [(key, value) for key, value in expected.headers if key != "Date"]
    assert vars(found) == vars(expected)


def test_replaced_on_the_class_itself(site, monkeypatch):
    """Programs assign to the methods of WSGIHandler to silence its log."""
    monkeypatch.setattr(pywsgi.WSGIHandler, "log_request", lambda self: None)
    here = site(hello)
    assert here.ask(GET).status == 200
    assert str(here.log) == ""


def test_proxy_protocol_in_a_subclass(site):
    """read_requestline may read something first, and change the client's address."""

    class Handler(pywsgi.WSGIHandler):
        def read_requestline(self):
            line = super().read_requestline()
            if line.startswith("PROXY "):
                self.client_address = (line.split()[2], int(line.split()[4]))
                line = super().read_requestline()
            return line

    here = site(show, handler_class=Handler)
    client = here.client()
    environ = environ_of(client.ask(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n" + GET, "GET"))
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("192.0.2.1", "1234")
    assert environ_of(client.ask(GET))["REMOTE_ADDR"] == "192.0.2.1"
    assert here.log[0].startswith("192.0.2.1 - - ")


def test_get_environ_may_replace_the_input(site):
    """The body is still the one of the request when it comes to finding the next."""

    class Handler(pywsgi.WSGIHandler):
        def get_environ(self):
            environ = super().get_environ()
            self.wsgi_input = environ["wsgi.input"] = io.BytesIO(b"other")
            return environ

    client = site(echo, handler_class=Handler).client()
    for _ in range(2):
        assert client.ask(request(method="POST", body=b"GET / HTTP/1.1\r\n\r\n")).body == b"other"


def test_read_request_may_refuse(site):
    """WSG-04: by raising ValueError, or by returning something false."""

    class Handler(pywsgi.WSGIHandler):
        def read_request(self, raw_requestline):
            super().read_request(raw_requestline)
            if self.path == "/raise":
                raise ValueError("not wanted")
            return self.path != "/false"

    here = site(hello, handler_class=Handler)
    assert here.ask(GET).status == 200
    for path in ("/raise", "/false"):
        client = here.client()
        response = client.ask(request(path) + GET)
        assert (response.status, response["connection"]) == (400, "close")
        assert client.rest() == b""
    assert "not wanted" in str(here.errors)


def test_read_request_may_change_the_request(site):
    class Handler(pywsgi.WSGIHandler):
        def read_request(self, raw_requestline):
            super().read_request(raw_requestline)
            self.path = "/changed?" + self.path[1:]
            self.headers["X-Added"] = "1"
            del self.headers["X-Removed"]
            return True

    environ = environ_of(site(show, handler_class=Handler).ask(request("/a", headers=["X-Removed: 1"])))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_X_ADDED"]) == ("/changed", "a", "1")
    assert "HTTP_X_REMOVED" not in environ


def test_a_subclass_that_makes_a_request_impossible(site):
    class Handler(pywsgi.WSGIHandler):
        def read_request(self, raw_requestline):
            super().read_request(raw_requestline)
            self.path = "nonsense"
            return True

    response = site(hello, handler_class=Handler).ask(GET)
    assert (response.status, response["connection"]) == (400, "close")


def test_client_errors_may_be_answered_otherwise(site):
    """WSG-04: _handle_client_error gives status and whole response."""

    class Handler(pywsgi.WSGIHandler):
        def _handle_client_error(self, ex):
            assert isinstance(ex, ValueError)
            return "418", b"HTTP/1.1 418 Teapot\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    here = site(hello, handler_class=Handler)
    response = here.ask(b"bad\r\n\r\n")
    assert (response.status, response.reason) == (418, "Teapot")
    assert LOG_LINE.fullmatch(str(here.log)).group(1, 2) == ("bad", "418")


def test_headers_of_the_handler(site):
    """gunicorn reads handler.headers.items(); without a request it is an empty mapping."""
    seen = []

    class Handler(pywsgi.WSGIHandler):
        def run_application(self):
            seen.append((self.headers.items(), self.headers.get("x-a"), self.headers is self.headers))
            super().run_application()

    client = site(hello, handler_class=Handler).client()
    client.ask(request(headers=["X-A: 1"]))
    client.ask(GET)
    assert seen == [([("Host", "localhost"), ("X-A", "1")], "1", True), ([("Host", "localhost")], None, True)]
    assert pywsgi.WSGIHandler.headers.items() == []


def test_attributes_are_of_the_request(site):
    """1.1's attributes, set anew for each request on a connection."""
    seen = []
    names = [
        "command",
        "path",
        "request_version",
        "requestline",
        "content_length",
        "close_connection",
        "code",
        "status",
        "response_headers",
        "provided_content_length",
        "response_use_chunked",
        "headers_sent",
    ]

    class Handler(pywsgi.WSGIHandler):
        def log_request(self):
            seen.append({name: getattr(self, name) for name in names})
            seen[-1]["response_headers"] = [pair for pair in self.response_headers if pair[0] != b"Date"]
            assert self.environ["PATH_INFO"] == self.path
            assert self.time_start <= self.time_finish
            assert self.client_address[0] == "127.0.0.1"
            assert self.application is self.server.application

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/stream":
            start_response("200 OK", [("X-A", "b")])
            return iter([b"hello"])
        start_response("404 Not Found", [("Content-Length", "0")])
        return []

    client = site(application, handler_class=Handler).client()
    client.ask(request("/stream", "POST", body=b"abc"))
    client.ask(request("/other", headers=["Connection: close"]))
    common = {"request_version": "HTTP/1.1", "headers_sent": True}
    assert seen == [
        {
            **common,
            "command": "POST",
            "path": "/stream",
            "requestline": "POST /stream HTTP/1.1",
            "content_length": 3,
            "close_connection": False,
            "code": 200,
            "status": b"200 OK",
            "provided_content_length": None,
            "response_headers": [(b"X-A", b"b"), (b"Transfer-Encoding", b"chunked")],
            "response_use_chunked": True,
        },
        {
            **common,
            "command": "GET",
            "path": "/other",
            "requestline": "GET /other HTTP/1.1",
            "content_length": 0,
            "close_connection": True,
            "code": 404,
            "status": b"404 Not Found",
            "provided_content_length": "0",
            "response_headers": [(b"Content-Length", b"0"), (b"Connection", b"close")],
            "response_use_chunked": False,
        },
    ]


def test_log_error(site):
    """Takes %-arguments, and does not raise for wrong ones."""

    class Handler(pywsgi.WSGIHandler):
        def run_application(self):
            self.log_error("%s and %s", 1, 2)
            self.log_error("100%")
            super().run_application()

    here = site(hello, handler_class=Handler)
    here.ask(GET)
    assert [line.rsplit(": ", 1)[1] for line in here.errors] == ["1 and 2\n", "100%\n"]


def test_handler_without_a_server():
    """It can be made and used alone."""
    ours, theirs = stdlib_pair()
    server = types.SimpleNamespace(
        application=hello,
        environ={"SERVER_NAME": "x"},
        get_environ=lambda: {"SERVER_NAME": "x"},
        environ_class=dict,
        log=Log(),
        error_log=Log(),
    )
    serving = gevent.spawn(pywsgi.WSGIHandler(ours, ("192.0.2.1", 5), server).handle)
    theirs.sendall(request(headers=["Connection: close"]))
    assert theirs.recv(65536).endswith(b"hello")
    serving.get(timeout=10)
    theirs.close()
    assert server.log[0].startswith("192.0.2.1 - - ")


def stdlib_pair():
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    return ours, theirs


def test_handler_with_a_file_of_somebody_elses():
    """WSGIHandler(socket, address, server, rfile=...) reads from that file, and no further than the body."""
    ours, theirs = stdlib_pair()
    rfile = io.BytesIO(
        request("/1", "POST", body=b"one") + request("/2", "POST", [CHUNKED, "Connection: close"]) + chunked(b"two") + b"rest"
    )
    server = types.SimpleNamespace(application=echo, get_environ=dict, environ_class=dict, log=Log(), error_log=Log())
    handler = pywsgi.WSGIHandler(ours, ("192.0.2.1", 5), server, rfile)
    closed_at = []
    rfile.close = lambda: closed_at.append(rfile.read())
    handler.handle()
    received = b""
    while True:
        data = theirs.recv(65536)
        if not data:
            break
        received += data
    theirs.close()
    assert re.findall(rb"\r\n\r\n(...)", received) == [b"one", b"two"]
    assert closed_at == [b"rest"]


# ------------------------------------------------------------------------ connections taken over

UPGRADE = request(headers=["Connection: Upgrade", "Upgrade: echo"])


def test_upgrade_by_the_application(site):
    """101 goes out as it is, and what the application then writes is not framed."""

    def application(environ, start_response):
        write = start_response("101 Switching Protocols", [("Connection", "Upgrade"), ("Upgrade", "echo")])
        write(b"")
        rfile = environ["wsgi.input"].rfile
        for line in rfile:
            if line == b"end\n":
                break
            write(line.upper())
        return []

    client = site(application, settings={"keep_alive_timeout": 0.05, "body_timeout": 0.05, "write_timeout": 0.05}).client()
    client.send(UPGRADE + b"one\n")
    head = client.read_until(b"\r\n\r\n").decode()
    assert re.fullmatch(
        r"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n"
        r"Date: [^\r]*\r\nConnection: Upgrade\r\n\r\n",
        head,
    )
    assert client.read(4) == b"ONE\n"
    gevent.sleep(0.1)  # longer than the time limit for requests, which is not the new protocol's
    client.send(b"two\nend\n")
    assert client.rest() == b"TWO\n"


def test_upgraded_connections_end_with_the_application(site):
    seen = []

    class Handler(pywsgi.WSGIHandler):
        def log_request(self):
            seen.append((self.connection_upgraded, self.close_connection))

    here = site(returning([], "101 Switching Protocols", [("Upgrade", "echo")]), handler_class=Handler)
    client = here.client()
    client.send(UPGRADE + GET)
    assert client.rest().count(b"HTTP/1.1") == 1
    assert seen == [(True, True)]


@pytest.mark.parametrize("result", [list, iter, tuple])
def test_simple_websocket(site, capsys, result):
    """simple-websocket takes the socket from environ["wsgi.input"].rfile.raw._sock, and returns [] in the end."""

    def application(environ, start_response):
        assert environ["SERVER_SOFTWARE"].startswith("gevent")
        wsgi_input = environ["wsgi.input"]
        assert not hasattr(wsgi_input, "raw")
        sock = wsgi_input.rfile.raw._sock.dup()
        sock.sendall(b"own words")
        assert sock.recv(100) == b"answer"
        sock.close()
        return result([])

    here = site(application)
    client = here.client()
    client.send(UPGRADE)
    assert client.read(9) == b"own words"
    client.send(b"answer")
    assert client.rest() == b""
    assert "Traceback" not in capsys.readouterr().err
    assert str(here.errors) == ""


def test_failure_of_who_took_the_socket(site, capsys):
    """No response in the middle of another protocol."""

    def application(environ, start_response):
        environ["wsgi.input"].rfile.raw._sock.sendall(b"own words")
        raise ZeroDivisionError

    client = site(application).client()
    client.send(UPGRADE)
    assert client.rest() == b"own words"
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_upgrade_refused(site):
    """The connection goes on as it was."""
    client = site(hello, settings={"keep_alive_timeout": 0.05, "body_timeout": 0.05, "write_timeout": 0.05}).client()
    assert client.ask(UPGRADE).body == b"hello"
    assert client.ask(GET).body == b"hello"
    assert client.rest() == b""  # the time limit is in force again


def websocket_frame(opcode, payload, mask=b""):
    """One short frame of RFC 6455 5.2, whole; *mask* is a client's."""
    if mask:
        payload = bytes(octet ^ mask[number % 4] for number, octet in enumerate(payload))
    return bytes([0x80 | opcode, len(payload) | (0x80 if mask else 0)]) + mask + payload


def test_gevent_websocket_itself(site, capsys):
    """Its server, its handler and its WebSocket, over ours."""
    geventwebsocket = pytest.importorskip("geventwebsocket", reason="gevent-websocket is not installed; ci/bootstrap.py would")
    from geventwebsocket.handler import WebSocketHandler

    def application(environ, start_response):
        websocket = environ.get("wsgi.websocket")
        if websocket is None:
            return hello(environ, start_response)
        while True:
            message = websocket.receive()
            if message is None:
                return []
            websocket.send(message[::-1])

    key = "dGhlIHNhbXBsZSBub25jZQ=="
    asked = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    here = site(application, handler_class=WebSocketHandler)
    assert here.ask(GET).body == b"hello"
    client = here.client()
    response = client.ask(request(headers=asked))
    assert (response.status, response["upgrade"]) == (101, "websocket")
    assert response["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3
    for text in (b"abc", b"x" * 100):
        client.send(websocket_frame(1, text, b"\x01\x02\x03\x04"))
        assert client.read(2 + len(text)) == websocket_frame(1, text[::-1])
    client.send(websocket_frame(9, b"ping", b"\x01\x02\x03\x04"))
    assert client.read(6) == websocket_frame(10, b"ping")
    client.send(websocket_frame(8, b"\x03\xe8", b"\x01\x02\x03\x04"))
    assert client.rest()[:1] == b"\x88"

    # And its server class, which is one of ours with that handler.
    served = geventwebsocket.WebSocketServer(("127.0.0.1", 0), application, log=None)
    assert isinstance(served, pywsgi.WSGIServer)
    assert served.handler_class is WebSocketHandler
    assert "Traceback" not in capsys.readouterr().err


def test_gevent_websocket(site):
    """What gevent-websocket's handler does with ours, where it is not installed."""

    class WebSocketHandler(pywsgi.WSGIHandler):
        def run_application(self):
            self.result = self.upgrade()
            if hasattr(self, "websocket"):
                if self.status and not self.headers_sent:
                    self.write("")
                self.socket.sendall(self.rfile.read(3).upper())
                list(self.application(self.environ, lambda s, h, e=None: []))
            else:
                super().run_application()

        def upgrade(self):
            if self.environ.get("HTTP_UPGRADE") == "websocket":
                assert self.request_version == "HTTP/1.1"
                self.websocket = True
                self.environ["wsgi.websocket"] = self.websocket
                self.start_response("101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade")])

        def start_response(self, status, headers, exc_info=None):
            writer = super().start_response(status, headers, exc_info=exc_info)
            assert not self.headers_sent
            if self.environ.get("wsgi.websocket"):
                self.provided_content_length = False
                self.response_use_chunked = False
                self.close_connection = True
                self.provided_date = True
            return writer

        def log_request(self):
            if "101" not in str(self.status):
                self.server.lines.append(self.format_request())

    here = site(hello, handler_class=WebSocketHandler)
    here.server.lines = []
    client = here.client()
    assert client.ask(GET).body == b"hello"
    client.send(request(headers=["Connection: Upgrade", "Upgrade: websocket"]) + b"abc")
    assert client.rest() == b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nABC"
    assert len(here.server.lines) == 1


def test_gevent_ws(site, capsys):
    """gevent-ws replaces handle_one_response whole and knows some names of ours."""
    from gevent.pywsgi import WSGIHandler, _InvalidClientInput

    class WebSocketHandler(WSGIHandler):
        def handle_one_response(self):
            self.time_start = time.time()
            self.status = None
            self.headers_sent = False
            self.result = None
            self.response_use_chunked = False
            self.response_length = 0
            if self.environ.get("HTTP_UPGRADE", "").lower() != "websocket":
                return super().handle_one_response()
            self.start_response("101 Switching Protocols", [("Upgrade", "websocket"), ("Connection", "Upgrade")])(b"")
            self.environ["wsgi.websocket"] = self.socket
            try:
                try:
                    self.run_application()
                finally:
                    try:
                        self.wsgi_input._discard()
                    except OSError:
                        pass
            except _InvalidClientInput:
                self._send_error_response_if_possible(400)
            except OSError as ex:
                if ex.args[0] in self.ignored_socket_errors:
                    self.close_connection = True
                else:
                    self.handle_error(*sys.exc_info())
            except:  # noqa: E722
                self.handle_error(*sys.exc_info())
            finally:
                self.time_finish = time.time()
                self.log_request()
                self.close_connection = True

        def process_result(self):
            if "wsgi.websocket" in self.environ:
                for _ in self.result or ():
                    pass
            else:
                super().process_result()

    def application(environ, start_response):
        if "wsgi.websocket" not in environ:
            return hello(environ, start_response)
        sock = environ["wsgi.websocket"]
        sock.sendall(b"<" + sock.recv(100) + b">")
        if environ["PATH_INFO"] == "/fail":
            raise ZeroDivisionError
        sock.close()
        return []

    here = site(application, handler_class=WebSocketHandler)
    for path in ("/", "/fail"):
        client = here.client()
        response = client.ask(request(method="HEAD"))
        assert response["content-length"] == "5"
        client.send(request(path, headers=["Connection: Upgrade", "Upgrade: websocket"]))
        client.read_until(b"\r\n\r\n")
        client.send(b"abc")
        assert client.rest() == b"<abc>"
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_connect(site):
    """RFC 9110 9.3.6: behind a 2xx to CONNECT there is a tunnel and no body; any other response has one."""

    def application(environ, start_response):
        start_response("200 OK" if environ["REQUEST_URI"] == "h:1" else "403 Forbidden", [])
        return [b"bytes"]

    here = site(application)
    raw = here.exchange(request("h:1", "CONNECT"))
    assert re.fullmatch(rb"HTTP/1.1 200 OK\r\nDate: [^\r]*\r\n\r\nbytes", raw)
    assert here.ask(request("h:2", "CONNECT")).body == b"bytes"


# ----------------------------------------------------------------------------------- the server


def test_stop_finishes_what_is_in_flight(site):
    """Requests that are being served are answered; idle connections end at once."""
    entered, leave = Event(), Event()

    def application(environ, start_response):
        entered.set()
        leave.wait()
        return hello(environ, start_response)

    here = site(application)
    idle, busy = here.client(), here.client()
    busy.send(GET)
    entered.wait()
    stopping = gevent.spawn(here.server.stop, timeout=10)
    assert idle.rest() == b""
    leave.set()
    response = Response(busy)
    assert (response.body, response["connection"]) == (b"hello", "close")
    assert busy.rest() == b""
    began = time.monotonic()
    stopping.get(timeout=10)
    assert time.monotonic() - began < 5


def test_stop_serves_what_was_accepted(site):
    """Connections whose handlers have not begun, and requests that wait behind another, are no lost ones."""
    entered, leave = Event(), Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            entered.set()
            leave.wait()
        return hello(environ, start_response)

    late = []

    class Server(pywsgi.WSGIServer):
        def handle(self, sock, address):
            if late:
                late.pop().set()
                leave.wait()
            super().handle(sock, address)

    here = site(application, server_class=Server)
    busy = here.client()
    busy.send(request("/wait"))
    entered.wait()
    late.append(Event())
    accepted = late[0]
    fresh = here.client()
    fresh.send(GET)
    accepted.wait()
    idle_after = here.client()
    idle_after.ask(GET)
    stopping = gevent.spawn(here.server.stop, timeout=10)
    gevent.sleep(0)
    leave.set()
    assert (Response(fresh)["connection"], Response(busy)["connection"]) == ("close", "close")
    assert (fresh.rest(), busy.rest(), idle_after.rest()) == (b"", b"", b"")
    stopping.get(timeout=10)


def test_serving_on_a_listener_of_ones_own(site):
    listener = stdlib_socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    port = listener.getsockname()[1]
    wrapped = socket.socket(listener.family, listener.type, fileno=listener.detach())
    here = site(hello, wrapped)
    assert here.server.server_port == port
    assert here.ask(GET).body == b"hello"


def test_context_manager():
    with pywsgi.WSGIServer(("127.0.0.1", 0), hello, log=None) as server:
        server.start()
        client = Client(("127.0.0.1", server.server_port))
        assert client.ask(request(headers=["Connection: close"])).body == b"hello"
        client.close()
    assert server.closed


def test_application_as_a_method_of_a_subclass(site):
    class Server(pywsgi.WSGIServer):
        def application(self, environ, start_response):
            return hello(environ, start_response)

    assert site(None, server_class=Server).ask(GET).body == b"hello"


def test_instances_take_attributes():
    """gevent-websocket hangs its clients on the server."""
    server = pywsgi.WSGIServer(("127.0.0.1", 0), hello)
    server.clients = {}
    handler = pywsgi.WSGIHandler(*stdlib_pair_for_probe(), server)
    handler.anything = 1
    handler.socket.close()


def stdlib_pair_for_probe():
    ours, theirs = stdlib_pair()
    theirs.close()
    return ours, ("127.0.0.1", 1)


def test_handle_may_be_overridden(site):
    """gevent-websocket's server makes its handlers itself."""
    addresses = []

    class Server(pywsgi.WSGIServer):
        def handle(self, sock, address):
            addresses.append(address)
            self.handler_class(sock, address, self).handle()

    here = site(hello, server_class=Server)
    client = here.client()
    assert client.ask(GET).body == b"hello"
    assert addresses == [client.socket.getsockname()]


def test_old_name():
    """WSG-25."""
    sys.modules.pop("gevent.wsgi", None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import gevent.wsgi
    assert [each.category for each in caught] == [DeprecationWarning]
    for name in ("WSGIServer", "WSGIHandler", "LoggingLogAdapter"):
        assert getattr(gevent.wsgi, name) is getattr(pywsgi, name)


def test_format_date_time():
    assert pywsgi.format_date_time(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert pywsgi.format_date_time(784111777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert pywsgi.format_date_time(0) == "Thu, 01 Jan 1970 00:00:00 GMT"


# ----------------------------------------------------------------------------- PEP 3333, by wsgiref


@wsgiref.validate.validator
def validated(environ, start_response):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size) if size else b""
    headers = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/length":
        headers.append(("Content-Length", str(len(body) + 5)))
    if environ["PATH_INFO"] == "/empty":
        start_response("204 No Content", [])
        return []
    write = start_response("200 OK", headers)
    if environ["PATH_INFO"] == "/write":
        write(b"hello")
        return [body]
    if environ["PATH_INFO"] == "/stream":
        return iter([b"hello", body])
    return [b"hello", body]


@pytest.mark.parametrize("path", ["/", "/length", "/write", "/stream", "/empty"])
@pytest.mark.parametrize("body", [b"", b"body"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_validator(site, path, body, version):
    """wsgiref.validate finds nothing to say about either side."""
    here = site(validated)
    raw = request(path, "POST" if body else "GET", body=body, version=version)
    response = here.ask(raw)
    assert response.status == (204 if path == "/empty" else 200)
    assert response.body == (b"" if path == "/empty" else b"hello" + body)
    assert str(here.errors) == ""


def test_validator_on_other_requests(site):
    here = site(validated)
    assert here.ask(request("http://other.example/length?a")).status == 200
    assert here.ask(request("/length", "HEAD")).status == 200


# -------------------------------------------------------------------------------- secure environs


def test_environ_copies_keep_the_class():
    environ = pywsgi.Environ(a=1)
    assert type(environ.copy()) is pywsgi.Environ
    assert environ.copy() == {"a": 1}
    assert list(environ.iteritems()) == [("a", 1)]
    assert type(pickle.loads(pickle.dumps(environ))) is dict
    assert pickle.loads(pickle.dumps(environ)) == {"a": 1}


def test_secure_environ():
    environ = pywsgi.SecureEnviron(key="value")
    assert re.fullmatch(r"<pywsgi.SecureEnviron dict \(keys: 1\) at \S+>", repr(environ))
    environ.whitelist_keys = {"key"}
    assert repr(environ) == str(environ) == "{'key': 'value'}"
    environ["secret"] = "password"
    assert repr(environ) == "{'key': 'value', 'secret': '<MASKED>'}"
    environ.print_masked_keys = False
    assert repr(environ) == "{'key': 'value', (hidden keys: 1)}"
    assert type(environ.copy()) is pywsgi.SecureEnviron
    assert "value" not in repr(environ.copy())
    environ.secure_repr = False
    assert repr(environ) == "{'key': 'value', 'secret': 'password'}"
    with pytest.raises(AttributeError):
        environ.missing()
    assert pywsgi.SecureEnviron.default_secure_repr is True


def test_secure_environ_defaults_of_a_subclass():
    class Mine(pywsgi.SecureEnviron):
        default_whitelist_keys = ("key",)

    assert repr(Mine(key="value")) == "{'key': 'value'}"


def test_wsgi_secure_environ():
    environ = pywsgi.WSGISecureEnviron(REMOTE_ADDR="::1", HTTP_AUTHORIZATION="secret")
    assert repr(environ) == "{'REMOTE_ADDR': '::1', (hidden keys: 1)}"


# ----------------------------------------------------------------------------------------- files


@pytest.fixture
def big_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


@pytest.fixture
def sendfile_calls(monkeypatch):
    calls = []
    real = os.sendfile

    def sendfile(*args):
        calls.append(args)
        return real(*args)

    monkeypatch.setattr(os, "sendfile", sendfile)
    return calls


def file_application(open_file, headers=(), files=None):
    def application(environ, start_response):
        file = open_file()
        if files is not None:
            files.append(file)
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](file, 8192)

    return application


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_files_go_out_by_sendfile(site, big_file, sendfile_calls, buffering, version):
    """From where the file stands to its end, with a length, and closed behind it."""
    files = []

    def open_file():
        file = big_file.open("rb", buffering=buffering)
        file.read(10)
        return file

    here = site(file_application(open_file, files=files))
    client = here.client()
    for _ in range(2 if version == "1.1" else 1):
        response = client.ask(request(version=version))
        assert (response["content-length"], response["transfer-encoding"]) == ("1023990", None)
        assert response.body == big_file.read_bytes()[10:]
    assert sendfile_calls
    assert all(file.closed for file in files)
    assert f" 200 {1023990 + len(head_of(response))} " in here.log[0]


def head_of(response):
    lines = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{name}: {value}" for name, value in response.headers), "", ""]
    return "\r\n".join(lines)


def test_a_part_of_a_file(site, big_file, sendfile_calls):
    """PEP 3333: the Content-Length ends it, and that is no mistake of the application's."""
    here = site(file_application(lambda: big_file.open("rb"), [("Content-Length", "1000")]))
    client = here.client()
    for _ in range(2):
        assert client.ask(GET).body == big_file.read_bytes()[:1000]
    assert len(sendfile_calls) == 2
    assert str(here.errors) == ""


def test_a_file_shorter_than_its_length(site, big_file):
    here = site(file_application(lambda: big_file.open("rb"), [("Content-Length", "2000000")]))
    client = here.client()
    client.send(GET + GET)
    assert client.rest().count(b"HTTP/1.1") == 1
    assert "shorter" in str(here.errors)


def test_head_of_a_file(site, big_file, sendfile_calls):
    client = site(file_application(lambda: big_file.open("rb"))).client()
    for _ in range(2):
        assert client.ask(request(method="HEAD"))["content-length"] == "1024000"
    assert sendfile_calls == []


def test_empty_file(site, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    client = site(file_application(lambda: (tmp_path / "empty").open("rb"))).client()
    for _ in range(2):
        assert (client.ask(GET)["content-length"], client.data) == ("0", b"")


@pytest.mark.parametrize("kind", ["bytes", "gzip", "object", "writable", "temporary", "pipe"])
def test_other_files(site, big_file, kind):
    """What a descriptor does not tell the whole truth about is read."""
    body = big_file.read_bytes()
    if kind == "gzip":
        packed = big_file.with_suffix(".gz")
        packed.write_bytes(gzip.compress(body))
    if kind == "pipe":
        body = body[:5000]

    def open_file():
        if kind == "bytes":
            return io.BytesIO(body)
        if kind == "gzip":
            return gzip.open(packed)
        if kind == "writable":
            return big_file.open("r+b")
        if kind == "temporary":
            file = tempfile.NamedTemporaryFile()  # noqa: SIM115 (the server closes it)
            file.write(body)
            file.seek(0)
            return file
        if kind == "pipe":
            reader, writer = os.pipe()
            os.write(writer, body)
            os.close(writer)
            return open(reader, "rb")
        return types.SimpleNamespace(read=io.BytesIO(body).read)

    client = site(file_application(open_file)).client()
    for _ in range(2):
        assert client.ask(GET).body == body


def test_a_part_of_a_file_that_is_read(site):
    here = site(file_application(lambda: io.BytesIO(b"0123456789"), [("Content-Length", "4")]))
    client = here.client()
    assert [client.ask(GET).body for _ in range(2)] == [b"0123"] * 2
    assert str(here.errors) == ""


def test_a_client_that_leaves_in_the_middle_of_a_file(site, tmp_path, capsys):
    """The file is closed all the same, and other connections are served meanwhile."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    files = []

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/hello":
            return hello(environ, start_response)
        return file_application(lambda: path.open("rb"), files=files)(environ, start_response)

    here = site(application)
    client = here.client()
    client.send(GET)
    client.read_until(b"\r\n\r\n")
    assert here.ask(request("/hello")).body == b"hello"
    client.reset()
    here.clients.remove(client)
    here.server.stop(timeout=5)
    assert [file.closed for file in files] == [True]
    assert "Traceback" not in capsys.readouterr().err
    assert "socket error" in str(here.log)


def test_file_wrapper_is_an_iterable():
    wrapper = pywsgi.WSGIServer.base_env["wsgi.file_wrapper"](io.BytesIO(b"abcde"), 2)
    assert list(wrapper) == [b"ab", b"cd", b"e"]
    wrapper.close()
    assert not hasattr(pywsgi.WSGIServer.base_env["wsgi.file_wrapper"](types.SimpleNamespace(read=None)), "close")


# --------------------------------------------------- what is the server's to say, not the application's


def test_hop_by_hop_headers_are_the_servers(site):
    """A proxy written as an application may pass them on; they mean something between other machines."""
    names = ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding"]
    values = ["keep-alive, X-Secret", "timeout=5", "keep-alive", "trailers", "X-Sum", "chunked"]
    client = site(returning([b"hello"], headers=[*zip(names, values), ("X-Sum", "1")])).client()
    for _ in range(2):
        response = client.ask(GET)
        assert [name for name, _ in response.headers] == ["X-Sum", "Date", "Content-Length"]
        assert response.body == b"hello"


def test_upgrade_required(site):
    """RFC 9110 15.5.22: 426 names the protocol, and Connection names that header."""
    headers = [("Upgrade", "HTTP/3.0"), ("Connection", "Upgrade")]
    client = site(returning([b""], "426 Upgrade Required", headers)).client()
    for _ in range(2):
        response = client.ask(GET)
        assert (response["upgrade"], response["connection"]) == ("HTTP/3.0", "Upgrade")


def test_an_option_that_only_contains_close(site):
    client = site(returning([b"hello"], headers=[("Connection", "X-Enclosed")])).client()
    assert [client.ask(GET).body for _ in range(2)] == [b"hello"] * 2


def test_one_date(site):
    response = site(returning([b""], headers=[("Date", "one"), ("date", "two")])).ask(GET)
    assert response["date"] == "one"


def test_reset_content_has_none(site, capsys):
    """RFC 9110 15.3.6."""
    assert site(returning([], "205 Reset Content")).ask(GET)["content-length"] == "0"
    assert site(returning([b"hello"], "205 Reset Content")).ask(GET).status == 500


@pytest.mark.parametrize(
    "asked", [GET, request(headers=["Upgrade: echo"]), request(version="1.0", headers=["Connection: Upgrade"])]
)
def test_nobody_asked_for_another_protocol(site, capsys, asked):
    """A 101 to a client that expects HTTP would leave it waiting for the real response."""
    response = site(returning([], "101 Switching Protocols", [("Upgrade", "echo")])).ask(asked)
    assert (response.status, response["connection"]) == (500, "close")


@pytest.mark.parametrize("headers", [{"ab": "cd"}, "ab", None, 5, [("a", "b", "c")]])
def test_headers_that_are_no_list_of_pairs(site, capsys, headers):
    def application(environ, start_response):
        start_response("200 OK", headers)
        return [b"hello"]

    assert site(application).ask(GET).status == 500


def test_one_request_does_not_end_the_server(site):
    """SystemExit would end the program, were it let through to the hub."""

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/exit":
            sys.exit("enough")
        return hello(environ, start_response)

    here = site(application)
    assert here.ask(request("/exit")).status == 500
    assert here.ask(GET).body == b"hello"
    assert "SystemExit: enough" in str(here.errors)


@pytest.mark.parametrize(
    "start", ["HEAD / HTTP/2.0", "HEAD / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked", "HEAD / HTTP/1.1"]
)
def test_refusals_have_no_body(site, start):
    """The request refused may have been HEAD, or have looked like it."""
    raw = site(hello).exchange(start.encode() + b"\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert (body, b"Content-Length: 0" in head) == (b"", True)


# ---------------------------------------------------------------------------------------- limits


def test_a_connection_is_made_to_send_a_request(site):
    """The limit on the first head runs from the beginning, that on later ones from their first octet."""
    here = site(hello, settings={"header_timeout": 0.1, "keep_alive_timeout": 60})
    silent, slow = here.client(), here.client()
    slow.send(b"GET /")
    assert silent.rest() == b""
    assert Response(slow).status == 408
    client = here.client()
    assert client.ask(GET).body == b"hello"
    gevent.sleep(0.15)
    assert client.ask(GET).body == b"hello"


def test_limits_of_their_own(site):
    """Waiting for a body is not waiting for a request."""
    here = site(echo, settings={"keep_alive_timeout": 0.05, "body_timeout": 10})
    client = here.client()
    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe")
    gevent.sleep(0.1)
    client.send(b"llo")
    assert Response(client).body == b"hello"
    assert client.rest() == b""


@pytest.mark.parametrize("asked", [GET, UPGRADE, request("h:80", "CONNECT")])
def test_asking_for_an_upgrade_buys_no_time(site, capsys, asked):
    """The limits are off only while the application may yet take the connection."""
    ended = Event()

    def application(environ, start_response):
        start_response("403 Forbidden", [])
        try:
            while True:
                yield b"x" * 65536
        finally:
            ended.set()

    here = site(application, settings={"write_timeout": 0.05})
    here.client().send(asked)
    assert ended.wait(10)


def test_as_many_connections_as_are_allowed(site):
    """The next one is accepted when another ends."""
    leave = Event()

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            leave.wait()
        return hello(environ, start_response)

    here = site(application, spawn="default", settings={"max_connections": 2})
    busy = [here.client() for _ in range(2)]
    for client in busy:
        client.send(request("/wait", headers=["Connection: close"]))
    waiting = here.client()
    waiting.send(GET)
    gevent.sleep(0.05)
    assert len(here.server._live_handlers) == 2
    leave.set()
    assert [Response(client).body for client in (*busy, waiting)] == [b"hello"] * 3
    assert busy[0].rest() == b""


def test_idle_connections_make_room(site):
    """The one that has been idle for longest goes."""
    here = site(hello, spawn="default", settings={"max_connections": 3})
    first, second, third = clients = [here.client() for _ in range(3)]
    for client in clients:
        assert client.ask(GET).body == b"hello"
    assert second.ask(GET).body == b"hello"
    assert here.ask(GET).body == b"hello"
    assert first.rest() == b""
    assert [client.ask(GET).body for client in (second, third)] == [b"hello"] * 2


def test_a_client_that_is_always_ready_is_not_served_alone(site):
    order = []

    def application(environ, start_response):
        order.append(environ["PATH_INFO"])
        return hello(environ, start_response)

    here = site(application)
    greedy, other = here.client(), here.client()
    for client in (greedy, other):
        client.ask(GET)
    order.clear()
    greedy.send(request("/greedy") * 500)
    other.send(request("/other"))
    assert Response(other).body == b"hello"
    for _ in range(500):
        Response(greedy)
    assert order.index("/other") < 200


# ------------------------------------------------------------------------------------------ the end


@pytest.mark.parametrize("spawn", ["default", 100])
def test_stop_waits_without_a_pool_too(site, spawn):
    entered, leave = Event(), Event()

    def application(environ, start_response):
        entered.set()
        leave.wait()
        return hello(environ, start_response)

    here = site(application, spawn=spawn)
    client = here.client()
    client.send(GET)
    entered.wait()
    stopping = gevent.spawn(here.server.stop, timeout=10)
    gevent.sleep(0.01)
    assert not stopping.dead
    leave.set()
    assert Response(client).body == b"hello"
    stopping.get(timeout=5)


def test_stop_has_its_limit(site):
    entered = Event()

    def application(environ, start_response):
        entered.set()
        gevent.sleep(60)

    here = site(application)
    client = here.client()
    client.send(GET)
    entered.wait()
    began = time.monotonic()
    here.server.stop(timeout=0.05)
    assert time.monotonic() - began < 5
    assert client.rest().startswith(b"HTTP/1.1 500")


def test_requests_that_are_under_way_when_the_server_stops(site):
    """On idle connections, and on ones that wait to be accepted, and still in the clients' hands."""
    here = site(hello, settings={"idle_grace": 5})
    idle = here.client()
    idle.ask(GET)
    pending = here.client()
    here.server.close()
    pending.send(GET)
    idle.send(GET)
    assert [Response(client)["connection"] for client in (idle, pending)] == ["close", "close"]
    here.server.stop(timeout=5)


def test_a_port_for_several_servers(site):
    class Server(pywsgi.WSGIServer):
        reuse_port = True

    first = site(hello, server_class=Server)
    second = site(hello, ("127.0.0.1", first.server.server_port), server_class=Server)
    assert second.server.server_port == first.server.server_port
    with pytest.raises(OSError, match="in use"):
        site(hello, ("127.0.0.1", first.server.server_port))
    for _ in range(20):
        assert first.ask(GET).body == b"hello"
    first.server.stop()
    assert second.ask(GET).body == b"hello"


def test_a_logger_that_is_off_costs_no_formatting(site, monkeypatch):
    """The access log's cost is the log's."""
    formatted = []
    logger = logging.getLogger("gevent.tests.off")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.ERROR)
    here = site(hello, log=logger)
    real = pywsgi.WSGIHandler.format_request

    class Handler(pywsgi.WSGIHandler):
        def format_request(self):
            formatted.append(self.path)
            return real(self)

    assert here.ask(GET).body == b"hello"
    assert not here.server.log.is_enabled()
    here.server.handler_class = Handler  # who overrides it is asked in any case
    assert here.ask(request("/own")).body == b"hello"
    assert formatted == ["/own"]


# ------------------------------------------------------------------------------------------- TLS


@pytest.fixture
def tls():
    """(the server's context, what makes TLS of a client's connection)"""
    ssl = pytest.importorskip("gevent.ssl")
    pem = str(HERE / "localhost.pem")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(pem)

    def wrap(client):
        # Not forgiving an end without a goodbye.
        client.socket = context.wrap_socket(client.socket, server_hostname="localhost", suppress_ragged_eofs=False)
        return client

    return serving, wrap


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_end_of_a_response_over_tls_is_told_from_a_cut(site, tls, version):
    """TLS has an end of its own; without it, a body up to the end of the connection could be anything."""
    serving, wrap = tls
    here = site(returning(lambda: iter([b"hello"])), ssl_context=serving)
    client = wrap(here.client())
    assert client.ask(request(version=version, headers=["Connection: close"])).body == b"hello"
    assert client.rest() == b""
    client = wrap(here.client())
    client.send(b"bad\r\n\r\n")
    assert Response(client).status == 400
    assert client.rest() == b""


def test_files_over_tls(site, tls, big_file, sendfile_calls):
    serving, wrap = tls
    client = wrap(site(file_application(lambda: big_file.open("rb")), ssl_context=serving).client())
    for _ in range(2):
        assert client.ask(GET).body == big_file.read_bytes()
    assert sendfile_calls == []


def test_a_handshake_has_a_time_limit(site, tls, capsys):
    serving, _wrap = tls
    here = site(hello, ssl_context=serving, settings={"header_timeout": 0.05})
    assert here.client().rest() == b""
    capsys.readouterr()


def test_stop_over_tls(site, tls):
    serving, wrap = tls
    here = site(hello, ssl_context=serving)
    client = wrap(here.client())
    assert client.ask(GET).body == b"hello"
    stopping = gevent.spawn(here.server.stop, timeout=5)
    assert client.rest() == b""
    stopping.get(timeout=5)
