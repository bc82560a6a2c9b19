from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from types import TracebackType
from typing import Any, Generic, TypeVar

from typing_extensions import ParamSpec

from gevent.core import loop as _loop
from gevent.event import AsyncResult
from gevent.hub import Hub
from gevent.pool import GroupMappingMixin

__all__ = ["ThreadPool", "ThreadPoolExecutor", "ThreadResult"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Errors = type[BaseException] | tuple[type[BaseException], ...]

class ThreadResult(Generic[_T]):
    exc_info: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[()]
    sent: bool
    expected_errors: _Errors | tuple[()]
    context: Any
    hub: Hub | None
    loop: _loop | None
    receiver: Callable[[ThreadResult[_T]], object] | None
    value: _T | None
    def __init__(
        self,
        receiver: Callable[[ThreadResult[_T]], object],
        hub: Hub | None = None,
        call_when_ready: Callable[[], object] | None = None,
    ) -> None: ...
    @property
    def exception(self) -> BaseException | None: ...
    def successful(self) -> bool: ...
    def set(self, value: _T) -> None: ...
    def handle_error(self, context: object, exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> None: ...
    def send(self) -> None: ...
    def destroy(self) -> None: ...

# For this package's own modules.
class Task(ThreadResult[Any]):
    started: bool
    pool: ThreadPool
    function: Callable[..., Any] | None
    args: Any
    kwargs: Any
    def __init__(
        self,
        receiver: Callable[[Any], object],
        pool: ThreadPool,
        call_when_ready: Callable[[], object] | None,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any,
    ) -> None: ...
    def run(self) -> None: ...
    def fail(self, error: BaseException) -> None: ...

class ThreadPool(GroupMappingMixin):
    stuck_after: float | None
    manager: None
    hub: Hub
    pid: int
    fork_watcher: Any
    task_queue: Any
    maxsize: int
    size: int
    def __init__(self, maxsize: int, hub: Hub | None = None, idle_task_timeout: float = -1) -> None: ...
    def __len__(self) -> int: ...
    def __del__(self, getpid: Callable[[], int] = ...) -> None: ...
    def adjust(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def join(self) -> None: ...
    def spawn(self, func: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> AsyncResult[_T]: ...
    def apply_e(
        self,
        expected_errors: _Errors | tuple[()],
        function: Callable[..., _T],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> _T: ...

class ThreadPoolExecutor(futures.ThreadPoolExecutor):
    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        **kwargs: Any,
    ) -> None: ...
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> futures.Future[_T]: ...
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...
    def kill(self, wait: bool = True, *, cancel_futures: bool = False) -> None: ...
