import os as _stdlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from resource import struct_rusage
from typing import Any

from _typeshed import ReadableBuffer, StrOrBytesPath
from gevent.core import loop as _loop

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
    "posix_spawn",
    "posix_spawnp",
    "waitid",
]

__implements__: list[str]
__extensions__: list[str]

ignored_errors: list[int]

# -- descriptors

def make_nonblocking(fd: int) -> bool | None: ...
def nb_read(fd: int, n: int) -> bytes: ...
def nb_write(fd: int, buf: ReadableBuffer) -> int: ...
def tp_read(fd: int, n: int) -> bytes: ...
def tp_write(fd: int, buf: ReadableBuffer) -> int: ...
def close(fd: int) -> None: ...

# -- forking: the callback gets what has pid and rstatus

def fork_gevent() -> int: ...
def forkpty_gevent() -> tuple[int, int]: ...
def fork_and_watch(
    callback: Callable[[Any], object] | None = None, loop: _loop | None = None, ref: bool = False, fork: Callable[[], int] = ...
) -> int: ...
def forkpty_and_watch(
    callback: Callable[[Any], object] | None = None,
    loop: _loop | None = None,
    ref: bool = False,
    forkpty: Callable[[], tuple[int, int]] = ...,
) -> tuple[int, int]: ...
def fork(
    callback: Callable[[Any], object] | None = None, loop: _loop | None = None, ref: bool = False, fork: Callable[[], int] = ...
) -> int: ...
def forkpty(
    callback: Callable[[Any], object] | None = None,
    loop: _loop | None = None,
    ref: bool = False,
    forkpty: Callable[[], tuple[int, int]] = ...,
) -> tuple[int, int]: ...
def posix_spawn(
    path: StrOrBytesPath,
    argv: Sequence[StrOrBytesPath],
    env: Mapping[str, StrOrBytesPath] | Mapping[bytes, StrOrBytesPath] | None,
    /,
    *,
    file_actions: Sequence[tuple[Any, ...]] | None = ...,
    setpgroup: int | None = ...,
    resetids: bool = ...,
    setsid: bool = ...,
    setsigmask: Iterable[int] = ...,
    setsigdef: Iterable[int] = ...,
    scheduler: tuple[Any, _stdlib.sched_param] | None = ...,
) -> int: ...
def posix_spawnp(
    path: StrOrBytesPath,
    argv: Sequence[StrOrBytesPath],
    env: Mapping[str, StrOrBytesPath] | Mapping[bytes, StrOrBytesPath] | None,
    /,
    *,
    file_actions: Sequence[tuple[Any, ...]] | None = ...,
    setpgroup: int | None = ...,
    resetids: bool = ...,
    setsid: bool = ...,
    setsigmask: Iterable[int] = ...,
    setsigdef: Iterable[int] = ...,
    scheduler: tuple[Any, _stdlib.sched_param] | None = ...,
) -> int: ...

# -- waiting for children

def waitpid(pid: int, options: int) -> tuple[int, int]: ...
def wait() -> tuple[int, int]: ...
def wait3(options: int) -> tuple[int, int, struct_rusage]: ...
def wait4(pid: int, options: int) -> tuple[int, int, struct_rusage]: ...

if sys.platform != "darwin" or sys.version_info >= (3, 13):
    def waitid(idtype: int, id: int, options: int, /) -> _stdlib.waitid_result | None: ...
