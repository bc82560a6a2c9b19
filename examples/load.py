"""A gevent-wsgi server under the load of 1,000 keep-alive clients, all of them greenlets of this one process.

    python examples/load.py                     eight seconds of load, then the figures
    python examples/load.py --serve [PORT]      the same, and the server stays: open the printed address in a browser

How it works: `Job` runs the server and a `Load`. Each client of the load is a greenlet that opens one connection with
gevent.socket and sends request after request on it; each connection's handler on the server's side is a greenlet, too. Every
request carries a number of its own, and the answer must repeat it: a response that is late, cut, doubled or another client's
counts as wrong. The exit status is 1 if any was.
"""

import argparse
import gc
import json
import math
import os
import re
import resource
import sys
import time
from collections import deque
from pathlib import Path

import gevent
from gevent import socket
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from greenlet import greenlet

PAGE = Path(__file__).with_name("load.html")
#: Seconds that a client waits for one response, or for its connection, before that counts as wrong.
PATIENCE = 30
#: Descriptors that the process needs besides two for each connection.
SPARE_DESCRIPTORS = 64
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


class Latencies:
    """Counts of latencies in buckets 1% wide: percentiles of any number of requests in a constant amount of memory."""

    def __init__(self):
        self.buckets = [0] * 2200  # up to e^22 microseconds, an hour
        self.count = 0
        self.longest = 0.0

    def add(self, seconds):
        self.buckets[int(math.log(seconds * 1e6 + 1) * 100)] += 1
        self.count += 1
        if seconds > self.longest:
            self.longest = seconds

    def percentile(self, percent):
        """Seconds within which *percent* of the requests were answered; 0 if there were none."""
        left = self.count * percent / 100
        for bucket, count in enumerate(self.buckets):
            left -= count
            if left <= 0 and count:
                return math.expm1((bucket + 0.5) / 100) / 1e6
        return 0.0


class Load:
    """*clients* keep-alive clients that send requests to *address* until :meth:`stop`."""

    def __init__(self, address, clients):
        self.address = address
        self.clients = clients
        self.latencies = Latencies()
        self.errors = []
        self.connected = 0
        self.stopping = False
        self._all_connected = Event()
        self._go = Event()
        self._greenlets = []

    def connect(self):
        """Open all connections; returns how many seconds it took. Fewer than wished are an error of the load, not raised."""
        started = time.perf_counter()
        self._greenlets = [gevent.spawn(self._client, number) for number in range(self.clients)]
        self._all_connected.wait(PATIENCE)
        return time.perf_counter() - started

    def start(self):
        self._go.set()

    def stop(self):
        """Let each client end after the response it waits for; blocks until all have."""
        self.stopping = True
        self._go.set()
        gevent.joinall(self._greenlets)

    def _client(self, number):
        try:
            with socket.create_connection(self.address, timeout=PATIENCE) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connected += 1
                if self.connected == self.clients:
                    self._all_connected.set()
                self._go.wait()
                try:
                    self._converse(connection, number)
                finally:
                    self.connected -= 1
        except (OSError, ValueError) as error:
            self.errors.append(f"client {number}: {error!r}")

    def _converse(self, connection, number):
        clock = time.perf_counter
        sequence = 0
        while not self.stopping:
            sequence += 1
            token = b"%d-%d" % (number, sequence)
            started = clock()
            connection.sendall(b"GET /echo/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % token)
            body = read_body(connection)
            self.latencies.add(clock() - started)
            if body != token:
                raise ValueError(f"the answer to {token!r} was {body!r}")


def read_body(connection):
    """The body of the next response, which must be a 200 with Content-Length. ValueError for anything else."""
    data = receive(connection)
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = CONTENT_LENGTH.search(head)
    if not head.startswith(b"HTTP/1.1 200 ") or length is None:
        raise ValueError(f"not the expected kind of response: {head!r}")
    length = int(length[1])
    while len(body) < length:
        body += receive(connection)
    if len(body) > length:
        raise ValueError(f"more than the response came: {data!r}")
    return body


def receive(connection):
    data = connection.recv(16384)
    if not data:
        raise ConnectionError("the server closed the connection in the middle of a response")
    return data


class CountingServer(WSGIServer):
    """A WSGI server that knows how many connections are open."""

    connections = 0

    def handle(self, *arguments):
        self.connections += 1
        try:
            super().handle(*arguments)
        finally:
            self.connections -= 1


class Job:
    """The server, the load on it, and the figures of both."""

    def __init__(self, port, clients, seconds, live=sys.stdout):
        self.server = CountingServer(("127.0.0.1", port), self.application, backlog=clients, log=None)
        self.server.start()
        self.address = ("127.0.0.1", self.server.server_port)
        self.clients = clients
        self.seconds = seconds
        self.live = live
        self.load = None  # the one that runs, or ran last
        self.running = False
        self.served = 0
        self.idle_memory = resident_memory()
        self.rates = deque(maxlen=120)

    # -- The server's side

    def application(self, environ, start_response):
        path = environ["PATH_INFO"]
        status, kind = "200 OK", "text/plain"
        if path.startswith("/echo/"):
            self.served += 1
            body = path[6:].encode("latin-1")
        elif path == "/":
            body, kind = PAGE.read_bytes(), "text/html; charset=utf-8"
        elif path == "/figures.json":
            body, kind = json.dumps(self.figures()).encode(), "application/json"
        elif path == "/load" and environ["REQUEST_METHOD"] == "POST":
            if self.running:
                status, body = "409 Conflict", b"the load is running already\n"
            else:
                self.running = True
                gevent.spawn(self.run)
                body = b"started\n"
        else:
            status, body = "404 Not Found", b"There is / and /figures.json here.\n"
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    def figures(self):
        """What the page shows."""
        load = self.load
        return {
            "running": self.running,
            "clients": self.clients,
            "seconds": self.seconds,
            "served": self.served,
            "rates": list(self.rates),
            "connections": self.server.connections,
            "greenlets": count_greenlets(),
            "memory": resident_memory(),
            "descriptors": count_descriptors(),
            "p50": load.latencies.percentile(50) if load else 0,
            "p99": load.latencies.percentile(99) if load else 0,
            "errors": len(load.errors) if load else 0,
        }

    def watch(self):
        """Once a second, note the rate, and show a progress line while a load runs. Runs for ever, in a greenlet."""
        tick, before = time.perf_counter(), self.served
        while True:
            gevent.sleep(max(0, tick + 1 - time.perf_counter()))
            now = time.perf_counter()
            rate = (self.served - before) / (now - tick)
            tick, before = now, self.served
            self.rates.append(round(rate))
            if self.running:
                self.progress(
                    f"{rate:9,.0f} requests/s   {self.server.connections:6,} open connections   "
                    f"p50 {milliseconds(self.load.latencies.percentile(50))}   {len(self.load.errors)} errors"
                )

    def progress(self, line):
        """Show *line* in place of the one before, or below it where the output is not a terminal."""
        if self.live.isatty():
            self.live.write(f"\r\x1b[K{line}")
        else:
            self.live.write(f"{line}\n")
        self.live.flush()

    # -- The load's side

    def run(self):
        """Put the load on the server for its seconds and print the figures; returns whether every response was right."""
        load = self.load = Load(self.address, self.clients)
        self.running = True
        try:
            took = load.connect()
            print(
                f"{load.connected:,} of {self.clients:,} clients connected in {took:.2f} s; load for {self.seconds:g} s", flush=True
            )
            started = time.perf_counter()
            load.start()
            gevent.sleep(self.seconds)
            elapsed = time.perf_counter() - started
            # While everything is still open and at work:
            standing = count_greenlets(), resident_memory(), count_descriptors(), self.server.connections
            load.stop()
        finally:
            self.running = False
        if self.live.isatty():
            self.live.write("\r\x1b[K")
        self.report(load, elapsed, *standing)
        return not load.errors and load.latencies.count > 0

    def report(self, load, elapsed, greenlets, memory, descriptors, connections):
        latencies = load.latencies
        percentiles = "   ".join(f"p{percent} {milliseconds(latencies.percentile(percent))}" for percent in (50, 90, 99))
        each = (memory - self.idle_memory) / max(1, connections)
        rows = [
            ("requests", f"{latencies.count:,} in {elapsed:.1f} s: {latencies.count / elapsed:,.0f} requests/s"),
            ("latency", f"{percentiles}   max {milliseconds(latencies.longest)}"),
            ("connections", f"{connections:,} open at the end"),
            ("greenlets", f"{greenlets:,} alive: a client and a handler for each connection"),
            ("memory", f"{memory / 2**20:.1f} MiB resident: {each / 2**10:.1f} KiB for each connection, both ends"),
            ("descriptors", f"{descriptors:,}"),
            ("errors", f"{len(load.errors):,}"),
        ]
        print("\n".join(f"  {name:12} {text}" for name, text in rows))
        for error in load.errors[:10]:
            print(f"    {error}")
        sys.stdout.flush()


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"


def count_greenlets():
    """Greenlets that have started and not ended, the hub and the main one among them."""
    return sum(isinstance(each, greenlet) and bool(each) for each in gc.get_objects())


def count_descriptors():
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd")) - 1


def resident_memory():
    """Bytes of memory that the process holds now (where there is no /proc: at most held so far)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def raise_descriptor_limit(clients):
    """Make room for two descriptors for each client, one at either end. Returns None, or why there is none."""
    need = 2 * clients + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return None
    top = need if hard == resource.RLIM_INFINITY else max(need, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, top))
    except (ValueError, OSError):  # only root may raise the hard limit
        most = (hard - SPARE_DESCRIPTORS) // 2
        return (
            f"{clients:,} clients need {need:,} open files, and this process may have {hard:,} at most. "
            f"Raise the hard limit (ulimit -Hn), or use --clients {most}."
        )
    return None


def count_argument(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def seconds_argument(text):
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return number


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=count_argument, default=1000, metavar="N", help="concurrent clients (default 1000)")
    parser.add_argument("--seconds", type=seconds_argument, default=8, metavar="S", help="how long the load lasts (default 8)")
    parser.add_argument(
        "--serve",
        nargs="?",
        type=int,
        const=0,
        metavar="PORT",
        help="keep the server running for a browser (default: any free port)",
    )
    options = parser.parse_args(arguments)
    problem = raise_descriptor_limit(options.clients)
    if problem:
        print(problem, file=sys.stderr)
        return 2

    job = Job(options.serve or 0, options.clients, options.seconds)
    print(
        f"gevent {gevent.__version__}, Python {sys.version.split()[0]}: serving on http://127.0.0.1:{job.address[1]}/", flush=True
    )
    watcher = gevent.spawn(job.watch)
    status = 130  # as the shell reports an interrupted program
    try:
        status = 0 if job.run() else 1
        if options.serve is not None:
            print(f"\nStill serving: open http://127.0.0.1:{job.address[1]}/ in a browser. Ctrl-C ends.", flush=True)
            watcher.join()
    except KeyboardInterrupt:
        print()
    finally:
        watcher.kill()
        job.server.stop()
    return status


if __name__ == "__main__":
    sys.exit(main())
