"""gevent: coroutines that read like threads, on greenlets and a libev event loop.

    >>> import gevent
    >>> jobs = [gevent.spawn(pow, 2, exponent) for exponent in (1, 2, 3)]
    >>> gevent.joinall(jobs)                                                # doctest: +ELLIPSIS
    [<Greenlet at 0x...>, <Greenlet at 0x...>, <Greenlet at 0x...>]
    >>> [job.value for job in jobs]
    [2, 4, 8]

This package belongs to the distribution gevent-core. Others add modules to it: gevent-wsgi, gevent-subprocess, gevent-ares and
gevent-monkey.
"""

import os
import sys
from collections import namedtuple

__version__ = "26.11.0"
_VersionInfo = namedtuple("version_info", "major minor micro releaselevel serial")
version_info = _VersionInfo(*map(int, __version__.split(".")), "final", 0)

# The other distributions may be installed in other folders, as editable installs are. pkgutil.extend_path() would do the same, but
# takes ten times as long and lets in a foreign, complete gevent further down the path.
for _entry in filter(None, sys.path):  # "" (the current directory) is skipped on purpose
    _part = os.path.join(_entry, "gevent")
    if _part not in __path__ and os.path.isdir(_part) and not os.path.exists(os.path.join(_part, "__init__.py")):
        __path__.append(_part)

from gevent._config import config, import_path, loop_backend

if loop_backend() != "cext" or (os.environ.get("GEVENT_PURE_PYTHON") or os.environ.get("PURE_PYTHON") or "0") != "0":
    # The finder below knows no compiled modules, so that the .py beside each is run: the compiled ones speak C with the compiled
    # loop, and with no other. It is for this folder; what is below it, the loop above all, stays what it is.
    from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader

    for _part in __path__:
        sys.path_importer_cache[_part] = FileFinder(_part, (SourceFileLoader, SOURCE_SUFFIXES))


class _Adviser:
    """The last finder: tells which distribution has a module of this package that is not installed."""

    modules = {
        "gevent.ares": "gevent-ares",
        "gevent.resolver_ares": "gevent-ares",
        "gevent.resolver.ares": "gevent-ares",
        "gevent.resolver.cares": "gevent-ares",
        "gevent.os": "gevent-subprocess",
        "gevent.signal": "gevent-subprocess",
        "gevent.subprocess": "gevent-subprocess",
        "gevent.pywsgi": "gevent-wsgi",
        "gevent.wsgi": "gevent-wsgi",
        "gevent.monkey": "gevent-monkey",
        "gevent.release": "gevent",
    }

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        distribution = cls.modules.get(name)
        # Only an import is told. importlib.util.find_spec(), which asks whether there is such a module, gets None, as for any other.
        if distribution is not None and sys._getframe(2).f_code.co_name == "_find_and_load_unlocked":
            raise ModuleNotFoundError(f"{name} is not installed: pip install {distribution}", name=name)


sys.meta_path.append(_Adviser)

from greenlet import GreenletExit, getcurrent

from gevent.core import getswitchinterval, setswitchinterval
from gevent.greenlet import Greenlet, joinall, killall
from gevent.hub import get_hub, idle, iwait, kill, reinit, signal, sleep, spawn_raw, wait
from gevent.timeout import Timeout, with_timeout


def fork(*args, **kwargs):
    """:func:`gevent.os.fork`: fork the process; the child can use gevent at once.

    ModuleNotFoundError naming the distribution where gevent-subprocess, which has it, is not installed.
    """
    return import_path("gevent.os.fork")(*args, **kwargs)


signal_handler = signal
spawn = Greenlet.spawn
spawn_later = Greenlet.spawn_later

__all__ = [
    "get_hub",
    "Greenlet",
    "GreenletExit",
    "spawn",
    "spawn_later",
    "spawn_raw",
    "iwait",
    "wait",
    "joinall",
    "killall",
    "Timeout",
    "with_timeout",
    "getcurrent",
    "getswitchinterval",
    "setswitchinterval",
    "sleep",
    "idle",
    "kill",
    "signal",
    "signal_handler",
    "fork",
    "reinit",
    "config",
]
