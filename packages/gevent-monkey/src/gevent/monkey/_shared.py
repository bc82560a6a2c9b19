"""Locks and queues that were made before patching, shared with whoever still has the native object.

What replaces such an object cannot be a new one: a frame, a tuple or a native thread may refer to the old one, or be in the middle of
using it, and the two would then exclude nobody from each other. So it is an object that *uses* the native one, and never blocks in it:
it tries, and waits in the hub until somebody releases it here, or looks again after a while, since it may be released there.
"""

from sys import getswitchinterval
from time import monotonic, time

from gevent._originals import get_original
from gevent.event import Event
from gevent.hub import get_hub_if_exists, sleep
from gevent.lock import lock_timeout
from gevent.thread import get_ident
from greenlet import getcurrent

#: Seconds between two looks at a native object: the first, and at most.
FIRST_LOOK = 0.0005
LAST_LOOK = 0.02

try:
    Empty = get_original("_queue", "Empty")
except ImportError:  # PyPy's queues are all in Python
    Empty = get_original("queue", "Empty")


def let_others_run():
    """Called by who may do something again and again without ever waiting, and count on it that others run meanwhile.

    They do, if the loop has not come round for as long as the interpreter lets a thread run (:func:`sys.getswitchinterval`).
    """
    hub = get_hub_if_exists()
    if hub is not None and getcurrent() is not hub and time() - hub.loop.now() > getswitchinterval():
        sleep(0)


def wait_until(ask, timeout, released=None):
    """Call ``ask()``, which must not block, until it returns something true, or *timeout* seconds (None: no limit) have passed.

    Returns what it returned last. Other greenlets run meanwhile; *released* is an Event that is set when it is worth asking at once.
    """
    found = ask()
    if found:
        return found
    if released is None:
        released = Event()
    deadline = None if timeout is None else monotonic() + timeout
    pause = FIRST_LOOK
    while True:
        released.clear()
        found = ask()
        if found:
            return found
        if deadline is not None:
            left = deadline - monotonic()
            if left <= 0:
                return found
            released.wait(min(pause, left))
        else:
            released.wait(pause)
        pause = min(pause * 2, LAST_LOOK)


class SharedLock:
    """A ``threading.Lock`` over a native one; it has that one's state."""

    def __init__(self, native):
        self._native = native
        self._released = Event()

    def acquire(self, blocking=True, timeout=-1):
        timeout = lock_timeout(blocking, timeout)
        if not blocking:
            return self._try()
        return wait_until(self._try, timeout, self._released)

    def _try(self):
        return self._native.acquire(False)

    def release(self):
        self._native.release()
        self._released.set()

    def locked(self):
        return self._native.locked()

    def __enter__(self):
        return self.acquire()

    def __exit__(self, typ, value, tb):
        self.release()

    def _at_fork_reinit(self):
        self._native._at_fork_reinit()
        self._released = Event()

    def __repr__(self):
        return f"<{type(self).__name__} of {self._native!r}>"


class SharedRLock(SharedLock):
    """A ``threading.RLock`` over a native one, which knows native threads only: whose greenlet has it is written here."""

    def __init__(self, native):
        super().__init__(native)
        # Held now by this thread: then by who makes us, for no other greenlet has run since patching began.
        self._owner = getcurrent() if native._is_owned() else None

    def acquire(self, blocking=True, timeout=-1):
        if not super().acquire(blocking, timeout):
            return False
        self._owner = getcurrent()
        return True

    __enter__ = acquire

    def _try(self):
        if self._native._is_owned() and self._owner is not getcurrent():
            return False  # the native one would let us in, for it takes all greenlets of a thread for one
        return self._native.acquire(False)

    def release(self):
        if not self._is_owned():
            raise RuntimeError(f"cannot release un-acquired lock: {self!r}, and this is {getcurrent()!r}")
        self._native.release()
        if not self._native._is_owned():
            self._owner = None
            self._released.set()

    def locked(self):
        if self._native._is_owned():
            return True
        if self._native.acquire(False):
            self._native.release()
            return False
        return True

    def _is_owned(self):
        return self._owner is getcurrent() and self._native._is_owned()

    def _recursion_count(self):
        if not self._is_owned():
            return 0
        count, owner = self._native._release_save()
        self._native._acquire_restore((count, owner))
        return count

    def _release_save(self):
        if not self._is_owned():
            raise RuntimeError(f"cannot release un-acquired lock: {self!r}, and this is {getcurrent()!r}")
        self._owner = None
        state = self._native._release_save()
        self._released.set()
        return state

    def _acquire_restore(self, state):
        self.acquire()
        self._native.release()
        self._native._acquire_restore(state)

    def _at_fork_reinit(self):
        super()._at_fork_reinit()
        self._owner = None


class SharedSimpleQueue:
    """A ``queue.SimpleQueue`` over a native one; it has that one's items."""

    def __init__(self, native):
        self._native = native
        self._filled = Event()
        self.qsize = native.qsize
        self.empty = native.empty

    def put(self, item, block=True, timeout=None):
        self._native.put(item)
        self._filled.set()

    put_nowait = put

    def get(self, block=True, timeout=None):
        if not block:
            return self._native.get_nowait()
        if timeout is not None and timeout < 0:
            raise ValueError(f"'timeout' must be a non-negative number, not {timeout!r}")
        found = wait_until(self._try, timeout, self._filled)
        if not found:
            raise Empty
        return found[0]

    def get_nowait(self):
        return self._native.get_nowait()

    def _try(self):
        try:
            return (self._native.get_nowait(),)
        except Empty:
            return None

    def __repr__(self):
        return f"<{type(self).__name__} of {self._native!r}>"


class SharedHandle:
    """The end of a thread that was started before patching, since Python 3.13: its native handle, joined without blocking."""

    def __init__(self, native):
        self._native = native
        self._ended = Event()
        self.is_done = native.is_done

    @property
    def ident(self):
        return self._native.ident

    def _set_done(self):
        self._native._set_done()
        self._ended.set()

    def join(self, timeout=None, /):
        if self.ident == get_ident():
            raise RuntimeError("Cannot join current thread")
        if wait_until(self.is_done, timeout if timeout is None else max(timeout, 0), self._ended):
            self._native.join()  # which does not wait any more, but checks and cleans up

    def __repr__(self):
        return repr(self._native)


def shared(native):
    """What replaces *native*: None unless it is a native lock or queue."""
    kind = _KINDS.get(type(native))
    return None if kind is None else kind(native)


_KINDS = {type(get_original("_thread", "allocate_lock")()): SharedLock, get_original("_thread", "RLock"): SharedRLock}


def also_queues():
    """Have :func:`shared` take native queues, too."""
    _KINDS[get_original("queue", "SimpleQueue")] = SharedSimpleQueue


def is_native(each):
    """Whether :func:`shared` has something for it."""
    return type(each) in _KINDS
