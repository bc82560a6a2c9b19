"""How children ended: all of gevent's calls of ``waitpid(2)`` and ``waitid(2)`` are made here.

The kernel tells the status of a child once, to whoever asks first, and whoever asks next hears that there is no such child. In one
process there may be several who need to know: the object that started the child, watchers on the loops of several threads, a SIGCHLD
handler that collects whatever has ended. So

* who has an interest in one child says so before it ends (:func:`claim`), and is told whoever asked the kernel (:func:`collect`);
* what a watcher took from the kernel is kept for a later ``os.waitpid`` or ``os.waitid``, which would otherwise hear of no such child
  (:func:`take`, :func:`take_info`).

Only what is taken by somebody who goes to the kernel himself is lost. Nothing here waits. Any native thread may call it, and so may a
Python signal handler, which interrupts its own thread anywhere: the lock lets that thread in again, and between any two steps the
tables are whole.
"""

import errno
import os
from _signal import SIGCHLD  # not signal: that imports enum
from collections import deque
from time import monotonic

from gevent._originals import get_original

_RLock = get_original("_thread", "RLock")
_wait4, _waitpid = get_original("os", ["wait4", "waitpid"])
_waitid = get_original("os", "waitid") if hasattr(os, "waitid") else None  # neither PyPy has it, nor CPython on macOS before 3.13

#: The wait status for a child whose real one was taken by somebody else, outside of gevent: that of ``exit(255)``, as in asyncio.
UNKNOWN_STATUS = 255 << 8

#: What watchers took and nobody fetched is dropped after so many seconds, but not before so many others came after it.
KEPT_SECONDS = 60
KEPT_COUNT = 1000

_lock = _RLock()
_claims = {}  # pid: _Line
_kept = {}  # pid: _End, oldest first
_expected = 0  # how many children are being made
_unclaimed = {}  # pid: _End of those that ended meanwhile


class Claim:
    """Somebody's interest in the child *pid*; 0 for any child. Made by :func:`claim`."""

    __slots__ = ("changes", "end", "pid", "trace")

    def __init__(self, pid, trace):
        self.pid = pid
        self.trace = trace
        self.changes = deque()  # (pid, status) of stops and continues; of all children if pid is 0
        self.end = None  # an _End


class _Line(list):
    """The Claims of one child."""

    __slots__ = ("end",)

    def __init__(self):
        self.end = None  # an _End, once they have been told


class _End:
    """How a child ended."""

    __slots__ = ("group", "status", "usage", "user", "when")

    def __init__(self, status, usage=None, group=None, user=None):
        self.status = status
        self.usage = usage
        self.group = group
        self.user = user
        self.when = monotonic()


class Expecting:
    """A child is being made in this block, and :func:`claim` will be called in it. The child may have ended by then, and a signal
    handler or another thread may have waited for any child."""

    def __enter__(self):
        global _expected
        with _lock:
            _expected += 1

    def __exit__(self, *error):
        global _expected
        with _lock:
            if _expected <= 1:  # 0 in a forked child
                _expected = 0
                _unclaimed.clear()
            else:
                _expected -= 1


def claim(pid, trace=False):
    """A Claim on what will be heard of the child *pid*, with *trace* also when it is stopped and continued; 0 is any child."""
    mine = Claim(pid, trace)
    with _lock:
        line = _claims.get(pid)
        if line is None:
            line = _claims[pid] = _Line()
        line.append(mine)
        # A signal handler may have collected the child before any of these steps.
        end = line.end or _unclaimed.get(pid)
        if end is not None:
            mine.end = end
            release(mine)
    return mine


def forget(pid):
    """The child *pid* has just been made: forget what is known of an earlier one that had the number."""
    with _lock:
        _claims.pop(pid, None)
        _kept.pop(pid, None)


def release(mine):
    """Nobody has an interest in this Claim any more."""
    with _lock:
        line = _claims.get(mine.pid, ())
        if mine in line:
            line.remove(mine)
            if not line:
                _claims.pop(mine.pid, None)


def collect(mine, keep=False):
    """What is to be told under a Claim, ``(pid, status)``, or None: nothing has happened.

    The kernel is asked if nothing is known yet. With *keep*, what it says is kept for :func:`take` too. How a child ended is told as
    often as somebody asks, everything else once. ChildProcessError if there is no such child, perhaps because somebody went to
    the kernel himself.
    """
    with _lock:
        if not mine.changes and mine.end is None:
            try:
                _reap(mine.pid or -1, _TRACE if mine.trace else 0, keep)
            except ChildProcessError:
                # Unless a signal handler asked the kernel right before us: then we have been told.
                if not mine.changes and mine.end is None:
                    mine.end = _kept.get(mine.pid)
                    if mine.end is None:
                        if mine.pid:  # nothing will ever be heard of it
                            release(mine)
                        raise
        if mine.changes:
            return mine.changes.popleft()
        if mine.end is None:
            return None
        if not keep and _kept.get(mine.pid) is mine.end:
            del _kept[mine.pid]
        return mine.pid, mine.end.status


def take(pid, options=0, usage=False):
    """What ``os.waitpid(pid, options | os.WNOHANG)`` says: the kernel first, then from what watchers took. Each status is given once.

    ``(pid, status, resource usage)``, the last of which may be None unless *usage* is true; pid is 0 if nothing has happened.
    ChildProcessError if there is no such child.
    """
    with _lock:
        try:
            found = _reap(pid, options, usage=usage)
        except ChildProcessError:
            kept = _take_kept(pid)
            if kept is None:
                raise
            return kept
        if pid > 0:
            _kept.pop(pid, None)  # the kernel has such a child, so this was an earlier one
        elif found[0] == 0:
            return _take_kept(pid) or found
        return found


def take_info(kind, number, options, pid):
    """What ``os.waitid(kind, number, options)`` says: the kernel first, then from what watchers took. With WNOWAIT, it stays to be told.

    *options* are such that the kernel does not wait. *pid* is what :func:`take` calls the same children; None if that is not known.
    ChildProcessError if there is no such child.
    """
    with _lock:
        try:
            info = _waitid(kind, number, options)
        except ChildProcessError:
            info, there = None, False
        else:
            there = True
        if info is not None:
            if not options & os.WNOWAIT:
                _tell(info.si_pid, _status_of(info))
            return info
        if there and pid is not None and pid > 0:
            _kept.pop(pid, None)  # the kernel has such a child, so this was an earlier one
        found = _find_kept(pid) if pid is not None and options & os.WEXITED else None
        if found is not None:
            return _info_of(found, _kept[found] if options & os.WNOWAIT else _kept.pop(found))
        if not there:
            raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD))
        return None


_TRACE = os.WUNTRACED | os.WCONTINUED


def _reap(pid, options, keep=False, usage=False):
    """Ask the kernel, without waiting, and tell everybody concerned."""
    group = user = None
    if keep and pid > 0:
        try:
            group = os.getpgid(pid)
            info = _waitid and _waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            user = info and info.si_uid
        except OSError:
            pass
    if keep or usage:
        got, status, used = _wait4(pid, options | os.WNOHANG)
    else:
        (got, status), used = _waitpid(pid, options | os.WNOHANG), None
    if got == 0:
        return 0, 0, used
    end = _tell(got, status, used, group, user)
    if keep and end is not None:
        _kept.pop(got, None)
        _kept[got] = end
        _drop_old()
    return got, status, used


def _tell(got, status, used=None, group=None, user=None):
    """Tell everybody concerned what the kernel said of the child *got*; returns an _End, or None if it has not ended."""
    end = None
    if os.WIFEXITED(status) or os.WIFSIGNALED(status):
        end = _End(status, used, group, user)
        interested = _claims.pop(got, None)
        if interested is not None:
            interested.end = end
            for each in interested:
                each.end = end
        if _expected and not interested:
            _unclaimed[got] = end
    else:
        for each in _claims.get(got, ()):
            if each.trace:
                each.changes.append((got, status))
    for each in _claims.get(0, ()):
        if end is not None or each.trace:
            each.changes.append((got, status))
    return end


def _status_of(info):
    """The wait status for what ``waitid`` says."""
    if info.si_code == os.CLD_EXITED:
        return info.si_status << 8
    if info.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
        return info.si_status | (0x80 if info.si_code == os.CLD_DUMPED else 0)
    return 0xFFFF if info.si_code == os.CLD_CONTINUED else info.si_status << 8 | 0x7F


def _info_of(pid, end):
    """What ``waitid`` would have said of a child that a watcher took."""
    if os.WIFEXITED(end.status):
        code, status = os.CLD_EXITED, os.WEXITSTATUS(end.status)
    else:
        code, status = os.CLD_DUMPED if os.WCOREDUMP(end.status) else os.CLD_KILLED, os.WTERMSIG(end.status)
    user = os.getuid() if end.user is None else end.user
    return os.waitid_result((pid, user, SIGCHLD, status, code))


def _drop_old():
    now = monotonic()
    while len(_kept) > KEPT_COUNT:
        oldest = next(iter(_kept))
        if now - _kept[oldest].when < KEPT_SECONDS:
            break
        del _kept[oldest]


def _find_kept(pid):
    """The number of a child that watchers took, one of those that *pid* stands for in ``waitpid``; None if there is none."""
    if pid > 0:
        return pid if pid in _kept else None
    if pid == -1:
        return next(iter(_kept), None)
    group = -pid or os.getpgrp()
    return next((each for each, end in _kept.items() if end.group == group), None)


def _take_kept(pid):
    found = _find_kept(pid)
    if found is None:
        return None
    end = _kept.pop(found)
    return found, end.status, end.usage


def _after_fork():
    # The children were the parent's, and another thread may have held the lock.
    global _lock, _expected
    _lock = _RLock()
    _expected = 0
    for table in (_claims, _kept, _unclaimed):
        table.clear()


os.register_at_fork(after_in_child=_after_fork)
