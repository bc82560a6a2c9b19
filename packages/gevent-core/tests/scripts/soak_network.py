"""Connections under load, for long: echo over TCP, and HTTP where gevent-wsgi is there, with clients killed and timed out at random.

argument: seconds. Every byte must come back to who sent it. Memory is printed at every tenth of the time; in the end no greenlet,
descriptor or watcher is left, and, after a minute or more, memory has not grown since the third tenth but for a tolerance.

Each connection looks up localhost, so with ``GEVENT_RESOLVER=ares`` that resolver takes part.
"""

import gc
import os
import random
import sys
from time import monotonic

import gevent
from gevent import socket
from gevent.hub import get_hub
from gevent.server import StreamServer
from gevent.timeout import Timeout
from gevent.util import format_run_info

try:
    from gevent.pywsgi import WSGIServer
except ModuleNotFoundError:
    WSGIServer = None

SECONDS = float(sys.argv[1])
CLIENTS = 40
LOST = 120  # seconds after which a connection has lost a byte or a wake-up, however slow the machine
TOLERANCE = 1.25, 16  # times, and MB more

randomly = random.Random(1)
done = {"echo": 0, "http": 0, "killed": 0, "timed out": 0}


def megabytes():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def echo(client, address):
    try:
        while data := client.recv(65536):
            client.sendall(data)
    except OSError:
        pass  # reset by a client that was killed


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    gevent.sleep(randomly.choice([0, 0, 0.001]))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def payload():
    return randomly.randbytes(randomly.choice([1, 100, 5000, 300_000]))


def receive(connection, size, got=b""):
    parts, size = [got], size - len(got)
    while size > 0:
        part = connection.recv(65536)
        assert part, f"the connection ended with {size} bytes to come"
        parts.append(part)
        size -= len(part)
    assert size == 0
    return b"".join(parts)


def talk_echo(connection):
    data = payload()
    sender = gevent.spawn(connection.sendall, data)  # both directions at once: neither side can hold all of it
    try:
        assert receive(connection, len(data)) == data
        sender.get()
    finally:
        sender.kill()
    done["echo"] += 1


def talk_http(connection):
    data = payload()
    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65536)
        assert part, got
        got += part
    head, _, got = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    assert receive(connection, len(data), got) == data
    done["http"] += 1


def client(address, talk, ends):
    """Many connections, one after the other, each of some exchanges; a time limit may end each."""
    while monotonic() < ends:
        limit = Timeout(randomly.choice([LOST, LOST, 0.02]))
        try:
            with limit, socket.create_connection(address) as connection:
                for _ in range(randomly.randrange(1, 20)):
                    talk(connection)
        except Timeout as caught:
            if caught is not limit or limit.seconds == LOST:
                raise
            done["timed out"] += 1


def main():
    servers = [(StreamServer(("127.0.0.1", 0), echo, backlog=1024), talk_echo)]
    if WSGIServer is not None:
        servers.append((WSGIServer(("127.0.0.1", 0), application, backlog=1024, log=None, error_log=None), talk_http))
    gevent.sleep(0.001)
    started, fds, watchers = monotonic(), descriptors(), get_hub().loop.activecnt
    ends = started + SECONDS
    for server, _ in servers:
        server.start()

    def start(number):
        server, talk = servers[number % len(servers)]
        return gevent.spawn(client, ("localhost", server.server_port), talk, ends)

    clients = [start(number) for number in range(CLIENTS)]
    memory = []
    while monotonic() < ends:
        gevent.sleep(randomly.uniform(0, 0.05))
        number = randomly.randrange(CLIENTS)
        clients[number].kill()
        assert isinstance(clients[number].value, gevent.GreenletExit) or monotonic() > ends, clients[number].exception
        done["killed"] += 1
        clients[number] = start(number)
        if (monotonic() - started) * 10 > SECONDS * (len(memory) + 1):
            memory.append(megabytes())
            print(f"{len(memory) * 10} %: {memory[-1]:.1f} MB {done}", flush=True)
    gevent.joinall(clients, timeout=LOST, raise_error=True)
    assert all(each.successful() for each in clients), clients
    for server, _ in servers:
        server.stop(timeout=5)
    servers.clear()
    patience = monotonic() + 10
    while descriptors() > fds or get_hub().loop.activecnt > watchers:
        assert monotonic() < patience, (get_hub(), watchers, descriptors(), fds, "\n".join(format_run_info()))
        gc.collect()
        gevent.sleep(0.01)
    assert done["echo"] and (WSGIServer is None or done["http"])
    if SECONDS >= 60:
        assert memory[-1] <= memory[2] * TOLERANCE[0] + TOLERANCE[1], memory
    print("ok")


main()
