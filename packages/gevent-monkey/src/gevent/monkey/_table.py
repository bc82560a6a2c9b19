"""What replaces what: data only."""

import sys

#: PyPy has no compiled queues.
_QUEUES = ["queue"] if sys.implementation.name == "pypy" else ["queue", "_queue"]

#: ``{argument of patch_all: [(module to patch, module that has ours, names)]}``; names None stands for the latter's ``__implements__``,
#: a dictionary for ``{name there: name here}``. Of two entries for one name the first counts.
#: Names that the running interpreter's module does not have are left out, if it did not lose them to an earlier patch.
REPLACED = {
    "os": [("os", "gevent.os", None)],
    "time": [("time", "gevent.time", None)],
    "thread": [
        # The lock that takes no more than the builtin one. "lock" since Python 3.13.
        ("_thread", "gevent.thread", dict.fromkeys(["LockType", "lock"], "lock")),
        ("_thread", "gevent.thread", dict.fromkeys(["allocate_lock", "allocate"], "standard_lock")),
        ("_thread", "gevent.thread", None),
        ("_thread", "gevent.thread", {"exit_thread": "exit", "start_new": "start_new_thread", "RLock": "RLock"}),
        # Since Python 3.13:
        ("_thread", "gevent.threading", {"start_joinable_thread": "_start_joinable_thread", "_ThreadHandle": "_ThreadHandle"}),
        ("_thread", "gevent.threading", {"_make_thread_handle": "_make_thread_handle"}),
    ],
    "threading": [("threading", "gevent.thread", {"Lock": "standard_lock"}), ("threading", "gevent.threading", None)],
    "_threading_local": [("_threading_local", "gevent.threading", ["local"])],
    "Event": [("threading", "gevent.event", ["Event"])],
    "socket": [("socket", "gevent.socket", None)],
    "ssl": [("ssl", "gevent.ssl", None)],
    "select": [("select", "gevent.select", ["select"]), ("selectors", "gevent.selectors", ["SelectSelector"])],
    "poll": [
        ("select", "gevent.select", {"poll": "_make_poll"}),  # a function there, and a class for who imports it from gevent
        ("select", "gevent.select", None),
        (
            "selectors",
            "gevent.selectors",
            ["PollSelector", "EpollSelector", "KqueueSelector", "DevpollSelector", "DefaultSelector"],
        ),
    ],
    "subprocess": [("subprocess", "gevent.subprocess", None)],
    "builtins": [("builtins", "gevent.builtins", None)],
    "signal": [("signal", "gevent.signal", None)],
    "queue": [(name, "gevent.queue", ["SimpleQueue"]) for name in _QUEUES],
    "contextvars": [("contextvars", "gevent.contextvars", None)],
}

#: Names that nothing cooperative can replace: they go with *aggressive*, so that nobody blocks by them unawares.
REMOVED = {"select": ["devpoll"]}

#: ``{module: function to call once it is imported}``, of modules of which more than names has to change.
ADAPTED = {
    "asyncio.events": "gevent.monkey._asyncio.adapt_events",
    "asyncio.base_events": "gevent.monkey._asyncio.adapt_loops",
    "asyncio.tasks": "gevent.monkey._asyncio.adapt_tasks",
    "asyncio.unix_events": "gevent.monkey._asyncio.adapt_pipes",
    "concurrent.futures.thread": "gevent.monkey._queues.adapt_thread_pools",
    "logging": "gevent.monkey._late.adapt_logging",
    "_queue": "gevent.monkey._queues.adapt_native_queues",
    "queue": "gevent.monkey._queues.adapt_queues",
    "multiprocessing.connection": "gevent.monkey._multiprocessing.adapt_connections",
    "multiprocessing.process": "gevent.monkey._multiprocessing.adapt_processes",
    "multiprocessing.reduction": "gevent.monkey._multiprocessing.adapt_reduction",
    "multiprocessing.synchronize": "gevent.monkey._multiprocessing.adapt_locks",
}

#: Replaced in the module, but not in others that took them from it: what they want of it is the interpreter's own class.
NOT_REBOUND = {("socket", "SocketType")}

#: Modules (and what is below them) whose own references stay what they are: the machinery itself, and debuggers, which need real threads.
KEEP_ORIGINALS = ("gevent", "greenlet", "importlib", "debugpy", "pydevd", "_pydevd_bundle", "_pydev_bundle", "_pydev_imps")

#: Classes whose subclasses stay blocking when they were made before patching, and their instances.
SUBCLASSED = [("socket", "socket"), ("ssl", "SSLSocket"), ("subprocess", "Popen"), ("select", "poll"), ("select", "epoll")]

#: What the command line takes.
OPTIONS = [
    "socket",
    "dns",
    "time",
    "select",
    "thread",
    "os",
    "ssl",
    "subprocess",
    "sys",
    "builtins",
    "signal",
    "queue",
    "contextvars",
]
