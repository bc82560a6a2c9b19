"""The settings: one table of names, environment variables, parsers and defaults.

A setting is read from its variable the first time somebody asks, so both orders work: exporting ``GEVENT_RESOLVER=block``, or
assigning ``gevent.config.resolver = "block"`` before the first look-up. A variable that is set to nothing (``GEVENT_RESOLVER=``, as
scripts and service files write it) counts as unset. ``python -m gevent._config`` prints the table.

Settings that name a class hold dotted paths, short names, a list of either in order of preference, or the object itself.
This is also how a lower layer reaches an upper one (the hub its resolver, for example): by a name here, imported on first use.
"""

import importlib
import os
import sys

__all__ = ["Config", "ImportableSetting", "Setting", "config"]

_UNSET = object()


def _text(value):
    return value


def _words(value):
    """``"a, b"`` as ``["a", "b"]``; anything that is not text stays."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def _switch(value):
    """An on/off variable: 1, yes, on, true against 0, no, off, false (any case)."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("1", "yes", "on", "true"):
            return True
        if word in ("", "0", "no", "off", "false"):
            return False
        raise ValueError(f"{value!r} is neither on (1, yes, on, true) nor off (0, no, off, false)")
    return bool(value)


def _presence(value):
    """A variable that counts as on whenever it is set to anything, as gevent 1.1 reads some."""
    return bool(value)


def _count(value):
    number = int(value)
    if number < 0:
        raise ValueError(f"{value!r} is negative")
    return number


def _optional_count(value):
    return None if value in (None, "") else _count(value)


def _seconds(value):
    return None if value in (None, "", "none", "None") else float(value)


def _period(value):
    """Seconds, 0 for never."""
    seconds = float(value or 0)
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{value!r} is no number of seconds from 0 on")
    if seconds and sys.implementation.name == "pypy":
        raise ValueError(f"{value!r} asks for preemption, which PyPy does not have: only 0 is possible there")
    return seconds


def _bytes(value):
    """A number of bytes, with an optional suffix kb, mb or gb (1024 each)."""
    if value is None or not isinstance(value, str):
        return value
    text = value.strip().lower()
    for suffix, factor in (("kb", 1024), ("mb", 1024**2), ("gb", 1024**3)):
        if text.endswith(suffix):
            return int(text[: -len(suffix)]) * factor
    return int(text)


def import_path(path):
    """The object behind ``package.module.name``.

    ``folder/package.module.name`` looks for the module in *folder* first, as gevent 1.1 allows. Raises ImportError when there
    is no such module or name; what is not text is returned as it is.
    """
    if not isinstance(path, str):
        return path
    folder, _, dotted = path.rpartition("/")
    module_name, _, name = dotted.rpartition(".")
    if not module_name:
        raise ImportError(f"{path!r} is not an import path: it needs the form [folder/][package.]module.name")
    if folder:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    finally:
        if folder:
            sys.path.remove(folder)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ImportError(f"cannot import {name!r} from {module_name!r}") from None


def import_on_demand(namespace, paths):
    """The ``__getattr__`` of the module whose dict is *namespace*: it imports what *paths* names, each when it is first asked for.

    For what a module offers though it stands on a layer below it, or is larger than all the rest.
    """

    def __getattr__(name):
        if name in paths:
            namespace[name] = import_path(paths[name])
            return namespace[name]
        raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")

    return __getattr__


def import_first(candidates, shortcuts):
    """The first of the *candidates* (one, or several in order of preference) that can be imported."""
    if isinstance(candidates, str) or not isinstance(candidates, (list, tuple)):
        candidates = _words(candidates)
        if not isinstance(candidates, list):
            return candidates
    if not candidates:
        raise ImportError("no class is named: the list is empty")
    for position, candidate in enumerate(candidates):
        try:
            return import_path(shortcuts.get(candidate, candidate) if isinstance(candidate, str) else candidate)
        except ImportError:
            if position == len(candidates) - 1:
                raise


class Setting:
    """One row of the table."""

    def __init__(self, name, variable, parse, default, meaning):
        self.name = name
        self.variable = variable
        self.parse = parse
        self.default = default
        self.meaning = meaning
        self.value = _UNSET
        #: Called with the new value by :meth:`set`, if not None: for settings of which somebody keeps a copy.
        self.changed = None

    def get(self):
        if self.value is _UNSET:
            text = os.environ.get(self.variable)
            if not text:
                self.value = self.default
            else:
                try:
                    self.value = self.parse(text)
                except (ValueError, TypeError) as error:
                    raise ValueError(f"environment variable {self.variable}: {error}") from None
        return self.value

    def set(self, value):
        self.value = self.parse(value)
        if self.changed is not None:
            self.changed(self.value)

    def value_or_default(self):
        """What is set, unimported."""
        return Setting.get(self)


class ImportableSetting(Setting):
    """A setting that names an object; :meth:`get` imports it."""

    def __init__(self, name, variable, shortcuts, default, meaning):
        super().__init__(name, variable, _words, default, meaning)
        self.shortcuts = shortcuts

    def get(self):
        return import_first(super().get(), self.shortcuts)

    def get_options(self):
        """The short names, with the paths they stand for."""
        return dict(self.shortcuts)


class Config:
    """The settings as attributes: read them, or assign them before their first use."""

    def __init__(self, settings):
        self.__dict__["settings"] = {setting.name: setting for setting in settings}

    def __getattr__(self, name):
        try:
            return self.settings[name].get()
        except KeyError:
            raise AttributeError(f"there is no setting {name!r}; there are {', '.join(sorted(self.settings))}") from None

    def __setattr__(self, name, value):
        self.set(name, value)

    def __dir__(self):
        return sorted(self.settings)

    def set(self, name, value):
        """Give the setting *name* a value, parsed as its environment variable would be. AttributeError for an unknown name."""
        if name not in self.settings:
            raise AttributeError(f"there is no setting {name!r}; there are {', '.join(sorted(self.settings))}")
        self.settings[name].set(value)

    def print_help(self, file=None):
        """Print every setting with its variable, default and meaning."""
        for setting in self.settings.values():
            print(f"{setting.name}  ({setting.variable}, default {setting.default!r})", file=file)
            print(f"    {setting.meaning}", file=file)


config = Config(
    [
        ImportableSetting(
            "loop",
            "GEVENT_LOOP",
            {
                "libev-cext": "gevent._libev.cext.loop",
                "libev-cffi": "gevent._libev.cffi.loop",
                "libev": "gevent.core.loop",
            },
            "gevent.core.loop",
            "The event loop: libev-cext (Cython, the default on CPython), libev-cffi (the default on PyPy), or an import path.",
        ),
        Setting(
            "libev_backend",
            "GEVENT_BACKEND",
            _text,
            None,
            "How libev asks the kernel: epoll, poll, select, ...; unset: libev chooses.",
        ),
        ImportableSetting(
            "resolver",
            "GEVENT_RESOLVER",
            {
                "thread": "gevent.resolver_thread.Resolver",
                "ares": "gevent.resolver_ares.Resolver",
                "block": "gevent.socket.BlockingResolver",
            },
            ["thread", "ares", "block"],
            "Who looks up host names: thread (the default), ares (needs gevent-ares), block, or import paths.",
        ),
        ImportableSetting(
            "threadpool",
            "GEVENT_THREADPOOL",
            {},
            "gevent.threadpool.ThreadPool",
            "The class of a hub's pool of native threads.",
        ),
        Setting(
            "threadpool_idle_task_timeout",
            "GEVENT_THREADPOOL_IDLE_TASK_TIMEOUT",
            _seconds,
            5.0,
            "Seconds that an idle thread of a hub's pool lives; -1: for ever.",
        ),
        ImportableSetting(
            "format_context",
            "GEVENT_FORMAT_CONTEXT",
            {},
            "pprint.saferepr",
            "The function that formats what failed in an error report.",
        ),
        ImportableSetting(
            "fileobject",
            "GEVENT_FILE",
            {
                "posix": "gevent.fileobject.FileObjectPosix",
                "thread": "gevent.fileobject.FileObjectThread",
                "block": "gevent.fileobject.FileObjectBlock",
            },
            ["posix", "thread"],
            "The class behind gevent.fileobject.FileObject: posix, thread, block, or an import path.",
        ),
        Setting(
            "disable_watch_children",
            "GEVENT_NOWAITPID",
            _presence,
            False,
            "Do not watch forked children (gevent-subprocess).",
        ),
        Setting(
            "child_watcher",
            "GEVENT_CHILD_WATCHER",
            _text,
            None,
            "How children are watched: pidfd, or sigchld; unset: pidfd where the kernel has it.",
        ),
        Setting(
            "track_greenlet_tree",
            "GEVENT_TRACK_GREENLET_TREE",
            _switch,
            False,
            "Record for each Greenlet who spawned it and where (costs a third of a spawn).",
        ),
        Setting(
            "stack_chunk_cache",
            "GEVENT_STACK_CHUNK_CACHE",
            _count,
            1024,
            "How many 16 KiB interpreter stack chunks of dead greenlets are kept for new ones (CPython 3.11 and newer); 0: none.",
        ),
        Setting(
            "monitor_thread",
            "GEVENT_MONITOR_THREAD_ENABLE",
            _switch,
            sys.flags.dev_mode,
            "Start a native thread that reports a blocked hub; on by itself in Python's development mode (``-X dev``).",
        ),
        Setting(
            "max_blocking_time",
            "GEVENT_MAX_BLOCKING_TIME",
            _seconds,
            0.1,
            "Seconds a greenlet may keep the loop from running before that is reported.",
        ),
        Setting(
            "print_blocking_reports",
            "GEVENT_MONITOR_PRINT_BLOCKING_REPORTS",
            _switch,
            True,
            "Print the report of a blocked hub, not only emit the event.",
        ),
        Setting(
            "preempt_threads",
            "GEVENT_PREEMPT_THREADS",
            _period,
            0.0,
            "Seconds after which a thread that is a greenlet has to let others run, though it does not wait; 0: never.",
        ),
        Setting(
            "memory_monitor_period", "GEVENT_MONITOR_MEMORY_PERIOD", _seconds, 5.0, "Seconds between two looks at the memory use."
        ),
        Setting(
            "max_memory_usage",
            "GEVENT_MONITOR_MEMORY_MAX",
            _bytes,
            None,
            "Bytes of memory above which an event is emitted; suffixes kb, mb, gb.",
        ),
        Setting(
            "resolver_nameservers",
            "GEVENT_RESOLVER_NAMESERVERS",
            _words,
            None,
            "Addresses of the name servers to ask (gevent-ares).",
        ),
        Setting("resolver_timeout", "GEVENT_RESOLVER_TIMEOUT", _seconds, None, "Seconds for one look-up in all (gevent-ares)."),
        Setting(
            "ares_flags", "GEVENTARES_FLAGS", _optional_count, None, "The sum of some ARES_FLAG_* of gevent.ares (gevent-ares)."
        ),
        Setting("ares_timeout", "GEVENTARES_TIMEOUT", _seconds, None, "Seconds to wait for a name server at first (gevent-ares)."),
        Setting("ares_tries", "GEVENTARES_TRIES", _optional_count, None, "How often each name server is asked (gevent-ares)."),
        Setting(
            "ares_ndots",
            "GEVENTARES_NDOTS",
            _optional_count,
            None,
            "From how many dots on a name is asked for as it is before the search domains (gevent-ares).",
        ),
        Setting("ares_udp_port", "GEVENTARES_UDP_PORT", _optional_count, None, "The UDP port of the name servers (gevent-ares)."),
        Setting("ares_tcp_port", "GEVENTARES_TCP_PORT", _optional_count, None, "The TCP port of the name servers (gevent-ares)."),
        Setting(
            "ares_servers",
            "GEVENTARES_SERVERS",
            _words,
            None,
            "Addresses of the name servers to ask; before resolver_nameservers (gevent-ares).",
        ),
        Setting(
            "ares_system_names",
            "GEVENTARES_SYSTEM_NAMES",
            _words,
            (),
            "Domains whose names the system looks up instead, as local; a dot: names without one (gevent-ares).",
        ),
        Setting(
            "ares_fallback",
            "GEVENTARES_FALLBACK",
            _switch,
            False,
            "Ask the system, too, for what c-ares does not find (gevent-ares).",
        ),
    ]
)


def loop_backend():
    """Which backend of the loop this process uses: ``"cext"`` or ``"cffi"``. The first to ask settles it.

    It is what ``GEVENT_LOOP`` names first, or ``GEVENT_CORE_CFFI_ONLY``, as in gevent 1.1, and else the one made for the interpreter.
    """
    wanted = config.settings["loop"].value_or_default()
    if os.environ.get("GEVENT_CORE_CFFI_ONLY"):
        return "cffi"
    for each in (wanted,) if isinstance(wanted, str) else wanted:
        for name in ("cext", "cffi"):
            if isinstance(each, str) and each in (f"libev-{name}", f"gevent._libev.{name}.loop"):
                return name
    return "cffi" if sys.implementation.name == "pypy" else "cext"


if __name__ == "__main__":
    config.print_help()
