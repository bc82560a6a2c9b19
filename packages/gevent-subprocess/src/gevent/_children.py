"""Waiting for children: where ``Popen.wait`` and ``os.waitpid`` leave the greenlet.

Everybody asks :mod:`gevent._reaper`, which never waits, and comes here when nothing has happened yet. There are three ways to hear that
it is time to ask again:

* One child that is to end: a child watcher, on the loop of the calling native thread. Where the kernel has ``pidfd_open(2)`` it works in
  every native thread, and needs no signal; elsewhere it is SIGCHLD's, which only the default loop can have.
* Any child, or a child that may also be stopped, or is not to be fetched: SIGCHLD, on the default loop.
* On other loops, where the above cannot be had: asking from time to time, as the standard library's ``Popen.wait(timeout)`` does.

A program may install a handler for SIGCHLD of its own while somebody waits for ours to be called. The loop hears of a Python function by
the wake-up descriptor, but of nothing if the program uses that too, or sets SIG_DFL. So who waits for that signal looks once a
second as well.
"""

from signal import SIGCHLD
from time import monotonic

from gevent.event import Event
from gevent.hub import get_hub, sleep

#: Seconds between two looks: without any watcher (the first and the longest), and beside one of SIGCHLD.
FIRST_LOOK, LONGEST_LOOK = 0.0005, 0.05
LOOK_BESIDE_SIGNAL = 1.0


def wait_for(ask, pid=-1, timeout=None, ref=True):
    """Call *ask* until it gives something other than None, and return that; None after *timeout* seconds.

    In between, wait for the end of child *pid*, or for anything that happens to any child if it is not positive. With *ref* false
    that does not keep the loop running. What *ask* raises is raised.
    """
    found = ask()
    if found is not None:
        return found
    if timeout is None:
        end = None
    elif timeout <= 0:
        return None
    else:
        end = monotonic() + timeout
    news = Event()
    watcher = _start_watcher(get_hub().loop, pid, ref, news.set)
    if watcher is None:
        return _look_often(ask, end, ref)
    look = LOOK_BESIDE_SIGNAL if pid <= 0 or watcher.by_signal else None
    try:
        while True:
            found = ask()  # again, since it may have happened before the watcher was started
            if found is not None:
                return found
            seconds = None if end is None else end - monotonic()
            if seconds is not None and seconds <= 0:
                return None
            news.wait(look if seconds is None else seconds if look is None else min(seconds, look))
            news.clear()
    finally:
        watcher.stop()
        watcher.close()


def _start_watcher(loop, pid, ref, callback):
    """A started watcher that calls back on news of *pid*, or None if there can be none on this loop."""
    if pid <= 0 and not loop.default:
        return None
    try:
        watcher = loop.child(pid, ref=ref) if pid > 0 else loop.signal(SIGCHLD, ref=ref)
        watcher.start(callback)
    except (TypeError, OSError):
        # Not the default loop, and the kernel has no pidfd_open, or no descriptor left to give.
        return None
    return watcher


def _look_often(ask, end, ref):
    delay = FIRST_LOOK
    while True:
        seconds = delay if end is None else min(delay, end - monotonic())
        if seconds <= 0:
            return None
        sleep(seconds, ref)
        found = ask()
        if found is not None:
            return found
        delay = min(delay * 2, LONGEST_LOOK)
