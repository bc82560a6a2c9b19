"""A WSGI application by another server: ``wsgi_peer.py SERVER APPLICATION``. Prints the port it listens on.

Each is configured for one process (and a master, where it cannot do without), no access log, room for all connections,
and keep-alive without an end, which are the conditions ours has. Threads: THREADS, where the server has threads.
"""

import logging
import socket
import sys

import applications

THREADS = 8
CONNECTIONS = 20_000


def listen():
    """Return a listening socket with TCP_NODELAY, having printed its port."""
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    print(listener.getsockname()[1], flush=True)
    return listener


def bjoern(name):
    """In C, over libev; one thread."""
    import bjoern

    bjoern.server_run(listen(), getattr(applications, name))


def gunicorn(worker_class, name):
    """A master, and a worker of that class."""
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self):
            settings = {
                "bind": f"fd://{listener.fileno()}",
                "workers": 1,
                "worker_class": worker_class,
                "threads": THREADS if worker_class == "gthread" else 1,
                "worker_connections": CONNECTIONS,
                "keepalive": 75,
                "loglevel": "error",
            }
            for key, value in settings.items():
                self.cfg.set(key, value)

        def load(self):
            return getattr(applications, name)

    listener = listen()
    Application().run()


def waitress(name):
    """A thread with poll(), and threads for the application."""
    import waitress

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for each request that finds no idle thread
    waitress.serve(
        getattr(applications, name),
        sockets=[listen()],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        asyncore_use_poll=True,
        channel_timeout=3600,
        _quiet=True,
    )


def cheroot(name):
    """A thread with a selector, and threads for the application."""
    from cheroot import wsgi

    server = wsgi.Server(("127.0.0.1", 0), getattr(applications, name), numthreads=THREADS, request_queue_size=4096, timeout=3600)
    server.keep_alive_conn_limit = CONNECTIONS
    server.prepare()
    print(server.bind_addr[1], flush=True)
    server.serve()


def granian(name):
    """In Rust: a process that watches, and a worker with threads for I/O and one for the application."""
    from granian import Granian
    from granian.constants import Interfaces

    # It takes no socket, and does not tell which port it got: one that is free now.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = Granian(
        f"applications:{name}",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=1,
        backlog=4096,
        backpressure=CONNECTIONS,
        log_enabled=False,
    )
    server.on_startup(lambda: print(port, flush=True))
    server.serve()


SERVERS = {
    "bjoern": bjoern,
    "gunicorn_gevent": lambda name: gunicorn("gevent", name),
    "gunicorn_gthread": lambda name: gunicorn("gthread", name),
    "waitress": waitress,
    "cheroot": cheroot,
    "granian": granian,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]](*sys.argv[2:])
