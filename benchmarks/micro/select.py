"""select() and the wait functions of gevent.socket."""

from select import POLLIN

import gevent
from declare import rate
from gevent import socket
from gevent.select import poll, select


@rate(unit="calls")
def select_ready(loops, clock):
    """select() on one socket that has something to read."""
    here, there = socket.socketpair()
    here.send(b"x")
    ready = 0
    with clock:
        for _ in range(loops):
            ready += select([there], [], [])[0] == [there]
    here.close()
    there.close()
    return ready


@rate(unit="round trips")
def select_ping_pong(loops, clock):
    """One byte to and fro; who receives it select()s first."""
    here, there = socket.socketpair()

    def echo():
        for _ in range(loops):
            select([there], [], [])
            there.send(there.recv(1))

    greenlet = gevent.spawn(echo)
    back = 0
    with clock:
        for _ in range(loops):
            here.send(b"x")
            select([here], [], [], 5)
            back += here.recv(1) == b"x"
    greenlet.get()
    here.close()
    there.close()
    return back


@rate(unit="calls")
def select_16(loops, clock):
    """select() on 16 sockets, one of which has something to read."""
    pairs = [socket.socketpair() for _ in range(16)]
    watched = [there for here, there in pairs]
    pairs[7][0].send(b"x")
    ready = 0
    with clock:
        for _ in range(loops):
            ready += select(watched, [], [], 5)[0] == [watched[7]]
    for pair in pairs:
        for sock in pair:
            sock.close()
    return ready


@rate(unit="calls")
def poll_ready(loops, clock):
    """poll() on one socket that has something to read."""
    here, there = socket.socketpair()
    here.send(b"x")
    poller = poll()
    poller.register(there, POLLIN)
    expected = [(there.fileno(), POLLIN)]
    ready = 0
    with clock:
        for _ in range(loops):
            ready += poller.poll(5000) == expected
    here.close()
    there.close()
    return ready


@rate(unit="calls")
def wait_read_ready(loops, clock):
    """wait_read() on a descriptor that has something to read: one turn of the loop."""
    here, there = socket.socketpair()
    here.send(b"x")
    fd = there.fileno()
    done = 0
    with clock:
        for _ in range(loops):
            socket.wait_read(fd)
            done += 1
    here.close()
    there.close()
    return done


@rate(unit="round trips")
def wait_read_ping_pong(loops, clock):
    """One byte to and fro; who receives it calls wait_read() with a timeout first."""
    here, there = socket.socketpair()

    def echo():
        for _ in range(loops):
            socket.wait_read(there.fileno(), 5)
            there.send(there.recv(1))

    greenlet = gevent.spawn(echo)
    back = 0
    with clock:
        for _ in range(loops):
            here.send(b"x")
            socket.wait_read(here.fileno(), 5)
            back += here.recv(1) == b"x"
    greenlet.get()
    here.close()
    there.close()
    return back
