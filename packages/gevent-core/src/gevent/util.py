"""What is alive in this process, and who does not let others run: helpers to find out, and small ones for programs.

:func:`print_run_info` shows every native thread and every greenlet with its stack; :class:`GreenletTree` is the part about greenlets;
:class:`assert_switches` is for tests of code that should cooperate.
"""

import gc
import reprlib
import sys
import threading
import traceback
from time import perf_counter

import greenlet as _greenlet
from greenlet import getcurrent

from gevent._originals import get_ident
from gevent._switching import get_hub_if_exists, get_loop
from gevent._waiting import WaitQueue
from gevent.greenlet import Greenlet
from gevent.hub import Hub

__all__ = ["format_run_info", "print_run_info", "GreenletTree", "wrap_errors", "assert_switches"]

_RULE = "*" * 80

#: How far a line of a tree is indented at most: a thousand greenlets below one another would take megabytes of blanks.
_DEEPEST = 200


# ---- What is alive -----------------------------------------------------------------------------------------------------------


def print_run_info(thread_stacks=True, greenlet_stacks=True, limit=None, file=None):
    """Print what :func:`format_run_info` gives to *file*, by default ``sys.stderr``.

    .. versionadded:: 26.11.0
    """
    lines = format_run_info(thread_stacks, greenlet_stacks, limit)
    print("\n".join(lines), file=sys.stderr if file is None else file)


def format_run_info(thread_stacks=True, greenlet_stacks=True, limit=None, current_thread_ident=None):
    """A list of lines, for people, that tell of all native threads and greenlets there are.

    With *thread_stacks* and *greenlet_stacks*, where each of them is; *limit* is the most frames of a stack, the innermost.
    *current_thread_ident* is the thread marked as the current one, by default the caller's.

    It may be called in any native thread. It looks through all objects that there are: milliseconds, or more in a large process.
    Greenlets of before a ``gc.freeze()`` may be missing.

    .. versionadded:: 26.11.0
    """
    lines = format_threads(thread_stacks, limit, current_thread_ident)
    lines += [_RULE, "* Greenlets", _RULE]
    details = {"running_stacks": greenlet_stacks, "running_stack_limit": limit}
    for number, tree in enumerate(GreenletTree.forest()):
        if number:
            lines.append("---- Another native thread")
        lines += tree.format_lines(details)
    return lines


def format_threads(stacks=True, limit=None, current_thread_ident=None, only=None):
    """The part of :func:`format_run_info` about native threads: all of them, or those with the idents in *only*."""
    if current_thread_ident is None:
        current_thread_ident = get_ident()
    # Not threading.enumerate(): it takes a lock, which is a greenlet's when the module was patched, and the thread that we report
    # may hold it.
    names = {ident: thread.name for ident, thread in list(getattr(threading, "_active", {}).items())}
    lines = [_RULE, "* Threads", _RULE]
    for ident, frame in sys._current_frames().items():
        if only is not None and ident not in only:
            continue
        mark = " (CURRENT)" if ident == current_thread_ident else ""
        lines.append(f"Thread {ident:#x} ({names.get(ident, 'without a name')}){mark}")
        if stacks:
            lines += format_stack(frame, limit)
    return lines


def format_stack(frame, limit=None):
    """The lines of the stack that ends at *frame*, without what this module has on top of it."""
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    if frame is None:
        return []
    summary = traceback.StackSummary.extract(_walk(frame), limit=limit)
    summary.reverse()
    return "".join(summary.format()).splitlines()


def _walk(frame):
    """What ``traceback.walk_stack`` gives; but on PyPy the first frame of a greenlet that was left may lead to its last one again."""
    seen = set()
    while frame is not None and frame not in seen:
        seen.add(frame)
        yield frame, frame.f_lineno
        frame = frame.f_back


def running_greenlet(hub):
    """Which greenlet runs now in the native thread of *hub*: it, the main one or another. None if it cannot be found.

    It may be called in any native thread. It looks through all objects that there are, unless it is one of the first two.
    """
    if not _FRAMES_TELL:
        return _switched_to(hub)
    main = hub.parent
    for each in (hub, main):
        if _runs(each):
            return each
    for each in _greenlets():
        if _runs(each) and _main_of(each) is main:
            return each
    return None


#: Whether a greenlet that runs can be told from one that does not by its frames. PyPy has no such frames.
_FRAMES_TELL = sys.implementation.name != "pypy"


def _switched_to(hub):
    """What the loop of *hub* has switched to: the greenlet that runs, unless greenlets switch to one another behind its back."""
    if not _greenlet.greenlet.__bool__(hub) or hub.loop is None:
        return hub.parent
    return hub.loop.switched_to or hub


def _runs(each):
    """Whether it is the one that its native thread runs now."""
    # Started, not ended, and with no frame to go on at, as if it had no frames but those of compiled code: then its C stack was put
    # aside when it was left. The class's own methods, since Greenlet has others by these names.
    return _greenlet.greenlet.__bool__(each) and each.gr_frame is None and not getattr(each, "_stack_saved", 0)


def _main_of(each):
    while each.parent is not None:
        each = each.parent
    return each


def _greenlets():
    """All greenlets that the collector knows, and those that these and the current one lead to: gc.freeze() hides others."""
    found = {id(each): each for each in gc.get_objects() if issubclass(type(each), _greenlet.greenlet)}
    for each in [*found.values(), getcurrent(), get_hub_if_exists()]:
        while each is not None:
            found[id(each)] = each
            each = each.parent
    return list(found.values())


def _waits():
    """``{id of a greenlet: what it waits on}``, as far as that is an object with a queue of waiters."""
    found = {}
    for each in gc.get_objects():
        if isinstance(each, WaitQueue):
            for park in each.waiters():
                found[id(park.greenlet)] = park.owner
    return found


def _text(value):
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} at {id(value):#x}, whose repr failed>"


class GreenletTree:
    """GreenletTree(greenlet)

    A greenlet, and below it those that it spawned (:data:`gevent.config.track_greenlet_tree`) or else those it is the parent of.

    ``str(tree)`` is short; :meth:`format` tells more. Attributes that it has not are those of its greenlet.

    .. versionadded:: 26.11.0
    """

    #: What :meth:`format` shows unless told otherwise: the stacks where they are, of how many frames at most, the stacks where they
    #: were spawned, and the values of ``spawn_tree_locals``.
    DEFAULT_DETAILS = {"running_stacks": True, "running_stack_limit": None, "spawning_stacks": True, "locals": True}

    greenlet = None
    #: Whether this is the tree of the native thread that made it.
    is_current_tree = False

    def __init__(self, greenlet):
        self.greenlet = greenlet
        self.child_trees = []

    def add_child(self, tree):
        """Put *tree* below this one; nothing happens if it is this one."""
        if tree is not self:
            self.child_trees.append(tree)

    @property
    def root(self):
        """Whether the greenlet is a native thread's main one: the root of a whole tree."""
        return self.greenlet.parent is None

    def __getattr__(self, name):
        return getattr(self.greenlet, name)

    def __str__(self):
        return self.format(False)

    @classmethod
    def forest(cls):
        """A list of trees, one for each native thread that uses greenlets; the caller's is the first.

        Other threads run on, so what is about them may be a little out of date.
        """
        trees = {id(each): cls(each) for each in _greenlets()}
        above = _parents(trees)
        with_children = set(above.values())
        main = _main_of(getcurrent())
        roots = []
        for ident, tree in trees.items():
            parent = above[ident]
            if parent is None:
                if not tree.greenlet.dead or ident in with_children:
                    roots.append(tree)
                    tree.is_current_tree = tree.greenlet is main
            else:
                trees[parent].add_child(tree)
        roots.sort(key=lambda tree: not tree.is_current_tree)
        return roots

    @classmethod
    def current_tree(cls):
        """The tree of the native thread that calls this."""
        return next(tree for tree in cls.forest() if tree.is_current_tree)

    def format(self, details=True):
        """What :meth:`format_lines` gives, as one string."""
        return "\n".join(self.format_lines(details))

    def format_lines(self, details=True):
        """The tree as a list of lines, for people.

        With *details*, a paragraph for each greenlet; a dictionary is laid over :attr:`DEFAULT_DETAILS`.
        """
        if details:
            details = {**self.DEFAULT_DETAILS, **({} if details is True else details)}
            waits = _waits()
        lines = []
        # Not recursive: each of ten thousand greenlets may have spawned the next one.
        stack = [(self, "", " ")]
        while stack:
            tree, branch, indent = stack.pop()
            lines.append(branch + tree._title())
            children = tree.child_trees
            if details:
                bar = ":" if children else " "
                lines += [f"{indent}{bar}    {line}" for line in tree._paragraph(details, waits)]
            for number, child in enumerate(reversed(children)):
                deeper = indent + ("     " if number == 0 else "|    ")
                stack.append((child, f"{indent}+--- ", deeper[:_DEEPEST]))
        return [line.rstrip() for line in lines]

    def _title(self):
        each = self.greenlet
        text = _text(each)
        if isinstance(each, Greenlet):
            if each.ready():
                text += f"; failed with {reprlib.repr(each.exception)}" if each.exception is not None else "; finished"
        elif each.dead:
            text += "; finished"
        return text

    def _paragraph(self, details, waits):
        each = self.greenlet
        yield f"Parent: {_text(each.parent)}"
        monitor = getattr(each, "periodic_monitoring_thread", None)
        if monitor is not None:
            yield f"Monitored by: {_text(monitor)}"
        if id(each) in waits:
            yield f"Waits on: {_text(waits[id(each)])}"
        if details["running_stacks"]:
            frame = self._frame()
            if frame is not None:
                yield "Running:"
                yield from format_stack(frame, details["running_stack_limit"])
        stack = getattr(each, "spawning_stack", None)
        if details["spawning_stacks"] and stack:
            yield "Spawned at:"
            yield from "".join(traceback.format_list(stack)).splitlines()
        shared = getattr(each, "spawn_tree_locals", None)
        if details["locals"] and shared:
            spawner = getattr(each, "spawning_greenlet", None)
            if spawner is None or getattr(spawner(), "spawn_tree_locals", None) is not shared:
                yield f"Spawn tree locals: {reprlib.repr(shared)}"

    def _frame(self):
        """Where the greenlet is, or None if it is not running or has no frames of Python."""
        each = self.greenlet
        if each is getcurrent():
            return sys._getframe()
        if not _runs(each):
            return each.gr_frame
        for hub in _greenlets():
            if isinstance(hub, Hub) and hub.parent is _main_of(each):
                return sys._current_frames().get(hub.thread_ident)
        return None


def _parents(trees):
    """``{id of a greenlet: id of the one whose child it is shown as, or None for a root}``."""
    above = {}
    for ident, tree in trees.items():
        spawner = getattr(tree.greenlet, "spawning_greenlet", None)
        parent = None if spawner is None else spawner()
        if parent is None or id(parent) not in trees:
            parent = tree.greenlet.parent
        above[ident] = None if parent is None or id(parent) not in trees else id(parent)
    # What a greenlet spawned may have become its parent: a circle, which is cut.
    checked = {None}
    for ident, tree in trees.items():
        path = set()
        while ident not in checked:
            path.add(ident)
            if above[ident] in path:
                above[ident] = id(_main_of(tree.greenlet))
                break
            ident = above[ident]
        checked |= path
    return above


# ---- Who lets others run -----------------------------------------------------------------------------------------------------


class assert_switches:
    """assert_switches(max_blocking_time=None, hub_only=False)

    ``with assert_switches():`` raises AssertionError after its block unless that let other greenlets run, at least once.

    With *max_blocking_time*, it raises if it was more than so many seconds without a switch, whoever ran; what the hub itself waits
    does not count. With *hub_only*, the seconds are those from leaving the hub to coming back to it. An exception in the block
    goes its way.

    It makes every switch of the native thread slower while it is entered; for tests and debugging.

    .. versionadded:: 26.11.0
    """

    hub = None
    tracer = None

    def __init__(self, max_blocking_time=None, hub_only=False):
        if max_blocking_time is not None and not max_blocking_time > 0:
            raise ValueError(f"max_blocking_time must be a positive number of seconds or None, not {max_blocking_time!r}")
        self.max_blocking_time = max_blocking_time
        self.hub_only = hub_only

    def __enter__(self):
        loop = get_loop()
        self.hub = loop.hub
        self.tracer = _Tracer(loop, self.hub_only)
        return self

    def __exit__(self, t, v, tb):
        tracer, self.tracer = self.tracer, None
        tracer.stop()
        if t is not None:
            return
        if self.max_blocking_time is None:
            if not tracer.switched:
                raise AssertionError(
                    f"{_text(getcurrent())} did not let other greenlets run: it took {tracer.longest:.4f} seconds without a switch"
                )
        elif tracer.longest > self.max_blocking_time:
            raise AssertionError(
                f"{_text(tracer.culprit)} did not switch{' to the hub' if self.hub_only else ''} for {tracer.longest:.4f} seconds; "
                f"allowed are {self.max_blocking_time:.4f}"
            )


class _Tracer:
    """Counts and times the switches of a native thread, until it is stopped."""

    def __init__(self, loop, hub_only):
        self.loop = loop
        self.hub = loop.hub
        self.hub_only = hub_only
        self.watched = getcurrent()
        self.switched = False
        self.longest = 0.0
        self.culprit = self.watched
        self.on = True
        self._put_marker()
        self.previous = _greenlet.settrace(self)
        self.since = perf_counter()

    def _put_marker(self):
        # A greenlet that yields goes on at once, without a switch, if nobody else is ready; with this in the queue there is.
        self.marker = self.loop.ready_call(_nothing, ())

    def __call__(self, event, args):
        if self.on and event in ("switch", "throw"):
            origin, target = args
            now = perf_counter()
            self.switched = True
            if not self.hub_only:
                if origin is not self.hub:
                    self._measure(now, origin)
                self.since = now
            elif target is self.hub:
                self._measure(now, origin)
            elif origin is self.hub:
                self.since = now
            if target is self.watched:
                self.loop.forget(self.marker)
                self._put_marker()
        if self.previous is not None:
            self.previous(event, args)

    def _measure(self, now, culprit):
        if now - self.since > self.longest:
            self.longest = now - self.since
            self.culprit = culprit

    def stop(self):
        self._measure(perf_counter(), getcurrent())
        self.on = False
        self.loop.forget(self.marker)
        # Whoever set a trace function in the block and left it passes on to us, as we do.
        if _greenlet.gettrace() is self:
            _greenlet.settrace(self.previous)


def _nothing():
    pass


# ---- For programs ------------------------------------------------------------------------------------------------------------


class wrap_errors:
    """``wrap_errors(errors, func)`` is a function that returns the *errors* of *func* instead of raising them.

    *errors* is an exception class or a tuple of them. An exception that ends a greenlet is reported; one that is expected, and only
    to be handed on, better leaves the greenlet as its result. str and repr are those of *func*, and so is every attribute.
    """

    def __init__(self, errors, func):
        self._errors = errors
        self._func = func

    def __call__(self, *args, **kwargs):
        try:
            return self._func(*args, **kwargs)
        except self._errors as error:
            return error

    def __str__(self):
        return str(self._func)

    def __repr__(self):
        return repr(self._func)

    def __getattr__(self, name):
        if name == "_func":  # not made yet: copy and pickle look before __init__ ran
            raise AttributeError(name)
        return getattr(self._func, name)
