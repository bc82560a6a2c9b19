"""Run one file of the interpreter's tests, and write what became of each test into a log: ``one.py [--patched] LOG test_queue``.

The log has a line "start TEST" and then "ok TEST", "fail TEST", "error TEST" or "skip TEST", each written at once, so that it
is there when the process hangs or dies.
"""

import sys

arguments = sys.argv[1:]
patched = arguments[0] == "--patched"
if patched:
    del arguments[0]
    # Tests wait until no more native threads run than before; those of the hub's pool would keep each waiting for ten seconds.
    from gevent import config, monkey

    config.threadpool_idle_task_timeout = 0.02
    monkey.patch_all()

import faulthandler  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import types  # noqa: E402
import unittest  # noqa: E402

log_path, name, *only = arguments
log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
here = os.getpid()
faulthandler.enable()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell; tests expect KeyboardInterrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)
if os.environ.get("DUMP_AFTER"):
    faulthandler.dump_traceback_later(float(os.environ["DUMP_AFTER"]), exit=False)


def note(kind, test):
    if os.getpid() == here:
        os.write(log, f"{kind} {test.id()}\n".encode())


class Result(unittest.TextTestResult):
    def startTest(self, test):
        note("start", test)
        super().startTest(test)

    def addSuccess(self, test):
        note("ok", test)
        super().addSuccess(test)

    def addFailure(self, test, err):
        note("fail", test)
        super().addFailure(test, err)

    def addError(self, test, err):
        note("error", test)
        super().addError(test, err)

    def addSkip(self, test, reason):
        note("skip", test)
        super().addSkip(test, reason)

    def addExpectedFailure(self, test, err):
        note("ok", test)
        super().addExpectedFailure(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            note("fail", test)
        super().addSubTest(test, subtest, err)


def choose(suite, wanted):
    """*suite* with those of its tests only for whose id *wanted* returns something true."""
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            choose(each, wanted)
    suite._tests = [each for each in suite._tests if isinstance(each, unittest.TestSuite) or wanted(each.id())]
    return suite


def main():
    try:
        from test import support
    except ImportError as error:
        sys.exit(f"{sys.executable} has no package test: {error}")
    # The resources that cost nothing but loopback.
    support.use_resources = ["network", "subprocess", "cpu", "walltime"]
    try:
        from test.support import os_helper, threading_helper  # noqa: F401

        support.verbose = 0
    except ImportError:
        pass
    loader = unittest.defaultTestLoader
    try:
        suite = loader.loadTestsFromNames([f"test.{name}.{each}" for each in only] or [f"test.{name}"])
    except unittest.SkipTest as skipped:
        print("skipped:", skipped)
        return
    chosen, left_out = (os.environ.get(name, "").split() for name in ("STDLIB_ONLY", "STDLIB_WITHOUT"))
    suite = choose(suite, lambda test: test not in left_out and (test in chosen or not chosen))
    unittest.TextTestRunner(verbosity=2, resultclass=Result).run(suite)


def make_modules():
    """Have what the tests are in be found, also in the processes that multiprocessing spawns: those run this file as ``__mp_main__``."""
    try:
        import test
    except ImportError:
        return  # main() says so
    test.__path__.append(os.environ.get("STDLIB_MORE", ""))
    start_method = name.removeprefix("multiprocessing_")
    if start_method != name:
        # What test.test_multiprocessing_fork and its like do, which not every interpreter that has the package has.
        from test._test_multiprocessing import install_tests_in_module_dict

        module = types.ModuleType(f"test.{name}")
        sys.modules[module.__name__] = module
        setattr(test, name, module)
        install_tests_in_module_dict(vars(module), start_method)


make_modules()
if __name__ == "__main__":
    main()
