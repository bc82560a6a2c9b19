"""Runs tests of the standard library's own against gevent's classes: see gevent_testkit.stdlib for the arguments.

The file may also be ``lock_tests``: the tests that the standard library has for any lock. Threads are greenlets, and the standard
names stand for gevent's classes, before the tests are imported. This is no gevent.monkey: no more is replaced than these tests look at.
"""

import importlib
import unittest

import gevent
from gevent import _epoll, _originals, event, lock, queue, select, selectors, socket, ssl, thread, threading, time
from gevent_testkit import stdlib


def replace(name, replacement, attributes):
    """Put *replacement*'s *attributes* in the standard module *name*, as far as that has them."""
    module = importlib.import_module(name)
    for attribute in attributes:
        if hasattr(module, attribute) and hasattr(replacement, attribute):
            _originals.saved.setdefault(name, {})[attribute] = getattr(module, attribute)
            setattr(module, attribute, getattr(replacement, attribute))


def replace_all():
    import threading as stdlib

    gevent.get_hub()
    main = stdlib.main_thread()
    replace("_thread", thread, [*thread.__implements__, "RLock"])
    replace("threading", threading, threading.__implements__)
    stdlib._active[thread.get_ident()] = stdlib._active.pop(main.ident)
    main._ident = thread.get_ident()
    # Each test waits until there are no more native threads than before; the workers of our pools stay for a while.
    importlib.import_module("_thread")._count = lambda: 0
    replace("time", time, ["sleep"])
    replace("select", select, [*select.__implements__, *_epoll.__all__])
    replace("select", _epoll, _epoll.__all__)
    replace("selectors", selectors, [name for name in selectors.__all__ if name.endswith("Selector")])
    replace("socket", socket, socket.__implements__)
    replace("ssl", ssl, ssl.__implements__)


# ---- What the files want beyond the standard names -----------------------------------------------------------------------------------


def prepare_queue(module):
    # They test two copies of the module, one in C and one in Python, and have their names before we come.
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            if name.startswith("Py"):
                delattr(module, name)
            elif hasattr(value, "queue"):
                value.queue = queue


def prepare_threading_local(module):
    for name in ("PyThreadingLocalTest", "load_tests"):  # of the implementation in Python, which is nobody's local here
        if hasattr(module, name):
            delattr(module, name)


def lock_tests():
    """A module of test cases, like those that test.test_threading makes of test.lock_tests for its own classes."""
    from test import lock_tests

    class LockTests(lock_tests.LockTests):
        locktype = staticmethod(thread.LockType)

    class RLockTests(lock_tests.RLockTests):
        locktype = staticmethod(lock.RLock)

    class EventTests(lock_tests.EventTests):
        eventtype = staticmethod(event.Event)

    class SemaphoreTests(lock_tests.SemaphoreTests):
        semtype = staticmethod(lock.Semaphore)

    class BoundedSemaphoreTests(lock_tests.BoundedSemaphoreTests):
        semtype = staticmethod(lock.BoundedSemaphore)

    return [LockTests, RLockTests, EventTests, SemaphoreTests, BoundedSemaphoreTests]


if __name__ == "__main__":
    stdlib.main(
        replace_all,
        prepare={"test_queue": prepare_queue, "test_threading_local": prepare_threading_local},
        load={"lock_tests": lock_tests},
    )
