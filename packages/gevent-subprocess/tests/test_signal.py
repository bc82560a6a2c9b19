"""gevent.signal: a module that can be called, and handlers for SIGCHLD that run in greenlets."""

import os
import signal
import threading

import gevent
import gevent.os
import gevent.signal
import pytest
from gevent.event import AsyncResult, Event
from gevent.hub import getcurrent
from gevent.subprocess import Popen
from gevent_testkit import run_script
from gevent_testkit.children import start_shell


@pytest.fixture(autouse=True)
def restored():
    before = signal.getsignal(signal.SIGCHLD), signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGCHLD, before[0])
    signal.signal(signal.SIGUSR1, before[1])


@pytest.mark.parametrize(
    "imports",
    [
        "import gevent",
        "import gevent, gevent.signal",
        "import gevent.signal",
        "from gevent import signal; import gevent",
        "import gevent.subprocess",
        "import gevent.os, gevent; gevent.signal; import gevent.signal",
    ],
)
def test_callable(imports):
    """FRK-11: gevent.signal(number, handler) works whatever was imported first, in a new greenlet, and cancel() ends it."""
    script = f"""
{imports}
import os, signal as stdlib
from gevent.hub import getcurrent
told = []
watcher = gevent.signal(stdlib.SIGUSR1, lambda *args, **kwargs: told.append((args, kwargs, getcurrent())), 1, two=2)
assert isinstance(watcher, gevent.signal_handler)
assert gevent.wait(timeout=5) is True       # it does not hold the loop
os.kill(os.getpid(), stdlib.SIGUSR1)
gevent.sleep(0.01)
[(args, kwargs, greenlet)] = told
assert (args, kwargs) == ((1,), {{"two": 2}})
assert isinstance(greenlet, gevent.Greenlet)
watcher.cancel()
stdlib.signal(stdlib.SIGUSR1, stdlib.SIG_IGN)
os.kill(os.getpid(), stdlib.SIGUSR1)
gevent.sleep(0.01)
assert len(told) == 1
try:
    gevent.signal(stdlib.SIGUSR1, None)
except TypeError:
    pass
else:
    raise AssertionError("took None for a handler")
import gevent.signal as module
assert callable(module) and module is gevent.signal
assert module.getsignal(stdlib.SIGUSR1) == stdlib.SIG_IGN
"""
    run_script(script).check()


def test_names():
    assert gevent.signal.__all__ == ["signal", "getsignal", "set_wakeup_fd", "pthread_kill", "pthread_sigmask"]
    assert gevent.signal.__implements__ == gevent.signal.__all__


def test_handler_in_a_greenlet(method):
    """FRK-07: a handler for SIGCHLD is called in a new greenlet, in which it may wait, for children of whatever kind."""
    told = AsyncResult()
    main = getcurrent()

    def handler(signalnum, frame):
        gevent.sleep(0.001)
        told.set((signalnum, getcurrent()))

    gevent.signal.signal(signal.SIGCHLD, handler)
    for make in (
        lambda: Popen(["true"]).wait(),
        lambda: gevent.os.waitpid(start_shell("true"), 0),
        lambda: os.waitpid(start_shell("true"), 0),
    ):
        make()
        with gevent.Timeout(20):
            while not told.ready():
                gevent.sleep(0.001)
        signalnum, where = told.get()
        assert signalnum == signal.SIGCHLD
        assert isinstance(where, gevent.Greenlet)
        assert where is not main
        told = AsyncResult()
        gevent.sleep(0.005)


def test_handler_may_collect(method):
    """FRK-07: waitpid in the handler finds what a watcher has fetched, or fetches it for the watcher."""
    found = AsyncResult()
    watched = AsyncResult()
    gevent.signal.signal(signal.SIGCHLD, lambda *args: found.set(gevent.os.waitpid(-1, os.WNOHANG)))
    pid = gevent.os.fork_and_watch(watched.set, ref=True)
    if not pid:
        os._exit(6)
    assert watched.get(timeout=20).rstatus == 6 << 8
    with gevent.Timeout(20):
        while not found.ready():
            gevent.sleep(0.001)
    assert found.get() == (pid, 6 << 8)


@pytest.mark.parametrize("handler", ["function", "default"])
def test_set_while_a_child_is_watched(method, handler):
    """FRK-07: neither keeps the other from being called."""
    read, write = os.pipe()
    watched, called = AsyncResult(), []
    pid = gevent.os.fork_and_watch(watched.set, ref=True)
    if not pid:
        os.close(write)
        os.read(read, 1)
        os._exit(6)
    gevent.sleep(0.001)
    before = gevent.signal.signal(signal.SIGCHLD, lambda *args: called.append(1))
    if handler == "default":
        assert gevent.signal.signal(signal.SIGCHLD, before) is not before
    os.close(read)
    os.close(write)
    assert watched.get(timeout=20).rstatus == 6 << 8
    gevent.sleep(0.001)
    assert len(called) == (handler == "function")
    assert gevent.os.waitpid(pid, 0) == (pid, 6 << 8)


def test_handler_that_fails(capsys):
    def handler(signalnum, frame):
        raise ZeroDivisionError("in the handler")

    gevent.signal.signal(signal.SIGCHLD, handler)
    Popen(["true"]).wait()
    text = ""
    with gevent.Timeout(20):
        while "in the handler" not in text:
            gevent.sleep(0.001)
            text += capsys.readouterr().err


def test_what_was_set():
    """FRK-08: signal() returns, and getsignal() tells, what was set; also when the standard function was used in between."""

    def first(*args):
        pass

    def second(*args):
        pass

    ours, standard = gevent.signal.signal, signal.signal
    ours(signal.SIGCHLD, signal.SIG_DFL)
    assert ours(signal.SIGCHLD, first) == signal.SIG_DFL
    assert gevent.signal.getsignal(signal.SIGCHLD) is first
    assert ours(signal.SIGCHLD, second) is first
    wrapped = standard(signal.SIGCHLD, first)
    assert gevent.signal.getsignal(signal.SIGCHLD) is first
    assert ours(signal.SIGCHLD, wrapped) is first  # put back by somebody who saved it
    assert gevent.signal.getsignal(signal.SIGCHLD) is second
    assert ours(signal.SIGCHLD, signal.SIG_IGN) is second
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    assert ours(signal.SIGCHLD, signal.SIG_DFL) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


def test_wrong_handlers():
    """FRK-08: TypeError for what cannot be called."""
    for wrong in ("text", None, 99):
        with pytest.raises(TypeError, match="handler"):
            gevent.signal.signal(signal.SIGCHLD, wrong)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL


def test_other_signals():
    """FRK-08: they go to the standard library: the handler runs at once, where the program is."""
    where = []
    gevent.signal.signal(signal.SIGUSR1, lambda *args: where.append(getcurrent()))
    signal.raise_signal(signal.SIGUSR1)
    assert where == [getcurrent()]
    assert gevent.signal.getsignal(signal.SIGUSR1) is signal.getsignal(signal.SIGUSR1)
    with pytest.raises(ValueError):
        gevent.signal.signal(10_000, print)


def test_ignored_children_are_not_there_to_wait_for():
    """FRK-08: SIG_IGN acts on the process: the kernel collects its children."""
    gevent.signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    pid = start_shell("true")
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    assert Popen(["false"]).wait() == 0


def test_main_thread_only():
    errors = []

    def work():
        try:
            gevent.signal.signal(signal.SIGCHLD, print)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_wakeup_descriptor():
    """It is the standard function; what a program sets is used, and stays."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = gevent.signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        told = Event()
        signal.signal(signal.SIGUSR1, lambda *args: told.set())
        signal.raise_signal(signal.SIGUSR1)
        assert told.wait(5)
        assert os.read(read, 10) == bytes([signal.SIGUSR1])
    finally:
        assert gevent.signal.set_wakeup_fd(before) == write
        os.close(read)
        os.close(write)
