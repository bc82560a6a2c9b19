"""Event and AsyncResult: who is woken, when, with what, and what happens to those who are killed or out of time."""

import gc
import random
import sys
import threading
import traceback
import weakref
from concurrent.futures import Future
from time import perf_counter

import gevent
import greenlet
import pytest
from gevent.event import AsyncResult, Event
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import LoopExit, get_hub
from gevent_testkit import collecting_at, runs_sources
from gevent_testkit.greenlets import at_the_same_moment, in_hub, waiting

PURE = runs_sources()


# ---- Event -----------------------------------------------------------------------------------------------------------------------


def test_flag():
    """EVT-13: it can be used as threading.Event: is_set, isSet, set, clear, wait."""
    event = Event()
    assert (event.is_set(), event.isSet(), event.ready()) == (False, False, False)
    assert event.set() is None
    assert (event.is_set(), event.isSet(), event.ready()) == (True, True, True)
    assert event.wait() is True
    assert event.wait(timeout=0) is True
    event.set()
    assert event.clear() is None
    assert event.is_set() is False


def test_condition():
    """It has the attributes of threading.Event that some programs use: the flag, and a condition."""
    event = Event()
    condition = event._cond
    assert isinstance(condition, threading.Condition)
    assert event._cond is condition
    log = []

    def in_condition(timeout):
        with condition:
            log.append(("in", condition.wait(timeout), condition.acquire(False)))

    def in_event():
        log.append(("event", event.wait(), event._flag))

    jobs = [gevent.spawn(in_condition, None), gevent.spawn(in_event), gevent.spawn(in_condition, 0.001)]
    gevent.sleep(0)
    jobs[2].get()
    assert log == [("in", False, False)]
    with condition:
        condition.notify()
    gevent.joinall(jobs)
    assert log[1:] == [("in", True, False), ("event", True, False)]
    del log[:]
    jobs = [gevent.spawn(in_condition, None), gevent.spawn(in_event)]
    gevent.sleep(0)
    event.set()
    gevent.joinall(jobs)
    assert log == [("in", True, False), ("event", True, True)]
    event._flag = False
    assert not event.is_set()
    for refused in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(RuntimeError, match="un-acquired"):
            refused()
    condition.acquire()
    event._at_fork_reinit()
    assert condition.acquire(False)


def test_subclass_sets_the_flag_under_the_condition():
    """As threading.Event does it."""

    class Mine(Event):
        def set(self):
            with self._cond:
                self._flag = True
                self._cond.notify_all()

    event = Mine()
    job = gevent.spawn(event.wait)
    gevent.sleep(0)
    event.set()
    assert (job.get(), event.is_set(), event.wait()) == (True, True, True)


def test_wait_returns():
    """EVT-03: wait(timeout) returns False when it elapses and True otherwise, exactly these objects."""
    event = Event()
    started = perf_counter()
    assert event.wait(0.02) is False
    assert perf_counter() - started >= 0.019
    assert event.wait(timeout=0) is False
    assert event.wait(-1) is False
    jobs = [waiting(event.wait), waiting(event.wait, 10), waiting(event.wait, timeout=gevent.Timeout(10))]
    event.set()
    assert [job.get() for job in jobs] == [True, True, True]
    event.clear()
    assert event.wait(gevent.Timeout(0.001)) is False
    assert repr(event) == f"<Event at {id(event):#x} clear>"
    job = waiting(event.wait)
    event._at_fork_reinit()  # what threading calls in a forked child
    event.set()
    assert job.get() is True


def test_set_and_cleared_before_it_ran():
    """EVT-01: wait returns True when the flag was set meanwhile, even if cleared again before the waiter ran."""
    event = Event()
    jobs = [waiting(event.wait), waiting(event.wait, 10)]
    event.set()
    event.clear()
    assert [job.get() for job in jobs] == [True, True]
    assert event.wait(0) is False


def test_callbacks_that_set_and_clear():
    """EVT-02: callbacks that set and clear the event, before anybody waits or while links are called, wake nobody too early."""
    event = Event()
    log = []

    def flash(source=None):
        event.set()
        event.clear()
        log.append("flash")

    flash()
    event.rawlink(flash)
    flash()  # calls the link, which flashes again before anybody waits
    gevent.sleep(0)
    job = waiting(event.wait, 0.01)
    assert job.get() is False
    job = waiting(event.wait)
    event.rawlink(flash)
    flash()
    assert job.get() is True
    later = waiting(event.wait, 0.01)  # the link of that flash is called behind it
    assert later.get() in (True, False)
    assert log == ["flash"] * 5


def test_order():
    """EVT-04: waiters wake in the order in which they waited, the same for both classes."""
    for thing in (Event(), AsyncResult()):
        log = []

        def wait(name, thing=thing, log=log):
            thing.wait()
            log.append(name)

        jobs = [waiting(wait, name) for name in "abcdefg"]
        thing.set()
        gevent.joinall(jobs)
        assert log == list("abcdefg")


def test_set_does_not_switch():
    """EVT-06: set() schedules the waiters; it does not switch to them."""
    for thing in (Event(), AsyncResult()):
        log = []
        jobs = [waiting(lambda thing=thing, log=log: log.append(thing.wait()))]
        thing.set("x") if isinstance(thing, AsyncResult) else thing.set()
        log.append("set")
        gevent.joinall(jobs)
        assert log[0] == "set"
        assert len(log) == 2


# ---- Links -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Event, AsyncResult])
def test_links(kind):
    """EVT-05: links are called in order, mixed with who waits; one that was made twice is called twice, hashable or not."""
    thing, log = kind(), []

    class Unhashable:
        __hash__ = None

        def __call__(self, source):
            log.append("unhashable")

    def link(source):
        log.append(("link", source is thing, greenlet.getcurrent() is get_hub()))

    thing.rawlink(link)
    job = waiting(lambda: (thing.wait(), log.append("waiter")))
    thing.rawlink(Unhashable())
    thing.rawlink(link)
    thing.set()
    assert log == []
    job.join()
    gevent.sleep(0)
    assert log == [("link", True, True), "waiter", "unhashable", ("link", True, True)]
    if kind is Event:
        thing.clear()
    thing.set()
    gevent.sleep(0)
    assert len(log) == 4  # once


@pytest.mark.parametrize("kind", [Event, AsyncResult])
def test_link_to_ready(kind):
    """EVT-07: rawlink on a ready object calls back soon, not at once."""
    thing, log = kind(), []
    thing.set()
    thing.rawlink(log.append)
    assert log == []
    gevent.sleep(0)
    assert log == [thing]


@pytest.mark.parametrize("kind", [Event, AsyncResult])
def test_links_in_links(kind):
    """EVT-12: links added in a callback run next time, removed ones are not called."""
    thing, log = kind(), []

    def first(source):
        log.append("first")
        thing.unlink(second)
        thing.rawlink(third)

    def second(source):
        log.append("second")

    def third(source):
        log.append("third")

    def fourth(source):
        log.append("fourth")

    for link in (first, second, fourth):
        thing.rawlink(link)
    thing.set()
    gevent.sleep(0)
    assert log[:2] == ["first", "fourth"]
    gevent.sleep(0)
    assert log == ["first", "fourth", "third"]


@pytest.mark.parametrize("kind", [Event, AsyncResult])
def test_unlink(kind):
    thing, log = kind(), []
    thing.unlink(log.append)
    thing.rawlink(log.append)
    thing.rawlink(log.append)
    thing.unlink(log.append)
    assert "waiters=1" in repr(thing)
    thing.set()
    thing.unlink(log.append)  # due, and not called yet
    gevent.sleep(0)
    assert log == []
    with pytest.raises(TypeError):
        thing.rawlink(None)


def test_link_error_is_reported():
    """An error in a link goes to the hub; the others are woken."""
    event, found = Event(), []
    hub = get_hub()
    hub.handle_error = lambda context, type, value, tb: found.append(type)
    try:
        event.rawlink(lambda source: 1 / 0)
        job = waiting(event.wait)
        event.set()
        assert job.get() is True
    finally:
        del hub.handle_error
    assert found == [ZeroDivisionError]


def test_wait_and_iwait():
    """gevent.wait() and iwait() take both, in the order in which they become ready."""
    first, second, third = Event(), AsyncResult(), Event()
    third.set()

    def later():
        second.set(1)
        gevent.sleep(0)
        first.set()

    gevent.spawn(later)
    assert list(gevent.iwait([first, second, third])) == [third, second, first]
    assert gevent.wait([Event(), third], timeout=0.001) == [third]


# ---- AsyncResult -----------------------------------------------------------------------------------------------------------------


def test_value():
    result = AsyncResult()
    assert (result.ready(), result.successful(), result.value, result.exception, result.exc_info) == (
        False,
        False,
        None,
        None,
        None,
    )
    jobs = [waiting(result.get), waiting(result.get, timeout=10), waiting(result.wait), waiting(result.result)]
    result.set(7)
    assert [job.get() for job in jobs] == [7, 7, 7, 7]
    assert (result.ready(), result.successful(), result.value, result.exception, result.exc_info) == (True, True, 7, None, None)
    assert (result.get(), result.get(block=False), result.get_nowait(), result.get(timeout=0), result.wait(0)) == (7, 7, 7, 7, 7)
    result.set()
    assert (result.get(), result.ready(), result.successful()) == (None, True, True)
    result.set([])
    assert result.get() == []


def test_exception():
    """EVT-08: get raises the stored exception."""
    result = AsyncResult()
    error = KeyError("x")
    jobs = [waiting(result.get), waiting(result.get, timeout=10)]
    result.set_exception(error)
    assert (result.ready(), result.successful(), result.value, result.exception) == (True, False, None, error)
    assert result.exc_info == (KeyError, error, None)
    for get in (result.get, result.get_nowait, result.result):
        with pytest.raises(KeyError) as caught:
            get()
        assert caught.value is error
    hub = get_hub()
    hub.handle_error = lambda *args: None
    try:
        gevent.joinall(jobs)
        gevent.sleep(0)
    finally:
        del hub.handle_error
    assert [job.exception for job in jobs] == [error, error]


def test_get_times_out():
    """EVT-08: a Timeout when not ready and block=False, a Timeout on timeout."""
    result = AsyncResult()
    for get in (lambda: result.get(block=False), result.get_nowait, lambda: result.get(False, 10)):
        with pytest.raises(gevent.Timeout):
            get()
    with pytest.raises(gevent.Timeout) as caught:
        result.get(timeout=0.001)
    assert str(caught.value) == "0.001 seconds"
    with pytest.raises(gevent.Timeout, match=r"0\.002 seconds"):
        result.result(0.002)
    timeout = gevent.Timeout(0.001)
    with pytest.raises(gevent.Timeout) as caught:
        result.get(timeout=timeout)
    assert caught.value is timeout
    with gevent.Timeout(0.001) as outer, pytest.raises(gevent.Timeout) as caught:
        result.get(timeout=10)
    assert caught.value is outer
    assert "waiters" not in repr(result)


def test_wait_does_not_raise():
    """EVT-09: wait never raises: value, or None for failure and timeout."""
    result = AsyncResult()
    assert (result.wait(timeout=0.001), result.wait(gevent.Timeout(0.001))) == (None, None)
    job = waiting(result.wait)
    result.set_exception(KeyError())
    assert (job.get(), result.wait(), result.wait(0)) == (None, None, None)
    result.set(3)
    assert result.wait() == 3


def test_traceback():
    """EVT-10: set_exception(exception, exc_info) keeps the traceback for get, however often it is called."""

    def fails():
        raise KeyError("x")

    result = AsyncResult()
    try:
        fails()
    except KeyError as error:
        result.set_exception(error, sys.exc_info())
    assert result.exc_info[0] is KeyError
    lengths = []
    for _ in range(3):
        with pytest.raises(KeyError) as caught:
            result.get()
        names = [frame.name for frame in traceback.extract_tb(caught.tb)]
        assert names[-1] == "fails"
        lengths.append(len(names))
    assert len(set(lengths)) == 1
    other = AsyncResult()
    other.set_exception(result.exception)  # its own traceback, without exc_info
    with pytest.raises(KeyError) as caught:
        other.get()
    assert traceback.extract_tb(caught.tb)[-1].name == "fails"


def test_set_exception_takes_exceptions():
    result = AsyncResult()
    with pytest.raises(TypeError, match="3"):
        result.set_exception(3)
    with pytest.raises(TypeError, match="int"):
        result.set_exception(int)
    assert not result.ready()
    result.set_exception(KeyError)
    assert isinstance(result.exception, KeyError)


def test_value_before_exception():
    """As in 1.1: it can be set more than once; a value that is there is what get() gives."""
    result = AsyncResult()
    result.set(1)
    result.set_exception(KeyError())
    assert (result.get(), result.successful()) == (1, True)
    result = AsyncResult()
    result.set_exception(KeyError())
    result.set(1)
    assert (result.get(), result.successful(), result.exception) == (1, True, None)


def test_call():
    """EVT-11: calling an AsyncResult with a source copies its value or its exception."""
    source, result = AsyncResult(), AsyncResult()
    source.rawlink(result)
    source.set(5)
    assert result.get() == 5
    source, result = AsyncResult(), AsyncResult()
    source.rawlink(result)
    error = KeyError()
    source.set_exception(error)
    with pytest.raises(KeyError) as caught:
        result.get()
    assert caught.value is error
    result = AsyncResult()
    gevent.spawn(pow, 2, 3).link(result)
    assert result.get() == 8
    result = AsyncResult()
    hub = get_hub()
    hub.handle_error = lambda *args: None
    try:
        gevent.spawn(int, "x").link(result)
        with pytest.raises(ValueError, match="'x'"):
            result.get()
    finally:
        del hub.handle_error
    assert result.exc_info[2] is not None


def test_future_names():
    """The names of concurrent.futures.Future."""
    result = AsyncResult()
    assert (result.done(), result.cancel(), result.cancelled()) == (False, False, False)
    result.set_result(4)
    assert (result.done(), result.result(), result.result(timeout=1), result.cancelled()) == (True, 4, 4, False)
    for name in ("cancel", "cancelled", "done", "result", "set_result", "set_exception"):
        assert callable(getattr(Future, name))


# ---- Killed, or out of time, at each moment; in the hub ------------------------------------------------------------------------------


CALLS = [
    pytest.param(Event, "wait", id="Event.wait"),
    pytest.param(AsyncResult, "wait", id="AsyncResult.wait"),
    pytest.param(AsyncResult, "get", id="AsyncResult.get"),
]


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_kill_while_waiting(kind, call):
    thing = kind()
    jobs = [waiting(getattr(thing, call)) for _ in range(3)]
    jobs[1].kill()
    assert "waiters=2" in repr(thing)
    thing.set()
    gevent.joinall(jobs)
    assert [isinstance(job.value, gevent.GreenletExit) for job in jobs] == [False, True, False]
    assert "waiters" not in repr(thing)


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_kill_between_wake_and_run(kind, call):
    thing = kind()
    jobs = [waiting(getattr(thing, call)) for _ in range(3)]
    jobs[1].kill(block=False)  # queued before the wake-up that set() queues
    thing.set()
    gevent.joinall(jobs)
    assert [isinstance(job.value, gevent.GreenletExit) for job in jobs] == [False, True, False]
    assert "waiters" not in repr(thing)


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_timeout_first(kind, call):
    """Set after the time was over, and before the greenlet has run: it counts, and nothing is woken twice."""
    thing = kind()
    job = waiting(getattr(thing, call), timeout=0.01)
    with at_the_same_moment(0.01, thing.set):
        job.join(timeout=5)
    assert job.successful()
    assert job.value is (True if kind is Event else None)
    gevent.sleep(0)


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_set_first(kind, call):
    """Set in the moment in which the time is over, before that is noticed."""
    thing = kind()
    timer = get_hub().loop.timer(0.01, priority=2)
    timer.start(thing.set)
    with timer:
        assert getattr(thing, call)(timeout=0.01) in (True, None)
    assert thing.ready()


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_hub_does_not_wait(kind, call):
    thing = kind()
    assert isinstance(in_hub(getattr(thing, call)), BlockingSwitchOutError)
    assert "waiters" not in repr(thing)
    thing.set()
    assert in_hub(getattr(thing, call)) in (True, None)


@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_loop_exit(kind, call):
    """Nothing is left that could set it: LoopExit, which names it."""
    thing = kind()
    with pytest.raises(LoopExit, match=f"{id(thing):#x}"):
        getattr(thing, call)()
    assert "waiters" not in repr(thing)


class Sets:
    """Garbage that sets something when the collector finds it."""

    def __init__(self, thing):
        self.thing = thing
        self.me = self

    def __del__(self):
        self.thing.set()


@pytest.mark.parametrize("allocation", range(8))
@pytest.mark.parametrize(("kind", "call"), CALLS)
def test_set_in_finalizer(kind, call, allocation):
    """Set by a __del__, wherever the garbage collector happens to run in a wait(): not missed."""
    thing = kind()
    wait = getattr(thing, call)
    gc.collect()
    Sets(thing)
    get_hub().loop.run_callback(gc.collect)  # at the latest
    with gevent.Timeout(5), collecting_at(allocation):
        result = wait()
    assert result in (True, None)
    gevent.sleep(0)


@pytest.mark.slow
def test_soak():
    """Waiters at random, killed and timed out: each set wakes exactly who waits at that time."""
    randomly = random.Random(1)
    event = Event()
    ends = perf_counter() + 0.5
    generation = 0
    woken = 0

    def wait():
        nonlocal woken
        while perf_counter() < ends:
            before = generation
            got = event.wait(randomly.choice([None, None, 0, 0.0005, 0.002]))
            assert got is (generation > before) or not got
            woken += got

    jobs = [gevent.spawn(wait) for _ in range(20)]
    while perf_counter() < ends:
        gevent.sleep(randomly.choice([0, 0, 0.0003]))
        index = randomly.randrange(len(jobs))
        jobs[index].kill(block=False)
        jobs[index] = gevent.spawn(wait)
        generation += 1
        event.set()
        event.clear()
    while not all(job.dead for job in jobs):
        generation += 1
        event.set()
        event.clear()
        gevent.sleep(0)
    assert [job.exception for job in jobs] == [None] * 20
    assert woken > 100
    assert repr(event) == f"<Event at {id(event):#x} clear>"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_waiters():
    """200,000 greenlets wait on one Event, are woken in order, and gone, with everything that was made for them."""
    count = 20_000 if PURE else 200_000
    event, log = Event(), []
    gc.collect()
    before = sys.getallocatedblocks() if hasattr(sys, "getallocatedblocks") else None

    def wait(number, log=log):
        event.wait()
        log.append(number)

    jobs = [gevent.spawn(wait, number) for number in range(count)]
    gevent.sleep(0)
    assert repr(event) == f"<Event at {id(event):#x} clear waiters={count}>"
    references = [weakref.ref(job) for job in jobs[:: count // 100]]
    event.set()
    gevent.joinall(jobs)
    assert log == list(range(count))
    del jobs, log, wait
    gevent.sleep(0)
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)
    assert repr(event) == f"<Event at {id(event):#x} set>"
    if before is not None:
        assert sys.getallocatedblocks() - before < 5000


# ---- What it looks like ------------------------------------------------------------------------------------------------------------


def test_repr():
    event = Event()
    assert repr(event) == f"<Event at {id(event):#x} clear>"
    job = waiting(event.wait)
    assert repr(event) == f"<Event at {id(event):#x} clear waiters=1>"
    event.set()
    assert repr(event) == f"<Event at {id(event):#x} set>"
    job.join()
    result = AsyncResult()
    assert repr(result) == f"<AsyncResult at {id(result):#x} unset>"
    result.set_exception(KeyError(1))
    assert repr(result) == f"<AsyncResult at {id(result):#x} exception=KeyError(1)>"
    result.set("x")
    assert repr(result) == f"<AsyncResult at {id(result):#x} value='x'>"


@pytest.mark.parametrize("kind", [Event, AsyncResult])
def test_weak_reference(kind):
    thing = kind()
    reference = weakref.ref(thing)
    thing.rawlink(thing.unlink)  # a cycle through the line
    del thing
    gc.collect()
    assert reference() is None


def test_subclass():
    """Methods overridden in Python are called, and attributes can be set."""

    class Mine(AsyncResult):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def set(self, value=None):
            super().set((self.name, value))

    result = Mine("x")
    source = AsyncResult()
    source.set(1)
    result(source)
    assert result.get() == ("x", 1)
    result.set_result(2)
    assert result.get() == ("x", 2)
