"""The default resolver: the system's own functions, in native threads."""

import _socket

from gevent._switching import get_hub
from gevent.resolver import is_numeric_host, is_numeric_nameinfo, is_numeric_port
from gevent.threadpool import ThreadPool

__all__ = ["Resolver"]

#: How many look-ups can be under way at a time; more of them wait for one of these.
THREADS = 10
#: Seconds after which a thread that had nothing to look up ends.
IDLE_SECONDS = 10.0


class _LookUpPool(ThreadPool):
    # A look-up changes nothing, so one that a fork cut off can be made again.
    _retry_after_fork = True


class Resolver:
    """Looks up names as programs without gevent do, and blocks only the greenlet that asks.

    Its native threads are its own, so that it never waits for the tasks of ``hub.threadpool``. What the system answers from its head is
    asked right here: numeric addresses, and nothing at all. Errors are those of the :mod:`socket` module, and raised in the
    greenlet that asks; what is not a failed look-up but a mistake of the caller, such as a wrong argument, is reported too.

    From another native thread than the *hub*'s, its functions block that thread.

    .. versionchanged:: 1.1
       Failed look-ups are not reported any more. It works in forked children.
    .. versionchanged:: 26.11.0
       A thread pool of its own, in place of the hub's.
    """

    def __init__(self, hub=None):
        hub = get_hub() if hub is None else hub
        #: The threads that look up.
        self.pool = _LookUpPool(THREADS, hub=hub, idle_task_timeout=IDLE_SECONDS)

    def __repr__(self):
        return f"<{type(self).__name__} at {id(self):#x} pool={self.pool!r}>"

    def close(self):
        """Let the threads end. It does not wait for look-ups that are under way; their results are delivered still."""
        self.pool.stop()

    def _on_fork(self):
        """Called by :func:`gevent.reinit` in a forked child: look-ups that were under way are made again."""
        self.pool._on_fork()

    def _ask(self, function, args, kwargs):
        return self.pool.apply_e(OSError, function, args, kwargs)

    # The condition in each of these was tried with strace on glibc: what is answered directly opens no connection and asks no name
    # service. It reads a file of /etc at most, once; or, for addresses of this host, the kernel's list of interfaces.

    def gethostbyname(self, *args):
        """See :func:`socket.gethostbyname`."""
        if len(args) == 1 and (args[0] in ("", "<broadcast>") or is_numeric_host(args[0])):
            return _socket.gethostbyname(*args)
        return self._ask(_socket.gethostbyname, args, None)

    def gethostbyname_ex(self, *args):
        """See :func:`socket.gethostbyname_ex`."""
        if len(args) == 1 and is_numeric_host(args[0]):
            return _socket.gethostbyname_ex(*args)
        return self._ask(_socket.gethostbyname_ex, args, None)

    def getaddrinfo(self, *args, **kwargs):
        """See :func:`socket.getaddrinfo`."""
        if len(args) >= 2 and is_numeric_port(args[1]) and (args[0] is None or is_numeric_host(args[0])):
            return _socket.getaddrinfo(*args, **kwargs)
        return self._ask(_socket.getaddrinfo, args, kwargs)

    def gethostbyaddr(self, *args, **kwargs):
        """See :func:`socket.gethostbyaddr`."""
        return self._ask(_socket.gethostbyaddr, args, kwargs)

    def getnameinfo(self, *args, **kwargs):
        """See :func:`socket.getnameinfo`."""
        if len(args) == 2 and is_numeric_nameinfo(args[1]):
            return _socket.getnameinfo(*args, **kwargs)
        return self._ask(_socket.getnameinfo, args, kwargs)
