from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from gevent.core import loop as _loop
from typing_extensions import Self

__all__ = ["InvalidIP", "ares_host_result", "channel", "result", "strerror", "version"]

_T = TypeVar("_T")
_Text = str | bytes | bytearray
_Number = int | str | None

ARES_SUCCESS: int
ARES_ENODATA: int
ARES_EFORMERR: int
ARES_ESERVFAIL: int
ARES_ENOTFOUND: int
ARES_ENOTIMP: int
ARES_EREFUSED: int
ARES_EBADQUERY: int
ARES_EBADNAME: int
ARES_EBADFAMILY: int
ARES_EBADRESP: int
ARES_ECONNREFUSED: int
ARES_ETIMEOUT: int
ARES_EOF: int
ARES_EFILE: int
ARES_ENOMEM: int
ARES_EDESTRUCTION: int
ARES_EBADSTR: int
ARES_EBADFLAGS: int
ARES_ENONAME: int
ARES_EBADHINTS: int
ARES_ENOTINITIALIZED: int
ARES_ELOADIPHLPAPI: int
ARES_EADDRGETNETWORKPARAMS: int
ARES_ECANCELLED: int
ARES_ESERVICE: int
ARES_FLAG_USEVC: int
ARES_FLAG_PRIMARY: int
ARES_FLAG_IGNTC: int
ARES_FLAG_NORECURSE: int
ARES_FLAG_STAYOPEN: int
ARES_FLAG_NOSEARCH: int
ARES_FLAG_NOALIASES: int
ARES_FLAG_NOCHECKRESP: int

def version() -> str: ...
def strerror(code: int) -> str: ...

class InvalidIP(ValueError): ...

class ares_host_result(tuple[str, list[str], list[str]]):
    family: int
    def __new__(cls, family: int, iterable: Iterable[Any]) -> Self: ...
    def __getnewargs__(self) -> tuple[Any, ...]: ...

class result(Generic[_T]):
    value: _T | None
    exception: BaseException | None
    def __init__(self, value: _T | None = None, exception: BaseException | None = None) -> None: ...
    def successful(self) -> bool: ...
    def get(self) -> _T: ...

class channel:
    max_queries: int
    loop: _loop | None
    lookup_timeout: float | None
    def __init__(
        self,
        loop: _loop,
        flags: _Number = None,
        timeout: float | str | None = None,
        tries: _Number = None,
        ndots: _Number = None,
        udp_port: _Number = None,
        tcp_port: _Number = None,
        servers: _Text | Iterable[_Text] | None = None,
    ) -> None: ...
    def __del__(self) -> None: ...
    def destroy(self) -> None: ...
    def set_servers(self, servers: _Text | Iterable[_Text] | None = None) -> None: ...
    def gethostbyname(self, callback: Callable[[result[ares_host_result]], object], name: _Text, family: int = ...) -> None: ...
    def getaddrinfo(
        self,
        callback: Callable[[result[list[tuple[int, int, int, str, tuple[Any, ...]]]]], object],
        name: _Text,
        service: int | _Text | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> None: ...
    def gethostbyaddr(self, callback: Callable[[result[ares_host_result]], object], addr: _Text) -> None: ...
    def getnameinfo(self, callback: Callable[[result[tuple[str, str]]], object], sockaddr: tuple[Any, ...], flags: int) -> None: ...
