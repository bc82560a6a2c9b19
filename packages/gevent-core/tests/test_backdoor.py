"""gevent.backdoor: a console for each connection."""

import contextlib
import io
import os
import subprocess
import sys
import threading

import gevent
import pytest
from gevent import backdoor
from gevent.backdoor import BackdoorServer
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.socket import create_connection, socketpair
from gevent_testkit import run_script


class Client:
    """A connection to a server; reads up to the next prompt."""

    def __init__(self, server):
        self.sock = create_connection(("127.0.0.1", server.server_port), timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.sock.close()

    def read(self, end=">>> "):
        data = ""
        while not data.endswith(end):
            piece = self.sock.recv(4096).decode()
            if not piece:
                return data + "<end>"
            data += piece
        return data[: -len(end)]

    def run(self, line, end=">>> "):
        self.sock.sendall(line.encode() + b"\n")
        return self.read(end)


@contextlib.contextmanager
def serving(**options):
    options.setdefault("banner", "hello")
    with BackdoorServer(("127.0.0.1", 0), **options) as server:
        yield server


@contextlib.contextmanager
def client_of(**options):
    with serving(**options) as server, Client(server) as client:
        assert client.read() == "hello\n"
        yield client


@pytest.fixture(autouse=True)
def streams():
    """Whatever happens, sys has its own streams back."""
    before = (sys.stdin, sys.stdout, sys.stderr, sys.displayhook)
    yield before[:3]
    gevent.sleep(0.001)
    assert (sys.stdin, sys.stdout, sys.stderr, sys.displayhook) == before
    assert backdoor._consoles == {}
    assert not hasattr(sys, "ps1")


def test_server():
    assert issubclass(BackdoorServer, StreamServer)
    server = BackdoorServer(("127.0.0.1", 0))
    assert (server.locals, server.banner, server.stderr) == ({}, None, sys.stderr)
    server.close()


def test_console():
    """BKD-01: builtins are available; several lines make a block; values are shown."""
    with client_of() as client:
        assert client.run("1 + 1") == "2\n"
        assert client.run("None") == ""
        assert client.run("def double(x):", "... ") == ""
        assert client.run("    return x * 2", "... ") == ""
        assert client.run("") == ""
        assert client.run("double('ä')") == "'ää'\n"
        assert client.run("_ + '!'") == "'ää!'\n"
        assert client.run("print(len('abc'), end='')") == "3"
        assert client.run("__name__, __builtins__.__name__") == "('__console__', 'builtins')\n"
        assert client.run("[x for x in (1, 2)", "... ") == ""
        assert client.run("]") == "[1, 2]\n"


def test_telnet_line_ends():
    """A telnet client ends lines with CR LF, also where they are sent in pieces."""
    with client_of() as client:
        client.sock.sendall(b"for i in (1, 2):\r")
        client.sock.sendall(b"\n  i\r\n\r\n")
        assert client.read() == "... ... 1\n2\n"
        assert client.run("input('who? ')\r", "who? ") == ""
        assert client.run("me\r") == "'me'\n"


def test_bad_bytes():
    with client_of() as client:
        client.sock.sendall(b"'\xff\xf4'\n")
        assert client.read() == "'\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}'\n"
        assert client.run(r"print('\ud800')") == "\\ud800\n"


def test_errors_are_shown():
    with client_of() as client:
        text = client.run("1 / 0")
        assert text.startswith("Traceback (most recent call last):\n")
        assert text.endswith("ZeroDivisionError: division by zero\n")
        assert "SyntaxError" in client.run("a b")
        assert client.run("import gevent; raise gevent.Timeout(3)").endswith("gevent.timeout.Timeout: 3 seconds\n")
        assert client.run("raise KeyboardInterrupt").endswith("KeyboardInterrupt\n")
        assert client.run("import sys; print('x', file=sys.stderr)") == "x\n"
        assert client.run("'still here'") == "'still here'\n"


def test_default_banner():
    with serving(banner=None) as server, Client(server) as client:
        assert client.read().startswith(f"Python {sys.version} on {sys.platform}\n")


def test_locals():
    """BKD-01: each connection has its own copy of locals, and its own last value."""
    shared = []
    with serving(locals={"shared": shared, "name": 1}) as server, Client(server) as one, Client(server) as two:
        one.read()
        two.read()
        assert one.run("name = 2; other = 3; shared.append('x')") == ""
        assert one.run("'one'") == "'one'\n"
        assert two.run("'two'") == "'two'\n"
        assert one.run("_, name, other") == "('one', 2, 3)\n"
        assert two.run("_, name, shared") == "('two', 1, ['x'])\n"
        assert "NameError: name 'other' is not defined" in two.run("other")
        assert server.locals == {"shared": ["x"], "name": 1}
    assert not hasattr(__builtins__, "_")


@pytest.mark.parametrize("line", ["quit()", "exit()", "import sys; sys.exit(3)", "raise SystemExit"])
def test_quit(line):
    """BKD-01: quit() ends one connection only."""
    with serving() as server, Client(server) as one, Client(server) as two:
        one.read()
        two.read()
        assert one.run(line) == "<end>"
        assert two.run("'here'") == "'here'\n"
        assert server.started
        with Client(server) as three:
            assert three.read() == "hello\n"


def test_client_goes_away():
    """At the end of input, or in the middle of output: only that connection ends."""
    with serving() as server:
        with Client(server) as one:
            one.read()
            one.sock.sendall(b"print('last')")
            one.sock.shutdown(1)
            assert one.read() == "last\n>>> \n<end>"
        with Client(server) as two:
            two.read()
            two.sock.sendall(b"while True: print('x' * 10000)\n\n")
            two.sock.recv(100)
        with Client(server) as three:
            assert three.read() == "hello\n"


def test_streams(streams):
    """BKD-02: sys.stdin, stdout, stderr are replaced only while the console's greenlet runs."""
    leave, come_back = Event(), Event()
    names = ("stdin", "stdout", "stderr")
    consoles = []

    def look(*args):
        """Which of the streams are what they were before there was a console, and which are the console's."""
        found = [getattr(sys, name) for name in names]
        return [each.flush == stream.flush for each, stream in zip(found, streams)], [
            each.flush in (console.stdin.flush, console.stdout.flush) for each in found for console in consoles
        ]

    def other():
        seen = [look()]
        leave.set()  # the console's greenlet comes back to the middle of its statement, and leaves again
        come_back.wait()
        seen.append(look())
        return seen

    with client_of(locals={"look": look, "other": other, "leave": leave, "come_back": come_back, "spawn": gevent.spawn}) as client:
        consoles += backdoor._consoles.values()
        ours, consoles_own = ([True] * 3, [False] * 3), ([False] * 3, [True] * 3)
        assert look() == ours
        assert client.run("look()") == f"{consoles_own}\n"
        assert client.run("job = spawn(other); done = leave.wait(); look()") == f"{consoles_own}\n"
        assert look() == ours
        assert client.run("come_back.set(); job.get()") == f"{[ours, ours]}\n"
        assert client.run("look()") == f"{consoles_own}\n"
        assert client.run("quit()") == "<end>"
    gevent.sleep(0.001)
    assert (sys.stdin, sys.stdout, sys.stderr) == streams


def test_streams_of_others(capsys):
    """BKD-02: what other greenlets print while a console waits, or is in the middle of a statement, goes where it always went."""
    event = Event()
    with client_of(locals={"event": event}) as client:
        print("one")
        client.sock.sendall(b"print('mine'); done = event.wait(); print('mine too')\n")
        assert client.read("mine\n") == ""
        print("two")
        sys.stderr.write("three\n")
        sys.displayhook("four")
        assert gevent.spawn(print, "five").get() is None
        event.set()
        assert client.read() == "mine too\n"
        del sys.modules["builtins"]._
        assert isinstance(sys.stdout, (type(sys.__stdout__), io.TextIOBase))
    assert capsys.readouterr() == ("one\ntwo\n'four'\nfive\n", "three\n")


def test_streams_replaced_meanwhile():
    """Somebody puts a stream of their own there while there are consoles: it stays theirs."""
    mine, before = io.StringIO(), sys.stdout
    with client_of() as client:
        sys.stdout = mine
        assert client.run("1") == "1\n"
    gevent.sleep(0.001)
    assert sys.stdout is mine
    sys.stdout = before


def test_process_without_streams(monkeypatch):
    """A daemon may have None in place of each; printing there does nothing, as ever."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with client_of(locals={"sys": sys}) as client:
        print("nowhere")
        assert (sys.stdout.write("x"), sys.stdin.readline(), sys.stderr.isatty()) == (1, "", False)
        assert client.run("print('here')") == "here\n"
    gevent.sleep(0.001)
    assert [sys.stdin, sys.stdout, sys.stderr] == [None] * 3


def test_attributes_of_streams():
    with client_of(locals={"sys": sys}) as client:
        assert client.run("sys.stdout.encoding, sys.stdout.isatty(), sys.stdout.buffer.writable()") == "('utf-8', False, True)\n"
        assert client.run("sys.stdout.mark = 1; sys.stdout.mark") == "1\n"
        assert client.run("del sys.stdout.mark; hasattr(sys.stdout, 'mark')") == "False\n"
        assert client.run("next(sys.stdin)\nfrom stdin") == "'from stdin\\n'\n"
        assert client.run("print([next(iter(sys.stdin)).upper() for _ in range(2)])\nx y\nz") == "['X Y\\n', 'Z\\n']\n"


@pytest.mark.parametrize("spawn", ["raw", 2, "pool", "default"])
def test_spawn(spawn):
    """The console runs in whatever greenlet the server spawns."""
    with client_of(spawn=Pool(3) if spawn == "pool" else spawn) as client:
        assert client.run("print('x')") == "x\n"
        assert client.run("quit()") == "<end>"


@pytest.mark.parametrize("statement", ["", "import gevent; gevent.sleep(30)\n", "while True: print('x' * 10000)\n\n"])
def test_stop(statement):
    """Consoles that are killed end at once: at a prompt, in a statement, and while the other side does not read."""
    pool = Pool()
    with serving(spawn=pool) as server, Client(server) as client:
        client.read()
        client.sock.sendall(statement.encode())
        while statement.startswith("while") and not pool_waits_for_writing(client):
            gevent.sleep(0.001)
        gevent.sleep(0.01)
        with gevent.Timeout(5):
            server.stop(timeout=0)
        assert len(pool) == 0


def pool_waits_for_writing(client):
    """Whether the buffers between a console and its client have been full for a moment."""
    import fcntl
    import struct
    import termios

    def waiting():
        return struct.unpack("i", fcntl.ioctl(client.sock.fileno(), termios.FIONREAD, b"\0" * 4))

    before = waiting()
    gevent.sleep(0.02)
    return before != (0,) and waiting() == before


def test_handle_without_a_server():
    """handle() may be called by a greenlet that has a connection from elsewhere."""
    server = BackdoorServer(("127.0.0.1", 0), banner="b")
    here, there = socketpair()
    with here, there:
        job = gevent.spawn(server.handle, there, None)
        here.sendall(b"6 * 7\nquit()\n")
        job.get()
        there.close()
        assert here.makefile().read() == "b\n>>> 42\n>>> "
    server.close()


def test_several_native_threads():
    """Two servers, each in a thread of its own."""
    ports, results = [], []
    stop = threading.Event()

    def serve():
        with serving(locals={"port": None}) as server:
            ports.append(server)
            while not stop.is_set():
                gevent.sleep(0.001)
        gevent.sleep(0.01)
        gevent.get_hub().destroy()

    threads = [threading.Thread(target=serve) for _ in range(2)]
    for each in threads:
        each.start()
    while len(ports) < 2:
        gevent.sleep(0.001)
    for server in ports:
        with Client(server) as client:
            client.read()
            results.append(client.run("import threading; print(threading.get_ident())"))
            client.run("quit()")
    stop.set()
    for each in threads:
        each.join()
    assert sorted(results) == sorted(f"{each.ident}\n" for each in threads)  # either may be ready first


# ---- The command ---------------------------------------------------------------------------------------------------------------------


def test_usage():
    for arguments in ([], ["x"], ["1", "2", "3"]):
        result = run_script(f"import sys; from gevent.backdoor import main; sys.exit(main({arguments!r}))")
        assert result.status == 1
        assert result.stdout.startswith("usage: python -m gevent.backdoor PORT [BANNER]\n")


def test_command():
    """python -m gevent.backdoor 0 listens on the loopback interface, with a greeting among its names."""
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "gevent.backdoor", "0", "welcome"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("Listening on 127.0.0.1:")
            with create_connection(("127.0.0.1", int(line.rpartition(":")[2])), timeout=10) as sock:
                sock.sendall(b"hello\nquit()\n")
                assert sock.makefile().read() == "welcome\n>>> 'world'\n>>> "
        finally:
            process.terminate()
