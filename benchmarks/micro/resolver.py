"""Looking up names, 500 at a time, of a name server of ours in a process of its own: by c-ares on the hub, and by libc in threads.

The name server is that of gevent-ares's tests. libc is pointed to it thread by thread, as gevent-ares's tests do.
"""

import _socket
import atexit
import subprocess
import sys
import threading
from pathlib import Path

import gevent
from declare import rate
from gevent.pool import Pool
from gevent.threadpool import ThreadPool

SCRIPTS = Path(__file__).resolve().parents[2] / "packages" / "gevent-ares" / "tests" / "scripts"
IN_FLIGHT = 500
THREADS = 10  # as the threaded resolver

_made = {}
_local = threading.local()


def port():
    """The port of the name server, which is started on first use and ends with this process."""
    if "port" not in _made:
        server = subprocess.Popen([sys.executable, str(SCRIPTS / "dns_server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(server.kill)
        _made["port"] = int(server.stdout.readline())
        _made["server"] = server
    return _made["port"]


def resolver():
    """The resolver over c-ares, made on first use."""
    if "resolver" not in _made:
        from gevent.resolver.ares import Resolver

        _made["resolver"] = Resolver(servers="127.0.0.1", udp_port=port(), tcp_port=port(), timeout=5)
    return _made["resolver"]


def by_libc(name):
    """What the system's getaddrinfo says of *name*, in a thread whose libc asks our name server."""
    if not hasattr(_local, "directed"):
        sys.path.insert(0, str(SCRIPTS))
        from libc_state import direct_libc

        direct_libc(_made["port"])
        _local.directed = True
    return _socket.getaddrinfo(name, 80, _socket.AF_INET, _socket.SOCK_STREAM)


def right(answers):
    """How many (number, getaddrinfo's answer) pairs are right."""
    return sum(answer[0][4] == (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 80) for number, answer in answers)


def look_up(loops, clock, function, *more):
    """Look up *loops* x IN_FLIGHT names, IN_FLIGHT at a time. Returns how many answers were right."""
    function("n0.load.test", *more)
    answers = []

    def note(number):
        answers.append((number, function(f"n{number}.load.test", *more)))

    pool = Pool(IN_FLIGHT)
    with clock:
        for number in range(loops * IN_FLIGHT):
            pool.spawn(note, number)
        pool.join()
    return right(answers)


@rate(unit="look-ups", ops=500)
def ares_getaddrinfo(loops, clock):
    """getaddrinfo() over c-ares, IPv4, 500 at a time."""
    return look_up(loops, clock, resolver().getaddrinfo, 80, _socket.AF_INET, _socket.SOCK_STREAM)


@rate(unit="look-ups", ops=500)
def ares_gethostbyname(loops, clock):
    """gethostbyname() over c-ares, 500 at a time."""
    made = resolver()

    def function(name):
        return [(0, 0, 0, "", (made.gethostbyname(name), 80))]

    return look_up(loops, clock, function)


@rate(unit="look-ups", ops=500, threads=True)
def threads_getaddrinfo(loops, clock):
    """getaddrinfo() of libc in 10 native threads, as the threaded resolver does it, 500 waiting at a time."""
    port()
    if "pool" not in _made:
        _made["pool"] = ThreadPool(THREADS, hub=gevent.get_hub())
    pool = _made["pool"]
    return look_up(loops, clock, lambda name: pool.apply(by_libc, (name,)))
