"""gevent.thread: the functions of _thread with greenlets for threads."""

import _thread
import inspect
import sys
import threading
from pathlib import Path

import gevent
import pytest
from gevent import thread
from gevent.lock import BoundedSemaphore
from gevent.thread import LockType, allocate_lock, get_ident, start_new_thread
from gevent_testkit import run_script, runs_sources

SCRIPTS = Path(__file__).parent / "scripts"


def test_names():
    """Whatever is patched in exists in _thread too, and errors and limits are the standard library's."""
    assert [name for name in thread.__implements__ if not hasattr(_thread, name)] == []
    assert (thread.error, thread.TIMEOUT_MAX) == (RuntimeError, _thread.TIMEOUT_MAX)
    assert sorted({*thread.__implements__, *thread.__imports__} - {"_local", "_count"}) == sorted(thread.__all__)
    assert (thread.allocate, thread.start_new, thread.exit_thread) == (allocate_lock, start_new_thread, thread.exit)
    assert allocate_lock is LockType
    assert thread.get_native_id() == _thread.get_native_id()


# ---- Locks -----------------------------------------------------------------------------------------------------------------------


def test_lock():
    lock = allocate_lock()
    assert isinstance(lock, BoundedSemaphore)
    assert lock.locked() is False
    assert lock.acquire() is True
    assert (lock.locked(), lock.acquire(False), lock.acquire(blocking=False), lock.acquire(0)) == (True, False, False, False)
    job = gevent.spawn(lock.acquire)
    gevent.sleep(0)
    assert not job.ready()
    lock.release()
    assert job.get() is True
    lock.release()
    with lock as taken:
        assert (taken, lock.locked()) == (True, True)
    assert not lock.locked()


def test_release_unlocked():
    """THR-01: releasing an unlocked lock raises thread.error (RuntimeError), as the builtin."""
    lock = allocate_lock()
    for each in (lock, _thread.allocate_lock()):
        with pytest.raises(thread.error):
            each.release()
    assert lock.acquire(blocking=False) is True
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_lock_timeout():
    """THR-02: acquire with timeout=-1 blocks."""
    lock = allocate_lock()
    assert lock.acquire(timeout=-1) is True
    assert (lock.acquire(timeout=0.001), lock.acquire(True, 0), lock.acquire(False, -1)) == (False, False, False)
    jobs = [
        gevent.spawn(lock.acquire, timeout=-1),
        gevent.spawn(lock.acquire, True, -1.0),
        gevent.spawn(lock.acquire, timeout=None),
    ]
    gevent.sleep(0.002)
    assert [job.ready() for job in jobs] == [False] * 3
    for job in jobs:
        lock.release()
        assert job.get() is True


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((False, 1), ValueError),
        ((False, 0), ValueError),
        ((True, -2), ValueError),
        ((True, -0.5), ValueError),
        ((True, float("nan")), ValueError),
        ((True, 1e100), OverflowError),
        ((True, "1"), TypeError),
    ],
)
def test_bad_timeout(args, error):
    """THR-02: invalid combinations raise what the standard library's lock raises, whether or not the lock is free."""
    for lock in (_thread.allocate_lock(), allocate_lock()):
        # PyPy's takes NaN for a number that is too large.
        with pytest.raises((error, OverflowError) if sys.implementation.name == "pypy" else error):
            lock.acquire(*args)
        assert not lock.locked()


def test_lock_at_fork():
    """What threading and logging call in a forked child."""
    lock = allocate_lock()
    lock.acquire()
    job = gevent.spawn(lock.acquire)
    gevent.sleep(0)
    lock._at_fork_reinit()
    assert not lock.locked()
    assert job.get() is True
    lock._at_fork_reinit()
    assert lock.acquire(blocking=False) is True
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_lock_repr():
    lock = allocate_lock()
    assert repr(lock) == f"<unlocked gevent.thread.LockType object at {id(lock):#x}>"
    with lock:
        assert repr(lock) == f"<locked gevent.thread.LockType object at {id(lock):#x}>"


def test_strict_lock():
    """What patched programs get: a lock like any other, that takes no arguments and has no subclasses."""
    lock = thread.standard_lock()
    assert type(lock) is type(thread.new_lock()) is thread.lock
    assert isinstance(lock, LockType)
    with lock:
        assert repr(lock) == f"<locked gevent.thread.lock object at {id(lock):#x}>"
        assert lock.acquire(False) is False
    with pytest.raises(RuntimeError):
        lock.release()
    assert not lock.locked()
    for arguments in ([1], [1, None]):
        with pytest.raises(TypeError):
            thread.standard_lock(*arguments)
    with pytest.raises(TypeError):
        thread.standard_lock(value=1)
    if thread.standard_lock is thread.lock:
        assert type(thread.lock()) is thread.lock
    else:
        assert sys.version_info < (3, 13)
        with pytest.raises(TypeError, match=r"cannot create 'gevent\.thread\.lock' instances"):
            thread.lock()
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Mine", (thread.lock,), {})


def test_lock_under_condition():
    """threading.Condition and Semaphore of the standard library work on it."""
    condition = threading.Condition(allocate_lock())
    log = []

    def wait():
        with condition:
            log.append("waits")
            while "told" not in log:
                condition.release()
                gevent.sleep(0)
                condition.acquire()

    job = gevent.spawn(wait)
    gevent.sleep(0)
    with condition:
        log.append("told")
    job.get()
    assert log == ["waits", "told"]


def test_lock_subclass():
    log = []

    class Mine(LockType):
        def acquire(self, blocking=True, timeout=-1):
            log.append((blocking, timeout))
            return super().acquire(blocking, timeout)

    with Mine() as taken:
        assert taken is True
    assert log == [(True, -1)]


@pytest.mark.skipif(runs_sources(), reason="not compiled, they are functions written in Python")
@pytest.mark.parametrize("name", ["get_ident", "start_new_thread", "exit", "stack_size", "interrupt_main", "_count"])
def test_builtin_functions(name):
    """They are what they are in _thread: no methods where they are attributes of a class."""
    ours = getattr(thread, name)
    assert type(ours) is type(getattr(_thread, name))
    assert not hasattr(ours, "__get__")
    inspect.signature(ours)


# ---- Threads ---------------------------------------------------------------------------------------------------------------------


def test_get_ident():
    """THR-03: get_ident differs per greenlet, and takes one."""
    idents = {get_ident()}
    jobs = [gevent.spawn(get_ident) for _ in range(3)]
    gevent.joinall(jobs)
    idents.update(job.value for job in jobs)
    assert len(idents) == 4
    assert [get_ident(job) for job in jobs] == [job.value for job in jobs]
    assert get_ident() == get_ident(gevent.getcurrent())


def test_start_new_thread():
    """THR-03: start_new_thread spawns a greenlet and returns its ident."""
    log = []

    def run(*args, **kwargs):
        log.append((args, kwargs, get_ident()))

    first = start_new_thread(run)
    second = start_new_thread(run, (1, 2), {"x": 3})
    assert log == []
    gevent.sleep(0)
    assert log == [((), {}, first), ((1, 2), {"x": 3}, second)]


@pytest.mark.parametrize("args", [(1,), (print, [1]), (print, (), [("x", 1)]), (print, None)])
def test_start_new_thread_refuses(args):
    with pytest.raises(TypeError):
        start_new_thread(*args)


def test_exit():
    """THR-03: exit raises GreenletExit, which ends the greenlet without a report."""
    with pytest.raises(gevent.GreenletExit):
        thread.exit()
    log = []

    def run():
        log.append(1)
        thread.exit_thread()

    start_new_thread(run)
    gevent.sleep(0)
    gevent.sleep(0)
    assert log == [1]


def test_fork():
    """A forked child has the thread that forked and all greenlets that are no threads; what the others stood in line for is not lost."""
    assert run_script(SCRIPTS / "threads_fork.py").check().stdout == "ok\n"


def test_where_patched():
    """THR-06: what was set is told, in a patched program; and other rules of the standard modules that gevent's own go beyond."""
    assert run_script(SCRIPTS / "patched_rules.py").check().stdout == "ok\n"


def test_count():
    """Greenlets that were started as threads, and have not ended; no others, and none of the native threads of the hub."""
    before = thread._count()
    gevent.get_hub().threadpool.apply(int)
    other = gevent.spawn(gevent.sleep)
    done = gevent.event.Event()
    start_new_thread(done.wait)
    assert thread._count() == before + 1
    gevent.sleep(0)
    assert thread._count() == before + 1
    done.set()
    other.join()
    assert thread._count() == before


def test_exception_in_thread(monkeypatch):
    """A hook of the program's is told, and what was raised ends there; SystemExit ends the thread only."""
    told = []
    monkeypatch.setattr("sys.unraisablehook", told.append)

    def fail():
        raise LookupError("in the thread")

    start_new_thread(fail)
    start_new_thread(sys.exit)
    while thread._count():
        gevent.sleep(0)
    [about] = told
    assert (about.exc_type, str(about.exc_value)) == (LookupError, "in the thread")
    assert about.exc_traceback.tb_next is not None
    assert "Exception ignored in thread started by" in about.err_msg


INTERRUPT = """
import signal
import gevent
from gevent import thread
log = []
def interrupt(*signum):
    thread.interrupt_main(*signum)
    log.append("went on")
job = gevent.spawn(interrupt)
try:
    gevent.sleep(10)
except KeyboardInterrupt:
    log.append("main")
job.join()
print(log)
"""


def test_interrupt_main():
    """KeyboardInterrupt is the main greenlet's, whoever asks for it."""
    assert run_script(INTERRUPT).check().stdout == "['main', 'went on']\n"


def test_interrupt_main_with_handler():
    """Its handler is called; nothing happens where the signal has none; other numbers are refused."""
    if sys.version_info < (3, 10):
        pytest.skip("interrupt_main() takes no signal before Python 3.10")
    script = """
import signal
import gevent
from gevent import thread
seen = []
signal.signal(signal.SIGUSR1, lambda *arguments: seen.append(arguments[0]))
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
for signum in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
    thread.interrupt_main(signum)
    gevent.spawn(thread.interrupt_main, signum).get()
job = gevent.spawn(thread.interrupt_main, 1000)
job.join()
print([int(each) == signal.SIGUSR1 for each in seen], type(job.exception).__name__)
"""
    assert run_script("import gevent\ngevent.get_hub().print_exception = lambda *arguments: None\n" + script).check().stdout == (
        "[True, True] ValueError\n"
    )


def test_stack_size():
    """THR-06: stack_size only ever grows."""
    done = run_script(
        "import _thread\n"
        "from gevent.thread import stack_size\n"
        "start = stack_size()\n"
        "print(start == _thread.stack_size(), stack_size(1 << 20) == start)\n"
        "print(stack_size(), stack_size(1 << 19), stack_size(0), stack_size())\n"
        "print(stack_size(1 << 21), stack_size())\n"
        "try:\n"
        "    stack_size(-1)\n"
        "except ValueError:\n"
        "    print('refused', stack_size())\n"
    )
    mib = 1 << 20
    assert done.stdout == f"True True\n{mib} {mib} {mib} {mib}\n{mib} {2 * mib}\nrefused {2 * mib}\n"
    assert (done.status, done.stderr) == (0, "")
