"""The HTTP/1 parser: a corpus of exchanges, in one piece and in single octets, and what the corpus cannot say.

Everything runs twice: with the module as installed, which on CPython is compiled, and with its source as plain
Python, which PyPy runs.
"""

import importlib
import importlib.util
import itertools
import pathlib
import re
import sys

import pytest

HERE = pathlib.Path(__file__).parent
SOURCE = HERE.parent / "src" / "gevent" / "_http1.py"


def load_source():
    spec = importlib.util.spec_from_file_location("_http1_source", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["installed", "source"])
def http1(request):
    return importlib.import_module("gevent._http1") if request.param == "installed" else load_source()


# ------------------------------------------------------------------------------------------- corpus


def unescape(text):
    while True:
        wider = re.sub(r"\{(\d+)\*([^{}]*)\}", lambda found: found[2] * int(found[1]), text)
        if wider == text:
            return wider.encode("latin-1").decode("unicode_escape").encode("latin-1")
        text = wider


def read_corpus():
    """(name, raw bytes, [status], {environ key or "body": bytes or None}) of each entry."""
    entries = []
    for line in (HERE / "http1_corpus.txt").read_text("ascii").split("\n"):
        if line.startswith("== "):
            name, _, statuses = line[3:].partition("|")
            entries.append((name.strip(), [], [int(status) for status in unescape(statuses).split()], {}))
        elif line.startswith("> "):
            key, _, value = line[2:].partition("=")
            value = value[1:]
            entries[-1][3][key.strip()] = None if value == "-" else unescape(value)
        elif line and not line.startswith("#"):
            entries[-1][1].append(line)
    return [(name, b"".join(map(unescape, lines)), *rest) for name, lines, *rest in entries]


CORPUS = read_corpus()
IDS = [entry[0] for entry in CORPUS]


class Exchange:
    """What a server does with what it receives, without a server: parse heads, read bodies, note statuses."""

    def __init__(self, http1, **settings):
        self.http1 = http1
        self.parser = http1.HeadParser(**settings)
        self.data = b""
        self.statuses = []
        self.requests = []
        self.environ = {}
        self.body = None
        self.closed = False

    def receive(self, data):
        if self.closed:
            return
        self.data += data
        try:
            while not self.closed and self.step():
                pass
        except self.http1.BadRequest as ex:
            self.statuses.append(ex.status)
            self.closed = True

    def step(self):
        """Use up some of the data; false when there is not enough of it."""
        if self.body is None:
            if not self.data:
                return False
            end = self.parser.parse(self.data, 0, self.environ, 8192)
            if end < 0:
                return False
            self.data = self.data[end:]
            self.body = []
            self.left = max(self.parser.content_length, 0)
            self.decoder = self.http1.ChunkedDecoder() if self.parser.chunked else None
        if self.decoder is not None:
            self.data = self.data[self.decoder.decode(self.data, 0, self.body, 1 << 30) :]
            if not self.decoder.done:
                return False
        else:
            self.body.append(self.data[: self.left])
            self.left -= len(self.body[-1])
            self.data = self.data[len(self.body[-1]) :]
            if self.left:
                return False
        self.statuses.append(200)
        self.requests.append((self.environ, b"".join(self.body)))
        self.closed = not self.parser.keep_alive
        self.environ, self.body = {}, None
        return True

    def end(self):
        """The client has sent all it has."""
        if not self.closed and (self.body is not None or self.data.replace(b"\r\n", b"") not in (b"", b"\r")):
            self.statuses.append(400)
        self.closed = True


def check_first_request(exchange, expected):
    if not expected:
        return
    environ, body = exchange.requests[0]
    found = {key: body if key == "body" else environ.get(key) for key in expected}
    found = {key: value.encode("latin-1") if isinstance(value, str) else value for key, value in found.items()}
    assert found == expected


@pytest.mark.parametrize(("name", "raw", "statuses", "expected"), CORPUS, ids=IDS)
def test_corpus_in_one_piece(http1, name, raw, statuses, expected):
    """WSG-03, WSG-04, WSG-05, WSG-10, WSG-20, WSG-24 at the parser: what is refused, and with what."""
    exchange = Exchange(http1)
    exchange.receive(raw)
    exchange.end()
    assert exchange.statuses == statuses
    check_first_request(exchange, expected)


@pytest.mark.parametrize(("name", "raw", "statuses", "expected"), CORPUS, ids=IDS)
def test_corpus_in_pieces(http1, name, raw, statuses, expected):
    """Where the octets are cut makes no difference."""
    exchange = Exchange(http1)
    if len(raw) < 2000:
        for position in range(len(raw)):
            exchange.receive(raw[position : position + 1])
    else:
        # Uneven pieces, so that they cut lines at different places.
        sizes = itertools.cycle([1, 997, 2, 4096])
        position = 0
        while position < len(raw):
            size = next(sizes)
            exchange.receive(raw[position : position + size])
            position += size
    exchange.end()
    assert exchange.statuses == statuses
    check_first_request(exchange, expected)


def test_corpus_is_large_enough():
    assert len(CORPUS) >= 1000
    assert len(set(IDS)) == len(IDS)


def test_installed_module_is_compiled():
    """An extension built without its .pxd works, but takes the time of plain Python."""
    module = importlib.import_module("gevent._http1")
    if module.__file__.endswith(".py"):
        pytest.skip("the plain Python module is in use")
    with pytest.raises(AttributeError):
        module.HeadParser().anything = 1


# ------------------------------------------------------------------------------------------- heads


def parse(http1, head, **settings):
    parser = http1.HeadParser(**settings)
    environ = {}
    assert parser.parse(head, 0, environ, 8192) == len(head)
    return parser, environ


HEAD = b"GET /a HTTP/1.1\r\nHost: h\r\nX_Name: 1\r\nX-Long: a\r\n b\r\n\tc\r\n\r\n"


def test_folded_lines_can_be_unfolded(http1):
    """WSG-20: 1.1 unfolded headers; RFC 9112 5.2 lets a server refuse them, which is the default here."""
    with pytest.raises(http1.BadRequest, match="folded"):
        parse(http1, HEAD)
    _, environ = parse(http1, HEAD, unfold=True)
    assert environ["HTTP_X_LONG"] == "a b c"


@pytest.mark.parametrize(("name", "raw", "statuses", "expected"), CORPUS, ids=IDS)
def test_corpus_unfolding(http1, name, raw, statuses, expected):
    """Unfolding changes nothing about anything else."""
    whole, pieces = Exchange(http1, unfold=True), Exchange(http1, unfold=True)
    whole.receive(raw)
    whole.end()
    step = max(1, len(raw) // 300)
    for position in range(0, len(raw), step):
        pieces.receive(raw[position : position + step])
    pieces.end()
    assert pieces.statuses == whole.statuses
    if name.startswith("folded") and "first" not in name and "trailer" not in name:
        assert whole.statuses == [200]
    elif name not in ("blanks only before the end", "a line of blanks among the headers"):
        assert whole.statuses == statuses
        check_first_request(whole, expected)


def test_folding_cannot_extend_the_request_line(http1):
    with pytest.raises(http1.BadRequest):
        parse(http1, b"GET / HTTP/1.1\r\n X: y\r\nHost: h\r\n\r\n", unfold=True)


def test_underscore_policies(http1):
    head = HEAD.replace(b"\r\n b\r\n\tc", b"")
    assert "HTTP_X_NAME" not in parse(http1, head)[1]
    assert parse(http1, head, underscores="keep")[1]["HTTP_X_NAME"] == "1"
    with pytest.raises(http1.BadRequest, match="X_Name"):
        parse(http1, head, underscores="refuse")
    with pytest.raises(ValueError, match="'ignore'"):
        http1.HeadParser(underscores="ignore")


def test_host_can_be_optional(http1):
    head = b"GET / HTTP/1.1\r\n\r\n"
    with pytest.raises(http1.BadRequest, match="Host"):
        parse(http1, head)
    assert parse(http1, head, require_host=False)[1]["PATH_INFO"] == "/"


def test_header_limits(http1):
    head = b"GET / HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n"
    parse(http1, head, max_fields=2)
    with pytest.raises(http1.BadRequest) as caught:
        parse(http1, head, max_fields=1)
    assert caught.value.status == 431
    parse(http1, head, max_bytes=19)
    with pytest.raises(http1.BadRequest) as caught:
        parse(http1, head, max_bytes=18)
    assert caught.value.status == 431


def test_request_line_limit_is_an_argument(http1):
    head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    parser = http1.HeadParser()
    assert parser.parse(head, 0, {}, 17) == len(head)
    with pytest.raises(http1.BadRequest) as caught:
        http1.HeadParser().parse(head, 0, {}, 16)
    assert caught.value.status == 414


def test_one_parser_serves_many_heads(http1):
    """Nothing of a head is left for the next."""
    parser = http1.HeadParser()
    heads = [
        b"POST /1?q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        b"POST /2 HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET http://c/3 HTTP/1.1\r\nHost: b\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /4 HTTP/1.0\r\n\r\n",
    ]
    data = b"".join(heads)
    position = 0
    seen = []
    for _ in heads:
        environ = {}
        position = parser.parse(data, position, environ, 8192)
        seen.append(
            (
                parser.requestline,
                parser.command,
                parser.target,
                parser.version,
                parser.keep_alive,
                parser.content_length,
                parser.ordinary,
                parser.chunked,
                parser.expect_continue,
                parser.upgrade,
                environ.get("HTTP_HOST"),
                environ["QUERY_STRING"],
            )
        )
    assert position == len(data)
    assert seen == [
        ("POST /1?q HTTP/1.1", "POST", "/1?q", "HTTP/1.1", False, 3, False, False, True, False, "a", "q"),
        ("POST /2 HTTP/1.1", "POST", "/2", "HTTP/1.1", True, -1, False, True, False, False, "b", ""),
        ("GET http://c/3 HTTP/1.1", "GET", "http://c/3", "HTTP/1.1", True, -1, False, False, False, True, "c", ""),
        ("GET /4 HTTP/1.0", "GET", "/4", "HTTP/1.0", False, -1, False, False, False, False, None, ""),
    ]


@pytest.mark.parametrize(
    ("head", "ordinary"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", "but for its body"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", "but for its body"),
        (b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", False),
    ],
)
def test_ordinary_requests(http1, head, ordinary):
    parser = parse(http1, head)[0]
    assert (parser.simple, parser.ordinary) == (bool(ordinary), ordinary is True)


@pytest.mark.parametrize(
    ("fields", "upgrade"),
    [
        (b"Connection: Upgrade\r\nUpgrade: websocket\r\n", True),
        (b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", True),
        (b"Upgrade: websocket\r\n", False),
        (b"Connection: Upgrade\r\n", False),
        (b"Connection: Upgrade\r\nUpgrade:\r\n", False),
    ],
)
def test_upgrade_takes_two_headers(http1, fields, upgrade):
    assert parse(http1, b"GET / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n")[0].upgrade is upgrade
    assert parse(http1, b"GET / HTTP/1.0\r\n" + fields + b"\r\n")[0].upgrade is False


def test_connect(http1):
    _, environ = parse(http1, b"CONNECT other.example:443 HTTP/1.1\r\nHost: other.example:443\r\n\r\n")
    assert (environ["PATH_INFO"], environ["REQUEST_URI"]) == ("", "other.example:443")
    assert environ["HTTP_HOST"] == "other.example:443"


def test_incomplete_heads_are_not_read_again_and_again(http1):
    """A client that sends single octets of a long line costs linear, not quadratic work."""
    parser = http1.HeadParser(max_bytes=1 << 20)
    data = b"GET / HTTP/1.1\r\nHost: h\r\nX: "
    environ = {}
    assert parser.parse(data, 0, environ, 8192) == -1

    class Watched(bytes):
        looked_from = None

        def find(self, what, start=0):
            Watched.looked_from = start
            return bytes.find(self, what, start)

    if not http1.__file__.endswith(".py"):
        pytest.skip("a compiled parser takes nothing but bytes")
    assert parser.parse(Watched(data + b"a"), 0, environ, 8192) == -1
    assert Watched.looked_from == len(data)


def test_start_may_move_between_calls(http1):
    """The receive buffer drops what was used while a head is still incomplete."""
    parser = http1.HeadParser()
    environ = {}
    assert parser.parse(b"GARBAGE" + b"GET / HTTP/1.1\r\nHo", 7, environ, 8192) == -1
    rest = b"GET / HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n"
    assert parser.parse(rest + b"more", 0, environ, 8192) == len(rest)
    assert environ["HTTP_X_A"] == "b"
    assert parser.headers().items() == [("Host", "h"), ("X-A", "b")]
    assert parser.requestline == "GET / HTTP/1.1"


def test_headers_as_sent(http1):
    parser, _ = parse(http1, b"GET / HTTP/1.1\r\nHost: h\r\nX-a:  1 \r\nx_b: 2\r\nX-A: 3\r\n\r\n")
    headers = parser.headers()
    assert headers.items() == [("Host", "h"), ("X-a", "1"), ("x_b", "2"), ("X-A", "3")]
    assert headers.get("x-A") == headers["X-A"] == headers.getheader("X-A") == "1"
    assert headers.get_all("X-A") == ["1", "3"]
    assert headers.get("missing", 5) == 5
    assert headers["missing"] is None
    assert headers.get_all("missing") is None
    assert "X_B" in headers
    assert list(headers) == headers.keys() == ["Host", "X-a", "x_b", "X-A"]
    assert headers.values() == ["h", "1", "2", "3"]
    assert headers.headers[1] == "X-a: 1\r\n"
    assert "1" not in repr(headers)
    headers.replace_header("x-a", "9")
    del headers["X_B"]
    headers["Content-Type"] = "a/b"
    assert headers.items() == [("Host", "h"), ("X-a", "9"), ("X-A", "3"), ("Content-Type", "a/b")]
    assert headers.typeheader == "a/b"
    assert len(headers) == 4
    with pytest.raises(KeyError):
        headers.replace_header("missing", "1")


def test_no_headers(http1):
    assert parse(http1, b"GET / HTTP/1.0\r\n\r\n")[0].headers().items() == []


def test_release_forgets(http1):
    parser, _ = parse(http1, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    parser.release()
    assert parser.command is None
    assert parser.headers().items() == []


def test_name_cache_is_bounded(http1):
    """What clients send as header names cannot fill the memory, and cannot push out right answers."""
    for start in range(0, 6000, 90):
        names = [f"X-Name-{number}" for number in range(start, start + 90)]
        head = "GET / HTTP/1.1\r\nHost: h\r\n" + "".join(f"{name}: {name}\r\n" for name in names) + "\r\n"
        _, environ = parse(http1, head.encode())
        assert environ["HTTP_" + names[0].upper().replace("-", "_")] == names[0]
        assert environ["HTTP_HOST"] == "h"
    source = load_source()
    for number in range(5000):
        parse(source, f"GET / HTTP/1.1\r\nHost: h\r\nX-{number}: a\r\n\r\n".encode())
    assert len(source._KEYS) <= source._KEYS_LIMIT
    parse(source, b"GET / HTTP/1.1\r\nHost: h\r\nX-" + b"a" * 5000 + b": a\r\n\r\n")
    assert max(map(len, source._KEYS)) <= source._KEYS_LONGEST


def test_first_octet_that_cannot_be_is_refused_at_once(http1):
    """A client of another protocol is not kept waiting for a line end it never sends."""
    for start in (
        b"\x16",
        b"GET /\x00",
        b"GET / HTTQ",
        b"GET / FTP",
        b"GET / HTTP/1.1\r\n ",
        b"GET / HTTP/1.1\r\nA B",
        b"GET / HTTP/1.1\r\nA: \x00",
    ):
        with pytest.raises(http1.BadRequest):
            http1.HeadParser().parse(start, 0, {}, 8192)


def test_a_tls_client_is_named_as_1_1_named_it(http1):
    """Locust tells its users what is wrong by this text in the error log."""
    with pytest.raises(http1.BadRequest, match=re.escape(r"Invalid HTTP method: '\x16\x03")):
        http1.HeadParser().parse(b"\x16\x03\x01\x02\x00\x01", 0, {}, 8192)


# ---------------------------------------------------------------------------------------- chunks


def test_decoder_stops_at_the_limit(http1):
    decoder = http1.ChunkedDecoder()
    data = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nnext"
    out = []
    position = decoder.decode(data, 0, out, 4)
    assert (out, decoder.position, decoder.left, decoder.done, decoder.wants_line) == ([b"hell"], 4, 1, False, False)
    position = decoder.decode(data, position, out, 4)
    assert (out, decoder.position) == ([b"hell", b"o", b" wo"], 8)
    position = decoder.decode(data, position, out, 1 << 60)
    assert b"".join(out) == b"hello world"
    assert decoder.done
    assert data[position:] == b"next"
    assert decoder.decode(data, position, out, 10) == position


def test_decoder_keeps_what_was_right(http1):
    """The end of the body is noticed with its last octet; an error there does not take the octets back."""
    decoder = http1.ChunkedDecoder()
    out = []
    decoder.decode(b"3\r\nabc\r\n0\r\n\r\n", 0, out, 3)
    assert (out, decoder.done) == ([b"abc"], True)
    decoder = http1.ChunkedDecoder()
    out = []
    with pytest.raises(http1.BadRequest):
        decoder.decode(b"3\r\nabcXX", 0, out, 3)
    assert out == [b"abc"]


# -------------------------------------------------------------------------------------- responses


def test_fields_are_encoded(http1):
    """WSG-22: names go out as the application spelled them."""
    fields, number, length, date, connection, coding = http1.encode_fields(
        [("x-Mixed-CASE", "a"), ("Content-Length", "5"), ("DATE", "now"), ("connection", "close"), ("X-L", "\xe9")]
    )
    assert fields == [
        (b"x-Mixed-CASE", b"a"),
        (b"Content-Length", b"5"),
        (b"DATE", b"now"),
        (b"X-L", b"\xe9"),
    ]
    assert (number, length, date, connection, coding) == (5, "5", "now", "close", None)
    assert http1.encode_fields([("A", "b")])[1:3] == (-1, None)


def test_transfer_encoding_is_left_to_the_server(http1):
    fields, *_, coding = http1.encode_fields([("Transfer-Encoding", "chunked"), ("A", "b")])
    assert (fields, coding) == ([(b"A", b"b")], "chunked")


@pytest.mark.parametrize(
    ("headers", "error", "match"),
    [
        ([(b"X", "a")], UnicodeError, "b'X'"),
        ([("X", b"a")], UnicodeError, "'X'"),
        ([("X", 5)], UnicodeError, "'X'"),
        ([("X", None)], UnicodeError, "'X'"),
        ([(None, "a")], UnicodeError, "None"),
        ([("\u0100", "a")], UnicodeError, "\u0100"),
        ([("X-Head", "\u0100")], UnicodeError, "X-Head"),
        ([("X-Head", "a\r\nb: c")], ValueError, "X-Head"),
        ([("X-Head", "a\nb")], ValueError, "X-Head"),
        ([("X-Head", "a\rb")], ValueError, "X-Head"),
        ([("X-Head", "a\x00b")], ValueError, "X-Head"),
        ([("X-Head\r\nX", "a")], ValueError, "X-Head"),
        ([("X Head", "a")], ValueError, "X Head"),
        ([("X-Head:", "a")], ValueError, "X-Head:"),
        ([("X-H\xe9ad", "a")], ValueError, "X-H\xe9ad"),
        ([("", "a")], ValueError, "empty"),
        ([("Content-Length", "1"), ("content-length", "1")], AssertionError, "Content-Length"),
        ([("Content-Length", "")], ValueError, "Content-Length"),
        (["Ab"], TypeError, "'Ab'"),
        ([("A",)], TypeError, "('A',)"),
        ([("Content-Length", "+1")], ValueError, "'+1'"),
        ([("Content-Length", "1 ")], ValueError, "'1 '"),
        ([("Content-Length", "1, 1")], ValueError, "'1, 1'"),
        ([("Content-Length", "9" * 19)], ValueError, "9" * 19),
    ],
)
def test_bad_fields(http1, headers, error, match):
    """WSG-01: the error is of the documented class and names the header."""
    with pytest.raises(error, match=re.escape(match)):
        http1.encode_fields(headers)
    with pytest.raises(error):
        http1.encode_fields(headers)  # not remembered as good


def test_subclasses_of_str_are_strings(http1):
    class Text(str):
        __slots__ = ()

    assert http1.encode_fields([(Text("A"), Text("b"))])[0] == [(b"A", b"b")]
    assert http1.encode_status(Text("200 OK")) == (200, b"200 OK")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (b"200 OK", UnicodeError),
        (200, UnicodeError),
        (None, UnicodeError),
        ("200 \u0100", UnicodeError),
        ("OK", ValueError),
        ("", ValueError),
        ("20 OK", ValueError),
        ("2000 OK", ValueError),
        ("200OK", ValueError),
        ("\u0662\u0660\u0660 OK", ValueError),
        (" 200 OK", ValueError),
        ("200 a\r\nX: b", ValueError),
        ("200 a\nb", ValueError),
        ("200 a\x00", ValueError),
        ("100 Continue", ValueError),
        ("199 x", ValueError),
        ("000 x", ValueError),
        ("-20 x", ValueError),
    ],
)
def test_bad_status(http1, status, error):
    """WSG-01."""
    for _ in range(2):
        with pytest.raises(error):
            http1.encode_status(status)


def test_status(http1):
    for _ in range(2):
        assert http1.encode_status("200 OK") == (200, b"200 OK")
        assert http1.encode_status("404 N\xe4") == (404, b"404 N\xe4")
        assert http1.encode_status("204") == (204, b"204 ")
        assert http1.encode_status("101 Switching Protocols")[0] == 101


def test_caches_of_responses_are_bounded(http1):
    for number in range(2000):
        assert http1.encode_fields([(f"X-{number}", "a")])[0] == [(f"X-{number}".encode(), b"a")]
        assert http1.encode_status(f"200 {number}") == (200, f"200 {number}".encode())
    source = load_source()
    for number in range(2000):
        source.encode_fields([(f"X-{number}", "a")])
        source.encode_status(f"200 {number}")
    assert len(source._FIELD_NAMES) <= source._FIELD_NAMES_LIMIT
    assert len(source._STATUSES) <= source._STATUSES_LIMIT


def test_response_head(http1):
    assert http1.response_head(b"200 OK", [(b"A", b"b"), (b"C", b"")]) == b"HTTP/1.1 200 OK\r\nA: b\r\nC: \r\n\r\n"


def test_whole_response(http1):
    for size in (0, 5, 2047, 2048, 100_000):
        fields = [(b"A", b"b"), (b"C", b"")]
        response = http1.whole_response(b"200 OK", fields, http1.date_pieces(b"d"), b"x" * size)
        assert response == (b"HTTP/1.1 200 OK\r\nA: b\r\nC: \r\nDate: d\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert fields == [(b"A", b"b"), (b"C", b""), (b"Date", b"d"), (b"Content-Length", b"%d" % size)]
    fields = [(b"Content-Length", b"1")]
    response = http1.whole_response(b"200 OK", fields, http1.date_pieces(b"d"), b"x", True)
    assert response == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nDate: d\r\n\r\nx"
    assert fields == [(b"Content-Length", b"1"), (b"Date", b"d")]


def test_module_needs_nothing_of_gevent():
    """No I/O in it, and nothing imported that does any."""
    before = set(sys.modules)
    load_source()
    assert not [name for name in set(sys.modules) - before if name.startswith(("gevent", "socket", "select"))]
