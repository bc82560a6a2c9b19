"""Run a test module of the interpreter's own ``test`` package on our modules, in place of those of the standard library.

    python stdlib_tests.py [--plain] test_subprocess [unittest arguments]

``--plain`` leaves the standard library as it is, to see what the interpreter itself passes here. ``os`` and ``signal`` get our functions,
as :mod:`gevent.monkey` would do; ``subprocess`` is :mod:`gevent.subprocess`. Exit status as from :mod:`unittest`.
"""

import sys
import unittest

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[0] == "--plain":
        del arguments[0]
    else:
        from patched import patch

        patch()
    unittest.main(module=f"test.{arguments[0]}", argv=arguments)
