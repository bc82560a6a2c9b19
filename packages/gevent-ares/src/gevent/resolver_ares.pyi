from collections.abc import Iterable
from typing import Any

from gevent.ares import channel
from gevent.hub import Hub
from gevent.resolver import AbstractResolver

__all__ = ["Resolver"]

class Resolver(AbstractResolver):
    ares_class: type[channel]
    cares_class: type[channel]
    system_class: str
    hub: Hub
    ares: channel
    params: dict[str, Any]
    pid: int
    fork_watcher: Any
    # The other arguments are those of channel.
    def __init__(
        self,
        hub: Hub | None = None,
        use_environ: bool = True,
        *,
        system_names: str | Iterable[str] = ...,
        fallback: bool | str = ...,
        **kwargs: Any,
    ) -> None: ...
    @property
    def cares(self) -> channel: ...
    def _getaddrinfo(
        self, host_bytes: bytes, port: int, family: int, socktype: int, proto: int, flags: int
    ) -> list[tuple[int, int, int, str, tuple[Any, ...]]]: ...
    def _gethostbyaddr(self, ip_address_bytes: bytes) -> tuple[str, list[str], list[str]]: ...
    def _getnameinfo(self, address_bytes: bytes, port: int, sockaddr: tuple[Any, ...], flags: int) -> tuple[str, str]: ...
    def __del__(self) -> None: ...
