"""wait and iwait over all kinds of objects, and the wait queue under every synchronization object."""

import copy
import gc
import pickle
import weakref
from functools import partial

import gevent
import pytest
from gevent._switching import get_loop
from gevent._waiting import WaitQueue, iwait, wait
from gevent.event import AsyncResult, Event
from gevent.hub import get_hub
from gevent.lock import BoundedSemaphore, RLock, Semaphore
from gevent.queue import Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue, SimpleQueue
from gevent.thread import LockType
from gevent_testkit import REFERENCE_COUNTING
from gevent_testkit.greenlets import sleepers


class Failure(Exception):
    pass


class Linkable:
    """Something with rawlink; *unlinked* has what was unlinked."""

    def __init__(self):
        self.links, self.unlinked = [], []

    def rawlink(self, callback):
        self.links.append(callback)

    def unlink(self, callback):
        self.unlinked.append(callback)
        if callback in self.links:
            self.links.remove(callback)

    def fire(self):
        for each in list(self.links):
            get_loop().run_callback(each, self)


@pytest.mark.parametrize(
    "kind",
    [
        *(AsyncResult, Event, BoundedSemaphore, RLock, Semaphore, LockType),
        *(Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue, SimpleQueue),
    ],
)
def test_cannot_be_copied_or_pickled(kind):
    """What a copy would be waited for, nobody would ever set, release or fill."""

    class Derived(kind):
        pass

    for thing in (kind(), Derived()):
        attempts = [
            copy.copy,
            copy.deepcopy,
            *(partial(pickle.dumps, protocol=each) for each in range(pickle.HIGHEST_PROTOCOL + 1)),
        ]
        for attempt in attempts:
            with pytest.raises(TypeError, match=f"cannot pickle '{type(thing).__name__}' object"):
                attempt(thing)


class LinkableOnly:
    """Something with rawlink and no unlink."""

    def rawlink(self, callback):
        get_loop().run_callback(callback, self)


@pytest.fixture
def reports():
    found = []
    hub = get_hub()
    hub.handle_error = lambda context, type, value, tb: found.append(value)
    yield found
    del hub.handle_error


# ---- wait -----------------------------------------------------------------------------------------------------------------------


def test_order_of_readiness():
    """SPW-17: greenlets and anything with rawlink, unlink optional; in the order in which they became ready."""
    linkable, once = Linkable(), LinkableOnly()
    first, last = Event(), Event()
    slow, fast = gevent.spawn(last.wait), gevent.spawn(first.wait)

    def make_ready():
        gevent.sleep(0)  # what is ready from the start comes before
        first.set()
        fast.join()
        linkable.fire()
        gevent.sleep(0)
        last.set()

    gevent.spawn(make_ready)
    assert wait([slow, linkable, fast, once]) == [once, fast, linkable, slow]
    assert linkable.links == []


def test_ready_ones():
    dead = gevent.spawn(int)
    dead.join()
    assert wait([dead]) == [dead]
    assert wait((dead, dead)) == [dead, dead]
    assert wait([]) == []
    assert wait(iter([dead])) == [dead]


def test_count():
    jobs = sleepers(0.08, 0.001, 0.04)
    assert wait(jobs, count=0) == []
    assert wait(jobs, count=1) == [jobs[1]]
    assert wait(jobs, count=2) == [jobs[1], jobs[2]]
    assert sorted(job.value for job in wait(jobs, count=10)) == [0.001, 0.04, 0.08]


def test_time_limit():
    jobs = sleepers(0, 20)
    assert wait(jobs, timeout=0.01) == jobs[:1]
    assert wait(jobs[1:], timeout=0) == []
    assert wait(jobs[1:], timeout=-1) == []
    gevent.killall(jobs)


@pytest.mark.parametrize("bad", ["1", object()])
def test_bad_time_limits(bad):
    job = gevent.spawn(gevent.sleep, 20)
    for call in (wait, lambda *args, **kwargs: list(iwait(*args, **kwargs))):
        with pytest.raises(TypeError):
            call([job], timeout=bad)
        with pytest.raises((TypeError, ValueError)):
            call([job], timeout=float("nan"))
    job.kill()


def test_what_cannot_be_linked():
    """An error that names what is missing; what was linked by then is unlinked."""
    linkable = Linkable()
    with pytest.raises(AttributeError, match="rawlink"):
        wait([linkable, 5])
    assert len(linkable.unlinked) == 1
    assert linkable.links == []
    with pytest.raises(TypeError):
        wait(5)


def test_for_everything():
    """SPW-16: until the loop has nothing to do: greenlets, watchers that count."""
    order = []
    gevent.spawn(lambda: (gevent.sleep(0.001), order.append("greenlet")))
    timer = get_loop().timer(0.1)
    timer.start(lambda: (order.append("timer"), gevent.spawn(order.append, "spawned")))
    unref = get_loop().timer(20, ref=False)
    unref.start(int)
    assert wait() is True
    assert order == ["greenlet", "timer", "spawned"]
    unref.close()
    timer.close()
    holding = get_loop().timer(20)
    holding.start(int)
    assert wait(timeout=0.001) is False
    holding.close()


# ---- iwait ----------------------------------------------------------------------------------------------------------------------


def test_iwait():
    """SPW-18: as they become ready; count; the end of the time limit ends it silently."""
    jobs = sleepers(0.005, 0.001, 0.003)
    assert [job.value for job in iwait(jobs)] == [0.001, 0.003, 0.005]
    assert list(iwait([])) == []
    jobs = sleepers(0.001, 20, 0.003)
    assert [job.value for job in iwait(jobs, count=2)] == [0.001, 0.003]
    assert [job.value for job in iwait(jobs, timeout=0.001)] in ([0.001, 0.003], [0.003, 0.001])
    gevent.killall(jobs)
    assert list(iwait(None, timeout=1)) == [True]


def test_the_limit_is_for_all_of_it():
    """SPW-18: not for each item."""
    jobs = sleepers(*[0.03 * number for number in range(1, 30)])
    found = list(iwait(jobs, timeout=0.05))
    assert len(found) < 29
    gevent.killall(jobs)


def test_switching_between_items():
    """SPW-19: the caller waits for other things between items: none is lost, nothing ends early."""
    jobs = sleepers(0.004, 0.001, 0.002, 0.003)
    found = []
    for job in iwait(jobs):
        found.append(job.value)
        gevent.sleep(0)
        gevent.sleep(0.002)
        gevent.spawn(int).join()
    assert found == [0.001, 0.002, 0.003, 0.004]


def test_unlinks():
    """SPW-20: from all, whether finished, closed early, or ended by an exception."""

    def begin(count=None, timeout=None):
        objects = [Linkable() for _ in range(3)]
        return objects, iwait(objects, timeout, count)

    objects, iterator = begin()
    get_loop().run_callback(objects[1].fire)
    assert next(iterator) is objects[1]
    assert [len(each.links) for each in objects] == [1, 1, 1]
    iterator.close()
    assert [len(each.links) for each in objects] == [0, 0, 0]
    objects, iterator = begin(count=1)
    get_loop().run_callback(objects[0].fire)
    assert list(iterator) == [objects[0]]
    assert [len(each.links) for each in objects] == [0, 0, 0]
    objects, iterator = begin(timeout=0.0001)
    assert list(iterator) == []
    assert [len(each.links) for each in objects] == [0, 0, 0]
    objects, iterator = begin()
    with gevent.Timeout(0.001, False):
        list(iterator)
    assert [len(each.links) for each in objects] == [0, 0, 0]


def test_leaves_nothing_behind():
    """SPW-20: a greenlet that was waited for is not kept, nor does it keep the waiting."""
    job = gevent.spawn(gevent.sleep, 20)
    for _ in range(3):
        assert wait([job], timeout=0) == []
    reference = weakref.ref(job)
    job.kill()
    del job
    gevent.sleep(0)
    gc.collect()
    assert reference() is None


def test_foreign_timeout():
    """ALL-01: it passes."""
    job = gevent.spawn(gevent.sleep, 20)
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.001) as foreign:
        wait([job], timeout=20)
    assert caught.value is foreign
    job.kill()


# ---- WaitQueue ------------------------------------------------------------------------------------------------------------------


def waiting(queue, order, *names, timeout=None):
    def run(name):
        try:
            order.append((name, queue.wait(queue, timeout)))
        except Failure:
            order.append((name, "failed"))

    jobs = [gevent.spawn(run, name) for name in names]
    gevent.sleep(0)
    return jobs


def test_first_in_first_out():
    queue, order = WaitQueue(), []
    jobs = waiting(queue, order, "a", "b", "c")
    assert len(queue) == 3
    queue.wake_all()
    assert order == []  # only queued
    assert len(queue) == 0
    gevent.joinall(jobs)
    assert order == [("a", True), ("b", True), ("c", True)]


def test_leaving_the_middle():
    """Time limits and kills take out whoever they hit, wherever it stands; the others keep their places."""
    for gone in range(4):
        queue, order = WaitQueue(), []
        jobs = waiting(queue, order, *"abcd")
        jobs[gone].kill(Failure)
        assert len(queue) == 3
        queue.wake_all()
        gevent.joinall(jobs)
        rest = [(name, True) for number, name in enumerate("abcd") if number != gone]
        assert order == [("abcd"[gone], "failed"), *rest]


def test_limits():
    queue, order = WaitQueue(), []
    jobs = waiting(queue, order, "a", timeout=0.003) + waiting(queue, order, "b", timeout=0.001)
    gevent.joinall(jobs)
    assert order == [("b", False), ("a", False)]
    assert len(queue) == 0
    with pytest.raises(TypeError):
        queue.wait(None, "x")
    with pytest.raises(ValueError, match="NaN"):
        queue.wait(None, float("nan"))
    assert len(queue) == 0
    assert queue.wait(None, 0) is False
    assert queue.wait(None, -1) is False
    limit = gevent.Timeout(0.0001)
    assert queue.wait(None, limit) is False
    assert not limit.pending


def test_a_wake_up_beats_a_limit_once_it_is_queued():
    """True, though the limit passed before the greenlet ran."""
    import time

    queue, order = WaitQueue(), []
    jobs = waiting(queue, order, "a", timeout=0.001)
    queue.wake_all()
    time.sleep(0.003)
    gevent.joinall(jobs)
    assert order == [("a", True)]


def test_one_that_ran_out_of_time_is_not_woken():
    """Its limit passed and it is about to run: the wake-up that comes then does not count."""
    queue, order = WaitQueue(), []
    import time

    jobs = waiting(queue, order, "a", timeout=0.001) + waiting(queue, order, "b")
    timer = get_loop().timer(0.001, priority=-2)  # in the same round, behind the limit
    timer.start(queue.wake_all)
    time.sleep(0.003)
    gevent.joinall(jobs)
    timer.close()
    assert order == [("a", False), ("b", True)]


def test_woken_before_the_wait():
    """Between standing in line and leaving, as by a finalizer that runs there: the wake-up is kept."""
    queue = WaitQueue()
    park = get_loop().park(queue)
    queue.add(park)
    queue.wake_all()
    assert park.wait(None) is True
    assert queue.discard(park) is False
    queue.add(park)
    assert park.wait(0) is False
    assert queue.discard(park) is True


def test_links_that_come_first():
    queue, order = WaitQueue(), []
    queue.link(order.append, "second")
    jobs = waiting(queue, order, "third")
    queue.link_first(order.append, "first")
    queue.wake_all()
    gevent.joinall(jobs)
    gevent.sleep(0)
    assert order == ["first", "second", ("third", True)]


def test_links_among_waiters():
    """Called in the hub, once, in their turn; unlink takes out one; not callable is an error."""
    queue, order = WaitQueue(), []
    queue.link(order.append, "link 1")
    jobs = waiting(queue, order, "a")
    queue.link(order.append, "link 2")
    queue.link(order.append, "link 3")
    with pytest.raises(TypeError, match="callable"):
        queue.link(5, None)
    assert len(queue) == 4
    queue.unlink(order.append)
    queue.unlink(print)
    queue.wake_all()
    gevent.joinall(jobs)
    gevent.sleep(0)
    assert order == [("a", True), "link 2", "link 3"]
    queue.wake_all()
    gevent.sleep(0)
    assert len(order) == 3


def test_links_that_were_woken_can_be_undone():
    queue, order = WaitQueue(), []
    for number in range(20):
        queue.link(order.append, number)
    queue.wake_all()
    queue.unlink(order.append)
    gevent.sleep(0)
    assert len(order) == 19
    queue.link(order.append, "x")
    queue.wake_all()
    queue.link(order.append, "y")
    queue.clear_links()
    gevent.sleep(0)
    assert len(order) == 19
    assert len(queue) == 0


def test_waiters():
    queue, order = WaitQueue(), []
    jobs = waiting(queue, order, "a", "b")
    assert [park.greenlet for park in queue.waiters()] == jobs
    assert all(park.waiting and park.owner is queue for park in queue.waiters())
    gevent.killall(jobs)
    assert queue.waiters() == []


def test_waiting_in_the_hub():
    """HUB-04: refused, and the queue is as before."""
    queue, seen = WaitQueue(), []

    def callback():
        try:
            queue.wait(None, None)
        except gevent.hub.BlockingSwitchOutError:
            seen.append(len(queue))

    get_loop().run_callback(callback)
    gevent.sleep(0)
    assert seen == [0]


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="only the collector frees objects here")
def test_freed_without_the_collector():
    gc.collect()
    gc.disable()
    try:
        queue = WaitQueue()
        reference = weakref.ref(gevent.spawn(queue.wait, None, None))
        gevent.sleep(0)
        queue.wake_all()
        gevent.sleep(0.0001)
        assert reference() is None
    finally:
        gc.enable()


def test_soak():
    """Random waits, wake-ups, limits and kills: whoever waits is in the queue, and nobody else is."""
    import random

    dice = random.Random(11)
    queue, jobs = WaitQueue(), []

    def run():
        for _ in range(10):
            try:
                action = dice.randrange(5)
                if action < 2:
                    queue.wait(None, dice.random() / 1000 if dice.random() < 0.7 else None)
                elif action == 2:
                    queue.wake_all()
                elif action == 3:
                    gevent.sleep(dice.random() / 5000)
                else:
                    dice.choice(jobs).kill(Failure, block=False)
            except Failure:
                pass

    hub = get_hub()
    hub.handle_error = lambda *args: None
    jobs.extend(gevent.spawn(run) for _ in range(100))
    with gevent.Timeout(20):
        while not all(job.dead for job in jobs):
            gevent.sleep(0.001)
            queue.wake_all()
    gevent.sleep(0)
    del hub.handle_error
    assert len(queue) == 0
    assert queue.waiters() == []
