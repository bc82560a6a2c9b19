"""Pools of native threads for calls that would block the loop.

    >>> import time
    >>> from gevent.threadpool import ThreadPool
    >>> pool = ThreadPool(3)
    >>> pool.apply(time.strftime, ["%Y", time.gmtime(0)])
    '1970'
    >>> pool.kill()

How it works
============
*A task* (:class:`ThreadResult`) is made in the hub's thread, runs in a worker, and comes back as one callback that the worker posts
to the loop. From its start to its delivery it holds the loop open, so that whoever waits for it never gets LoopExit.

*A worker* is a native thread with a native lock of its own to sleep on. It goes to the list of idle workers *before* it posts what it
did: so whoever gets the result finds the worker idle, and a program that makes one call after the other needs one thread only.
The task is put right into the worker's hands; the queue holds only what no thread is free for.

*Threads.* :class:`TaskQueue` is all that workers and the hub's thread share; its lock guards every change, nothing here relies on
the GIL. Workers refer to the queue and not to the pool, so that a pool that is dropped ends its threads. All else belongs to the hub's
thread.

*Forking.* The child has none of the workers, and perhaps a lock that one of them held, so it makes a new queue: see ``_on_fork``.
"""
import os
import sys
from collections import deque
from functools import partial
from weakref import ref

from gevent._config import import_path
from gevent._originals import allocate_lock, get_ident, start_new_thread
from gevent._switching import get_hub, get_hub_if_exists
from gevent._waiting import WaitQueue
from gevent.event import AsyncResult
from gevent.exceptions import InvalidThreadUseError
from gevent.hub import getcurrent, reinit
from gevent.lock import Semaphore
from gevent.pool import GroupMappingMixin

__all__ = ["ThreadPool", "ThreadPoolExecutor", "ThreadResult"]

_UPWARD = {"ThreadPoolExecutor": "gevent._executor.ThreadPoolExecutor"}


def __getattr__(name):
    # concurrent.futures takes longer to import than the rest of gevent: only for those who ask.
    if name in _UPWARD:
        globals()[name] = import_path(_UPWARD[name])
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class ThreadResult:
    """The result of something that happens in another native thread, on its way to the *hub*.

    It is made in the hub's thread and holds the loop open until it is delivered, or destroyed. The other thread calls :meth:`set` or
    :meth:`handle_error`, once; soon after ``call_when_ready()`` and ``receiver(self)`` are called in the hub. An error goes to
    ``hub.handle_error`` as well.
    """

    #: Type, value and traceback of the error, if it was one.
    exc_info = ()

    def __init__(self, receiver, hub=None, call_when_ready=None):
        self.receiver = receiver
        self.hub = get_hub() if hub is None else hub
        self.loop = self.hub.loop
        #: What failed, for the report.
        self.context = None
        self.value = None
        self.expected_errors = ()
        self._call_when_ready = call_when_ready
        self.loop.ref()

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} for {self.receiver!r}>"

    @property
    def exception(self):
        """The error, or None."""
        return self.exc_info[1] if self.exc_info else None

    def successful(self):
        """Whether there is no error."""
        return not self.exc_info

    def set(self, value):
        """Deliver *value*. From any native thread."""
        self.value = value
        self._send()

    def handle_error(self, context, exc_info):
        """Deliver the error *exc_info* of *context*. From any native thread."""
        self.context = context
        self.exc_info = exc_info
        self._send()

    def _send(self):
        try:
            self.loop.run_callback_threadsafe(self._deliver)
        except ValueError:  # the loop is destroyed, so nobody is left to wait
            pass

    def _deliver(self):
        receiver, hub = self.receiver, self.hub
        if receiver is None:  # destroyed; or sent just when the process forked, and given up there
            return
        self.receiver = None
        self.loop.unref()
        try:
            if self._call_when_ready is not None:
                self._call_when_ready()
            receiver(self)
            if self.exc_info and not isinstance(self.exc_info[1], self.expected_errors):
                hub.handle_error(self.context, *self.exc_info)
        finally:
            self._forget()

    def destroy(self):
        """Give up what was not delivered: the receiver is never called. In the hub's thread only."""
        if self.receiver is not None:
            self.receiver = None
            self.loop.unref()
            self._forget()

    def _forget(self):
        self.context = self.value = self.hub = self.loop = self._call_when_ready = None
        self.exc_info = ()


class Task(ThreadResult):
    """A call that a worker makes."""

    started = False

    def __init__(self, receiver, hub, call_when_ready, function, args, kwargs):
        super().__init__(receiver, hub, call_when_ready)
        self.function = function
        self.args = args
        self.kwargs = kwargs

    def run(self):
        """Make the call, in the worker's thread; the result is sent apart, by :meth:`send`."""
        self.started = True
        try:
            self.value = self.function(*self.args, **self.kwargs)
        except BaseException as error:
            tb = error.__traceback__
            # From the function's own frame on, if there is one: ours is of no interest.
            self.exc_info = (type(error), error, tb.tb_next or tb)
            self.context = (self, self.function)
        self.function = self.args = self.kwargs = None

    def fail(self, error):
        """Take *error* for the result, in the hub's thread and without a report."""
        self.exc_info = (type(error), error, None)
        self.expected_errors = type(error)
        self.loop.run_callback(self._deliver)
