"""BaseServer: addresses, what handlers run in, when nothing is accepted, errors, start and stop. Over sockets see test_server.py."""

import errno
import gc
import re
import subprocess
import sys
import weakref

import gevent
import pytest
from gevent import baseserver, socket
from gevent._addresses import family_of, format_address, has_working_ipv6, is_ipv6
from gevent.baseserver import BaseServer, parse_address
from gevent.hub import get_hub
from gevent.pool import Pool

INET, INET6 = socket.AF_INET, socket.AF_INET6


def ignore(*args):
    """A handler."""


class LineServer(BaseServer):
    """Accepts letters: one for each byte that comes in on a socket."""

    errors = ()

    def __init__(self, handle=None, spawn="default", **settings):
        self.peer, mine = socket.socketpair()
        self.closed_args = []
        for name, value in settings.items():
            setattr(self, name, value)
        super().__init__(_Bound(mine), handle, spawn)

    def do_read(self):
        if self.errors:
            raise self.errors.pop(0)
        try:
            letter = self.socket.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        return (letter.decode(),) if letter else None

    def do_close(self, *args):
        self.closed_args.append(args)

    def send(self, letters):
        self.peer.sendall(letters.encode())

    def close(self):
        super().close()
        if "peer" in self.__dict__:
            self.__dict__.pop("peer").close()


class _Bound:
    """A socket that looks like one that listens."""

    family = socket.AF_UNIX

    def __init__(self, sock):
        self.sock = sock
        self.recv, self.fileno, self.close = sock.recv, sock.fileno, sock.close

    def accept(self):
        raise AssertionError("BaseServer itself accepts nothing")

    def getsockname(self):
        return "somewhere"


@pytest.fixture
def serving():
    """Makes a started LineServer; all are closed at the end."""
    servers = []

    def make(*args, **kwargs):
        server = LineServer(*args, **kwargs)
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.close()
    gevent.sleep(0)


@pytest.fixture
def errors(monkeypatch):
    """The errors that are reported: [(context, exception)]."""
    found = []
    monkeypatch.setattr(get_hub(), "handle_error", lambda context, type, value, tb: found.append((context, value)), raising=False)
    yield found
    found.clear()


def turns(count=5):
    """Let the loop poll a few times."""
    for _ in range(count):
        gevent.sleep(0.0001)


# ---- Addresses -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:80", (INET, ("localhost", 80))),
        ("127.0.0.1:0", (INET, ("127.0.0.1", 0))),
        (":80", (INET, ("", 80))),
        ("*:80", (INET, ("", 80))),
        ("[::1]:80", (INET6, ("::1", 80))),
        ("[fe80::1%lo]:65535", (INET6, ("fe80::1%lo", 65535))),
        (("localhost", 80), (INET, ("localhost", 80))),
        (("::1", 80), (INET6, ("::1", 80))),
        (("", 80), (INET, ("", 80))),
        (("::1", 80, 0, 0), (INET6, ("::1", 80, 0, 0))),
        (("", 80, 0, 0), (INET6, ("", 80, 0, 0))),
    ],
)
def test_parse_address(address, expected):
    """SRV-05: the notations."""
    assert parse_address(address) == expected


@pytest.mark.parametrize("port", [8080, "8080"])
def test_a_port_alone_is_every_interface(port):
    """SRV-05: IPv6, which takes IPv4 connections too, where the system has it."""
    assert parse_address(port) == (INET6 if has_working_ipv6() else INET, ("", 8080))


@pytest.mark.parametrize(
    "address",
    [
        "nope",
        "host:",
        "host:port",
        "",
        ":",
        "/tmp/path",
        "[::1]",
        "::1:80",
        "[localhost]:80",
        "h:-1",
        "h:65536",
        "h: 80",
        65536,
        -1,
        (),
    ],
)
def test_parse_address_refuses_with_the_value(address):
    """SRV-05: ValueError that shows what was given."""
    with pytest.raises(ValueError, match=re.escape(repr(address))):
        parse_address(address)


@pytest.mark.parametrize("address", [None, b"localhost:80", 1.5, ["localhost", 80], True, object])
def test_parse_address_refuses_other_types(address):
    """SRV-05"""
    with pytest.raises(TypeError, match=re.escape(repr(address))):
        parse_address(address)


def test_address_pieces():
    assert [is_ipv6(each) for each in ("::1", "fe80::1%lo", "127.0.0.1", "name", "", None)] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert [family_of(each) for each in ("::1", "127.0.0.1", "name")] == [INET6, INET, INET]
    assert [format_address(each) for each in (("::1", 80, 0, 0), ("h", 80), "path", b"\0x", None)] == [
        "[::1]:80",
        "h:80",
        "path",
        "b'\\x00x'",
        "None",
    ]


def test_listener_forms():
    """SRV-05: an address leaves the server without a socket until it starts; a TLS socket is refused; so is nonsense."""
    server = BaseServer("127.0.0.1:80", ignore)
    assert (server.family, server.address, server.server_host, server.server_port) == (INET, ("127.0.0.1", 80), "127.0.0.1", 80)
    assert (server.closed, server.started, hasattr(server, "socket")) == (True, False, False)

    class TLS(socket.socket):
        def do_handshake(self):
            pass

    with TLS() as sock:
        with pytest.raises(TypeError, match="plain socket"):
            BaseServer(sock, ignore)
        assert sock.fileno() >= 0
    with pytest.raises(TypeError):
        BaseServer(None, ignore)
    with pytest.raises(ValueError, match="nonsense"):
        BaseServer("nonsense", ignore)


# ---- Arguments -------------------------------------------------------------------------------------------------------------------


def test_handle():
    """SRV-15, HUB-20: given, or a method, or set later; something must be, and it must be callable, also under python -O."""
    with pytest.raises(TypeError, match="handle"):
        BaseServer(("127.0.0.1", 0))
    for bad in (5, "text", object()):
        with pytest.raises(TypeError, match=re.escape(repr(bad))):
            BaseServer(("127.0.0.1", 0), bad)

    class WithMethod(BaseServer):
        def handle(self, *args):
            pass

    assert WithMethod(("127.0.0.1", 0))._handle.__name__ == "handle"
    program = "from gevent.baseserver import BaseServer\ntry: BaseServer(('127.0.0.1', 0), 5)\nexcept TypeError: print('refused')"
    assert subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True).stdout == "refused\n"


def test_set_handle_later(serving):
    """SRV-15: replaced while it serves: what comes from then on goes to the new one."""
    seen = []
    server = serving(lambda letter: seen.append(("first", letter)))
    server.send("a")
    turns()
    server.set_handle(lambda letter: seen.append(("second", letter)))
    server.send("b")
    turns()
    assert seen == [("first", "a"), ("second", "b")]
    with pytest.raises(TypeError):
        server.set_handle(None)


@pytest.mark.parametrize("spawn", ["default", "raw", 3, None, Pool(2), gevent.spawn, gevent.spawn_raw, Pool(5).spawn], ids=repr)
def test_spawn(serving, spawn):
    """SRV-03: whatever it is, each thing is handled, and disposed of after."""
    seen = []
    server = serving(seen.append, spawn=spawn)
    server.send("abc")
    turns()
    assert (seen, server.closed_args) == (["a", "b", "c"], [("a",), ("b",), ("c",)])
    if isinstance(spawn, Pool):
        assert server.pool is spawn
    elif spawn == 3:
        assert (type(server.pool), server.pool.size) == (Pool, 3)
    else:
        assert server.pool is None


def test_spawn_decides_the_greenlet(serving):
    """SRV-03: a Greenlet by default, a raw greenlet, the hub."""
    for spawn, expected in (("default", "Greenlet"), (gevent.spawn_raw, "greenlet"), (None, "Hub"), (5, "Greenlet")):
        seen = []
        server = serving(lambda letter, seen=seen: seen.append(type(gevent.getcurrent()).__name__), spawn=spawn)
        server.send("x")
        turns()
        assert seen == [expected]


def test_spawn_refuses():
    """SRV-03, HUB-20: what cannot be meant."""
    for bad in ("other", 1.5, object(), [], True):
        with pytest.raises(TypeError, match=re.escape(repr(bad))):
            BaseServer(("127.0.0.1", 0), ignore, spawn=bad)
    with pytest.raises(ValueError, match="-1"):
        BaseServer(("127.0.0.1", 0), ignore, spawn=-1)


def test_nothing_is_made_per_request(serving):
    """SRV-12: the same function, handler and disposal are handed to spawn every time; only the arguments differ."""
    calls = []
    server = serving(ignore, spawn=lambda *args: calls.append(args))
    server.send("abc")
    turns()
    assert [each[3] for each in calls] == [("a",), ("b",), ("c",)]
    assert len({(id(function), id(handle)) for function, handle, _close, _args in calls}) == 1


def test_subclasses_may_override_the_steps(serving):
    """1.1's hooks: do_handle and do_close are looked up on the instance."""
    seen = []

    class Mine(LineServer):
        def do_handle(self, *args):
            seen.append(args)
            super().do_handle(*args)

    server = Mine(ignore)
    with server:
        server.send("ab")
        turns()
    assert seen == server.closed_args == [("a",), ("b",)]


# ---- When nothing is accepted ----------------------------------------------------------------------------------------------------


def test_full_pool_stops_accepting(serving):
    """SRV-02: accepting goes on when there is room, without anybody asking; each thing is handled once."""
    running, order = [], []
    gate = gevent.pool.Event()

    def handle(letter):
        running.append(letter)
        order.append(letter)
        most.append(len(running))
        gate.wait()
        running.remove(letter)

    most = []
    server = serving(handle, spawn=2)
    server.send("abcdef")
    turns()
    assert (order, server.full()) == (["a", "b"], True)
    assert server.socket.recv(10, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"cdef"
    gate.set()
    while len(order) < 6:
        gevent.sleep(0)
    assert order == list("abcdef")
    assert max(most) <= 2
    server.stop()
    assert server.closed_args == [(letter,) for letter in "abcdef"]


def test_full_pool_does_not_spin(serving):
    """SRV-02: while the pool is full, nothing of the server is active in the loop."""
    gate = gevent.pool.Event()
    server = serving(lambda letter: gate.wait(), spawn=1)
    active = get_hub().loop.activecnt
    server.send("ab")
    turns()
    assert server.full() is True
    assert get_hub().loop.activecnt == active - 1
    gate.set()
    turns()
    assert server.closed_args == [("a",), ("b",)]


def test_pool_of_another_make(serving):
    """SRV-02: a pool that cannot tell when it has room is asked again now and then."""

    class Slow:
        room = 1

        def full(self):
            return self.room == 0

        def spawn(self, function, *args):
            self.room -= 1
            function(*args)

        def join(self, timeout=None):
            pass

        def kill(self, block=True, timeout=None):
            pass

        def __iter__(self):
            return iter(())

    pool = Slow()
    seen = []
    server = serving(seen.append, spawn=pool, min_delay=0.001)
    server.send("ab")
    turns()
    assert seen == ["a"]
    pool.room = 1
    while len(seen) < 2:
        gevent.sleep(0.001)
    assert seen == ["a", "b"]
    server.stop()


def test_stop_while_the_pool_is_full(serving):
    """SRV-02, SRV-07: nothing wakes the server up afterwards."""
    gate = gevent.pool.Event()
    server = serving(lambda letter: gate.wait(), spawn=1)
    server.send("ab")
    turns()
    server.close()
    gate.set()
    turns()
    assert server.closed_args == [("a",)]
    server._go_on()  # not even if somebody tried
    assert server._watcher is None


def test_a_full_pool_does_not_keep_a_stopped_server():
    """SRV-02: a pool that others use too, and that stays full, has forgotten the server."""
    gate = gevent.pool.Event()
    pool = Pool(1)
    job = pool.spawn(gate.wait)
    server = LineServer(ignore, spawn=pool)
    server.start()
    server.send("a")
    turns()
    assert server.full()
    server.close()
    alive = weakref.ref(server)
    del server
    gc.collect()
    assert alive() is None
    gate.set()
    job.join()


def test_max_accept(serving):
    """SRV-10: so many per turn of the loop; may be assigned on the instance."""
    rounds = []
    server = serving(lambda letter: rounds.append(get_hub().loop.iteration), spawn=None)
    server.max_accept = 3
    server.send("abcdefg")
    turns()
    counts = [rounds.count(each) for each in sorted(set(rounds))]
    assert counts == [3, 3, 1]
    assert BaseServer.max_accept == 100


def test_handler_in_the_hub_may_stop_the_server(serving, errors):
    server = serving(lambda letter: server.close(), spawn=None)
    server.send("abc")
    turns()
    assert (server.closed_args, server.started, errors) == ([("a",)], False, [])


# ---- Errors ----------------------------------------------------------------------------------------------------------------------


def test_errors_are_backed_off_from(serving, errors):
    """SRV-04: min_delay, doubling, at most max_delay; a success resets it; the errors are reported."""
    delays = []

    class Recording(LineServer):
        def _pause(self, seconds):
            delays.append(seconds)
            super()._pause(seconds)

    failures = [OSError(errno.EMFILE, "none left") for _ in range(5)]
    expected = [(None, each) for each in failures]
    seen = []
    with Recording(seen.append, min_delay=0.001, max_delay=0.005, max_accept=1, errors=list(failures)) as server:
        server.delay = server.min_delay
        server.send("a")
        while not seen:
            gevent.sleep(0.001)
        assert delays == [0.001, 0.002, 0.004, 0.005, 0.005]
        server.errors = [OSError(errno.EMFILE, "none left")]
        server.send("b")
        while len(seen) < 2:
            gevent.sleep(0.001)
        assert delays[5:] == [0.001]
        server.delay = 0.004
        server._do_read()  # nothing there, but no error either
        assert server.delay == 0.001
        assert seen == ["a", "b"]
    assert [each[1] for each in errors[:5]] == [each[1] for each in expected]
    assert {each[0] for each in errors} == {server}


@pytest.mark.parametrize("number", BaseServer.fatal_errors)
def test_fatal_errors_close_the_server(serving, errors, number):
    """SRV-04"""
    server = serving(ignore, errors=[OSError(number, "fatal")])
    server.send("a")
    turns()
    assert (server.started, server.closed, len(errors)) == (False, True, 1)
    assert server.is_fatal_error(OSError(number, "")) is True
    assert [server.is_fatal_error(each) for each in (OSError(errno.EMFILE, ""), ValueError(number))] == [False, False]


def test_spawn_that_fails(serving, errors):
    """SRV-01, SRV-04: what was accepted is disposed of, and the server goes on after a while."""
    fails = [True]
    seen = []

    def spawn(function, *args):
        if fails:
            fails.pop()
            raise MemoryError("no greenlet")
        gevent.spawn(function, *args)

    server = serving(seen.append, spawn=spawn, min_delay=0.001)
    server.send("ab")
    while not seen:
        gevent.sleep(0.001)
    assert (seen, server.closed_args[0]) == (["b"], ("a",))
    [(context, error)] = errors
    assert (context, str(error)) == (((), server), "no greenlet")


@pytest.mark.parametrize("spawn", ["default", "raw", 2, None])
def test_failing_handler(serving, errors, spawn):
    """SRV-01: an error is reported, the arguments are disposed of, the server goes on."""
    seen = []

    def handle(letter):
        seen.append(letter)
        raise KeyError(letter)

    server = serving(handle, spawn=spawn, min_delay=0.001)
    server.send("ab")
    while len(server.closed_args) < 2:
        gevent.sleep(0.001)
    turns()
    assert (seen, [error.args for _, error in errors]) == (["a", "b"], [("a",), ("b",)])
    assert server.started


def test_base_knows_nothing_to_accept(errors):
    """BaseServer itself says so, instead of spinning."""
    here, there = socket.socketpair()
    with here, there:
        server = BaseServer(_Bound(there), ignore)
        server.start()
        here.sendall(b"x")
        turns()
        assert "do_read" in str(errors[0][1])
        server.stop()


# ---- Start and stop --------------------------------------------------------------------------------------------------------------


def test_context_manager():
    """Started at the beginning, stopped at the end."""
    seen = []
    with LineServer(seen.append) as server:
        assert server.started
        server.send("a")
        turns()
    assert (server.started, server.closed, seen) == (False, True, ["a"])


def test_close_may_be_repeated(serving):
    """SRV-09: started is false at once; what comes later is not handled."""
    seen = []
    server = serving(seen.append)
    server.send("a")
    server.close()
    server.close()
    server.stop()
    turns()
    assert (server.started, server.closed, seen) == (False, True, [])


def test_failed_constructor_closes_the_socket():
    """SRV-09: a socket that was given."""
    for arguments in [{"handle": 5}, {"handle": None}, {"handle": ignore, "spawn": object()}, {"handle": ignore, "spawn": -1}]:
        sock = socket.create_server(("127.0.0.1", 0))
        with pytest.raises((TypeError, ValueError)):
            BaseServer(sock, **arguments)
        assert sock.fileno() == -1


def test_failed_start_closes_the_socket():
    """SRV-09"""

    class Failing(LineServer):
        def init_socket(self):
            raise OSError("cannot")

    server = Failing(ignore)
    sock = server.socket.sock
    with pytest.raises(OSError, match="cannot"):
        server.start()
    assert (sock.fileno(), server.closed, server.started) == (-1, True, False)


def test_serve_forever():
    """SRV-08: starts if need be, returns when stopped."""
    server = LineServer(ignore)
    job = gevent.spawn(server.serve_forever)
    gevent.sleep(0)
    assert server.started
    server.stop()
    job.get()
    server = LineServer(ignore)
    server.start()
    gevent.spawn(server.close)
    server.serve_forever()
    assert not server.started


@pytest.mark.parametrize("error", [KeyboardInterrupt, gevent.GreenletExit, ValueError])
def test_serve_forever_interrupted(errors, error):
    """SRV-08: the server is stopped, handlers are given their time, and the exception goes on."""
    seen = []

    def handle(letter):
        try:
            gevent.sleep(60)
        except gevent.GreenletExit:
            seen.append("killed")
            raise

    server = LineServer(handle, spawn=2)
    caught = []

    def serve():
        try:
            server.serve_forever(stop_timeout=0.001)
        except error as one:
            caught.append(type(one))

    job = gevent.spawn(serve)
    gevent.sleep(0)
    server.send("a")
    turns()
    job.kill(error)
    assert (server.started, seen, caught) == (False, ["killed"], [error])


def test_stop_waits_for_handlers_in_a_pool():
    """SRV-07: for as long as it is told, by default stop_timeout; then they are killed."""
    events = []

    def handle(letter):
        try:
            gevent.sleep(0.01 if letter == "a" else 60)
            events.append(f"{letter} done")
        except gevent.GreenletExit:
            events.append(f"{letter} killed")
            raise

    server = LineServer(handle, spawn=5)
    server.start()
    server.send("ab")
    turns()
    server.stop(timeout=0.05)
    assert events == ["a done", "b killed"]
    events.clear()
    server = LineServer(handle, spawn=5, stop_timeout=0.001)
    server.start()
    server.send("b")
    turns()
    server.stop()
    assert events == ["b killed"]
    assert BaseServer.stop_timeout == 1


def test_stop_leaves_handlers_without_a_pool():
    """SRV-07"""
    events = []
    gate = gevent.pool.Event()

    def handle(letter):
        gate.wait()
        events.append(letter)

    server = LineServer(handle)
    server.start()
    server.send("a")
    turns()
    server.stop(timeout=0)
    assert events == []
    gate.set()
    turns()
    assert events == ["a"]


def test_stop_disposes_of_what_never_began():
    """SRV-01: a handler that is killed before its first switch cannot, so the server does."""
    seen = []
    server = LineServer(seen.append, spawn=5)
    server.start()
    server.send("a")
    server._do_read()  # what the watcher would call
    server.pool.join = lambda timeout: None  # it would let the handler begin
    server.stop()
    assert (seen, server.closed_args) == ([], [("a",)])


def test_stopped_server_is_collected(serving):
    """A server that was stopped is in no reference cycle with the loop."""
    server = LineServer(ignore)
    server.start()
    server.send("a")
    turns()
    server.stop()
    alive = weakref.ref(server)
    del server
    gc.collect()
    assert alive() is None


# ---- What it looks like ----------------------------------------------------------------------------------------------------------


def test_repr_and_str():
    """SRV-11: they show address, descriptor and handler, and work when the handler is a method of the server itself."""

    class Own(BaseServer):
        def __init__(self):
            super().__init__(("127.0.0.1", 80), self.serve)

        def serve(self, *args):
            pass

    server = Own()
    assert str(server) == "<Own address=127.0.0.1:80>"
    assert repr(server) == f"<Own at {id(server):#x} address=127.0.0.1:80>"
    server = BaseServer(("::1", 80), ignore)
    assert str(server) == f"<BaseServer address=[::1]:80 handle={ignore!r}>"
    server = LineServer(ignore)
    assert str(server) == f"<LineServer fileno={server.socket.fileno()} address=somewhere handle={ignore!r}>"
    server.close()
    assert str(server) == f"<LineServer address=somewhere handle={ignore!r}>"
    assert "address=None" in repr(BaseServer.__new__(BaseServer))


def test_record():
    """1.1's class attributes."""
    assert (BaseServer.min_delay, BaseServer.max_delay, BaseServer.max_accept, BaseServer.stop_timeout) == (0.01, 1, 100, 1)
    assert BaseServer.fatal_errors == (errno.EBADF, errno.EINVAL, errno.ENOTSOCK)
    assert baseserver.__all__ == ["BaseServer"]
    server = BaseServer(("127.0.0.1", 0), ignore)
    assert (server.loop, server.delay, server.pool) == (get_hub().loop, 0.01, None)
