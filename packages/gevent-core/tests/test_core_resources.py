"""What every backend of the loop gives back: references, memory, descriptors, itself at once when nobody holds it.

The contract itself is in test_core.py. Where objects are not counted (PyPy) only descriptors and types can be looked at.
"""

import contextlib
import gc
import importlib
import inspect
import os
import signal
import socket
import sys
import threading
import weakref

import greenlet
import pytest
from gevent_testkit import REFERENCE_COUNTING, collect_garbage
from gevent_testkit.children import start_shell

KINDS = ["io", "timer", "signal", "child", "stat", "async_", "idle", "prepare", "check", "fork"]
SIGNAL = signal.SIGUSR2


counted = pytest.mark.skipif(not REFERENCE_COUNTING, reason="this interpreter counts no references")


@pytest.fixture
def loop(core):
    before = signal.signal(SIGNAL, signal.SIG_IGN)
    loop = core.loop(default=False)
    yield loop
    loop.destroy()
    signal.signal(SIGNAL, before)


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


@pytest.fixture(params=KINDS)
def make(request, loop, pair):
    """A function that makes a watcher of one kind."""
    arguments = {"io": (pair[0].fileno(), 1), "timer": (30,), "signal": (SIGNAL,), "child": (os.getpid(),), "stat": ("/",)}
    arguments = arguments.get(request.param, ())
    method = getattr(loop, request.param)
    try:
        method(*arguments)
    except TypeError:
        if request.param != "child":
            raise
        pytest.skip("without pidfd_open child watchers work on the default loop only")
    return lambda **options: method(*arguments, **options)


class Object:
    """Something to count references of."""

    def __call__(self, *args):
        pass


def descriptors():
    return set(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))


def growth(step, rounds=500):
    """Bytes per round by which *step* grows memory, as tracemalloc sees it, once it has run in.

    The smallest of a few measurements: what the interpreter keeps for itself now and then is not the step's.
    """
    for _ in range(rounds):
        step()
    results = []
    tracemalloc = importlib.import_module("tracemalloc")  # PyPy has none
    tracemalloc.start()
    try:
        for _ in range(3):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(rounds):
                step()
            gc.collect()
            results.append((tracemalloc.get_traced_memory()[0] - before) / rounds)
    finally:
        tracemalloc.stop()
    return min(results)


def resident_growth(step, rounds):
    """Bytes per round by which *step* grows the process, C memory included."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(rounds):
        step()
    results = []
    for _ in range(3):
        gc.collect()
        before = resident()
        for _ in range(rounds):
            step()
        gc.collect()
        results.append((resident() - before) / rounds)
    return min(results)


# ---- Reference counts ------------------------------------------------------------------------------------------------------------


@counted
def test_start_stop_feed_balance_references(loop, make):
    callback, argument = Object(), Object()
    watcher = make()
    steps = {
        "start, stop": lambda: (watcher.start(callback, argument), watcher.stop()),
        "start twice, stop": lambda: (watcher.start(callback, argument), watcher.start(callback, argument), watcher.stop()),
        "feed, stop": lambda: (watcher.feed(1, callback, argument), watcher.stop()),
        "feed, run": lambda: (watcher.feed(1, callback, argument), loop.run(nowait=True)),
        "start, feed, stop": lambda: (watcher.start(callback, argument), watcher.feed(1, callback, argument), watcher.stop()),
        "start, feed, run, stop": lambda: (
            watcher.start(callback, argument),
            watcher.feed(1, callback, argument),
            loop.run(nowait=True),
            watcher.stop(),
        ),
        "close": lambda: (watcher.start(callback, argument), watcher.close()),
    }
    for name, step in steps.items():
        before = [sys.getrefcount(each) for each in (watcher, callback, argument, loop)]
        for _ in range(10):
            step()
        assert [sys.getrefcount(each) for each in (watcher, callback, argument, loop)] == before, name


@counted
def test_a_started_watcher_is_held_once_however_often_it_is_started(make):
    watcher = make()
    before = sys.getrefcount(watcher)
    watcher.start(print)
    started = sys.getrefcount(watcher)
    assert started > before
    watcher.start(print)
    watcher.feed(1, print)
    assert sys.getrefcount(watcher) == started
    watcher.stop()
    assert sys.getrefcount(watcher) == before


@counted
def test_refused_starts_balance_references(core, loop, pair):
    other = core.loop(default=False)
    owner, refused = loop.signal(SIGNAL), other.signal(SIGNAL)
    owner.start(print)
    callback = Object()
    before = sys.getrefcount(callback), sys.getrefcount(refused), sys.getrefcount(other)
    for _ in range(10):
        with contextlib.suppress(RuntimeError, ValueError):
            refused.start(callback)
    assert (sys.getrefcount(callback), sys.getrefcount(refused), sys.getrefcount(other)) == before
    timer = loop.timer(1)
    before = sys.getrefcount(timer)
    for _ in range(10):
        with contextlib.suppress(TypeError):
            timer.start(5)
    assert sys.getrefcount(timer) == before
    other.destroy()


@counted
def test_firing_balances_references(core, loop):
    callback, argument = Object(), Object()

    class Ignore:
        def handle_error(self, context, type, value, tb):
            pass

    loop.error_handler = Ignore()
    failing = Object()
    failing.__class__ = type("Failing", (Object,), {"__call__": lambda self, *args: 1 / 0})
    timer = loop.timer(0)

    def step():
        timer.start(callback, argument)
        loop.run()
        timer.start(failing, argument)
        loop.run()
        timer.start(callback, core.EVENTS, argument)
        loop.run()

    step()
    before = [sys.getrefcount(each) for each in (timer, callback, failing, argument, loop, core.EVENTS)]
    for _ in range(20):
        step()
    assert [sys.getrefcount(each) for each in (timer, callback, failing, argument, loop, core.EVENTS)] == before


@counted
def test_callbacks_balance_references(loop):
    function, argument = Object(), Object()
    before = [sys.getrefcount(each) for each in (function, argument, loop)]
    for _ in range(20):
        loop.run_callback(function, argument)
        loop.run_callback(function, argument).stop()
        loop.run_callback_threadsafe(function, argument)
        loop.run_callback_threadsafe(function, argument).stop()
        loop.ready_call(function, (argument,))
        loop.forget(loop.ready_call(function, (argument,)))
        loop.run()
    assert [sys.getrefcount(each) for each in (function, argument, loop)] == before


@counted
def test_destroy_balances_references(core):
    function, argument = Object(), Object()
    before = sys.getrefcount(function), sys.getrefcount(argument)
    for _ in range(10):
        loop = core.loop(default=False)
        loop.timer(10).start(function, argument)
        loop.timer(10).feed(1, function, argument)
        loop.run_callback(function, argument)
        loop.run_callback_threadsafe(function, argument)
        loop.ready_call(function, (argument,))
        loop.destroy()
        del loop
    assert (sys.getrefcount(function), sys.getrefcount(argument)) == before


@counted
def test_parks_balance_references(core, loop):
    hub = greenlet.greenlet(lambda: loop.run())
    loop.hub = hub
    owner = Object()
    counts = []

    def waiter():
        for _ in range(20):
            park = loop.park(owner)
            loop.ready_call(park.wake, ())
            park.wait()
            park.wait(0)
            loop.sleep(0)
            loop.yield_now()
            loop.wait_fd(1, core.WRITE, 0)
            del park
            counts.append((sys.getrefcount(owner), sys.getrefcount(greenlet.getcurrent())))

    loop.ready(greenlet.greenlet(waiter, hub))
    hub.switch()
    loop.hub = None
    assert len(set(counts[1:])) == 1, counts


@counted
def test_a_watcher_goes_at_once(make):
    """No collector needed, as long as nobody made a cycle."""
    gc.collect()
    gc.disable()
    try:
        watcher = make()
        gone = weakref.ref(watcher)
        watcher.start(print)
        watcher.stop()
        del watcher
        assert gone() is None
    finally:
        gc.enable()


@counted
def test_a_loop_goes_at_once_and_gives_its_descriptors_back(core):
    gc.collect()
    gc.disable()
    before = descriptors()
    try:
        for run in (False, True):
            loop = core.loop(default=False)
            if run:
                loop.run_callback_threadsafe(int)
                timer = loop.timer(0)
                timer.start(int)
                loop.run()
                del timer
            gone = weakref.ref(loop)
            del loop
            assert gone() is None
            assert descriptors() == before
    finally:
        gc.enable()


def test_destroy_gives_the_descriptors_back(core, tmp_path):
    before = descriptors()
    for _ in range(20):
        loop = core.loop(default=False)
        watchers = [loop.stat(os.fspath(tmp_path)), loop.async_(), loop.timer(10)]
        for watcher in watchers:
            watcher.start(print)
        loop.run(nowait=True)
        loop.run_callback_threadsafe(int)
        loop.reinit()
        loop.run(nowait=True)
        loop.destroy()
    assert descriptors() == before


def test_a_child_watcher_gives_its_descriptor_back(loop):
    try:
        loop.child(os.getpid())
    except TypeError:
        pytest.skip("without pidfd_open child watchers have no descriptor")
    before = descriptors()
    for _ in range(20):
        child = loop.child(os.getpid())
        child.start(print)
        child.stop()
    assert descriptors() == before
    for _ in range(20):
        pid = start_shell("exit 0")
        child = loop.child(pid)
        child.start(child.stop)
        loop.run()
    del child
    assert descriptors() == before


def test_watchers_in_cycles_with_everything_are_collected(loop, make):
    """The collector sees callback, arguments and loop of a watcher, and what a subclass adds."""
    watcher = make()

    class Owner(list):
        pass

    owner = Owner()
    owner.append(watcher)
    watcher.callback = owner.append
    watcher.args = (owner, watcher)
    gone = [weakref.ref(owner), weakref.ref(watcher)]
    assert not REFERENCE_COUNTING or gc.is_tracked(watcher)
    del owner, watcher
    collect_garbage()
    assert [reference() for reference in gone] == [None, None]


def test_callbacks_in_cycles_are_collected(core):
    loop = core.loop(default=False)
    callback = loop.run_callback(int)
    callback.stop()
    callback.callback = [callback].append
    gone = weakref.ref(loop)
    del callback, loop
    collect_garbage()
    assert gone() is None


def test_an_error_handler_in_a_cycle_with_its_loop_is_collected(core):
    class Handler:
        def handle_error(self, context, type, value, tb):
            pass

    loop = core.loop(default=False)
    handler = Handler()
    handler.loop = loop
    loop.error_handler = handler
    gone = [weakref.ref(loop), weakref.ref(handler)]
    del loop, handler
    collect_garbage()
    assert [reference() for reference in gone] == [None, None]


# ---- Memory ----------------------------------------------------------------------------------------------------------------------


@counted
def test_memory_of_watchers(loop, make):
    def step():
        watcher = make()
        watcher.start(int)
        watcher.ref = False
        watcher.stop()
        watcher.feed(1, int)
        loop.run(nowait=True)

    assert growth(step) < 1


@counted
def test_memory_of_timers_that_fire(loop):
    def step():
        timer = loop.timer(0)
        timer.start(int)
        loop.run()

    assert growth(step) < 1


@counted
def test_memory_of_callbacks(loop):
    def step():
        loop.run_callback(int)
        loop.run_callback(int).stop()
        loop.run_callback_threadsafe(int)
        loop.run(nowait=True)

    assert growth(step) < 1


@counted
def test_memory_of_errors(loop):
    class Handler:
        def handle_error(self, context, type, value, tb):
            pass

    def fail():
        raise ValueError("again")

    loop.error_handler = Handler()

    def step():
        timer = loop.timer(0)
        timer.start(fail)
        loop.run_callback(fail)
        loop.run()

    assert growth(step) < 1


@pytest.mark.slow
def test_memory_of_loops(core):
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("only /proc tells how large the process is")

    def step():
        loop = core.loop(default=False)
        watchers = [loop.timer(10), loop.io(0, 1), loop.async_(), loop.idle(), loop.stat("/"), loop.fork()]
        for watcher in watchers:
            watcher.start(int)
        for _ in range(300):  # more than the ready queue's first size
            loop.run_callback(int)
        loop.run_callback_threadsafe(int)
        loop.run(nowait=True)
        loop.run_callback(int)
        loop.run_callback_threadsafe(int)
        loop.destroy()

    assert resident_growth(step, 100) < 1000  # a loop alone takes several kilobytes


def test_memory_of_the_ready_queue_is_reused(loop):
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("only /proc tells how large the process is")

    def step():
        for _ in range(2000):
            loop.run_callback(int)
        loop.run()

    assert resident_growth(step, 20) < 20_000  # 2000 entries of 24 bytes


def test_memory_of_posts_from_threads(loop):
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("only /proc tells how large the process is")
    keep = loop.timer(60, ref=False)
    keep.start(int)

    def step():
        thread = threading.Thread(target=lambda: [loop.run_callback_threadsafe(int) for _ in range(500)])
        thread.start()
        thread.join()
        loop.run(nowait=True)
        loop.run(nowait=True)

    assert resident_growth(step, 20) < 20_000


# ---- Types -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["loop", "callback", *KINDS])
def test_signatures_can_be_inspected(core, name):
    for method in ("start", "stop", "feed") if name in KINDS else ():
        assert inspect.signature(getattr(getattr(core, name), method))
    assert getattr(core, name).__doc__


@pytest.mark.parametrize("name", KINDS)
def test_watcher_classes_are_watchers(core, name):
    assert issubclass(getattr(core, name), core.watcher)
    with pytest.raises(TypeError):
        core.watcher()


def test_there_is_a_docstring_for_every_public_name(core):
    undocumented = [
        f"{owner.__name__}.{name}"
        for owner in (core.loop, core.callback, core.Park, *(getattr(core, kind) for kind in KINDS))
        for name, member in vars(owner).items()
        if not name.startswith("_") and callable(member) and not member.__doc__ and name not in ("WatcherType",)
    ]
    assert undocumented == []
