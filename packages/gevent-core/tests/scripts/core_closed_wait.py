"""Waiting for a descriptor that is not open (COR-03): OSError, not the end of the process."""

import errno
import fcntl
import os

import greenlet
from core_support import core, run

loop = core.loop(default=False)
hub = greenlet.greenlet(lambda: run(loop))
loop.hub = hub
seen = []


def waiter():
    number = fcntl.fcntl(0, fcntl.F_DUPFD, 500)
    os.close(number)
    for timeout in (None, 5, 0):
        try:
            loop.wait_fd(number, core.READ, timeout)
        except OSError as error:
            seen.append(error.errno)
    # Open when the wait begins, closed by somebody else before the loop polls.
    number = fcntl.fcntl(0, fcntl.F_DUPFD, 500)
    loop.run_callback(os.close, number)
    try:
        loop.wait_fd(number, core.READ)
    except OSError as error:
        seen.append(error.errno)
    loop.sleep(0.001)
    seen.append("goes on")


loop.ready(greenlet.greenlet(waiter, hub))
hub.switch()
assert seen == [errno.EBADF] * 4 + ["goes on"], seen
assert not loop.activecnt
loop.hub = None

# The same for a watcher: it gets an event, and is stopped.
number = fcntl.fcntl(0, fcntl.F_DUPFD, 500)
seen = []
io = loop.io(number, core.READ)
io.start(seen.append, core.EVENTS)
io.start(lambda events: seen.append(events), core.EVENTS)
os.close(number)
run(loop)
assert len(seen) == 1 and not io.active, seen
loop.destroy()
print("ok")
