"""``wsgi.file_wrapper``: files as responses, sent by the kernel where that is possible.

An application returns ``environ["wsgi.file_wrapper"](file, block_size)``. To everybody, middleware
included, that is an iterable of blocks. The server, when it gets the very object back, asks
:func:`extent` whether there is a regular file beneath; then it sends the octets by sendfile(2), which copies
none of them into this process.
"""

import io
import os
import stat

__all__ = ["FileWrapper", "extent"]

#: Files whose descriptor holds exactly what reading them gives. Not so that of a compressed file, say.
_PLAIN_FILES = (io.FileIO, io.BufferedReader, io.BufferedRandom)


class FileWrapper:
    """An iterable of what is left of *filelike*, in blocks of *blksize* octets (PEP 3333).

    *filelike* needs ``read(size)``. Its ``close``, if it has one, is this one's too.
    """

    def __init__(self, filelike, blksize=65536):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration


def extent(filelike):
    """(file, position, octets left) of a regular file opened in binary mode; None for any other.

    Two wrappers are looked through: what :mod:`tempfile` makes, and buffers of :mod:`io`.
    """
    plain = getattr(filelike, "file", filelike)  # tempfile.NamedTemporaryFile
    if type(plain) not in _PLAIN_FILES or (type(plain) is not io.FileIO and type(plain.raw) is not io.FileIO):
        return None
    try:
        if plain.writable():
            plain.flush()
        position = plain.tell()
        status = os.fstat(plain.fileno())
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return plain, position, max(0, status.st_size - position)
