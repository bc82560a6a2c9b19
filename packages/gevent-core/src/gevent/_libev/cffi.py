"""The event loop in Python, over libev through cffi: the backend for PyPy, and for CPython on request.

It keeps the contract of ``cext.pyx``, which tells what a park, a ticket and the ready queue are for, and works the same way but for
what follows.

How it works
============
*No event calls Python.* libev's callbacks are C functions (``gather.h``) that note events in an array. ``loop.run()`` lets libev do
one round, and then takes them in the order in which libev gave them out: a watcher is called, a parked greenlet goes to the end of
the ready queue. The array holds *slots*, indices of ``_State.slots``, where everything that is started stands and is kept alive.

*An event is taken only if it still counts.* Its watcher's struct says so (``queued``). Stopping a watcher clears that, so an entry of
the array that is left behind means nothing. Watchers for which libev has to wait, prepare and fork, make it come back before the poll;
they are called, and then the round is done in earnest.

*The ready queue* is a list with the index of its first entry. An entry is a greenlet, a ``callback``, a tuple of a function and its
arguments, or None if it was taken back. Its ticket is its position, counted from the beginning of the loop.

*Switching* goes through the hub. There is no hand-over: the frame of a greenlet that leaves would keep the next one alive.

*Threads.* What other threads post goes through a deque, whose ends are safe to use from any thread, and ``gevent_send``, which has a
lock in C: nothing of Python runs while it is held, so neither a signal handler nor a finalizer can run into it. A thread is woken by
C code that does not hold the interpreter's lock (:class:`held_lock`), for PyPy's is not handed over to who waits for it: that
one looks again every tenth of a millisecond.
"""

import _signal  # not signal: that imports enum, for names that nobody here needs
import gc
import os
import sys
from collections import deque
from errno import EBADF, EBUSY, EINTR
from time import monotonic
from weakref import ref as weak_reference

from greenlet import GreenletExit, getcurrent, greenlet

from gevent._config import config as _config
from gevent._libev import contract as _contract
from gevent._libev._shim import ffi, lib
from gevent._originals import get_ident, thread_local
from gevent._reaper import UNKNOWN_STATUS, claim, collect, release
from gevent.exceptions import (
    BlockingSwitchOutError,
    ConcurrentObjectUseError,
    HubDestroyed,
    InvalidSwitchError,
)

# ---- Constants ---------------------------------------------------------------------------------------------------------------

UNDEF = lib.EV_UNDEF
NONE = lib.EV_NONE
READ = lib.EV_READ
WRITE = lib.EV_WRITE
READWRITE = READ | WRITE
TIMER = lib.EV_TIMER
PERIODIC = lib.EV_PERIODIC
SIGNAL = lib.EV_SIGNAL
CHILD = lib.EV_CHILD
STAT = lib.EV_STAT
IDLE = lib.EV_IDLE
PREPARE = lib.EV_PREPARE
CHECK = lib.EV_CHECK
EMBED = lib.EV_EMBED
FORK = lib.EV_FORK
CLEANUP = lib.EV_CLEANUP
ASYNC = lib.EV_ASYNC
CUSTOM = lib.EV_CUSTOM
ERROR = lib.EV_ERROR & 0xFFFFFFFF

MINPRI = lib.EV_MINPRI
MAXPRI = lib.EV_MAXPRI

BACKEND_SELECT = lib.EVBACKEND_SELECT
BACKEND_POLL = lib.EVBACKEND_POLL
BACKEND_EPOLL = lib.EVBACKEND_EPOLL
BACKEND_KQUEUE = lib.EVBACKEND_KQUEUE
BACKEND_DEVPOLL = lib.EVBACKEND_DEVPOLL
BACKEND_PORT = lib.EVBACKEND_PORT
BACKEND_LINUXAIO = lib.EVBACKEND_LINUXAIO
BACKEND_IOURING = lib.EVBACKEND_IOURING

FORKCHECK = lib.EVFLAG_FORKCHECK
NOINOTIFY = lib.EVFLAG_NOINOTIFY
SIGNALFD = lib.EVFLAG_SIGNALFD
NOSIGMASK = lib.EVFLAG_NOSIGMASK

EVENTS = _contract.EVENTS

#: libev is the system's, never compiled in.
LIBEV_EMBED = False

_NULL = ffi.NULL
_ERROR_BIT = 0x80000000
_switch = greenlet.switch  # a hub's own switch() is something else
if hasattr(greenlet, "_greenlet__switch"):
    # PyPy's greenlet is Python code. What its switch() calls takes the arguments packed, and a frame less is one less to put on the heap.
    _go = greenlet._greenlet__switch
    # It also makes a thread's main greenlet on first use, and a signal handler in the midst of that would make another.
    getcurrent()
else:

    def _go(target, method, packed):
        """Switch to the greenlet *target*."""
        return _switch(target)


_NO_ARGUMENTS = ((), {})
_set_wakeup_fd, _pthread_kill = _signal.set_wakeup_fd, _signal.pthread_kill  # as they are before anybody patches them
_DESTROYED = "operation on destroyed loop"


def get_version():
    """The version of the libev that runs, as ``"libev-4.33"``."""
    return f"libev-{lib.ev_version_major()}.{lib.ev_version_minor():02d}"


def get_header_version():
    """The version of the libev that this module was compiled against."""
    return f"libev-{lib.EV_VERSION_MAJOR}.{lib.EV_VERSION_MINOR:02d}"


def supported_backends():
    """Names of the backends that this libev was built with, for example ``["epoll", "poll", "select"]``."""
    return _contract.flags_to_list(lib.ev_supported_backends())


def recommended_backends():
    """Names of the backends that libev would choose from on this system."""
    return _contract.flags_to_list(lib.ev_recommended_backends())


def embeddable_backends():
    """Names of the backends that can be embedded in another loop."""
    return _contract.flags_to_list(lib.ev_embeddable_backends())


def time():
    """The current time, in seconds since the epoch, as libev sees it."""
    return lib.ev_time()


def _print_exception(error):
    """Print where nothing else can be done. By the hook, since the traceback module takes as long to import as all of gevent."""
    sys.__excepthook__(type(error), error, error.__traceback__)


# ---- This native thread's loops ----------------------------------------------------------------------------------------------


class _Thread(thread_local):
    loop = None  # whose hub this thread runs
    running = None  # that this thread is inside run() of


_thread = _Thread()


def current_loop():
    """The loop whose hub the calling native thread runs, or None."""
    return _thread.loop


def set_current_loop(current):
    """Make *current*, or None, what :func:`current_loop` gives in this native thread. The caller keeps the loop alive."""
    if current is not None and not isinstance(current, loop):
        raise TypeError(f"the current loop is a loop or None, not {current!r}")
    _thread.loop = current


class held_lock:
    """A native lock that is held from the beginning, for one native thread to sleep on until another one calls :meth:`release`.

    The interpreter's own does the same, and wakes the thread while the caller holds the GIL.
    """

    __slots__ = ("_c",)

    def __init__(self):
        self._c = ffi.new("gevent_lock *")
        lib.gevent_lock_init_held(self._c)

    def acquire(self, blocking=True, timeout=-1.0):
        """Wait for the lock, at most *timeout* seconds if that is not -1; returns whether it is ours now."""
        return bool(lib.gevent_lock_acquire(self._c, timeout if blocking else 0.0))

    def release(self):
        """Let go of the lock, from any native thread. RuntimeError if nobody holds it."""
        if not lib.gevent_lock_release(self._c):
            raise RuntimeError("release unlocked lock")


def send_bytes(fd, data, start, size, flags):
    """Send up to *size* of the bytes object *data* from *start* on, without a copy; returns how many the socket took, or raises OSError.

    PyPy's own sockets copy what they are given. It is for bytes only: nobody can make them shorter while the system reads them.
    """
    while True:
        taken = lib.send(fd, ffi.from_buffer(data) + start, size, flags)
        if taken >= 0:
            return taken
        number = ffi.errno
        if number != EINTR:  # of a signal, whose handler has its turn now
            raise OSError(number, os.strerror(number))


def add_plain_type(cls):
    """Nothing: an interpreted class could be given a ``switch_out`` method at any time, so it is looked up at each switch."""


def install_stack_chunk_cache(limit):
    """False: chunks of interpreter stacks are kept only by the compiled backend."""
    _contract.index(limit, "a number of chunks")
    return False


def stack_chunk_cache_size():
    """How many chunks are kept at the moment: 0."""
    return 0


# ---- Errors of libev itself --------------------------------------------------------------------------------------------------

_syserr_callback = None


def set_syserr_cb(callback):
    """Have *callback*, called with a message and an errno, take the fatal system errors of libev; None for the default.

    The default raises SystemError in the main greenlet. Without either libev would abort the process.
    """
    global _syserr_callback
    if callback is not None and not callable(callback):
        raise TypeError(f"the callback must be callable or None, not {callback!r}")
    _syserr_callback = callback


@ffi.def_extern(name="gevent_on_system_error")
def _on_system_error(message, number):
    """Called by libev, from C. It must not switch, so inside a round the error is reported when libev has come back."""
    try:
        text = ffi.string(message).decode("utf-8", "replace")
        if _syserr_callback is not None:
            _syserr_callback(text, number)
            return
        error = SystemError(f"{text}: {os.strerror(number)}")
        running = _thread.running
        if running is not None:
            running._state.failures.append(error)
        elif _thread.loop is not None:
            _thread.loop.handle_error(None, SystemError, error, None)
        else:
            raise error
    except BaseException as error:
        _print_exception(error)


lib.gevent_catch_system_errors()
if lib.gevent_guard_forks():
    raise MemoryError("pthread_atfork(3) failed")

# ---- The ready queue ---------------------------------------------------------------------------------------------------------

_BATCH = 1024  # entries between two polls, at most, beyond those that were queued when the first was taken
_CROWD = 512  # those that were queued then may take one more switch interval for each so many of them,
_PATIENCE = 10  # but this many at most
_STRIDE = 8  # entries between two looks at the clock, at most
_COMPACT = 1024  # used entries at the head of the list that are worth moving the others for
_POSTED = -1  # the ticket of what was posted to another thread's loop: nothing can be taken back by it

#: Seconds of callbacks and greenlets between two polls, but for what run() says, and the entries until the next look at the clock.
_switch_interval = 0.005


def getswitchinterval():
    """Seconds for which ready greenlets and callbacks may run before the loop looks at its events again.

    Where thousands are queued when they begin to run, these may take up to ten times as long.

    .. versionadded:: 26.11.0
    """
    return _switch_interval


def setswitchinterval(interval):
    """Set what :func:`getswitchinterval` gives. ValueError unless it is positive.

    .. versionadded:: 26.11.0
    """
    global _switch_interval
    interval = float(interval)
    if not interval > 0:
        raise ValueError(f"the switch interval must be positive: {interval!r}")
    _switch_interval = interval


# ---- State: what loop objects over one libev loop share ----------------------------------------------------------------------

_default_state = None  # a weak reference
_states = {}  # weak references to all that were not destroyed, by their id
_default_destroyed = False
_armed_fd = -1  # the end of our pipe that is Python's wake-up descriptor now, if one is
_SPARE_PARKS = 4096  # structs of ended waits that are kept for new ones
_FEW_LOOPS = 32
_enough_loops = _FEW_LOOPS if sys.implementation.name == "pypy" else sys.maxsize  # see _collect_loops()


def _collect_loops():
    """Have the collector run when there are twice as many loops as it left: those of ended threads' hubs are garbage on PyPy.

    Each has descriptors, of which a process has few. The collector does not know of them, and comes when memory is short.
    """
    global _enough_loops
    if len(_states) >= _enough_loops:
        _enough_loops = sys.maxsize  # another thread, or a finalizer, may make a loop meanwhile
        try:
            gc.collect()
        finally:
            _enough_loops = max(_FEW_LOOPS, 2 * len(_states))


class _State:
    __slots__ = (
        "__weakref__",
        "alive",
        "armed",
        "armed_before",
        "base",
        "broken",
        "c",
        "deadline",
        "destroy_later",
        "failures",
        "free",
        "head",
        "hub",
        "is_default",
        "left",
        "open",
        "pid",
        "posted",
        "queue",
        "runner",
        "running",
        "sigchld_on",
        "slots",
        "spare",
        "stride",
        "switched_to",
        "thread",
    )

    def __init__(self, flags):
        self.alive = self.open = False
        _collect_loops()
        self.c = ffi.new("gevent_loop *")
        self.queue = []  # the ready queue; entries before `head` have had their turn
        self.head = 0
        self.base = 0  # how many entries were there before those of the list
        self.posted = deque()
        self.slots = []  # what is started, by its slot
        self.free = []  # slots that nobody has
        self.spare = []
        self.stride = _STRIDE  # entries between two looks at the clock
        self.left = 0  # how many more may have their turn before the next poll,
        self.deadline = 0.0  # and until when those may that were queued after the first had its
        self.failures = []  # errors of libev in this round
        self.hub = None  # the greenlet that everybody switches to
        self.runner = None  # the greenlet inside run()
        self.switched_to = None  # the greenlet that runs instead of it
        self.running = 0  # depth of run()
        self.broken = 0  # break_() was called: leave run()
        self.destroy_later = False
        self.is_default = False
        self.sigchld_on = False
        self.armed = False  # the pipe is Python's wake-up descriptor
        self.armed_before = -1  # what that was before: -1, or the pipe of a loop whose callback runs this loop
        number = lib.gevent_loop_open(self.c, flags)
        if number:
            raise OSError(number, f"libev cannot make a loop for {_contract.flags_to_list(flags)}: {os.strerror(number)}")
        self.thread = get_ident()  # the native thread that may touch everything but `posted`
        self.pid = os.getpid()  # the process it was made in, or made fit for by reinit()
        self.alive = self.open = True  # open: not being destroyed; alive: not destroyed
        _states[id(self)] = weak_reference(self)
        self.make_wakeup()

    def __del__(self):
        if self.alive:
            self.destroy()

    def destroy(self):
        """Stop every watcher, give the descriptors back, drop what is queued. May be called twice."""
        global _default_destroyed
        if not self.open:
            return
        self.open = False  # what we let go of may run any finalizer, and those may try to use the loop
        for item in list(self.slots):
            if item is not None:
                item._abandon()
        if self.sigchld_on:
            self.release_sigchld()
        self.drop_wakeup()
        self.alive = False
        _states.pop(id(self), None)
        lib.gevent_loop_close(self.c)
        if self.is_default:
            _default_destroyed = True
        dropped, self.queue = self.queue, []
        self.base += len(dropped)
        self.head = 0
        self.slots, self.free = [], []
        self.posted.clear()

    # -- queueing

    def push(self, entry):
        """Queue an entry; returns its ticket, which is never 0."""
        queue = self.queue
        queue.append(entry)
        end = len(queue)
        if queue[end - 1] is not entry:  # a signal handler, or a finalizer, has queued something just after it
            end = _end_of(entry, queue)
        return self.base + end

    def forget(self, ticket):
        place = ticket - 1 - self.base
        queue = self.queue
        if place < self.head or place >= len(queue) or queue[place] is None:
            return False
        queue[place] = None
        return True

    def drop_used(self):
        """Drop what has had its turn, where it is all, or much."""
        queue, head = self.queue, self.head
        if head == len(queue):
            del queue[:]
        elif head >= _COMPACT and head * 2 >= len(queue):
            del queue[:head]
        else:
            return
        self.head = 0
        self.base += head

    def post(self, entry):
        """Hand an entry, or a park to wake, to the loop from another native thread, and wake the loop. False if it is destroyed."""
        self.posted.append(entry)
        if lib.gevent_send(self.c, _NULL):
            return True
        self.posted.clear()
        return False

    def must_post(self, entry):
        if not self.post(entry):
            raise ValueError(_DESTROYED)

    def take_posted(self):
        """Move what other threads posted to the end of the ready queue."""
        posted = self.posted
        for _ in range(len(posted)):  # not what they post meanwhile: they may be faster than we are
            try:
                entry = posted.popleft()
            except IndexError:  # somebody destroyed the loop
                return
            if isinstance(entry, Park):
                entry.wake()
            else:
                self.queue.append(entry)

    # -- slots

    def occupy(self, item):
        """A slot for *item*, which is kept alive there."""
        free = self.free
        if free:
            slot = free.pop()
            self.slots[slot] = item
        else:
            slot = len(self.slots)
            self.slots.append(item)
        return slot

    def vacate(self, slot):
        if self.slots:
            self.slots[slot] = None
            self.free.append(slot)

    def drain(self):
        """Take the events that libev gave out. A callback may run the loop, which then takes the rest."""
        c = self.c
        while c.taken < c.count:
            place = c.taken
            c.taken = place + 1
            item = self.slots[c.events[place]]
            if item is not None:
                item._take()
        if c.missed:
            c.missed = 0
            for item in list(self.slots):
                if item is not None:
                    item._take()

    # -- Python's signal handlers: see cext.pyx

    def make_wakeup(self):
        """Watch the pipe, if this is the main thread; else close it."""
        try:
            _set_wakeup_fd(_set_wakeup_fd(-1), warn_on_full_buffer=False)
        except ValueError:  # only the main thread may do that, and only it runs signal handlers
            lib.gevent_wakeup_stop(self.c)
            return
        lib.gevent_wakeup_start(self.c)

    def arm_wakeup(self):
        """Called as the outermost run() begins."""
        global _armed_fd
        fd = self.c.wakeup_fds[1]
        if fd < 0:
            return
        try:
            before = _set_wakeup_fd(fd, warn_on_full_buffer=False)
            if before != -1 and before != _armed_fd:
                _set_wakeup_fd(before, warn_on_full_buffer=False)
                return
        except ValueError:  # a loop of the main thread that runs in another one
            return
        self.armed = True
        self.armed_before = _armed_fd
        _armed_fd = fd
        lib.gevent_wakeup_armed(self.c)

    def disarm_wakeup(self):
        """Called as the outermost run() ends."""
        global _armed_fd
        if not self.armed:
            return
        self.armed = False
        _armed_fd = self.armed_before
        try:
            current = _set_wakeup_fd(_armed_fd, warn_on_full_buffer=False)
            if current != self.c.wakeup_fds[1]:
                _set_wakeup_fd(current, warn_on_full_buffer=False)  # the program has set its own meanwhile
        except ValueError:
            pass

    def drop_wakeup(self):
        self.disarm_wakeup()
        lib.gevent_wakeup_stop(self.c)

    # -- SIGCHLD

    def take_sigchld(self):
        if not self.sigchld_on:
            number = lib.gevent_take_sigchld(self.c, _signal.SIGCHLD)
            if number == EBUSY and _give_up_signals():
                number = lib.gevent_take_sigchld(self.c, _signal.SIGCHLD)
            if number:
                raise _watched_elsewhere(_signal.SIGCHLD)
            self.sigchld_on = True

    def release_sigchld(self):
        lib.gevent_release_sigchld(self.c)
        self.sigchld_on = False

    def give_up_signals(self):
        """Stop the watchers of signals, since nobody runs the loop in this forked child."""
        for each in list(self.slots):
            if isinstance(each, (signal, child)):
                each._stop_now()
        if self.sigchld_on:
            self.release_sigchld()


def _end_of(entry, queue):
    """How long the *queue* was when *entry* had been put at its end. A function of its own: PyPy's JIT cuts a trace at a loop."""
    end = len(queue)
    while queue[end - 1] is not entry:
        end -= 1
    return end


def _give_up_signals():
    """Stop the watchers of signals on loops whose threads are not in this forked child; returns whether there are such loops."""
    found = [state for state in (each() for each in list(_states.values())) if state is not None and state.pid != os.getpid()]
    for state in found:
        state.give_up_signals()
    return bool(found)


def _watched_elsewhere(number):
    return RuntimeError(f"signal {number} is already watched on another event loop; one loop at a time can watch a signal")


def _refuse_to_block(state):
    if state.hub is None:
        raise RuntimeError("this loop has no hub: only a greenlet under a hub can wait")
    raise BlockingSwitchOutError("cannot wait in the hub, that is, in a callback of the event loop; spawn a greenlet from it")


# In a forked child: the greenlets of those threads that are not there. None until there are any.
_left_behind = None


def leave_behind(greenlets):
    """To be called in a forked child: none of *greenlets*, which wait, comes back from there any more, whoever wakes them."""
    global _left_behind
    if _left_behind is None:
        _left_behind = set()
    _left_behind.update(greenlets)  # which also keeps them: one that goes runs its finally blocks


def _stay_away(state):
    """Leave the current greenlet for good. Only an exception that is thrown into it gets out of here."""
    while True:
        _switch(state.hub)


def _leave(state):
    """Switch from the current greenlet to the hub; returns what the greenlet is later switched back with.

    This frame must not refer to the greenlet meanwhile: one that nobody can reach would never be collected.
    """
    hub = state.hub
    current = getcurrent()
    if current is hub or current is state.runner or hub is None:
        _refuse_to_block(state)
    switch_out = getattr(current, "switch_out", None)
    if switch_out is not None:
        switch_out()
    del current, switch_out
    return _go(hub, "switch", _NO_ARGUMENTS)


# ---- The loop ----------------------------------------------------------------------------------------------------------------


def _check(loop):
    """The state of *loop*. ValueError if it is destroyed, or is being destroyed."""
    state = loop._state
    if state is None or not state.open:
        raise ValueError(_DESTROYED)
    return state


class loop:
    """loop(flags=None, default=None)

    An event loop. *flags* names the libev backend or options; with *default* the loop of the main thread, which is made once
    and shared by all loop objects over it, else one of its own. None means the default one, unless it was destroyed.

    All methods but :meth:`run_callback_threadsafe` belong to the native thread that runs the loop. A destroyed loop raises
    ValueError from all of them.
    """

    __slots__ = ("__weakref__", "_hub", "_state", "error_handler")

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        self._state = None
        self._hub = None
        self.error_handler = None
        return self

    def __init__(self, flags=None, default=None):
        global _default_state
        mask = _contract.flags_to_int(flags)
        if self._state is not None:
            raise RuntimeError(f"{self!r} has been made: __init__ cannot be called again")
        _contract.check_backend(mask, lib.ev_supported_backends())
        if default is None:
            default = not _default_destroyed
        state = None
        if default and _default_state is not None:
            state = _default_state()
            if state is not None and not state.open:
                state = None
        if state is None:
            state = _State(mask)
            if default:
                state.is_default = True
                _default_state = weak_reference(state)
        self._state = state

    def destroy(self):
        """Stop all watchers and release the loop; True, or None if it was destroyed before.

        Called inside the running loop it takes effect when :meth:`run` is left, which happens at once.
        """
        state = self._state
        if state is None or not state.open or state.destroy_later:
            return None
        if state.running:
            state.destroy_later = True
            self.break_(lib.EVBREAK_ALL)
        else:
            state.destroy()
        return True

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} {self._format()}>"

    def _format(self):
        state = self._state
        if state is None or not state.alive:
            return "destroyed"
        text = str(self.backend)
        if state.is_default:
            text += " default"
        return f"{text} pending={self.pendingcnt} ref={self.activecnt}"

    # -- running

    def run(self, nowait=False, once=False):
        """Handle events and run callbacks until nothing is left that could happen.

        With *once*, wait for one round of events and handle it; with *nowait*, handle what is there already. Blocks the native
        thread, and lets go of the GIL while it waits for the kernel.
        """
        state = _check(self)
        if state.running and state.thread != get_ident():
            raise RuntimeError(f"{self!r} is being run by another native thread")
        runner, outer, outer_running = state.runner, state.broken, _thread.running
        state.thread = get_ident()
        _thread.running = self
        state.runner = getcurrent()
        state.running += 1
        state.broken = 0
        c = state.c
        last = False
        try:
            if state.running == 1:
                state.arm_wakeup()
            while True:
                # What is ready, here and not in a method: each switch copies the hub's stack, and a frame fewer is less to copy. First what
                # is queued now, for one switch interval for each 512 of it, then what that queues, for one; cext.pyx says why.
                # It looks at the clock every eighth entry, and at every one as soon as, and as long as, they take long.
                queue = state.queue
                if state.head < len(queue):
                    looked = monotonic()
                    state.deadline = looked + _switch_interval
                    queued = len(queue) - state.head
                    last_deadline = looked + min(max(queued / _CROWD, 1), _PATIENCE) * _switch_interval
                    batch_end = state.base + len(queue)
                    long = _switch_interval / _STRIDE  # seconds between two looks
                    state.left = queued + _BATCH
                    until_look = state.stride
                    while not state.broken:
                        head = state.head
                        if head >= len(queue):
                            break
                        if until_look <= 0:
                            before, looked = looked, monotonic()
                            state.stride = 1 if looked - before >= long else min(2 * state.stride, _STRIDE)
                            if state.left <= 0 or looked >= (state.deadline if state.base + head >= batch_end else last_deadline):
                                break
                            until_look = min(state.stride, state.left)
                        # First: what a signal handler takes back after this has had its turn, what it took back before is None.
                        state.head = head + 1
                        entry = queue[head]
                        queue[head] = None
                        if entry is None:
                            continue
                        state.left -= 1
                        until_look -= 1
                        if isinstance(entry, greenlet):
                            state.switched_to = entry
                            try:
                                _go(entry, "switch", _NO_ARGUMENTS)
                            except GreenletExit:
                                # A greenlet that dies of it returns it, so it was thrown into us.
                                raise
                            except BaseException as error:
                                self._report(entry, error)
                            finally:
                                state.switched_to = None
                        elif type(entry) is tuple:
                            function, args = entry
                            try:
                                function(*args)
                            except HubDestroyed:
                                raise
                            except BaseException as error:
                                self._report(function, error)
                            function = args = None
                        else:
                            self._run_callback(entry)
                        entry = None
                        if queue is not state.queue:  # the loop was destroyed, or run by a callback
                            queue = state.queue
                    state.left = 0
                    state.drop_used()
                if last or state.broken:
                    break
                self._round(state, nowait)
                if state.broken:
                    break
                if nowait or once:
                    last = True
                    continue
                if c.active <= 0 and state.head >= len(state.queue) and not state.posted and not lib.ev_pending_count(c.ptr):
                    break
        finally:
            _thread.running = outer_running
            state.runner = runner
            state.running -= 1
            if not state.running:
                state.broken = 0
                state.disarm_wakeup()
                if state.destroy_later:
                    state.destroy()
            elif state.broken != lib.EVBREAK_ALL:
                state.broken = outer

    def _round(self, state, nowait):
        """One round of libev, and all that it leads to but what is queued."""
        c = state.c
        silent = 0
        while True:
            if state.posted:
                state.take_posted()
            ready = nowait or c.signalled or state.head < len(state.queue)
            try:
                lib.gevent_round(c, lib.EVRUN_NOWAIT if ready else lib.EVRUN_ONCE, silent)
                if c.signalled:
                    _run_signal_handlers()
                    c.signalled = 0  # not when one has raised: there may be more
                for _ in _ONCE:  # a jump back, where every interpreter looks for signals at the latest
                    pass
            except (GreenletExit, HubDestroyed):
                raise
            except BaseException as error:  # a Python signal handler's
                self._report(None, error)
            while state.failures:
                failure = state.failures.pop(0)
                self.handle_error(None, type(failure), failure, None)
            state.drain()
            if state.posted:
                state.take_posted()
            if silent or not c.interrupted or state.broken:
                return
            silent = 1

    def break_(self, how=lib.EVBREAK_ONE):
        """Make :meth:`run` return once the callback or greenlet that runs now has ended.

        *how*: 1 for the innermost of nested runs, 2 for all of them, 0 to undo the call.
        """
        state = _check(self)
        state.broken = _contract.index(how, "a way to break")

    def _run_callback(self, queued):
        function, args = queued.callback, queued.args
        queued.callback = None
        queued._ticket = 0
        if function is None or args is None:
            queued.args = None
            return
        try:
            function(*args)
        except HubDestroyed:
            raise
        except BaseException as error:
            self._report(queued, error)
        finally:
            queued.args = None

    def _report(self, context, error):
        """Hand an exception to the error handler; whatever the handler raises is printed and goes no further."""
        try:
            self.handle_error(context, type(error), error, error.__traceback__)
        except HubDestroyed:
            raise
        except BaseException as second:
            try:
                _print_exception(error)
                _print_exception(second)
            except BaseException:  # sys.stderr is broken too: nothing is left to tell
                pass

    def handle_error(self, context, type, value, tb):
        """Report an error of *context* to :attr:`error_handler`, or print it if there is none."""
        handler = self.error_handler
        if handler is not None:
            handler.handle_error(context, type, value, tb)
        else:
            self._default_handle_error(context, type, value, tb)

    def _default_handle_error(self, context, type, value, tb):
        if value is None:
            value = type()
        sys.__excepthook__(type, value, tb)
        if context is not None:
            print(f"{context!r} failed with {type.__name__}", file=sys.stderr)

    # -- callbacks and the ready queue

    def run_callback(self, func, *args):
        """Call ``func(*args)`` soon, in the greenlet that runs the loop, after what is queued already.

        Returns a :class:`callback`, which can be stopped. TypeError unless *func* can be called.
        """
        state = _check(self)
        queued = callback(_contract.check_callback(func), args)
        queued._loop = self
        if state.thread == get_ident():
            queued._ticket = state.push(queued)
        else:
            state.must_post(queued)
        return queued

    def run_callback_threadsafe(self, func, *args):
        """As :meth:`run_callback`, from any native thread; wakes the loop if it waits.

        .. versionadded:: 26.11.0
        """
        state = _check(self)
        queued = callback(_contract.check_callback(func), args)
        queued._loop = self
        state.must_post(queued)
        return queued

    def ready(self, g):
        """Queue the greenlet *g* to be switched to; returns a ticket for :meth:`forget`."""
        state = self._state
        if state is None or not state.open:
            raise ValueError(_DESTROYED)
        if not isinstance(g, greenlet):
            raise TypeError(f"only a greenlet can be ready to run, not {g!r}")
        if state.thread != get_ident():
            state.must_post(g)
            return _POSTED
        return state.push(g)

    def ready_call(self, callback, args):
        """Queue ``callback(*args)``, *args* being a tuple; returns a ticket for :meth:`forget`."""
        state = self._state
        if state is None or not state.open:
            raise ValueError(_DESTROYED)
        if type(args) is not tuple:
            raise TypeError(f"the arguments must be a tuple, not {args!r}")
        if state.thread != get_ident():
            state.must_post((callback, args))
            return _POSTED
        return state.push((callback, args))

    def forget(self, ticket):
        """Take back what got *ticket*; True if it had not had its turn."""
        return self._state is not None and self._state.forget(ticket)

    # -- waiting

    def switch_out(self):
        """Leave the current greenlet; returns what it is switched back with. Somebody has to hold it and switch back."""
        state = _check(self)
        result = _leave(state)
        if _left_behind is not None and getcurrent() in _left_behind:
            del result
            _stay_away(state)
        return result

    def park(self, owner=None, ref=True):
        """A :class:`Park` for one wait of the current greenlet.

        *owner* is what it waits on, for error messages. Without *ref* a time limit does not keep the loop running.
        """
        return Park(self, owner, None, not ref)

    def park_call(self, callback, arg):
        """A park without a greenlet: waking it calls ``callback(arg)`` in the hub, once. TypeError unless it can be called."""
        return Park(self, arg, _contract.check_callback(callback), False)

    def io_park(self, fd, events):
        """An :class:`IOPark` for many waits, one at a time, for *events* of one descriptor. ValueError for bad arguments."""
        park = IOPark(self)
        park.set(fd, events)
        return park

    def wait_fd(self, fd, events, timeout=None, ref=True):
        """Wait until the descriptor is ready for one of *events*; returns those it is ready for, 0 after *timeout* seconds."""
        park = self.io_park(fd, events)
        if park.wait_io(timeout, ref):
            return park.revents & READWRITE
        return 0

    def call_later(self, seconds, callback, arg, ref=True, priority=-1):
        """A started park that calls ``callback(arg)`` in the hub after *seconds*, behind all that is ready by then.

        ``cancel()`` undoes it, also when it is due and queued. It keeps itself alive until then.
        """
        state = _check(self)
        seconds = float(seconds) if type(seconds) is not str else _contract.check_after(seconds)
        if seconds != seconds:
            raise ValueError("cannot wait for NaN seconds")
        if priority != -1:
            _contract.check_priority(priority)
        park = Park(self, arg, callback, not ref)
        park._start(state, seconds if seconds > 0 else 0.0, priority)
        park._later = True
        return park

    def sleep(self, seconds, ref=True):
        """Leave the current greenlet for *seconds*, at least one round of the loop."""
        seconds = float(seconds) if type(seconds) is not str else _contract.check_after(seconds)
        if seconds != seconds:
            raise ValueError("cannot sleep for NaN seconds")
        if Park(self, None, None, not ref)._block(seconds if seconds > 0 else 0.0):
            raise InvalidSwitchError("a sleeping greenlet was woken")  # nobody else has this park
        return 0

    def yield_now(self):
        """Let all other ready greenlets run, then go on."""
        state = _check(self)
        current = getcurrent()
        if (
            current is state.switched_to
            and state.head == len(state.queue)
            and state.left > 0
            and not state.broken
            and monotonic() < state.deadline
        ):
            # Nobody else is ready, and it is not time to poll: the hub, which is in no callback, would switch back at once.
            state.left -= 1
            switch_out = getattr(current, "switch_out", None)
            if switch_out is not None:
                switch_out()
            return 0
        if current is state.hub or current is state.runner or state.hub is None:
            _refuse_to_block(state)
        ticket = state.push(current)
        try:
            _leave(state)
        except BaseException:
            state.forget(ticket)
            raise
        if _left_behind is not None and current in _left_behind:
            state.forget(ticket)
            _stay_away(state)
        if state.forget(ticket):
            raise InvalidSwitchError("a greenlet that had yielded was switched to before its turn")
        return 0

    @property
    def hub(self):
        """The hub greenlet that runs this loop, to which a waiting greenlet switches. Set by the hub itself."""
        return self._hub

    @hub.setter
    def hub(self, value):
        if value is not None and not isinstance(value, greenlet):
            raise TypeError(f"a hub is a greenlet, not {value!r}")
        if self._state is not None:
            self._state.hub = value
        self._hub = value

    # -- time

    def now(self):
        """The loop's time, seconds since the epoch, as of the last look at the clock (:meth:`update`)."""
        return lib.ev_now(_check(self).c.ptr)

    def update(self):
        """Look at the clock now."""
        lib.ev_now_update(_check(self).c.ptr)

    update_now = update

    # -- what it is, and how it fares

    @property
    def ptr(self):
        """The address of libev's loop, for other C code; 0 once destroyed."""
        return 0 if self._state is None else int(ffi.cast("intptr_t", self._state.c.ptr))

    @property
    def WatcherType(self):
        return watcher

    @property
    def MAXPRI(self):
        return MAXPRI

    @property
    def MINPRI(self):
        return MINPRI

    @property
    def default(self):
        """Whether this is the process's default loop."""
        return _check(self).is_default

    @property
    def iteration(self):
        """How often the loop has polled."""
        return _check(self).c.iteration

    @property
    def depth(self):
        """How many :meth:`run` calls are under way."""
        return _check(self).running

    @property
    def backend_int(self):
        return lib.ev_backend(_check(self).c.ptr)

    @property
    def backend(self):
        """How libev asks the kernel: ``"epoll"`` for example."""
        return _contract.backend_name(self.backend_int)

    @property
    def pendingcnt(self):
        """How many events wait for their callbacks."""
        c = _check(self).c
        return lib.ev_pending_count(c.ptr) + c.count - c.taken

    @property
    def activecnt(self):
        """How many started watchers, waiting greenlets and references keep :meth:`run` going."""
        return _check(self).c.active

    @property
    def readycnt(self):
        """How many greenlets and callbacks are queued to run, including some that were taken back.

        .. versionadded:: 26.11.0
        """
        state = _check(self)
        return len(state.queue) - state.head

    @property
    def runcnt(self):
        """How many queued greenlets and callbacks have had their turn, or were taken back, since the loop was made.

        .. versionadded:: 26.11.0
        """
        state = _check(self)
        return state.base + state.head

    @property
    def switched_to(self):
        """The greenlet that the loop has switched to; None while the hub runs. It may be asked for in other native threads.

        Only this backend has it: PyPy knows of no greenlet of another thread whether it runs.

        .. versionadded:: 26.11.0
        """
        return _check(self).switched_to

    @property
    def polling(self):
        """Whether :meth:`run` sits in the kernel now and waits for events. Of use in other native threads, which may ask.

        .. versionadded:: 26.11.0
        """
        return bool(_check(self).c.polling)

    # What only an embedded libev would show; None here, as in gevent 1.1 over a system's libev.
    sig_pending = None
    origflags = None
    origflags_int = None
    sigfd = None

    def fileno(self):
        """None: the descriptor of the backend is libev's own."""
        _check(self)
        return None

    approx_timer_resolution = 0.00001

    def verify(self):
        """Let libev check its structures; it aborts the process if they are broken."""
        lib.ev_verify(_check(self).c.ptr)

    def ref(self):
        """Keep :meth:`run` going until as many :meth:`unref` follow."""
        c = _check(self).c
        lib.ev_ref(c.ptr)
        c.active += 1

    def unref(self):
        """Undo one :meth:`ref`, or let :meth:`run` end although something is started."""
        c = _check(self).c
        lib.ev_unref(c.ptr)
        c.active -= 1

    # -- forking, children, descriptors

    def reinit(self):
        """Make the loop usable in a forked child. Only the child calls this, before the loop runs there."""
        state = _check(self)
        state.thread = get_ident()
        state.pid = os.getpid()
        armed = state.armed
        if state.c.wakeup_fds[0] < 0:
            armed = state.running > 0  # a loop of another thread, which is now the main one and handles signals
        state.disarm_wakeup()
        number = lib.gevent_wakeup_renew(state.c)  # the pipe is the parent's too
        if number:
            raise OSError(number, f"no pipe for the forked child's loop: {os.strerror(number)}")
        state.make_wakeup()
        if armed:
            state.arm_wakeup()
        lib.gevent_loop_reinit(state.c)

    def abandon(self):
        """Give up, in a forked child, what a process has once: signals, and the place of the default loop. It is not run any more.

        What waits on it waits for ever. The main thread's next hub makes a default loop of its own.

        .. versionadded:: 26.11.0
        """
        global _default_state
        state = _check(self)
        state.give_up_signals()
        state.drop_wakeup()
        if state.is_default:
            _default_state = None
            state.is_default = False

    def install_sigchld(self):
        """Take SIGCHLD for this loop's child watchers. Only the default loop can; TypeError on another.

        Where children are watched by pidfd nothing needs it.
        """
        state = _check(self)
        if not state.is_default:
            raise TypeError("SIGCHLD belongs to the default loop: child watchers on another loop need pidfd_open(2)")
        state.take_sigchld()

    def reset_sigchld(self):
        """Give SIGCHLD back to whoever had it.

        .. versionadded:: 26.11.0
        """
        state = _check(self)
        if state.sigchld_on:
            state.release_sigchld()

    def closing_fd(self, fd):
        """To be called before *fd* is closed while watchers may be started on it; stops them. Returns whether there were any.

        .. versionadded:: 26.11.0
        """
        state = _check(self)
        fd = _contract.check_fd(fd)
        found = [each for each in state.slots if isinstance(each, io) and each.fd == fd]
        for each in found:
            each.stop()
        return bool(found)

    # -- watchers

    def io(self, fd, events, ref=True, priority=None):
        """A watcher of the descriptor *fd* for READ (1), WRITE (2) or both."""
        return io(self, fd, events, ref, priority)

    def timer(self, after, repeat=0.0, ref=True, priority=None):
        """A watcher that fires *after* seconds, then every *repeat* seconds if that is not 0."""
        return timer(self, after, repeat, ref, priority)

    def signal(self, signum, ref=True, priority=None):
        """A watcher of a signal. One loop of the process at a time can watch a signal."""
        return signal(self, signum, ref, priority)

    def idle(self, ref=True, priority=None):
        """A watcher that fires when nothing of its priority or a higher one is pending."""
        return idle(self, ref, priority)

    def prepare(self, ref=True, priority=None):
        """A watcher that fires before each poll."""
        return prepare(self, ref, priority)

    def check(self, ref=True, priority=None):
        """A watcher that fires after each poll."""
        return check(self, ref, priority)

    def fork(self, ref=True, priority=None):
        """A watcher that fires in a forked child, after :meth:`reinit`."""
        return fork(self, ref, priority)

    def async_(self, ref=True, priority=None):
        """A watcher that fires when another native thread calls its ``send``."""
        return async_(self, ref, priority)

    def __getattr__(self, name):
        if name == "async":  # its name in gevent 1.1, now a keyword
            return self.async_
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def child(self, pid, trace=0, ref=True):
        """A watcher of the end of the child process *pid*; with *trace*, also of its being stopped and continued.

        TypeError on a loop other than the default one where the kernel has no pidfd_open(2), and for *pid* 0 (any child) or *trace*.
        """
        return child(self, pid, trace, ref)

    def stat(self, path, interval=0.0, ref=True, priority=None):
        """A watcher of the attributes of the file at *path*, looked at every *interval* seconds (0: as libev thinks best)."""
        return stat(self, path, interval, ref, priority)


_ONCE = (None,)


def _run_signal_handlers():
    """Call Python's handlers of the signals that have come, in the main thread.

    PyPy's own sign of them is the number of steps until it looks: a signal sets it to -1, and is overlooked for thousands of steps if
    another thread was just about to count one down. To send a signal to a thread is one of few things for which it looks in any case.
    """
    _pthread_kill(get_ident(), 0)


class callback:
    """callback(callback, args)

    A call that is queued in a loop. True from being queued until it has returned; :attr:`pending` until it begins.
    """

    __slots__ = ("__weakref__", "_loop", "_ticket", "args", "callback")

    def __init__(self, callback, args):
        if type(args) is not tuple:
            raise TypeError(f"args must be a tuple, not {args!r}")
        self.callback = callback
        self.args = args
        self._loop = None
        self._ticket = 0

    @property
    def loop(self):
        """The loop that it was queued in."""
        return self._loop

    def stop(self):
        """Keep the call from being made, if it was not begun."""
        self.callback = None
        self.args = None
        if self._ticket and self._loop is not None:
            self._loop.forget(self._ticket)
            self._ticket = 0

    close = stop

    def __bool__(self):
        return self.args is not None

    @property
    def pending(self):
        return self.callback is not None

    def __repr__(self):
        text = "pending" if self.pending else "stopped" if self.args is None else "running"
        return f"<callback at {id(self):#x} {text} callback={self.callback!r} args={self.args!r}>"


# ---- Parks -------------------------------------------------------------------------------------------------------------------

_IDLE_PARK = 0  # nobody waits
_PARKED = 1  # the greenlet is away
_WOKEN = 2  # wake() queued the greenlet
_EXPIRED = 3  # the timer did
_FAILED = 4  # fail() did
_AWAITED = 5  # wake() came before the greenlet left

_INFINITY = float("inf")


def _seconds(timeout):
    """A time limit for C: -1 means none."""
    if timeout is None:
        return -1.0
    if isinstance(timeout, (str, bytes)):  # float() would read them
        raise TypeError(f"must be real number, not {type(timeout).__name__}")
    seconds = float(timeout)
    if seconds != seconds:
        raise ValueError("a timeout cannot be NaN")
    if seconds == _INFINITY:
        return -1.0
    return seconds if seconds > 0 else 0.0


class Park:
    """One greenlet that waits, or one callback that is to be called; also a node of the list it waits in.

    Made by :meth:`loop.park` and :meth:`loop.park_call`. ``prev``, ``next`` and ``queue`` belong to the
    :class:`gevent._waiting.WaitQueue` that it stands in.
    """

    # _c is the C struct of the timer, and of the descriptor; a plain park has one only while its timer is started.
    __slots__ = (
        "_c",
        "_error",
        "_later",
        "_park_state",
        "_started",
        "_ticket",
        "_unref",
        "callback",
        "greenlet",
        "in_line",  # its greenlet has to pass on what it was called for, also when it is left behind
        "left_behind",  # so it is, and wait() has returned for that sake only
        "loop",
        "next",
        "owner",
        "prev",
        "queue",
        "revents",
    )

    def __init__(self, loop, owner=None, callback=None, unref=False):
        self.loop = loop
        self.owner = owner
        self.callback = callback
        self.greenlet = None
        self.prev = self.next = self.queue = None
        self.revents = 0
        self._park_state = _IDLE_PARK
        self._ticket = 0
        self._unref = unref
        self.in_line = self.left_behind = False
        self._started = False  # it has a slot
        self._later = False  # made by call_later, and the timer runs
        self._error = None
        self._c = None

    def wait(self, timeout=None):
        """Leave the current greenlet until :meth:`wake` (True), or for *timeout* seconds (False).

        Whatever is thrown into the greenlet comes out of here. Raises BlockingSwitchOutError in the hub,
        ConcurrentObjectUseError when a greenlet waits here already, InvalidSwitchError when somebody else switches to us.
        """
        return self._block(_seconds(timeout))

    def _start(self, state, seconds, priority=-1):
        """Start the timer."""
        c = state.spare.pop() if state.spare else None
        if c is None:
            c = ffi.new("gevent_park *")
            lib.gevent_park_init(c)
        c.slot = state.occupy(self)
        self._c = c
        self._started = True
        lib.gevent_park_start(state.c, c, 0, seconds, self._unref, priority)

    def _stop(self, state):
        """Undo :meth:`_start`."""
        self._started = self._later = False
        c, self._c = self._c, None
        if state.alive:
            lib.gevent_park_stop(state.c, c)
            state.vacate(c.slot)
            if len(state.spare) < _SPARE_PARKS:
                state.spare.append(c)

    def _block(self, seconds):
        state = _check(self.loop)
        current = getcurrent()
        hub = state.hub
        if current is hub or current is state.runner or hub is None:
            _refuse_to_block(state)
        if self.greenlet is not None:
            self._refuse_second()
        if state.thread != get_ident():
            raise RuntimeError(f"{self.owner!r} belongs to the event loop of another native thread")
        if self._park_state == _AWAITED:
            self._park_state = _IDLE_PARK
            return True
        self.greenlet = current
        self._park_state = _PARKED
        self._ticket = 0
        try:
            if seconds >= 0 or self._c is not None:
                self._start(state, seconds)
            switch_out = getattr(current, "switch_out", None)
            if switch_out is not None:
                switch_out()
            _go(hub, "switch", _NO_ARGUMENTS)
        finally:
            park_state = self._park_state
            queued = self._end_wait(state)
        if _left_behind is not None and current in _left_behind:
            self._error = None
            if self.in_line:
                self.left_behind = True
                return False
            self.stay_away()
        if not queued:
            if park_state == _WOKEN:
                return True
            if park_state == _EXPIRED:
                return False
            if park_state == _FAILED:
                error, self._error = self._error, None
                raise error
        raise InvalidSwitchError(
            f"{getcurrent()!r}, which waits on {self.owner!r}, was switched to before what it waits for happened"
        )

    def _end_wait(self, state):
        """End the wait: nothing is started or queued for it any more. Returns whether it was queued."""
        queued = False
        if self._started:
            self._stop(state)
        if self._ticket:
            queued = state.forget(self._ticket)
            self._ticket = 0
        self.greenlet = None
        self._park_state = _IDLE_PARK
        return queued

    def evict(self):
        """Have nobody wait here who was left behind; returns whether nobody waits here."""
        if _left_behind is not None and self.greenlet in _left_behind:
            # It waited for the parent's thread, say for connections. Here somebody else may do so.
            self._end_wait(self.loop._state)
            self._error = None
        return self.greenlet is None

    def stay_away(self):
        """Leave the current greenlet, which was left behind (:attr:`left_behind`), for good."""
        _stay_away(self.loop._state)

    def _take(self):
        """Its timer, or its descriptor, had an event."""
        c = self._c
        if not c.queued:
            return
        c.queued = 0
        if self._later:
            self._stop(self.loop._state)
            self.wake()
        elif self._park_state == _PARKED:
            revents = c.revents & 0xFFFFFFFF
            if revents == TIMER:
                self._park_state = _EXPIRED
            elif revents == _ERROR_BIT:
                fd = lib.gevent_park_fd(c)
                self._error = OSError(EBADF, f"{os.strerror(EBADF)}: descriptor {fd} was closed while it was waited on")
                self._park_state = _FAILED
            else:
                self.revents = revents
                self._park_state = _WOKEN
            self._ticket = self.loop._state.push(self.greenlet)

    def _abandon(self):
        """The loop is being destroyed."""
        if self._later:
            self.cancel()

    def wake(self):
        """Queue the greenlet, or the call. False if it does not wait any more, or never can; then nothing happens.

        A greenlet that has not left yet will not: its :meth:`wait` returns at once. So who makes a park known to others before it waits
        misses nothing. From another native thread it is posted to the loop, and True only means that.
        """
        state = self.loop._state
        if state.thread != get_ident():
            return state.post(self)
        if self.callback is not None:
            if self._ticket or not state.open:
                return False
            self._ticket = state.push((_run_link, (self,)))
            return True
        if not state.open:
            return False
        if self._park_state != _PARKED:
            if self._park_state != _IDLE_PARK:
                return False
            self._park_state = _AWAITED
            return True
        self._park_state = _WOKEN
        self._queue(state)
        return True

    def fail(self, error):
        """Queue the greenlet, with *error* raised from its :meth:`wait`. False if it was not waiting."""
        state = self.loop._state
        if self._park_state != _PARKED or not state.alive:
            return False
        self._error = error
        self._park_state = _FAILED
        self._queue(state)
        return True

    def _queue(self, state):
        """Queue the greenlet of a park whose state says why."""
        if self._started:
            lib.gevent_park_stop_timer(state.c, self._c)
        self._ticket = state.push(self.greenlet)

    def cancel(self):
        """Take a queued call back; True if that was in time. It will not be made, now or later, unless it was begun.

        In another native thread than the loop's the entry stays queued, and does nothing; the result is False.
        """
        state = self.loop._state
        queued = False
        if state.thread == get_ident():
            queued = self._ticket != 0 and state.forget(self._ticket)
            if self._later:
                self._stop(state)
            self._ticket = 0
        self.callback = self.owner = None
        return queued

    @property
    def pending(self):
        """Whether a call is still to come."""
        return self.callback is not None

    @property
    def waiting(self):
        """Whether a greenlet is away here and nothing has woken it."""
        return self._park_state == _PARKED

    def _refuse_second(self):
        if self.evict():
            return
        raise ConcurrentObjectUseError(f"{self.owner!r} is already being waited on by {self.greenlet!r}")

    def __repr__(self):
        what = f"call of {self.callback!r}" if self.callback is not None else f"{self.greenlet!r}"
        return f"<{type(self).__name__} at {id(self):#x} of {what} on {self.owner!r}>"


def _run_link(park):
    callback, owner = park.callback, park.owner
    park.callback = park.owner = None  # the owner may keep this park, in case it is unlinked
    park._ticket = 0
    if callback is not None:
        callback(owner)


class IOPark(Park):
    """A park that also wakes when a descriptor is ready. A socket keeps one for each direction."""

    __slots__ = ("closed",)

    def __init__(self, loop):
        Park.__init__(self, loop)
        self.closed = False
        self._c = ffi.new("gevent_park *")
        lib.gevent_park_init(self._c)

    def set(self, fd, events):
        """Say which descriptor and events to wait for. ConcurrentObjectUseError while somebody waits."""
        if self.greenlet is not None:
            self._refuse_second()
        if type(fd) is not int or type(events) is not int or fd < 0 or fd > 0x7FFFFFFF or events <= 0 or events & ~READWRITE:
            fd = _contract.check_fd(fd)
            events = _contract.check_io_events(events or -1)
        lib.gevent_park_set(self._c, fd, events)
        return True

    def wait_io(self, timeout=None, ref=True):
        """Wait until the descriptor is ready (True) or *timeout* seconds have passed (False). OSError if it is not open."""
        if self.greenlet is not None:
            self._refuse_second()
        self._unref = not ref
        seconds = -1.0 if timeout is None else _seconds(timeout)
        _check(self.loop)
        if self.closed:
            raise OSError(EBADF, os.strerror(EBADF))
        woken = self._block(seconds)
        if woken and self.revents & _ERROR_BIT:
            # libev could not watch the descriptor, and has given it up.
            raise OSError(EBADF, os.strerror(EBADF))
        return woken

    def _start(self, state, seconds, priority=-1):
        c = self._c
        c.slot = state.occupy(self)
        self._started = True
        if lib.gevent_park_start(state.c, c, 1, seconds, self._unref, priority):
            raise MemoryError("no memory for one more watcher")

    def _stop(self, state):
        self._started = False
        if state.alive:
            lib.gevent_park_stop(state.c, self._c)
            state.vacate(self._c.slot)

    def close(self, error):
        """Wake the greenlet that waits, if any, with *error* raised, and accept no more waits: the descriptor is being closed."""
        self.closed = True
        if self._started and self.loop._state.alive:
            lib.gevent_park_stop(self.loop._state.c, self._c)
        return self.fail(error)


# ---- Watchers ----------------------------------------------------------------------------------------------------------------


class watcher:
    """The common part of all watchers: start it with a callback, stop it, see its state.

    A started watcher keeps itself alive, with its callback and arguments, until it is stopped or its loop destroyed.
    """

    __slots__ = ("__weakref__", "_args", "_c", "_callback", "_listed", "_loop")

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        self._loop = self._c = self._callback = self._args = None
        self._listed = False  # it has a slot, which keeps it alive
        return self

    def __init__(self):
        raise TypeError("watcher is the base of the watchers: make one with a method of a loop, such as loop.io()")

    def _setup(self, loop, ref, priority, kind, number=0, events=0, after=0.0, repeat=0.0, path=_NULL):
        if self._listed:
            raise AttributeError(f"{self!r} is started: it cannot be made anew")
        if priority is not None:
            priority = _contract.check_priority(priority)
        c = ffi.new("gevent_watcher *")
        lib.gevent_watcher_init(c, kind, number, events, after, repeat, path)
        c.unref = not ref
        if priority is not None:
            c.w.priority = priority
        self._c = c
        self._loop = loop

    def _open_state(self):
        if self._loop is None:
            raise ValueError(_DESTROYED)
        return _check(self._loop)

    def _alive_state(self):
        """The state, or None if it is destroyed."""
        state = None if self._loop is None else self._loop._state
        return state if state is not None and state.alive else None

    def _begin(self, callback, args):
        """Check and remember what to call."""
        state = self._open_state()
        self._callback = _contract.check_callback(callback)
        self._args = args
        return state

    def _start(self, state):
        number = self._lib_start(state)
        if number:
            self._callback = self._args = None
            self._refuse_start(number)
        if not self._listed:
            self._enlist(state)

    def _lib_start(self, state):
        if not self._listed:
            self._enlist(state)
        number = lib.gevent_start(state.c, self._c)
        if number == EBUSY and _give_up_signals():
            number = lib.gevent_start(state.c, self._c)
        if number:
            self._delist(state)
        return number

    def _refuse_start(self, number):
        raise MemoryError("no memory for one more watcher")

    def _enlist(self, state):
        self._listed = True
        self._c.slot = state.occupy(self)

    def _delist(self, state):
        if self._listed:
            self._listed = False
            state.vacate(self._c.slot)

    def _stop_now(self):
        """Stop it, whatever its state, and forget the callback."""
        state = self._alive_state()
        if state is None:
            return
        forgotten = self._callback, self._args  # released last, since that may run anything
        lib.gevent_stop(state.c, self._c)
        self._callback = self._args = None
        self._delist(state)
        del forgotten

    def _abandon(self):
        """The loop is being destroyed."""
        self._stop_now()

    def _take(self):
        c = self._c
        if c.queued:
            c.queued = 0
            self._fire(c.revents & 0xFFFFFFFF)

    def _fire(self, revents):
        owner = self._loop
        state = owner._state
        c = self._c
        callback, args = self._callback, self._args
        if not c.w.active:
            lib.gevent_uncount(state.c, c)
        if callback is not None:
            try:
                if args and args[0] is EVENTS:
                    args = (revents, *args[1:])
                if args:
                    callback(*args)
                else:
                    callback()
            except HubDestroyed:
                raise
            except BaseException as error:
                self._failed(owner, error)
        if self._listed and state.alive and not c.w.active and not c.w.pending and not c.queued:
            # libev stopped it by itself: a timer that does not repeat, a descriptor that cannot be watched, a fed event.
            lib.gevent_uncount(state.c, c)
            self._callback = self._args = None
            self._delist(state)

    def _failed(self, owner, error):
        owner._report(self, error)

    # -- what everybody may do

    @property
    def loop(self):
        """The loop that it is started on."""
        return self._loop

    def start(self, callback, *args):
        """Call ``callback(*args)`` in the hub for each event. TypeError unless *callback* can be called."""
        self._start(self._begin(callback, args))

    def stop(self):
        """Ignore further events, and those that came but were not handled. Does nothing if it is not started."""
        self._open_state()
        self._stop_now()

    def close(self):
        """Stop it, also when the loop is gone.

        .. versionadded:: 26.11.0
        """
        self._stop_now()

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb):
        self.close()

    def feed(self, revents, callback, *args):
        """Act as if *revents* had happened: ``callback(*args)`` is called in this round of the loop."""
        self._open_state()
        mask = _contract.index(revents, "an event mask")
        state = self._begin(callback, args)
        if not self._listed:
            self._enlist(state)
        lib.gevent_feed(state.c, self._c, mask)

    @property
    def callback(self):
        """What is called for an event; None when not started."""
        return self._callback

    @callback.setter
    def callback(self, callback):
        if callback is not None:
            _contract.check_callback(callback)
        self._callback = callback

    @callback.deleter
    def callback(self):
        self._callback = None

    @property
    def args(self):
        """What the callback is called with; None when not started."""
        return self._args

    @args.setter
    def args(self, args):
        if args is not None and type(args) is not tuple:
            raise TypeError(f"args must be a tuple or None, not {args!r}")
        self._args = args

    @args.deleter
    def args(self):
        self._args = None

    @property
    def active(self):
        """Whether it is started."""
        return self._c is not None and bool(self._c.w.active)

    @property
    def pending(self):
        """Whether an event came that was not handled yet."""
        return self._c is not None and bool(self._c.w.pending or self._c.queued)

    @property
    def ref(self):
        """Whether it keeps the loop running while it is started."""
        return self._c is not None and not self._c.unref

    @ref.setter
    def ref(self, value):
        state = self._open_state()
        lib.gevent_set_ref(state.c, self._c, bool(value))

    @property
    def priority(self):
        """From -2 to 2; of events of one moment the higher ones come first. Not to be changed while started."""
        self._open_state()
        return self._c.w.priority

    @priority.setter
    def priority(self, priority):
        self._refuse_if_active("priority")
        self._c.w.priority = _contract.check_priority(priority)

    def _refuse_if_active(self, name):
        self._open_state()
        if self.active or self._c.w.pending or self._c.queued:
            raise AttributeError(f"cannot set {name} of {self!r} while it is started: stop it first")

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}{self._describe()}{self._describe_state()}>"

    def _describe(self):
        return ""

    def _describe_state(self):
        if self._alive_state() is None:
            return " destroyed"
        text = ""
        if self.active:
            text += " active"
        if self.pending:
            text += " pending"
        if self._callback is not None:
            text += f" callback={self._callback!r}"
        if self._args:
            text += f" args={self._args!r}"
        return text


def _check_loop(owner):
    if not isinstance(owner, loop):
        raise TypeError(f"a watcher needs a loop, not {owner!r}")
    _check(owner)


class io(watcher):
    """io(loop, fd, events, ref=True, priority=None)

    Watches the descriptor *fd*; *events* is READ (1), WRITE (2) or both. ValueError for a negative *fd* or another mask.
    """

    __slots__ = ()

    def __init__(self, loop, fd, events, ref=True, priority=None):
        fd = _contract.check_fd(fd)
        events = _contract.check_io_events(events)
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_IO, fd, events)

    def start(self, callback, *args, pass_events=False):
        """Call ``callback(*args)`` whenever the descriptor is ready; with *pass_events*, the events come before *args*."""
        if pass_events:
            args = (EVENTS, *args)
        self._start(self._begin(callback, args))

    def _refuse_start(self, number):
        if number == EBADF:
            raise OSError(EBADF, f"{os.strerror(EBADF)}: descriptor {self.fd} is not open")
        watcher._refuse_start(self, number)

    def _failed(self, owner, error):
        try:
            owner._report(self, error)
        finally:
            # The descriptor stays ready, so the same failure would come again at once, for ever.
            self._stop_now()

    @property
    def fd(self):
        return 0 if self._c is None else lib.gevent_io_fd(self._c)

    @fd.setter
    def fd(self, fd):
        self._refuse_if_active("fd")
        lib.gevent_io_set(self._c, _contract.check_fd(fd), lib.gevent_io_events(self._c))

    @property
    def events(self):
        return 0 if self._c is None else lib.gevent_io_events(self._c)

    @events.setter
    def events(self, events):
        self._refuse_if_active("events")
        lib.gevent_io_set(self._c, lib.gevent_io_fd(self._c), _contract.check_io_events(events))

    @property
    def events_str(self):
        return _contract.events_to_text(self.events)

    def _describe(self):
        return f" fd={self.fd} events={self.events_str}"


class timer(watcher):
    """timer(loop, after=0.0, repeat=0.0, ref=True, priority=None)

    Fires *after* seconds, then every *repeat* seconds. ValueError for a negative *repeat*; a negative *after* counts as 0.
    """

    __slots__ = ("_after", "_repeat")

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        self._after = self._repeat = 0.0
        return self

    def __init__(self, loop, after=0.0, repeat=0.0, ref=True, priority=None):
        after = _contract.check_after(after)
        repeat = _contract.check_repeat(repeat)
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_TIMER, after=after, repeat=repeat)
        self._after = after
        self._repeat = repeat

    def start(self, callback, *args, update=True):
        """Call ``callback(*args)`` when the time has come, counted from now.

        With *update* false, counted from the loop's time, which is that of the last poll: cheaper, and less exact.
        """
        state = self._begin(callback, args)
        if not self._c.w.active:
            lib.gevent_timer_set(state.c, self._c, self._after, self._repeat, update or update is None)
        self._start(state)

    def again(self, callback, *args, update=True):
        """Start it, or begin its time of *repeat* seconds anew if it is started. Without *repeat*, stop it."""
        state = self._begin(callback, args)
        lib.gevent_timer_set(state.c, self._c, self._repeat, self._repeat, update or update is None)
        if self._repeat > 0:
            self._start(state)
            lib.gevent_timer_again(state.c, self._c)
        else:
            self._stop_now()

    @property
    def at(self):
        """When it fires next, on libev's monotonic clock, if started."""
        return 0.0 if self._c is None else lib.gevent_timer_at(self._c)

    @property
    def after(self):
        return self._after

    @property
    def repeat(self):
        return self._repeat

    def _describe(self):
        return f" after={self._after} repeat={self._repeat}"


class signal(watcher):
    """signal(loop, signalnum, ref=True, priority=None)

    Fires when the process gets the signal. ValueError for a number that is no signal; :meth:`start` raises RuntimeError when
    another loop watches that signal.
    """

    __slots__ = ("_signalnum",)

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        self._signalnum = 0
        return self

    def __init__(self, loop, signalnum, ref=True, priority=None):
        number = _contract.check_signal_number(signalnum)
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_SIGNAL, number)
        self._signalnum = number

    @property
    def signalnum(self):
        return self._signalnum

    def _refuse_start(self, number):
        if number == EBUSY:
            raise _watched_elsewhere(self._signalnum)
        watcher._refuse_start(self, number)

    def _describe(self):
        return f" signalnum={self._signalnum}"


class idle(watcher):
    """idle(loop, ref=True, priority=None)

    Fires in each round of the loop in which nothing of the same or a higher priority is pending; the loop does not sleep meanwhile.
    """

    __slots__ = ()

    def __init__(self, loop, ref=True, priority=None):
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_IDLE)


class prepare(watcher):
    """prepare(loop, ref=True, priority=None)

    Fires before each poll.
    """

    __slots__ = ()

    def __init__(self, loop, ref=True, priority=None):
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_PREPARE)


class check(watcher):
    """check(loop, ref=True, priority=None)

    Fires after each poll.
    """

    __slots__ = ()

    def __init__(self, loop, ref=True, priority=None):
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_CHECK)


class fork(watcher):
    """fork(loop, ref=True, priority=None)

    Fires in a forked child once its loop was told so (:meth:`loop.reinit`), before the loop polls there for the first time.
    """

    __slots__ = ()

    def __init__(self, loop, ref=True, priority=None):
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_FORK)


class async_(watcher):
    """async_(loop, ref=True, priority=None)

    Fires after :meth:`send`, which any native thread may call; several calls may be one event.
    """

    __slots__ = ()

    def __init__(self, loop, ref=True, priority=None):
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_ASYNC)

    def send(self):
        """Make it fire, and wake the loop. Safe in any native thread; ValueError when the loop is destroyed."""
        if not lib.gevent_send(self._open_state().c, self._c):
            raise ValueError(_DESTROYED)

    def send_ignoring_arg(self, _ignored):
        """:meth:`send`, for use as a link callback.

        .. versionadded:: 26.11.0
        """
        self.send()

    @property
    def pending(self):
        """Whether it was sent, or an event came, that was not handled yet."""
        return self._c is not None and bool(lib.gevent_async_pending(self._c) or self._c.w.pending or self._c.queued)


class stat(watcher):
    """stat(loop, path, interval=0.0, ref=True, priority=None)

    Fires when the attributes of the file at *path* change, also when it appears or goes away.
    """

    __slots__ = ("_path", "_path_c")

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        self._path = self._path_c = None
        return self

    def __init__(self, loop, path, interval=0.0, ref=True, priority=None):
        every = _contract.check_repeat(interval)
        name = ffi.new("char[]", _contract.path_to_bytes(path))
        _check_loop(loop)
        self._setup(loop, ref, priority, lib.GEVENT_STAT, repeat=every, path=name)
        self._path = path
        self._path_c = name  # what libev points to

    @property
    def path(self):
        return self._path

    def _read(self, before):
        numbers = ffi.new("long long[7]")
        times = ffi.new("double[3]")
        if self._c is None or not lib.gevent_stat_read(self._c, before, numbers, times):
            return None
        return os.stat_result((*numbers, *times))

    @property
    def attr(self):
        """What stat(2) gave last, as :class:`os.stat_result`; None if there was no file."""
        return self._read(0)

    @property
    def prev(self):
        """What stat(2) gave before the last change; None if there was no file."""
        return self._read(1)

    @property
    def interval(self):
        return 0.0 if self._c is None else lib.gevent_stat_interval(self._c)

    def _describe(self):
        return f" path={self._path!r} interval={self.interval}"


# ---- Children: see cext.pyx --------------------------------------------------------------------------------------------------

_pidfd_works = None  # not tried yet


def _have_pidfd():
    global _pidfd_works
    choice = _config.child_watcher
    if choice is not None and choice != "pidfd" and choice != "sigchld":
        raise ValueError(f"GEVENT_CHILD_WATCHER must be pidfd or sigchld, not {choice!r}")
    if choice == "sigchld":
        return False
    if _pidfd_works is None:
        fd = lib.gevent_pidfd_open(os.getpid())
        _pidfd_works = fd >= 0
        if fd >= 0:
            os.close(fd)
    if choice == "pidfd" and not _pidfd_works:
        raise OSError("GEVENT_CHILD_WATCHER asks for pidfd, but pidfd_open(2) does not work here")
    return _pidfd_works


class child(watcher):
    """child(loop, pid, trace=0, ref=True)

    Fires when the child process *pid* has ended; it is reaped then, and ``rstatus`` has its wait status: all watchers of the child
    are told, whoever asked the kernel. With *trace*, also when it was stopped or continued. *pid* 0: any child. A watcher of one
    *pid* is stopped once that has ended.

    .. versionchanged:: 26.11.0
       When somebody outside of gevent has waited for the child, so that its status cannot be known, that of ``exit(255)`` is told.
    """

    # _claim: with the reaper, while started. _fed: by feed(), and not called yet.
    __slots__ = ("_claim", "_fed", "_pid", "_pidfd", "_trace", "rpid", "rstatus")

    def __new__(cls, *args, **kwargs):
        self = super().__new__(cls)
        self._claim = None
        self._pidfd = -1
        self._pid = self.rpid = self.rstatus = 0
        self._trace = self._fed = False
        return self

    def __init__(self, loop, pid, trace=0, ref=True):
        number = _contract.index(pid, "a process id")
        _check_loop(loop)
        if number < 0:
            raise ValueError(f"a process id cannot be negative: {pid!r}")
        if number > 0x7FFFFFFF:
            raise OverflowError(f"{pid!r} is too large for a process id")
        if not loop._state.is_default and (number == 0 or trace or not _have_pidfd()):
            raise TypeError("child watchers on a loop other than the default one need pidfd_open(2), a pid, and no trace")
        self._setup(loop, ref, None, lib.GEVENT_SIGNAL, _signal.SIGCHLD)
        self._pid = number
        self._trace = bool(trace)

    @property
    def pid(self):
        return self._pid

    @property
    def by_signal(self):
        """Whether it is SIGCHLD that makes a started watcher ask: a handler installed later may keep that from it.

        .. versionadded:: 26.11.0
        """
        return self.active and self._pidfd < 0

    def _lib_start(self, state):
        c = self._c
        if c.w.active:
            return lib.gevent_start(state.c, c)
        if self._pid and not self._trace and _have_pidfd():
            self._pidfd = lib.gevent_pidfd_open(self._pid)
            if self._pidfd < 0 and not state.is_default:
                number = ffi.errno
                self._callback = self._args = None
                raise OSError(number, f"pidfd_open(2) failed for process {self._pid}: {os.strerror(number)}")
        priority = c.w.priority
        if self._pidfd >= 0:
            lib.gevent_watcher_init(c, lib.GEVENT_IO, self._pidfd, READ, 0.0, 0.0, _NULL)
        else:
            lib.gevent_watcher_init(c, lib.GEVENT_SIGNAL, _signal.SIGCHLD, 0, 0.0, 0.0, _NULL)
        c.w.priority = priority
        number = watcher._lib_start(self, state)
        if number:
            self._close_pidfd()
            return number
        if self._pidfd < 0:
            lib.gevent_feed(state.c, c, CHILD)  # it may have ended before SIGCHLD was ours
        self._claim = claim(self._pid, self._trace)
        return 0

    def _refuse_start(self, number):
        if number == EBUSY:
            raise _watched_elsewhere(_signal.SIGCHLD)
        watcher._refuse_start(self, number)

    def _close_pidfd(self):
        if self._pidfd >= 0:
            fd, self._pidfd = self._pidfd, -1
            os.close(fd)

    def _stop_now(self):
        started = self.active and self._alive_state() is not None
        self._fed = False
        watcher._stop_now(self)
        if started:
            self._close_pidfd()
            release(self._claim)

    def feed(self, revents, callback, *args):
        """Act as if *revents* had happened: ``callback(*args)`` is called in this round of the loop."""
        watcher.feed(self, revents, callback, *args)
        self._fed = True

    def _take(self):
        c = self._c
        if not c.queued:
            return
        c.queued = 0
        if not self._fed:
            self._ask()
            return
        self._fed = False
        revents = c.revents & 0xFFFFFFFF
        self._fire(revents)
        if revents & (SIGNAL | READ):  # the real event came in the same round
            self._ask()

    def _ask(self):
        try:
            self._collect(self._loop._state)
        except HubDestroyed:
            raise
        except BaseException as error:
            # Such as what a program's signal handler has raised in the middle; then the end of the child is still there to be asked for.
            self._loop._report(self, error)

    def _collect(self, state):
        """Ask for what happened, and call back for each change."""
        while state.alive and self._c.w.active:
            try:
                told = collect(self._claim, True)
            except ChildProcessError:
                # Somebody else took the status, so nobody can know it any more. Not to fire would leave our user waiting.
                told = (self._pid, UNKNOWN_STATUS) if self._pid else None
            if told is None:
                break
            self.rpid, self.rstatus = told
            self._fire(CHILD)
            if self._pid and (os.WIFEXITED(self.rstatus) or os.WIFSIGNALED(self.rstatus)):
                if state.alive and self._c.w.active:
                    self._stop_now()
                break

    def _describe(self):
        return f" pid={self._pid} rpid={self.rpid} rstatus={self.rstatus}"


# gevent 1.1's spelling, a keyword since Python 3.7: reachable with getattr() only.
globals()["async"] = async_
