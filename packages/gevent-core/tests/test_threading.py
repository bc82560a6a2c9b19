"""gevent.threading: what threading has to know of greenlets. The tests with a script do what gevent-monkey does."""

import gc
import sys
import threading
from pathlib import Path

import gevent
import greenlet
import pytest
from gevent import lock, thread
from gevent import threading as green
from gevent.hub import spawn_raw
from gevent.local import local
from gevent.threading import Thread, Timer, _DummyThread, _set_sentinel, _start_joinable_thread, _ThreadHandle, current_thread
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, run_script

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.fixture(autouse=True)
def _registry():
    """No test may leave a thread in the lists of the standard library."""
    before = dict(threading._active)
    yield
    gevent.sleep(0)
    gc.collect()
    assert threading._active == before
    assert green._unfinished == set()


def test_names():
    """What is patched in exists in threading, and the old names are there."""
    assert {"Lock", "_CRLock", "_DummyThread", "_allocate_lock", "get_ident", "local"} <= set(green.__implements__)
    assert [name for name in green.__implements__ if not hasattr(threading, name) or not hasattr(green, name)] == []
    assert ("_set_sentinel" in green.__implements__) is (sys.version_info < (3, 13))
    assert ("_ThreadHandle" in green.__implements__) is (sys.version_info >= (3, 13))
    assert [name for name in green.__all__ if not hasattr(green, name)] == []
    assert (green.Lock, green._allocate_lock, green.get_ident) == (thread.LockType, thread.standard_lock, thread.get_ident)
    assert (green.RLock, green._CRLock, green.local, green._start_new_thread) == (
        lock.RLock,
        lock.rlock if sys.version_info >= (3, 13) else lock.RLock,
        local,
        thread.start_new_thread,
    )
    assert green.main_thread() is threading.main_thread()
    assert gevent.spawn(threading.get_ident).get() != gevent.spawn(green.get_ident).get()  # importing patches nothing
    assert threading.get_ident() == green.get_ident() == gevent.spawn(green.get_ident, gevent.getcurrent()).get()


# ---- Thread ------------------------------------------------------------------------------------------------------------------------


def test_thread():
    """THR-05: Thread.join and is_alive work for threads that are greenlets."""
    event = gevent.event.Event()
    order = []

    def run(name, wait=True):
        order.append((name, current_thread() is one))
        event.wait()
        order.append("end")

    one = Thread(target=run, name="one", args=("a",), kwargs={"wait": True}, daemon=True)
    assert (one.is_alive(), one.ident, one.native_id) == (False, None, None)
    assert repr(one) == "<Thread(one, initial daemon)>"
    one.start()
    assert one.is_alive()
    assert one.ident not in (None, thread.get_ident())
    assert one.native_id == threading.get_native_id()
    assert repr(one) == f"<Thread(one, started daemon {one.ident})>"
    assert one in threading.enumerate()
    assert order == []
    one.join(0.001)
    one.join(-1)
    assert one.is_alive()
    joiners = [gevent.spawn(one.join), gevent.spawn(one.join, timeout=10)]
    gevent.sleep(0)
    event.set()
    gevent.joinall(joiners, raise_error=True)
    assert not one.is_alive()
    assert order == [("a", True), "end"]
    assert one not in threading.enumerate()
    assert repr(one) == f"<Thread(one, stopped daemon {one.ident})>"
    one.join()
    one.join(timeout=0)


def test_thread_misuse():
    one = Thread(target=gevent.sleep)
    for call in (one.join, lambda: one.join(1)):
        with pytest.raises(RuntimeError, match="cannot join thread before it is started"):
            call()
    one.start()
    with pytest.raises(RuntimeError, match="only be started once"):
        one.start()
    one.join()
    with pytest.raises(RuntimeError, match="only be started once"):
        one.start()
    with pytest.raises(RuntimeError, match="daemon"):
        one.daemon = True

    class Forgetful(Thread):
        def __init__(self):
            pass

    for name in ("start", "join", "is_alive"):
        with pytest.raises(RuntimeError, match="not called"):
            getattr(Forgetful(), name)()


def test_thread_joins_itself():
    errors = []

    def run():
        try:
            two.join()
        except RuntimeError as error:
            errors.append(str(error))

    two = Thread(target=run)
    two.start()
    two.join()
    assert errors == ["cannot join current thread"]


def test_thread_subclass():
    class Adder(Thread):
        total = 0

        def run(self):
            for i in range(4):
                gevent.sleep(0)
                self.total += i

    threads = [Adder() for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each.total for each in threads] == [6, 6, 6]


def test_thread_error(monkeypatch, capsys):
    """An error goes to threading.excepthook; SystemExit is silent there, and so is a kill."""
    caught = []
    monkeypatch.setattr(threading, "excepthook", lambda args: caught.append((args.exc_type, args.thread)))

    def fail():
        raise ValueError("oops")

    one, two = Thread(target=fail), Thread(target=thread.exit)
    one.start()
    two.start()
    one.join()
    two.join()
    assert caught == [(ValueError, one)]
    assert capsys.readouterr().err == ""


def test_thread_killed():
    """From outside, before and after it began."""
    for turns in (0, 1):
        found = []
        callback = found.append
        gevent.Greenlet.add_spawn_callback(callback)
        one = Thread(target=gevent.sleep, args=(10,))
        one.start()
        gevent.Greenlet.remove_spawn_callback(callback)
        for _ in range(turns):
            gevent.sleep(0)
        found[0].kill()
        one.join()
        assert not one.is_alive()


def test_thread_in_the_hub():
    """start() never waits, so a callback of the loop may start one."""
    seen = []
    one = Thread(target=seen.append, args=(1,))
    gevent.get_hub().loop.run_callback(one.start)
    gevent.sleep(0)
    one.join()
    assert seen == [1]


def test_thread_context():
    """Context variables: a thread has its own, empty unless the interpreter is told otherwise."""
    from contextvars import ContextVar

    colour = ContextVar("colour", default="none")
    token = colour.set("red")
    seen = []
    one = Thread(target=lambda: seen.append(colour.get()))
    one.start()
    one.join()
    inherits = getattr(sys.flags, "thread_inherit_context", False)
    assert seen == ["red" if inherits else "none"]
    colour.reset(token)


def test_thread_joined_by_native_thread():
    """From another native thread, which waits in a hub of its own."""
    event = gevent.event.Event()
    one = Thread(target=event.wait)
    one.start()
    done = []

    def join():
        one.join()
        done.append(one.is_alive())
        gevent.get_hub().destroy()

    native = threading.Thread(target=join)
    native.start()
    gevent.sleep(0.01)
    event.set()
    one.join()
    while native.is_alive():
        gevent.sleep(0.001)
    assert done == [False]


def test_timer():
    calls = []
    timer = Timer(0.001, calls.append, [1])
    timer.start()
    timer.join()
    cancelled = Timer(5, calls.append, args=(2,), kwargs={})
    cancelled.start()
    cancelled.cancel()
    cancelled.join()
    assert calls == [1]


# ---- Greenlets that are no threads ---------------------------------------------------------------------------------------------------


def test_current_thread():
    """THR-04: current_thread in a foreign greenlet gives a light dummy that vanishes with its greenlet."""
    assert current_thread() is threading.main_thread()
    seen = []

    def run():
        dummy = current_thread()
        assert current_thread() is dummy
        seen.append(
            (type(dummy), dummy.ident == thread.get_ident(), dummy.is_alive(), dummy.daemon, dummy in threading.enumerate())
        )
        assert isinstance(dummy, threading._DummyThread)
        with pytest.raises(RuntimeError, match="dummy"):
            dummy.join()
        dummies.append(dummy)

    dummies = []
    for spawn in (gevent.spawn, spawn_raw, lambda run: gevent.spawn_later(0.001, run)):
        job = spawn(run)
        gevent.wait([job] if isinstance(job, gevent.Greenlet) else [])
        gevent.sleep(0.002)
        # Joined, and nobody else refers to it: gone at once, without a turn of the garbage collector (PyPy: a Greenlet).
        del job
        if not REFERENCE_COUNTING and spawn is spawn_raw:
            collect_garbage()
        assert [each for each in dummies if each in threading.enumerate()] == []
    foreign = greenlet.greenlet(run)
    foreign.switch()
    del foreign
    if not REFERENCE_COUNTING:
        collect_garbage()
    assert [each for each in dummies if each in threading.enumerate()] == []
    assert seen == [(_DummyThread, True, True, True, True)] * 4
    assert [each.is_alive() for each in dummies] == [False] * 4
    assert repr(dummies[0]).startswith("<_DummyThread(Dummy-")


def test_dummy_gone_before_joiners_run():
    """THR-04"""
    job = gevent.spawn(current_thread)
    job.join()
    assert job.value not in threading.enumerate()
    assert not job.value.is_alive()


def test_current_thread_of_native_thread():
    results = []

    def run():
        results.append(current_thread() is native)
        results.append(gevent.spawn(lambda: type(current_thread())).get())
        gevent.get_hub().destroy()

    native = threading.Thread(target=run)
    native.start()
    native.join()
    assert results == [True, _DummyThread]


# ---- What the standard library's Thread is made of -------------------------------------------------------------------------------------


@pytest.mark.parametrize("spawn", [gevent.spawn, spawn_raw])
def test_sentinel(spawn):
    """Released when the greenlet has ended, of whatever kind."""
    locks = []

    def run():
        locks.append(_set_sentinel())
        locks[0].acquire()
        gevent.sleep(0)

    spawn(run)
    gevent.sleep(0)
    assert locks[0].locked()
    if not REFERENCE_COUNTING and spawn is spawn_raw:
        gevent.sleep(0)
        collect_garbage()
    assert locks[0].acquire(timeout=5)


def test_sentinel_released_by_others():
    lock_ = gevent.spawn(_set_sentinel).get()
    gevent.sleep(0)
    assert not lock_.locked()


def test_handle():
    handle = _ThreadHandle()
    assert (handle.ident, handle.is_done()) == (0, False)
    with pytest.raises(RuntimeError, match="not started"):
        handle.join()
    event = gevent.event.Event()
    assert _start_joinable_thread(event.wait, handle=handle, daemon=False) is handle
    assert handle.ident
    handle.join(0.001)
    handle.join(-5)
    assert not handle.is_done()
    with pytest.raises(RuntimeError, match="already started"):
        _start_joinable_thread(event.wait, handle)
    event.set()
    handle.join()
    assert handle.is_done()
    mine = []

    def join_itself():
        with pytest.raises(RuntimeError, match="current thread"):
            mine[0].join()

    mine.append(_start_joinable_thread(join_itself))
    mine[0].join()
    other = green._make_thread_handle(5)
    assert (other.ident, other.is_done()) == (5, False)
    other._set_done()
    other.join()
    assert [repr(each).split("ident=")[1] for each in (other, _ThreadHandle())] == ["5 done>", "0 not started>"]
    with pytest.raises(TypeError, match="callable"):
        _start_joinable_thread(None)
    with pytest.raises(TypeError, match="handle"):
        _start_joinable_thread(event.wait, 1)


# ---- In place of the standard library's ------------------------------------------------------------------------------------------------


def test_patched_in():
    """THR-03, THR-04, THR-05: with these names in place, threading's own classes work with greenlets."""
    result = run_script(SCRIPTS / "files_threading.py")
    assert result.check().stdout.splitlines() == ["the main thread ends", "thread 0 ends", "thread 1 ends"]


def test_exit():
    """At the end, the main thread waits for threads that are no daemons, and for those only."""
    script = (
        "import gevent\n"
        "from gevent.threading import Thread\n"
        "def run(seconds):\n"
        "    gevent.sleep(seconds)\n"
        "    print(seconds)\n"
        "Thread(target=run, args=(20,), daemon=True).start()\n"
        "Thread(target=run, args=(0.05,)).start()\n"
        "print('main')\n"
    )
    assert run_script(script).check().stdout == "main\n0.05\n"


def test_exit_without_hope():
    """A thread that nothing can end does not keep the process."""
    script = (
        "from gevent.event import Event\nfrom gevent.threading import Thread\nThread(target=Event().wait).start()\nprint('main')\n"
    )
    assert run_script(script).check().stdout == "main\n"
