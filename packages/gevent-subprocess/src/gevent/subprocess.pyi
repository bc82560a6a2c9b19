import subprocess as _stdlib
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from subprocess import list2cmdline as list2cmdline
from typing import IO, Any, AnyStr, Literal, TypedDict, overload

from _typeshed import StrOrBytesPath
from gevent.event import AsyncResult
from typing_extensions import Unpack

# The names of ours first, and the standard module's below: type checkers take the first of those that are given twice.

__implements__: list[str]

MAXFD: int

_Command = StrOrBytesPath | Sequence[StrOrBytesPath]
_File = int | IO[Any] | None

# What has nothing to do with whether the pipes are of bytes or of text.
class _CommonOptions(TypedDict, total=False):
    preexec_fn: Callable[[], object] | None
    close_fds: bool
    shell: bool
    cwd: StrOrBytesPath | None
    env: Mapping[str, StrOrBytesPath] | Mapping[bytes, StrOrBytesPath] | None
    startupinfo: Any
    creationflags: int
    restore_signals: bool
    start_new_session: bool
    pass_fds: Collection[int]
    user: str | int | None
    group: str | int | None
    extra_groups: Iterable[str | int] | None
    umask: int
    threadpool: Any

if sys.version_info >= (3, 11):
    class _Options(_CommonOptions, total=False):
        pipesize: int
        process_group: int | None

elif sys.version_info >= (3, 10):
    class _Options(_CommonOptions, total=False):
        pipesize: int

else:
    _Options = _CommonOptions

class Popen(_stdlib.Popen[AnyStr]):
    @overload
    def __init__(
        self: Popen[str],
        args: _Command,
        bufsize: int | None = -1,
        executable: StrOrBytesPath | None = None,
        stdin: _File = None,
        stdout: _File = None,
        stderr: _File = None,
        *,
        text: Literal[True],
        universal_newlines: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Popen[str],
        args: _Command,
        bufsize: int | None = -1,
        executable: StrOrBytesPath | None = None,
        stdin: _File = None,
        stdout: _File = None,
        stderr: _File = None,
        *,
        text: bool | None = None,
        universal_newlines: Literal[True],
        encoding: str | None = None,
        errors: str | None = None,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Popen[str],
        args: _Command,
        bufsize: int | None = -1,
        executable: StrOrBytesPath | None = None,
        stdin: _File = None,
        stdout: _File = None,
        stderr: _File = None,
        *,
        text: bool | None = None,
        universal_newlines: bool | None = None,
        encoding: str,
        errors: str | None = None,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Popen[str],
        args: _Command,
        bufsize: int | None = -1,
        executable: StrOrBytesPath | None = None,
        stdin: _File = None,
        stdout: _File = None,
        stderr: _File = None,
        *,
        text: bool | None = None,
        universal_newlines: bool | None = None,
        encoding: str | None = None,
        errors: str,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Popen[bytes],
        args: _Command,
        bufsize: int | None = -1,
        executable: StrOrBytesPath | None = None,
        stdin: _File = None,
        stdout: _File = None,
        stderr: _File = None,
        *,
        text: Literal[False] | None = None,
        universal_newlines: Literal[False] | None = None,
        encoding: None = None,
        errors: None = None,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: Popen[Any],
        args: _Command,
        bufsize: int | None = -1,
        executable: StrOrBytesPath | None = None,
        stdin: _File = None,
        stdout: _File = None,
        stderr: _File = None,
        *,
        text: bool | None = None,
        universal_newlines: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        **options: Unpack[_Options],
    ) -> None: ...
    @property
    def result(self) -> AsyncResult[int]: ...
    def rawlink(self, callback: Callable[[Any], object]) -> None: ...
    def unlink(self, callback: Callable[[Any], object]) -> None: ...
    def pipe_cloexec(self) -> tuple[int, int]: ...

from subprocess import *  # noqa: E402, F403
