import threading as _stdlib
from collections.abc import Callable, Iterable, Mapping
from threading import main_thread as main_thread
from typing import Any

from gevent.event import Event
from gevent.local import local as local
from gevent.lock import RLock as RLock
from gevent.thread import LockType
from gevent.thread import get_ident as get_ident

__all__ = ["Lock", "RLock", "Thread", "Timer", "current_thread", "get_ident", "local", "main_thread"]

__implements__: list[str]

Lock = LockType

class Thread(_stdlib.Thread): ...

class Timer(Thread):
    interval: float
    function: Callable[..., object]
    args: Iterable[Any]
    kwargs: Mapping[str, Any]
    finished: Event
    def __init__(
        self,
        interval: float,
        function: Callable[..., object],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None: ...
    def cancel(self) -> None: ...

def current_thread() -> _stdlib.Thread: ...
