"""gevent.monkey: each case in a process of its own."""

import sys
from pathlib import Path

import pytest
from gevent_testkit import REFERENCE_COUNTING, run_script

SCRIPTS = Path(__file__).parent / "scripts"

PATCHED = "from gevent import monkey\nmonkey.patch_all()\n"

CATCH = """
import warnings
from gevent import monkey
def messages(function, *args, **kwargs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function(*args, **kwargs)
    assert all(issubclass(each.category, monkey.MonkeyPatchWarning) for each in caught), caught
    assert issubclass(monkey.MonkeyPatchWarning, RuntimeWarning)
    return result, [str(each.message) for each in caught]
"""


def check(source, **kwargs):
    """Run *source*, which prints "done" at its end and nothing else."""
    assert run_script(source + "\nprint('done')\n", **kwargs).check().stdout == "done\n"


# ---- What is patched -------------------------------------------------------------------------------------------------------------


def test_defaults():
    """MON-01: what patch_all() replaces by default."""
    check(
        PATCHED
        + """
import gevent.os, gevent.signal, gevent.select, gevent.selectors, gevent.socket, gevent.ssl, gevent.subprocess, gevent.thread, gevent.queue
import gevent.event, gevent.time, gevent.threading, gevent.local
import os, queue, select, selectors, signal, socket, ssl, subprocess, sys, threading, _threading_local, _thread, time
locks = {"LockType", "allocate_lock", "Lock"}  # which are stricter there, see test_names_of_threading
ssl_names = set(gevent.ssl.__implements__)
if sys.version_info >= (3, 12):  # no module but ours has it there, and patching adds nothing
    ssl_names.remove("wrap_socket")
for ours, theirs, names in [
    (gevent.os, os, ["fork", "waitpid", "wait", "wait3", "wait4", "forkpty", "posix_spawn"]),
    (gevent.signal, signal, ["signal", "getsignal"]),
    (gevent.select, select, ["select"]),
    (gevent.selectors, selectors, ["SelectSelector", "PollSelector", "DefaultSelector"]),
    (gevent.socket, socket, gevent.socket.__implements__),
    (gevent.ssl, ssl, ssl_names),
    (gevent.subprocess, subprocess, ["Popen", "run", "call", "check_output"]),
    (gevent.thread, _thread, set(gevent.thread.__implements__) - locks),
    (gevent.threading, threading, set(gevent.threading.__implements__) - locks),
    (gevent.queue, queue, ["SimpleQueue"]),
    (gevent.event, threading, ["Event"]),
    (gevent.time, time, ["sleep"]),
]:
    names = [name for name in names if hasattr(theirs, name)]  # PyPy has no posix_spawn
    assert [name for name in names if getattr(ours, name) is not getattr(theirs, name)] == [], theirs
    assert [name for name in names if not monkey.is_object_patched(theirs.__name__, name)] == []
assert isinstance(select.poll(), gevent.select.poll)
assert _threading_local.local is gevent.local.local
assert not monkey.is_module_patched("sys")
assert hasattr(ssl, "wrap_socket") is ("wrap_socket" in ssl_names)
assert isinstance(threading.RLock(), gevent.lock.RLock)
if hasattr(select, "epoll"):
    assert select.epoll is gevent.select.epoll and selectors.EpollSelector is gevent.selectors.EpollSelector
"""
    )


def test_event_can_be_left_out():
    """MON-01: Event, which is on by default as in 26.9."""
    check(
        """
import threading
Event = threading.Event
from gevent import monkey
monkey.patch_all(Event=False)
assert threading.Event is Event
event = threading.Event()
threading.Timer(0.001, event.set).start()
assert event.wait(5)
"""
    )


def test_originals():
    """MON-02: questions about what is patched and what is not; threading's originals."""
    check(
        """
import _thread, threading, time
names = ["allocate_lock", "get_ident", "start_new_thread"]
natives = [getattr(_thread, name) for name in names]
start = next(name for name in ["_start_new_thread", "_start_joinable_thread"] if hasattr(threading, name))  # the latter since 3.13
natives.append(getattr(threading, start))
kept = [time.sleep, threading.local, threading.Lock]  # not as globals, since those are replaced
from gevent import monkey
for _ in range(2):
    assert monkey.get_original("time", "sleep") is kept[0]
    assert monkey.get_original("_thread", names) == natives[:3]
    assert monkey.get_original("threading", ["local", "Lock", start]) == [*kept[1:], natives[3]]
    assert monkey.get_original("math", "pi") > 3
    monkey.patch_all()
    assert monkey.is_module_patched("time") and monkey.is_object_patched("time", "sleep") and "time" in monkey.saved
    assert not monkey.is_module_patched("math") and not monkey.is_object_patched("math", "pi")
    assert not monkey.is_object_patched("time", "time")
try:
    monkey.get_original("time", "nothing")
except AttributeError:
    pass
else:
    raise AssertionError
"""
    )


def test_twice():
    """MON-03: the same arguments do nothing, others warn and patch the union."""
    check(
        CATCH
        + """
assert messages(monkey.patch_all, time=False, ssl=False) == (True, [])
import time, ssl
assert not monkey.is_module_patched("time")
saved = {name: dict(items) for name, items in monkey.saved.items()}
assert messages(monkey.patch_all, time=False, ssl=False) == (False, [])
assert saved == monkey.saved
result, [message] = messages(monkey.patch_all, time=True, ssl=False)
assert result is True and "with other arguments" in message
assert monkey.is_module_patched("time") and not monkey.is_module_patched("ssl") and monkey.is_module_patched("socket")
assert monkey.saved["_gevent_saved_patch_all_module_settings"]["time"] is True
"""
    )


def test_signal_without_os():
    """MON-04: a warning that names SIGCHLD."""
    check(CATCH + "_, [message] = messages(monkey.patch_all, os=False)\nassert 'SIGCHLD' in message\n")


def test_logging_and_threading_first():
    """MON-05, MON-06: threading and logging imported first; locks of all kinds, held or not; threads and executors that run."""
    assert run_script(SCRIPTS / "late_threads.py").stdout == "done\n"


def test_main_thread():
    """MON-05: the main thread keeps its repr, can be asked for, and joined."""
    done = run_script(
        """
import threading
before = repr(threading.main_thread()), threading.get_ident(), threading.current_thread()
from gevent import monkey
monkey.patch_all()
assert before == (repr(threading.main_thread()), threading.get_ident(), threading.current_thread())
main = threading.main_thread()
def join():
    assert threading.current_thread() is not main and main.is_alive()
    main.join(0.01)
    assert main.is_alive()
    main.join()
    print("main has ended:", not main.is_alive())
thread = threading.Thread(target=join)
thread.start()
thread.join(0.05)
"""
    ).check()
    assert done.stdout == "main has ended: True\n"


def test_held_while_patching():
    """MON-06: RLocks, of both kinds, that are held while patching can be released afterwards, and exclude greenlets until then."""
    check(
        """
import threading
locks = [threading.RLock(), threading._PyRLock(), threading.Condition()]
for lock in locks:
    lock.acquire()
    lock.acquire()
from gevent import monkey
monkey.patch_all()
import gevent
for lock in locks:
    assert gevent.spawn(lock.acquire, False).get() is False, lock
    lock.release()
    assert gevent.spawn(lock.acquire, False).get() is False, lock
    lock.release()
    def use(lock):
        with lock:
            return True
    assert gevent.spawn(use, lock).get(timeout=5) is True
"""
    )


def test_while_importing():
    """MON-07: patching at the top of a module that is being imported, and importing in several greenlets."""
    assert run_script(SCRIPTS / "importing.py").check().stdout == "done\n"


@pytest.mark.parametrize("aggressive", [True, False])
def test_selectors(aggressive):
    """MON-08: SelectSelector always, the others with aggressive; whatever was imported first."""
    check(
        f"""
import select, selectors
before = {{name: getattr(selectors, name) for name in ("SelectSelector", "PollSelector", "DefaultSelector")}}
before["poll"] = select.poll
from gevent import monkey
monkey.patch_select(aggressive={aggressive})
import gevent.select, gevent.selectors
assert selectors.SelectSelector is gevent.selectors.SelectSelector is not before["SelectSelector"]
assert select.select is gevent.select.select
assert (select.poll is before["poll"]) is (not {aggressive})
if {aggressive}:
    poll = select.poll()
    assert isinstance(poll, gevent.select.poll) and type(gevent.select.poll()) is gevent.select.poll
    poll.register(0, select.POLLIN)
    try:
        type(poll)()
    except TypeError as error:
        assert str(error) == "cannot create 'gevent.select.poll' instances: call select.poll()"
    else:
        raise AssertionError("made")
assert (selectors.PollSelector is before["PollSelector"]) is (not {aggressive})
assert (selectors.DefaultSelector is before["DefaultSelector"]) is (not {aggressive})
assert not hasattr(select, "devpoll") or not {aggressive}
"""
    )


def test_outside_the_main_thread():
    """MON-09: a warning."""
    check(
        CATCH
        + """
import threading
found = []
thread = threading.Thread(target=lambda: found.append(messages(monkey.patch_all)))
thread.start()
monkey.get_original("time", "sleep")(0)
while thread.is_alive():
    thread.join(0.01)
[(result, [message])] = found
assert result is True and "main thread" in message, found
"""
    )


def test_patch_module():
    """MON-10: by name with __implements__ and __target__, keeping the first original; 26's two modules."""
    check(
        """
import sys, time, types
from gevent import monkey
kept = [time.sleep]
ours = types.ModuleType("gevent.mine")
ours.__implements__ = ["sleep"]
ours.__target__ = "time"
ours.sleep = lambda seconds: "first"
sys.modules["gevent.mine"] = ours
assert monkey.patch_module("mine") is True
assert time.sleep(1) == "first" and monkey.get_original("time", "sleep") is kept[0]
ours.sleep = lambda seconds: "second"
assert monkey.patch_module("mine", ["sleep"]) is True
assert time.sleep(1) == "second" and monkey.get_original("time", "sleep") is kept[0]

target, source = types.ModuleType("target"), types.ModuleType("source")
target.one = 1
source.one, source.two = "one", "two"
sys.modules["target"] = target
for wrong in ((target,), (target, source)):
    try:
        monkey.patch_module(*wrong)
    except (TypeError, AttributeError) as error:
        assert "target" in str(error)
    else:
        raise AssertionError(wrong)
from gevent.monkey import api
assert api.patch_module(target, source, items=["one", "two"]) is True
assert (target.one, target.two, monkey.saved["target"]) == ("one", "two", {"one": 1})
api.remove_item(target, "one")
api.remove_item(target, "three")
assert not hasattr(target, "one") and api.get_original("target", "one") == 1
api.patch_item(target, "one", 11)
assert target.one == 11 and api.get_original("target", "one") == 1
"""
    )


def test_hooks():
    """A source's own functions are called before and after, and may prevent it."""
    check(
        """
import sys, types
from gevent import events, monkey
target, source = types.ModuleType("target"), types.ModuleType("source")
target.one, source.one, source.__implements__ = 1, 2, ["one"]
calls, notes = [], []
def will(module, items, warn):
    calls.append((module, items))
    warn("careful")
    if len(calls) == 1:
        raise events.DoNotPatch
source._gevent_will_monkey_patch = will
source._gevent_did_monkey_patch = lambda module: calls.append(module)
assert monkey.patch_module(target, source, _warnings=notes) is False and target.one == 1
assert monkey.patch_module(target, source, _warnings=notes) is True and target.one == 2
assert calls == [(target, ["one"]), (target, ["one"]), target] and notes == ["careful"] * 2
assert monkey.patch_module(target, source, _call_hooks=False) is True and len(calls) == 3
"""
    )


def test_dns():
    """MON-11: without dns the look-ups stay; patch_dns() adds them."""
    check(
        """
import socket
from gevent import monkey
import gevent.socket
before = {name: getattr(socket, name) for name in gevent.socket.__dns__}
assert "getfqdn" in before
monkey.patch_socket(dns=False)
assert socket.socket is gevent.socket.socket
assert {name: getattr(socket, name) for name in before} == before
monkey.patch_dns()
assert [name for name in before if getattr(socket, name) is not getattr(gevent.socket, name)] == []
"""
    )


def test_httplib():
    """MON-12: ValueError, and nothing is patched."""
    check(
        """
from gevent import monkey
try:
    monkey.patch_all(httplib=True)
except ValueError as error:
    assert "httplib" in str(error)
else:
    raise AssertionError
assert not monkey.saved
assert monkey.patch_all(httplib=False) is True
"""
    )


def test_no_ops():
    """MON-14: patch_builtins does nothing; nor does patch_contextvars, nor patch_sys where there is nothing to replace."""
    check(
        """
import builtins, io, sys
sys.stdin, sys.stdout, sys.stderr = None, io.StringIO(), io.TextIOWrapper(io.BytesIO())
before = dict(vars(builtins)), sys.stdin, sys.stdout, sys.stderr
from gevent import monkey
monkey.patch_sys()
monkey.patch_sys(stdin=False, stdout=False, stderr=False)
monkey.patch_builtins()
monkey.patch_contextvars()
assert not monkey.saved
assert before == (dict(vars(builtins)), sys.stdin, sys.stdout, sys.stderr)
sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
"""
    )


def test_streams():
    """patch_all(sys=True): reads and writes of pipes and of a terminal let others run; what was written is there at the end."""
    done = run_script(SCRIPTS / "streams.py").check()
    assert done.stdout == "done\n"


STREAMS = """
import io, sys
from gevent import monkey
before = sys.stdin, sys.stdout, sys.stderr
monkey.patch_all(sys=True)
for name, old in zip(("stdin", "stdout", "stderr"), before):
    new = getattr(sys, name)
    assert new is not old and monkey.get_original("sys", name) is old and isinstance(new, io.TextIOBase), name
    for each in ["name", "encoding", "errors"] + ["line_buffering", "write_through"] * new.writable():
        assert getattr(new, each) == getattr(old, each), (name, each)
    assert (new.fileno(), new.isatty(), new.buffer.fileno()) == (old.fileno(), old.isatty(), old.fileno())
assert monkey.is_module_patched("sys")
print(repr(input()), repr(sys.stdin.readline()), repr(sys.stdin.read()), end="")
print("no line end", file=sys.stderr, end="")
"""


def test_streams_look_the_same():
    """They are what the interpreter's are, and all that was written comes out, at the end as well."""
    done = run_script(STREAMS, stdin="first\nsecond \u00e4\nrest", env={"PYTHONIOENCODING": "utf-8:replace"})
    assert (done.status, done.stderr) == (0, "no line end")
    assert done.stdout == "'first' 'second \u00e4\\n' 'rest'"


def test_input_at_the_end():
    """EOFError, as from the built-in; one that the program puts into sys.stdin is read by that."""
    check(
        """
from gevent import monkey
monkey.patch_all(sys=True)
import io, sys
try:
    input()
    assert False
except EOFError as error:
    assert "EOF" in str(error)
sys.stdin = io.StringIO("mine\\n")
assert input() == "mine"
"""
    )


def test_no_hub():
    """MON-15, HUB-02: patching makes no hub, and leaves alone what nobody needs."""
    check(
        PATCHED
        + """
import sys
from gevent._switching import get_hub_if_exists
assert get_hub_if_exists() is None
unwanted = {"asyncio", "multiprocessing", "logging", "concurrent.futures", "importlib.metadata", "typing", "gevent.pywsgi", "gevent.server"}
assert unwanted & set(sys.modules) == set(), unwanted & set(sys.modules)
"""
    )


def test_rlock_blocks():
    """MON-16: a patched RLock blocks with the default timeout."""
    check(
        PATCHED
        + """
import threading, gevent
for lock in (threading.RLock(), threading._PyRLock()):
    lock.acquire()
    waiter = gevent.spawn(lock.acquire)
    gevent.sleep(0.01)
    assert not waiter.dead
    lock.release()
    assert waiter.get() is True
"""
    )


# ---- Late patching, processes, asyncio ---------------------------------------------------------------------------------------------


def test_settings_of_subprocess():
    """What a program sets in the module is what counts, as documented for _USE_POSIX_SPAWN, and up to 3.13 for _USE_VFORK."""
    check(
        PATCHED
        + """
import subprocess
import gevent.subprocess

for switch in {"_USE_POSIX_SPAWN", "_USE_VFORK"} & set(vars(subprocess)):
    setattr(subprocess, switch, False)
    assert getattr(gevent.subprocess, switch) is False, switch

class Traced(subprocess.Popen):
    seen = []
    def __init__(self, *args, **kwargs):
        self.seen.append(args)
        super().__init__(*args, **kwargs)

subprocess.Popen = Traced
subprocess.run(["true"], check=True)
assert Traced.seen == [(["true"],)], Traced.seen
subprocess.own = 1
assert not hasattr(gevent.subprocess, "own")
"""
    )


def test_names_of_threading():
    """MON-17: as strict, and as open, as those of the standard modules."""
    check(
        PATCHED
        + """
import _thread, threading, gevent.event, gevent.thread
for make in threading.Lock, threading._allocate_lock, _thread.allocate_lock, _thread.allocate:
    assert make is gevent.thread.standard_lock, make
assert _thread.LockType is gevent.thread.lock
class Locked:
    make = threading.Lock
lock = Locked().make()
assert isinstance(lock, _thread.LockType) and isinstance(lock, gevent.thread.LockType)
with lock:
    assert not lock.acquire(False)
try:
    threading.Lock(2)
except TypeError:
    pass
else:
    raise AssertionError("a Lock takes no arguments")

assert threading.Event is gevent.event.Event
event = threading.Event()
assert repr(event) == f"<threading.Event at {id(event):#x}: unset>", repr(event)
event.set()
assert repr(event) == f"<threading.Event at {id(event):#x}: set>", repr(event)
class Mine(threading.Event):
    pass
assert repr(Mine()).startswith("<__main__.Mine at "), repr(Mine())
with event._cond:
    assert not event._cond.acquire(False)
"""
    )


def test_signals_of_threads():
    """A thread that is a greenlet blocks signals for itself alone, as who shares descriptors in multiprocessing does."""
    check(
        PATCHED
        + """
import os, signal, threading, time
every = signal.valid_signals()
before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
masks, got, done = [], [], threading.Event()

def serve():
    masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, every))
    masks.append(signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1]))
    masks.append(signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR2]))
    masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    for wrong, error in (((99, []), OSError), ((signal.SIG_BLOCK, [9999]), ValueError)):
        try:
            signal.pthread_sigmask(*wrong)
        except error:
            pass
        else:
            raise AssertionError(wrong)
    done.wait()

thread = threading.Thread(target=serve)
thread.start()
while len(masks) < 4:
    time.sleep(0.001)
assert masks == [before, before | every, (before | every) - {signal.SIGUSR1}, {signal.SIGUSR2}], masks
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
os.kill(os.getpid(), signal.SIGUSR1)
signal.pthread_kill(thread.ident, signal.SIGUSR1)
signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
assert got == [signal.SIGUSR1] * 3, got
done.set()
thread.join()

assert signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]) == before  # here it does
os.kill(os.getpid(), signal.SIGUSR2)
assert signal.SIGUSR2 in signal.sigpending()
"""
    )


def test_waitpid_of_the_program():
    """Popen asks the waitpid() that the program put into os, as the interpreter's does."""
    check(
        PATCHED
        + """
import os, subprocess
from unittest import mock
child = subprocess.Popen(["true"])
assert os.waitpid(child.pid, 0) == (child.pid, 0)
stopped = 3 << 8 | 0x7F
with mock.patch("os.waitpid", return_value=(child.pid, stopped)) as asked:
    assert child.wait() == -3
asked.assert_called_with(child.pid, os.WNOHANG)
child = subprocess.Popen(["sleep", "60"])
with mock.patch("os.waitpid", return_value=(0, 0)):
    assert child.poll() is None
child.kill()
assert child.wait() == -9
"""
    )


def test_thread_pool_that_always_has_work():
    """It lets others run between its tasks, as native threads do."""
    check(
        PATCHED
        + """
import time
from concurrent.futures import ThreadPoolExecutor
more = True

def again(pool):
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        pass
    if more:
        pool.submit(again, pool)

with ThreadPoolExecutor(1) as pool:
    pool.submit(again, pool)
    time.sleep(0.01)
    more = False
"""
    )


@pytest.mark.parametrize(
    "how", ["", "del sys.modules['queue']; import queue", "sys.modules.pop('_queue', None); del sys.modules['queue']; import queue"]
)
def test_queues_asked_without_waiting(how):
    """Who asks a queue again and again, without ever waiting, does not keep others from filling or emptying it."""
    check(
        PATCHED
        + f"""
import queue, sys, threading, time
{how}

def ask(function, *args):
    while True:
        try:
            return function(*args)
        except (queue.Empty, queue.Full):
            pass

for kind in (queue.Queue, queue.LifoQueue, queue.PriorityQueue):
    each = kind(1)
    putter = threading.Thread(target=lambda: (time.sleep(0.02), each.put(1)))
    putter.start()
    assert ask(each.get_nowait) == 1
    each.put(2)
    getter = threading.Thread(target=lambda: (time.sleep(0.02), each.get()))
    getter.start()
    ask(each.put_nowait, 3)
    putter.join()
    getter.join()
    assert each.get() == 3

simple = queue.SimpleQueue()
threading.Thread(target=lambda: (time.sleep(0.02), simple.put(1))).start()
assert simple.get() == 1
try:
    simple.get_nowait()
    assert False
except queue.Empty:
    pass
"""
    )


def test_threads_counted():
    """test.support waits until no more threads run than before: those of the hub's pool are none."""
    check(
        PATCHED
        + """
import _thread, socket, threading, time
before = _thread._count()
socket.getaddrinfo("localhost", 80)
assert _thread._count() == before
thread = threading.Thread(target=time.sleep, args=[0.01])
thread.start()
assert _thread._count() == before + 1
thread.join()
while _thread._count() != before:
    time.sleep(0.001)
"""
    )


def test_late_names():
    """Names bound before are replaced, contexts stay usable; what cannot be changed is reported once, with the line to move."""
    assert run_script(SCRIPTS / "late_names.py", env={"PYTHONWARNINGS": "default"}).stdout == "done\n"


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.timeout(120)
@pytest.mark.slow
def test_multiprocessing(method):
    """Process, Queue, Pipe, Pool, Event, Manager and ProcessPoolExecutor work."""
    done = run_script(SCRIPTS / "processes.py", method, timeout=100, env={"PYTHONWARNINGS": "default"})
    assert (done.status, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has no preemption")
@pytest.mark.parametrize("loop", [None, "libev-cffi"])
def test_preempted_often(loop):
    """Nothing breaks that is safe for native threads: locks exclude, queues and conditions lose nothing."""
    if loop is not None:
        pytest.importorskip("cffi")
    done = run_script(SCRIPTS / "preempted_often.py", 2, timeout=60, env={} if loop is None else {"GEVENT_LOOP": loop})
    assert done.check().stdout == "\npreempted True 0\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy has no preemption")
def test_preempted_by_the_command_line(tmp_path):
    """What is below the script on the stack, of gevent and of runpy, does not keep the main greenlet from being preempted."""
    script = tmp_path / "spinning.py"
    script.write_text(
        """
import threading
flag = []
def spin():
    while not flag:
        pass
threads = [threading.Thread(target=spin), threading.Timer(0.05, flag.append, [1])]
for each in threads:
    each.start()
spin()
print("ended")
"""
    )
    run = "import sys, gevent.monkey; gevent.monkey.main()"
    assert run_script(run, script, env={"GEVENT_PREEMPT_THREADS": 0.02}).check().stdout == "ended\n"


def test_sockets_sent_to_other_processes():
    """Also if multiprocessing was imported before patching, as in a process that it spawned."""
    check(
        """
from multiprocessing import connection, reduction, resource_sharer
from gevent import monkey
monkey.patch_all()
import socket
here, there = socket.socketpair()
left, right = connection.Pipe()
left.send(here)
with right.recv() as received:
    assert type(received) is socket.socket
    received.sendall(b"hello")
    assert there.recv(5) == b"hello"
resource_sharer.stop(5)
for each in (here, there, left, right):
    each.close()
"""
    )


def test_pool_that_is_left_open(tmp_path):
    """The end of the interpreter finds it, takes one of its locks, and has nothing to complain of."""
    script = tmp_path / "pool.py"  # kept as a global of a real module, which is taken apart late
    script.write_text(
        PATCHED + "import multiprocessing\npool = multiprocessing.get_context('fork').Pool(1)\nprint(pool.map(abs, [-2]))\n"
    )
    done = run_script(script, env={"PYTHONWARNINGS": "ignore::ResourceWarning"}).check()
    assert (done.stdout, done.stderr) == ("[2]\n", "")


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.timeout(60)
@pytest.mark.slow
def test_asyncio(when):
    """asyncio.run in several greenlets of a thread at a time; executors and children in it."""
    assert run_script(SCRIPTS / "asyncio_many.py", when, timeout=50, env={"PYTHONWARNINGS": "default"}).check().stdout == "done\n"


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="only reference counting frees at once")
def test_failed_tasks_are_freed_at_once():
    """Of asyncio, and of a pool of threads: no frame of ours that is in a traceback keeps them."""
    check(
        PATCHED
        + """
import asyncio, gc, weakref
from concurrent.futures import ThreadPoolExecutor
gc.disable()

async def fail():
    1 / 0

async def main():
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context["exception"]))
    task = weakref.ref(asyncio.Task(fail()))
    await asyncio.sleep(0)
    assert task() is None
    assert [type(each) for each in reported] == [ZeroDivisionError]

asyncio.run(main())

with ThreadPoolExecutor(1) as pool:
    future = pool.submit(divmod, 1, 0)
    assert isinstance(future.exception(), ZeroDivisionError)
    future = weakref.ref(future)
    pool.submit(abs, 1).result()
    assert future() is None
"""
    )


# ---- Events ------------------------------------------------------------------------------------------------------------------------


def test_events():
    """Subscribers are told of everything in order, and can prevent it."""
    check(
        """
from gevent import events, monkey
seen = []
def subscriber(event):
    seen.append(event)
    if isinstance(event, events.IGeventWillPatchModuleEvent):
        if event.module_name == "signal":
            raise events.DoNotPatch
        if event.module_name == "os":
            event.target_item_names.remove("fork")
events.subscribers.append(subscriber)
assert monkey.patch_all(ssl=False, mine=1) is True
first, *modules, builtins, last = seen
assert isinstance(first, events.IGeventWillPatchAllEvent)
assert first.patch_all_kwargs == {"mine": 1} and first.patch_all_arguments["ssl"] is False
assert first.will_patch_module("time") and not first.will_patch_module("ssl")
assert isinstance(builtins, events.IGeventDidPatchBuiltinModulesEvent) and isinstance(last, events.IGeventDidPatchAllEvent)
names = [(type(each).__name__, each.module_name) for each in modules if each.module_name in ("os", "signal")]
assert names == [
    ("GeventWillPatchModuleEvent", "os"), ("GeventDidPatchModuleEvent", "os"), ("GeventWillPatchModuleEvent", "signal"),
], names
assert not monkey.is_module_patched("signal") and not monkey.is_object_patched("os", "fork") and monkey.is_object_patched("os", "waitpid")
"""
    )


def test_veto_of_all():
    """DoNotPatch prevents patch_all."""
    check(
        """
from gevent import events, monkey
def subscriber(event):
    raise events.DoNotPatch
events.subscribers.append(subscriber)
assert monkey.patch_all() is False and not monkey.saved
"""
    )


def test_entry_points(tmp_path):
    """Installed plugins are called by their entry points."""
    info = tmp_path / "plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "".join(f"[gevent.plugins.monkey.{name}]\nplugin = plugin:called\n" for name in ("will_patch_all", "did_patch_all"))
    )
    (tmp_path / "plugin.py").write_text("seen = []\ndef called(event):\n    seen.append(type(event).__name__)\n")
    check(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        + PATCHED
        + "import plugin\nassert plugin.seen == ['GeventWillPatchAllEvent', 'GeventDidPatchAllEvent'], plugin.seen\n"
    )


# ---- The command line ------------------------------------------------------------------------------------------------------------


SHOW = """
import sys
from gevent import monkey
print(sys.argv, __file__, __name__)
print(sorted(name for name in ("time", "socket", "ssl", "threading") if monkey.is_module_patched(name)))
"""


def command(tmp_path, *words):
    return run_script(
        "import sys\nsys.argv[1:] = " + repr(list(map(str, words))) + "\nfrom gevent.monkey import main\nmain()\n", cwd=tmp_path
    )


def test_command_line(tmp_path):
    """MON-13: sys.argv, __file__, __main__; options."""
    script = tmp_path / "show.py"
    script.write_text(SHOW)
    shown = f"{[str(script), '--no-time', 'x']} {script} __main__\n"
    done = command(tmp_path, script, "--no-time", "x").check()
    assert done.stdout == shown + "['socket', 'ssl', 'threading', 'time']\n"
    done = command(tmp_path, "--no-time", "--no-thread", script, "--no-time", "x").check()
    assert done.stdout == shown + "['socket', 'ssl']\n"
    done = command(tmp_path, "--time", "--socket", script, "--no-time", "x").check()
    assert done.stdout == shown + "['socket', 'time']\n"
    done = command(tmp_path, "--verbose", "--time", script, "--no-time", "x").check()
    assert "time: sleep\n" in done.stdout
    assert done.stdout.endswith(shown + "['time']\n")


def test_command_line_module(tmp_path):
    """MON-13: --module."""
    (tmp_path / "show.py").write_text(SHOW)
    source = (
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nsys.argv[1:] = ['--module', 'show', 'x']\n"
        "from gevent.monkey import main\nmain()\n"
    )
    done = run_script(source).check()
    assert done.stdout.splitlines()[0] == f"{[str(tmp_path / 'show.py'), 'x']} {tmp_path / 'show.py'} __main__"


def test_command_line_help(tmp_path):
    """MON-13: without a script, the help; with an option that there is not, that and an error."""
    done = command(tmp_path).check()
    assert "python -m gevent.monkey" in done.stdout
    done = command(tmp_path, "--nonsense", "x")
    assert done.status == 1
    assert "'nonsense'" in done.stderr


def test_as_module(tmp_path):
    """MON-13: python -m gevent.monkey."""
    (tmp_path / "show.py").write_text("from gevent import monkey\nprint(monkey.is_module_patched('time'))\n")
    source = (
        "import runpy, sys\nsys.argv[1:] = ['show.py']\nrunpy.run_module('gevent.monkey', run_name='__main__', alter_sys=True)\n"
    )
    assert run_script(source, cwd=tmp_path).check().stdout == "True\n"
