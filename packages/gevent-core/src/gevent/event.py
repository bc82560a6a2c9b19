"""Objects that greenlets wait for: a flag, and a result that is still to come.

    >>> import gevent
    >>> from gevent.event import AsyncResult
    >>> answer = AsyncResult()
    >>> reader = gevent.spawn(answer.get)
    >>> answer.set(42)
    >>> reader.get()
    42

Both wake everybody at once, in the order in which they came. All else about waiting is in :mod:`gevent._waiting`.

Both may be used by any native thread: one that sets wakes the greenlets of all threads that wait, each in its own hub, and needs no
hub for that. What is read there and written here changes with the mutex held.
"""

import sys
import warnings

from gevent._config import import_path
from gevent._mutex import Mutex, mutex  # noqa: F401 - Mutex is what the .pxd says mutex is
from gevent._originals import is_patched
from gevent._switching import get_loop
from gevent._waiting import WaitQueue, not_copied
from gevent.timeout import Timeout, with_timeout

__all__ = ["AsyncResult", "Event"]


class _Linkable:
    """What both have: the greenlets that wait, and the callbacks that are linked."""

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __reduce_ex__ = not_copied

    def __init__(self):
        self._waiters = None  # made when somebody waits: most results are there before anybody asks

    def ready(self):
        """Whether nobody has to wait any more."""
        return False

    def rawlink(self, callback):
        """Have ``callback(self)`` called in the hub, once, as soon as this is ready; soon, if it is already.

        It must not wait. Links are called in the order in which they were made; linked twice, it is called twice. TypeError unless
        it can be called. The hub is that of the native thread that links.

        .. versionchanged:: 26.11.0
           A link need not be hashable, and one that was made twice is called twice.
        """
        waiters = self._line()
        waiters.link(callback, self)
        if self.ready():
            waiters.wake_all()

    def unlink(self, callback):
        """Undo one :meth:`rawlink` of *callback*, also one whose call is due and has not been made; nothing if there is none."""
        if self._waiters is not None:
            self._waiters.unlink(callback)

    def _line(self):
        if self._waiters is None:
            line = WaitQueue()
            mutex.lock()
            try:
                if self._waiters is None:
                    self._waiters = line
            finally:
                mutex.unlock()
        return self._waiters

    def _wait(self, timeout):
        """Leave the current greenlet until it is woken (True), or *timeout* seconds have passed (False)."""
        if timeout is not None and isinstance(timeout, Timeout):
            return with_timeout(timeout, self._wait, None, timeout_value=False)
        waiters = self._line()
        park = get_loop().park(self)
        # In line first, then looking: between the two, another thread may set us, or somebody's __del__ here.
        waiters.add(park)
        left = True
        try:
            if self.ready() or park.wait(timeout):
                return True
        finally:
            left = waiters.discard(park)
        return not left  # woken just when the time was over

    def _take_waiters(self):
        """All who wait, out of line, with the mutex held; to be given to ``wake_taken`` of the line without it. None if nobody waits."""
        return None if self._waiters is None else self._waiters.take_all()

    def _count(self):
        """How many wait or are linked, for repr()."""
        count = 0 if self._waiters is None else self._waiters.count
        return f" waiters={count}" if count else ""


class Event(_Linkable):
    """A flag that greenlets wait for. It has the methods of :class:`threading.Event`.

    Any native thread may use it: :meth:`set` there wakes greenlets here.

    .. versionchanged:: 26.11.0
       Safe to use from several native threads.
    .. versionchanged:: 1.1
       :meth:`wait` returns True whenever the flag was set meanwhile, even if it was cleared again before the waiter ran.
    """

    def __init__(self):
        self._waiters = None
        self._flag = False
        self._condition = None

    @property
    def _cond(self):
        """What :class:`threading.Event` waits in, for programs that go behind its methods; made for who asks."""
        if self._condition is None:
            self._condition = import_path("gevent.threading.EventCondition")(self)
        return self._condition

    def is_set(self):
        """Whether the flag is set."""
        return self._flag

    def isSet(self):
        """:meth:`is_set`, as :class:`threading.Event` spelled it once; in a patched program deprecated as there, since Python 3.10."""
        if sys.version_info >= (3, 10) and is_patched("threading", "Event"):
            warnings.warn("isSet() is deprecated, use is_set() instead", DeprecationWarning, stacklevel=2)
        return self._flag

    def ready(self):
        """:meth:`is_set`, the name that everything has which can be waited for."""
        return self._flag

    def _wake(self):
        """Wake everybody, whatever the flag is."""
        if self._waiters is not None:
            self._waiters.wake_all()

    def set(self):
        """Set the flag. Everybody who waits will be woken, soon: nobody runs before the caller waits or ends."""
        mutex.lock()
        try:
            self._flag = True
            park = self._take_waiters()
        finally:
            mutex.unlock()
        if park is not None:
            self._waiters.wake_taken(park)

    def clear(self):
        """Take the flag back. Whoever was woken by :meth:`set` stays woken."""
        self._flag = False

    def wait(self, timeout=None):
        """Block until the flag is set, or *timeout* seconds have passed; returns True or False accordingly.

        True also when the flag was set and cleared again meanwhile. Raises LoopExit when nothing is left that could set it: no other
        greenlet or event of this loop, and no other native thread.
        """
        if self._flag:
            return True
        # Looks again after the timeout: set in the same moment counts.
        return self._wait(timeout) or self._flag

    def _at_fork_reinit(self):
        """Called by ``threading`` in a forked child. The greenlets that wait still do, so there is nothing else to free."""
        if self._condition is not None:
            self._condition._at_fork_reinit()

    def __repr__(self):
        if is_patched("threading", "Event"):
            cls = type(self)
            module = "threading" if cls is Event else cls.__module__
            return f"<{module}.{cls.__qualname__} at {id(self):#x}: {'set' if self._flag else 'unset'}{self._count()}>"
        return f"<{type(self).__name__} at {id(self):#x} {'set' if self._flag else 'clear'}{self._count()}>"


_UNSET = object()


class AsyncResult(_Linkable):
    """A value, or an exception, that is still to come.

    One greenlet calls :meth:`set` or :meth:`set_exception`, others :meth:`get`. It can be set more than once: whoever asks gets what
    is there at that time, and a value comes before an exception. As a link callback it takes over from a greenlet, or from another
    AsyncResult::

        >>> import gevent
        >>> result = AsyncResult()
        >>> gevent.spawn(lambda: 1 + 1).link(result)
        >>> result.get()
        2

    It has the methods of :class:`concurrent.futures.Future` that make sense for it, under those names too.

    Any native thread may use it: what is set there is got here.

    .. versionchanged:: 26.11.0
       Safe to use from several native threads.
    """

    def __init__(self):
        self._waiters = None
        self._value = _UNSET
        self._exc_info = None

    @property
    def value(self):
        """The value, or None while there is none."""
        return None if self._value is _UNSET else self._value

    @property
    def exception(self):
        """The exception of :meth:`set_exception`, or None."""
        return None if self._exc_info is None else self._exc_info[1]

    @property
    def exc_info(self):
        """Type, exception and traceback, if there is an exception; else None.

        .. versionadded:: 1.1
        """
        return self._exc_info

    def ready(self):
        """Whether there is a value or an exception."""
        return self._value is not _UNSET or self._exc_info is not None

    def successful(self):
        """Whether there is a value."""
        return self._value is not _UNSET

    def set(self, value=None):
        """Store *value*, in place of what there was. Everybody who waits will be woken, soon."""
        self._store(value, None, False)

    def set_exception(self, exception, exc_info=None):
        """Store *exception*, to be raised by :meth:`get`. Everybody who waits will be woken, soon.

        *exc_info* is what ``sys.exc_info()`` gave, for its traceback; without it, that of the exception is used. TypeError unless
        *exception* is one (or a class of them).

        .. versionchanged:: 1.1
           The *exc_info* argument.
        """
        if isinstance(exception, type) and issubclass(exception, BaseException):
            exception = exception()
        if not isinstance(exception, BaseException):
            raise TypeError(f"only exceptions can be raised later, not {exception!r}")
        traceback = exception.__traceback__ if not exc_info else exc_info[2]
        self._store(None, (type(exception), exception, traceback), True)

    def _store(self, value, exc_info, failed):
        mutex.lock()
        try:
            dropped, dropped_too = self._value, self._exc_info  # let go of without the mutex: that may run anything
            if not failed:
                self._value = value
            self._exc_info = exc_info
            park = self._take_waiters()
        finally:
            mutex.unlock()
        if park is not None:
            self._waiters.wake_taken(park)
        del dropped, dropped_too

    def get(self, block=True, timeout=None):
        """The value, waiting for it if need be; raises the exception instead if that is what came, with its traceback.

        Raises :class:`gevent.Timeout` when there is nothing after *timeout* seconds, or now and not *block*; LoopExit when nothing is
        left that could set it.
        """
        while True:
            value = self._value
            if value is not _UNSET:
                return value
            exc_info = self._exc_info
            if exc_info is not None:
                # With the traceback as it was stored: the exception's own grows each time it is raised.
                raise exc_info[1].with_traceback(exc_info[2])
            if not block:
                raise Timeout()
            if not self._wait(timeout) and not self.ready():
                raise timeout if isinstance(timeout, Timeout) else Timeout(timeout)

    def get_nowait(self):
        """``get(block=False)``: the value, or Timeout."""
        return self.get(False)

    def wait(self, timeout=None):
        """Block until there is a value or an exception, or *timeout* seconds have passed; returns the value, or None.

        Never raises what was set, nor Timeout. To tell these cases apart, look at :meth:`ready` and :meth:`successful`.
        """
        if not self.ready():
            self._wait(timeout)
        return self.value

    def __call__(self, source):
        """Take over value or exception of *source*: a greenlet that has ended, or another AsyncResult."""
        if source.successful():
            self.set(source.value)
        else:
            self.set_exception(source.exception, getattr(source, "exc_info", None))

    # -- as concurrent.futures.Future calls it

    def result(self, timeout=None):
        """:meth:`get` for at most *timeout* seconds.

        .. versionadded:: 26.11.0
        """
        return self.get(True, timeout)

    def set_result(self, value=None):
        """:meth:`set`.

        .. versionadded:: 26.11.0
        """
        self.set(value)

    def done(self):
        """:meth:`ready`.

        .. versionadded:: 26.11.0
        """
        return self.ready()

    def cancel(self):
        """False: there is nothing that could be cancelled.

        .. versionadded:: 26.11.0
        """
        return False

    def cancelled(self):
        """False.

        .. versionadded:: 26.11.0
        """
        return False

    def __repr__(self):
        if self._value is not _UNSET:
            state = f"value={self._value!r}"
        elif self._exc_info is not None:
            state = f"exception={self._exc_info[1]!r}"
        else:
            state = "unset"
        return f"<{type(self).__name__} at {id(self):#x} {state}{self._count()}>"
