"""The functions of :mod:`_thread`, with greenlets for threads.

    >>> from gevent.thread import allocate_lock, start_new_thread
    >>> lock = allocate_lock()
    >>> with lock:
    ...     lock.locked()
    True

Importing this patches nothing; gevent-monkey puts these functions in place of the standard library's.
"""

from _thread import TIMEOUT_MAX, error, get_native_id, interrupt_main

from greenlet import GreenletExit, getcurrent

from gevent._originals import get_original
from gevent.greenlet import Greenlet
from gevent.local import local as _local  # noqa: F401 - of __implements__
from gevent.lock import BoundedSemaphore, RLock, lock_timeout

__implements__ = ["LockType", "_local", "allocate_lock", "exit", "get_ident", "stack_size", "start_new_thread"]
__imports__ = ["RLock", "TIMEOUT_MAX", "allocate", "error", "exit_thread", "get_native_id", "interrupt_main", "start_new"]
__all__ = [
    "LockType",
    "RLock",
    "TIMEOUT_MAX",
    "allocate",
    "allocate_lock",
    "error",
    "exit",
    "exit_thread",
    "get_ident",
    "get_native_id",
    "interrupt_main",
    "stack_size",
    "start_new",
    "start_new_thread",
]

_native_ident, _stack_size = get_original("_thread", ["get_ident", "stack_size"])


class LockType(BoundedSemaphore):
    """LockType(value=1, hub=None)

    A lock with the methods of :class:`threading.Lock`, over a :class:`~gevent.lock.BoundedSemaphore`.
    """

    _OVER_RELEASE_ERROR = error

    def acquire(self, blocking=True, timeout=-1):
        """Take the lock, waiting for it if need be. Returns whether it was taken.

        False when another greenlet has it after *timeout* seconds, or now and not *blocking*. A *timeout* of -1 (or None) is none.
        ValueError for another negative one, and for any together with *blocking* false; OverflowError for one beyond
        ``threading.TIMEOUT_MAX``.

        .. versionchanged:: 1.1
           A *timeout* of -1 blocks, and wrong arguments raise what the builtin lock raises.
        """
        timeout = None if timeout == -1 else lock_timeout(blocking, timeout)
        return BoundedSemaphore.acquire(self, blocking, timeout)

    def _at_fork_reinit(self):
        """Make it free. ``threading`` and ``logging`` call this in a forked child, where the thread that had it is gone."""
        self.counter = self._initial_value

    def __repr__(self):
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{'locked' if self.locked() else 'unlocked'} {kind} object at {id(self):#x}>"


allocate_lock = LockType


def get_ident(gr=None):
    """A number for the current greenlet, or for *gr*, that no other living one has.

    For the main greenlet of a native thread that is the thread's own: what was noted of it before patching holds afterwards too.

    .. versionchanged:: 26.11.0
       That of the main greenlet.
    """
    current = getcurrent()
    if gr is None:
        gr = current
    if gr.parent is None:
        while current.parent is not None:
            current = current.parent
        if gr is current:
            return _native_ident()
    return id(gr)


def start_new_thread(function, args=(), kwargs={}):  # noqa: B006 - as in 1.1, and never changed
    """Call ``function(*args, **kwargs)`` in a new greenlet, soon; returns its :func:`get_ident`.

    Raises TypeError unless *function* can be called, *args* is a tuple and *kwargs* a dict. An exception that ends it is reported,
    except for GreenletExit.
    """
    if not callable(function):
        raise TypeError(f"the first argument must be callable, not {function!r}")
    if not isinstance(args, tuple):
        raise TypeError(f"the second argument must be a tuple of arguments, not {args!r}")
    if not isinstance(kwargs, dict):
        raise TypeError(f"the third argument must be a dict of keyword arguments, not {kwargs!r}")
    return get_ident(Greenlet.spawn(function, *args, **kwargs))


def exit():
    """End the current greenlet: raises GreenletExit."""
    raise GreenletExit


def stack_size(size=None):
    """The stack size, in bytes, of native threads that are started from now on (0: the system's); *size* makes it larger.

    A smaller *size* changes nothing: other greenlets may rely on what there is. Returns the size as it was before. Raises what
    ``_thread.stack_size`` raises.
    """
    before = _stack_size()  # which sets it to 0, the system's
    if size is not None and (size > before or size < 0):
        try:
            _stack_size(size)
        except ValueError:
            _stack_size(before)
            raise
    else:
        _stack_size(before)
    return before


allocate = allocate_lock
start_new = start_new_thread
exit_thread = exit
