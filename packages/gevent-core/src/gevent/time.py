# cython: binding=False, embedsignature.format=clinic
"""The module :mod:`time`, where :func:`sleep` lets other greenlets run.

    >>> from gevent import time
    >>> before = time.monotonic()
    >>> time.sleep(0.001)
    >>> time.monotonic() - before >= 0.001
    True

Importing this patches nothing; gevent-monkey puts :func:`sleep` in place of the standard library's.

.. versionadded:: 26.11.0
"""

import time as _time

from gevent._switching import sleep as _sleep

__implements__ = ["sleep"]
__all__ = ["sleep"]
__imports__ = [name for name in dir(_time) if not name.startswith("_") and name != "sleep"]


def sleep(seconds=0, ref=True):
    """Put the current greenlet to sleep for at least *seconds*; other greenlets run meanwhile, also with 0.

    It is :func:`gevent.sleep`, *ref* included, but checks as :func:`time.sleep` does: ValueError for a negative number and NaN, TypeError
    for no number.

    .. versionchanged:: 26.11.0
       The checks.
    """
    if seconds < 0:
        raise ValueError(f"sleep length must be non-negative, not {seconds!r}")
    _sleep(seconds, ref)


def __getattr__(name):
    if name in __imports__:
        return getattr(_time, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__imports__])
