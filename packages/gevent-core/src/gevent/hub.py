"""The hub: the greenlet that runs the event loop of a native thread, and what every program calls through it.

Greenlets never switch to one another on their own: who has to wait leaves to the hub, and the hub switches to whoever is ready.
The hub's parent is the thread's main greenlet; when the loop has nothing left to do, :class:`LoopExit` is raised there.
"""

import gc
import os
import sys

from greenlet import GreenletExit, getcurrent, greenlet

from gevent._config import config, import_first, import_path
from gevent._originals import get_ident
from gevent._switching import (
    Waiter,
    count_other_threads,
    get_hub,
    get_hub_class,
    get_hub_if_exists,
    get_loop,
    keep_loop,
    kept_loop,
    quiet_threads,
    set_hub,
    sleep,
    spawn_raw,
)
from gevent._waiting import WaitQueue, iwait, wait
from gevent.exceptions import (
    BlockingSwitchOutError,
    ConcurrentObjectUseError,
    HubDestroyed,
    InvalidSwitchError,
    LoopExit,
)

__all__ = [
    "getcurrent",
    "GreenletExit",
    "spawn_raw",
    "sleep",
    "kill",
    "signal",
    "reinit",
    "get_hub",
    "Hub",
    "Waiter",
    # Not in 1.1's __all__, but part of the module as much:
    "BlockingSwitchOutError",
    "ConcurrentObjectUseError",
    "InvalidSwitchError",
    "LoopExit",
    "get_hub_class",
    "idle",
    "iwait",
    "set_hub",
    "wait",
]

#: The native thread that imported this module: the one with the default loop.
MAIN_THREAD = get_ident()

#: The class of greenlets that run signal handlers, by name: it is defined a layer above.
GREENLET_CLASS = "gevent.greenlet.Greenlet"

#: The class of the native threads that watch hubs, by name: it is defined layers above.
MONITOR_CLASS = "gevent._monitor.PeriodicMonitoringThread"

#: Seconds that a native thread gets to run after it was started, before LoopExit says that none could wake anybody.
STARTING = 0.1

_get_hub_noargs = get_hub


class Hub(greenlet):
    """A greenlet that runs the event loop. Made by :func:`get_hub`, one for each native thread.

    *loop* is a loop object, or flags for a new one; *default* tells whether to use the process's default loop, which the main
    thread does if nothing is said. ``backend``, ``resolver_class`` and the other class attributes below may be set on the class,
    or on a subclass, before the hub is made; each is an object, an import path, or a list of paths in order of preference. What
    is None there comes from :data:`gevent.config`.
    """

    #: Errors of these classes that end a greenlet are not printed.
    NOT_ERROR = (GreenletExit, SystemExit)
    #: Errors of these classes end up in the main greenlet, whoever raised them.
    SYSTEM_ERROR = (KeyboardInterrupt, SystemExit, SystemError)

    loop_class = None
    backend = None
    format_context = None
    resolver_class = None
    threadpool_class = None
    #: How many native threads the pool may have.
    threadpool_size = 10

    #: Seconds after which it is told, once, that the main thread's main greenlet waits for nothing but other native threads, none of
    #: which has woken a greenlet so far; None: never. Such a program may be stuck, and gets no LoopExit while those threads run.
    stuck_after = 60
    #: Shown by repr().
    name = ""
    #: What :meth:`start_periodic_monitoring_thread` started, or None.
    periodic_monitoring_thread = None
    loop = None
    _preemption = None  # what preempts threads that are greenlets, if the settings say so
    _resolver = None
    _threadpool = None
    _joining = False
    _formatter = None

    def __init__(self, loop=None, default=None):
        greenlet.__init__(self)
        main = self.parent
        while main.parent is not None:
            main = main.parent
        self.parent = main
        self.thread_ident = get_ident()
        if hasattr(loop, "run"):
            if default is not None:
                raise TypeError(f"default={default!r} says what loop to make, but there is one already: {loop!r}")
            self.loop = loop
        elif kept_loop() is not None:
            self.loop = kept_loop()
            keep_loop(None)
        else:
            if default is None and self.thread_ident != MAIN_THREAD:
                default = False
            backend = self.backend if self.backend is not None else config.libev_backend
            self.loop = self._setting("loop")(flags=backend if loop is None else loop, default=default)
        self.loop.hub = self

    def _setting(self, name):
        """The class for *name*: our own attribute, or what the configuration says."""
        mine = getattr(self, name + "_class")
        return getattr(config, name) if mine is None else import_first(mine, config.settings[name].shortcuts)

    def __repr__(self):
        name = f" {self.name!r}" if self.name else ""
        if self.loop is None:
            return f"<{type(self).__name__}{name} at {id(self):#x} destroyed>"
        text = f"<{type(self).__name__}{name} at {id(self):#x} {self.loop._format()}"
        for each in ("_resolver", "_threadpool"):
            if getattr(self, each) is not None:
                text += f" {each[1:]}={getattr(self, each)!r}"
        return f"{text} thread_ident={self.thread_ident:#x}>"

    @property
    def main_hub(self):
        """Whether this is the hub of the thread that imported gevent.

        .. versionadded:: 26.11.0
        """
        return self.thread_ident == MAIN_THREAD

    def start_periodic_monitoring_thread(self):
        """Start a native thread that reports when the loop is blocked, unless there is one; returns it.

        It is done for every hub that :func:`get_hub` makes while ``gevent.config.monitor_thread`` is on. The other settings of the
        monitor are ``max_blocking_time``, ``print_blocking_reports``, ``max_memory_usage`` and ``memory_monitor_period``. Who wants
        to do something about it subscribes to :mod:`gevent.events`. The monitor costs the hub's own thread nothing.

        .. versionadded:: 26.11.0
        """
        if self.periodic_monitoring_thread is None:
            self.periodic_monitoring_thread = import_path(MONITOR_CLASS)(self)
            self.periodic_monitoring_thread.start()
        return self.periodic_monitoring_thread

    # -- running and switching

    def run(self):
        """Run the loop. The hub's greenlet starts here; it is not to be called."""
        if getcurrent() is not self:
            raise AssertionError("Hub.run() is what the hub's greenlet runs; switch to the hub instead of calling it")
        while self.loop is not None:
            loop = self.loop
            loop.error_handler = self
            try:
                loop.run()
                self._await_other_threads(loop)
            except HubDestroyed:
                return
            finally:
                loop.error_handler = None  # no reference cycle through an idle hub
            if self.loop is None:
                # Destroyed by a callback or a greenlet, while the main greenlet waits. We end, and it hears of it by what we raise.
                raise LoopExit("the hub was destroyed, so nothing could wake the main greenlet", self)
            text = "the loop has ended" if self._joining else _explain_loop_exit(self)
            self.parent.throw(LoopExit(text, self))

    def _await_other_threads(self, loop):
        """Run *loop*, which has nothing to do, for as long as another native thread may give it something.

        The main greenlet waits for something that another thread can set, put or release. Nobody tells us when a thread ends, so we look
        now and then: then LoopExit is due. A main greenlet that waits for the loop to end does not wait for other threads.

        A thread that has nothing to do with us, such as a debugger's, puts LoopExit off for as long as it runs: see :attr:`stuck_after`.
        """
        seconds, waited = 0.01, 0.0
        while not self._joining and self.loop is loop:
            starting = waited < STARTING and _may_be_starting()
            others, ran = count_other_threads(), loop.runcnt  # after that, and before we look for what it gave us
            loop.run()  # what a thread gave us before it ended
            if self.loop is not loop or self._joining:
                return
            if loop.runcnt != ran:
                continue
            if others <= 0 and not starting:
                return
            if self.stuck_after is not None and waited >= self.stuck_after and others > 0:
                self._tell_stuck(others)
            look, polled = loop.timer(seconds), loop.check(ref=False)
            look.start(_nothing)
            polled.start(_stop, look, polled)  # right after the poll: the greenlet that it wakes finds the loop as it was
            try:
                loop.run(once=True)
            finally:
                _stop(look, polled)
            if loop.runcnt == ran:
                waited += seconds
                seconds = min(2 * seconds, 1.0)
            else:
                self.stuck_after = None  # there are threads that have to do with us
                seconds, waited = 0.01, 0.0

    def _tell_stuck(self, others):
        seconds, self.stuck_after = self.stuck_after, None
        if not self.main_hub:  # others wait for the main thread as long as they live
            return
        number, lines = _list_waiting(self)
        first = f"{number} greenlet(s) have waited for {seconds} seconds, and nothing could wake them but {others} other native thread(s):"
        last = (
            f"in {self!r}. If those threads have nothing to do with it, the program is stuck; gevent.util.print_run_info() shows "
            "where they are. LoopExit is raised when they end."
        )
        self._print("\n    ".join([first, *lines, last]) + "\n")

    def switch(self):
        """Leave the current greenlet for the hub; returns what it is later switched back with.

        Somebody must know the greenlet and switch back to it. BlockingSwitchOutError in the hub itself.
        """
        return self.loop.switch_out()

    def switch_out(self):
        raise BlockingSwitchOutError("cannot wait in the hub, that is, in a callback of the event loop; spawn a greenlet from it")

    def wait(self, watcher):
        """Wait until the *watcher*, which must not be started, has an event. It is stopped however the wait ends."""
        waiter = Waiter(self)
        watcher.start(waiter.switch, waiter)
        try:
            result = waiter.get()
            if result is not waiter:
                raise InvalidSwitchError(
                    f"{getcurrent()!r}, which waits on {watcher!r}, was switched to with {result!r} by somebody else"
                )
        finally:
            watcher.stop()

    def cancel_wait(self, watcher, error, close_watcher=False):
        """Raise *error* in the greenlet that waits in :meth:`wait` for *watcher*, if any; through the loop, not at once.

        With *close_watcher*, close it then.

        .. versionchanged:: 26.11.0
           The *close_watcher* argument.
        """
        if watcher.callback is not None:
            self.loop.run_callback(self._cancel_wait, watcher, error, close_watcher)
        elif close_watcher:
            watcher.close()

    def _cancel_wait(self, watcher, error, close_watcher):
        callback = watcher.callback  # it may have got its event meanwhile
        if watcher.active and callback is not None:
            waiter = getattr(callback, "__self__", None)
            waiting = getattr(waiter, "greenlet", None)
            if waiting is None and isinstance(waiter, greenlet):
                waiting = waiter
            if waiting is not None:
                waiting.throw(error)
        if close_watcher:
            watcher.close()

    def join(self, timeout=None):
        """Wait until the loop has nothing left to do: True then, at once if the hub is dead; False after *timeout* seconds.

        Only the main greenlet may call this (AssertionError): the loop cannot end while another one waits for that.
        """
        if getcurrent() is not self.parent:
            raise AssertionError(f"only the main greenlet can wait for the hub to end, not {getcurrent()!r}")
        if self.dead or self.loop is None:
            return True
        self._joining = True
        try:
            return self.loop.park(self, ref=False).wait(timeout)
        except LoopExit:
            return True
        finally:
            self._joining = False

    def destroy(self, destroy_loop=None):
        """End the hub: close resolver and thread pool, and unwind its greenlet.

        The loop is destroyed too, but a default one only with *destroy_loop*; else it is left to the thread's next hub. What
        waits under this hub is never woken again. Outside the main greenlet, the hub ends when the caller has ended or waits, and
        LoopExit is raised in the main greenlet.
        """
        loop = self.loop
        if loop is not None and destroy_loop is None:
            destroy_loop = not loop.default
        if get_hub_if_exists() is self:
            set_hub(None)
        self._shut_down(bool(destroy_loop))
        if loop is None:
            return
        if not destroy_loop:
            keep_loop(loop)
        elif kept_loop() is loop:
            keep_loop(None)

    def _shut_down(self, destroy_loop):
        """What :meth:`destroy` does, but for what this thread knows of us."""
        loop, self.loop = self.loop, None
        if self.periodic_monitoring_thread is not None:
            self.periodic_monitoring_thread.kill()
            del self.periodic_monitoring_thread
        if self._preemption is not None:
            self._preemption.stop()
            del self._preemption
        if self._resolver is not None:
            self._resolver.close()
            del self.resolver
        if self._threadpool is not None:
            self._threadpool.kill()
            del self.threadpool
        if self and not self.dead:
            if getcurrent() is self.parent:
                self.throw(HubDestroyed(destroy_loop))
            elif loop is not None:
                # The hub called us, and cannot be unwound from here. It leaves run() when we are done.
                loop.break_()
        if loop is None:
            return
        loop.hub = None
        if destroy_loop:
            loop.destroy()

    # -- errors

    def handle_error(self, context, type, value, tb):
        """Take an error that nobody else took, of the greenlet or callback *context*; called in the hub.

        It prints what is not in :attr:`NOT_ERROR` and passes what is in :attr:`SYSTEM_ERROR` on to the main greenlet. Assign
        another function of the same arguments to a hub, or override it, to do something else; that takes effect at once.
        """
        if isinstance(value, str):
            # Cython, when an unraisable error has no instance.
            value = type(value)
        if not issubclass(type, self.NOT_ERROR):
            self.print_exception(context, type, value, tb)
        if context is None or issubclass(type, self.SYSTEM_ERROR):
            self.handle_system_error(type, value, tb)

    def handle_system_error(self, type, value, tb=None):
        """Raise an error in the main greenlet; the greenlet that was running goes on afterwards."""
        current = getcurrent()
        if current is self or current is self.parent or self.loop is None:
            self.parent.throw(type, value, tb)
            return
        # It is called for a greenlet: if the main greenlet handles the error and waits again, that greenlet has its turn again.
        ticket = self.loop.ready(current)
        try:
            self.parent.throw(type, value, tb)
        finally:
            if self.loop is not None:
                self.loop.forget(ticket)

    @property
    def exception_stream(self):
        """Where errors are printed: ``sys.stderr`` of the moment, or None.

        .. versionadded:: 26.11.0
        """
        return sys.stderr

    def print_exception(self, context, type_, value, tb):
        """Print an error and its *context* to :attr:`exception_stream`."""
        if self.exception_stream is None:
            return
        import traceback  # here, because it and what it imports take longer than all of gevent, and most programs never need it

        lines = traceback.format_exception(type_, value, tb)
        if context is not None:
            if not isinstance(context, str):
                try:
                    context = self._format(context)
                except Exception:
                    lines += traceback.format_exc()
                    context = f"<{type(context).__name__} at {id(context):#x}, whose repr failed>"
            lines.append(f"{context} failed with {getattr(type_, '__name__', 'an exception')}\n\n")
        self._print("".join(lines))

    def _print(self, text):
        stream = self.exception_stream
        if stream is None:
            return
        try:
            stream.write(text)
            stream.flush()
        except BlockingSwitchOutError:
            # A cooperative file object: it waits, and we are the hub.
            spawn_raw(_print_later, stream, text)

    def _format(self, context):
        if self._formatter is None:
            self._formatter = config.format_context if self.format_context is None else import_path(self.format_context)
        return self._formatter(context)

    # -- what hangs on the hub

    @property
    def resolver(self):
        """Who looks up host names for this hub's greenlets; made on first use, can be set and deleted."""
        if self._resolver is None:
            self._resolver = self._setting("resolver")(hub=self)
        return self._resolver

    @resolver.setter
    def resolver(self, value):
        self._resolver = value

    @resolver.deleter
    def resolver(self):
        self._resolver = None

    @property
    def threadpool(self):
        """The pool of native threads for blocking calls; made on first use, can be set and deleted."""
        if self._threadpool is None:
            self._threadpool = self._setting("threadpool")(self.threadpool_size, hub=self)
            set_idle_timeout = getattr(self._threadpool, "_set_idle_timeout", None)
            if set_idle_timeout is not None:
                set_idle_timeout(config.threadpool_idle_task_timeout)
        return self._threadpool

    @threadpool.setter
    def threadpool(self, value):
        self._threadpool = value

    @threadpool.deleter
    def threadpool(self):
        self._threadpool = None


def _nothing():
    """What a timer calls that only makes the loop poll."""


def _may_be_starting():
    """Whether the system has more native threads than Python has counted, as it has of one that was started and has not run yet.

    Others are those that Python knows nothing of. Not a list of ``/proc/self/task``: one that a thread's end comes into stops there.
    """
    try:
        fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # not Linux, or no descriptor to be had
        return True
    try:
        # The 20th field of proc_pid_stat(5); the second is a name in parentheses.
        number = int(os.read(fd, 4096).rpartition(b")")[2].split()[17])
    finally:
        os.close(fd)
    return number > 1 + count_other_threads() + len(quiet_threads)


def _stop(*watchers):
    for each in watchers:
        each.stop()


def _print_later(stream, text):
    stream.write(text)
    stream.flush()


def _explain_loop_exit(hub):
    """The message of LoopExit: who would have had to be woken, and what each of them waits on."""
    number, lines = _list_waiting(hub)
    return "\n    ".join(
        [
            f"the event loop has nothing left to do, so nothing could wake {number} waiting greenlet(s)",
            *lines,
            f"in {hub!r}; no other native thread runs that could wake them",
        ]
    )


def _list_waiting(hub, limit=20):
    """``(number, lines)`` of the greenlets that wait; each line tells what one of them waits on."""
    main = hub.parent
    found = {}
    for each in gc.get_objects():
        if isinstance(each, WaitQueue):
            for park in each.waiters():
                if park.waiting and park.loop is hub.loop:
                    found[id(park)] = f"{_name(park.greenlet, main)} waits on {_safe_repr(park.owner)}"
    frame = main.gr_frame
    if frame is not None and not any(text.startswith("the main greenlet") for text in found.values()):
        found[0] = f"the main greenlet waits in {describe_place(frame)}"
    lines = sorted(found.values(), key=lambda text: not text.startswith("the main greenlet"))[:limit]
    if len(found) > limit:
        lines.append(f"... and {len(found) - limit} more")
    return len(found), lines


_OWN_FOLDER = os.path.dirname(__file__) + os.sep


def outside_frame(frame):
    """*frame*, or the nearest one below it that is not in gevent, if there is any: gevent's own may be interpreted."""
    outside = frame
    while outside is not None and outside.f_code.co_filename.startswith(_OWN_FOLDER):
        outside = outside.f_back
    return frame if outside is None else outside


def describe_place(frame):
    """Function, file and line in which *frame* is, outside of gevent if there is anything outside."""
    frame = outside_frame(frame)
    return f"{frame.f_code.co_name} ({frame.f_code.co_filename}, line {frame.f_lineno})"


def _name(waiting, main):
    return "the main greenlet" if waiting is main else _safe_repr(waiting)


def _safe_repr(value):
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} at {id(value):#x}, whose repr failed>"


def idle(priority=0):
    """Let the current greenlet rest until nothing of the same or a higher *priority* is pending in the loop."""
    hub = get_hub()
    watcher = hub.loop.idle(priority=priority)
    hub.wait(watcher)
    # The loop polls libev, which knows of no ready queue, also in the middle of it.
    while hub.loop.readycnt:
        hub.wait(watcher)


def kill(greenlet, exception=GreenletExit):
    """Raise *exception* in *greenlet* soon. Never blocks; it works on any greenlet, the main one included.

    A :class:`gevent.Greenlet` is killed by its own ``kill`` method. Nothing happens to a dead one.

    .. versionchanged:: 1.1
       Uses the ``kill`` method where there is one, so that a greenlet that was not started never starts.
    """
    if greenlet.dead:
        return
    if hasattr(greenlet, "kill"):
        greenlet.kill(exception=exception, block=False)
    else:
        check_exception(exception)
        get_loop().run_callback(throw_if_alive, greenlet, exception)


def check_exception(exception):
    """TypeError unless *exception* is an exception or a class of them: what can be thrown into a greenlet."""
    if not isinstance(exception, BaseException) and not (isinstance(exception, type) and issubclass(exception, BaseException)):
        raise TypeError(f"only exceptions can be thrown, not {exception!r}")


def throw_if_alive(target, exception):
    """Raise *exception* in the greenlet *target*, unless it has ended since this was queued. Called in the hub."""
    if target.dead:
        return
    if exception is not GreenletExit:
        exception = make_exception(exception)
    target.throw(exception)


def make_exception(exception, value=None):
    """The exception that ``throw(exception, value)`` would raise; if it cannot be made, the error of making it.

    To be thrown instead of its class where anything but that matters: PyPy makes it in the thrower, and raises such an error there.
    """
    check_exception(exception)
    if isinstance(exception, BaseException):
        return exception
    if isinstance(value, BaseException):
        return value
    try:
        if value is None:
            return exception()
        return exception(*value) if isinstance(value, tuple) else exception(value)
    except Exception as failure:
        return failure


def reinit(hub=None):
    """Make gevent usable in a forked child: the loop, the thread pool and the resolver of *hub*, by default the thread's own.

    Only the child calls this. Nothing happens where there is no hub, and none is made. Fork watchers fire soon afterwards.
    :func:`gevent.fork` does it by itself.

    .. versionchanged:: 26.11.0
       The *hub* argument.
    """
    hub = get_hub_if_exists() if hub is None else hub
    if hub is None or hub.loop is None:
        return
    _tell_of_fork(hub)
    # One round of the loop, so that the fork watchers have run when the caller goes on; not in the hub, which cannot wait.
    if getcurrent() is not hub:
        sleep(0.00001)


def _tell_of_fork(hub):
    hub.loop.reinit()
    for part in (hub._threadpool, hub._resolver, hub.periodic_monitoring_thread, hub._preemption):
        on_fork = getattr(part, "_on_fork", None)
        if on_fork is not None:
            on_fork()


#: The native threads that are in :func:`fork_with`.
_forking = set()


def fork_with(fork):
    """Call *fork*, which is ``os.fork`` or does what that does, and return what it returns; gevent is usable in the child at once.

    :func:`reinit` is not needed in the child. Its work is done before the hooks of ``os.register_at_fork`` run that were registered
    after gevent was imported, so those may use gevent too. Fork watchers fire when the loop runs.

    .. versionadded:: 26.11.0
    """
    thread = get_ident()
    _forking.add(thread)
    try:
        return fork()
    finally:
        _forking.discard(thread)


def _after_fork_in_child():
    # Not for everybody who forks: what the thread pool has to do would be done in a child that is about to exec, too.
    if get_ident() in _forking:
        hub = get_hub_if_exists()
        if hub is not None and hub.loop is not None:
            _tell_of_fork(hub)


os.register_at_fork(after_in_child=_after_fork_in_child)


class signal:
    """Call ``handler(*args, **kwargs)`` in a new greenlet whenever the process gets the signal *signalnum*.

    It does not keep the loop running (:attr:`ref`). Only one loop at a time can watch a signal. TypeError unless the handler can
    be called, ValueError for a number that is no signal.

    .. versionchanged:: 1.1
       TypeError at once for a handler that cannot be called.
    """

    #: What the handler runs in; None: :class:`gevent.Greenlet`.
    greenlet_class = None

    def __init__(self, signalnum, handler, *args, **kwargs):
        if not callable(handler):
            raise TypeError(f"the signal handler must be callable, not {handler!r}")
        self.hub = get_hub()
        self.watcher = self.hub.loop.signal(signalnum, ref=False)
        self.watcher.start(self._start)
        self.handler = handler
        self.args = args
        self.kwargs = kwargs
        if self.greenlet_class is None:
            type(self).greenlet_class = import_path(GREENLET_CLASS)

    @property
    def ref(self):
        """Whether it keeps the loop running."""
        return self.watcher.ref

    @ref.setter
    def ref(self, value):
        self.watcher.ref = value

    def cancel(self):
        """Stop watching; the signal has its default effect again."""
        self.watcher.stop()

    def _start(self):
        self.greenlet_class(self.handle).switch()

    def handle(self):
        """Run the handler; an error in it is reported."""
        try:
            self.handler(*self.args, **self.kwargs)
        except BaseException as error:
            self.hub.handle_error(None, type(error), error, error.__traceback__)

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} of signal {self.watcher.signalnum} for {self.handler!r}>"


class linkproxy:
    """Calls ``callback(obj)``, whatever it is called with itself."""

    def __init__(self, callback, obj):
        self.callback = callback
        self.obj = obj

    def __call__(self, *args):
        callback, obj = self.callback, self.obj
        self.callback = self.obj = None
        callback(obj)
