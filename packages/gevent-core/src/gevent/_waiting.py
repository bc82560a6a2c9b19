"""The one wait queue under every synchronization object, and waiting for several objects at once.

A :class:`WaitQueue` is a first-in first-out list of parks (see the loop): greenlets that wait, and callbacks that were linked.
The parks are the nodes of the list, so that taking one out of the middle, as a kill or a time limit does, costs the same
however many there are. A lock on top of it is some twenty lines.

*Threads.* Each park knows its loop, and waking it from another native thread posts that to the loop. The list itself is guarded by the
mutex. Whoever wakes takes the parks out of the list with the mutex held, and wakes them after letting go of it. Whoever waits stands
in line first, then looks whether he has to wait, then waits. A wake-up that comes in between is not lost: the park keeps it.
"""

from collections import deque
from time import monotonic

from gevent._mutex import Mutex, mutex  # noqa: F401 - Mutex is what the .pxd says mutex is
from gevent._switching import get_hub, get_loop
from gevent.timeout import Timeout, with_timeout

__all__ = ["WaitQueue", "iwait", "not_copied", "wait"]


def not_copied(self, protocol):
    """``__reduce_ex__`` of what greenlets wait for: a copy would be something else, for which nobody waits, whatever it looked like."""
    raise TypeError(f"cannot pickle {type(self).__name__!r} object")


class WaitQueue:
    """Greenlets that wait and callbacks that are linked, in the order they came.

    They may be those of several native threads, and any thread may wake them. :meth:`append`, :meth:`appendleft`,
    :meth:`remove` and :meth:`take_all` are for who holds :data:`gevent._mutex.mutex`; all other methods take it themselves.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __reduce_ex__ = not_copied

    def __init__(self):
        self.count = 0
        self.head = None
        self.tail = None
        self.called = None  # links that were woken, and perhaps not called yet

    def __len__(self):
        return self.count

    # -- with the mutex held: nothing but references moves here

    def append(self, park):
        """Add *park* at the end."""
        park.queue = self
        tail = self.tail
        if tail is None:
            self.head = park
        else:
            tail.next = park
            park.prev = tail
        self.tail = park
        self.count += 1

    def appendleft(self, park):
        """Add *park* before all others."""
        park.queue = self
        head = self.head
        if head is None:
            self.tail = park
        else:
            head.prev = park
            park.next = head
        self.head = park
        self.count += 1

    def remove(self, park):
        """Take out *park*, which is in here."""
        before, after = park.prev, park.next
        if before is None:
            self.head = after
        else:
            before.next = after
        if after is None:
            self.tail = before
        else:
            after.prev = before
        park.prev = park.next = park.queue = None
        self.count -= 1

    def take_all(self):
        """Take everybody out; returns the first, whose ``next`` is the second, and so on. To be given to :meth:`wake_taken`."""
        first = self.head
        if first is not None:
            first.queue = None
            if first.next is not None:
                _disown(first.next)
        self.head = self.tail = None
        self.count = 0
        return first

    # -- without it

    def add(self, park):
        """:meth:`append`."""
        mutex.lock()
        try:
            self.append(park)
        finally:
            mutex.unlock()

    def discard(self, park):
        """Take out *park* if it is still in here; returns whether it was, that is, whether nobody took it to wake it."""
        if park.queue is not self:  # nor will it be again: whoever took it out was to be the last
            return False
        mutex.lock()
        try:
            if park.queue is not self:
                return False
            self.remove(park)
            return True
        finally:
            mutex.unlock()

    def wait(self, owner, timeout):
        """Leave the current greenlet until it is woken (True) or *timeout* seconds have passed (False).

        *owner* is named in error messages. *timeout* may be a :class:`gevent.Timeout`, as in gevent 1.1. Who has to look at something
        first, and not miss its change, uses :meth:`add`, looks then, and waits.
        """
        if timeout is not None and isinstance(timeout, Timeout):
            return with_timeout(timeout, self.wait, owner, None, timeout_value=False)
        park = get_loop().park(owner)
        self.add(park)
        try:
            return park.wait(timeout)
        finally:
            self.discard(park)

    def wake_all(self):
        """Wake everybody."""
        mutex.lock()
        try:
            park = self.take_all()
        finally:
            mutex.unlock()
        if park is not None:
            self.wake_taken(park)

    def wake_taken(self, park):
        """Wake *park* and those behind it, which were taken out."""
        if park.next is not None:
            self._wake_each(park)
            return
        if park.callback is not None:
            self.note_called(park)
        park.wake()

    def _wake_each(self, park):
        while park is not None:
            after = park.next
            park.next = None
            if park.callback is not None:
                self.note_called(park)
            park.wake()
            park = after

    def note_called(self, park):
        """Remember *park*, which is about to be woken, for :meth:`unlink`."""
        before = kept = self.called
        known = 0
        if before is None:
            kept = []
        else:
            known = len(before)
            if known > 8:
                kept = [each for each in before if each.callback is not None]
        mutex.lock()
        try:
            if self.called is before and (before is None or len(before) == known):
                self.called = kept
            self.called.append(park)
        finally:
            mutex.unlock()

    def link(self, callback, owner):
        """Have ``callback(owner)`` called in the hub, once, when its turn to be woken comes. TypeError unless it can be called."""
        self.add(get_loop().park_call(callback, owner))

    def link_first(self, callback, owner):
        """:meth:`link`, before everybody who is here."""
        park = get_loop().park_call(callback, owner)
        mutex.lock()
        try:
            self.appendleft(park)
        finally:
            mutex.unlock()

    def unlink(self, callback):
        """Undo one :meth:`link` of *callback*, also one that was woken and not called yet; nothing if there is none."""
        for park in [*self.waiters(), *(self.called or ())]:
            linked = park.callback
            if linked is not None and linked == callback:
                if not self.discard(park):
                    park.cancel()
                return

    def clear_links(self):
        """Undo every :meth:`link`."""
        for park in [*self.waiters(), *(self.called or ())]:
            if park.callback is not None and not self.discard(park):
                park.cancel()

    def waiters(self):
        """The parks in here, in order."""
        while True:
            parks = [None] * self.count
            mutex.lock()
            try:
                if self.count == len(parks):
                    park = self.head
                    for place in range(self.count):
                        parks[place] = park
                        park = park.next
                    return parks
            finally:
                mutex.unlock()


def _disown(park):
    """Let *park* and those behind it be in no queue. A function of its own: PyPy's JIT cuts a trace at a loop."""
    while park is not None:
        park.queue = park.prev = None
        park = park.next


class _Collector:
    """Gathers objects as they become ready; linked to all of them."""

    def __init__(self):
        self.ready = deque()
        self.waiters = WaitQueue()

    def __call__(self, source):
        self.ready.append(source)
        self.waiters.wake_all()

    def get(self, deadline):
        """The next object that is ready, or None when the *deadline* has passed."""
        while not self.ready:
            timeout = None
            if deadline is not None:
                timeout = max(0.0, deadline - monotonic())
            if not self.waiters.wait(self, timeout) and not self.ready:
                return None
        return self.ready.popleft()

    def __repr__(self):
        return "wait()"


def iwait(objects, timeout=None, count=None):
    """Yield *objects* one by one as they become ready, until *count* of them have, or *timeout* seconds have passed.

    An object is anything with a ``rawlink`` method: greenlets, events, semaphores, child processes; ``unlink`` is used where there
    is one. Without *objects* it waits for the loop to end, as :func:`wait` does, and yields that one result. The end of the
    time limit ends the iteration without an error.

    .. versionchanged:: 1.1
       The *count* argument.
    """
    if objects is None:
        yield get_hub().join(timeout=timeout)
        return
    if timeout is not None and timeout != timeout:
        raise ValueError("a timeout cannot be NaN")
    objects = list(objects)
    count = len(objects) if count is None else min(count, len(objects))
    deadline = None if timeout is None else monotonic() + timeout
    collector = _Collector()
    linked = []
    try:
        for each in objects:
            each.rawlink(collector)
            linked.append(each)
        for _ in range(count):
            item = collector.get(deadline)
            if item is None:
                return
            yield item
    finally:
        for each in linked:
            unlink = getattr(each, "unlink", None)
            if unlink is not None:
                unlink(collector)


def wait(objects=None, timeout=None, count=None):
    """Wait until *objects* are ready, or *count* of them, or *timeout* seconds have passed; returns the ready ones.

    They come in the order in which they became ready. See :func:`iwait` for what an object can be. Without *objects* it blocks the
    main greenlet until nothing is left to do: no greenlet is runnable and no watcher started that counts; returns True then, and
    False after *timeout* seconds.
    """
    if objects is None:
        return get_hub().join(timeout=timeout)
    return list(iwait(objects, timeout, count))
