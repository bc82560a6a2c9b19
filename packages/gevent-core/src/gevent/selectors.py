"""Waiting for many files and sockets, with a record of who wanted what: the standard :mod:`selectors` for greenlets.

    >>> from gevent import selectors, socket
    >>> here, there = socket.socketpair()
    >>> selector = selectors.DefaultSelector()
    >>> _ = selector.register(here, selectors.EVENT_READ, data="answer")
    >>> selector.select(timeout=0.01)
    []
    >>> _ = there.send(b"x")
    >>> [(key.data, events) for key, events in selector.select()]
    [('answer', 1)]
    >>> selector.close(); here.close(); there.close()

Every class that the interpreter's own module has on this platform is here too, with the same arguments and errors, and an instance
of ours is an instance of the standard class. The book-keeping is the standard library's; ours is the waiting, by the functions and
classes of :mod:`gevent.select`: other greenlets run meanwhile, and once at least in each call of ``select``.

.. versionadded:: 26.11.0
"""

import selectors as _stdlib
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey

from gevent._originals import get_original
from gevent._switching import get_hub
from gevent.select import poll, select

TYPE_CHECKING = False  # as type checkers know it; typing takes as long to import as all the rest
if TYPE_CHECKING:
    from typing import Any

__all__ = ["EVENT_READ", "EVENT_WRITE", "BaseSelector", "SelectorKey", "SelectSelector"]


_Select: "Any" = get_original("selectors", "SelectSelector")


class SelectSelector(_Select):
    """A selector over :func:`gevent.select.select`. Descriptors beyond ``FD_SETSIZE`` are taken, too."""

    def _select(self, rlist, wlist, xlist, timeout=None):
        return select(rlist, wlist, xlist, timeout)


if hasattr(_stdlib, "PollSelector"):
    _Poll: "Any" = get_original("selectors", "PollSelector")

    class PollSelector(_Poll):
        """A selector over :class:`gevent.select.poll`."""

        _selector_cls = poll

    __all__ += ["PollSelector"]

if hasattr(_stdlib, "EpollSelector"):
    from gevent._epoll import epoll

    _Epoll: "Any" = get_original("selectors", "EpollSelector")

    class EpollSelector(_Epoll):
        """A selector over :class:`gevent.select.epoll`: a call costs by what is ready, not by what is registered."""

        _selector_cls = epoll

    __all__ += ["EpollSelector"]

if hasattr(_stdlib, "DevpollSelector"):

    class DevpollSelector(PollSelector):
        """What the interpreter has over ``/dev/poll``, here over :class:`gevent.select.poll`: no loop can wait for ``/dev/poll``."""

    __all__ += ["DevpollSelector"]

if hasattr(_stdlib, "KqueueSelector"):
    from gevent._epoll import kqueue

    _Kqueue: "Any" = get_original("selectors", "KqueueSelector")

    class KqueueSelector(_Kqueue):
        """A selector over ``gevent.select.kqueue``."""

        def __init__(self):
            super().__init__()
            self._selector.close()
            self._selector = kqueue()

    __all__ += ["KqueueSelector"]


_Best: "Any" = globals().get("EpollSelector") or globals().get("KqueueSelector") or globals().get("PollSelector") or SelectSelector


class GeventSelector(_Best):
    """GeventSelector(hub=None)

    The best selector of the platform, and the :data:`DefaultSelector`.

    *hub* is the hub whose greenlets call :meth:`select`; by default the calling native thread's, whichever it is. Ordinary files, which
    epoll refuses, are taken; they are always ready, as for :func:`gevent.select.select`.
    """

    def __init__(self, hub=None):
        super().__init__()
        self._hub = hub
        self._always = {}  # {descriptor: events} of ordinary files

    @property
    def hub(self):
        """The hub that was given, else that of the calling native thread, which is made if need be."""
        return get_hub() if self._hub is None else self._hub

    def register(self, fileobj, events, data=None):
        """Add *fileobj*, a descriptor or an object with ``fileno``, to be watched for *events*, EVENT_READ or EVENT_WRITE or both.

        Returns its SelectorKey. KeyError if it is there already, ValueError for bad *events* or a closed file, OSError if the kernel
        refuses it.
        """
        try:
            return super().register(fileobj, events, data)
        except PermissionError:
            # The book-keeping alone: what the classes above do before they ask the kernel.
            key = _stdlib._BaseSelectorImpl.register(self, fileobj, events, data)
            self._always[key.fd] = key.events
            return key

    def unregister(self, fileobj):
        """Remove *fileobj*, which may have been closed; returns its SelectorKey. KeyError if it is not there."""
        key = super().unregister(fileobj)
        self._always.pop(key.fd, None)
        return key

    def modify(self, fileobj, events, data=None):
        """Change what *fileobj* is watched for, or its *data*; returns the new SelectorKey. KeyError if it is not there."""
        key = self.get_map()[fileobj] if self._always else None
        if key is None or key.fd not in self._always:
            return super().modify(fileobj, events, data)
        self.unregister(fileobj)
        return self.register(fileobj, events, data)

    def select(self, timeout=None):
        """Wait until something is ready; returns a list of (SelectorKey, events).

        After *timeout* seconds the list is empty; 0 and less never waits, None waits without limit. RuntimeError in a native thread
        that is not the *hub*'s.
        """
        if self._hub is not None and self._hub is not get_hub():
            raise RuntimeError(f"{self!r} belongs to {self._hub!r}, which is not the hub of this native thread")
        if not self._always:
            return super().select(timeout)
        ready = super().select(0)
        return ready + [(self._fd_to_key[fd], events) for fd, events in self._always.items()]

    def close(self):
        """Close it, and forget what was registered. It cannot be used any more."""
        self._always.clear()
        super().close()


DefaultSelector = GeventSelector

__all__ += ["GeventSelector", "DefaultSelector"]
