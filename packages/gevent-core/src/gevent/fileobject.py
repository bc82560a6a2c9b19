"""Files that keep nobody else waiting: over pipes, terminals, sockets, regular files, or anything that reads and writes.

    >>> import os
    >>> import gevent
    >>> from gevent.fileobject import FileObject
    >>> reader, writer = map(FileObject, os.pipe(), ["r", "w"])
    >>> job = gevent.spawn(reader.readline)
    >>> with writer:
    ...     print("hello", file=writer)
    >>> job.get()
    'hello\\n'
    >>> reader.close()

How it works
============
There are three classes with the same methods, those of Python's own files. They differ in where a call waits, in ``_run``:

* :class:`FileObjectPosix` makes the descriptor non-blocking. Under it is :class:`DescriptorIO`, a :class:`io.FileIO` that waits in the
  hub where the kernel would have blocked; on top of that stand the same buffers and text layer from :mod:`io` that :func:`open` uses.
  Disks have no such thing as non-blocking: there it reads and writes at once, as :func:`open` does.
* :class:`FileObjectThread` leaves every call to a native thread. It works for everything, at the cost of two thread switches a call.
* :class:`FileObjectBlock` blocks the whole native thread.

``FileObject`` is the one that :data:`gevent.config` names (``GEVENT_FILE``) when this module is first imported.

Python's buffers can be used by one greenlet at a time: entered again while a first one waits inside, they raise RuntimeError. Native
threads would wait for each other, so greenlets do here: whoever has to wait in the hub takes the file's lock for that time, and who
comes while somebody waits stands in line for it. Nobody else can be inside, since nobody else runs; so most calls look whether
somebody waits, and do without the lock. :meth:`close` does not take it: whoever is in the middle of a call then gets EBADF.
"""

import errno
import io
import os
import select
import stat
import sys
import warnings
from functools import partial

from gevent._config import config
from gevent._fdio import is_ready, make_nonblocking, octets_of
from gevent._switching import get_hub, get_hub_if_exists, get_loop
from gevent.core import current_loop
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import getcurrent
from gevent.lock import DummySemaphore, RLock, Semaphore

__all__ = ["FileObjectPosix", "FileObjectThread", "FileObjectBlock", "FileObject"]

_READ = 1
_WRITE = 2
_READ_SIZE = 65536


class FileObjectClosedError(OSError, ValueError):
    """EBADF: the file was closed, perhaps by another greenlet while this one waited.

    A ValueError too, which is what Python's own files raise.

    .. versionadded:: 26.11.0
    """


def _closed_error():
    return FileObjectClosedError(errno.EBADF, f"{os.strerror(errno.EBADF)}: the file object was closed")


#: What calls on a closed file raise looks like this. As in gevent 1.1, for those who import it; each call raises an error of its own.
FileObjectClosed = _closed_error()


# ---- Descriptors -----------------------------------------------------------------------------------------------------------------


class DescriptorIO(io.FileIO):
    """A :class:`io.FileIO` whose calls wait in the hub: for a descriptor, or for the file at a path, which is opened.

    The descriptor becomes non-blocking, for everybody who shares its open file. With *whole*, :meth:`write` writes everything, as
    if it blocked; without, it may write a part, and then is either interrupted or has written: that is what a buffer above needs in
    order to lose nothing and write nothing twice.
    """

    # Class attributes, because FileIO calls close() also when its __init__ has failed.
    _busy = ()
    _idle = None

    def __init__(self, file, mode="r", closefd=True, whole=False):
        super().__init__(file, mode, closefd)
        self.whole = whole
        self._busy = []  # the parks of those who wait at the moment
        self._idle = {}  # events: a park to use again
        lock = RLock()
        #: What somebody holds who waits: for reading, and for writing.
        self.locks = {_READ: lock, _WRITE: lock}
        self._prepare()

    def _prepare(self):
        make_nonblocking(self.fileno())

    @property
    def busy(self):
        """Whether a greenlet waits in a call."""
        return bool(self._busy)

    def _wait(self, events):
        loop = get_loop()
        park = self._idle.pop(events, None)
        if park is None or park.loop is not loop:
            park = loop.io_park(self.fileno(), events)
        # The lock is free, or ours: we would not have come here otherwise. Released, it is ours again before the next in line runs.
        with self.locks[events]:
            self._busy.append(park)
            try:
                park.wait_io()
            finally:
                self._busy.remove(park)
                self._idle[events] = park
        if self.closed:  # after it became ready, and before we ran
            raise _closed_error()

    def readinto(self, buffer, /):
        while True:
            count = io.FileIO.readinto(self, buffer)
            if count is not None:
                return count
            self._wait(_READ)

    def read(self, size=-1, /):
        if size is None or size < 0:
            return self.readall()
        while True:
            data = io.FileIO.read(self, size)
            if data is not None:
                return data
            self._wait(_READ)

    def readall(self):
        parts = []
        while True:
            # What it returns ends either at the end of the file or where the next read would block; it does not say which.
            data = io.FileIO.readall(self)
            if data is None:
                self._wait(_READ)
            elif data:
                parts.append(data)
            else:
                return b"".join(parts)

    def write(self, data, /):
        count = self._write(data)
        if not self.whole or (type(data) is bytes and count == len(data)):
            return count
        with memoryview(data) as view, octets_of(view) as rest:
            while count < len(rest):
                count += self._write(rest[count:])
            return count

    def _write(self, data):
        while True:
            count = io.FileIO.write(self, data)
            if count is not None:
                return count
            self._wait(_WRITE)

    def close(self):
        """Close it; greenlets that wait in a call get EBADF. In any native thread: that of those who wait then does it, soon."""
        for park in self._busy:
            if park.loop is not current_loop():
                park.loop.run_callback_threadsafe(self.close)
                return
        for park in self._busy:
            park.close(_closed_error())
        if self._idle:
            self._idle.clear()
        super().close()


class SharedDescriptorIO(DescriptorIO):
    """A :class:`DescriptorIO` whose descriptor stays blocking: being non-blocking is a property of the open file, which others share.

    So it waits until a call will not block, and then makes it. What is no regular file takes PIPE_BUF bytes at a time, which fit if
    anything does. In the hub, where nobody can wait, it blocks.

    .. versionadded:: 26.11.0
    """

    def _prepare(self):
        self._piece = None if stat.S_ISREG(os.fstat(self.fileno()).st_mode) else select.PIPE_BUF

    def _wait_until(self, condition, events):
        if self._piece and not is_ready(self.fileno(), condition) and getcurrent() is not get_hub_if_exists():
            self._wait(events)

    def readinto(self, buffer, /):
        self._wait_until(select.POLLIN, _READ)
        return super().readinto(buffer)

    def read(self, size=-1, /):
        if size is None or size < 0:
            return self.readall()
        self._wait_until(select.POLLIN, _READ)
        return super().read(size)

    def readall(self):
        parts = []
        while True:
            data = self.read(_READ_SIZE)
            if not data:
                return b"".join(parts)
            parts.append(data)

    def _write(self, data):
        self._wait_until(select.POLLOUT, _WRITE)
        with memoryview(data) as view, octets_of(view) as octets:
            return super()._write(octets[: self._piece])


# ---- Modes and layers ------------------------------------------------------------------------------------------------------------


class _Options:
    """How to open a file: the arguments that all three classes take, checked."""

    def __init__(
        self,
        mode,
        bufsize=-1,
        close=True,
        *,
        buffering=None,
        closefd=None,
        encoding=None,
        errors=None,
        newline=None,
        atomic_write=False,
    ):
        if buffering is not None:
            if bufsize not in (-1, None, buffering):
                raise TypeError(f"buffering={buffering!r} and bufsize={bufsize!r} are two names of one argument: give one")
            bufsize = buffering
        if closefd is not None:
            if not close and closefd:
                raise TypeError(f"closefd={closefd!r} and close={close!r} are two names of one argument: give one")
            close = closefd
        self.bufsize = -1 if bufsize is None else bufsize
        if not isinstance(self.bufsize, int):
            raise TypeError(f"the buffer size must be an integer, not {bufsize!r}")
        self.close = bool(close)
        self.raw_mode, self.text = _parse_mode(mode)
        self.mode = mode
        self.encoding = encoding
        self.errors = errors
        self.newline = newline
        for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
            if value is not None and not self.text:
                raise ValueError(f"binary mode {mode!r} doesn't take an argument {name}={value!r}")

    def layers(self, raw):
        """The file over *raw*, a :class:`io.FileIO`: as :func:`open` makes it. If that fails, *raw* may be closed or not."""
        line_buffering = False
        size = self.bufsize
        if size == 1:
            size = -1
            if self.text:
                line_buffering = True
            else:
                warnings.warn(
                    f"line buffering (a buffer size of 1) isn't supported in binary mode {self.mode!r}, the default size will be used",
                    RuntimeWarning,
                    stacklevel=4,
                )
        if size < 0:
            size = io.DEFAULT_BUFFER_SIZE
            if self.text and raw.isatty():
                line_buffering = True
        if size == 0:
            buffered = raw
        elif "+" in self.raw_mode:
            # open() fails for what cannot be sought. A terminal, or a socket, is two streams in one.
            buffered = io.BufferedRandom(raw, size) if raw.seekable() else io.BufferedRWPair(raw, raw, size)
        elif "r" in self.raw_mode:
            buffered = io.BufferedReader(raw, size)
        else:
            buffered = io.BufferedWriter(raw, size)
        if not self.text:
            return buffered
        try:
            return self.text_layer(buffered, line_buffering, write_through=size == 0)
        except BaseException:
            buffered.close()
            raise

    def text_layer(self, buffered, line_buffering=False, write_through=False):
        text = io.TextIOWrapper(buffered, self.encoding, self.errors, self.newline, line_buffering, write_through)
        text.mode = self.mode
        return text


def _parse_mode(mode):
    """``(mode for FileIO, whether it is text)`` of a mode as :func:`open` takes it, or with "U" for text to be read."""
    if not isinstance(mode, str):
        raise TypeError(f"the mode must be a string, not {mode!r}")
    letters = set(mode)
    if letters - set("rwaxbt+U") or len(letters) < len(mode):
        raise ValueError(f"invalid mode: {mode!r}")
    if {"b", "t"} <= letters:
        raise ValueError(f"mode {mode!r} is both text and binary: leave out t or b")
    if "U" in letters:
        if letters & set("wax+"):
            raise ValueError(f"mode {mode!r} has U, which is only for reading")
        letters.add("r")
    kind = letters & set("rwax")
    if len(kind) != 1:
        raise ValueError(f"mode {mode!r} must have exactly one of r, w, a and x")
    return kind.pop() + ("+" if "+" in letters else ""), "b" not in letters


# ---- The three classes -----------------------------------------------------------------------------------------------------------

# Methods of files that may wait, and are not defined below, since not every file has them.
_MORE_CALLS = frozenset(["peek", "read1", "readinto", "readinto1"])


class FileObjectBase:
    """What all three have. ``io`` is the file of :mod:`io` that does the work; other attributes are looked up there.

    .. versionadded:: 26.11.0
    """

    _closed = False
    _io = None

    @property
    def io(self):
        """The file of the standard library below. Calls on it directly are not protected against each other."""
        return self._io

    @property
    def closed(self):
        """Whether :meth:`close` was called."""
        return self._closed or self._io.closed

    def _check_open(self):
        if self._closed:
            raise _closed_error()

    def _run(self, name, *args, **kwargs):
        """Call the method *name* of the file, wherever this class does that."""
        self._check_open()
        return getattr(self._io, name)(*args, **kwargs)

    def read(self, size=-1):
        """Up to *size* bytes or characters, all up to the end if it is negative; fewer only at the end."""
        return self._run("read", size)

    def readline(self, size=-1):
        """One line with its end, at most *size* bytes or characters of it; empty at the end."""
        return self._run("readline", size)

    def readlines(self, sizehint=0):
        """A list of lines, until they have *sizehint* bytes or characters, all of them if it is 0."""
        return self._run("readlines", sizehint)

    def write(self, data):
        """Write *data*, perhaps into a buffer; returns how many bytes or characters."""
        return self._run("write", data)

    def writelines(self, lines):
        """Write several pieces of data one after the other. Nothing is added between them."""
        return self._run("writelines", lines)

    def flush(self):
        """Write what is in the buffer."""
        return self._run("flush")

    def seek(self, *args, **kwargs):
        """``seek(offset, whence=0)``: go to another place in the file; returns where that is."""
        return self._run("seek", *args, **kwargs)

    def tell(self):
        """The place in the file."""
        return self._run("tell")

    def truncate(self, size=None):
        """Cut the file off, or extend it, to *size* bytes, by default what :meth:`tell` says. Returns the new size."""
        return self._run("truncate", size)

    def _ask(self, name):
        self._check_open()
        return getattr(self._io, name)()

    def readable(self):
        """Whether it can be read."""
        return self._ask("readable")

    def writable(self):
        """Whether it can be written."""
        return self._ask("writable")

    def seekable(self):
        """Whether it has places to go to."""
        return self._ask("seekable")

    def isatty(self):
        """Whether it is a terminal."""
        return self._ask("isatty")

    def fileno(self):
        """The number of the descriptor."""
        return self._ask("fileno")

    def __getattr__(self, name):
        file = self._io
        if file is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = getattr(file, name)
        return partial(self._run, name) if name in _MORE_CALLS else value

    def __iter__(self):
        self._check_open()
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def next(self):
        """The next line, as the built-in :func:`next` gives it."""
        return self.__next__()

    def __enter__(self):
        self._check_open()
        return self

    def __exit__(self, *args):
        self.close()

    def __repr__(self):
        state = " closed" if self._closed else ""
        return f"<{type(self).__name__} at {id(self):#x}{state} {self._io!r}{self._extra_repr()}>"

    def _extra_repr(self):
        return ""


class FileObjectPosix(FileObjectBase):
    """FileObjectPosix(fobj, mode="rb", bufsize=-1, close=True, *, encoding=None, errors=None, newline=None)

    A file over the descriptor *fobj*, which becomes non-blocking: a number, anything with a ``fileno`` method, or a path to open. Calls
    that cannot go on at once leave the greenlet, and no other waits. A regular file does not wait: the disk is taken to be quick.

    *mode* is as :func:`open` has it, with exactly one of r, w, a and x; without "b" it is text. "U", as in "rU", is accepted for text
    that is read. *bufsize* is how many bytes to buffer; -1 for the usual size, 0 for none, 1 for lines (text). *encoding*, *errors* and
    *newline* are those of :func:`open`. With *close* false the descriptor is left open by :meth:`close`; otherwise an *fobj* that is no
    number is closed by its own method ``close``. *buffering* and *closefd* are other names of *bufsize* and *close*.

    Several greenlets may use it: they take turns. What a call had read before it was interrupted, by a kill or a timeout, is lost, as with
    Python's own files when a signal handler raises; what was in the buffer to be written is kept, and no part of it is written twice.

    ValueError for a bad mode, OSError for a descriptor that is not open.

    .. versionchanged:: 1.1
       Built on :mod:`io`.
    .. versionchanged:: 26.11.0
       Paths; modes other than "rb", "wb" and "rU"; *encoding*, *errors*, *newline*, *buffering*, *closefd*. *atomic_write* is accepted,
       and not needed: without a buffer, what is written is written whole.
    """

    default_bufsize = io.DEFAULT_BUFFER_SIZE

    #: What is made of the descriptor.
    raw_class = DescriptorIO

    def __init__(self, fobj, mode="rb", bufsize=-1, close=True, **options):
        options = _Options(mode, bufsize, close, **options)
        if options.bufsize < 0 and self.default_bufsize != io.DEFAULT_BUFFER_SIZE:  # a subclass has its own
            options.bufsize = self.default_bufsize
        self._close = options.close
        self._source = None
        whole = options.bufsize == 0
        if isinstance(fobj, (str, bytes, os.PathLike)):
            raw = self.raw_class(fobj, options.raw_mode, whole=whole)
        elif isinstance(fobj, int):
            if fobj < 0:
                raise ValueError(f"a file descriptor cannot be negative: {fobj!r}")
            raw = self.raw_class(fobj, options.raw_mode, options.close, whole)
        elif hasattr(fobj, "fileno"):
            # It goes on owning its descriptor: if both closed that, one of them would close another file that got the number since.
            self._source = fobj
            if hasattr(fobj, "flush") and not getattr(fobj, "closed", False):
                fobj.flush()
            raw = self.raw_class(fobj.fileno(), options.raw_mode, False, whole)
        else:
            raise TypeError(f"a file object needs a path, a descriptor, or something with a fileno method, not {fobj!r}")
        #: The layer right above the descriptor.
        self.fileio = raw
        try:
            self._io = options.layers(raw)
        except BaseException:
            raw.close()
            raise
        if not isinstance(getattr(self._io, "buffer", self._io), io.BufferedRandom):
            # Nothing is shared by the two directions, and a reader may wait for the answer to what a writer has to say.
            raw.locks[_WRITE] = RLock()
        # True if somebody waits in a call, or the file is closed: then a call has to go through _run().
        self._busy = raw._busy

    def _run(self, name, *args, **kwargs):
        with self.fileio.locks[_READ if name in _READ_CALLS else _WRITE]:
            if self._closed:
                raise _closed_error()
            return getattr(self._io, name)(*args, **kwargs)

    # The most frequent ones, without a lock if possible.

    def read(self, size=-1):
        """Up to *size* bytes or characters, all up to the end if it is negative; fewer only at the end."""
        return self._run("read", size) if self._busy else self._io.read(size)

    def readline(self, size=-1):
        """One line with its end, at most *size* bytes or characters of it; empty at the end."""
        return self._run("readline", size) if self._busy else self._io.readline(size)

    def write(self, data):
        """Write *data*, perhaps into a buffer; returns how many bytes or characters."""
        return self._run("write", data) if self._busy else self._io.write(data)

    def __next__(self):
        return self._run("__next__") if self._busy else self._io.__next__()

    def close(self):
        """Write what is in the buffer, waiting for room if need be, and close the file. May be called again.

        Greenlets that are in the middle of a call get an OSError with EBADF; then what they had buffered is not written.
        """
        if self._closed:
            return
        self._closed = self._busy = True
        try:
            if self.fileio.busy:
                self._flush_beside()
            else:
                self._io.close()
        finally:
            self.fileio.close()  # if the above did not come so far
            source, self._source = self._source, None
            if self._close and source is not None:
                source.close()

    def _flush_beside(self):
        # Somebody waits in a call; a buffer that this one does not use can still be written.
        try:
            self._io.flush()
        except (RuntimeError, io.UnsupportedOperation):
            pass


_READ_CALLS = frozenset(["read", "readline", "readlines", "__next__", *_MORE_CALLS])


class _Blocking(FileObjectBase):
    """What the classes over ordinary, blocking files have."""

    def _open(self, fobj, args, close, options):
        if len(args) > 3:
            raise TypeError(f"{type(self).__name__} takes a file, a mode, a buffer size and close, not also {args[3:]!r}")
        if len(args) == 3:
            args, close = args[:2], args[2]
        given = "mode" in options or args
        mode = options.pop("mode") if "mode" in options else args[0] if args else "r"
        options = _Options(mode, *args[1:], close=close, **options)
        self._close = options.close
        self._kept = None  # the file to leave open
        self._layered = False  # whether we put a text layer on it
        if isinstance(fobj, (str, bytes, os.PathLike, int)):
            raw = io.FileIO(fobj, options.raw_mode, closefd=options.close or not isinstance(fobj, int))
            try:
                self._io = options.layers(raw)
            except BaseException:
                raw.close()
                raise
            self._close = True
        elif not (hasattr(fobj, "read") or hasattr(fobj, "write")):
            raise TypeError(f"a file object needs a path, a descriptor, or a file, not {fobj!r}")
        elif given and options.text and isinstance(fobj, (io.RawIOBase, io.BufferedIOBase)):
            self._io = options.text_layer(fobj)
            self._layered = True
        elif given and not options.text and isinstance(fobj, io.TextIOBase):
            raise ValueError(f"cannot do binary I/O, mode {mode!r}, on the text file {fobj!r}")
        else:
            self._io = fobj

    def _close_io(self):
        if self._close:
            self._io.close()
        elif not self._io.closed:
            self._io.flush()
            if self._layered:
                self._io.detach()


class FileObjectThread(_Blocking):
    """FileObjectThread(fobj, mode="r", bufsize=-1, *, lock=True, close=True, threadpool=None, encoding=None, errors=None, newline=None)

    A file whose calls are made in a native thread, while the greenlet waits: for what cannot be made non-blocking, such as regular files on
    a slow disk. *fobj* is a file, of whatever kind, or a descriptor or path, which is opened as :func:`open` does with the other arguments.

    One call is made at a time, also when a greenlet was killed in the middle of one, unless *lock* is False; it may also be a lock to use.
    With *close* false the file, or the descriptor, is left open by :meth:`close`. *threadpool* is where the calls are made, by default in
    that of the hub. In another native thread than the pool's, they are made right there. Calls in the hub, which cannot wait, raise
    BlockingSwitchOutError and do nothing.

    .. versionchanged:: 1.1
       The file is closed in the thread pool; later calls raise an OSError with EBADF.
    .. versionchanged:: 26.11.0
       *close* may be false with a number. Paths.
    """

    def __init__(self, fobj, *args, lock=True, close=True, threadpool=None, **options):
        #: The pool of native threads that the calls are made in.
        self.threadpool = get_hub().threadpool if threadpool is None else threadpool
        if lock is True:
            lock = Semaphore()
        elif lock is False:
            lock = DummySemaphore()
        elif not (hasattr(lock, "acquire") and hasattr(lock, "release")):
            raise TypeError(f"lock must be True, False, or a lock to use, not {lock!r}")
        #: What a call holds.
        self.lock = lock
        self._open(fobj, args, close, options)

    def _run(self, name, *args, **kwargs):
        self._check_open()
        return self._in_thread(self._checked, name, args, kwargs)

    def _checked(self, name, args, kwargs, getattr=getattr):  # at the very end, the names of builtins are gone
        # Closed while we waited for our turn?
        self._check_open()
        return getattr(self._io, name)(*args, **kwargs)

    def _in_thread(self, function, *args):
        if not self._can_use_threads():
            return function(*args)
        self._check_can_wait()
        lock = self.lock
        lock.acquire()
        ours = isinstance(lock, Semaphore)
        try:
            result = self.threadpool.spawn(_outcome, function, args)
            if ours:
                # A greenlet that is killed leaves; the thread goes on, and the file is not free before it has finished. Other locks
                # may belong to the greenlet that took them.
                result.rawlink(lambda _: lock.release())
        except BaseException:
            lock.release()
            raise
        try:
            value, error = result.get()
        finally:
            if not ours:
                lock.release()
        if error is not None:
            try:
                raise error
            finally:
                error = None  # it refers to this frame
        return value

    def _can_use_threads(self, is_finalizing=sys.is_finalizing):
        """Whether we are in the native thread of the pool's hub, and the interpreter is not ending: then nobody can wait any more."""
        # At the very end the names of modules are None.
        return not is_finalizing() and get_hub_if_exists() is self.threadpool.hub

    def _check_can_wait(self):
        # Before anything is done, so that who takes the error may do it again elsewhere: Hub.print_exception does.
        if getcurrent() is self.threadpool.hub:
            raise BlockingSwitchOutError(f"cannot wait in the hub for {self!r}; spawn a greenlet that does")

    def close(self):
        """Close the file in the thread pool, after the call that is being made. May be called again. Later calls raise EBADF."""
        if self._closed:
            return
        if self._can_use_threads():
            self._check_can_wait()
        self._closed = True
        self._in_thread(self._close_io)

    def _extra_repr(self):
        return f" threadpool={self.threadpool!r}"


def _outcome(function, args):
    """``(value, None)`` or ``(None, error)``: errors of files are the caller's affair, and not to be reported by the pool."""
    try:
        return function(*args), None
    except BaseException as error:
        return None, error


class FileObjectBlock(_Blocking):
    """FileObjectBlock(fobj, mode="r", bufsize=-1, *, close=True, encoding=None, errors=None, newline=None)

    A file whose calls block the whole native thread. *fobj* is a file, or a descriptor or path, which is opened as :func:`open` does
    with the other arguments. With *close* false the file, or the descriptor, is left open by :meth:`close`.
    """

    def __init__(self, fobj, *args, close=True, **options):
        self._open(fobj, args, close, options)

    def close(self):
        """Close the file. May be called again. Later calls raise an OSError with EBADF."""
        if not self._closed:
            self._closed = True
            self._close_io()


FileObject = config.fileobject
