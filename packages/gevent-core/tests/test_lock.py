"""Semaphores and RLock: who gets a unit and in what order, and that no wake-up is lost, whatever is killed or times out."""

import gc
import random
import sys
import weakref
from contextlib import ExitStack
from textwrap import dedent
from time import perf_counter

import gevent
import greenlet
import pytest
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import get_hub
from gevent.lock import BoundedSemaphore, DummySemaphore, RLock, Semaphore
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, collecting_at, run_script, runs_sources
from gevent_testkit.greenlets import at_the_same_moment, in_hub, waiting

PURE = runs_sources()

KINDS = [Semaphore, BoundedSemaphore]


# ---- Counting --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_context_manager(kind):
    """LCK-01: a semaphore is a context manager."""
    lock = kind(1)
    with lock:
        assert lock.locked()
        assert lock.counter == 0
    assert not lock.locked()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert lock.counter == 1


@pytest.mark.parametrize("kind", KINDS)
def test_initial_value(kind):
    """LCK-01: a negative initial value is refused; anything else is the counter."""
    with pytest.raises(ValueError, match="-1"):
        kind(-1)
    with pytest.raises(TypeError):
        kind("many")
    assert [kind().counter, kind(0).counter, kind(7).counter, kind(value=2, hub=get_hub()).counter] == [1, 0, 7, 2]


def test_counts():
    """LCK-04: wait() tells how often acquire() could succeed, and takes nothing; release() returns the new count."""
    lock = Semaphore(2)
    assert (lock.wait(), lock.wait(timeout=0), lock.counter) == (2, 2, 2)
    assert (lock.acquire(), lock.wait(), lock.acquire(), lock.wait(timeout=0)) == (True, 1, True, 0)
    assert (lock.locked(), lock.ready()) == (True, False)
    assert (lock.release(), lock.release(), lock.release(), lock.wait()) == (1, 2, 3, 3)
    assert (lock.locked(), lock.ready()) == (False, True)


def test_not_blocking():
    """LCK-03: acquire(blocking=False) returns at once."""
    lock = Semaphore(1)
    switches = count_switches(
        lambda: results.append([lock.acquire(blocking=False), lock.acquire(False), lock.acquire(0)]), results := []
    )
    assert (results, switches) == ([[True, False, False]], 0)


def count_switches(function, _):
    seen = []
    greenlet.settrace(lambda event, args: seen.append(event))
    try:
        function()
    finally:
        greenlet.settrace(None)
    return len(seen)


@pytest.mark.parametrize("kind", [Semaphore, BoundedSemaphore, RLock])
def test_no_switch_without_need(kind):
    """LCK-08: what need not wait does not switch."""
    lock = kind()

    def use():
        with lock:
            assert lock.locked()

    assert count_switches(use, None) == 0


def test_timeout():
    """LCK-02: acquire(timeout) returns False when it elapses."""
    lock = Semaphore(0)
    started = perf_counter()
    assert lock.acquire(timeout=0.02) is False
    assert perf_counter() - started >= 0.019
    assert (lock.acquire(timeout=0), lock.acquire(timeout=-1), lock.wait(0.001), lock.counter) == (False, False, 0, 0)
    assert "waiters" not in repr(lock)


def test_timeout_of_others():
    """LCK-02: another Timeout passes through, and the semaphore is not taken."""
    lock = Semaphore(0)
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.001) as outer:
        lock.acquire(timeout=10)
    assert caught.value is outer
    assert lock.counter == 0
    assert lock.release() == 1
    assert lock.acquire(blocking=False) is True


def test_timeout_object():
    """A gevent.Timeout may be given; only that one makes it False."""
    lock = Semaphore(0)
    timeout = gevent.Timeout(0.001)
    assert lock.acquire(timeout=timeout) is False
    assert not timeout.pending
    with gevent.Timeout(0.001) as outer, pytest.raises(gevent.Timeout) as caught:
        lock.acquire(timeout=gevent.Timeout(10))
    assert caught.value is outer
    assert lock.wait(gevent.Timeout(0.001)) == 0


@pytest.mark.parametrize("bad", [float("nan"), "1", object()])
def test_bad_timeout(bad):
    lock = Semaphore(0)
    with pytest.raises((TypeError, ValueError)):
        lock.acquire(timeout=bad)
    assert "waiters" not in repr(lock)


def test_over_release():
    """LCK-05: a BoundedSemaphore that is released too often raises ValueError and keeps its count."""
    lock = BoundedSemaphore(2)
    with pytest.raises(ValueError, match="more often"):
        lock.release()
    assert lock.counter == 2
    lock.acquire()
    assert lock.release() == 2
    with pytest.raises(ValueError, match="more often"):
        lock.release()
    assert lock.counter == 2
    assert Semaphore(0).release() == 1


def test_dummy():
    """LCK-07: DummySemaphore is always free, and takes and ignores a value."""
    lock = DummySemaphore(0)
    with lock:
        assert [lock.acquire(), lock.acquire(blocking=False), lock.acquire(timeout=0.1)] == [True, True, True]
    assert (lock.release(), lock.locked(), lock.ready(), lock.wait(), lock.wait(1)) == (None, False, True, 1, 1)
    assert (lock.rawlink(print), lock.unlink(print)) == (None, None)
    assert DummySemaphore().acquire() is True


def test_counter_can_be_set():
    """The counter can be assigned, which serves those who wait: pools are resized so."""
    lock = Semaphore(5)
    lock.counter -= 3
    assert (lock.counter, lock.acquire(), lock.acquire(), lock.acquire(blocking=False)) == (2, True, True, False)
    jobs = [gevent.spawn(lock.acquire) for _ in range(3)]
    gevent.sleep(0)
    lock.counter += 2
    gevent.sleep(0)
    assert [job.value for job in jobs] == [True, True, None]
    lock.counter -= 1
    assert (lock.counter, lock.locked(), lock.wait(0), lock.release()) == (-1, True, 0, 0)
    gevent.sleep(0)
    assert jobs[2].value is None
    assert lock.release() == 1
    assert jobs[2].get() is True


# ---- In the hub, without a hub, from a finalizer ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_hub_does_not_wait(kind):
    lock = kind(1)
    assert in_hub(lock.acquire) is True
    assert in_hub(lock.acquire, False) is False
    assert isinstance(in_hub(lock.acquire), BlockingSwitchOutError)
    assert isinstance(in_hub(lock.wait), BlockingSwitchOutError)
    assert "waiters" not in repr(lock)
    assert in_hub(lock.release) == 1


def test_locks_make_no_hub():
    """LCK-11, HUB-02: locks may be made, and used without waiting, before any hub exists."""
    done = run_script(
        dedent("""
        from gevent.lock import *
        from gevent.thread import allocate_lock
        from gevent._switching import get_hub_if_exists
        locks = [Semaphore(), Semaphore(1), BoundedSemaphore(), DummySemaphore(), RLock(), allocate_lock()]
        for lock in locks:
            assert lock.acquire() is True
            assert lock.acquire(blocking=False) in (True, False)
            lock.locked(), repr(lock)
            lock.release()
            with RLock():
                pass
        print(get_hub_if_exists())
        """)
    )
    assert (done.status, done.stdout, done.stderr) == (0, "None\n", "")


def test_weak_reference():
    """LCK-08: a Semaphore can be weakly referenced, and dies with the last reference."""
    for kind in (Semaphore, BoundedSemaphore, RLock):
        lock = kind()
        reference = weakref.ref(lock)
        assert reference() is lock
        del lock
        gc.collect()
        assert reference() is None


@pytest.mark.skipif(PURE, reason="only the compiled class is out of reach of trace functions")
@pytest.mark.parametrize("kind", [Semaphore, BoundedSemaphore, RLock])
def test_no_trace_function(kind):
    """LCK-10: leaving the context does not call Python-level trace or profile functions."""
    lock = kind()
    seen = []
    sys.settrace(lambda frame, event, arg: seen.append(frame.f_code.co_name))
    try:
        with lock:
            pass
    finally:
        sys.settrace(None)
    assert seen == []


class Releases:
    """Garbage that releases a lock when the collector finds it."""

    def __init__(self, lock):
        self.lock = lock
        self.me = self

    def __del__(self):
        self.lock.release()


@pytest.mark.parametrize("overtaken", [False, True])
@pytest.mark.parametrize("allocation", range(8))
def test_release_in_finalizer(allocation, overtaken):
    """LCK-09: a release() in a __del__, wherever the garbage collector happens to run in an acquire(), is not lost."""
    lock = Semaphore(0)
    gc.collect()
    with gevent.Timeout(5):
        if overtaken:  # it runs as the greenlet goes back to its place

            def overtake():
                lock.release()
                lock.acquire()
                get_hub().loop.run_callback(gc.collect)  # at the latest
                Releases(lock)
                moment.enter_context(collecting_at(allocation))

            get_hub().loop.run_callback(overtake)
            with ExitStack() as moment:
                assert lock.acquire() is True
        else:
            Releases(lock)
            get_hub().loop.run_callback(gc.collect)  # at the latest
            with collecting_at(allocation):
                assert lock.acquire() is True
    gevent.sleep(0)
    gc.collect()
    assert lock.counter == 0


def test_lock_in_finalizer_while_switching():
    """LCK-09: a __del__ that takes and releases a lock, run by objects dying in and between greenlets, keeps it right."""
    lock = Semaphore()
    died = []

    class Dies:
        def __del__(self):
            with lock:
                died.append(None)

    def work():
        for _ in range(10):
            keep = Dies()
            with lock:
                gevent.sleep(0)
            del keep
            gevent.sleep(0)

    gevent.joinall([gevent.spawn(work) for _ in range(5)])
    if not REFERENCE_COUNTING:
        collect_garbage()
    assert (len(died), lock.counter) == (50, 1)


# ---- Order -----------------------------------------------------------------------------------------------------------------------


def start(log, lock, names, hold=True):
    """A greenlet for each name that acquires *lock* and notes so; those that *hold* never give it back."""

    def take(name):
        lock.acquire()
        log.append(name)
        if not hold:
            lock.release()

    jobs = [gevent.spawn(take, name) for name in names]
    gevent.sleep(0)
    return jobs


@pytest.mark.parametrize("kind", [Semaphore, BoundedSemaphore, RLock])
def test_order(kind):
    """Those who wait are served in order of arrival."""
    log, lock = [], kind()
    lock.acquire()
    jobs = start(log, lock, "abcde", hold=False)
    assert log == []
    lock.release()
    assert log == []
    gevent.joinall(jobs)
    assert log == list("abcde")


def test_release_does_not_switch():
    log, lock = [], Semaphore(0)
    jobs = start(log, lock, "ab")
    lock.release()
    lock.release()
    log.append("released")
    gevent.joinall(jobs)
    assert log == ["released", "a", "b"]


def test_units_for_many():
    """Several units released at once serve as many, in one go, and no more."""
    log, lock = [], Semaphore(0)
    jobs = start(log, lock, "abcd")
    for _ in range(3):
        lock.release()
    gevent.sleep(0)
    assert (log, lock.counter) == (list("abc"), 0)
    lock.release()
    gevent.joinall(jobs)
    assert log == list("abcd")


def test_order_when_overtaken():
    """Whoever was woken and found that a running greenlet had been quicker goes back to the head of the line."""
    log, lock = [], Semaphore(0)
    jobs = start(log, lock, "abc")
    for _ in range(3):  # woken for nothing, more than once
        lock.release()
        lock.release()
        assert lock.acquire(blocking=False) is True
        assert lock.acquire(blocking=False) is True
        gevent.sleep(0)
    assert (log, repr(lock).endswith("counter=0 waiters=3>")) == ([], True)
    for _ in range(3):
        lock.release()
    gevent.joinall(jobs)
    assert log == list("abc")


def test_overtaken_keeps_its_timeout():
    """Going back to the line does not start the timeout anew."""
    lock = Semaphore(0)
    job = gevent.spawn(lock.acquire, timeout=0.05)
    started = perf_counter()
    while not job.ready():
        lock.release()
        lock.acquire(blocking=False)
        gevent.sleep(0.01)
    assert job.value is False
    assert 0.04 <= perf_counter() - started < 1


def test_wait_passes_on():
    """wait() stands in the same line, takes nothing, and the next is served."""
    log, lock = [], Semaphore(0)

    def look():
        log.append(("look", lock.wait()))

    looker = gevent.spawn(look)
    jobs = start(log, lock, "ab")
    lock.release()
    gevent.joinall([looker, jobs[0]])
    assert log == [("look", 1), "a"]
    lock.release()
    jobs[1].join()
    assert log == [("look", 1), "a", "b"]


# ---- Links -----------------------------------------------------------------------------------------------------------------------


def test_links():
    """rawlink(): called in the hub, once, in the order of the line, when there is a unit; it takes nothing."""
    log, lock = [], Semaphore(0)
    lock.rawlink(lambda source: log.append(("first", source is lock, greenlet.getcurrent() is get_hub())))
    jobs = start(log, lock, "a")
    lock.rawlink(lambda source: log.append("second"))
    lock.release()
    assert log == []
    gevent.joinall(jobs)
    gevent.sleep(0)
    assert log == [("first", True, True), "a"]
    lock.release()
    gevent.sleep(0)
    assert log == [("first", True, True), "a", "second"]
    lock.release()
    gevent.sleep(0)
    assert len(log) == 3


def test_link_to_free():
    log, lock = [], Semaphore(1)
    lock.rawlink(log.append)
    assert log == []
    gevent.sleep(0)
    assert (log, lock.counter) == ([lock], 1)


def test_unlink():
    log, lock = [], Semaphore(0)
    lock.unlink(log.append)
    lock.rawlink(log.append)
    lock.rawlink(log.append)
    lock.unlink(log.append)
    lock.release()
    gevent.sleep(0)
    assert log == [lock]
    lock.rawlink(log.append)
    lock.unlink(log.append)  # due, and not called yet
    gevent.sleep(0)
    assert log == [lock]
    with pytest.raises(TypeError):
        lock.rawlink(None)


def test_wait_for_semaphores():
    """gevent.wait() takes semaphores."""
    first, second = Semaphore(0), Semaphore(0)
    gevent.spawn(second.release)
    assert gevent.wait([first, second], count=1) == [second]
    assert (first.counter, second.counter) == (0, 1)


# ---- Killed, or out of time, at each moment ----------------------------------------------------------------------------------------


def rlock():
    """An RLock that another greenlet holds and releases on request; both as callables."""
    lock, go = RLock(), Semaphore(0)

    def hold():
        lock.acquire()
        go.acquire()
        lock.release()

    gevent.spawn(hold)
    gevent.sleep(0)
    return lock, go.release


def semaphore():
    lock = Semaphore(0)
    return lock, lock.release


MAKERS = [pytest.param(semaphore, id="Semaphore"), pytest.param(rlock, id="RLock")]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("victims", [[0], [1], [2], [0, 1], [0, 2]])
def test_kill_before_wake(make, victims):
    """Who is killed while it waits leaves the line; the others are served in order."""
    lock, release = make()
    log = []
    jobs = start(log, lock, "abcd", hold=False)
    for index in victims:
        jobs[index].kill()
    release()
    gevent.joinall(jobs)
    if isinstance(lock, Semaphore):
        assert lock.counter == 1
    assert log == [name for index, name in enumerate("abcd") if index not in victims]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("victims", [1, 2, 3])
def test_kill_between_wake_and_run(make, victims):
    """Who is woken, and killed before it runs, has the next one woken in its place."""
    lock, release = make()
    log = []
    jobs = start(log, lock, "abcd", hold=False)
    for job in jobs[:victims]:
        job.kill(block=False)  # queued before the wake-up that release() queues
    release()
    gevent.joinall(jobs)
    assert log == list("abcd"[victims:])
    assert lock.acquire(blocking=False) is True


@pytest.mark.parametrize("call", ["acquire", "wait"])
def test_timeout_first(call):
    """The time is over, and a unit comes before the greenlet has run: it is not lost, and who waits behind is served."""
    lock = Semaphore(0)
    late = gevent.spawn(getattr(lock, call), timeout=0.01)
    gevent.sleep(0)
    behind = gevent.spawn(lock.acquire)
    with at_the_same_moment(0.01, lock.release):
        gevent.joinall([late], timeout=5)
    if late.value and call == "acquire":
        lock.release()
    assert behind.get(timeout=5) is True
    assert lock.counter == 0


def test_looks_again_when_out_of_time():
    """A unit that is there when the greenlet runs is taken, though its time was over before."""
    lock = Semaphore(0)
    late = waiting(lock.acquire, timeout=0.01)
    with at_the_same_moment(0.01, lock.release):
        assert late.get(timeout=5) is True
    assert lock.counter == 0


def test_wake_first():
    """A unit comes in the moment in which the time is over, and before that is noticed: it is taken."""
    lock = Semaphore(0)
    timer = get_hub().loop.timer(0.01, priority=2)
    timer.start(lock.release)
    with timer:
        assert lock.acquire(timeout=0.01) is True
    assert lock.counter == 0


def test_thrown_timeout_between_wake_and_run():
    """A Timeout that comes out of acquire() after the wake-up hands it on."""
    lock = Semaphore(0)
    fired = []

    def impatient():
        try:
            lock.acquire()
        except gevent.Timeout as timeout:
            fired.append(timeout)

    first = gevent.spawn(impatient)
    second = gevent.spawn(lock.acquire)
    gevent.sleep(0)
    timeout = gevent.Timeout(1)
    get_hub().loop.run_callback(first.throw, timeout)
    lock.release()
    assert second.get(timeout=5) is True
    assert fired == [timeout]


def soak(lock, seconds, seed):
    """Greenlets that take and give back a unit, killed and timed out at random, never more than there are units."""
    randomly = random.Random(seed)
    units, taken, most, served = lock.counter, 0, 0, 0
    ends = perf_counter() + seconds

    def use():
        nonlocal taken, most, served
        while perf_counter() < ends:
            timeout = randomly.choice([None, None, 0, 0.0005, 0.002])
            if randomly.random() < 0.1:
                lock.wait(timeout=0.001)
            elif lock.acquire(timeout=timeout):
                taken += 1
                most = max(most, taken)
                served += 1
                try:
                    for _ in range(randomly.randrange(3)):
                        gevent.sleep(0)
                finally:
                    taken -= 1
                    lock.release()

    jobs = [gevent.spawn(use) for _ in range(20)]
    while perf_counter() < ends:
        gevent.sleep(randomly.choice([0, 0, 0.0003]))
        for _ in range(randomly.randrange(4)):
            index = randomly.randrange(len(jobs))
            jobs[index].kill(block=False)
            if randomly.random() < 0.5:
                lock.rawlink(lambda source: None)
            jobs[index] = gevent.spawn(use)
    gevent.joinall(jobs)
    assert (lock.counter, taken) == (units, 0)
    assert most <= units
    assert served > 100
    # Whatever was linked and had to wait has been called by now.
    gevent.sleep(0)
    assert "waiters" not in repr(lock)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("units", [1, 3])
def test_soak(units, seed):
    """Random kills and timeouts: no unit is lost or made, no wake-up is lost."""
    soak(Semaphore(units), 0.4, seed)


# ---- RLock -----------------------------------------------------------------------------------------------------------------------


def test_rlock_reenters():
    """LCK-06: the same greenlet may acquire an RLock again; another has to wait."""
    lock = RLock()
    assert (lock.acquire(), lock.acquire(blocking=1), lock.acquire(timeout=0.1)) == (True, True, True)
    other = gevent.spawn(lock.acquire, blocking=False)
    assert other.get() is False
    for _ in range(3):
        assert lock.locked()
        lock.release()
    assert not lock.locked()
    assert gevent.spawn(lock.acquire, blocking=False).get() is True


def test_rlock_release_by_another():
    """LCK-06: release by another greenlet, or of a free lock: RuntimeError."""
    lock = RLock()
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock.release()
    lock.acquire()

    def release():
        with pytest.raises(RuntimeError, match="un-acquired"):
            lock.release()
        return True

    assert gevent.spawn(release).get() is True
    lock.release()


def test_rlock_timeout():
    """THR-02: RLock.acquire with timeout=-1 blocks; wrong combinations raise the standard library's errors."""
    lock, release = rlock()
    assert lock.acquire(timeout=0.001) is False
    assert lock.acquire(blocking=False, timeout=-1) is False
    waiter = gevent.spawn(lock.acquire, timeout=-1)
    gevent.sleep(0.001)
    assert not waiter.ready()
    release()
    assert waiter.get() is True
    for args in [(False, 1), (False, 0), (True, -2), (True, -0.5), (True, float("nan"))]:
        with pytest.raises(ValueError, match="timeout"):
            RLock().acquire(*args)
    with pytest.raises(OverflowError):
        RLock().acquire(timeout=1e100)
    with pytest.raises(TypeError):
        RLock().acquire(timeout="1")


def test_rlock_for_condition():
    """What threading.Condition needs: _is_owned, _release_save, _acquire_restore."""
    lock = RLock()
    assert not lock._is_owned()
    with pytest.raises(RuntimeError, match="un-acquired"):
        lock._release_save()
    lock.acquire()
    lock.acquire()
    assert (lock._is_owned(), lock._recursion_count()) == (True, 2)
    assert gevent.spawn(lambda: (lock._is_owned(), lock._recursion_count())).get() == (False, 0)
    state = lock._release_save()
    assert not lock.locked()
    other = gevent.spawn(lambda: lock.acquire() and lock.release())
    other.join()
    lock._acquire_restore(state)
    assert lock._recursion_count() == 2
    lock.release()
    lock.release()
    assert not lock.locked()


def test_rlock_at_fork():
    """What threading and logging call in a forked child: it is free, and who waits gets it."""
    lock = RLock()
    gevent.spawn(lock.acquire).join()
    job = gevent.spawn(lock.acquire)
    gevent.sleep(0)
    assert (lock.locked(), job.ready()) == (True, False)
    lock._at_fork_reinit()
    assert not lock.locked()
    assert job.get() is True
    lock._at_fork_reinit()
    with lock:
        assert lock._is_owned()


# ---- What it looks like ------------------------------------------------------------------------------------------------------------


def test_repr():
    lock = Semaphore(0)
    assert repr(lock) == f"<Semaphore at {id(lock):#x} counter=0>"
    jobs = start([], lock, "abc")
    assert repr(lock) == f"<Semaphore at {id(lock):#x} counter=0 waiters=3>"
    gevent.killall(jobs)
    assert repr(lock) == f"<Semaphore at {id(lock):#x} counter=0>"
    lock = RLock()
    assert repr(lock) == f"<unlocked gevent.lock.RLock object owner=None count=0 at {id(lock):#x}>"
    with lock:
        assert repr(lock).startswith("<locked gevent.lock.RLock object owner=<greenlet")


def test_loop_exit_names_the_lock():
    lock = Semaphore(0)
    with pytest.raises(gevent.hub.LoopExit, match=f"<Semaphore at {id(lock):#x}"):
        lock.acquire()


def test_subclass():
    """Methods overridden in Python are called."""
    log = []

    class Mine(Semaphore):
        def __init__(self, name):
            super().__init__(1)
            self.name = name

        def acquire(self, blocking=True, timeout=None):
            log.append(("acquire", self.name))
            return super().acquire(blocking, timeout)

        def release(self):
            log.append(("release", self.name))
            return super().release()

    with Mine("x") as taken:
        assert taken is True
    assert log == [("acquire", "x"), ("release", "x")]


@pytest.mark.leaks("the greenlet of the thread that is gone")
def test_destroyed_loop():
    """Who was woken in a thread whose loop is destroyed before it runs does not block the line for others."""
    lock = Semaphore(0)
    native = gevent._originals.start_new_thread
    done = gevent._originals.allocate_lock()
    done.acquire()

    def other_thread():
        hub = get_hub()
        gevent.spawn(lock.acquire)
        gevent.sleep(0)
        lock.release()  # woken
        hub.destroy(destroy_loop=True)  # and never run
        done.release()

    native(other_thread, ())
    done.acquire()
    job = gevent.spawn(lock.acquire, timeout=1)
    assert job.get() is True


def test_coros():
    """gevent.coros is gevent.lock, with a warning."""
    sys.modules.pop("gevent.coros", None)
    with pytest.warns(DeprecationWarning, match=r"gevent\.lock"):
        import gevent.coros
    assert (gevent.coros.Semaphore, gevent.coros.RLock) == (Semaphore, RLock)
    assert sorted(gevent.coros.__all__) == sorted(["BoundedSemaphore", "DummySemaphore", "RLock", "Semaphore"])
