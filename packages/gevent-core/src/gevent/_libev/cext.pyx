"""The event loop in Cython: libev, its watchers, a ready queue of greenlets, and the parked wait.

How it works
============
*The ready queue* is a ring of entries: a greenlet to switch to, or a callback to call. ``loop.ready()`` puts a greenlet in,
``loop.run()`` takes entries out in batches and polls libev between batches. An entry has a ticket, its position in the ring, by
which it can be taken back (``forget``) as long as it has not run: a greenlet that is killed while its wake-up is queued takes the
wake-up back, so that it is never switched to for something it no longer waits for.

*A park* is one greenlet that waits. ``Park.wait`` starts a libev timer if there is a time limit, leaves the greenlet, and cleans
up however it comes back. ``wake`` queues the greenlet. The C callbacks of the park's timer and descriptor watcher do the same:
between an event in the kernel and the switch to the greenlet no Python code runs and no Python object is made.

*Switching.* A greenlet that parks switches to the hub, or, while the hub is in the middle of a batch, straight to the next ready
greenlet ("hand-over"): the order is that of the queue either way, at half the switches. Each batch is bounded in number and time,
so that a chain of greenlets that wake one another cannot keep the loop from polling.

*Threads.* All of a loop belongs to one native thread. Others may only *post*: a list under the lock of all loops, and an
``ev_async`` that tells the loop. ``ready``, ``run_callback`` and ``Park.wake`` called from another thread post by themselves.

*Signals and children.* libev's "default loop" is never used: it would take SIGCHLD and reap every child of the process. What is
the default loop here is an ordinary one that the main thread's hubs share.
"""
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.object cimport PyObject, PyTypeObject
from cpython.pythread cimport (
    PY_LOCK_ACQUIRED,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    WAIT_LOCK,
)
from cpython.ref cimport Py_CLEAR, Py_DECREF, Py_INCREF, Py_XDECREF, Py_XINCREF
from libc.errno cimport EBADF, errno
from libc.math cimport INFINITY, ceil
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport strerror

from gevent._greenlet_api cimport (
    PyGreenlet_GetCurrent,
    PyGreenlet_Import,
    PyGreenlet_STARTED,
    PyGreenlet_Switch,
    greenlet,
)
from gevent._libev cimport libev

import os
import sys

import _signal      # not signal: that imports enum, for names that nobody here needs

from greenlet import GreenletExit

from gevent._config import config as _config
from gevent._libev import contract as _contract
from gevent._reaper import UNKNOWN_STATUS as _UNKNOWN_STATUS
from gevent._reaper import claim as _claim_child
from gevent._reaper import collect as _collect_child
from gevent._reaper import release as _release_child
from gevent.exceptions import (
    BlockingSwitchOutError,
    ConcurrentObjectUseError,
    HubDestroyed,
    InvalidSwitchError,
)

cdef extern from "Python.h":
    ctypedef struct PyThreadState
    PyThreadState* PyEval_SaveThread() nogil
    void PyEval_RestoreThread(PyThreadState*) nogil
    int PyCallable_Check(object)
    PyTypeObject* Py_TYPE(PyObject*)
    unsigned long Py_TPFLAGS_HEAPTYPE

cdef extern from "Python.h" nogil:
    ctypedef long long PY_TIMEOUT_T     # microseconds
    int PyThread_acquire_lock_timed(void* lock, PY_TIMEOUT_T limit, int interruptible)

cdef extern from "chunks.h":
    int gevent_chunk_cache_install(unsigned int limit)
    unsigned int gevent_chunk_cache_size() nogil

cdef extern from "<unistd.h>" nogil:
    int c_close "close"(int fd)
    int getpid()

PyGreenlet_Import()

# ---- Constants ---------------------------------------------------------------------------------------------------------------

UNDEF = libev.EV_UNDEF
NONE = libev.EV_NONE
READ = libev.EV_READ
WRITE = libev.EV_WRITE
READWRITE = libev.EV_READ | libev.EV_WRITE
TIMER = libev.EV_TIMER
PERIODIC = libev.EV_PERIODIC
SIGNAL = libev.EV_SIGNAL
CHILD = libev.EV_CHILD
STAT = libev.EV_STAT
IDLE = libev.EV_IDLE
PREPARE = libev.EV_PREPARE
CHECK = libev.EV_CHECK
EMBED = libev.EV_EMBED
FORK = libev.EV_FORK
CLEANUP = libev.EV_CLEANUP
ASYNC = libev.EV_ASYNC
CUSTOM = libev.EV_CUSTOM
ERROR = <unsigned int>libev.EV_ERROR

MINPRI = libev.EV_MINPRI
MAXPRI = libev.EV_MAXPRI

BACKEND_SELECT = libev.EVBACKEND_SELECT
BACKEND_POLL = libev.EVBACKEND_POLL
BACKEND_EPOLL = libev.EVBACKEND_EPOLL
BACKEND_KQUEUE = libev.EVBACKEND_KQUEUE
BACKEND_DEVPOLL = libev.EVBACKEND_DEVPOLL
BACKEND_PORT = libev.EVBACKEND_PORT
BACKEND_LINUXAIO = libev.EVBACKEND_LINUXAIO
BACKEND_IOURING = libev.EVBACKEND_IOURING

FORKCHECK = libev.EVFLAG_FORKCHECK
NOINOTIFY = libev.EVFLAG_NOINOTIFY
SIGNALFD = libev.EVFLAG_SIGNALFD
NOSIGMASK = libev.EVFLAG_NOSIGMASK

EVENTS = _contract.EVENTS

#: libev is the system's, never compiled in.
LIBEV_EMBED = False

cdef object GEVENT_EVENTS = _contract.EVENTS
cdef object _set_wakeup_fd = _signal.set_wakeup_fd      # as it is before anybody patches it


def get_version():
    """The version of the libev that runs, as ``"libev-4.33"``."""
    return f"libev-{libev.ev_version_major()}.{libev.ev_version_minor():02d}"


def get_header_version():
    """The version of the libev that this module was compiled against."""
    return f"libev-{libev.EV_VERSION_MAJOR}.{libev.EV_VERSION_MINOR:02d}"


def supported_backends():
    """Names of the backends that this libev was built with, for example ``["epoll", "poll", "select"]``."""
    return _contract.flags_to_list(libev.ev_supported_backends())


def recommended_backends():
    """Names of the backends that libev would choose from on this system."""
    return _contract.flags_to_list(libev.ev_recommended_backends())


def embeddable_backends():
    """Names of the backends that can be embedded in another loop."""
    return _contract.flags_to_list(libev.ev_embeddable_backends())


def time():
    """The current time, in seconds since the epoch, as libev sees it."""
    return libev.ev_time()


cdef _print_exception(error):
    """Print where nothing else can be done. By the hook, since the traceback module takes as long to import as all of gevent."""
    sys.__excepthook__(type(error), error, error.__traceback__)


# ---- Errors of libev itself --------------------------------------------------------------------------------------------------

cdef object _syserr_callback = None


def set_syserr_cb(callback):
    """Have *callback*, called with a message and an errno, take the fatal system errors of libev; None for the default.

    The default raises SystemError in the main greenlet. Without either libev would abort the process.
    """
    global _syserr_callback
    if callback is not None and not callable(callback):
        raise TypeError(f"the callback must be callable or None, not {callback!r}")
    _syserr_callback = callback


cdef void _on_system_error(const char* message) noexcept with gil:
    cdef int number = errno
    cdef PyObject* current = <PyObject*>libev.gevent_running_get()
    if current is NULL:
        current = <PyObject*>libev.gevent_tls_get()
    try:
        text = message.decode("utf-8", "replace")
        if _syserr_callback is not None:
            _syserr_callback(text, number)
        else:
            error = SystemError(f"{text}: {strerror(number).decode('utf-8', 'replace')}")
            if current is not NULL:
                (<loop>current).handle_error(None, SystemError, error, None)
            else:
                raise error
    except BaseException:
        _print_exception(sys.exc_info()[1])


libev.ev_set_syserr_cb(<void*>_on_system_error)
if libev.gevent_guard_forks():
    raise MemoryError("pthread_atfork(3) failed")

# ---- The ready queue ---------------------------------------------------------------------------------------------------------

cdef enum:
    EMPTY = 0           # taken back
    SWITCH = 1          # target is a greenlet
    CALL = 2            # target is called with args, a tuple
    CALLBACK = 3        # target is a `callback` object
    WAKE = 4            # target is a Park, posted by another thread

    BATCH = 1024        # entries between two polls, at most, beyond those that were queued when the first was taken
    STRIDE = 8          # entries between two looks at the clock, at most
    CROWD = 512         # those that were queued then may take one more switch interval for each so many of them,
    PATIENCE = 10       # but this many at most

#: Seconds of callbacks and greenlets between two polls, but for what _run_ready() says, and the entry that is running then.
cdef double _switch_interval = 0.005


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


# A look at the clock for each entry would be felt where entries are short, and none for 64 would keep the loop from polling for most of a
# second where each computes for 10 ms. So: the coarse clock every eighth entry, and every one as soon as, and as long as, it has moved
# between two looks.

cdef inline bint _time_is_up(State* s) noexcept:
    """To be asked before each entry of a batch: whether the loop is to poll first."""
    cdef unsigned long long tick
    s.until_look -= 1
    if s.until_look > 0:
        return False
    tick = libev.gevent_coarse_clock()
    if tick == s.tick and _switch_interval >= 0.004:
        s.stride = 2 * s.stride if s.stride < STRIDE else STRIDE
        s.until_look = s.stride
        return False
    s.tick = tick
    s.stride = s.until_look = 1
    return libev.gevent_monotonic() >= (s.deadline if s.head >= s.batch_end else s.last_deadline)


cdef int _grow(State* s) except -1:
    cdef uint64_t size = (s.mask + 1) * 2
    cdef uint64_t i
    cdef Entry* ring = <Entry*>PyMem_RawCalloc(size, sizeof(Entry))
    if ring is NULL:
        raise MemoryError("the ready queue cannot grow")
    for i in range(s.head, s.tail):
        ring[i & (size - 1)] = s.ring[i & s.mask]
    PyMem_RawFree(s.ring)
    s.ring = ring
    s.mask = size - 1
    return 0


cdef inline uint64_t _push(State* s, int kind, PyObject* target, PyObject* args) except 0:
    """Queue an entry; returns its ticket, which is never 0."""
    cdef Entry* entry
    if s.tail - s.head > s.mask:
        _grow(s)
    entry = &s.ring[s.tail & s.mask]
    Py_INCREF(<object>target)
    Py_XINCREF(args)
    entry.kind = kind
    entry.target = target
    entry.args = args
    s.tail += 1
    return s.tail


cdef inline bint _forget(State* s, uint64_t ticket):
    cdef Entry* entry
    cdef PyObject* target
    cdef PyObject* args
    if ticket == 0 or ticket - 1 < s.head or ticket > s.tail:
        return False
    entry = &s.ring[(ticket - 1) & s.mask]
    if entry.kind == EMPTY:
        return False
    entry.kind = EMPTY
    target, args = entry.target, entry.args
    entry.target = entry.args = NULL
    Py_DECREF(<object>target)
    Py_XDECREF(args)
    return True


cdef bint _post(State* s, int kind, PyObject* target, PyObject* args) except -1:
    """Hand an entry to the loop from another native thread, and wake the loop. False if the loop is destroyed."""
    cdef Posted* posted = <Posted*>PyMem_RawMalloc(sizeof(Posted))
    cdef bint gone
    if posted is NULL:
        raise MemoryError("nothing can be posted to the loop")
    Py_INCREF(<object>target)
    Py_XINCREF(args)
    posted.entry.kind = kind
    posted.entry.target = target
    posted.entry.args = args
    posted.next = NULL
    with nogil:
        # The holder never needs the GIL, so this cannot deadlock; it is short, so it hardly ever waits.
        libev.gevent_lock_loops()
        gone = s.ptr is NULL
        if not gone:
            s.posted_end[0] = posted
            s.posted_end = &posted.next
            libev.ev_async_send(s.ptr, &s.inbox)
        libev.gevent_unlock_loops()
    if gone:
        PyMem_RawFree(posted)
        Py_DECREF(<object>target)
        Py_XDECREF(args)
    return not gone


cdef int _must_post(State* s, int kind, PyObject* target, PyObject* args) except -1:
    if not _post(s, kind, target, args):
        raise ValueError("operation on destroyed loop")
    return 0


cdef Posted* _take_posted(State* s) noexcept nogil:
    cdef Posted* first
    libev.gevent_lock_loops()
    first = s.posted
    s.posted = NULL
    s.posted_end = &s.posted
    libev.gevent_unlock_loops()
    return first


cdef void _on_inbox(libev.ev_loop* ptr, void* w, int revents) noexcept:
    """Move what other threads posted to the end of the ready queue."""
    cdef State* s = <State*>libev.ev_userdata(ptr)
    cdef Posted* posted
    cdef Posted* next
    with nogil:
        posted = _take_posted(s)
    while posted is not NULL:
        next = posted.next
        try:
            if posted.entry.kind == WAKE:
                (<Park>posted.entry.target).wake()
            else:
                _push(s, posted.entry.kind, posted.entry.target, posted.entry.args)
        except BaseException:
            _print_exception(sys.exc_info()[1])
        Py_DECREF(<object>posted.entry.target)
        Py_XDECREF(posted.entry.args)
        PyMem_RawFree(posted)
        posted = next


# ---- State: made, shared, released -------------------------------------------------------------------------------------------

cdef State* _default_state = NULL
cdef bint _default_destroyed = False


cdef State* _state_new(unsigned int flags) except NULL:
    cdef int probe[2]
    cdef int number
    cdef State* s = <State*>PyMem_RawCalloc(1, sizeof(State))
    if s is NULL:
        raise MemoryError("no memory for a loop")
    s.mask = 255
    s.ring = <Entry*>PyMem_RawCalloc(s.mask + 1, sizeof(Entry))
    # The pipe is made now and not when it is needed, lest it get the number of a descriptor that somebody closed and still
    # watches. And libev asks for a pipe of its own again and again until it gets one: better to find out before.
    s.wakeup_fds[0] = s.wakeup_fds[1] = -1
    if libev.gevent_wakeup_pipe(s.wakeup_fds) == 0:
        s.ptr = libev.ev_loop_new(flags)
        if s.ptr is not NULL and libev.gevent_wakeup_pipe(probe) == 0:
            c_close(probe[0])
            c_close(probe[1])
        elif s.ptr is not NULL:
            number = errno
            libev.ev_loop_destroy(s.ptr)
            s.ptr = NULL
            (&errno)[0] = number
    if s.ring is NULL or s.ptr is NULL:
        number = errno
        PyMem_RawFree(s.ring)
        if s.ptr is not NULL:
            libev.ev_loop_destroy(s.ptr)
        _close_wakeup_pipe(s)
        PyMem_RawFree(s)
        raise OSError(number, f"libev cannot make a loop for {_contract.flags_to_list(flags)}: {strerror(number).decode()}")
    s.refs = 1
    s.pid = getpid()
    s.thread = libev.gevent_thread_ident()
    s.stride = STRIDE
    s.posted_end = &s.posted
    libev.ev_set_userdata(s.ptr, s)
    libev.ev_set_loop_release_cb(s.ptr, <void*>_before_poll, <void*>_after_poll)
    libev.ev_async_init(&s.inbox, <void*>_on_inbox)
    libev.ev_set_priority(&s.inbox, libev.EV_MAXPRI)
    libev.ev_async_start(s.ptr, &s.inbox)
    libev.ev_unref(s.ptr)
    _make_wakeup(s)
    return s


cdef void _state_unref(State* s) noexcept:
    s.refs -= 1
    if s.refs == 0:
        _state_destroy(s)
        PyMem_RawFree(s.fresh)
        PyMem_RawFree(s.ring)
        PyMem_RawFree(s)


cdef void _state_destroy(State* s) noexcept:
    """Stop every watcher, give the descriptors back, drop what is queued. May be called twice."""
    global _default_state, _default_destroyed
    cdef libev.ev_loop* ptr = s.ptr
    cdef Posted* posted
    cdef Posted* next
    if ptr is NULL or s.destroying:
        return
    s.destroying = True         # what we let go of may run any finalizer, and those may try to use the loop
    while s.started is not NULL:
        _stop_watcher(<watcher>s.started)
    while s.later is not NULL:
        _cancel_park(s, <Park>s.later)
    if s.sigchld_on:
        _release_sigchld(s)
    _drop_wakeup(s)
    with nogil:
        libev.gevent_lock_loops()
        s.ptr = NULL
        libev.gevent_unlock_loops()
        posted = _take_posted(s)
    libev.ev_ref(ptr)
    libev.ev_async_stop(ptr, &s.inbox)
    libev.ev_loop_destroy(ptr)
    if s is _default_state:
        _default_state = NULL
        _default_destroyed = True
    while posted is not NULL:
        next = posted.next
        Py_DECREF(<object>posted.entry.target)
        Py_XDECREF(posted.entry.args)
        PyMem_RawFree(posted)
        posted = next
    while s.head != s.tail:
        s.head += 1
        _forget_entry(&s.ring[(s.head - 1) & s.mask])
    Py_CLEAR(s.handed)
    Py_CLEAR(s.stopper)


# The object that these hold, the loop's own reference to it gone, may be the last of it.

cdef void _stop_watcher(watcher each) noexcept:
    keep = each     # no-cython-lint
    each._stop_now()


cdef void _cancel_park(State* s, Park park) noexcept:
    keep = park     # no-cython-lint
    _stop_park_timer(s, park)   # here, since cancel() does not do it for another native thread, and that may be who destroys the loop
    try:
        park.cancel()
    except BaseException as error:
        _print_exception(error)


cdef void _forget_entry(Entry* entry) noexcept:
    if entry.kind != EMPTY:
        entry.kind = EMPTY
        Py_DECREF(<object>entry.target)
        Py_XDECREF(entry.args)
        entry.target = entry.args = NULL


# ---- Around the poll: the GIL, and Python's signal handlers ------------------------------------------------------------------
#
# A Python signal handler runs in the main thread between two bytecodes. A loop that sits in the kernel executes none, so the
# C-level handler has to make the kernel call return. EINTR alone does not do: a signal that comes after the last bytecode and
# before epoll_wait() would sleep with the loop. So while a loop runs in the main thread, a pipe of its own is Python's wake-up
# descriptor (signal.set_wakeup_fd), unless the program has set one, which then stays.

cdef void _before_poll(libev.ev_loop* ptr) noexcept:
    cdef State* s = <State*>libev.ev_userdata(ptr)
    if s.blocking:
        s.thread_state = <PyObject*>PyEval_SaveThread()


cdef void _after_poll(libev.ev_loop* ptr) noexcept nogil:
    cdef State* s = <State*>libev.ev_userdata(ptr)
    cdef int number
    if s.thread_state is not NULL:
        number = errno                              # libev looks at it next
        PyEval_RestoreThread(<PyThreadState*>s.thread_state)
        s.thread_state = NULL
        (&errno)[0] = number


cdef void _on_wakeup(libev.ev_loop* ptr, void* w, int revents) noexcept nogil:
    libev.gevent_wakeup_drain(ptr, (<libev.ev_io*>w).fd)


cdef int _armed_fd = -1             # the end of our pipe that is Python's wake-up descriptor now, if one is


cdef int _make_wakeup(State* s) except -1:
    """Keep the pipe, and watch it, if this is the main thread."""
    try:
        _set_wakeup_fd(_set_wakeup_fd(-1), warn_on_full_buffer=False)
    except ValueError:              # only the main thread may do that, and only it runs signal handlers
        _close_wakeup_pipe(s)
        return 0
    libev.ev_io_init(&s.wakeup, <void*>_on_wakeup, s.wakeup_fds[0], libev.EV_READ)
    libev.ev_set_priority(&s.wakeup, libev.EV_MAXPRI)
    libev.ev_io_start(s.ptr, &s.wakeup)
    libev.ev_unref(s.ptr)
    return 0


cdef int _arm_wakeup(State* s) except -1:
    """Called as the outermost run() begins."""
    global _armed_fd
    if s.wakeup_fds[0] < 0:
        return 0
    try:
        before = _set_wakeup_fd(s.wakeup_fds[1], warn_on_full_buffer=False)
        if before != -1 and before != _armed_fd:
            _set_wakeup_fd(before, warn_on_full_buffer=False)
            return 0
    except ValueError:              # a loop of the main thread that runs in another one
        return 0
    s.armed = True
    s.armed_before = _armed_fd
    _armed_fd = s.wakeup_fds[1]
    if _signal_owner[<int>_signal.SIGCHLD] == s:
        libev.gevent_sigchld_displaced(s.ptr)       # there was no wake-up descriptor until now
    return 0


cdef int _disarm_wakeup(State* s) except -1:
    """Called as the outermost run() ends."""
    global _armed_fd
    if not s.armed:
        return 0
    s.armed = False
    _armed_fd = s.armed_before
    try:
        current = _set_wakeup_fd(_armed_fd, warn_on_full_buffer=False)
        if current != s.wakeup_fds[1]:
            _set_wakeup_fd(current, warn_on_full_buffer=False)      # the program has set its own meanwhile
    except ValueError:
        pass
    return 0


cdef void _drop_wakeup(State* s) noexcept:
    if s.wakeup_fds[0] < 0:
        return
    try:
        _disarm_wakeup(s)
    except BaseException:
        _print_exception(sys.exc_info()[1])
    libev.ev_ref(s.ptr)
    libev.ev_io_stop(s.ptr, &s.wakeup)
    _close_wakeup_pipe(s)


cdef void _close_wakeup_pipe(State* s) noexcept:
    if s.wakeup_fds[0] >= 0:
        c_close(s.wakeup_fds[0])
        c_close(s.wakeup_fds[1])
    s.wakeup_fds[0] = s.wakeup_fds[1] = -1


# ---- Waking threads ----------------------------------------------------------------------------------------------------------

cdef enum:
    WAKINGS = 2         # between two polls that may be done without the GIL
    PAUSE = 16          # rounds for which who wanted more does not get any

cdef double LONG_TIME = 1e9     # seconds: 31 years, and no overflow


cdef class held_lock:
    """A native lock that is held from the beginning, for one native thread to sleep on until another one calls :meth:`release`.

    The interpreter's own does the same, and wakes the thread while the caller holds the GIL: see :func:`_may_let_go`.
    """

    cdef void* lock
    cdef bint held

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock is NULL:
            raise MemoryError("no lock can be made")
        PyThread_acquire_lock(self.lock, WAIT_LOCK)
        self.held = True

    def __init__(self):
        """There are no arguments; without this, any would do."""

    def __dealloc__(self):
        if self.lock is not NULL:
            PyThread_free_lock(self.lock)

    def acquire(self, blocking=True, double timeout=-1.0):
        """Wait for the lock, at most *timeout* seconds if that is not -1; returns whether it is ours now."""
        cdef PY_TIMEOUT_T limit = -1
        cdef bint acquired
        if not blocking:
            limit = 0
        elif timeout >= 0.0:
            limit = <PY_TIMEOUT_T>ceil(min(timeout, LONG_TIME) * 1e6)
        with nogil:
            acquired = PyThread_acquire_lock_timed(self.lock, limit, 0) == PY_LOCK_ACQUIRED
        if acquired:
            self.held = True
        return acquired

    def release(self):
        """Let go of the lock, from any native thread. RuntimeError if nobody holds it."""
        if not self.held:
            raise RuntimeError("release unlocked lock")
        self.held = False       # now, for who is woken may set it before we are back
        if _may_let_go():
            with nogil:
                PyThread_release_lock(self.lock)
        else:
            PyThread_release_lock(self.lock)


cdef bint _may_let_go() noexcept:
    """Whether the GIL is to be free as the calling thread wakes another one.

    Who is woken and finds the GIL taken has been woken for nothing, and again by whoever then lets go of it. Who finds it free does what
    it was woken for in the middle of the waker's call, where there is one processor: good for a caller that will wait for that and
    nothing else. But a burst of calls would cost two switches of threads each, where one thread, woken once, does them all when the loop
    polls. So not if other greenlets can run, and not in a round in which the caller has done it a few times. Whoever comes so far is
    bursting, and will be, so it is not done in the next rounds at all.
    """
    cdef PyObject* current = <PyObject*>libev.gevent_tls_get()
    cdef State* s
    cdef unsigned int round
    if current is NULL:             # a thread of a pool, that has a task to do itself
        return False
    s = (<loop>current).s
    if s is NULL or s.ptr is NULL:
        return False
    round = libev.ev_iteration(s.ptr)
    if s.woke_in != round:
        if s.woken > WAKINGS:
            s.waking_pause = PAUSE
        elif s.waking_pause > 0:
            s.waking_pause -= 1
        s.woke_in = round
        s.woken = 0
    if s.waking_pause > 0 or s.head != s.tail or s.woken > WAKINGS:
        return False
    s.woken += 1
    return s.woken <= WAKINGS


# ---- Leaving a greenlet ------------------------------------------------------------------------------------------------------

# Types that are known to have no switch_out method, so that most switches need no look-up. `greenlet` and, once it exists,
# gevent.Greenlet: neither can be given one later, being compiled.
cdef PyTypeObject* _plain_types[4]
cdef int _plain_count = 1
_plain_types[0] = <PyTypeObject*>greenlet


def add_plain_type(cls):
    """Declare that *cls* has no ``switch_out`` method. Without effect on an interpreted class, which could be given one."""
    global _plain_count
    if _plain_count < 4 and not cls.__flags__ & Py_TPFLAGS_HEAPTYPE:
        _plain_types[_plain_count] = <PyTypeObject*>cls
        _plain_count += 1


cdef inline PyObject* _current() except NULL:
    """The running greenlet, borrowed: it lives at least as long as it runs.

    A reference of our own would sit on the C stack of the greenlet itself while it waits, and keep it alive for ever.
    """
    current = PyGreenlet_GetCurrent()
    return <PyObject*>current


cdef int _call_switch_out(PyObject* current) except -1:
    cdef int i
    if (<greenlet>current).dict is NULL:
        for i in range(_plain_count):
            if Py_TYPE(current) is _plain_types[i]:
                return 0
    switch_out = getattr(<object>current, "switch_out", None)
    if switch_out is not None:
        switch_out()
    return 0


cdef inline object _switch_out(State* s, PyObject* current):
    """Switch from *current* to the next ready greenlet if the hub's batch is not used up, else to the hub.

    Returns what *current* is later switched back with.
    """
    cdef Entry* entry
    cdef PyObject* target
    cdef PyObject* previous
    if current is s.hub or current is s.runner or s.hub is NULL:
        _refuse_to_block(s)
    _call_switch_out(current)
    while s.budget > 0 and s.head != s.tail:
        if _time_is_up(s):
            s.until_look, s.tick = 1, 0     # the hub looks again, and polls
            break
        entry = &s.ring[s.head & s.mask]
        if entry.kind == SWITCH:
            if not PyGreenlet_STARTED(<greenlet>entry.target):
                # The hub starts new ones: begun from here, it would stand on our C stack and count our depth of recursion as its own.
                break
            s.head += 1
            s.budget -= 1
            target = entry.target
            entry.kind = EMPTY
            entry.target = NULL
            if target is current:
                Py_DECREF(<object>target)
                return None
            # Something must own the target until it runs, but not our stack: we may be away for hours, and the target, dead by
            # then, would be kept with all it returned. The loop owns it, until the next hand-over.
            previous, s.handed = s.handed, target
            Py_XDECREF(previous)
            return PyGreenlet_Switch(<greenlet>target, NULL, NULL)
        if entry.kind != EMPTY:
            break
        s.head += 1
    return PyGreenlet_Switch(<greenlet>s.hub, NULL, NULL)


# In a forked child: the greenlets of those threads that are not there. None until there are any, so that nobody else pays for them.
cdef set _left_behind = None


def leave_behind(greenlets):
    """To be called in a forked child: none of *greenlets*, which wait, comes back from there any more, whoever wakes them."""
    global _left_behind
    if _left_behind is None:
        _left_behind = set()
    _left_behind.update(greenlets)      # which also keeps them: one that goes runs its finally blocks


cdef inline bint _is_left_behind(PyObject* current) except -1:
    return _left_behind is not None and <object>current in _left_behind


cdef int _stay_away(State* s) except -1:
    """Leave the current greenlet for good. Only an exception that is thrown into it gets out of here."""
    while True:
        PyGreenlet_Switch(<greenlet>s.hub, NULL, NULL)


cdef int _refuse_to_block(State* s) except -1:
    if s.hub is NULL:
        raise RuntimeError("this loop has no hub: only a greenlet under a hub can wait")
    raise BlockingSwitchOutError("cannot wait in the hub, that is, in a callback of the event loop; spawn a greenlet from it")


cpdef loop current_loop():
    """The loop whose hub the calling native thread runs, or None."""
    cdef PyObject* current = <PyObject*>libev.gevent_tls_get()
    return <loop>current if current is not NULL else None


def set_current_loop(loop current):
    """Make *current*, or None, what :func:`current_loop` gives in this native thread. The caller keeps the loop alive."""
    libev.gevent_tls_set(<void*><PyObject*>current if current is not None else NULL)


def install_stack_chunk_cache(unsigned int limit):
    """Keep up to *limit* interpreter stack chunks of dead greenlets for new ones; True where that is in force.

    CPython 3.11 and newer map 16 KiB for each greenlet's interpreter stack and unmap it when the greenlet ends, which takes ten
    times as long as all else that making a greenlet does. False on other interpreters, which have no such chunks.
    """
    return bool(gevent_chunk_cache_install(limit))


def stack_chunk_cache_size():
    """How many chunks are kept at the moment."""
    return gevent_chunk_cache_size()


# ---- The loop ----------------------------------------------------------------------------------------------------------------

cdef State* _check(loop self) except NULL:
    if self.s is NULL or self.s.ptr is NULL or self.s.destroying:
        raise ValueError("operation on destroyed loop")
    return self.s


cdef class loop:
    """loop(flags=None, default=None)

    An event loop. *flags* names the libev backend or options; with *default* the loop of the main thread, which is made once
    and shared by all loop objects over it, else one of its own. None means the default one, unless it was destroyed.

    All methods but :meth:`run_callback_threadsafe` belong to the native thread that runs the loop. A destroyed loop raises
    ValueError from all of them.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none

    def __cinit__(self):
        self.s = NULL

    def __init__(self, flags=None, default=None):
        global _default_state
        cdef unsigned int mask = _contract.flags_to_int(flags)
        if self.s is not NULL:
            raise RuntimeError(f"{self!r} has been made: __init__ cannot be called again")
        _contract.check_backend(mask, libev.ev_supported_backends())
        if default is None:
            default = not _default_destroyed
        if default and _default_state is not NULL:
            self.s = _default_state
            self.s.refs += 1
        else:
            self.s = _state_new(mask)
            if default:
                self.s.is_default = True
                _default_state = self.s

    def __dealloc__(self):
        if libev.gevent_tls_get() is <void*><PyObject*>self:
            libev.gevent_tls_set(NULL)
        if self.s is not NULL:
            if self._hub is not None and self.s.hub is <PyObject*>self._hub:
                self.s.hub = NULL
            _state_unref(self.s)

    def destroy(self):
        """Stop all watchers and release the loop; True, or None if it was destroyed before.

        Called inside the running loop it takes effect when :meth:`run` is left, which happens at once.
        """
        cdef State* s = self.s
        if s is NULL or s.ptr is NULL or s.destroying or s.destroy_later:
            return None
        if s.running:
            s.destroy_later = True
            self.break_(libev.EVBREAK_ALL)
        else:
            _state_destroy(s)
        return True

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} {self._format()}>"

    def _format(self):
        cdef State* s = self.s
        if s is NULL or s.ptr is NULL:
            return "destroyed"
        text = str(self.backend)
        if s.is_default:
            text += " default"
        return f"{text} pending={self.pendingcnt} ref={self.activecnt}"

    # -- running

    def run(self, nowait=False, once=False):
        """Handle events and run callbacks until nothing is left that could happen.

        With *once*, wait for one round of events and handle it; with *nowait*, handle what is there already. Blocks the native
        thread, and lets go of the GIL while it waits for the kernel.
        """
        cdef State* s = _check(self)
        cdef PyObject* runner = s.runner
        cdef int outer = s.broken
        cdef void* outer_running = libev.gevent_running_get()
        cdef int active
        if s.running and s.thread != libev.gevent_thread_ident():
            raise RuntimeError(f"{self!r} is being run by another native thread")
        s.thread = libev.gevent_thread_ident()
        libev.gevent_running_set(<void*><PyObject*>self)
        s.runner = _current()
        s.running += 1
        s.broken = False
        try:
            if s.running == 1:
                _arm_wakeup(s)
            while True:
                self._run_ready()
                if s.broken:
                    break
                if s.fresh_count:
                    _check_fresh(s)
                if nowait or s.head != s.tail:
                    s.blocking = False
                    active = libev.ev_run(s.ptr, libev.EVRUN_NOWAIT)
                else:
                    s.blocking = True
                    active = libev.ev_run(s.ptr, libev.EVRUN_ONCE)
                    s.blocking = False
                self._check_signals()
                if s.stopper is not NULL:
                    stopper = <object>s.stopper
                    Py_CLEAR(s.stopper)
                    raise stopper
                if s.broken:
                    break
                if nowait or once:
                    self._run_ready()
                    break
                if not active and s.head == s.tail:
                    break
        finally:
            libev.gevent_running_set(outer_running)
            s.runner = runner
            s.running -= 1
            if not s.running:
                s.broken = False
                _disarm_wakeup(s)
                if s.destroy_later:
                    _state_destroy(s)
            elif s.broken != libev.EVBREAK_ALL:
                s.broken = outer

    def break_(self, how=libev.EVBREAK_ONE):
        """Make :meth:`run` return once the callback or greenlet that runs now has ended.

        *how*: 1 for the innermost of nested runs, 2 for all of them, 0 to undo the call.
        """
        cdef State* s = _check(self)
        libev.ev_break(s.ptr, how)
        s.broken = how

    cdef int _run_ready(self) except -1:
        """Run what is in the ready queue, bounded in number and time. Only the greenlet inside run() calls this.

        What the last poll reported stands at the end of the queue. As long as those before it, and it, have not had their turn, another
        poll would report the same descriptors again: half a microsecond for each, and it queues nothing that runs sooner. So what is
        queued now is run for ten microseconds of each before the next poll, PATIENCE switch intervals at most, for there are callbacks
        that a poll calls at once, and one at least. After that what they queued, up to BATCH entries, unless an interval has passed.
        """
        cdef State* s = self.s
        cdef Entry entry
        cdef Entry* slot
        cdef PyObject* previous
        cdef int64_t left
        if s.head == s.tail:
            return 0
        left = <int64_t>(s.tail - s.head)
        s.batch_end = s.tail
        s.deadline = s.last_deadline = libev.gevent_monotonic() + _switch_interval
        if left > CROWD:
            s.last_deadline += (min(<double>left / CROWD, <double>PATIENCE) - 1) * _switch_interval
        left += BATCH
        s.tick = libev.gevent_coarse_clock()
        s.until_look = s.stride + 1
        try:
            while s.head != s.tail and not s.broken:
                if left <= 0 or _time_is_up(s):
                    break
                slot = &s.ring[s.head & s.mask]
                entry = slot[0]
                slot.kind = EMPTY
                slot.target = slot.args = NULL
                s.head += 1
                if entry.kind == EMPTY:
                    continue
                left -= 1
                if entry.kind == SWITCH:
                    # Hand-over is for as long as we are away here. A callback, or an error handler, may switch to a greenlet and
                    # wants to go on when that one waits, with nobody else's result or exception.
                    previous, s.handed = s.handed, entry.target
                    Py_XDECREF(previous)
                    s.budget = left
                    try:
                        PyGreenlet_Switch(<greenlet>entry.target, NULL, NULL)
                    except BaseException as error:
                        left, s.budget = s.budget, 0
                        failed = <object>s.handed       # the last one handed over to, not the one that we switched to
                        Py_CLEAR(s.handed)
                        if isinstance(error, GreenletExit):
                            # A greenlet that dies of it returns it, so it was thrown into us.
                            raise
                        self._report(failed, error)
                        failed = None
                    else:
                        left, s.budget = s.budget, 0
                        Py_CLEAR(s.handed)
                    continue
                target = <object>entry.target
                Py_DECREF(target)
                if entry.kind == CALLBACK:
                    self._run_callback(target)
                else:
                    args = <object>entry.args
                    Py_DECREF(args)
                    try:
                        target(*args)
                    except HubDestroyed:
                        raise
                    except BaseException as error:
                        self._report(target, error)
                target = args = None
        finally:
            s.budget = 0
            Py_CLEAR(s.handed)
        return 0

    cdef int _run_callback(self, object queued) except -1:
        cdef callback cb = <callback>queued
        func, args = cb.callback, cb.args
        cb.callback = None
        cb.ticket = 0
        if func is None or args is None:
            cb.args = None
            return 0
        try:
            func(*args)
        except HubDestroyed:
            raise
        except BaseException as error:
            self._report(cb, error)
        finally:
            cb.args = None
        return 0

    cdef int _check_signals(self) except -1:
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            self._report(None, error)
        return 0

    cdef int _report(self, context, error) except -1:
        """Hand an exception to the error handler; whatever the handler raises is printed and goes no further."""
        try:
            self.handle_error(context, type(error), error, error.__traceback__)
        except HubDestroyed:
            raise
        except BaseException as second:
            try:
                _print_exception(error)
                _print_exception(second)
            except BaseException:       # sys.stderr is broken too: nothing is left to tell
                pass
        return 0

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
        cdef State* s = _check(self)
        cdef callback cb
        _contract.check_callback(func)
        cb = callback.__new__(callback, func, args)
        cb.loop = self
        if s.thread == libev.gevent_thread_ident():
            cb.ticket = _push(s, CALLBACK, <PyObject*>cb, NULL)
        else:
            _must_post(s, CALLBACK, <PyObject*>cb, NULL)
        return cb

    def run_callback_threadsafe(self, func, *args):
        """As :meth:`run_callback`, from any native thread; wakes the loop if it waits.

        .. versionadded:: 26.11.0
        """
        cdef State* s = _check(self)
        cdef callback cb
        _contract.check_callback(func)
        cb = callback.__new__(callback, func, args)
        cb.loop = self
        _must_post(s, CALLBACK, <PyObject*>cb, NULL)
        return cb

    cpdef uint64_t ready(self, greenlet g) except 0:
        cdef State* s = _check(self)
        if s.thread != libev.gevent_thread_ident():
            _must_post(s, SWITCH, <PyObject*>g, NULL)
            return <uint64_t>-1
        return _push(s, SWITCH, <PyObject*>g, NULL)

    cpdef uint64_t ready_call(self, object callback, tuple args) except 0:
        cdef State* s = _check(self)
        if s.thread != libev.gevent_thread_ident():
            _must_post(s, CALL, <PyObject*>callback, <PyObject*>args)
            return <uint64_t>-1
        return _push(s, CALL, <PyObject*>callback, <PyObject*>args)

    cpdef bint forget(self, uint64_t ticket) except -1:
        return self.s is not NULL and _forget(self.s, ticket)

    # -- waiting

    cpdef object switch_out(self):
        """Leave the current greenlet; returns what it is switched back with. Somebody has to hold it and switch back."""
        cdef State* s = _check(self)
        cdef PyObject* current = _current()
        result = _switch_out(s, current)
        if _is_left_behind(current):
            result = None
            _stay_away(s)
        return result

    cpdef Park park(self, object owner=None, bint ref=True):
        """A :class:`Park` for one wait of the current greenlet.

        *owner* is what it waits on, for error messages. Without *ref* a time limit does not keep the loop running.
        """
        cdef Park park = Park.__new__(Park)
        park.loop = self
        park.unref = not ref
        park.owner = owner
        return park

    cpdef Park park_call(self, object callback, object arg):
        """A park without a greenlet: waking it calls ``callback(arg)`` in the hub, once. TypeError unless it can be called."""
        cdef Park park
        if not PyCallable_Check(callback):
            raise TypeError(f"the callback must be callable, not {callback!r}")
        park = Park.__new__(Park)
        park.loop = self
        park.callback = callback
        park.owner = arg
        return park

    cpdef IOPark io_park(self, int fd, int events):
        """An :class:`IOPark` for many waits, one at a time, for *events* of one descriptor. ValueError for bad arguments."""
        cdef IOPark park = IOPark.__new__(IOPark)
        park.loop = self
        park.set(fd, events)
        return park

    cpdef int wait_fd(self, object fd, int events, object timeout=None, bint ref=True) except -1:
        """Wait until the descriptor is ready for one of *events*; returns those it is ready for, 0 after *timeout* seconds."""
        cdef IOPark park = self.io_park(_contract.index(fd, "a descriptor"), events)
        park.unref = not ref
        if park.block_io(_seconds(timeout)):
            return park.revents & (libev.EV_READ | libev.EV_WRITE)
        return 0

    cpdef Park call_later(self, double seconds, object callback, object arg, bint ref=True, int priority=-1):
        """A started park that calls ``callback(arg)`` in the hub after *seconds*, behind all that is ready by then.

        ``cancel()`` undoes it, also when it is due and queued. It keeps itself alive until then.
        """
        cdef State* s = _check(self)
        cdef Park park
        if seconds != seconds:
            raise ValueError("cannot wait for NaN seconds")
        park = Park.__new__(Park)
        park.loop = self
        park.callback = callback
        park.owner = arg
        park.unref = not ref
        if priority != -1:
            libev.ev_set_priority(&park.timer, _contract.check_priority(priority))
        _start_park_timer(s, park, seconds if seconds > 0 else 0)
        park.in_later = True
        if s.later is not NULL:
            park.next = <Park>s.later
            park.next.prev = park
        s.later = <PyObject*>park
        return park

    cpdef int sleep(self, double seconds, bint ref=True) except -1:
        """Leave the current greenlet for *seconds*, at least one round of the loop."""
        cdef Park park = Park.__new__(Park)
        if seconds != seconds:
            raise ValueError("cannot sleep for NaN seconds")
        park.loop = self
        park.unref = not ref
        if park.block(seconds if seconds > 0 else 0):
            raise InvalidSwitchError("a sleeping greenlet was woken")    # nobody else has this park
        return 0

    cpdef int yield_now(self) except -1:
        """Let all other ready greenlets run, then go on."""
        cdef State* s = _check(self)
        cdef PyObject* current = _current()
        cdef uint64_t ticket
        if current is s.hub or current is s.runner or s.hub is NULL:
            _refuse_to_block(s)
        ticket = _push(s, SWITCH, current, NULL)
        try:
            _switch_out(s, current)
        except:
            _forget(s, ticket)
            raise
        if _is_left_behind(current):
            _forget(s, ticket)
            _stay_away(s)
        if _forget(s, ticket):
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
        if self.s is not NULL:
            self.s.hub = <PyObject*>value if value is not None else NULL
        self._hub = value

    # -- time

    def now(self):
        """The loop's time, seconds since the epoch, as of the last look at the clock (:meth:`update`)."""
        return libev.ev_now(_check(self).ptr)

    def update(self):
        """Look at the clock now."""
        libev.ev_now_update(_check(self).ptr)

    update_now = update

    # -- what it is, and how it fares

    @property
    def ptr(self):
        """The address of libev's loop, for other C code; 0 once destroyed."""
        return 0 if self.s is NULL else <size_t>self.s.ptr

    @property
    def WatcherType(self):
        return watcher

    @property
    def MAXPRI(self):
        return libev.EV_MAXPRI

    @property
    def MINPRI(self):
        return libev.EV_MINPRI

    @property
    def default(self):
        """Whether this is the process's default loop."""
        return bool(_check(self).is_default)

    @property
    def iteration(self):
        """How often the loop has polled."""
        return libev.ev_iteration(_check(self).ptr)

    @property
    def depth(self):
        """How many :meth:`run` calls are under way."""
        return _check(self).running

    @property
    def backend_int(self):
        return libev.ev_backend(_check(self).ptr)

    @property
    def backend(self):
        """How libev asks the kernel: ``"epoll"`` for example."""
        return _contract.backend_name(libev.ev_backend(_check(self).ptr))

    @property
    def pendingcnt(self):
        """How many events wait for their callbacks."""
        return libev.ev_pending_count(_check(self).ptr)

    @property
    def activecnt(self):
        """How many started watchers, waiting greenlets and references keep :meth:`run` going."""
        return _check(self).active

    @property
    def readycnt(self):
        """How many greenlets and callbacks are queued to run, including some that were taken back.

        .. versionadded:: 26.11.0
        """
        cdef State* s = _check(self)
        return s.tail - s.head

    @property
    def runcnt(self):
        """How many queued greenlets and callbacks have had their turn, or were taken back, since the loop was made.

        .. versionadded:: 26.11.0
        """
        return _check(self).head

    @property
    def polling(self):
        """Whether :meth:`run` sits in the kernel now and waits for events. Of use in other native threads, which may ask.

        .. versionadded:: 26.11.0
        """
        return _check(self).thread_state is not NULL

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
        libev.ev_verify(_check(self).ptr)

    def ref(self):
        """Keep :meth:`run` going until as many :meth:`unref` follow."""
        cdef State* s = _check(self)
        libev.ev_ref(s.ptr)
        s.active += 1

    def unref(self):
        """Undo one :meth:`ref`, or let :meth:`run` end although something is started."""
        cdef State* s = _check(self)
        libev.ev_unref(s.ptr)
        s.active -= 1

    # -- forking, children, descriptors

    def reinit(self):
        """Make the loop usable in a forked child. Only the child calls this, before the loop runs there."""
        cdef State* s = _check(self)
        s.pid = getpid()
        s.thread = libev.gevent_thread_ident()
        armed = s.armed
        if s.wakeup_fds[0] < 0:
            armed = s.running > 0       # a loop of another thread, which is now the main one and handles signals
        _drop_wakeup(s)                 # the pipe is the parent's too
        if libev.gevent_wakeup_pipe(s.wakeup_fds) < 0:
            s.wakeup_fds[0] = s.wakeup_fds[1] = -1
            raise OSError(errno, f"no pipe for the forked child's loop: {strerror(errno).decode()}")
        _make_wakeup(s)
        if armed:
            _arm_wakeup(s)
        libev.ev_loop_fork(s.ptr)

    def abandon(self):
        """Give up, in a forked child, what a process has once: signals, and the place of the default loop. It is not run any more.

        What waits on it waits for ever. The main thread's next hub makes a default loop of its own.

        .. versionadded:: 26.11.0
        """
        global _default_state
        cdef State* s = _check(self)
        _give_up_signals(s)
        _drop_wakeup(s)
        if s is _default_state:
            _default_state = NULL
            s.is_default = False

    def install_sigchld(self):
        """Take SIGCHLD for this loop's child watchers. Only the default loop can; TypeError on another.

        Where children are watched by pidfd nothing needs it.
        """
        cdef State* s = _check(self)
        if not s.is_default:
            raise TypeError("SIGCHLD belongs to the default loop: child watchers on another loop need pidfd_open(2)")
        _take_sigchld(s)

    def reset_sigchld(self):
        """Give SIGCHLD back to whoever had it.

        .. versionadded:: 26.11.0
        """
        cdef State* s = _check(self)
        if s.sigchld_on:
            _release_sigchld(s)

    def closing_fd(self, fd):
        """To be called before *fd* is closed while watchers may be started on it; stops them. Returns whether there were any.

        .. versionadded:: 26.11.0
        """
        cdef State* s = _check(self)
        cdef PyObject* node = s.started
        found = []
        fd = _contract.check_fd(fd)
        while node is not NULL:
            each = <watcher>node
            if isinstance(each, io) and (<io>each)._io.fd == fd:
                found.append(each)
            node = (<watcher>node)._next
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
        if name == "async":     # its name in gevent 1.1, now a keyword
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


@cython.freelist(64)
cdef class callback:
    """callback(callback, args)

    A call that is queued in a loop. True from being queued until it has returned; :attr:`pending` until it begins.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none

    cdef public object callback
    cdef public object args
    cdef readonly loop loop
    cdef uint64_t ticket
    cdef object __weakref__

    def __cinit__(self, callback, tuple args not None):
        self.callback = callback
        self.args = args

    def stop(self):
        """Keep the call from being made, if it was not begun."""
        self.callback = None
        self.args = None
        if self.ticket and self.loop is not None:
            self.loop.forget(self.ticket)
            self.ticket = 0

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

cdef enum:
    IDLE_PARK = 0       # nobody waits
    AWAITED = 5         # wake() came before the greenlet left
    PARKED = 1          # the greenlet is away
    WOKEN = 2           # wake() queued the greenlet
    EXPIRED = 3         # the timer did
    FAILED = 4          # fail() did


cdef double _seconds(timeout) except? -2.0:
    """A time limit for C: -1 means none."""
    cdef double seconds
    if timeout is None:
        return -1.0
    seconds = timeout
    if seconds != seconds:
        raise ValueError("a timeout cannot be NaN")
    if seconds == INFINITY:
        return -1.0
    return seconds if seconds > 0 else 0.0


cdef void _on_park_timer(libev.ev_loop* ptr, void* w, int revents) noexcept:
    cdef Park self = <Park>(<libev.ev_timer*>w).data
    if self.in_later:
        try:
            self.wake()
        except BaseException as error:
            _print_exception(error)
        _stop_park_timer(self.loop.s, self)
        return
    _stop_park_timer(self.loop.s, self)
    if self.state == PARKED:
        self.state = EXPIRED
        _queue_park(self)


cdef void _on_park_io(libev.ev_loop* ptr, void* w, int revents) noexcept:
    # The watcher stays started until the greenlet runs. Stopped here, libev would take the descriptor out of the kernel's set at
    # the next poll and put it back later, two system calls, whenever more greenlets are ready than one batch can run.
    cdef IOPark self = <IOPark>(<libev.ev_io*>w).data
    if self.state == PARKED:
        self.revents = revents
        self.state = WOKEN
        _queue_park(self)


cdef inline void _queue_park(Park self) noexcept:
    """Queue the greenlet of a park whose state says why."""
    cdef State* s = self.loop.s
    _stop_park_timer(s, self)
    try:
        self.ticket = _push(s, SWITCH, <PyObject*>self.greenlet, NULL)
    except MemoryError:
        _print_exception(sys.exc_info()[1])


# A park holds itself while libev has a watcher of it, which only knows its address. Its greenlet's frames hold it as well, but nobody holds
# the greenlet if it is known to what it waits for only: with CPython 3.15 all that is a cycle that the collector takes, since greenlet
# shows it the frames of those who wait (ADR 0061).

cdef inline void _hold_park(State* s, Park self) noexcept:
    """A watcher of it was started: it holds itself, and is in the loop's books."""
    Py_INCREF(self)
    if self.unref:
        libev.ev_unref(s.ptr)
    else:
        s.active += 1


cdef inline void _discount_park(State* s, Park self) noexcept:
    """It is in the books no more. Whoever stopped its watcher lets go of it at last."""
    if self.unref:
        libev.ev_ref(s.ptr)
    else:
        s.active -= 1


cdef inline void _start_park_timer(State* s, Park self, double seconds) noexcept:
    # The loop's clock is as of the last poll. A greenlet that computed for a second since would have its time limit cut by that.
    libev.ev_now_update(s.ptr)
    libev.ev_timer_set(&self.timer, seconds, 0.0)
    libev.ev_timer_start(s.ptr, &self.timer)
    self.timing = True
    _hold_park(s, self)


cdef inline void _stop_park_timer(State* s, Park self) noexcept:
    """Stop it if it runs; also does the books after libev stopped it because it expired, or went with the loop. The caller holds *self*."""
    if self.timing:
        self.timing = False
        if s.ptr is not NULL:
            _discount_park(s, self)
            libev.ev_timer_stop(s.ptr, &self.timer)
        if self.in_later:
            self.in_later = False
            if self.prev is not None:
                self.prev.next = self.next
            else:
                s.later = <PyObject*>self.next if self.next is not None else NULL
            if self.next is not None:
                self.next.prev = self.prev
            self.prev = self.next = None
        Py_DECREF(self)


# A libev with assertions, as distributions ship it, ends the process when it is to watch a descriptor that is not open. It finds
# out right before the poll, and anybody may close a descriptor until then: a greenlet waits for a database's answer, and another
# one closes the connection. So what libev will tell the kernel of is looked at right before that.

cdef int _check_open(int fd) except -1:
    if libev.gevent_is_open(fd) == 0:
        raise OSError(EBADF, f"{os.strerror(EBADF)}: descriptor {fd} is not open")
    return 0


cdef size_t _note_fresh(State* s, PyObject* watching) except 0:
    cdef size_t size
    cdef PyObject** larger
    if s.fresh_count == s.fresh_size:
        size = s.fresh_size * 2 or 64
        larger = <PyObject**>PyMem_RawRealloc(s.fresh, size * sizeof(PyObject*))
        if larger is NULL:
            raise MemoryError("no memory for one more watcher")
        s.fresh, s.fresh_size = larger, size
    s.fresh[s.fresh_count] = watching
    s.fresh_count += 1
    return s.fresh_count


cdef inline void _forget_fresh(State* s, size_t* place) noexcept:
    if place[0]:
        s.fresh[place[0] - 1] = NULL
        place[0] = 0


cdef int _check_fresh(State* s) except -1:
    """Right before the poll: whoever watches a descriptor that was closed gets an error instead."""
    cdef IOPark park
    cdef io each
    while s.fresh_count:
        s.fresh_count -= 1
        if s.fresh[s.fresh_count] is NULL:
            continue
        watching = <object>s.fresh[s.fresh_count]
        if isinstance(watching, IOPark):
            park = <IOPark>watching
            park.fresh_at = 0
            if libev.gevent_is_open(park.io.fd) == 0:
                _stop_park_io(s, park)
                park.fail(OSError(EBADF, f"{os.strerror(EBADF)}: descriptor {park.io.fd} was closed while it was waited on"))
        else:
            each = <io>watching
            each._fresh_at = 0
            if libev.gevent_is_open(each._io.fd) == 0:
                # As libev would without assertions.
                libev.ev_io_stop(s.ptr, &each._io)
                libev.ev_feed_event(s.ptr, &each._io, libev.EV_ERROR | libev.EV_READ | libev.EV_WRITE)
    return 0


cdef inline int _start_park_io(State* s, IOPark self) except -1:
    # Stopped and started between the same two polls, as a server does all the time, libev does not go to the kernel.
    if self.stopped_in != libev.ev_iteration(s.ptr) or self.io.events & libev.EV__IOFDSET:
        self.fresh_at = _note_fresh(s, <PyObject*>self)
    libev.ev_io_start(s.ptr, &self.io)
    self.watching = True
    _hold_park(s, self)
    return 0


cdef inline void _stop_park_io(State* s, IOPark self) noexcept:
    """As :func:`_stop_park_timer`, for the descriptor: libev may have stopped that because it is not open."""
    if self.watching:
        self.watching = False
        _forget_fresh(s, &self.fresh_at)
        if s.ptr is not NULL:
            _discount_park(s, self)
            libev.ev_io_stop(s.ptr, &self.io)
            self.stopped_in = libev.ev_iteration(s.ptr)
        Py_DECREF(self)


@cython.freelist(512)
@cython.trashcan(True)
cdef class Park:
    """One greenlet that waits, or one callback that is to be called; also a node of the list it waits in.

    Made by :meth:`loop.park` and :meth:`loop.park_call`. ``prev``, ``next`` and ``queue`` belong to the
    :class:`gevent._waiting.WaitQueue` that it stands in.
    """

    def __cinit__(self):
        self.state = IDLE_PARK
        libev.ev_timer_init(&self.timer, <void*>_on_park_timer, 0.0, 0.0)
        libev.ev_set_priority(&self.timer, -1)      # what is ready at the same moment wins
        self.timer.data = <void*><PyObject*>self

    cpdef bint wait(self, object timeout=None) except -1:
        """Leave the current greenlet until :meth:`wake` (True), or for *timeout* seconds (False).

        Whatever is thrown into the greenlet comes out of here. Raises BlockingSwitchOutError in the hub,
        ConcurrentObjectUseError when a greenlet waits here already, InvalidSwitchError when somebody else switches to us.
        """
        return self.block(_seconds(timeout))

    cdef bint block(self, double seconds) except -1:
        cdef State* s = _check(self.loop)
        cdef PyObject* current = _current()
        if current is s.hub or current is s.runner or s.hub is NULL:
            _refuse_to_block(s)
        if self.greenlet is not None:
            _refuse_second(self)
        if s.thread != libev.gevent_thread_ident():
            _refuse_thread(self)
        if self.state == AWAITED:
            self.state = IDLE_PARK
            return True
        self.greenlet = <greenlet>current
        self.state = PARKED
        self.ticket = 0
        if seconds >= 0:
            _start_park_timer(s, self, seconds)
        try:
            _switch_out(s, current)
        except:
            self.leave()
            raise
        if _is_left_behind(current):
            _give_up(s, self)
            if self.in_line:
                self.left_behind = True
                return False
            _stay_away(s)
        cdef int state = self.state
        cdef bint early = self.leave()
        if state == WOKEN and not early:
            return True
        if state == EXPIRED and not early:
            return False
        return _wake_with_error(self, state, early)

    cdef int leave(self) except -1:
        """Clean up after the greenlet came back; returns whether its wake-up was still queued."""
        cdef State* s = self.loop.s
        cdef bint queued = False
        _stop_park_timer(s, self)
        if self.ticket:
            queued = _forget(s, self.ticket)
            self.ticket = 0
        self.greenlet = None
        self.state = IDLE_PARK
        return queued

    def evict(self):
        """Have nobody wait here who was left behind; returns whether nobody waits here."""
        if self.greenlet is not None and _is_left_behind(<PyObject*>self.greenlet):
            # It waited for the parent's thread, say for connections. Here somebody else may do so.
            _give_up(self.loop.s, self)
        return self.greenlet is None

    def stay_away(self):
        """Leave the current greenlet, which was left behind (:attr:`left_behind`), for good."""
        _stay_away(self.loop.s)

    cpdef bint wake(self) except -1:
        """Queue the greenlet, or the call. False if it does not wait any more, or never can; then nothing happens.

        A greenlet that has not left yet will not: its :meth:`wait` returns at once. So who makes a park known to others before it waits
        misses nothing. From another native thread it is posted to the loop, and True only means that.
        """
        cdef State* s = self.loop.s
        if s.thread != libev.gevent_thread_ident():
            return _post(s, WAKE, <PyObject*>self, NULL)
        if self.callback is not None:
            if self.ticket or s.ptr is NULL or s.destroying:
                return False
            args = (self,)
            self.ticket = _push(s, CALL, <PyObject*>_run_link, <PyObject*>args)
            return True
        if s.ptr is NULL or s.destroying:
            return False
        if self.state == IDLE_PARK:
            self.state = AWAITED
            return True
        if self.state != PARKED:
            return False
        self.state = WOKEN
        _queue_park(self)
        return True

    cpdef bint fail(self, object error) except -1:
        """Queue the greenlet, with *error* raised from its :meth:`wait`. False if it was not waiting."""
        if self.state != PARKED or self.loop.s.ptr is NULL:
            return False
        self.error = error
        self.state = FAILED
        _queue_park(self)
        return True

    cpdef bint cancel(self) except -1:
        """Take a queued call back; True if that was in time. It will not be made, now or later, unless it was begun.

        In another native thread than the loop's the entry stays queued, and does nothing; the result is False.
        """
        cdef State* s = self.loop.s
        cdef bint queued = False
        if s is not NULL and s.thread == libev.gevent_thread_ident():
            queued = self.ticket != 0 and _forget(s, self.ticket)
            _stop_park_timer(s, self)
            self.ticket = 0
        self.callback = self.owner = None
        return queued

    @property
    def pending(self):
        """Whether a call is still to come."""
        return self.callback is not None

    @property
    def waiting(self):
        """Whether a greenlet is away here and nothing has woken it."""
        return self.state == PARKED

    def __repr__(self):
        what = f"call of {self.callback!r}" if self.callback is not None else f"{self.greenlet!r}"
        return f"<{type(self).__name__} at {id(self):#x} of {what} on {self.owner!r}>"


def _run_link(Park park):
    callback, owner = park.callback, park.owner
    park.callback = park.owner = None       # the owner may keep this park, in case it is unlinked
    park.ticket = 0
    if callback is not None:
        callback(owner)


cdef bint _wake_with_error(Park self, int state, bint early) except -1:
    if state == FAILED and not early:
        error = self.error
        self.error = None
        raise error
    raise InvalidSwitchError(
        f"{PyGreenlet_GetCurrent()!r}, which waits on {self.owner!r}, was switched to before what it waits for happened"
    )


cdef int _give_up(State* s, Park self) except -1:
    """Undo the wait of a greenlet that was left behind."""
    if isinstance(self, IOPark):
        _stop_park_io(s, <IOPark>self)
    self.error = None
    self.leave()
    return 0


cdef int _refuse_second(Park self) except -1:
    if self.evict():
        return 0
    raise ConcurrentObjectUseError(f"{self.owner!r} is already being waited on by {self.greenlet!r}")


cdef int _refuse_thread(Park self) except -1:
    raise RuntimeError(f"{self.owner!r} belongs to the event loop of another native thread")


cdef class IOPark(Park):
    """A park that also wakes when a descriptor is ready. A socket keeps one for each direction."""

    def __cinit__(self):
        libev.ev_io_init(&self.io, <void*>_on_park_io, 0, 0)
        self.io.data = <void*><PyObject*>self

    cpdef bint set(self, int fd, int events) except -1:
        """Say which descriptor and events to wait for. ConcurrentObjectUseError while somebody waits."""
        if self.greenlet is not None:
            _refuse_second(self)
        if fd < 0 or events <= 0 or events & ~(libev.EV_READ | libev.EV_WRITE):
            _contract.check_fd(fd)
            _contract.check_io_events(events or -1)
        libev.ev_io_set(&self.io, fd, events)
        return True

    cpdef bint wait_io(self, object timeout=None, bint ref=True) except -1:
        """Wait until the descriptor is ready (True) or *timeout* seconds have passed (False). OSError if it is not open."""
        if self.greenlet is not None:
            _refuse_second(self)
        self.unref = not ref
        return self.block_io(_seconds(timeout))

    cdef bint block_io(self, double seconds) except -1:
        cdef State* s = _check(self.loop)
        cdef bint woken
        if self.greenlet is not None:
            _refuse_second(self)
        if self.closed:
            raise OSError(EBADF, os.strerror(EBADF))
        if s.thread != libev.gevent_thread_ident():
            _refuse_thread(self)
        _start_park_io(s, self)
        try:
            woken = self.block(seconds)
        finally:
            _stop_park_io(s, self)
        if woken and self.revents & libev.EV_ERROR:
            # libev could not watch the descriptor, and has given it up.
            raise OSError(EBADF, os.strerror(EBADF))
        return woken

    def close(self, error):
        """Wake the greenlet that waits, if any, with *error* raised, and accept no more waits: the descriptor is being closed."""
        self.closed = True
        _stop_park_io(self.loop.s, self)
        return self.fail(error)


# ---- Watchers ----------------------------------------------------------------------------------------------------------------

cdef void _on_event(libev.ev_loop* ptr, void* w, int revents) noexcept:
    """What libev calls for every watcher that was started from Python."""
    cdef watcher self = <watcher>(<libev.ev_watcher*>w).data
    self._fire(revents)


cdef class watcher:
    """The common part of all watchers: start it with a callback, stop it, see its state.

    A started watcher keeps itself alive, with its callback and arguments, until it is stopped or its loop destroyed.
    """

    __module__ = __name__  # of the instances too: those of a compiled class have none

    cdef readonly loop loop
    cdef object _callback
    cdef object _args
    cdef libev.ev_watcher* _w
    cdef PyObject* _next            # among the loop's started watchers
    cdef PyObject* _prev
    cdef bint _listed               # in that list, and so holding a reference to itself
    cdef bint _ref
    cdef bint _unreffed             # ev_unref() was called for it
    cdef bint _counted              # in State.active
    cdef bint _fed                  # by feed(), and not called yet
    cdef object __weakref__

    def __init__(self):
        raise TypeError("watcher is the base of the watchers: make one with a method of a loop, such as loop.io()")

    cdef int _setup(self, loop loop, ref, priority, void* w) except -1:
        _check(loop)
        if self._listed:
            raise AttributeError(f"{self!r} is started: it cannot be made anew")
        self.loop = loop
        self._ref = bool(ref)
        self._w = <libev.ev_watcher*>w
        self._w.data = <void*><PyObject*>self
        if priority is not None:
            libev.ev_set_priority(w, _contract.check_priority(priority))
        return 0

    def __dealloc__(self):
        # Only a stopped one gets here: a started one has a reference to itself.
        if self._w is not NULL and self.loop is not None and self.loop.s is not NULL and self.loop.s.ptr is not NULL:
            if libev.ev_is_pending(self._w):
                libev.ev_clear_pending(self.loop.s.ptr, self._w)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        pass

    cdef State* _ready_state(self) except NULL:
        if self.loop is None:
            raise ValueError("operation on destroyed loop")
        return _check(self.loop)

    cdef int _begin(self, callback, tuple args) except -1:
        """Check and remember what to call."""
        self._ready_state()
        if callback is None or not PyCallable_Check(callback):
            raise TypeError(f"the callback must be callable, not {callback!r}")
        self._callback = callback
        self._args = args
        return 0

    cdef int _start(self) except -1:
        cdef State* s = self._ready_state()
        if not libev.ev_is_active(self._w):
            try:
                self._ev_start(s.ptr)
            except:
                self._callback = self._args = None
                raise
        if not self._counted:       # it is still counted if it expired in this round and its callback has not been called yet
            self._counted = True
            s.active += 1
        if not self._ref and not self._unreffed:
            libev.ev_unref(s.ptr)
            s.active -= 1
            self._unreffed = True
        self._enlist(s)
        return 0

    cdef void _enlist(self, State* s) noexcept:
        if not self._listed:
            self._listed = True
            Py_INCREF(self)
            self._prev = NULL
            self._next = s.started
            if s.started is not NULL:
                (<watcher>s.started)._prev = <PyObject*>self
            s.started = <PyObject*>self

    cdef void _delist(self, State* s) noexcept:
        if self._listed:
            self._listed = False
            if self._prev is not NULL:
                (<watcher>self._prev)._next = self._next
            else:
                s.started = self._next
            if self._next is not NULL:
                (<watcher>self._next)._prev = self._prev
            self._next = self._prev = NULL
            Py_DECREF(self)

    cdef void _stop_now(self) noexcept:
        """Stop it, whatever its state, and forget the callback. The caller holds a reference."""
        cdef State* s = self.loop.s
        callback, args = self._callback, self._args     # no-cython-lint: released last, since that may run anything
        if s is NULL or s.ptr is NULL:
            return
        self._uncount(s)
        self._fed = False
        if libev.ev_is_active(self._w):
            self._ev_stop(s.ptr)
        elif libev.ev_is_pending(self._w):
            libev.ev_clear_pending(s.ptr, self._w)
        self._callback = self._args = None
        self._delist(s)

    cdef void _uncount(self, State* s) noexcept:
        """It is being stopped, or libev did so."""
        if self._unreffed:
            libev.ev_ref(s.ptr)
            s.active += 1
            self._unreffed = False
        if self._counted:
            s.active -= 1
            self._counted = False

    cdef void _ended(self, State* s) noexcept:
        """libev stopped it by itself: a timer that does not repeat, a descriptor that cannot be watched, a fed event."""
        self._uncount(s)
        self._callback = self._args = None
        self._delist(s)

    cdef void _fire(self, int revents) noexcept:
        cdef State* s = self.loop.s
        cdef loop owner = self.loop
        keep = self                 # stop() in the callback may drop the last reference
        callback, args = self._callback, self._args
        self._fed = False
        if not libev.ev_is_active(self._w):
            self._uncount(s)
        if callback is not None:
            try:
                if args and args[0] is GEVENT_EVENTS:
                    args = (revents, *args[1:])
                callback(*args) if args else callback()
            except BaseException as error:
                self._failed(s, owner, error)
        if s.ptr is not NULL and self._listed and not libev.ev_is_active(self._w) and not libev.ev_is_pending(self._w):
            self._ended(s)
        keep = None

    cdef void _failed(self, State* s, loop owner, error) noexcept:
        try:
            if isinstance(error, HubDestroyed):
                # Thrown into the hub while libev is below us: libev must return before the loop can be left.
                if s.stopper is NULL:
                    Py_INCREF(error)
                    s.stopper = <PyObject*>error
                libev.ev_break(s.ptr, libev.EVBREAK_ALL)
                return
            owner._report(self, error)
            if isinstance(self, io) and s.ptr is not NULL:
                # The descriptor stays ready, so the same failure would come again at once, for ever.
                self._stop_now()
        except BaseException:
            _print_exception(sys.exc_info()[1])

    # -- what everybody may do

    def start(self, callback, *args):
        """Call ``callback(*args)`` in the hub for each event. TypeError unless *callback* can be called."""
        self._begin(callback, args)
        self._start()

    def stop(self):
        """Ignore further events, and those that came but were not handled. Does nothing if it is not started."""
        self._ready_state()
        self._stop_now()

    def close(self):
        """Stop it, also when the loop is gone.

        .. versionadded:: 26.11.0
        """
        if self.loop is not None and self.loop.s is not NULL and self.loop.s.ptr is not NULL:
            self._stop_now()

    def __enter__(self):
        return self

    def __exit__(self, t, v, tb):
        self.close()

    def feed(self, revents, callback, *args):
        """Act as if *revents* had happened: ``callback(*args)`` is called in this round of the loop."""
        cdef State* s = self._ready_state()
        cdef int mask = _contract.index(revents, "an event mask")
        self._begin(callback, args)
        self._fed = True
        libev.ev_feed_event(s.ptr, self._w, mask)
        self._enlist(s)

    @property
    def callback(self):
        """What is called for an event; None when not started."""
        return self._callback

    @callback.setter
    def callback(self, callback):
        if callback is not None and not PyCallable_Check(callback):
            raise TypeError(f"the callback must be callable, not {callback!r}")
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
        return self._w is not NULL and bool(libev.ev_is_active(self._w))

    @property
    def pending(self):
        """Whether an event came that was not handled yet."""
        return self._w is not NULL and bool(libev.ev_is_pending(self._w))

    @property
    def ref(self):
        """Whether it keeps the loop running while it is started."""
        return bool(self._ref)

    @ref.setter
    def ref(self, value):
        cdef State* s = self._ready_state()
        value = bool(value)
        if value == self._ref:
            return
        self._ref = value
        if value and self._unreffed:
            libev.ev_ref(s.ptr)
            s.active += 1
            self._unreffed = False
        elif not value and libev.ev_is_active(self._w):
            libev.ev_unref(s.ptr)
            s.active -= 1
            self._unreffed = True

    @property
    def priority(self):
        """From -2 to 2; of events of one moment the higher ones come first. Not to be changed while started."""
        self._ready_state()
        return libev.ev_priority(self._w)

    @priority.setter
    def priority(self, priority):
        self._refuse_if_active("priority")
        libev.ev_set_priority(self._w, _contract.check_priority(priority))

    cdef int _refuse_if_active(self, name) except -1:
        self._ready_state()
        if libev.ev_is_active(self._w) or libev.ev_is_pending(self._w):
            raise AttributeError(f"cannot set {name} of {self!r} while it is started: stop it first")
        return 0

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x}{self._describe()}{self._describe_state()}>"

    cdef str _describe(self):
        return ""

    cdef str _describe_state(self):
        if self.loop is None or self.loop.s is NULL or self.loop.s.ptr is NULL:
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


cdef class io(watcher):
    """io(loop, fd, events, ref=True, priority=None)

    Watches the descriptor *fd*; *events* is READ (1), WRITE (2) or both. ValueError for a negative *fd* or another mask.
    """
    cdef libev.ev_io _io
    cdef size_t _fresh_at           # place in State.fresh, from 1; 0: not there

    def __init__(self, loop loop not None, fd, events, ref=True, priority=None):
        fd = _contract.check_fd(fd)
        events = _contract.check_io_events(events)
        _check(loop)
        if not self._listed:
            libev.ev_io_init(&self._io, <void*>_on_event, fd, events)
        self._setup(loop, ref, priority, &self._io)

    def start(self, callback, *args, pass_events=False):
        """Call ``callback(*args)`` whenever the descriptor is ready; with *pass_events*, the events come before *args*."""
        if pass_events:
            args = (GEVENT_EVENTS, *args)
        self._begin(callback, args)
        self._start()

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        _check_open(self._io.fd)
        self._fresh_at = _note_fresh(self.loop.s, <PyObject*>self)
        libev.ev_io_start(ptr, &self._io)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        _forget_fresh(self.loop.s, &self._fresh_at)
        libev.ev_io_stop(ptr, &self._io)

    @property
    def fd(self):
        return self._io.fd

    @fd.setter
    def fd(self, fd):
        self._refuse_if_active("fd")
        libev.ev_io_set(&self._io, _contract.check_fd(fd), self._io.events & ~libev.EV__IOFDSET)

    @property
    def events(self):
        return self._io.events & ~libev.EV__IOFDSET

    @events.setter
    def events(self, events):
        self._refuse_if_active("events")
        libev.ev_io_set(&self._io, self._io.fd, _contract.check_io_events(events))

    @property
    def events_str(self):
        return _contract.events_to_text(self.events)

    cdef str _describe(self):
        return f" fd={self.fd} events={self.events_str}"


cdef class timer(watcher):
    """timer(loop, after=0.0, repeat=0.0, ref=True, priority=None)

    Fires *after* seconds, then every *repeat* seconds. ValueError for a negative *repeat*; a negative *after* counts as 0.
    """
    cdef libev.ev_timer _timer
    cdef double _after
    cdef double _repeat

    def __init__(self, loop loop not None, after=0.0, repeat=0.0, ref=True, priority=None):
        cdef double delay = _contract.check_after(after)
        cdef double every = _contract.check_repeat(repeat)
        _check(loop)
        if not self._listed:
            libev.ev_timer_init(&self._timer, <void*>_on_event, delay, every)
        self._setup(loop, ref, priority, &self._timer)
        self._after = delay
        self._repeat = every

    def start(self, callback, *args, update=True):
        """Call ``callback(*args)`` when the time has come, counted from now.

        With *update* false, counted from the loop's time, which is that of the last poll: cheaper, and less exact.
        """
        self._begin(callback, args)
        if not libev.ev_is_active(&self._timer):
            if update or update is None:
                libev.ev_now_update(self.loop.s.ptr)
            libev.ev_timer_set(&self._timer, self._after, self._repeat)
        self._start()

    def again(self, callback, *args, update=True):
        """Start it, or begin its time of *repeat* seconds anew if it is started. Without *repeat*, stop it."""
        cdef State* s
        self._begin(callback, args)
        s = self.loop.s
        if update or update is None:
            libev.ev_now_update(s.ptr)
        if not libev.ev_is_active(&self._timer):
            libev.ev_timer_set(&self._timer, self._repeat, self._repeat)
        if self._repeat > 0:
            self._start()
            libev.ev_timer_again(s.ptr, &self._timer)
        else:
            self._stop_now()

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        libev.ev_timer_start(ptr, &self._timer)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        libev.ev_timer_stop(ptr, &self._timer)

    @property
    def at(self):
        """When it fires next, on libev's monotonic clock, if started."""
        return self._timer.at

    @property
    def after(self):
        return self._after

    @property
    def repeat(self):
        return self._repeat

    cdef str _describe(self):
        return f" after={self._after} repeat={self._repeat}"


# libev aborts when a signal is started on two loops. Who has which: ---------------------------------------------------------------
cdef State* _signal_owner[128]
cdef int _signal_uses[128]


cdef int _start_signal(State* s, libev.ev_signal* w, int number) except -1:
    if _signal_owner[number] is not NULL and _signal_owner[number] is not s:
        if _signal_owner[number].pid != getpid():
            _give_up_signals(_signal_owner[number])
        if _signal_owner[number] is not NULL:
            raise RuntimeError(f"signal {number} is already watched on another event loop; one loop at a time can watch a signal")
    _signal_owner[number] = s
    _signal_uses[number] += 1
    if _signal_uses[number] == 1:
        libev.gevent_signal_before_start(number)
    libev.ev_signal_start(s.ptr, w)
    if _signal_uses[number] == 1:
        libev.gevent_signal_after_start(number)
    elif number == _signal.SIGCHLD:
        libev.gevent_sigchld_again()
    return 0


cdef void _give_up_signals(State* s) noexcept:
    """Stop the watchers of signals on a loop that nobody runs in this forked child."""
    cdef PyObject* node = s.started
    found = []
    while node is not NULL:
        each = <watcher>node
        if isinstance(each, (signal, child)):
            found.append(each)
        node = (<watcher>node)._next
    for each in found:
        (<watcher>each)._stop_now()
    if s.sigchld_on:
        _release_sigchld(s)


cdef void _stop_signal(libev.ev_loop* ptr, libev.ev_signal* w, int number) noexcept:
    _signal_uses[number] -= 1
    if _signal_uses[number] > 0:
        libev.ev_signal_stop(ptr, w)
    else:
        _signal_owner[number] = NULL
        libev.gevent_signal_stop(ptr, w)


cdef class signal(watcher):
    """signal(loop, signalnum, ref=True, priority=None)

    Fires when the process gets the signal. ValueError for a number that is no signal; :meth:`start` raises RuntimeError when
    another loop watches that signal.
    """
    cdef libev.ev_signal _signal
    cdef readonly int signalnum

    def __init__(self, loop loop not None, signalnum, ref=True, priority=None):
        number = _contract.check_signal_number(signalnum)
        _check(loop)
        if not self._listed:
            libev.ev_signal_init(&self._signal, <void*>_on_event, number)
            self.signalnum = number
        self._setup(loop, ref, priority, &self._signal)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        _start_signal(self.loop.s, &self._signal, self.signalnum)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        _stop_signal(ptr, &self._signal, self.signalnum)

    cdef str _describe(self):
        return f" signalnum={self.signalnum}"


cdef class idle(watcher):
    """idle(loop, ref=True, priority=None)

    Fires in each round of the loop in which nothing of the same or a higher priority is pending; the loop does not sleep meanwhile.
    """
    cdef libev.ev_idle _idle

    def __init__(self, loop loop not None, ref=True, priority=None):
        _check(loop)
        if not self._listed:
            libev.ev_idle_init(&self._idle, <void*>_on_event)
        self._setup(loop, ref, priority, &self._idle)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        libev.ev_idle_start(ptr, &self._idle)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        libev.ev_idle_stop(ptr, &self._idle)


cdef class prepare(watcher):
    """prepare(loop, ref=True, priority=None)

    Fires before each poll.
    """
    cdef libev.ev_prepare _prepare

    def __init__(self, loop loop not None, ref=True, priority=None):
        _check(loop)
        if not self._listed:
            libev.ev_prepare_init(&self._prepare, <void*>_on_event)
        self._setup(loop, ref, priority, &self._prepare)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        libev.ev_prepare_start(ptr, &self._prepare)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        libev.ev_prepare_stop(ptr, &self._prepare)


cdef class check(watcher):
    """check(loop, ref=True, priority=None)

    Fires after each poll.
    """
    cdef libev.ev_check _checker

    def __init__(self, loop loop not None, ref=True, priority=None):
        _check(loop)
        if not self._listed:
            libev.ev_check_init(&self._checker, <void*>_on_event)
        self._setup(loop, ref, priority, &self._checker)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        libev.ev_check_start(ptr, &self._checker)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        libev.ev_check_stop(ptr, &self._checker)


cdef class fork(watcher):
    """fork(loop, ref=True, priority=None)

    Fires in a forked child once its loop was told so (:meth:`loop.reinit`), before the loop polls there for the first time.
    """
    cdef libev.ev_fork _fork

    def __init__(self, loop loop not None, ref=True, priority=None):
        _check(loop)
        if not self._listed:
            libev.ev_fork_init(&self._fork, <void*>_on_event)
        self._setup(loop, ref, priority, &self._fork)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        libev.ev_fork_start(ptr, &self._fork)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        libev.ev_fork_stop(ptr, &self._fork)


cdef class async_(watcher):
    """async_(loop, ref=True, priority=None)

    Fires after :meth:`send`, which any native thread may call; several calls may be one event.
    """
    cdef libev.ev_async _async

    def __init__(self, loop loop not None, ref=True, priority=None):
        _check(loop)
        if not self._listed:
            libev.ev_async_init(&self._async, <void*>_on_event)
        self._setup(loop, ref, priority, &self._async)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        libev.ev_async_start(ptr, &self._async)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        libev.ev_async_stop(ptr, &self._async)

    def send(self):
        """Make it fire, and wake the loop. Safe in any native thread; ValueError when the loop is destroyed."""
        cdef State* s = self._ready_state()
        cdef bint gone
        with nogil:
            libev.gevent_lock_loops()       # against destroy() in the loop's thread
            gone = s.ptr is NULL
            if not gone:
                libev.ev_async_send(s.ptr, &self._async)
            libev.gevent_unlock_loops()
        if gone:
            raise ValueError("operation on destroyed loop")

    def send_ignoring_arg(self, _ignored):
        """:meth:`send`, for use as a link callback.

        .. versionadded:: 26.11.0
        """
        self.send()

    @property
    def pending(self):
        return bool(libev.ev_async_pending(&self._async)) or bool(libev.ev_is_pending(&self._async))


cdef class stat(watcher):
    """stat(loop, path, interval=0.0, ref=True, priority=None)

    Fires when the attributes of the file at *path* change, also when it appears or goes away.
    """
    cdef libev.ev_stat _stat
    cdef readonly object path
    cdef bytes _bytes           # what libev points to

    def __init__(self, loop loop not None, path, interval=0.0, ref=True, priority=None):
        cdef double every = _contract.check_repeat(interval)
        cdef bytes name = _contract.path_to_bytes(path)
        _check(loop)
        if not self._listed:
            self.path = path
            self._bytes = name
            libev.ev_stat_init(&self._stat, <void*>_on_event, self._bytes, every)
        self._setup(loop, ref, priority, &self._stat)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        libev.ev_stat_start(ptr, &self._stat)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        libev.ev_stat_stop(ptr, &self._stat)

    @property
    def attr(self):
        """What stat(2) gave last, as :class:`os.stat_result`; None if there was no file."""
        return _stat_result(&self._stat.attr)

    @property
    def prev(self):
        """What stat(2) gave before the last change; None if there was no file."""
        return _stat_result(&self._stat.prev)

    @property
    def interval(self):
        return self._stat.interval

    cdef str _describe(self):
        return f" path={self.path!r} interval={self.interval}"


cdef _stat_result(libev.ev_statdata* data):
    if data.st_nlink == 0:
        return None
    return os.stat_result((
        data.st_mode, data.st_ino, data.st_dev, data.st_nlink, data.st_uid, data.st_gid, data.st_size,
        data.st_atime, data.st_mtime, data.st_ctime,
    ))


# ---- Children ----------------------------------------------------------------------------------------------------------------
#
# A child is watched by its pidfd (Linux 5.3), which is readable once the child has ended: on any loop, without a signal. Where
# there is none, SIGCHLD on the default loop makes us ask for each watched pid; also for stops and continues (trace), and for
# "any child" (pid 0), which pidfds cannot tell. Either way the reaper is asked only for pids that are watched, and tells us also
# what others have asked it.

cdef bint _pidfd_known = False
cdef bint _pidfd_works = False


cdef bint _have_pidfd() except -1:
    global _pidfd_known, _pidfd_works
    cdef int fd
    choice = _config.child_watcher
    if choice is not None and choice != "pidfd" and choice != "sigchld":
        raise ValueError(f"GEVENT_CHILD_WATCHER must be pidfd or sigchld, not {choice!r}")
    if choice == "sigchld":
        return False
    if not _pidfd_known:
        fd = libev.gevent_pidfd_open(os.getpid())
        _pidfd_works = fd >= 0
        _pidfd_known = True
        if fd >= 0:
            c_close(fd)
    if choice == "pidfd" and not _pidfd_works:
        raise OSError("GEVENT_CHILD_WATCHER asks for pidfd, but pidfd_open(2) does not work here")
    return _pidfd_works


cdef void _ignore_event(libev.ev_loop* ptr, void* w, int revents) noexcept nogil:
    pass


cdef int _take_sigchld(State* s) except -1:
    if not s.sigchld_on:
        libev.ev_signal_init(&s.sigchld, <void*>_ignore_event, _signal.SIGCHLD)
        _start_signal(s, &s.sigchld, _signal.SIGCHLD)
        libev.ev_unref(s.ptr)
        s.sigchld_on = True
    return 0


cdef void _release_sigchld(State* s) noexcept:
    libev.ev_ref(s.ptr)
    _stop_signal(s.ptr, &s.sigchld, _signal.SIGCHLD)
    s.sigchld_on = False


cdef void _on_child(libev.ev_loop* ptr, void* w, int revents) noexcept:
    cdef child self = <child>(<libev.ev_watcher*>w).data
    if self._fed:
        self._fire(revents)
        return
    try:
        self._collect(<State*>libev.ev_userdata(ptr))
    except BaseException as error:
        # Such as what a program's signal handler has raised in the middle; then the end of the child is still there to be asked for.
        self._failed(<State*>libev.ev_userdata(ptr), self.loop, error)


cdef class child(watcher):
    """child(loop, pid, trace=0, ref=True)

    Fires when the child process *pid* has ended; it is reaped then, and ``rstatus`` has its wait status: all watchers of the child
    are told, whoever asked the kernel. With *trace*, also when it was stopped or continued. *pid* 0: any child. A watcher of one
    *pid* is stopped once that has ended.

    .. versionchanged:: 26.11.0
       When somebody outside of gevent has waited for the child, so that its status cannot be known, that of ``exit(255)`` is told.
    """
    cdef libev.ev_io _io            # over the pidfd, or
    cdef libev.ev_signal _signal    # of SIGCHLD
    cdef int _pidfd
    cdef bint _trace
    cdef object _claim              # with the reaper, while started
    cdef readonly int pid
    cdef public int rpid
    cdef public int rstatus

    def __cinit__(self):
        self._pidfd = -1

    def __init__(self, loop loop not None, pid, trace=0, ref=True):
        cdef int number = _contract.index(pid, "a process id")
        cdef State* s = _check(loop)
        if number < 0:
            raise ValueError(f"a process id cannot be negative: {pid!r}")
        if not s.is_default and (number == 0 or trace or not _have_pidfd()):
            raise TypeError("child watchers on a loop other than the default one need pidfd_open(2), a pid, and no trace")
        if not self._listed:
            libev.ev_io_init(&self._io, <void*>_on_child, 0, libev.EV_READ)
            libev.ev_signal_init(&self._signal, <void*>_on_child, _signal.SIGCHLD)
            self._io.data = self._signal.data = <void*><PyObject*>self
            self.pid = number
            self._trace = bool(trace)
        self._setup(loop, ref, None, &self._io)

    def __dealloc__(self):
        if self._pidfd >= 0:
            c_close(self._pidfd)

    cdef int _ev_start(self, libev.ev_loop* ptr) except -1:
        cdef State* s = self.loop.s
        if self.pid and not self._trace and _have_pidfd():
            self._pidfd = libev.gevent_pidfd_open(self.pid)
            if self._pidfd < 0 and not s.is_default:
                raise OSError(errno, f"pidfd_open(2) failed for process {self.pid}: {strerror(errno).decode()}")
        if self._pidfd >= 0:
            libev.ev_set_priority(&self._io, libev.ev_priority(self._w))
            self._w = <libev.ev_watcher*>&self._io
            libev.ev_io_set(&self._io, self._pidfd, libev.EV_READ)
            libev.ev_io_start(ptr, &self._io)
        else:
            libev.ev_set_priority(&self._signal, libev.ev_priority(self._w))
            self._w = <libev.ev_watcher*>&self._signal
            _start_signal(s, &self._signal, _signal.SIGCHLD)
            libev.ev_feed_event(ptr, &self._signal, libev.EV_CHILD)     # it may have ended before SIGCHLD was ours
        self._claim = _claim_child(self.pid, self._trace)
        return 0

    cdef void _ev_stop(self, libev.ev_loop* ptr) noexcept:
        if libev.ev_is_active(&self._io):
            libev.ev_io_stop(ptr, &self._io)
            c_close(self._pidfd)
            self._pidfd = -1
        else:
            _stop_signal(ptr, &self._signal, _signal.SIGCHLD)
        try:
            _release_child(self._claim)
        except Exception:
            _print_exception(sys.exc_info()[1])

    @property
    def by_signal(self):
        """Whether it is SIGCHLD that makes a started watcher ask: a handler installed later may keep that from it.

        .. versionadded:: 26.11.0
        """
        return libev.ev_is_active(&self._signal) != 0

    cdef int _collect(self, State* s) except -1:
        """Ask for what happened, and call back for each change."""
        keep = self
        while s.ptr is not NULL and libev.ev_is_active(self._w):
            try:
                told = _collect_child(self._claim, True)
            except ChildProcessError:
                # Somebody else took the status, so nobody can know it any more. Not to fire would leave our user waiting.
                told = (self.pid, _UNKNOWN_STATUS) if self.pid else None
            if told is None:
                break
            self.rpid, self.rstatus = told
            self._fire(libev.EV_CHILD)
            if self.pid and (os.WIFEXITED(self.rstatus) or os.WIFSIGNALED(self.rstatus)):
                if s.ptr is not NULL and libev.ev_is_active(self._w):
                    self._stop_now()
                break
        keep = None
        return 0

    cdef str _describe(self):
        return f" pid={self.pid} rpid={self.rpid} rstatus={self.rstatus}"


# gevent 1.1's spelling, a keyword since Python 3.7: reachable with getattr() only.
globals()["async"] = async_
