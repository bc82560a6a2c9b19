"""Native threads, each with a hub and a resolver of its own, look up at the same time; argument 1 is the name server's port."""

import os
import sys
import threading

import gevent

os.environ["GEVENT_RESOLVER"] = "ares"
os.environ["GEVENTARES_SERVERS"] = f"127.0.0.1:{sys.argv[1]}"
from gevent import socket

THREADS, GREENLETS, LOOK_UPS = 4, 10, 20
found = {}


def look_up(thread, greenlet):
    for each in range(LOOK_UPS):
        number = (thread * GREENLETS + greenlet) * LOOK_UPS + each
        found[number] = socket.gethostbyname(f"n{number}.load.test")


def run(thread):
    gevent.joinall([gevent.spawn(look_up, thread, greenlet) for greenlet in range(GREENLETS)], raise_error=True)
    resolvers.add(gevent.get_hub().resolver)
    gevent.get_hub().destroy()


resolvers = set()
threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(resolvers) == THREADS
assert found == {number: f"10.0.{number >> 8}.{number & 255}" for number in range(THREADS * GREENLETS * LOOK_UPS)}
