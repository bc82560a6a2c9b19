"""Run a test module of the interpreter's own ``test`` package on our modules, in place of those of the standard library.

    python stdlib_tests.py [--plain] test_subprocess [unittest arguments]

``os`` and ``signal`` get our functions, as :mod:`gevent.monkey` would do; ``subprocess`` is :mod:`gevent.subprocess`. Exit status 1 when a
test fails that is not among the exceptions below, or when one of those passes. ``--plain`` leaves the standard library as it is, to see
what the interpreter itself passes here.
"""

import importlib
import sys
import unittest

#: {test: why it cannot pass}.
EXCEPTIONS = {
    "test_subprocess.POSIXProcessTestCase.test_stopped": (
        "takes the status by os.waitpid, and has a mocked os.waitpid give Popen another one; but our os.waitpid has told Popen already"
    ),
}


def expect_failures(name):
    module = importlib.import_module(f"test.{name}")
    for exception in EXCEPTIONS:
        where, case, method = exception.split(".")
        if where == name and hasattr(module, case):
            case = getattr(module, case)
            setattr(case, method, unittest.expectedFailure(getattr(case, method)))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[0] == "--plain":
        del arguments[0]
    else:
        from patched import patch

        patch()
        expect_failures(arguments[0])
    unittest.main(module=f"test.{arguments[0]}", argv=arguments)
