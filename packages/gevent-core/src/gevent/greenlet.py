"""The Greenlet: a greenlet under the hub that can be waited for, killed, and linked to.

A Greenlet is started by queueing it; from then on it is in one of the states that :class:`Greenlet` keeps in ``_state``. Its
result, or the exception that ended it, is kept until the object goes, and told to everybody who waits: a
:class:`~gevent._waiting.WaitQueue` that exists only once somebody does.
"""

import sys
from _weakref import ref  # not weakref: nothing else that programs of sockets import needs it
from heapq import heappop, heappush

from greenlet import GreenletExit, getcurrent, greenlet

from gevent._config import config
from gevent._switching import get_loop, spawn_raw
from gevent._waiting import WaitQueue, iwait, wait
from gevent.core import add_plain_type
from gevent.hub import check_exception, make_exception, throw_if_alive
from gevent.timeout import Timeout

__all__ = ["Greenlet", "joinall", "killall"]

# What becomes of a Greenlet. The numbers are compared: everything from RUNNING on was switched to or never will be.
_NEW = 0  # not started
_QUEUED = 1  # in the ready queue
_LATER = 2  # start_later's timer runs
_RUNNING = 3
_DONE = 4  # it returned, or died of a GreenletExit
_FAILED = 5  # it died of another exception


class SpawnedLink:
    """SpawnedLink(callback)

    Wraps a link callback, so that it is called in a greenlet of its own and may wait."""

    __module__ = __name__  # of the instances too: those of a compiled class have none
    __slots__ = ["callback"]

    def __init__(self, callback):
        if not callable(callback):
            raise TypeError(f"a link must be callable, not {callback!r}")
        self.callback = callback

    def __call__(self, source):
        spawn_raw(self.callback, source)

    def __hash__(self):
        return hash(self.callback)

    def __eq__(self, other):
        # Equal to what it wraps, so that unlink() takes the callback that link() was given.
        return self.callback == getattr(other, "callback", other)

    def __repr__(self):
        return f"<{type(self).__name__} of {self.callback!r}>"


class SuccessSpawnedLink(SpawnedLink):
    """SuccessSpawnedLink(callback)

    A :class:`SpawnedLink` that calls only if the source was successful."""

    __slots__ = []

    def __call__(self, source):
        if source.successful():
            spawn_raw(self.callback, source)


class FailureSpawnedLink(SpawnedLink):
    """FailureSpawnedLink(callback)

    A :class:`SpawnedLink` that calls only if the source failed."""

    __slots__ = []

    def __call__(self, source):
        if not source.successful():
            spawn_raw(self.callback, source)


_spawn_callbacks = []

# Counts the greenlets that have ended, so that joinall() can tell in which order they did.
_ends = 0


class Greenlet(greenlet):
    """Greenlet(run=None, *args, **kwargs)

    A greenlet that calls ``run(*args, **kwargs)`` under the hub once it is started; see :meth:`spawn` for both in one.

    Subclasses may define ``_run`` instead of giving *run*. TypeError unless *run* can be called. It is true from its start until
    it is dead. It belongs to the native thread that made it.

    .. versionchanged:: 1.1
       TypeError at once for a *run* that cannot be called. Without *run* and ``_run`` it does nothing.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none

    # What gevent.config.track_greenlet_tree makes each greenlet record: a weak reference to who made it, where, and a
    # dictionary that it shares with everybody below the same root. None without that.
    spawning_greenlet = None
    spawning_stack = None
    spawn_tree_locals = None
    #: How many frames of the spawning stack to record.
    spawning_stack_limit = 10

    def __init__(self, run=None, *args, **kwargs):
        loop = get_loop()
        self.parent = loop.hub
        self._loop = loop
        self.value = None
        self._exc_info = ()
        self._links = None
        self._ticket = 0
        self._ended = 0
        self._formatting = False
        self._run_beside = False
        self._state = _NEW
        self._name = None
        self._ident = None
        self._described = None
        self._timer = None
        self.args = args
        self._kwargs = kwargs or None
        if run is not None:
            if not callable(run):
                raise TypeError(f"the run argument must be callable, not {run!r}")
            # By name, since a subclass with a method _run keeps this in its __dict__.
            setattr(self, "_run", run)  # noqa: B010
            self._run_beside = self._run is not run
        if _tracked[0]:
            self._track()

    # -- what it is

    @property
    def kwargs(self):
        """The keyword arguments of the function; empty once it has ended."""
        return self._kwargs if self._kwargs is not None else {}

    @property
    def loop(self):
        """The event loop that runs it."""
        return self._loop

    @property
    def dead(self):
        """Whether it has ended, or was killed before it began and so never will."""
        return self._state >= _DONE

    def ready(self):
        """Whether it has ended; then :meth:`get` does not wait. The result is only promised to be true or false."""
        return self._state >= _DONE

    def successful(self):
        """Whether it has ended by returning, or by a GreenletExit. The result is only promised to be true or false."""
        return self._state == _DONE

    @property
    def exception(self):
        """What ended it, if that was an exception other than GreenletExit; else None."""
        return self._exc_info[1] if self._exc_info else None

    @property
    def exc_info(self):
        """Type, value and traceback of :attr:`exception`; empty if there is none.

        .. versionadded:: 1.1
        """
        return self._exc_info

    def __bool__(self):
        return _NEW < self._state < _DONE

    @property
    def started(self):
        """The same as ``bool(greenlet)``. Deprecated: use that."""
        return bool(self)

    @property
    def minimal_ident(self):
        """A small number that no other living Greenlet has: 0, 1, 2, ... given out on first use.

        .. versionadded:: 26.11.0
        """
        if self._ident is None:
            self._ident = _idents.number(self)
        return self._ident

    @property
    def name(self):
        """A name for people, ``Greenlet-3`` unless it was set.

        .. versionadded:: 26.11.0
        """
        if self._name is None:
            self._name = f"{type(self).__name__}-{self.minimal_ident}"
        return self._name

    @name.setter
    def name(self, value):
        self._name = value

    def __repr__(self):
        if self._formatting:  # what it runs shows it: a method of something that it waits on, for example
            return f"<{type(self).__name__} at {id(self):#x}>"
        self._formatting = True
        try:
            return f"<{type(self).__name__}{self._format_name()} at {id(self):#x}{self._format()}>"
        finally:
            self._formatting = False

    def _format_name(self):
        return "" if self._name is None else f" {self._name!r}"

    def _format(self):
        """What it calls, for repr()."""
        run = getattr(self, "_run", None)
        if run is None or getattr(run, "__self__", None) is self:
            return self._described or ""
        arguments = [_short(each) for each in self.args]
        arguments += [f"{name}={_short(value)}" for name, value in self.kwargs.items()]
        return f": {getfuncname(run)}" + (f"({', '.join(arguments)})" if arguments else "")

    # -- starting

    @classmethod
    def spawn(cls, *args, **kwargs):
        """A started greenlet: ``Greenlet(*args, **kwargs)`` and :meth:`start`."""
        new = cls(*args, **kwargs)
        new.start()
        return new

    @classmethod
    def spawn_later(cls, seconds, *args, **kwargs):
        """A greenlet that is started after *seconds*."""
        new = cls(*args, **kwargs)
        new.start_later(seconds)
        return new

    def start(self):
        """Have it run soon, in the order of all starts. Nothing happens if it was started before."""
        if self._state == _NEW:
            self._state = _QUEUED
            self._ticket = self._loop.ready(self)
            if _spawn_callbacks:
                _tell_spawned(self)

    def start_later(self, seconds):
        """Have it run after *seconds*. Nothing happens if it was started before."""
        if self._state == _NEW:
            timer = self._loop.timer(seconds)
            timer.start(self.switch)
            self._timer = timer
            self._state = _LATER
            if _spawn_callbacks:
                _tell_spawned(self)

    def _cancel_start(self):
        """Undo the start, if it has not run."""
        if self._ticket:
            self._loop.forget(self._ticket)
            self._ticket = 0
        timer = self._timer
        if timer is not None:
            self._timer = None
            timer.close()

    @staticmethod
    def add_spawn_callback(callback):
        """Have ``callback(greenlet)`` called for each Greenlet that is started from now on, where it is started.

        .. versionadded:: 26.11.0
        """
        if callback not in _spawn_callbacks:
            _spawn_callbacks.append(callback)

    @staticmethod
    def remove_spawn_callback(callback):
        """Undo :meth:`add_spawn_callback`; nothing happens if it was not done.

        .. versionadded:: 26.11.0
        """
        if callback in _spawn_callbacks:
            _spawn_callbacks.remove(callback)

    def _track(self):
        """Record who made it and where."""
        spawner = getcurrent()
        self.spawning_greenlet = ref(spawner)
        from traceback import extract_stack  # here, because only this setting needs it

        self.spawning_stack = extract_stack(sys._getframe(0), self.spawning_stack_limit)
        shared = getattr(spawner, "spawn_tree_locals", None)
        if shared is None:
            shared = {}
            if spawner.parent is not None:  # the main greenlet is no root: everything would be one tree
                spawner.spawn_tree_locals = shared
        self.spawn_tree_locals = shared

    # -- running

    def run(self):
        """What the greenlet runs. Not to be called or overridden: define ``_run``."""
        if self._state >= _RUNNING:
            return  # killed before it ran, and switched to all the same
        self._cancel_start()
        self._state = _RUNNING
        try:
            run = getattr(self, "_run", None)
            if run is None:
                value = None
            elif self._kwargs is None:
                value = run(*self.args)
            else:
                value = run(*self.args, **self._kwargs)
            run = None
        except GreenletExit as exit_:
            self._end(_DONE, exit_)
            return
        except BaseException as error:
            self._fail(error)
            return
        self._end(_DONE, value)

    def _end(self, state, value):
        global _ends
        _ends += 1
        self._ended = _ends
        self.value = value
        self._state = state
        self._release()
        if self._links is not None:
            self._links.wake_all()

    def _fail(self, error):
        self._exc_info = (type(error), error, error.__traceback__)
        try:
            self._described = self._format()  # for the report: _release() drops what it tells of
        except Exception:
            self._described = ": what it calls has no repr"  # an argument's fault, and no reason not to end
        # In the hub, after this greenlet is done. The traceback of now: get() in another greenlet adds to the error's own.
        self._loop.ready_call(_report, (self.parent, self, *self._exc_info))
        self._end(_FAILED, None)

    def _release(self):
        """Let go of the function and its arguments: this object may live much longer than they are needed."""
        self.args = ()
        self._kwargs = None
        if self._run is not None and getattr(self._run, "__self__", None) is not self:
            self._run = None
        if self._run_beside:
            self.__dict__.pop("_run", None)

    # -- ending it

    def throw(self, *args):
        """Raise an exception in it, at once: only the hub may do that. One that was not started is cancelled, and its links called."""
        if self._state < _RUNNING:
            error = make_exception(*args[:2]) if args else GreenletExit()
            self._cancel_start()
            self._die_unstarted(error)
            return None
        return greenlet.throw(self, *args)

    def _die_unstarted(self, error):
        if isinstance(error, GreenletExit):
            self._end(_DONE, error)
        else:
            self._exc_info = (type(error), error, error.__traceback__)
            self._end(_FAILED, None)

    def kill(self, exception=GreenletExit, block=True, timeout=None):
        """Raise *exception* in it soon, wherever it waits; with *block*, wait until it is dead or *timeout* seconds have passed.

        It may catch the exception and go on. One that was not started never runs. Returns None and raises nothing, however the
        greenlet ends; killing a dead one does nothing.

        .. versionchanged:: 1.1
           A greenlet that is killed before it ran never runs.
        """
        if self._state < _RUNNING:
            error = make_exception(exception)
            self._cancel_start()
            self._die_unstarted(error)
        elif self._state == _RUNNING:
            if exception is not GreenletExit:
                check_exception(exception)
            self._loop.ready_call(throw_if_alive, (self, exception))
            if block:
                self.join(timeout)

    def _leave_behind(self):
        """In a forked child: for everybody else it has ended. Nothing more of it runs, no ``finally`` block either."""
        if self._state < _DONE:
            self._cancel_start()
            self._end(_DONE, GreenletExit())

    # -- waiting for it

    def get(self, block=True, timeout=None):
        """What it returned, waiting for its end if need be; raises the exception that ended it instead, with its traceback.

        A GreenletExit counts as a result. Raises :class:`gevent.Timeout` when it has not ended in *timeout* seconds, or now and not
        *block*.
        """
        if self._state < _DONE:
            if not block:
                raise Timeout()
            if not self._wait(timeout):
                raise timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        if self._state == _FAILED:
            error = self._exc_info[1]
            raise error.with_traceback(self._exc_info[2])
        return self.value

    def join(self, timeout=None):
        """Wait until it has ended, or *timeout* seconds have passed. Returns None either way."""
        if self._state < _DONE:
            self._wait(timeout)

    def _wait(self, timeout):
        if self._links is None:
            self._links = WaitQueue()
        return self._links.wait(self, timeout)

    def rawlink(self, callback):
        """Have ``callback(greenlet)`` called in the hub once it has ended. It must not wait. TypeError unless it can be called."""
        if self._links is None:
            self._links = WaitQueue()
        self._links.link(callback, self)
        if self._state >= _DONE:
            self._links.wake_all()

    def link(self, callback, SpawnedLink=SpawnedLink):
        """Have ``callback(greenlet)`` called in a new greenlet once it has ended, also if it has by now."""
        self.rawlink(SpawnedLink(callback))

    def link_value(self, callback, SpawnedLink=SuccessSpawnedLink):
        """:meth:`link`, but only if it ends well."""
        self.link(callback, SpawnedLink=SpawnedLink)

    def link_exception(self, callback, SpawnedLink=FailureSpawnedLink):
        """:meth:`link`, but only if an exception ends it."""
        self.link(callback, SpawnedLink=SpawnedLink)

    def unlink(self, callback):
        """Undo a :meth:`link` or :meth:`rawlink` of *callback*."""
        if self._links is not None:
            self._links.unlink(callback)

    def unlink_all(self):
        """Undo every link.

        .. versionadded:: 26.11.0
        """
        if self._links is not None:
            self._links.clear_links()

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb):
        """Kill it if it still runs, and wait for its end.

        .. versionadded:: 26.11.0
        """
        try:
            self.kill()
        finally:
            self.join()


if not hasattr(Greenlet, "_run"):
    # Interpreted, its default has to be the class's: an instance's None would hide a subclass's method.
    Greenlet._run = None

# One cell, so that compiled code reads it without a look-up in the configuration for each greenlet.
_tracked = [bool(config.track_greenlet_tree)]


def _set_tracked(value):
    _tracked[0] = value


config.settings["track_greenlet_tree"].changed = _set_tracked

add_plain_type(Greenlet)


def _tell_spawned(new):
    for each in list(_spawn_callbacks):  # noqa: PERF101 - a copy: a callback may remove itself
        each(new)


def _report(hub, failed, type_, value, tb):
    try:
        hub.handle_error(failed, type_, value, tb)
    except BaseException as second:
        if second is not value and second.__context__ is None:
            second.__context__ = value  # so that what went wrong first is printed with it
        raise


def getfuncname(func):
    """The name of a function for people: ``name``, or ``<Class at 0x...>.name`` for a method."""
    owner = getattr(func, "__self__", None)
    name = getattr(func, "__name__", None)
    if name is None:
        return repr(func)
    if owner is None or isinstance(owner, type(sys)):
        return name
    return f"{owner!r}.{name}"


def _short(value, limit=50):
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


class _Idents:
    """Small numbers for living greenlets, the smallest free one first."""

    def __init__(self):
        self.free = []
        self.references = {}

    def number(self, target):
        number = heappop(self.free) if self.free else len(self.references)
        self.references[number] = ref(target, lambda _: self.release(number))
        return number

    def release(self, number):
        del self.references[number]
        heappush(self.free, number)


_idents = _Idents()


def joinall(greenlets, timeout=None, raise_error=False, count=None):
    """Wait until all *greenlets* have ended, or *count* of them, or *timeout* seconds have passed; returns those that have.

    With *raise_error*, the first failure that is met is raised, with its traceback. Whatever :func:`gevent.wait` takes may be
    among the *greenlets*.

    .. versionchanged:: 1.1
       *count* works together with *raise_error*.
    """
    if not raise_error and count is None and timeout is None:
        greenlets = list(greenlets)
        if all([isinstance(each, Greenlet) for each in greenlets]):
            return _join_in_turn(greenlets)
    if not raise_error:
        return wait(greenlets, timeout=timeout, count=count)
    done = []
    for each in iwait(greenlets, timeout=timeout, count=count):
        if hasattr(each, "get"):
            each.get(block=False)
        done.append(each)
    return done


def _join_in_turn(greenlets):
    """Join one after the other: most have ended by the time it is their turn. Returns them as they ended."""
    in_order = True
    waited = False
    last = 0
    for each in greenlets:
        if each._state < _DONE:
            each._wait(None)
            waited = True
        if each._ended < last:
            in_order = False
        last = each._ended
    if not in_order:
        greenlets.sort(key=_when_ended)
    if greenlets and not waited:
        loop = get_loop()
        if getcurrent() is not loop.hub:
            loop.yield_now()  # their links may be queued still; whoever waited came behind them
    return greenlets


def _when_ended(each):
    return each._ended


def killall(greenlets, exception=GreenletExit, block=True, timeout=None):
    """Kill all *greenlets*, any finite iterable of them; with *block*, wait until all are dead.

    Raises :class:`gevent.Timeout` when they are not after *timeout* seconds. Those that catch the exception are waited for.

    .. versionchanged:: 1.1
       Takes any iterable, also of raw greenlets.
    """
    greenlets = list(greenlets)
    if not greenlets:
        return
    loop = get_loop()
    for each in greenlets:
        if isinstance(each, Greenlet):
            each.kill(exception, False)
        elif not each.dead:
            loop.ready_call(throw_if_alive, (each, exception))
    if block:
        timer = Timeout.start_new(timeout)
        try:
            loop.yield_now()  # behind all of the above: whatever dies of it at once is dead now
            for each in greenlets:
                if isinstance(each, Greenlet):  # a raw greenlet that goes on cannot be waited for
                    each.join()
        finally:
            timer.cancel()
