"""Loads for gevent.pywsgi that take minutes; test_wsgi_load.py runs short forms of them.

    python wsgi_load.py requests [NUMBER]          a million requests: resident memory stays flat
    python wsgi_load.py idle [CONNECTIONS]         10,000 idle connections: bytes for each, and what they cost 100 busy ones
    python wsgi_load.py slow [CLIENTS]             2,000 clients of an octet a second each way: the p99 of fast ones
    python wsgi_load.py term [SECONDS]             SIGTERM under load: no request is lost

The server is a process of its own (``wsgi_load.py serve``), the client this one, over loopback; slow clients are a third
(``wsgi_load.py be-slow``). Each prints one line of JSON.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import gevent
from gevent import socket
from gevent.pywsgi import WSGIServer

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def more_descriptors():
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ---------------------------------------------------------------------------------------- server


def application(environ, start_response):
    """hello; /slow gives an octet a second, and /seen how many requests have been seen."""
    application.seen += 1
    if environ["PATH_INFO"] == "/slow":
        start_response("200 OK", [])
        return drip()
    if environ["PATH_INFO"] == "/work":
        gevent.sleep(0.002)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


application.seen = 0


def drip():
    while True:
        gevent.sleep(1)
        yield b"x"


def serve():
    """Print the port, serve until SIGTERM, then print how many requests were seen."""
    more_descriptors()
    server = WSGIServer(("127.0.0.1", 0), application, backlog=4096, log=None, error_log=None)
    server.keep_alive_timeout = server.header_timeout = 3600
    server.start()
    gevent.signal_handler(signal.SIGTERM, server.stop, timeout=10)
    print(server.server_port, flush=True)
    server.serve_forever(stop_timeout=10)
    print(application.seen, flush=True)


class Server:
    """The server process: ``port``, :meth:`rss` in bytes, :meth:`stop` for the number of requests it has seen."""

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *exc_info):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def rss(self):
        with open(f"/proc/{self.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.stdout.readline())

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))


# --------------------------------------------------------------------------------------- clients


def ask(sock, request=REQUEST):
    """Send *request*, read the answer; its octets. Raises OSError or EOFError when there is none."""
    sock.sendall(request)
    data = b""
    while not data.endswith(b"hello"):
        more = sock.recv(65536)
        if not more:
            raise EOFError(data)
        data += more
    return data


def busy(server, clients, seconds, pause=None):
    """*clients* that ask all the time, or every *pause* seconds, for *seconds*: latencies in seconds, sorted, and requests a second."""
    latencies = []
    until = time.monotonic() + seconds

    def one():
        sock = server.connect()
        with sock:
            while True:
                began = time.monotonic()
                if began >= until:
                    break
                ask(sock)
                latencies.append(time.monotonic() - began)
                if pause is not None:
                    gevent.sleep(pause)

    gevent.joinall([gevent.spawn(one) for _ in range(clients)], raise_error=True)
    latencies.sort()
    return latencies, len(latencies) / seconds


def percentile(latencies, part):
    return latencies[min(len(latencies) - 1, int(len(latencies) * part))]


def many_requests(number):
    """Resident memory after a tenth of *number* requests, and after all of them."""
    with Server() as server:
        sizes = []
        batch = REQUEST * 50
        sock = server.connect()
        began = time.monotonic()
        for done in range(0, number, 50):
            sock.sendall(batch)
            got = b""
            while got.count(b"hello") < 50:
                got += sock.recv(65536)
            if done % max(50, number // 10 // 50 * 50) == 0:
                sizes.append(server.rss())
                sock.close()
                sock = server.connect()
        sizes.append(server.rss())
        sock.close()
        return {
            "requests": number,
            "seconds": round(time.monotonic() - began, 1),
            "rss_first_tenth": sizes[1],
            "rss_end": sizes[-1],
        }


def idle_connections(number, seconds=3):
    """What *number* idle connections take, and the latencies of 100 busy ones without and with them, in turns."""
    more_descriptors()
    with Server() as server:
        busy(server, 100, 0.5)
        without, _rate = busy(server, 100, seconds)
        before = server.rss()
        idle = []
        for _ in range(number):
            sock = server.connect()
            ask(sock)
            idle.append(sock)
        each = (server.rss() - before) / number
        with_idle, _rate = busy(server, 100, seconds)
        for sock in idle:
            sock.close()
        return {
            "idle": number,
            "bytes_each": round(each),
            "p50_ms": [round(percentile(each, 0.5) * 1000, 2) for each in (without, with_idle)],
            "p99_ms": [round(percentile(each, 0.99) * 1000, 2) for each in (without, with_idle)],
            "requests": [len(without), len(with_idle)],
        }


def be_slow(port, number):
    """*number* clients that send or get an octet a second, until this process is killed; says when all are connected."""
    more_descriptors()

    def sender(sock):
        # It never comes to an end of its request's head.
        for octet in (REQUEST[:-2] + b"X: " + b"y" * 3600).decode():
            sock.sendall(octet.encode())
            gevent.sleep(1)

    def receiver(sock):
        sock.sendall(REQUEST.replace(b"/ ", b"/slow "))
        while sock.recv(100):
            pass

    for index in range(number):
        gevent.spawn(receiver if index % 2 else sender, socket.create_connection(("127.0.0.1", port)))
        gevent.sleep(1 / number)  # spread over the second, as such clients are
    print("connected", flush=True)
    gevent.wait()


def slow_clients(number, seconds=5):
    """The latencies of 20 fast clients without, with, and again without *number* slow ones, which are a process of their own.

    The fast ones pause for 2 ms: with three processes that want two processors all the time, the scheduler's slices would be measured.
    """
    more_descriptors()
    with Server() as server:
        busy(server, 20, 0.5, 0.002)
        before, _rate = busy(server, 20, seconds, 0.002)
        command = [sys.executable, __file__, "be-slow", str(server.port), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as slow:
            try:
                slow.stdout.readline()
                with_slow, _rate = busy(server, 20, seconds, 0.002)
            finally:
                slow.kill()
        after, _rate = busy(server, 20, seconds, 0.002)
        rounds = (before, with_slow, after)
        return {
            "slow": number,
            "p50_ms": [round(percentile(each, 0.5) * 1000, 2) for each in rounds],
            "p99_ms": [round(percentile(each, 0.99) * 1000, 2) for each in rounds],
            "requests": [len(each) for each in rounds],
        }


def terminate(seconds, clients=50):
    """SIGTERM after *seconds* of load: requests that were sent and never answered."""
    lost, answered = [], 0
    with Server() as server:
        stopping = False

        def one(keep):
            nonlocal answered
            request = REQUEST.replace(b"/ ", b"/work ")
            if not keep:
                request = request[:-2] + b"Connection: close\r\n\r\n"
            sock = None
            while True:
                if sock is None:
                    try:
                        sock = server.connect()
                    except OSError:
                        if not stopping:
                            raise
                        return
                try:
                    data = ask(sock, request)
                except (OSError, EOFError) as ex:
                    lost.append(repr(ex))
                    return
                answered += 1
                if b"Connection: close" in data:
                    sock.close()
                    sock = None

        greenlets = [gevent.spawn(one, index % 2) for index in range(clients)]
        gevent.sleep(seconds)
        stopping = True
        server.process.send_signal(signal.SIGTERM)
        gevent.joinall(greenlets, raise_error=True)
        seen = int(server.process.stdout.readline())
        return {"clients": clients, "answered": answered, "seen": seen, "lost": lost, "status": server.process.wait()}


LOADS = {
    "requests": (many_requests, 1_000_000),
    "idle": (idle_connections, 10_000),
    "slow": (slow_clients, 2_000),
    "term": (terminate, 2.0),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    elif sys.argv[1:2] == ["be-slow"]:
        be_slow(int(sys.argv[2]), int(sys.argv[3]))
    elif len(sys.argv) in (2, 3) and sys.argv[1] in LOADS:
        load, amount = LOADS[sys.argv[1]]
        if len(sys.argv) == 3:
            amount = type(amount)(sys.argv[2])
        print(json.dumps(load(amount)))
    else:
        sys.exit(__doc__)
