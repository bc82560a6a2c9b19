"""Spawning, sleeping, killing and waiting, as a program calls them from ``gevent``: what each promises about order, time and errors."""

import gc
import os
import pathlib
import socket
import weakref

import gevent
import greenlet
import pytest
from gevent.event import Event
from gevent.hub import get_hub
from gevent_testkit import REFERENCE_COUNTING, run_script
from gevent_testkit.greenlets import sleepers

SCRIPTS = pathlib.Path(__file__).parent / "scripts"


class Failure(Exception):
    pass


class Thing:
    """Something that can be weakly referenced."""


def fail(error):
    raise error


def forever():
    get_hub().switch()


def started(*jobs):
    gevent.sleep(0)
    return list(jobs)


# ---- sleep -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, -1, -0.5, 0.0, False, float("-inf")])
def test_sleep_0(seconds):
    """SPW-01: every other one that is ready runs once, then we go on; negative means 0."""
    order = []
    for name in "abc":
        gevent.spawn(order.append, name)
    gevent.sleep(seconds)
    assert order == ["a", "b", "c"]


def test_a_positive_sleep_takes_a_round_of_the_loop():
    """SPW-01: however short, the loop polls meanwhile."""
    loop = get_hub().loop
    before = loop.iteration
    gevent.sleep(1e-9)
    assert loop.iteration > before


def test_sleep_lasts():
    """SPW-01: at least the time asked for, by the clock."""
    import time

    began = time.monotonic()
    gevent.sleep(0.02)
    assert time.monotonic() - began >= 0.0199


def test_sleepers_wake_in_order_of_time():
    order = []
    gevent.joinall([gevent.spawn(lambda s=s: (gevent.sleep(s), order.append(s))) for s in (0.006, 0.002, 0.004)])
    assert order == [0.002, 0.004, 0.006]


def test_sleep_ends_when_it_should_after_long_work():
    """The clock is looked at when the sleep begins, not when the loop last polled."""
    import time

    began = time.monotonic()
    while time.monotonic() - began < 0.02:
        pass
    began = time.monotonic()
    gevent.sleep(0.01)
    assert time.monotonic() - began >= 0.0099


@pytest.mark.parametrize("bad", ["1", None, [], object()])
def test_sleep_needs_a_number(bad):
    with pytest.raises(TypeError):
        gevent.sleep(bad)


def test_sleep_for_nan():
    with pytest.raises(ValueError, match="NaN"):
        gevent.sleep(float("nan"))


def test_sleep_for_ever():
    job = gevent.spawn(gevent.sleep, float("inf"))
    gevent.sleep(0.001)
    assert not job.ready()
    job.kill()


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_a_sleeper_that_is_switched_to(seconds):
    """HUB-06: InvalidSwitchError, also inside an except block, and no trace afterwards."""

    def run():
        try:
            fail(Failure())
        except Failure:
            with pytest.raises(gevent.hub.InvalidSwitchError):
                gevent.sleep(seconds)
        gevent.sleep(0)
        gevent.sleep(0.001)
        return "end"

    job = gevent.spawn(run)
    get_hub().loop.run_callback(job.switch)  # queued behind its start, before its wake-up
    get_hub().loop.run_callback(lambda: None)
    assert job.get() == "end"


@pytest.mark.parametrize("many", [1, 50, 2000])
def test_endless_sleep_0_starves_neither_timers_nor_io(many):
    """SPW-02: ready greenlets run in bounded batches, with a poll between them."""
    stop, seen = [], []

    def spin():
        while not stop:
            gevent.sleep(0)

    left, right = socket.socketpair()
    with left, right:
        jobs = [gevent.spawn(spin) for _ in range(many)]
        timer = get_hub().loop.timer(0.001)
        timer.start(seen.append, "timer")
        watcher = get_hub().loop.io(left.fileno(), 1)
        watcher.start(lambda: (seen.append("io"), watcher.stop()))
        right.send(b"x")
        with gevent.Timeout(10):
            while len(seen) < 2:
                gevent.sleep(0)
        stop.append(True)
        gevent.joinall(jobs)
        timer.close()
        watcher.close()
    assert sorted(seen) == ["io", "timer"]


@pytest.mark.parametrize("how", ["sleep", "callback"])
def test_long_entries_are_polled_between(how):
    """Greenlets, or callbacks, that compute for longer than the switch interval: the loop polls after a few at first, then after each."""
    from time import monotonic

    loop, polls = get_hub().loop, []

    def compute():
        polls.append(loop.iteration)
        until = monotonic() + 0.01
        while monotonic() < until:
            pass

    def work():
        for _ in range(2):
            gevent.sleep(0)
            compute()

    if how == "sleep":
        gevent.joinall([gevent.spawn(work) for _ in range(20)])
    else:
        for _ in range(40):
            loop.run_callback(compute)
        while len(polls) < 40:
            gevent.sleep(0.001)
    turns = [polls.count(each) for each in sorted(set(polls))]
    assert turns[0] <= 9
    assert max(turns[2:]) <= 3


def test_what_is_queued_runs_before_the_next_poll():
    """However many are queued: a poll in between would report once more whom it reported before."""
    loop, polls = get_hub().loop, []
    before = gevent.getswitchinterval()
    gevent.setswitchinterval(10)
    try:
        gevent.joinall([gevent.spawn(lambda: polls.append(loop.iteration)) for _ in range(5000)])
    finally:
        gevent.setswitchinterval(before)
    assert len(polls) == 5000
    assert len(set(polls)) == 1


def test_endless_callbacks_starve_nothing():
    """SPW-02: callbacks that queue callbacks."""
    loop = get_hub().loop
    stop = []

    def again():
        if not stop:
            loop.run_callback(again)

    again()
    with gevent.Timeout(10):
        gevent.sleep(0.001)
    stop.append(True)
    gevent.sleep(0)


def test_two_that_wake_one_another_starve_nothing():
    """SPW-02: ping-pong between two greenlets for ever."""
    from gevent._waiting import WaitQueue

    queue, stop = WaitQueue(), []

    def play():
        while not stop:
            queue.wake_all()
            queue.wait(None, 1)

    jobs = [gevent.spawn(play) for _ in range(2)]
    with gevent.Timeout(10):
        gevent.sleep(0.002)
    stop.append(True)
    queue.wake_all()
    for _ in range(3):
        gevent.sleep(0)
        queue.wake_all()
    gevent.joinall(jobs)


def test_switch_interval():
    assert gevent.getswitchinterval() > 0
    before = gevent.getswitchinterval()
    try:
        gevent.setswitchinterval(0.25)
        assert gevent.getswitchinterval() == 0.25
        for bad in (0, -1, float("nan")):
            with pytest.raises(ValueError, match="positive"):
                gevent.setswitchinterval(bad)
        with pytest.raises((TypeError, ValueError)):
            gevent.setswitchinterval("x")
        assert gevent.getswitchinterval() == 0.25
    finally:
        gevent.setswitchinterval(before)


def test_sleep_without_ref():
    """SPW-03: it does not keep wait() from returning; one with ref does."""
    job = gevent.spawn(gevent.sleep, 60, ref=False)
    assert gevent.wait(timeout=10) is True
    assert not job.ready()
    holding = gevent.spawn(gevent.sleep, 60)
    assert gevent.wait(timeout=0.001) is False
    gevent.killall([job, holding])


def test_sleep_0_without_ref():
    gevent.sleep(0, ref=False)
    order = []
    gevent.spawn(order.append, 1)
    gevent.sleep(-1, ref=False)
    assert order == [1]


# ---- idle ------------------------------------------------------------------------------------------------------------------------


def test_idle():
    """SPW-04: back when nothing of the same or a higher priority is pending."""
    order = []

    def job(name):
        for number in range(3):
            gevent.sleep(0)
            order.append(f"{name}{number}")

    jobs = [gevent.spawn(job, name) for name in "ab"]
    gevent.idle()
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]
    gevent.joinall(jobs)


def test_idle_of_a_lower_priority_comes_later():
    """SPW-04."""
    order = []
    jobs = [gevent.spawn(lambda p=p: (gevent.idle(p), order.append(p))) for p in (-1, 0, 1)]
    gevent.joinall(jobs)
    assert order == [1, 0, -1]


def test_idle_with_a_bad_priority():
    for bad in (100, -100, "x"):
        with pytest.raises((ValueError, TypeError)):
            gevent.idle(bad)


# ---- spawn_raw -------------------------------------------------------------------------------------------------------------------


def test_spawn_raw():
    """SPW-07, SPW-08: arguments and keywords arrive; it is a plain greenlet, without join, get and link."""
    seen = []
    raw = gevent.spawn_raw(lambda *args, **kwargs: seen.append((args, kwargs)), 1, 2, key=3)
    assert isinstance(raw, greenlet.greenlet)
    assert not isinstance(raw, gevent.Greenlet)
    for name in ("join", "get", "link", "rawlink", "kill", "value"):
        assert not hasattr(raw, name)
    assert seen == []
    gevent.sleep(0)
    assert seen == [((1, 2), {"key": 3})]
    assert raw.dead
    gevent.spawn_raw(seen.append, 4)
    gevent.sleep(0)
    assert seen[1:] == [4]


@pytest.mark.parametrize("bad", [5, None, "x"])
def test_spawn_raw_not_callable(bad):
    """SPW-06."""
    with pytest.raises(TypeError, match="callable"):
        gevent.spawn_raw(bad)
    with pytest.raises(TypeError, match="callable"):
        gevent.spawn_raw(bad, 1, key=2)


def test_order_of_all_kinds_of_spawn():
    """SPW-05."""
    order = []
    gevent.spawn(order.append, 1)
    gevent.spawn_raw(order.append, 2)
    gevent.Greenlet.spawn(order.append, 3)
    get_hub().loop.run_callback(order.append, 4)
    third = gevent.Greenlet(order.append, 5)
    third.start()
    gevent.spawn_raw(order.append, 6)
    gevent.sleep(0)
    assert order == [1, 2, 3, 4, 5, 6]


def test_raw_errors_are_reported(reports):
    error = Failure()
    raw = gevent.spawn_raw(fail, error)
    gevent.sleep(0)
    assert reports == [(raw, error)]
    reports.clear()
    gevent.spawn_raw(fail, greenlet.GreenletExit())
    gevent.sleep(0)


def test_raw_greenlet_in_waits():
    """SPW-21: getcurrent() may be a raw greenlet; everything that waits works in it."""
    seen = []

    def run():
        seen.append(gevent.getcurrent())
        gevent.sleep(0)
        gevent.sleep(0.0001)
        job = gevent.spawn(pow, 2, 3)
        job.join()
        seen.append(job.get())
        seen.append(gevent.wait([gevent.spawn(int)])[0].value)
        with gevent.Timeout(0.001, False):
            gevent.sleep(60)
        seen.append("end")

    raw = gevent.spawn_raw(run)
    while not raw.dead:
        gevent.sleep(0.001)
    assert seen == [raw, 8, 0, "end"]
    job = gevent.spawn(gevent.getcurrent)
    assert job.get() is job


def test_raw_arguments_are_released():
    thing = Thing()
    reference = weakref.ref(thing)
    raw = gevent.spawn_raw(id, thing)
    keyword = gevent.spawn_raw(lambda **kwargs: None, thing=thing)
    del thing
    gevent.sleep(0)
    gevent.sleep(0)
    del raw, keyword
    gc.collect()
    assert reference() is None


# ---- kill ------------------------------------------------------------------------------------------------------------------------


def test_kill_uses_the_objects_own_method():
    """SPW-09: with the exception, and without blocking."""
    seen = []

    class Job(gevent.Greenlet):
        def kill(self, exception=None, block=True, timeout=None):
            seen.append((exception, block))
            return gevent.Greenlet.kill(self, exception, block, timeout)

    job = Job(forever)
    job.start()
    gevent.sleep(0)
    gevent.kill(job, Failure)
    assert seen == [(Failure, False)]
    get_hub().handle_error = lambda *args: None
    job.join()
    gevent.sleep(0)
    del get_hub().handle_error
    assert type(job.exception) is Failure


def test_kill_never_blocks():
    """SPW-09, SPW-10: raw greenlets, Greenlets, dead ones; the right exception arrives."""
    caught = []

    def run():
        try:
            forever()
        except BaseException as error:
            caught.append(type(error))

    jobs = [gevent.spawn(run), gevent.spawn_raw(run), gevent.spawn(run), gevent.spawn_raw(run)]
    gevent.sleep(0)
    for job, error in zip(jobs, [gevent.GreenletExit, gevent.GreenletExit, Failure, KeyError]):
        assert (gevent.kill(job) if error is gevent.GreenletExit else gevent.kill(job, error)) is None
    assert caught == []
    gevent.sleep(0)
    assert caught == [gevent.GreenletExit, gevent.GreenletExit, Failure, KeyError]
    for job in jobs:
        assert job.dead
        gevent.kill(job, Failure)
    gevent.sleep(0)
    assert len(caught) == 4


def test_kill_of_one_that_was_not_started():
    """SPW-09: it never runs."""
    ran = []
    jobs = [gevent.spawn(ran.append, 1), gevent.Greenlet(ran.append, 2), gevent.spawn_later(0, ran.append, 3)]
    for job in jobs:
        gevent.kill(job)
    gevent.sleep(0.001)
    assert ran == []
    assert all(job.dead for job in jobs)


def test_kill_of_the_main_greenlet():
    """SPW-10."""
    main = gevent.getcurrent()
    gevent.spawn(gevent.kill, main, Failure)
    with pytest.raises(Failure):
        gevent.sleep(60)
    gevent.spawn_raw(gevent.kill, main, Failure("instance"))
    with pytest.raises(Failure, match="instance"):
        forever()
    gevent.sleep(0)


@pytest.mark.parametrize("bad", [5, "text", None])
def test_kill_with_what_is_no_exception(bad):
    job, raw = gevent.spawn(forever), gevent.spawn_raw(forever)
    gevent.sleep(0)
    for each in (job, raw):
        with pytest.raises(TypeError):
            gevent.kill(each, bad)
        gevent.kill(each)
    gevent.sleep(0)


# ---- killall ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, tuple, set, iter, lambda jobs: (job for job in jobs)])
def test_killall(kind):
    """SPW-11, SPW-12: any finite iterable; all are dead when it returns."""
    jobs = [gevent.spawn(forever), gevent.spawn(gevent.sleep, 60), gevent.Greenlet(forever), gevent.spawn_later(60, forever)]
    raw = gevent.spawn_raw(forever)
    gevent.sleep(0)
    queued = gevent.spawn(forever)
    assert gevent.killall(kind([*jobs, raw, queued])) is None
    assert [job.dead for job in [*jobs, raw, queued]] == [True] * 6


@pytest.mark.parametrize("empty", [[], (), set(), iter([])])
def test_killall_of_none(empty):
    """SPW-11: returns at once, whatever else is said."""
    ran = []
    job = gevent.spawn(ran.append, 1)
    gevent.killall(empty)
    gevent.killall(empty, block=False)
    gevent.killall(empty, timeout=0)
    assert ran == []
    job.join()


def test_killall_without_block():
    """SPW-13."""
    jobs = [gevent.spawn(forever), gevent.spawn_raw(forever)]
    gevent.sleep(0)
    gevent.killall(jobs, block=False)
    assert [job.dead for job in jobs] == [False, False]
    gevent.sleep(0)
    assert [job.dead for job in jobs] == [True, True]


def test_killall_waits_for_survivors(reports):
    """SPW-12: those that catch the exception are joined; the exception is the one given."""
    caught = []

    def stubborn():
        try:
            forever()
        except Failure:
            caught.append("caught")
            gevent.sleep(0.002)
        return "survived"

    jobs = started(gevent.spawn(stubborn), gevent.spawn(stubborn))
    gevent.killall(jobs, exception=Failure)
    assert [job.value for job in jobs] == ["survived"] * 2
    assert caught == ["caught"] * 2


def test_killall_with_a_time_limit():
    """SPW-12: Timeout when they are not dead by then."""

    def stubborn():
        try:
            forever()
        except Failure:
            forever()

    job = gevent.spawn(stubborn)
    gevent.sleep(0)
    with pytest.raises(gevent.Timeout):
        gevent.killall([job], Failure, timeout=0.001)
    gevent.killall([job], timeout=10)
    assert job.dead


def test_killall_with_oneself_among_them():
    jobs = []

    def run():
        gevent.killall(jobs)
        raise AssertionError("not reached")

    jobs.extend([gevent.spawn(forever), gevent.spawn(run), gevent.spawn(forever)])
    gevent.joinall(jobs)
    assert all(isinstance(job.value, gevent.GreenletExit) for job in jobs)


# ---- joinall ---------------------------------------------------------------------------------------------------------------------


def test_joinall_returns_them_in_the_order_they_ended():
    """SPW-14, SPW-17: the finished ones, as wait() does."""
    jobs = sleepers(0.06, 0.02, 0.04)
    assert [job.value for job in gevent.joinall(jobs)] == [0.02, 0.04, 0.06]
    assert gevent.joinall([]) == []
    dead = gevent.spawn(int)
    dead.join()
    assert gevent.joinall(iter([dead])) == [dead]


@pytest.mark.parametrize("raise_error", [False, True])
def test_joinall_with_count(raise_error):
    """SPW-14."""
    last = Event()
    jobs = [gevent.spawn(last.wait), *sleepers(0, 0.003)]
    done = gevent.joinall(jobs, count=2, raise_error=raise_error)
    assert [job.value for job in done] == [0, 0.003]
    assert not jobs[0].ready()
    assert gevent.joinall(jobs, count=0, raise_error=raise_error) == []
    last.set()
    assert len(gevent.joinall(jobs, count=10, raise_error=raise_error)) == 3


@pytest.mark.parametrize("raise_error", [False, True])
def test_joinall_with_a_time_limit(raise_error):
    jobs = [gevent.spawn(int), gevent.spawn(gevent.sleep, 60)]
    try:
        assert gevent.joinall(jobs, timeout=0.01, raise_error=raise_error) == jobs[:1]
    finally:
        gevent.killall(jobs)  # or the next test that waits for LoopExit waits for a minute


def test_joinall_raises_the_first_failure(reports):
    """SPW-15, GRN-08: the first it meets, with its traceback."""
    import traceback

    first, second = Failure("first"), Failure("second")

    def deep(seconds, error):
        gevent.sleep(seconds)
        raise error

    jobs = [gevent.spawn(deep, 0.05, second), *sleepers(0.001), gevent.spawn(deep, 0.002, first)]
    with pytest.raises(Failure) as caught:
        gevent.joinall(jobs, raise_error=True)
    assert caught.value is first
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][-1] == "deep"
    assert [job.ready() for job in jobs] == [False, True, True]
    assert gevent.joinall(jobs) is not None  # without raise_error nothing is raised
    gevent.sleep(0)
    assert [error for context, error in reports] == [first, second]
    reports.clear()


def test_joinall_of_what_cannot_end():
    """HUB-03: LoopExit, which says who waits."""
    job = gevent.spawn(forever)
    with pytest.raises(gevent.hub.LoopExit):
        gevent.joinall([job])
    job.kill()


# ---- getcurrent, and the whole -------------------------------------------------------------------------------------------------


def test_getcurrent():
    """SPW-21."""
    seen = []
    raw = gevent.spawn_raw(lambda: seen.append(gevent.getcurrent()))
    job = gevent.spawn(lambda: seen.append(gevent.getcurrent()))
    gevent.sleep(0)
    assert seen == [raw, job]
    assert gevent.getcurrent() is greenlet.getcurrent()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads memory use from /proc")
def test_200_000_greenlets():
    """Parked, woken, gone: the memory returns, and a second time takes no more than the first."""
    number = 200_000 if REFERENCE_COUNTING else 50_000  # PyPy takes a minute and more for as many
    result = run_script(SCRIPTS / "hub_many.py", number, timeout=100).check()
    start, first, second, end = map(int, result.stdout.split())
    assert first - start > number * 1000  # they were all there
    assert second < first * 1.1
    # PyPy gives the memory of a heap that was so large back to the system later, or never.
    assert not REFERENCE_COUNTING or end - start < (first - start) * 0.1
