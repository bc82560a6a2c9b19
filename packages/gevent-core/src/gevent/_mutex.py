"""The lock that native threads take before they touch what greenlets wait in, where nothing is compiled; see ``_mutex.pyx``.

Here every step between ``lock()`` and ``unlock()`` is Python code. The garbage collector is kept from running there, lest it calls
somebody's ``__del__`` that wants the lock for the same object, half changed; PyPy calls no finalizers either while it is disabled. A
signal handler can still come between two steps. It may have the lock again, as it is the thread's own, rather than wait for ever.
"""

import gc
import os

from gevent._originals import get_original

__all__ = ["Hold", "Mutex", "mutex"]

_RLock = get_original("_thread", "RLock")


class Mutex:
    """A lock that its native thread may take again."""

    def __init__(self):
        self._lock = _RLock()
        self._depth = 0
        self._collecting = False

    def lock(self):
        """Take it, waiting for another native thread to let go of it."""
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self._collecting = gc.isenabled()
            if self._collecting:
                gc.disable()

    def unlock(self):
        """Let go of it."""
        self._depth -= 1
        if not self._depth and self._collecting:
            gc.enable()
        self._lock.release()


mutex = Mutex()


class Hold:
    """A lock to hold while Python code runs. Its native thread may take it again."""

    def __init__(self):
        lock = _RLock()
        self.lock = lock.acquire
        self.unlock = lock.release


if hasattr(os, "register_at_fork"):
    # Taken around the fork, so that no other thread is in the middle of something that the child would find half done.
    os.register_at_fork(before=mutex.lock, after_in_parent=mutex.unlock, after_in_child=mutex.unlock)
