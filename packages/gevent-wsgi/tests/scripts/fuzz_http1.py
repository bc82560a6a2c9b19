"""Generated requests against three parsers: ours, h11 and llhttp (httptools).

    python fuzz_http1.py [SECONDS]

What ours makes of a request must not depend on how it is cut into pieces, nor on whether the module is compiled. Where
ours and another parser disagree on whether a request is one, the disagreement must belong to one of the classes
below; each says why ours is right. Where they agree, they must have seen the same method, target, headers and body.

test_fuzz_http1.py runs a short form of this.
"""

import importlib.util
import pathlib
import re
import sys
import time
from collections import Counter

import h11
import httptools
from gevent import _http1 as installed
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SOURCE = pathlib.Path(__file__).parents[2] / "src" / "gevent" / "_http1.py"


def load_source():
    spec = importlib.util.spec_from_file_location("_http1_source", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


source = load_source()

# ----------------------------------------------------------------------------------- disagreements

#: What ours refuses and another accepts: (who, our message, why).
STRICTER = [
    (
        "h11",
        r"line feed|carriage return|octet 0x0a|Invalid http version|Invalid request line|Invalid HTTP method|Invalid header name",
        "h11 takes a bare LF for a line end (RFC 9112 2.2 lets it); what a proxy takes for a part of a value, h11 takes for two lines",
    ),
    ("h11", r"folded", "RFC 9112 5.2: a server may refuse folded lines or unfold them; unfolding is where parsers differ"),
    (
        "h11",
        r"Invalid host|no host in|Invalid request target",
        "h11 leaves Host and the target to the application; RFC 9112 3.2 demands 400",
    ),
    (
        "h11",
        r"in the value of header",
        "h11 takes all controls but NUL, CR and LF in values; RFC 9110 5.5 has them refused or replaced",
    ),
    ("h11", r"without a Host", "h11 demands Host of HTTP/1.1 exactly, ours of what it answers as HTTP/1.1"),
    ("h11", r"CONNECT needs|goes with OPTIONS", "h11 does not know the forms of targets (RFC 9112 3.2)"),
    (
        "h11",
        r"more than one Content-Length|Invalid Content-Length",
        "h11 merges lengths that are the same; RFC 9110 8.6 lets a server refuse",
    ),
    ("h11", r"both Content-Length", "h11 prefers chunked; RFC 9112 6.3 lets a server refuse, and that is what ends smuggling"),
    ("h11", r"Transfer-Encoding in an HTTP/1.0", "RFC 9112 6.1: such framing is faulty"),
    ("h11", r"cannot be met", "h11 leaves expectations to the application"),
    ("h11", r"http version", "h11 takes any version of the form d.d"),
    ("h11", r"empty lines", "h11 skips any number of empty lines"),
    ("h11", r"chunk", "h11 does not check chunk extensions, and cuts chunk headers at a bare LF"),
    ("h11", r"trailer", "h11 takes bare LF and folding in the trailer section too"),
    ("h11", r"ended|not whole", "h11 waits for more, or skips blanks, where ours has seen that it is no request"),
    ("llhttp", r"line feed|octet 0x0a|carriage return", "llhttp has lenient flags for bare LF, some of them on"),
    ("llhttp", r"Invalid host|no host in|without a Host|more than one Host", "llhttp leaves Host to the application"),
    (
        "llhttp",
        r"Invalid request target|CONNECT needs|goes with OPTIONS|Invalid request line",
        "llhttp takes fragments, octets above ASCII and any scheme",
    ),
    ("llhttp", r"cannot be met", "llhttp leaves expectations to the application"),
    ("llhttp", r"Transfer-Encoding in an HTTP/1.0", "llhttp does not look at the version"),
    (
        "llhttp",
        r"Invalid Transfer-Encoding|more than one Transfer-Encoding|transfer codings other",
        "llhttp reads a body up to the end, or looks at the last coding only",
    ),
    ("llhttp", r"folded|Invalid header name", "llhttp unfolds lines"),
    ("llhttp", r"empty lines|Invalid HTTP method", "llhttp skips any number of line ends before a request"),
    ("llhttp", r"chunk|trailer", "llhttp checks less of extensions and trailers"),
    ("llhttp", r"in the value|http version", "llhttp takes control characters in some values"),
    ("llhttp", r"ended|not whole", "llhttp pauses at the end of what it takes for a message"),
]

#: What another refuses and ours accepts: (who, its message, why).
LENIENT = [
    ("h11", r"no request line received", "h11 takes an empty line before a request for an end; RFC 9112 2.2 has it ignored"),
    ("h11", r"Missing mandatory Host", "h11 wants Host in a version 1.1 only, as ours does, but counts 1.1 by its text"),
    ("h11", r"Sorry! Don't know how to handle|Only Transfer-Encoding: chunked", "h11 knows one coding"),
    ("h11", r"illegal chunk header", "h11 takes no blanks in chunk extensions, which RFC 9112 7.1.1 grants them (BWS)"),
    ("h11", r"bad Content-Length", "h11 bounds the digits of a length, leading zeros included"),
    ("llhttp", r"Invalid method|Expected space after method", "llhttp knows a list of methods; to ours any token is one"),
    (
        "llhttp",
        r"Invalid HTTP version",
        "llhttp knows 0.9, 1.0, 1.1 and 2.0; RFC 9110 2.5 has a higher minor version answered as 1.1",
    ),
    (
        "llhttp",
        r"[uU]pgrade|CONNECT",
        "llhttp stops where the protocol may change; ours goes on when the application does not change it",
    ),
    ("llhttp", r"Unexpected|Invalid char in url|URL|url", "llhttp's grammar of targets is narrower"),
    ("llhttp", r"Invalid character in chunk|chunk", "llhttp takes no blanks in chunk extensions"),
    ("llhttp", r"Content-Length", "llhttp bounds the digits of a length, leading zeros included"),
]


# ------------------------------------------------------------------------------------- the parsers


class Refused(Exception):
    pass


class Outcome:
    """What a parser has seen: ``requests``, a list of (method, target, headers, body), and why it stopped, or None."""

    def __init__(self, requests, refusal=None):
        self.requests = requests
        self.refusal = refusal


def parse_ours(http1, raw, sizes=()):
    parser = http1.HeadParser()
    requests, data, position, environ = [], b"", 0, {}
    body, decoder, left = None, None, 0
    cuts = list(sizes) or [len(raw)]
    fed = 0
    index = 0
    closed = False
    while True:
        try:
            while not closed:
                if body is None:
                    if position >= len(data):
                        break
                    end = parser.parse(data, position, environ, 8192)
                    if end < 0:
                        break
                    position = end
                    body = []
                    left = max(parser.content_length, 0)
                    decoder = http1.ChunkedDecoder() if parser.chunked else None
                if decoder is not None:
                    position = decoder.decode(data, position, body, 1 << 40)
                    if not decoder.done:
                        break
                else:
                    piece = data[position : position + left]
                    body.append(piece)
                    position += len(piece)
                    left -= len(piece)
                    if left:
                        break
                headers = [(name.lower(), value) for name, value in parser.headers().items()]
                requests.append((parser.command, parser.target, headers, b"".join(body), parser.keep_alive))
                closed = not parser.keep_alive or parser.upgrade or parser.command == "CONNECT"
                body, environ = None, {}
        except http1.BadRequest as ex:
            return Outcome(requests, str(ex))
        if fed >= len(raw):
            break
        size = max(1, cuts[index % len(cuts)])
        index += 1
        data, position = data[position:] + raw[fed : fed + size], 0
        fed += size
    if not closed and (body is not None or data[position:].strip(b"\r\n")):
        return Outcome(requests, "ended inside a request: not whole")
    return Outcome(requests)


def parse_h11(raw):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    requests = []
    request, body = None, []
    try:
        connection.receive_data(raw)
        connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED or type(event) is h11.ConnectionClosed:
                if event is h11.NEED_DATA:
                    raise h11.RemoteProtocolError("not whole")
                break
            if type(event) is h11.Request:
                request, body = event, []
            elif type(event) is h11.Data:
                body.append(bytes(event.data))
            elif type(event) is h11.EndOfMessage:
                headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.headers.raw_items()]
                requests.append((request.method.decode("latin-1"), request.target.decode("latin-1"), headers, b"".join(body)))
                if connection.our_state is h11.MUST_CLOSE or connection.their_state is h11.MIGHT_SWITCH_PROTOCOL:
                    break
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    break
                connection.start_next_cycle()
    except h11.ProtocolError as ex:
        return Outcome(requests, str(ex))
    return Outcome(requests)


class Seen:
    def __init__(self):
        self.requests = []
        self.url, self.headers, self.body = b"", [], []
        self.whole = True

    def on_message_begin(self):
        self.url, self.headers, self.body = b"", [], []
        self.whole = False
        self.in_trailer = False

    def on_url(self, url):
        self.url += url

    def on_headers_complete(self):
        self.in_trailer = True

    def on_header(self, name, value):
        if self.in_trailer:
            return  # to ours, trailers are none
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body):
        self.body.append(body)

    def on_message_complete(self):
        self.whole = True
        method = self.parser.get_method().decode("latin-1")
        self.requests.append((method, self.url.decode("latin-1"), self.headers, b"".join(self.body)))


def parse_llhttp(raw):
    seen = Seen()
    seen.parser = parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        return Outcome(seen.requests, "upgrade")
    except httptools.HttpParserError as ex:
        return Outcome(seen.requests, str(ex) or type(ex).__name__)
    return Outcome(seen.requests, None if seen.whole else "not whole")


# --------------------------------------------------------------------------------------- the check


def describe(outcome):
    return [request[:4] for request in outcome.requests], outcome.refusal


def trimmed(request):
    """A request as all three can agree on it: values without the blanks at their end, and codings, which have no case, in lower case."""
    method, target, headers, body = request[:4]
    trimmed_headers = [(name, value.strip(" \t")) for name, value in headers]
    return (
        method,
        target,
        sorted((name, value.lower() if name == "transfer-encoding" else value) for name, value in trimmed_headers),
        body,
    )


def check(raw, sizes=(), classes=None):
    """Raise AssertionError for what is not explained; count the classes of disagreement in *classes*."""
    ours = parse_ours(installed, raw)
    for other in (parse_ours(source, raw), parse_ours(installed, raw, [1]), parse_ours(source, raw, sizes)):
        assert describe(other)[0] == describe(ours)[0], (raw, sizes)
        assert (other.refusal is None) == (ours.refusal is None), (raw, sizes, other.refusal, ours.refusal)
    for name, theirs in (("h11", parse_h11(raw)), ("llhttp", parse_llhttp(raw))):
        common = min(len(ours.requests), len(theirs.requests))
        for mine, other in zip(ours.requests[:common], theirs.requests[:common]):
            if trimmed(mine) != trimmed(other) and not explained_difference(name, mine, other):
                raise AssertionError(f"{name} saw something else in {raw!r}:\n{trimmed(mine)}\n{trimmed(other)}")
        if len(ours.requests) < len(theirs.requests):
            if ours.refusal is None:
                # Ours ended the connection: close, upgrade or CONNECT. llhttp does not tell of an end by itself.
                assert not ours.requests[-1][4] or name == "llhttp" or b"CONNECT" in raw or b"pgrade" in raw, (name, raw)
                why = "ours closes"
            else:
                why = explain(STRICTER, name, ours.refusal, raw, theirs)
        elif len(ours.requests) > len(theirs.requests):
            why = explain(LENIENT, name, str(theirs.refusal), raw, theirs)
        else:
            continue
        if classes is not None:
            classes[name, why] += 1


def explained_difference(name, mine, other):
    # llhttp takes a header line apart otherwise where it is lenient (folding, control characters), but then ours has refused.
    return name == "llhttp" and mine[0] == other[0] and other[1] != mine[1] and mine[1].startswith(other[1])


def explain(table, name, message, raw, theirs):
    for who, pattern, why in table:
        if who == name and re.search(pattern, message):
            return why
    verb = "refuses" if table is STRICTER else "accepts"
    raise AssertionError(
        f"ours {verb} {raw!r}, {name} does not; the one that refuses says {message!r}; {name} saw {theirs.requests!r}"
    )


# ------------------------------------------------------------------------------------ the requests

octets = st.binary(min_size=1, max_size=3)
odd = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x7f", b"\x80", b":", b",", b";", b"%", b"#", b"_", b'"', b"\r\n "]
)
methods = st.sampled_from([b"GET", b"POST"] * 8 + [b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"get", b"X-Y", b"G T", b""])
targets = st.sampled_from(
    [b"/", b"/a?b=%20c"] * 8
    + [b"*", b"h:80", b"http://h/", b"http://h", b"//h/", b"a", b"/#f", b"/\xe9", b"http://u@h/", b"ftp://h/", b"/%zz", b""]
)
versions = st.sampled_from(
    [b"HTTP/1.1"] * 24 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/1.10", b"http/1.1", b"HTTP/0.9", b""]
)
lengths = st.sampled_from(
    [b"0", b"3", b"5"] * 5
    + [b"+3", b"-0", b"0x3", b"3, 3", b"3,4", b" 3 ", b"", b"03", b"3 3", b"99999999999999999999", b"\xd9\xa3"]
)
codings = st.sampled_from(
    [b"chunked"] * 12
    + [b"Chunked", b"identity", b"gzip, chunked", b"chunked, chunked", b"xchunked", b'"chunked"', b"chunked;a", b"", b"chunked "]
)
hosts = st.sampled_from([b"h"] * 8 + [b"h2", b"", b"a b", b"[::1]:80", b"[::1", b"h:x", b"u@h", b"a,b", b"h:99999"])
tokens = st.sampled_from([b"close", b"keep-alive", b"Upgrade", b"x, close", b"closed", b"", b"keep-alive, close"])
names = st.sampled_from([b"X", b"x-y", b"X_Y", b"Cookie", b"Content_Length", b"X Y", b"", b"X\0", b"\xe9", b"X ", b" X"])
values = st.one_of(st.sampled_from([b"", b"a", b"a, b", b"  a\t", b"a\xe9", b"a\x01", b"a\r\n b"]), octets)
fields = st.one_of(
    st.tuples(st.just(b"Host"), hosts),
    st.tuples(st.sampled_from([b"Content-Length", b"content-length"]), lengths),
    st.tuples(st.sampled_from([b"Transfer-Encoding", b"transfer-encoding", b"Transfer-Encoding "]), codings),
    st.tuples(st.just(b"Connection"), tokens),
    st.tuples(st.just(b"Expect"), st.sampled_from([b"100-continue", b"x"])),
    st.tuples(names, values),
)
ends = st.sampled_from([b"\r\n"] * 80 + [b"\n", b"\r", b"\r\r\n", b"", b" \r\n"])
colons = st.sampled_from([b": "] * 12 + [b":", b":\t"] * 2 + [b" : "])
sizes_of_chunks = st.sampled_from(
    [b"3"] * 20
    + [b"03", b"+3", b"0x3", b"3 ", b" 3", b"3;a", b"3;a=b", b'3 ; a="b"', b"3;", b"-3", b"FFFFFFFFFFFFFFFFF", b"3_", b"4", b"2"]
)


def lines(draw, header_fields, colons):
    """The octets of some header lines, their ends mostly right."""
    return b"".join(b"".join([name, draw(colons), value, draw(ends)]) for name, value in header_fields)


@st.composite
def chunked_bodies(draw):
    parts = []
    for _ in range(draw(st.integers(0, 3))):
        parts += [draw(sizes_of_chunks), draw(ends), b"abc", draw(ends)]
    parts += [draw(st.sampled_from([b"0"] * 16 + [b"00", b"0;x", b"", b"g"])), draw(ends)]
    trailer = [draw(st.tuples(names, values))] if not draw(st.integers(0, 2)) else []
    parts += [lines(draw, trailer, st.just(b": ")), draw(ends)]
    return b"".join(parts)


@st.composite
def messages(draw):
    parts = [draw(st.sampled_from([b""] * 30 + [b"\r\n", b"\n", b" "]))]
    parts += [draw(methods), b" ", draw(targets), b" ", draw(versions), draw(ends)]
    host = [(b"Host", b"h")] if draw(st.integers(0, 9)) else []
    parts += [lines(draw, host + draw(st.lists(fields, max_size=4)), colons), draw(ends)]
    parts.append(draw(st.one_of(st.just(b""), st.sampled_from([b"abc", b"abcde"]), chunked_bodies())))
    return b"".join(parts)


@st.composite
def streams(draw):
    raw = b"".join(draw(st.lists(messages(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(0, 3)) // 2):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.one_of(odd, octets)) + raw[at + draw(st.integers(0, 2)) :]
    return raw


def run(seconds, examples=2000):
    """Fuzz for *seconds*, in rounds of so many *examples*; returns (streams tried, {(who, why): count} of disagreements)."""
    until = time.monotonic() + seconds
    classes = Counter()
    tried = 0
    round_ = 0
    while time.monotonic() < until:

        @seed(round_)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(streams(), st.lists(st.integers(1, 40), min_size=1, max_size=5))
        def fuzz(raw, sizes):
            nonlocal tried
            tried += 1
            check(raw, sizes, classes)

        fuzz()
        round_ += 1
    return tried, classes


if __name__ == "__main__":
    tried, classes = run(float(sys.argv[1]) if len(sys.argv) > 1 else 600)
    print(f"{tried} streams; disagreements, all explained:")
    for (name, why), count in classes.most_common():
        print(f"{count:8d}  {name}: {why}")
