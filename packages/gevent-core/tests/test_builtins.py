"""gevent.builtins and gevent.win32util: kept for programs that import them."""

import builtins
import errno
import os
import sys

import pytest
from gevent import builtins as green
from gevent import win32util


def test_builtins():
    """Nothing is replaced on Python 3."""
    assert (green.__all__, green.__implements__) == ([], [])
    assert getattr(green, "__import__", builtins.__import__) is builtins.__import__


@pytest.mark.skipif(sys.platform == "win32", reason="other messages")
def test_format_error():
    assert win32util.__all__ == ["formatError"]
    assert win32util.formatError(errno.ENOENT) == os.strerror(errno.ENOENT)
    assert win32util.formatError(-5) == os.strerror(-5)
    for wrong in ("2", None, 2.0):
        with pytest.raises(TypeError, match="int"):
            win32util.formatError(wrong)
