"""Queues and Channel: what goes in comes out, once, in order, whoever is killed or out of time on the way."""

import gc
import queue as stdlib_queue
import random
import warnings
import weakref
from collections import deque
from itertools import count
from time import perf_counter

import gevent
import pytest
from gevent.hub import LoopExit, get_hub
from gevent.queue import Channel, Empty, Full, JoinableQueue, LifoQueue, PriorityQueue, Queue, ShutDown, SimpleQueue
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, collecting_at, run_script, runs_sources
from gevent_testkit.greenlets import at_the_same_moment, in_hub, waiting

PURE = runs_sources()

QUEUES = [SimpleQueue, Queue, JoinableQueue, LifoQueue, PriorityQueue]
JOINABLE = [Queue, JoinableQueue, LifoQueue, PriorityQueue]


def drain(queue):
    items = []
    while not queue.empty():
        items.append(queue.get_nowait())
    return items


# ---- One greenlet ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "order"),
    [(SimpleQueue, [2, 1, 3]), (Queue, [2, 1, 3]), (JoinableQueue, [2, 1, 3]), (LifoQueue, [3, 1, 2]), (PriorityQueue, [1, 2, 3])],
)
def test_order_of_items(kind, order):
    """QUE-09: peek gives the item get would give; for LifoQueue the newest, for PriorityQueue the lowest."""
    queue = kind()
    for item in (2, 1, 3):
        queue.put(item)
    got = []
    while queue.qsize():
        peeked = [queue.peek(), queue.peek_nowait(), queue.peek(block=False), queue.peek(timeout=1)]
        got.append(queue.get())
        assert peeked == [got[-1]] * 4
    assert got == order
    assert drain(kind(items=[2, 1, 3])) == order
    assert drain(kind(None, iter([2, 1, 3]))) == order


@pytest.mark.parametrize("kind", QUEUES)
def test_no_bound(kind):
    """QUE-01: maxsize None or negative: unbounded."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for queue in (kind(), kind(None), kind(-1), kind(maxsize=-7)):
            for item in range(100):
                queue.put_nowait(item)
            assert (queue.full(), queue.qsize(), queue.maxsize) == (False, 100, 0)


@pytest.mark.parametrize("kind", QUEUES)
def test_zero(kind):
    """QUE-01: Queue(0): unbounded with a DeprecationWarning that points to the caller; Channel is the rendezvous."""
    with pytest.warns(DeprecationWarning, match="Channel") as caught:
        queue = kind(0)
    assert [each.filename for each in caught] == [__file__]
    queue.put_nowait(1)
    queue.put_nowait(2)
    assert (queue.full(), queue.maxsize) == (False, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert queue.copy().qsize() == 2


def test_maxsize():
    """The bound is an int, as in the standard library, and may be changed: who fits then goes on."""
    queue = Queue(2)
    assert (queue.maxsize, type(queue.maxsize)) == (2, int)
    queue.put(1)
    assert not queue.full()
    queue.put(2)
    assert queue.full()
    jobs = [waiting(queue.put, item) for item in (3, 4, 5, 6)]
    queue.maxsize = 4
    gevent.sleep(0)
    assert ([job.ready() for job in jobs], queue.qsize()) == ([True, True, False, False], 4)
    queue.maxsize = None
    gevent.joinall(jobs)
    assert (drain(queue), queue.maxsize) == ([1, 2, 3, 4, 5, 6], 0)
    for bad in ("many", 1.5, [])[: 1 if PURE else 3]:
        with pytest.raises(TypeError):
            Queue(bad)


@pytest.mark.parametrize("kind", QUEUES)
def test_length_and_truth(kind):
    """QUE-03: len(queue) is qsize(); a queue is always true."""
    queue = kind()
    assert (len(queue), queue.qsize(), bool(queue), queue.empty()) == (0, 0, True, True)
    queue.put(1)
    assert (len(queue), queue.qsize(), bool(queue), queue.empty()) == (1, 1, True, False)


@pytest.mark.parametrize("kind", QUEUES)
def test_not_blocking(kind):
    """QUE-04: put and get with block=False or timeout: the standard library's Full and Empty."""
    assert (Empty, Full) == (stdlib_queue.Empty, stdlib_queue.Full)
    queue = kind(1)
    for get in (queue.get_nowait, lambda: queue.get(block=False), lambda: queue.get(False, 10), lambda: queue.get(timeout=0.001)):
        with pytest.raises(stdlib_queue.Empty):
            get()
    queue.put(1)
    for put in (
        lambda: queue.put_nowait(2),
        lambda: queue.put(2, block=False),
        lambda: queue.put(2, False, 10),
        lambda: queue.put(2, timeout=0.001),
    ):
        with pytest.raises(stdlib_queue.Full):
            put()
    assert queue.get(timeout=1) == 1
    assert repr(queue) == f"<{kind.__name__} at {id(queue):#x} maxsize=1 items=0{'' if kind is SimpleQueue else ' tasks=1'}>"


def test_timeout():
    queue = Queue(1)
    started = perf_counter()
    with pytest.raises(Empty):
        queue.get(timeout=0.02)
    queue.put(1)
    with pytest.raises(Full):
        queue.put(2, timeout=0.02)
    assert perf_counter() - started >= 0.038
    for call in (lambda: queue.get(timeout=-1), lambda: queue.put(1, timeout=-1), lambda: queue.peek(timeout=-0.1)):
        with pytest.raises(ValueError, match="non-negative"):
            call()
    for channel in (Channel(),):
        with pytest.raises(ValueError, match="non-negative"):
            channel.get(timeout=-1)
        with pytest.raises(ValueError, match="non-negative"):
            channel.put(1, timeout=-1)


def test_timeout_objects():
    """A gevent.Timeout may be given; another one passes through."""
    for make, error in [
        (lambda timeout: Queue().get(timeout=timeout), Empty),
        (lambda timeout: Queue().peek(timeout=timeout), Empty),
        (lambda timeout: Queue(1, [1]).put(2, timeout=timeout), Full),
        (lambda timeout: Channel().get(timeout=timeout), Empty),
        (lambda timeout: Channel().put(1, timeout=timeout), Full),
    ]:
        with pytest.raises(error):
            make(gevent.Timeout(0.001))
        with gevent.Timeout(0.001) as outer, pytest.raises(gevent.Timeout) as caught:
            make(10)
        assert caught.value is outer
        with gevent.Timeout(0.001) as outer, pytest.raises(gevent.Timeout) as caught:
            make(gevent.Timeout(10))
        assert caught.value is outer
    queue = JoinableQueue(items=[1])
    assert queue.join(gevent.Timeout(0.001)) is False


@pytest.mark.parametrize("kind", QUEUES)
def test_peek_empty(kind):
    """QUE-05: peek on an empty queue blocks or raises Empty; never AttributeError or ValueError."""
    queue = kind()
    for peek in (queue.peek_nowait, lambda: queue.peek(block=False), lambda: queue.peek(timeout=0.001)):
        with pytest.raises(Empty):
            peek()
    assert isinstance(in_hub(queue.peek), Empty)
    jobs = [waiting(queue.peek), waiting(queue.peek, timeout=10), waiting(queue.get), waiting(queue.peek)]
    queue.put(5)
    gevent.joinall(jobs[:3])
    assert [job.value for job in jobs] == [5, 5, 5, None]
    queue.put(6)
    assert (jobs[3].get(), queue.get()) == (6, 6)


@pytest.mark.parametrize("kind", [SimpleQueue, Queue, Channel])
def test_iteration(kind):
    """QUE-07: iteration ends at the item StopIteration, for Channel as well; and can go on behind it."""
    queue = kind()

    def put():
        for item in (1, StopIteration, 2, 3, StopIteration):
            queue.put(item)

    job = gevent.spawn(put)
    assert iter(queue) is queue
    assert list(queue) == [1]
    assert next(queue) == 2
    assert list(queue) == [3]
    job.get()


@pytest.mark.parametrize("kind", QUEUES)
def test_copy(kind):
    """QUE-08: copy() gives a queue of the same type, size and items."""
    queue = kind(5, [3, 1, 2])
    copied = queue.copy()
    assert (type(copied), copied.maxsize, copied.qsize()) == (kind, 5, 3)
    copied.put(4)
    assert queue.qsize() == 3
    expected = drain(queue)
    assert [copied.get() for _ in range(4) if kind is not LifoQueue or copied.qsize()] == (
        [4, *expected] if kind is LifoQueue else [*expected, 4]
    )
    assert kind().copy().maxsize == 0


def test_copy_subclass():
    """A subclass with the constructor of gevent 1.1's Queue is copied; unfinished tasks go along."""

    class Mine(Queue):
        def __init__(self, maxsize=None, items=None):
            super().__init__(maxsize, items)

    assert type(Mine(3, [1]).copy()) is Mine
    queue = JoinableQueue(3, [1, 2], unfinished_tasks=5)
    assert queue.copy().unfinished_tasks == 5


def test_more_items_than_fit():
    queue = Queue(2, [1, 2, 3])
    assert (queue.full(), queue.qsize()) == (True, 3)
    with pytest.raises(Full):
        queue.put_nowait(4)
    job = waiting(queue.put, 4)
    assert queue.get() == 1
    gevent.sleep(0)
    assert not job.ready()
    assert queue.get() == 2
    job.join()
    assert drain(queue) == [3, 4]


def test_generic_alias():
    assert repr(Queue[int]) == "gevent.queue.Queue[int]"
    assert Channel[int].__origin__ is Channel


# ---- Getters and putters that wait -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SimpleQueue, Queue, Channel])
def test_getters_in_order(kind):
    """QUE-02: blocked getters are served in order of arrival."""
    queue, log = kind(), []

    def get(name):
        log.append((name, queue.get()))

    jobs = [waiting(get, name) for name in "abcde"]
    for item in range(5):
        queue.put(item)
    gevent.joinall(jobs)
    assert log == list(zip("abcde", range(5)))


@pytest.mark.parametrize("kind", [SimpleQueue, Queue, Channel])
def test_putters_in_order(kind):
    """QUE-02: blocked putters are served in order of arrival, and so are their items."""
    queue, log = kind(1), []
    if kind is not Channel:
        queue.put("first")

    def put(item):
        queue.put(item)
        log.append(item)

    jobs = [waiting(put, item) for item in "abcde"]
    got = [queue.get() for _ in range(5 if kind is Channel else 6)]
    gevent.joinall(jobs)
    assert "".join(got).removeprefix("first") == "abcde"
    assert log == list("abcde")


def test_many_items_serve_many_getters_at_once():
    queue = Queue()
    jobs = [waiting(queue.get) for _ in range(4)]
    for item in range(3):
        queue.put(item)
    gevent.sleep(0)
    assert [job.value for job in jobs] == [0, 1, 2, None]
    queue.put(3)
    gevent.joinall(jobs)


def test_order_when_overtaken():
    """Whoever was called and found that a running greenlet had been quicker keeps its place."""
    queue, log = Queue(2), []

    def get(name):
        log.append((name, queue.get()))

    jobs = [waiting(get, name) for name in "abc"]
    for _ in range(3):
        queue.put("x")
        queue.put("y")
        assert (queue.get(), queue.get()) == ("x", "y")
        gevent.sleep(0)
    assert (log, repr(queue).endswith("getters=3 tasks=6>")) == ([], True)
    for item in range(3):
        queue.put(item)
    gevent.joinall(jobs)
    assert log == [("a", 0), ("b", 1), ("c", 2)]
    queue.put("x")
    queue.put("y")
    jobs = [waiting(queue.put, item) for item in "abc"]
    for _ in range(3):
        queue.get()
        queue.get()
        queue.put("x")
        queue.put("y")
        gevent.sleep(0)
    assert [job.ready() for job in jobs] == [False] * 3
    assert [queue.get() for _ in range(5)] == list("xyabc")


def test_overtaken_keeps_its_timeout():
    queue = Queue()
    started = perf_counter()
    job = waiting(queue.get, timeout=0.05)
    hub = get_hub()
    hub.handle_error = lambda *args: None
    try:
        while not job.ready():
            queue.put(1)
            queue.get()
            gevent.sleep(0.01)
        gevent.sleep(0)
    finally:
        del hub.handle_error
    assert isinstance(job.exception, Empty)
    assert 0.04 <= perf_counter() - started < 1


def test_put_does_not_switch():
    queue, log = Queue(), []
    job = waiting(lambda: log.append(queue.get()))
    queue.put(1)
    log.append("put")
    job.join()
    assert log == ["put", 1]


def test_producer_and_consumer():
    queue = Queue(3)

    def produce():
        for number in range(1000):
            queue.put(number)

    job = gevent.spawn(produce)
    assert [queue.get() for _ in range(1000)] == list(range(1000))
    job.get()


# ---- In the hub ------------------------------------------------------------------------------------------------------------------


def test_hub_does_not_wait():
    """QUE-06: put and get from the hub never block: Full or Empty if nobody waits on the other side."""
    queue = Queue(1)
    for get in (queue.get, queue.peek, queue.get_nowait):
        assert isinstance(in_hub(get), Empty)
    assert isinstance(in_hub(queue.get, timeout=1), Empty)
    assert in_hub(queue.put, 1) is None
    for args in [(2,), (2, True, 1), (2, False)]:
        assert isinstance(in_hub(queue.put, *args), Full)
    assert in_hub(queue.get) == 1
    channel = Channel()
    assert isinstance(in_hub(channel.get), Empty)
    assert isinstance(in_hub(channel.put, 1), Full)
    assert (repr(channel), channel.balance) == (f"<Channel at {id(channel):#x} getters=0 putters=0>", 0)


@pytest.mark.parametrize("called", [False, True])
def test_hub_puts_for_getters(called):
    """QUE-06: put from the hub serves as many getters as wait, although the queue is full, and then as many items as fit."""
    queue = Queue(1)
    jobs = [waiting(queue.get) for _ in range(2)]
    if called:
        queue.put(0)  # the first getter is on its way

    def put():
        accepted = []
        try:
            for item in range(int(called), 10):
                queue.put(item)
                accepted.append(item)
        except Full:
            return accepted

    assert in_hub(put) == list(range(int(called), 3))
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [0, 1]
    assert drain(queue) == [2]


@pytest.mark.parametrize("called", [False, True])
def test_hub_gets_from_putters(called):
    """QUE-06: get from the hub takes the items of putters that wait, in order, and then raises Empty."""
    queue, log = Queue(1), []

    def put(item):
        queue.put(item)
        log.append(item)

    queue.put(0)
    jobs = [waiting(put, item) for item in (1, 2, 3)]
    if called:
        assert queue.get() == 0  # the first putter is on its way

    def get():
        got = []
        try:
            while True:
                got.append(queue.get())
        except Empty:
            return got

    assert in_hub(get) == list(range(int(called), 4))
    gevent.joinall(jobs)
    assert log == [1, 2, 3]
    assert (queue.qsize(), queue.unfinished_tasks) == (0, 4)
    waiter = waiting(queue.get)
    queue.put("after")
    assert waiter.get() == "after"


def test_hub_peeks_at_putters():
    queue = Queue(1, [0])
    job = waiting(queue.put, 1)
    queue.get()
    assert in_hub(queue.peek) == 1
    job.join()
    assert drain(queue) == [1]


def test_hub_gets_once():
    """Room that a putter was called for, and did not need because the hub got its item, goes to the next putter."""
    queue = Queue(1, [0])
    jobs = [waiting(queue.put, item) for item in (1, 2)]
    assert queue.get() == 0  # calls the first
    assert in_hub(queue.peek) == 1  # takes its item
    assert [queue.get(timeout=1), queue.get(timeout=1)] == [1, 2]
    gevent.joinall(jobs)


def test_hub_serves_who_was_not_called():
    """Items taken out of the container by hand call nobody; the hub serves the putters all the same."""
    queue = Queue(1, [0])
    job = waiting(queue.put, 1)
    queue.queue.clear()
    assert in_hub(queue.peek) == 1
    job.join(timeout=5)
    assert job.successful()


def test_only_the_hub_overfills():
    """A greenlet that does not want to wait is told Full while the getter that was called has not run."""
    queue = Queue(1)
    job = waiting(queue.get)
    queue.put_nowait(1)
    with pytest.raises(Full):
        queue.put_nowait(2)
    assert (job.get(), queue.qsize()) == (1, 0)


def test_hub_and_channel():
    """QUE-06: Channel.put from the hub goes to a getter that waits, get from the hub takes from a putter that waits."""
    channel = Channel()
    jobs = [waiting(channel.get) for _ in range(2)]

    def put():
        accepted = []
        try:
            for item in range(10):
                channel.put(item)
                accepted.append(item)
        except Full:
            return accepted

    assert in_hub(put) == [0, 1]
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [0, 1]
    putters = [waiting(channel.put, item) for item in "ab"]
    assert [in_hub(channel.get), in_hub(channel.get), type(in_hub(channel.get))] == ["a", "b", Empty]
    gevent.joinall(putters)


def test_queues_make_no_hub():
    """HUB-02: a queue that is used without waiting needs no hub."""
    done = run_script(
        "from gevent.queue import *\n"
        "from gevent._switching import get_hub_if_exists\n"
        "for kind in (SimpleQueue, Queue, LifoQueue, PriorityQueue):\n"
        "    queue = kind(2)\n"
        "    queue.put(1), queue.get(), repr(queue), queue.put_nowait(1), queue.peek(), queue.copy()\n"
        "Channel()\n"
        "print(get_hub_if_exists())\n"
    )
    assert (done.status, done.stdout, done.stderr) == (0, "None\n", "")


def test_hub_attribute():
    assert Queue().hub is get_hub()
    assert Channel().hub is get_hub()


# ---- Tasks -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", JOINABLE)
def test_items_count_as_unfinished(kind):
    """QUE-10: items given to the constructor count as unfinished unless unfinished_tasks says otherwise."""
    assert kind().unfinished_tasks == 0
    assert kind(items=[1, 2]).unfinished_tasks == 2
    assert kind(None, [1, 2], 0).unfinished_tasks == 0
    assert kind(None, [1, 2], unfinished_tasks=7).unfinished_tasks == 7
    with pytest.raises(ValueError, match="-1"):
        kind(None, [1, 2], -1)


@pytest.mark.parametrize("kind", JOINABLE)
def test_join(kind):
    """QUE-11: join(timeout) returns whether everything was done."""
    queue = kind()
    assert (queue.join(), queue.join(timeout=0)) == (True, True)
    queue.put(1)
    queue.put(2)
    assert (queue.join(timeout=0.001), queue.join(0)) == (False, False)
    jobs = [waiting(queue.join), waiting(queue.join, timeout=10), waiting(queue.join)]
    jobs[2].kill()
    queue.get()
    queue.task_done()
    gevent.sleep(0)
    assert [job.ready() for job in jobs[:2]] == [False, False]
    queue.get()
    assert queue.unfinished_tasks == 1
    queue.task_done()
    assert [job.get() for job in jobs[:2]] == [True, True]
    queue.put(1)
    job = waiting(queue.join)
    queue.task_done()
    queue.put(2)  # everything was done meanwhile
    assert job.get() is True


@pytest.mark.parametrize("kind", JOINABLE)
def test_task_done_too_often(kind):
    """QUE-12: task_done once too often: ValueError."""
    queue = kind()
    with pytest.raises(ValueError, match="too many"):
        queue.task_done()
    queue.put(1)
    queue.task_done()
    with pytest.raises(ValueError, match="too many"):
        queue.task_done()
    assert queue.unfinished_tasks == 0


def test_join_workers():
    queue, done = JoinableQueue(), []

    def work():
        for item in queue:
            gevent.sleep(0)
            done.append(item)
            queue.task_done()

    workers = [gevent.spawn(work) for _ in range(3)]
    for item in range(20):
        queue.put(item)
    assert queue.join() is True
    assert sorted(done) == list(range(20))
    for _ in workers:
        queue.put(StopIteration)
    gevent.joinall(workers)


def test_killed_joiners_leave_nothing():
    def parks():
        collect_garbage()
        return sum(type(each).__name__ == "Park" for each in gc.get_objects())

    queue = Queue(items=[1])
    before = parks()
    gevent.killall([waiting(queue.join) for _ in range(10)])
    assert queue.join(timeout=0) is False
    assert parks() == before


def test_unfinished_tasks_can_be_set():
    queue = Queue(items=[1])
    job = waiting(queue.join)
    queue.unfinished_tasks = 0
    assert job.get() is True


# ---- Shutting down ---------------------------------------------------------------------------------------------------------------


def shut_down(call, *args, **kwargs):
    with pytest.raises(ShutDown):
        call(*args, **kwargs)
    return True


@pytest.mark.parametrize("kind", JOINABLE)
def test_shutdown(kind):
    assert ShutDown is getattr(stdlib_queue, "ShutDown", ShutDown)
    queue = kind(2, [1, 2])
    assert queue.is_shutdown is False
    putter = waiting(shut_down, queue.put, 3)
    assert queue.shutdown() is None
    assert queue.is_shutdown is True
    assert putter.get() is True
    assert shut_down(queue.put, 3)
    assert shut_down(queue.put_nowait, 3)
    assert queue.peek() in (1, 2)
    assert sorted([queue.get(), queue.get_nowait()]) == [1, 2]
    for call in (queue.get, queue.get_nowait, queue.peek, queue.peek_nowait, lambda: queue.get(timeout=1)):
        assert shut_down(call)
    assert isinstance(in_hub(queue.get), ShutDown)
    assert (queue.unfinished_tasks, queue.join(0)) == (2, False)
    assert "shutdown" in repr(queue)


@pytest.mark.parametrize("kind", JOINABLE)
def test_shutdown_wakes_getters(kind):
    queue = kind()
    getters = [waiting(shut_down, queue.get), waiting(shut_down, queue.peek, timeout=10)]
    queue.shutdown()
    assert [getter.get() for getter in getters] == [True, True]


@pytest.mark.parametrize("kind", JOINABLE)
def test_shutdown_at_once(kind):
    queue = kind(2, [1, 2])
    putter, joiner = waiting(shut_down, queue.put, 3), waiting(queue.join)
    queue.shutdown(immediate=True)
    assert (queue.qsize(), queue.unfinished_tasks) == (0, 0)
    assert (putter.get(), joiner.get()) == (True, True)
    assert shut_down(queue.get)


def test_shutdown_with_getter_on_its_way():
    """A getter that was called for an item gets it, although the queue is shut down before it runs."""
    queue = Queue()
    getters = [waiting(queue.get), waiting(shut_down, queue.get)]
    queue.put(1)
    queue.shutdown()
    assert [getter.get() for getter in getters] == [1, True]


# ---- Channel ---------------------------------------------------------------------------------------------------------------------


def test_channel_is_empty_and_full():
    """QUE-13: qsize 0, empty and full both true; balance is putters minus getters."""
    channel = Channel()
    assert (channel.qsize(), channel.empty(), channel.full(), channel.balance) == (0, True, True, 0)
    putters = [waiting(channel.put, item) for item in (1, 2)]
    assert (channel.qsize(), channel.empty(), channel.full(), channel.balance) == (0, True, True, 2)
    assert repr(channel) == f"<Channel at {id(channel):#x} getters=0 putters=2>"
    assert (channel.get(), channel.get()) == (1, 2)
    gevent.joinall(putters)
    getters = [waiting(channel.get) for _ in range(3)]
    assert channel.balance == -3
    for item in range(3):
        channel.put(item)
    gevent.joinall(getters)
    assert channel.balance == 0
    with pytest.raises(ValueError, match="2"):
        Channel(2)
    assert Channel(maxsize=1).balance == 0


@pytest.mark.parametrize("getter_first", [False, True])
def test_channel_put_returns_when_taken(getter_first):
    """QUE-13: Channel.put returns when a getter took the item."""
    channel, log = Channel(), []

    def put():
        for item in range(3):
            channel.put(item)
            log.append(("put", item))

    def get():
        item = None
        while item != 2:
            item = channel.get()
            log.append(("got", item))

    jobs = [waiting(call) for call in ((get, put) if getter_first else (put, get))]
    gevent.joinall(jobs)
    assert [entry for entry in log if entry[0] == "got"] == [("got", 0), ("got", 1), ("got", 2)]
    for item in range(3):
        assert log.index(("got", item)) < log.index(("put", item))


def test_channel_put_nowait():
    channel = Channel()
    with pytest.raises(Full):
        channel.put_nowait(1)
    with pytest.raises(Empty):
        channel.get_nowait()
    jobs = [waiting(channel.get), waiting(channel.get)]
    channel.put_nowait(1)
    channel.put(2, block=False)
    with pytest.raises(Full):
        channel.put_nowait(3)
    with pytest.raises(Empty):  # the items have their getters
        channel.get_nowait()
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [1, 2]
    job = waiting(channel.put, 4)
    assert channel.get(block=False) == 4
    job.join()
    for call in (lambda: channel.put(1, timeout=0.001), lambda: channel.get(timeout=0.001)):
        with pytest.raises((Full, Empty)):
            call()
    assert channel.balance == 0


def test_channel_getters_have_claims():
    """Who asks later does not get the item of a getter that was called and has not run."""
    channel = Channel()
    job = waiting(channel.get)
    channel.put_nowait(1)
    with pytest.raises(Empty):
        channel.get(timeout=0)
    assert job.get() == 1
    first, log = waiting(channel.get), []
    channel.put_nowait("a")
    second = gevent.spawn(channel.put, "b")
    log.append(channel.get())
    gevent.joinall([first, second])
    assert (first.value, log) == ("a", ["b"])


def test_channel_deposit_survives_its_getter():
    """An item that was left for a getter which is then killed goes to the next who asks."""
    channel = Channel()
    first, second = waiting(channel.get), waiting(channel.get)
    first.kill(block=False)  # queued before the wake-up
    channel.put_nowait("a")
    assert second.get() == "a"
    job = waiting(channel.get)
    job.kill(block=False)
    channel.put_nowait("b")
    job.join()
    assert (channel.balance, channel.get(timeout=1), channel.balance) == (1, "b", 0)


def test_channel_putter_dies():
    """The item of a putter that is killed, or gives up, goes away with it; a getter that was called waits on, in its place."""
    channel, log = Channel(), []

    def get(name):
        log.append((name, channel.get()))

    getters = [waiting(get, name) for name in "ab"]

    def put_and_die():
        me = gevent.getcurrent()
        get_hub().loop.run_callback(me.throw, gevent.GreenletExit)  # runs before the getter that put() calls
        channel.put("dead")

    gevent.spawn(put_and_die).join()
    assert (log, channel.balance) == ([], -2)
    channel.put(1)
    channel.put(2)
    gevent.joinall(getters)
    assert log == [("a", 1), ("b", 2)]


# ---- Killed, or out of time, at each moment ----------------------------------------------------------------------------------------


def full_queue():
    return Queue(1, ["first"])


GETS = [
    pytest.param(Queue, "get", id="Queue.get"),
    pytest.param(Queue, "peek", id="Queue.peek"),
    pytest.param(Channel, "get", id="Channel.get"),
]


@pytest.mark.parametrize(("kind", "call"), GETS)
@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("victims", [[0], [1], [0, 1], [2]])
def test_kill_getter(kind, call, between, victims):
    """A getter killed while it waits, or called and killed before it runs: the next is served, nothing is lost."""
    queue, log = kind(), []

    def get(name):
        log.append((name, getattr(queue, call)()))

    jobs = [waiting(get, name) for name in "abc"]
    for index in victims:
        jobs[index].kill(block=not between)  # queued before the wake-up that put() queues
    queue.put(1)
    left = [name for index, name in enumerate("abc") if index not in victims]
    gevent.joinall([jobs["abc".index(left[0])]])
    assert log[0] == (left[0], 1)
    if call == "peek":
        gevent.joinall(jobs)
        assert (log, queue.get()) == ([(name, 1) for name in left], 1)
    else:
        for item, name in enumerate(left[1:], 2):
            queue.put(item)
            assert jobs["abc".index(name)].join() is None
        assert log == [(name, item) for item, name in enumerate(left, 1)]
    assert "getters=0" in repr(queue) or "getters" not in repr(queue)


@pytest.mark.parametrize("kind", [Queue, Channel])
@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("victims", [[0], [1], [0, 1], [2]])
def test_kill_putter(kind, between, victims):
    """A putter killed while it waits, or called and killed before it runs: its item is not put, the next has its turn."""
    queue = kind(1)
    if kind is Queue:
        queue.put("first")
    jobs = [waiting(queue.put, item) for item in "abc"]
    for index in victims:
        jobs[index].kill(block=not between)
    left = [item for index, item in enumerate("abc") if index not in victims]
    if kind is Queue:
        assert queue.get() == "first"
    elif between:
        gevent.sleep(0)  # who takes from a putter that is to be killed gets its item
    assert [queue.get() for _ in left] == left
    gevent.joinall(jobs)
    with pytest.raises(Empty):
        queue.get_nowait()
    assert (queue.put_nowait(1) if kind is Queue else queue.balance) in (None, 0)


@pytest.mark.parametrize(("kind", "call"), GETS)
def test_getter_timeout_first(kind, call):
    """The time is over, and an item comes before the getter has run: it is got or left, and who waits behind is served."""
    queue = kind()
    late = waiting(getattr(queue, call), timeout=0.01)
    behind = waiting(queue.get)
    hub = get_hub()
    hub.handle_error = lambda *args: None
    try:
        with at_the_same_moment(0.01, queue.put_nowait, 1):
            gevent.joinall([late], timeout=5)
        gevent.sleep(0)
    finally:
        del hub.handle_error
    if late.successful() and call == "get":
        assert late.value == 1
        queue.put(1)
    assert behind.get(timeout=5) == 1


def test_putter_timeout_first():
    """The time is over, and room comes before the putter has run: the item is put or refused, and who waits behind has its turn."""
    queue = full_queue()
    late = waiting(queue.put, "late", timeout=0.01)
    behind = waiting(queue.put, "behind")
    hub = get_hub()
    hub.handle_error = lambda *args: None
    got = []
    try:
        with at_the_same_moment(0.01, lambda: got.append(queue.get())):
            gevent.joinall([late], timeout=5)
        gevent.sleep(0)
    finally:
        del hub.handle_error
    assert got == ["first"]
    expected = ["late", "behind"] if late.successful() else ["behind"]
    assert [queue.get(timeout=5) for _ in expected] == expected
    assert behind.join(timeout=5) is None
    assert behind.successful()


def test_channel_timeout_first():
    """The putter's time is over, and its item is taken before it has run: then it was put."""
    channel, got = Channel(), []
    job = waiting(channel.put, "a", timeout=0.01)
    with at_the_same_moment(0.01, lambda: got.append(channel.get())):
        job.join(timeout=5)
    assert (got, job.successful(), channel.balance) == (["a"], True, 0)


def test_wake_first():
    """An item, or room, comes in the moment in which the time is over, before that is noticed."""
    queue = Queue(1)
    timer = get_hub().loop.timer(0.01, priority=2)
    timer.start(queue.put, 1)
    with timer:
        assert queue.get(timeout=0.01) == 1
    queue.put(2)
    timer = get_hub().loop.timer(0.01, priority=2)
    timer.start(queue.get)
    with timer:
        assert queue.put(3, timeout=0.01) is None
    assert drain(queue) == [3]


class Does:
    """Garbage that does something when the collector finds it."""

    def __init__(self, function, *args):
        self.function = function
        self.args = args
        self.me = self

    def __del__(self):
        self.function(*self.args)


@pytest.mark.parametrize("allocation", range(10))
@pytest.mark.parametrize("call", ["get", "peek", "put", "join"])
def test_used_in_finalizer(call, allocation):
    """Used by a __del__, wherever the garbage collector happens to run in a blocking call: not missed."""
    queue = Queue(1)
    if call in ("put", "join"):
        queue.put(0)
    function, args = getattr(queue, call), [1] if call == "put" else []
    collect_garbage()
    Does(*{"put": (queue.get,), "join": (queue.task_done,)}.get(call, (queue.put, 0)))
    get_hub().loop.run_callback(gc.collect)  # at the latest
    with gevent.Timeout(5), collecting_at(allocation):
        result = function(*args)
    assert result == {"get": 0, "peek": 0, "put": None, "join": True}[call]
    gevent.sleep(0)


@pytest.mark.skipif(
    not REFERENCE_COUNTING, reason="finalizers run wherever this interpreter likes, between evaluating and calling too"
)
@pytest.mark.parametrize("allocation", range(6))
def test_simple_queue_put_in_finalizer(allocation):
    """Items are in the order of the calls of put(), also of one that a __del__ makes in the middle of another, or of get()."""
    queue = SimpleQueue()
    numbers = count()
    put, get = queue.put, queue.get
    collect_garbage()
    Does(lambda: queue.put(next(numbers)))
    with collecting_at(allocation):
        put(next(numbers))
    collect_garbage()
    Does(lambda: queue.put(next(numbers)))
    with collecting_at(allocation):
        first = get()
    collect_garbage()
    assert [first, *drain(queue)] == [0, 1, 2]


@pytest.mark.parametrize("allocation", range(10))
@pytest.mark.parametrize("call", ["get", "put"])
def test_channel_used_in_finalizer(call, allocation):
    """A __del__ that switches in the middle of it."""
    channel = Channel()
    other = gevent.spawn(channel.put, 0) if call == "get" else gevent.spawn(channel.get)
    function, args = getattr(channel, call), [0] if call == "put" else []
    collect_garbage()
    Does(lambda: gevent.getcurrent() is get_hub() or gevent.sleep(0))
    with gevent.Timeout(5), collecting_at(allocation):
        result = function(*args)
    assert result == (0 if call == "get" else None)
    other.join()
    collect_garbage()


def soak(queue, seconds, seed, nowait=True):
    """Putters and getters, killed and timed out at random. Returns what was put, what was perhaps put, and what was got."""
    randomly = random.Random(seed)
    put, perhaps, got = [], [], []
    ends = perf_counter() + seconds
    number = 0

    def putter():
        nonlocal number
        while perf_counter() < ends:
            number += 1
            item = number
            try:
                if nowait and randomly.random() < 0.2:
                    queue.put_nowait(item)
                else:
                    queue.put(item, timeout=randomly.choice([None, None, 0, 0.0005, 0.002]))
                put.append(item)
            except Full:
                pass
            except gevent.GreenletExit:
                perhaps.append(item)
                raise
            if randomly.random() < 0.3:
                gevent.sleep(0)

    def getter():
        while perf_counter() < ends:
            try:
                if isinstance(queue, Queue) and randomly.random() < 0.1:
                    queue.peek(timeout=0.001)
                elif randomly.random() < 0.2:
                    got.append(queue.get_nowait())
                else:
                    got.append(queue.get(timeout=randomly.choice([None, None, 0, 0.0005, 0.002])))
            except Empty:
                gevent.sleep(0)
            if randomly.random() < 0.3:
                gevent.sleep(0)

    jobs = [gevent.spawn(call) for call in [putter, getter] * 10]
    while perf_counter() < ends:
        gevent.sleep(randomly.choice([0, 0, 0.0003]))
        for _ in range(randomly.randrange(3)):
            index = randomly.randrange(len(jobs))
            jobs[index].kill(block=False)
            jobs[index] = gevent.spawn([putter, getter][index % 2])
    # Nobody may be left waiting for something that is there.
    gevent.sleep(0.05)
    getters, putters = jobs[1::2], jobs[0::2]
    if any(not job.dead for job in getters):
        assert all(job.dead for job in putters)
        assert queue.empty()
        assert getattr(queue, "balance", -1) < 0
    gevent.killall(jobs)
    if isinstance(queue, Channel):
        while queue.balance:
            got.append(queue.get_nowait())
    else:
        got += drain(queue)
    assert [job.exception for job in jobs] == [None] * 20
    return put, perhaps, got


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [lambda: Queue(1), lambda: Queue(3), Queue, lambda: LifoQueue(2), lambda: PriorityQueue(2)])
def test_soak(make, seed):
    """Random kills and timeouts: nothing that was put is lost, nothing is got that was not put, nothing twice."""
    queue = make()
    put, _, got = soak(queue, 0.3, seed)
    assert len(put) > 100
    assert sorted(got) == sorted(put)
    if type(queue) is Queue:
        assert got == put  # in order, too


@pytest.mark.slow
@pytest.mark.parametrize("nowait", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_channel_soak(seed, nowait):
    """The same for Channel, where the item of a putter that is killed may have been taken just before."""
    put, perhaps, got = soak(Channel(), 0.3, seed, nowait)
    assert len(put) > 100
    assert len(set(got)) == len(got)
    assert set(put) <= set(got) <= set(put) | set(perhaps)


# ---- Subclasses ------------------------------------------------------------------------------------------------------------------


def test_standard_library_hooks():
    """A subclass written for queue.Queue: hooks with its signatures, self.maxsize an int."""

    class Unique(Queue):
        def _init(self, maxsize):
            super()._init(maxsize)
            self.bound = maxsize
            self.last = None

        def _put(self, item):
            super()._put(item)
            self.last = item

        def _get(self):
            item = super()._get()
            if item is self.last:
                self.last = None
            return item

        def put(self, item, block=True, timeout=None):
            if self.last is None or item != self.last:
                super().put(item, block, timeout)

    queue = Unique()
    assert (queue.bound, queue.maxsize > 0) == (0, False)
    for item in "aabba":
        queue.put(item)
    assert [queue.get() for _ in range(3)] == list("aba")
    assert queue.unfinished_tasks == 3


def test_hooks():
    """_init, _put, _get and _peek of a subclass are what put, get and peek use."""
    log = []

    class Sorted(Queue):
        def _init(self, maxsize, items=None):
            self.queue = sorted(items or [])
            log.append(("init", maxsize))

        def _put(self, item):
            self.queue.append(item)
            self.queue.sort()
            log.append(("put", item))

        def _get(self):
            log.append("get")
            return self.queue.pop()

        def _peek(self):
            return self.queue[-1]

    queue = Sorted(5, [2, 1])
    job = waiting(lambda: [queue.get() for _ in range(4)])
    queue.put(7)
    queue.put_nowait(3)
    assert queue.peek() == 7
    assert job.get() == [2, 1, 7, 3]
    assert log == [("init", 5), "get", "get", ("put", 7), ("put", 3), "get", "get"]


@pytest.mark.parametrize("hook", ["_get", "_put"])
def test_failing_hook(hook):
    """An error in a hook comes out of get or put, and who waits behind has its turn."""
    fail = []

    class Failing(Queue):
        def _get(self):
            if hook == "_get" and fail:
                raise fail.pop()
            return super()._get()

        def _put(self, item):
            if hook == "_put" and fail:
                raise fail.pop()
            super()._put(item)

    queue = Failing(1)

    def use(call, *args):
        try:
            return call(*args)
        except KeyError as error:
            return error

    if hook == "_get":
        jobs = [waiting(use, queue.get) for _ in range(2)]
        queue.put(1)
    else:
        queue.put(0)
        jobs = [waiting(use, queue.put, item) for item in (1, 2)]
        queue.get()
    error = KeyError()
    fail.append(error)
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == [error, 1 if hook == "_get" else None]


def test_container_is_public():
    assert Queue(items=[1]).queue == deque([1])
    assert (LifoQueue(items=[1]).queue, PriorityQueue(items=[2, 1]).queue) == ([1], [1, 2])
    queue = Queue()
    queue.queue.extend("ab")
    assert queue.get() == "a"
    with pytest.raises(AttributeError):
        Queue().is_shutdown = True


@pytest.mark.parametrize("kind", [*QUEUES, Channel])
def test_weak_reference(kind):
    queue = kind()
    reference = weakref.ref(queue)
    if kind is not Channel:
        queue.put((1, queue))
    del queue
    collect_garbage()
    assert reference() is None


def test_repr():
    queue = Queue(3)
    assert repr(queue) == f"<Queue at {id(queue):#x} maxsize=3 items=0>"
    jobs = [waiting(queue.get), waiting(queue.get)]
    assert repr(queue) == f"<Queue at {id(queue):#x} maxsize=3 items=0 getters=2>"
    gevent.killall(jobs)
    for item in range(3):
        queue.put(item)
    job = waiting(queue.put, 3)
    assert repr(queue) == f"<Queue at {id(queue):#x} maxsize=3 items=3 putters=1 tasks=3>"
    job.kill()
    assert repr(SimpleQueue()).startswith("<SimpleQueue at 0x")


def test_loop_exit_names_the_queue():
    queue = Queue(1, [1])
    with pytest.raises(LoopExit, match=f"<Queue at {id(queue):#x}"):
        queue.put(2)
    with pytest.raises(LoopExit, match="<Channel at"):
        Channel().put(1)
