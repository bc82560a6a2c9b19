"""gevent.socket when something goes wrong: closing, shutting down and killing at every moment, resets, broken pipes, no descriptors."""

import contextlib
import errno
import os
import random
import signal
import socket as stdlib
import struct
import sys
import threading

import gevent
import pytest
from gevent import socket
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import get_hub
from gevent_testkit import REFERENCE_COUNTING, run_script

READ = 1

needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux only")


def fill(sock):
    """Send on *sock* until nothing more fits."""
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536), socket.MSG_DONTWAIT)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x", socket.MSG_DONTWAIT)


def attempt(function, *args):
    """What *function* returns, or the OSError it raises."""
    try:
        return function(*args)
    except OSError as error:
        return error


def trying(function, *args):
    """A greenlet that waits in :func:`attempt`."""
    job = gevent.spawn(attempt, function, *args)
    gevent.sleep(0)
    assert not job.ready()
    return job


def reset(sock):
    """Close a TCP socket so that the other side gets ECONNRESET."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


READING = {
    "recv": lambda sock: sock.recv(10),
    "recv_into": lambda sock: sock.recv_into(bytearray(10)),
    "recvfrom": lambda sock: sock.recvfrom(10),
    "recvfrom_into": lambda sock: sock.recvfrom_into(bytearray(10)),
    "recvmsg": lambda sock: sock.recvmsg(10),
    "recvmsg_into": lambda sock: sock.recvmsg_into([bytearray(10)]),
}
WRITING = {
    "send": lambda sock: sock.send(b"x"),
    "sendall": lambda sock: sock.sendall(b"x"),
    "sendmsg": lambda sock: sock.sendmsg([b"x"]),
    "sendmsg of many": lambda sock: sock.sendmsg([b"x"] * 40),
}


# ---- Closing ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [socket.socket.close, socket.socket.detach], ids=["close", "detach"])
@pytest.mark.parametrize("name", [*READING, *WRITING])
def test_close_wakes_the_waiter(pair, name, end):
    """SOK-02: it gets EBADF, through the loop: close itself switches to nobody, and by then the descriptor is closed."""
    here, _there = pair
    fill(here)
    order = []

    def wait():
        order.append("waits")
        error = attempt({**READING, **WRITING}[name], here)
        order.append(error.errno)

    job = gevent.spawn(wait)
    gevent.sleep(0)
    fd = end(here)
    order.append("closed")
    job.join()
    assert order == ["waits", "closed", errno.EBADF]
    assert here.fileno() == -1
    if fd is not None:
        os.close(fd)


def test_close_wakes_both_directions(pair):
    """SOK-02"""
    here, _there = pair
    fill(here)
    jobs = [trying(here.recv, 10), trying(here.sendall, b"x")]
    here.close()
    assert [job.get().errno for job in jobs] == [errno.EBADF] * 2


def test_close_wakes_accept(listener):
    """SOK-02"""
    job = trying(listener.accept)
    listener.close()
    assert job.get().errno == errno.EBADF


@needs_linux
def test_close_wakes_connect(closing, unresponsive):
    """SOK-02"""
    for call in (socket.socket.connect, socket.socket.connect_ex):
        sock = closing(socket.socket())
        job = trying(call, sock, unresponsive)
        sock.close()
        assert getattr(job.get(), "errno", job.get()) == errno.EBADF


def test_close_of_an_unbuffered_file_wakes_its_reader(pair):
    """SOK-02, SOK-10: with the socket closed before, closing the last file closes the descriptor."""
    here, there = pair
    file = there.makefile("rb", buffering=0)
    job = trying(file.read, 10)
    there.close()
    here.sendall(b"still open")
    assert job.get() == b"still open"
    job = trying(file.read, 10)
    file.close()
    assert job.get().errno == errno.EBADF


@pytest.mark.parametrize("priority", [2, -2], ids=["before its wake-up", "after its wake-up"])
def test_close_in_the_moment_data_comes(pair, priority):
    """SOK-02: closed in the very turn of the loop that brings data, before or after the waiter was told: it gets EBADF."""
    here, there = pair
    job = trying(there.recv, 10)
    watcher = get_hub().loop.io(there.fileno(), READ, priority=priority)

    def close():
        watcher.close()
        there.close()

    watcher.start(close)
    here.sendall(b"x")
    assert job.get().errno == errno.EBADF
    assert there.fileno() == -1


def test_close_and_reuse_of_the_number(closing):
    """SOK-02: the next socket gets the same descriptor number, is not disturbed, and the old waiter gets nothing of it."""
    for _ in range(3):
        here, there = socket.socketpair()
        closing(here)
        job = trying(there.recv, 10)
        number = there.fileno()
        there.close()
        first, second = map(closing, socket.socketpair())
        again = first if first.fileno() == number else second
        other = second if again is first else first
        assert again.fileno() == number
        reader = trying(again.recv, 10)
        other.sendall(b"new")
        assert reader.get() == b"new"
        assert job.get().errno == errno.EBADF


def test_close_twice(pair):
    here, _there = pair
    here.close()
    here.close()
    assert (here.fileno(), here.closed) == (-1, True)


def test_everything_on_a_closed_socket_as_the_standard_one():
    """SOK-01, SOK-02: same errors, never a wait."""
    calls = [
        lambda sock: sock.recv(10),
        lambda sock: sock.recv(100_000),
        lambda sock: sock.recv_into(bytearray(10)),
        lambda sock: sock.recvfrom(10),
        lambda sock: sock.recvfrom_into(bytearray(10)),
        lambda sock: sock.recvmsg(10),
        lambda sock: sock.recvmsg_into([bytearray(10)]),
        lambda sock: sock.send(b"x"),
        lambda sock: sock.sendall(b"x"),
        lambda sock: sock.sendall(b""),
        lambda sock: sock.sendto(b"x", ("127.0.0.1", 9)),
        lambda sock: sock.sendmsg([b"x"]),
        lambda sock: sock.sendmsg([b"x"], [], 0, ("127.0.0.1", 9)),
        lambda sock: sock.connect(("127.0.0.1", 9)),
        lambda sock: sock.connect_ex(("127.0.0.1", 9)),
        lambda sock: sock.accept(),
        lambda sock: sock.bind(("127.0.0.1", 0)),
        lambda sock: sock.listen(),
        lambda sock: sock.shutdown(socket.SHUT_RDWR),
        lambda sock: sock.getsockname(),
        lambda sock: sock.getpeername(),
        lambda sock: sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
        lambda sock: sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE, 4),
        lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
        lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, b"\1\0\0\0"),
        lambda sock: sock.settimeout(1),
        lambda sock: sock.setblocking(False),
        lambda sock: sock.dup(),
        lambda sock: sock.get_inheritable(),
        lambda sock: sock.set_inheritable(True),
        lambda sock: sock.fileno(),
        lambda sock: sock.detach(),
    ]
    closed = []
    for module in (socket, stdlib):
        sock = module.socket()
        sock.close()
        closed.append(sock)
    for number, call in enumerate(calls):
        if number == 9 and not REFERENCE_COUNTING:
            continue  # PyPy's sendall() of nothing makes no call
        seen = [attempt(call, sock) for sock in closed]
        assert (type(seen[0]), getattr(seen[0], "errno", seen[0])) == (type(seen[1]), getattr(seen[1], "errno", seen[1])), number


def test_everything_on_an_unconnected_socket_as_the_standard_one(closing):
    """SOK-01"""
    calls = [
        lambda sock: sock.recv(10),
        lambda sock: sock.send(b"x"),
        lambda sock: sock.sendall(b"x"),
        lambda sock: sock.sendmsg([b"x"]),
        lambda sock: sock.accept(),
        lambda sock: sock.getpeername(),
        lambda sock: sock.getsockname(),
        lambda sock: sock.shutdown(socket.SHUT_RDWR),
        lambda sock: sock.shutdown(99),
    ]
    for number, call in enumerate(calls):
        seen = [attempt(call, closing(module.socket())) for module in (socket, stdlib)]
        assert (type(seen[0]), getattr(seen[0], "errno", seen[0])) == (type(seen[1]), getattr(seen[1], "errno", seen[1])), number


def test_close_in_another_native_thread():
    """SOK-14: close may be called there; the greenlet that waits is woken in its own thread, though that sleeps in the loop."""
    here, there = socket.socketpair()
    with here, there:
        job = trying(there.recv, 10)
        waits = threading.Event()

        def close():
            waits.wait()
            there.close()

        threads = [threading.Thread(target=close) for _ in range(2)]
        for thread in threads:
            thread.start()
        get_hub().loop.run_callback(waits.set)  # the last thing before the loop goes to sleep
        assert job.get().errno == errno.EBADF
        for thread in threads:
            thread.join()
        assert there.fileno() == -1
        assert here.recv(10) == b""


# ---- Shutting down ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [socket.SHUT_RD, socket.SHUT_RDWR])
def test_shutdown_wakes_readers(pair, how):
    """SOK-13: a reader gets the end of the stream, as a thread would."""
    here, _there = pair
    job = trying(here.recv, 10)
    here.shutdown(how)
    assert job.get() == b""


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR])
def test_shutdown_wakes_writers(pair, how):
    """SOK-13: a writer gets EPIPE."""
    here, _there = pair
    fill(here)
    job = trying(here.sendall, b"x")
    here.shutdown(how)
    assert isinstance(job.get(), BrokenPipeError)


def test_shutdown_leaves_the_other_direction(pair):
    """SOK-13"""
    here, there = pair
    fill(here)
    writer, reader = trying(here.sendall, b"x"), trying(here.recv, 10)
    here.shutdown(socket.SHUT_RD)
    assert reader.get() == b""
    assert not writer.ready()
    while not writer.ready():
        there.recv(65536)
        gevent.sleep(0)
    assert writer.get() is None


def test_shutdown_wakes_whom_the_kernel_does_not(closing):
    """SOK-13: a writer that waits for room in the other side's queue, which shutting down this side does not make."""
    here, _there = map(closing, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
    with contextlib.suppress(BlockingIOError):
        while True:
            here.send(b"x", socket.MSG_DONTWAIT)
    job = trying(here.send, b"x")
    here.shutdown(socket.SHUT_WR)
    assert isinstance(job.get(), BrokenPipeError)


@needs_linux
def test_shutdown_wakes_accept(listener):
    """SOK-13: shutting down a listening socket ends accept, with the error that Linux has for that."""
    job = trying(listener.accept)
    listener.shutdown(socket.SHUT_RD)
    assert job.get().errno == errno.EINVAL


@needs_linux
def test_shutdown_ends_connect(closing, unresponsive):
    """SOK-13"""
    sock = closing(socket.socket())
    job = trying(sock.connect, unresponsive)
    sock.shutdown(socket.SHUT_RDWR)
    assert isinstance(job.get(), OSError)


# ---- Killing and time limits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*READING, *WRITING])
def test_kill_while_waiting(pair, name):
    """The exception comes out of the call; the socket is as good as before, for the next greenlet."""
    here, there = pair
    fill(here)
    job = gevent.spawn({**READING, **WRITING}[name], here)
    gevent.sleep(0)
    job.kill()
    assert isinstance(job.value, gevent.GreenletExit)
    there.sendall(b"for the next")
    assert here.recv(100) == b"for the next"
    reader = gevent.spawn(lambda: [there.recv(65536) for _ in range(3)])
    here.sendall(b"x")
    reader.kill()


def test_kill_after_the_wake_up(pair):
    """Killed in the turn of the loop that brought data, after it was queued to run: nothing is lost, the next reader gets it."""
    here, there = pair
    job = gevent.spawn(there.recv, 10)
    gevent.sleep(0)
    watcher = get_hub().loop.io(there.fileno(), READ, priority=-2)

    def kill():
        watcher.close()
        job.kill(block=False)

    watcher.start(kill)
    here.sendall(b"data")
    job.join()
    # It had been woken before the kill was queued, so it ran first; or the kill was first. In neither case is anything lost.
    if isinstance(job.value, gevent.GreenletExit):
        assert there.recv(10) == b"data"
    else:
        assert job.value == b"data"
    here.sendall(b"more")
    assert there.recv(10) == b"more"


def test_throw_after_the_wake_up(pair):
    """An exception thrown into a greenlet that is queued to run takes the wake-up back: what had come stays for the next."""
    here, there = pair
    job = gevent.spawn(there.recv, 10)
    gevent.sleep(0)
    watcher = get_hub().loop.io(there.fileno(), READ, priority=-2)

    def throw():
        watcher.close()
        job.throw(gevent.GreenletExit)

    watcher.start(throw)
    here.sendall(b"data")
    job.join()
    assert isinstance(job.value, gevent.GreenletExit)
    assert there.recv(10) == b"data"


def test_foreign_timeout_passes_through(pair):
    """ALL-01: a gevent.Timeout comes out of the call as it is, with or without a time limit of the socket's own."""
    here, there = pair
    for limit in (None, 5):
        there.settimeout(limit)
        with gevent.Timeout(0.005) as mine:
            with pytest.raises(gevent.Timeout) as caught:
                there.recv(10)
            assert caught.value is mine
    there.settimeout(0.005)
    with gevent.Timeout(5), pytest.raises(socket.timeout):
        there.recv(10)
    here.sendall(b"x")
    assert there.recv(10) == b"x"


def test_data_wins_over_the_time_limit(pair):
    """TMO-10: what is ready in the moment the limit passes is taken."""
    here, there = pair
    there.settimeout(0.01)
    job = trying(there.recv, 10)
    # The loop finds both the timer and the data when it gets to look again.
    here.sendall(b"x")
    ends = get_hub().loop.now() + 0.03
    while get_hub().loop.now() < ends:
        get_hub().loop.update()
    assert job.get() == b"x"


def test_random_kills_lose_nothing(closing):
    """Readers are killed, timed out and replaced at random while numbers come in: each number arrives once, in order."""
    chance = random.Random(1)
    here, there = map(closing, socket.socketpair())
    received = bytearray()
    message = bytes(range(256)) * 40

    def produce():
        sent = 0
        while sent < len(message):
            part = message[sent : sent + chance.randrange(1, 30)]
            here.sendall(part)
            sent += len(part)
            if chance.random() < 0.5:
                gevent.sleep(0)
        here.shutdown(socket.SHUT_WR)

    def consume():
        while True:
            there.settimeout(chance.choice([None, 5, 0.0001]))
            try:
                data = there.recv(chance.randrange(1, 20))
            except socket.timeout:
                continue
            if not data:
                return True
            received.extend(data)

    producer = gevent.spawn(produce)
    kills = 0
    while True:
        consumer = gevent.spawn(consume)
        for _ in range(chance.randrange(1, 6)):
            gevent.sleep(0)
        if consumer.ready():
            break
        consumer.kill()
        kills += 1
    producer.get()
    assert consumer.get() is True
    assert received == message
    assert kills > 20


# ---- The other side goes away ----------------------------------------------------------------------------------------------------


def test_end_of_stream(pair):
    here, there = pair
    job = trying(there.recv, 10)
    here.close()
    assert job.get() == b""
    assert there.recv(10) == b""
    assert there.recv_into(bytearray(10)) == 0


@pytest.mark.parametrize("name", sorted(READING))
def test_reset_while_reading(tcp, name):
    """SOK-01: ECONNRESET, for a reader that waits and for one that comes later."""
    here, there = tcp
    job = trying(READING[name], there)
    reset(here)
    assert isinstance(job.get(), ConnectionResetError)


def test_reset_before_reading(tcp):
    here, there = tcp
    reset(here)
    socket.wait_read(there.fileno(), timeout=5)
    assert isinstance(attempt(there.recv, 10), ConnectionResetError)
    assert attempt(there.recv, 10) == b""  # the error is told once


@pytest.mark.parametrize("name", sorted(WRITING))
def test_peer_closes_while_writing(tcp, name):
    """SOK-01: a writer that waits gets an error when the other side is gone."""
    here, there = tcp
    fill(here)
    job = trying(WRITING[name], here)
    reset(there)
    assert isinstance(job.get(), (ConnectionResetError, BrokenPipeError))


def test_broken_pipe(pair):
    """SOK-01: EPIPE, and no signal kills the process."""
    here, there = pair
    there.close()
    for call in WRITING.values():
        assert isinstance(attempt(call, here), BrokenPipeError)


def test_connection_reset_before_accept(listener):
    """A connection that is gone when it is accepted is accepted all the same, and found to be at its end, or skipped."""
    for _ in range(3):
        client = socket.create_connection(listener.getsockname())
        reset(client)
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"alive")
        listener.settimeout(5)
        while True:
            with listener.accept()[0] as sock:
                if attempt(sock.recv, 10) == b"alive":
                    break


# ---- The system refuses ----------------------------------------------------------------------------------------------------------


def test_no_descriptors_left():
    """EMFILE is raised by socket, accept, socketpair, dup and connections, and passes when descriptors are free again."""
    done = run_script(
        """
import errno, os, resource
import gevent
from gevent import socket
gevent.sleep(0.001)
server = socket.create_server(("127.0.0.1", 0))
spare = socket.socket()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
taken = []
def errno_of(function, *args):
    try:
        function(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
while True:
    try:
        taken.append(os.dup(0))
    except OSError:
        break
print(errno_of(socket.socket), errno_of(socket.socketpair), errno_of(spare.dup))
spare.connect(server.getsockname())
print(errno_of(server.accept))
job = gevent.spawn(errno_of, server.accept)
gevent.sleep(0)
print(job.ready())
os.close(taken.pop())
job = gevent.spawn(server.accept)
sock, address = job.get()
print(address == spare.getsockname())
sock.close(); spare.close(); server.close()
"""
    )
    assert done.check().stdout.splitlines() == ["EMFILE EMFILE EMFILE", "EMFILE", "True", "True"]


def test_errors_leave_no_descriptors(closing, listener):
    """Failing calls, in number, leave nothing open: the leak check looks."""
    address = listener.getsockname()
    for _ in range(20):
        with pytest.raises(OSError):
            socket.create_server(address)
        with pytest.raises(OSError):
            socket.create_connection(address, source_address=("192.0.2.1", 0))
        with pytest.raises(OSError):
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, 999)


def test_descriptor_closed_by_somebody_else():
    """os.close() behind our back: the next wait says so instead of sleeping for ever."""
    here, there = socket.socketpair()
    with here:
        os.close(there.fileno())
        assert attempt(there.recv, 10).errno == errno.EBADF
        assert attempt(there._wait_readable).errno == errno.EBADF
        there.detach()


def test_hub_cannot_wait(pair):
    """HUB-04: in a callback of the loop a call that has to wait is refused, and the socket can be used after."""
    here, there = pair
    seen = []

    def call():
        try:
            there.recv(10)
        except BlockingSwitchOutError as error:
            seen.append(error)

    get_hub().loop.run_callback(call)
    gevent.sleep(0)
    assert len(seen) == 1
    here.sendall(b"x")
    assert there.recv(10) == b"x"
    seen.clear()


def test_signal_handler_runs_while_a_socket_is_waited_for():
    """SOK-01, COR-13: a Python signal handler runs in the middle of recv, and recv goes on; what the handler raises is reported."""
    done = run_script(
        """
import os, signal
import gevent
from gevent import socket
here, there = socket.socketpair()
seen = []
def handler(number, frame):
    seen.append(number)
    here.sendall(b"from the handler")
signal.signal(signal.SIGUSR1, handler)
gevent.spawn_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
print(there.recv(100), seen == [signal.SIGUSR1])
here.close(); there.close()
"""
    )
    assert done.check().stdout == "b'from the handler' True\n"


def test_keyboard_interrupt_leaves_recv():
    """HUB-09: Ctrl-C while the main greenlet waits on a socket raises KeyboardInterrupt there; the socket stays usable."""
    done = run_script(
        """
import os, signal
import gevent
from gevent import socket
signal.signal(signal.SIGINT, signal.default_int_handler)
here, there = socket.socketpair()
gevent.spawn_later(0.01, os.kill, os.getpid(), signal.SIGINT)
try:
    there.recv(10)
except KeyboardInterrupt:
    print("interrupted")
here.sendall(b"x")
print(there.recv(10))
here.close(); there.close()
"""
    )
    assert done.stdout == "interrupted\nb'x'\n"
    assert done.status == 0


def test_sigpipe_is_the_programs_own_business(pair):
    """Nobody sets handlers behind the program's back."""
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    assert pair[0].send(b"x") == 1
