"""Child processes as the standard :mod:`subprocess` has them, waiting for which keeps no other greenlet waiting.

    >>> from gevent import subprocess
    >>> subprocess.check_output(["echo", "hello"], text=True)
    'hello\\n'

How it works
============
This is the interpreter's own module, run a second time. Its code is executed in the namespace of this one, where a few names it uses stand
for something that waits in the hub: ``os.read`` and ``os.waitpid``, ``io.open``, the selector of ``communicate``. So every argument,
check, error and short cut (``vfork``, ``posix_spawn``) is that of the interpreter at hand, and so are the private names that other
programs look at. What has to differ is in the class :class:`Popen` below. The exceptions, and what else is data, are the standard
module's own objects.

How a child ended is for the kernel to keep until somebody asks, here as there; nothing is done for each child that the standard library
does not do. Whoever waits does so with the loop of the native thread that he is in (see :mod:`gevent._children`). So Popen can be used in
every thread, also one object in several. Whoever else in the process waits for children, by way of :mod:`gevent.os`, takes no status
away from a Popen.
"""

import io as _io
import os as _os
import select as _select
import types
from importlib.util import find_spec

from gevent._children import wait_for
from gevent._originals import get_original
from gevent._reaper import claim, collect, forget
from gevent.event import AsyncResult
from gevent.fileobject import FileObjectPosix
from gevent.hub import get_hub, spawn_raw
from gevent.os import waitpid
from gevent.selectors import PollSelector

TYPE_CHECKING = False  # as type checkers know it; typing takes as long to import as all the rest
if TYPE_CHECKING:
    from subprocess import *  # noqa: F403

_READ = 1
_poll = get_original("select", "poll")


# ---- What waits in the hub -------------------------------------------------------------------------------------------------------


def _read(fd, n):
    """``os.read`` of a pipe, be it blocking or not, that keeps nobody else waiting."""
    ready = _poll()
    ready.register(fd, _select.POLLIN)
    while True:
        # A child made by vfork() has called exec() when we come here, so the pipe in which it would tell of a failure is at its end.
        if not ready.poll(0):
            get_hub().loop.wait_fd(fd, _READ)
        try:
            return _os.read(fd, n)
        except BlockingIOError:  # somebody else was faster
            pass


class _PipeFile(FileObjectPosix):
    """Our end of a child's pipe."""

    def add_text_layer(self, **options):
        self._io = _io.TextIOWrapper(self._io, **options)
        return self


class _View(types.ModuleType):
    """A module, some of whose functions are replaced for who looks at it this way."""

    def __init__(self, module, **replaced):
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(replaced, _module=module)

    def __getattr__(self, name):
        return getattr(self._module, name)


# ---- The interpreter's module ----------------------------------------------------------------------------------------------------

_our_names = dict(globals())
exec(find_spec("subprocess").loader.get_code("subprocess"), globals())
globals().update(_our_names)
del _our_names

(
    PIPE,
    STDOUT,
    DEVNULL,
    SubprocessError,
    CalledProcessError,
    TimeoutExpired,
    CompletedProcess,
    list2cmdline,
) = get_original(
    "subprocess",
    [
        "PIPE",
        "STDOUT",
        "DEVNULL",
        "SubprocessError",
        "CalledProcessError",
        "TimeoutExpired",
        "CompletedProcess",
        "list2cmdline",
    ],
)

_PopenSelector = PollSelector

#: What ``close_fds`` closes is below this number.
MAXFD = _os.sysconf("SC_OPEN_MAX")

_StandardPopen = globals()["Popen"]


class Popen(_StandardPopen):
    """A child process: :class:`subprocess.Popen`, with the arguments of the interpreter at hand, that waits in the hub.

    Its streams are :class:`~gevent.fileobject.FileObjectPosix`. A *bufsize* of None is the default, -1. *threadpool*, of use on
    Windows only in gevent 1.1, is ignored.

    It works in every native thread, and one object may be used in several. It can be waited for with :func:`gevent.wait`. If the
    greenlet is killed, or its Timeout ends, in the middle of making one, the child may be running; it is collected later.

    .. versionchanged:: 1.1
       *timeout* of :meth:`communicate` and :meth:`wait`.
    .. versionchanged:: 26.11.0
       Native threads other than the main one.
    """

    _pid = None
    _claim = None
    _result = None

    def __init__(self, args, bufsize=-1, *positional, threadpool=None, **options):
        super().__init__(args, -1 if bufsize is None else bufsize, *positional, **options)

    @property
    def pid(self):
        """The process id of the child."""
        return self._pid

    @pid.setter
    def pid(self, pid):
        self._pid = pid
        if pid:
            forget(pid)
            self._claim = claim(pid)

    def _internal_poll(self, _deadstate=None, _collect=collect):
        # Also called by __del__, when our globals may be gone.
        if self.returncode is None and self._claim is not None:
            try:
                told = _collect(self._claim)
            except ChildProcessError:
                # Somebody fetched the status outside of gevent, or SIGCHLD is ignored: the standard library calls it 0.
                self.returncode = 0 if _deadstate is None else _deadstate
            else:
                if told is not None:
                    self._handle_exitstatus(told[1])
        return self.returncode

    def _wait(self, timeout):
        if wait_for(self._internal_poll, self.pid, timeout) is None:
            raise TimeoutExpired(self.args, timeout)
        return self.returncode

    @property
    def result(self):
        """An :class:`~gevent.event.AsyncResult` that gets the return code. The first look at it has a greenlet wait for the child."""
        if self._result is None:
            self._result = AsyncResult()
            spawn_raw(self._set_result)
        return self._result

    def _set_result(self):
        self._result.set(self.wait())

    def rawlink(self, callback):
        """Have ``callback(self)`` called in the hub when the child has ended; soon, if it has already."""
        self.result.rawlink(_Link(callback, self))

    def unlink(self, callback):
        """Undo one :meth:`rawlink` of *callback*."""
        self.result.unlink(_Link(callback, self))


class _Link:
    """Calls ``callback(popen)``, whatever it is called with itself."""

    def __init__(self, callback, popen):
        if not callable(callback):
            raise TypeError(f"only what can be called can be linked, not {callback!r}")
        self.callback = callback
        self.popen = popen

    def __call__(self, result):
        self.callback(self.popen)

    def __eq__(self, other):
        return isinstance(other, _Link) and self.callback == other.callback

    __hash__ = None


io = _View(_io, open=_PipeFile, TextIOWrapper=_PipeFile.add_text_layer)
os = _View(_os, read=_read, waitpid=waitpid)
