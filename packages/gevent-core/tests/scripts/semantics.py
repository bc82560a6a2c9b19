"""What a program sees of gevent, a line for each step; test_same_everywhere.py has what is to be seen."""

import gc
import weakref

import gevent
from gevent import local, lock, pool, queue, socket
from gevent.event import AsyncResult, Event
from gevent.hub import LoopExit


def say(*what):
    print(*what, flush=True)


def outcome(function, *args, **kwargs):
    try:
        return repr(function(*args, **kwargs))
    except BaseException as error:
        return f"{type(error).__name__}: {error}".rstrip(": ")


# Order: in turns, in the order of their making.
def counter(name):
    for step in range(3):
        say(name, step)
        gevent.sleep(0)


gevent.joinall([gevent.spawn(counter, name) for name in "ab"])

# Errors, kills, links.
gevent.get_hub().NOT_ERROR += (KeyError, ValueError)
failing = gevent.spawn({}.__getitem__, "key")
say("get", outcome(failing.get))
say("state", failing.ready(), failing.successful(), failing.value, type(failing.exception).__name__)


def cleaned():
    try:
        gevent.sleep(10)
    finally:
        say("finally")


killed = gevent.spawn(cleaned)
gevent.sleep(0)
killed.kill()
say("killed", repr(killed.value), killed.dead, bool(killed))
unstarted = gevent.spawn(say, "never")
unstarted.kill()
links = []
linked = gevent.spawn(int, "7")
linked.link(lambda ended: links.append(ended.value))
linked.link_exception(lambda ended: links.append("exception"))
linked.join()
gevent.sleep(0)
say("links", links)
say("unhandled", outcome(gevent.spawn(int, "x").get))

# Time-outs: one's own, another's, a silent one.
outer = gevent.Timeout(0.001)
with outer:
    try:
        Event().wait(10)
    except gevent.Timeout as caught:
        say("timeout", caught is outer)
with gevent.Timeout(0.001, False):
    gevent.sleep(10)
say("silent", gevent.with_timeout(0.001, gevent.sleep, 10, timeout_value="late"), Event().wait(0.001))

# Waiting objects: who waits first is served first.
semaphore, served = lock.Semaphore(0), []
waiting = [gevent.spawn(lambda name=name: (semaphore.acquire(), served.append(name))) for name in "abc"]
gevent.sleep(0)
for _ in waiting:
    semaphore.release()
gevent.joinall(waiting)
say("served", served)
rlock = lock.RLock()
with rlock, rlock:
    say("rlock", gevent.spawn(rlock.acquire, 0).get())
small = queue.Queue(1)
putting = gevent.spawn(lambda: [small.put(each) for each in range(3)])
say("queue", [small.get() for _ in range(3)], outcome(small.get, False), outcome(small.get, timeout=0.001))
result = AsyncResult()
gevent.spawn(result.set_exception, ValueError("told"))
say("result", outcome(result.get))
say("pool", list(pool.Pool(2).imap_unordered(abs, [-1, -2, -3])), pool.Pool(2).map(abs, [-1, -2]))
say("threadpool", gevent.get_hub().threadpool.apply(divmod, (7, 2)), outcome(gevent.get_hub().threadpool.apply, int, ("x",)))

# Each greenlet's own.
mine = local.local()
mine.value = 1
say("local", gevent.spawn(lambda: hasattr(mine, "value")).get(), mine.value)

# Sockets: a peer that closes, a time-out, a closed one.
left, right = socket.socketpair()
reading = gevent.spawn(right.recv, 10)
left.sendall(b"data")
say("recv", reading.get())
right.settimeout(0.001)
say("recv", outcome(right.recv, 10).rpartition(": ")[2])  # Python 3.9 has another name for the class
left.close()
right.settimeout(None)
say("recv", right.recv(10))
right.close()
say("recv", outcome(right.recv, 10))

# What is over is gone, and what can never happen says so.
gone = gevent.spawn(int)
gone.join()
reference = weakref.ref(gone)
del gone
for _ in range(3):
    gc.collect()
say("gone", reference() is None)
try:
    Event().wait()
except LoopExit:
    say("LoopExit")
