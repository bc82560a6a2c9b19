"""Park, wake and end many greenlets twice. arguments: how many. Prints bytes: at the start, twice with all parked, and at the end."""

import contextlib
import ctypes
import gc
import sys

import gevent
from gevent._waiting import WaitQueue

count = int(sys.argv[1])
queue = WaitQueue()


def memory():
    gc.collect()
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what was freed below something that still lives
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def park():
    queue.wait(None, None)


def turn():
    jobs = [gevent.spawn(park) for _ in range(count)]
    while len(queue) < count:
        gevent.sleep(0)
    full = memory()
    queue.wake_all()
    gevent.joinall(jobs)
    return full


start = memory()
first = turn()
gevent.sleep(0.001)
second = turn()
gevent.sleep(0.001)
print(start, first, second, memory())
