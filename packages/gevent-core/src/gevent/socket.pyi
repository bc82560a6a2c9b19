import socket as _stdlib
import sys
from collections.abc import Callable, Iterable
from io import BufferedReader, BufferedRWPair, BufferedWriter, IOBase, TextIOWrapper
from os import strerror as strerror
from socket import AddressFamily, SocketIO, SocketKind
from typing import Any, Literal, NoReturn, SupportsIndex, overload

from _typeshed import ReadableBuffer, WriteableBuffer
from typing_extensions import Self

from gevent.core import watcher as _watcher
from gevent.hub import Hub

# The names of ours first, and the standard module's below: type checkers take the first of those that are given twice.

_Address = tuple[Any, ...] | str | ReadableBuffer
_CMSG = tuple[int, int, bytes]
_CMSGArg = tuple[int, int, ReadableBuffer]
# None or False: a gevent.Timeout.
_TimeoutError = BaseException | type[BaseException] | Literal[False] | None
_AddressInfo = list[tuple[AddressFamily, SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]]

__implements__: list[str]
__extensions__: list[str]
__imports__: list[str]
__dns__: list[str]

cancel_wait_ex: OSError
timeout_default: Any

@overload
def wait(
    io: _watcher,
    timeout: float | None = None,
    timeout_exc: _TimeoutError = ...,
    hub: Hub | None = None,
    *,
    watcher: None = None,
) -> None: ...
@overload
def wait(
    io: None = None,
    timeout: float | None = None,
    timeout_exc: _TimeoutError = ...,
    hub: Hub | None = None,
    *,
    watcher: _watcher,
) -> None: ...
def wait_read(fileno: int, timeout: float | None = None, timeout_exc: _TimeoutError = ...) -> None: ...
def wait_write(fileno: int, timeout: float | None = None, timeout_exc: _TimeoutError = ..., event: object = ...) -> None: ...
def wait_readwrite(fileno: int, timeout: float | None = None, timeout_exc: _TimeoutError = ..., event: object = ...) -> None: ...
def cancel_wait(watcher: _watcher, error: BaseException | type[BaseException] = ...) -> None: ...
def closed_elsewhere() -> OSError: ...

class BlockingResolver:
    def __init__(self, hub: Hub | None = None) -> None: ...
    def close(self) -> None: ...
    gethostbyname: Callable[..., str]
    gethostbyname_ex: Callable[..., tuple[str, list[str], list[str]]]
    getaddrinfo: Callable[..., list[Any]]
    gethostbyaddr: Callable[..., tuple[str, list[str], list[str]]]
    getnameinfo: Callable[..., tuple[str, str]]

def getaddrinfo(
    host: bytes | str | None, port: bytes | str | int | None, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> _AddressInfo: ...
def gethostbyname(hostname: str) -> str: ...
def gethostbyname_ex(hostname: str) -> tuple[str, list[str], list[str]]: ...
def gethostbyaddr(ip_address: str) -> tuple[str, list[str], list[str]]: ...
def getnameinfo(sockaddr: tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int], flags: int) -> tuple[str, str]: ...
def getfqdn(name: str = "") -> str: ...

# At run time it does not derive from the standard class: it stands in for it, and whoever annotates that takes ours as well.
class socket(_stdlib.socket):
    ref: bool
    def __init__(
        self, family: AddressFamily | int = -1, type: SocketKind | int = -1, proto: int = -1, fileno: int | None = None
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn: ...
    @property
    def closed(self) -> bool: ...
    @property
    def hub(self) -> Hub: ...
    @property
    def timeout(self) -> float | None: ...
    @timeout.setter
    def timeout(self, value: float | None) -> None: ...
    def settimeout(self, howlong: float | None) -> None: ...
    def setblocking(self, flag: bool) -> None: ...
    def accept(self) -> tuple[socket, Any]: ...
    def bind(self, address: _Address, /) -> None: ...
    def listen(self, *backlog: int) -> None: ...
    def connect(self, address: _Address) -> None: ...
    def connect_ex(self, address: _Address) -> int: ...
    def recv(self, bufsize: int, flags: int = 0, /) -> bytes: ...
    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int: ...
    def recvfrom_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]: ...
    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> tuple[bytes, list[_CMSG], int, Any]: ...
    def recvmsg_into(
        self, buffers: Iterable[WriteableBuffer], ancbufsize: int = 0, flags: int = 0, /
    ) -> tuple[int, list[_CMSG], int, Any]: ...
    def send(self, data: ReadableBuffer, flags: int = 0, timeout: float | None = ...) -> int: ...
    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None: ...
    def sendmsg(
        self,
        buffers: Iterable[ReadableBuffer],
        ancdata: Iterable[_CMSGArg] = (),
        flags: int = 0,
        address: _Address | None = None,
    ) -> int: ...
    if sys.platform == "linux":
        def sendmsg_afalg(self, *args: Any, **kwargs: Any) -> int: ...

    def sendfile(self, file: _stdlib._SendableFile, offset: int = 0, count: int | None = None) -> int: ...
    def shutdown(self, how: int) -> None: ...
    @overload
    def makefile(
        self,
        mode: Literal["b", "rb", "br", "wb", "bw", "rwb", "rbw", "wrb", "wbr", "brw", "bwr"],
        buffering: Literal[0],
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> SocketIO: ...
    @overload
    def makefile(
        self,
        mode: Literal["rwb", "rbw", "wrb", "wbr", "brw", "bwr"],
        buffering: Literal[-1, 1] | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> BufferedRWPair: ...
    @overload
    def makefile(
        self,
        mode: Literal["b", "rb", "br"],
        buffering: Literal[-1, 1] | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> BufferedReader: ...
    @overload
    def makefile(
        self,
        mode: Literal["wb", "bw"],
        buffering: Literal[-1, 1] | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> BufferedWriter: ...
    @overload
    def makefile(
        self,
        mode: Literal["b", "rb", "br", "wb", "bw", "rwb", "rbw", "wrb", "wbr", "brw", "bwr"],
        buffering: int,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IOBase: ...
    @overload
    def makefile(
        self,
        mode: Literal["r", "w", "rw", "wr", ""] = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> TextIOWrapper: ...

SocketType = socket

def fromfd(fd: SupportsIndex, family: AddressFamily | int, type: SocketKind | int, proto: int = 0) -> socket: ...
def socketpair(
    family: AddressFamily | int | None = None, type: SocketKind | int = ..., proto: int = 0
) -> tuple[socket, socket]: ...
def create_connection(
    address: tuple[str | None, bytes | str | int | None],
    timeout: float | None = ...,
    source_address: _Address | None = None,
    *,
    all_errors: bool = False,
) -> socket: ...
def create_server(
    address: _Address, *, family: int = ..., backlog: int | None = None, reuse_port: bool = False, dualstack_ipv6: bool = False
) -> socket: ...

from socket import *  # noqa: E402, F403
