"""Threads that are greenlets take turns, though none of them waits: what ``gevent.config.preempt_threads`` asks for.

How it works
============
A native thread looks as often as the setting says whether the hub's thread has come round: whether its loop polls, has polled, or has
given somebody a turn since. If not, whoever runs has run for so long at least, and is sent a signal that nobody else uses: its handler
is Python code between two steps of the greenlet's, and there it may leave, as in ``sleep(0)``. Nothing of this is there while
the setting is 0, and nothing that runs ever looks at anything.

*Why a signal.* Of the ways to have something called in another thread it is the one that a greenlet may be away from: while a
call of ``Py_AddPendingCall`` has not returned, the interpreter makes no other. The signal is not sent to the process, it is noted in the
interpreter as if it had come, so no system call is interrupted; Python 3.9 cannot do that, and there it is sent to the thread, with
``SA_RESTART``. It has the highest number that is free: signals that came at the same time are handled before, and do not wait for
the greenlet to come back.

*Where it must not leave.* Threads and the main greenlet only, never the hub or a greenlet that was spawned. Nor while there is anything on
the stack that has to be done before somebody else runs, which native threads would be kept from by a lock, and greenlets of one thread are
not: gevent's own code, an import, a finalizer, a signal handler, a trace function, a callback of asyncio. Then it is tried again a little
later. What is compiled has no frames, and is not interrupted; where it calls Python code that must not wait, :func:`is_held` tells.
"""

import gc
import sys
import warnings
from weakref import ref

import greenlet

from gevent._background import BackgroundThread
from gevent._mutex import is_held
from gevent._originals import get_ident, get_original
from gevent._switching import get_hub_if_exists
from gevent.thread import _count, find_thread

__all__ = ["Preemption", "PreemptionWarning"]

try:
    import _signal  # getsignal() of signal makes an enum of each
except ImportError:
    import signal as _signal

#: The functions of gevent through which a thread's own code runs, by module and name: to have called that, they do not stay unfinished.
PASSED_THROUGH = {
    ("gevent.greenlet", "run"),
    ("gevent.thread", "_run_thread"),
    ("gevent.threading", "_run_in_greenlet"),
    ("gevent.threading", "run"),
    ("gevent.timeout", "with_timeout"),
    ("gevent.monkey", "main"),
    ("gevent.monkey.__main__", "run"),
    ("gevent.monkey._queues", "_run"),
    ("gevent.monkey._multiprocessing", "_bootstrap"),
}

#: The part of the period after which it is tried again where it was not possible, and the seconds that this is at least.
RETRY = 0.1
MIN_RETRY = 0.001

#: The one that is at work, if any; those of former hubs end when they see that they are not it.
_current = None

#: Whether the garbage collector runs, and calls finalizers.
_collecting = False


class PreemptionWarning(RuntimeWarning):
    """The settings ask for preemption, and there is none."""


class Preemption:
    """Preempts the threads that are greenlets of *hub*, the main native thread's, *seconds* after they had their turn, or later.

    It begins at once and ends with the hub, or by :meth:`stop`. It warns, and does nothing, outside the interpreter's main
    thread, which alone handles signals.
    """

    def __init__(self, hub, seconds):
        global _current
        self.seconds = seconds
        self._hub = ref(hub)
        self._thread = None
        self._signum = _free_signal()
        try:
            get_original("signal", "signal")(self._signum, _on_signal)
        except ValueError:
            warnings.warn("preempt_threads: only the interpreter's main thread can be preempted", PreemptionWarning, stacklevel=2)
            return
        if hasattr(_signal, "siginterrupt"):
            _signal.siginterrupt(self._signum, False)
        if _on_collection not in gc.callbacks:
            gc.callbacks.append(_on_collection)
        _current = self
        self._start()

    def _start(self):
        try:
            self._thread = BackgroundThread(self._watch, get_ident())
        except RuntimeError as error:
            self._thread = None
            if not sys.is_finalizing():
                warnings.warn(f"preempt_threads: {error}", PreemptionWarning, stacklevel=2)

    def stop(self):
        """Preempt nobody any more."""
        global _current
        if _current is self:
            _current = None
            if _on_collection in gc.callbacks:
                gc.callbacks.remove(_on_collection)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.end()

    def _on_fork(self):
        """In a forked child, where the native thread is not: start it again."""
        if _current is self and (self._thread is None or not self._thread.is_here()):
            self._start()

    def _watch(self, thread, hub_thread):
        """What the native thread does."""
        progress, pause = None, self.seconds
        while not thread.sleep(pause) and _current is self:
            last, progress = progress, self._progress()
            if progress is None:
                break
            pause = self.seconds
            if progress == last and progress != "polling":
                if not self._signal(hub_thread):
                    break
                pause = max(pause * RETRY, min(pause, MIN_RETRY))

    def _progress(self):
        """What changes whenever the loop polls or somebody has a turn; None if there is no loop any more."""
        hub = self._hub()
        loop = None if hub is None else hub.loop
        try:
            return None if loop is None else "polling" if loop.polling else (loop.iteration, loop.runcnt)
        except (AttributeError, ValueError):  # destroyed
            return None

    def _signal(self, hub_thread):
        """Have :func:`_on_signal` called in the hub's thread. Returns whether that will be so."""
        if _signal.getsignal(self._signum) is not _on_signal:
            text = f"preempt_threads: no thread is preempted any more, for the program has taken signal {self._signum} for itself"
            warnings.warn(text, PreemptionWarning, stacklevel=2)
            return False
        if sys.version_info >= (3, 10):
            _note_signal(self._signum)
        else:
            _signal.pthread_kill(hub_thread, self._signum)
        return True


_note_signal = get_original("_thread", "interrupt_main")


def _free_signal():
    """The highest signal with which the program does nothing, or that we use already."""
    for number in sorted(_signal.valid_signals(), reverse=True):
        if _signal.getsignal(number) in (_signal.SIG_DFL, _on_signal):
            return number
    raise RuntimeError("preempt_threads: the program has handlers for all signals, and one is needed")


def _on_collection(phase, info):
    global _collecting
    _collecting = phase == "start"


def _on_signal(signum, frame):
    """Called in the hub's thread, between two steps of what runs there."""
    hub = get_hub_if_exists()
    try:
        leave = hub is not None and _current is not None and _current._hub() is hub and may_leave(hub, frame)
    except RecursionError:  # at the limit, and what runs there has not passed it
        return
    if leave:
        hub.loop.yield_now()


def may_leave(hub, frame):
    """Whether the current greenlet, which is at *frame*, may let others run there."""
    current = greenlet.getcurrent()
    if frame is None or hub.loop is None or current is hub or sys.is_finalizing():
        return False
    if (_count() == 0) if current is hub.parent else (find_thread() is None):
        return False
    if _collecting or is_held() or _runs_asyncio() or _imports() or _is_traced():
        return False
    if _is_own(frame):
        return False
    between = _called_between()
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__del__" or code in between:
            return False
        module = frame.f_globals.get("__name__")
        if isinstance(module, str):
            if module.startswith("importlib._bootstrap"):
                return False
            if _is_own(frame) and (module, code.co_name) not in PASSED_THROUGH:
                return False
        frame = frame.f_back
    return True


def _is_own(frame):
    module = frame.f_globals.get("__name__")
    return isinstance(module, str) and (module == "gevent" or module.startswith("gevent."))


def _runs_asyncio():
    # Its compiled classes keep the running loop for the native thread, and look there again after a callback.
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def _imports():
    lock_held = getattr(sys.modules.get("_imp"), "lock_held", None)
    return lock_held is not None and lock_held()


def _is_traced():
    # The interpreter notes for the native thread that it is in such a function, and traces nobody else meanwhile.
    return any(_code(function) is not None for function in (sys.gettrace(), sys.getprofile()))


def _called_between():
    """The code of what is called in the middle of something: handlers of signals, the trace function of greenlet."""
    functions = [_signal.getsignal(number) for number in _signal.valid_signals()]
    functions.append(greenlet.gettrace())
    return {_code(each) for each in functions}


def _code(function):
    return getattr(getattr(function, "__func__", function), "__code__", None)
