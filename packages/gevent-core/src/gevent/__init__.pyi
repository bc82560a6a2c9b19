from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from greenlet import GreenletExit as GreenletExit
from greenlet import getcurrent as getcurrent
from typing_extensions import ParamSpec

from gevent._config import config as config
from gevent.core import getswitchinterval as getswitchinterval
from gevent.core import loop as _loop
from gevent.core import setswitchinterval as setswitchinterval
from gevent.greenlet import Greenlet as Greenlet
from gevent.greenlet import joinall as joinall
from gevent.greenlet import killall as killall
from gevent.hub import get_hub as get_hub
from gevent.hub import idle as idle
from gevent.hub import iwait as iwait
from gevent.hub import kill as kill
from gevent.hub import reinit as reinit
from gevent.hub import signal as signal
from gevent.hub import sleep as sleep
from gevent.hub import spawn_raw as spawn_raw
from gevent.hub import wait as wait
from gevent.timeout import Timeout as Timeout
from gevent.timeout import with_timeout as with_timeout

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

_P = ParamSpec("_P")
_T = TypeVar("_T")

class _VersionInfo(NamedTuple):
    major: int
    minor: int
    micro: int
    releaselevel: str
    serial: int

__version__: str
version_info: _VersionInfo

# The arguments are those of gevent.os.fork().
def fork(
    callback: Callable[[Any], object] | None = None, loop: _loop | None = None, ref: bool = False, fork: Callable[[], int] = ...
) -> int: ...

signal_handler = signal

def spawn(run: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Greenlet[_T]: ...
def spawn_later(seconds: float, run: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Greenlet[_T]: ...
