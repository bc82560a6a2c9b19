"""gevent.socket: what sockets do when all goes well. Errors, closing and killing are in test_socket_errors.py."""

import array
import contextlib
import copy
import ctypes
import errno
import importlib
import importlib.util
import inspect
import io
import os
import pathlib
import pickle
import re
import socket as stdlib
import struct
import sys
import threading
import time
import weakref

import gevent
import pytest
from gevent import socket
from gevent.exceptions import ConcurrentObjectUseError
from gevent.hub import get_hub
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, run_script
from gevent_testkit.greenlets import in_hub, waiting

LINUX = sys.platform.startswith("linux")


def has_ipv6_loopback():
    try:
        with stdlib.socket(stdlib.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6_loopback(), reason="the system has no IPv6 loopback address")
needs_linux = pytest.mark.skipif(not LINUX, reason="Linux only")


def fill(sock):
    """Send on *sock* until nothing more fits; returns how much that was."""
    timeout = sock.gettimeout()
    sock.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += sock.send(bytes(65536))
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += sock.send(b"x")
    sock.settimeout(timeout)
    return sent


def drain(sock):
    """Receive what is there."""
    with contextlib.suppress(BlockingIOError):
        while sock.recv(65536, socket.MSG_DONTWAIT):
            pass


def receive_until(sock, size):
    """Receive *size* bytes."""
    while size > 0:
        size -= len(sock.recv(min(size, 65536)))


def receive_all(sock):
    """What comes until the end of the stream."""
    parts = []
    while True:
        data = sock.recv(65536)
        if not data:
            return b"".join(parts)
        parts.append(data)


class FakeResolver:
    """Stands for the hub's resolver: answers from a table, after other greenlets had their turn."""

    def __init__(self, **hosts):
        self.hosts = hosts
        self.asked = []

    def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        self.asked.append((host, port, family, type))
        gevent.sleep(0)
        found = [
            (each, socket.SOCK_STREAM, 6, "", (address, port or 0) if each == socket.AF_INET else (address, port or 0, 0, 0))
            for each, address in self.hosts.get(host, [])
            if family in (0, each)
        ]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "nobody knows that name")
        return found

    def gethostbyname(self, hostname):
        return ("gethostbyname", hostname)

    def gethostbyname_ex(self, hostname):
        return ("gethostbyname_ex", hostname)

    def gethostbyaddr(self, ip_address):
        if ip_address == "unknown":
            raise socket.herror(1, "unknown")
        return (ip_address, ["alias", f"{ip_address}.example"], ["192.0.2.1"])

    def getnameinfo(self, sockaddr, flags):
        return ("getnameinfo", sockaddr, flags)

    def close(self):
        pass


@pytest.fixture
def resolver():
    """A function that puts a FakeResolver in place for the test."""
    hub = get_hub()
    before = hub._resolver

    def install(**hosts):
        hub.resolver = FakeResolver(**hosts)
        return hub.resolver

    yield install
    hub.resolver = before


# ---- The module ------------------------------------------------------------------------------------------------------------------


def test_module_has_everything_of_the_standard_one():
    """SOK-01: same names as the running interpreter's module; constants and exceptions are the same objects."""
    assert [name for name in stdlib.__all__ if hasattr(stdlib, name) and not hasattr(socket, name)] == []
    same = [
        "error", "gaierror", "herror", "timeout", "htonl", "inet_pton", "gethostname", "getservbyname", "setdefaulttimeout",
        "AddressFamily", "SocketKind", "CMSG_LEN", "dup", "if_nameindex", "has_ipv6", "has_dualstack_ipv6", "AF_UNIX", "SOL_TCP",
    ]  # fmt: skip
    absent = object()  # PyPy 3.9 lacks if_nameindex
    assert [name for name in same if getattr(socket, name, absent) is not getattr(stdlib, name, absent)] == []
    assert set(socket.__dns__) <= set(socket.__implements__)
    assert set(socket.__all__) == set(socket.__implements__) | set(socket.__extensions__) | set(socket.__imports__)
    assert [name for name in socket.__all__ if not hasattr(socket, name)] == []
    assert [name for name in socket.__implements__ if getattr(socket, name) is getattr(stdlib, name)] == []
    assert socket.SocketType is socket.socket


def test_class_has_everything_of_the_standard_one():
    """SOK-01: same methods and attributes."""
    public = [name for name in dir(stdlib.socket) if not name.startswith("_")]
    assert [name for name in public if not hasattr(socket.socket, name)] == []


def test_both_bases_are_alike():
    """The compiled base class and its twin in Python have the same names, and take the same arguments."""
    source = pathlib.Path(socket.__file__).with_name("_socket_base.py")
    spec = importlib.util.spec_from_file_location("gevent_socket_base_in_python", source)
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    mine = importlib.import_module("gevent._socket_base")
    names = {
        module: {name for name in dir(module.SocketBase) if not name.startswith("__") and not name.endswith("_cython__")}
        for module in (mine, twin)
    }
    # What only one of them has is private to it.
    differing = names[mine] ^ names[twin]
    assert sorted(name for name in differing if not name.startswith("_")) == []
    used = re.findall(r"self\.(_[a-z_]+)", pathlib.Path(socket.__file__).read_text())
    own = {name for name in dir(socket.socket) if name not in dir(mine.SocketBase)}
    assert sorted(set(used) - own - names[twin] - {"_receive_by"}) == []
    assert sorted(set(used) - own - names[mine] - {"_receive_by"}) == []
    for name in sorted(names[mine] & names[twin]):
        functions = [vars(module.SocketBase).get(name) for module in (mine, twin)]
        if all(map(callable, functions)) and name not in ("__init__", "__new__"):
            parameters = [
                [(each.name, each.kind) for each in inspect.signature(function).parameters.values()] for function in functions
            ]
            assert parameters[0] == parameters[1], name


def test_new_socket(closing):
    sock = closing(socket.socket())
    plain = closing(stdlib.socket())
    for name in ("family", "type", "proto", "timeout"):
        assert getattr(sock, name) == getattr(plain, name), name
        assert type(getattr(sock, name)) is type(getattr(plain, name)), name
    assert sock.getblocking() is True
    assert os.get_inheritable(sock.fileno()) is False
    assert os.get_blocking(sock.fileno()) is False
    assert sock.hub is get_hub()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (socket.AF_INET,),
        (socket.AF_INET6, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM, 0),
        (-1, socket.SOCK_DGRAM, -1),
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP),
        (socket.AF_INET, -1, socket.IPPROTO_UDP),
        (9999,),
        ("INET",),
        (socket.AF_INET, 1.5),
    ],
)
def test_constructor_as_the_standard_one(arguments):
    """SOK-01: family, type and protocol, and the errors for bad ones."""

    def describe(make):
        try:
            with make(*arguments) as sock:
                return sock.family, sock.type, sock.proto
        except (OSError, TypeError) as error:
            return type(error), getattr(error, "errno", None)

    assert describe(socket.socket) == describe(stdlib.socket)


def test_constructor_takes_over_a_descriptor(closing):
    """SOK-01: fileno alone is enough; family, type and protocol are found out."""
    plain = stdlib.socket(stdlib.AF_UNIX, stdlib.SOCK_DGRAM)
    sock = closing(socket.socket(fileno=plain.detach()))
    assert (sock.family, sock.type, sock.proto) == (socket.AF_UNIX, socket.SOCK_DGRAM, 0)
    assert os.get_blocking(sock.fileno()) is False
    with pytest.raises(OSError) as caught:
        socket.socket(fileno=1 << 20)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(ValueError, match="negative"):
        socket.socket(fileno=-1)
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(OSError) as caught:
            socket.socket(fileno=read_end)
        assert caught.value.errno == errno.ENOTSOCK
        os.fstat(read_end)  # not closed by the failure
    finally:
        os.close(read_end)
        os.close(write_end)


def test_repr_as_the_standard_one(tcp):
    """SOK-01: repr tells the same."""
    sock = tcp[0]
    plain = stdlib.socket(sock.family, sock.type, sock.proto, os.dup(sock.fileno()))
    try:
        expected = (
            repr(plain).replace("<socket.socket", "<gevent.socket.socket").replace(f"fd={plain.fileno()}", f"fd={sock.fileno()}")
        )
    finally:
        plain.close()
    assert repr(sock) == expected
    assert f"laddr={sock.getsockname()}" in repr(sock)
    sock.close()
    assert repr(sock).startswith("<gevent.socket.socket [closed] fd=-1, ")


def test_type_without_flags(closing):
    """SOK-17: type hides SOCK_NONBLOCK; closed is readable; weak references work."""
    sock = closing(socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC))
    assert sock.type is socket.SOCK_STREAM
    assert sock.gettimeout() == 0.0
    sock.settimeout(None)
    assert sock.type is socket.SOCK_STREAM
    assert sock.closed is False
    sock.close()
    assert sock.closed is True
    assert weakref.ref(sock)() is sock
    with pytest.raises(AttributeError):
        sock.closed = False


def test_no_other_attributes(pair):
    """As the standard one, which has __slots__: a misspelled attribute is an error."""
    with pytest.raises(AttributeError):
        pair[0].time_out = 3


def test_cannot_be_pickled_or_copied(pair):
    for attempt in (pickle.dumps, copy.copy, lambda sock: pickle.dumps(sock, 0)):
        with pytest.raises(TypeError, match="cannot pickle 'socket' object"):
            attempt(pair[0])


def test_context_manager():
    with socket.socket() as sock:
        assert sock.fileno() >= 0
    assert (sock.fileno(), sock.closed) == (-1, True)


def test_unclosed_socket_warns():
    """ALL-02: as the standard one, a socket that is dropped open warns, once, and is closed; also one in a reference cycle."""
    sock = socket.socket()
    fd = sock.fileno()
    with pytest.warns(ResourceWarning, match=r"unclosed <gevent.socket.socket fd="):
        del sock
        collect_garbage()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)

    class Cyclic(socket.socket):
        pass

    sock = Cyclic()
    fd = sock.fileno()
    sock.listen()  # makes the native object over the same descriptor too
    sock.me = sock
    with pytest.warns(ResourceWarning) as caught:
        del sock
        collect_garbage()
    assert len(caught) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_no_reference_cycle(pair):
    """A socket that was used is gone as soon as the last reference is: closing does not wait for the garbage collector."""
    here, there = pair
    job = waiting(there.recv, 10)
    here.sendall(b"x")
    job.get()
    there.settimeout(0.001)
    with pytest.raises(socket.timeout):
        there.recv(1)
    sock = there.dup()
    job = waiting(sock.recv, 1)
    here.sendall(b"y")
    job.get()
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE, 4)  # makes the native object
    alive = weakref.ref(sock)
    sock.close()
    del sock, job
    if not REFERENCE_COUNTING:
        collect_garbage()
    assert alive() is None


# ---- Only the greenlet blocks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wait_and_wake",
    [
        (lambda here, there: there.recv(10), lambda here, there: here.send(b"x")),
        (lambda here, there: there.recv_into(bytearray(10)), lambda here, there: here.send(b"x")),
        (lambda here, there: there.recvfrom(10), lambda here, there: here.send(b"x")),
        (lambda here, there: there.recvfrom_into(bytearray(10)), lambda here, there: here.send(b"x")),
        (lambda here, there: there.recvmsg(10), lambda here, there: here.send(b"x")),
        (lambda here, there: there.recvmsg_into([bytearray(10)]), lambda here, there: here.send(b"x")),
        (lambda here, there: there.makefile("rb").readline(), lambda here, there: here.send(b"x\n")),
        (lambda here, there: (fill(there), there.send(b"x")), lambda here, there: drain(here)),
        (lambda here, there: there.sendall(bytes(1 << 19)), lambda here, there: receive_until(here, 1 << 19)),
        (lambda here, there: (fill(there), there.sendmsg([b"x"])), lambda here, there: drain(here)),
        (lambda here, there: (fill(there), there.sendmsg([b"x"] * 40)), lambda here, there: drain(here)),
    ],
    ids=[
        "recv",
        "recv_into",
        "recvfrom",
        "recvfrom_into",
        "recvmsg",
        "recvmsg_into",
        "makefile",
        "send",
        "sendall",
        "sendmsg",
        "sendmsg40",
    ],
)
def test_only_the_greenlet_blocks(pair, wait_and_wake):
    """SOK-01: while one greenlet waits in a call, others run; it goes on when it can."""
    here, there = pair
    wait, wake = wait_and_wake
    order = []

    def first():
        order.append("waits")
        wait(here, there)
        order.append("went on")

    def second():
        order.append("runs meanwhile")
        wake(here, there)

    gevent.joinall([gevent.spawn(first), gevent.spawn(second)], raise_error=True)
    assert order == ["waits", "runs meanwhile", "went on"]


def test_accept_and_connect_wait(closing, listener):
    """SOK-01: accept waits in its greenlet; what it returns is a gevent socket, with the other side's address."""
    order = []
    job = waiting(lambda: order.append("accepting") or listener.accept())
    order.append("connecting")
    client = closing(socket.socket())
    client.connect(listener.getsockname())
    sock, address = job.get()
    closing(sock)
    assert order == ["accepting", "connecting"]
    assert type(sock) is socket.socket
    assert address == client.getsockname() == sock.getpeername()
    assert (sock.family, sock.type, sock.proto) == (listener.family, listener.type, listener.proto)
    assert os.get_blocking(sock.fileno()) is False
    assert os.get_inheritable(sock.fileno()) is False


def test_accept_makes_no_subclass(closing):
    """SOK-01: as the standard one, accept gives a plain socket even on a subclass."""

    class Special(socket.socket):
        pass

    server = closing(Special())
    server.bind(("127.0.0.1", 0))
    server.listen()
    closing(socket.create_connection(server.getsockname()))
    assert type(closing(server.accept()[0])) is socket.socket


def test_echo_between_greenlets(pair):
    here, there = pair

    def echo():
        while True:
            data = there.recv(100)
            if not data:
                there.close()
                return
            there.sendall(data)

    job = gevent.spawn(echo)
    for size in [1, 50, 100, 100, 1] * 10:
        here.sendall(b"x" * size)
        assert here.recv(1000) == b"x" * size
    here.shutdown(socket.SHUT_WR)
    assert here.recv(10) == b""
    job.get()


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 300_000, 5_000_000])
def test_stream_arrives_whole(tcp, size):
    """Whatever its length, also above the limits at which the GIL is let go and buffers are split."""
    here, there = tcp
    message = os.urandom(size)

    def produce():
        here.sendall(message)
        here.shutdown(socket.SHUT_WR)

    job = gevent.spawn(produce)
    assert receive_all(there) == message
    job.get()


def test_recv_sizes(pair):
    """SOK-01: short reads, exact reads, reads of nothing, of more than the scratch buffer holds, and bad sizes."""
    here, there = pair
    here.sendall(b"abcdef")
    assert there.recv(0) == b""
    assert there.recv(2) == b"ab"
    assert there.recv(1, socket.MSG_PEEK) == b"c"
    assert there.recv(1_000_000) == b"cdef"
    here.sendall(bytes(range(256)) * 700)
    assert there.recv(150_000) == (bytes(range(256)) * 700)[:150_000]
    with pytest.raises(ValueError, match="negative"):
        there.recv(-1)
    with pytest.raises(TypeError):
        there.recv(1.5)
    with pytest.raises(TypeError):
        there.recv()
    with pytest.raises(OverflowError):
        there.recv(1 << 70)


def test_recv_into(pair):
    """SOK-01: any writable buffer; nbytes limits; 0 means all of it."""
    here, there = pair
    here.sendall(b"0123456789" * 10)
    buffer = bytearray(b"-" * 8)
    assert there.recv_into(buffer) == 8
    assert buffer == b"01234567"
    assert there.recv_into(buffer, 3) == 3
    assert buffer == b"89034567"
    assert there.recv_into(memoryview(buffer)[2:4]) == 2
    assert buffer == b"89124567"
    assert there.recv_into(buffer, nbytes=1, flags=socket.MSG_PEEK) == 1
    numbers = array.array("i", [0, 0])
    assert there.recv_into(numbers) == 8
    assert numbers.tobytes() == b"34567890"
    assert there.recv_into(bytearray()) == 0
    for bad, error in ((b"constant", BufferError), ("text", TypeError)):
        with pytest.raises((error, TypeError)):
            there.recv_into(bad)
    with pytest.raises(ValueError, match="negative"):
        there.recv_into(buffer, -1)
    with pytest.raises(ValueError, match="small"):
        there.recv_into(buffer, 9)
    rest = bytearray(200_000)
    assert there.recv_into(rest) == 100 - 21


def test_learning_to_wait_first_changes_nothing(pair):
    """A receiver that always has to wait, and then finds everything there: same results, in the same order."""
    here, there = pair
    received = []

    def receiver():
        while True:
            data = there.recv(10)
            if not data:
                return
            received.append(data)
            there.sendall(b".")

    job = gevent.spawn(receiver)
    for number in range(40):
        here.sendall(b"%d" % number)
        assert here.recv(10) == b"."
    assert received == [b"%d" % number for number in range(40)]
    # Now it waits before it looks. A call that must not wait does not.
    job.kill()
    here.sendall(b"there already")
    assert in_hub(there.recv, 100) == b"there already"
    with pytest.raises(BlockingIOError):
        there.recv(10, socket.MSG_DONTWAIT)
    here.sendall(b"abc")
    assert there.recv(2) == b"ab"
    assert there.recv(10) == b"c"
    there.setblocking(False)
    with pytest.raises(BlockingIOError):
        there.recv(10)
    here.sendall(b"d")
    assert there.recv(10) == b"d"


def test_blocking_call_in_the_hub(pair):
    """HUB-04: what would have to wait in a callback is refused; what need not wait works there."""
    here, there = pair
    assert isinstance(in_hub(there.recv, 10), gevent.hub.BlockingSwitchOutError)
    assert in_hub(here.send, b"x") == 1
    assert in_hub(there.recv, 10) == b"x"


# ---- Time limits -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, 0, 0.0, 1, 2.5, True, -1, -0.001, float("nan"), "1", b"1", [], 1e-9])
def test_settimeout_as_the_standard_one(closing, value):
    """SOK-03: accepted and refused values."""

    def describe(sock):
        try:
            sock.settimeout(value)
        except (TypeError, ValueError) as error:
            return type(error)
        return sock.gettimeout(), sock.timeout, sock.getblocking()

    # PyPy's takes NaN, for no time that anybody could name.
    expected = ValueError if value != value else describe(closing(stdlib.socket()))
    assert describe(closing(socket.socket())) == expected


def test_setblocking(closing):
    """SOK-03"""
    sock = closing(socket.socket())
    seen = []
    for flag in (False, True, 0, 1):
        sock.setblocking(flag)
        seen.append((sock.gettimeout(), sock.getblocking()))
    assert seen == [(0.0, False), (None, True), (0.0, False), (None, True)]


def test_default_timeout(closing):
    """SOK-03: setdefaulttimeout holds for new sockets, accepted ones included."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(7.5)
    try:
        server = closing(socket.create_server(("127.0.0.1", 0)))
        client = closing(socket.create_connection(server.getsockname()))
        accepted = closing(server.accept()[0])
        assert [each.gettimeout() for each in (server, client, accepted)] == [7.5, 7.5, 7.5]
    finally:
        socket.setdefaulttimeout(before)


def test_accepted_socket_does_not_inherit_the_timeout(closing, listener):
    """SOK-03: as the standard one."""
    listener.settimeout(5)
    closing(socket.create_connection(listener.getsockname()))
    assert closing(listener.accept()[0]).gettimeout() is None


def read_one(sock):
    with sock.makefile("rb", buffering=0) as file:
        return file.read(1)


TIMED = {
    "recv": lambda sock: sock.recv(1),
    "recv_into": lambda sock: sock.recv_into(bytearray(1)),
    "recvfrom": lambda sock: sock.recvfrom(1),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(1)),
    "recvmsg": lambda sock: sock.recvmsg(1),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(1)]),
    "send": lambda sock: sock.send(b"x"),
    "sendall": lambda sock: sock.sendall(b"x"),
    "sendmsg": lambda sock: sock.sendmsg([b"x"]),
    "makefile": lambda sock: read_one(sock),
}


@pytest.mark.parametrize("name", sorted(TIMED))
def test_time_limit(pair, name):
    """SOK-03: each call raises timeout after the limit, not before; then the socket is as good as before."""
    here, there = pair
    fill(here)
    here.settimeout(0.02)
    started = time.monotonic()
    with pytest.raises(socket.timeout, match=r"^timed out$") as caught:
        TIMED[name](here)
    assert time.monotonic() - started >= 0.02
    assert caught.type is socket.timeout
    there.sendall(b"answer")
    assert here.recv(10) == b"answer"


@pytest.mark.parametrize("name", sorted(set(TIMED) - {"makefile"}))
def test_timeout_0_never_waits(pair, name):
    """SOK-03, SOK-06: it raises BlockingIOError at once, without letting anybody else run; in the hub, too."""
    here, _there = pair
    fill(here)
    here.settimeout(0)
    order = []
    job = gevent.spawn(order.append, "other")
    with pytest.raises(BlockingIOError) as caught:
        TIMED[name](here)
    assert caught.value.errno == errno.EWOULDBLOCK
    assert order == []
    job.join()
    assert isinstance(in_hub(TIMED[name], here), BlockingIOError)


def test_accept_time_limits(listener):
    """SOK-03"""
    listener.settimeout(0.01)
    with pytest.raises(socket.timeout):
        listener.accept()
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_infinite_timeout_is_no_limit(pair):
    """As in gevent 1.1; the standard one refuses it."""
    here, there = pair
    there.settimeout(float("inf"))
    job = waiting(there.recv, 10)
    here.sendall(b"x")
    assert job.get() == b"x"


def test_send_takes_a_timeout(pair):
    """1.1's extra argument of send: it wins over the socket's own limit, either way."""
    here, there = pair
    fill(here)
    with pytest.raises(socket.timeout):
        here.send(b"x", 0, 0.01)
    with pytest.raises(BlockingIOError):
        here.send(b"x", timeout=0)
    for call in (here.send, here.sendall):
        with pytest.raises(BlockingIOError):
            call(b"x", socket.MSG_DONTWAIT)
    with pytest.raises(ValueError, match="out of range"):
        here.send(b"x", timeout=-1)
    here.settimeout(0.01)
    job = waiting(here.send, b"x", timeout=None)
    gevent.sleep(0.02)
    drain(there)
    assert job.get() == 1
    assert here.send(b"x", timeout=socket.timeout_default) == 1


def test_sendall_timeout_covers_the_whole_call(pair):
    """SOK-04: a reader that takes a little every now and then does not extend it."""
    here, there = pair
    here.settimeout(0.15)
    taken = []

    def slow_reader():
        while True:
            taken.append(len(there.recv(8192)))
            gevent.sleep(0.01)

    job = gevent.spawn(slow_reader)
    started = time.monotonic()
    with pytest.raises(socket.timeout):
        here.sendall(bytes(64 * 1024 * 1024))
    elapsed = time.monotonic() - started
    job.kill()
    assert 0.15 <= elapsed < 1.5
    assert len(taken) >= 3  # it did make progress while it waited


def test_sendall_of_nothing(pair):
    """SOK-04: it returns at once, though the socket is full; on a closed one it is an error, as in the standard one."""
    here, _there = pair
    fill(here)
    order = []
    job = gevent.spawn(order.append, "other")
    assert here.sendall(b"") is None
    assert here.sendall(bytearray()) is None
    here.settimeout(0)
    assert here.sendall(b"") is None
    assert order == []
    job.join()
    here.close()
    with pytest.raises(OSError) as caught:
        here.sendall(b"")
    assert caught.value.errno == errno.EBADF


def test_sendall_of_nothing_is_an_empty_datagram(closing):
    here, there = map(closing, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
    here.sendall(b"")
    assert there.recv(10) == b""


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int32), ("y", ctypes.c_int32)]


@pytest.mark.parametrize(
    "data",
    [
        b"\1\0\0\0\2\0\0\0",
        bytearray(b"\1\0\0\0\2\0\0\0"),
        memoryview(b"--\1\0\0\0\2\0\0\0--")[2:-2],
        array.array("i", [1, 2]),
        memoryview(array.array("i", [1, 2])),
        Point(1, 2),
        (ctypes.c_int32 * 2)(1, 2),
    ],
    ids=["bytes", "bytearray", "memoryview", "array", "memoryview of array", "ctypes structure", "ctypes array"],
)
def test_any_buffer_can_be_sent(pair, data):
    """SOK-05"""
    here, there = pair
    expected = struct.pack("=ii", 1, 2)
    here.sendall(data)
    assert here.send(data) == 8
    try:
        sent = here.sendmsg([data, data])
    except TypeError:
        # PyPy 3.11's own sockets refuse what ctypes makes there, and nowhere else.
        with pytest.raises(TypeError), stdlib.socket() as plain:
            plain.sendmsg([data])
        sent = here.sendmsg([bytes(data), bytes(data)])
    assert sent == 16
    assert there.recv(100) == expected * 4


MUCH = bytes(range(256)) * 4096


class Bytes(bytes):
    pass


@pytest.mark.parametrize(
    "data",
    [MUCH, Bytes(MUCH), bytearray(MUCH), memoryview(MUCH), memoryview(b"before" + MUCH + b"behind")[6:-6]],
    ids=["bytes", "a class of one's own", "bytearray", "memoryview", "part of bytes"],
)
def test_sendall_of_much(pair, data):
    """SOK-04: more than the kernel takes at once, which on PyPy is sent in another way if it is bytes."""
    here, there = pair
    job = gevent.spawn(here.sendall, data)
    job.link(lambda job: here.close())
    assert receive_all(there) == MUCH
    job.get()


def test_sendall_of_much_fails(pair):
    """SOK-04: a peer that has gone, no more room, an own descriptor that has been closed: the errors of a short one."""
    here, there = pair
    with pytest.raises(BlockingIOError):
        here.sendall(MUCH, socket.MSG_DONTWAIT)
    there.close()
    with pytest.raises(ConnectionError):
        here.sendall(MUCH)
    here.close()
    with pytest.raises(OSError) as caught:
        here.sendall(MUCH)
    assert caught.value.errno == errno.EBADF


def test_what_is_no_buffer(pair):
    """SOK-01: text and numbers are refused."""
    for bad in ("text", 5, None, [b"x"]):
        for call in (pair[0].send, pair[0].sendall, lambda data: pair[0].sendmsg([data])):
            with pytest.raises(TypeError):
                call(bad)


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="PyPy lets a bytearray that a memoryview looks at be resized")
def test_buffer_cannot_be_resized_while_it_is_sent(pair):
    here, there = pair
    data = bytearray(1 << 20)
    job = waiting(here.sendall, data)
    with pytest.raises(BufferError):
        data.clear()
    receive_until(there, 1 << 20)
    job.get()
    data.clear()


# ---- Datagrams, messages, files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "host"),
    [(socket.AF_INET, "127.0.0.1"), pytest.param(socket.AF_INET6, "::1", marks=needs_ipv6)],
    ids=["IPv4", "IPv6"],
)
def test_datagrams(closing, family, host):
    """SOK-01: sendto and recvfrom with numeric addresses; what is longer than asked for is cut off."""
    here = closing(socket.socket(family, socket.SOCK_DGRAM))
    there = closing(socket.socket(family, socket.SOCK_DGRAM))
    there.bind((host, 0))
    here.bind((host, 0))
    job = waiting(there.recvfrom, 100)
    assert here.sendto(b"first", there.getsockname()) == 5
    assert job.get() == (b"first", here.getsockname())
    assert here.sendto(b"second", 0, there.getsockname()[:2]) == 6
    assert there.recvfrom(3) == (b"sec", here.getsockname())
    here.sendto(b"x" * 60_000, there.getsockname())
    assert there.recvfrom(100_000) == (b"x" * 60_000, here.getsockname())
    buffer = bytearray(10)
    here.sendto(b"third", there.getsockname())
    assert there.recvfrom_into(buffer) == (5, here.getsockname())
    assert buffer == b"third" + bytes(5)
    here.connect(there.getsockname())
    here.send(b"connected")
    assert there.recv(100) == b"connected"
    with pytest.raises(BlockingIOError):
        there.recvfrom(10, socket.MSG_DONTWAIT)


_ODD_ERRORS = () if REFERENCE_COUNTING else (ValueError,)  # PyPy's sockets unpack addresses, whatever is in them


def test_sendto_arguments(closing):
    """SOK-01: the errors of the standard one."""
    here = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    plain = closing(stdlib.socket(stdlib.AF_INET, stdlib.SOCK_DGRAM))
    for arguments in [
        (),
        (b"x",),
        (b"x", 0),
        (b"x", 0, 0, ("127.0.0.1", 1)),
        ("text", ("127.0.0.1", 1)),
        (b"x", ("127.0.0.1",)),
        (b"x", ("127.0.0.1", "1")),
        (b"x", ("127.0.0.1", 70000)),
        (b"x", ("127.0.0.1", -1)),
        (b"x", "0", ("127.0.0.1", 1)),
        (b"x", [("127.0.0.1", 1)]),
    ]:
        seen = []
        for sock in (here, plain):
            try:
                seen.append(sock.sendto(*arguments))
            except (TypeError, OverflowError, OSError, *_ODD_ERRORS) as error:
                seen.append(type(error))
        assert seen[0] == seen[1] or (_ODD_ERRORS and all(isinstance(each, type) for each in seen)), arguments


def test_sendto_resolves_cooperatively(closing, resolver):
    """SOK-11 for datagrams: looking up a host name lets others run."""
    fake = resolver(somewhere=[(socket.AF_INET, "127.0.0.1")])
    here = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    there = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    there.bind(("127.0.0.1", 0))
    order = []
    job = gevent.spawn(order.append, "other")
    here.sendto(b"hello", ("somewhere", there.getsockname()[1]))
    assert order == ["other"]
    assert there.recv(10) == b"hello"
    assert [each[0] for each in fake.asked] == ["somewhere"]
    with pytest.raises(socket.gaierror):
        here.sendto(b"hello", ("nowhere", 1))
    job.join()


def test_sendto_honours_non_blocking(closing, tmp_path):
    """SOK-06: with timeout 0 a full receiver gives EWOULDBLOCK; with none, sendto waits for room."""
    receiver = closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    receiver.bind(str(tmp_path / "receiver"))
    sender = closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    sender.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError) as caught:
        while True:
            sender.sendto(b"x", receiver.getsockname())
            sent += 1
    assert caught.value.errno == errno.EWOULDBLOCK
    assert sent > 0
    sender.settimeout(0.01)
    with pytest.raises(socket.timeout):
        sender.sendto(b"x", receiver.getsockname())
    with pytest.raises(BlockingIOError):
        sender.sendto(b"x", socket.MSG_DONTWAIT, receiver.getsockname())
    sender.settimeout(None)
    sender.connect(receiver.getsockname())  # the kernel tells a sender of room only in the one it is connected to
    job = waiting(sender.sendto, b"last", receiver.getsockname())
    assert [receiver.recv(10) for _ in range(sent)] == [b"x"] * sent
    assert job.get() == 4
    assert receiver.recv(10) == b"last"


def test_descriptors_in_messages(pair, tmp_path):
    """SOK-07: sendmsg and recvmsg with ancillary data, waiting or not; send_fds and recv_fds where there are any."""
    here, there = pair
    path = tmp_path / "file"
    path.write_text("passed on")
    with open(path) as file:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))]
        job = waiting(there.recvmsg, 100, socket.CMSG_LEN(4))
        assert here.sendmsg([b"one", b"two"], rights) == 6
        data, ancillary, _flags, _address = job.get()
        assert data == b"onetwo"
        [(level, kind, raw)] = ancillary
        assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        with open(struct.unpack("i", raw)[0]) as copy_of_file:
            assert copy_of_file.read() == "passed on"
        if hasattr(stdlib, "send_fds"):
            assert socket.send_fds(here, [b"fds"], [file.fileno()]) == 3
            data, [fd], _flags, _address = socket.recv_fds(there, 100, 5)
            os.close(fd)
            assert data == b"fds"


def test_messages(pair):
    """SOK-07: gathering and scattering, generators, MSG_DONTWAIT, more buffers than fit on the stack, none at all."""
    here, there = pair
    assert here.sendmsg([b"ab", b"", bytearray(b"cd")]) == 4
    assert here.sendmsg(each for each in (b"ef", b"gh")) == 4
    assert here.sendmsg([b"%02d" % number for number in range(40)]) == 80
    first, second = bytearray(3), bytearray(7)
    assert there.recvmsg_into([first, second])[0] == 10
    assert (first, second) == (b"abc", b"defgh00")
    assert there.recvmsg_into(iter([first]))[0] == 3
    drained = there.recvmsg(1000)[0]
    assert drained == b"".join(b"%02d" % number for number in range(40))[5:]
    job = waiting(there.recvmsg_into, iter([first]))
    here.sendall(b"xyz")
    assert (job.get()[0], first) == (3, b"xyz")
    with pytest.raises(BlockingIOError):
        there.recvmsg(10, 0, socket.MSG_DONTWAIT)
    with pytest.raises(BlockingIOError):
        there.recvmsg_into([bytearray(1)], 0, socket.MSG_DONTWAIT)
    fill(here)
    with pytest.raises(BlockingIOError):
        here.sendmsg([b"x"], [], socket.MSG_DONTWAIT)
    with pytest.raises(BlockingIOError):
        here.sendmsg([b"x"] * 40, [], socket.MSG_DONTWAIT)
    for call in (lambda: here.sendmsg(b"text"), lambda: here.sendmsg(5), lambda: there.recvmsg_into(bytearray(5))):
        with pytest.raises(TypeError):
            call()


def test_messages_to_an_address(closing):
    """SOK-07"""
    here = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    there = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    there.bind(("127.0.0.1", 0))
    assert here.sendmsg([b"a", b"b"], [], 0, there.getsockname()) == 2
    assert there.recvmsg(10)[0] == b"ab"
    assert here.sendmsg([b"c"], [], 0, ("localhost", there.getsockname()[1])) == 1
    assert there.recvmsg(10)[0] == b"c"


@pytest.fixture
def big_file(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(os.urandom(1_500_000))
    return path


@pytest.mark.parametrize("method", ["sendfile", "_sendfile_use_send"], ids=["kernel", "copying"])
@pytest.mark.parametrize(
    ("offset", "count"), [(0, None), (1000, None), (0, 700_000), (5, 7), (1_400_000, 700_000), (2_000_000, None)], ids=str
)
def test_sendfile(tcp, big_file, method, offset, count):
    """SOK-08: from an offset, a number of bytes; other greenlets run; the file's position is behind what was sent."""
    here, there = tcp
    content = big_file.read_bytes()
    expected = content[offset:] if count is None else content[offset : offset + count]
    job = gevent.spawn(receive_all, there)
    with open(big_file, "rb") as file:
        assert getattr(here, method)(file, offset, count) == len(expected)
        if expected:
            assert file.tell() == offset + len(expected)
    here.close()
    assert job.get() == expected


def test_sendfile_without_a_descriptor(pair):
    """SOK-08: what only reads like a file is copied."""
    here, there = pair
    assert here.sendfile(io.BytesIO(b"0123456789"), offset=2, count=5) == 5
    assert there.recv(100) == b"23456"
    assert here.sendfile(io.BytesIO()) == 0


def test_sendfile_refuses(closing, pair, big_file):
    """SOK-08: text files, datagram sockets, non-blocking sockets, nonsense as count."""
    here, _there = pair
    with open(big_file, encoding="latin-1") as text, pytest.raises(ValueError, match="binary"):
        here.sendfile(text)
    datagrams = closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with open(big_file, "rb") as file:
        with pytest.raises(ValueError, match="SOCK_STREAM"):
            datagrams.sendfile(file)
        for bad, error in ((0, ValueError), (-1, ValueError), ("5", TypeError), (1.5, TypeError)):
            with pytest.raises(error, match="positive"):
                here.sendfile(file, count=bad)
        here.settimeout(0)
        with pytest.raises(ValueError, match="non-blocking"):
            here.sendfile(file)


def test_sendfile_times_out(pair, big_file):
    """SOK-08: each wait has the socket's time limit; the file's position tells how much was sent."""
    here, there = pair
    here.settimeout(0.02)
    with open(big_file, "rb") as file:
        with pytest.raises(socket.timeout):
            here.sendfile(file)
        sent = file.tell()
    assert 0 < sent < 1_500_000
    here.close()
    assert receive_all(there) == big_file.read_bytes()[:sent]


def test_inheritable(pair):
    """SOK-09"""
    here, _there = pair
    seen = [here.get_inheritable()]
    here.set_inheritable(True)
    seen += [here.get_inheritable(), os.get_inheritable(here.fileno())]
    here.set_inheritable(False)
    seen.append(here.get_inheritable())
    assert seen == [False, True, True, False]


# ---- makefile --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "w", "rw", "b", "rb", "wb", "rwb", "wrb"])
@pytest.mark.parametrize("buffering", [None, -1, 0, 1, 100])
def test_makefile_as_the_standard_one(pair, mode, buffering):
    """SOK-10: the same kinds of files, and the same errors."""
    plain = stdlib.socket(fileno=os.dup(pair[0].fileno()))

    def describe(sock):
        try:
            with sock.makefile(mode, buffering) as file:
                return type(file), file.readable(), file.writable(), getattr(file, "mode", None)
        except ValueError as error:
            return str(error)

    try:
        assert describe(pair[0]) == describe(plain)
    finally:
        plain.close()
    with pytest.raises(ValueError, match="invalid mode"):
        pair[0].makefile("x")


def test_makefile_keeps_the_socket_open(pair):
    """SOK-10"""
    here, there = pair
    writer = here.makefile("w", encoding="utf-8", newline="\r\n")
    reader = there.makefile("r", encoding="utf-8")
    fd = here.fileno()
    here.close()
    there.close()
    assert (here.closed, here.fileno(), there.fileno() >= 0) == (True, fd, True)
    writer.write("grün\nund blau\n")
    writer.flush()
    assert [reader.readline(), reader.readline()] == ["grün\n", "und blau\n"]
    writer.close()
    assert here.fileno() == -1
    assert reader.read() == ""
    reader.close()
    assert there.fileno() == -1


def test_makefile_keeps_the_timeout(pair):
    """SOK-10: its reads are limited by the socket's time limit, also one that is set later."""
    here, there = pair
    there.settimeout(0.01)
    with there.makefile("rb") as file:
        with pytest.raises(socket.timeout):
            file.readline()
        with pytest.raises(OSError, match="timed out object"):
            file.readline()
    with there.makefile("rb", buffering=0) as raw:
        there.settimeout(0)
        assert raw.read(1) is None  # as io's non-blocking files
        there.settimeout(None)
        here.sendall(b"x")
        assert raw.read(1) == b"x"


def test_makefile_lines_between_greenlets(pair):
    here, there = pair
    lines = [b"%d\n" % number for number in range(1000)]

    def produce():
        with here, here.makefile("wb") as file:
            for line in lines:
                file.write(line)

    job = gevent.spawn(produce)
    with there.makefile("rb") as file:
        assert list(file) == lines
    job.get()


# ---- Connecting ------------------------------------------------------------------------------------------------------------------


def test_connect_resolves_cooperatively(closing, listener, resolver):
    """SOK-11: looking up a host name lets others run; a gaierror passes, from connect_ex too."""
    fake = resolver(somewhere=[(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")])
    order = []
    job = gevent.spawn(order.append, "other")
    sock = closing(socket.socket())
    sock.connect(("somewhere", listener.getsockname()[1]))
    assert order == ["other"]
    assert fake.asked == [("somewhere", None, socket.AF_INET, 0)]
    assert sock.getpeername() == listener.getsockname()
    other = closing(socket.socket())
    assert other.connect_ex(("somewhere", listener.getsockname()[1])) == 0
    for call in (socket.socket.connect, socket.socket.connect_ex):
        with pytest.raises(socket.gaierror):
            call(closing(socket.socket()), ("nowhere", 1))
    job.join()


def test_connect_numeric_asks_nobody(closing, listener, resolver):
    fake = resolver()
    closing(socket.socket()).connect(listener.getsockname())
    assert fake.asked == []


def test_connect_refused(closing, listener):
    """SOK-11: connect raises, connect_ex returns the errno."""
    address = listener.getsockname()
    listener.close()
    with pytest.raises(ConnectionRefusedError) as caught:
        closing(socket.socket()).connect(address)
    assert caught.value.errno == errno.ECONNREFUSED
    assert closing(socket.socket()).connect_ex(address) == errno.ECONNREFUSED
    sock = closing(socket.socket())
    sock.settimeout(5)
    assert sock.connect_ex(address) == errno.ECONNREFUSED


@needs_linux
def test_connect_times_out(closing, unresponsive):
    """SOK-11: connect raises timeout, connect_ex returns EAGAIN; with timeout 0 it is EINPROGRESS at once."""
    sock = closing(socket.socket())
    sock.settimeout(0.02)
    with pytest.raises(socket.timeout, match="timed out"):
        sock.connect(unresponsive)
    sock = closing(socket.socket())
    sock.settimeout(0.02)
    assert sock.connect_ex(unresponsive) == errno.EAGAIN
    sock = closing(socket.socket())
    sock.settimeout(0)
    assert sock.connect_ex(unresponsive) == errno.EINPROGRESS
    assert sock.connect_ex(unresponsive) == errno.EALREADY
    sock.settimeout(0.02)
    assert sock.connect_ex(unresponsive) == errno.EAGAIN  # it waited for the attempt that was under way
    with pytest.raises(BlockingIOError):
        closing(socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)).connect(unresponsive)


def test_connect_non_blocking_then_wait(closing, listener):
    """SOK-03: a non-blocking connect is completed by waiting for writing."""
    sock = closing(socket.socket())
    sock.setblocking(False)
    assert sock.connect_ex(listener.getsockname()) in (0, errno.EINPROGRESS)
    socket.wait_write(sock.fileno(), timeout=5)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert sock.getpeername() == listener.getsockname()
    sock.setblocking(True)
    assert sock.connect_ex(listener.getsockname()) == 0  # Linux tells the first time that it is connected, and then:
    with pytest.raises(OSError) as caught:
        sock.connect(listener.getsockname())
    assert caught.value.errno == errno.EISCONN


def test_connect_arguments(closing):
    """SOK-01: the errors of the standard one."""
    for family, address in [
        (socket.AF_INET, None),
        (socket.AF_INET, "127.0.0.1:80"),
        (socket.AF_INET, ("127.0.0.1",)),
        (socket.AF_INET, ("127.0.0.1", "80")),
        (socket.AF_INET, ("127.0.0.1", 65536)),
        (socket.AF_INET, ("127.0.0.1", -1)),
        (socket.AF_INET, ["127.0.0.1", 80]),
        (socket.AF_INET, (5, 80)),
        (socket.AF_INET6, ("::1", 80, -1)),
        (socket.AF_INET6, ("::1", 80, 0, 0, 0)),
        (socket.AF_UNIX, "x" * 200),
        (socket.AF_UNIX, 5),
    ]:
        seen = []
        for make in (socket.socket, stdlib.socket):
            sock = closing(make(family))
            try:
                seen.append(sock.connect(address))
            except (TypeError, OverflowError, OSError, *_ODD_ERRORS) as error:
                seen.append(type(error))
        assert seen[0] == seen[1] or (_ODD_ERRORS and all(isinstance(each, type) for each in seen)), (family, address)


def test_create_connection(closing, listener):
    """SOK-12: it connects, with the time limit and from the address that were asked for."""
    sock = closing(socket.create_connection(("localhost", listener.getsockname()[1]), 5, ("127.0.0.1", 0)))
    assert sock.getpeername() == listener.getsockname()
    assert sock.gettimeout() == 5
    assert closing(socket.create_connection(listener.getsockname())).gettimeout() is None
    assert closing(socket.create_connection(listener.getsockname(), timeout=None)).gettimeout() is None
    bound = closing(socket.socket())
    bound.bind(("127.0.0.1", 0))
    with pytest.raises(OSError) as caught:
        socket.create_connection(listener.getsockname(), source_address=bound.getsockname())
    assert caught.value.errno == errno.EADDRINUSE


def test_create_connection_asks_for_ipv6_only_where_supported(closing, listener, resolver, monkeypatch):
    """SOK-12"""
    fake = resolver(host=[(socket.AF_INET, "127.0.0.1")])
    port = listener.getsockname()[1]
    monkeypatch.setattr(socket, "has_ipv6", True)
    closing(socket.create_connection(("host", port)))
    monkeypatch.setattr(socket, "has_ipv6", False)
    closing(socket.create_connection(("host", port)))
    assert [each[2] for each in fake.asked] == [0, socket.AF_INET]


def test_create_connection_errors(listener, resolver):
    """SOK-12: all addresses are tried; the last error is raised, or a group of all of them."""
    closed = listener.getsockname()[1]
    listener.close()
    resolver(
        refused_last=[(socket.AF_INET, "255.255.255.255"), (socket.AF_INET, "127.0.0.1")],
        refused_first=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "255.255.255.255")],
        nothing=[],
    )
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("refused_last", closed))
    with pytest.raises(OSError) as caught:
        socket.create_connection(("refused_first", closed))
    assert caught.value.errno != errno.ECONNREFUSED
    with pytest.raises(socket.gaierror):
        socket.create_connection(("nothing", closed))
    if sys.version_info >= (3, 11):
        with pytest.raises(ExceptionGroup) as group:  # noqa: F821
            socket.create_connection(("refused_first", closed), all_errors=True)
        assert type(group.value.exceptions[0]) is ConnectionRefusedError
        assert len(group.value.exceptions) == 2
    else:
        with pytest.raises(OSError):
            socket.create_connection(("refused_first", closed), all_errors=True)
    caught = group = None
    collect_garbage()


def test_create_connection_closes_what_did_not_connect(unresponsive):
    """No descriptor is left, whether it fails or is killed."""
    with pytest.raises(socket.timeout):
        socket.create_connection(unresponsive, timeout=0.01)
    job = waiting(socket.create_connection, unresponsive)
    job.kill()
    assert isinstance(job.value, gevent.GreenletExit)


def test_create_server(closing):
    """SOK-01: as the standard one, but what it makes waits in greenlets."""
    server = closing(socket.create_server(("127.0.0.1", 0), backlog=5))
    assert type(server) is socket.socket
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
    job = waiting(server.accept)
    client = closing(socket.create_connection(server.getsockname()))
    assert closing(job.get()[0]).getpeername() == client.getsockname()
    with pytest.raises(OSError, match="while attempting to bind on address") as caught:
        socket.create_server(server.getsockname())
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(ValueError, match="AF_INET6"):
        socket.create_server(("127.0.0.1", 0), dualstack_ipv6=True)
    first = closing(socket.create_server(("127.0.0.1", 0), reuse_port=True))
    closing(socket.create_server(first.getsockname(), reuse_port=True))


@needs_ipv6
def test_create_server_dual_stack(closing):
    server = closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    port = server.getsockname()[1]
    for host in ("127.0.0.1", "::1"):
        closing(socket.create_connection((host, port)))
        sock, address = server.accept()
        closing(sock)
        assert address[0].endswith(host)
    only6 = closing(socket.create_server(("::1", 0), family=socket.AF_INET6))
    assert only6.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


@needs_ipv6
def test_ipv6_addresses(closing):
    """SOK-01: four-tuples with flow and scope, as the standard one shows them."""
    server = closing(socket.create_server(("::1", 0), family=socket.AF_INET6))
    plain = stdlib.socket(fileno=os.dup(server.fileno()))
    closing(plain)
    assert server.getsockname() == plain.getsockname()
    for address in (server.getsockname(), server.getsockname()[:2], server.getsockname()[:3]):
        client = closing(socket.socket(socket.AF_INET6))
        client.connect(address)
        sock, peer = server.accept()
        closing(sock)
        assert peer == client.getsockname() == stdlib.socket.getpeername(closing(stdlib.socket(fileno=os.dup(sock.fileno()))))


def test_unix_addresses(closing, tmp_path):
    """SOK-01: paths as text and bytes, no address, abstract addresses."""
    paths = [str(tmp_path / "text"), os.fsencode(tmp_path / "bytes")]
    if LINUX:
        paths.append(b"\0gevent-test-%d" % os.getpid())
    for path in paths:
        server = closing(socket.socket(socket.AF_UNIX))
        server.bind(path)
        server.listen()
        plain = closing(stdlib.socket(fileno=os.dup(server.fileno())))
        assert server.getsockname() == plain.getsockname()
        client = closing(socket.socket(socket.AF_UNIX))
        client.connect(path)
        sock, address = server.accept()
        closing(sock)
        assert address == client.getsockname() == ""
        assert client.getpeername() == server.getsockname()
        sock.sendall(b"x")
        assert client.recvfrom(10) == closing_recvfrom(client, sock)


def closing_recvfrom(client, sock):
    """What the standard socket says of the same."""
    sock.sendall(b"x")
    plain = stdlib.socket(fileno=os.dup(client.fileno()))
    try:
        return plain.recvfrom(10)
    finally:
        plain.close()


@needs_linux
def test_unix_connect_waits_for_a_full_backlog(closing, tmp_path):
    """A blocking connect waits until the listener has room: the kernel only says EAGAIN."""
    server = closing(socket.socket(socket.AF_UNIX))
    server.bind(str(tmp_path / "server"))
    server.listen(0)
    queued, error = 0, 0
    while not error:
        hasty = closing(socket.socket(socket.AF_UNIX))
        hasty.settimeout(0)
        error = hasty.connect_ex(server.getsockname())
        queued += not error
    assert error == errno.EAGAIN
    assert queued in (1, 2)  # PyPy asks for a backlog of 1 at least
    late = closing(socket.socket(socket.AF_UNIX))
    late.settimeout(0.02)
    with pytest.raises(socket.timeout):
        late.connect(server.getsockname())
    second = closing(socket.socket(socket.AF_UNIX))
    job = waiting(second.connect, server.getsockname())
    closing(server.accept()[0])
    job.get()
    for _ in range(queued):
        closing(server.accept()[0])


@needs_linux
def test_family_without_a_fast_path(closing):
    """A family whose addresses only the native socket knows works the same."""
    try:
        sock = closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
        plain = closing(stdlib.socket(stdlib.AF_NETLINK, stdlib.SOCK_RAW, 0))
        sock.bind((0, 0))
        plain.bind((0, 0))
    except OSError as error:
        pytest.skip(f"no netlink sockets here: {error}")
    assert sock.getsockname()[1] == plain.getsockname()[1] == 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_RAW
    # RTM_GETLINK (18) with NLM_F_REQUEST | NLM_F_DUMP: the kernel lists the network interfaces.
    request = struct.pack("=IHHIIBBHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0, 0)
    assert sock.sendto(request, (0, 0)) == 32
    data, address = sock.recvfrom(65536)
    assert (len(data) > 16, address[0]) == (True, 0)
    sock.settimeout(0)
    with pytest.raises(BlockingIOError):
        while True:
            sock.recvfrom(65536)


# ---- Options, descriptors, other functions ---------------------------------------------------------------------------------------


def test_socket_options(closing):
    """SOK-01: numbers, bytes, and the errors."""
    sock = closing(socket.socket())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, False)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 3))
    assert struct.unpack("ii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == (1, 3)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    with pytest.raises(OSError) as caught:
        sock.setsockopt(socket.SOL_SOCKET, 9999, 1)
    assert caught.value.errno == errno.ENOPROTOOPT
    with pytest.raises(OSError):
        sock.getsockopt(socket.SOL_SOCKET, 9999)
    plain = closing(stdlib.socket())
    for arguments in [
        *([(1,), (1, 2)] if REFERENCE_COUNTING else []),  # PyPy's own crashes (3.11)
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, "1"),
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 << 40),
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, None, 4),
        (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1, 4),
        ("1", 2, 3),
        (1.5, 2, 3),
    ]:
        seen = []
        for each in (sock, plain):
            try:
                seen.append(each.setsockopt(*arguments))
            except (TypeError, OverflowError, OSError) as error:
                seen.append(type(error))
        assert seen[0] == seen[1], arguments


def test_dup(pair):
    """SOK-01: a duplicate works on its own, with the same time limit, and is not inherited."""
    here, there = pair
    here.settimeout(3)
    other = here.dup()
    assert other.fileno() != here.fileno()
    assert (type(other), other.gettimeout(), other.get_inheritable()) == (socket.socket, 3.0, False)
    here.close()
    other.sendall(b"x")
    assert there.recv(10) == b"x"
    other.close()
    assert there.recv(10) == b""


def test_detach(pair):
    """SOK-01: the descriptor stays open; the socket is as good as closed."""
    here, there = pair
    here.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)  # makes the native object
    fd = here.fileno()
    assert here.detach() == fd
    assert (here.fileno(), here.closed) == (-1, True)
    assert here.detach() == -1
    here.close()
    with socket.socket(fileno=fd) as again:
        again.sendall(b"x")
        assert there.recv(10) == b"x"


def test_fromfd(pair):
    """SOK-01: over a duplicate; the original stays."""
    here, there = pair
    with socket.fromfd(here.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as other:
        assert (type(other), other.fileno() != here.fileno()) == (socket.socket, True)
        other.sendall(b"x")
    assert there.recv(10) == b"x"
    here.sendall(b"y")
    assert there.recv(10) == b"y"


def test_socketpair(closing):
    """SOK-01"""
    for arguments in [(), (socket.AF_UNIX,), (None, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM, 0)]:
        here, there = map(closing, socket.socketpair(*arguments))
        assert (type(here), type(there)) == (socket.socket, socket.socket)
        job = waiting(there.recv, 10)
        here.send(b"x")
        assert job.get() == b"x"
    with pytest.raises(OSError):
        socket.socketpair(socket.AF_INET)


def test_resolver_functions(resolver):
    """DNS-01: all five go through the hub's resolver, and so does getfqdn."""
    resolver(host=[(socket.AF_INET, "192.0.2.1")])
    assert socket.gethostbyname("host") == ("gethostbyname", "host")
    assert socket.gethostbyname_ex("host") == ("gethostbyname_ex", "host")
    assert socket.gethostbyaddr("host")[0] == "host"
    assert socket.getnameinfo(("192.0.2.1", 80), 5) == ("getnameinfo", ("192.0.2.1", 80), 5)
    [found] = socket.getaddrinfo("host", 80)
    assert found == (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))
    assert [type(each) for each in found[:2]] == [socket.AddressFamily, socket.SocketKind]
    assert socket.getfqdn("host") == "host.example"
    assert socket.getfqdn("host.with.dots ") == "host.with.dots"
    assert socket.getfqdn("unknown") == "unknown"
    assert (
        socket.getfqdn("0.0.0.0")
        == socket.getfqdn()
        == socket.getfqdn("")
        == (socket.gethostname() if "." in socket.gethostname() else f"{socket.gethostname()}.example")
    )


def test_blocking_resolver():
    """DNS-02: the class behind GEVENT_RESOLVER=block."""
    blocking = socket.BlockingResolver()
    assert blocking.gethostbyname("127.0.0.1") == "127.0.0.1"
    assert blocking.getaddrinfo("127.0.0.1", 80, 0, socket.SOCK_STREAM)[0][4] == ("127.0.0.1", 80)
    own_words = "expected integer, got str" if sys.implementation.name == "pypy" else "must be a tuple"  # the interpreter's
    for ask, message in (socket.getnameinfo, "must be a tuple"), (blocking.getnameinfo, own_words):
        with pytest.raises(TypeError, match=message):
            ask("127.0.0.1", 0)
    assert blocking.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV) == ("127.0.0.1", "80")
    assert socket.BlockingResolver(hub=get_hub()).close() is None


# ---- Waiting for descriptors -----------------------------------------------------------------------------------------------------


def test_wait_read_and_write(pair):
    """SOK-15"""
    here, there = pair
    order = []
    job = waiting(lambda: order.append(socket.wait_read(there.fileno())))
    assert order == []
    here.send(b"x")
    job.get()
    assert order == [None]
    assert socket.wait_write(here.fileno()) is None
    assert socket.wait_write(here.fileno(), 1, event=None) is None
    assert socket.wait_readwrite(there.fileno(), timeout=1) is None
    fill(here)
    job = waiting(socket.wait_write, here.fileno(), timeout=5)
    drain(there)
    job.get()


@pytest.mark.parametrize("function", [socket.wait_read, socket.wait_write, socket.wait_readwrite])
def test_wait_times_out(pair, function):
    """SOK-15: timeout_exc is raised, socket.timeout by default; with None it is a gevent.Timeout."""
    here, _there = pair
    fill(here)
    started = time.monotonic()
    with pytest.raises(socket.timeout, match="timed out"):
        function(here.fileno(), 0.01)
    assert time.monotonic() - started >= 0.01
    with pytest.raises(KeyError):
        function(here.fileno(), timeout=0.001, timeout_exc=KeyError)
    error = OSError("mine")
    with pytest.raises(OSError) as caught:
        function(here.fileno(), timeout=0.001, timeout_exc=error)
    assert caught.value is error
    with pytest.raises(gevent.Timeout):
        function(here.fileno(), timeout=0.001, timeout_exc=None)


def test_wait_refuses_bad_descriptors():
    """SOK-15: no spurious TypeError, and the right one for what is no descriptor."""
    for bad in ("0", None):
        with pytest.raises(TypeError):
            socket.wait_read(bad)
    with pytest.raises((ValueError, OverflowError)):
        socket.wait_read(-1)


def test_wait_for_a_watcher(pair):
    """SOK-15, HUB-05: wait takes a watcher, for one greenlet at a time; cancel_wait ends it with EBADF or what is asked for."""
    here, there = pair
    watcher = get_hub().loop.io(there.fileno(), 1)
    try:
        with pytest.raises(socket.timeout):
            socket.wait(watcher, timeout=0.001)
        with pytest.raises(KeyError):
            socket.wait(watcher, 0.001, KeyError)
        job = waiting(socket.wait, watcher)
        with pytest.raises(ConcurrentObjectUseError):
            socket.wait(watcher)
        here.send(b"x")
        job.get()
        there.recv(1)

        def wait_and_catch():
            try:
                socket.wait(watcher, timeout=5)
            except (OSError, KeyError) as error:
                return error

        job = waiting(wait_and_catch)
        socket.cancel_wait(watcher)
        assert not job.ready()
        assert job.get().errno == errno.EBADF
        job = waiting(wait_and_catch)
        socket.cancel_wait(watcher, KeyError("mine"))
        assert repr(job.get()) == "KeyError('mine')"
        assert socket.cancel_wait_ex.errno == errno.EBADF
        socket.cancel_wait(watcher)  # nobody waits
        here.send(b"x")
        assert socket.wait(watcher, hub=get_hub()) is None
        assert socket.wait(watcher=watcher, timeout=5) is None  # as upstream calls the argument
        for mistake in ({}, {"io": watcher, "watcher": watcher}):
            with pytest.raises(TypeError, match="takes one watcher"):
                socket.wait(**mistake)
    finally:
        watcher.close()


# ---- Loop and threads ------------------------------------------------------------------------------------------------------------


def test_ref():
    """SOK-16: a greenlet that waits on a socket with ref=False does not keep gevent.wait() from returning; with ref, it does."""
    done = run_script(
        """
import gevent
from gevent import socket
here, there = socket.socketpair()
assert there.ref is True
there.ref = False
assert there.ref is False
job = gevent.spawn(there.recv, 10)
print(gevent.wait(timeout=5), job.ready())
job.kill()
there.settimeout(30)
job = gevent.spawn(there.recv, 10)
print(gevent.wait(timeout=5), job.ready())
job.kill()
there.settimeout(None)
there.ref = True
job = gevent.spawn(there.recv, 10)
print(gevent.wait(timeout=0.01), job.ready())
job.kill()
here.close(); there.close()
"""
    )
    assert done.check().stdout.splitlines() == ["True False", "True False", "False False"]


def test_sockets_belong_to_their_thread(pair):
    """SOK-14: a greenlet of another native thread cannot wait on the socket, and does no harm by trying."""
    here, there = pair
    job = waiting(there.recv, 100)
    seen = []

    def other_thread():
        for attempt in (lambda: there.recv(10), lambda: there.recv_into(bytearray(5))):
            try:
                seen.append(attempt())
            except (ConcurrentObjectUseError, RuntimeError) as error:
                seen.append(type(error).__mro__[-3])
        get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=other_thread)
    thread.start()
    thread.join()
    here.sendall(b"still works")
    assert job.get() == b"still works"
    assert seen == [Exception, Exception]

    def waits_alone():
        try:
            there.recv(10)
        except RuntimeError as error:
            seen.append(str(error))
        get_hub().destroy(destroy_loop=True)

    thread = threading.Thread(target=waits_alone)
    thread.start()
    thread.join()
    assert "native thread" in seen[2]
    assert repr(there) in seen[2]


def test_several_threads_with_sockets_of_their_own():
    """ALL-05: each native thread has its hub; connections between them work."""
    server = socket.create_server(("127.0.0.1", 0))
    answers = []

    def client(number):
        with socket.create_connection(server.getsockname()) as sock:
            for round in range(20):
                sock.sendall(b"%d-%d" % (number, round))
                answers.append((number, round, sock.recv(100)))
        get_hub().destroy(destroy_loop=True)

    def echo(sock):
        with sock:
            while True:
                data = sock.recv(100)
                if not data:
                    return
                sock.sendall(data)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    with server:
        jobs = [gevent.spawn(echo, server.accept()[0]) for _ in threads]
        gevent.joinall(jobs, raise_error=True)
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(number, round, b"%d-%d" % (number, round)) for number in range(3) for round in range(20)]


def test_socket_outlives_its_hub():
    """A socket that waited in a loop that was destroyed waits in the thread's next one."""
    done = run_script(
        """
import gevent
from gevent import socket
here, there = socket.socketpair()
gevent.spawn(there.recv, 10)
gevent.sleep(0)
here.send(b"x")
gevent.sleep(0.01)
gevent.get_hub().destroy(destroy_loop=True)
job = gevent.spawn(there.recv, 10)
gevent.sleep(0)
here.send(b"y")
print(job.get())
here.close(); there.close()
"""
    )
    assert done.check().stdout == "b'y'\n"


def test_second_waiter_is_told():
    """SOK-18, HUB-05: one greenlet per direction; reading and writing at once is fine."""
    here, there = socket.socketpair()
    with here, there:
        fill(here)
        reader = waiting(here.recv, 10)
        writer = waiting(here.sendall, b"x")
        for call in (lambda: here.recv(1), lambda: here.recvmsg(1), lambda: here.makefile("rb").read(1)):
            with pytest.raises(ConcurrentObjectUseError) as caught:
                call()
            assert repr(here) in str(caught.value)
            assert repr(reader) in str(caught.value)
            assert "for reading" in str(caught.value)
        for call in (lambda: here.send(b"y"), lambda: here.sendall(b"y"), lambda: here.sendmsg([b"y"])):
            with pytest.raises(ConcurrentObjectUseError, match="for writing") as caught:
                call()
            assert repr(writer) in str(caught.value)
        there.sendall(b"to the reader")
        assert reader.get() == b"to the reader"[:10]
        drain(there)
        writer.get()


TEN_THOUSAND = """
import resource
import subprocess
import sys
import gevent
from gevent import socket

WANTED = 10_000
resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def client(number, sock):
    message = b"%d" % number
    for _ in range(3):
        sock.sendall(message)
        assert sock.recv(100) == message

def echo(sock):
    with sock:
        while True:
            data = sock.recv(100)
            if not data:
                return
            sock.sendall(data)

if len(sys.argv) > 1:
    clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(WANTED)]
    gevent.joinall([gevent.spawn(client, *each) for each in enumerate(clients)], raise_error=True)
    for each in clients:
        each.close()
else:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        child = subprocess.Popen([sys.executable, __file__, str(server.getsockname()[1])])
        jobs = [gevent.spawn(echo, server.accept()[0]) for _ in range(WANTED)]
    gevent.joinall(jobs, raise_error=True)
    print(len(jobs), child.wait())
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_10000_connections(tmp_path):
    """10,000 TCP connections are open and echo on one hub, to another process with as many; all of them end well."""
    script = tmp_path / "many.py"
    script.write_text(TEN_THOUSAND)
    assert run_script(script, timeout=110).check().stdout == "10000 0\n"
