"""An interactive Python console in a running process, for whoever connects to a port.

    >>> from gevent.backdoor import BackdoorServer
    >>> server = BackdoorServer(("127.0.0.1", 0), banner="Hello", locals={"answer": 42})
    >>> server.start()
    >>> from gevent.socket import create_connection
    >>> with create_connection(("127.0.0.1", server.server_port)) as client:
    ...     client.sendall(b"print(answer)\\r\\nquit()\\r\\n")
    ...     client.makefile().read()
    'Hello\\n>>> 42\\n>>> '
    >>> server.stop()

Whoever can connect can do everything the process can. Listen on the loopback interface only, and trust all who have an account on the
machine, or pass TLS arguments that ask for certificates.

``python -m gevent.backdoor PORT [BANNER]`` runs such a server on the loopback interface.

How it works
============
A console prints to ``sys.stdout`` and reads from ``sys.stdin``, which all greenlets share. So while there is a console, these are a
:class:`GreenletStream`: it is the connection for the greenlet of that console, and for everybody else what was there before. The same
goes for ``sys.displayhook``, since the usual one leaves the last value in ``builtins._``, for all consoles.
"""

import builtins
import sys
from code import InteractiveConsole

from greenlet import GreenletExit, getcurrent

from gevent._originals import allocate_lock
from gevent.server import StreamServer

__all__ = ["BackdoorServer"]


# ---- Streams for each greenlet ---------------------------------------------------------------------------------------------------


class _Nowhere:
    """In place of a stream that the process does not have: a daemon's ``sys.stdout`` may be None."""

    encoding = "utf-8"
    errors = "strict"
    closed = False

    def write(self, text):
        return len(text)

    def read(self, size=-1):
        return ""

    readline = read

    def flush(self):
        pass

    def isatty(self):
        return False


class GreenletStream:
    """One of ``sys.stdin``, ``stdout``, ``stderr``: that of the current greenlet's console, else the process's own, *original*."""

    __slots__ = ("_name", "_original")

    def __init__(self, name, original):
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_original", original)

    def _stream(self):
        console = _consoles.get(getcurrent())
        if console is not None:
            return getattr(console, self._name)
        return _NOWHERE if self._original is None else self._original

    @property  # type: ignore[misc]  # object's own can be set
    def __class__(self):
        return type(self._stream())

    def __getattr__(self, name):
        return getattr(self._stream(), name)

    def __setattr__(self, name, value):
        setattr(self._stream(), name, value)

    def __delattr__(self, name):
        delattr(self._stream(), name)

    def __iter__(self):
        return iter(self._stream())

    def __next__(self):
        return next(self._stream())

    def __enter__(self):
        return self._stream().__enter__()

    def __exit__(self, *args):
        return self._stream().__exit__(*args)

    def __repr__(self):
        return repr(self._stream())


_NOWHERE = _Nowhere()
_STREAMS = ("stdin", "stdout", "stderr")

_lock = allocate_lock()
_consoles = {}  # greenlet: its console; several native threads may have some
_installed = {}  # name in sys: (what we put there, what was there before)


def _enter(console):
    with _lock:
        if not _consoles:
            for name in _STREAMS:
                before = getattr(sys, name)
                _install(name, GreenletStream(name, before), before)
            before = sys.displayhook
            _install("displayhook", lambda value: _display(value, before), before)
        _consoles[getcurrent()] = console


def _install(name, ours, before):
    _installed[name] = (ours, before)
    setattr(sys, name, ours)


def _leave():
    with _lock:
        _consoles.pop(getcurrent(), None)
        if _consoles:
            return
        for name, (ours, before) in _installed.items():
            # What somebody else has put there meanwhile stays.
            if getattr(sys, name) is ours:
                setattr(sys, name, before)
        _installed.clear()


def _display(value, before):
    console = _consoles.get(getcurrent())
    if console is None:
        before(value)
    elif value is not None:
        console.display(value)


# ---- The console -----------------------------------------------------------------------------------------------------------------


class Console(InteractiveConsole):
    """A console on the connection *conn*, with *locals* for its names."""

    def __init__(self, conn, locals):
        super().__init__(locals, "<backdoor>")
        # A telnet client ends a line with CR LF, netcat with LF: both are read.
        self.stdin = conn.makefile("r", encoding="utf-8", errors="replace")
        self.stdout = conn.makefile("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        self.stdout.reconfigure(line_buffering=True)
        self.stderr = self.stdout
        self._last_error = None

    def run(self, banner):
        """Talk until the other side has ended, or quits. In the greenlet that is to be the console's."""
        _enter(self)
        try:
            self.write(f"{banner}\n")
            self._talk()
            self.stdout.flush()
        except OSError:
            pass  # the connection is gone, and nobody is there to be told
        finally:
            _leave()
            self._close()

    def _talk(self):
        # Not interact(): that sets and deletes sys.ps1 for everybody.
        more = False
        while True:
            self.write(getattr(sys, "ps2", "... ") if more else getattr(sys, "ps1", ">>> "))
            line = self.stdin.readline()
            if not line:
                self.write("\n")
                return
            try:
                more = self.push(line[:-1] if line.endswith("\n") else line)
            except SystemExit:
                return

    def runcode(self, code):
        try:
            exec(code, self.locals)
        except (SystemExit, GreenletExit):  # quit(); and the server that kills us
            raise
        except BaseException as error:
            self._last_error = error
            self.showtraceback()

    def display(self, value):
        """What ``sys.displayhook`` does for the others; the value is this console's alone."""
        self.locals["_"] = None
        self.write(f"{value!r}\n")
        self.locals["_"] = value

    def write(self, data):
        self.stdout.write(data)
        self.stdout.flush()

    def _close(self):
        # What is left in the buffer is dropped: the other side is gone, or does not read while we are killed. So the lowest layer first.
        self.stdout.buffer.raw.close()
        self.stdout.close()
        self.stdin.close()
        # For pdb.pm(). The frames refer to all of this, and to whatever was looked at.
        if self._last_error is not None and getattr(sys, "last_value", None) is self._last_error:
            for name in ("last_type", "last_value", "last_traceback", "last_exc"):
                if hasattr(sys, name):
                    delattr(sys, name)


class BackdoorServer(StreamServer):
    """BackdoorServer(listener, locals=None, banner=None, **server_args)

    A server that gives each connection an interactive console. Each has its own copy of *locals*, and the builtins; with ``quit()`` only
    that one connection ends. *banner* is shown first, by default the version of Python. The other arguments are those of
    :class:`gevent.server.StreamServer`.

    Code that waits, such as ``gevent.sleep()`` or anything with a gevent socket, lets the rest of the process run; all else stops it.

    .. versionchanged:: 1.1
       The names of one connection are not seen by the others.
    """

    def __init__(self, listener, locals=None, banner=None, **server_args):
        StreamServer.__init__(self, listener, **server_args)
        #: The names that every console starts with.
        self.locals = {} if locals is None else locals
        #: What a console shows first, or None.
        self.banner = banner
        # As in gevent 1.1: where the process's own errors go.
        self.stderr = sys.stderr

    def _create_interactive_locals(self):
        names = {"__name__": "__console__", "__doc__": None, "__builtins__": builtins}
        names.update(self.locals)
        return names

    def handle(self, conn, address):
        """Run a console on *conn* until it ends; returns None."""
        banner = self.banner
        if banner is None:
            banner = (
                f'Python {sys.version} on {sys.platform}\nType "help", "copyright", "credits" or "license" for more information.'
            )
        console = Console(conn, self._create_interactive_locals())
        console.run(banner)


def main(arguments):
    """``python -m gevent.backdoor PORT [BANNER]``."""
    if len(arguments) not in (1, 2) or not arguments[0].isdigit():
        print("usage: python -m gevent.backdoor PORT [BANNER]")
        print("An interactive console on 127.0.0.1:PORT, for every account of this machine.")
        return 1
    banner = arguments[1] if len(arguments) == 2 else None
    server = BackdoorServer(("127.0.0.1", int(arguments[0])), banner=banner, locals={"hello": "world"})
    server.start()
    print(f"Listening on {server.address[0]}:{server.address[1]}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
