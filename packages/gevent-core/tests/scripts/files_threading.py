"""The standard library's threads, with the names of gevent.threading put in place as gevent-monkey does."""

import contextlib
import gc
import queue
import threading

import gevent
import greenlet
from gevent import threading as green
from gevent.thread import get_ident

native_ident = threading.get_ident()
for name in green.__implements__:
    setattr(threading, name, getattr(green, name))
threading._active[get_ident()] = threading._active.pop(native_ident)
threading.main_thread()._ident = get_ident()

assert threading.current_thread() is threading.main_thread()
assert isinstance(threading.Lock(), green.Lock)
assert isinstance(threading.RLock(), green.RLock)


class Worker(threading.Thread):
    def __init__(self, jobs, results):
        super().__init__()
        self.jobs, self.results = jobs, results
        self.mine = threading.local()

    def run(self):
        self.mine.sum = 0
        while (job := self.jobs.get()) is not None:
            self.mine.sum += job
            gevent.sleep(0)
        assert threading.current_thread() is self
        self.results.append(self.mine.sum)


jobs, results = queue.Queue(), []  # its lock and conditions are made of the new names
workers = [Worker(jobs, results) for _ in range(3)]
for each in workers:
    each.start()
assert [each.is_alive() for each in workers] == [True] * 3
assert len({each.ident for each in workers} | {get_ident()}) == 4
assert threading.active_count() == 4
for number in [*range(10), None, None, None]:
    jobs.put(number)
for each in workers:
    each.join()
assert sum(results) == 45
assert len(results) == 3
assert [each.is_alive() for each in workers] == [False] * 3
assert threading.active_count() == 1
assert "stopped" in repr(workers[0])

# Waiting with a limit, conditions, events, timers.
event = threading.Event()
waiter = threading.Thread(target=event.wait, daemon=True)
waiter.start()
waiter.join(0.001)
assert waiter.is_alive()
timer = threading.Timer(0.001, event.set)
timer.start()
waiter.join()
timer.join()
assert not waiter.is_alive()
assert not event.wait(0) or event.is_set()
condition = threading.Condition()
with condition:
    assert condition.wait(0.001) is False
barrier = threading.Barrier(2)
other = threading.Thread(target=barrier.wait)
other.start()
barrier.wait(5)
other.join()
with contextlib.suppress(RuntimeError):
    threading.current_thread().join()
    raise AssertionError("it joined itself")

# Foreign greenlets.
foreign = greenlet.greenlet(lambda: threading.current_thread())
dummy = foreign.switch()
assert type(dummy) is green._DummyThread
assert dummy in threading.enumerate()
del foreign
for _ in range(3):  # PyPy collects what finalizers led to at the next time only
    gc.collect()
assert threading.enumerate() == [threading.main_thread()]


def end_later(number):
    gevent.sleep(0.02 * (number + 1))
    print(f"thread {number} ends")


for number in range(2):
    threading.Thread(target=end_later, args=(number,)).start()
threading.Thread(target=gevent.sleep, args=(30,), daemon=True).start()
print("the main thread ends")
