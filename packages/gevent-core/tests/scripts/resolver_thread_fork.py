"""The threaded resolver in a forked child, one look-up running at the time. argument: reinit, plain, or multiprocessing."""

import os
import sys
import threading

import gevent
from gevent import resolver_thread
from gevent.event import Event
from gevent_testkit.children import status_of_child

how = sys.argv[1]
parent = os.getpid()
hub = gevent.get_hub()
resolver = hub.resolver
assert resolver.gethostbyname("localhost") == "127.0.0.1"
system = resolver_thread._socket
started, opened = Event(), threading.Event()


class Slow:
    """Answers with the process that asked; in the parent, not before it is allowed to."""

    @staticmethod
    def gethostbyname(name):
        if os.getpid() == parent:
            hub.loop.run_callback_threadsafe(started.set)
            assert opened.wait(20)
        return name, os.getpid()


resolver_thread._socket = Slow
running = gevent.spawn(resolver.gethostbyname, "name")
started.wait()


def child():
    resolver_thread._socket = system
    if how == "reinit":
        gevent.reinit()
    assert resolver.gethostbyname("localhost") == "127.0.0.1"
    assert running.get() == ("name", os.getpid())
    assert (len(resolver.pool), resolver.pool._semaphore.counter) == (0, 10)
    resolver.close()


status = status_of_child(child, by_multiprocessing=how == "multiprocessing")
assert status == 0, status
opened.set()
assert running.get() == ("name", parent)
print("parent ok")
