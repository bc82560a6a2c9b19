"""Preemption of threads that are greenlets: when it comes, and where it does not."""

import ast
import asyncio
import importlib
import importlib.util
import os
import signal
import sys
import types
import weakref
from pathlib import Path

import gevent
import greenlet
import pytest
from gevent import _preemption
from gevent.queue import Queue
from gevent.threading import Thread, current_thread
from gevent_testkit import run_script
from gevent_testkit.greenlets import in_hub

PYPY = sys.implementation.name == "pypy"
on_cpython = pytest.mark.skipif(PYPY, reason="PyPy has no preemption")

BEGIN = """
import os, signal, sys, time
import gevent
from gevent.threading import Thread
seconds = float(sys.argv[1])
gevent.config.preempt_threads = seconds
flag = []
def spin(limit=20):
    end = time.monotonic() + limit
    while not flag and time.monotonic() < end:
        pass
    return bool(flag)
"""


def run(script, seconds=0.02):
    return run_script(BEGIN + script, seconds).check().stdout


# -- who is preempted


MAIN = """
thread = Thread(target=flag.append, args=(1,))
thread.start()
print(spin(20 if seconds else 0.5))
"""
THREADS = """
threads = [Thread(target=spin) for _ in range(3)] + [Thread(target=lambda: (gevent.sleep(0.05), flag.append(1)))]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(bool(flag))
"""


@on_cpython
@pytest.mark.slow
def test_the_main_greenlet_lets_a_thread_run():
    assert run(MAIN) == "True\n"


@pytest.mark.slow
def test_not_by_itself():
    assert run(MAIN, 0) == "False\n"


@on_cpython
@pytest.mark.slow
def test_threads_let_each_other_run_and_the_loop_poll():
    """Three that spin, one after the other, until a timer of the loop has woken the fourth."""
    assert run(THREADS) == "True\n"


@on_cpython
@pytest.mark.slow
def test_from_the_environment():
    result = run_script(
        BEGIN.replace("gevent.config.preempt_threads = seconds", "") + MAIN, 0, env={"GEVENT_PREEMPT_THREADS": "0.02"}
    )
    assert result.check().stdout == "True\n"


@on_cpython
@pytest.mark.slow
def test_the_loop_through_cffi():
    pytest.importorskip("cffi")
    result = run_script(BEGIN + THREADS, 0.02, env={"GEVENT_LOOP": "libev-cffi"})
    assert result.check().stdout == "True\n"


@on_cpython
@pytest.mark.slow
def test_a_spawned_greenlet_is_not_preempted():
    script = """
thread = Thread(target=flag.append, args=(1,))
greenlet = gevent.spawn(spin, 0.5)
greenlet.start()
thread.start()
print(greenlet.get(), bool(flag))
"""
    assert run(script) == "False True\n"


@on_cpython
@pytest.mark.slow
def test_the_main_greenlet_alone_is_not_preempted():
    """Without a thread, nobody counts on it."""
    assert run("gevent.spawn(flag.append, 1)\nprint(spin(0.5))\n") == "False\n"


@on_cpython
@pytest.mark.slow
def test_switched_on_and_off():
    script = """
gevent.sleep(0)
def once():
    del flag[:]
    Thread(target=flag.append, args=(1,)).start()
    found = spin(20 if gevent.config.preempt_threads else 0.5)
    gevent.sleep(0)
    return found
print(once())
gevent.config.preempt_threads = 0.02
print(once())
gevent.config.preempt_threads = 0
print(once())
gevent.config.preempt_threads = 0.02
gevent.get_hub().destroy()
print(once())
"""
    assert run(script, 0) == "False\nTrue\nFalse\nTrue\n"


# -- what comes while one is away


@on_cpython
@pytest.mark.slow
def test_a_keyboard_interrupt_comes():
    """Once, in whoever runs when the signal comes, as without preemption."""
    script = """
interrupted = []
def work():
    try:
        spin()
    except KeyboardInterrupt:
        interrupted.append(1)
        spin(0.1)
        flag.append(1)
threads = [Thread(target=work) for _ in range(2)]
for each in threads:
    each.start()
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.3)
work()
for each in threads:
    each.join()
print(interrupted)
"""
    result = run_script(BEGIN + script, 0.02)  # the hub reports it, if that is hit
    assert (result.status, result.stdout) == (0, "[1]\n"), result


@on_cpython
@pytest.mark.slow
def test_one_that_is_away_is_killed_and_timed_out():
    script = """
from gevent.thread import find_thread
ended = []
def work():
    try:
        with gevent.Timeout(0.05, False):
            while True:
                pass
        ended.append("timeout")
        while True:
            pass
    except gevent.GreenletExit:
        ended.append("killed")
        raise
thread = Thread(target=work)
thread.start()
while not ended:
    gevent.sleep(0.01)
find_thread(thread.ident).kill()
thread.join()
print(ended)
"""
    assert run(script) == "['timeout', 'killed']\n"


@on_cpython
@pytest.mark.slow
def test_in_a_forked_child():
    script = """
from gevent_testkit.children import exit_child
gevent.sleep(0)
def work():
    thread = Thread(target=flag.append, args=(1,))
    thread.start()
    print(spin(), flush=True)
pid = gevent.fork()
if not pid:
    exit_child(work)
os.waitpid(pid, 0)
work()
"""
    assert run(script) == "True\nTrue\n"


@on_cpython
@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 10), reason="the signal is a real one, of which the next would not come")
def test_system_calls_are_not_interrupted():
    """What computes without the GIL, or blocks, goes on: the signal is only noted."""
    script = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
Thread(target=flag.append, args=(1,)).start()
print(libc.usleep(300000), ctypes.get_errno(), spin())
"""
    assert run(script) == "0 0 True\n"


@on_cpython
@pytest.mark.slow
def test_a_program_that_takes_the_signal_has_it():
    script = """
gevent.sleep(0)
number = gevent.get_hub()._preemption._signum
mine = []
signal.signal(number, lambda *args: mine.append(args))
Thread(target=flag.append, args=(1,)).start()
print(spin(0.5), mine)
"""
    result = run_script(BEGIN + script, 0.02, env={"PYTHONWARNINGS": "default"})
    assert (result.status, result.stdout) == (0, "False []\n"), result
    assert result.stderr.count("no thread is preempted any more, for the program has taken signal") == 1


# -- settings


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "soon"])
def test_bad_values(value):
    with pytest.raises(ValueError, match=r"could not convert|is no number of seconds"):
        gevent.config.preempt_threads = value
    assert gevent.config.preempt_threads == 0


def test_a_bad_value_in_the_environment():
    result = run_script("import gevent; gevent.sleep(0)", env={"GEVENT_PREEMPT_THREADS": "-1"})
    assert result.status == 1
    assert "ValueError: environment variable GEVENT_PREEMPT_THREADS: '-1' is no number of seconds from 0 on" in result.stderr


@pytest.mark.skipif(not PYPY, reason="of PyPy")
def test_not_on_pypy():
    with pytest.raises(ValueError, match="PyPy does not have"):
        gevent.config.preempt_threads = 0.1


def test_nothing_without_it():
    assert gevent.config.settings["preempt_threads"].default == 0
    script = """
import signal, sys
import gevent
gevent.sleep(0)
print("gevent._preemption" in sys.modules, gevent.get_hub()._preemption)
"""
    assert run_script(script).check().stdout == "False None\n"


@on_cpython
def test_outside_the_main_thread():
    script = """
import gevent._originals, threading
gevent.config.preempt_threads = 0.1
done = threading.Event()
def work():
    print(gevent.get_hub()._preemption)
    gevent.get_hub().destroy()
    done.set()
gevent._originals.start_new_thread(work, ())
done.wait()
"""
    assert run_script("import gevent\n" + script).check().stdout == "None\n"


# -- where one may not leave: asked there


def allowed(frame=None):
    return _preemption.may_leave(gevent.get_hub(), sys._getframe() if frame is None else frame)


def in_thread(function):
    """What *function* returns in a greenlet that is a thread."""
    found = []
    thread = Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    [result] = found
    return result


@on_cpython
def test_in_a_thread_and_nowhere_else():
    assert in_thread(allowed) is True
    assert gevent.spawn(allowed).get() is False
    assert in_hub(allowed) is False
    assert allowed() is False
    thread = Thread(target=lambda: None)
    thread.start()
    assert allowed() is True  # in the main greenlet, for whoever waits is a thread
    thread.join()
    assert allowed() is False


@on_cpython
def test_in_a_greenlet_of_a_threads_own():
    assert in_thread(lambda: greenlet.greenlet(allowed).switch()) is False


def as_module(name, source):
    module = types.ModuleType(name)
    vars(module).update(allowed=allowed, here=sys._getframe)
    exec(source, vars(module))
    return module


@on_cpython
def test_in_code_of_gevent():
    """Neither in it nor in what it has called, but for functions through which a thread's own code runs."""
    own = as_module("gevent.some", "def inside(): return allowed()\ndef calls(function): return function()")
    assert in_thread(own.inside) is False
    assert in_thread(lambda: own.calls(allowed)) is False
    through = as_module("gevent.thread", "def _run_thread(function): return function()\ninside = lambda: allowed(here())")
    assert in_thread(lambda: through._run_thread(allowed)) is True
    assert in_thread(lambda: through._run_thread(through.inside)) is False
    through._run_thread = as_module("gevent.thread", "def _run_thread(): return allowed(here())")._run_thread
    assert in_thread(lambda: through._run_thread()) is False
    like = as_module("gevently", "def calls(function): return function()")
    assert in_thread(lambda: like.calls(allowed)) is True


@pytest.mark.parametrize(("module_name", "function"), sorted(_preemption.PASSED_THROUGH))
def test_the_functions_through_which_it_runs_are_there(module_name, function):
    if importlib.util.find_spec(module_name) is None:
        pytest.skip(f"no {module_name}")
    module = importlib.import_module(module_name)
    path = Path(module.__file__)
    if not path.name.endswith(".py"):
        path = path.with_name(path.name.partition(".")[0] + ".py")
    names = {each.name for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.FunctionDef)}
    assert function in names


@on_cpython
def test_during_an_import(tmp_path, monkeypatch):
    (tmp_path / "asks_while_imported.py").write_text("import test_preemption_asks\nfound = test_preemption_asks.allowed()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "test_preemption_asks", sys.modules[__name__])
    assert in_thread(lambda: importlib.import_module("asks_while_imported").found) is False
    del sys.modules["asks_while_imported"]


@on_cpython
def test_with_the_import_lock():
    import _imp

    def locked():
        _imp.acquire_lock()
        try:
            return allowed()
        finally:
            _imp.release_lock()

    assert in_thread(locked) is False


@on_cpython
def test_in_a_finalizer():
    found = []

    class Finalized:
        def __del__(self):
            found.append(allowed())

    assert in_thread(lambda: Finalized() and allowed()) is True
    assert found == [False]


@on_cpython
@pytest.mark.slow
def test_in_a_collection():
    script = """
import gc, weakref
from gevent import _preemption
gevent.sleep(0)
found = []
class Cycle: pass
def work():
    cycle = Cycle()
    cycle.cycle = cycle
    kept = weakref.ref(cycle, lambda reference: found.append(_preemption.may_leave(gevent.get_hub(), sys._getframe())))
    del cycle
    gc.collect()
    found.append(_preemption.may_leave(gevent.get_hub(), sys._getframe()))
thread = Thread(target=work)
thread.start()
thread.join()
before = len(gc.callbacks)
gevent.config.preempt_threads = 0
print(found, before - len(gc.callbacks))
"""
    assert run(script, 10) == "[False, True] 1\n"


@on_cpython
def test_in_a_signal_handler():
    found = []

    class Handlers:
        def method(self, *args):
            found.append(allowed())

    def handled(handler):
        before = signal.signal(signal.SIGUSR1, handler)
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)

    in_thread(lambda: handled(lambda *args: found.append(allowed())))
    in_thread(lambda: handled(Handlers().method))
    assert found == [False, False]


@on_cpython
@pytest.mark.parametrize("set_function", [sys.settrace, sys.setprofile])
def test_with_a_trace_function(set_function):
    def traced():
        before = sys.gettrace() if set_function is sys.settrace else sys.getprofile()
        set_function(lambda *args: None)
        try:
            return allowed()
        finally:
            set_function(before)

    assert in_thread(traced) is False


@on_cpython
def test_in_greenlets_trace_function():
    found = []

    def trace(event, args):
        found.append(allowed())

    def work():
        before = greenlet.settrace(trace)
        try:
            gevent.sleep(0.001)
            return allowed()
        finally:
            greenlet.settrace(before)

    assert in_thread(work) is True
    assert not any(found)
    assert found


@on_cpython
def test_in_a_callback_of_asyncio():
    async def ask():
        return allowed()

    assert in_thread(lambda: asyncio.run(ask())) is False


@on_cpython
def test_while_a_queue_is_locked():
    """The methods that a subclass overrides must not wait: the lock they are called with lets its native thread in again."""
    found = []

    class Asking(Queue):
        def _put(self, item):
            found.append(allowed())
            super()._put(item)

    def work():
        Asking().put(1)
        return allowed()

    assert in_thread(work) is True
    assert found == [False]


def test_a_thread_that_has_ended_is_none():
    """Who is a thread is kept without a lock, and not longer than the thread."""
    from gevent.thread import _count, find_thread

    assert _count() == 0
    seen = []

    def look():
        seen.append((find_thread() is greenlet.getcurrent(), find_thread(current_thread().ident) is find_thread()))

    thread = Thread(target=look)
    thread.start()
    assert _count() == 1
    ended = weakref.ref(find_thread(thread.ident))
    thread.join()
    assert seen == [(True, True)]
    assert _count() == 0
    assert find_thread(thread.ident) is None
    assert find_thread() is None
    assert ended() is None or ended().dead
