"""The loop contract: what ``gevent.core`` promises, whichever backend is behind it.

Every test that takes ``core`` or ``loop`` runs once for each backend in BACKENDS; one that is not built is skipped and says so. What
changes the whole process (forking, default loops, process-wide signal state, exit) is a script in ``scripts/core_*.py``, run as a
child. What both give back (references, memory, descriptors) is in ``test_core_resources.py``, what threads sleep on in
``test_held_lock.py``.
"""

import contextlib
import fcntl
import functools
import gc
import importlib
import importlib.util
import math
import os
import pathlib
import signal
import socket
import stat as stat_module
import subprocess
import sys
import threading
import time
import weakref

import greenlet
import pytest
from gevent_testkit import collect_garbage, run_script
from gevent_testkit.backends import BACKENDS, find_backend
from gevent_testkit.children import has_pidfd

SCRIPTS = pathlib.Path(__file__).parent / "scripts"

#: Every kind of watcher, by the name of its class and of the loop's method.
KINDS = ["io", "timer", "signal", "child", "stat", "async_", "idle", "prepare", "check", "fork"]

#: A signal that no other test uses and whose Python handler is put back after each test.
SIGNAL = signal.SIGUSR2


@pytest.fixture
def backend(core):
    """The backend's name, for scripts."""
    return core.__name__.rpartition(".")[2]


class Recorder:
    """An error handler that keeps what it is told. What a test did not take() fails it."""

    def __init__(self):
        self.reports = []

    def handle_error(self, context, type, value, tb):
        self.reports.append((context, type, value, tb))

    def take(self):
        """All reports so far, as (context, exception) pairs."""
        taken = [(context, value) for context, type, value, tb in self.reports]
        self.reports.clear()
        return taken


@pytest.fixture
def errors():
    recorder = Recorder()
    yield recorder
    assert recorder.reports == []


@pytest.fixture
def loop(core, errors):
    """A loop of its own, not the default one, which tells its errors to ``errors``."""
    loop = core.loop(default=False)
    loop.error_handler = errors
    yield loop
    loop.error_handler = None
    loop.destroy()


@pytest.fixture
def pair():
    """Two connected stream sockets, neither of which blocks."""
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


@pytest.fixture
def pairs():
    """A function that makes connected sockets; they are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make():
            left, right = socket.socketpair()
            stack.enter_context(left)
            stack.enter_context(right)
            return left, right

        yield make


@pytest.fixture(autouse=True)
def signal_handler():
    """libev leaves a signal that it no longer watches at its default, which would end the test run."""
    before = signal.signal(SIGNAL, signal.SIG_IGN)
    yield
    signal.signal(SIGNAL, before)


class Watchers:
    """Makes a watcher of any kind, and makes its event happen."""

    def __init__(self, path, pair):
        self.path = path
        self.left, self.right = pair
        self.process = None

    @property
    def pid(self):
        """A child process that does nothing until it is killed."""
        if self.process is None:
            self.process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        return self.process.pid

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.kill()
            self.process.wait()

    def make(self, loop, kind, **options):
        arguments = {
            "io": (self.left.fileno(), 1),
            "timer": (0.001,),
            "signal": (SIGNAL,),
            "stat": (str(self.path), 0.0),
        }.get(kind, ())
        if kind == "child":
            arguments = (self.pid,)
        return getattr(loop, kind)(*arguments, **options)

    def trigger(self, loop, kind, watcher):
        if kind == "io":
            self.right.send(b"x")
        elif kind == "signal":
            os.kill(os.getpid(), SIGNAL)
        elif kind == "child":
            os.kill(self.pid, signal.SIGKILL)
        elif kind == "stat":
            self.path.write_bytes(b"changed")
        elif kind == "async_":
            watcher.send()
        elif kind == "fork":
            loop.reinit()


@pytest.fixture
def watchers(tmp_path, pair):
    watchers = Watchers(tmp_path / "watched", pair)
    yield watchers
    watchers.close()


@pytest.fixture(params=KINDS)
def kind(request, core):
    if request.param == "child" and not child_anywhere():
        pytest.skip("without pidfd_open child watchers work on the default loop only: scripts/core_child.py")
    return request.param


def child_anywhere():
    """Whether the kernel offers pidfd_open(2), so that any loop can watch children."""
    if os.environ.get("GEVENT_CHILD_WATCHER") == "sigchld":
        return False
    return has_pidfd()


def run(loop, limit=15.0):
    """Run *loop* to its end; AssertionError if that takes longer than *limit* seconds."""
    late = []

    def give_up():
        late.append(limit)
        loop.break_()

    guard = loop.timer(limit, ref=False)
    guard.start(give_up)
    loop.run()
    with contextlib.suppress(ValueError):  # a callback may have destroyed the loop
        guard.stop()
    assert not late, f"the loop was still running after {limit} seconds"


def run_one(loop, kind):
    """Run *loop* until a watcher of *kind* whose event has happened, and which then stops, was called."""
    if kind in ("prepare", "check"):
        loop.run(nowait=True)  # they come around a poll, and are no reason for it to end
    else:
        run(loop)


def script(name, backend, *arguments, env=None):
    """Run scripts/core_*name*.py with *backend*; it must end well and say "ok" on its last line. Returns the lines before."""
    if os.environ.get("GEVENT_TEST_WITHOUT_SCRIPTS"):
        pytest.skip("scripts are run apart (valgrind_core.py --scripts)")
    report = ""
    try:
        result = run_script(SCRIPTS / f"core_{name}.py", backend, *arguments, env=env, timeout=25).check()
    except AssertionError as error:
        report = str(error)
    if len(report) > 4000:  # what tries again for ever also prints for ever
        report = f"{report[:2500]}\n...\n{report[-1500:]}"
    if report:
        pytest.fail(report, pytrace=False)
    lines = result.stdout.splitlines()
    assert lines[-1:] == ["ok"], lines
    return lines[:-1]


# ---- The module ------------------------------------------------------------------------------------------------------------------


def test_a_backend_is_there():
    """Without this a build that made nothing would pass by skipping everything."""
    found = []
    for name in BACKENDS:
        with contextlib.suppress(ModuleNotFoundError):
            found.append(find_backend(name).__name__)
    assert found


def test_constants_have_the_values_of_libev(core):
    assert {name: getattr(core, name) for name in CONSTANTS} == CONSTANTS
    for name in ("UNDEF", "ERROR"):
        assert isinstance(getattr(core, name), int)
    assert isinstance(core.LIBEV_EMBED, bool)
    assert repr(core.EVENTS) == "gevent.core.EVENTS"


CONSTANTS = {
    "NONE": 0,
    "READ": 1,
    "WRITE": 2,
    "READWRITE": 3,
    "TIMER": 0x100,
    "PERIODIC": 0x200,
    "SIGNAL": 0x400,
    "CHILD": 0x800,
    "STAT": 0x1000,
    "IDLE": 0x2000,
    "PREPARE": 0x4000,
    "CHECK": 0x8000,
    "EMBED": 0x10000,
    "FORK": 0x20000,
    "CLEANUP": 0x40000,
    "ASYNC": 0x80000,
    "CUSTOM": 0x1000000,
    "MINPRI": -2,
    "MAXPRI": 2,
    "BACKEND_SELECT": 0x1,
    "BACKEND_POLL": 0x2,
    "BACKEND_EPOLL": 0x4,
    "BACKEND_KQUEUE": 0x8,
    "BACKEND_DEVPOLL": 0x10,
    "BACKEND_PORT": 0x20,
    "BACKEND_LINUXAIO": 0x40,
    "BACKEND_IOURING": 0x80,
    "NOINOTIFY": 0x100000,
    "SIGNALFD": 0x200000,
    "NOSIGMASK": 0x400000,
    "FORKCHECK": 0x2000000,
}


def test_versions_and_time(core):
    assert core.get_version().startswith("libev-4.")
    assert core.get_header_version().startswith("libev-4.")
    before = time.time()
    assert before - 1 <= core.time() <= time.time() + 1


def test_backend_lists(core):
    supported = core.supported_backends()
    assert set(supported) >= {"poll", "select"}
    assert set(core.recommended_backends()) <= set(supported)
    assert set(core.recommended_backends())
    assert isinstance(core.embeddable_backends(), list)


def test_watcher_types(core, loop, watchers):
    assert loop.WatcherType is core.watcher
    for kind in KINDS:
        if kind == "child" and not child_anywhere():
            continue
        watcher = watchers.make(loop, kind)
        assert type(watcher) is getattr(core, kind)
        assert isinstance(watcher, core.watcher)
        assert watcher.loop is loop


def test_async_keeps_its_old_name(core, loop):
    assert getattr(core, "async") is core.async_
    assert type(getattr(loop, "async")()) is core.async_


def test_classes_take_the_same_arguments_as_the_loops_methods(core, loop, pair):
    fd = pair[0].fileno()
    made = [
        core.io(loop, fd, 1),
        core.io(loop, fd=fd, events=3, ref=False, priority=1),
        core.timer(loop),
        core.timer(loop, 1, 2, False, -1),
        core.timer(loop, after=1, repeat=2, ref=False, priority=-1),
        core.signal(loop, SIGNAL),
        core.signal(loop, signalnum=SIGNAL, ref=False, priority=1),
        core.stat(loop, "/"),
        core.stat(loop, path="/", interval=1, ref=False, priority=1),
        core.idle(loop, ref=False, priority=1),
        core.prepare(loop, False, 1),
        core.check(loop, ref=False, priority=1),
        core.fork(loop, ref=False, priority=1),
        core.async_(loop, ref=False, priority=1),
        loop.io(fd=fd, events=1, ref=False, priority=1),
        loop.timer(after=1, repeat=2, ref=False, priority=1),
        loop.signal(signum=SIGNAL, ref=False, priority=1),
        loop.stat(path="/", interval=1, ref=False, priority=1),
        loop.async_(ref=False, priority=1),
    ]
    assert [(watcher.ref, watcher.priority) for watcher in made] == [
        (True, 0),
        (False, 1),
        (True, 0),
        (False, -1),
        (False, -1),
        (True, 0),
        (False, 1),
        (True, 0),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
        (False, 1),
    ]


@pytest.mark.parametrize("not_a_loop", [None, object(), 5])
def test_a_watcher_needs_a_loop(core, kind, not_a_loop):
    arguments = {"io": (0, 1), "signal": (SIGNAL,), "child": (1,), "stat": ("/",)}.get(kind, ())
    with pytest.raises(TypeError):
        getattr(core, kind)(not_a_loop, *arguments)


def test_a_watcher_cannot_be_moved_to_another_loop(core, loop):
    timer = loop.timer(1)
    with pytest.raises(AttributeError):
        timer.loop = None
    assert timer.loop is loop


# ---- Making a loop ---------------------------------------------------------------------------------------------------------------


def with_flags(core, flags):
    """(backend name, backend number) of a loop made with *flags*."""
    loop = core.loop(flags, default=False)
    try:
        return loop.backend, loop.backend_int
    finally:
        loop.destroy()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("select", ("select", 1)),
        ("poll", ("poll", 2)),
        ("POLL", ("poll", 2)),
        (" poll , noenv", ("poll", 2)),
        ("poll,nosigmask", ("poll", 2)),
        (["poll", "noinotify"], ("poll", 2)),
        (("select",), ("select", 1)),
        (["select", 0x100000], ("select", 1)),
        (2, ("poll", 2)),
        (2 | 0x2000000, ("poll", 2)),
        (1 | 2, ("poll", 2)),  # libev takes the better of two
    ],
)
def test_flags(core, flags, expected):
    assert with_flags(core, flags) == expected


@pytest.mark.parametrize("flags", [None, 0, "", [], "forkcheck", "noinotify", "signalfd", "nosigmask"])
def test_flags_that_leave_the_choice_to_libev(core, flags):
    assert with_flags(core, flags)[0] in core.recommended_backends()


@pytest.mark.parametrize("flags", ["nonsense", "epoll,nonsense", ["poll", "nonsense"], -1])
def test_unknown_flags(core, flags):
    """COR-02"""
    with pytest.raises(ValueError, match=r"nonsense|negative"):
        core.loop(flags, default=False)


@pytest.mark.parametrize("flags", [5.5, b"epoll", [b"epoll"], [None], [5.5], object(), [-1], [1 << 40]])
def test_flags_that_are_no_flags(core, flags):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        core.loop(flags, default=False)


@pytest.mark.parametrize("name", ["kqueue", "port", "epoll"])
def test_backend_that_this_system_does_not_have(core, name):
    """COR-02"""
    if name in core.supported_backends():
        assert with_flags(core, name)[0] == name
    else:
        with pytest.raises(ValueError, match=name):
            core.loop(name, default=False)


def test_LIBEV_FLAGS_is_ignored(backend):
    """COR-02"""
    plain = script("flags", backend, env={"LIBEV_FLAGS": None})
    assert script("flags", backend, env={"LIBEV_FLAGS": "1"}) == plain
    assert script("flags", backend, env={"LIBEV_FLAGS": "2"}) == plain


@pytest.mark.parametrize("name", ["poll", "select"])
def test_GEVENT_BACKEND_chooses(backend, name):
    """COR-02"""
    assert script("hub_backend", backend, env={"GEVENT_BACKEND": name, "GEVENT_LOOP": f"libev-{backend}"}) == [name]


def test_GEVENT_BACKEND_that_is_unknown(backend):
    """COR-02"""
    said = script("hub_backend", backend, env={"GEVENT_BACKEND": "nonsense", "GEVENT_LOOP": f"libev-{backend}"})
    assert said[0].startswith("ValueError")
    assert "nonsense" in said[0]


@pytest.mark.parametrize("backend_name", ["epoll", "poll", "select"])
def test_every_backend_of_libev_works(core, pair, backend_name):
    if backend_name not in core.supported_backends():
        pytest.skip(f"this libev has no {backend_name}")
    left, right = pair
    loop = core.loop(backend_name, default=False)
    seen = []
    io = loop.io(left.fileno(), core.READ)

    def readable():
        seen.append(left.recv(10))
        if len(seen) == 2:
            io.stop()
        else:
            right.send(b"two")

    io.start(readable)
    timer = loop.timer(0.01)
    timer.start(right.send, b"one")
    run(loop)
    loop.destroy()
    assert seen == [b"one", b"two"]


def test_attributes(core, loop):
    assert loop.default is False
    assert loop.MINPRI == core.MINPRI
    assert loop.MAXPRI == core.MAXPRI
    assert isinstance(loop.ptr, int)
    assert loop.ptr
    assert loop.depth == 0
    assert loop.pendingcnt == 0
    assert isinstance(loop.iteration, int)
    assert isinstance(loop.approx_timer_resolution, float)
    assert loop.approx_timer_resolution > 0
    assert loop.backend in core.supported_backends()
    for name in ("default", "backend", "backend_int", "depth", "iteration", "pendingcnt", "ptr", "MAXPRI", "WatcherType"):
        with pytest.raises(AttributeError):
            setattr(loop, name, 1)


def test_what_only_an_embedded_libev_knows_is_None_or_right(loop):
    assert loop.activecnt is None or loop.activecnt == 0
    assert loop.sig_pending is None or not loop.sig_pending
    assert loop.origflags is None or isinstance(loop.origflags, list)
    assert loop.origflags_int is None or isinstance(loop.origflags_int, int)
    fd = loop.fileno()
    assert fd is None or fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    timer = loop.timer(1)
    timer.start(print)
    assert loop.activecnt in (None, 1)


def test_a_new_loop_has_no_error_handler(core):
    loop = core.loop(default=False)
    assert loop.error_handler is None
    loop.destroy()


def test_loop_can_be_subclassed(core):
    class Loop(core.loop):
        def __init__(self, flags=None, default=None):
            super().__init__(flags, default)
            self.reports = []

        def handle_error(self, context, type, value, tb):
            self.reports.append((context, value))

    loop = Loop(default=False)
    error = ValueError("from the callback")
    timer = loop.timer(0)
    timer.start(raises(error))
    callback = loop.run_callback(raises(error))
    run(loop)
    loop.destroy()
    assert loop.reports == [(callback, error), (timer, error)]


def test_watchers_can_be_subclassed(core, loop):
    class Timer(core.timer):
        def fire(self):
            seen.append(self)

    seen = []
    timer = Timer(loop, 0.001)
    timer.start(timer.fire)
    run(loop)
    assert seen == [timer]


def test_repr(loop, pair, core):
    assert loop.backend in repr(loop)
    assert "destroyed" not in repr(loop)
    io = loop.io(pair[0].fileno(), core.READ)
    assert f"fd={pair[0].fileno()}" in repr(io)
    assert "READ" in repr(io)
    io.start(len, "an argument")
    assert "active" in repr(io)
    assert "an argument" in repr(io)
    io.stop()
    assert "active" not in repr(io)
    assert "an argument" not in repr(io)


# ---- run() -----------------------------------------------------------------------------------------------------------------------


def test_run_returns_at_once_when_there_is_nothing(loop):
    for options in ({}, {"nowait": True}, {"once": True}, {"nowait": True, "once": True}):
        assert loop.run(**options) is None


def test_run_returns_when_the_last_watcher_ends(loop):
    order = []
    timers = [loop.timer(0.002), loop.timer(0.001)]
    loop.update()
    for number, timer in enumerate(timers):
        timer.start(order.append, number, update=False)  # both counted from the same moment
    run(loop)
    assert order == [1, 0]


def test_run_can_be_called_again(loop):
    order = []
    for number in range(3):
        timer = loop.timer(0)
        timer.start(order.append, number)
        run(loop)
    assert order == [0, 1, 2]


def test_nowait_does_not_wait(loop):
    order = []
    later = loop.timer(30)
    later.start(order.append, "later")
    now = loop.timer(0)
    now.start(order.append, "now")
    loop.run(nowait=True)
    assert order == ["now"]


def test_nowait_handles_callbacks_before_and_after_the_poll(loop, pair):
    order = []
    left, right = pair
    right.send(b"x")
    io = loop.io(left.fileno(), 1)

    def readable():
        order.append("io")
        io.stop()
        loop.run_callback(order.append, "after")

    io.start(readable)
    loop.run_callback(order.append, "before")
    loop.run(nowait=True)
    assert order == ["before", "io", "after"]


def test_once_waits_for_events_and_returns(loop):
    order = []
    first, second = loop.timer(0.01), loop.timer(30)
    first.start(order.append, "first")
    second.start(order.append, "second")
    for _ in range(100):  # libev may also come back for an event of its own
        loop.run(once=True)
        if order:
            break
    assert order == ["first"]


def test_once_handles_callbacks_before_and_after_the_poll(loop, pair):
    order = []
    left, right = pair
    right.send(b"x")
    io = loop.io(left.fileno(), 1)

    def readable():
        order.append("io")
        io.stop()
        loop.run_callback(order.append, "after")

    io.start(readable)
    loop.run_callback(order.append, "before")
    loop.run(once=True)
    assert order == ["before", "io", "after"]


def test_break_ends_run_and_leaves_the_watchers(loop):
    order = []
    ticker = loop.timer(0.001, 0.001)
    ticker.start(lambda: (order.append("tick"), loop.break_()))
    run(loop)
    assert order == ["tick"]
    assert ticker.active
    run(loop)
    assert order == ["tick", "tick"]


def test_break_from_a_callback_leaves_the_later_ones_for_the_next_run(loop):
    order = []
    loop.run_callback(lambda: (order.append("break"), loop.break_()))
    keep = loop.timer(30)
    keep.start(order.append, "timer")
    run(loop)
    assert order == ["break"]
    keep.stop()
    loop.run_callback(order.append, "next run")
    run(loop)
    assert order == ["break", "next run"]


def test_nested_run(loop):
    """An inner run() has its own depth, and break_() ends the innermost only."""
    order = []
    inner_timer = loop.timer(0.001)
    outer_timer = loop.timer(0)
    last = loop.timer(0.001)

    def outer():
        order.append(("outer", loop.depth))
        inner_timer.start(inner)
        loop.run()
        order.append(("outer again", loop.depth))
        last.start(lambda: order.append(("last", loop.depth)))

    def inner():
        order.append(("inner", loop.depth))
        loop.break_()

    outer_timer.start(outer)
    run(loop)
    assert order == [("outer", 1), ("inner", 2), ("outer again", 1), ("last", 1)]
    assert loop.depth == 0


def test_break_all_ends_nested_runs(loop):
    order = []
    inner_timer = loop.timer(0.001)
    outer_timer = loop.timer(0)
    never = loop.timer(30)
    never.start(order.append, "never")

    def outer():
        inner_timer.start(loop.break_, 2)  # EVBREAK_ALL
        loop.run()
        order.append("outer again")

    outer_timer.start(outer)
    run(loop)
    assert order == ["outer again"]
    assert never.active


def test_depth_and_iteration(loop):
    seen = []
    before = loop.iteration
    loop.run_callback(lambda: seen.append(loop.depth))
    timer = loop.timer(0.001)
    timer.start(lambda: seen.append(loop.depth))
    run(loop)
    assert seen == [1, 1]
    assert loop.depth == 0
    assert loop.iteration > before


def test_callbacks_run_in_the_greenlet_that_called_run(loop, pair):
    left, right = pair
    seen = []
    runner = greenlet.greenlet(lambda: run(loop))
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (seen.append(greenlet.getcurrent()), io.stop()))
    timer = loop.timer(0)
    timer.start(lambda: seen.append(greenlet.getcurrent()))
    loop.run_callback(lambda: seen.append(greenlet.getcurrent()))
    right.send(b"x")
    runner.switch()
    assert seen == [runner] * 3


def test_callbacks_may_switch_to_other_greenlets_and_back(loop, pair):
    """What a hub does all day: the C stack below a callback is put aside and comes back."""
    left, right = pair
    order = []

    def work():
        while True:
            order.append(runner.switch())

    def tick():
        workers[2].switch("timer")
        right.send(b"x")

    def readable():
        left.recv(1)
        for number, worker in enumerate(workers):
            worker.switch(f"io {number}")
        io.stop()

    runner = greenlet.greenlet(lambda: run(loop))
    workers = [greenlet.greenlet(work) for _ in range(3)]
    timer = loop.timer(0.001)
    timer.start(tick)
    io = loop.io(left.fileno(), 1)
    io.start(readable)

    def start():
        for worker in workers:
            worker.switch()
        workers[0].switch("callback")

    loop.run_callback(start)
    runner.switch()
    assert order == ["callback", "timer", "io 0", "io 1", "io 2"]
    for worker in workers:
        worker.throw()


def test_run_leaves_no_exception_state_behind(loop, errors):
    seen = []
    for _ in range(2):
        loop.run_callback(raises(ValueError("lost")))
        loop.run_callback(lambda: seen.append(sys.exc_info()))
        timer = loop.timer(0)
        timer.start(lambda: seen.append(sys.exc_info()))
        run(loop)
    assert seen == [(None, None, None)] * 4
    assert len(errors.take()) == 2


def test_run_lets_other_threads_run_while_it_waits(loop):
    """The loop lets go of the interpreter lock for the time of the poll."""
    done = loop.async_()
    done.start(done.stop)
    seen = []

    def other():
        seen.extend(range(1000))
        done.send()

    thread = threading.Thread(target=other)
    thread.start()
    run(loop)
    thread.join()
    assert seen == list(range(1000))


# ---- run_callback ----------------------------------------------------------------------------------------------------------------


def test_callbacks_run_in_the_order_added(loop):
    """COR-01"""
    order = []
    for number in range(5):
        loop.run_callback(order.append, number)
    loop.run_callback(lambda: loop.run_callback(order.append, "added by a callback"))
    loop.run_callback(order.append, 5)
    run(loop)
    assert order == [0, 1, 2, 3, 4, 5, "added by a callback"]


def test_many_callbacks_run_in_the_order_added(loop):
    """COR-01: also across batches and as the queue grows, wherever in its ring it stands."""
    order = []
    number = 0
    for size in (3, 300, 3000, 7, 9000):
        for _ in range(size):
            loop.run_callback(order.append, number)
            number += 1
        run(loop)
    assert order == list(range(number))


def test_a_failing_callback_is_reported_and_the_rest_run(loop, errors):
    """COR-01"""
    order = []
    failure = ValueError("one of many")
    loop.run_callback(order.append, 1)
    failing = loop.run_callback(raises(failure))
    loop.run_callback(order.append, 2)
    run(loop)
    assert order == [1, 2]
    assert errors.take() == [(failing, failure)]


def test_a_failing_callback_with_a_failing_error_handler(loop, capsys):
    """COR-01: both errors are told on stderr, and the rest run."""
    order = []

    class Broken:
        def handle_error(self, *args):
            raise KeyError("the handler itself")

    loop.error_handler = Broken()
    loop.run_callback(raises(ValueError("the callback")))
    loop.run_callback(order.append, "after the callback")
    timer = loop.timer(0)
    timer.start(raises(ValueError("the timer")))
    run(loop)
    loop.run_callback(order.append, "next run")
    run(loop)
    assert order == ["after the callback", "next run"]
    assert capsys.readouterr().err.count("KeyError: 'the handler itself'") == 2


def test_callback_keeps_the_loop_running(loop):
    order = []

    def from_the_timer():
        loop.run_callback(order.append, "last")
        order.append("timer")

    timer = loop.timer(0)
    timer.start(from_the_timer)
    run(loop)
    assert order == ["timer", "last"]


def test_callback_may_start_the_only_watcher(loop):
    order = []
    timer = loop.timer(0.001)
    loop.run_callback(timer.start, order.append, "timer")
    run(loop)
    assert order == ["timer"]


def test_callback_arguments(loop):
    seen = []
    loop.run_callback(lambda *args: seen.append(args))
    loop.run_callback(lambda *args: seen.append(args), 1)
    loop.run_callback(lambda *args: seen.append(args), 1, None, "x")
    run(loop)
    assert seen == [(), (1,), (1, None, "x")]


@pytest.mark.parametrize("not_callable", [None, 5, "text"])
def test_callback_must_be_callable(loop, not_callable):
    for method in (loop.run_callback, loop.run_callback_threadsafe):
        with pytest.raises(TypeError, match="callable"):
            method(not_callable)
    run(loop)


def test_callback_object(core, loop):
    """COR-10"""
    seen = []
    callback = loop.run_callback(lambda: seen.append((bool(callback), callback.pending)))
    assert type(callback) is core.callback
    assert bool(callback)
    assert callback.pending
    assert callable(callback.callback)
    assert callback.args == ()
    assert "pending" in repr(callback)
    run(loop)
    assert seen == [(True, False)]
    assert not callback
    assert not callback.pending
    assert "pending" not in repr(callback)


@pytest.mark.parametrize("stop", ["stop", "close"])
def test_callback_stop(loop, stop):
    """COR-10"""
    order = []
    first = loop.run_callback(order.append, 1)
    loop.run_callback(order.append, 2)
    third = loop.run_callback(order.append, 3)
    loop.run_callback(lambda: getattr(last, stop)())
    last = loop.run_callback(order.append, "stopped by the one before")
    getattr(first, stop)()
    assert not first
    assert not first.pending
    getattr(third, stop)()
    getattr(third, stop)()  # again: nothing happens
    run(loop)
    assert order == [2]


def test_callback_stop_while_it_runs_and_after(loop):
    """COR-10"""
    order = []
    callback = loop.run_callback(lambda: (callback.stop(), order.append(bool(callback))))
    run(loop)
    callback.stop()
    assert order == [False] or order == [True]
    assert not callback


def test_a_stopped_callback_lets_go_of_its_arguments(loop):
    class Argument:
        pass

    for how in ("run", "stop"):
        argument = Argument()
        gone = weakref.ref(argument)
        callback = loop.run_callback(id, argument)
        del argument
        if how == "stop":
            callback.stop()
        run(loop)
        collect_garbage()
        assert gone() is None, how
        assert not callback


def test_callback_made_by_hand(core):
    callback = core.callback(len, ("x",))
    assert callback.callback is len
    assert callback.args == ("x",)
    assert callback.pending
    callback.stop()
    assert not callback.pending
    with pytest.raises(TypeError):
        core.callback(len, ["not a tuple"])


def test_endless_callbacks_do_not_keep_timers_and_descriptors_from_their_turn(loop, pair):
    left, right = pair
    right.send(b"x")
    order = []

    def chain():
        if set(order) != {"timer", "io"}:
            loop.run_callback(chain)

    timer = loop.timer(0.01)
    timer.start(order.append, "timer")
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (order.append("io"), io.stop()))
    loop.run_callback(chain)
    run(loop)
    assert sorted(order) == ["io", "timer"]


@pytest.mark.parametrize("options", [{"nowait": True}, {"once": True}])
def test_endless_callbacks_do_not_keep_run_from_returning(loop, options):
    count = []

    def chain():
        count.append(1)
        if len(count) < 1_000_000:
            loop.run_callback(chain)

    loop.run_callback(chain)
    loop.run(**options)
    assert 0 < len(count) < 1_000_000


def test_batches_of_callbacks_are_bounded_in_number(loop, pair):
    """Callbacks that take no time at all, but queue others, still let the loop poll every now and then."""
    left, right = pair
    right.send(b"x")
    ran = []
    at_poll = []

    def again():
        ran.append(None)
        if len(ran) < 20_000:
            loop.run_callback(again)

    for _ in range(3):
        loop.run_callback(again)
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (at_poll.append(len(ran)), io.stop()))
    run(loop)
    assert len(ran) >= 20_000
    assert 3 < at_poll[0] <= 3 + 1024


def test_batches_of_callbacks_are_bounded_in_time(loop, pair):
    """Slow callbacks let the loop poll long before their number would."""
    left, right = pair
    right.send(b"x")
    ran = []
    at_poll = []

    def slow():
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass
        ran.append(1)

    for _ in range(400):
        loop.run_callback(slow)
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (at_poll.append(len(ran)), io.stop()))
    run(loop)
    assert len(ran) == 400
    assert at_poll[0] < 400


# ---- run_callback_threadsafe and async: other native threads -----------------------------------------------------------------------


def test_run_callback_threadsafe_wakes_a_waiting_loop(loop):
    order = []
    far = loop.timer(30)
    far.start(order.append, "too late")
    thread = threading.Thread(target=lambda: loop.run_callback_threadsafe(lambda: (order.append("woken"), far.stop())))
    starter = loop.timer(0.001)
    starter.start(thread.start)
    began = time.monotonic()
    run(loop)
    thread.join()
    assert order == ["woken"]
    assert time.monotonic() - began < 10


def test_run_callback_threadsafe_from_many_threads(loop):
    """Nothing is lost, and the callbacks of one thread keep their order."""
    threads, each = 4, 2000
    seen = {number: [] for number in range(threads)}
    left = [threads]
    keep = loop.timer(60)
    keep.start(print, "never")

    def finished():
        left[0] -= 1
        if not left[0]:
            keep.stop()

    def post(number):
        for index in range(each):
            loop.run_callback_threadsafe(seen[number].append, index)
        loop.run_callback_threadsafe(finished)

    workers = [threading.Thread(target=post, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    run(loop, 60)
    for worker in workers:
        worker.join()
    assert seen == {number: list(range(each)) for number in range(threads)}


def test_run_callback_threadsafe_before_the_loop_runs(loop):
    order = []
    thread = threading.Thread(target=loop.run_callback_threadsafe, args=(order.append, "early"))
    thread.start()
    thread.join()
    run(loop)
    assert order == ["early"]


def test_run_callback_threadsafe_in_the_loops_own_thread(loop):
    order = []
    callback = loop.run_callback_threadsafe(order.append, 1)
    assert callback.pending
    loop.run_callback_threadsafe(order.append, 2).stop()
    loop.run_callback_threadsafe(order.append, 3)
    run(loop)
    assert order == [1, 3]
    assert not callback


def test_async_send_from_another_thread(loop):
    order = []
    watcher = loop.async_()
    watcher.start(lambda: (order.append("sent"), watcher.stop()))
    thread = threading.Thread(target=watcher.send)
    starter = loop.timer(0.001)
    starter.start(thread.start)
    run(loop)
    thread.join()
    assert order == ["sent"]


def test_async_sends_are_merged_until_they_are_seen(loop):
    order = []
    watcher = loop.async_()
    watcher.start(order.append, "sent")
    for _ in range(3):
        watcher.send()
    assert watcher.pending
    loop.run(nowait=True)
    assert order == ["sent"]
    assert not watcher.pending
    watcher.send()
    loop.run(nowait=True)
    assert order == ["sent", "sent"]


def test_async_send_before_start_is_not_kept(loop):
    order = []
    watcher = loop.async_()
    watcher.send()
    watcher.start(order.append, "sent")
    loop.run(nowait=True)
    assert order == []


def test_async_send_ignoring_arg(loop):
    order = []
    watcher = loop.async_()
    watcher.start(order.append, "sent")
    watcher.send_ignoring_arg(object())
    loop.run(nowait=True)
    assert order == ["sent"]


def test_a_loop_in_each_of_several_threads(core):
    """Each thread has timers, descriptors and callbacks of its own, and all of them are polled at the same time."""
    count = 4
    results = [None] * count
    barrier = threading.Barrier(count)

    def body(number):
        loop = core.loop(default=False)
        left, right = socket.socketpair()
        with left, right:
            order = []
            io = loop.io(left.fileno(), core.READ)

            def readable():
                order.append(left.recv(10))
                if len(order) < 50:
                    right.send(b"%d" % number)
                else:
                    io.stop()

            io.start(readable)
            timer = loop.timer(0.001)
            timer.start(right.send, b"%d" % number)
            loop.run_callback(barrier.wait)
            run(loop, 30)
            loop.destroy()
            results[number] = order

    threads = [threading.Thread(target=body, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[b"%d" % number] * 50 for number in range(count)]


def test_loops_in_two_threads_can_wake_each_other(core):
    rounds = 200
    loops = [core.loop(default=False) for _ in range(2)]
    seen = [[], []]

    def body(number):
        loop, other = loops[number], loops[1 - number]
        keep = loop.timer(60)
        keep.start(print, "never")

        def hit(count):
            seen[number].append(count)
            if count < rounds:
                other.run_callback_threadsafe(hits[1 - number], count + 1)
            if count >= rounds - 1:
                keep.stop()

        hits[number] = hit
        ready.wait()
        if number == 0:
            loop.run_callback(hit, 0)
        run(loop, 30)

    hits = [None, None]
    ready = threading.Barrier(2)
    threads = [threading.Thread(target=body, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for loop in loops:
        loop.destroy()
    assert seen == [list(range(0, rounds + 1, 2)), list(range(1, rounds + 1, 2))]


# ---- What all watchers share -----------------------------------------------------------------------------------------------------


def test_1_a_started_watcher_keeps_itself_alive(loop, watchers, kind):
    """The first mistake that a backend can make: nobody else refers to the watcher, and its callback is called all the same."""
    seen = []
    watcher = watchers.make(loop, kind)
    holder = [watcher]

    def fired():
        seen.append(kind)
        reference().stop()

    reference = weakref.ref(watcher)
    watcher.start(fired)
    del holder, watcher
    collect_garbage()
    assert reference() is not None
    watchers.trigger(loop, kind, reference())
    run_one(loop, kind)
    assert seen == [kind]
    collect_garbage()
    assert reference() is None


def raises(error):
    def callback(*args):
        raise error

    return callback


def test_start_and_stop(loop, watchers, kind):
    watcher = watchers.make(loop, kind)
    assert not watcher.active
    assert not watcher.pending
    assert watcher.callback is None
    assert watcher.args is None
    assert watcher.start(len, 1, 2) is None
    assert watcher.active
    assert not watcher.pending
    assert watcher.callback is len
    assert watcher.args == (1, 2)
    assert watcher.stop() is None
    assert not watcher.active
    assert watcher.callback is None
    assert watcher.args is None
    watcher.stop()
    run(loop)


def test_a_stopped_watcher_does_not_fire(loop, watchers, kind):
    seen = []
    watcher = watchers.make(loop, kind)
    watcher.start(seen.append, kind)
    if kind == "signal":  # the signal itself would now be ignored: libev's handler must have seen it before
        watchers.trigger(loop, kind, watcher)
        watcher.stop()
    else:
        watcher.stop()
        watchers.trigger(loop, kind, watcher)
    run(loop)
    loop.run(nowait=True)
    assert seen == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "child"])  # a child ends only once
def test_watcher_can_be_started_again(loop, watchers, kind):
    seen = []
    watcher = watchers.make(loop, kind)
    for number in range(3):
        watcher.start(lambda number=number: (seen.append(number), watcher.stop()))
        if kind == "stat":
            watchers.path.write_bytes(b"x" * (number + 1))
        else:
            watchers.trigger(loop, kind, watcher)
        run_one(loop, kind)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("child", "fork")]
)  # nor is a fork over before its callbacks
def test_stop_and_start_again_inside_the_own_callback(loop, watchers, kind):
    seen = []
    watcher = watchers.make(loop, kind)

    def again():
        seen.append(len(seen))
        watcher.stop()
        if len(seen) < 3:
            watcher.start(again)
            if kind == "stat":
                watchers.path.write_bytes(b"x" * (len(seen) + 1))
            elif kind != "io":  # still readable
                watchers.trigger(loop, kind, watcher)

    watcher.start(again)
    watchers.trigger(loop, kind, watcher)
    while watcher.active:
        run_one(loop, kind)
    assert seen == [0, 1, 2]


def test_start_of_a_started_watcher_replaces_the_callback(loop):
    seen = []
    timer = loop.timer(0.001)
    timer.start(seen.append, "first")
    timer.start(seen.append, "second")
    assert timer.args == ("second",)
    run(loop)
    assert seen == ["second"]


@pytest.mark.parametrize("not_callable", [None, 5, "text"])
def test_start_needs_a_callable(loop, watchers, kind, not_callable):
    watcher = watchers.make(loop, kind)
    for method in (watcher.start, functools.partial(watcher.feed, 1)):
        with pytest.raises(TypeError, match="callable"):
            method(not_callable)
        assert not watcher.active
        assert not watcher.pending
    with pytest.raises(TypeError):
        watcher.start()
    run(loop)


def test_callback_and_args_can_be_replaced(loop):
    """COR-09: args is a tuple or None, and with None the callback is called without arguments."""
    seen = []
    timer = loop.timer(0.001)
    timer.start(print, 1)
    timer.callback = lambda *args: seen.append(args)
    timer.args = (1, 2)
    run(loop)
    timer.start(print, 1)
    timer.callback = lambda *args: seen.append(args)
    timer.args = None
    run(loop)
    assert seen == [(1, 2), ()]
    with pytest.raises(TypeError, match="callable"):
        timer.callback = 5
    with pytest.raises(TypeError, match="tuple"):
        timer.args = [1]
    timer.callback = None
    timer.args = None


def test_a_watcher_whose_callback_was_removed(loop, errors):
    """There is nothing to call: whether that is reported or passed over, the loop goes on."""
    timer = loop.timer(0)
    timer.start(print, 1)
    timer.callback = None
    run(loop)
    assert all(context is timer for context, error in errors.take())
    order = []
    timer.start(order.append, 1)
    run(loop)
    assert order == [1]


@pytest.mark.parametrize("name", ["active", "pending", "loop"])
def test_read_only_attributes(loop, watchers, kind, name):
    watcher = watchers.make(loop, kind)
    with pytest.raises(AttributeError):
        setattr(watcher, name, getattr(watcher, name))


def test_feed(loop, watchers, kind):
    """feed() calls back without an event and without the watcher being started."""
    seen = []
    watcher = watchers.make(loop, kind)
    before = loop.pendingcnt
    watcher.feed(1, seen.append, kind)
    assert watcher.pending
    assert not watcher.active
    assert loop.pendingcnt == before + 1
    run(loop)
    assert seen == [kind]
    assert not watcher.pending
    assert watcher.callback is None
    assert watcher.args is None


@pytest.mark.parametrize("kind", ["io", "signal", "stat", "async_", "fork"])
def test_feed_of_a_started_watcher(loop, watchers, kind):
    """The watcher stays started, with the callback that was given last."""
    seen = []
    watcher = watchers.make(loop, kind, ref=False)
    watcher.start(seen.append, "start")
    watcher.feed(1, seen.append, "feed")
    loop.run(nowait=True)
    assert seen == ["feed"]
    assert watcher.active


def test_feed_and_stop(loop, watchers, kind):
    seen = []
    watcher = watchers.make(loop, kind)
    watcher.feed(1, seen.append, kind)
    watcher.stop()
    assert not watcher.pending
    run(loop)
    assert seen == []


def test_feed_inside_the_own_callback(loop, watchers, kind):
    seen = []
    watcher = watchers.make(loop, kind)

    def again():
        seen.append(len(seen))
        if len(seen) < 3:
            watcher.feed(1, again)

    watcher.feed(1, again)
    while watcher.pending:
        run(loop)
    assert seen == [0, 1, 2]
    assert watcher.callback is None


def test_EVENTS_stands_for_the_event_mask(core, loop, pair):
    left, right = pair
    seen = []
    right.send(b"x")
    io = loop.io(left.fileno(), core.READWRITE)

    def called(*args):
        seen.append(args)
        io.stop()

    io.start(called, core.EVENTS, "more")
    assert io.args == (core.EVENTS, "more")
    run(loop)
    io.start(called, "more", core.EVENTS)
    run(loop)
    io.start(called, "more", pass_events=True)
    run(loop)
    io.start(called, pass_events=True)
    run(loop)
    io.feed(core.WRITE, called, core.EVENTS)
    run(loop)
    timer = loop.timer(0)
    timer.start(called, core.EVENTS)
    run(loop)
    timer.feed(core.CUSTOM, called, core.EVENTS, 5)
    run(loop)
    assert seen == [(3, "more"), ("more", core.EVENTS), (3, "more"), (3,), (2,), (core.TIMER,), (core.CUSTOM, 5)]


def test_priority_orders_the_events_of_one_round(loop, pairs):
    order = []
    ios = []
    for priority in (0, 2, -1, 1, -2):
        left, right = pairs()
        right.send(b"x")
        io = loop.io(left.fileno(), 1, priority=priority)
        io.start(lambda io=io, priority=priority: (order.append(priority), io.stop()))
        ios.append(io)
    run(loop)
    assert order == [2, 1, 0, -1, -2]


def test_priority_orders_events_of_different_kinds(loop, pair):
    left, right = pair
    right.send(b"x")
    order = []
    made = [
        loop.io(left.fileno(), 1, priority=-1),
        loop.timer(0, priority=1),
        loop.async_(priority=0),
        loop.check(priority=2),
    ]
    for watcher in made:
        watcher.start(lambda watcher=watcher: (order.append(watcher.priority), watcher.stop()))
    made[2].send()
    run(loop)
    assert order == [2, 1, 0, -1]


def test_priority_can_be_set_while_stopped(loop, watchers, kind):
    """COR-04"""
    watcher = watchers.make(loop, kind)
    assert watcher.priority == 0
    for priority in (-2, -1, 0, 1, 2):
        watcher.priority = priority
        assert watcher.priority == priority
    watcher.start(print)
    with pytest.raises(AttributeError, match="priority"):
        watcher.priority = 0
    assert watcher.priority == 2
    watcher.stop()
    watcher.priority = 1
    assert watcher.priority == 1


@pytest.mark.parametrize("priority", [3, -3, 1000, 1 << 40])
def test_priorities_that_do_not_exist(loop, priority):
    """COR-03: libev has a queue for each priority, and would write behind the last one."""
    with pytest.raises((ValueError, OverflowError)):
        loop.timer(0, priority=priority)
    timer = loop.timer(0)
    with pytest.raises((ValueError, OverflowError)):
        timer.priority = priority
    assert timer.priority == 0
    for wrong in ("1", 1.5):
        with pytest.raises(TypeError):
            loop.timer(0, priority=wrong)


def test_a_pending_watchers_priority_cannot_be_set(loop):
    """COR-04: libev would look for the event in the wrong queue."""
    seen = []
    timer = loop.timer(1)
    timer.feed(1, seen.append, "fed")
    with pytest.raises(AttributeError, match="priority"):
        timer.priority = 2
    run(loop)
    assert seen == ["fed"]


def test_ref_false_does_not_keep_the_loop_running(loop, watchers, kind):
    watcher = watchers.make(loop, kind, ref=False)
    assert watcher.ref is False
    if kind == "timer":
        watcher = loop.timer(30, ref=False)
    seen = []
    watcher.start(seen.append, kind)
    assert watcher.ref is False
    run(loop)
    assert watcher.active
    watcher.stop()
    run(loop)


def test_an_unrefd_watcher_fires_while_others_keep_the_loop_running(loop, watchers, kind):
    order = []
    watcher = watchers.make(loop, kind, ref=False)
    keep = loop.timer(10)

    def fired():
        order.append(kind)
        watcher.stop()
        keep.stop()

    watcher.start(fired)
    keep.start(order.append, "timer")
    watchers.trigger(loop, kind, watcher)
    run_one(loop, kind)
    assert order == [kind]


def test_ref_can_be_changed_while_active(loop):
    """COR-04: and however often it is, the count of what keeps the loop running stays right."""
    order = []
    far = loop.timer(30)
    assert far.ref is True
    far.start(order.append, "far")
    for _ in range(3):
        for ref in (False, False, True, True, False):
            far.ref = ref
            assert far.ref is ref
        run(loop)  # returns: far does not count
        near = loop.timer(0.001)
        near.start(order.append, "near")
        run(loop)  # near counts
    assert order == ["near"] * 3
    far.ref = True
    far.stop()
    assert far.ref is True
    run(loop)
    near = loop.timer(0.001)
    near.start(order.append, "last")
    run(loop)
    assert order == ["near"] * 3 + ["last"]


@pytest.mark.parametrize("first", [True, False])
def test_ref_outlives_stop_and_can_be_changed_while_stopped(loop, first):
    order = []
    for ref in (first, not first, first):
        far = loop.timer(30, ref=not ref)
        far.ref = ref
        far.start(order.append, "far")
        assert far.ref is ref
        near = loop.timer(0.001)
        near.start(lambda far=far: (order.append(far.ref), far.stop()))
        run(loop)
        assert far.ref is ref
    assert order == [first, not first, first]


def test_unrefd_watchers_may_start_stop_and_fire_in_any_order(loop):
    """The count must not go wrong whether the watcher is stopped by hand, by libev, or in its callback."""
    order = []
    for stop in ("by libev", "in the callback", "by hand"):
        timer = loop.timer(0.001, 0.001 if stop == "in the callback" else 0.0, ref=False)
        timer.start(timer.stop if stop == "in the callback" else order.append, *([] if stop == "in the callback" else [stop]))
        if stop == "by hand":
            timer.stop()
        keep = loop.timer(0.01)
        keep.start(order.append, "keep")
        run(loop)
        assert not timer.active
    assert order == ["by libev", "keep", "keep", "keep"]
    run(loop)


def test_ref_and_unref_of_the_loop(loop):
    order = []
    far = loop.timer(30)
    far.start(order.append, "far")
    loop.unref()
    run(loop)
    loop.ref()
    near = loop.timer(0.001)
    near.start(lambda: (order.append("near"), far.stop()))
    run(loop)
    assert order == ["near"]


def activecnt(loop):
    """What keeps the loop running, where the backend counts it."""
    return loop.activecnt or 0


def test_activecnt_counts_what_keeps_the_loop_running(loop, watchers, kind):
    watcher = watchers.make(loop, kind)
    if loop.activecnt is None:
        pytest.skip("this backend does not count")
    watcher.start(print)
    assert loop.activecnt == 1
    watcher.start(print)
    assert loop.activecnt == 1
    watcher.ref = False
    assert loop.activecnt == 0
    watcher.ref = True
    assert loop.activecnt == 1
    watcher.feed(1, int)
    assert loop.activecnt == 1
    watcher.stop()
    assert loop.activecnt == 0
    watcher.feed(1, int)
    assert loop.activecnt == 0
    run(loop)
    assert loop.activecnt == 0


@pytest.mark.parametrize("ref", [True, False])
@pytest.mark.parametrize("what", ["stop", "start", "again", "feed", "ref", "close", "fail"])
def test_a_timer_that_is_due_and_is_then_used_by_another_callback_of_the_same_round(loop, errors, what, ref):
    """libev has stopped it, but its own callback has not run yet: the count has to be right whatever is done to it now."""
    order = []
    timer = loop.timer(0, ref=ref)
    first = loop.timer(0, priority=2)
    failure = ValueError("in the callback")

    def use():
        order.append(what)
        if what in ("start", "feed"):
            getattr(timer, what)(*([1] if what == "feed" else []), order.append, "called again")
        elif what == "again":
            timer.again(order.append, "again")
        elif what == "ref":
            timer.ref = not ref
        elif what == "fail":
            timer.callback, timer.args = raises(failure), ()
        else:
            getattr(timer, what)()

    timer.start(order.append, "timer")
    first.start(use)
    keep = loop.timer(0.01)
    keep.start(order.append, "keep")
    run(loop)
    expected = {"start": 2, "feed": 1}.get(what)
    if expected:
        # Once for the event that was there already, once for the new start, in one round or two.
        assert order[0] == what
        assert order.count("called again") in (1, expected)
        timer.stop()
    else:
        assert order == {"ref": ["ref", "timer", "keep"]}.get(what, [what, "keep"])
    assert errors.take() == ([(timer, failure)] if what == "fail" else [])
    assert activecnt(loop) == 0
    # Neither ends run() too early nor keeps it for ever.
    near = loop.timer(0.001)
    near.start(order.append, "near")
    run(loop)
    assert order[-1] == "near"
    assert not timer.active
    assert activecnt(loop) == 0


def test_a_due_timer_that_is_fed_as_well(loop):
    order = []
    timer = loop.timer(0)
    timer.start(order.append, "start")
    timer.feed(1, order.append, "feed")
    run(loop)
    assert set(order) == {"feed"}
    assert activecnt(loop) == 0
    assert not timer.active
    timer.start(order.append, "again")
    assert loop.activecnt in (None, 1)
    run(loop)
    assert order[-1] == "again"
    assert activecnt(loop) == 0


def test_a_watcher_stopped_by_another_in_the_same_round_does_not_fire(loop, pairs):
    """Both events are there already; the callback that runs first takes the other one back."""
    order = []
    ios = []
    for priority in (1, 0, 0, 0):
        left, right = pairs()
        right.send(b"x")
        ios.append(loop.io(left.fileno(), 1, priority=priority))

    def first():
        order.append("first")
        for io in ios:
            io.stop()

    ios[0].start(first)
    for io in ios[1:]:
        io.start(order.append, "stopped")
    run(loop)
    assert order == ["first"]


def test_close_and_context_manager(loop, watchers, kind):
    with watchers.make(loop, kind) as watcher:
        watcher.start(print)
        assert watcher.active
    assert not watcher.active
    watcher = watchers.make(loop, kind)
    watcher.start(print)
    assert watcher.close() is None
    assert not watcher.active
    watcher.close()
    watcher = watchers.make(loop, kind)
    watcher.start(print)
    with pytest.raises(KeyError), watcher:
        raise KeyError("out of the with")
    assert not watcher.active
    run(loop)


# ---- Errors in callbacks ---------------------------------------------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("not even this")

    __repr__ = __str__


class Base(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        Exception(),
        Base("x"),
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        greenlet.GreenletExit(),
        Unprintable(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_kind_of_error_is_handed_to_the_error_handler(loop, errors, error, pair):
    left, right = pair
    right.send(b"x")
    io = loop.io(left.fileno(), 1)
    io.start(raises(error))
    timer = loop.timer(0)
    timer.start(raises(error))
    callback = loop.run_callback(raises(error))
    after = []
    run(loop)
    loop.run_callback(after.append, 1)
    run(loop)
    assert [type for context, type, value, tb in errors.reports] == [type(error)] * 3
    assert all(value is error for context, type, value, tb in errors.reports)
    assert all(tb is not None for context, type, value, tb in errors.reports)
    assert errors.reports[0][0] is callback
    assert {id(context) for context, type, value, tb in errors.reports[1:]} == {id(io), id(timer)}
    errors.reports.clear()
    error.__traceback__ = None
    assert after == [1]


def test_the_traceback_ends_where_the_error_was_raised(loop, errors):
    def deep():
        raise ValueError("here")

    timer = loop.timer(0)
    timer.start(lambda: deep())
    run(loop)
    tb = errors.reports[0][3]
    errors.reports.clear()
    while tb.tb_next is not None:
        tb = tb.tb_next
    assert tb.tb_frame.f_code is deep.__code__


def test_an_io_watcher_whose_callback_failed_is_stopped(loop, errors, pair):
    """The descriptor stays ready: the loop would do nothing but call it again."""
    left, right = pair
    right.send(b"x")
    io = loop.io(left.fileno(), 1)
    failure = ValueError("once is enough")
    io.start(raises(failure))
    run(loop)
    assert errors.take() == [(io, failure)]
    assert not io.active


def test_a_repeating_timer_goes_on_after_an_error(loop, errors):
    order = []
    timer = loop.timer(0.001, 0.001)

    def tick():
        order.append("tick")
        if len(order) == 3:
            timer.stop()
        raise ValueError(len(order))

    timer.start(tick)
    run(loop)
    assert order == ["tick"] * 3
    assert [(context, error.args) for context, error in errors.take()] == [(timer, (1,)), (timer, (2,)), (timer, (3,))]


@pytest.mark.parametrize("second", [ValueError, KeyboardInterrupt, SystemExit, greenlet.GreenletExit])
def test_an_error_handler_that_fails(loop, watchers, second, capsys, kind):
    """Whatever it raises is told on stderr, for every kind of watcher, and the loop goes on."""

    class Broken:
        def handle_error(self, *args):
            watcher.stop()
            raise second("the handler itself")

    watcher = watchers.make(loop, kind)
    loop.error_handler = Broken()
    watcher.start(raises(ValueError("the watcher")))
    watchers.trigger(loop, kind, watcher)
    run_one(loop, kind)
    assert "the handler itself" in capsys.readouterr().err
    order = []
    loop.run_callback(order.append, 1)
    run(loop)
    assert order == [1]


def test_without_an_error_handler_errors_are_printed(loop, capsys):
    loop.error_handler = None
    timer = loop.timer(0)
    timer.start(raises(ValueError("from the timer")))
    run(loop)
    loop.run_callback(raises(KeyError("from the callback")))
    run(loop)
    printed = capsys.readouterr().err
    assert "ValueError: from the timer" in printed
    assert "KeyError: 'from the callback'" in printed
    assert printed.count("Traceback") == 2


@pytest.mark.parametrize("stderr", [None, object()])
def test_without_an_error_handler_and_without_stderr(loop, monkeypatch, stderr):
    loop.error_handler = None
    monkeypatch.setattr(sys, "stderr", stderr)
    order = []
    timer = loop.timer(0)
    timer.start(raises(ValueError("nobody hears")))
    loop.run_callback(raises(ValueError("nobody hears")))
    loop.run_callback(order.append, 1)
    run(loop)
    assert order == [1]


def test_handle_error_can_be_called(loop, errors):
    failure = ValueError("by hand")
    loop.handle_error("context", ValueError, failure, None)
    assert errors.take() == [("context", failure)]


def test_set_syserr_cb(core):
    """COR-11"""
    for wrong in (5, "text"):
        with pytest.raises(TypeError, match="callable"):
            core.set_syserr_cb(wrong)


@pytest.mark.parametrize("which", ["default", "other"])
def test_a_system_error_of_libev_is_a_SystemError_for_the_handler(backend, which):
    """COR-11: libev by itself would abort the process."""
    script("syserr", backend, which)


# ---- io --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fd", [-1, -5, -(1 << 40)])
def test_io_negative_descriptor(loop, pair, fd):
    """COR-03"""
    with pytest.raises((ValueError, OverflowError)):
        loop.io(fd, 1)
    io = loop.io(pair[0].fileno(), 1)
    with pytest.raises((ValueError, OverflowError)):
        io.fd = fd
    assert io.fd == pair[0].fileno()


@pytest.mark.parametrize("fd", [None, "0", 1.0, 1 << 40])
def test_io_descriptor_of_the_wrong_type(loop, fd):
    """COR-03"""
    with pytest.raises((TypeError, ValueError, OverflowError)):
        loop.io(fd, 1)


@pytest.mark.parametrize("events", [4, 1 | 4, 99, -1, 1 << 20, 1 << 40])
def test_io_bad_event_mask(loop, pair, events):
    """COR-03"""
    with pytest.raises((ValueError, OverflowError)):
        loop.io(pair[0].fileno(), events)
    io = loop.io(pair[0].fileno(), 1)
    with pytest.raises((ValueError, OverflowError)):
        io.events = events
    assert io.events & 3 == 1


@pytest.mark.parametrize("backend_name", ["epoll", "poll", "select"])
def test_io_of_a_closed_descriptor(core, backend, backend_name):
    """COR-03: an error, or an event; never an abort or an endless wait."""
    if backend_name not in core.supported_backends():
        pytest.skip(f"this libev has no {backend_name}")
    script("closed_descriptor", backend, backend_name)


def test_io_events(core, loop, pair):
    left, right = pair
    seen = []
    writable = loop.io(left.fileno(), core.WRITE)
    writable.start(lambda events: (seen.append(("write", events)), writable.stop()), pass_events=True)
    run(loop)
    both = loop.io(left.fileno(), core.READ | core.WRITE)
    both.start(lambda events: (seen.append(("both", events)), both.stop()), pass_events=True)
    run(loop)
    right.send(b"x")
    both.start(lambda events: (seen.append(("both", events)), both.stop()), pass_events=True)
    run(loop)
    assert seen == [("write", 2), ("both", 2), ("both", 3)]


def test_io_is_ready_as_long_as_the_descriptor_is(loop, pair):
    left, right = pair
    right.send(b"abc")
    seen = []
    io = loop.io(left.fileno(), 1)

    def readable():
        seen.append(left.recv(1))
        if len(seen) == 3:
            io.stop()

    io.start(readable)
    run(loop)
    assert seen == [b"a", b"b", b"c"]


def test_io_sees_the_end_of_the_stream(loop, pair):
    left, right = pair
    seen = []
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (seen.append(left.recv(1)), io.stop()))
    timer = loop.timer(0.001)
    timer.start(right.close)
    run(loop)
    assert seen == [b""]


def test_several_io_watchers_of_one_descriptor(core, loop, pair):
    left, right = pair
    right.send(b"x")
    seen = []
    ios = [loop.io(left.fileno(), events) for events in (core.READ, core.READ, core.WRITE, core.READWRITE)]
    for number, io in enumerate(ios):
        io.start(lambda events, io=io, number=number: (seen.append((number, events)), io.stop()), pass_events=True)
    run(loop)
    assert sorted(seen) == [(0, 1), (1, 1), (2, 2), (3, 3)]


def test_io_of_a_regular_file_is_always_ready(core, loop, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    seen = []
    with open(path, "rb") as file:
        io = loop.io(file.fileno(), core.READ)
        io.start(lambda: (seen.append(file.read()), io.stop()))
        run(loop)
    assert seen == [b"x"]


def test_io_fd_and_events_can_be_changed_while_stopped(core, loop, pairs):
    """COR-04"""
    (first, _), (second, peer) = pairs(), pairs()
    seen = []
    io = loop.io(first.fileno(), core.READ)
    assert (io.fd, io.events & 3, io.events_str.split("|")[0]) == (first.fileno(), 1, "READ")
    io.start(print)
    for name, value in (("fd", second.fileno()), ("events", core.WRITE)):
        with pytest.raises(AttributeError, match=name):
            setattr(io, name, value)
    with pytest.raises(AttributeError):
        io.events_str = "WRITE"
    io.stop()
    io.fd = second.fileno()
    peer.send(b"x")
    io.start(lambda events: (seen.append(events), io.stop()), pass_events=True)
    run(loop)
    io.events = core.READ | core.WRITE
    assert "WRITE" in io.events_str
    io.start(lambda events: (seen.append(events), io.stop()), pass_events=True)
    run(loop)
    io.events = core.WRITE
    io.start(lambda events: (seen.append(events), io.stop()), pass_events=True)
    run(loop)
    assert seen == [core.READ, core.READWRITE, core.WRITE]


def test_a_pending_io_watcher_cannot_be_changed_silently(core, loop, pair):
    """COR-04: after feed() the event is still delivered, whatever is set meanwhile."""
    seen = []
    io = loop.io(pair[0].fileno(), core.READ)
    io.feed(core.READ, seen.append, "fed")
    with contextlib.suppress(AttributeError):
        io.fd = pair[1].fileno()
    run(loop)
    assert seen == ["fed"]


def test_a_descriptor_number_that_is_used_again(loop, core):
    """The kernel forgot the old file; the watcher of the new one with the same number must see its events."""
    seen = []
    first, second = socket.socketpair()
    number = first.fileno()
    io = loop.io(number, core.READ)
    io.start(print, "of the old file")
    loop.run(nowait=True)
    io.stop()
    first.close()
    second.close()
    third, fourth = socket.socketpair()
    with third, fourth:
        assert number in (third.fileno(), fourth.fileno())
        io = loop.io(number, core.READ)
        io.start(lambda: (seen.append("of the new file"), io.stop()))
        (fourth if third.fileno() == number else third).send(b"x")
        run(loop)
    assert seen == ["of the new file"]


def test_closing_fd(loop, pair):
    """To be called before closing a descriptor; nothing happens to other watchers, and odd numbers are no error."""
    assert loop.closing_fd(pair[0].fileno()) in (False, True)
    seen = []
    pair[1].send(b"x")
    io = loop.io(pair[0].fileno(), 1)
    io.start(lambda: (seen.append("io"), io.stop()))
    loop.closing_fd(pair[1].fileno())
    run(loop)
    assert seen == ["io"]


# ---- timer -----------------------------------------------------------------------------------------------------------------------


def test_timers_fire_in_the_order_of_their_times(loop):
    order = []
    timers = []
    for milliseconds in (7, 3, 9, 1, 5):
        timer = loop.timer(milliseconds / 1000)
        timer.start(order.append, milliseconds)
        timers.append(timer)
    run(loop)
    assert order == [1, 3, 5, 7, 9]
    assert not any(timer.active for timer in timers)


def test_timer_waits_as_long_as_it_says(loop):
    began = time.monotonic()
    timer = loop.timer(0.05)
    timer.start(int)
    run(loop)
    assert 0.045 <= time.monotonic() - began < 5


def test_a_timer_that_does_not_repeat_is_stopped_before_its_callback(loop):
    seen = []
    timer = loop.timer(0)
    timer.start(lambda: seen.append((timer.active, timer.pending)))
    run(loop)
    assert seen == [(False, False)]
    assert timer.callback is None
    assert timer.args is None


def test_a_repeating_timer(loop):
    order = []
    timer = loop.timer(0, 0.001)

    def tick():
        order.append(timer.active)
        if len(order) == 4:
            timer.stop()

    timer.start(tick)
    run(loop)
    assert order == [True] * 4


@pytest.mark.parametrize("after", [0, 0.0, -1, -1e300])
def test_a_timer_that_is_due_fires_in_the_next_round(loop, after):
    order = []
    timer = loop.timer(after)
    timer.start(order.append, "fired")
    run(loop)
    assert order == ["fired"]


@pytest.mark.parametrize("repeat", [-1, -0.001, math.nan, -math.inf])
def test_timer_negative_repeat(loop, repeat):
    """COR-03: libev would abort."""
    with pytest.raises(ValueError, match="repeat"):
        loop.timer(1, repeat)


def test_timer_not_a_number(loop):
    """COR-03: a NaN would spoil the order of all timers."""
    with pytest.raises(ValueError, match=r"NaN|nan"):
        loop.timer(math.nan)


@pytest.mark.parametrize("wrong", [None, "1", [], object()])
def test_timer_times_of_the_wrong_type(loop, wrong):
    """COR-03"""
    with pytest.raises((TypeError, ValueError)):
        loop.timer(wrong)
    with pytest.raises((TypeError, ValueError)):
        loop.timer(1, wrong)


def test_a_timer_that_never_comes(loop):
    order = []
    never = loop.timer(math.inf)
    never.start(order.append, "never")
    timer = loop.timer(0.001)
    timer.start(lambda: (order.append("timer"), never.stop()))
    run(loop)
    assert order == ["timer"]


def test_timer_at(loop):
    """at is the loop's time of the next event; two timers started at the same loop time differ as their delays do."""
    first, second = loop.timer(10), loop.timer(25)
    loop.update()
    first.start(int, update=False)
    second.start(int, update=False)
    assert second.at - first.at == pytest.approx(15, abs=1e-6)
    with pytest.raises(AttributeError):
        first.at = 5


@pytest.mark.parametrize("method", ["start", "again"])
def test_timer_start_refreshes_the_time_of_the_loop(loop, method):
    """COR-06"""
    loop.update()
    stale = loop.timer(10, 10)
    getattr(stale, method)(int, update=False)
    time.sleep(0.02)
    still = loop.timer(10, 10)
    getattr(still, method)(int, update=False)
    assert still.at == stale.at
    fresh = loop.timer(10, 10)
    getattr(fresh, method)(int)
    assert fresh.at - stale.at >= 0.015
    time.sleep(0.02)
    explicit = loop.timer(10, 10)
    getattr(explicit, method)(int, update=True)
    assert explicit.at - fresh.at >= 0.015


def test_timer_start_takes_update_None(loop):
    """As current upstream has it: the loop decides."""
    order = []
    timer = loop.timer(0)
    timer.start(order.append, 1, update=None)
    run(loop)
    assert order == [1]


def test_timer_again_restarts_the_repeat(loop):
    order = []
    timer = loop.timer(30, 0.001)  # again() leaves out the first delay

    def tick():
        order.append("tick")
        if len(order) == 2:
            timer.stop()

    timer.again(tick)
    assert timer.active
    run(loop)
    assert order == ["tick", "tick"]


def test_timer_again_puts_the_event_off(loop):
    loop.update()
    timer = loop.timer(5, 50)
    timer.start(int, update=False)
    first = timer.at
    timer.again(int, update=False)
    assert timer.at - first == pytest.approx(45, abs=1e-6)


def test_timer_again_without_repeat_stops(loop):
    order = []
    timer = loop.timer(0.001)
    timer.again(order.append, "not started")
    assert not timer.active
    timer.start(order.append, "stopped")
    timer.again(order.append, "again")
    assert not timer.active
    run(loop)
    assert order == []
    gone = weakref.ref(timer)
    del timer
    collect_garbage()
    assert gone() is None


@pytest.mark.parametrize("not_callable", [None, 5])
def test_timer_again_needs_a_callable(loop, not_callable):
    timer = loop.timer(1, 1)
    with pytest.raises(TypeError, match="callable"):
        timer.again(not_callable)
    assert not timer.active


def test_now_and_update(loop):
    loop.update()
    now = loop.now()
    assert abs(now - time.time()) < 5
    time.sleep(0.02)
    assert loop.now() == now
    loop.update()
    second = loop.now()
    assert second - now >= 0.015
    time.sleep(0.02)
    loop.update_now()
    assert loop.now() - second >= 0.015


def test_many_timers(loop):
    """The heap keeps its order while timers come and go."""
    order = []
    timers = [loop.timer(((number * 37) % 500) * 1e-5) for number in range(500)]
    for number, timer in enumerate(timers):
        timer.start(lambda number=number: order.append((number * 37) % 500), update=False)
    for timer in timers[::3]:
        timer.stop()
    expected = sorted((number * 37) % 500 for number in range(500) if number % 3)
    run(loop)
    assert order == expected


# ---- idle, prepare, check --------------------------------------------------------------------------------------------------------


def test_prepare_poll_check(loop, pair):
    """prepare comes before the poll, check right after it and, at the same priority or above, before the other events."""
    left, right = pair
    order = []
    prepare, check = loop.prepare(ref=False), loop.check(ref=False, priority=2)
    prepare.start(order.append, "prepare")
    check.start(order.append, "check")
    right.send(b"x")
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (order.append("io"), io.stop()))
    loop.run(nowait=True)
    assert order == ["prepare", "check", "io"]
    loop.run(nowait=True)
    assert order == ["prepare", "check", "io", "prepare", "check"]


def test_prepare_may_start_what_the_poll_then_sees(loop, pair):
    left, right = pair
    right.send(b"x")
    order = []
    io = loop.io(left.fileno(), 1)

    def before():
        order.append("prepare")
        prepare.stop()
        io.start(lambda: (order.append("io"), io.stop()))

    prepare = loop.prepare()
    prepare.start(before)
    loop.run(nowait=True)
    assert order == ["prepare", "io"]


def test_idle_runs_when_there_is_nothing_else(loop, pair):
    left, right = pair
    right.send(b"xxx")
    order = []
    idle = loop.idle()
    io = loop.io(left.fileno(), 1)

    def readable():
        order.append(("io", left.recv(1)))
        if len(order) == 3:
            io.stop()

    idle.start(lambda: (order.append("idle"), idle.stop()))
    io.start(readable)
    run(loop)
    assert order == [("io", b"x")] * 3 + ["idle"]


def test_idle_waits_for_events_of_its_own_or_higher_priority_only(loop, pair):
    """SPW-04"""
    left, right = pair
    right.send(b"x")
    order = []
    rounds = []
    io = loop.io(left.fileno(), 1, priority=0)
    idles = {priority: loop.idle(priority=priority) for priority in (-1, 0, 1)}

    def readable():  # not read: ready again in every round
        rounds.append(1)
        if len(rounds) == 3:
            io.stop()

    for priority, idle in idles.items():
        idle.start(lambda priority=priority, idle=idle: (order.append((priority, len(rounds) < 3)), idle.stop()))
    io.start(readable)
    run(loop)
    assert order == [(1, True), (0, False), (-1, False)]


def test_idle_keeps_the_loop_from_waiting(loop):
    order = []
    far = loop.timer(30)
    far.start(order.append, "far")
    idle = loop.idle()

    def tick():
        order.append("idle")
        if len(order) == 3:
            idle.stop()
            far.stop()

    idle.start(tick)
    run(loop)
    assert order == ["idle"] * 3


# ---- stat ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["str", "bytes", "path", "non-ASCII", "surrogate"])
def test_stat_paths(loop, tmp_path, how):
    """COR-08"""
    path = os.fspath(tmp_path / {"non-ASCII": "n\u00e4me", "surrogate": "n\udcffme"}.get(how, "name"))
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        pytest.skip(f"{path!r} cannot be a path in the file system encoding {sys.getfilesystemencoding()!r}")
    given = {"bytes": os.fsencode, "path": pathlib.Path}.get(how, str)(path)
    with open(path, "wb") as file:
        file.write(b"12345")
    watcher = loop.stat(given)
    assert os.fsencode(watcher.path) == os.fsencode(path)
    watcher.start(int)
    assert watcher.attr.st_size == 5
    expected = os.stat(path)
    for name in ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size"):
        assert getattr(watcher.attr, name) == getattr(expected, name), name
    assert watcher.attr.st_mtime == pytest.approx(expected.st_mtime, abs=1)
    assert stat_module.S_ISREG(watcher.attr.st_mode)


def test_stat_tells_changes(loop, tmp_path):
    """COR-08: attr and prev are None for a missing file."""
    path = tmp_path / "file"
    seen = []

    def size(attributes):
        return None if attributes is None else attributes.st_size

    steps = [functools.partial(path.write_bytes, b"123"), functools.partial(path.write_bytes, b"12345"), path.unlink]
    watcher = loop.stat(str(path), 0.1)
    assert watcher.interval == pytest.approx(0.1)
    assert (watcher.attr, watcher.prev) == (None, None)

    def changed():
        now = (size(watcher.prev), size(watcher.attr))
        if seen[-1:] == [now] or now == (None, 0) or now[1] == 0:
            return  # the file between its creation and its first byte
        seen.append(now)
        if steps:
            steps.pop(0)()
        else:
            watcher.stop()

    watcher.start(changed)
    assert (watcher.attr, watcher.prev) == (None, None)
    loop.run_callback(steps.pop(0))
    run(loop)
    assert [after for before, after in seen] == [3, 5, None]
    for name in ("attr", "prev", "path", "interval"):
        with pytest.raises(AttributeError):
            setattr(watcher, name, getattr(watcher, name))


@pytest.mark.parametrize("path", [None, 5, 1.5, ["/"]])
def test_stat_path_of_the_wrong_type(loop, path):
    """COR-03"""
    with pytest.raises(TypeError):
        loop.stat(path)


@pytest.mark.parametrize("path", ["/tmp/\0x", b"/tmp/\0x"])
def test_stat_path_with_a_NUL(loop, path):
    """COR-03"""
    with pytest.raises(ValueError, match=r"(?i)nul"):
        loop.stat(path)


@pytest.mark.parametrize("interval", [-1, math.nan, -math.inf])
def test_stat_bad_interval(loop, interval):
    """COR-03"""
    with pytest.raises(ValueError, match=r"interval|repeat|NaN|nan"):
        loop.stat("/", interval)


# ---- signal ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, -1, signal.NSIG, 10_000, 1 << 40, -(1 << 40)])
def test_signal_number_that_does_not_exist(loop, number):
    """COR-03: libev would abort."""
    with pytest.raises((ValueError, OverflowError)):
        loop.signal(number)


@pytest.mark.parametrize("number", [None, "SIGUSR1", 10.0])
def test_signal_number_of_the_wrong_type(loop, number):
    """COR-03"""
    with pytest.raises(TypeError):
        loop.signal(number)


def test_every_signal_number_can_be_had(core, loop):
    for number in range(1, signal.NSIG):
        assert isinstance(loop.signal(number), core.signal)


def test_signal(loop):
    order = []
    watcher = loop.signal(SIGNAL)

    def caught():
        order.append("signal")
        if len(order) == 3:
            watcher.stop()
        else:
            os.kill(os.getpid(), SIGNAL)

    watcher.start(caught)
    timer = loop.timer(0.001)
    timer.start(os.kill, os.getpid(), SIGNAL)
    run(loop)
    assert order == ["signal"] * 3


def test_several_watchers_of_one_signal(loop):
    order = []
    watchers = [loop.signal(SIGNAL, priority=priority) for priority in (0, 2, 1)]
    for watcher in watchers:
        watcher.start(lambda watcher=watcher: (order.append(watcher.priority), watcher.stop()))
    os.kill(os.getpid(), SIGNAL)
    run(loop)
    assert order == [2, 1, 0]


def test_stopping_one_of_several_watchers_of_a_signal(loop):
    order = []
    first, second = loop.signal(SIGNAL), loop.signal(SIGNAL)
    first.start(order.append, "first")
    second.start(lambda: (order.append("second"), second.stop()))
    first.stop()
    os.kill(os.getpid(), SIGNAL)
    run(loop)
    assert order == ["second"]


def test_signal_is_seen_from_a_poll_that_waits(loop):
    order = []
    watcher = loop.signal(SIGNAL)
    watcher.start(lambda: (order.append("signal"), watcher.stop()))
    thread = threading.Thread(target=os.kill, args=(os.getpid(), SIGNAL))
    timer = loop.timer(0.01)
    timer.start(thread.start)
    run(loop)
    thread.join()
    assert order == ["signal"]


def test_a_python_handler_is_in_force_again_when_a_signal_is_not_watched_any_more(loop):
    """libev by itself would leave the signal at its default, which ends the process."""
    order = []
    signal.signal(SIGNAL, lambda *args: order.append("python"))
    first, second = loop.signal(SIGNAL), loop.signal(SIGNAL)
    first.start(order.append, "loop")
    second.start(int)
    os.kill(os.getpid(), SIGNAL)
    loop.run(nowait=True)
    second.stop()
    first.stop()
    os.kill(os.getpid(), SIGNAL)
    assert order == ["loop", "python"]


def test_one_signal_on_two_loops(core, loop):
    """libev would abort the process."""
    other = core.loop(default=False)
    order = []
    first, second = loop.signal(SIGNAL), other.signal(SIGNAL)
    first.start(order.append, "first")
    with pytest.raises((ValueError, RuntimeError), match=f"{SIGNAL.name}|{int(SIGNAL)}"):
        second.start(order.append, "second")
    assert not second.active
    assert second.callback is None
    first.stop()
    second.start(lambda: (order.append("second"), second.stop()))
    os.kill(os.getpid(), SIGNAL)
    run(other)
    other.destroy()
    assert order == ["second"]


def test_a_signal_is_free_again_when_its_loop_is_destroyed(core, loop):
    order = []
    other = core.loop(default=False)
    first = other.signal(SIGNAL)
    first.start(order.append, "destroyed")
    other.destroy()
    watcher = loop.signal(SIGNAL)
    watcher.start(lambda: (order.append("signal"), watcher.stop()))
    os.kill(os.getpid(), SIGNAL)
    run(loop)
    assert order == ["signal"]


@pytest.mark.parametrize("which", ["default", "other"])
def test_python_signal_handlers_run_while_the_loop_waits(backend, which):
    """COR-12, COR-13: at once, also when the signal comes just before the poll or reaches another thread first."""
    script("python_signals", backend, which)


# ---- child -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pidfd", "sigchld"])
@pytest.mark.parametrize("which", ["default", "other"])
def test_child(backend, which, method):
    """COR-07: without pidfd on the default loop only."""
    if method == "pidfd" and not child_anywhere():
        pytest.skip("this kernel has no pidfd_open")
    script("child", backend, which, env={"GEVENT_CHILD_WATCHER": method})


@pytest.mark.parametrize("pid", [-1, -5, 1 << 40])
def test_child_pid_that_cannot_be(core, pid):
    """COR-03"""
    loop = core.loop(default=False)
    with pytest.raises((ValueError, OverflowError, TypeError)):
        loop.child(pid)
    loop.destroy()


@pytest.mark.parametrize("which", ["default", "other"])
def test_SIGCHLD_is_not_taken(backend, which):
    """COR-07: making and running a loop neither handles SIGCHLD nor reaps children that nobody asked it to watch."""
    script("sigchld", backend, which)


# ---- fork ------------------------------------------------------------------------------------------------------------------------


def test_reinit_keeps_every_watcher_working(loop, watchers, kind):
    seen = []
    watcher = watchers.make(loop, kind)
    watcher.start(lambda: (seen.append(kind), watcher.stop()))
    loop.run_callback(seen.append, "callback")
    loop.reinit()
    if kind == "stat":
        loop.run(nowait=True)  # libev tells inotify of the file again in the next round, and would not see what happens before
    watchers.trigger(loop, kind, watcher)
    run_one(loop, kind)
    assert seen == ["callback", kind]


def test_fork_watchers_come_before_other_events(loop, pair):
    left, right = pair
    right.send(b"x")
    order = []
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (order.append("io"), io.stop()))
    forks = [loop.fork(ref=False, priority=priority) for priority in (0, 1)]
    for fork in forks:
        fork.start(lambda fork=fork: order.append(("fork", fork.priority)))
    loop.run(nowait=True)
    io.start(lambda: (order.append("io"), io.stop()))
    loop.reinit()
    run(loop)
    assert order == ["io", ("fork", 1), ("fork", 0), "io"]


@pytest.mark.parametrize("which", ["default", "other"])
def test_fork_and_reinit(backend, which):
    script("fork", backend, which)


@pytest.mark.parametrize("which", ["default", "other"])
def test_fork_while_threads_send(backend, which):
    """A thread that was sending just then is not in the child, and what it held does not keep the child's senders waiting."""
    script("fork_sending", backend, which)


@pytest.mark.parametrize("which", ["default", "other"])
def test_fork_inside_a_callback(backend, which):
    script("fork_inside", backend, which)


@pytest.mark.parametrize("which", ["default", "other"])
def test_abandon(backend, which):
    script("abandon", backend, which)


# ---- destroy ---------------------------------------------------------------------------------------------------------------------


def test_destroyed_loop(core):
    """COR-05"""
    loop = core.loop(default=False)
    loop.destroy()
    for operation in (
        loop.now,
        loop.update,
        loop.update_now,
        loop.run,
        loop.ref,
        loop.unref,
        loop.break_,
        loop.verify,
        functools.partial(loop.run_callback, len),
        functools.partial(loop.run_callback_threadsafe, len),
        lambda: loop.io(0, 1).start(len),
        lambda: loop.timer(0).start(len),
        lambda: loop.timer(0, 1).again(len),
        lambda: loop.signal(SIGNAL).start(len),
        lambda: loop.stat("/").start(len),
        lambda: loop.async_().start(len),
        lambda: loop.idle().start(len),
        lambda: loop.prepare().start(len),
        lambda: loop.check().start(len),
        lambda: loop.fork().start(len),
        lambda: loop.depth,
        lambda: loop.iteration,
        lambda: loop.pendingcnt,
        lambda: loop.backend,
        lambda: loop.backend_int,
    ):
        with pytest.raises(ValueError, match="destroyed"):
            operation()
    assert "destroyed" in repr(loop)
    loop.destroy()  # once more: nothing happens
    for operation in (
        loop.reinit,
        loop.abandon,
        loop.fileno,
        loop.install_sigchld,
        loop.reset_sigchld,
        functools.partial(loop.closing_fd, 0),
    ):
        with contextlib.suppress(ValueError):
            operation()
    assert not loop.ptr


def test_watchers_of_a_destroyed_loop(core, watchers, kind):
    """COR-05"""
    loop = core.loop(default=False)
    made = [watchers.make(loop, kind) for _ in range(4)]
    made[0].start(print, "started")
    made[1].start(print, "stopped")
    made[1].stop()
    made[2].feed(1, print, "fed")
    loop.destroy()
    for watcher in made:
        assert not watcher.active
        assert not watcher.pending
        assert type(watcher).__name__ in repr(watcher)
        with pytest.raises(ValueError, match="destroyed"):
            watcher.start(len)
        with pytest.raises(ValueError, match="destroyed"):
            watcher.feed(1, len)
        if kind == "timer":
            with pytest.raises(ValueError, match="destroyed"):
                watcher.again(len)
        if kind == "async_":
            with pytest.raises(ValueError, match="destroyed"):
                watcher.send()
        # Cleaning up after the fact may be refused or do nothing, and reading is harmless.
        with contextlib.suppress(ValueError):
            watcher.stop()
        with contextlib.suppress(ValueError):
            watcher.close()
        with contextlib.suppress(ValueError):
            watcher.ref = False
        for name in ("ref", "priority", "callback", "args", "at", "attr", "prev", "fd", "events", "pid", "rpid", "rstatus"):
            with contextlib.suppress(ValueError, AttributeError):
                getattr(watcher, name)
        assert watcher.loop is loop


@pytest.mark.parametrize("state", ["started", "fed", "unrefd"])
def test_destroy_releases_what_was_started(core, watchers, kind, state):
    loop = core.loop(default=False)

    class Argument:
        pass

    argument = Argument()
    watcher = watchers.make(loop, kind, ref=state != "unrefd")
    if state == "fed":
        watcher.feed(1, id, argument)
    else:
        watcher.start(id, argument)
    gone = [weakref.ref(watcher), weakref.ref(argument)]
    del watcher, argument
    collect_garbage()
    assert [reference() is None for reference in gone] == [False, False]
    loop.destroy()
    collect_garbage()
    assert [reference() is None for reference in gone] == [True, True]


def test_destroy_forgets_queued_callbacks(core):
    order = []
    loop = core.loop(default=False)
    callback = loop.run_callback(order.append, 1)
    posted = loop.run_callback_threadsafe(order.append, 2)
    loop.destroy()
    callback.stop()
    posted.stop()
    assert order == []


def test_destroy_inside_callbacks(backend):
    """Inside the callback of every kind of watcher, of a queued callback, of an inner run(); run() returns, nothing crashes."""
    assert script("destroy_inside", backend) == [*KINDS, "run_callback", "run_callback_threadsafe", "nested", "handler"]


def test_default_loop(backend):
    """COR-05: one libev loop per process behind all default loops, which can be destroyed once, and then be had anew."""
    script("default_loop", backend)


# ---- Collected in every state ----------------------------------------------------------------------------------------------------


def collected(references):
    collect_garbage()
    return [reference() is None for reference in references]


def test_collect_never_started(loop, watchers, kind):
    watcher = watchers.make(loop, kind)
    gone = weakref.ref(watcher)
    del watcher
    assert collected([gone]) == [True]
    run(loop)


def test_collect_stopped(loop, watchers, kind):
    watcher = watchers.make(loop, kind)
    watcher.start(print)
    watcher.stop()
    gone = weakref.ref(watcher)
    del watcher
    assert collected([gone]) == [True]
    if kind in ("io", "stat", "fork"):
        watchers.trigger(loop, kind, None)
    run(loop)


def test_collect_closed(loop, watchers, kind):
    """close() is stop() for a watcher whose event may be on its way."""
    watcher = watchers.make(loop, kind)
    watcher.start(print)
    watcher.feed(1, print)
    watcher.close()
    gone = weakref.ref(watcher)
    del watcher
    assert collected([gone]) == [True]
    run(loop)


def test_collect_in_a_cycle_with_its_callback(loop, watchers, kind):
    """A started one stays, as nothing but the event is to end it; after stop() the cycle is garbage."""

    class Owner:
        def __init__(self):
            self.watcher = watchers.make(loop, kind)
            self.watcher.start(self.callback)

        def callback(self):
            pass

    owner = Owner()
    gone = [weakref.ref(owner), weakref.ref(owner.watcher)]
    del owner
    assert collected(gone) == [False, False]
    gone[1]().stop()
    assert collected(gone) == [True, True]


def test_collect_a_cycle_of_a_watcher_that_was_never_started(loop, watchers, kind):
    """callback and args may be set without start: that must not keep the watcher."""
    watcher = watchers.make(loop, kind)
    watcher.callback = watcher.stop
    watcher.args = (watcher,)
    gone = weakref.ref(watcher)
    del watcher
    assert collected([gone]) == [True]


def test_collect_fed(loop, watchers, kind):
    """A fed watcher is called although nobody holds it, and goes then."""
    seen = []
    watcher = watchers.make(loop, kind)
    watcher.feed(1, seen.append, kind)
    gone = weakref.ref(watcher)
    del watcher
    assert collected([gone]) == [False]
    run(loop)
    assert seen == [kind]
    assert collected([gone]) == [True]


def test_collect_fed_and_stopped(loop, watchers, kind):
    watcher = watchers.make(loop, kind)
    watcher.feed(1, print)
    watcher.stop()
    gone = weakref.ref(watcher)
    del watcher
    assert collected([gone]) == [True]
    run(loop)


def test_collect_started_fed_and_stopped(loop, watchers, kind):
    watcher = watchers.make(loop, kind)
    watcher.start(print)
    watcher.feed(1, print)
    watcher.feed(1, print)
    watcher.stop()
    gone = weakref.ref(watcher)
    del watcher
    assert collected([gone]) == [True]
    run(loop)


def test_collect_while_its_event_is_pending(loop, watchers, kind):
    """Stopped and gone by the callback of an event of the same round; what is started in its place gets nothing of it."""
    seen = []
    holder = [watchers.make(loop, kind)]
    gone = weakref.ref(holder[0])
    other = loop.timer(30, ref=False)
    killer = loop.async_(priority=2)

    def kill():
        assert holder[0].pending
        holder.pop().stop()
        seen.append(collected([gone]))
        other.start(seen.append, "started in its place")

    holder[0].start(seen.append, kind)
    holder[0].feed(1, seen.append, kind)
    killer.feed(1, kill)
    run(loop)
    other.stop()
    assert seen == [[True]]


def test_collect_inside_the_own_callback(loop, watchers, kind):
    """The last reference goes while libev is still calling back."""
    seen = []
    holder = [watchers.make(loop, kind)]
    gone = weakref.ref(holder[0])

    def fired():
        holder.pop().stop()
        collect_garbage()
        seen.append(kind)

    holder[0].start(fired)
    watchers.trigger(loop, kind, holder[0])
    del watchers
    run_one(loop, kind)
    assert seen == [kind]
    assert collected([gone]) == [True]


def test_collect_inside_the_own_callback_with_an_error(loop, watchers, errors, kind):
    seen = []
    holder = [watchers.make(loop, kind)]
    gone = weakref.ref(holder[0])

    def fired():
        holder.pop().stop()
        collect_garbage()
        seen.append(kind)
        raise ValueError(kind)

    holder[0].start(fired)
    watchers.trigger(loop, kind, holder[0])
    run_one(loop, kind)
    assert seen == [kind]
    assert [error.args for context, error in errors.take()] == [(kind,)]
    assert collected([gone]) == [True]


def test_collect_after_firing(loop):
    """A timer stops by itself."""
    timer = loop.timer(0)
    gone = weakref.ref(timer)
    timer.start(int)
    del timer
    run(loop)
    assert collected([gone]) == [True]


def test_collect_after_an_error_stopped_it(loop, pair, errors):
    pair[1].send(b"x")
    io = loop.io(pair[0].fileno(), 1)
    gone = weakref.ref(io)
    io.start(raises(ValueError("stop")))
    del io
    run(loop)
    assert len(errors.take()) == 1
    assert collected([gone]) == [True]


def test_collect_restarted_inside_the_callback(loop):
    """stop() and start() in the callback leave one started watcher, not none and not one that never goes."""
    seen = []
    timer = loop.timer(0.001)
    gone = weakref.ref(timer)

    def fired():
        seen.append("fired")
        if len(seen) < 3:
            gone().stop()
            gone().start(fired)

    timer.start(fired)
    del timer
    run(loop)
    assert seen == ["fired"] * 3
    assert collected([gone]) == [True]


def test_collect_a_watcher_together_with_its_destroyed_loop(core, watchers, kind):
    loop = core.loop(default=False)
    watcher = watchers.make(loop, kind)
    watcher.start(print)
    loop.destroy()
    gone = [weakref.ref(watcher), weakref.ref(loop)]
    del watcher, loop
    assert collected(gone) == [True, True]


def test_collect_the_loop_before_its_watchers(core, watchers, kind):
    """A watcher keeps its loop."""
    loop = core.loop(default=False)
    gone = weakref.ref(loop)
    watcher = watchers.make(loop, kind)
    del loop
    assert collected([gone]) == [False]
    watcher.start(print)
    watcher.stop()
    del watcher
    assert collected([gone]) == [True]


def test_collect_a_callback_object(loop):
    order = []
    callback = loop.run_callback(order.append, 1)
    loop.run_callback(order.append, 2)
    del callback
    collect_garbage()
    run(loop)
    assert order == [1, 2]


# ---- What the modules above build on: ready queue, parks, waits -------------------------------------------------------------------


class Hub:
    """The least that a hub is: a greenlet inside loop.run(), known to the loop, and the parent of those that wait."""

    def __init__(self, loop):
        self.loop = loop
        self.order = []
        self.again()

    def again(self):
        """For another :meth:`run`."""
        self.greenlet = self.loop.hub = greenlet.greenlet(lambda: run(self.loop))

    def spawn(self, function, *args):
        """A greenlet under the hub, queued to run ``function(*args)``."""
        spawned = greenlet.greenlet(function, self.greenlet)
        if args:
            self.loop.ready_call(spawned.switch, args)
        else:
            self.loop.ready(spawned)
        return spawned

    def run(self):
        """Run the loop to its end; returns what was appended to ``order``."""
        self.greenlet.switch()
        assert self.greenlet.dead
        return self.order


@pytest.fixture
def hub(loop):
    hub = Hub(loop)
    yield hub
    loop.hub = None


def test_ready_is_first_in_first_out(hub, loop):
    """Greenlets, calls and callbacks share one queue."""
    for number in (0, 3):
        hub.spawn(functools.partial(hub.order.append, number))
        loop.ready_call(hub.order.append, (number + 1,))
        loop.run_callback(hub.order.append, number + 2)
    assert hub.run() == [0, 1, 2, 3, 4, 5]


def test_ready_returns_a_ticket_that_takes_it_back(hub, loop):
    spawned = greenlet.greenlet(lambda: hub.order.append("forgotten"), hub.greenlet)
    tickets = [loop.ready(spawned), loop.ready_call(hub.order.append, ("forgotten",)), loop.ready_call(hub.order.append, ("kept",))]
    assert len(set(tickets)) == 3
    assert all(tickets)
    assert loop.forget(tickets[0]) is True
    assert loop.forget(tickets[0]) is False
    assert loop.forget(tickets[1]) is True
    assert loop.forget(0) is False
    assert hub.run() == ["kept"]
    assert loop.forget(tickets[2]) is False


def test_forget_lets_go(hub, loop):
    class Argument:
        pass

    argument = Argument()
    gone = weakref.ref(argument)
    ticket = loop.ready_call(id, (argument,))
    del argument
    assert gone() is not None
    loop.forget(ticket)
    assert collected([gone]) == [True]


def test_ready_from_another_thread(hub, loop):
    keep = loop.timer(10)
    keep.start(hub.order.append, "too late")

    def post():
        spawned = greenlet.greenlet(lambda: None)
        del spawned
        loop.ready_call(hub.order.append, ("call",))
        loop.ready_call(keep.stop, ())

    thread = threading.Thread(target=post)
    loop.run_callback(thread.start)
    assert hub.run() == ["call"]
    thread.join()


def test_an_error_in_a_ready_call_or_greenlet_is_reported(hub, loop, errors):
    first, second = ValueError("the call"), ValueError("the greenlet")
    loop.ready_call(raises(first), ())
    spawned = hub.spawn(raises(second))
    loop.ready_call(hub.order.append, ("after",))
    assert hub.run() == ["after"]
    assert [error for context, error in errors.take()] == [first, second]
    assert spawned.dead


def test_park_wait_and_wake(hub, loop):
    parks = []

    def waiter():
        park = loop.park("an owner")
        parks.append(park)
        hub.order.append("wait")
        hub.order.append(park.wait())

    def waker():
        hub.order.append("wake")
        assert "an owner" in repr(parks[0])
        hub.order.append(parks[0].wake())
        hub.order.append(parks[0].wake())

    hub.spawn(waiter)
    hub.spawn(waker)
    assert hub.run() == ["wait", "wake", True, False, True]


def test_park_woken_before_the_wait(hub, loop):
    """Between being known to others and leaving: the wake-up is kept, and the wait returns at once."""

    def waiter():
        park = loop.park()
        hub.order.append(park.wake())
        hub.order.append(park.wake())
        hub.order.append(park.waiting)
        hub.order.append(park.wait())
        hub.order.append(park.wait(0))

    hub.spawn(waiter)
    assert hub.run() == [True, False, False, True, False]


def test_park_of_a_destroyed_loop_is_not_woken(hub, loop):
    """False, from any native thread, and no error: whoever wakes others goes on with the next."""
    import threading

    park, link = loop.park(), loop.park_call(hub.order.append, "never")
    loop.destroy()
    found = [park.wake(), link.wake()]
    thread = threading.Thread(target=lambda: found.extend([park.wake(), link.wake()]))
    thread.start()
    thread.join()
    assert found == [False] * 4


def test_a_loop_of_another_thread_is_destroyed_with_calls_to_come(core):
    """As the loop of a thread that has ended may be: it lets go of them, and comes to an end."""
    found = []

    def thread_of_the_loop():
        loop = core.loop(default=False)
        found.extend([loop, loop.call_later(60, found.append, "called"), loop.call_later(60, found.append, "called")])

    thread = threading.Thread(target=thread_of_the_loop)
    thread.start()
    thread.join()
    loop, *calls = found
    assert loop.destroy() is True
    assert [call.pending for call in calls] == [False, False]
    assert found[3:] == []


def test_park_wake_only_queues(hub, loop):
    """The woken greenlet runs in its turn, after what was queued before."""
    parks = []

    def waiter():
        parks.append(loop.park())
        parks[0].wait()
        hub.order.append("woken")

    def waker():
        loop.ready_call(hub.order.append, ("before",))
        parks[0].wake()
        loop.ready_call(hub.order.append, ("after",))
        hub.order.append("waker goes on")

    hub.spawn(waiter)
    hub.spawn(waker)
    assert hub.run() == ["waker goes on", "before", "woken", "after"]


@pytest.mark.parametrize("timeout", [0.001, 0, -1])
def test_park_wait_times_out(hub, loop, timeout):
    def waiter():
        hub.order.append(loop.park().wait(timeout))
        hub.order.append(loop.activecnt in (None, 0))

    hub.spawn(waiter)
    assert hub.run() == [False, True]


def test_park_woken_in_time(hub, loop):
    def waiter():
        park = loop.park()
        timer = loop.timer(0.001)
        timer.start(park.wake)
        hub.order.append(park.wait(10))

    hub.spawn(waiter)
    began = time.monotonic()
    assert hub.run() == [True]
    assert time.monotonic() - began < 5
    assert activecnt(loop) == 0


@pytest.mark.parametrize("way", ["timer", "descriptor", "descriptor and timer", "wait_fd", "sleep"])
def test_who_waits_is_not_garbage(hub, loop, way):
    """Known to what it waits for only, and that to the greenlet's own frames only: the loop has it, whatever the collector sees.

    The frames here are of Python functions, whatever is compiled. With CPython 3.15 the collector sees what they hold.
    """
    left, right = socket.socketpair()
    gone = []

    class Witness:
        def __del__(self):
            gone.append("witness")

    def waiter():
        witness = Witness()  # noqa: F841 - it goes with the frame
        if way == "timer":
            hub.order.append(loop.park().wait(0.01))
        elif way == "descriptor":
            hub.order.append(loop.io_park(left.fileno(), 1).wait_io())
        elif way == "descriptor and timer":
            hub.order.append(loop.io_park(left.fileno(), 1).wait_io(60))
        elif way == "wait_fd":
            hub.order.append(loop.wait_fd(left.fileno(), 1))
        else:
            hub.order.append(loop.sleep(0.01))
        hub.order.append(list(gone))

    def collect():
        gc.collect()
        right.send(b"x")

    with left, right:
        hub.spawn(waiter)
        loop.ready_call(collect, ())
        assert hub.run() == [{"timer": False, "wait_fd": 1, "sleep": 0}.get(way, True), []]
    assert activecnt(loop) == 0


def test_the_loop_lets_go_of_who_waited(hub, loop):
    """After a wake-up, a time limit, an error, what was thrown in; and of who waits when the loop is destroyed, once it is thrown out."""
    left, right = socket.socketpair()
    gone = []

    def wait(park, *args):
        gone.append(weakref.ref(greenlet.getcurrent()))
        try:
            (park.wait_io if hasattr(park, "wait_io") else park.wait)(*args)
        except KeyError:
            hub.order.append("thrown")
        except OSError:
            hub.order.append("closed")

    with left, right:
        fd = left.fileno()
        spawned = [hub.spawn(wait, loop.park(), 0.001), hub.spawn(wait, loop.io_park(fd, 1), 0.001)]
        spawned += [hub.spawn(wait, park, 60) for park in (loop.park(), loop.io_park(fd, 1))]
        closed = loop.io_park(fd, 1)
        spawned.append(hub.spawn(wait, closed, 60))
        loop.ready_call(closed.close, (OSError("closed"),))
        for each in spawned[2:4]:
            loop.ready_call(each.throw, (KeyError,))
        assert hub.run() == ["thrown", "thrown", "closed"]
        del spawned, closed, each
        hub.again()
        spawned = [hub.spawn(wait, loop.park(), 60), hub.spawn(wait, loop.io_park(fd, 1))]
        loop.ready_call(loop.destroy, ())
        assert hub.run() == ["thrown", "thrown", "closed"]
        for each in spawned:
            each.parent = greenlet.getcurrent()
            each.throw(KeyError)
        assert hub.order == ["thrown", "thrown", "closed", "thrown", "thrown"]
        del spawned, each
    collect_garbage()
    assert [reference() for reference in gone] == [None] * 7


@pytest.mark.parametrize("timeout", [math.nan, "1", []])
def test_park_bad_timeout(hub, loop, timeout):
    def waiter():
        with pytest.raises((ValueError, TypeError)):
            loop.park().wait(timeout)
        hub.order.append("refused")

    hub.spawn(waiter)
    assert hub.run() == ["refused"]


@pytest.mark.parametrize("timeout", [None, 10])
def test_what_is_thrown_into_a_parked_greenlet_comes_out_of_wait(hub, loop, timeout):
    """Also when it was woken or has timed out at the same moment: its turn is taken back, and the wait is over."""
    parks = []
    failure = ValueError("thrown")

    def waiter():
        park = loop.park()
        parks.append(park)
        try:
            park.wait(timeout)
        except ValueError as error:
            hub.order.append(error)
        hub.order.append(park.waiting)

    first, second = hub.spawn(waiter), hub.spawn(waiter)

    def thrower():
        first.throw(failure)
        parks[1].wake()
        second.throw(failure)

    loop.ready_call(thrower, ())
    assert hub.run() == [failure, False, failure, False]
    assert first.dead
    assert second.dead
    assert activecnt(loop) == 0


def test_a_foreign_switch_into_a_parked_greenlet_is_an_error(hub, loop):
    def waiter():
        with pytest.raises(importlib.import_module("gevent.exceptions").InvalidSwitchError):
            loop.park().wait()
        hub.order.append("refused")

    spawned = hub.spawn(waiter)
    loop.ready_call(spawned.switch, ())
    assert hub.run() == ["refused"]


def test_nobody_can_park_in_the_hub(hub, loop):
    """HUB-04"""
    refused = importlib.import_module("gevent.exceptions").BlockingSwitchOutError

    def in_the_hub():
        for wait in (
            lambda: loop.park().wait(),
            lambda: loop.sleep(0),
            loop.yield_now,
            lambda: loop.wait_fd(0, 1),
            lambda: loop.park().wait(0),
        ):
            with pytest.raises(refused):
                wait()
            hub.order.append("refused")

    loop.run_callback(in_the_hub)
    timer = loop.timer(0)
    timer.start(in_the_hub)
    assert hub.run() == ["refused"] * 10
    assert activecnt(loop) == 0


def test_park_wake_from_another_thread(hub, loop):
    def waiter():
        park = loop.park()
        keep = loop.timer(10)
        keep.start(hub.order.append, "too late")
        thread = threading.Thread(target=park.wake)
        loop.run_callback(thread.start)
        hub.order.append(park.wait())
        keep.stop()
        thread.join()

    hub.spawn(waiter)
    assert hub.run() == [True]


def test_park_call(hub, loop):
    park = loop.park_call(hub.order.append, "called")
    assert park.wake() is True
    assert park.wake() is False
    loop.ready_call(hub.order.append, ("after",))
    cancelled = loop.park_call(hub.order.append, "cancelled")
    cancelled.wake()
    cancelled.cancel()
    cancelled.wake()
    never = loop.park_call(hub.order.append, "never woken")
    assert hub.run() == ["called", "after"]
    assert never.cancel() is False
    with pytest.raises(TypeError, match="callable"):
        loop.park_call(5, "x")


def test_sleep_and_yield_order(hub, loop):
    def worker(name):
        for number in range(3):
            hub.order.append((name, number))
            loop.yield_now()

    def sleeper(name):
        for number in range(2):
            hub.order.append((name, number))
            loop.sleep(0.001 * (number + 1))
        hub.order.append((name, "done"))

    hub.spawn(worker, "a")
    hub.spawn(worker, "b")
    hub.spawn(sleeper, "c")
    assert hub.run() == [
        ("a", 0),
        ("b", 0),
        ("c", 0),
        ("a", 1),
        ("b", 1),
        ("a", 2),
        ("b", 2),
        ("c", 1),
        ("c", "done"),
    ]


def test_greenlets_that_yield_do_not_keep_the_loop_from_polling(hub, loop, pair):
    """SPW-02"""
    left, right = pair
    right.send(b"x")
    stop = []

    def spinner():
        while len(stop) < 2:
            loop.yield_now()

    for _ in range(3):
        hub.spawn(spinner)
    timer = loop.timer(0.005)
    timer.start(stop.append, "timer")
    io = loop.io(left.fileno(), 1)
    io.start(lambda: (stop.append("io"), io.stop()))
    hub.run()
    assert sorted(stop) == ["io", "timer"]


def test_sleep_without_ref(hub, loop):
    """SPW-03"""

    def sleeper():
        loop.sleep(30, False)
        hub.order.append("never")

    spawned = hub.spawn(sleeper)
    assert hub.run() == []
    spawned.parent = greenlet.getcurrent()  # the hub has ended, and PyPy does not go on to a parent's parent
    spawned.throw()
    assert activecnt(loop) == 0


def test_wait_fd(core, hub, loop, pair):
    left, right = pair

    def reader():
        hub.order.append(loop.wait_fd(left.fileno(), core.READ))
        hub.order.append(left.recv(10))
        hub.order.append(bool(loop.wait_fd(left.fileno(), core.READ, 0.001)))
        hub.order.append(loop.wait_fd(left.fileno(), core.WRITE, 10))

    hub.spawn(reader)
    timer = loop.timer(0.001)
    timer.start(right.send, b"x")
    assert hub.run() == [True, b"x", False, True] or hub.order == [core.READ, b"x", False, core.WRITE]
    assert activecnt(loop) == 0


def test_wait_fd_bad_arguments(core, hub, loop):
    def waiter():
        for fd, events in ((-1, 1), (0, 4), (0, 0), (0, -1)):
            with pytest.raises(ValueError, match=r"negative|event mask"):
                loop.wait_fd(fd, events)
            hub.order.append("refused")
        for bad in (1.5, "1", None):
            with pytest.raises(TypeError, match="descriptor"):
                loop.wait_fd(bad, core.READ)

    hub.spawn(waiter)
    assert hub.run() == ["refused"] * 4
    assert activecnt(loop) == 0


def test_throw_into_a_greenlet_that_waits_for_a_descriptor(core, hub, loop, pair):
    """Nothing is left watching: the event that comes later wakes nobody."""
    left, right = pair
    failure = ValueError("thrown")

    def waiter():
        try:
            loop.wait_fd(left.fileno(), core.READ, 10)
        except ValueError as error:
            hub.order.append(error)

    spawned = hub.spawn(waiter)
    timer = loop.timer(0.001)
    timer.start(spawned.throw, failure)
    late = loop.timer(0.002)
    late.start(right.send, b"x")
    assert hub.run() == [failure]
    assert activecnt(loop) == 0


def test_throw_in_the_moment_of_the_event(core, hub, loop, pair):
    """The greenlet is queued already when something is thrown into it: it is not switched to a second time."""
    left, right = pair
    failure = ValueError("thrown")

    def waiter():
        try:
            loop.wait_fd(left.fileno(), core.READ)
        except ValueError as error:
            hub.order.append(error)
        loop.yield_now()
        hub.order.append("goes on")

    spawned = hub.spawn(waiter)
    check = loop.check(priority=-2)

    def throw():
        check.stop()
        spawned.throw(failure)

    right.send(b"x")
    loop.ready_call(check.start, (throw,))
    assert hub.run() == [failure, "goes on"]
    assert activecnt(loop) == 0


def test_wait_fd_of_a_closed_descriptor(backend):
    """COR-03"""
    script("closed_wait", backend)


@pytest.mark.parametrize("how", ["park", "timeout", "sleep", "wait_fd", "throw", "collect"])
def test_destroy_while_greenlets_wait(backend, how):
    """Waking, throwing into or forgetting a greenlet that waits in a destroyed loop does not crash."""
    script("parked", backend, how)


# ---- Exit ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["started", "default", "global", "daemon", "inside", "finalizer", "thread"])
def test_exit(backend, how):
    """The process ends well, whatever state its loops are in."""
    script("exit", backend, how)


@pytest.mark.parametrize("how", ["unmade", "made again", "finalizers", "no descriptors", "two threads"])
def test_misuse_does_not_crash(backend, how):
    """COR-03"""
    script("misuse", backend, how)


# ---- gevent.core -----------------------------------------------------------------------------------------------------------------


def test_gevent_core_is_one_of_the_backends():
    core = importlib.import_module("gevent.core")
    assert core.loop in [find_backend(name).loop for name in BACKENDS if importlib.util.find_spec(f"gevent._libev.{name}")]


def test_gevent_core_names(core):
    """Whatever a backend has of the contract, gevent.core shows."""
    face = importlib.import_module("gevent.core")
    assert set(face.__all__) >= {
        "get_version",
        "get_header_version",
        "supported_backends",
        "recommended_backends",
        "embeddable_backends",
        "time",
        "loop",
    }
    for name in [
        "loop",
        "watcher",
        "callback",
        *KINDS,
        *CONSTANTS,
        "EVENTS",
        "UNDEF",
        "ERROR",
        "LIBEV_EMBED",
        "set_syserr_cb",
        "async",
    ]:
        assert hasattr(face, name), name
        assert hasattr(core, name), name
