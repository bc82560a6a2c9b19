"""The event loop: loops, watchers, and the names that libev's backends share.

This is the low level that the hub is built on. Most programs never need it; those that embed other event sources do:

    >>> from gevent.core import loop
    >>> with loop(default=False).timer(0.01) as timer:
    ...     timer.start(print, "fired")
    ...     timer.loop.run()
    fired

There are two backends, ``libev-cext`` (compiled) for CPython and ``libev-cffi`` for PyPy. ``GEVENT_LOOP`` may ask for either; one
that is asked for and missing is an error.
"""

import importlib

from gevent._config import config, loop_backend

_backend = importlib.import_module(f"gevent._libev.{loop_backend()}")

__all__ = [
    "get_version",
    "get_header_version",
    "supported_backends",
    "recommended_backends",
    "embeddable_backends",
    "time",
    "loop",
]

# Constants, functions and classes: the whole of 1.1's module, from the backend that was chosen.
UNDEF = _backend.UNDEF
NONE = _backend.NONE
READ = _backend.READ
WRITE = _backend.WRITE
READWRITE = _backend.READWRITE
TIMER = _backend.TIMER
PERIODIC = _backend.PERIODIC
SIGNAL = _backend.SIGNAL
CHILD = _backend.CHILD
STAT = _backend.STAT
IDLE = _backend.IDLE
PREPARE = _backend.PREPARE
CHECK = _backend.CHECK
EMBED = _backend.EMBED
FORK = _backend.FORK
CLEANUP = _backend.CLEANUP
ASYNC = _backend.ASYNC
CUSTOM = _backend.CUSTOM
ERROR = _backend.ERROR
MINPRI = _backend.MINPRI
MAXPRI = _backend.MAXPRI
BACKEND_SELECT = _backend.BACKEND_SELECT
BACKEND_POLL = _backend.BACKEND_POLL
BACKEND_EPOLL = _backend.BACKEND_EPOLL
BACKEND_KQUEUE = _backend.BACKEND_KQUEUE
BACKEND_DEVPOLL = _backend.BACKEND_DEVPOLL
BACKEND_PORT = _backend.BACKEND_PORT
BACKEND_LINUXAIO = _backend.BACKEND_LINUXAIO
BACKEND_IOURING = _backend.BACKEND_IOURING
FORKCHECK = _backend.FORKCHECK
NOINOTIFY = _backend.NOINOTIFY
SIGNALFD = _backend.SIGNALFD
NOSIGMASK = _backend.NOSIGMASK
EVENTS = _backend.EVENTS
LIBEV_EMBED = _backend.LIBEV_EMBED

# How an embedded libev would have been compiled. Ours is the system's, and does not tell.
EV_USE_4HEAP = EV_USE_CLOCK_SYSCALL = EV_USE_EVENTFD = EV_USE_FLOOR = EV_USE_INOTIFY = -1
EV_USE_MONOTONIC = EV_USE_NANOSLEEP = EV_USE_REALTIME = EV_USE_SIGNALFD = -1

get_version = _backend.get_version
get_header_version = _backend.get_header_version
supported_backends = _backend.supported_backends
recommended_backends = _backend.recommended_backends
embeddable_backends = _backend.embeddable_backends
time = _backend.time
set_syserr_cb = _backend.set_syserr_cb
getswitchinterval = _backend.getswitchinterval
setswitchinterval = _backend.setswitchinterval

loop = _backend.loop
callback = _backend.callback
watcher = _backend.watcher
io = _backend.io
timer = _backend.timer
signal = _backend.signal
idle = _backend.idle
prepare = _backend.prepare
check = _backend.check
fork = _backend.fork
async_ = _backend.async_
child = _backend.child
stat = _backend.stat

# What the layers above use, and nobody else.
current_loop = _backend.current_loop
set_current_loop = _backend.set_current_loop
add_plain_type = _backend.add_plain_type
leave_behind = _backend.leave_behind
held_lock = _backend.held_lock
install_stack_chunk_cache = _backend.install_stack_chunk_cache
stack_chunk_cache_size = _backend.stack_chunk_cache_size


def __getattr__(name):
    if name == "async":  # the name in gevent 1.1, a keyword since Python 3.7
        return async_
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


install_stack_chunk_cache(config.stack_chunk_cache)
config.settings["stack_chunk_cache"].changed = install_stack_chunk_cache
