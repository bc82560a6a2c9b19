"""Signal handlers that run in greenlets; and the module can be called, as ``gevent.signal`` always could.

    >>> import gevent.signal
    >>> import os
    >>> import signal
    >>> watcher = gevent.signal(signal.SIGUSR1, print, "told")
    >>> os.kill(os.getpid(), signal.SIGUSR1)
    >>> gevent.sleep(0.01)
    told
    >>> watcher.cancel()

``gevent.signal`` is a class of gevent-core until somebody imports this module, which then takes its place there. So calling the module is
calling that class, also known as :class:`gevent.signal_handler`: both orders work.

The functions are those of the standard :mod:`signal`, and differ for one signal: a handler for SIGCHLD runs in a greenlet of its own, in
which it may wait. Those that are about one thread know which threads are greenlets. The standard handlers themselves work as well, also
beside gevent's watching of children.
"""

import signal as _stdlib
import sys
import types
from errno import EINVAL
from os import strerror
from weakref import WeakKeyDictionary

from gevent._originals import get_original
from gevent.greenlet import Greenlet
from gevent.hub import get_hub_if_exists
from gevent.hub import signal as _signal_handler
from gevent.thread import find_thread

__implements__ = ["signal", "getsignal", "set_wakeup_fd", "pthread_kill", "pthread_sigmask"]
__extensions__ = []
__all__ = ["signal", "getsignal", "set_wakeup_fd", "pthread_kill", "pthread_sigmask"]

_signal, _getsignal, _set_wakeup_fd, _pthread_kill, _pthread_sigmask = get_original("signal", __implements__)
_native_ident = get_original("_thread", "get_ident")


class _InGreenlet:
    """What is the process's handler while *handler* is the program's."""

    def __init__(self, handler):
        self.handler = handler

    def __call__(self, signalnum, frame):
        Greenlet.spawn(self.handler, signalnum, frame)


def signal(signalnum, handler):
    """Set the handler of a signal as :func:`signal.signal` does; returns the one before.

    For SIGCHLD, ``handler(signalnum, frame)`` is called in a new greenlet, once the main thread's hub runs. It may wait; an error in
    it is reported. Like every handler it is called at least once after the last of several signals, so it should collect all
    children that have ended. The main thread alone may call this: ValueError elsewhere. TypeError unless *handler* can be called or
    is SIG_IGN or SIG_DFL.

    .. versionadded:: 1.1
    .. versionchanged:: 26.11.0
       It is called for every child, not only those that gevent has forked.
    """
    if signalnum != _stdlib.SIGCHLD:
        return _signal(signalnum, handler)
    if handler not in (_stdlib.SIG_IGN, _stdlib.SIG_DFL) and not isinstance(handler, _InGreenlet):
        if not callable(handler):
            raise TypeError(f"a signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object, not {handler!r}")
        handler = _InGreenlet(handler)
    before = _told(_signal(signalnum, handler))
    if handler != _stdlib.SIG_IGN:
        _watch_again()
    return before


def _watch_again():
    """Where the loop watches children by SIGCHLD, its handler was displaced: a watcher that is started puts it in front again."""
    hub = get_hub_if_exists()
    if hub is not None and hub.loop is not None and hub.loop.default:
        watcher = hub.loop.signal(_stdlib.SIGCHLD, ref=False)
        watcher.start(int)
        watcher.stop()


def getsignal(signalnum):
    """The handler of a signal, as :func:`signal.getsignal` tells it.

    .. versionadded:: 1.1
    """
    return _told(_getsignal(signalnum))


def _told(handler):
    return handler.handler if isinstance(handler, _InGreenlet) else handler


def set_wakeup_fd(fd, /, *, warn_on_full_buffer=True):
    """Have the number of each signal written into the descriptor *fd*, -1 for none; returns the one before.

    It is :func:`signal.set_wakeup_fd`. The hub of the main thread uses the mechanism too, as long as the program does not.

    .. versionadded:: 26.11.0
    """
    return _set_wakeup_fd(fd, warn_on_full_buffer=warn_on_full_buffer)


# ---- Threads that are greenlets ----------------------------------------------------------------------------------------------------

# What they block. It is nothing that the system knows: they share the mask of their native thread, mostly the main one, and no signal would
# be handled any more. Python's handlers run in the main thread, whoever else has blocked the signal.
_masks = WeakKeyDictionary()


def pthread_sigmask(how, mask, /):
    """Change which signals the calling thread blocks; returns those it blocked before. It is :func:`signal.pthread_sigmask`.

    A thread that is a greenlet keeps a mask of its own, which blocks nothing in the other threads, and nothing in children that it starts.
    OSError for an unknown *how*, ValueError for a number that is no signal.

    .. versionadded:: 26.11.0
    """
    thread = find_thread()
    if thread is None:
        return _pthread_sigmask(how, mask)
    before = _masks.get(thread)
    if before is None:
        before = _pthread_sigmask(_stdlib.SIG_BLOCK, ())
    wanted = set(mask)
    if not wanted <= _stdlib.valid_signals():
        raise ValueError(f"only signals can be blocked, not {sorted(wanted - _stdlib.valid_signals())}")
    if how == _stdlib.SIG_BLOCK:
        _masks[thread] = before | wanted
    elif how == _stdlib.SIG_UNBLOCK:
        _masks[thread] = before - wanted
    elif how == _stdlib.SIG_SETMASK:
        _masks[thread] = wanted
    else:
        raise OSError(EINVAL, strerror(EINVAL))
    return set(before)


def pthread_kill(thread_id, signalnum, /):
    """Send a signal to the thread *thread_id*. It is :func:`signal.pthread_kill`; one that is a greenlet has no other than the caller's.

    .. versionadded:: 26.11.0
    """
    _pthread_kill(thread_id if find_thread(thread_id) is None else _native_ident(), signalnum)


# As the standard module says of its own; pydoc goes by it when these stand there.
for _function in (signal, getsignal, set_wakeup_fd, pthread_kill, pthread_sigmask):
    _function.__module__ = "signal"
del _function


class _CallableModule(types.ModuleType):
    """A module that is also the class it has replaced as an attribute of its package."""

    def __call__(self, signalnum, handler, *args, **kwargs):
        return _signal_handler(signalnum, handler, *args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
