"""A child forked by a native thread that is not the main one: signals are its own now, also those the main thread's loop watched."""

import os
import signal
import threading

import gevent
from gevent.event import Event
from gevent.hub import fork_with
from gevent_testkit.children import status_of_child

order = []
main_watcher = gevent.signal_handler(signal.SIGUSR1, order.append, "main")
other_watcher = gevent.signal_handler(signal.SIGUSR2, order.append, "main 2")
signal.signal(signal.SIGHUP, lambda *args: order.append("python"))


def in_child():
    told = Event()
    watcher = gevent.signal_handler(signal.SIGUSR1, told.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert told.wait(5)
    watcher.cancel()
    # A handler of Python's is called although the loop blocks: here the loop has nothing else that could wake it soon.
    watcher = gevent.spawn(os.kill, os.getpid(), signal.SIGHUP)
    done = Event()
    signal.signal(signal.SIGHUP, lambda *args: done.set())
    assert done.wait(5)
    assert order == [], order


def work():
    gevent.sleep(0.001)
    assert status_of_child(in_child, lambda: fork_with(os.fork)) == 0


thread = threading.Thread(target=work)
thread.start()
thread.join()
# The parent's are as they were.
os.kill(os.getpid(), signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR2)
while len(order) < 2:
    gevent.sleep(0.001)
assert sorted(order) == ["main", "main 2"], order
main_watcher.cancel()
other_watcher.cancel()
print("ok")
