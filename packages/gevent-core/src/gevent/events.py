"""Events that gevent tells whoever subscribed: a hub that is blocked, memory that runs out, modules being patched.

A subscriber is a function of one argument, the event, in the list :data:`subscribers`:

    >>> from gevent import events
    >>> def on_event(event):
    ...     if isinstance(event, events.IEventLoopBlocked):
    ...         print(f"{event.greenlet} has blocked the loop for {event.blocking_time} seconds")
    >>> events.subscribers.append(on_event)
    >>> events.notify(events.EventLoopBlocked("Greenlet-7", 0.5, []))
    Greenlet-7 has blocked the loop for 0.5 seconds
    >>> events.subscribers.remove(on_event)

Where the package zope.event is installed, the list is that package's own, so that subscribers of both are the same.

For each kind of event there are a class ``I...``, which says what attributes it has, and the class that gevent makes. An application
may send events of its own class derived from the former. The events about patching are sent by gevent-monkey.

.. versionadded:: 26.11.0
"""

import os
import sys

try:
    from zope.event import subscribers  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    #: Functions that are called with each event, in this order. Change it in place.
    subscribers = []

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


def notify(event):
    """Call every subscriber with *event*. What one raises comes out, and those after it are not called."""
    for subscriber in subscribers:
        subscriber(event)


def notify_and_call_entry_points(event):
    """:func:`notify`, and then the functions that installed distributions name under the event's ``ENTRY_POINT_NAME``."""
    notify(event)
    for each in _entry_points(event.ENTRY_POINT_NAME):
        each.load()(event)


def _entry_points(group):
    if not _has_plugins(tuple(sys.path)):
        return ()
    from importlib import metadata  # here, because it takes ten times as long as the rest of gevent, for what few programs have

    found = metadata.entry_points()
    if hasattr(found, "select"):
        return found.select(group=group)
    return found.get(group, ())  # Python 3.9


def _has_plugins(path):
    """Whether any distribution on *path* may have an entry point for gevent. Remembers the answer for the last *path*."""
    if _asked.get("path") != path:
        _asked.update(path=path, answer=any(map(_mentions_gevent, path)))
    return _asked["answer"]


_asked = {}


def _mentions_gevent(folder):
    """Whether a distribution installed in *folder* has an entry point for gevent; True for what is no folder, such as an archive."""
    folder = folder or os.curdir
    if os.path.isfile(folder):
        return b"python" not in os.path.basename(os.fsencode(folder))  # the interpreter's own archive, python311.zip, has none
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                with open(os.path.join(folder, name, "entry_points.txt"), "rb") as file:
                    if b"gevent.plugins." in file.read():
                        return True
            except OSError:
                continue
    return False


class _Interface:
    """What an event, or another object, has. Documentation, and a base for isinstance()."""

    @classmethod
    def providedBy(cls, each):
        """Whether *each* is one. By this name programs ask that know the class as one of zope.interface's."""
        return isinstance(each, cls)


# ---- The monitor of a hub ----------------------------------------------------------------------------------------------------


class IEventLoopBlocked(_Interface):
    """The event loop of a hub is blocked: it has not polled for longer than ``gevent.config.max_blocking_time``.

    Sent in the monitor's native thread, while the loop is still blocked, and again each time the block has become twice as long.

    greenlet
        What runs instead of the loop: a greenlet, or the hub itself if it is a callback. None if it could not be found.
    blocking_time
        For at least how many seconds.
    info
        A list of lines that say more; may be changed in place before it is printed.
    hub
        The hub, or None.
    """


class EventLoopBlocked(IEventLoopBlocked):
    """An :class:`IEventLoopBlocked`."""

    def __init__(self, greenlet, blocking_time, info, *, hub=None):
        self.greenlet = greenlet
        self.blocking_time = blocking_time
        self.info = info
        self.hub = hub


class IMemoryUsageThresholdExceeded(_Interface):
    """The process uses more memory than ``gevent.config.max_memory_usage``.

    Sent in the monitor's native thread when that is first seen, and again whenever still more is used than was last reported.

    mem_usage
        Bytes that the process uses: those that nobody else shares, where the system tells.
    max_allowed
        Bytes it should not exceed.
    memory_info
        A named tuple of all that is known: psutil's if that is installed, else (rss, vms, shared, uss).
    """


class _MemoryEvent:
    """Base of the two events about memory."""

    def __init__(self, mem_usage, max_allowed, memory_info):
        self.mem_usage = mem_usage
        self.max_allowed = max_allowed
        self.memory_info = memory_info

    def __repr__(self):
        return f"<{type(self).__name__} used={self.mem_usage} max={self.max_allowed} details={self.memory_info}>"


class MemoryUsageThresholdExceeded(_MemoryEvent, IMemoryUsageThresholdExceeded):
    """An :class:`IMemoryUsageThresholdExceeded`."""


class IMemoryUsageUnderThreshold(_Interface):
    """The process uses no more memory than allowed again, after :class:`IMemoryUsageThresholdExceeded` was sent.

    It has the attributes of that one, and

    max_memory_usage
        The most that was reported while it was above.
    """


class MemoryUsageUnderThreshold(_MemoryEvent, IMemoryUsageUnderThreshold):
    """An :class:`IMemoryUsageUnderThreshold`."""

    def __init__(self, mem_usage, max_allowed, memory_info, max_usage):
        super().__init__(mem_usage, max_allowed, memory_info)
        self.max_memory_usage = max_usage


class IPeriodicMonitorThread(_Interface):
    """The native thread that watches a hub: ``hub.periodic_monitoring_thread``.

    add_monitoring_function(function, period)
        Have ``function(hub)`` called about every *period* seconds, in the monitor's native thread.

        The function must not use gevent: it runs beside the hub's thread. Adding it again changes its period; a *period* of None
        removes it. ValueError for a period that is not positive, and for what cannot be called.
    """


class IPeriodicMonitorThreadStartedEvent(_Interface):
    """A hub has started its monitor; the moment to add functions to it.

    monitor
        The :class:`IPeriodicMonitorThread`.
    """


class PeriodicMonitorThreadStartedEvent(IPeriodicMonitorThreadStartedEvent):
    """An :class:`IPeriodicMonitorThreadStartedEvent`."""

    #: Entry points of this group are called with it, too.
    ENTRY_POINT_NAME = "gevent.plugins.hub.periodic_monitor_thread_started"

    def __init__(self, monitor):
        self.monitor = monitor


# ---- Patching ----------------------------------------------------------------------------------------------------------------


class IGeventPatchEvent(_Interface):
    """The root of all events about monkey patching.

    source
        What has the replacements.
    target
        What is patched.
    """


class GeventPatchEvent(IGeventPatchEvent):
    """An :class:`IGeventPatchEvent`."""

    def __init__(self, source, target):
        self.source = source
        self.target = target

    def __repr__(self):
        return f"<{type(self).__name__} source={self.source!r} target={self.target!r}>"


class IGeventWillPatchEvent(IGeventPatchEvent):
    """Something is about to be patched. A subscriber that raises :class:`DoNotPatch` prevents it."""


class DoNotPatch(BaseException):
    """Raised by a subscriber of an :class:`IGeventWillPatchEvent`: leave this one as it is."""


class GeventWillPatchEvent(GeventPatchEvent, IGeventWillPatchEvent):
    """An :class:`IGeventWillPatchEvent`."""


class IGeventDidPatchEvent(IGeventPatchEvent):
    """Something has been patched."""


class GeventDidPatchEvent(GeventPatchEvent, IGeventDidPatchEvent):
    """An :class:`IGeventDidPatchEvent`."""


class IGeventWillPatchModuleEvent(IGeventWillPatchEvent):
    """A module is about to be patched; source and target are modules.

    module_name
        The target's name.
    target_item_names
        A list of the names that will be replaced in it; may be changed in place.
    """


class GeventWillPatchModuleEvent(GeventWillPatchEvent, IGeventWillPatchModuleEvent):
    """An :class:`IGeventWillPatchModuleEvent`."""

    #: Entry points of this group are called with it, too.
    ENTRY_POINT_NAME = "gevent.plugins.monkey.will_patch_module"

    def __init__(self, module_name, source, target, items):
        super().__init__(source, target)
        self.module_name = module_name
        self.target_item_names = items


class IGeventDidPatchModuleEvent(IGeventDidPatchEvent):
    """A module has been patched.

    module_name
        The target's name.
    """


class GeventDidPatchModuleEvent(GeventDidPatchEvent, IGeventDidPatchModuleEvent):
    """An :class:`IGeventDidPatchModuleEvent`."""

    #: Entry points of this group are called with it, too.
    ENTRY_POINT_NAME = "gevent.plugins.monkey.did_patch_module"

    def __init__(self, module_name, source, target):
        super().__init__(source, target)
        self.module_name = module_name


class IGeventWillPatchAllEvent(IGeventWillPatchEvent):
    """``patch_all`` begins; a pair of events for each module follows, and the two below in the end.

    With :class:`DoNotPatch` raised, nothing is patched at all. Source and target mean nothing.

    patch_all_arguments
        A dictionary of the arguments of ``patch_all``, the defaults included. Not to be changed.
    patch_all_kwargs
        A dictionary of those that ``patch_all`` does not know. Not to be changed.
    will_patch_module(module_name)
        Whether the module of that name is among those to be patched.
    """


class _PatchAllMixin:
    """The arguments of ``patch_all``."""

    def __init__(self, patch_all_arguments, patch_all_kwargs):
        super().__init__(None, None)
        self._patch_all_arguments = patch_all_arguments
        self._patch_all_kwargs = patch_all_kwargs

    @property
    def patch_all_arguments(self):
        """A copy of the arguments of ``patch_all``, the defaults included."""
        return self._patch_all_arguments.copy()

    @property
    def patch_all_kwargs(self):
        """A copy of the arguments that ``patch_all`` does not know."""
        return self._patch_all_kwargs.copy()

    def __repr__(self):
        return f"<{type(self).__name__} {self._patch_all_arguments!r} {self._patch_all_kwargs!r}>"


class GeventWillPatchAllEvent(_PatchAllMixin, GeventWillPatchEvent, IGeventWillPatchAllEvent):
    """An :class:`IGeventWillPatchAllEvent`."""

    #: Entry points of this group are called with it, too.
    ENTRY_POINT_NAME = "gevent.plugins.monkey.will_patch_all"

    def will_patch_module(self, module_name):
        """Whether the module of that name is among those to be patched."""
        return bool(self._patch_all_arguments.get(module_name))


class IGeventDidPatchBuiltinModulesEvent(IGeventDidPatchEvent):
    """The standard library's modules have been patched: the moment to patch those of other packages.

    patch_all_arguments, patch_all_kwargs
        As for :class:`IGeventWillPatchAllEvent`.
    """


class GeventDidPatchBuiltinModulesEvent(_PatchAllMixin, GeventDidPatchEvent, IGeventDidPatchBuiltinModulesEvent):
    """An :class:`IGeventDidPatchBuiltinModulesEvent`."""

    #: Entry points of this group are called with it, too.
    ENTRY_POINT_NAME = "gevent.plugins.monkey.did_patch_builtins"


class IGeventDidPatchAllEvent(IGeventDidPatchEvent):
    """``patch_all`` is done, subscribers of :class:`IGeventDidPatchBuiltinModulesEvent` included."""


class GeventDidPatchAllEvent(_PatchAllMixin, GeventDidPatchEvent, IGeventDidPatchAllEvent):
    """An :class:`IGeventDidPatchAllEvent`."""

    #: Entry points of this group are called with it, too.
    ENTRY_POINT_NAME = "gevent.plugins.monkey.did_patch_all"
