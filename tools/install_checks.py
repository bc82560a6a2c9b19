"""Use what is installed of gevent, and see that what is not installed says so. Run by tools/install_matrix.py in an environment.

    python install_checks.py gevent-core gevent-wsgi ...

The arguments are the distributions that have to be there; any other must not be. Nothing but what they need is used, no test tools.
"""

import importlib
import importlib.util
import sys
import warnings
from importlib.metadata import distribution, distributions

#: The modules that a program asks for by name, and that have to say which distribution they are of where it is missing.
ADVISED = {
    "gevent-ares": ["gevent.ares", "gevent.resolver_ares"],
    "gevent-subprocess": ["gevent.os", "gevent.signal", "gevent.subprocess"],
    "gevent-wsgi": ["gevent.pywsgi", "gevent.wsgi"],
    "gevent-monkey": ["gevent.monkey"],
    "gevent": ["gevent.release"],
}


#: The loop through cffi: gevent-core brings it, but needs no cffi where it has its compiled loop.
THROUGH_CFFI = ("gevent._libev.cffi", "gevent._libev._shim")


def modules_of(name):
    """Every module that the distribution has installed, whichever way it is stored; not those that are run, not imported."""
    for file in distribution(name).files:
        stem = str(file).partition(".")[0]
        if file.suffix in (".py", ".so") and stem.startswith("gevent/") and not stem.endswith(("__main__", "_build")):
            yield stem.removesuffix("/__init__").replace("/", ".")


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
    with warnings.catch_warnings():
        # There may be native threads by now, of which Python warns.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
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
    found = resolver.getaddrinfo("127.0.0.1", 80, 0, plain.SOCK_STREAM)
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


def check_absent(wanted):
    for name in ADVISED[wanted]:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            assert wanted in str(error).split(), f"{name}: {error} does not name {wanted}"
        else:
            raise AssertionError(f"{name} can be imported, and {wanted} should not be here")


def main(wanted):
    import gevent

    there = {each.metadata["Name"] for each in distributions() if each.metadata["Name"].startswith("gevent")}
    assert there == set(wanted), f"installed: {sorted(there)}; expected: {sorted(wanted)}"
    assert "site-packages" in gevent.__file__, f"gevent comes from {gevent.__file__}, not from this environment"
    for name in set(ADVISED) - set(wanted):
        check_absent(name)
    for name in wanted:
        modules = set(modules_of(name))
        assert modules.issuperset(ADVISED.get(name, ())), f"{name} has only {sorted(modules)}"
        for module in sorted(modules):
            if module in THROUGH_CFFI and importlib.util.find_spec("_cffi_backend") is None:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # gevent.coros and kin say that they have another name now
                importlib.import_module(module)
    for name, use in USES.items():
        if name in wanted:
            use()


if __name__ == "__main__":
    main(sys.argv[1:])
