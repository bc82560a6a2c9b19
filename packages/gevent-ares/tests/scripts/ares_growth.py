"""Whether memory, descriptors or watchers grow over many look-ups: of names that are there, that are not, and that time out.

    python ares_growth.py [LOOK-UPS]     # a million by default: ten minutes

It prints the resident memory at ten points, and fails if it grew by more than a MiB (PyPy: 16) over the last four fifths.
"""

import gc
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gevent
from compare_with_libc import name_server
from gevent.pool import Pool
from gevent.resolver_ares import Resolver

TOTAL = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
IN_FLIGHT = 200
# PyPy compiles on, and collects when memory has doubled: there a short run still grows, towards an end.
ALLOWED = 1 << (20 if sys.implementation.name == "cpython" else 24)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def look_up(resolver, number):
    kind = number % 20
    try:
        if kind == 0:
            resolver.gethostbyname("nowhere.test")
        elif kind == 1:
            resolver.gethostbyaddr("192.0.2.1")
        elif kind == 2:
            resolver.getnameinfo(("192.0.2.1", 80), 0)
        elif kind == 3:
            resolver.getaddrinfo("localhost", "http")
        elif kind == 4:
            resolver.gethostbyname_ex("chain.test")
        elif number % 2000 == 5:
            resolver.gethostbyname("drop.test")
        elif number % 2000 == 25:
            with gevent.Timeout(0.001, False):
                resolver.gethostbyname("late.test")
        else:
            resolver.getaddrinfo(f"n{number}.load.test", 80)
    except OSError:
        pass


def main():
    with name_server() as port:
        resolver = Resolver(servers=f"127.0.0.1:{port}", timeout=0.5, tries=1, use_environ=False)
        pool = Pool(IN_FLIGHT)
        sizes, open_before = [], None
        for point in range(10):
            for number in range(point * TOTAL // 10, (point + 1) * TOTAL // 10):
                pool.spawn(look_up, resolver, number)
            pool.join()
            gc.collect()  # what waits for a collection is no growth
            sizes.append(resident())
            open_before = open_before or descriptors()
            print(
                f"{(point + 1) * TOTAL // 10} look-ups: {sizes[-1] >> 10} KiB, {descriptors()} descriptors, {resolver.ares!r}",
                flush=True,
            )
        resolver.close()
    grown = sizes[-1] - sizes[1]
    print(f"grown by {grown >> 10} KiB from a fifth of them on")
    return grown > ALLOWED


if __name__ == "__main__":
    sys.exit(main())
