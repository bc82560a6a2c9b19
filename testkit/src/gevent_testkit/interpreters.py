"""What tests have to know of the interpreter that they run on: how it frees objects, and whether it runs gevent's sources."""

import contextlib
import gc
import os
import sys

#: Whether an object is freed as soon as nothing refers to it (CPython), or by some later collection (PyPy).
REFERENCE_COUNTING = sys.implementation.name == "cpython"

#: How many times as long as it takes CPython a test may take: PyPy compiles what it runs, and a short test ends before that pays.
PATIENCE = 1 if REFERENCE_COUNTING else 3


def runs_sources():
    """Whether gevent's modules are run from their ``.py`` files, whatever has been compiled from them; the loop in C stays what it is."""
    asked = (os.environ.get("GEVENT_PURE_PYTHON"), os.environ.get("PURE_PYTHON"))
    return (
        not REFERENCE_COUNTING or any(each not in (None, "", "0") for each in asked) or "cffi" in os.environ.get("GEVENT_LOOP", "")
    )


def collect_garbage():
    """Free what nobody can reach: one collection is not enough where finalizers refer to objects that have finalizers."""
    for _ in range(3):
        gc.collect()


@contextlib.contextmanager
def collecting_at(allocation):
    """Within, the collector runs when *allocation* more objects have been made; on PyPy, when it likes."""
    if not REFERENCE_COUNTING:
        yield
        return
    old = gc.get_threshold()
    gc.set_threshold(gc.get_count()[0] + allocation, 1000, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*old)
