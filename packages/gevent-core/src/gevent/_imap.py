"""The greenlets behind ``imap`` and ``imap_unordered`` of groups, pools and thread pools.

An :class:`IMapUnordered` takes one input after the other and spawns a worker for it; each worker's result, or exception, is put
by until a consumer asks. :class:`IMap` hands out the same in the order of the inputs. What the caller of ``imap`` holds is a
:class:`Results` over it, so that the greenlet, whose own frames keep it alive, can be told when nobody will ask any more.
"""

from collections import deque
from functools import partial

from greenlet import GreenletExit

from gevent._waiting import WaitQueue
from gevent.core import current_loop
from gevent.greenlet import Greenlet
from gevent.lock import Semaphore

__all__ = ["IMap", "IMapUnordered", "Results"]


class IMapUnordered(Greenlet):
    """A greenlet that calls ``spawn(func, item)`` for each item of *iterable*; an iterator over the results as they come.

    *spawn* returns a greenlet, or anything else with ``rawlink`` and a result, and may block. With *maxsize*, at most so many
    workers are running or have results that nobody fetched; None or 0: as many as there are. With *_zipped* the items are tuples of
    arguments. Iterating raises what a worker raised in the place of its result, and goes on after it; what *iterable* or *spawn*
    raised comes last.

    TypeError for an *iterable* that is none, or a *maxsize* that is no number; ValueError for a negative one.
    """

    def __init__(self, func, iterable, spawn, maxsize=None, _zipped=False):
        super().__init__()
        self.func = func
        self.iterable = iter(iterable)
        self.spawner = spawn
        self.zipped = _zipped
        self._slots = Semaphore(maxsize) if maxsize else None
        self._ready = self._make_store()
        self._consumers = WaitQueue()
        self._running = 0  # workers without a result
        self._spawned_all = False
        self._error = None  # of the iterable, of spawn, or whatever killed us
        self._abandoned = False
        self.rawlink(IMapUnordered._on_end)

    def _run(self):
        func, spawn, slots = self.func, self.spawner, self._slots
        for position, item in enumerate(self._claim_iterable()):
            if slots is not None:
                slots.acquire()
            worker = spawn(func, *item) if self.zipped else spawn(func, item)
            self._running += 1
            worker.rawlink(partial(self._on_result, position))
            worker = item = None

    def _claim_iterable(self):
        # So that a generator that we do not exhaust is closed in our greenlet, where it may wait, and not in the hub.
        iterable, self.iterable = self.iterable, None
        return iterable

    def _on_end(self):
        """Called in the hub when the last worker is spawned, or we were killed."""
        self._spawned_all = True
        if not self.successful():
            self._error = self.exc_info
        elif isinstance(self.value, GreenletExit):
            self._error = (type(self.value), self.value, self.value.__traceback__)
        self.func = self.spawner = None
        self._consumers.wake_all()

    def _on_result(self, position, worker):
        """Called in the hub when a worker has ended."""
        self._running -= 1
        if not self._abandoned:
            error = None if worker.successful() else worker.exc_info
            self._put_by(position, worker.value, error)
        if self._over():
            self._consumers.wake_all()

    def _over(self):
        """Whether there will be no results any more but those that are here."""
        return self._spawned_all and not self._running

    # -- results: overridden by IMap

    def _make_store(self):
        return deque()

    def _put_by(self, position, value, error):
        self._ready.append((value, error))
        self._consumers.wake_all()

    def _has_next(self):
        return bool(self._ready)

    def _take_next(self):
        return self._ready.popleft()

    # -- consuming

    def __iter__(self):
        return self

    def __next__(self):
        while not self._has_next():
            if self._over():
                error, self._error = self._error, None
                if error:
                    raise error[1].with_traceback(error[2])
                raise StopIteration
            self._consumers.wait(self, None)
        value, error = self._take_next()
        if self._slots is not None:
            self._slots.release()
        if error is not None:
            raise error[1].with_traceback(error[2])
        return value

    next = __next__

    def _abandon(self):
        """Nobody will fetch results any more: drop them.

        Without *maxsize* the rest of the input is worked on all the same, as in gevent 1.1. With it, the greenlet waits, or would
        soon, for room that nobody will make: it ends.
        """
        self._abandoned = True
        self._ready.clear()
        if self._slots is not None:
            self.kill(block=False)


class IMap(IMapUnordered):
    """An :class:`IMapUnordered` whose results come in the order of the inputs."""

    def _make_store(self):
        self._position = 0  # of the next result to hand out
        return {}

    def _put_by(self, position, value, error):
        self._ready[position] = (value, error)
        if position == self._position:
            self._consumers.wake_all()

    def _has_next(self):
        return self._position in self._ready

    def _take_next(self):
        result = self._ready.pop(self._position)
        self._position += 1
        if self._has_next():
            self._consumers.wake_all()  # it came before its turn, and woke nobody then
        return result


class Results:
    """An iterator over the results of an :class:`IMap` or :class:`IMapUnordered`, and everything else the greenlet is.

    When it is dropped before the last result was fetched, the greenlet keeps no results for it.
    """

    def __init__(self, imap):
        self._imap = imap

    def __iter__(self):
        return self

    def __next__(self):
        return self._imap.__next__()

    def __getattr__(self, name):
        if name == "_imap":  # not made yet: copy and pickle look before __init__ ran
            raise AttributeError(name)
        return getattr(self._imap, name)

    def __repr__(self):
        return repr(self._imap)

    def __del__(self):
        imap = self.__dict__.get("_imap")
        if imap is not None and not (imap._over() and not imap._ready):
            # The garbage collector may run us in any native thread, and in the middle of anything.
            loop = imap.loop
            call_soon = loop.run_callback if loop is current_loop() else loop.run_callback_threadsafe
            try:
                call_soon(imap._abandon)
            except ValueError:  # the loop is destroyed, so nothing of this can go on anyway
                pass
