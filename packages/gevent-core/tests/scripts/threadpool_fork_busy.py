"""A fork while tasks run, are queued, and while a greenlet waits to spawn one. argument: reinit, or plain (nobody tells gevent)."""

import os
import sys
import threading

import gevent
from gevent.threadpool import ThreadPool
from gevent_testkit.children import status_of_child

how = sys.argv[1]
parent = os.getpid()
hub = gevent.get_hub()
pool = ThreadPool(2)
started, gate = gevent.event.Event(), threading.Event()


def run(value):
    hub.loop.run_callback_threadsafe(started.set)
    assert gate.wait(20)
    return value


running = gevent.spawn(pool.apply, run, ("ran",))
started.wait()
pool.size = 1
pool.task_queue.limit = 1  # so that the next is queued
queued = gevent.spawn(pool.apply, os.getpid)
waiting = gevent.spawn(pool.apply, os.getpid)
done_in_time = gevent.event.AsyncResult()
gevent.sleep(0.0001)
assert (len(pool), len(pool.task_queue), pool.task_queue.leaving) == (2, 1, 0)


def child():
    me = os.getpid()
    reports = []
    hub.handle_error = lambda context, type, value, tb: reports.append(context)
    if how == "reinit":
        gevent.reinit()
    else:
        assert pool.apply(os.getpid) == me
    gevent.wait([running, queued, waiting])
    assert (queued.get(), waiting.get()) == (me, me), (queued, waiting, parent, me)
    assert isinstance(running.exception, RuntimeError), running.exception
    assert "the process forked while" in str(running.exception)
    gevent.sleep(0)
    assert reports == [running], reports  # of the greenlet; the pool itself reports nothing
    assert (len(pool), pool._semaphore.counter) == (0, 2)
    pool.kill()
    assert gevent.wait(timeout=20)


assert status_of_child(child) == 0
assert not running.ready()
gate.set()
assert (running.get(), queued.get(), waiting.get()) == ("ran", parent, parent)
pool.kill()
print("parent ok")
