"""StreamServer and DatagramServer over real sockets."""

import contextlib
import errno
import socket as stdlib
import threading

import gevent
import pytest
from gevent import server as server_module
from gevent import socket
from gevent.event import Event
from gevent.hub import get_hub
from gevent.pool import Pool
from gevent.server import DatagramServer, StreamServer
from gevent_testkit import collect_garbage, run_script

HERE = ("127.0.0.1", 0)


@pytest.fixture
def stack():
    """Closes what is entered, at the end."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def errors(monkeypatch):
    """The errors that are reported: [(context, exception)]."""
    found = []
    monkeypatch.setattr(get_hub(), "handle_error", lambda context, type, value, tb: found.append((context, value)), raising=False)
    yield found
    found.clear()


def echo(sock, address):
    """A handler."""
    while True:
        data = sock.recv(100)
        if not data:
            return
        sock.sendall(data)


@contextlib.contextmanager
def connect(server):
    """A client's socket. At the end it waits until the server has closed the connection, so that the handler is gone too."""
    with connected(("127.0.0.1", server.server_port)) as sock:
        yield sock


@contextlib.contextmanager
def connected(address, family=socket.AF_INET):
    """See :func:`connect`."""
    with socket.socket(family) as sock:
        sock.settimeout(10)
        sock.connect(address)
        yield sock
        if sock.fileno() >= 0:
            with contextlib.suppress(ConnectionError, OSError):
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1000):
                    pass


def has_ipv6_loopback():
    try:
        with stdlib.socket(stdlib.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="the system has no IPv6 loopback address")


# ---- Serving ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spawn", ["default", "raw", 2, 100, gevent.spawn_raw], ids=str)
def test_echo(spawn):
    """SRV-03: clients are served, side by side, in whatever kind of greenlet."""
    with StreamServer(HERE, echo, spawn=spawn) as server:

        def client(number):
            with connect(server) as sock:
                for round in range(3):
                    sock.sendall(b"%d %d" % (number, round))
                    assert sock.recv(100) == b"%d %d" % (number, round)

        gevent.joinall([gevent.spawn(client, number) for number in range(10)], raise_error=True)


def test_handler_gets_socket_and_address(stack):
    """The socket is a gevent socket, in blocking mode; the address is the client's."""
    seen = []
    server = stack.enter_context(StreamServer(HERE, lambda *args: seen.append((*args, args[0].gettimeout()))))
    with connect(server) as sock:
        assert sock.recv(1) == b""
        [(accepted, address, timeout)] = seen
        assert (type(accepted), address, timeout) == (socket.socket, sock.getsockname(), None)


def test_handler_in_the_hub(stack):
    """SRV-03: spawn=None; what need not wait works there."""
    server = stack.enter_context(StreamServer(HERE, lambda sock, address: sock.sendall(b"hello") or None, spawn=None))
    with connect(server) as sock:
        assert sock.recv(100) == b"hello"
        assert sock.recv(100) == b""


def test_address_forms(stack):
    """SRV-05, SRV-06: port 0 becomes the real one at the start."""
    for listener in (HERE, "127.0.0.1:0", ":0", "*:0", 0, "0"):
        server = StreamServer(listener, echo)
        assert server.server_port == 0
        with server:
            assert server.server_port > 0
            assert server.address == server.socket.getsockname()
            with connect(server) as sock:
                sock.sendall(b"x")
                assert sock.recv(10) == b"x"


@needs_ipv6
def test_ipv6(stack):
    """SRV-05"""
    server = stack.enter_context(StreamServer("[::1]:0", echo))
    assert (server.family, server.server_host) == (socket.AF_INET6, "::1")
    with connected(server.address, socket.AF_INET6) as sock:
        sock.sendall(b"x")
        assert sock.recv(10) == b"x"
    everywhere = stack.enter_context(StreamServer(0, echo))
    for host, family in (("::1", socket.AF_INET6), ("127.0.0.1", socket.AF_INET)):
        with connected((host, everywhere.server_port), family) as sock:
            sock.sendall(b"x")
            assert sock.recv(10) == b"x"


@pytest.mark.parametrize("module", [socket, stdlib], ids=["gevent", "stdlib"])
def test_listener_is_a_socket(module, tmp_path):
    """SRV-05: ours or the standard one, TCP or UNIX; it is closed with the server."""
    path = str(tmp_path / "listener")
    for family, address in ((socket.AF_INET, HERE), (socket.AF_UNIX, path)):
        sock = module.socket(family)
        sock.bind(address)
        sock.listen()
        server = StreamServer(sock, echo)
        assert (server.socket, server.family, server.address) == (sock, family, sock.getsockname())
        with server, connected(server.address, family) as client:
            client.sendall(b"x")
            assert client.recv(10) == b"x"
        assert sock.fileno() == -1
        with pytest.raises(TypeError, match="backlog"), module.socket() as other:
            StreamServer(other, echo, backlog=5)
        assert other.fileno() == -1


def test_listener_that_several_processes_share(stack):
    """1.1's way to make one: _tcp_listener; a socket that never waits."""
    sock = server_module._tcp_listener(HERE, backlog=5, reuse_addr=1)
    assert (type(sock), sock.gettimeout()) == (socket.socket, 0.0)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    with pytest.raises(OSError, match=r"127\.0\.0\.1") as caught:
        server_module._tcp_listener(sock.getsockname())
    assert caught.value.errno == errno.EADDRINUSE
    first = StreamServer(sock, lambda sock, address: sock.sendall(b"first"))
    second = StreamServer(sock.dup(), lambda sock, address: sock.sendall(b"second"))
    with first, second:
        answers = set()
        for _ in range(4):
            with connect(first) as client:
                answers.add(client.recv(10))
        assert answers <= {b"first", b"second"}


def test_backlog_and_reuse_addr():
    """1.1's settings, as arguments and on the class."""
    seen = []

    class Mine(StreamServer):
        @classmethod
        def get_listener(cls, address, backlog=None, family=None):
            seen.append((address, backlog, family))
            return super().get_listener(address, backlog, family)

    for arguments, expected in (({}, 256), ({"backlog": 5}, 5)):
        with Mine(HERE, echo, **arguments) as server:
            assert seen.pop() == (HERE, expected, socket.AF_INET)
            assert server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    assert StreamServer.get_listener(HERE).close() is None
    assert (StreamServer.backlog, StreamServer.reuse_addr, DatagramServer.reuse_addr, server_module.DEFAULT_REUSE_ADDR) == (
        256,
        1,
        1,
        1,
    )

    class NoReuse(StreamServer):
        reuse_addr = None

    with NoReuse(HERE, echo) as server:
        assert server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


def test_address_in_use_leaves_nothing_open():
    """SRV-09: a start that fails; the leak check looks for the descriptor."""
    with socket.create_server(HERE) as taken:
        server = StreamServer(taken.getsockname(), echo)
        with pytest.raises(OSError, match=r"127\.0\.0\.1") as caught:
            server.start()
        assert caught.value.errno == errno.EADDRINUSE
        assert (server.started, server.closed) == (False, True)


def test_restart():
    """A server that was given an address can be started again, and then has the same port."""
    server = StreamServer(HERE, echo)
    ports = []
    for _ in range(2):
        with server:
            ports.append(server.server_port)
            with connect(server) as sock:
                sock.sendall(b"x")
                assert sock.recv(10) == b"x"
        with pytest.raises(ConnectionRefusedError), connect(server):
            pass
    assert ports[0] == ports[1]


# ---- The client's socket is closed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spawn", ["default", "raw", 5, None], ids=str)
@pytest.mark.parametrize("end", ["return", "raise"])
def test_connection_is_closed_at_the_end(errors, spawn, end):
    """SRV-01: when the handler has returned or failed, whatever references remain: the socket, duplicates of it aside, a file."""
    kept = []

    def handle(sock, address):
        kept.append((sock, sock.makefile("rwb")))
        sock.sendall(b"bye")
        if end == "raise":
            raise KeyError("failed")

    with StreamServer(HERE, handle, spawn=spawn) as server:
        server.min_delay = server.delay = 0.001
        with connect(server) as sock:
            assert sock.recv(3) == b"bye"
            assert sock.recv(10) == b""
        [(accepted, file)] = kept
        assert (accepted.fileno(), accepted.closed) == (-1, True)
        file.close()
    gevent.sleep(0)
    assert [str(error) for _, error in errors] == (["'failed'"] if end == "raise" else [])


def test_subclass_may_keep_connections_open(stack):
    """SRV-01: by overriding do_close."""
    kept = []

    class Keeping(StreamServer):
        def do_close(self, socket, *args):
            kept.append(socket)

    server = stack.enter_context(Keeping(HERE, lambda sock, address: None))
    with connect(server) as client:
        while not kept:
            gevent.sleep(0)
        kept[0].sendall(b"still open")
        assert client.recv(100) == b"still open"
        kept[0].close()


def test_handler_killed_before_it_began():
    """SRV-01, ALL-02: its connection is closed by stop(), without a ResourceWarning."""
    server = StreamServer(HERE, echo, spawn=5)
    server.start()
    with connect(server) as client:
        while not len(server.pool):
            server._do_read()
        server.pool.join = lambda timeout: None
        server.stop()
        assert client.recv(10) == b""
    collect_garbage()


def test_stop_kills_handlers_in_a_pool():
    """SRV-07: after the timeout; their connections are closed."""
    with_pool = StreamServer(HERE, echo, spawn=5)
    with_pool.start()
    with connect(with_pool) as client:
        client.sendall(b"x")
        assert client.recv(10) == b"x"
        with_pool.stop(timeout=0.001)
        assert client.recv(10) == b""
    assert with_pool.closed


def test_stop_refuses_new_connections_and_leaves_old_ones():
    """SRV-07: without a pool the handlers go on."""
    server = StreamServer(HERE, echo)
    server.start()
    with connect(server) as client:
        client.sendall(b"x")
        assert client.recv(10) == b"x"
        server.stop()
        with pytest.raises(ConnectionRefusedError), connect(server):
            pass
        client.sendall(b"y")
        assert client.recv(10) == b"y"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(10) == b""


# ---- Limits and errors -----------------------------------------------------------------------------------------------------------


def test_full_pool_leaves_connections_in_the_backlog(stack):
    """SRV-02"""
    gate = Event()
    begun = []

    def handle(sock, address):
        begun.append(address)
        gate.wait()
        sock.sendall(b"served")

    server = stack.enter_context(StreamServer(HERE, handle, spawn=Pool(2)))
    clients = [stack.enter_context(connect(server)) for _ in range(5)]
    while len(begun) < 2:
        gevent.sleep(0)
    for _ in range(5):
        gevent.sleep(0.0001)
    assert len(begun) == 2
    gate.set()
    assert [client.recv(10) for client in clients] == [b"served"] * 5
    assert begun == [client.getsockname() for client in clients]


def test_max_accept(stack):
    """SRV-10: one per turn of the loop, as several processes on one listener want it."""
    rounds = []

    class Recording(StreamServer):
        def do_handle(self, *args):
            rounds.append(get_hub().loop.iteration)
            super().do_handle(*args)

    server = Recording(HERE, lambda sock, address: None, spawn=None)
    server.max_accept = 1
    server.init_socket()
    clients = [stack.enter_context(connect(server)) for _ in range(3)]
    server.start()
    assert [client.recv(1) for client in clients] == [b""] * 3
    assert len(set(rounds)) == 3
    server.stop()


def test_no_descriptors_left():
    """SRV-04: at the limit of open files the server backs off, reports it, and recovers by itself when there are some again."""
    done = run_script(
        """
import errno, os, resource
import gevent
from gevent import socket
from gevent.server import StreamServer
failed = []
hub = gevent.get_hub()
hub.handle_error = lambda context, type, value, tb: failed.append(errno.errorcode[value.errno])
delays = []
class Recording(StreamServer):
    def _pause(self, seconds):
        delays.append(seconds)
        super()._pause(seconds)
server = Recording(("127.0.0.1", 0), lambda sock, address: sock.sendall(b"hello"))
server.min_delay = server.delay = 0.001
server.max_delay = 0.004
server.start()
client = socket.socket()
gevent.sleep(0.001)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
taken = []
while True:
    try:
        taken.append(os.dup(0))
    except OSError:
        break
client.connect(server.address)
while len(failed) < 5:
    gevent.sleep(0.001)
print(sorted(set(failed)), delays[:5], server.started)
for fd in taken:
    os.close(fd)
print(client.recv(10), server.delay)
client.close()
server.stop()
"""
    )
    assert done.check().stdout.splitlines() == ["['EMFILE'] [0.001, 0.002, 0.004, 0.004, 0.004] True", "b'hello' 0.001"]


def test_listener_closed_by_somebody_else(errors):
    """SRV-04: a fatal error closes the server and ends serve_forever."""
    with socket.create_server(HERE) as sock:
        server = StreamServer(sock.dup(), echo)
        job = gevent.spawn(server.serve_forever)
        gevent.sleep(0)
        server.socket.shutdown(socket.SHUT_RDWR)  # accept now says EINVAL
        job.get()
        assert (server.started, server.closed) == (False, True)
        assert [error.errno for _, error in errors] == [errno.EINVAL]


def test_clients_that_are_gone_already(stack, errors):
    """Connections that were reset before they were accepted do no harm."""
    server = StreamServer(HERE, echo)
    server.init_socket()
    for _ in range(3):
        client = socket.create_connection(server.address)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    server.start()
    with server, connect(server) as client:
        client.sendall(b"x")
        assert client.recv(10) == b"x"
    assert {type(error) for _, error in errors} <= {ConnectionResetError}


def test_server_in_another_native_thread():
    """ALL-05"""
    ready = threading.Event()
    servers = []

    def serve():
        with StreamServer(HERE, echo) as server:
            done = Event()
            servers.append((server, get_hub().loop, done))
            ready.set()
            done.wait()
        gevent.sleep(0.001)
        get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    [(server, loop, done)] = servers
    with connect(server) as client:
        client.sendall(b"x")
        assert client.recv(10) == b"x"
    loop.run_callback_threadsafe(done.set)
    thread.join()


# ---- TLS arguments ---------------------------------------------------------------------------------------------------------------


class FakeTLS:
    """Stands for an SSLSocket."""

    def __init__(self, sock, **arguments):
        self.sock = socket.socket(fileno=sock.detach())  # it takes the descriptor over, as the real one does
        self.arguments = arguments
        self.greenlet = gevent.getcurrent()

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        self.sock.close()


class FakeContext:
    wrap_socket = staticmethod(FakeTLS)


def check_tls(server):
    seen = []
    server.set_handle(lambda sock, address: seen.append((sock, gevent.getcurrent())))
    assert server.ssl_enabled is True
    with server, connect(server) as client:
        assert client.recv(10) == b""
    [(wrapped, greenlet)] = seen
    assert isinstance(wrapped, FakeTLS)
    assert wrapped.greenlet is greenlet
    assert greenlet is not get_hub()
    assert wrapped.fileno() == -1
    return wrapped.arguments


def test_ssl_context():
    """SRV-13: each connection is wrapped in its handler's greenlet, and the handler gets what came of it."""
    server = StreamServer(HERE, echo, ssl_context=FakeContext, do_handshake_on_connect=False)
    assert check_tls(server) == {"server_side": True, "do_handshake_on_connect": False}


def test_any_tls_argument(monkeypatch):
    """SRV-13: without a context, gevent.ssl's wrap_socket gets them."""
    monkeypatch.setattr(server_module, "import_path", {"gevent.ssl.wrap_socket": FakeTLS}.__getitem__)
    server = StreamServer(HERE, echo, certfile="cert.pem", keyfile="key.pem")
    assert server.ssl_args == {"certfile": "cert.pem", "keyfile": "key.pem", "server_side": True}
    assert check_tls(server) == server.ssl_args


def test_tls_is_not_there(monkeypatch):
    """A clear error where gevent.ssl cannot be imported, and nothing is left open; without TLS arguments nobody looks for it."""

    def missing(path):
        raise ImportError(path)

    monkeypatch.setattr(server_module, "import_path", missing)
    sock = socket.create_server(HERE)
    with pytest.raises(TypeError, match=r"gevent\.ssl"):
        StreamServer(sock, echo, certfile="cert.pem")
    assert sock.fileno() == -1
    server = StreamServer(HERE, echo)
    assert (server.ssl_enabled, server.ssl_args) == (False, None)


def test_failed_handshake(errors):
    """SRV-13, SRV-01: the connection is closed, the error is reported, the server goes on."""

    class Failing:
        @staticmethod
        def wrap_socket(sock, **arguments):
            raise OSError("handshake failed")

    with StreamServer(HERE, echo, ssl_context=Failing) as server:
        for _ in range(2):
            with connect(server) as client:
                assert client.recv(10) == b""
    gevent.sleep(0)
    assert [str(error) for _, error in errors] == ["handshake failed"] * 2


# ---- Datagrams -------------------------------------------------------------------------------------------------------------------


def test_datagrams(stack):
    """SRV-14: handle gets data and address; sendto answers from the server's socket."""
    server = stack.enter_context(DatagramServer(HERE, lambda data, address: server.sendto(data.upper(), address)))
    client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    client.settimeout(10)
    client.connect(server.address)
    for message in (b"hello", b"", b"x" * 60_000):
        client.send(message)
        assert client.recv(65536) == message.upper()
    assert server.server_port == server.socket.getsockname()[1]


def test_datagrams_from_many_greenlets(stack, tmp_path):
    """SRV-14: sendto may be called by any number of greenlets, though only one at a time can wait for room."""
    receiver = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    receiver.bind(str(tmp_path / "receiver"))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(tmp_path / "server"))
    sock.connect(receiver.getsockname())  # the kernel tells a sender of room only in the socket it is connected to
    server = stack.enter_context(DatagramServer(sock, lambda *args: None))
    jobs = [gevent.spawn(server.sendto, b"%d" % number, receiver.getsockname()) for number in range(1000)]
    received = [receiver.recv(10) for _ in range(1000)]
    gevent.joinall(jobs, raise_error=True)
    assert received == [b"%d" % number for number in range(1000)]


@pytest.mark.parametrize("spawn", [None, 2, "raw"], ids=str)
def test_datagram_spawn(stack, spawn):
    """SRV-03, SRV-14"""
    seen = []
    server = stack.enter_context(DatagramServer(HERE, lambda data, address: seen.append(data), spawn=spawn))
    client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for number in range(5):
        client.sendto(b"%d" % number, server.address)
    while len(seen) < 5:
        gevent.sleep(0)
    assert seen == [b"%d" % number for number in range(5)]


def test_datagram_listener_forms():
    """SRV-05, SRV-06: an address, a socket; no backlog and no TLS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(HERE)
        server = DatagramServer(sock, lambda *args: None)
        assert server.address == sock.getsockname()
        server.start()
        server.close()
        assert sock.fileno() == -1
    with DatagramServer(":0", lambda *args: None) as server:
        assert server.server_port > 0
        assert server.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    with pytest.raises(TypeError):
        DatagramServer(HERE, lambda *args: None, certfile="x")
    with DatagramServer.get_listener(HERE) as sock:
        assert (type(sock), sock.type, sock.getsockname()[1] > 0) == (socket.socket, socket.SOCK_DGRAM, True)
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        server_module._udp_socket(("192.0.2.1", 1))


def test_serve_forever_from_the_main_greenlet():
    """SRV-08: the way of a program: it is ended by a signal, says goodbye, and no handler is left."""
    done = run_script(
        """
import os, signal
import gevent
from gevent.server import StreamServer
server = StreamServer(("127.0.0.1", 0), lambda sock, address: None)
gevent.spawn_later(0.01, os.kill, os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    server.serve_forever()
except KeyboardInterrupt:
    print("interrupted", server.started, server.closed)
"""
    )
    assert (done.status, done.stdout) == (0, "interrupted False True\n")


def test_kept_names():
    """1.1's record."""
    assert server_module.__all__ == ["StreamServer", "DatagramServer"]
