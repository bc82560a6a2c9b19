"""The native thread that watches a hub: what it reports of a blocked loop and of memory, and when it starts and ends.

Greenlets block here on native events that are set once the report has come, so nothing depends on how fast the machine is.
"""

import contextlib
import io
import mmap
import os
import re
import sys
import threading
import time
import warnings
import weakref
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from gevent import _monitor, events
from gevent._monitor import MonitorWarning, PeriodicMonitoringThread
from gevent.hub import Hub
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, run_script

SCRIPTS = Path(__file__).parent / "scripts"
PATIENCE = 20


@pytest.fixture
def settings():
    """gevent.config, restored afterwards."""
    names = ("monitor_thread", "max_blocking_time", "print_blocking_reports", "memory_monitor_period", "max_memory_usage")
    saved = {name: gevent.config.settings[name].value for name in names}
    gevent.config.max_blocking_time = 0.02
    gevent.config.print_blocking_reports = False
    yield gevent.config
    for name, value in saved.items():
        gevent.config.settings[name].value = value


class Heard:
    """A subscriber: the events, and a native event that is set when there are as many of *kind* as are waited for."""

    def __init__(self):
        self.events = []
        self.enough = threading.Condition(threading.Lock())

    def __call__(self, event):
        with self.enough:
            self.events.append(event)
            self.enough.notify_all()

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def block(self, kind=events.IEventLoopBlocked, count=1):
        """Block the native thread until *count* events of that kind have come."""
        with self.enough:
            assert self.enough.wait_for(lambda: len(self.of(kind)) >= count, PATIENCE)


@pytest.fixture
def heard():
    each = Heard()
    events.subscribers.append(each)
    yield each
    events.subscribers.remove(each)


@pytest.fixture
def stream(monkeypatch):
    """What the hub prints to."""
    # Not sys.stderr: the monitor may still print while pytest puts its own in its place.
    found = io.StringIO()
    monkeypatch.setattr(Hub, "exception_stream", found)
    return found


def stop(monitor):
    """Have the thread end, and wait until it has."""
    ident = monitor.thread_ident
    monitor.kill()
    deadline = time.monotonic() + PATIENCE
    while ident in sys._current_frames():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def monitor(settings, heard):
    """The monitor of this thread's hub."""
    hub = gevent.get_hub()
    each = hub.start_periodic_monitoring_thread()
    yield each
    stop(each)
    hub.periodic_monitoring_thread = None


@pytest.fixture
def idle(settings):
    """A monitor whose thread was not started: the tests call its functions."""
    return PeriodicMonitoringThread(gevent.get_hub())


# ---- A blocked loop ----------------------------------------------------------------------------------------------------------------


def test_a_greenlet_that_blocks_is_named(monitor, heard, stream, settings):
    settings.print_blocking_reports = True

    def block():
        heard.block()

    blocking = gevent.spawn(block)
    blocking.name = "the one"
    blocking.join()
    event = heard.of(events.IEventLoopBlocked)[0]
    assert event.greenlet is blocking
    assert event.hub is gevent.get_hub()
    assert event.blocking_time >= 0.015
    # Printed after the event; the last lines come when there is a second report, so wait for that.
    gevent.spawn(heard.block, count=len(heard.of(events.IEventLoopBlocked)) + 1).join()
    text = stream.getvalue()
    assert re.search(r"blocked for \d+\.\d\d seconds by <Greenlet 'the one'", text)
    assert repr(event.hub).partition(" epoll")[0] in text
    assert re.search(r"in block\n.*heard\.block\(\)", text)


@pytest.mark.parametrize("spawn", [gevent.spawn, gevent.spawn_raw])
def test_each_kind_of_greenlet(monitor, heard, spawn):
    made = spawn(heard.block)
    gevent.sleep(0)
    assert heard.of(events.IEventLoopBlocked)[0].greenlet is made


def test_compiled_code_that_blocks(monitor, heard):
    """A greenlet without a frame of Python, if gevent is compiled."""
    told = threading.Lock()
    told.acquire()
    events.subscribers.append(lambda event: told.locked() and told.release())
    try:
        blocking = gevent.spawn(told.acquire)
        blocking.join()
    finally:
        events.subscribers.pop()
    assert heard.of(events.IEventLoopBlocked)[0].greenlet is blocking


def test_the_main_greenlet_and_a_callback(monitor, heard, stream, settings):
    settings.print_blocking_reports = True
    heard.block(count=2)
    assert "by the main greenlet" in stream.getvalue()
    assert heard.of(events.IEventLoopBlocked)[0].greenlet is gevent.get_hub().parent
    count = len(heard.of(events.IEventLoopBlocked))
    gevent.get_hub().loop.run_callback(heard.block, events.IEventLoopBlocked, count + 2)
    gevent.sleep(0)
    assert "by a callback in the hub" in stream.getvalue()
    assert heard.of(events.IEventLoopBlocked)[count].greenlet is gevent.get_hub()


def test_it_is_reported_again_when_it_is_twice_as_long(monitor, heard):
    gevent.spawn(heard.block, count=4).join()
    times = [event.blocking_time for event in heard.of(events.IEventLoopBlocked)][:4]
    for earlier, later in zip(times, times[1:]):
        assert later >= 2 * earlier - monitor.min_sleep_time


def test_other_native_threads_are_shown(monitor, heard):
    leave = threading.Event()

    def in_another_thread():
        leave.wait()

    thread = threading.Thread(target=in_another_thread)
    thread.start()
    gevent.spawn(heard.block).join()
    leave.set()
    thread.join()
    info = "\n".join(heard.of(events.IEventLoopBlocked)[0].info)
    assert "in in_another_thread" in info
    assert "heard.block" not in info


def test_subscribers_may_change_what_is_printed(monitor, heard, stream, settings):
    settings.print_blocking_reports = True

    def add(event):
        if isinstance(event, events.IEventLoopBlocked):
            event.info.append("added by a subscriber")

    events.subscribers.append(add)
    try:
        gevent.spawn(heard.block, count=2).join()
    finally:
        events.subscribers.remove(add)
    assert stream.getvalue().count("added by a subscriber\n") >= 1


class Loop(SimpleNamespace):
    """What of a loop the monitor asks."""

    polling = False
    iteration = 5
    runcnt = 10


class Clock:
    """time.monotonic() as the test wants it."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def sampling(idle, heard, monkeypatch):
    """A function that lets time pass and has the monitor look; it returns the blocking time that was reported, or None."""
    clock = Clock()
    monkeypatch.setattr(_monitor, "monotonic", clock)
    hub = gevent.get_hub()
    fake = SimpleNamespace(loop=Loop(), thread_ident=hub.thread_ident, parent=hub.parent, exception_stream=None)
    monkeypatch.setattr(_monitor, "running_greenlet", lambda hub: None)
    idle.max_blocking_time = 1.0

    def sample(seconds, late=0.0, **changes):
        clock.now += seconds
        vars(fake.loop).update(changes)
        idle._late = late
        event = idle.monitor_blocking(fake)
        return None if event is None else round(event.blocking_time, 3)

    return sample


def test_when_a_loop_counts_as_blocked(sampling):
    assert [sampling(1) for _ in range(8)] == [None, 1, 2, None, 4, None, None, None]
    assert sampling(1) == 8
    assert sampling(1, runcnt=11) is None  # another greenlet had its turn
    assert sampling(1) == 1
    assert sampling(1, iteration=6) is None  # it has polled
    assert sampling(1) == 1


def test_waiting_in_the_kernel_is_not_blocking(sampling):
    assert [sampling(1, polling=True) for _ in range(3)] == [None] * 3
    # It has come back and something runs, but since when is not known.
    assert sampling(1, polling=False, runcnt=11) is None
    assert sampling(1) == 1
    assert sampling(1, polling=True) is None
    assert sampling(1, polling=False) is None


def test_what_holds_the_gil_is_reported_afterwards(sampling):
    assert sampling(1, polling=True) is None
    assert sampling(6, late=5.0, polling=False, runcnt=11) == 5
    assert sampling(1) is None
    # If others had their turns, nobody knows who it was.
    assert sampling(1, polling=True) is None
    assert sampling(6, late=5.0, polling=False, runcnt=14) is None
    assert sampling(1) == 1


def test_a_loop_that_is_gone(sampling, idle):
    assert sampling(1, polling=False) is None

    class Destroyed:
        @property
        def polling(self):
            raise ValueError("destroyed")

    assert idle.monitor_blocking(SimpleNamespace(loop=Destroyed())) is None
    assert idle.monitor_blocking(SimpleNamespace(loop=None)) is None


def test_ignoring_one_block(idle, heard, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_monitor, "monotonic", clock)
    hub = gevent.get_hub()
    idle.ignore_current_greenlet_blocking()
    for _ in range(3):
        clock.now += 10
        assert idle.monitor_blocking(hub) is None
    idle.monitor_current_greenlet_blocking()
    clock.now += 10
    assert idle.monitor_blocking(hub) is None
    clock.now += 10
    assert idle.monitor_blocking(hub).blocking_time == 10


def test_cooperative_greenlets_are_not_reported(settings, heard):
    """However long they keep the processor busy together. The limit is far above what a machine may stand still."""
    settings.max_blocking_time = 5.0
    idle = PeriodicMonitoringThread(gevent.get_hub())
    found = []

    def work():
        for _ in range(200):
            gevent.sleep(0)
            found.append(idle.monitor_blocking(gevent.get_hub()))

    gevent.joinall([gevent.spawn(work) for _ in range(3)], raise_error=True)
    assert found == [None] * 600


# ---- Memory ------------------------------------------------------------------------------------------------------------------------


def test_memory_events(idle, heard, monkeypatch):
    used = []
    monkeypatch.setattr(_monitor, "_memory_info", lambda: _monitor._MemoryInfo(0, 0, 0, used[-1]))
    idle.max_memory_usage = 100
    found = []
    for number in (50, 100, 101, 101, 99, 120, 110, 130, 100, 100, 101):
        used.append(number)
        event = idle.monitor_memory_usage(None)
        found.append(None if event is None else type(event).__name__.replace("MemoryUsage", ""))
    over, under = "ThresholdExceeded", "UnderThreshold"
    assert found == [None, None, over, None, under, over, None, over, under, None, over]
    assert [event.mem_usage for event in heard.events] == [101, 99, 120, 130, 100, 101]
    assert [event.max_memory_usage for event in heard.of(events.IMemoryUsageUnderThreshold)] == [101, 130]
    assert {event.max_allowed for event in heard.events} == {100}
    assert heard.events[0].memory_info.uss == 101
    idle.max_memory_usage = None
    assert idle.monitor_memory_usage(None) is None


@pytest.mark.skipif(not os.path.exists(_monitor._STATM), reason="no /proc")
def test_memory_without_psutil(monkeypatch):
    monkeypatch.setattr(_monitor, "psutil", None)
    before = _monitor._memory_info()
    assert before.vms > before.rss > before.uss > 1_000_000
    # Mapped and touched, since an object might get memory that earlier tests have left resident.
    with mmap.mmap(-1, 50_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:
        for offset in range(0, len(block), 4096):
            block[offset] = 1
        after = _monitor._memory_info()
    assert 40_000_000 < after.uss - before.uss < 70_000_000


def test_memory_with_psutil(monkeypatch):
    info = SimpleNamespace(uss=7)
    process = SimpleNamespace(memory_full_info=lambda: info)
    monkeypatch.setattr(_monitor, "psutil", SimpleNamespace(Process=lambda: process))
    assert _monitor._memory_info() is info


def test_memory_is_watched_if_there_is_a_limit(settings, heard):
    """By the thread, with the settings as they are written in the environment."""
    settings.max_memory_usage = "1kb"
    settings.memory_monitor_period = 0.1
    hub = gevent.get_hub()
    monitor = hub.start_periodic_monitoring_thread()
    try:
        periods = {each.function.__name__: each.period for each in monitor.monitoring_functions()}
        assert periods == {"monitor_blocking": 0.02, "monitor_memory_usage": 0.1}
        heard.block(events.IMemoryUsageThresholdExceeded)
    finally:
        stop(monitor)
        hub.periodic_monitoring_thread = None
    assert heard.of(events.IMemoryUsageThresholdExceeded)[0].max_allowed == 1024


def test_memory_that_cannot_be_watched(settings, monkeypatch):
    settings.max_memory_usage = 1
    monkeypatch.setattr(_monitor, "psutil", None)
    monkeypatch.setattr(_monitor, "_STATM", "/no/such/file")
    with pytest.warns(MonitorWarning, match="psutil"):
        monitor = PeriodicMonitoringThread(gevent.get_hub())
    assert [each.function.__name__ for each in monitor.monitoring_functions()] == ["monitor_blocking"]
    monkeypatch.undo()
    settings.memory_monitor_period = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(PeriodicMonitoringThread(gevent.get_hub()).monitoring_functions()) == 1


# ---- Functions ---------------------------------------------------------------------------------------------------------------------


def test_functions_of_ones_own(monitor):
    called = threading.Event()
    seen = []

    def function(hub):
        seen.append((hub, threading.get_ident()))
        called.set()

    monitor.add_monitoring_function(function, 0.01)
    assert called.wait(PATIENCE)
    monitor.add_monitoring_function(function, None)
    assert seen[0] == (gevent.get_hub(), monitor.thread_ident)
    assert function not in [each.function for each in monitor.monitoring_functions()]


def test_adding_changing_and_removing(idle):
    def function(hub):
        pass

    idle.add_monitoring_function(idle.monitor_blocking, None)
    assert idle.monitoring_functions() == []
    assert idle.calculate_sleep_time() is None
    idle.add_monitoring_function(function, 5)
    assert [(each.function, each.period) for each in idle.monitoring_functions()] == [(function, 5)]
    assert 4 < idle.calculate_sleep_time() <= 5
    idle.add_monitoring_function(function, 1)
    assert [(each.function, each.period) for each in idle.monitoring_functions()] == [(function, 1)]
    idle.add_monitoring_function(function, 1e-9)
    assert idle.calculate_sleep_time() == idle.min_sleep_time
    idle.add_monitoring_function(function, None)
    idle.add_monitoring_function(function, None)
    assert idle.monitoring_functions() == []


@pytest.mark.parametrize(("function", "period"), [(print, 0), (print, -1), (None, 1), ("print", None)])
def test_bad_functions(idle, function, period):
    with pytest.raises(ValueError, match=r"period|callable"):
        idle.add_monitoring_function(function, period)


def test_errors_are_printed_and_the_others_go_on(monitor):
    calls = []
    called = threading.Event()

    def fail(hub):
        calls.append(hub)
        raise KeyError("on purpose")

    def succeed(hub):
        if len(calls) > 1:
            called.set()

    with contextlib.redirect_stderr(io.StringIO()) as printed:
        monitor.add_monitoring_function(fail, 0.01)
        monitor.add_monitoring_function(succeed, 0.01)
        assert called.wait(PATIENCE)
        stop(monitor)
    assert printed.getvalue().count("KeyError: 'on purpose'") == len(calls)


def test_errors_with_nowhere_to_print_them(idle, monkeypatch):
    def fail(hub):
        raise KeyError

    closed = io.StringIO()
    closed.close()
    called = []
    for function in (fail, called.append):
        idle.add_monitoring_function(function, 1e-9)
    monkeypatch.setattr(sys, "stderr", closed)
    monkeypatch.setattr(idle, "min_sleep_time", 0)
    idle._call_functions("hub")
    assert called == ["hub"]


# ---- Beginning and end -------------------------------------------------------------------------------------------------------------


def test_started_once_and_told(monitor, heard):
    hub = gevent.get_hub()
    assert hub.start_periodic_monitoring_thread() is monitor
    assert hub.periodic_monitoring_thread is monitor
    assert monitor.hub is hub
    assert isinstance(monitor, events.IPeriodicMonitorThread)
    assert [event.monitor for event in heard.of(events.IPeriodicMonitorThreadStartedEvent)] == [monitor]
    assert f"thread_ident={monitor.thread_ident:#x}" in repr(monitor)
    monitor.start()
    assert len(heard.of(events.IPeriodicMonitorThreadStartedEvent)) == 1


def test_off_by_default():
    assert gevent.config.settings["monitor_thread"].default is sys.flags.dev_mode is False
    assert gevent.get_hub().periodic_monitoring_thread is None


DEVELOPING = "import gevent; print(gevent.get_hub().periodic_monitoring_thread is not None)"


@pytest.mark.parametrize(("setting", "started"), [(None, "True"), (0, "False")])
def test_on_in_development_mode(setting, started):
    """python -X dev, unless the setting says no."""
    result = run_script(DEVELOPING, env={"PYTHONDEVMODE": 1, "GEVENT_MONITOR_THREAD_ENABLE": setting})
    assert result.check().stdout == f"{started}\n"


def test_it_ends_before_the_interpreter():
    """Also where it was killed before, and in a forked child that has none; a thread that woke later made CPython 3.11.2 crash."""
    result = run_script(
        """
import atexit, os, sys, time

def look():  # after what the monitor has registered
    print(sys.modules["gevent._background"]._running, monitor.should_run)

atexit.register(look)
import gevent
monitor = gevent.get_hub().start_periodic_monitoring_thread()
assert list(sys.modules["gevent._background"]._running) == [monitor._thread]
child = os.fork()
if not child:
    began = time.monotonic()
    atexit.unregister(look)
    end_all = sys.modules["gevent._background"]._end_all
    atexit.unregister(end_all)
    atexit.register(lambda: os._exit(time.monotonic() - began > 0.5))
    atexit.register(end_all)
    sys.exit()  # which calls the last one registered first
assert os.waitpid(child, 0)[1] == 0
"""
    )
    assert result.check().stdout == "{} False\n"


@pytest.mark.parametrize("seconds", [None, 0])
def test_without_a_limit_nothing_is_watched(settings, seconds):
    settings.max_blocking_time = seconds
    assert PeriodicMonitoringThread(gevent.get_hub()).monitoring_functions() == []


def test_every_new_hub_has_one_if_it_is_set(settings, heard):
    settings.monitor_thread = True
    seen = []

    def run():
        hub = gevent.get_hub()
        seen.append((hub.periodic_monitoring_thread, hub.periodic_monitoring_thread.hub is hub, threading.get_ident()))
        gevent.spawn(heard.block).join()
        seen.append(hub.periodic_monitoring_thread.thread_ident)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (monitor, ours, ident), monitor_ident = seen
    assert ours
    assert monitor_ident not in (ident, threading.get_ident())
    assert heard.of(events.IEventLoopBlocked)[0].greenlet.dead
    if REFERENCE_COUNTING:
        # It ended with the hub, and that with its thread.
        assert monitor.should_run is False
        assert monitor.hub is None or monitor.hub.loop is None
    else:
        monitor.kill()  # the hub of an ended thread is garbage, which PyPy frees some time later


def test_it_ends_when_the_hub_is_destroyed(settings):
    result = []

    def run():
        hub = gevent.get_hub()
        monitor = hub.start_periodic_monitoring_thread()
        hub.destroy()
        result.append((monitor.should_run, hub.periodic_monitoring_thread, repr(monitor)))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    [(should_run, attribute, text)] = result
    assert (should_run, attribute) == (False, None)
    assert "stopped" in text


def test_it_does_not_keep_the_hub_alive(settings):
    class Some:
        main_hub = False
        loop = True

    settings.max_blocking_time = None  # so that it never calls anything with the hub
    hub = Some()
    gone = weakref.ref(hub)
    monitor = PeriodicMonitoringThread(hub)
    monitor.start()
    del hub
    collect_garbage()
    assert gone() is None
    assert monitor.hub is None
    assert monitor.should_run is False


def test_start_after_kill(settings):
    monitor = PeriodicMonitoringThread(gevent.get_hub())
    called = threading.Event()
    monitor.start()
    monitor.kill()
    monitor.start()
    monitor.add_monitoring_function(lambda hub: called.set(), 0.01)
    assert called.wait(PATIENCE)
    monitor.kill()


def test_a_function_that_uses_gevent_has_a_hub_without_a_monitor(monitor, settings, heard):
    """It should not, but then there is no end of monitors."""
    settings.monitor_thread = True
    done = threading.Event()
    seen = []

    def function(hub):
        own = gevent.get_hub()
        seen.append((own is hub, own.periodic_monitoring_thread.should_run))
        own.destroy()
        done.set()

    monitor.add_monitoring_function(function, 0.01)
    assert done.wait(PATIENCE)
    monitor.add_monitoring_function(function, None)
    assert seen[0] == (False, False)


def test_in_a_forked_child():
    if not hasattr(os, "fork"):
        pytest.skip("no fork")
    result = run_script(SCRIPTS / "selutil_monitor_fork.py", env={"PYTHONWARNINGS": "default"})
    assert result.status == 0, result
    assert result.stdout == "child has reported\nparent has reported\n"


def test_started_from_the_environment():
    result = run_script(
        "import time, gevent\ndef hog():\n    time.sleep(0.3)\ngevent.spawn(hog).join()\n",
        env={"GEVENT_MONITOR_THREAD_ENABLE": "1", "GEVENT_MAX_BLOCKING_TIME": "0.05"},
    )
    assert result.status == 0
    assert re.search(r"blocked for \d+\.\d\d seconds by <Greenlet at .* in hog\n", result.stderr, re.DOTALL)
    quiet = {"GEVENT_MONITOR_PRINT_BLOCKING_REPORTS": "0", "GEVENT_MONITOR_THREAD_ENABLE": "1", "GEVENT_MAX_BLOCKING_TIME": "0.05"}
    assert run_script("import time, gevent\ngevent.spawn(time.sleep, 0.2).join()\n", env=quiet).check().stdout == ""


@pytest.mark.slow
def test_it_costs_next_to_nothing(settings):
    """A hundred looks a second at a hub that waits take less than a tenth of the processor; it is a hundredth, and machines differ."""
    settings.max_blocking_time = 0.01
    monitor = PeriodicMonitoringThread(gevent.get_hub())
    monitor.start()
    before = time.process_time()
    gevent.sleep(1)
    used = time.process_time() - before
    monitor.kill()
    assert used < 0.1
