"""Runs the standard library's own tests, test.test_selectors or test.test_epoll, against gevent's classes.

    python selutil_stdlib.py MODULE

Prints one line for each test that did not pass, and last how many were run; or "skip" where the interpreter comes without its tests.
The standard names stand for gevent's classes before the tests are imported.
"""

import importlib
import select
import selectors
import sys
import unittest

import gevent.selectors
from gevent import _epoll

for name in gevent.selectors.__all__:
    if name.endswith("Selector") and name != "GeventSelector":
        setattr(selectors, name, getattr(gevent.selectors, name))
for name in _epoll.__all__:
    setattr(select, name, getattr(_epoll, name))
try:
    module = importlib.import_module(sys.argv[1])
except ImportError:
    print("skip")
    sys.exit()
suite = unittest.TestLoader().loadTestsFromModule(module)
result = unittest.TextTestRunner(stream=sys.stderr, verbosity=0).run(suite)
for test, text in result.failures + result.errors:
    print(test.id(), text.strip().splitlines()[-1])
print("run", result.testsRun - len(result.skipped))
