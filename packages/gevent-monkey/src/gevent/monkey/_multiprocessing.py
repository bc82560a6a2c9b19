"""multiprocessing: its locks and pipes wait in the hub, and a forked worker starts in a world of its own.

*Locks* are semaphores of the system that several processes share. Nothing tells the loop when another process releases one, so
who waits looks again and again, at first after half a millisecond, and every 20 ms in the end.

*Pipes* stay blocking, since other processes share them. One waits until they can be read or written, and then does what does not block.

*A forked worker* has copies of all greenlets: the threads of the parent's Pool among them, that would take messages from the
parent. So it gets a new hub, under which none of them ever runs again, as after a fork none of the other threads does.
"""

import os
import select
import stat
import sys
from _socket import MSG_DONTWAIT
from _socket import socket as _native_socket

from gevent import threading
from gevent._fdio import is_ready
from gevent._originals import get_original
from gevent.hub import get_hub, get_hub_if_exists, set_hub
from gevent.monkey._shared import wait_until
from gevent.os import close
from gevent.socket import socket
from greenlet import getcurrent

__all__ = ["adapt_connections", "adapt_locks", "adapt_processes", "adapt_reduction"]

_READ = 1
_WRITE = 2

#: Hubs of parents, which must not be collected: that would run what their greenlets do in the end.
_left_behind = []


# ---- Workers ---------------------------------------------------------------------------------------------------------------------


def adapt_processes(process):
    """Give forked workers a new hub."""
    bootstrap = process.BaseProcess._bootstrap

    def _bootstrap(self, *args, **kwargs):
        _leave_world()
        return bootstrap(self, *args, **kwargs)

    process.BaseProcess._bootstrap = _bootstrap


def _leave_world():
    hub = get_hub_if_exists()
    if hub is None:
        return
    _left_behind.append((hub, hub.loop))
    hub.loop.abandon()
    set_hub(None)
    new = get_hub()
    if getcurrent() is not new.parent:
        new.parent = getcurrent()  # who is told when nothing is left to wait for: the worker, and not what the main greenlet did
    threading._unfinished.clear()


# ---- Pipes -----------------------------------------------------------------------------------------------------------------------


def adapt_connections(connection):
    """Have connections wait in the hub."""
    cls = connection.Connection
    receive, send = cls._recv, cls._send

    def _recv(self, size, read=_read):
        return receive(self, size, read)

    def _send(self, buf, write=_write):
        return send(self, buf, write)

    ends, close_native = sys.is_finalizing, get_original("os", "close")

    def _close(self):
        # The loop has to know: the next connection often gets the same number, before the loop has looked at what became of this one.
        # Not when the interpreter ends: it has taken from modules what is in them.
        (close_native if ends() else close)(self._handle)

    cls._close = _close
    cls._recv = _recv
    cls._send = _send


def adapt_reduction(reduction):
    """Have our sockets be sent to other processes, also if multiprocessing, as in one that was spawned, was imported before patching."""
    reduction.register(socket, reduction._reduce_socket)


def _read(fd, size):
    while True:
        if not is_ready(fd, select.POLLIN):
            get_hub().loop.wait_fd(fd, _READ)
        try:
            return os.read(fd, size)
        except BlockingIOError:  # somebody else was quicker, and the descriptor does not block
            continue


def _write(fd, data):
    while True:
        if not is_ready(fd, select.POLLOUT):
            get_hub().loop.wait_fd(fd, _WRITE)
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                return _send_some(fd, data)
            return os.write(fd, memoryview(data)[: select.PIPE_BUF])  # for which there is room in a pipe that can be written to
        except BlockingIOError:
            continue


def _send_some(fd, data):
    borrowed = _native_socket(fileno=fd)
    try:
        return borrowed.send(data, MSG_DONTWAIT)
    finally:
        borrowed.detach()


# ---- Locks -----------------------------------------------------------------------------------------------------------------------


def adapt_locks(synchronize):
    """Have semaphores wait in the hub."""
    import _multiprocessing

    if not isinstance(_multiprocessing.SemLock, type) or hasattr(_multiprocessing.SemLock, "_gevent"):
        return
    native = _multiprocessing.SemLock
    recursive = synchronize.RECURSIVE_MUTEX

    # Over it, not a subclass: CPython 3.9 allocates one of those without room for its attributes.
    class SemLock:
        _gevent = True
        SEM_VALUE_MAX = native.SEM_VALUE_MAX
        _owner = None  # of a recursive one: the greenlet that has it

        def __init__(self, *args, **kwargs):
            self._native = native(*args, **kwargs)

        @classmethod
        def _rebuild(cls, *state):
            self = cls.__new__(cls)
            self._native = native._rebuild(*state)
            return self

        def __getattr__(self, name):
            return getattr(self._native, name)

        def _try(self):
            if self.kind == recursive and self._native._is_mine() and self._owner is not getcurrent():
                return False  # the native one would let every greenlet of this thread in
            return self._native.acquire(False)

        def acquire(self, block=True, timeout=None):
            if not block:
                taken = self._try()
            else:
                taken = wait_until(self._try, None if timeout is None else max(timeout, 0))
            if taken and self.kind == recursive:
                self._owner = getcurrent()  # which fails when the interpreter ends, and a Pool of the program's takes a lock still
            return taken

        def release(self):
            if self.kind == recursive and not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            self._native.release()

        def _is_mine(self):
            return self._native._is_mine() and (self.kind != recursive or self._owner is getcurrent())

        def __enter__(self):
            return self.acquire()

        def __exit__(self, *exc_info):
            self.release()

    SemLock.__module__ = native.__module__
    _multiprocessing.SemLock = SemLock
