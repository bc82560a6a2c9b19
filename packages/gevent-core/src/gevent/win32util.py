"""Messages for error numbers, as Windows words them. Elsewhere, as the C library does."""

import os
import sys

__all__ = ["formatError"]

if sys.platform == "win32":
    from ctypes import FormatError as _message
else:
    _message = os.strerror


def formatError(errorcode: int) -> str:
    """The message for the number *errorcode*, without white space at its end. TypeError unless it is an int."""
    if not isinstance(errorcode, int):
        raise TypeError(f"an error number is an int, not {errorcode!r}")
    return _message(errorcode).rstrip()
