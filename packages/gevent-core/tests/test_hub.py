"""The hub: how it is made, ends and is destroyed, what it does with errors, and what LoopExit says."""

import gc
import os
import pathlib
import re
import signal
import sys
import threading
import weakref

import gevent
import greenlet
import pytest
from gevent import hub as hub_module
from gevent._switching import get_hub_if_exists
from gevent._waiting import WaitQueue
from gevent.event import Event
from gevent.hub import (
    BlockingSwitchOutError,
    ConcurrentObjectUseError,
    Hub,
    InvalidSwitchError,
    LoopExit,
    Waiter,
    get_hub,
    get_hub_class,
)
from gevent_testkit import run_script

SCRIPTS = pathlib.Path(__file__).parent / "scripts"


class Failure(Exception):
    pass


class Exit(greenlet.GreenletExit):
    pass


def fail(error):
    raise error


def forever():
    get_hub().switch()


def in_thread(function, *args):
    """What *function* returns, called in a native thread of its own."""
    results = []

    def run():
        try:
            results.append((function(*args), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = results[0]
    if error is not None:
        raise error
    return value


def script(source, *arguments, **env):
    return run_script(source, *arguments, env=env)


# ---- One hub for each thread, on first use ---------------------------------------------------------------------------------------


def test_made_on_first_use():
    """HUB-01, HUB-02: neither importing, nor wait queues, nor Timeout objects make it; the first wait does."""
    source = """
import gevent
from gevent import _switching, core, timeout, greenlet, hub
from gevent._waiting import WaitQueue
from gevent.event import Event
WaitQueue(); gevent.Timeout(5); gevent.getcurrent(); gevent.Timeout.start_new(None)
assert _switching.get_hub_if_exists() is None
assert core.current_loop() is None
gevent.sleep(0)
hub = _switching.get_hub_if_exists()
assert hub is gevent.get_hub() and isinstance(hub, gevent.hub.Hub) and core.current_loop() is hub.loop
"""
    script(source).check()


def test_one_for_each_thread():
    """HUB-01, ALL-05: another thread has another hub and loop; the main thread's is the default loop."""

    def other():
        assert get_hub_if_exists() is None
        mine = get_hub()
        assert mine is get_hub()
        job = gevent.spawn(get_hub)
        assert job.get() is mine
        facts = (mine is get_hub_main, mine.loop is get_hub_main.loop, mine.loop.default, mine.main_hub, mine.thread_ident)
        mine.destroy()
        return facts

    get_hub_main = get_hub()
    same, same_loop, default, main, ident = in_thread(other)
    assert (same, same_loop, default, main) == (False, False, False, False)
    assert ident != get_hub_main.thread_ident == threading.get_ident() == hub_module.MAIN_THREAD
    assert get_hub_main.main_hub is True
    assert get_hub_main.loop.default is True


def test_first_use_in_many_threads_at_once():
    """HUB-17: all of them wait, spawn and end."""
    barrier = threading.Barrier(12)
    results = []

    def run(number):
        barrier.wait()
        gevent.sleep(0.001)
        jobs = [gevent.spawn(lambda n=n: (gevent.sleep(0.0001), n)[1]) for n in range(20)]
        results.append(sum(job.value for job in gevent.joinall(jobs)))
        get_hub().destroy()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [190] * 12


def test_a_hub_ends_with_its_thread():
    """ALL-05: a thread that ends without destroying its hub leaves no descriptor, hub or loop behind.

    In a process of its own: on PyPy, what the JIT has for the functions that are being called may keep what other greenlets had in their
    registers, of a few dozen greenlets at most. There nothing has been called often enough.
    """
    assert script(THREADS_END).check().stdout == "0 [None, None, None, None, None, None, None, None, None, None]\n"


THREADS_END = """
import os, threading, weakref
import gevent
from gevent_testkit import collect_garbage

references = []

def run():
    job = gevent.spawn(gevent.sleep, 0.0001)
    gevent.sleep(0.0002)
    job.join()
    references.append(weakref.ref(gevent.get_hub().loop))

def descriptors():
    gevent.sleep(0.0001)
    collect_garbage()
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))

before = descriptors()
for _ in range(10):
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
print(descriptors() - before, [reference() for reference in references])
"""


def test_destroyed_hubs_of_threads_are_freed():
    """ALL-05: hub and loop, with what was parked under them."""
    references = []

    def run():
        gevent.sleep(0.0001)
        hub = get_hub()
        references.extend([weakref.ref(hub), weakref.ref(hub.loop)])
        hub.destroy()

    for _ in range(3):
        in_thread(run)
    gevent.sleep(0.0001)
    gc.collect()
    assert [reference() for reference in references] == [None] * 6


def test_a_class_of_ones_own():
    """get_hub's arguments go to the class; set_hub and get_hub_class are per thread."""

    def run():
        assert get_hub_class() is Hub
        hub = get_hub(default=False)
        assert hub.loop.default is False
        assert get_hub(default=True) is hub  # only the first call makes one
        gevent.hub.set_hub(None)
        assert get_hub_if_exists() is None
        second = get_hub()
        assert second is not hub
        assert gevent.spawn(pow, 2, 2).get() == 4
        second.destroy()
        hub.destroy()

    in_thread(run)


@pytest.mark.parametrize("loop", ["epoll-of-nonsense", -1, 3.5, object()])
def test_bad_loop_arguments(loop):
    def run():
        with pytest.raises((ValueError, TypeError)):
            get_hub(loop=loop)
        assert get_hub_if_exists() is None

    in_thread(run)


def test_loop_and_default_contradict():
    def run():
        loop = gevent.core.loop(default=False)
        with pytest.raises(TypeError, match="default"):
            Hub(loop, default=False)
        hub = Hub(loop)
        assert hub.loop is loop
        hub.destroy()

    in_thread(run)


# ---- LoopExit ------------------------------------------------------------------------------------------------------------------


def test_loop_exit():
    """HUB-03: the main greenlet gets it when nothing could wake it; everything goes on afterwards."""
    hub = get_hub()
    for _ in range(3):
        with pytest.raises(LoopExit) as caught:
            hub.switch()
        assert caught.value.hub is hub
    assert isinstance(caught.value, Exception)
    assert gevent.spawn(int).get() == 0
    assert not hub.dead


def test_loop_exit_says_who_waits_on_what():
    """HUB-03: the main greenlet and the others, with what they wait on."""

    class Owner:
        def __repr__(self):
            return "<the owner>"

    queue = WaitQueue()
    job = gevent.spawn(queue.wait, Owner(), None)
    with pytest.raises(LoopExit) as caught:
        job.join()
    text = str(caught.value)
    assert re.search(r"the main greenlet waits on <Greenlet at 0x\w+: .*wait\(<the owner>, None\)>", text)
    assert re.search(r"<Greenlet at 0x\w+: .*> waits on <the owner>", text)
    assert "2 waiting greenlet" in text
    assert "LoopExit" in repr(caught.value)
    job.kill()


def test_loop_exit_with_many_waiting():
    """The message stays short."""
    queue = WaitQueue()
    jobs = [gevent.spawn(queue.wait, number, None) for number in range(100)]
    with pytest.raises(LoopExit) as caught:
        gevent.joinall(jobs)
    assert "101 waiting greenlet" in str(caught.value)
    assert "more" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 30
    gevent.killall(jobs)


def test_loop_exit_when_something_has_no_repr():
    """A repr that fails takes nothing from the message but itself, and the hub goes on."""

    class Unprintable(gevent.Greenlet):
        def __repr__(self):
            raise Failure("no repr")

    job = Unprintable(forever)
    job.start()
    with pytest.raises(LoopExit, match="Unprintable"):
        job.join()
    assert not get_hub().dead
    job.kill()


def test_loop_exit_made_by_hand():
    assert LoopExit().hub is None
    assert str(LoopExit()) == ""
    assert str(LoopExit("text")) == "text"


def test_other_threads_keep_the_main_greenlet_waiting():
    """They may set what it waits for. When the last of them has ended, nobody can: LoopExit; HUB-03."""
    result = script(
        """
import threading, time, gevent
from gevent.event import Event
from gevent.hub import LoopExit
event = Event()
def run():
    time.sleep(0.05)
    if rounds:
        event.set()
for rounds in (2, 1, 0):
    event.clear()
    threading.Thread(target=run).start()
    try:
        assert event.wait() is True
    except LoopExit as error:
        assert not rounds
        assert "Event" in str(error), error
        print("LoopExit")
# Who waits for the end of the loop waits for no thread; and gevent's own threads that sleep are no reason to wait.
stop = threading.Event()
threading.Thread(target=stop.wait).start()
gevent.spawn(event.wait)
assert gevent.wait() is True
assert gevent.get_hub().join() is True
stop.set()
gevent.get_hub().threadpool.apply(int)
gevent.get_hub().start_periodic_monitoring_thread()
while threading.active_count() > 1:
    time.sleep(0.001)
try:
    event.wait()
except LoopExit:
    print("LoopExit")
"""
    ).check()
    assert result.stdout == "LoopExit\nLoopExit\n"


def test_a_thread_that_has_not_run_yet():
    """The interpreter counts threads when they first run, and the next thing that we do is to wait."""
    result = script(
        """
import _thread, sys, gevent
from gevent.event import Event
sys.setswitchinterval(1)
for _ in range(20):
    event = Event()
    _thread.start_new_thread(event.set, ())
    assert event.wait() is True
"""
    ).check()
    assert (result.stdout, result.stderr) == ("", "")


def test_a_thread_that_puts_loop_exit_off():
    """Told once, with who waits where; not of threads that have woken us before, nor outside of the main thread."""
    result = script(
        """
import sys, threading, gevent
from gevent.event import Event
from gevent.hub import Hub, get_hub
assert Hub.stuck_after == 60
Hub.stuck_after = 0.01
end = threading.Event()
unrelated = threading.Thread(target=end.wait)
unrelated.start()
# Another thread's hub waits longer than that.
event = Event()
def wait():
    event.wait()
    get_hub().destroy()
thread = threading.Thread(target=wait)
thread.start()
while "waiters" not in repr(event):
    pass
threading.Event().wait(0.2)
event.set()
thread.join()
class Stream:
    text = ""
    def write(self, text):
        self.text += text
        if "stuck" in text:
            loop.run_callback_threadsafe(told.set)
    def flush(self):
        pass
loop, told, sys.stderr = get_hub().loop, Event(), Stream()
gevent.spawn(told.wait)
told.wait()
text, sys.stderr = sys.stderr.text, sys.__stderr__
assert "2 greenlet(s) have waited for 0.01 seconds" in text, text
assert "but 1 other native thread(s)" in text and "the main greenlet waits on <Event" in text, text
# A thread that comes before that is one to wait for.
get_hub().stuck_after = 0.5
first, second = Event(), Event()
threading.Timer(0.001, first.set).start()
first.wait()
threading.Timer(1, second.set).start()
second.wait()
assert get_hub().stuck_after is None
end.set()
try:
    Event().wait()
except gevent.hub.LoopExit:
    print("LoopExit")
"""
    ).check()
    assert (result.stdout, result.stderr) == ("LoopExit\n", "")


def test_a_thread_waits_for_the_main_thread():
    event, found = Event(), []

    def run():
        gevent.get_hub()
        found.append(event.wait())
        gevent.spawn(event.wait)
        found.append(gevent.wait())  # the end of its own loop
        get_hub().destroy()

    thread = threading.Thread(target=run)
    thread.start()
    while "waiters" not in repr(event):
        gevent.sleep(0.001)
    event.set()
    thread.join()
    assert found == [True, True]


# ---- Blocking, wrong switches, two users --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "block",
    [
        lambda: gevent.sleep(0),
        lambda: gevent.sleep(1),
        lambda: get_hub().switch(),
        lambda: Waiter().get(),
        lambda: gevent.spawn(int).join(),
        lambda: gevent.idle(),
        lambda: WaitQueue().wait(None, 1),
        lambda: gevent.wait([gevent.spawn(int)]),
        lambda: get_hub().loop.wait_fd(0, 1, 0.1),
    ],
)
def test_blocking_in_a_callback(block):
    """HUB-04: BlockingSwitchOutError, an AssertionError; the callback's loop goes on."""
    seen = []

    def callback():
        try:
            block()
        except BlockingSwitchOutError as error:
            seen.append(error)

    get_hub().loop.run_callback(callback)
    gevent.sleep(0)
    timer = get_hub().loop.timer(0)
    timer.start(callback)
    gevent.sleep(0.001)
    assert len(seen) == 2
    assert isinstance(seen[0], AssertionError)
    gevent.sleep(0)


def test_hub_switch_out():
    """HUB-04."""
    with pytest.raises(BlockingSwitchOutError):
        get_hub().switch_out()
    with pytest.raises(AssertionError):
        get_hub().run()


def test_two_on_one_waiter():
    """HUB-05: ConcurrentObjectUseError for the second; the first is not disturbed."""
    waiter = Waiter()
    first = gevent.spawn(waiter.get)
    gevent.sleep(0)
    with pytest.raises(ConcurrentObjectUseError):
        waiter.get()
    get_hub().loop.run_callback(waiter.switch, 5)
    assert first.get() == 5


def test_unexpected_switch(reports):
    """HUB-06: not a wrong result; for every kind of wait, and nothing of it is left over."""
    queue = WaitQueue()
    read, write = os.pipe()
    waits = [
        lambda: gevent.sleep(60),
        lambda: queue.wait(None, None),
        lambda: queue.wait(None, 60),
        lambda: get_hub().wait(get_hub().loop.timer(60)),
        lambda: get_hub().loop.wait_fd(read, 1),
        lambda: get_hub().loop.wait_fd(read, 1, 60),
        lambda: gevent.wait([gevent.Greenlet()]),
        lambda: gevent.Greenlet().get(timeout=60),
    ]
    for wait in waits:
        job = gevent.spawn(wait)
        gevent.sleep(0)
        get_hub().loop.run_callback(job.switch, "wrong")
        with pytest.raises(InvalidSwitchError):
            job.get()
        assert len(queue) == 0
    os.close(read)
    os.close(write)
    gevent.sleep(0)
    assert len(reports) == len(waits)
    reports.clear()


# ---- Errors ---------------------------------------------------------------------------------------------------------------------


def test_handle_error_gets_everything(reports):
    """HUB-07: greenlets, raw greenlets, callbacks, watchers; assignment takes effect at once."""
    errors = [Failure(number) for number in range(4)]
    loop = get_hub().loop
    job = gevent.spawn(fail, errors[0])
    raw = gevent.spawn_raw(fail, errors[1])
    callback = loop.run_callback(fail, errors[2])
    timer = loop.timer(0)
    timer.start(fail, errors[3])
    gevent.sleep(0.001)
    found = sorted(reports, key=lambda report: report[1].args)
    assert [(context is want, error) for (context, error), want in zip(found, [job, raw, callback, timer])] == [
        (True, error) for error in errors
    ]
    timer.close()
    reports.clear()
    other = []
    get_hub().handle_error = lambda *args: other.append(args[1])
    gevent.spawn_raw(fail, errors[0])
    gevent.sleep(0)
    assert other == [Failure]


def test_handle_error_that_fails(capsys):
    """HUB-07: both errors are printed, and the loop goes on."""
    hub = get_hub()
    hub.handle_error = lambda *args: fail(KeyError("in the handler"))
    gevent.spawn_raw(fail, Failure("first"))
    gevent.spawn(fail, Failure("second"))
    gevent.sleep(0)
    gevent.sleep(0)
    del hub.handle_error
    text = capsys.readouterr().err
    assert text.count("in the handler") >= 2
    assert "first" in text
    assert "second" in text
    assert gevent.spawn(int).get() == 0


def test_not_error(capsys):
    """HUB-08: not printed; the tuple may be extended."""
    hub = get_hub()
    gevent.spawn_raw(fail, greenlet.GreenletExit())
    gevent.spawn(fail, Exit())
    gevent.sleep(0)
    gevent.sleep(0)
    assert capsys.readouterr().err == ""
    hub.NOT_ERROR = (*Hub.NOT_ERROR, Failure)
    try:
        job = gevent.spawn(fail, Failure())
        gevent.spawn_raw(fail, Failure())
        gevent.sleep(0)
        gevent.sleep(0)
    finally:
        del hub.NOT_ERROR
    assert capsys.readouterr().err == ""
    assert job.exception is not None
    assert Hub.NOT_ERROR == (greenlet.GreenletExit, SystemExit)
    assert Hub.SYSTEM_ERROR == (KeyboardInterrupt, SystemExit, SystemError)


@pytest.mark.parametrize("error_class", [KeyboardInterrupt, SystemExit, SystemError])
@pytest.mark.parametrize("how", ["spawn", "spawn_raw", "callback", "timer"])
def test_system_errors_end_up_in_the_main_greenlet(error_class, how, capsys):
    """HUB-09: whoever raised them."""
    error = error_class("text")
    hub = get_hub()
    timer = hub.loop.timer(0)
    start = {
        "spawn": lambda: gevent.spawn(fail, error),
        "spawn_raw": lambda: gevent.spawn_raw(fail, error),
        "callback": lambda: hub.loop.run_callback(fail, error),
        "timer": lambda: timer.start(fail, error),
    }[how]
    start()
    with pytest.raises(error_class) as caught:
        gevent.sleep(10)
    assert caught.value is error
    gevent.sleep(0)
    assert gevent.spawn(int).get() == 0
    assert ("failed with" in capsys.readouterr().err) is not isinstance(error, SystemExit)
    timer.close()


def test_the_others_go_on_after_a_system_error(capsys):
    """HUB-10: also the greenlet in which the error handler was called."""
    order = []

    def run():
        order.append("before")
        get_hub().handle_system_error(SystemError, SystemError("text"))
        order.append("after")

    gevent.spawn(run)
    gevent.spawn(order.append, "other")
    with pytest.raises(SystemError, match="text"):
        gevent.sleep(10)
    order.append("main")
    gevent.sleep(0)
    assert order == ["before", "main", "other", "after"]


def test_an_error_in_a_raw_greenlet_while_a_system_error_is_handled(reports):
    """HUB-10: the main greenlet waits again inside the handler; whoever fails then is reported as any other."""
    hub = get_hub()
    del hub.handle_error
    told = []
    real = hub.handle_error

    def handler(context, type, value, tb):
        if type is Failure:
            told.append((context, value))
        else:
            real(context, type, value, tb)

    hub.handle_error = handler
    error = Failure()
    gevent.spawn_raw(fail, SystemExit(1))
    raw = gevent.spawn_raw(fail, error)
    with pytest.raises(SystemExit):
        gevent.sleep(10)
    gevent.sleep(0)
    gevent.sleep(0)
    assert told == [(raw, error)]


def test_printed_error(capsys):
    """HUB-11: traceback, then the context and "failed with", to the sys.stderr of the moment."""
    gevent.spawn_raw(fail, Failure("raw"))
    get_hub().loop.run_callback(fail, Failure("callback"))
    assert capsys.readouterr().err == ""
    gevent.sleep(0)
    text = capsys.readouterr().err
    assert re.search(
        r"Traceback \(most recent call last\):\n(?s:.*)Failure: raw\n<greenlet.greenlet .*> failed with Failure\n\n", text
    )
    assert re.search(r"Failure: callback\n<callback .*> failed with Failure\n\n", text)


def test_no_stderr(monkeypatch):
    """HUB-11: sys.stderr may be None, and then nothing happens."""
    monkeypatch.setattr(sys, "stderr", None)
    gevent.spawn_raw(fail, Failure())
    gevent.spawn(fail, Failure())
    gevent.sleep(0)
    gevent.sleep(0)
    assert get_hub().exception_stream is None


def test_a_stderr_that_waits(monkeypatch):
    """HUB-12: when writing means waiting, the report is not lost: it is written in a greenlet."""

    class Cooperative:
        text = ""

        def write(self, text):
            gevent.sleep(0)
            self.text += text

        def flush(self):
            gevent.sleep(0)

    stream = Cooperative()
    monkeypatch.setattr(sys, "stderr", stream)
    gevent.spawn_raw(fail, Failure("one"))
    gevent.spawn(fail, Failure("two"))
    gevent.sleep(0.001)
    gevent.sleep(0.001)
    assert "Failure: one" in stream.text
    assert "Failure: two" in stream.text


def test_a_stderr_that_fails(monkeypatch):
    """The loop survives it."""

    class Broken:
        def write(self, text):
            raise OSError("disk full")

    monkeypatch.setattr(sys, "stderr", Broken())
    gevent.spawn(fail, Failure())
    gevent.sleep(0)
    gevent.sleep(0)
    assert gevent.spawn(int).get() == 0


def test_format_context(capsys):
    """The function that formats the context may be set on a hub's class or a hub, by path or as object."""
    hub = get_hub()
    hub.format_context = "builtins.id"
    hub._formatter = None
    try:
        hub.format_context = lambda context: f"formatted {type(context).__name__}"
        gevent.spawn_raw(fail, Failure())
        gevent.sleep(0)
        assert "formatted greenlet failed with Failure" in capsys.readouterr().err
        hub._formatter = None
        hub.format_context = lambda context: fail(KeyError("format"))
        gevent.spawn_raw(fail, Failure("kept"))
        gevent.sleep(0)
        text = capsys.readouterr().err
        assert "kept" in text
        assert "failed with Failure" in text
    finally:
        del hub.format_context
        hub._formatter = None


@pytest.mark.parametrize("how", ["spawn", "spawn_raw", "callback", "timer", "link", "signal"])
@pytest.mark.parametrize("code", [0, 7])
def test_exit_status(how, code):
    """HUB-09: sys.exit() in a greenlet ends the program, with its status."""
    result = run_script(SCRIPTS / "hub_exit.py", how, code)
    assert (result.status, result.stdout, result.stderr) == (code, "finally\n", "")


def test_keyboard_interrupt():
    """HUB-09: Ctrl-C while everybody waits, and while a greenlet computes: it comes out of the main greenlet."""
    result = run_script(SCRIPTS / "hub_interrupt.py")
    assert result.stdout == "waiting\ncomputing\nend\n"
    assert result.status == 0


# ---- switch_out hooks ------------------------------------------------------------------------------------------------------------


def test_switch_out_hook():
    """HUB-13: called as it leaves for the hub, in every kind of wait, before anybody else runs."""
    order = []

    class Job(gevent.Greenlet):
        def switch_out(self):
            order.append("out")

    def run():
        for wait in (lambda: gevent.sleep(0), lambda: gevent.sleep(0.0001), lambda: gevent.spawn(int).join(), gevent.idle):
            order.append("wait")
            wait()
        order.append("end")

    job = Job(run)
    job.start()
    gevent.spawn(order.append, "other")
    job.join()
    assert order == ["wait", "out", "other", *["wait", "out"] * 3, "end"]


def test_switch_out_of_raw_greenlets():
    """HUB-13: a method of a subclass of greenlet, or an attribute of one instance; the main greenlet too."""
    order = []

    class Raw(greenlet.greenlet):
        def switch_out(self):
            order.append("class")

    raw = Raw(lambda: gevent.sleep(0), get_hub())
    get_hub().loop.run_callback(raw.switch)
    single = gevent.spawn_raw(gevent.sleep, 0)
    single.switch_out = lambda: order.append("instance")
    gevent.sleep(0)
    gevent.sleep(0)
    assert order == ["class", "instance"] or order == ["instance", "class"]
    main = gevent.getcurrent()
    main.switch_out = lambda: order.append("main")
    try:
        gevent.sleep(0)
        gevent.sleep(0.0001)
    finally:
        del main.switch_out
    gevent.sleep(0)
    assert order[2:] == ["main", "main"]


def test_switch_out_that_fails():
    """HUB-13: its error comes out of the wait, and the wait is over: no wake-up comes later."""

    class Job(gevent.Greenlet):
        def switch_out(self):
            raise Failure

    def run():
        del_later = []
        for wait in (lambda: gevent.sleep(0), lambda: gevent.sleep(0.0001)):
            try:
                wait()
            except Failure:
                del_later.append(1)
        return len(del_later)

    job = Job(run)
    job.start()
    assert job.get() == 2
    gevent.sleep(0.001)


# ---- join and destroy -----------------------------------------------------------------------------------------------------------


def test_join():
    """HUB-14: True when there is nothing left to do, False when the time is over first; in the main greenlet only."""
    hub = get_hub()
    assert hub.join() is True
    job = gevent.spawn(gevent.sleep, 60)
    assert hub.join(timeout=0.001) is False
    assert hub.join(timeout=0) is False
    job.kill()
    assert hub.join(timeout=60) is True
    order = []
    gevent.spawn(lambda: (gevent.sleep(0.001), order.append("job")))
    assert hub.join() is True
    assert order == ["job"]
    seen = []

    def wrong():
        with pytest.raises(AssertionError, match="main greenlet"):
            hub.join()
        seen.append(True)

    gevent.spawn(wrong).join()
    assert seen == [True]


def test_join_of_a_dead_hub():
    """HUB-14: True at once."""

    def run():
        hub = get_hub()
        gevent.sleep(0)
        hub.destroy()
        assert hub.join() is True
        assert hub.join(timeout=1) is True

    in_thread(run)


def test_destroy_in_a_thread():
    """HUB-15: its loop goes with it, unless it is to stay; then the next hub has it."""

    def run():
        hub = get_hub()
        loop = hub.loop
        gevent.sleep(0)
        assert hub.destroy() is None
        assert (hub.dead, hub.loop) == (True, None)
        assert get_hub_if_exists() is None
        with pytest.raises(ValueError, match="destroyed"):
            loop.run()
        hub.destroy()  # once more does nothing
        assert "destroyed" in repr(hub)
        second = get_hub()
        assert second is not hub
        gevent.sleep(0.0001)
        kept = second.loop
        second.destroy(destroy_loop=False)
        third = get_hub()
        assert third.loop is kept
        assert gevent.spawn(int).get() == 0
        gevent.sleep(0.0001)
        third.destroy(destroy_loop=True)
        with pytest.raises(ValueError, match="destroyed"):
            kept.run()

    in_thread(run)


def test_destroy_of_one_that_never_ran():
    """HUB-15."""

    def run():
        hub = get_hub()
        loop = hub.loop
        hub.destroy()
        with pytest.raises(ValueError, match="destroyed"):
            loop.run()
        assert get_hub_if_exists() is None

    in_thread(run)


def test_destroy_closes_resolver_and_pool():
    """HUB-15, HUB-18: what was made is closed; what was not is not made for that."""

    class Part:
        def __init__(self, *args, hub):
            self.args, self.hub, self.log = args, hub, []

        def close(self):
            self.log.append("close")

        def kill(self):
            self.log.append("kill")

    def run():
        hub = get_hub()
        hub.resolver_class = hub.threadpool_class = Part
        resolver, pool = hub.resolver, hub.threadpool
        assert hub.resolver is resolver
        assert hub.threadpool is pool
        assert (resolver.hub, pool.hub, pool.args) == (hub, hub, (10,))
        assert "resolver=" in repr(hub)
        assert "threadpool=" in repr(hub)
        hub.destroy()
        assert (resolver.log, pool.log) == (["close"], ["kill"])
        second = get_hub()
        second.resolver_class = second.threadpool_class = None
        second.resolver = "set"
        assert second.resolver == "set"
        del second.resolver
        assert second._resolver is None
        second.threadpool = "pool"
        assert second.threadpool == "pool"
        del second.threadpool
        del second.threadpool
        second.destroy()

    in_thread(run)


@pytest.mark.parametrize("where", ["main", "main never ran", "greenlet", "callback", "timer", "raw"])
@pytest.mark.parametrize("destroy_loop", ["True", "False", "None"])
def test_destroy_of_the_default_hub(where, destroy_loop):
    """HUB-15, HUB-16: from anywhere; the next hub works, destroying that too does not crash, and memory is not touched twice."""
    result = run_script(SCRIPTS / "hub_destroy.py", where, destroy_loop)
    assert (result.status, result.stdout, result.stderr) == (0, "ok\n", "")


def test_waits_under_a_destroyed_hub():
    """HUB-15: they are never woken again, and whoever tries to wake them is not harmed."""
    script(
        """
import gevent, gc
from gevent._waiting import WaitQueue
from gevent.event import Event
queue = WaitQueue()
jobs = [gevent.spawn(queue.wait, None, limit) for limit in (None, 10)]
sleeper = gevent.spawn(gevent.sleep, 10)
gevent.sleep(0)
gevent.get_hub().destroy(destroy_loop=True)
queue.wake_all()
assert gevent.spawn(int).get() == 0
gevent.sleep(0.001)
assert not any(job.ready() for job in jobs)
del jobs, sleeper
gc.collect()
gevent.sleep(0.001)
"""
    ).check()


# ---- Hub.wait, cancel_wait --------------------------------------------------------------------------------------------------


def test_wait_for_a_watcher():
    """HUB-21: started and stopped, also when an exception comes instead."""
    hub = get_hub()
    timer = hub.loop.timer(0.0001)
    assert hub.wait(timer) is None
    assert not timer.active
    timer = hub.loop.timer(60)
    with gevent.Timeout(0.001, False):
        hub.wait(timer)
    assert not timer.active
    job = gevent.spawn(hub.wait, timer)
    gevent.sleep(0)
    assert timer.active
    job.kill()
    assert not timer.active


def test_cancel_wait(reports):
    """HUB-22: the error is raised in the waiter, through the loop."""
    hub = get_hub()
    watcher = hub.loop.timer(60)
    error = Failure()
    job = gevent.spawn(hub.wait, watcher)
    gevent.sleep(0)
    hub.cancel_wait(watcher, error)
    assert not job.ready()
    gevent.sleep(0)
    assert job.exception is error
    assert not watcher.active
    gevent.sleep(0)
    assert reports == [(job, error)]
    reports.clear()
    hub.cancel_wait(watcher, error)  # nobody waits
    hub.cancel_wait(watcher, error, close_watcher=True)
    gevent.sleep(0)


def test_cancel_wait_races_the_event():
    """HUB-22: a wait that ended meanwhile is not disturbed, and neither is the next one."""
    hub = get_hub()
    watcher = hub.loop.timer(0)

    def run():
        hub.wait(watcher)
        gevent.sleep(0.001)
        return "end"

    job = gevent.spawn(run)
    gevent.sleep(0)
    hub.cancel_wait(watcher, Failure)
    watcher.stop()
    assert watcher.callback is None or not watcher.active
    gevent.sleep(0)
    job.kill()


def test_cancel_wait_closes_the_watcher():
    hub = get_hub()
    watcher = hub.loop.timer(60)
    job = gevent.spawn(hub.wait, watcher)
    gevent.sleep(0)
    hub.handle_error = lambda *args: None
    hub.cancel_wait(watcher, Failure, True)
    job.join()
    gevent.sleep(0)
    del hub.handle_error
    assert type(job.exception) is Failure
    assert watcher.callback is None


# ---- Classes by name ---------------------------------------------------------------------------------------------------------------


def test_classes_by_object_path_or_list(tmp_path):
    """HUB-19: for loop, resolver and thread pool, with "folder/module.name" too."""
    (tmp_path / "hub_test_classes.py").write_text("class Resolver:\n    def __init__(self, hub): self.hub = hub\n")

    class Own:
        def __init__(self, *args, hub):
            pass

    def run():
        hub = get_hub()
        for setting, expected in (
            (Own, "Own"),
            (f"{tmp_path}/hub_test_classes.Resolver", "Resolver"),
            (["no.such.Class", f"{tmp_path}/hub_test_classes.Resolver"], "Resolver"),
            ([Own, "no.such.Class"], "Own"),
            ("no.such.Class, types.SimpleNamespace", "SimpleNamespace"),
        ):
            hub.resolver_class = setting
            assert type(hub.resolver).__name__ == expected
            del hub.resolver
        hub.resolver_class = ["no.such.Class", "nor.this.One"]
        with pytest.raises(ImportError, match="nor"):
            hub.resolver  # noqa: B018
        hub.resolver_class = "nodots"
        with pytest.raises(ImportError, match="nodots"):
            hub.resolver  # noqa: B018
        hub.threadpool_class = Own
        hub.threadpool_size = 3
        assert type(hub.threadpool) is Own
        del hub.threadpool, hub.resolver
        hub.destroy()

        class Mine(Hub):
            loop_class = "gevent.core.loop"

        mine = Mine()
        assert type(mine.loop) is gevent.core.loop
        mine.destroy()

    in_thread(run)
    assert str(tmp_path) not in sys.path
    sys.modules.pop("hub_test_classes", None)


def test_backend_of_a_class():
    def run():
        class Mine(Hub):
            backend = "select"

        hub = Mine()
        assert hub.loop.backend == "select"
        hub.destroy()

    in_thread(run)


def test_repr():
    hub = get_hub()
    assert repr(hub).startswith(f"<Hub at {id(hub):#x} ")
    assert "default" in repr(hub)
    hub.name = "main"
    try:
        assert "'main'" in repr(hub)
    finally:
        del hub.name
    assert hub.name == ""


def test_linkproxy():
    seen = []
    proxy = hub_module.linkproxy(seen.append, 5)
    proxy("ignored", 7)
    assert seen == [5]
    assert (proxy.callback, proxy.obj) == (None, None)


# ---- Signals, fork ----------------------------------------------------------------------------------------------------------------


def test_signal():
    """FRK-11: the handler runs in a new Greenlet with its arguments; cancel() ends it; it does not hold the loop."""
    seen = []
    watched = gevent.signal(
        signal.SIGUSR2, lambda *args, **kwargs: seen.append((args, kwargs, type(gevent.getcurrent()))), 1, key=2
    )
    try:
        assert isinstance(watched, hub_module.signal)
        assert watched.ref is False
        assert gevent.wait(timeout=10) is True
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR2)
            with gevent.Timeout(10):
                while not seen:
                    gevent.sleep(0.0005)
            assert seen == [((1,), {"key": 2}, gevent.Greenlet)]
            seen.clear()
        assert f"signal {int(signal.SIGUSR2)}" in repr(watched)
        watched.ref = True
        assert gevent.wait(timeout=0.001) is False
        watched.ref = False
    finally:
        watched.cancel()
    watched.cancel()
    assert gevent.signal_handler is hub_module.signal


@pytest.mark.parametrize("bad", [0, -1, 1000])
def test_signal_numbers(bad):
    """FRK-11: a clear error."""
    with pytest.raises(ValueError, match=str(bad)):
        gevent.signal(bad, int)
    with pytest.raises(TypeError):
        gevent.signal("x", int)
    with pytest.raises(TypeError, match="callable"):
        gevent.signal(signal.SIGUSR2, None)


def test_handler_that_fails(capsys):
    """FRK-11: reported; as an error without a greenlet it ends up in the main greenlet."""
    watched = gevent.signal(signal.SIGUSR2, fail, Failure("in the handler"))
    os.kill(os.getpid(), signal.SIGUSR2)
    try:
        with pytest.raises(Failure):
            gevent.sleep(10)
    finally:
        watched.cancel()
    assert "in the handler" in capsys.readouterr().err


def test_reinit_without_a_hub():
    """FRK-09: does nothing, and makes none."""
    script("import gevent\ngevent.reinit()\nassert gevent._switching.get_hub_if_exists() is None\n").check()


def test_fork():
    """FRK-09: after reinit() a forked child has a working hub, its fork watchers run, and parts are told at once."""
    result = run_script(SCRIPTS / "hub_fork.py").check()
    assert result.stdout == "ok\n"


def test_a_signal_handler_that_comes_while_the_hub_is_made():
    """There is one hub in the end, and what the handler has spawned runs under it."""
    script(
        """
import signal
import gevent
from gevent import _switching, hub

class Interrupted(hub.Hub):
    def __init__(self):
        super().__init__()
        made.append(self)
        if len(made) == 1:
            signal.raise_signal(signal.SIGUSR1)

made = []
spawned = []
signal.signal(signal.SIGUSR1, lambda *args: spawned.append(gevent.spawn(hub.get_hub)))
_switching._thread.hub_class = Interrupted
hub.get_hub()
gevent.sleep(0.001)
assert len(made) == 2
assert made[1] is hub.get_hub() is spawned[0].value is spawned[0].parent
"""
    ).check()


def test_a_signal_handler_that_comes_before_the_first_greenlet():
    """PyPy's greenlet makes a thread's main greenlet on first use, with Python code that a handler may interrupt to make another."""
    script(
        """
import sys
import gevent

def trace(frame, event, arg):
    if frame.f_code.co_name == "_green_create_main":
        sys.settrace(None)
        gevent.sleep(0.0001)  # as a signal handler may

sys.settrace(trace)
gevent.sleep(0.0001)
sys.settrace(None)
assert gevent.spawn(int).get() == 0
"""
    ).check()


@pytest.mark.parametrize("name", ["hub_fork_with", "hub_fork_thread"])
def test_fork_with(name):
    """At-fork hooks may use gevent in the child; and the thread that has forked is the main one there, also where signals are concerned."""
    assert run_script(SCRIPTS / f"{name}.py").check().stdout == "ok\n"


def test_python_optimized():
    """HUB-20: this file's errors for wrong use are raised under python -O as well."""
    source = """
import gevent
from gevent.hub import *
from gevent.hub import BlockingSwitchOutError, ConcurrentObjectUseError
seen = []
def wrong():
    for call, expected in ((lambda: gevent.sleep(1), BlockingSwitchOutError), (lambda: get_hub().switch(), BlockingSwitchOutError)):
        try:
            call()
        except expected:
            seen.append(expected)
get_hub().loop.run_callback(wrong)
gevent.sleep(0)
waiter = Waiter()
job = gevent.spawn(waiter.get)
gevent.sleep(0)
try:
    waiter.get()
except ConcurrentObjectUseError:
    seen.append(1)
try:
    waiter.switch(1)
except AssertionError:
    seen.append(2)
job.kill()
print(len(seen))
"""
    assert script(source, PYTHONOPTIMIZE="2").check().stdout == "4\n"
