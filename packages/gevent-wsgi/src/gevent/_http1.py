"""HTTP/1.0 and 1.1 on the wire: request heads, chunked bodies, response heads.

Nothing here does I/O or knows of sockets, greenlets or WSGI servers: bytes go in, values and
:class:`BadRequest` come out. On CPython the file is compiled with the C types that the
same-named ``.pxd`` declares; as plain Python (PyPy, ``GEVENT_PURE_PYTHON``) it does the same.

How it works
------------
Every octet has a class in one 256-entry table, so one pass over a request head checks it and finds
the pieces at once. :class:`HeadParser` writes what it finds straight into the WSGI environ: a
header's environ key comes from a bounded cache keyed by the name as received, and only names not
in it are checked and converted. When a head arrives in pieces the parser stops at a line
boundary and goes on from there.

The grammar is RFC 9112 and RFC 9110, read strictly, because every leniency is one that somebody's
proxy does not share. These are refused with 400: line ends other than CRLF, blanks before a colon
or around the request line's parts, control characters, folded header lines (unless the parser
is told to unfold them), a repeated Content-Length or one that is not only digits,
Transfer-Encoding beside Content-Length or in HTTP/1.0 or not ending in ``chunked``, a missing,
repeated or malformed Host. After any :class:`BadRequest` the rest of the connection has no meaning
and must not be parsed.
"""

import re
from functools import lru_cache
from ipaddress import IPv6Address

__all__ = [
    "BadRequest",
    "ChunkedDecoder",
    "HeadParser",
    "RequestHeaders",
    "date_pieces",
    "decimal",
    "encode_fields",
    "encode_status",
    "environ_key",
    "has_token",
    "reason_phrase",
    "response_head",
    "split_target",
    "whole_response",
]


class BadRequest(ValueError):
    """What the client sent is not an HTTP request that can be answered.

    ``status`` is the response's status code, an int; the message says what was found where.
    """

    def __init__(self, message, status=400):
        ValueError.__init__(self, message)
        self.status = status


#: The statuses that the server itself answers with.
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


def reason_phrase(code):
    """The reason phrase the server sends with status *code*, an int; a general one if unknown."""
    return _REASONS.get(code, "Bad Request" if code < 500 else "Internal Server Error")


# ---------------------------------------------------------------------------------- octet classes

TOKEN = 1  # tchar, RFC 9110 5.6.2: methods and field names
VALUE = 2  # field-vchar, SP and HTAB, RFC 9110 5.5: everything but controls
TARGET = 4  # VCHAR but "#": RFC 3986 allows less, but browsers do send the likes of "|" and "{"
HOST = 8  # octets of a reg-name or IPv4 address, RFC 3986 3.2.2
DIGIT = 16

HTAB = 9
LF = 10
CR = 13
SP = 32
PERCENT = 37
SLASH = 47
ZERO = 48
ONE = 49
COLON = 58
SEMICOLON = 59
QUESTION = 63
BRACKET = 91
BRACKET_END = 93


def _build_classes():
    table = bytearray(256)

    def mark(octets, bit):
        for octet in octets:
            table[octet] |= bit

    digits = b"0123456789"
    letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    sub_delims = b"!$&'()*+,;="
    mark(b"!#$%&'*+-.^_`|~" + digits + letters, TOKEN)
    mark(b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)), VALUE)
    mark([octet for octet in range(0x21, 0x7F) if octet != ord("#")], TARGET)
    mark(b"-._~%" + sub_delims + digits + letters, HOST)
    mark(digits, DIGIT)
    return bytes(table)


def _build_hex():
    table = bytearray(b"\xff" * 256)
    for value in range(16):
        for digit in (f"{value:x}", f"{value:X}"):
            table[ord(digit)] = value
    return bytes(table)


# The bytes objects own the memory that the names below point into when this is compiled.
_CLASS_TABLE = _build_classes()
_CLASS = _CLASS_TABLE
_HEX_TABLE = _build_hex()
_HEX = _HEX_TABLE


# ------------------------------------------------------------------------------- names of headers

K_COOKIE = "HTTP_COOKIE"
K_HOST = "HTTP_HOST"
K_CONNECTION = "HTTP_CONNECTION"
K_UPGRADE = "HTTP_UPGRADE"
K_EXPECT = "HTTP_EXPECT"
K_TRANSFER_ENCODING = "HTTP_TRANSFER_ENCODING"
K_CONTENT_LENGTH = "CONTENT_LENGTH"
K_CONTENT_TYPE = "CONTENT_TYPE"

# The parser tells the headers it must understand by the identity of these strings.
_SPECIAL_KEYS = {
    key: key for key in (K_COOKIE, K_HOST, K_CONNECTION, K_UPGRADE, K_EXPECT, K_TRANSFER_ENCODING, K_CONTENT_LENGTH, K_CONTENT_TYPE)
}

#: What goes into the cache of names at once, and again when it has been emptied.
_COMMON_NAMES = """\
Accept Accept-Charset Accept-Encoding Accept-Language Authorization Cache-Control Connection Content-Encoding Content-
Length Content-Type Cookie Date DNT ETag Expect Forwarded From Host If-Match If-Modified-Since If-None-Match If-Range
If-Unmodified-Since Keep-Alive Max-Forwards Origin Pragma Priority Proxy-Authorization Range Referer Sec-CH-UA Sec-CH-
UA-Mobile Sec-CH-UA-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-WebSocket-Extensions Sec-
WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version TE Trailer Traceparent Tracestate Transfer-Encoding Upgrade
Upgrade-Insecure-Requests User-Agent Via X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Real-IP
X-Request-ID X-Requested-With
"""

#: Name as received -> environ key. What clients send goes in, so it is emptied when it is full, and
#: long names stay out: the memory it can take is bounded.
_KEYS = {}
_KEYS_LIMIT = 1024
_KEYS_LONGEST = 64


def environ_key(name):
    """The environ key of the header *name*, a str: ``HTTP_USER_AGENT`` for ``User-Agent``.

    Names that differ only in case, or in ``-`` and ``_``, have the same key.
    """
    key = name.upper().replace("-", "_")
    if key != "CONTENT_LENGTH" and key != "CONTENT_TYPE":
        key = "HTTP_" + key
    return _SPECIAL_KEYS.get(key, key)


def _seed_keys():
    _KEYS.clear()
    for name in _COMMON_NAMES.split():
        key = environ_key(name)
        for spelling in (name, name.lower()):
            _KEYS[spelling.encode("ascii")] = key


_seed_keys()

_METHODS = {
    method.encode("ascii"): method for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
}

_HTTP_1_1 = "HTTP/1.1"
_HTTP_1_0 = "HTTP/1.0"

#: What :meth:`HeadParser.parse` returns when the head is not complete yet.
NEED_MORE = -1

# What a parser does with a header name that has "_" in it and so could pass for another one: in the
# environ "X_Real_IP" and "X-Real-IP" are the same key, and a proxy in front that
# overwrites the second lets the first through.
UNDERSCORES_DROP = 0
UNDERSCORES_REFUSE = 1
UNDERSCORES_KEEP = 2

_UNDERSCORE_POLICIES = {"drop": UNDERSCORES_DROP, "refuse": UNDERSCORES_REFUSE, "keep": UNDERSCORES_KEEP}

_FOLD = re.compile(rb"\r\n[ \t]+")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_IP_FUTURE = re.compile(rb"[vV][0-9A-Fa-f]+\.[-._~!$&'()*+,;=:0-9A-Za-z]+")

# More digits than any length has that can be meant; keeps the number inside 63 bits.
_LENGTH_DIGITS = 18

# What _digits returns for what is no number.
_NO_NUMBER = -1
_TOO_LARGE = -2


def _digits(data, start, end):
    """The number that data[start:end] is in decimal digits and nothing else, or _NO_NUMBER or _TOO_LARGE."""
    p = data
    value = 0
    digits = 0
    i = start
    while i < end and _CLASS[p[i]] & DIGIT:
        if digits or p[i] != ZERO:
            digits += 1
            if digits > _LENGTH_DIGITS:
                return _TOO_LARGE
        value = value * 10 + (p[i] - ZERO)
        i += 1
    return _NO_NUMBER if i < end or i == start else value


def _percent_octet(match):
    return bytes((int(match.group(1), 16),))


def _unquote(path):
    """Decode %XX in *path* (bytes) and return it as a latin-1 str, as PEP 3333 wants PATH_INFO.

    A ``%`` that no two hex digits follow stays as it is.
    """
    return _PERCENT.sub(_percent_octet, path).decode("latin-1")


def split_target(target, method):
    """Split a request target (bytes) into (authority or None, PATH_INFO, QUERY_STRING).

    All parts are str. The four forms of RFC 9112 3.2 are known: origin form; absolute form, whose
    authority takes the place of the Host header; authority form, for CONNECT only, and asterisk form, for
    OPTIONS only, which name no path: PATH_INFO is empty. Raises :class:`BadRequest` for anything else.
    """
    authority = None
    if method == "CONNECT":
        host, _colon, port = target.rpartition(b":")
        if not host or not port.isdigit():
            raise BadRequest(f"CONNECT needs host:port as its target, not {target!r}")
        _check_host(target, 0, len(target))
        return None, "", ""
    if target == b"*":
        if method != "OPTIONS":
            raise BadRequest(f"the target * goes with OPTIONS only, not with {method!r}")
        return None, "", ""
    if target[:1] != b"/":
        scheme, mark, rest = target.partition(b"://")
        if not mark or scheme.lower() not in (b"http", b"https"):
            raise BadRequest(f"Invalid request target: {target.decode('latin-1')!r}")
        cut = len(rest)
        for delimiter in (b"/", b"?"):
            found = rest.find(delimiter)
            if 0 <= found < cut:
                cut = found
        if not cut:
            raise BadRequest(f"no host in the request target {target.decode('latin-1')!r}")
        _check_host(rest, 0, cut)
        authority = rest[:cut].decode("latin-1")
        target = rest[cut:]
        if not target and method == "OPTIONS":
            return authority, "", ""
    path, _mark, query = target.partition(b"?")
    return authority, _unquote(path) or "/", query.decode("latin-1")


def _check_host(data, start, end):
    """Check data[start:end], the value of a Host header or an authority; RFC 9110 7.2."""
    p = data
    i = start
    port = 0
    if i < end and p[i] == BRACKET:
        i += 1
        while i < end and p[i] != BRACKET_END:
            i += 1
        if i >= end or not _is_ip_literal(data[start + 1 : i]):
            raise BadRequest(f"Invalid host: {data[start:end].decode('latin-1')!r}")
        i += 1
    else:
        while i < end and _CLASS[p[i]] & HOST:
            if p[i] == PERCENT:
                if i + 2 >= end or _HEX[p[i + 1]] > 15 or _HEX[p[i + 2]] > 15:
                    break
            i += 1
    # An empty host is one that is not known; beside a port it is none (RFC 9110 4.2.1).
    if i < end and p[i] == COLON and i > start:
        i += 1
        while i < end and _CLASS[p[i]] & DIGIT:
            port = port * 10 + (p[i] - ZERO)
            if port > 65535:
                break
            i += 1
    if i < end:
        raise BadRequest(f"Invalid host: {data[start:end].decode('latin-1')!r}")


@lru_cache(64)
def _is_ip_literal(literal):
    """Whether *literal*, bytes, can stand in the brackets of a host: an IPv6 address, or one of a future version."""
    if _IP_FUTURE.fullmatch(literal):
        return True
    try:
        IPv6Address(literal.decode("ascii"))
    except ValueError:
        return False
    return b"%" not in literal  # zones mean something on the client's machine only


def _tokens(value):
    """The lower-cased members of a comma-separated list."""
    return [member.strip(" \t") for member in value.lower().split(",")]


def has_token(value, token):
    """Whether *token*, in lower case, is a member of the comma-separated list *value*, a str."""
    return token in _tokens(value)


class HeadParser:
    """Parses the heads of the requests of one connection, one after the other.

    Call :meth:`parse` with what has been received; while it returns :data:`NEED_MORE`, call
    it again with the same bytes and more behind them. When it returns a position the attributes
    tell the rest:

    ``command``, ``target``, ``version``, ``requestline``
        as sent, str; *version* is normalized to ``HTTP/1.0`` or ``HTTP/1.1``.
    ``content_length``
        the body's length in octets; -1 where there is none or it is chunked.
    ``chunked``, ``keep_alive``, ``expect_continue``, ``upgrade``
        bool; *upgrade* is true when both Connection and Upgrade ask for another protocol.
    ``simple``, ``ordinary``
        bool; *simple* when the response and the connection after it need no special care: HTTP/1.1 with
        keep-alive, no change of protocol, not HEAD and not CONNECT. *ordinary* when there is no body either.

    *max_fields* bounds the number of headers, *max_bytes* their octets together (431); the length
    of the request line (414) is an argument of :meth:`parse`. *underscores* is ``"drop"``,
    ``"refuse"`` or ``"keep"``: what is done with a header whose name has an underscore. With
    *unfold* a folded header line becomes one line instead of an error. With *require_host* an
    HTTP/1.1 request without Host is refused.
    """

    def __init__(self, max_fields=100, max_bytes=65536, underscores="drop", unfold=False, require_host=True):
        if underscores not in _UNDERSCORE_POLICIES:
            raise ValueError(f"underscores is one of {sorted(_UNDERSCORE_POLICIES)}, not {underscores!r}")
        self.max_fields = max_fields
        self.max_bytes = max_bytes
        self._underscores = _UNDERSCORE_POLICIES[underscores]
        self._unfold = bool(unfold)
        self._require_host = bool(require_host)
        self.release()

    def release(self):
        """Forget the last request and the bytes it was parsed from."""
        self._data = b""
        self._line_at = 0
        self._line_end = 0
        self._fields_at = 0
        self._end_at = 0
        self.reset()

    def reset(self):
        """Be ready for the first byte of a request."""
        self.command = None
        self.target = None
        self.version = None
        self.content_length = -1
        self.chunked = False
        self.keep_alive = False
        self.expect_continue = False
        self.upgrade = False
        self.simple = False
        self.ordinary = False
        self._minor = True
        self._next = 0
        self._scanned = 0
        self._first = 0
        self._in_fields = False
        self._count = 0
        self._authority = None
        self._has_host = False
        self._close_token = False
        self._keep_token = False
        self._upgrade_token = False
        self._upgrade_field = False
        self._codings = None

    def parse(self, data, start, environ, max_line):
        """Parse the head that begins at data[start], filling *environ*, a dict.

        Returns the position behind the head, or NEED_MORE. *max_line* is the length from which on
        a request line (with its CRLF) is refused. Raises :class:`BadRequest`.

        While a head is incomplete, later calls must be given the same *environ*, and in
        data[start:] the same bytes again with more behind; *start* itself may move.
        """
        end = len(data)
        if self._next == 0 and self._scanned == 0:
            self.reset()
        elif data.find(b"\n", start + self._scanned) < 0:
            # Not even one more line: looking at the beginning of it again and again would let
            # a client that sends single octets make us do quadratic work.
            return self._more(end, start, max_line)
        if self._unfold:
            return self._parse_unfolded(data, start, environ, max_line)
        return self._parse(data, start, environ, max_line)

    def _more(self, end, start, max_line):
        """Note that everything up to *end* was seen, or refuse what has become too long."""
        size = end - start
        if self._in_fields:
            if size - self._fields_at > self.max_bytes:
                raise BadRequest(f"headers longer than {self.max_bytes} bytes", 431)
        elif size - self._next >= max_line:
            raise BadRequest(f"request line longer than {max_line} bytes", 414)
        self._scanned = size
        return -1

    def _parse_unfolded(self, data, start, environ, max_line):
        """Join folded lines, then parse. Only whole heads, so as not to mistake a line's end."""
        first = self._skip_empty_lines(data, start)
        head_end = data.find(b"\r\n\r\n", first)
        if head_end < 0:
            self._next = first - start
            if data.find(b"\r\n", first) >= 0:
                self._in_fields = True
                self._fields_at = first - start
            return self._more(len(data), start, max_line)
        self._in_fields = False
        self._next = 0
        head = _FOLD.sub(b" ", data[first:head_end]) + b"\r\n\r\n"
        self._parse(head, 0, environ, max_line)
        return head_end + 4

    def _skip_empty_lines(self, data, start):
        """Where a head that begins at data[start] really begins.

        RFC 9112 2.2: an empty line before the request line is to be ignored; some old clients send one
        behind a body.
        """
        p = data
        end = len(data)
        i = start
        while i + 1 < end and p[i] == CR and p[i + 1] == LF:
            i += 2
            if i - start > 4:
                raise BadRequest("empty lines instead of a request")
        return i

    def _parse(self, data, start, environ, max_line):
        p = data
        end = len(data)
        i = start + self._next
        if not self._in_fields:
            i = self._skip_empty_lines(data, start)
            if i + 1 == end and p[i] == CR:
                self._next = i - start
                return self._more(end, start, max_line)
            self._next = self._first = i - start
            i = self._request_line(data, i, end, environ, max_line)
            if i < 0:
                return self._more(end, start, max_line)
            self._in_fields = True
            self._fields_at = i - start
        count = self._count
        while True:
            line = i
            if i >= end:
                break
            if p[i] == CR:
                if i + 1 >= end:
                    break
                if p[i + 1] != LF:
                    raise BadRequest("a carriage return without a line feed in the headers")
                i += 2
                self._count = count
                if i - start - self._fields_at > self.max_bytes:
                    raise BadRequest(f"headers longer than {self.max_bytes} bytes", 431)
                self._finish(environ)
                # The head may have moved in the buffer since its first line was read.
                self._line_end += start + self._first - self._line_at
                self._line_at = start + self._first
                self._data = data
                self._fields_at += start
                self._end_at = i - 2
                self._next = 0
                self._scanned = 0
                return i
            while i < end and _CLASS[p[i]] & TOKEN:
                i += 1
            if i >= end:
                break
            if p[i] != COLON or i == line:
                self._refuse_name(data, line, i, end)
            name_end = i
            i += 1
            while i < end and (p[i] == SP or p[i] == HTAB):
                i += 1
            value_start = i
            while i < end and _CLASS[p[i]] & VALUE:
                i += 1
            if i >= end:
                break
            if p[i] != CR:
                raise BadRequest(f"octet 0x{p[i]:02x} in the value of header {data[line:name_end].decode('latin-1')!r}")
            if i + 1 >= end:
                break
            if p[i + 1] != LF:
                raise BadRequest(f"a carriage return in the value of header {data[line:name_end].decode('latin-1')!r}")
            value_end = i
            while value_end > value_start and (p[value_end - 1] == SP or p[value_end - 1] == HTAB):
                value_end -= 1
            i += 2
            count += 1
            if count > self.max_fields:
                raise BadRequest(f"more than {self.max_fields} headers", 431)

            name = p[line:name_end]
            key = _KEYS.get(name)
            if key is None:
                key = self._unknown_name(name)
                if not key:
                    continue
            value = p[value_start:value_end].decode("latin-1")
            if key is K_HOST:
                if self._has_host:
                    raise BadRequest("more than one Host header")
                self._has_host = True
                _check_host(data, value_start, value_end)
            elif key is K_CONNECTION:
                self._connection(value)
            elif key is K_CONTENT_LENGTH:
                self._length(data, value_start, value_end)
            elif key is K_TRANSFER_ENCODING:
                self._codings = value if self._codings is None else f"{self._codings},{value}"
            elif key is K_UPGRADE:
                self._upgrade_field = value_end > value_start
            elif key is K_EXPECT:
                if self._minor:
                    self._expectation(value)
            present = environ.setdefault(key, value)
            if present is not value:
                environ[key] = present + ("; " if key is K_COOKIE else ",") + value
        self._next = line - start
        self._count = count
        return self._more(end, start, max_line)

    def _request_line(self, data, start, end, environ, max_line):
        """Parse the request line at data[start]; returns the position behind it, or NEED_MORE."""
        p = data
        i = start
        while i < end and _CLASS[p[i]] & TOKEN:
            i += 1
        if i >= end:
            return -1
        if p[i] != SP or i == start:
            if i - start >= max_line:
                raise BadRequest(f"request line longer than {max_line} bytes", 414)
            raise BadRequest(f"Invalid HTTP method: {_excerpt(data, start, end)!r}")
        name = p[start:i]
        method = _METHODS.get(name)
        if method is None:
            method = name.decode("latin-1")
        i += 1
        target_start = i
        question = -1
        quoted = False
        while i < end and _CLASS[p[i]] & TARGET:
            if p[i] == PERCENT:
                if question < 0:
                    quoted = True
            elif p[i] == QUESTION:
                if question < 0:
                    question = i
            i += 1
        if i >= end:
            return -1
        target_end = i
        if i - start >= max_line:
            raise BadRequest(f"request line longer than {max_line} bytes", 414)
        if p[i] != SP or i == target_start:
            raise BadRequest(f"Invalid request line: {_excerpt(data, start, end)!r}")
        # Exactly "HTTP/1.1" CRLF, ten octets.
        i += 1
        if i + 10 > end:
            # Refuse at once what cannot become a version; the rest may be under way.
            if data.find(b"\n", i) >= 0 or not b"HTTP/".startswith(data[i : i + 5]):
                raise BadRequest(f"Invalid http version: {_excerpt(data, start, end)!r}")
            return -1
        if (
            p[i] != 72
            or p[i + 1] != 84
            or p[i + 2] != 84
            or p[i + 3] != 80
            or p[i + 4] != 47
            or not _CLASS[p[i + 5]] & DIGIT
            or p[i + 6] != 46
            or not _CLASS[p[i + 7]] & DIGIT
            or p[i + 8] != CR
            or p[i + 9] != LF
        ):
            raise BadRequest(f"Invalid http version: {_excerpt(data, start, end)!r}")
        if i + 10 - start >= max_line:
            raise BadRequest(f"request line longer than {max_line} bytes", 414)
        if p[i + 5] != ONE:
            raise BadRequest(f"Invalid http version: {_excerpt(data, start, end)!r}", 505)
        # A higher minor version is answered as the highest one we know (RFC 9110 2.5).
        self._minor = p[i + 7] != ZERO
        version = _HTTP_1_1 if self._minor else _HTTP_1_0
        target = p[target_start:target_end].decode("latin-1")
        self.command = method
        self.target = target
        self.version = version
        self._data = data
        self._line_at = start
        self._line_end = i + 8
        if p[target_start] == SLASH and method != "CONNECT":
            if question < 0:
                query = ""
                question = target_end
                path = target
            else:
                query = p[question + 1 : target_end].decode("latin-1")
                path = p[target_start:question].decode("latin-1")
            if quoted:
                path = _unquote(data[target_start:question])
        else:
            self._authority, path, query = split_target(data[target_start:target_end], method)
        environ["REQUEST_METHOD"] = method
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["SERVER_PROTOCOL"] = version
        environ["REQUEST_URI"] = target
        return i + 10

    def _refuse_name(self, data, line, position, end):
        octet = data[position]
        if position == line and (octet == SP or octet == HTAB):
            raise BadRequest(f"folded header line: {_excerpt(data, line, end)!r}")
        raise BadRequest(f"Invalid header name: {_excerpt(data, line, end)!r}")

    def _unknown_name(self, name):
        """The environ key of a name that is not in the cache; "" when it is to be left out."""
        if b"_" in name:
            if self._underscores == UNDERSCORES_REFUSE:
                raise BadRequest(f"underscore in header name {name.decode('latin-1')!r}")
            if self._underscores == UNDERSCORES_DROP:
                return ""
            return environ_key(name.decode("latin-1"))
        key = environ_key(name.decode("latin-1"))
        if len(name) <= _KEYS_LONGEST:
            if len(_KEYS) >= _KEYS_LIMIT:
                _seed_keys()
            _KEYS[name] = key
        return key

    def _connection(self, value):
        # Most send the one or the other and nothing else.
        for token in (value,) if value == "keep-alive" or value == "close" else _tokens(value):
            if token == "close":
                self._close_token = True
            elif token == "keep-alive":
                self._keep_token = True
            elif token == "upgrade":
                self._upgrade_token = True

    def _expectation(self, value):
        for member in _tokens(value):
            if member == "100-continue":
                self.expect_continue = True
            elif member:
                raise BadRequest(f"Expect: {value!r} cannot be met", 417)

    def _length(self, data, start, end):
        if self.content_length >= 0:
            raise BadRequest("more than one Content-Length header")
        value = _digits(data, start, end)
        if value == _TOO_LARGE:
            raise BadRequest("Content-Length is too large", 413)
        if value < 0:
            raise BadRequest(f"Invalid Content-Length: {data[start:end].decode('latin-1')!r}")
        self.content_length = value

    def _coding(self):
        """Check Transfer-Encoding: it must be ``chunked`` and nothing else. Two headers are one list (RFC 9110 5.3)."""
        if self.content_length >= 0:
            raise BadRequest("both Content-Length and Transfer-Encoding")
        if not self._minor:
            raise BadRequest("Transfer-Encoding in an HTTP/1.0 request")
        codings = _tokens(self._codings)
        if codings[-1] != "chunked" or "chunked" in codings[:-1] or "" in codings:
            raise BadRequest(f"Invalid Transfer-Encoding: {self._codings!r}")
        if len(codings) > 1:
            raise BadRequest(f"transfer codings other than chunked are not known: {self._codings!r}", 501)
        self.chunked = True

    def _finish(self, environ):
        """Check what only the whole head can tell."""
        if self._codings is not None:
            self._coding()
        if self._minor:
            self.keep_alive = not self._close_token
            self.upgrade = self._upgrade_token and self._upgrade_field
            if not self._has_host and self._require_host:
                raise BadRequest("HTTP/1.1 request without a Host header")
            self.simple = self.keep_alive and not self.upgrade and self.command != "HEAD" and self.command != "CONNECT"
            self.ordinary = self.simple and not self.chunked and self.content_length <= 0
        else:
            self.keep_alive = self._keep_token and not self._close_token
        if self._authority is not None:
            environ["HTTP_HOST"] = self._authority

    @property
    def requestline(self):
        """The last request line that was understood, without its end; None before there is one."""
        if self._line_end == 0:
            return None
        return self._data[self._line_at : self._line_end].decode("latin-1")

    def headers(self):
        """The headers of the head parsed last, a new :class:`RequestHeaders`."""
        headers = RequestHeaders()
        if self._end_at > self._fields_at:
            for line in self._data[self._fields_at : self._end_at].split(b"\r\n"):
                name, _colon, value = line.partition(b":")
                if name:
                    headers.add_header(name.decode("latin-1"), value.strip(b" \t").decode("latin-1"))
        return headers


def _excerpt(data, start, end):
    """The line at data[start], shortened, for a message."""
    stop = data.find(b"\r\n", start, end)
    if stop < 0:
        stop = end
    return data[start : min(stop, start + 80)].decode("latin-1")


class RequestHeaders:
    """The headers of a request in the order received; look-up by name ignores case.

    Reads like a mapping of str to str in which a name may occur more than once:
    ``headers[name]`` and :meth:`get` give the first, :meth:`get_all` all of them. Setting an item
    adds a header, as :class:`email.message.Message` does; deleting removes all of the name.
    """

    def __init__(self, items=()):
        self._items = list(items)

    def add_header(self, name, value):
        """Append a header."""
        self._items.append((name, value))

    def get_all(self, name, default=None):
        """All values of *name* in order, or *default*."""
        wanted = name.lower()
        return [value for key, value in self._items if key.lower() == wanted] or default

    def get(self, name, default=None):
        """The first value of *name*, or *default*."""
        wanted = name.lower()
        for key, value in self._items:
            if key.lower() == wanted:
                return value
        return default

    getheader = get

    def replace_header(self, name, value):
        """Put *value* in the place of the first header *name*; raises KeyError without one."""
        wanted = name.lower()
        for index, (key, _old) in enumerate(self._items):
            if key.lower() == wanted:
                self._items[index] = (key, value)
                return
        raise KeyError(name)

    def items(self):
        """(name, value) pairs, a list."""
        return list(self._items)

    def keys(self):
        """Names as sent, a list; a repeated one occurs more than once."""
        return [key for key, _value in self._items]

    def values(self):
        """Values, a list."""
        return [value for _key, value in self._items]

    @property
    def headers(self):
        """The lines of the header section, each with its line end, as in gevent 1.1."""
        return [f"{key}: {value}\r\n" for key, value in self._items]

    @property
    def typeheader(self):
        """The Content-Type header, or None, as in gevent 1.1."""
        return self.get("content-type")

    def __getitem__(self, name):
        # Like email.message.Message, on which 1.1 built: None rather than KeyError.
        return self.get(name)

    def __setitem__(self, name, value):
        self._items.append((name, value))

    def __delitem__(self, name):
        wanted = name.lower()
        self._items = [item for item in self._items if item[0].lower() != wanted]

    def __contains__(self, name):
        wanted = name.lower()
        return any(key.lower() == wanted for key, _value in self._items)

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self._items)

    def __repr__(self):
        # Values stay out: they are credentials as often as not, and this ends up in logs.
        return f"<{type(self).__name__} {self.keys()!r}>"


# --------------------------------------------------------------------------------- chunked bodies

_IN_SIZE = 0
_IN_DATA = 1
_AFTER_DATA = 2
_IN_TRAILER = 3
_DONE = 4

# A chunk extension, RFC 9112 7.1.1. The alternatives cannot match the same octet, so it is linear.
_EXTENSIONS = re.compile(
    rb"(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb"(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    rb'|"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t !-~\x80-\xff])*"))?)*'
)
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*")


class ChunkedDecoder:
    """Decodes one chunked body (RFC 9112 7.1), fed in pieces of any size.

    ``done`` turns true behind the last line of the trailer section. Trailers are checked and dropped:
    nothing that comes after the body may pass for a header. ``position`` counts the octets decoded.

    *max_line* bounds a line with a chunk's size (bytes), *max_extensions* all chunk extensions
    of the body together, *max_trailer* the trailer section.
    """

    def __init__(self, max_line=4096, max_extensions=16384, max_trailer=16384):
        self.done = False
        self.position = 0
        self.left = 0
        self._state = _IN_SIZE
        self._max_line = max_line
        self._extensions_left = max_extensions
        self._trailer_left = max_trailer

    @property
    def wants_line(self):
        """True when what comes next is a line, False when it is ``left`` octets of data."""
        return self._state != _IN_DATA

    def decode(self, data, start, out, limit):
        """Decode data[start:], appending pieces of the body to the list *out*.

        Stops when the body is done, *limit* octets were appended, or what is left is not a whole
        line. Returns the position behind what was used; the rest must be given again, with more.
        Raises :class:`BadRequest`; then the decoder must not be used again.
        """
        i = start
        end = len(data)
        while i < end and not self.done:
            if self._state == _IN_DATA:
                if limit <= 0:
                    break
                size = end - i
                if size > self.left:
                    size = self.left
                if size > limit:
                    size = limit
                out.append(data[i : i + size])
                i += size
                limit -= size
                self.position += size
                self.left -= size
                if self.left == 0:
                    self._state = _AFTER_DATA
            elif self._state == _AFTER_DATA:
                if end - i < 2:
                    if data[i] != CR:
                        raise BadRequest("no CRLF behind a chunk")
                    break
                if data[i] != CR or data[i + 1] != LF:
                    raise BadRequest("no CRLF behind a chunk")
                i += 2
                self._state = _IN_SIZE
            elif self._state == _IN_SIZE:
                line = i
                i = self._size_line(data, i, end)
                if i < 0:
                    return line
            else:
                line = i
                i = self._trailer_line(data, i, end)
                if i < 0:
                    return line
        return i

    def _size_line(self, data, start, end):
        p = data
        i = start
        size = 0
        while i < end and _HEX[p[i]] < 16:
            if size >> 56:  # no overflow of 63 bits
                raise BadRequest("chunk size is too large")
            size = size * 16 + _HEX[p[i]]
            i += 1
        if i - start > self._max_line:
            raise BadRequest("line of a chunk's size is too long")
        if i >= end:
            return -1
        if i == start:
            raise BadRequest(f"Invalid chunk size: {_excerpt(data, start, min(end, start + 20))!r}")
        if p[i] != CR:
            i = self._skip_extensions(data, start, i, end)
            if i < 0:
                return -1
        if i + 1 >= end:
            return -1
        if p[i + 1] != LF:
            raise BadRequest("no CRLF behind a chunk size")
        self.left = size
        self._state = _IN_DATA if size else _IN_TRAILER
        return i + 2

    def _skip_extensions(self, data, start, position, end):
        """Check the chunk extensions at *position*; returns where the line ends, or NEED_MORE."""
        octet = data[position]
        if octet != SEMICOLON and octet != SP and octet != HTAB:
            raise BadRequest(f"Invalid chunk size: {_excerpt(data, start, min(end, start + 20))!r}")
        stop = data.find(b"\n", position)
        if (end if stop < 0 else stop) - start > self._max_line:
            raise BadRequest("line of a chunk's size is too long")
        if stop < 0:
            return -1
        stop -= 1
        if data[stop] != CR or not _EXTENSIONS.fullmatch(data, position, stop):
            raise BadRequest("Invalid chunk extension")
        self._extensions_left -= stop - position
        if self._extensions_left < 0:
            raise BadRequest("too many chunk extensions")
        return stop

    def _trailer_line(self, data, start, end):
        stop = data.find(b"\n", start)
        if (end if stop < 0 else stop) - start > self._trailer_left:
            raise BadRequest("trailer section is too long", 431)
        if stop < 0:
            return -1
        if stop == start or data[stop - 1] != CR:
            raise BadRequest("a line of the trailer section does not end with CRLF")
        if stop - 1 == start:
            self.done = True
            self._state = _DONE
        elif not _TRAILER.fullmatch(data, start, stop - 1):
            raise BadRequest("Invalid trailer field")
        self._trailer_left -= stop + 1 - start
        return stop + 1


# ------------------------------------------------------------------------------------- responses

#: Header name -> its octets, for names that were checked. Bounded like _KEYS.
_FIELD_NAMES = {}
_FIELD_NAMES_LIMIT = 512


def _encode_name(name):
    if not isinstance(name, str):
        raise UnicodeError(f"the name of a response header must be a native string, not {name!r}")
    try:
        octets = name.encode("latin-1")
    except UnicodeEncodeError:
        raise UnicodeError(f"the name of response header {name!r} is not latin-1") from None
    if not octets:
        raise ValueError("the name of a response header is empty")
    for octet in octets:
        if not _CLASS_TABLE[octet] & TOKEN:
            raise ValueError(f"character {chr(octet)!r} in the name of response header {name!r}")
    if len(octets) <= _KEYS_LONGEST:
        if len(_FIELD_NAMES) >= _FIELD_NAMES_LIMIT:
            _FIELD_NAMES.clear()
        _FIELD_NAMES[str(name)] = octets
    return octets


def _encode_value(name, value):
    if type(value) is str:
        text = value
    elif isinstance(value, str):
        text = str.__str__(value)
    else:
        raise UnicodeError(f"the value of response header {name!r} must be a native string, not {value!r}")
    try:
        octets = text.encode("latin-1")
    except UnicodeEncodeError:
        raise UnicodeError(f"the value of response header {name!r} is not latin-1: {value!r}") from None
    p = octets
    end = len(octets)
    i = 0
    while i < end:
        if not _CLASS[p[i]] & VALUE:
            raise ValueError(f"character {chr(p[i])!r} in the value of response header {name!r}")
        i += 1
    return octets


#: Status lines that were checked -> (code, octets). Bounded: applications may make them up.
_STATUSES = {}
_STATUSES_LIMIT = 256


def encode_status(status):
    """Check the *status* of a response, ``200 OK``; returns its code, an int, and its octets.

    Raises UnicodeError for what is not a latin-1 str, ValueError for what is no status of a final
    response.
    """
    if type(status) is str:
        known = _STATUSES.get(status)
        if known is not None:
            return known
    elif not isinstance(status, str):
        raise UnicodeError(f"the status must be a native string, not {status!r}")
    try:
        octets = status.encode("latin-1")
    except UnicodeEncodeError:
        raise UnicodeError(f"the status is not latin-1: {status!r}") from None
    digits = octets[:3]
    if not (len(digits) == 3 and digits.isdigit() and octets[3:4] in (b"", b" ")):
        raise ValueError(f"the status must begin with three digits and a space: {status!r}")
    for octet in octets:
        if not _CLASS_TABLE[octet] & VALUE:
            raise ValueError(f"control character in the status {status!r}")
    code = int(digits)
    if code < 200 and code != 101:
        raise ValueError(f"{status!r} is no status of a final response")
    if len(octets) == 3:
        octets += b" "  # RFC 9112 4: the space is there even when the reason is not
    known = (code, octets)
    if len(_STATUSES) >= _STATUSES_LIMIT:
        _STATUSES.clear()
    _STATUSES[str(status)] = known
    return known


def _check_headers(headers):
    """Raise TypeError for *headers* that would pass for a list of pairs by accident, or cannot."""
    # PEP 3333 asks for exactly a list. Tuples and list-likes of frameworks do no harm; the keys of a
    # dict, and the letters of a string, could look like pairs.
    if isinstance(headers, (str, bytes, dict)) or not hasattr(headers, "__iter__"):
        raise TypeError(f"the headers of a response must be a list of (name, value), not {headers!r:.80}")


#: What concerns one connection only and so is the server's to say (RFC 9110 7.6.1); PEP 3333 forbids
#: it to applications. They pass such headers on when they are proxies, and nobody misses them.
_HOP_BY_HOP = frozenset(("keep-alive", "proxy-connection", "te", "trailer"))

#: Lengths of the names that encode_fields looks at: the lower-casing is kept from the rest.
_LENGTHS = sum(
    1 << length for length in {len(name) for name in ("content-length", "date", "connection", "transfer-encoding", *_HOP_BY_HOP)}
)


def encode_fields(headers):
    """Check and encode response headers, a list of (str, str).

    Returns (fields, length, content_length, date, connection, transfer_encoding): a new list of pairs of
    bytes, with names spelled as given; the length of the body, -1 where it is not announced; and the
    values, as str, of the four headers that framing depends on, or None. Connection and Transfer-Encoding are
    not among the fields, nor are other headers that concern one connection only: these are the server's
    business. Raises TypeError for what is no list of pairs, UnicodeError for what is not a latin-1 str,
    ValueError for characters that cannot stand in a header and for a Content-Length that is no number,
    AssertionError for a repeated one.
    """
    fields = []
    number = _NO_NUMBER
    length = None
    date = None
    connection = None
    coding = None
    if type(headers) is not list:
        _check_headers(headers)
    for item in headers:
        # A str of two letters would pass for a pair by accident.
        pair = item if type(item) is tuple else tuple(item) if isinstance(item, (tuple, list)) else ()
        if len(pair) != 2:
            raise TypeError(f"a header of a response must be a pair (name, value), not {item!r:.80}")
        name, value = pair
        name_octets = _FIELD_NAMES.get(name) if type(name) is str else None
        if name_octets is None:
            name_octets = _encode_name(name)
        value_octets = _encode_value(name, value)
        size = len(name_octets)
        if size < 18 and _LENGTHS >> size & 1:
            lowered = name.lower()
            if lowered == "content-length":
                if length is not None:
                    raise AssertionError(f"Content-Length is given twice: {length!r}, {value!r}")
                number = _digits(value_octets, 0, len(value_octets))
                if number < 0:
                    raise ValueError(f"Content-Length of the response is not a number of bytes: {value!r}")
                length = value
            elif lowered == "date":
                if date is not None:
                    continue  # there is one only (RFC 9110 6.6.1)
                date = value
            elif lowered == "connection":
                connection = value if connection is None else f"{connection}, {value}"
                continue
            elif lowered == "transfer-encoding":
                coding = value if coding is None else f"{coding}, {value}"
                continue
            elif lowered in _HOP_BY_HOP:
                continue
        fields.append((name_octets, value_octets))
    return fields, number, length, date, connection, coding


def response_head(status, fields):
    """The octets of a response's head: *status* (bytes, ``200 OK``) and (name, value) *fields*."""
    parts = [b"HTTP/1.1 ", status, b"\r\n"]
    for name, value in fields:
        parts.append(name)
        parts.append(b": ")
        parts.append(value)
        parts.append(b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


#: The decimal digits of small numbers; made when they are first needed.
_DIGITS = [b""] * 2048


def decimal(number):
    """The decimal digits of *number*, not negative, as bytes."""
    if number >= 2048:
        return b"%d" % number
    digits = _DIGITS[number]
    if not digits:
        digits = _DIGITS[number] = b"%d" % number
    return digits


def date_pieces(date):
    """What :func:`whole_response` wants of a *date*, bytes; the same for all responses of a second."""
    line = b"\r\nDate: " + date
    return (b"Date", date), line + b"\r\nContent-Length: ", line + b"\r\n\r\n"


def whole_response(status, fields, date, body, has_length=False):
    """All octets of a response with a *body* of bytes that ends with its last octet.

    *date* is from :func:`date_pieces`; Date and, unless it *has_length*, Content-Length are appended to the
    list *fields* too.
    """
    parts = [b"HTTP/1.1 ", status]
    for name, value in fields:
        parts.append(b"\r\n")
        parts.append(name)
        parts.append(b": ")
        parts.append(value)
    fields.append(date[0])
    if has_length:
        parts.append(date[2])
    else:
        length = decimal(len(body))
        parts.append(date[1])
        parts.append(length)
        parts.append(b"\r\n\r\n")
        fields.append((b"Content-Length", length))
    parts.append(body)
    return b"".join(parts)
