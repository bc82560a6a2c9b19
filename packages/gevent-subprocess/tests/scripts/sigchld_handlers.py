"""Handlers for SIGCHLD beside Popen, fork and waitpid, and a storm of children. argument: patched or plain standard library."""

import collections
import os
import signal
import sys

import gevent
import gevent.os
import gevent.signal
from gevent import subprocess
from gevent.event import Event

if sys.argv[1] == "patched":
    from patched import patch

    patch()

CHILDREN = 200


def script(number):
    return ["sh", "-c", f"exit {number % 50}"]


def start(number):
    """A child that nobody waits for by its number: one of subprocess, forked, or spawned."""
    if number % 3 == 0 or (number % 3 == 1 and not hasattr(os, "posix_spawn")):
        pid = gevent.os.fork()
        if not pid:
            os._exit(number % 50)
        return pid
    if number % 3 == 1:
        return gevent.os.posix_spawn("/bin/sh", script(number), os.environ)
    child = subprocess.Popen(script(number))
    popens.append((child, number % 50))
    return child.pid


# 1. A handler that collects what has ended, set before the children are made; Popen hears of what it takes.
popens = []
collected = collections.Counter()
news = Event()


def collect(signum=None, frame=None):
    while True:
        try:
            pid, status = gevent.os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if not pid:
            break
        collected[pid, status] += 1
    news.set()


for via_gevent in (True, False):
    del popens[:]
    collected.clear()
    running = collections.Counter()
    before = gevent.signal.getsignal(signal.SIGCHLD)
    set_handler = gevent.signal.signal if via_gevent else signal.signal
    set_handler(signal.SIGCHLD, collect)
    assert gevent.signal.getsignal(signal.SIGCHLD) is collect
    for number in range(CHILDREN):
        running[start(number), (number % 50) << 8] += 1
        if number % 40 == 0:
            gevent.sleep(0.001)
    with gevent.Timeout(20, AssertionError("not all were collected")):
        while sum(list(collected.values())) < CHILDREN:  # the handler may come in between
            news.wait(1)
            news.clear()
            collect()  # what a watcher took after the last signal
    assert collected == running
    assert [child.wait() for child, status in popens] == [status for child, status in popens]
    assert gevent.signal.signal(signal.SIGCHLD, before) is collect
    try:
        raise AssertionError(os.waitpid(-1, os.WNOHANG))
    except ChildProcessError:
        pass

# 2. A handler that only counts, set while greenlets wait for children; each is called for the last child at least, and all get their own.
calls = []
gevent.sleep(0.001)  # handlers of the part above end
children = [subprocess.Popen(["sh", "-c", f"read line; exit {number}"], stdin=subprocess.PIPE) for number in range(30)]
waiting = [gevent.spawn(child.wait) for child in children]
forked = gevent.os.fork()
if not forked:
    os._exit(9)
job = gevent.spawn(gevent.os.waitpid, forked, 0)
gevent.sleep(0.001)
previous = signal.signal(signal.SIGCHLD, lambda *args: calls.append(1))
for child in children:
    child.stdin.close()
with gevent.Timeout(20, AssertionError("not all were told")):
    assert [each.get() for each in waiting] == list(range(30))
assert calls
del calls[:]
# ... and it is still there, and called, when nobody waits any more.
assert subprocess.call(["true"]) == 0
gevent.sleep(0.001)
assert calls
signal.signal(signal.SIGCHLD, previous)
assert job.get() == (forked, 9 << 8)

# 3. A SIGCHLD that is ignored: children cannot be waited for, and are reported to have ended well, as by the standard library.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
assert subprocess.call(["sh", "-c", "exit 7"]) in (0, 7)
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
assert subprocess.call(["sh", "-c", "exit 7"]) == 7
