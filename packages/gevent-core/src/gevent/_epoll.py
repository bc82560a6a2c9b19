"""Waiting for many descriptors through the kernel's own set of them: the standard ``select.epoll`` and ``select.kqueue`` for greenlets.

:mod:`gevent.select` has them under their names, where the platform has them.

How it works: the set itself is the kernel's, and all that changes or asks it goes there directly. It is never asked to wait. A set of
descriptors is a descriptor too, which can be read from while something in the set is ready; that is what the loop waits for,
with one watcher however many descriptors the set has. Another greenlet may take what was ready first; then we wait on.

Every call of ``poll`` or ``control`` that may wait lets other greenlets run, lest a program that polls in a loop keep them from it.
"""

import select as _stdlib
from operator import index
from time import monotonic

from greenlet import getcurrent

from gevent._originals import get_original
from gevent._switching import get_loop
from gevent.core import current_loop

__all__ = [name for name in ("epoll", "kqueue") if hasattr(_stdlib, name)]

_READ = 1

#: Seconds; the system calls take a C int of milliseconds.
_LONGEST = 0x7FFFFFFF / 1000


def _seconds(timeout):
    """*timeout* as the standard library takes it: TypeError for no number, ValueError for NaN, OverflowError beyond 24 days."""
    if not isinstance(timeout, (int, float)):
        try:
            timeout = index(timeout)
        except TypeError:
            raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}") from None
    if timeout != timeout:
        raise ValueError("timeout must be a number of seconds, not NaN")
    if timeout > _LONGEST:
        raise OverflowError(f"timeout is too large: {timeout!r} seconds")
    return float(timeout)


class _KernelSet:
    """A native object that is a set of descriptors, and the greenlets that wait for it."""

    #: What messages call it.
    _kind = ""

    def __init__(self, native):
        self._native = native
        self._waiting = set()

    @property
    def closed(self):
        """Whether it was closed."""
        return self._native.closed

    def fileno(self):
        """The descriptor of the set. ValueError if it was closed."""
        return self._native.fileno()

    def close(self):
        """Close it; greenlets that wait for it get a ValueError. It may be closed again."""
        # The loop has to let go of the descriptor before its number can be anybody else's.
        error = self._closed_error()
        here = current_loop()
        while self._waiting:
            park = self._waiting.pop()
            if park.loop is here:
                park.close(error)
            else:
                park.loop.run_callback_threadsafe(park.close, error)
        self._native.close()

    def _closed_error(self):
        return ValueError(f"I/O operation on closed {self._kind} object")

    def __enter__(self):
        if self.closed:
            raise self._closed_error()
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        state = "closed" if self.closed else f"fd={self.fileno()}"
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x} {state}>"

    def _when_ready(self, ask, seconds):
        """What ``ask()`` gives, a list, as soon as it is not empty or *seconds* (None: no limit) have passed."""
        loop = get_loop()
        if getcurrent() is not loop.hub:  # there it is not to wait, but may look
            loop.yield_now()
        ready = ask()
        if ready or seconds == 0:
            return ready
        deadline = None if seconds is None else monotonic() + seconds
        while True:
            park = loop.io_park(self._native.fileno(), _READ)
            self._waiting.add(park)
            try:
                park.wait_io(seconds)
            except OSError:
                # Closed by another native thread, and the loop saw that before it was told.
                if self.closed:
                    raise self._closed_error() from None
                raise
            finally:
                self._waiting.discard(park)
            ready = ask()
            if ready:
                return ready
            if deadline is not None:
                seconds = deadline - monotonic()
                if seconds <= 0:
                    return ready


if hasattr(_stdlib, "epoll"):
    _native_epoll = get_original("select", "epoll")

    class epoll(_KernelSet):
        """epoll(sizehint=-1, flags=0)

        A set of descriptors in the Linux kernel to wait for together: the standard :class:`select.epoll`. Its arguments, masks
        (edge-triggered, one-shot, exclusive) and errors are the kernel's and the standard library's.

        Native threads may share one, each waiting in greenlets of its own.

        .. versionadded:: 26.11.0
        """

        _kind = "epoll"

        def __init__(self, sizehint=-1, flags=0):
            super().__init__(_native_epoll(sizehint, flags))

        @classmethod
        def fromfd(cls, fd):
            """An epoll object for *fd*, the descriptor of an existing set. The object owns it from now on."""
            new = cls.__new__(cls)
            _KernelSet.__init__(new, _native_epoll.fromfd(fd))
            return new

        def register(self, fd, eventmask=_stdlib.EPOLLIN | _stdlib.EPOLLPRI | _stdlib.EPOLLOUT):
            """Add *fd*, a descriptor or an object with ``fileno``.

            OSError if it is there already (EEXIST), is not open (EBADF) or cannot be waited for (EPERM: ordinary files).
            """
            self._native.register(fd, eventmask)

        def modify(self, fd, eventmask):
            """Change what *fd* is watched for. OSError with ENOENT if it was not registered."""
            self._native.modify(fd, eventmask)

        def unregister(self, fd):
            """Remove *fd*. OSError with ENOENT if it was not registered."""
            self._native.unregister(fd)

        def poll(self, timeout=None, maxevents=-1):
            """Wait until a descriptor has an event; returns a list of at most *maxevents* pairs (descriptor, events).

            After *timeout* seconds the list is empty; 0 never waits, None and negative numbers wait without limit. ValueError if
            it was closed, also while the greenlet waits, and for a *maxevents* that is neither positive nor -1.
            """
            if timeout is not None:
                timeout = _seconds(timeout)
                if timeout < 0:
                    timeout = None
            return self._when_ready(lambda: self._native.poll(0, maxevents), timeout)


class _Kqueue(_KernelSet):
    """kqueue()

    The BSD kernels' queue of events: the standard :class:`select.kqueue`.

    .. versionadded:: 26.11.0
    """

    _kind = "kqueue"
    _native_class = None  # the standard class, where there is one

    def __init__(self):
        super().__init__(self._native_class())

    @classmethod
    def fromfd(cls, fd):
        """A kqueue object for *fd*, the descriptor of an existing queue. The object owns it from now on."""
        new = cls.__new__(cls)
        _KernelSet.__init__(new, cls._native_class.fromfd(fd))
        return new

    def control(self, changelist, max_events, timeout=None):
        """Apply the changes in *changelist*, kevent objects or None, then wait for at most *max_events* events; returns a list.

        With *max_events* 0 it never waits. After *timeout* seconds the list is empty; 0 never waits, None waits without limit.
        ValueError if it was closed, also while the greenlet waits, and for a negative *timeout* or *max_events*.
        """
        if timeout is not None:
            timeout = _seconds(timeout)
            if timeout < 0:
                raise ValueError(f"timeout must be positive or None, got {timeout!r}")
        if max_events == 0:
            return self._native.control(changelist, 0, 0)
        if changelist is not None:
            self._native.control(changelist, 0, 0)
        return self._when_ready(lambda: self._native.control(None, max_events, 0), timeout)


if hasattr(_stdlib, "kqueue"):

    class kqueue(_Kqueue):
        __doc__ = _Kqueue.__doc__
        _native_class = get_original("select", "kqueue")
