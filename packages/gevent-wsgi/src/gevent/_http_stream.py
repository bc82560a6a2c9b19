"""What is read from one HTTP connection: the buffer under the parser, and request bodies.

How it works
------------
:class:`ConnectionReader` owns what was received and not yet used. The request parser looks at its
``data`` and ``pos`` directly; to everybody else it is the file that gevent 1.1 called ``rfile``, so
whoever takes a connection over (WebSocket libraries do) goes on exactly behind the request.

:class:`Input` is ``environ["wsgi.input"]``: the body and nothing behind it, whether its length was
announced or it is chunked. It works over a ConnectionReader or over any binary file; from another
file it never takes more than the body. Reading is lazy: no octet of a body is waited for
before the application asks for it.
"""

from socket import timeout as SocketTimeout
from time import monotonic

from gevent._http1 import BadRequest, ChunkedDecoder

__all__ = ["ConnectionReader", "Input", "InvalidClientInput", "set_timeout"]

#: How much one recv asks for, in bytes.
RECEIVE_SIZE = 65536

_EVERYTHING = 0x7FFFFFFFFFFFFFFF

_CONTINUE_RESPONSE = b"HTTP/1.1 100 Continue\r\n\r\n"


class InvalidClientInput(OSError):
    """The request body is not what the client announced. ``status`` is what to answer, an int.

    It is raised from the methods of ``wsgi.input``; an application that lets it pass gets that
    answer sent for it, and no traceback is logged: the mistake is the client's. ``disconnected``
    is true when there was no more to it than that the client went away.
    """

    def __init__(self, message, status=400, disconnected=False):
        OSError.__init__(self, message)
        self.status = status
        self.disconnected = disconnected


def set_timeout(socket, seconds):
    """Set the time limit of *socket*; one that cannot have any, or is closed, goes without."""
    try:
        socket.settimeout(seconds)
    except (AttributeError, OSError):
        pass


class Lines:
    """Iteration over what has a ``readline()``, line by line."""

    __module__ = __name__  # of the instances too: those of a compiled class have none

    def readlines(self, hint=None):
        """The lines up to the end, or until they are *hint* octets together; a list. Blocks."""
        lines = []
        total = 0
        for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint <= total:
                break
        return lines

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line


class ConnectionReader(Lines):
    """A connection's received octets as a binary file that can be read but not written.

    ``data[pos:]`` is what was received and not used yet. *timeout* is the time limit that the socket has
    been given: for whatever is sent, and for each wait to receive unless ``timeout`` is set
    otherwise. The two differ rarely, so it is the differing that costs something.
    """

    def __init__(self, socket, timeout=None):
        self._socket = socket
        self._receive = socket.recv  # looked up once, not for every request
        self.data = b""
        self.pos = 0
        self.closed = False
        self._standing = timeout
        #: How long to wait for the client to send anything, in seconds or None; see also :meth:`limit`.
        self.timeout = timeout
        self._until = 0.0  # 0: not limited
        self._rate = 0.0  # bytes a second; 0: not limited
        self._patience = 0.0  # how many seconds may still be spent waiting where there is a rate
        #: True once somebody asked for the socket beneath: the connection may be theirs by now.
        self.taken = False

    def limit(self, seconds):
        """Have everything received from now on arrive in *seconds* altogether; None for no such limit.

        Past it, reading raises socket.timeout.
        """
        self._until = 0.0 if seconds is None else monotonic() + seconds

    def pace(self, rate):
        """Have what is received from now on come at *rate* bytes a second, on the average; None for any.

        Only the time spent waiting for it counts, and ``timeout`` is how far it may fall behind. Past that reading
        raises socket.timeout.
        """
        if rate is None or self.timeout is None:
            self._rate = 0.0
        else:
            self._rate = rate
            self._patience = self.timeout

    def release(self):
        """Put no time limit on the socket any more, neither for reading nor for writing."""
        self._until = self._rate = 0.0
        self.timeout = self._standing = None
        set_timeout(self._socket, None)

    def restore(self, timeout):
        """Undo :meth:`release`: *timeout* seconds for reading and for writing."""
        self.timeout = self._standing = timeout
        set_timeout(self._socket, timeout)

    def _receive_within(self, seconds):
        """One recv with a time limit of its own; the socket's is the one for sending."""
        set_timeout(self._socket, seconds)
        try:
            return self._receive(RECEIVE_SIZE)
        finally:
            set_timeout(self._socket, self._standing)

    def _receive_paced(self):
        """One recv within what is left of the client's time; what it brings adds to that."""
        began = monotonic()
        more = self._receive_within(max(0.001, self._patience))
        self._patience = min(self.timeout, self._patience + len(more) / self._rate - (monotonic() - began))
        return more

    def fill(self):
        """Receive more behind ``data``; false at the end of the stream. Blocks."""
        if self._until:
            # Never 0, which would mean not to wait.
            more = self._receive_within(max(0.001, self._until - monotonic()))
        elif self._rate:
            more = self._receive_paced()
        elif self.timeout is not self._standing:
            more = self._receive_within(self.timeout)
        else:
            more = self._receive(RECEIVE_SIZE)
        if not more:
            return False
        if self.pos >= len(self.data):
            self.data = more
        else:
            self.data = self.data[self.pos :] + more
        self.pos = 0
        return True

    def buffered(self):
        """How many octets were received and not used yet."""
        return len(self.data) - self.pos

    def peek(self, size=0):
        """Octets that the next read will give, at least one unless the stream has ended."""
        if self.pos >= len(self.data) and not self.fill():
            return b""
        return self.data[self.pos :]

    def read1(self, size=-1):
        """Up to *size* octets from what is there; waits only when nothing is. b"" at the end."""
        if size == 0 or (self.pos >= len(self.data) and not self.fill()):
            return b""
        data = self.data
        pos = self.pos
        if size < 0 or size >= len(data) - pos:
            self.data = b""
            self.pos = 0
            return data[pos:] if pos else data
        self.pos = stop = pos + size
        p = data
        return p[pos:stop]

    def read(self, size=-1):
        """*size* octets, fewer only at the end of the stream; all up to the end without a size."""
        if size is None or size < 0:
            pieces = []
            while True:
                piece = self.read1()
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)
        wanted = size
        piece = self.read1(wanted)
        if len(piece) == wanted or not piece:
            return piece
        pieces = [piece]
        left = wanted - len(piece)
        while left:
            piece = self.read1(left)
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer):
        """Read into *buffer*, a writable one, until it is full or the stream ends."""
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def readline(self, limit=-1):
        """Up to and with the next line feed, but not more than *limit* octets."""
        most = -1 if limit is None else limit
        if most == 0:
            return b""
        searched = 0
        while True:
            data = self.data
            pos = self.pos
            found = data.find(b"\n", pos + searched)
            size = len(data) - pos if found < 0 else found + 1 - pos
            if 0 < most <= size:
                return self.read1(most)
            if found >= 0:
                return self.read1(size)
            searched = size
            if not self.fill():
                return self.read1(size)

    @property
    def raw(self):
        """The layer beneath, as buffered files have it: its ``_sock`` is the connection's socket."""
        return self

    @property
    def _sock(self):
        # simple-websocket finds the socket here; from then on it, not we, speaks on it, and has time
        # limits of its own.
        if not self.taken:
            self.taken = True
            self.release()
        return self._socket

    def fileno(self):
        """The socket's descriptor."""
        return self._socket.fileno()

    def readable(self):
        """True."""
        return True

    def writable(self):
        """False."""
        return False

    def seekable(self):
        """False."""
        return False

    def close(self):
        """Drop what is buffered. The socket stays as it is; it belongs to the handler."""
        self.closed = True
        self.data = b""
        self.pos = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()


class Input(Lines):
    """Input(rfile, content_length, socket=None, chunked_input=False)

    The body of one request, ``environ["wsgi.input"]``.

    *rfile* is a binary file. The body is *content_length* octets (None for none), or chunked if
    *chunked_input* is true. With a *socket*, "100 Continue" is sent to it when the body is first
    read. ``position`` is the number of octets the application has read.

    Reading blocks until what was asked for is there. It raises OSError when the client goes away in the
    middle, or sends what is no body (:class:`InvalidClientInput`).
    """

    def __init__(self, rfile, content_length, socket=None, chunked_input=False):
        self.rfile = rfile
        self.content_length = None if content_length is None else int(content_length)
        self.socket = socket
        self.position = 0
        self.chunked_input = chunked_input
        #: Refuse to read more than this many octets of a chunked body; None for no bound.
        self.max_length = None
        self.send_100_continue_enabled = True
        self._decoder = ChunkedDecoder() if chunked_input else None
        self._left = self.content_length or 0  # octets of a body of known length still to come
        self._pending = b""  # received, not given out: readline looks ahead
        self._pending_at = 0
        self._error = None

    @property
    def chunk_length(self):
        """What is left of the current chunk, as in gevent 1.1; -1 where the body is not chunked."""
        return self._decoder.left if self.chunked_input else -1

    def _send_100_continue(self):
        if self.socket is not None:
            socket = self.socket
            self.socket = None
            if self.send_100_continue_enabled:
                socket.sendall(_CONTINUE_RESPONSE)

    def _fail(self, message, status=400, disconnected=False):
        """Raise, now and whenever the body is read again."""
        self._error = InvalidClientInput(message, status, disconnected)
        raise self._error

    def _receive(self, size):
        """Up to *size* octets of the body, at least one; b"" at its end. Blocks."""
        if self._error is not None:
            raise self._error
        if not self.chunked_input and self._left <= 0:
            return b""
        if self.socket is not None:
            self._send_100_continue()
        try:
            if self.chunked_input:
                return self._receive_chunked(size)
            rfile = self.rfile
            read = getattr(rfile, "read1", None) or rfile.read
            data = read(min(size, self._left))
        except SocketTimeout:
            self._fail("the client sent nothing, or too little, of the request's body for too long", 408)
        except InvalidClientInput:
            raise
        except OSError as ex:
            self._error = ex
            raise
        if not data:
            self._fail(f"unexpected end of file while reading request at position {self.position}", disconnected=True)
        self._left -= len(data)
        return data

    def _receive_chunked(self, size):
        decoder = self._decoder
        pieces = []
        try:
            if type(self.rfile) is ConnectionReader:
                reader = self.rfile
                while True:
                    reader.pos = decoder.decode(reader.data, reader.pos, pieces, size)
                    if pieces or decoder.done:
                        break
                    if not reader.fill():
                        self._fail("unexpected end of file in a chunked request body", disconnected=True)
            else:
                self._decode_from_file(pieces, size)
        except BadRequest as ex:
            if not pieces:
                self._fail(str(ex), ex.status)
            # What came before it was right; the error is for whoever reads on.
            self._error = InvalidClientInput(str(ex), ex.status)
        if self.max_length is not None and decoder.position > self.max_length:
            self._fail(f"request body is longer than {self.max_length} bytes", 413)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _decode_from_file(self, pieces, size):
        """Take from a file of somebody else's: single lines, and data of known size."""
        decoder = self._decoder
        rest = b""
        while not pieces and not decoder.done:
            if decoder.wants_line:
                more = self.rfile.readline(RECEIVE_SIZE)
            else:
                more = self.rfile.read(min(decoder.left, size))
            if not more:
                self._fail("unexpected end of file in a chunked request body", disconnected=True)
            rest += more
            rest = rest[decoder.decode(rest, 0, pieces, size) :]

    def _take_pending(self, size):
        """Up to *size* octets of the look-ahead, which is not empty."""
        start = self._pending_at
        data = self._pending
        if size >= len(data) - start:
            self._pending = b""
            self._pending_at = 0
            return data[start:] if start else data
        self._pending_at = start + size
        return data[start : start + size]

    def read(self, length=None):
        """*length* octets, fewer only at the end of the body; the whole rest without a length."""
        if length is None or length < 0 or length > _EVERYTHING:
            length = _EVERYTHING
        left = self._left
        if 0 < left <= length and self.socket is None and not self._pending and type(self.rfile) is ConnectionReader:
            reader = self.rfile
            pos = reader.pos
            stop = pos + left
            if stop <= len(reader.data):  # all of it came with the head
                self._left = 0
                self.position += left
                reader.pos = stop
                p = reader.data
                return p[pos:stop]
        pieces = []
        while length > 0:
            piece = self._take_pending(length) if self._pending else self._receive(length)
            if not piece:
                break
            pieces.append(piece)
            length -= len(piece)
            self.position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readline(self, size=None):
        """Up to and with the next line feed, but not more than *size* octets; b"" at the end."""
        if size is None or size < 0 or size > _EVERYTHING:
            size = _EVERYTHING
        pieces = []
        while size > 0:
            if not self._pending:
                self._pending = self._receive(RECEIVE_SIZE)
                if not self._pending:
                    break
            start = self._pending_at
            found = self._pending.find(b"\n", start)
            stop = len(self._pending) if found < 0 else found + 1
            piece = self._take_pending(min(size, stop - start))
            pieces.append(piece)
            size -= len(piece)
            self.position += len(piece)
            if found >= 0:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def at_end(self):
        """True when nothing of the body is left on the connection. Does not block."""
        if self._error is not None:
            return False
        return self._decoder.done if self.chunked_input else self._left <= 0

    def is_received(self):
        """True when the rest of the body is known to be in the buffer. Does not block."""
        if self.chunked_input or type(self.rfile) is not ConnectionReader:
            return False
        reader = self.rfile
        return self._left <= reader.buffered()

    def has_failed(self):
        """True once reading the body raised an error: nothing behind it can be understood."""
        return self._error is not None

    def is_failure(self, ex):
        """Whether *ex* is what reading this body ended with."""
        return self._error is ex

    def _drop(self):
        """Receive some of what is left of the body and drop it; returns how many octets. Blocks."""
        self._pending = b""
        self._pending_at = 0
        return len(self._receive(RECEIVE_SIZE))

    def _discard(self):
        """Read what the application left and drop it. Blocks; raises OSError as reading does.

        Leaves the body alone where "100 Continue" was withheld: the client may never send it.
        """
        while self.socket is None and not self.at_end():
            self._drop()
