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
which it may wait. The standard handlers themselves work as well, also beside gevent's watching of children.
"""

import signal as _stdlib
import sys
import types

from gevent._originals import get_original
from gevent.greenlet import Greenlet
from gevent.hub import get_hub_if_exists
from gevent.hub import signal as _signal_handler

__implements__ = ["signal", "getsignal", "set_wakeup_fd"]
__extensions__ = []
__all__ = ["signal", "getsignal", "set_wakeup_fd"]

_signal, _getsignal, _set_wakeup_fd = get_original("signal", ["signal", "getsignal", "set_wakeup_fd"])


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


# As the standard module says of its own; pydoc goes by it when these stand there.
for _function in (signal, getsignal, set_wakeup_fd):
    _function.__module__ = "signal"
del _function


class _CallableModule(types.ModuleType):
    """A module that is also the class it has replaced as an attribute of its package."""

    def __call__(self, signalnum, handler, *args, **kwargs):
        return _signal_handler(signalnum, handler, *args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
