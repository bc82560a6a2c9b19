"""The lock that native threads take before they touch what greenlets wait in, where nothing is compiled; see ``_mutex.pyx``.

Here every step between ``lock()`` and ``unlock()`` is Python code. No finalizer is called there, lest somebody's ``__del__`` wants the
lock for the same object, half changed: CPython's garbage collector is kept from running, PyPy's from calling what it has found. A
signal handler can still come between two steps. It may have the lock again, as it is the thread's own, rather than wait for ever.
"""

import gc
import os

from gevent._originals import get_original

__all__ = ["COSTLY", "Hold", "Mutex", "is_held", "mutex"]

#: Taking the mutex costs more than a look whether it has to be taken.
COSTLY = True

_RLock = get_original("_thread", "RLock")


class _CountingMutex:
    """A lock that its native thread may take again, where finalizers are disabled as often as they are to be enabled (PyPy)."""

    def __init__(self):
        lock = _RLock()
        self._acquire = lock.acquire
        self._release = lock.release
        self._disable_finalizers = gc.disable_finalizers
        self._enable_finalizers = gc.enable_finalizers

    def lock(self):
        """Take it, waiting for another native thread to let go of it."""
        # No finalizer runs while we have the lock, at its two ends neither: one may block for what a thread has that wants this lock.
        self._disable_finalizers()
        try:
            self._acquire()
        except BaseException:  # a signal handler's, while we waited
            self._enable_finalizers()
            raise

    def unlock(self):
        """Let go of it."""
        self._release()
        self._enable_finalizers()  # calls those that have waited

    def set_free(self):
        """:meth:`unlock` in a forked child: other threads, which had disabled finalizers and would have enabled them, are not here."""
        self._release()
        switched_off = not gc.isenabled()
        gc.enable()
        try:
            while True:
                self._enable_finalizers()
        except ValueError:  # they are enabled
            pass
        if switched_off:
            gc.disable()


class _SwitchingMutex:
    """A lock that its native thread may take again, where the collector is on or off (CPython)."""

    def __init__(self):
        self._lock = _RLock()
        self._depth = 0
        self._collecting = False  # it was on, and we have turned it off

    def lock(self):
        """Take it, waiting for another native thread to let go of it."""
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1 and gc.isenabled():
            self._collecting = True
            gc.disable()

    def unlock(self):
        """Let go of it."""
        self._depth -= 1
        if not self._depth:
            # A signal handler that comes in the middle of this finds the collector off, and leaves it to us, or turns it on itself.
            collecting, self._collecting = self._collecting, False
            if collecting:
                gc.enable()
        self._lock.release()

    def set_free(self):
        """:meth:`unlock` in a forked child."""
        self.unlock()


Mutex = _CountingMutex if hasattr(gc, "disable_finalizers") else _SwitchingMutex
mutex = Mutex()


class Hold:
    """A lock to hold while Python code runs. Its native thread may take it again."""

    def __init__(self):
        lock = _RLock()
        self.lock = lock.acquire
        self.unlock = lock.release


def is_held():
    """Whether Python code that runs may be inside of a :class:`Hold` that no frame tells of. Not here, where all code has frames."""
    return False


if hasattr(os, "register_at_fork"):
    # Taken around the fork, so that no other thread is in the middle of something that the child would find half done.
    os.register_at_fork(before=mutex.lock, after_in_parent=mutex.unlock, after_in_child=mutex.set_free)
