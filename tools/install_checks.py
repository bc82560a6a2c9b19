"""Use what is installed of gevent, and see that what is not installed says so. Run by tools/install_matrix.py in an environment.

    python install_checks.py gevent-core gevent-wsgi ...

The arguments are the distributions that have to be there; any other must not be. Nothing but what they need is used, no test tools.
"""

import importlib
import sys
from importlib.metadata import distributions

#: Per distribution, the modules it must have.
MODULES = {
    "gevent-core": [
        "gevent",
        "gevent.core",
        "gevent.hub",
        "gevent.greenlet",
        "gevent.timeout",
        "gevent.event",
        "gevent.lock",
        "gevent.coros",
        "gevent.queue",
        "gevent.local",
        "gevent.pool",
        "gevent.threadpool",
        "gevent.thread",
        "gevent.threading",
        "gevent.socket",
        "gevent.ssl",
        "gevent.select",
        "gevent.selectors",
        "gevent.fileobject",
        "gevent.resolver_thread",
        "gevent.baseserver",
        "gevent.server",
        "gevent.backdoor",
        "gevent.util",
        "gevent.builtins",
        "gevent.win32util",
    ],
    "gevent-ares": ["gevent.ares", "gevent.resolver_ares"],
    "gevent-subprocess": ["gevent.os", "gevent.signal", "gevent.subprocess"],
    "gevent-wsgi": ["gevent.pywsgi", "gevent.wsgi"],
    "gevent-monkey": ["gevent.monkey"],
    "gevent": ["gevent.release"],
}


def use_core():
    import gevent
    from gevent import socket
    from gevent.server import StreamServer

    server = StreamServer(("127.0.0.1", 0), lambda client, address: client.sendall(client.recv(10).upper()))
    server.start()
    with gevent.Timeout(10), socket.create_connection(server.address) as connection:
        connection.sendall(b"hello")
        assert connection.recv(10) == b"HELLO"
    server.stop()


def use_wsgi():
    import gevent
    from gevent import socket
    from gevent.pywsgi import WSGIServer

    def application(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    server = WSGIServer(("127.0.0.1", 0), application, log=None)
    server.start()
    with gevent.Timeout(10), socket.create_connection(server.address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    assert answer.endswith(b"\r\n\r\nhello"), answer
    server.stop()


def use_subprocess():
    import gevent
    from gevent import subprocess

    done = subprocess.run([sys.executable, "-c", "print(6 * 7)"], stdout=subprocess.PIPE, timeout=30)
    assert (done.returncode, done.stdout) == (0, b"42\n"), done
    pid = gevent.fork()
    if not pid:
        gevent.sleep(0.001)
        import os

        os._exit(7)
    from gevent.os import waitpid

    assert waitpid(pid, 0)[1] >> 8 == 7


def use_ares():
    import socket as plain

    import gevent
    from gevent.resolver_ares import Resolver

    resolver = Resolver(gevent.get_hub())
    found = resolver.getaddrinfo("127.0.0.1", 80, type=plain.SOCK_STREAM)
    resolver.close()
    assert [each[4] for each in found] == [("127.0.0.1", 80)], found


def use_monkey():
    from gevent import monkey

    monkey.patch_all()
    import queue
    import threading
    import time

    import gevent.hub

    told = queue.Queue()
    threading.Thread(target=lambda: (time.sleep(0.001), told.put(gevent.getcurrent()))).start()
    assert told.get(timeout=10) is not gevent.getcurrent()


def use_release():
    from gevent import release

    assert release.problems() == [], release.problems()


USES = {
    "gevent-core": use_core,
    "gevent-wsgi": use_wsgi,
    "gevent-subprocess": use_subprocess,
    "gevent-ares": use_ares,
    "gevent": use_release,
    "gevent-monkey": use_monkey,  # last, since it changes the process
}


def check_absent(distribution):
    for name in MODULES[distribution]:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            assert distribution in str(error).split(), f"{name}: {error} does not name {distribution}"
        else:
            raise AssertionError(f"{name} can be imported, and {distribution} should not be here")


def main(wanted):
    import gevent

    there = {each.metadata["Name"] for each in distributions() if each.metadata["Name"].startswith("gevent")}
    assert there == set(wanted), f"installed: {sorted(there)}; expected: {sorted(wanted)}"
    assert "site-packages" in gevent.__file__, f"gevent comes from {gevent.__file__}, not from this environment"
    for distribution in set(MODULES) - set(wanted):
        check_absent(distribution)
    for distribution in wanted:
        for name in MODULES[distribution]:
            importlib.import_module(name)
    for distribution, use in USES.items():
        if distribution in wanted:
            use()


if __name__ == "__main__":
    main(sys.argv[1:])
