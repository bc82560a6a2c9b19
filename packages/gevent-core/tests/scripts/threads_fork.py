"""What a forked child has of the threads that are greenlets: the one that forked. Given "patched", with threads of the standard modules."""

import os
import sys

if "patched" in sys.argv:
    from gevent import monkey

    monkey.patch_all()

import _thread
import signal
import threading

import gevent
import gevent.thread
import gevent.threading
from gevent._originals import get_original
from gevent.hub import fork_with
from gevent.lock import Semaphore
from gevent.queue import Channel, Queue
from gevent.socket import socketpair
from gevent_testkit.children import status_of_child

PATCHED = "patched" in sys.argv
Thread = threading.Thread if PATCHED else gevent.threading.Thread
start_new_thread = _thread.start_new_thread if PATCHED else gevent.thread.start_new_thread

log = []
here, there = socketpair()
lock = Semaphore(0)
jobs, full, channel = Queue(), Queue(1), Channel()
full.put("there before")


def thread(name, function, *args, **kwargs):
    try:
        log.append((name, function(*args, **kwargs)))
    except BaseException as error:
        log.append((name, repr(error)))
    finally:
        log.append((name, "finally"))


def timed():
    with gevent.Timeout(0.2):
        gevent.sleep(60)


def waits_twice():
    lock.acquire()
    lock.acquire()


threads = [
    Thread(target=thread, args=args, daemon=True)
    for args in [
        ("sleep", gevent.sleep, 0.2),
        ("timeout", timed),
        ("recv", here.recv, 10),
        ("lock", lock.acquire),
        ("second lock", waits_twice),
        ("get", jobs.get),
        ("put", full.put, "the parent's"),
        ("channel", channel.get),
        ("hub", gevent.get_hub().switch),
    ]
]
for each in threads:
    each.start()
start_new_thread(thread, ("raw", gevent.sleep, 0.2))
greenlet = gevent.spawn(thread, "greenlet", gevent.sleep, 0.2)
waiter = gevent.spawn(lock.acquire)
joiner = gevent.spawn(threads[0].join)
gevent.sleep(0)
gevent.sleep(0)


def fork(child):
    # Blocking the parent: its threads must not be quicker to take what is meant for the child's.
    return status_of_child(child, os.fork if PATCHED else lambda: fork_with(os.fork), get_original("os", "waitpid"))


def child():
    # At once, and not when the hub gets to run.
    assert not any(each.is_alive() for each in threads), threads
    assert gevent.thread._count() == 0
    for each in threads:
        each.join()
    # What a thread stood in line for goes to the next who is there.
    lock.release()
    lock.release()
    waiter.get(timeout=5)
    assert lock.counter == 1, lock
    jobs.put("job")
    assert jobs.get(timeout=5) == "job"
    gevent.spawn_later(0, channel.put, "handed over")
    assert channel.get(timeout=5) == "handed over"
    assert full.get(timeout=5) == "there before"
    gevent.sleep(0.001)
    assert full.empty(), "a thread of the parent's went on putting"
    # A socket that a thread waits on is free; and nothing of the thread's wakes the loop again and again.
    there.send(b"hello")
    with gevent.Timeout(5):
        assert here.recv(10) == b"hello"
    joiner.get(timeout=5)
    greenlet.get(timeout=5)
    assert log == [("greenlet", None), ("greenlet", "finally")], log
    log.clear()
    # Threads of its own work, and end.
    mine = Thread(target=thread, args=("mine", int))
    mine.start()
    mine.join()
    assert log == [("mine", 0), ("mine", "finally")], log
    log.clear()
    # All have ended already, for everybody; on PyPy some are not collected yet, and some are.
    gevent.killall([each for each in [reference() for reference in list(gevent.thread._threads)] if each is not None], timeout=5)
    assert log == [], log


assert fork(child) == 0
# The parent's threads are as they were; one that forks goes on in the child, and it alone of the threads.
assert not any(name == "lock" for name, _ in log)
statuses = []


def forks():
    def inside():
        assert gevent.thread._count() == 1
        assert threading.current_thread() is threading.main_thread() or not PATCHED
        log.clear()
        gevent.sleep(0.001)
        assert {name for name, _ in log} <= {"greenlet"}, log

    statuses.append(fork(inside))


forking = Thread(target=forks)
forking.start()
forking.join()
assert statuses == [0], statuses


def woken_at_the_fork():
    """A thread was called for what it waits for, and has not run yet: the greenlet behind it is called in its stead."""
    assert waiter.ready() is False
    waiter.get(timeout=5)


lock.release()  # "lock" is on its way
lock.release()  # "second lock" too
assert fork(woken_at_the_fork) == 0

lock.release()
lock.release()
waiter.get(timeout=5)
jobs.put(1)
channel.put(2)
full.get()
there.send(b"x")
signal.alarm(10)
for each in threads:
    if each is not threads[-1]:
        each.join()
assert {name for name, _ in log} >= {"lock", "second lock", "get", "put", "channel", "recv"}, log
print("ok")
