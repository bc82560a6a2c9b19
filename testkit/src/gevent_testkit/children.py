"""Child processes for tests: those that are watched, started without subprocess, which would wait for them itself; and forked Python.

PyPy has neither ``os.posix_spawn`` nor ``os.pidfd_open`` nor ``os.waitid``.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_P_PID, _WSTOPPED, _WEXITED, _WNOWAIT = 1, 2, 4, 0x01000000  # of Linux
_PIDFD_OPEN = 434


def start_shell(command: str, stdin: int | None = None, group: int | None = None) -> int:
    """The pid of a child process that runs *command* in sh. Nobody waits for it but the caller.

    *stdin* is the descriptor that it reads from; *group* the process group it joins, 0 for a new one.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        if stdin is not None:
            os.dup2(stdin, 0)
        if group is not None:
            os.setpgid(0, group)
        os.execv("/bin/sh", ["sh", "-c", command])
    finally:
        os._exit(127)


def exit_child(function: Callable[..., object], *args: object) -> NoReturn:
    """End a forked child: status 0 if *function* returns, 1 and a traceback if it raises."""
    status = 1
    try:
        function(*args)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def status_of_child(
    function: Callable[[], object],
    fork: Callable[[], int] | None = None,
    wait: Callable[[int, int], tuple[int, int]] | None = None,
    by_multiprocessing: bool = False,
) -> int | None:
    """Call *function* in a child that *fork* makes, and have *wait* wait for that; 0 if it returned.

    By default those are ``os.fork`` and ``os.waitpid`` as they are at the time. Or :mod:`multiprocessing` does all of that.
    """
    if by_multiprocessing:
        process = multiprocessing.get_context("fork").Process(target=function)
        process.start()
        process.join(20)
        return process.exitcode
    pid = (fork or os.fork)()
    if not pid:
        exit_child(function)
    waited, status = (wait or os.waitpid)(pid, 0)
    assert waited == pid
    return status


def wait_for_end(pid: int) -> None:
    """Block until the child *pid* has ended, and leave its status to whoever asks."""
    _wait_and_leave(pid, _WEXITED)


def wait_for_stop(pid: int) -> None:
    """Block until a signal has stopped the child *pid*, and leave its status to whoever asks."""
    _wait_and_leave(pid, _WSTOPPED)


def _wait_and_leave(pid, what):
    if hasattr(os, "waitid"):
        os.waitid(os.P_PID, pid, (os.WSTOPPED if what == _WSTOPPED else os.WEXITED) | os.WNOWAIT)
    elif ctypes.CDLL(None, use_errno=True).waitid(_P_PID, pid, ctypes.create_string_buffer(128), what | _WNOWAIT):
        raise OSError(ctypes.get_errno(), f"waitid(2) failed for {pid}")


@functools.cache
def has_pidfd() -> bool:
    """Whether the kernel has pidfd_open(2)."""
    if hasattr(os, "pidfd_open"):
        try:
            fd = os.pidfd_open(os.getpid())
        except OSError:
            return False
    else:
        fd = ctypes.CDLL(None).syscall(_PIDFD_OPEN, os.getpid(), 0)
    if fd >= 0:
        os.close(fd)
    return fd >= 0
