from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import Self

__all__ = ["Timeout", "with_timeout"]

_T = TypeVar("_T")

class Timeout(BaseException):
    seconds: float | None
    exception: BaseException | type[BaseException] | str | bool | None
    timer: Any  # the loop's timer, or a stand-in while there is none
    def __init__(
        self,
        seconds: float | None = None,
        exception: BaseException | type[BaseException] | str | bool | None = None,
        ref: bool = True,
        priority: int = -1,
    ) -> None: ...
    def start(self) -> None: ...
    @classmethod
    def start_new(
        cls,
        timeout: float | Timeout | None = None,
        exception: BaseException | type[BaseException] | str | bool | None = None,
        ref: bool = True,
    ) -> Timeout: ...
    @property
    def pending(self) -> bool: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    # True where exception=False: the block is left without an error.
    def __exit__(self, typ: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> bool | None: ...

# timeout_value= among the keywords is what is returned when the time is over; it does not reach the function.
def with_timeout(seconds: float | Timeout | None, function: Callable[..., _T], *args: Any, **kwds: Any) -> _T: ...
