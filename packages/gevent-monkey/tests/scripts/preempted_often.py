"""Patched threads do what programs do with locks, queues and files while they are preempted all the time. Prints what failed."""

import io
import json
import logging
import queue
import random
import re
import sys
import tempfile
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import gevent
from gevent import monkey
from gevent._originals import get_ident, get_original, start_new_thread
from gevent._switching import quiet_threads

gevent.config.preempt_threads = 0.05
monkey.patch_all()
sys.setswitchinterval(0.00002)

END = monotonic() + float(sys.argv[1])
failures = []
preempted = 0


def pester(number, thread):
    """In a native thread: preempt whoever runs, again and again."""
    quiet_threads.add(get_ident())
    while monotonic() < END:
        if sys.version_info >= (3, 10):
            get_original("_thread", "interrupt_main")(number)
        else:
            get_original("signal", "pthread_kill")(thread, number)
        get_original("time", "sleep")(0.0001)
    quiet_threads.discard(get_ident())


class Item:
    def __init__(self):
        self.number = random.random()

    def __lt__(self, other):
        compute(20)
        return self.number < other.number


class Cycle:
    def __init__(self):
        self.itself = self

    def __del__(self):
        compute(20)


def compute(steps):
    for _ in range(steps):
        pass


lock, outer, few = threading.Lock(), threading.RLock(), threading.BoundedSemaphore(2)
inside = 0
guarded = done = 0
condition = threading.Condition()
fifo, by_size = queue.Queue(5), queue.PriorityQueue()
values = threading.local()
pool = ThreadPoolExecutor(3)
logging.basicConfig(stream=io.StringIO())


def count_under_locks(number):
    global guarded, done
    with lock:
        before = guarded
        compute(random.randrange(200))
        guarded = before + 1
    with outer, outer:
        done += 1


def enter_few(number):
    global inside
    with few:
        with lock:
            inside += 1
            assert inside <= 2
        compute(300)
        with lock:
            inside -= 1


def use_queue(number):
    try:
        if number % 2:
            fifo.put(number, timeout=0.01)
        else:
            fifo.get(timeout=0.01)
    except (queue.Empty, queue.Full):
        pass


def sort_in_queue(number):
    by_size.put(Item())
    if number % 3:
        by_size.get()


def wait_and_notify(number):
    with condition:
        if number % 2:
            condition.notify_all()
        else:
            condition.wait(0.005)


def use_local(number):
    values.number = number
    compute(500)
    assert values.number == number


def start_thread(number):
    found = []
    thread = threading.Thread(target=lambda: found.append(sum(range(2000))))
    thread.start()
    thread.join()
    assert found == [1999000]


def use_pool(number):
    assert pool.submit(sum, range(1000)).result() == 499500


def collect(number):
    assert json.loads(json.dumps([Cycle() and each for each in range(50)])) == list(range(50))
    assert re.sub(r"\d", lambda match: match[0] * 2, "a1" * 50) == "a11" * 50


def write(number):
    logging.getLogger("some").warning("%s", number)
    with tempfile.TemporaryFile() as file:
        file.write(b"a" * 1000)
        file.seek(0)
        assert file.read() == b"a" * 1000


WORK = [count_under_locks, enter_few, use_queue, sort_in_queue, wait_and_notify, use_local, start_thread, use_pool, collect, write]


def work(seed):
    choose = random.Random(seed).choice
    number = 0
    try:
        while monotonic() < END:
            choose(WORK)(number)
            number += 1
    except BaseException:
        failures.append(traceback.format_exc())


from gevent import _preemption  # noqa: E402

may_leave = _preemption.may_leave


def note(hub, frame):
    global preempted
    found = may_leave(hub, frame)
    preempted += found
    return found


_preemption.may_leave = note
number = gevent.get_hub()._preemption._signum
start_new_thread(pester, (number, threading.get_ident()))
threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
for each in threads:
    each.start()
work(99)
for each in threads:
    each.join()
print(*failures, sep="")
print("preempted" if preempted > 100 else preempted, guarded == done > 0, inside)
