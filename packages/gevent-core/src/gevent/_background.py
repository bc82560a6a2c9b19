"""A native thread beside a hub's: it sleeps, looks at something, and sleeps again.

How it works: each :class:`BackgroundThread` is one native thread that sleeps on a native lock of its own, its alarm. To wake it is to
release that, which a finalizer or a signal handler may do as well. It is not counted among those that might wake greenlets, so it keeps
nobody from LoopExit. All are ended in ``atexit``: CPython 3.11.2, Debian's, crashes in one that wakes later, while the interpreter frees
what it has. A forked child has none of them; whose they were starts new ones there.
"""

import atexit
import os

from gevent._originals import allocate_lock, get_ident, start_new_thread
from gevent._switching import quiet_threads

__all__ = ["BackgroundThread", "is_background"]

#: Those that have not ended, in this process.
_running = {}

#: Seconds that each gets at the end of the process, to end.
_AT_EXIT = 1.0


class BackgroundThread:
    """A native thread that calls ``function(thread, *args)``, which is to return soon after :attr:`ending` is true.

    It is started at once; RuntimeError if the system, or an interpreter that ends, has no thread for it.
    """

    def __init__(self, function, *args):
        #: Whether it was told to end.
        self.ending = False
        self.ident = None
        self._pid = os.getpid()
        self._alarm = allocate_lock()  # held, unless the thread is to wake
        self._alarm.acquire()
        self._ended = allocate_lock()  # held, until it has ended
        self._ended.acquire()
        _running[self] = None
        try:
            self.ident = start_new_thread(self._run, (function, args))
        except BaseException:
            del _running[self]
            raise

    def _run(self, function, args):
        self.ident = get_ident()
        quiet_threads.add(self.ident)
        try:
            function(self, *args)
        finally:
            quiet_threads.discard(self.ident)
            _running.pop(self, None)
            self._ended.release()

    def sleep(self, seconds=None):
        """Sleep for *seconds*, or until :meth:`wake` or :meth:`end`; returns whether one of these came first. In this thread only."""
        return self._alarm.acquire(True, -1 if seconds is None else seconds)

    def wake(self):
        """Have it return from its sleep, or not begin the next."""
        try:
            self._alarm.release()
        except RuntimeError:  # it rings already
            pass

    def end(self):
        """Tell it to end, and do not wait for that."""
        self.ending = True
        self.wake()

    def is_here(self):
        """Whether it was started in this process, and not in the one that this was forked from."""
        return self._pid == os.getpid()


def is_background():
    """Whether the caller runs in such a thread."""
    ident = get_ident()
    return any(each.ident == ident for each in list(_running))


def _end_all():
    for each in list(_running):
        each.end()
        each._ended.acquire(True, _AT_EXIT)


atexit.register(_end_all)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)
