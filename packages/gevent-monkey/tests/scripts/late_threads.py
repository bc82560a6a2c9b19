"""Locks, conditions, queues, executors and threads of before patching go on working: nothing hangs, and nothing blocks the hub."""

import logging
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

lock = threading.Lock()
rlock = threading.RLock()
condition = threading.Condition()
held = threading.Lock()
jobs = queue.Queue()
simple = queue.SimpleQueue()
answers = []
local = threading.local()
local.value = "main"


def serve():
    while True:
        job = jobs.get()
        if job is None:
            return
        answers.append(job)


thread = threading.Thread(target=serve, daemon=True)
thread.start()
executor = ThreadPoolExecutor(2)
assert executor.submit(pow, 2, 3).result() == 8
log = logging.getLogger("late")
handler = logging.StreamHandler()
log.addHandler(handler)

with rlock, held:
    handler.acquire()
    log.warning("before")
    from gevent import monkey

    monkey.patch_all()
    log.warning("after")
    handler.release()
    assert held.locked()
assert not held.locked()

import time  # noqa: E402

import gevent  # noqa: E402

# The hub runs all the time: this counts how often.
ticks = []


def tick():
    while True:
        ticks.append(1)
        time.sleep(0.001)


gevent.spawn(tick)


def contend(each, log):
    with each:
        log.append("in")
        time.sleep(0.01)
        log.append("out")


for each in (lock, rlock, condition, held, handler.lock):
    order = []
    gevent.joinall([gevent.spawn(contend, each, order) for _ in range(3)], raise_error=True)
    assert order == ["in", "out"] * 3, (each, order)

for number in range(3):
    jobs.put(number)
jobs.put(None)
thread.join()
assert answers == [0, 1, 2], answers

assert executor.submit(pow, 2, 4).result() == 16
executor.shutdown()

getter = gevent.spawn(simple.get)
gevent.sleep(0.01)
simple.put("item")
assert getter.get() == "item"


def wait_for_it():
    with condition:
        return condition.wait(5)


waiter = gevent.spawn(wait_for_it)
gevent.sleep(0.01)
with condition:
    condition.notify()
assert waiter.get() is True
assert len(ticks) > 10, len(ticks)
assert threading.current_thread() is threading.main_thread(), threading.enumerate()
assert local.value == "main"
print("done")
