import signal as _stdlib
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

__all__ = ["signal", "getsignal", "set_wakeup_fd", "pthread_kill", "pthread_sigmask"]

_Handler = Callable[[int, FrameType | None], Any] | int | _stdlib.Handlers | None

__implements__: list[str]
__extensions__: list[str]

def signal(signalnum: int, handler: _Handler) -> _Handler: ...
def getsignal(signalnum: int) -> _Handler: ...
def set_wakeup_fd(fd: int, /, *, warn_on_full_buffer: bool = True) -> int: ...
def pthread_sigmask(how: int, mask: Iterable[int], /) -> set[int | _stdlib.Signals]: ...
def pthread_kill(thread_id: int, signalnum: int, /) -> None: ...
