"""A native thread that watches a hub: reports what keeps its loop from running, and memory that grows beyond a limit.

How it works: the thread wakes as often as its functions want to be called, looks, and sleeps again. The hub's thread does nothing for
it, there is no trace function: :meth:`PeriodicMonitoringThread.monitor_blocking` compares two samples of what the loop keeps anyway, how
often it has polled, how many greenlets and callbacks had their turn, and whether it waits for the kernel now. If it does not, and nobody
else had a turn since the last sample, then it has been blocked for so long at least. Only then is it found out by whom.

A function that holds the GIL (a regular expression, a conversion in C) stops this thread, too. It notices by having slept too long, and
blames what runs if nothing else had a turn meanwhile; who else it could have been is not known.

.. versionadded:: 26.11.0
"""

import os
import sys
import time
import traceback
import warnings
from collections import namedtuple
from time import monotonic
from weakref import ref

from gevent._background import BackgroundThread, is_background
from gevent._config import config
from gevent._originals import allocate_lock, get_ident
from gevent.events import (
    EventLoopBlocked,
    IPeriodicMonitorThread,
    MemoryUsageThresholdExceeded,
    MemoryUsageUnderThreshold,
    PeriodicMonitorThreadStartedEvent,
    notify,
    notify_and_call_entry_points,
)
from gevent.util import format_stack, format_threads, running_greenlet

try:
    import psutil
except ImportError:
    psutil = None

__all__ = ["MonitorWarning", "PeriodicMonitoringThread"]

_STATM = "/proc/self/statm"
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

#: Bytes: in memory, of addresses, in memory and perhaps shared with other processes, in memory and our own.
_MemoryInfo = namedtuple("_MemoryInfo", "rss vms shared uss")


class MonitorWarning(RuntimeWarning):
    """Something that the settings ask to monitor cannot be monitored here."""


class _Function:
    """A monitoring function and when to call it."""

    def __init__(self, function, period):
        self.function = function
        self.period = period
        self.last_run_time = monotonic()

    def __repr__(self):
        return f"<{self.function!r} every {self.period} seconds>"


class PeriodicMonitoringThread(IPeriodicMonitorThread):
    """PeriodicMonitoringThread(hub)

    What ``hub.start_periodic_monitoring_thread()`` makes, and starts. It ends with the hub.

    It watches for a blocked loop if ``gevent.config.max_blocking_time`` is positive, and for memory if
    ``gevent.config.max_memory_usage`` is set and the hub is the main thread's; both as the settings are when it is started.
    """

    #: Seconds it sleeps at least, so as not to be a load itself.
    min_sleep_time = 0.005
    #: Seconds between two looks at the memory at least.
    min_memory_monitor_period = 0.1

    def __init__(self, hub):
        self._hub = ref(hub, self._hub_gone)
        self._thread = None
        self._functions = ()
        self._changing = allocate_lock()
        #: For how many seconds a loop may be blocked.
        self.max_blocking_time = config.max_blocking_time
        #: How many bytes the process may use.
        self.max_memory_usage = config.max_memory_usage
        self._late = 0.0  # seconds that we slept too long
        self._blocked_since = None  # the first of the samples between which nothing ran but what runs now
        self._progress = None  # at the last sample: how often the loop has polled, and how many had their turn
        self._report_after = 0.0
        self._exceeded = 0  # bytes last reported
        if self.max_blocking_time and self.max_blocking_time > 0:
            self.add_monitoring_function(self.monitor_blocking, self.max_blocking_time)
        if self.max_memory_usage and hub.main_hub:
            self.install_monitor_memory_usage()

    @property
    def hub(self):
        """The hub that it watches, or None when that is gone."""
        return self._hub()

    @property
    def should_run(self):
        """Whether it was started and not killed."""
        thread = self._thread
        return thread is not None and not thread.ending

    @property
    def thread_ident(self):
        """The ident of the native thread; None if it is not to run."""
        thread = self._thread
        return None if thread is None or thread.ending else thread.ident

    def __repr__(self):
        state = "stopped" if self.thread_ident is None else f"thread_ident={self.thread_ident:#x}"
        return f"<{type(self).__name__} at {id(self):#x} {state}>"

    # -- running

    def start(self):
        """Tell the subscribers of :mod:`gevent.events`, and start the native thread unless it runs. Called by the hub."""
        if self.should_run or is_background():  # a function that uses gevent, against the rules, has a hub without a monitor
            return
        # In this order, lest the first that it reports is how long the subscribers take.
        notify_and_call_entry_points(PeriodicMonitorThreadStartedEvent(self))
        self._run()

    def _run(self):
        self._blocked_since = None
        self._thread = BackgroundThread(self._watch)

    def kill(self):
        """Have the thread end; at once, unless it is calling a function."""
        thread = self._thread
        if thread is not None:
            thread.end()

    def _hub_gone(self, _):
        self.kill()

    def _on_fork(self):
        """In a forked child, where the thread is not: start it again if it ran."""
        if self.should_run and not self._thread.is_here():
            self._changing = allocate_lock()
            self._run()

    def _watch(self, thread):
        """What the native thread does."""
        while not thread.ending:
            self._sleep(thread)
            hub = self._hub()
            if hub is None or hub.loop is None:
                thread.end()
            elif not thread.ending:
                self._call_functions(hub)
            hub = None  # not to keep it alive while we sleep

    def _sleep(self, thread):
        seconds = self.calculate_sleep_time()
        began = monotonic()
        if thread.sleep(seconds):
            self._late = 0.0
        else:
            self._late = monotonic() - began - seconds

    def _call_functions(self, hub):
        for each in self._functions:
            now = monotonic()
            if now - each.last_run_time < each.period - self.min_sleep_time / 2:
                continue
            each.last_run_time = now
            try:
                each.function(hub)
            except BaseException:
                # There is nobody to raise it to, and the other functions are to go on.
                self._print_error()

    def _print_error(self):
        try:
            traceback.print_exc()
        except Exception:  # sys.stderr is broken too: nothing is left to tell
            pass

    # -- functions

    def add_monitoring_function(self, function, period):
        """Have ``function(hub)`` called about every *period* seconds, in this native thread, beginning one period from now.

        The function must not use gevent: it runs beside the hub's thread. What it raises is printed. Adding it again changes its
        period; a *period* of None removes it. ValueError for a period that is not positive, and for what cannot be called. It may be
        called in any native thread.
        """
        if not callable(function):
            raise ValueError(f"a monitoring function must be callable, not {function!r}")
        if period is not None and not period > 0:
            raise ValueError(f"the period must be a positive number of seconds or None, not {period!r}")
        with self._changing:
            functions = [each for each in self._functions if each.function != function]
            if period is not None:
                functions.append(_Function(function, period))
            self._functions = tuple(functions)
        thread = self._thread
        if thread is not None:
            thread.wake()

    def monitoring_functions(self):
        """A list of what is called: objects with ``function``, ``period`` in seconds and ``last_run_time``."""
        return list(self._functions)

    def calculate_sleep_time(self):
        """Seconds until the next function is to be called; None if there is none."""
        functions = self._functions
        if not functions:
            return None
        now = monotonic()
        return max(min(each.last_run_time + each.period - now for each in functions), self.min_sleep_time)

    # -- a blocked loop

    def monitor_blocking(self, hub):
        """See whether the loop is blocked, and report that once, and again each time it has been blocked for twice as long.

        Returns the event that was sent, or None.
        """
        loop = hub.loop
        try:
            polling = loop.polling
            progress = (loop.iteration, loop.runcnt)
        except (AttributeError, ValueError):  # destroyed
            return None
        last, self._progress = self._progress, progress
        now = monotonic()
        if polling:
            self._blocked_since = None
            return None
        if self._blocked_since is None or progress != last:
            # If we were kept from running so long, and hardly anything else ran, then by what runs now: it held the GIL.
            held = self._late >= self.max_blocking_time and last is not None and progress[1] - last[1] <= 1
            self._blocked_since = now - self._late if held else now
            self._report_after = self.max_blocking_time
        blocked = now - self._blocked_since
        if blocked < self._report_after - self.min_sleep_time:
            return None
        self._report_after = 2 * blocked
        return self._report_blocked(hub, blocked)

    def _report_blocked(self, hub, blocked):
        greenlet = running_greenlet(hub)
        frames = sys._current_frames()
        others = set(frames) - {hub.thread_ident, get_ident()}
        info = format_threads(only=others) if others else []
        event = EventLoopBlocked(greenlet, blocked, info, hub=hub)
        notify(event)
        if config.print_blocking_reports:
            stream = hub.exception_stream
            if stream is not None:
                stream.write("\n".join([*_describe(event, frames.get(hub.thread_ident)), *event.info, ""]))
                stream.flush()
        return event

    def ignore_current_greenlet_blocking(self):
        """Take what the hub's thread does now for no block, however long it takes. To be called there, before something that has to."""
        self._report_after = float("inf")
        loop = self.hub.loop
        self._progress, self._blocked_since = (loop.iteration, loop.runcnt), monotonic()

    def monitor_current_greenlet_blocking(self):
        """Undo :meth:`ignore_current_greenlet_blocking`: the time counts from now."""
        self._blocked_since = None

    # -- memory

    def can_monitor_memory_usage(self):
        """Whether the system tells how much memory is used: with psutil, or on Linux."""
        return psutil is not None or os.path.exists(_STATM)

    def install_monitor_memory_usage(self):
        """Watch the memory every ``gevent.config.memory_monitor_period`` seconds. Warns where that is not possible."""
        if not self.can_monitor_memory_usage():
            warnings.warn("memory is not monitored: psutil is not installed", MonitorWarning, stacklevel=2)
            return
        period = config.memory_monitor_period
        if period and period > 0:
            self.add_monitoring_function(self.monitor_memory_usage, max(period, self.min_memory_monitor_period))

    def monitor_memory_usage(self, hub):
        """Compare the memory with what is allowed, and send an event if it has gone above, further up, or below again.

        Returns the event that was sent, or None.
        """
        allowed = self.max_memory_usage
        if not allowed:
            return None
        info = _memory_info()
        used = info.uss
        event = None
        if used > allowed:
            if used > self._exceeded:
                event = MemoryUsageThresholdExceeded(used, allowed, info)
                self._exceeded = used
        elif self._exceeded:
            event = MemoryUsageUnderThreshold(used, allowed, info, self._exceeded)
            self._exceeded = 0
        if event is not None:
            notify(event)
        return event


def _describe(event, frame):
    """The lines of a report."""
    if event.greenlet is event.hub:
        who = "a callback in the hub"
    elif event.greenlet is event.hub.parent:
        who = "the main greenlet"
    else:
        who = repr(event.greenlet)
    yield "=" * 80
    yield f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} the event loop has been blocked for {event.blocking_time:.2f} seconds by {who}"
    yield f"of {event.hub!r}; no other greenlet can run meanwhile. It is at"
    yield from ["  compiled code"] if frame is None else format_stack(frame)


def _memory_info():
    if psutil is not None:
        return psutil.Process().memory_full_info()
    with open(_STATM, encoding="ascii") as file:
        vms, rss, shared = (int(number) * _PAGE for number in file.read().split()[:3])
    return _MemoryInfo(rss, vms, shared, rss - shared)
