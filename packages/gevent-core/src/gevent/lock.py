"""Locks for greenlets.

How it works
============
Whoever finds a semaphore free takes a unit with nothing but arithmetic: no object is made and no hub is needed. Whoever does not
stands in line, in a :class:`Line`. ``release()`` calls the first in line that was not called before. When that greenlet runs, it looks
whether there still is a unit, since a running greenlet may have been quicker. If so it leaves the line and takes it, else it waits
again *in its place*: those who wait are served in order of arrival, whatever happens between being called and running. Who dies after
it was called calls the next in its stead. So there are always as many on their way as there are units, or nobody is left in line, and no
wake-up is lost, whatever is killed or times out.

Anything can be released at any time: between any two steps, where objects are made or dropped, the garbage collector may call
somebody's ``__del__``, and that may call ``release()``. So the object that waits, the park, is made first and used for every wait;
between the last look at the counter and the wait nothing is made or dropped.
"""

from _thread import TIMEOUT_MAX
from time import monotonic

from greenlet import getcurrent

from gevent._switching import get_loop
from gevent._waiting import WaitQueue
from gevent.timeout import Timeout, with_timeout

__all__ = ["BoundedSemaphore", "DummySemaphore", "RLock", "Semaphore"]

_CALLED = object()


class Contended:
    """What greenlets stand in line for: the base of the locks and queues."""

    def _free(self, line, token, called):
        """Whether who stands in *line* with *token* may go, having been *called* or not. Must not wait, nor make objects."""
        return True


class Line(WaitQueue):
    """Greenlets that stand in line to take something, and callbacks that are linked, in order of arrival; see above.

    A park stays in line until its greenlet has run and left; its ``queue`` is the line until it is called.
    """

    def __init__(self):
        WaitQueue.__init__(self)
        self.first = None  # nobody before this one can be called: a hint where to look

    def append(self, park):
        WaitQueue.append(self, park)
        if self.first is None:
            self.first = park

    def remove(self, park):
        if self.first is park:
            self.first = park.next
        WaitQueue.remove(self, park)

    def call(self):
        """Wake the first who was not called yet, and call the links before it, which take nothing."""
        park = self.first
        while park is not None:
            if park.callback is not None:
                self.remove(park)
                if park.wake():
                    self._note_called(park)
                park = self.first  # anew: that made objects, and so may have run a __del__ that called others
                continue
            after = park.next
            if park.queue is self:
                park.queue = _CALLED
                if park.wake():
                    self.first = after
                    return
            park = after
        self.first = None

    def call_many(self, count):
        """:meth:`call` *count* times, or until all were called."""
        while count > 0 and self.first is not None:
            self.call()
            count -= 1

    def wait_for(self, owner, token, timeout):
        """Stand in line until *owner* is free (True) or *timeout* seconds have passed (False). *token* is named as what we wait for.

        Who takes less than it was called for, because it only looks, or fails to, has to :meth:`call` the next.
        """
        if timeout is not None and isinstance(timeout, Timeout):
            return with_timeout(timeout, self.wait_for, owner, token, None, timeout_value=False)
        deadline = None if timeout is None else monotonic() + timeout
        park = get_loop().park(token)
        self.append(park)
        try:
            free = owner._free(self, token, False)
            while not free:
                called = park.wait(timeout)
                free = owner._free(self, token, called)
                if free or not called:
                    break
                if deadline is not None:
                    timeout = deadline - monotonic()
                    if timeout <= 0:
                        break
                park.queue = self  # can be called again
                self.first = self.head
        except BaseException:
            called = park.queue is not self
            self.remove(park)
            if called:
                self.call()
            raise
        self.remove(park)
        return free


class Semaphore(Contended):
    """Semaphore(value=1, hub=None)

    A counter that :meth:`acquire` decrements, waiting while it is 0, and :meth:`release` increments. Whoever waits is served in order
    of arrival. It can be used where nothing else can: released in a ``__del__``, made before there is a hub. ValueError for a negative
    *value*. *hub* is accepted and not needed.

    .. versionchanged:: 1.1
       Can be weakly referenced.
    """

    def __init__(self, value=1, hub=None):
        self._line = None
        self._counter = value
        if self._counter < 0:
            raise ValueError(f"a semaphore cannot start with {value!r}: the value must be 0 or more")

    @property
    def counter(self):
        """How often :meth:`acquire` would succeed at once. It may be set; greenlets that can go on then are woken."""
        return self._counter

    @counter.setter
    def counter(self, value):
        self._counter = value
        if self._line is not None:
            self._line.call_many(self._counter)

    def acquire(self, blocking=True, timeout=None):
        """Take a unit, waiting for one if need be. Returns whether it was taken.

        False when there is none after *timeout* seconds, or now and not *blocking*. Raises LoopExit when nothing is left that could
        release it, BlockingSwitchOutError if it had to wait in the hub.
        """
        if self._counter > 0:
            self._counter -= 1
            return True
        if not blocking or not self._wait(timeout):
            return False
        self._counter -= 1
        return True

    def release(self):
        """Give a unit back, and wake the first who waits, if any. Returns the new count."""
        self._counter += 1
        if self._line is not None and self._counter > 0:
            self._line.call()
        return self._counter

    def wait(self, timeout=None):
        """Block until :meth:`acquire` could succeed, or *timeout* seconds have passed, and take nothing.

        Returns how often it could: 0 after a timeout. Another greenlet may be quicker to take it.
        """
        if self._counter <= 0 and self._wait(timeout):
            self._line.call()
        return self._counter if self._counter > 0 else 0

    def _wait(self, timeout):
        """Stand in line; returns whether there is a unit."""
        if self._line is None:
            self._line = Line()
        return self._line.wait_for(self, self, timeout)

    def _free(self, line, token, called):
        return self._counter > 0

    def locked(self):
        """Whether :meth:`acquire` would have to wait."""
        return self._counter <= 0

    def ready(self):
        """Whether :meth:`acquire` could succeed.

        .. versionadded:: 26.11.0
        """
        return self._counter > 0

    def rawlink(self, callback):
        """Have ``callback(self)`` called in the hub, once, when its turn comes and there is a unit; soon, if there is one now.

        It must not wait. It stands in the same line as the greenlets that wait, and takes nothing. TypeError unless it can be called.
        """
        if self._line is None:
            self._line = Line()
        self._line.link(callback, self)
        if self._counter > 0:
            self._line.call()

    def unlink(self, callback):
        """Undo one :meth:`rawlink` of *callback*; nothing if there is none."""
        if self._line is not None:
            self._line.unlink(callback)

    def __enter__(self):
        return self.acquire()

    def __exit__(self, t, v, tb):
        self.release()

    def __repr__(self):
        waiters = 0 if self._line is None else self._line.count
        return f"<{type(self).__name__} at {id(self):#x} counter={self._counter}{f' waiters={waiters}' if waiters else ''}>"


class BoundedSemaphore(Semaphore):
    """BoundedSemaphore(value=1, hub=None)

    A :class:`Semaphore` that refuses to be released more often than it was acquired: ValueError, and the count stays as it is.
    """

    #: What is raised then.
    _OVER_RELEASE_ERROR = ValueError

    def __init__(self, value=1, hub=None):
        Semaphore.__init__(self, value)
        self._initial_value = self._counter

    def release(self):
        """Give a unit back, and wake the first who waits, if any. Returns the new count; ValueError if nothing was acquired."""
        if self._counter >= self._initial_value:
            raise self._OVER_RELEASE_ERROR(f"{self!r} was released more often than it was acquired")
        self._counter += 1
        if self._line is not None and self._counter > 0:
            self._line.call()
        return self._counter


class DummySemaphore:
    """What is used in place of a :class:`Semaphore` where there is no limit: always free, never counted. *value* is ignored.

    .. versionchanged:: 1.1
       Takes, and ignores, a value. :meth:`acquire` always returns True.
    """

    def __init__(self, value=None):
        pass

    def acquire(self, blocking=True, timeout=None):
        """True."""
        return True

    def release(self):
        """Nothing happens."""

    def wait(self, timeout=None):
        """1: it could be acquired."""
        return 1

    def locked(self):
        """False."""
        return False

    def ready(self):
        """True.

        .. versionadded:: 26.11.0
        """
        return True

    def rawlink(self, callback):
        """Nothing happens: there is nothing to wait for."""

    def unlink(self, callback):
        """Nothing happens."""

    def __enter__(self):
        return True

    def __exit__(self, typ, val, tb):
        pass

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}>"


def lock_timeout(blocking, timeout):
    """The *timeout* of :meth:`threading.Lock.acquire` as ours: None when there is no limit. Raises what the builtin lock raises."""
    if timeout is None or timeout == -1 or isinstance(timeout, Timeout):
        return None if timeout == -1 else timeout
    if not blocking:
        raise ValueError(f"can't specify a timeout for a non-blocking call: {timeout!r}")
    if timeout > TIMEOUT_MAX:
        raise OverflowError(f"timeout value is too large: {timeout!r}")
    if not timeout >= 0:
        raise ValueError(f"timeout value must be a non-negative number (or -1 for no limit), not {timeout!r}")
    return timeout


class RLock:
    """RLock(hub=None)

    A lock that the greenlet which holds it may acquire again; it is free after as many releases. It may stand in for
    :class:`threading.RLock`. *hub* is accepted and not needed.
    """

    def __init__(self, hub=None):
        self._block = Semaphore(1)
        self._owner = None
        self._count = 0

    def acquire(self, blocking=True, timeout=None):
        """Take the lock, waiting for it if need be, unless the current greenlet has it. Returns whether it is ours now.

        False when another greenlet has it after *timeout* seconds, or now and not *blocking*. A *timeout* of -1 is none.
        ValueError for another negative one, and for any together with *blocking* false; OverflowError for one beyond
        ``threading.TIMEOUT_MAX``.

        .. versionchanged:: 26.11.0
           The *timeout* argument.
        """
        if timeout is not None:
            timeout = lock_timeout(blocking, timeout)
        current = getcurrent()
        if self._owner is current:
            self._count += 1
            return True
        if not self._block.acquire(blocking, timeout):
            return False
        self._owner = current
        self._count = 1
        return True

    def release(self):
        """Undo one :meth:`acquire`. RuntimeError unless the current greenlet has it."""
        if self._owner is not getcurrent():
            self._refuse()
        self._count -= 1
        if not self._count:
            self._owner = None
            self._block.release()

    def _refuse(self):
        owner = "nobody" if self._owner is None else repr(self._owner)
        raise RuntimeError(f"cannot release un-acquired lock: {owner} has it, and this is {getcurrent()!r}")

    def locked(self):
        """Whether any greenlet has it.

        .. versionadded:: 26.11.0
        """
        return self._count > 0

    def __enter__(self):
        return self.acquire()

    def __exit__(self, typ, value, tb):
        self.release()

    # -- as threading.Condition and threading's fork handlers call it

    def _is_owned(self):
        return self._owner is getcurrent()

    def _release_save(self):
        if self._owner is not getcurrent():
            self._refuse()
        state = (self._count, self._owner)
        self._count = 0
        self._owner = None
        self._block.release()
        return state

    def _acquire_restore(self, count_owner):
        self._block.acquire()
        self._count, self._owner = count_owner

    def _recursion_count(self):
        return self._count if self._owner is getcurrent() else 0

    def _at_fork_reinit(self):
        """Make it free. ``threading`` and ``logging`` call this in a forked child, where the thread that had it is gone."""
        self._owner = None
        self._count = 0
        self._block.counter = 1

    def __repr__(self):
        state = "locked" if self._count else "unlocked"
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{state} {kind} object owner={self._owner!r} count={self._count} at {id(self):#x}>"
