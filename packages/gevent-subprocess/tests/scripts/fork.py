"""A forked child has everything. argument: who forks."""

import os
import signal
import sys
import threading

import gevent
import gevent.os
from gevent import socket, subprocess
from gevent.event import Event
from gevent.hub import get_hub
from gevent_testkit.children import status_of_child

where = sys.argv[1]
parent = os.getpid()
in_hook = []


def use_gevent():
    """Called in the child before fork() has returned there."""
    if os.getppid() == parent:
        gevent.sleep(0.001)
        in_hook.append(get_hub().threadpool.apply(len, ("hook",)))


os.register_at_fork(after_in_child=use_gevent)


def in_child():
    assert in_hook == [4], in_hook
    assert gevent.spawn(pow, 2, 3).get() == 8
    assert gevent.with_timeout(0.01, gevent.sleep, 10, timeout_value="late") == "late"
    assert get_hub().threadpool.apply(len, ("pool",)) == 4
    assert socket.getaddrinfo("127.0.0.1", 80)
    assert socket.gethostbyname("localhost")
    assert subprocess.check_output(["cat"], input=b"in") == b"in"
    told = Event()
    watcher = gevent.signal_handler(signal.SIGUSR1, told.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert told.wait(10)
    watcher.cancel()
    pid = gevent.os.fork()
    if not pid:
        gevent.sleep(0.001)
        os._exit(3)
    assert gevent.os.waitpid(pid, 0) == (pid, 3 << 8)
    results = []
    thread = threading.Thread(target=lambda: results.append(subprocess.call(["sh", "-c", "exit 5"])))
    thread.start()
    thread.join()
    assert results == [5]
    print("child", flush=True)


def fork():
    gevent.sleep(0.001)
    assert status_of_child(in_child, gevent.os.fork, gevent.os.waitpid) == 0
    # The parent's are as they were.
    assert gevent.spawn(pow, 2, 3).get() == 8
    assert subprocess.call(["sh", "-c", "exit 4"]) == 4


def run(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


get_hub().threadpool.apply(len, ("parent",))
main_watcher = gevent.signal_handler(signal.SIGUSR1, int)  # on the loop of the main thread
if where == "main":
    fork()
elif where == "greenlet":
    gevent.spawn(fork).get()
elif where == "thread":
    run(fork)
elif where == "thread greenlet":
    run(lambda: gevent.spawn(fork).get())
else:
    get_hub().threadpool.apply(fork)
main_watcher.cancel()
print("parent", flush=True)
