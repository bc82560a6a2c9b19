"""Groups of greenlets: wait for all of them, kill them, map over them; and pools, which limit how many there are at a time.

>>> from gevent.pool import Pool
>>> pool = Pool(2)
>>> pool.map(abs, [-1, -2, -3])
[1, 2, 3]
"""

from operator import index

from greenlet import GreenletExit, getcurrent, greenlet

from gevent._config import import_on_demand
from gevent._imap import IMap, IMapUnordered, Results
from gevent._switching import get_loop
from gevent.event import Event
from gevent.greenlet import Greenlet
from gevent.hub import describe_place, get_hub, kill, sleep, wait
from gevent.lock import DummySemaphore, Semaphore
from gevent.timeout import Timeout

__all__ = ["Group", "Pool", "PoolFull"]  # noqa: F822  see __getattr__

# It is a queue.Full, and the standard module takes more memory than this one: only for those who ask.
__getattr__ = import_on_demand(globals(), {"PoolFull": "gevent._pool_full.PoolFull"})


def acquire_place(pool, semaphore, timeout=None):
    """Take one of the places of *pool* from its *semaphore*, waiting for at most *timeout* seconds; returns whether it was taken.

    If that takes longer than the pool's ``stuck_after`` seconds, it is told what the pool runs, once in the life of the pool.
    """
    if semaphore.acquire(blocking=False):
        return True
    if pool.stuck_after is None:
        return semaphore.acquire(timeout=timeout)
    notice = get_loop().call_later(pool.stuck_after, _tell_stuck, pool, ref=False)
    try:
        return semaphore.acquire(timeout=timeout)
    finally:
        notice.cancel()


def _tell_stuck(pool):
    """Called in the hub when somebody has waited for a place for too long."""
    seconds, pool.stuck_after = pool.stuck_after, None
    stream = get_hub().exception_stream
    if seconds is not None and stream is not None:
        running = list(pool._describe_running())
        lines = [f"{pool!r} has been full for {seconds} seconds while somebody waits for a place in it. It runs:"]
        lines += [f"    {each}" for each in running[:10]]
        if len(running) > 10:
            lines.append(f"    ... and {len(running) - 10} more")
        stream.write("\n".join([*lines, ""]))
        stream.flush()


class GroupMappingMixin:
    """apply, map, imap and kin, in terms of ``spawn(func, *args, **kwargs)``.

    *spawn* may block. It returns what has ``rawlink``, ``get``, ``successful``, ``value`` and ``exc_info``: a greenlet, or an
    AsyncResult.
    """

    def _apply_immediately(self):
        """Whether a call should run right where it is made, since its result could never come otherwise."""
        return False

    def _apply_async_use_greenlet(self):
        """Whether spawn() may block now, so that apply_async must call it in another greenlet."""
        return False

    def _apply_async_cb_spawn(self, callback, result):
        """Call *callback* with the *result* of apply_cb."""
        Greenlet.spawn(callback, result)

    def apply(self, func, args=None, kwds=None):
        """``func(*args, **kwds)``, waiting for its result; raises what it raises, with its traceback.

        .. versionchanged:: 1.1
           Raises the exception. May be called by the group's own greenlets, and runs directly there.
        """
        args = () if args is None else args
        kwds = {} if kwds is None else kwds
        if self._apply_immediately():
            return func(*args, **kwds)
        return self.spawn(func, *args, **kwds).get()

    def apply_cb(self, func, args=None, kwds=None, callback=None):
        """:meth:`apply`, and then have ``callback(result)`` called in a new greenlet, if the function did not fail."""
        result = self.apply(func, args, kwds)
        if callback is not None:
            self._apply_async_cb_spawn(callback, result)
        return result

    def apply_async(self, func, args=None, kwds=None, callback=None):
        """Have ``func(*args, **kwds)`` called; returns a greenlet with its result. Never blocks.

        If there is no room for it, it begins when there is. ``callback(result)`` is called in a new greenlet once it has returned, and
        not if it fails.
        """
        args = () if args is None else args
        kwds = {} if kwds is None else kwds
        if self._apply_async_use_greenlet():
            return Greenlet.spawn(self.apply_cb, func, args, kwds, callback)
        worker = self.spawn(func, *args, **kwds)
        if callback is not None:
            worker.link(_PassValue(callback))
        return worker

    def map(self, func, iterable):
        """The list of the results of *func* for all items of *iterable*, in their order.

        All are called at the same time, or as many as there is room for. Raises the first failure; the others go on.
        """
        return list(self.imap(func, iterable))

    def map_cb(self, func, iterable, callback=None):
        """:meth:`map`, and then call ``callback(results)``."""
        result = self.map(func, iterable)
        if callback is not None:
            callback(result)
        return result

    def map_async(self, func, iterable, callback=None):
        """A greenlet whose value will be the list of the results; see :meth:`map_cb`."""
        return Greenlet.spawn(self.map_cb, func, iterable, callback)

    def imap(self, func, *iterables, maxsize=None):
        """An iterator over the results of *func*, in the order of the items of *iterables*.

        The calls begin at once, and go on beside whatever the caller does. With several iterables, *func* gets an item of each; it ends
        with the shortest. With *maxsize*, at most so many calls run or have results that were not fetched yet.

        A failure is raised in place of the result; the iteration can go on after it. A failure of an iterable comes last.

        .. versionchanged:: 1.1
           Several iterables, and the *maxsize* argument.
        """
        return self._imap(IMap, func, iterables, maxsize)

    def imap_unordered(self, func, *iterables, maxsize=None):
        """:meth:`imap` in the order in which the results come.

        .. versionchanged:: 1.1
           Several iterables, and the *maxsize* argument.
        """
        return self._imap(IMapUnordered, func, iterables, maxsize)

    def _imap(self, imap_class, func, iterables, maxsize):
        return Results(imap_class.spawn(func, zip(*iterables), self.spawn, maxsize=maxsize, _zipped=True))


class _PassValue:
    """Calls *callback* with the result of what it is linked to, if there is one."""

    def __init__(self, callback):
        self.callback = callback

    def __call__(self, source):
        if source.successful():
            self.callback(source.value)

    def __eq__(self, other):
        return self.callback == getattr(other, "callback", other)

    def __hash__(self):
        return hash(self.callback)


class Group(GroupMappingMixin):
    """Greenlets that belong together. One that has ended leaves by itself.

    It may be given an iterable of greenlets to begin with. An empty group is false. Raw greenlets can be members too; nobody tells
    when they end, so they are found to be gone the next time somebody looks.
    """

    #: What :meth:`spawn` makes.
    greenlet_class = Greenlet

    def __init__(self, *args):
        if len(args) > 1:
            raise TypeError(f"a group takes one iterable of greenlets, not {len(args)} arguments: {args!r}")
        #: The members.
        self.greenlets = set()
        #: Those of them that :meth:`kill` has killed.
        self.dying = set()
        self._raw = set()
        self._empty = Event()
        self._empty.set()
        self._added = None  # an Event, while kill() wants to know of new members
        for each in args[0] if args else ():
            self.add(each)

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} {self._format()}>"

    def _format(self):
        return f"greenlets={len(self.greenlets)}"

    def _drop_dead(self):
        for each in [each for each in self._raw if each.dead]:
            self._discard(each)

    def __len__(self):
        """How many members there are."""
        if self._raw:
            self._drop_dead()
        return len(self.greenlets)

    def __contains__(self, item):
        """Whether *item* is a member."""
        return item in self.greenlets

    def __iter__(self):
        """Iterates over the members."""
        if self._raw:
            self._drop_dead()
        return iter(self.greenlets)

    def add(self, greenlet):
        """Make *greenlet* a member until it ends. Nothing happens if it is one. TypeError if it is no greenlet."""
        self._add(greenlet)

    def _add(self, new):
        """Add *new*; False if it is a member already."""
        if new in self.greenlets:
            return False
        rawlink = getattr(new, "rawlink", None)
        if rawlink is not None:
            rawlink(self._discard)
        elif isinstance(new, greenlet):
            self._raw.add(new)
        else:
            raise TypeError(f"{new!r} cannot be added to a group: it is neither a greenlet nor can it be linked to")
        self.greenlets.add(new)
        self._empty.clear()
        if self._added is not None:
            self._added.set()
        return True

    def discard(self, greenlet):
        """End the membership of *greenlet*, which goes on. Nothing happens if it is no member."""
        if greenlet in self.greenlets:
            unlink = getattr(greenlet, "unlink", None)
            if unlink is not None:
                unlink(self._discard)
            self._discard(greenlet)

    def _discard(self, greenlet):
        """Take *greenlet* out; called in the hub when it has ended."""
        if greenlet in self.greenlets:
            self.greenlets.remove(greenlet)
            self.dying.discard(greenlet)
            self._raw.discard(greenlet)
            if not self.greenlets:
                self._empty.set()

    def start(self, greenlet):
        """:meth:`add` an unstarted *greenlet* and start it."""
        self.add(greenlet)
        greenlet.start()

    def spawn(self, *args, **kwargs):
        """A new member, started: ``greenlet_class(*args, **kwargs)``."""
        new = self.greenlet_class(*args, **kwargs)
        self.start(new)
        return new

    def join(self, timeout=None, raise_error=False):
        """Wait until the group was empty at least once, or *timeout* seconds have passed; returns whether it was.

        With *raise_error*, raise the failure of a member that has ended meanwhile, if there is one.
        """
        members = list(self) if raise_error else ()
        if self._raw:
            self._drop_dead()
        emptied = self._empty.wait(timeout)
        for each in members:
            if getattr(each, "exception", None) is not None:
                _, value, tb = each.exc_info
                raise value.with_traceback(tb)
        return emptied

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Kill all members; with *block*, wait until they have ended, and kill also those that are added meanwhile.

        Each is killed once: one that catches the exception is waited for. After *timeout* seconds it returns all the same.
        """
        if not block:
            self._kill_living(exception)
            return
        if self._added is None:
            self._added = Event()
        timer = Timeout.start_new(timeout)
        try:
            while self.greenlets:
                self._added.clear()
                self._kill_living(exception)
                if self._raw:
                    sleep(0)  # behind the exceptions that were queued for them
                    self._drop_dead()
                    if len(self._raw) == len(self.greenlets):
                        return  # nobody would tell us when those that go on have ended
                wait([self._empty, self._added], count=1)
        except Timeout as fired:
            if fired is not timer:
                raise
        finally:
            timer.cancel()

    def _kill_living(self, exception):
        for each in list(self.greenlets):
            self._kill_once(each, exception)

    def _kill_once(self, greenlet, exception):
        if greenlet not in self.dying:
            self.dying.add(greenlet)
            kill(greenlet, exception)

    def killone(self, greenlet, exception=GreenletExit, block=True, timeout=None):
        """Kill the member *greenlet*; with *block*, wait until it has ended, or *timeout* seconds have passed.

        Nothing happens if it is no member. One that was killed by this group before is not killed again.
        """
        if greenlet in self.greenlets:
            self._kill_once(greenlet, exception)
            if block:
                if greenlet in self._raw:
                    sleep(0)
                    self._drop_dead()
                else:
                    greenlet.join(timeout)

    def _apply_immediately(self):
        # A member that waited for another would keep its own place meanwhile: in a full pool nobody would ever begin.
        return getcurrent() in self.greenlets

    def full(self):
        """Whether nothing can be added now: never, for a group."""
        return False

    def wait_available(self, timeout=None):
        """Wait until something can be added, which takes no time for a group; returns how many could be: 1, that is, any number."""
        return 1


class Pool(Group):
    """A group of at most *size* greenlets: adding one more blocks until another has ended. None: unlimited; 0: there is never room.

    ValueError for a negative *size*, TypeError for no number. *greenlet_class* is what :meth:`spawn` makes.

    A server that is to run its handlers in a pool gets the pool itself, ``spawn=pool``, and not ``pool.spawn``: of a function it cannot
    know that it is full, and so would accept connections that then wait.
    """

    #: Seconds that somebody may wait for a place before it is told on the hub's error stream what the pool runs: once, and for this
    #: pool only. None: never. It can be set on the class, or on a pool.
    #:
    #: .. versionadded:: 26.11.0
    stuck_after = 60

    def __init__(self, size=None, greenlet_class=None):
        if size is not None and index(size) < 0:
            raise ValueError(f"the size of a pool cannot be negative: {size!r}")
        super().__init__()
        #: How many greenlets there can be. Set it only along with the count of the semaphore that does the work.
        self.size = size
        if greenlet_class is not None:
            self.greenlet_class = greenlet_class
        self._semaphore = DummySemaphore() if size is None else Semaphore(size)

    def _format(self):
        return f"size={self.size} {super()._format()}"

    def wait_available(self, timeout=None):
        """Wait until something can be added, or *timeout* seconds have passed; returns how many greenlets could be added, 0 if none.

        An unlimited pool says 1.

        .. versionchanged:: 1.1
           The *timeout* argument, and the result.
        """
        if self._raw:
            self._drop_dead()
        return self._semaphore.wait(timeout=timeout)

    def full(self):
        """Whether adding a greenlet would block."""
        return self.free_count() <= 0

    def free_count(self):
        """How many greenlets could be added without blocking. An unlimited pool says 1."""
        if self.size is None:
            return 1
        return max(0, self.size - len(self))

    def start(self, greenlet, blocking=True, timeout=None):
        """:meth:`add` an unstarted *greenlet* and start it.

        .. versionchanged:: 26.11.0
           The *blocking* and *timeout* arguments, which go to :meth:`add`.
        """
        self.add(greenlet, blocking, timeout)
        greenlet.start()

    def add(self, greenlet, blocking=True, timeout=None):
        """Make *greenlet* a member until it ends, waiting for room if there is none.

        Raises :class:`PoolFull` when there is none and not *blocking*, or not after *timeout* seconds. If it fails, however it fails,
        it leaves the room as it was. Nothing happens if *greenlet* is a member. TypeError if it is no greenlet.

        .. versionchanged:: 26.11.0
           The *blocking* and *timeout* arguments.
        """
        if greenlet in self.greenlets:
            return
        if self._raw:
            self._drop_dead()
        if not (acquire_place(self, self._semaphore, timeout) if blocking else self._semaphore.acquire(blocking=False)):
            raise __getattr__("PoolFull")(f"{self!r} is full")
        added = False
        try:
            added = self._add(greenlet)
        finally:
            if not added:
                self._semaphore.release()

    def _discard(self, greenlet):
        if greenlet in self.greenlets:
            super()._discard(greenlet)
            self._semaphore.release()

    def _describe_running(self):
        for each in list(self.greenlets):
            frame = each.gr_frame
            yield f"{each!r}" if frame is None else f"{each!r}, in {describe_place(frame)}"

    def _apply_async_use_greenlet(self):
        return self.full()
