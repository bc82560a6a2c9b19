from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import greenlet as _greenlet

from gevent.hub import Hub

__all__ = [
    "subscribers",
    "IEventLoopBlocked",
    "EventLoopBlocked",
    "IMemoryUsageThresholdExceeded",
    "MemoryUsageThresholdExceeded",
    "IMemoryUsageUnderThreshold",
    "MemoryUsageUnderThreshold",
    "IPeriodicMonitorThread",
    "IPeriodicMonitorThreadStartedEvent",
    "PeriodicMonitorThreadStartedEvent",
    "IGeventPatchEvent",
    "GeventPatchEvent",
    "IGeventWillPatchEvent",
    "DoNotPatch",
    "GeventWillPatchEvent",
    "IGeventDidPatchEvent",
    "IGeventWillPatchModuleEvent",
    "GeventWillPatchModuleEvent",
    "IGeventDidPatchModuleEvent",
    "GeventDidPatchModuleEvent",
    "IGeventWillPatchAllEvent",
    "GeventWillPatchAllEvent",
    "IGeventDidPatchBuiltinModulesEvent",
    "GeventDidPatchBuiltinModulesEvent",
    "IGeventDidPatchAllEvent",
    "GeventDidPatchAllEvent",
]

subscribers: list[Callable[[Any], object]]

class _HasEntryPoint(Protocol):
    ENTRY_POINT_NAME: str

def notify(event: object) -> None: ...
def notify_and_call_entry_points(event: _HasEntryPoint) -> None: ...

class _Interface:
    @classmethod
    def providedBy(cls, each: object) -> bool: ...

# -- the monitor of a hub

class IEventLoopBlocked(_Interface):
    greenlet: _greenlet.greenlet | None
    blocking_time: float
    info: list[str]
    hub: Hub | None

class EventLoopBlocked(IEventLoopBlocked):
    def __init__(
        self, greenlet: _greenlet.greenlet | None, blocking_time: float, info: list[str], *, hub: Hub | None = None
    ) -> None: ...

class IMemoryUsageThresholdExceeded(_Interface):
    mem_usage: int
    max_allowed: int
    memory_info: Any

class MemoryUsageThresholdExceeded(IMemoryUsageThresholdExceeded):
    def __init__(self, mem_usage: int, max_allowed: int, memory_info: Any) -> None: ...

class IMemoryUsageUnderThreshold(_Interface):
    mem_usage: int
    max_allowed: int
    memory_info: Any
    max_memory_usage: int

class MemoryUsageUnderThreshold(IMemoryUsageUnderThreshold):
    def __init__(self, mem_usage: int, max_allowed: int, memory_info: Any, max_usage: int) -> None: ...

class IPeriodicMonitorThread(_Interface):
    def add_monitoring_function(self, function: Callable[[Hub], object], period: float | None) -> None: ...

class IPeriodicMonitorThreadStartedEvent(_Interface):
    monitor: IPeriodicMonitorThread

class PeriodicMonitorThreadStartedEvent(IPeriodicMonitorThreadStartedEvent):
    ENTRY_POINT_NAME: str
    def __init__(self, monitor: IPeriodicMonitorThread) -> None: ...

# -- patching

class IGeventPatchEvent(_Interface):
    source: Any
    target: Any

class GeventPatchEvent(IGeventPatchEvent):
    def __init__(self, source: Any, target: Any) -> None: ...

class IGeventWillPatchEvent(IGeventPatchEvent): ...
class DoNotPatch(BaseException): ...
class GeventWillPatchEvent(GeventPatchEvent, IGeventWillPatchEvent): ...
class IGeventDidPatchEvent(IGeventPatchEvent): ...
class GeventDidPatchEvent(GeventPatchEvent, IGeventDidPatchEvent): ...

class IGeventWillPatchModuleEvent(IGeventWillPatchEvent):
    module_name: str
    target_item_names: list[str]

class GeventWillPatchModuleEvent(GeventWillPatchEvent, IGeventWillPatchModuleEvent):
    ENTRY_POINT_NAME: str
    def __init__(self, module_name: str, source: ModuleType, target: ModuleType, items: list[str]) -> None: ...

class IGeventDidPatchModuleEvent(IGeventDidPatchEvent):
    module_name: str

class GeventDidPatchModuleEvent(GeventDidPatchEvent, IGeventDidPatchModuleEvent):
    ENTRY_POINT_NAME: str
    def __init__(self, module_name: str, source: ModuleType, target: ModuleType) -> None: ...

class IGeventWillPatchAllEvent(IGeventWillPatchEvent):
    @property
    def patch_all_arguments(self) -> dict[str, bool]: ...
    @property
    def patch_all_kwargs(self) -> dict[str, Any]: ...
    def will_patch_module(self, module_name: str) -> bool: ...

class _PatchAllMixin:
    def __init__(self, patch_all_arguments: dict[str, bool], patch_all_kwargs: dict[str, Any]) -> None: ...
    @property
    def patch_all_arguments(self) -> dict[str, bool]: ...
    @property
    def patch_all_kwargs(self) -> dict[str, Any]: ...

class GeventWillPatchAllEvent(_PatchAllMixin, GeventWillPatchEvent, IGeventWillPatchAllEvent):
    ENTRY_POINT_NAME: str
    def will_patch_module(self, module_name: str) -> bool: ...

class IGeventDidPatchBuiltinModulesEvent(IGeventDidPatchEvent):
    @property
    def patch_all_arguments(self) -> dict[str, bool]: ...
    @property
    def patch_all_kwargs(self) -> dict[str, Any]: ...

class GeventDidPatchBuiltinModulesEvent(_PatchAllMixin, GeventDidPatchEvent, IGeventDidPatchBuiltinModulesEvent):
    ENTRY_POINT_NAME: str

class IGeventDidPatchAllEvent(IGeventDidPatchEvent): ...

class GeventDidPatchAllEvent(_PatchAllMixin, GeventDidPatchEvent, IGeventDidPatchAllEvent):
    ENTRY_POINT_NAME: str
