"""What a test left behind: greenlets, watchers, descriptors, native threads.

How it works: a :class:`Snapshot` before the test collects garbage, moves all that exists out of the collector's sight
(``gc.freeze``), and counts the rest. So the collector sees only what the test makes, and looking costs a fraction of a
millisecond whatever came before. :meth:`Snapshot.left_behind` counts again. Only if something grew does it go the slow way: give
the hub a few turns, collect garbage, wait a moment for threads to end, and then list what is still there.

PyPy has no ``gc.freeze``, and looking through all objects, or collecting garbage, takes it a good part of a second. There greenlets are
noted as they are made, and only those count that have a stack or are about to get one: whether something still refers to another one,
only a collection could tell, and not even that, since the JIT may keep what was in the registers of a few dozen greenlets. Those may be
hubs of native threads that have ended, so a loop's own descriptors lead to a collection, and are not called left behind.
"""

import contextlib
import gc
import os
import sys
import threading
import time
import weakref

from gevent_testkit.interpreters import REFERENCE_COUNTING

#: Seconds that native threads get to end after the test; the kernel takes a moment to take them off its list.
THREAD_GRACE = 1.0

_PROC = "/proc"
_FD_FOLDER = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
_TASK_FOLDER = "/proc/self/task"
#: What libev opens for a loop.
_OF_LOOPS = ("anon_inode:[eventpoll]", "anon_inode:[eventfd]")


def warm_up():
    """Make this thread's hub, with the descriptors that its loop opens at first use, so that they are nobody's leak.

    Does nothing while nobody has imported gevent.
    """
    hub_module = sys.modules.get("gevent.hub")
    if hub_module is None or not hasattr(hub_module, "get_hub"):
        return
    hub = hub_module.get_hub()
    if getattr(hub, "gevent_testkit_warm", False):
        return
    # An async watcher makes libev open the descriptor that other threads and signals wake it through.
    watcher = hub.loop.async_()
    watcher.start(_nothing)
    watcher.send()
    hub_module.sleep(0)
    watcher.stop()
    close = getattr(watcher, "close", None)
    if close is not None:
        close()
    hub.gevent_testkit_warm = True


def _nothing():
    pass


def _hub():
    switching = sys.modules.get("gevent._switching")
    return switching.get_hub_if_exists() if hasattr(switching, "get_hub_if_exists") else None


def _greenlets():
    """All greenlet objects but hubs and the main greenlets of threads: those come and go with their threads."""
    greenlet_module = sys.modules.get("greenlet")
    if greenlet_module is None:
        return []
    greenlet_class = greenlet_module.greenlet
    hub_class = getattr(sys.modules.get("gevent.hub"), "Hub", ())
    if sys.implementation.name == "pypy":
        _note_greenlets(greenlet_class)
        candidates = [each for each in list(_noted.values()) if each]
    else:
        candidates = [each for each in gc.get_objects() if isinstance(each, greenlet_class)]
    return [each for each in candidates if each.parent is not None and not isinstance(each, hub_class)]


_noted = weakref.WeakValueDictionary()  # on PyPy: all greenlets, by their id


def _note_greenlets(greenlet_class):
    make = greenlet_class.__new__
    if hasattr(make, "gevent_testkit"):
        return

    def make_and_note(cls, *args, **kwargs):
        new = make(cls, *args, **kwargs)
        _noted[id(new)] = new
        return new

    make_and_note.gevent_testkit = True
    greenlet_class.__new__ = make_and_note


def _watchers():
    """How many watchers are started on this thread's loop, or None where it does not tell."""
    return getattr(getattr(_hub(), "loop", None), "activecnt", None)


def _descriptors():
    """``{descriptor: what it points to}``; without the one that the listing itself uses, which is gone afterwards."""
    found = {}
    for name in os.listdir(_FD_FOLDER):
        with contextlib.suppress(OSError):
            found[int(name)] = os.readlink(f"{_FD_FOLDER}/{name}")
    return found


def _pool_threads():
    """How many native threads idle on purpose: those of the hub's pool, and of its resolver's."""
    # Both are made on first use; looking for them must not make them.
    hub = _hub()
    pools = {getattr(hub, "_threadpool", None), getattr(getattr(hub, "_resolver", None), "pool", None)}
    return sum(getattr(pool, "size", 0) for pool in pools)


def _threads():
    """Native thread ids, or Python's idea of them where there is no /proc."""
    try:
        return {int(name) for name in os.listdir(_TASK_FOLDER)}
    except OSError:
        return {thread.ident for thread in threading.enumerate()}


def _thread_name(ident):
    for thread in threading.enumerate():
        if ident in (thread.native_id, thread.ident):
            return repr(thread)
    try:
        with open(f"{_TASK_FOLDER}/{ident}/comm", encoding="utf-8", errors="replace") as file:
            return f"native thread {ident} ({file.read().strip()})"
    except OSError:
        return f"native thread {ident}"


def _children():
    """``{pid: command}`` of this process's children, ended ones that nobody has waited for included; empty where there is no /proc."""
    found = {}
    for name in os.listdir(_PROC) if os.path.isdir(_TASK_FOLDER) else ():
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"{_PROC}/{name}/stat", encoding="utf-8", errors="replace") as file:
                # The command is in parentheses, and may have some itself.
                command, _, rest = file.read().partition("(")[2].rpartition(")")
                state, parent = rest.split()[:2]
                if int(parent) == os.getpid():
                    found[int(name)] = f"{command}, ended but not waited for" if state == "Z" else command
    return found


class ModuleSnapshot:
    """What outlives a test by right, but not the module: children and native threads of its fixtures."""

    def __init__(self):
        self.children = _children()
        self.threads = _threads()
        self.pool_threads = _pool_threads()

    def left_behind(self):
        """A list of lines, one for each child process and thread that was added; waits a moment for them to end."""
        deadline = time.monotonic() + THREAD_GRACE
        while True:
            lines = [f"child process {pid} ({name})" for pid, name in _children().items() if pid not in self.children]
            if len(_threads()) - _pool_threads() > len(self.threads) - self.pool_threads:
                lines += [_thread_name(ident) for ident in sorted(_threads() - self.threads)]
            if not lines or time.monotonic() > deadline:
                return lines
            time.sleep(0.005)


class Snapshot:
    """What there is now."""

    def __init__(self):
        if hasattr(gc, "freeze"):  # not on PyPy, where all objects are looked through
            gc.collect()
            gc.freeze()
        self.greenlets = {id(each) for each in _greenlets()}
        self.watchers = _watchers()
        self.hub = _hub()
        self.descriptors = _descriptors()
        self.threads = _threads()
        self.pool_threads = _pool_threads()

    def left_behind(self):
        """A list of lines, one for each thing that has been added since and is still there; empty if nothing leaked."""
        if not self._grown():
            return []
        self._settle()
        return list(self._report()) if self._grown() else []

    def kill_greenlets(self):
        """Kill what a failed test has left: its timers would keep the loop busy, and tests that wait for LoopExit waiting."""
        hub, hub_module = _hub(), sys.modules.get("gevent.hub")
        if hub is None or hub.loop is None:
            return
        for each in _greenlets():
            if id(each) not in self.greenlets and each.parent is hub and not each.dead:
                hub_module.kill(each)
        for _ in range(4):
            hub_module.sleep(0)

    def _new_threads(self):
        """How many native threads have been added, those of the default pool left out."""
        return len(_threads()) - _pool_threads() - (len(self.threads) - self.pool_threads)

    def _new_watchers(self):
        now = _watchers()
        return 0 if now is None or self.watchers is None or _hub() is not self.hub else now - self.watchers

    def _grown(self):
        return (
            len(_greenlets()) > len(self.greenlets)
            or self._new_watchers() > 0
            or len(_descriptors()) > len(self.descriptors)
            or self._new_threads() > 0
        )

    def _settle(self):
        """Let end what is already ending: callbacks that are queued, garbage, native threads."""
        deadline, rounds = time.monotonic() + THREAD_GRACE, 0
        while self._grown():
            if _hub() is not None:
                # A round of the loop, which sleep(0) need not make when nobody else is ready.
                sys.modules["gevent.hub"].sleep(0.0001)
            gc.collect()
            rounds += 1
            if rounds >= 4:
                # What a thread had may be let go of a moment after join() has returned, and on PyPy it is garbage then.
                if time.monotonic() > deadline or (REFERENCE_COUNTING and self._new_threads() <= 0):
                    return
                time.sleep(0.005)

    def _report(self):
        for each in _greenlets():
            if id(each) in self.greenlets:
                continue
            yield f"greenlet {each!r}" + (" (dead, but something refers to it)" if each.dead else "")
        if self._new_watchers() > 0:
            yield f"{self._new_watchers()} started watcher(s) more than before: {_hub().loop!r}"
        for fd, target in sorted(_descriptors().items()):
            if fd not in self.descriptors and (REFERENCE_COUNTING or target not in _OF_LOOPS):
                yield f"open descriptor {fd} -> {target}"
        if self._new_threads() > 0:
            for ident in sorted(_threads() - self.threads):
                yield _thread_name(ident)
