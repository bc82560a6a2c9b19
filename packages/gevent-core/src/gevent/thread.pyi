from _thread import TIMEOUT_MAX as TIMEOUT_MAX
from _thread import error as error
from _thread import get_native_id as get_native_id
from collections.abc import Callable
from typing import Any, NoReturn, final, overload

import greenlet as _greenlet
from typing_extensions import TypeVarTuple, Unpack

from gevent.lock import BoundedSemaphore
from gevent.lock import RLock as RLock

__all__ = [
    "LockType",
    "RLock",
    "TIMEOUT_MAX",
    "allocate",
    "allocate_lock",
    "error",
    "exit",
    "exit_thread",
    "get_ident",
    "get_native_id",
    "interrupt_main",
    "stack_size",
    "start_new",
    "start_new_thread",
]

_Ts = TypeVarTuple("_Ts")

__implements__: list[str]
__imports__: list[str]

class LockType(BoundedSemaphore):
    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool: ...  # type: ignore[override]

@final
class lock(LockType):
    def __init__(self) -> None: ...

def new_lock() -> lock: ...

standard_lock: Callable[[], lock]
allocate_lock = LockType
allocate = LockType

def get_ident(gr: _greenlet.greenlet | None = None) -> int: ...
@overload
def start_new_thread(function: Callable[[], object]) -> int: ...
@overload
def start_new_thread(function: Callable[[Unpack[_Ts]], object], args: tuple[Unpack[_Ts]]) -> int: ...
@overload
def start_new_thread(function: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> int: ...
def count_as_thread(greenlet: _greenlet.greenlet) -> None: ...
def find_thread(ident: int | None = None) -> _greenlet.greenlet | None: ...
def _count() -> int: ...
def interrupt_main(*signum: int) -> None: ...
def exit() -> NoReturn: ...
def stack_size(size: int | None = None) -> int: ...

start_new = start_new_thread
exit_thread = exit
