"""Forks again and again while native threads use shared locks, queues and a pool; a hook of os.register_at_fork uses them in the child."""

import os
import threading
from time import sleep

import gevent
from gevent.event import Event
from gevent.hub import LoopExit
from gevent.lock import RLock, Semaphore
from gevent.queue import PriorityQueue, Queue
from gevent_testkit import collect_garbage
from gevent_testkit.children import status_of_child

semaphore, queue, event = Semaphore(1), Queue(), Event()
pool = gevent.get_hub().threadpool
pool.apply(int)
stop, go = threading.Event(), threading.Event()
found = []
turns = [0, 0, 0]


def use(number):
    while not stop.is_set():
        go.wait()
        turns[number] += 1
        semaphore.release()
        semaphore.acquire()
        queue.put(1)
        queue.get()
        event.set()
        event.clear()


def in_child():
    """The hook: what is shared works, and so does the pool, though all other threads are gone."""
    found.append(pool.apply(os.getpid))
    with semaphore, RLock():
        event.set()
        found.append(event.wait())
    own = PriorityQueue()
    gevent.spawn(own.put, 3)
    found.append(own.get())
    try:
        Event().wait()  # the parent's threads are not counted here
    except LoopExit:
        found.append("LoopExit")


os.register_at_fork(after_in_child=in_child, after_in_parent=go.clear)  # the child need not share the processor with them
threads = [threading.Thread(target=use, args=(number,)) for number in range(3)]
for each in threads:
    each.start()


class Finalized:
    def __del__(self):
        found.append("finalized")


def child():
    pool.kill()
    Finalized()
    collect_garbage()
    assert found == [os.getpid(), True, 3, "LoopExit", "finalized"], found


for _ in range(10):
    turns[:] = [0, 0, 0]
    go.set()
    while not all(turns):  # they are in the middle of it
        sleep(0.001)
    status = status_of_child(child)
    assert status == 0, status
stop.set()
go.set()
for each in threads:
    each.join()
assert (semaphore.counter, queue.qsize()) == (1, 0)
print("parent ok")
