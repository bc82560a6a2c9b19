"""Forking, waiting for children, and reading and writing descriptors, without keeping other greenlets waiting.

    >>> import os
    >>> import gevent.os
    >>> pid = gevent.os.fork()
    >>> if not pid:
    ...     os._exit(7)
    >>> gevent.os.waitpid(pid, 0) == (pid, 7 << 8)
    True

*Forking.* gevent is usable in a forked child at once, however that was forked: see :func:`gevent.reinit`. :func:`fork` and
:func:`forkpty` also watch the child in the parent, so that it leaves no zombie. Its status is there for :func:`waitpid`
nevertheless.

*Waiting.* :func:`waitpid`, :func:`wait`, :func:`wait3`, :func:`wait4` and :func:`waitid` are those of the standard :mod:`os`, for every
child of the process, whoever made it and whoever else waits for it: see :mod:`gevent._reaper`. They can be called in any native thread.

*Descriptors.* :func:`nb_read` and :func:`nb_write` are for what can be made non-blocking, :func:`tp_read` and :func:`tp_write` for
everything else.
"""

import errno
import os

from gevent._children import wait_for
from gevent._config import config
from gevent._fdio import make_nonblocking, nb_read, nb_write
from gevent._originals import get_original
from gevent._reaper import UNKNOWN_STATUS, Expecting, claim, collect, forget, take, take_info
from gevent.hub import fork_with, get_hub, get_hub_if_exists, spawn_raw

__all__ = [
    "fork",
    "forkpty",
    "wait",
    "wait3",
    "wait4",
    "waitpid",
    "close",
    "fork_and_watch",
    "fork_gevent",
    "forkpty_and_watch",
    "forkpty_gevent",
    "make_nonblocking",
    "nb_read",
    "nb_write",
    "tp_read",
    "tp_write",
]
#: What stands in for the same names of the standard module where that is patched.
__implements__ = ["close", "fork", "forkpty", "wait", "wait3", "wait4", "waitpid"]
__extensions__ = [name for name in __all__ if name not in __implements__]

_fork, _forkpty, _close = get_original("os", ["fork", "forkpty", "close"])

#: What a read or write of a non-blocking descriptor fails with when it is to be tried again. As in gevent 1.1, for those who import it.
ignored_errors = [errno.EAGAIN, errno.EINTR]


# ---- Descriptors -----------------------------------------------------------------------------------------------------------------


def tp_read(fd, n):
    """Up to *n* bytes from a descriptor of whatever kind, read in the hub's pool of native threads."""
    return get_hub().threadpool.apply(os.read, (fd, n))


def tp_write(fd, buf):
    """Write what a descriptor of whatever kind takes of *buf*, in the hub's pool of native threads; returns how many bytes that was."""
    return get_hub().threadpool.apply(os.write, (fd, buf))


def close(fd):
    """Close a descriptor, having stopped the watchers that this native thread's loop has for it.

    .. versionadded:: 26.11.0
    """
    hub = get_hub_if_exists()
    if hub is not None and hub.loop is not None:
        hub.loop.closing_fd(fd)
    _close(fd)


# ---- Forking ---------------------------------------------------------------------------------------------------------------------


def fork_gevent():
    """Fork the process; 0 in the child, its process id in the parent, which does not watch it.

    The child has the forking native thread alone, and can use gevent at once: hub, timers, thread pool and resolver are made fit for
    it before the hooks of ``os.register_at_fork`` run that were registered after gevent was imported. It has all the other
    greenlets too, and they run there as soon as the current one waits; but for threads that are greenlets, which end with a fork as all
    threads do (:mod:`gevent.thread`).

    .. versionadded:: 1.1
    .. versionchanged:: 26.11.0
       Threads.
    """
    return fork_with(_fork)


def forkpty_gevent():
    """:func:`fork_gevent` with a new pseudo-terminal as the child's terminal: ``(pid, descriptor)`` as from ``os.forkpty``.

    .. versionadded:: 1.1
    """
    return fork_with(_forkpty)


def fork_and_watch(callback=None, loop=None, ref=False, fork=fork_gevent):
    """Fork the process, and watch for the end of the child in the parent. Returns what *fork*, the function to call, does.

    When the child has ended, ``callback(watcher)`` is called in the hub; the watcher has ``pid`` and ``rstatus``, the wait status. The
    status is also there for one call of :func:`waitpid`: for a minute at least, and longer unless a thousand others have come
    since. *loop* is the loop to watch on, the calling native thread's by default. It goes on running for the watcher's sake only
    with *ref*.

    .. versionadded:: 1.1
    """
    with Expecting():
        pid = fork()
        if pid:
            _watch(pid, callback, loop, ref)
    return pid


def forkpty_and_watch(callback=None, loop=None, ref=False, forkpty=forkpty_gevent):
    """:func:`fork_and_watch` with a new pseudo-terminal: ``(pid, descriptor)``.

    .. versionadded:: 1.1
    """
    with Expecting():
        pid, fd = forkpty()
        if pid:
            _watch(pid, callback, loop, ref)
    return pid, fd


def fork(*args, **kwargs):
    """Fork the process: :func:`fork_and_watch`, whose arguments it takes; or :func:`fork_gevent` if ``GEVENT_NOWAITPID`` is set.

    .. versionchanged:: 1.1
       The child is watched.
    """
    if config.disable_watch_children:
        return fork_gevent(*args, **kwargs)
    return fork_and_watch(*args, **kwargs)


def forkpty(*args, **kwargs):
    """Fork with a new pseudo-terminal: :func:`forkpty_and_watch`, or :func:`forkpty_gevent` if ``GEVENT_NOWAITPID`` is set.

    .. versionadded:: 1.1
    """
    if config.disable_watch_children:
        return forkpty_gevent(*args, **kwargs)
    return forkpty_and_watch(*args, **kwargs)


if hasattr(os, "posix_spawn"):  # PyPy has neither
    __all__ += ["posix_spawn", "posix_spawnp"]
    __implements__ += ["posix_spawn", "posix_spawnp"]
    _posix_spawn, _posix_spawnp = get_original("os", ["posix_spawn", "posix_spawnp"])

    def posix_spawn(*args, **kwargs):
        """:func:`os.posix_spawn`; the child is watched as that of :func:`fork` is.

        .. versionadded:: 26.11.0
        """
        return _spawned(_posix_spawn, args, kwargs)

    def posix_spawnp(*args, **kwargs):
        """:func:`os.posix_spawnp`; the child is watched as that of :func:`fork` is.

        .. versionadded:: 26.11.0
        """
        return _spawned(_posix_spawnp, args, kwargs)


def _spawned(spawn, args, kwargs):
    with Expecting():
        pid = spawn(*args, **kwargs)
        if not config.disable_watch_children:
            _watch(pid, None, None, False)
    return pid


def _watch(pid, callback, loop, ref):
    forget(pid)
    if loop is None:
        loop = get_hub().loop
    try:
        watcher = loop.child(pid, ref=ref)
        watcher.start(_ended, watcher, callback)
    except (TypeError, OSError):
        # This loop cannot watch children (see gevent._children), or there is no descriptor for it. The child runs, so its caller must
        # get to know its number all the same.
        if loop is get_hub().loop:
            spawn_raw(_ask_until_ended, _AskedChild(loop, pid, ref), callback)
        elif callback is not None:
            raise


def _ended(watcher, callback):
    watcher.close()
    if callback is not None:
        callback(watcher)


class _AskedChild:
    """Stands in for the watcher of a child that has to be asked for."""

    rpid = rstatus = 0

    def __init__(self, loop, pid, ref):
        self.loop = loop
        self.pid = pid
        self.ref = ref


def _ask_until_ended(child, callback):
    interest = claim(child.pid)
    try:
        child.rpid, child.rstatus = wait_for(lambda: collect(interest, keep=True), child.pid, ref=child.ref)
    except ChildProcessError:
        child.rpid, child.rstatus = child.pid, UNKNOWN_STATUS
    if callback is not None:
        callback(child)


# ---- Waiting for children ----------------------------------------------------------------------------------------------------------


def waitpid(pid, options):
    """Wait for a child as :func:`os.waitpid` does: ``(pid, status)``, or ``(0, 0)`` with WNOHANG if there is nothing to tell.

    *pid* is that of a child, -1 for any child, 0 for any of the own process group, or that of a group made negative. *options* are
    those of the system: WNOHANG, WUNTRACED, WCONTINUED. Without WNOHANG it waits, and other greenlets run.

    A status that a watcher has fetched is told, once; and everybody who waits for a child by himself, as :class:`~gevent.subprocess.Popen`
    does, hears what was fetched here. ChildProcessError when there is no such child.

    .. versionadded:: 1.1
    .. versionchanged:: 26.11.0
       Process groups, and children that nobody watches, without blocking the thread.
    """
    return _wait(pid, options)[:2]


def wait():
    """Wait for any child as :func:`os.wait` does: ``(pid, status)``.

    .. versionadded:: 26.11.0
    """
    return _wait(-1, 0)[:2]


def wait3(options):
    """Wait for any child as :func:`os.wait3` does: ``(pid, status, resource usage)``.

    .. versionadded:: 26.11.0
    """
    return _wait(-1, options, usage=True)


def wait4(pid, options):
    """:func:`waitpid` with the child's resource usage: ``(pid, status, resource usage)``, as from :func:`os.wait4`.

    .. versionadded:: 26.11.0
    """
    return _wait(pid, options, usage=True)


def _wait(pid, options, usage=False):
    if options & os.WNOHANG:
        return take(pid, options, usage)

    def ask():
        found = take(pid, options, usage)
        return found if found[0] else None

    # The watcher of one child tells its end only.
    return wait_for(ask, -1 if options & (os.WUNTRACED | os.WCONTINUED) else pid)


if hasattr(os, "waitid"):  # neither PyPy has it, nor CPython on macOS before 3.13
    __all__ += ["waitid"]
    __implements__ += ["waitid"]

    def waitid(idtype, id, options, /):
        """Wait for a child as :func:`os.waitid` does, with an object of the same kind; None with WNOHANG if there is nothing to tell.

        *idtype* says what *id* is: P_PID a child's number, P_PGID a process group's, P_PIDFD a descriptor of :func:`os.pidfd_open`;
        with P_ALL any child is meant. *options* say what is to be told, WEXITED, WSTOPPED, WCONTINUED, and how: WNOHANG, and WNOWAIT,
        which leaves it for the next who asks. It waits and tells as :func:`waitpid` does. Who waits with WNOWAIT in another native
        thread than the main one hears of it up to 50 milliseconds late.

        A child of :func:`fork` is watched, and so may have been fetched before this is called; a descriptor does not tell any more
        which child it was then, and P_PIDFD gets ChildProcessError. It is there where the standard module has it.

        .. versionadded:: 26.11.0
        """
        pid = _waitpid_number(idtype, id)
        nonblocking = idtype == getattr(os, "P_PIDFD", None) and id >= 0 and not os.get_blocking(id)
        if options & os.WNOHANG or nonblocking:
            return take_info(idtype, id, options, pid)
        # What waits for one child has it fetched, and tells its end only.
        alone = pid is not None and options & (os.WSTOPPED | os.WCONTINUED | os.WNOWAIT) == 0
        return wait_for(lambda: take_info(idtype, id, options | os.WNOHANG, pid), pid if alone else -1)


def _waitpid_number(idtype, id):
    """What :func:`waitpid` calls the children that are *id* for :func:`waitid`; None if there is nothing of the kind."""
    if idtype == os.P_ALL:
        return -1
    if idtype == os.P_PID:
        return id if id > 0 else None
    if idtype == os.P_PGID:
        return -id if id != 1 else None  # -1 is any child
    try:
        with open(f"/proc/self/fdinfo/{id}") as lines:
            pid = next((int(line[4:]) for line in lines if line.startswith("Pid:")), -1)
    except OSError:
        return None
    return pid if pid > 0 else None
