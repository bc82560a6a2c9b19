"""A page that shows the server it comes from: requests, latencies, connections, greenlets and memory, live; and a chat beside it.

    python examples/live.py [--port PORT] [--host HOST]         then open the printed address, in more than one browser

How it works: every open page holds one request to /events, which never ends. Its greenlet waits on a queue of its own and sends what
is put there as server-sent events: the figures once a second, and whatever anybody says. A thousand open pages are
a thousand greenlets that sleep. The figures are the server's own: `Handler.log_request` is called once for each request, with its
times. The load that the page's buttons start is that of load.py: clients that are greenlets of this process, too.
"""

import argparse
import json
import platform
import sys
import time
from collections import deque
from pathlib import Path

import gevent
from gevent.lock import RLock
from gevent.pywsgi import WSGIHandler
from gevent.queue import Full, Queue
from load import CountingServer, Latencies, Load, count_greenlets, raise_descriptor_limit, resident_memory

PAGE = Path(__file__).with_name("live.html")
MOST_CLIENTS = 1000
#: The rows of the heat map: the least latencies they hold, in seconds; each is 1.75 times the one below.
ROWS = [0.000004 * 1.75**row for row in range(24)]


class Handler(WSGIHandler):
    """Counts the request, where others write a line about it."""

    def log_request(self):
        self.server.figures.note(self.time_finish - self.time_start)


class Figures:
    """What has happened in this second, and in those before."""

    def __init__(self, server):
        self.server = server
        self.served = 0
        self.history = deque(maxlen=120)
        self.latencies = Latencies()
        self.rows = [0] * len(ROWS)

    def note(self, seconds):
        self.served += 1
        self.latencies.add(seconds)
        row = 0
        while row < len(ROWS) - 1 and seconds >= ROWS[row + 1]:
            row += 1
        self.rows[row] += 1

    def take(self, elapsed):
        """The figures of the last *elapsed* seconds; counts anew from here."""
        latencies, rows = self.latencies, self.rows
        self.latencies, self.rows = Latencies(), [0] * len(ROWS)
        taken = {
            "rate": latencies.count / elapsed,
            "rows": rows,
            **{f"p{percent}": latencies.percentile(percent) for percent in (50, 90, 99)},
            "longest": latencies.longest,
        }
        self.history.append({"rate": taken["rate"], "rows": rows})
        return {
            **taken,
            "served": self.served,
            "connections": self.server.connections,
            "greenlets": count_greenlets(),
            "memory": resident_memory(),
        }


class Room:
    """Everybody who has the page open, and what was said lately."""

    def __init__(self):
        self.queues = set()
        self.said = deque(maxlen=50)

    def publish(self, event, data):
        message = f"event: {event}\ndata: {json.dumps(data)}\n\n".encode()
        for queue in list(self.queues):
            try:
                queue.put_nowait(message)
            except Full:  # a browser that stopped reading a minute ago: its EventSource connects again when it wakes
                self.queues.discard(queue)
                queue.queue.clear()
                queue.put_nowait(None)

    def listen(self, hello):
        """The events from now on, *hello* first: an iterator for WSGI. Closing it leaves the room."""
        queue = Queue(64)
        self.queues.add(queue)
        try:
            yield f"retry: 1000\nevent: hello\ndata: {json.dumps(hello)}\n\n".encode()
            yield from iter(queue.get, None)
        finally:
            self.queues.discard(queue)


class Site:
    """The application, and the greenlets that go with it."""

    def __init__(self, host, port):
        self.server = CountingServer((host, port), self.application, log=None, handler_class=Handler, backlog=MOST_CLIENTS)
        self.server.figures = self.figures = Figures(self.server)
        self.room = Room()
        self.load = None
        self.changing = RLock()
        self.started = time.time()
        self.server.start()

    def tick(self):
        """Publish the figures once a second, for ever."""
        before = time.perf_counter()
        while True:
            gevent.sleep(1)
            now = time.perf_counter()
            self.room.publish("figures", {**self.figures.take(now - before), **self.state()})
            before = now

    def state(self):
        return {
            "clients": self.load.clients if self.load else 0,
            "errors": len(self.load.errors) if self.load else 0,
            "pages": len(self.room.queues),
        }

    def set_load(self, clients):
        """Let *clients* clients send requests, in place of those that do so now."""
        with self.changing:
            if self.load is not None:
                self.load.stop()
                self.load = None
            if clients:
                self.load = Load(("127.0.0.1", self.server.server_port), clients)
                self.load.connect()
                self.load.start()

    def application(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith("/echo/"):  # what the load asks for
            return answer(start_response, "200 OK", "text/plain", path[6:].encode("latin-1"))
        if (method, path) == ("GET", "/"):
            return answer(start_response, "200 OK", "text/html; charset=utf-8", PAGE.read_bytes())
        if (method, path) == ("GET", "/events"):
            start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
            about = f"gevent {gevent.__version__} · {platform.python_implementation()} {platform.python_version()}"
            hello = {"about": about, "started": self.started, "history": list(self.figures.history), "rows": ROWS}
            return self.room.listen({**hello, "said": list(self.room.said), **self.state()})
        if (method, path) in (("POST", "/say"), ("POST", "/load")):
            try:
                (self.say if path == "/say" else self.change_load)(read_json(environ))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                return answer(start_response, "400 Bad Request", "text/plain", f"not understood: {error!r}\n".encode())
            return answer(start_response, "202 Accepted", "text/plain", b"")
        return answer(start_response, "404 Not Found", "text/plain", b"There is a page at / here.\n")

    def say(self, message):
        name, text = message["name"].strip()[:24] or "somebody", message["text"].strip()[:500]
        if not text:
            raise ValueError("there is no text")
        said = {"name": name, "text": text, "time": time.time()}
        self.room.said.append(said)
        self.room.publish("said", said)

    def change_load(self, wanted):
        clients = int(wanted["clients"])
        if not 0 <= clients <= MOST_CLIENTS:
            raise ValueError(f"clients must be from 0 to {MOST_CLIENTS}, not {clients}")
        gevent.spawn(self.set_load, clients)


def answer(start_response, status, kind, body):
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def read_json(environ):
    if environ.get("CONTENT_TYPE") != "application/json":  # which no form of another site can send
        raise ValueError("send application/json")
    return json.loads(environ["wsgi.input"].read(10_000))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    options = parser.parse_args(arguments)
    problem = raise_descriptor_limit(MOST_CLIENTS)
    if problem:
        sys.exit(problem)
    site = Site(options.host, options.port)
    print(f"open http://{options.host}:{site.server.server_port}/ in a browser; Ctrl-C ends", flush=True)
    gevent.spawn(site.tick)
    try:
        site.server.serve_forever()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()
