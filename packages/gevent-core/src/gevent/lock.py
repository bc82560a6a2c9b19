"""Locks for greenlets.

How it works
============
Whoever finds a semaphore free takes a unit with nothing but arithmetic: no object is made and no hub is needed. Whoever does not
stands in line, in a :class:`Line`. ``release()`` calls the first in line that was not called before. When that greenlet runs, it tries
to take a unit, and may find none, since a running greenlet may have been quicker. If it gets one it leaves the line, else it waits
again *in its place*: those who wait are served in order of arrival, whatever happens between being called and running. Who leaves
without a unit after it was called calls the next in its stead. So there are always as many on their way as there are units, or nobody
is left in line, and no wake-up is lost, whatever is killed or times out.

*Threads.* The counter and the line change with the mutex held (:mod:`gevent._mutex`), so greenlets of several native threads, and
threads without greenlets, may share a lock. Waking a greenlet of another thread posts it to that thread's loop.

*Finalizers.* Anything can be released at any time: wherever objects are made or dropped, the garbage collector may call somebody's
``__del__``, and that may call ``release()``. The mutex is never held there, and who waits stands in line before it looks at the counter.
"""

from _thread import TIMEOUT_MAX
from time import monotonic

from greenlet import getcurrent

from gevent._mutex import Mutex, mutex  # noqa: F401 - Mutex is what the .pxd says mutex is
from gevent._switching import get_loop
from gevent._waiting import WaitQueue, not_copied
from gevent.timeout import Timeout, with_timeout

__all__ = ["BoundedSemaphore", "DummySemaphore", "RLock", "Semaphore"]

_CALLED = object()


class Contended:
    """What greenlets stand in line for: the base of the locks and queues."""

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __reduce_ex__ = not_copied

    def _take(self, line, park, called):
        """Take what the owner of *park* waits for in *line*, having been *called* or not; False if it is not there. Must not wait.

        With the mutex held it may have the park step out in the same step: then the call, if there was one, was for what it took.
        """
        return True


class Line(WaitQueue):
    """Greenlets that stand in line to take something, and callbacks that are linked, in order of arrival; see above.

    A park stays in line until its greenlet has run and left; its ``queue`` is the line until it is called.
    """

    def __init__(self):
        WaitQueue.__init__(self)
        self.first = None  # nobody before this one can be called: a hint where to look
        self.on_way = 0  # how many were called, and neither left nor stood again

    def append(self, park):
        WaitQueue.append(self, park)
        if self.first is None:
            self.first = park

    def remove(self, park):
        if self.first is park:
            self.first = park.next
        WaitQueue.remove(self, park)

    # Loops are functions of their own, for who is first is nearly always the one: PyPy's JIT cuts a trace at a loop.

    def pick(self):
        """Who is to be called next: a greenlet, marked as called, or a link, taken out; None if all were called.

        With the mutex held; to be given to :meth:`wake_picked` without it.
        """
        park = self.first
        if park is None:
            return None
        if park.callback is None and park.queue is self:
            park.queue = _CALLED
            self.on_way += 1
            self.first = park.next
            return park
        return self._pick_on()

    def _pick_on(self):
        park = self.first
        while park is not None:
            if park.callback is not None:
                self.remove(park)
                return park
            if park.queue is self:
                park.queue = _CALLED
                self.on_way += 1
                self.first = park.next
                return park
            park = park.next
        self.first = None
        return None

    def wake_picked(self, park):
        """Wake *park*; if it takes nothing, being a link, or waits no more, also the next."""
        if park.callback is not None or not park.wake():
            self._wake_on(park)

    def _wake_on(self, park):
        if park.callback is None:
            park = self.next()
        while park is not None:
            if park.callback is not None:
                self.note_called(park)
                park.wake()
            elif park.wake():
                return
            park = self.next()

    def next(self):
        """:meth:`pick`, without the mutex."""
        mutex.lock()
        try:
            return self.pick()
        finally:
            mutex.unlock()

    def call(self):
        """Wake the first who was not called yet, and call the links before it, which take nothing."""
        park = self.next()
        if park is not None:
            self.wake_picked(park)

    def call_many(self, count):
        """:meth:`call` *count* times, or until all were called."""
        while count > 0 and self.first is not None:
            self.call()
            count -= 1

    def wait_for(self, owner, token, timeout):
        """Stand in line until *owner* let us take what we wait for (True) or *timeout* seconds have passed (False).

        *token* is named as what we wait for, and tells *owner* what to take. Who takes less than it was called for, because it only
        looks, has to :meth:`call` the next.
        """
        if timeout is not None and isinstance(timeout, Timeout):
            return with_timeout(timeout, self.wait_for, owner, token, None, timeout_value=False)
        deadline = None if timeout is None else monotonic() + timeout
        park = get_loop().park(token)
        park.in_line = True
        taken = called = False
        self.add(park)
        try:
            while True:
                taken = owner._take(self, park, False)
                if taken:
                    break
                woken = park.wait(timeout)
                called = park.queue is not self
                if park.left_behind:
                    break
                taken = owner._take(self, park, called)
                if taken or not woken:
                    break
                if deadline is not None:
                    timeout = deadline - monotonic()
                    if timeout <= 0:
                        break
                self._stand_again(park)
                called = False
        finally:
            # A call that came after we took, or while we gave up, is for somebody else.
            if park.queue is not None and self._leave(park) and not (taken and called):
                self.call()
        if park.left_behind:
            park.stay_away()
        return taken

    def _stand_again(self, park):
        """Make *park* one that can be called again, in its place."""
        mutex.lock()
        try:
            if park.queue is not self:
                self.on_way -= 1
            park.queue = self
            self.first = self.head
        finally:
            mutex.unlock()

    def step_out(self, park):
        """Take *park* out, with the mutex held; returns whether it was called."""
        called = park.queue is not self
        if called:
            self.on_way -= 1
        self.remove(park)
        return called

    def _leave(self, park):
        """:meth:`step_out`, without the mutex."""
        mutex.lock()
        try:
            return self.step_out(park)
        finally:
            mutex.unlock()


class _Glance:
    """What who only waits until it could acquire stands in line with."""

    def __init__(self, semaphore):
        self.semaphore = semaphore

    def __repr__(self):
        return repr(self.semaphore)


class Semaphore(Contended):
    """Semaphore(value=1, hub=None)

    A counter that :meth:`acquire` decrements, waiting while it is 0, and :meth:`release` increments. Whoever waits is served in order
    of arrival. It can be used where nothing else can: released in a ``__del__``, made before there is a hub. Greenlets of several native
    threads, and threads without greenlets, may share it. ValueError for a negative *value*. *hub* is accepted and not needed.

    .. versionchanged:: 26.11.0
       Safe to use from several native threads.
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
        mutex.lock()
        try:
            self._counter = value
            line = self._line
        finally:
            mutex.unlock()
        if line is not None:
            line.call_many(value)

    def acquire(self, blocking=True, timeout=None):
        """Take a unit, waiting for one if need be. Returns whether it was taken.

        False when there is none after *timeout* seconds, or now and not *blocking*. Raises LoopExit when nothing is left that could
        release it, no other native thread either; BlockingSwitchOutError if it had to wait in the hub.
        """
        if self._counter > 0 and self._grab():
            return True
        if not blocking:
            return False
        return self._queue().wait_for(self, self, timeout)

    def _grab(self):
        """Take a unit if there is one."""
        mutex.lock()
        try:
            free = self._counter > 0
            if free:
                self._counter -= 1
        finally:
            mutex.unlock()
        return free

    def release(self):
        """Give a unit back, and wake the first who waits, if any. Returns the new count."""
        park = None
        mutex.lock()
        try:
            self._counter += 1
            counter = self._counter
            line = self._line
            if line is not None and counter > 0:
                park = line.pick()
        finally:
            mutex.unlock()
        if park is not None:
            line.wake_picked(park)
        return counter

    def wait(self, timeout=None):
        """Block until :meth:`acquire` could succeed, or *timeout* seconds have passed, and take nothing.

        Returns how often it could: 0 after a timeout. Another greenlet may be quicker to take it.
        """
        if self._counter <= 0:
            line = self._queue()
            if line.wait_for(self, _Glance(self), timeout):
                line.call()
        counter = self._counter
        return counter if counter > 0 else 0

    def _queue(self):
        """The line, made when somebody has to wait for the first time."""
        if self._line is None:
            line = Line()
            mutex.lock()
            try:
                if self._line is None:
                    self._line = line
            finally:
                mutex.unlock()
        return self._line

    def _take(self, line, park, called):
        if self._counter <= 0:  # seen without the mutex: whoever releases after that finds the park in line
            return False
        mutex.lock()
        try:
            free = self._counter > 0
            if free and park.owner is self:  # and not a _Glance
                self._counter -= 1
                line.step_out(park)
        finally:
            mutex.unlock()
        return free

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
        line = self._queue()
        line.link(callback, self)
        if self._counter > 0:
            line.call()

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
        park = None
        mutex.lock()
        try:
            over = self._counter >= self._initial_value
            if not over:
                self._counter += 1
            counter = self._counter
            line = self._line
            if not over and line is not None and counter > 0:
                park = line.pick()
        finally:
            mutex.unlock()
        if over:
            raise self._OVER_RELEASE_ERROR(f"{self!r} was released more often than it was acquired")
        if park is not None:
            line.wake_picked(park)
        return counter


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
    :class:`threading.RLock`, and greenlets of several native threads may share it. *hub* is accepted and not needed.

    .. versionchanged:: 26.11.0
       Safe to use from several native threads.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __reduce_ex__ = not_copied

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


class rlock(RLock):
    """rlock()

    An :class:`RLock` that ignores all arguments, as ``_thread.RLock`` does; ``threading.RLock`` warns of them.
    """

    def __init__(self, *args, **kwargs):
        RLock.__init__(self)
