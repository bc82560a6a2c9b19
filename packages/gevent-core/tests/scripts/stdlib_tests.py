"""Runs tests of the standard library's own against gevent's classes, and prints what came of it as JSON, on the last line.

    python stdlib_tests.py FILE [PATTERN ...]

FILE is a module of the package ``test``, or ``lock_tests``: the tests that the standard library has for any lock. A PATTERN names the
tests that are left out. Threads are greenlets, and the standard names stand for gevent's classes, before the tests are imported.
This is no gevent.monkey: no more is replaced than these tests look at.
"""

import fnmatch
import importlib
import json
import sys
import unittest

import gevent
from gevent import _epoll, _originals, event, lock, queue, select, selectors, socket, ssl, thread, threading, time


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


PREPARE = {"test_queue": prepare_queue, "test_threading_local": prepare_threading_local}


class Result(unittest.TextTestResult):
    """Also knows which tests passed."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.passed = []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.append(test)


def each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test


def short(test):
    """The id without the module; what fails for a whole class or module has its id in brackets, and subtests after them."""
    name = test.id()
    name = name.partition(" (")[2].rstrip(")") if name.startswith("setUp") else name.split(" ")[0]
    return ".".join(
        part for part in name.split(".") if part not in ("test", "lock_tests", "__main__", "<locals>") and part != sys.argv[1]
    )


def main():
    file, *left_out = sys.argv[1:]
    replace_all()
    loader = unittest.TestLoader()
    try:
        if file == "lock_tests":
            suite = unittest.TestSuite(map(loader.loadTestsFromTestCase, lock_tests()))
        else:
            module = importlib.import_module(f"test.{file}")
            PREPARE.get(file, lambda module: None)(module)
            suite = loader.loadTestsFromModule(module)
    except (ImportError, unittest.SkipTest) as error:
        print(json.dumps({"absent": f"{file}: {error}"}))
        return
    # What sets up and tears down a class or a module goes by which test follows which, and that order is kept.
    chosen = unittest.TestSuite(
        test for test in each(suite) if not any(fnmatch.fnmatchcase(short(test), each) for each in left_out)
    )
    runner = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=Result)
    result = runner.run(chosen)
    bad = {}
    for test, text in result.failures + result.errors:
        bad[short(test)] = text.strip().splitlines()[-1]
    for test in result.unexpectedSuccesses:
        bad[short(test)] = "an unexpected success"
    skipped = {short(test): reason for test, reason in result.skipped}
    print(json.dumps({"passed": sorted(map(short, result.passed)), "skipped": skipped, "failed": bad}))


if __name__ == "__main__":
    main()
