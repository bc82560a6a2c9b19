import io as _io
from collections.abc import Iterable
from types import TracebackType
from typing import Any, AnyStr, Generic, Protocol, overload

from _typeshed import OpenBinaryMode, OpenTextMode, ReadableBuffer, StrOrBytesPath, WriteableBuffer
from typing_extensions import Self

from gevent.threadpool import ThreadPool

__all__ = ["FileObjectPosix", "FileObjectThread", "FileObjectBlock", "FileObject"]

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

class _Reads(Protocol):
    def read(self, size: int = ..., /) -> Any: ...

class _Writes(Protocol):
    def write(self, data: Any, /) -> Any: ...

_Descriptor = StrOrBytesPath | int | _HasFileno
_AnyFile = StrOrBytesPath | int | _Reads | _Writes

class FileObjectClosedError(OSError, ValueError): ...

FileObjectClosed: FileObjectClosedError

class DescriptorIO(_io.FileIO):
    whole: bool
    locks: dict[int, Any]
    def __init__(self, file: StrOrBytesPath | int, mode: str = "r", closefd: bool = True, whole: bool = False) -> None: ...
    @property
    def busy(self) -> bool: ...
    def readinto(self, buffer: WriteableBuffer, /) -> int: ...
    def read(self, size: int | None = -1, /) -> bytes: ...
    def readall(self) -> bytes: ...
    def write(self, data: ReadableBuffer, /) -> int: ...
    def close(self) -> None: ...

class SharedDescriptorIO(DescriptorIO): ...

# Of bytes or of str, as the mode says.
class FileObjectBase(Generic[AnyStr]):
    @property
    def io(self) -> Any: ...
    @property
    def closed(self) -> bool: ...
    def read(self, size: int | None = -1) -> AnyStr: ...
    def readline(self, size: int | None = -1) -> AnyStr: ...
    def readlines(self, sizehint: int | None = 0) -> list[AnyStr]: ...
    @overload
    def write(self: FileObjectBase[bytes], data: ReadableBuffer) -> int: ...
    @overload
    def write(self: FileObjectBase[str], data: str) -> int: ...
    @overload
    def writelines(self: FileObjectBase[bytes], lines: Iterable[ReadableBuffer]) -> None: ...
    @overload
    def writelines(self: FileObjectBase[str], lines: Iterable[str]) -> None: ...
    def flush(self) -> None: ...
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...
    def truncate(self, size: int | None = None) -> int: ...
    def readable(self) -> bool: ...
    def writable(self) -> bool: ...
    def seekable(self) -> bool: ...
    def isatty(self) -> bool: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def next(self) -> AnyStr: ...
    def __getattr__(self, name: str) -> Any: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> AnyStr: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: type[BaseException] | BaseException | TracebackType | None) -> None: ...

class FileObjectPosix(FileObjectBase[AnyStr]):
    default_bufsize: int
    raw_class: type[DescriptorIO]
    fileio: DescriptorIO
    @overload
    def __init__(
        self: FileObjectPosix[bytes],
        fobj: _Descriptor,
        mode: OpenBinaryMode = "rb",
        bufsize: int | None = -1,
        close: bool = True,
        *,
        buffering: int | None = None,
        closefd: bool | None = None,
        atomic_write: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self: FileObjectPosix[str],
        fobj: _Descriptor,
        mode: OpenTextMode,
        bufsize: int | None = -1,
        close: bool = True,
        *,
        buffering: int | None = None,
        closefd: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        atomic_write: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self: FileObjectPosix[Any],
        fobj: _Descriptor,
        mode: str,
        bufsize: int | None = -1,
        close: bool = True,
        *,
        buffering: int | None = None,
        closefd: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        atomic_write: bool = False,
    ) -> None: ...

class FileObjectThread(FileObjectBase[AnyStr]):
    threadpool: ThreadPool
    lock: Any
    @overload
    def __init__(
        self: FileObjectThread[bytes],
        fobj: _AnyFile,
        mode: OpenBinaryMode,
        bufsize: int | None = -1,
        *,
        lock: Any = True,
        close: bool = True,
        threadpool: ThreadPool | None = None,
        buffering: int | None = None,
        closefd: bool | None = None,
        atomic_write: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self: FileObjectThread[Any],
        fobj: _Reads | _Writes,
        *,
        lock: Any = True,
        close: bool = True,
        threadpool: ThreadPool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: FileObjectThread[str],
        fobj: _AnyFile,
        mode: OpenTextMode = "r",
        bufsize: int | None = -1,
        *,
        lock: Any = True,
        close: bool = True,
        threadpool: ThreadPool | None = None,
        buffering: int | None = None,
        closefd: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        atomic_write: bool = False,
    ) -> None: ...
    @overload
    def __init__(self: FileObjectThread[Any], fobj: _AnyFile, mode: str, *args: Any, **options: Any) -> None: ...

class FileObjectBlock(FileObjectBase[AnyStr]):
    @overload
    def __init__(
        self: FileObjectBlock[bytes],
        fobj: _AnyFile,
        mode: OpenBinaryMode,
        bufsize: int | None = -1,
        *,
        close: bool = True,
        buffering: int | None = None,
        closefd: bool | None = None,
        atomic_write: bool = False,
    ) -> None: ...
    @overload
    def __init__(
        self: FileObjectBlock[Any],
        fobj: _Reads | _Writes,
        *,
        close: bool = True,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: FileObjectBlock[str],
        fobj: _AnyFile,
        mode: OpenTextMode = "r",
        bufsize: int | None = -1,
        *,
        close: bool = True,
        buffering: int | None = None,
        closefd: bool | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        atomic_write: bool = False,
    ) -> None: ...
    @overload
    def __init__(self: FileObjectBlock[Any], fobj: _AnyFile, mode: str, *args: Any, **options: Any) -> None: ...

# What gevent.config names, which is this one unless somebody says otherwise.
FileObject = FileObjectPosix
