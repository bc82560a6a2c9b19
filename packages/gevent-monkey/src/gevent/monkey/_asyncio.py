"""asyncio, when several greenlets of one native thread run event loops.

asyncio takes the native thread for who runs a loop: its compiled module keeps *the* running loop of each. Here it is the greenlet's. The
interpreter has the functions in Python too, over a thread-local, which is a greenlet-local in their hands. What the compiled
classes look at by themselves is set anew before each callback, for another greenlet's loop may have run meanwhile.
"""

import _socket
import sys

from gevent.local import local
from gevent.monkey import _Batch, patch_item
from gevent.monkey._shared import let_others_run

__all__ = ["adapt_events", "adapt_loops", "adapt_pipes", "adapt_tasks"]

_NAMES = ("_get_running_loop", "_set_running_loop", "get_running_loop", "get_event_loop")
_TASK_NAMES = (
    "current_task",
    "all_tasks",
    "_enter_task",
    "_leave_task",
    "_swap_current_task",
    "_register_task",
    "_unregister_task",
    "_register_eager_task",
    "_unregister_eager_task",
)


def adapt_events(events):
    """Make the running loop, and the one that is set, the greenlet's."""

    class RunningLoop(local):
        loop_pid = (None, None)

    set_native = events._set_running_loop
    set_ours = getattr(events, "_py__set_running_loop", None)
    if set_ours is None:
        return

    def _set_running_loop(loop):
        set_ours(loop)
        set_native(loop)

    running = events._running_loop
    events._running_loop = RunningLoop()
    events._running_loop.loop_pid = running.loop_pid
    with _Batch():
        for name in _NAMES:
            patch_item(events, name, _set_running_loop if name == "_set_running_loop" else getattr(events, f"_py_{name}"))
    _adapt_policy(events)


def _adapt_policy(events):
    """The loop that was set for a thread is the policy's."""
    policy = getattr(events, "_BaseDefaultEventLoopPolicy", None) or getattr(events, "BaseDefaultEventLoopPolicy", None)
    if policy is None:
        return

    class Local(local):
        _loop = None
        _set_called = False

    policy._Local = Local
    existing = events._event_loop_policy
    if isinstance(existing, policy):
        values = vars(existing._local)
        existing._local = Local()
        vars(existing._local).update(values)


def adapt_tasks(tasks):
    """Have the current task be looked for in the greenlet's loop.

    Since Python 3.14 compiled tasks are kept in the native thread's state, one running at a time, and not where the functions in Python
    look: tasks are those in Python, then.
    """
    with _Batch():
        for name in _TASK_NAMES if sys.version_info >= (3, 14) else ("current_task",):
            if hasattr(tasks, f"_py_{name}"):
                patch_item(tasks, name, getattr(tasks, f"_py_{name}"))
        if sys.version_info >= (3, 14):
            patch_item(tasks, "Task", tasks._PyTask)


def adapt_loops(base_events):
    """Tell the compiled classes whose loop runs, before each callback. Let others run, also if the loop has a selector that does not."""
    run_once = base_events.BaseEventLoop._run_once

    def _run_once(self):
        run_once(self)
        let_others_run()

    base_events.BaseEventLoop._run_once = _run_once
    handle = base_events.events.Handle
    run = handle._run
    set_native = getattr(base_events.events, "_c__set_running_loop", None)
    if set_native is None:
        return

    events = base_events.events

    def _run(self):
        if events._get_running_loop() is self._loop:  # not so if somebody makes the loop's steps by hand
            set_native(self._loop)
        run(self)
        self = None  # this frame may be kept by a traceback, and is not to keep the callback's task alive; run() does the same

    handle._run = _run


class _NativePairs:
    """The module :mod:`socket`, whose pairs block: a child process gets one end, and expects that."""

    def __init__(self, module):
        self._module = module
        self.socketpair = _socket.socketpair  # that of socket is in Python, and makes sockets of the class that is there: ours

    def __getattr__(self, name):
        return getattr(self._module, name)


def adapt_pipes(unix_events):
    """Give children pipes that block."""
    unix_events.socket = _NativePairs(unix_events.socket)
