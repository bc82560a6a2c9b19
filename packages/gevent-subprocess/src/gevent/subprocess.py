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

import codecs as _codecs
import io as _io
import os as _os
import select as _select
import subprocess as _stdlib
import sys as _sys
import types as _types

from gevent._children import wait_for as _wait_for
from gevent._fdio import is_ready as _is_ready
from gevent._originals import get_original as _get_original
from gevent._originals import is_patched as _is_patched
from gevent._reaper import Expecting as _Expecting
from gevent._reaper import claim as _claim
from gevent._reaper import collect as _collect
from gevent._reaper import forget as _forget
from gevent.event import AsyncResult as _AsyncResult
from gevent.fileobject import FileObjectPosix as _FileObjectPosix
from gevent.fileobject import SharedDescriptorIO as _SharedDescriptorIO
from gevent.hub import get_hub as _get_hub
from gevent.hub import spawn_raw as _spawn_raw
from gevent.os import waitpid as _cooperative_waitpid
from gevent.selectors import PollSelector as _PollSelector

TYPE_CHECKING = False  # as type checkers know it; typing takes as long to import as all the rest
if TYPE_CHECKING:
    from subprocess import *  # noqa: F403
    from typing import Any
del TYPE_CHECKING

_READ = 1


# ---- What waits in the hub -------------------------------------------------------------------------------------------------------


# The descriptors of pipes stay as they are, blocking: our end of one child's pipe may be another child's standard input, and being
# non-blocking is a property of the open file that they share. So here one waits until a call will not block, and then makes it. A pipe
# that can be written takes PIPE_BUF bytes at once.


def _read(fd, n):
    """``os.read`` of a pipe, that keeps nobody else waiting."""
    # A child made by vfork() has called exec() when we come here, so the pipe in which it would tell of a failure is at its end.
    if not _is_ready(fd, _select.POLLIN):
        _get_hub().loop.wait_fd(fd, _READ)
    return _os.read(fd, n)


class _BufferedPipe(_FileObjectPosix):
    raw_class = _SharedDescriptorIO


class _RawPipe(_FileObjectPosix):
    raw_class = _SharedDescriptorIO


class _TextPipe(_FileObjectPosix):
    raw_class = _SharedDescriptorIO


# They do what these do, and programs ask.
_io.BufferedIOBase.register(_BufferedPipe)
_io.RawIOBase.register(_RawPipe)
_io.TextIOBase.register(_TextPipe)


def _open(fd, mode, bufsize):
    return (_RawPipe if bufsize == 0 else _BufferedPipe)(fd, mode, bufsize)


def _add_text_layer(pipe, **options):
    pipe._io = _io.TextIOWrapper(pipe._io, **options)
    pipe.__class__ = _TextPipe
    return pipe


class _View(_types.ModuleType):
    """A module, some of whose functions are replaced for who looks at it this way."""

    def __init__(self, module, **replaced):
        super().__init__(module.__name__, module.__doc__)
        self.__dict__.update(replaced, _module=module)

    def __getattr__(self, name):
        return getattr(self._module, name)


# ---- The interpreter's module ----------------------------------------------------------------------------------------------------


def _standard_code():
    return _stdlib.__spec__.loader.get_code("subprocess")


_our_names = dict(globals())
exec(_standard_code(), globals())
globals().update(_our_names)  # such as __doc__
del _our_names

for _name in (
    "PIPE",
    "STDOUT",
    "DEVNULL",
    "SubprocessError",
    "CalledProcessError",
    "TimeoutExpired",
    "CompletedProcess",
    "list2cmdline",
    "_active",
):
    globals()[_name] = _get_original("subprocess", _name)

_PopenSelector = _PollSelector
io = _View(_io, open=_open, TextIOWrapper=_add_text_layer)
os = _View(_os, read=_read, waitpid=_cooperative_waitpid)

#: One more than the highest number that a descriptor can have.
MAXFD = _os.sysconf("SC_OPEN_MAX")

__all__ = [*globals()["__all__"], "MAXFD"]


# ---- Popen -----------------------------------------------------------------------------------------------------------------------

_StandardPopen: "Any" = globals()["Popen"]


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
        if options.get("encoding"):
            _codecs.lookup(options["encoding"])  # the interpreter notices when the pipes are half made, and leaves the rest open
        super().__init__(args, -1 if bufsize is None else bufsize, *positional, **options)

    @property
    def pid(self):
        """The process id of the child."""
        return self._pid

    @pid.setter
    def pid(self, pid):
        self._pid = pid
        if pid:
            _forget(pid)
            self._claim = _claim(pid)

    def _get_handles(self, *streams):
        try:
            return super()._get_handles(*streams)
        except OSError as error:
            if _sys.version_info < (3, 11, 4):
                self._close_what_was_made(streams, error.__traceback__.tb_next.tb_frame.f_locals)
            raise

    def _close_what_was_made(self, streams, handles):
        """Close what the interpreter has opened before it found no more descriptors; later releases do it themselves."""
        names = (("p2cread", "p2cwrite"), ("c2pread", "c2pwrite"), ("errread", "errwrite"))
        made = [handles[name] for stream, pair in zip(streams, names) if stream == PIPE for name in pair]  # noqa: F405
        for fd in (*made, self.__dict__.pop("_devnull", -1)):
            if fd != -1:
                _os.close(fd)

    def _execute_child(self, *args):
        _follow_switches()
        with _Expecting():
            super()._execute_child(*args)

    def _internal_poll(self, _deadstate=None, _collect=_collect):
        # Also called by __del__, when our globals may be gone.
        if self.returncode is None and self._claim is not None:
            try:
                told = self._ask_for_status(_collect)
            except ChildProcessError:
                # Somebody fetched the status outside of gevent, or SIGCHLD is ignored: the standard library calls it 0.
                self.returncode = 0 if _deadstate is None else _deadstate
            else:
                if told is not None:
                    self._handle_exitstatus(told[1])
        return self.returncode

    def _ask_for_status(self, collect):
        """(pid, status) if it has ended, else None. A program that put a waitpid() of its own into :mod:`os` answers this itself."""
        if _os is None or _os.waitpid is _cooperative_waitpid or not _is_patched("os", "waitpid"):
            return collect(self._claim)
        told = _os.waitpid(self.pid, _os.WNOHANG)
        return told if told[0] else None

    def _wait(self, timeout):
        if _wait_for(self._internal_poll, self.pid, timeout) is None:
            raise TimeoutExpired(self.args, timeout)  # noqa: F405
        return self.returncode

    def pipe_cloexec(self):
        """A new pipe, ``(read descriptor, write descriptor)``, that no child inherits; as in gevent 1.1. It is :func:`os.pipe`."""
        return _os.pipe()

    @property
    def result(self):
        """An :class:`~gevent.event.AsyncResult` that gets the return code. The first look at it has a greenlet wait for the child."""
        if self._result is None:
            self._result = _AsyncResult()
            _spawn_raw(self._set_result)
        return self._result

    def _set_result(self):
        self._result.set(self.wait())

    def rawlink(self, callback):
        """Have ``callback(self)`` called in the hub when the child has ended; soon, if it has already."""
        self.result.rawlink(_Link(callback, self))

    def unlink(self, callback):
        """Undo one :meth:`rawlink` of *callback*."""
        self.result.unlink(_Link(callback, self))


# What programs switch off in the standard module (see "Disabling use of posix_spawn()" in its documentation), and we look at in ours.
_switches = {name: getattr(_stdlib, name) for name in ("_USE_POSIX_SPAWN", "_USE_VFORK") if hasattr(_stdlib, name)}


def _follow_switches():
    """Take over a switch that was changed there; one that was changed here stays until then."""
    for name, before in _switches.items():
        now = getattr(_stdlib, name)
        if now is not before:
            _switches[name] = globals()[name] = now


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


#: What stands in for the same names of the standard module where that is patched.
__implements__ = [name for name in __all__ if name != "MAXFD" and globals()[name] is not _get_original("subprocess", name)]
