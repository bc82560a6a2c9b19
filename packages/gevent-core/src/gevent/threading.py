"""The parts of :mod:`threading` that have to know of greenlets: with them, a thread is a greenlet.

    >>> from gevent.threading import Thread
    >>> thread = Thread(target=print, args=["hello"])
    >>> thread.start()
    >>> thread.join()
    hello

Importing this patches nothing.

How it works
============
What :mod:`threading` takes from :mod:`_thread`, and under which names, differs from one version of Python to the next. ``__implements__``
lists what the running one looks up among its globals: gevent-monkey puts these in place, and the standard library's own ``Thread``,
``Condition``, ``current_thread()`` and so on then work with greenlets. That also makes all existing subclasses of ``Thread`` work.

:class:`Thread` and :func:`current_thread` here need no patching.

What has to happen when a greenlet has ended, of whatever kind and whoever started it, hangs on a :class:`gevent.local.local`: it
goes with the greenlet, and its ``__del__`` does it. Where objects go when a collector gets to them, on PyPy, that is late, and for
raw greenlets only: a :class:`~gevent.greenlet.Greenlet` tells of its end there.
"""

import contextvars
import os
import sys
import threading as _stdlib
from weakref import WeakKeyDictionary, WeakSet, ref

from greenlet import GreenletExit, getcurrent

from gevent._originals import get_original
from gevent._switching import get_loop
from gevent._waiting import WaitQueue
from gevent.event import Event
from gevent.exceptions import LoopExit
from gevent.greenlet import Greenlet
from gevent.local import local
from gevent.lock import RLock, rlock
from gevent.thread import LockType, count_as_thread, get_ident, get_native_id, new_lock, standard_lock, start_new_thread

__all__ = ["Lock", "RLock", "Thread", "Timer", "current_thread", "get_ident", "local", "main_thread"]

# Private names, each as threading has it; those that this version of Python does not have are not in __implements__.
__implements__ = [
    "Lock",
    "_CRLock",
    "_DummyThread",
    "_allocate_lock",
    "_start_new_thread",
    "get_ident",
    "local",
    "_set_sentinel",
    "_ThreadHandle",
    "_make_thread_handle",
    "_start_joinable_thread",
]
__implements__ = [name for name in __implements__ if hasattr(_stdlib, name)]

Lock = LockType
_CRLock = rlock if sys.version_info >= (3, 13) else RLock  # which takes, since then, what threading has warned of
_allocate_lock = standard_lock
_start_new_thread = start_new_thread

_native_ident = get_original("_thread", "get_ident")

main_thread = _stdlib.main_thread

_FREED_AT_ONCE = sys.implementation.name == "cpython"

# What each greenlet has: objects that do something when they go.
_mine = local()


class _AtEnd:
    """Calls ``function(*args)`` when it goes."""

    __slots__ = ("args", "function")

    def __init__(self, function, *args):
        self.function = function
        self.args = args

    def __del__(self):
        self.function(*self.args)


def _at_end(name, function, *args):
    """Have ``function(*args)`` called when the current greenlet has ended. *name*: for whom, once in each greenlet."""
    current = getcurrent()
    if _FREED_AT_ONCE or not isinstance(current, Greenlet):
        setattr(_mine, name, _AtEnd(function, *args))
        return
    if current._links is None:
        current._links = WaitQueue()
    current._links.link_first(_call, (function, args))


def _call(what):
    function, args = what
    function(*args)


def _set_sentinel():
    """A lock that is released when the current greenlet has ended: how threading up to Python 3.12 joins a thread."""
    sentinel = new_lock()
    _at_end("sentinel", _release, sentinel)
    current = getcurrent()
    if isinstance(current, Greenlet):
        _sentinels[current] = sentinel
    return sentinel


def _release(sentinel):
    if sentinel.locked():
        sentinel.release()


_sentinels = WeakKeyDictionary()


class EventCondition(_stdlib.Condition):
    """``_cond`` of an event: who waits in it stands in the event's own line, and who notifies wakes everybody who stands there."""

    def __init__(self, event):
        super().__init__(new_lock())
        self._event = event

    def wait(self, timeout=None):
        """Give the lock back, block until woken (True) or *timeout* seconds have passed (False), and take it again.

        RuntimeError unless the lock is held. True at once if the event is set.
        """
        if not self._is_owned():
            raise RuntimeError("cannot wait on un-acquired lock")
        self.release()
        try:
            return self._event._wait(timeout)
        finally:
            self.acquire()

    def notify(self, n=1):
        """Wake everybody, whatever *n*; ``wait()`` of the event returns True there. RuntimeError unless the lock is held."""
        if not self._is_owned():
            raise RuntimeError("cannot notify on un-acquired lock")
        self._event._wake()


# ---- Handles: how threading joins a thread since Python 3.13 ---------------------------------------------------------------------

_HANDLE_NAMES = ("_handle", "_os_thread_handle")  # of a Thread's attribute: up to Python 3.13, and since


class _ThreadHandle:
    """The end of a thread that is a greenlet. *ident* is its :func:`get_ident`, 0 while it was not started."""

    def __init__(self):
        self.ident = 0
        self._ended = Event()
        self._loop = None

    def is_done(self):
        """Whether it has ended."""
        return self._ended.is_set()

    def _set_done(self):
        if not self.ident:
            raise RuntimeError("thread not started")
        self._ended.set()

    def join(self, timeout=None, /):
        """Wait until it has ended, or *timeout* seconds have passed. RuntimeError unless it was started, and in that thread itself.

        In any native thread.
        """
        if not self.ident:
            raise RuntimeError("thread not started")
        if self._ended.is_set():
            return
        if self.ident == get_ident():
            raise RuntimeError("Cannot join current thread")
        timeout = timeout if timeout is None else max(timeout, 0)
        loop = get_loop()
        if loop is self._loop:
            self._ended.wait(timeout)
            return
        loop.ref()  # our loop does not know that somebody in another one will end this wait, and would give up
        try:
            self._ended.wait(timeout)
        finally:
            loop.unref()

    def _start(self, greenlet, daemon):
        self.ident = get_ident(greenlet)
        self._loop = get_loop()
        _handles.add(self)
        count_as_thread(greenlet)
        if not daemon:
            _join_at_exit(self)
        greenlet.rawlink(self._finish)

    def _finish(self, greenlet):
        _unfinished.discard(self)
        self._loop = None
        self._ended.set()

    def __repr__(self):
        state = "done" if self.is_done() else "running" if self.ident else "not started"
        return f"<{type(self).__name__} object: ident={self.ident} {state}>"


def _make_thread_handle(ident):
    """The handle of a thread that runs already."""
    handle = _ThreadHandle()
    handle.ident = ident
    return handle


def _start_joinable_thread(function, handle=None, daemon=True):
    """Call ``function()`` in a new greenlet, soon; returns *handle*, or a new one. At exit, it is waited for unless *daemon*."""
    if not callable(function):
        raise TypeError(f"thread function must be callable, not {function!r}")
    if handle is None:
        handle = _ThreadHandle()
    elif not isinstance(handle, _ThreadHandle):
        raise TypeError(f"'handle' must be a _ThreadHandle, not {handle!r}")
    elif handle.ident:
        raise RuntimeError("thread already started")
    greenlet = Greenlet(function)
    handle._start(greenlet, daemon)
    greenlet.start()
    return handle


_handles = WeakSet()  # those that were started


def _after_fork_in_child():
    # The other threads have ended: see gevent.thread. That is told at once, and not when the hub gets to run.
    current = get_ident()
    for handle in list(_handles):
        if handle.ident != current:
            _unfinished.discard(handle)
            handle._ended.set()
    for greenlet, sentinel in list(_sentinels.items()):
        if greenlet.dead:
            _release(sentinel)


os.register_at_fork(after_in_child=_after_fork_in_child)


_unfinished = set()  # handles of threads that are no daemons


def _join_at_exit(handle):
    if not _registered:
        # Before it waits for native threads, the main thread does what is registered here, still able to run the loop.
        _stdlib._register_atexit(_join_all)
        _registered.append(True)
    _unfinished.add(handle)


_registered = []


def _join_all():
    # threading would say so just after this, when those that wait for the main thread had kept this from ending.
    for name in _HANDLE_NAMES:
        handle = vars(main_thread()).get(name)
        if handle is not None:
            handle._set_done()
    try:
        while _unfinished:
            next(iter(_unfinished)).join()
    except LoopExit:
        pass  # nobody can end them any more; native threads would keep the process for ever


# ---- Threads ---------------------------------------------------------------------------------------------------------------------


class Thread(_stdlib.Thread):
    """A :class:`threading.Thread` that runs in a greenlet, patched or not. Arguments, methods and attributes are the same.

    ``start()`` never waits: the greenlet runs when others wait. At the end of the program the main thread waits for those that are no
    daemons, unless nothing is left that could end them. A GreenletExit ends it silently, any other exception goes to
    :func:`threading.excepthook`.

    .. versionchanged:: 26.11.0
       Works without :mod:`gevent.monkey`.
    """

    _green_handle = None

    def start(self):
        """Have :meth:`run` called in a greenlet, soon. RuntimeError if that was done before."""
        if not self._initialized:
            raise RuntimeError("thread.__init__() not called")
        if self._green_handle is not None:
            raise RuntimeError("threads can only be started once")
        greenlet = Greenlet(self._run_in_greenlet)
        _inherit_context(self, greenlet)
        handle = self._green_handle = _ThreadHandle()
        _set_handle(self, handle)
        self._ident = get_ident(greenlet)
        self._native_id = get_native_id()
        self._started.set()
        with _stdlib._active_limbo_lock:
            _stdlib._active[self._ident] = self
        greenlet.rawlink(self._forget)
        handle._start(greenlet, self.daemon)
        greenlet.start()

    def _run_in_greenlet(self):
        try:
            self.run()
        except GreenletExit:
            raise
        except BaseException:
            self._invoke_excepthook(self)

    def _forget(self, greenlet):
        _forget_thread(self)
        self._is_stopped = True  # for repr() up to Python 3.12

    def is_alive(self):
        """Whether it was started and has not ended."""
        if not self._initialized:
            raise RuntimeError("Thread.__init__() not called")
        return self._green_handle is not None and not self._green_handle.is_done()

    def join(self, timeout=None):
        """Wait until it has ended, or *timeout* seconds have passed. RuntimeError unless it was started, and in that thread itself."""
        if not self._initialized:
            raise RuntimeError("Thread.__init__() not called")
        if self._green_handle is None:
            raise RuntimeError("cannot join thread before it is started")
        if self._ident == get_ident():
            raise RuntimeError("cannot join current thread")
        self._green_handle.join(timeout)


def _inherit_context(thread, greenlet):
    # Since Python 3.14 a thread may be given a context for its variables, or start with a copy of the current one.
    if sys.version_info >= (3, 14):
        context = thread._context
        if context is None:
            context = contextvars.copy_context() if sys.flags.thread_inherit_context else contextvars.Context()
        greenlet.gr_context = context


def _set_handle(thread, handle):
    """Put *handle* where repr() and the rest of threading look, if this version of Python has such a thing."""
    for name in _HANDLE_NAMES:
        if name in thread.__dict__:
            setattr(thread, name, handle)


def _forget_thread(thread):
    # No lock: this may be called at any time, also while the current greenlet holds it, or as the interpreter takes modules apart.
    if _stdlib is not None and _stdlib._active.get(thread._ident) is thread:
        _stdlib._active.pop(thread._ident, None)


class Timer(Thread):
    """Calls ``function(*args, **kwargs)`` in a greenlet after *interval* seconds, as :class:`threading.Timer` does in a thread."""

    def __init__(self, interval, function, args=None, kwargs=None):
        Thread.__init__(self)
        self.interval = interval
        self.function = function
        self.args = args if args is not None else []
        self.kwargs = kwargs if kwargs is not None else {}
        self.finished = Event()

    def cancel(self):
        """Do not call it, if that was not done yet."""
        self.finished.set()

    def run(self):
        self.finished.wait(self.interval)
        if not self.finished.is_set():
            self.function(*self.args, **self.kwargs)
        self.finished.set()


class _DummyThread(_stdlib._DummyThread):
    """What :func:`current_thread` gives in a greenlet that no ``Thread`` has started. It is forgotten with its greenlet.

    .. versionchanged:: 1.1
       It vanishes, and no lock is made for it.
    """

    def __init__(self):
        _stdlib.Thread.__init__(self, name=_stdlib._newname("Dummy-%d"), daemon=True)
        current = getcurrent()
        self._greenlet = ref(current)
        self._ident = get_ident(current)
        self._native_id = get_native_id()
        _set_handle(self, _make_thread_handle(self._ident))
        self._started.set()
        with _stdlib._active_limbo_lock:
            _stdlib._active[self._ident] = self
        _at_end("dummy", _forget_thread, self)

    def is_alive(self):
        """Whether its greenlet is."""
        greenlet = self._greenlet()
        return greenlet is not None and not greenlet.dead

    def join(self, timeout=None):
        """RuntimeError: nobody started it, so nobody can wait for it."""
        raise RuntimeError("cannot join a dummy thread")

    def __repr__(self):
        state = "started" if self.is_alive() else "stopped"
        return f"<{type(self).__name__}({self._name}, {state} daemon {self._ident})>"


def current_thread():
    """The thread that the current greenlet is, patched or not; a :class:`threading._DummyThread` if no ``Thread`` has started it.

    In the main greenlet of a native thread, that is the native thread.

    .. versionadded:: 26.11.0
    """
    current = getcurrent()
    thread = _stdlib._active.get(get_ident(current))
    if thread is None and current.parent is None:
        thread = _stdlib._active.get(_native_ident())
    return _DummyThread() if thread is None else thread
