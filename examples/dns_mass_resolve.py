"""Resolve many host names at once, and print each answer as it comes.

python examples/dns_mass_resolve.py NAME ...      or one name a line on standard input
GEVENT_RESOLVER=ares python ...                   with c-ares instead of a pool of native threads
"""

import sys
import time

from gevent import socket
from gevent.pool import Pool

#: How many look-ups may be out at a time.
AT_ONCE = 100


def resolve(name):
    """``(name, addresses or an error, seconds)``."""
    begin = time.perf_counter()
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        answer = sorted({address[0] for *_, address in found})
    except OSError as error:
        answer = error
    return name, answer, time.perf_counter() - begin


def resolve_all(names):
    """Yield what :func:`resolve` gives, in the order in which the answers come."""
    return Pool(AT_ONCE).imap_unordered(resolve, names)


def main(names):
    begin = time.perf_counter()
    count = failed = 0
    for name, answer, seconds in resolve_all(names):
        count += 1
        failed += isinstance(answer, Exception)
        text = answer.strerror if isinstance(answer, Exception) else ", ".join(answer)
        print(f"{name:40} {seconds * 1000:7.1f} ms  {text}")
    print(f"{count} names, {failed} without an answer, {time.perf_counter() - begin:.2f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or (line.strip() for line in sys.stdin if line.strip())))
