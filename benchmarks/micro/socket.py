"""Sockets within one process: the cost of a call, a wait, a wake-up."""

import gevent
from declare import rate
from gevent import socket


def ping_pong(loops, clock, timeout=None, size=1):
    """Send *size* bytes to and fro over a socketpair *loops* times. Returns how often all of them came back."""
    here, there = socket.socketpair()
    here.settimeout(timeout)
    there.settimeout(timeout)
    message = b"x" * size

    def echo():
        while True:
            data = there.recv(size)
            if not data:
                return
            there.sendall(data)

    greenlet = gevent.spawn(echo)
    back = 0
    with clock:
        for _ in range(loops):
            here.sendall(message)
            back += here.recv(size) == message
    here.close()
    greenlet.get()
    there.close()
    return back


@rate(unit="round trips", goal=1.7)
def socketpair_ping_pong(loops, clock):
    """One byte to and fro over a socketpair."""
    return ping_pong(loops, clock)


@rate(unit="round trips", goal=2)
def socketpair_ping_pong_timeout(loops, clock):
    """One byte to and fro over a socketpair, both ends with settimeout(5)."""
    return ping_pong(loops, clock, timeout=5)


@rate(unit="round trips")
def socketpair_ping_pong_4k(loops, clock):
    """4 KiB to and fro over a socketpair."""
    return ping_pong(loops, clock, size=4096)


@rate(unit="messages")
def send_recv_no_wait(loops, clock):
    """send() one byte, recv() it: neither has to wait."""
    here, there = socket.socketpair()
    received = 0
    with clock:
        for _ in range(loops):
            here.send(b"x")
            received += len(there.recv(100))
    here.close()
    there.close()
    return received


@rate(unit="messages")
def recv_into_no_wait(loops, clock):
    """sendall() 100 bytes, recv_into() a buffer: neither has to wait."""
    here, there = socket.socketpair()
    message = b"x" * 100
    buffer = bytearray(100)
    received = 0
    with clock:
        for _ in range(loops):
            here.sendall(message)
            received += there.recv_into(buffer) == 100
    here.close()
    there.close()
    return received


@rate(unit="MiB")
def stream_megabytes(loops, clock):
    """One greenlet sendall()s a MiB at a time, the other receives it in 64 KiB calls."""
    here, there = socket.socketpair()
    message = bytes(1024 * 1024)

    def producer():
        for _ in range(loops):
            here.sendall(message)
        here.close()

    received = 0
    greenlet = gevent.spawn(producer)
    with clock:
        while True:
            data = there.recv(65536)
            if not data:
                break
            received += len(data)
    greenlet.get()
    there.close()
    return received // len(message)


@rate(unit="connections")
def connect_accept_close(loops, clock):
    """Make a TCP connection over the loopback, accept it, close both ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    address = listener.getsockname()
    accepted = []

    def server():
        done = 0
        for _ in range(loops):
            connection, _peer = listener.accept()
            done += connection.recv(1) == b""
            connection.close()
        accepted.append(done)

    greenlet = gevent.spawn(server)
    with clock:
        for _ in range(loops):
            client = socket.socket()
            client.connect(address)
            client.close()
        greenlet.join()
    listener.close()
    return sum(accepted)


@rate(unit="sockets")
def socket_create_close(loops, clock):
    """Make a TCP socket and close it."""
    closed = 0
    with clock:
        for _ in range(loops):
            sock = socket.socket()
            sock.close()
            closed += sock.fileno() == -1
    return closed


@rate(unit="round trips")
def udp_ping_pong(loops, clock):
    """One datagram of 64 bytes to and fro over the loopback."""
    here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.bind(("127.0.0.1", 0))
    there.bind(("127.0.0.1", 0))
    to = there.getsockname()
    message = b"x" * 64

    def echo():
        for _ in range(loops):
            data, sender = there.recvfrom(100)
            there.sendto(data, sender)

    greenlet = gevent.spawn(echo)
    back = 0
    with clock:
        for _ in range(loops):
            here.sendto(message, to)
            back += here.recvfrom(100) == (message, to)
    greenlet.get()
    here.close()
    there.close()
    return back


@rate(unit="lines")
def makefile_lines(loops, clock):
    """write() a line to one end's makefile(), readline() it at the other's."""
    here, there = socket.socketpair()
    writer, reader = here.makefile("wb"), there.makefile("rb")
    line = b"x" * 60 + b"\n"
    back = 0
    with clock:
        for _ in range(loops):
            writer.write(line)
            writer.flush()
            back += reader.readline() == line
    for thing in (writer, reader, here, there):
        thing.close()
    return back


@rate(unit="look-ups", threads=True)
def getaddrinfo_numeric(loops, clock):
    """getaddrinfo() of a numeric address."""
    right = 0
    with clock:
        for _ in range(loops):
            found = socket.getaddrinfo("127.0.0.1", 80, socket.AF_INET, socket.SOCK_STREAM)
            right += found[0][4] == ("127.0.0.1", 80)
    return right
