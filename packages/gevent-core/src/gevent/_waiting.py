"""The one wait queue under every synchronization object, and waiting for several objects at once.

A :class:`WaitQueue` is a first-in first-out list of parks (see the loop): greenlets that wait, and callbacks that were linked.
The parks are the nodes of the list, so that taking one out of the middle, as a kill or a time limit does, costs the same
however many there are. A lock on top of it is some twenty lines.
"""

from collections import deque
from time import monotonic

from gevent._switching import get_hub, get_loop
from gevent.timeout import Timeout

__all__ = ["WaitQueue", "iwait", "wait"]


class WaitQueue:
    """Greenlets that wait and callbacks that are linked, in the order they came.

    With *hand_on*, a wake-up that reaches a greenlet which is then killed before it runs goes on to the next in line: right for
    locks and queues, where one wake-up stands for one thing to take. Those who are woken look again whether it is there.
    """

    def __init__(self, hand_on=False):
        self.hand_on = hand_on
        self.count = 0
        self.head = None
        self.tail = None
        self.called = None  # links that were woken, and perhaps not called yet

    def __len__(self):
        return self.count

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

    def wait(self, owner, timeout, first=False):
        """Leave the current greenlet until it is woken (True) or *timeout* seconds have passed (False).

        *owner* is named in error messages. With *first*, it goes to the head of the line. *timeout* may be a
        :class:`gevent.Timeout`, as in gevent 1.1.
        """
        if timeout is not None and isinstance(timeout, Timeout):
            return self._wait_timeout(owner, timeout, first)
        park = get_loop().park(owner)
        if first:
            self.appendleft(park)
        else:
            self.append(park)
        try:
            return park.wait(timeout)
        except BaseException:
            if park.queue is None and self.hand_on:
                self.wake_one()
            raise
        finally:
            if park.queue is not None:
                self.remove(park)

    def _wait_timeout(self, owner, timeout, first):
        started = Timeout.start_new(timeout)
        try:
            return self.wait(owner, None, first)
        except Timeout as fired:
            if fired is not started:
                raise
            return False
        finally:
            started.cancel()

    def wake_one(self):
        """Wake the first that can be woken; False if there is none."""
        while self.head is not None:
            park = self.head
            self.remove(park)
            if park.wake():
                if park.callback is not None:
                    self._note_called(park)
                return True
        return False

    def wake_all(self):
        """Wake everybody."""
        while self.head is not None:
            park = self.head
            self.remove(park)
            if park.wake() and park.callback is not None:
                self._note_called(park)

    def _note_called(self, park):
        if self.called is None:
            self.called = []
        elif len(self.called) > 8:
            self.called = [each for each in self.called if each.callback is not None]
        self.called.append(park)

    def link(self, callback, owner):
        """Have ``callback(owner)`` called in the hub, once, when its turn to be woken comes. TypeError unless it can be called."""
        self.append(get_loop().park_call(callback, owner))

    def unlink(self, callback):
        """Undo one :meth:`link` of *callback*, also one that was woken and not called yet; nothing if there is none."""
        park = self.head
        while park is not None:
            if park.callback is not None and park.callback == callback:
                self.remove(park)
                return
            park = park.next
        for park in self.called or ():
            if park.callback is not None and park.callback == callback:
                park.cancel()
                return

    def clear_links(self):
        """Undo every :meth:`link`."""
        park = self.head
        while park is not None:
            after = park.next
            if park.callback is not None:
                self.remove(park)
            park = after
        for park in self.called or ():
            park.cancel()
        self.called = None

    def waiters(self):
        """The parks in here, in order."""
        parks = []
        park = self.head
        while park is not None:
            parks.append(park)
            park = park.next
        return parks


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
