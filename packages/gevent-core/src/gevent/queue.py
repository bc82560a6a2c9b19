"""Queues between greenlets.

    >>> import gevent
    >>> from gevent.queue import Queue
    >>> jobs = Queue(maxsize=2)
    >>> def produce():
    ...     for number in range(5):
    ...         jobs.put(number)
    ...     jobs.put(StopIteration)
    >>> producer = gevent.spawn(produce)
    >>> list(jobs)
    [0, 1, 2, 3, 4]

They have the methods of the standard library's :mod:`queue`, and more: ``peek``, ``copy``, iteration, :class:`Channel`.

How it works
============
Getters and putters that wait stand in a :class:`gevent.lock.Line` each, whose rules keep the order of arrival and lose no wake-up:
putting an item calls the first getter, taking one calls the first putter, and who is called tries before waiting again.

The hub never waits, so it is served through those who do (``_serve`` and ``_overfill`` below): it gets the item of a putter
that waits, and it may put one item more than fits for each getter that waits, since that many are about to be taken.

*Threads.* Any native thread may use a queue. Looking at the container and changing it is one step, with the mutex held
(:mod:`gevent._mutex`) where the container is a plain deque or list, whose methods run nothing else. Where it is not, that is, in a
:class:`PriorityQueue`, which compares the user's items, and in subclasses, a lock of the queue's own is held instead: the hooks run with
it locked, as those of the standard library's queues do. A finalizer that uses the very queue whose hook it interrupts has the
lock already; the hook has to bear that, as it had to before.

A :class:`SimpleQueue` without a bound, like that of the standard library, has its items in the order of the calls of ``put()``, also where
a finalizer calls it in the middle of another call. So the collector must not run in that one before the item is in the container.
"""

import queue as _queue
import sys
import warnings
from collections import deque
from heapq import heapify, heappop, heappush
from types import GenericAlias

from greenlet import getcurrent

from gevent._mutex import COSTLY, Hold, Mutex, mutex  # noqa: F401 - Mutex is what the .pxd says mutex is
from gevent._switching import get_hub, get_loop
from gevent._waiting import WaitQueue
from gevent.core import current_loop
from gevent.exceptions import BlockingSwitchOutError
from gevent.lock import Contended, Line
from gevent.timeout import Timeout, with_timeout

__all__ = ["Channel", "Empty", "Full", "JoinableQueue", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]

Empty = _queue.Empty
Full = _queue.Full

if hasattr(_queue, "ShutDown"):
    ShutDown = _queue.ShutDown
else:

    class ShutDown(Exception):
        """Raised by putting into a queue that was shut down, and by getting from one that is empty too.

        That of the standard library where it has one (Python 3.13).

        .. versionadded:: 26.11.0
        """


_LATE = object()

# What becomes of an offer.
_OPEN = 0
_TAKEN = 1  # the item is in the queue, or a getter has it
_REFUSED = 2  # the queue was shut down
_GONE = 3  # its putter waits no more


class _Offer:
    """An item whose putter waits. The putter's park names it as its owner, so that the item can be found in the line."""

    def __init__(self, queue, item):
        self.queue = queue
        self.item = item
        self.state = _OPEN

    def __repr__(self):
        return repr(self.queue)


class _Want:
    """What a getter waits with: the item comes here. With *peek*, it is looked at and stays in the queue."""

    def __init__(self, queue, peek):
        self.queue = queue
        self.peek = peek
        self.item = None
        self.refused = False

    def __repr__(self):
        return repr(self.queue)


def _in_hub():
    loop = current_loop()
    return loop is not None and loop.hub is getcurrent()


def _check(timeout):
    """ValueError for a negative *timeout*, as in the standard library."""
    if not isinstance(timeout, Timeout) and timeout < 0:
        raise ValueError(f"'timeout' must be a non-negative number, not {timeout!r}")


def _limit(maxsize):
    if maxsize is None or maxsize < 0:
        return 0
    return maxsize


def _warn_of_zero():
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and frame.f_globals.get("__name__") == __name__:
        frame, level = frame.f_back, level + 1
    text = "Queue(0) is unbounded, and will be a rendezvous one day: use Channel() for that, and Queue() for no bound"
    warnings.warn(text, DeprecationWarning, stacklevel=level)


class SimpleQueue(Contended):
    """SimpleQueue(maxsize=None, items=())

    A queue that gives its items in the order in which they were put. At most *maxsize* wait to be got, any number if that is None or
    negative; :meth:`put` waits for room. It starts with *items*, which may be more. It has the methods of :class:`queue.SimpleQueue`.

    Subclasses may override ``_init(maxsize, items)``, called with no *items* when there are none, ``_put(item)``, ``_get()`` and
    ``_peek()``. They must not wait; they are called with the queue locked for other native threads.

    Greenlets of several native threads, and threads without greenlets, may share it.

    .. versionadded:: 26.11.0
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, maxsize=None, items=None):
        self._getters = Line()
        self._putters = Line()
        self._own = None if type(self) in _plain_classes else Hold()
        self._maxsize = _limit(maxsize)
        self._unfinished = 0
        self._is_shutdown = False
        if maxsize == 0:
            _warn_of_zero()
        if items:
            self._init(self._maxsize, items)
            self._unfinished = self.qsize()
        else:
            self._init(self._maxsize)  # the standard library's hook has no second argument

    def _lock(self):
        """Take the lock that guards container, count of tasks, shutdown and offers. Never with the mutex held."""
        if self._own is None:
            mutex.lock()
        else:
            self._own.lock()

    def _unlock(self):
        if self._own is None:
            mutex.unlock()
        else:
            self._own.unlock()

    def _init(self, maxsize, items=None):
        """Make ``self.queue``, the container, with *items* in it."""
        self.queue = deque(items) if items else deque()

    def _get(self):
        """Take the next item out of the container, which is not empty."""
        return self._popleft()

    def _peek(self):
        """The item that :meth:`_get` would take."""
        return self._items[0]

    def _put(self, item):
        """Put *item* into the container."""
        self._append(item)

    # -- looking

    @property
    def queue(self):
        """The container of the items: a deque, or a list in :class:`LifoQueue` and :class:`PriorityQueue`.

        Whoever changes it by hand wakes nobody.
        """
        return self._items

    @queue.setter
    def queue(self, container):
        if self._own is None and type(container) is not deque and type(container) is not list:
            self._own = Hold()  # its methods may run anything
        self._items = container
        # Bound once: to look them up takes a fifth of the time of put() and get().
        self._append = getattr(container, "append", None)
        self._popleft = getattr(container, "popleft", None)

    @property
    def maxsize(self):
        """How many items may wait; 0 for any number, as in the standard library. It may be set; putters that fit then are woken.

        .. versionchanged:: 26.11.0
           An int. It was None where there is no bound; that can still be set.
        """
        return self._maxsize

    @maxsize.setter
    def maxsize(self, maxsize):
        self._maxsize = _limit(maxsize)
        self._putters.call_many(self._maxsize - self.qsize() if self._maxsize else self._putters.count)

    @property
    def is_shutdown(self):
        """Whether :meth:`Queue.shutdown` was called.

        .. versionadded:: 26.11.0
        """
        return self._is_shutdown

    @property
    def hub(self):
        """The hub of the calling native thread."""
        return get_hub()

    def qsize(self):
        """How many items wait to be got."""
        return len(self._items)

    def empty(self):
        """Whether :meth:`get` would have to wait."""
        return self.qsize() == 0

    def full(self):
        """Whether :meth:`put` would have to wait. Never, if there is no bound."""
        return not self._room()

    def __len__(self):
        return self.qsize()

    def __bool__(self):
        """True, also when it is empty.

        .. versionadded:: 1.1
        """
        return True

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}{self._format()}>"

    def _format(self):
        text = f" maxsize={self._maxsize}" if self._maxsize else ""
        text += f" items={self.qsize()}"
        if self._getters.count:
            text += f" getters={self._getters.count}"
        if self._putters.count:
            text += f" putters={self._putters.count}"
        if self._is_shutdown:
            text += " shutdown"
        return text

    def copy(self):
        """A new queue of the same type, bound and items. Nobody waits for it."""
        return type(self)(self._maxsize or None, self._snapshot())

    def _snapshot(self):
        """The items as a list."""
        while True:
            try:
                return list(self._items)
            except RuntimeError:  # another thread changed it meanwhile
                pass

    # -- putting

    def put(self, item, block=True, timeout=None):
        """Put *item* into the queue, waiting for room if need be.

        Raises Full when there is none after *timeout* seconds, or now and not *block*, or now and in the hub; ShutDown when the queue
        was shut down; ValueError for a negative *timeout*. Greenlets that wait for room get it in order of arrival, except that one
        that runs may take room before one that was woken for it and has not run.

        In the hub an item more than fits is accepted for each greenlet that waits to get one.
        """
        if timeout is not None and block:
            _check(timeout)
        if COSTLY and self._maxsize and self._own is None and len(self._items) >= self._maxsize and not self._is_shutdown:
            self._put_waiting(item, block, timeout)  # the queue need not be locked to see that it is full
            return
        called = fits = down = False
        if self._maxsize == 0 and type(self) is SimpleQueue and self._own is None:
            # One step that makes no object, and the first: taking the lock makes some, where it is Python code.
            self._append(item)
            fits = True
        self._lock()
        try:
            if not fits:
                down = self._is_shutdown
                if not down and self._room():
                    fits = True
                    self._put(item)
                    self._unfinished += 1
            called = fits and self._getters.first is not None
        finally:
            self._unlock()
        if called:
            self._getters.call()
        elif not fits:
            if down:
                self._refuse()
            self._put_waiting(item, block, timeout)

    def put_nowait(self, item):
        """``put(item, block=False)``: put it if there is room, else raise Full."""
        self.put(item, False)

    def _room(self):
        return self._maxsize == 0 or self.qsize() < self._maxsize

    def _take(self, line, park, called):
        """What waiting getters and putters try: see :meth:`gevent.lock.Contended._take`."""
        if line is self._getters:
            return self._take_item(park.owner, park)
        return self._take_room(park.owner, park)

    def _pick(self, line):
        """Whom of *line* to call, with our lock held; to be given to its ``wake_picked`` without."""
        return line.pick() if self._own is None else line.next()

    def _take_item(self, want, park):
        if COSTLY and self._own is None and not self._items and not self._is_shutdown:
            return False  # seen without the lock: whoever puts after that finds the park in line
        found = False
        called = None
        self._lock()
        try:
            if self.qsize() > 0:
                found = True
                if want.peek:
                    want.item = self._peek()
                else:
                    want.item = self._get()
                    if self._own is None and park is not None:
                        self._getters.step_out(park)
                    if self._putters.first is not None and self._room():
                        called = self._pick(self._putters)
            elif self._is_shutdown:
                found = want.refused = True
        finally:
            self._unlock()
        if called is not None:
            self._putters.wake_picked(called)
        return found

    def _take_room(self, offer, park):
        done = False
        called = None
        self._lock()
        try:
            if offer.state != _OPEN:
                done = True
            elif self._is_shutdown:
                done = True
                offer.state = _REFUSED
            elif self._room():
                done = True
                self._put(offer.item)
                self._unfinished += 1
                offer.state = _TAKEN
                if self._own is None:
                    self._putters.step_out(park)
                if self._getters.first is not None:
                    called = self._pick(self._getters)
        finally:
            self._unlock()
        if called is not None:
            self._getters.wake_picked(called)
        return done

    def _put_waiting(self, item, block, timeout):
        """:meth:`put` when there is no room."""
        if not block:
            self._overfill(item)
            return
        offer = _Offer(self, item)
        in_hub = False
        state = _OPEN
        try:
            self._putters.wait_for(self, offer, timeout)
        except BlockingSwitchOutError:
            in_hub = True
        finally:
            state = offer.state
            if state == _OPEN:  # else nothing changes it any more
                self._lock()
                try:
                    state = offer.state
                    if state == _OPEN:
                        offer.state = _GONE
                finally:
                    self._unlock()
        if state == _REFUSED:
            self._refuse()
        elif state == _OPEN and in_hub:
            self._overfill(item)
        elif state == _OPEN:
            raise Full

    def _overfill(self, item):
        """Full, except in the hub while getters wait, or were called and have not run: they take that many."""
        if _in_hub():
            self._lock()
            try:
                fits = self._maxsize == 0 or self.qsize() < self._maxsize + self._getters.count
                if fits:
                    self._put(item)
                    self._unfinished += 1
            finally:
                self._unlock()
            if fits:
                self._getters.call()
                return
        raise Full

    def _refuse(self):
        raise ShutDown

    # -- getting

    def get(self, block=True, timeout=None):
        """Take the next item, waiting for one if need be.

        Raises Empty when there is none after *timeout* seconds, or now and not *block*, or now and in the hub; ShutDown when there is
        none and the queue was shut down; ValueError for a negative *timeout*. Greenlets that wait get items in order of arrival, except
        that one that runs may take an item before one that was woken for it and has not run.

        In the hub the item of a greenlet that waits to put it is got. If that greenlet is killed before it runs again, the item was got
        all the same.
        """
        if timeout is not None and block:
            _check(timeout)
        if COSTLY and self._own is None and not self._items:
            return self._wait_item(False, block, timeout)
        found = called = False
        self._lock()
        try:
            if self.qsize() > 0:
                found = True
                item = self._get()
                called = self._putters.first is not None and self._room()
        finally:
            self._unlock()
        if called:
            self._putters.call()
        return item if found else self._wait_item(False, block, timeout)

    def get_nowait(self):
        """``get(block=False)``: an item if there is one, else Empty."""
        return self.get(False)

    def peek(self, block=True, timeout=None):
        """The item that :meth:`get` would take, which stays in the queue; waiting for one, and raising, like :meth:`get`."""
        if timeout is not None and block:
            _check(timeout)
        found = False
        self._lock()
        try:
            if self.qsize() > 0:
                found = True
                item = self._peek()
        finally:
            self._unlock()
        return item if found else self._wait_item(True, block, timeout)

    def peek_nowait(self):
        """``peek(block=False)``: the next item if there is one, else Empty."""
        return self.peek(False)

    def _wait_item(self, peek, block, timeout):
        """:meth:`get`, or :meth:`peek`, when there is no item."""
        want = _Want(self, peek)
        if self._putters.count and _in_hub() and self._serve() and self._take_item(want, None):
            return want.item
        if self._is_shutdown:
            self._refuse()
        if not block:
            raise Empty
        try:
            if not self._getters.wait_for(self, want, timeout):
                raise Empty
        except BlockingSwitchOutError:
            raise Empty from None
        if want.refused:
            self._refuse()
        if peek:
            self._getters.call()  # who is next in line, since the item is still there
        return want.item

    def _serve(self):
        """Take over the item of a putter that waits, or was called and has not run; False if there is none."""
        for park in self._putters.waiters():
            offer = park.owner
            if type(offer) is not _Offer:
                continue
            self._lock()
            try:
                taken = offer.state == _OPEN
                if taken:
                    self._put(offer.item)
                    self._unfinished += 1
                    offer.state = _TAKEN
            finally:
                self._unlock()
            if taken:
                park.wake()
                if self._getters.first is not None:
                    self._getters.call()
                return True
        return False

    def __iter__(self):
        return self

    def __next__(self):
        """The next item; the item ``StopIteration`` ends the iteration."""
        item = self.get()
        if item is StopIteration:
            raise StopIteration
        return item


class Queue(SimpleQueue):
    """Queue(maxsize=None, items=None, unfinished_tasks=None)

    A :class:`SimpleQueue` that also counts the items that were put and not yet reported as done, so that one can wait for all of them
    with :meth:`join`, and that can be shut down. It has the methods of :class:`queue.Queue`. The items it starts with count as
    unfinished, unless *unfinished_tasks* says otherwise.

    Queue(0) is unbounded like Queue(), with a DeprecationWarning: whoever wants items handed over without any waiting uses a
    :class:`Channel`.

    .. versionchanged:: 1.1
       ``len()`` is :meth:`qsize`, and a queue is true even when it is empty.
    .. versionchanged:: 26.11.0
       What was in :class:`JoinableQueue` only, and :meth:`shutdown`.
    """

    def __init__(self, maxsize=None, items=None, unfinished_tasks=None):
        self._joiners = None
        SimpleQueue.__init__(self, maxsize, items)
        if unfinished_tasks is not None:
            if unfinished_tasks < 0:
                raise ValueError(f"unfinished_tasks must be 0 or more, not {unfinished_tasks!r}")
            self._unfinished = unfinished_tasks

    @property
    def unfinished_tasks(self):
        """How many items were put and not yet reported by :meth:`task_done`."""
        return self._unfinished

    @unfinished_tasks.setter
    def unfinished_tasks(self, count):
        self._lock()
        try:
            self._unfinished = count
        finally:
            self._unlock()
        self._check_done()

    def _format(self):
        text = SimpleQueue._format(self)
        return f"{text} tasks={self._unfinished}" if self._unfinished else text

    def copy(self):
        """A new queue of the same type, bound, items and unfinished tasks. Nobody waits for it."""
        if self._unfinished == self.qsize():
            return SimpleQueue.copy(self)  # so that a subclass need not take a third argument
        return type(self)(self._maxsize or None, self._snapshot(), self._unfinished)

    def task_done(self):
        """Report that an item which was got is dealt with. ValueError when that happens more often than items were put."""
        self._lock()
        try:
            left = self._unfinished - 1
            if left >= 0:
                self._unfinished = left
        finally:
            self._unlock()
        if left < 0:
            raise ValueError("task_done() called too many times: every item was reported as done already")
        if left == 0:
            self._check_done()

    def _check_done(self):
        if self._unfinished == 0 and self._joiners is not None:
            self._joiners.wake_all()

    def join(self, timeout=None):
        """Block until every item that was put is reported as done, or *timeout* seconds have passed. Returns whether all were.

        .. versionchanged:: 1.1
           The *timeout* argument and the result.
        """
        if self._unfinished == 0:
            return True
        if timeout is not None and isinstance(timeout, Timeout):
            return with_timeout(timeout, self.join, timeout_value=False)
        joiners = self._joiners
        if joiners is None:
            fresh = WaitQueue()
            self._lock()
            try:
                if self._joiners is None:
                    self._joiners = fresh
                joiners = self._joiners
            finally:
                self._unlock()
        park = get_loop().park(self)
        joiners.add(park)
        try:
            done = self._unfinished == 0 or park.wait(timeout)
        finally:
            if not joiners.discard(park):
                done = True
        return done

    def shutdown(self, immediate=False):
        """Accept no more items: :meth:`put` raises ShutDown from now on, and :meth:`get` as soon as the queue is empty.

        With *immediate* it is emptied at once, and the items count as done. Greenlets that wait are woken by ShutDown as far as that
        concerns them.

        .. versionadded:: 26.11.0
        """
        dropped = []  # let go of without the lock: that may run anything
        self._lock()
        try:
            self._is_shutdown = True
            while immediate and self.qsize() > 0:
                dropped.append(self._get())
                if self._unfinished > 0:
                    self._unfinished -= 1
        finally:
            self._unlock()
        if immediate:
            self._check_done()
        self._getters.call_many(self._getters.count)
        self._putters.call_many(self._putters.count)


class JoinableQueue(Queue):
    """JoinableQueue(maxsize=None, items=None, unfinished_tasks=None)

    :class:`Queue`, under the name that its counting of tasks had in gevent 1.1.
    """


class LifoQueue(Queue):
    """A :class:`Queue` that gives the newest item first."""

    def _init(self, maxsize, items=None):
        self.queue = list(items) if items else []

    def _put(self, item):
        self._items.append(item)

    def _get(self):
        return self._items.pop()

    def _peek(self):
        return self._items[-1]


class PriorityQueue(Queue):
    """A :class:`Queue` that gives the lowest item first. Items must be comparable, such as ``(priority, data)``."""

    def _init(self, maxsize, items=None):
        self.queue = list(items) if items else []
        heapify(self._items)

    def _put(self, item):
        heappush(self._items, item)

    def _get(self):
        return heappop(self._items)


# Whose containers are plain, and whose hooks are ours.
_plain_classes = {SimpleQueue, Queue, JoinableQueue, LifoQueue}


def _unclaimed(offer):
    """Never called: what a park is made of that holds the place of an offer nobody waits with."""


class Channel(Contended):
    """Channel(maxsize=1)

    Hands items from putters to getters without holding any: :meth:`put` returns when a getter took the item. Greenlets of several native
    threads may share it, and so may threads without greenlets, which then get a hub to wait in.

    .. versionchanged:: 1.1
       Can be iterated over.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, maxsize=1):
        if maxsize != 1:
            raise ValueError(f"a Channel holds no items, so its maxsize can only be 1, not {maxsize!r}")
        self._getters = Line()
        self._putters = WaitQueue()  # each park names its offer as its owner

    @property
    def hub(self):
        """The hub of the calling native thread."""
        return get_hub()

    @property
    def balance(self):
        """How many putters wait, less how many getters wait."""
        return self._putters.count - self._getters.count

    def qsize(self):
        """0."""
        return 0

    def empty(self):
        """True."""
        return True

    def full(self):
        """True."""
        return True

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} getters={self._getters.count} putters={self._putters.count}>"

    def put(self, item, block=True, timeout=None):
        """Hand *item* to a getter, waiting until one took it.

        Raises Full when none did after *timeout* seconds. In the hub, or not *block*, it goes to a getter that waits, without waiting
        until that one runs; Full if there is none. ValueError for a negative *timeout*.
        """
        if timeout is not None and block:
            _check(timeout)
        offer = _Offer(self, item)
        if not block:
            self._deposit(offer)
        elif timeout is not None and isinstance(timeout, Timeout):
            if with_timeout(timeout, self._put_waiting, offer, None, timeout_value=_LATE) is _LATE:
                raise Full
        else:
            self._put_waiting(offer, timeout)

    def put_nowait(self, item):
        """``put(item, block=False)``: hand it to a getter that waits, else raise Full."""
        self.put(item, False)

    def _put_waiting(self, offer, timeout):
        park = get_loop().park(offer)
        self._putters.add(park)
        self._getters.call()
        try:
            park.wait(timeout)
        except BlockingSwitchOutError:
            if self._putters.discard(park):
                self._deposit(offer)
            return
        finally:
            self._putters.discard(park)
        if offer.state != _TAKEN:
            raise Full

    def _deposit(self, offer):
        """Leave *offer* for one of the getters that wait, each of whom has a claim on one."""
        park = get_loop().park_call(_unclaimed, offer)
        mutex.lock()
        try:
            claimed = self._putters.count < self._getters.count
            if claimed:
                self._putters.append(park)
        finally:
            mutex.unlock()
        if not claimed:
            raise Full
        self._getters.call()

    def get(self, block=True, timeout=None):
        """Take an item from a putter, waiting for one if need be.

        Raises Empty when none came after *timeout* seconds, or when there is none now and not *block*, or in the hub. ValueError for
        a negative *timeout*.
        """
        if timeout is not None and block:
            _check(timeout)
        want = _Want(self, False)
        if self._match(want, False):
            return want.item
        if not block:
            raise Empty
        try:
            if not self._getters.wait_for(self, want, timeout):
                raise Empty
        except BlockingSwitchOutError:
            raise Empty from None
        # As long as we were on our way, others left an offer to us that we had no need of any more.
        if self._getters.first is not None and self._putters.count > self._getters.on_way:
            self._getters.call()
        return want.item

    def get_nowait(self):
        """``get(block=False)``: the item of a putter that waits, else Empty."""
        return self.get(False)

    def _take(self, line, park, called):
        return self._match(park.owner, called)

    def _match(self, want, called):
        """Give *want* the first offer. Each getter on its way has a claim on one; who was not *called* takes only what is left over."""
        mutex.lock()
        try:
            if self._putters.count <= (0 if called else self._getters.on_way):
                return False
            park = self._putters.head
            self._putters.remove(park)
            offer = park.owner
            offer.state = _TAKEN
            want.item = offer.item
        finally:
            mutex.unlock()
        if park.callback is None:
            park.wake()
        return True

    def __iter__(self):
        return self

    def __next__(self):
        """The next item; the item ``StopIteration`` ends the iteration."""
        item = self.get()
        if item is StopIteration:
            raise StopIteration
        return item
