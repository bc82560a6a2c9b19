# cython: binding=False, embedsignature.format=clinic
"""The functions of :mod:`_thread`, with greenlets for threads.

    >>> from gevent.thread import allocate_lock, start_new_thread
    >>> lock = allocate_lock()
    >>> with lock:
    ...     lock.locked()
    True

Importing this patches nothing; gevent-monkey puts these functions in place of the standard library's.

*Forking.* A forked child has the thread that forked and no other, as with native threads: those that were started here, or by
:mod:`gevent.threading`, do nothing more there, their ``finally`` blocks neither. All other greenlets go on (see :mod:`gevent.os`).
"""

import os
import signal
import sys
import types
from _thread import TIMEOUT_MAX, error, get_native_id
from weakref import ref

from greenlet import GreenletExit, getcurrent

from gevent._originals import get_original, is_patched
from gevent._switching import get_hub, get_loop, is_main_thread
from gevent.core import leave_behind
from gevent.greenlet import Greenlet
from gevent.local import local as _local  # noqa: F401 - of __implements__
from gevent.lock import BoundedSemaphore, RLock, lock_timeout

__implements__ = ["LockType", "_count", "_local", "allocate_lock", "exit", "get_ident", "interrupt_main", "stack_size"]
__implements__ += ["start_new_thread"]
__imports__ = ["RLock", "TIMEOUT_MAX", "allocate", "error", "exit_thread", "get_native_id", "start_new"]
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

_native_ident, _native_interrupt_main, _stack_size = get_original("_thread", ["get_ident", "interrupt_main", "stack_size"])


class LockType(BoundedSemaphore):
    """LockType(value=1, hub=None)

    A lock with the methods of :class:`threading.Lock`, over a :class:`~gevent.lock.BoundedSemaphore`.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none
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

    def release(self):
        """Give it back, and wake the first who waits, if any. RuntimeError if nobody has it."""
        BoundedSemaphore.release(self)

    def _at_fork_reinit(self):
        """Make it free. ``threading`` and ``logging`` call this in a forked child, where the thread that had it is gone."""
        self.counter = self._initial_value

    def __repr__(self):
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{'locked' if self.locked() else 'unlocked'} {kind} object at {id(self):#x}>"


class lock(LockType):
    """lock()

    A :class:`LockType` that is as strict as the builtin lock, for which it stands in a patched program: it takes no arguments, which
    would say how often it can be acquired, and nothing can be derived from it. TypeError where the builtin class cannot be called.
    """

    def __init__(self):
        if _LOCK_IS_FUNCTION:
            raise TypeError("cannot create 'gevent.thread.lock' instances: call threading.Lock()")
        self._line = None  # as the classes above do it; calling one after the other would take three times as long
        self._counter = self._initial_value = 1


# Up to Python 3.12 threading.Lock is a built-in function, and nobody can call the class of what it makes. Where we are not compiled,
# there are no such functions: one in Python would be a method of classes that have it as an attribute.
_LOCK_IS_FUNCTION = sys.version_info < (3, 13) and not __file__.endswith((".py", ".pyc"))


def new_lock():
    """A :class:`lock`."""
    made = lock.__new__(lock)
    made._line = None
    made._counter = made._initial_value = 1
    return made


#: What stands in ``threading.Lock`` of a patched program.
standard_lock = new_lock if _LOCK_IS_FUNCTION else lock


def _refuse_subclass(cls):
    raise TypeError("type 'gevent.thread.lock' is not an acceptable base type; derive from gevent.thread.LockType")


try:
    lock.__init_subclass__ = classmethod(_refuse_subclass)
except TypeError:
    pass  # compiled, it is final


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

    In a patched program it has begun when this returns, unless this was called in the hub: programs for native threads block theirs
    after that, waiting for what the new one does.

    Raises TypeError unless *function* can be called, *args* is a tuple and *kwargs* a dict. An exception that ends it is reported,
    except for GreenletExit.
    """
    if not callable(function):
        raise TypeError(f"the first argument must be callable, not {function!r}")
    if not isinstance(args, tuple):
        raise TypeError(f"the second argument must be a tuple of arguments, not {args!r}")
    if not isinstance(kwargs, dict):
        raise TypeError(f"the third argument must be a dict of keyword arguments, not {kwargs!r}")
    greenlet = Greenlet(_run_thread, function, args, kwargs)
    count_as_thread(greenlet)
    ident = get_ident(greenlet)
    greenlet.start()
    if is_patched("_thread", "start_new_thread"):
        loop = get_loop()
        if getcurrent() is not loop.hub:
            loop.yield_now()  # a native thread has begun, or soon does, although the caller blocks his own now
    return ident


def _run_thread(function, args, kwargs):
    try:
        function(*args, **kwargs)
    except SystemExit:
        raise GreenletExit from None  # it ends a thread, and not the program
    except Exception as error:
        # A hook of the program's is told as it would be by a thread. The interpreter's own takes what only the interpreter makes.
        if sys.unraisablehook is sys.__unraisablehook__:
            raise
        about = types.SimpleNamespace(exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__)
        about.err_msg, about.object = "Exception ignored in thread started by", function
        if sys.version_info >= (3, 13):
            about.err_msg, about.object = f"{about.err_msg} {function!r}", None
        sys.unraisablehook(about)


# Weak references to the greenlets that were started as threads. Not a WeakSet, which is Python code and would need a lock: each step here
# is one of the interpreter's, which others see done or not begun, and a greenlet that is preempted is not in the middle of it.
_threads = set()


def _living_threads():
    return [each for each in (reference() for reference in list(_threads)) if each is not None and not each.ready()]


def count_as_thread(greenlet):
    """Have *greenlet* be one of those that :func:`_count` counts, until it ends."""
    _threads.add(ref(greenlet, _threads.discard))


def _count():
    """How many greenlets that were started as threads have not ended.

    Native threads are not among them: those of the hub's pool are nobody's business, and what the program starts are greenlets.

    .. versionadded:: 26.11.0
    """
    return len(_living_threads())


def find_thread(ident=None):
    """The greenlet that was started as a thread, has not ended, and has that :func:`get_ident`, by default the current one; or None.

    .. versionadded:: 26.11.0
    """
    if ident is None:
        current = getcurrent()
        return current if ref(current) in _threads else None
    return next((each for each in _living_threads() if get_ident(each) == ident), None)


def _leave_threads_behind():
    current = getcurrent()
    others = [each for each in _living_threads() if each is not current]
    if others:
        leave_behind(others)
        for each in others:
            each._leave_behind()


os.register_at_fork(after_in_child=_leave_threads_behind)


def interrupt_main(*signum):
    """Have the program do what it does on a signal, SIGINT by default, which makes KeyboardInterrupt in the main greenlet.

    That is raised there at once, and the calling greenlet goes on later. Nothing happens if the signal is ignored, or left to the
    system. *signum* is one of :mod:`signal`, since Python 3.10; ValueError for another number.

    .. versionchanged:: 26.11.0
       In other greenlets of the main thread.
    """
    if getcurrent().parent is None or not is_main_thread():
        _native_interrupt_main(*signum)
        return
    number = signum[0] if signum else signal.SIGINT
    handler = signal.getsignal(number)
    if callable(handler):
        # A real signal would hit whoever runs, and that is the caller.
        try:
            handler(number, None)
        except BaseException as error:
            get_hub().handle_system_error(type(error), error, error.__traceback__)


def exit():
    """End the current greenlet: raises GreenletExit."""
    raise GreenletExit


def stack_size(size=None):
    """The stack size, in bytes, of native threads that are started from now on (0: the system's); *size* makes it larger.

    A smaller *size* changes nothing: other greenlets may rely on what there is. Returns the size as it was before; in a patched
    program, where others expect to be told what they have set, the last *size*. Raises what ``_thread.stack_size`` raises.
    """
    global _last_size
    patched = is_patched("_thread", "stack_size")
    wanted = before = _stack_size()  # which sets it to 0, the system's
    told = _last_size if patched and _last_size is not None else before
    try:
        if size is not None and (patched or size > before or size < 0):
            _stack_size(size)  # raises where that is none
            wanted = max(size, before)
    finally:
        _stack_size(wanted)
    if size is not None:
        _last_size = size
    return told


_last_size = None  # that stack_size() was called with


allocate = allocate_lock
start_new = start_new_thread
exit_thread = exit
