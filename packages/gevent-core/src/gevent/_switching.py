"""Who runs: the hub of each native thread, leaving a greenlet, and the Waiter.

Few functions suspend a greenlet, and all of them end in one place: ``loop.switch_out`` of the backend. Here is what stands
directly on it. Every native thread has one hub at most, made when somebody first waits there. :func:`get_loop` is the hot path:
a C thread-local on CPython.
"""

import functools
import os
import sys

from greenlet import getcurrent, greenlet

from gevent._config import config, import_path
from gevent._originals import get_ident, get_original, thread_local
from gevent.core import current_loop, set_current_loop
from gevent.exceptions import ConcurrentObjectUseError


class _Thread(thread_local):
    """What a native thread has of its own."""

    hub = None  # keeps it alive: the C thread-local only borrows its loop
    hub_class = None
    guard = None  # destroys the hub when the thread ends
    loop = None  # left behind by a hub that was destroyed without its loop; the next hub takes it


_thread = _Thread()


class _Guard:
    """Destroys the hub of a native thread as the thread ends, when what is thread-local goes.

    Nobody else could: the hub's greenlet waits inside the loop, on a C stack that refers to both, and only its own thread can
    switch to it. PyPy has no need of that: a suspended greenlet is garbage there like any other. Nor would it do, since what is
    thread-local goes with the next collection, in any thread.
    """

    def __init__(self):
        self.thread = get_ident()
        self.hub = None

    def __del__(self):
        hub, self.hub = self.hub, None
        if hub is not None and hub.loop is not None and get_ident() == self.thread:
            # _thread is gone, and looking at it would make another.
            set_current_loop(None)
            hub._shut_down(True)


_GUARDED = sys.implementation.name != "pypy"
_MAIN = get_ident()  # the thread that imports gevent: its hub lasts as long as the process

_count_threads = get_original("_thread", "_count")
_threads_before_fork = 0  # what the interpreter counts in a forked child, where they are not

#: The idents of gevent's own native threads that sleep, or only look: they wake no greenlet.
quiet_threads = set()


def count_other_threads():
    """How many other native threads there are, that may wake a greenlet of this one by what they do."""
    return _count_threads() - _threads_before_fork - len(quiet_threads)


def _forget_threads():
    global _threads_before_fork
    _threads_before_fork = _count_threads()
    quiet_threads.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


#: The class of hubs, by name: it is defined a layer above.
HUB_CLASS = "gevent.hub.Hub"


def get_hub_class():
    """The class that :func:`get_hub` makes a hub of in this native thread."""
    if _thread.hub_class is None:
        _thread.hub_class = import_path(HUB_CLASS)
    return _thread.hub_class


def get_hub(*args, **kwargs):
    """The hub of the calling native thread. It is made on first use; the arguments go to its class then."""
    loop = current_loop()
    if loop is not None:
        return loop.hub
    return _make_hub(args, kwargs)


def get_hub_if_exists():
    """The hub of the calling native thread, or None when there is none yet."""
    return _thread.hub


def _make_hub(args, kwargs):
    hub = _thread.hub
    if hub is None or hub.loop is None:
        made = get_hub_class()(*args, **kwargs)
        hub = _thread.hub
        if hub is not None and hub.loop is not None:
            # Made by a signal handler while we were at it, and perhaps with greenlets already. They share the loop.
            hub.loop.hub = hub
            made.loop = None
            return hub
        hub = made
        set_hub(hub)
        if config.monitor_thread:
            hub.start_periodic_monitoring_thread()
        if config.preempt_threads:
            _preempt_threads(config.preempt_threads)
    return hub


#: What preempts the threads of a hub, by name: it is defined layers above.
PREEMPTION_CLASS = "gevent._preemption.Preemption"


def _preempt_threads(seconds):
    """Begin, or no longer, to preempt the threads that are greenlets of the main native thread: what the setting says."""
    hub = _thread.hub
    if hub is None or not is_main_thread():
        return
    if hub._preemption is not None:
        hub._preemption.stop()
        hub._preemption = None
    if seconds:
        hub._preemption = import_path(PREEMPTION_CLASS)(hub, seconds)


config.settings["preempt_threads"].changed = _preempt_threads


def set_hub(hub):
    """Make *hub*, or None, the hub of the calling native thread."""
    _thread.hub = hub
    if _GUARDED and not is_main_thread():
        if _thread.guard is None:
            _thread.guard = _Guard()
        _thread.guard.hub = hub
    set_current_loop(None if hub is None else hub.loop)


def is_main_thread():
    return get_ident() == _MAIN


def keep_loop(loop):
    """Leave *loop*, or None, to the next hub of this native thread."""
    _thread.loop = loop


def kept_loop():
    """The loop that a destroyed hub left behind in this native thread, or None."""
    return _thread.loop


def get_loop():
    """The event loop of the calling native thread's hub, which is made if need be."""
    loop = current_loop()
    if loop is None:
        loop = _make_hub((), {}).loop
    return loop


def sleep(seconds=0, ref=True):
    """Put the current greenlet to sleep for at least *seconds*; other greenlets run meanwhile.

    With 0, or less, it lets every other greenlet that is ready run, and goes on. With *ref* false the sleep does not keep
    :func:`gevent.wait` from returning. Raises BlockingSwitchOutError in the hub, ValueError for NaN, TypeError for no number.
    """
    loop = get_loop()
    if seconds <= 0:
        loop.yield_now()
    else:
        loop.sleep(seconds, ref)


def spawn_raw(function, *args, **kwargs):
    """A plain :class:`greenlet.greenlet` that will call ``function(*args, **kwargs)`` soon.

    It is cheaper than a :class:`gevent.Greenlet` and has nothing of it: no join, get or link, and its result is dropped. An
    exception that ends it is reported. TypeError unless *function* can be called.

    .. versionchanged:: 1.1
       Takes keyword arguments.
    """
    if not callable(function):
        raise TypeError(f"the function must be callable, not {function!r}")
    loop = get_loop()
    if args or kwargs:
        function = functools.partial(function, *args, **kwargs)
    raw = greenlet(function, loop.hub)
    loop.ready(raw)
    return raw


_NOTHING = object()


class Waiter:
    """Waiter(hub=None)

    One value, or one exception, handed from the hub to a greenlet.

    The greenlet calls :meth:`get` and is switched away; a callback in the hub calls :meth:`switch` or :meth:`throw`, in either
    order. It is for one greenlet and one value, and the ground to build more useful things on; see :class:`gevent.event.AsyncResult`
    for one of them.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none

    def __init__(self, hub=None):
        self.hub = get_hub() if hub is None else hub
        self.greenlet = None
        self.value = None
        self._exception = _NOTHING

    def clear(self):
        """Forget value and exception, so that it can be used again."""
        self.greenlet = None
        self.value = None
        self._exception = _NOTHING

    def ready(self):
        """Whether there is a value or an exception."""
        return self._exception is not _NOTHING

    def successful(self):
        """Whether there is a value."""
        return self._exception is None

    @property
    def exc_info(self):
        """The arguments of :meth:`throw`, if it was called."""
        return None if self._exception is _NOTHING else self._exception

    def switch(self, value=None):
        """Hand *value* to the greenlet: switch to it if it waits, else keep the value. Only in the hub: AssertionError elsewhere."""
        if self.greenlet is None:
            self.value = value
            self._exception = None
            return
        self._check_hub("switch")
        switch = self.greenlet.switch
        try:
            switch(value)
        except BaseException as error:
            self.hub.handle_error(switch, type(error), error, error.__traceback__)

    def switch_args(self, *args):
        """:meth:`switch` with the tuple of all arguments."""
        self.switch(args)

    def throw(self, *throw_args):
        """Raise an exception in the greenlet, or keep it until the greenlet asks. Only in the hub: AssertionError elsewhere."""
        if self.greenlet is None:
            self._exception = throw_args
            return
        self._check_hub("throw")
        throw = self.greenlet.throw
        try:
            throw(*throw_args)
        except BaseException as error:
            self.hub.handle_error(throw, type(error), error, error.__traceback__)

    def _check_hub(self, name):
        if getcurrent() is not self.hub:
            raise AssertionError(f"Waiter.{name} hands over only in the hub, not in {getcurrent()!r}")

    def get(self):
        """The value, waiting for it if need be; raises the exception if there is one instead.

        ConcurrentObjectUseError when another greenlet waits for it already.
        """
        if self._exception is not _NOTHING:
            if self._exception is None:
                return self.value
            getcurrent().throw(*self._exception)
        if self.greenlet is not None:
            raise ConcurrentObjectUseError(f"this Waiter is already used by {self.greenlet!r}")
        self.greenlet = getcurrent()
        try:
            return self.hub.switch()
        finally:
            self.greenlet = None

    def __call__(self, source):
        """Take over value or exception of a *source* that is ready; for use as a link callback."""
        if source.exception is None:
            self.switch(source.value)
        else:
            self.throw(source.exception)

    def __repr__(self):
        if self._exception is _NOTHING:
            text = "empty" if self.greenlet is None else f"greenlet={self.greenlet!r}"
        elif self._exception is None:
            text = f"value={self.value!r}"
        else:
            text = f"exc_info={self._exception!r}"
        return f"<{type(self).__name__} at {id(self):#x} {text}>"
