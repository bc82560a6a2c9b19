"""What both libev backends promise: flags and their names, and the checks that keep bad arguments from libev.

libev aborts the process, or corrupts it, when it is given a negative descriptor or an unknown signal number. So every argument
is checked here, once, before either backend hands it on.
"""

import _signal  # not signal: that imports enum, for names that nobody here needs
import sys

#: Stands for the event mask when it is the first of a watcher's arguments.
EVENTS = type("EVENTS", (), {"__repr__": lambda self: "gevent.core.EVENTS", "__slots__": ()})()

#: Backend and flag names as ``GEVENT_BACKEND`` and ``loop(flags=...)`` spell them. The values are part of libev's ABI.
FLAGS = {
    "select": 0x1,
    "poll": 0x2,
    "epoll": 0x4,
    "kqueue": 0x8,
    "devpoll": 0x10,
    "port": 0x20,
    "linuxaio": 0x40,
    "iouring": 0x80,
    "noenv": 0x01000000,
    "forkcheck": 0x02000000,
    "noinotify": 0x00100000,
    "signalfd": 0x00200000,
    "nosigmask": 0x00400000,
}
BACKEND_MASK = 0xFFFF
NOENV = FLAGS["noenv"]

READ, WRITE = 1, 2
_EVENT_NAMES = (
    (0x01, "READ"),
    (0x02, "WRITE"),
    (0x80, "_IOFDSET"),
    (0x100, "TIMER"),
    (0x200, "PERIODIC"),
    (0x400, "SIGNAL"),
    (0x800, "CHILD"),
    (0x1000, "STAT"),
    (0x2000, "IDLE"),
    (0x4000, "PREPARE"),
    (0x8000, "CHECK"),
    (0x10000, "EMBED"),
    (0x20000, "FORK"),
    (0x40000, "CLEANUP"),
    (0x80000, "ASYNC"),
    (0x1000000, "CUSTOM"),
    (0x80000000, "ERROR"),
)


def flags_to_int(flags):
    """The bit mask for *flags*: None, a number, ``"epoll,nosigmask"``, or a sequence of names and numbers.

    ``LIBEV_FLAGS`` is never looked at (NOENV is always set): only gevent's own setting chooses. ValueError for an unknown name.
    """
    if not flags:
        return NOENV
    if isinstance(flags, int):
        if flags < 0:
            raise ValueError(f"loop flags cannot be negative: {flags!r}")
        if flags > 0xFFFFFFFF:
            raise ValueError(f"no loop flags have the value {flags!r}")
        return flags | NOENV
    if isinstance(flags, str):
        flags = flags.split(",")
    elif isinstance(flags, (bytes, bytearray)):
        raise TypeError(f"loop flags are names as text, or numbers, not {flags!r}")
    mask = NOENV
    for flag in flags:
        if isinstance(flag, int):
            if not 0 <= flag <= 0xFFFFFFFF:
                raise ValueError(f"no loop flag has the value {flag!r}")
            mask |= flag
            continue
        if not isinstance(flag, str):
            raise TypeError(f"loop flags are names as text, or numbers, not {flag!r}")
        name = flag.strip().lower()
        if not name:
            continue
        if name not in FLAGS:
            raise ValueError(f"unknown loop backend or flag {flag!r}; there are {', '.join(FLAGS)}")
        mask |= FLAGS[name]
    return mask


def flags_to_list(mask):
    """The names in *mask*, most capable backend first; bits without a name stay one number."""
    names = []
    for name in ("port", "kqueue", "epoll", "poll", "select", "devpoll", "linuxaio", "iouring"):
        if mask & FLAGS[name]:
            names.append(name)
            mask &= ~FLAGS[name]
    for name in ("noenv", "forkcheck", "noinotify", "signalfd", "nosigmask"):
        if mask & FLAGS[name]:
            names.append(name)
            mask &= ~FLAGS[name]
    if mask:
        names.append(mask)
    return names


def backend_name(value):
    """``"epoll"`` and kin for one backend bit; the number itself for an unknown one."""
    names = flags_to_list(value)
    return names[0] if names else value


def check_backend(mask, supported):
    """ValueError when *mask* asks for backends of which this libev has none."""
    wanted = mask & BACKEND_MASK
    if wanted and not wanted & supported:
        raise ValueError(
            f"this libev does not support {', '.join(map(str, flags_to_list(wanted)))}; "
            f"it has {', '.join(map(str, flags_to_list(supported)))}"
        )


def events_to_text(events):
    """``READ|WRITE`` for 3; unknown bits as a number."""
    names = []
    for bit, name in _EVENT_NAMES:
        if events & bit:
            names.append(name)
            events &= ~bit
    if events:
        names.append(hex(events))
    return "|".join(names)


def check_fd(fd):
    """*fd* as a number libev can take: ValueError when it is negative, TypeError when it is no number."""
    if isinstance(fd, bool) or not isinstance(fd, int):
        fd = index(fd, "a file descriptor")
    if fd < 0:
        raise ValueError(f"a file descriptor cannot be negative: {fd!r}")
    if fd > 0x7FFFFFFF:
        raise ValueError(f"{fd!r} is too large for a file descriptor")
    return fd


def check_io_events(events):
    """*events* as a mask of READ and WRITE (and libev's own change marker); ValueError for anything else."""
    events = index(events, "an event mask")
    if events & ~(READ | WRITE | 0x80) or events < 0:
        raise ValueError(f"illegal event mask {events!r}: an io watcher takes READ (1), WRITE (2) or both")
    return events


def check_signal_number(signalnum):
    """*signalnum* as a number of a signal that exists here; ValueError otherwise."""
    signalnum = index(signalnum, "a signal number")
    if not 0 < signalnum < _signal.NSIG:
        raise ValueError(f"illegal signal number: {signalnum!r}; there are 1 to {_signal.NSIG - 1}")
    return signalnum


def check_callback(callback):
    if not callable(callback):
        raise TypeError(f"the callback must be callable, not {callback!r}")
    return callback


def check_priority(priority):
    priority = index(priority, "a priority")
    if not -2 <= priority <= 2:
        raise ValueError(f"illegal priority {priority!r}: there are -2 (last) to 2 (first)")
    return priority


def check_after(seconds):
    """A delay in seconds; negative ones count as 0. ValueError for what is not a number."""
    seconds = _number(seconds)
    if seconds != seconds:
        raise ValueError("a timer's delay cannot be NaN")
    return seconds


def _number(seconds):
    if isinstance(seconds, (str, bytes, bytearray)):  # float() would read them
        raise TypeError(f"seconds are a number, not {seconds!r}")
    return float(seconds)


def check_repeat(seconds):
    seconds = _number(seconds)
    if not seconds >= 0.0:
        raise ValueError(f"a timer's repeat must be positive or zero: {seconds!r}")
    return seconds


def path_to_bytes(path):
    """A path for libev: str in the file system's encoding, bytes and path objects as they are. ValueError for a NUL inside."""
    if hasattr(path, "__fspath__"):
        path = path.__fspath__()
    if isinstance(path, str):
        path = path.encode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    if not isinstance(path, bytes):
        raise TypeError(f"a path must be str, bytes or a path object, not {path!r}")
    if b"\0" in path:
        raise ValueError(f"embedded NUL in path {path!r}")
    return path


def index(value, what):
    try:
        return value.__index__()
    except AttributeError:
        raise TypeError(f"{what} must be a number, not {value!r}") from None
