"""Events, results, locks and queues shared by native threads, with a hub of their own or without: nobody is forgotten, nothing is
taken twice, nobody waits longer than need be.

The interpreter is told to change threads as often as it can, so that what takes more than one step is interrupted in every place.
"""

import gc
import os
import pathlib
import sys
import threading
from _thread import allocate_lock
from time import monotonic

import gevent
import pytest
from gevent._mutex import mutex
from gevent._switching import get_hub_if_exists
from gevent.event import AsyncResult, Event
from gevent.hub import get_hub
from gevent.lock import BoundedSemaphore, RLock, Semaphore
from gevent.queue import Channel, Empty, Full, LifoQueue, PriorityQueue, Queue, SimpleQueue
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, run_script
from gevent_testkit.interpreters import PATIENCE

SCRIPTS = pathlib.Path(__file__).parent / "scripts"
#: Seconds that each of the loads runs at least.
SECONDS = float(os.environ.get("GEVENT_TEST_THREAD_SECONDS", "0.4")) * PATIENCE

# The descriptors of an ended thread's hub go with the hub, which PyPy frees by some later collection, and not always by the next.
pytestmark = [] if REFERENCE_COUNTING else pytest.mark.leaks("hubs of ended threads are garbage on PyPy; one test counts them")


@pytest.fixture(autouse=True)
def restless():
    before = sys.getswitchinterval()
    # PyPy takes it for a number of steps: these are 200, about as many as CPython does in its time.
    sys.setswitchinterval(1e-5 if REFERENCE_COUNTING else 1e-4)
    yield
    sys.setswitchinterval(before)


class Threads:
    """Native threads that run functions to their end; the first error of any is raised by :meth:`join`."""

    def __init__(self):
        self.threads = []
        self.errors = []

    def start(self, function, *args, hub=False):
        """Call *function* in a new native thread; with *hub*, in a greenlet under that thread's own hub."""

        def run():
            try:
                if hub:
                    gevent.spawn(function, *args).get()
                else:
                    function(*args)
            except BaseException as error:
                self.errors.append(error)
            finally:
                if hub:
                    get_hub().destroy()

        thread = threading.Thread(target=run)
        self.threads.append(thread)
        thread.start()

    def join(self):
        """Wait for all, letting the greenlets of this thread run."""
        with gevent.Timeout(25 * PATIENCE):
            while any(each.is_alive() for each in self.threads):
                gevent.sleep(0.002)
        for error in self.errors:
            raise error


@pytest.fixture
def threads():
    group = Threads()
    yield group
    group.join()


def native_signal():
    """A native lock to wait for, and what lets go of it."""
    lock = allocate_lock()
    lock.acquire()
    return lock


class CountingQueue(Queue):
    """A queue of the user's, with hooks in Python that show whether two threads are in them."""

    def _init(self, maxsize, items=None):
        super()._init(maxsize, items)
        self.inside = 0

    def _enter(self):
        self.inside += 1
        assert self.inside == 1
        for _ in range(3):
            pass
        self.inside -= 1

    def _put(self, item):
        self._enter()
        super()._put(item)

    def _get(self):
        self._enter()
        return super()._get()


# ---- Promptly, with nothing else to do ------------------------------------------------------------------------------------------


def set_event(thing):
    thing.set()


#: (how to make it, how a greenlet waits for it, how a thread lets it go on)
WAITS = {
    "event": (Event, lambda event: event.wait(), set_event),
    "result": (AsyncResult, lambda result: result.get(), lambda result: result.set(True)),
    "semaphore": (lambda: Semaphore(0), lambda lock: lock.acquire(), lambda lock: lock.release()),
    "semaphore wait": (lambda: Semaphore(0), lambda lock: lock.wait(), lambda lock: lock.release()),
    "counter": (lambda: Semaphore(0), lambda lock: lock.acquire(), lambda lock: setattr(lock, "counter", 1)),
    "get": (Queue, lambda queue: queue.get(), lambda queue: queue.put(True)),
    "simple get": (SimpleQueue, lambda queue: queue.get(), lambda queue: queue.put_nowait(True)),
    "priority get": (PriorityQueue, lambda queue: queue.get(), lambda queue: queue.put(True)),
    "peek": (LifoQueue, lambda queue: queue.peek(), lambda queue: queue.put(True)),
    "put": (lambda: Queue(1, [1]), lambda queue: queue.put(2) is None, lambda queue: queue.get()),
    "join": (lambda: Queue(None, [1]), lambda queue: queue.join(), lambda queue: queue.task_done()),
    "channel get": (Channel, lambda channel: channel.get(), lambda channel: channel.put_nowait(True)),
    "channel put": (Channel, lambda channel: channel.put(2) is None, lambda channel: channel.get_nowait()),
    "rawlink": (Event, lambda event: gevent.wait([event]) == [event], set_event),
}


@pytest.mark.parametrize("where", ["main", "greenlet"])
@pytest.mark.parametrize("name", WAITS)
def test_a_thread_without_a_hub_wakes_a_greenlet(name, where, threads):
    """Though the loop has nothing else to wait for; and at once."""
    make, wait, let_go = WAITS[name]
    thing, go = make(), native_signal()
    woken_at = []

    def run():
        go.acquire()
        woken_at.append(monotonic())
        let_go(thing)

    threads.start(run)
    job = gevent.spawn(wait, thing) if where == "greenlet" else None  # first, so that it waits when the thread is let go
    get_hub().loop.run_callback(go.release)
    assert wait(thing) if job is None else job.get()
    assert monotonic() - woken_at[0] < 1.0


@pytest.mark.parametrize("name", WAITS)
def test_a_greenlet_wakes_one_of_another_thread(name, threads):
    """Each under its own hub."""
    make, wait, let_go = WAITS[name]
    thing, found = make(), []
    threads.start(lambda: found.append(wait(thing)), hub=True)
    while not any(word in repr(thing) for word in ("waiters=1", "getters=1", "putters=1")) and name != "join":
        gevent.sleep(0.0005)
    if name == "join":
        gevent.sleep(0.01)
    gevent.spawn(let_go, thing).get()
    threads.join()
    assert found == [True] or found == [1]


def test_all_hubs_hear_of_an_event(threads):
    """Greenlets of several hubs, and a link in each, wait for one; a thread without a hub sets it. Once each."""
    event, heard = Event(), []

    def run(number):
        event.rawlink(lambda source: heard.append((number, "link")))
        jobs = [gevent.spawn(lambda: heard.append((number, event.wait()))) for _ in range(3)]
        gevent.joinall(jobs)
        gevent.sleep(0)

    for number in range(3):
        threads.start(run, number, hub=True)
    while "waiters=12" not in repr(event):
        gevent.sleep(0.001)
    threads.start(event.set)
    threads.join()
    assert sorted(heard, key=str) == sorted([(number, what) for number in range(3) for what in ("link", True, True, True)], key=str)


# ---- Loads ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hub", [True, False])
@pytest.mark.parametrize("bound", [None, 1, 3])
@pytest.mark.parametrize("kind", [SimpleQueue, Queue, LifoQueue, PriorityQueue, CountingQueue])
def test_every_item_once(kind, bound, hub, threads):
    """Putters and getters in four threads and in this one: what is put is got, once; the bound is kept."""
    queue = kind(bound)
    each, end = 300, 10**9
    got = [[] for _ in range(3)]
    most = []

    def put(first):
        for number in range(first, first + each):
            queue.put(number)
            most.append(queue.qsize())

    def get(mine):
        while True:
            item = queue.get()
            if item == end:
                return
            mine.append(item)

    for number in range(2):
        threads.start(put, number * each, hub=hub)
        threads.start(get, got[number], hub=hub)
    jobs = [gevent.spawn(put, 2 * each), gevent.spawn(get, got[2])]
    while sum(map(len, got)) < 3 * each and not threads.errors:
        gevent.sleep(0.001)
    for _ in range(3):
        queue.put(end)
    gevent.joinall(jobs, raise_error=True)
    threads.join()
    assert sorted(item for mine in got for item in mine) == list(range(3 * each))
    if bound:
        assert max(most) <= bound
    assert queue.qsize() == 0
    assert "getters" not in repr(queue)
    assert "putters" not in repr(queue)


def test_channel(threads):
    """What is handed over is taken, once, by somebody."""
    channel, each, got = Channel(), 200, []

    def put(first):
        for number in range(first, first + each):
            channel.put(number)

    def get(count):
        got.extend(channel.get() for _ in range(count))

    for number in range(2):
        threads.start(put, number * each, hub=True)
        threads.start(get, each, hub=True)
    jobs = [gevent.spawn(put, 2 * each), gevent.spawn(get, each)]
    gevent.joinall(jobs, raise_error=True)
    threads.join()
    assert sorted(got) == list(range(3 * each))
    assert channel.balance == 0


@pytest.mark.parametrize("make", [lambda: Semaphore(1), lambda: BoundedSemaphore(1), RLock], ids=["semaphore", "bounded", "rlock"])
def test_one_at_a_time(make, threads):
    """A lock shared by greenlets of three threads, some of which give up waiting: never two have it, nobody waits for ever."""
    lock = make()
    inside, most, done = [], [], []
    until = monotonic() + SECONDS

    def work(number):
        while monotonic() < until:
            if number % 3 == 0 and not lock.acquire(timeout=0.0005):
                continue
            if number % 3:
                lock.acquire()
            try:
                inside.append(number)
                most.append(len(inside))
                if number % 2:
                    gevent.sleep(0)
                inside.remove(number)
            finally:
                lock.release()
            done.append(number)
            gevent.sleep(0)

    def several(first):
        gevent.joinall([gevent.spawn(work, number) for number in range(first, first + 4)], raise_error=True)

    for thread in range(2):
        threads.start(several, 4 * thread, hub=True)
    several(8)
    threads.join()
    assert set(most) == {1}
    assert len(set(done)) > 8
    assert lock.acquire(blocking=False)
    lock.release()
    assert "waiters" not in repr(lock)


def test_units_are_not_lost(threads):
    """A semaphore of three, taken by greenlets that are killed while they wait, and released by threads without a hub."""
    lock = Semaphore(0)
    until = monotonic() + SECONDS
    released = [0, 0]
    taken = [0, 0]

    def release(place):
        while monotonic() < until:
            lock.release()
            released[place] += 1
            while lock.counter > 50 and monotonic() < until:
                pass

    def take(place):
        def one():
            lock.acquire()
            taken[place] += 1

        while monotonic() < until:
            jobs = [gevent.spawn(one) for _ in range(5)]
            gevent.sleep(0)
            jobs[2].kill()
            gevent.killall(jobs, timeout=0)
            gevent.joinall(jobs)

    for place in range(2):
        threads.start(release, place)
    threads.start(take, 0, hub=True)
    take(1)
    threads.join()
    assert sum(taken) > 10
    assert lock.counter == sum(released) - sum(taken)
    assert "waiters" not in repr(lock)


def test_an_event_is_never_missed(threads):
    """Threads set what greenlets of two hubs wait for and clear: nobody sleeps through it."""
    rounds = 150
    events = [(Event(), Event()) for _ in range(2)]

    def answer(ask, reply):
        for _ in range(rounds):
            assert ask.wait(10 * PATIENCE)
            ask.clear()
            reply.set()

    def ask(ask, reply):
        for _ in range(rounds):
            ask.set()
            assert reply.wait(10 * PATIENCE)
            reply.clear()

    threads.start(answer, *events[0])
    threads.start(answer, *events[1], hub=True)
    gevent.joinall([gevent.spawn(ask, *each) for each in events], raise_error=True)
    threads.join()


def test_results_race(threads):
    """Set and failed by two threads again and again while others ask: whoever asks gets one or the other, whole."""
    until = monotonic() + SECONDS
    box = [AsyncResult()]
    error = KeyError("failed")
    wrong = []

    def change(number):
        while monotonic() < until:
            result = box[0]
            if number:
                result.set(number)
            else:
                result.set_exception(error)
            box[0] = AsyncResult()

    def ask():
        while monotonic() < until:
            try:
                assert box[0].get(timeout=0.05) in (1, 2)
            except KeyError as failure:
                wrong.extend([] if failure is error else [failure])
            except gevent.Timeout:
                pass

    for number in range(3):
        threads.start(change, number)
    threads.start(ask, hub=True)
    gevent.spawn(ask).get()
    threads.join()
    assert wrong == []


def test_links_race(threads):
    """Made and undone in one thread while another sets: called at most once each, and never after they were undone here."""
    until = monotonic() + SECONDS
    box = [Event()]
    wrong = []

    def work():
        while monotonic() < until:
            event = box[0]
            calls = []
            event.rawlink(calls.append)
            gevent.sleep(0)
            event.unlink(calls.append)
            seen = len(calls)
            gevent.sleep(0)
            if len(calls) > 1 or len(calls) > seen:
                wrong.append(calls)

    def change():
        while monotonic() < until:
            box[0].set()
            box[0] = Event()

    threads.start(change)
    threads.start(work, hub=True)
    gevent.spawn(work).get()
    threads.join()
    assert wrong == []


def test_a_hub_that_is_gone_is_passed_over():
    """Its greenlets stand in line for ever. Who releases goes on with the next, without an error."""
    run_script(
        """
import threading, gevent
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.queue import Queue
lock, queue, event = Semaphore(0), Queue(), Event()
waits = (lock.acquire, queue.get, event.wait)
kept = []
def leave():
    kept.extend(gevent.spawn(wait) for wait in waits)
    gevent.sleep(0)
    gevent.get_hub().destroy()
thread = threading.Thread(target=leave)
thread.start()
thread.join()
jobs = [gevent.spawn(wait) for wait in waits]
gevent.sleep(0)
lock.release()
queue.put("item")
event.set()
gevent.joinall(jobs, timeout=5)
assert [job.value for job in jobs] == [True, "item", True]
"""
    ).check()


def test_what_does_not_wait_needs_no_hub(threads):
    """And makes none in a thread that has none."""
    found = []

    def run():
        lock, queue = Semaphore(1), Queue(1)
        found.append(lock.acquire(blocking=False))
        found.append(lock.acquire(blocking=False))
        queue.put(1)
        with pytest.raises(Full):
            queue.put(2, False)
        found.append(queue.get())
        with pytest.raises(Empty):
            queue.get_nowait()
        Event().set()
        AsyncResult().set(1)
        found.append(get_hub_if_exists())

    threads.start(run)
    threads.join()
    assert found == [True, False, 1, None]


# ---- Forks, and the end of threads ----------------------------------------------------------------------------------------------


def test_fork_while_threads_use_what_is_shared():
    """The child finds nothing locked, also in a hook of os.register_at_fork; its pool works; it does not wait for the parent's threads."""
    assert run_script(SCRIPTS / "native_threads_fork.py", timeout=25).check().stdout == "parent ok\n"


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors by /proc")
def test_threads_with_hubs_leave_no_descriptors():
    """Neither thirty at a time, some of which destroy their hubs, nor hundreds one after the other, of which nobody collects garbage."""
    assert run_script(SCRIPTS / "native_threads_descriptors.py", timeout=25).check().stdout == "ok\n"


# ---- Finalizers -----------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(REFERENCE_COUNTING, reason="CPython's mutex is compiled, or keeps the collector from running")
def test_finalizers_wait_for_the_mutex_and_do_not_have_it():
    """One that is found meanwhile runs when it is free: it may wait for a thread that wants it."""
    seen = []

    def take():
        mutex.lock()
        mutex.unlock()

    class Late:
        def __del__(self):
            thread = threading.Thread(target=take)
            thread.start()
            thread.join(10)
            seen.append("stuck" if thread.is_alive() else "free")

    mutex.lock()
    try:
        Late()
        collect_garbage()
        seen.append("locked")
    finally:
        mutex.unlock()
    assert seen == ["locked", "free"]


@pytest.mark.skipif(REFERENCE_COUNTING, reason="CPython's mutex is compiled, or keeps the collector from running")
def test_the_mutex_leaves_a_collector_that_was_turned_off_meanwhile():
    """Another thread may call gc.disable() at any time."""
    mutex.lock()
    gc.disable()
    mutex.unlock()
    try:
        assert not gc.isenabled()
    finally:
        gc.enable()


class Finalized:
    """In a cycle, so that the garbage collector finds it, wherever that runs."""

    def __init__(self, *calls):
        self.calls = calls
        self.cycle = self

    def __del__(self):
        for each in self.calls:
            each()


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="PyPy's collector cannot be told when to run")
@pytest.mark.parametrize("kind", ["semaphore", "event", "result", "queue", "priority", "channel", "rlock"])
def test_finalizers_use_what_they_interrupt(kind):
    """The collector runs at almost every allocation, and with it a __del__ that uses the very object: no deadlock, nothing lost."""
    lock, rlock, event, result = Semaphore(0), RLock(), Event(), AsyncResult()
    queue = PriorityQueue() if kind == "priority" else Queue()
    channel = Channel()
    calls = [0]
    limit = 2000

    def attempt(function, *args):
        try:
            return function(*args)
        except (Empty, Full, gevent.Timeout):
            return None

    uses = {
        "semaphore": [lock.release, lambda: lock.acquire(blocking=False)],
        "event": [event.set, event.clear],
        "result": [lambda: result.set(1), lambda: attempt(result.get, False), lambda: result.rawlink(int.__class__)],
        "queue": [lambda: queue.put(1), lambda: attempt(queue.get, False)],
        "priority": [lambda: queue.put(1), lambda: attempt(queue.get, False)],
        "channel": [lambda: attempt(channel.put, 1, False), lambda: attempt(channel.get, False)],
        "rlock": [lambda: rlock.acquire(blocking=False) and rlock.release()],
    }[kind]

    def finalize():
        calls[0] += 1
        for use in uses:
            use()

    def wait():
        for _ in range(limit // 20):
            Finalized(finalize)
            if kind == "semaphore":
                lock.acquire(timeout=0.0001)
            elif kind == "event":
                event.wait(0.0001)
            elif kind == "result":
                result.wait(0.0001)
            elif kind == "channel":
                attempt(channel.get, True, 0.0001)
            elif kind == "rlock":
                with rlock:
                    gevent.sleep(0)
            else:
                attempt(queue.get, True, 0.0001)

    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        gevent.joinall([gevent.spawn(wait) for _ in range(4)], raise_error=True)
    finally:
        gc.set_threshold(*before)
    assert calls[0] > limit // 20
    event.set()
    lock.release()
    queue.put(2)
    with gevent.Timeout(5):
        lock.acquire()
        event.wait()
        queue.get()
        with rlock:
            pass


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="PyPy's collector cannot be told when to run")
def test_released_by_the_collector_only():
    """What waits is woken by a __del__ that ran in the middle of a switch, though nothing else would do it."""
    lock = Semaphore(0)
    before = gc.get_threshold()
    gc.set_threshold(1, 1000, 1000)
    try:
        for _ in range(200):
            waiting = gevent.spawn(lock.acquire)
            # A collection that saw it in use would leave it to one of old objects, which comes only when there are many new ones.
            gc.disable()
            Finalized(lock.release)
            gc.enable()
            [[] for _ in range(5)]
            with gevent.Timeout(5):
                while not waiting.ready():
                    gevent.sleep(0)
                    [[] for _ in range(5)]
    finally:
        gc.enable()
        gc.set_threshold(*before)
    assert lock.counter == 0
