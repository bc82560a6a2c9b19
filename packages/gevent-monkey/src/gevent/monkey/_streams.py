"""``sys.stdin``, ``stdout`` and ``stderr`` that keep nobody else waiting.

The descriptors stay blocking, for they are shared: with a shell, with the next program of a pipe. So a stream waits in the hub until the
call will not block (:class:`gevent.fileobject.SharedDescriptorIO`). Nothing is left to native threads, which would have to be waited
for when the program ends in the middle of a read.

The interpreter flushes its own streams at its very end, when nothing can wait in the hub any more. So these are flushed before, and give
their places back.
"""

import atexit
import builtins
import io
import sys

from gevent._originals import get_original
from gevent.fileobject import FileObjectPosix, SharedDescriptorIO
from gevent.monkey import patch_item

__all__ = ["patch"]


class StandardStream(FileObjectPosix):
    """A text file in the place of one of the interpreter's."""

    raw_class = SharedDescriptorIO


io.TextIOBase.register(StandardStream)


def patch(names):
    """Replace those of the streams *names* of :mod:`sys` that are still the interpreter's, or like them."""
    for name in names:
        original = getattr(sys, name)
        # What has no descriptor (None, StringIO, a window) does not block in the kernel; who put something else there knows why.
        if isinstance(original, io.TextIOWrapper) and _has_descriptor(original):
            patch_item(sys, name, _over(original))
            atexit.register(_give_back, name)
    if isinstance(sys.stdin, StandardStream) and builtins.input is get_original("builtins", "input"):
        patch_item(builtins, "input", input_in_hub)


def _has_descriptor(stream):
    try:
        return stream.fileno() >= 0
    except (OSError, ValueError):
        return False


def _over(original):
    mode = "w" if original.writable() else "r"
    newline = "\n" if mode == "w" else None
    stream = StandardStream(original, mode, encoding=original.encoding, errors=original.errors, newline=newline)
    stream.fileio.name = original.name
    if mode == "w":
        stream.io.reconfigure(line_buffering=original.line_buffering, write_through=original.write_through)
    return stream


def _give_back(name):
    stream = getattr(sys, name)
    if isinstance(stream, StandardStream):
        setattr(sys, name, get_original("sys", name))
        if name != "stdin" and not stream.closed:
            stream.flush()


def input_in_hub(prompt="", /):
    """:func:`input`, letting others run until there is a line. It has no line editing but the terminal's own."""
    if not isinstance(sys.stdin, StandardStream):
        return get_original("builtins", "input")(prompt)
    sys.audit("builtins.input", prompt)
    sys.stderr.flush()
    sys.stdout.write(str(prompt))
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError("EOF when reading a line")
    sys.audit("builtins.input/result", line)
    return line.removesuffix("\n")
