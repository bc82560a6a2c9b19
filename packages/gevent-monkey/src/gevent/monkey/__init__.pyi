from collections.abc import Iterable
from types import ModuleType
from typing import Any, overload

__all__ = [
    "patch_all",
    "patch_builtins",
    "patch_contextvars",
    "patch_dns",
    "patch_os",
    "patch_queue",
    "patch_select",
    "patch_signal",
    "patch_socket",
    "patch_ssl",
    "patch_subprocess",
    "patch_sys",
    "patch_thread",
    "patch_time",
    "get_original",
    "is_module_patched",
    "is_object_patched",
    "patch_item",
    "patch_module",
    "remove_item",
    "main",
    "saved",
    "MonkeyPatchWarning",
]

saved: dict[str, dict[str, Any]]

class MonkeyPatchWarning(RuntimeWarning): ...

def is_module_patched(mod_name: str) -> bool: ...
def is_object_patched(mod_name: str, item_name: str) -> bool: ...
@overload
def get_original(mod_name: str, item_name: str) -> Any: ...
@overload
def get_original(mod_name: str, item_name: Iterable[str]) -> list[Any]: ...
def patch_item(module: ModuleType, attr: str, newitem: object) -> None: ...
def remove_item(module: ModuleType, attr: str) -> None: ...
def patch_module(
    target_module: ModuleType | str,
    source_module: ModuleType | Iterable[str] | None = None,
    items: Iterable[str] | None = None,
    _warnings: Any = None,
    _patch_kwargs: dict[str, Any] | None = None,
    _notify_will_subscribers: bool = True,
    _notify_did_subscribers: bool = True,
    _call_hooks: bool = True,
) -> bool: ...
def patch_os() -> None: ...
def patch_time() -> None: ...
def patch_contextvars() -> None: ...
def patch_thread(
    threading: bool = True, _threading_local: bool = True, Event: bool = True, logging: bool = True, existing_locks: bool = True
) -> None: ...
def patch_socket(dns: bool = True, aggressive: bool = True) -> None: ...
def patch_dns() -> None: ...
def patch_ssl() -> None: ...
def patch_select(aggressive: bool = True) -> None: ...
def patch_queue() -> None: ...
def patch_subprocess() -> None: ...
def patch_builtins() -> None: ...
def patch_signal() -> None: ...
def patch_sys(stdin: bool = True, stdout: bool = True, stderr: bool = True) -> None: ...

# What else is given goes to subscribers of the events.
def patch_all(
    socket: bool = True,
    dns: bool = True,
    time: bool = True,
    select: bool = True,
    thread: bool = True,
    os: bool = True,
    ssl: bool = True,
    subprocess: bool = True,
    sys: bool = False,
    aggressive: bool = True,
    Event: bool = True,
    builtins: bool = True,
    signal: bool = True,
    queue: bool = True,
    contextvars: bool = True,
    **kwargs: Any,
) -> bool: ...
def main() -> None: ...

# For this package's own modules.
_Batch: Any
