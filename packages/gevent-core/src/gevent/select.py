"""Waiting for several descriptors: the standard :func:`select.select` and :func:`select.poll` for greenlets.

    >>> from gevent import select, socket
    >>> here, there = socket.socketpair()
    >>> select.select([here], [], [], 0.01)
    ([], [], [])
    >>> _ = there.send(b"x")
    >>> select.select([here], [], [], 0.01)[0] == [here]
    True
    >>> here.close(); there.close()

How it works: the kernel is asked first, without waiting. Only if nothing is ready, the loop watches all descriptors, and as soon as one
has an event the kernel is asked again, so that all that are ready then are returned. Every call lets other greenlets run, lest a
program that polls in a loop keep them from it.

The constants of the standard module (``POLLIN`` and so on) are here too.
"""

import select as _stdlib
from errno import EBADF
from select import POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI
from time import monotonic

from greenlet import getcurrent

from gevent import _epoll
from gevent._originals import get_original, is_patched
from gevent._switching import get_loop
from gevent.core import current_loop

__implements__ = ["select", "poll"]

__all__ = ["error", "select", "poll"]

for _name in _epoll.__all__:
    globals()[_name] = getattr(_epoll, _name)
    __implements__.append(_name)
    __all__.append(_name)
del _name

error = _stdlib.error

_READ = 1
_WRITE = 2

#: Poll conditions that the loop watches for as reading and as writing. Errors and hang-ups are always among them.
_READABLE = POLLIN | getattr(_stdlib, "POLLRDNORM", 0) | getattr(_stdlib, "POLLRDBAND", 0)
_WRITABLE = POLLOUT | getattr(_stdlib, "POLLWRNORM", 0) | getattr(_stdlib, "POLLWRBAND", 0)
_ALWAYS = POLLERR | POLLHUP | POLLNVAL

#: How select(2) sees what poll(2) answers: an error makes a descriptor readable and writable, a hang-up readable.
_SELECT_READABLE = _READABLE | POLLERR | POLLHUP
_SELECT_WRITABLE = _WRITABLE | POLLERR

#: Where there is no epoll to wait for conditions that the loop does not know, they are looked for every so many seconds.
_LOOK_EVERY = 0.02

#: Milliseconds: the system call takes a C int.
_LONGEST_POLL = 0x7FFFFFFF

_native_select = get_original("select", "select")
_native_poll = get_original("select", "poll")
_native_epoll = get_original("select", "epoll") if hasattr(_stdlib, "epoll") else None


def __getattr__(name):
    if name.isupper() and isinstance(getattr(_stdlib, name, None), int):
        return getattr(_stdlib, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get_fileno(obj):
    """The descriptor of *obj*: a number, or what its fileno() gives.

    TypeError for other objects, ValueError for a negative number, which is what closed files and sockets have.
    """
    fileno = obj
    if not isinstance(obj, int):
        try:
            method = obj.fileno
        except AttributeError:
            raise TypeError(f"argument must be an int, or have a fileno() method: {obj!r}") from None
        fileno = method()
        if not isinstance(fileno, int):
            raise TypeError(f"fileno() returned a non-integer: {fileno!r}")
    if fileno < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({fileno})")
    return fileno


def _let_others_run(loop):
    if getcurrent() is not loop.hub:  # there it is not to wait, but may look
        loop.yield_now()


def _wait_any(loop, wanted, seconds, owner):
    """Wait until one of the descriptors, or some, has an event. *wanted*: {descriptor: READ and WRITE bits}."""
    if len(wanted) == 1:
        [(fd, events)] = wanted.items()
        loop.wait_fd(fd, events, seconds)
        return
    park = loop.park(owner)
    watchers = []
    try:
        for fd, events in wanted.items():
            watcher = loop.io(fd, events)
            watchers.append(watcher)
            watcher.start(park.wake)
        park.wait(seconds)
    finally:
        for watcher in watchers:
            watcher.close()


# ---- select ------------------------------------------------------------------------------------------------------------------


def select(rlist, wlist, xlist, timeout=None):
    """Wait until some of the descriptors in *rlist* can be read from, some in *wlist* written to, or some in *xlist* have urgent data.

    Returns three lists: what can be read from, what can be written to, and what has such a condition. What stands in the lists are
    numbers, or objects with a ``fileno`` method. After *timeout* seconds all three are empty; 0 never waits, None waits
    without limit. TypeError for other objects, ValueError for negative numbers, OSError for descriptors that are not open.

    .. versionchanged:: 26.11.0
       *xlist* is no longer ignored.
    """
    if timeout is not None:
        timeout = timeout + 0.0
        if timeout < 0:
            raise ValueError(f"timeout must be non-negative: {timeout!r}")
    # Each is asked for its descriptor once; that may even change the lists, as with the standard function.
    readers = [(each if type(each) is int and each >= 0 else get_fileno(each), each) for each in rlist]
    writers = [(each if type(each) is int and each >= 0 else get_fileno(each), each) for each in wlist]
    if xlist:
        return _select_by_poll(readers, writers, [(get_fileno(each), each) for each in xlist], timeout)
    if current_loop() is None:
        _ready_now(readers, writers)  # a new loop would open descriptors, with the numbers of those that are not
    loop = get_loop()
    _let_others_run(loop)
    ready = _ready_now(readers, writers)
    if ready[0] or ready[1] or timeout == 0:
        return ready
    wanted = {}
    for fd, _ in readers:
        wanted[fd] = _READ
    for fd, _ in writers:
        wanted[fd] = wanted.get(fd, 0) | _WRITE
    deadline = None if timeout is None else monotonic() + timeout
    seconds = timeout
    while True:
        _wait_any(loop, wanted, seconds, select)
        ready = _ready_now(readers, writers)
        if ready[0] or ready[1]:
            return ready
        if deadline is not None:
            seconds = deadline - monotonic()
            if seconds <= 0:
                return ready


def _ready_now(readers, writers):
    try:
        readable, writable, _ = _native_select([fd for fd, _ in readers], [fd for fd, _ in writers], (), 0)
    except ValueError:
        # A number beyond FD_SETSIZE, which poll(2) takes.
        return _ready_by_poll(readers, writers)
    if not readable and not writable:
        return [], [], []
    # Linux finds descriptors that are not open, but only up to the size of the process's table of them, a multiple of 64. It leaves
    # the bits of those beyond as they are, and so says that they are ready.
    if max(readable, default=0) >= 64 or max(writable, default=0) >= 64:
        return _ready_by_poll(readers, writers)
    readable, writable = set(readable), set(writable)
    return [each for fd, each in readers if fd in readable], [each for fd, each in writers if fd in writable], []


def _poller(kind, readers, writers, urgent=()):
    masks = {}
    for entries, condition in ((readers, POLLIN), (writers, POLLOUT), (urgent, POLLPRI)):
        for fd, _ in entries:
            masks[fd] = masks.get(fd, 0) | condition
    poller = kind()
    for fd, mask in masks.items():
        poller.register(fd, mask)
    return poller


def _ready_by_poll(readers, writers):
    return _as_lists(_poller(_native_poll, readers, writers).poll(0), readers, writers)


def _select_by_poll(readers, writers, urgent, timeout):
    # Urgent data is nothing that the loop could watch for, and poll() has a way to wait for it.
    milliseconds = None if timeout is None else min(timeout * 1000, _LONGEST_POLL)
    return _as_lists(_poller(poll, readers, writers, urgent).poll(milliseconds), readers, writers, urgent)


def _as_lists(found, readers, writers, urgent=()):
    found = dict(found)
    for fd, conditions in found.items():
        if conditions & POLLNVAL:
            raise OSError(EBADF, f"file descriptor {fd} is not open")
    entries = ((readers, _SELECT_READABLE), (writers, _SELECT_WRITABLE), (urgent, POLLPRI))
    return tuple([each for fd, each in kind if found.get(fd, 0) & conditions] for kind, conditions in entries)


# ---- poll --------------------------------------------------------------------------------------------------------------------


class poll:
    """A set of descriptors to wait for together: the standard :func:`select.poll`.

    .. versionadded:: 1.1
    """

    def __init__(self):
        self._native = _native_poll()
        self._masks = {}
        self._polling = 0  # how many greenlets are in poll()

    def register(self, fd, eventmask=POLLIN | POLLOUT):
        """Add *fd*, a descriptor or an object with ``fileno``, or change what it is watched for: POLLIN and other bits.

        TypeError and ValueError as :func:`select`, OverflowError for a mask that does not fit in 16 bits.
        """
        fd = get_fileno(fd)
        self._native.register(fd, eventmask)
        self._masks[fd] = eventmask

    def modify(self, fd, eventmask):
        """Change what *fd* is watched for. OSError with ENOENT if it was not registered."""
        fd = get_fileno(fd)
        self._native.modify(fd, eventmask)
        self._masks[fd] = eventmask

    def unregister(self, fd):
        """Remove *fd*. KeyError if it was not registered."""
        fd = get_fileno(fd)
        self._native.unregister(fd)
        del self._masks[fd]

    def poll(self, timeout=None):
        """Wait until a descriptor has an event; returns a list of (descriptor, conditions).

        The conditions are POLLIN and so on, and POLLNVAL for a descriptor that is not open. After *timeout* **milliseconds** the list
        is empty; 0 never waits, None and negative numbers wait without limit. OverflowError for more than 24 days, as the system call
        takes an int.

        Several greenlets may wait in one poll object at once; RuntimeError for the second where :mod:`select` is patched, as from the
        standard one.
        """
        if not self._polling or not is_patched("select", "poll"):
            self._polling += 1
            try:
                return self._poll(timeout)
            finally:
                self._polling -= 1
        raise RuntimeError(f"concurrent poll() invocation: another greenlet waits in {self!r}; use one poll object for each")

    def _poll(self, timeout):
        seconds = None
        if timeout is not None:
            if not isinstance(timeout, (int, float)):
                raise TypeError(f"timeout must be a number of milliseconds or None, not {timeout!r}")
            if timeout > _LONGEST_POLL:
                raise OverflowError(f"timeout is too large: {timeout!r} milliseconds; use None to wait without limit")
            if timeout >= 0:
                seconds = timeout / 1000.0
        loop = get_loop()
        _let_others_run(loop)
        ready = self._native.poll(0)
        if ready or seconds == 0:
            return ready
        wanted, unusual = self._wanted()
        deadline = None if seconds is None else monotonic() + seconds
        proxy = _native_epoll() if unusual and _native_epoll is not None else None
        try:
            if proxy is not None:
                for fd in unusual:
                    proxy.register(fd, self._masks[fd])
                wanted[proxy.fileno()] = _READ
            while True:
                if unusual and proxy is None:
                    _wait_any(loop, wanted, _LOOK_EVERY if seconds is None else min(seconds, _LOOK_EVERY), self)
                else:
                    _wait_any(loop, wanted, seconds, self)
                ready = self._native.poll(0)
                if ready:
                    return ready
                if deadline is not None:
                    seconds = deadline - monotonic()
                    if seconds <= 0:
                        return ready
        finally:
            if proxy is not None:
                proxy.close()

    def _wanted(self):
        """({descriptor: READ and WRITE bits} for the loop, [descriptors that it cannot watch as asked])."""
        wanted = {}
        unusual = []
        for fd, mask in self._masks.items():
            events = (_READ if mask & _READABLE else 0) | (_WRITE if mask & _WRITABLE else 0)
            if not events or mask & ~(_READABLE | _WRITABLE | _ALWAYS):
                # To watch for more would wake us for nothing, again and again; for less, we would miss it.
                unusual.append(fd)
            else:
                wanted[fd] = events
        return wanted, unusual


class _StandardPoll(poll):
    """What ``select.poll()`` of a patched program makes. As there, its class makes no objects when it is called."""

    def __new__(cls):
        raise TypeError(f"cannot create '{cls.__module__}.{cls.__name__}' instances: call select.poll()")


def _make_poll():
    """An object to poll descriptors with: the standard :func:`select.poll`, in greenlets."""
    made = object.__new__(_StandardPoll)
    made.__init__()
    return made


_StandardPoll.__name__ = _StandardPoll.__qualname__ = _make_poll.__name__ = _make_poll.__qualname__ = "poll"
