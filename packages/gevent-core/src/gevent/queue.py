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
putting an item calls the first getter, taking one calls the first putter, and who is called looks again before taking or putting.

The hub never waits, so it is served through those who do (``_serve`` and ``_overfill`` below): it gets the item of a putter
that waits, and it may put one item more than fits for each getter that waits, since that many are about to be taken.
"""

import queue as _queue
import sys
import warnings
from collections import deque
from heapq import heapify, heappop, heappush
from types import GenericAlias

from greenlet import getcurrent

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


class _Offer:
    """An item whose putter waits. The putter's park names it as its owner, so that the item can be found in the line."""

    def __init__(self, queue, item):
        self.queue = queue
        self.item = item
        self.taken = False

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
    ``_peek()``. They must not wait.

    .. versionadded:: 26.11.0
    """

    __class_getitem__ = classmethod(GenericAlias)

    def __init__(self, maxsize=None, items=None):
        self._getters = Line()
        self._putters = Line()
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
        return type(self)(self._maxsize or None, self.queue)

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
        if self._is_shutdown:
            self._refuse()
        if self._room():
            self._store(item)
        else:
            self._put_waiting(item, block, timeout)

    def put_nowait(self, item):
        """``put(item, block=False)``: put it if there is room, else raise Full."""
        self.put(item, False)

    def _room(self):
        return self._maxsize == 0 or self.qsize() < self._maxsize

    def _free(self, line, token, called):
        if line is self._getters:
            return self.qsize() > 0 or self._is_shutdown
        offer = token
        return offer.taken or self._room() or self._is_shutdown

    def _store(self, item):
        self._put(item)
        self._unfinished += 1
        if self._getters.first is not None:
            self._getters.call()

    def _put_waiting(self, item, block, timeout):
        """:meth:`put` when there is no room."""
        if not block:
            self._overfill(item)
            return
        offer = _Offer(self, item)
        try:
            if not self._putters.wait_for(self, offer, timeout):
                raise Full
        except BlockingSwitchOutError:
            self._overfill(item)
            return
        if offer.taken:
            return
        if self._is_shutdown:
            self._refuse()
        try:
            self._store(item)
        except BaseException:
            self._call_putter()
            raise

    def _overfill(self, item):
        """Full, except in the hub while getters wait, or were called and have not run: they take that many."""
        if self.qsize() >= self._maxsize + self._getters.count or not _in_hub():
            raise Full
        self._store(item)

    def _call_putter(self):
        if self._putters.first is not None and self._room():
            self._putters.call()

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
        if self.qsize() == 0:
            return self._get_waiting(block, timeout)
        item = self._get()
        if self._putters.first is not None:
            self._call_putter()
        return item

    def _get_waiting(self, block, timeout):
        """:meth:`get` when there is no item."""
        self._wait_item(block, timeout)
        try:
            item = self._get()
        except BaseException:
            self._getters.call()
            raise
        if self._putters.first is not None:
            self._call_putter()
        return item

    def get_nowait(self):
        """``get(block=False)``: an item if there is one, else Empty."""
        return self.get(False)

    def peek(self, block=True, timeout=None):
        """The item that :meth:`get` would take, which stays in the queue; waiting for one, and raising, like :meth:`get`."""
        if timeout is not None and block:
            _check(timeout)
        if self.qsize() == 0:
            self._wait_item(block, timeout)
            self._getters.call()
        return self._peek()

    def peek_nowait(self):
        """``peek(block=False)``: the next item if there is one, else Empty."""
        return self.peek(False)

    def _wait_item(self, block, timeout):
        """Return once there is an item, or raise. Who does not take it has to call the next getter."""
        if self._putters.count and _in_hub() and self._serve():
            return
        if self._is_shutdown:
            self._refuse()
        if not block:
            raise Empty
        try:
            if not self._getters.wait_for(self, self, timeout):
                raise Empty
        except BlockingSwitchOutError:
            raise Empty from None
        if self.qsize() == 0:
            self._refuse()

    def _serve(self):
        """Take over the item of a putter that waits, or was called and has not run; False if there is none."""
        park = self._putters.head
        while park is not None:
            offer = park.owner
            if not offer.taken:
                offer.taken = True
                park.wake()
                self._store(offer.item)
                return True
            park = park.next
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
        self._unfinished = count
        self._check_done()

    def _format(self):
        text = SimpleQueue._format(self)
        return f"{text} tasks={self._unfinished}" if self._unfinished else text

    def copy(self):
        """A new queue of the same type, bound, items and unfinished tasks. Nobody waits for it."""
        if self._unfinished == self.qsize():
            return SimpleQueue.copy(self)  # so that a subclass need not take a third argument
        return type(self)(self._maxsize or None, self.queue, self._unfinished)

    def task_done(self):
        """Report that an item which was got is dealt with. ValueError when that happens more often than items were put."""
        if self._unfinished <= 0:
            raise ValueError("task_done() called too many times: every item was reported as done already")
        self._unfinished -= 1
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
        if self._joiners is None:
            self._joiners = WaitQueue()
        park = get_loop().park(self)
        if self._unfinished == 0:
            return True
        self._joiners.append(park)
        try:
            done = park.wait(timeout)
        finally:
            if park.queue is not None:
                self._joiners.remove(park)
        return done or self._unfinished == 0

    def shutdown(self, immediate=False):
        """Accept no more items: :meth:`put` raises ShutDown from now on, and :meth:`get` as soon as the queue is empty.

        With *immediate* it is emptied at once, and the items count as done. Greenlets that wait are woken by ShutDown as far as that
        concerns them.

        .. versionadded:: 26.11.0
        """
        self._is_shutdown = True
        if immediate:
            while self.qsize() > 0:
                self._get()
                if self._unfinished > 0:
                    self._unfinished -= 1
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


def _unclaimed(offer):
    """Never called: what a park is made of that holds the place of an offer nobody waits with."""


class Channel(Contended):
    """Channel(maxsize=1)

    Hands items from putters to getters without holding any: :meth:`put` returns when a getter took the item.

    .. versionchanged:: 1.1
       Can be iterated over.
    """

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
        self._putters.append(park)
        self._getters.call()
        try:
            park.wait(timeout)
        except BlockingSwitchOutError:
            self._putters.remove(park)
            self._deposit(offer)
            return
        finally:
            if park.queue is not None:
                self._putters.remove(park)
        if not offer.taken:
            raise Full

    def _deposit(self, offer):
        """Leave *offer* for one of the getters that wait, each of whom has a claim on one."""
        if self._putters.count >= self._getters.count:
            raise Full
        self._putters.append(get_loop().park_call(_unclaimed, offer))
        self._getters.call()

    def get(self, block=True, timeout=None):
        """Take an item from a putter, waiting for one if need be.

        Raises Empty when none came after *timeout* seconds, or when there is none now and not *block*, or in the hub. ValueError for
        a negative *timeout*.
        """
        if timeout is not None and block:
            _check(timeout)
        if self._putters.count <= self._getters.count:
            if not block:
                raise Empty
            try:
                if not self._getters.wait_for(self, self, timeout):
                    raise Empty
            except BlockingSwitchOutError:
                raise Empty from None
        return self._take()

    def get_nowait(self):
        """``get(block=False)``: the item of a putter that waits, else Empty."""
        return self.get(False)

    def _free(self, line, token, called):
        # Each getter in line has a claim on one offer. Whoever was not called takes only what is left over.
        return self._putters.count > 0 if called else self._putters.count >= self._getters.count

    def _take(self):
        park = self._putters.head
        self._putters.remove(park)
        offer = park.owner
        offer.taken = True
        if park.callback is None:
            park.wake()
        return offer.item

    def __iter__(self):
        return self

    def __next__(self):
        """The next item; the item ``StopIteration`` ends the iteration."""
        item = self.get()
        if item is StopIteration:
            raise StopIteration
        return item
