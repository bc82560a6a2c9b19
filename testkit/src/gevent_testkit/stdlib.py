"""The interpreter's own tests, run on modules of gevent's in place of the standard ones.

Each of its files runs in a process of its own, by a script that replaces what is to be tested and then calls :func:`main`::

    python SCRIPT [--plain] [--only PATTERN] [--without PATTERN] [--log FILE] test_queue

:func:`outcomes` runs such a script from a test. Patterns are of tests, as in ``ClassOfTests.test_name``. ``--plain`` replaces nothing,
to see what the interpreter itself passes; the log gets a line when a test starts and one when it has ended, at once, so that it is
there when the process hangs or dies.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import os
import sys
import unittest
from typing import TYPE_CHECKING, Any

import pytest

from gevent_testkit.scripts import run_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

# ---- In the script ---------------------------------------------------------------------------------------------------------------


class _Result(unittest.TextTestResult):
    """Notes what becomes of each test, in ``outcomes`` and in the log."""

    log: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, dict[str, str]] = {"passed": {}, "skipped": {}, "failed": {}}
        self._process = os.getpid()

    def note(self, kind: str, test: unittest.TestCase, text: str | None = None) -> None:
        if os.getpid() != self._process:  # a forked child that came back
            return
        if self.log is not None:
            os.write(self.log, f"{kind} {test.id()}\n".encode())
        if text is not None:
            self.outcomes[kind][short(test)] = text

    def startTest(self, test: unittest.TestCase) -> None:
        self.note("start", test)
        super().startTest(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.note("passed", test, "")
        super().addSuccess(test)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note("passed", test, "")
        super().addExpectedFailure(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.note("skipped", test, reason)
        super().addSkip(test, reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note("failed", test, _last_line(err))
        super().addFailure(test, err)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self.note("failed", test, _last_line(err))
        super().addError(test, err)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.note("failed", test, "an unexpected success")
        super().addUnexpectedSuccess(test)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.note("failed", test, _last_line(err))
        super().addSubTest(test, subtest, err)


def _last_line(err: Any) -> str:
    return f"{err[0].__name__}: {err[1]}".strip().rpartition("\n")[2]


def short(test: unittest.TestCase) -> str:
    """``Class.test_name``; what fails for a whole class or module has its name in brackets."""
    name = test.id()
    name = name.partition(" (")[2].rstrip(")") if name.startswith(("setUp", "tearDown")) else name.split(" ")[0]
    parts = [part for part in name.split(".") if part != "<locals>"]
    return ".".join(parts[-2:])


def _each(suite: Any) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _each(test)
        else:
            yield test


def main(
    replace: Callable[[], object],
    prepare: Mapping[str, Callable[[Any], object]] | None = None,
    load: Mapping[str, Callable[[], Iterable[type[unittest.TestCase]]]] | None = None,
) -> None:
    """Run the file that the command line names, and print what came of each test as JSON, on the last line.

    *replace* puts gevent's in place, before the file is imported; ``prepare[file]`` then does what is left, with the module.
    ``load[file]`` gives the classes of tests of a file that the interpreter does not have as one.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--without", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--log", metavar="FILE")
    options = parser.parse_args()
    if not options.plain:
        replace()
    loader = unittest.TestLoader()
    try:
        if load and options.file in load:
            suite = unittest.TestSuite(map(loader.loadTestsFromTestCase, load[options.file]()))
        else:
            module = importlib.import_module(f"test.{options.file}")
            if prepare and options.file in prepare:
                prepare[options.file](module)
            suite = loader.loadTestsFromModule(module)
    except (ImportError, unittest.SkipTest) as error:
        print(json.dumps({"absent": f"{options.file}: {error}"}))
        return

    def wanted(test: unittest.TestCase) -> bool:
        name = short(test)
        return (not options.only or any(fnmatch.fnmatchcase(name, each) for each in options.only)) and not any(
            fnmatch.fnmatchcase(name, each) for each in options.without
        )

    if options.log:
        _Result.log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    # What sets up and tears down a class or a module goes by which test follows which, and that order is kept.
    chosen = unittest.TestSuite(test for test in _each(suite) if wanted(test))
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2, resultclass=_Result).run(chosen)
    assert isinstance(result, _Result)
    print(json.dumps(result.outcomes))


# ---- In the tests ----------------------------------------------------------------------------------------------------------------


def outcomes(
    script: Path, file: str, only: Iterable[str] = (), without: Iterable[str] = (), timeout: float = 120, **options: Any
) -> dict[str, dict[str, str]]:
    """What became of the tests of a *file*, run by *script*: ``{"passed": {test: ""}, "skipped": {test: why}, "failed": {test: error}}``.

    *only* and *without* are patterns. Skips the current test where this interpreter comes without its own.
    """
    arguments = [*(f"--only={each}" for each in only), *(f"--without={each}" for each in without), file]
    # They judge warnings by themselves, and write where they are.
    environment = {"PYTHONWARNINGS": None, "PYTHONFAULTHANDLER": None}
    result = run_script(script, *arguments, env=environment, timeout=timeout, **options)
    try:
        found = json.loads(result.stdout.strip().rpartition("\n")[2])
    except ValueError:
        pytest.fail(f"{file} ended with status {result.status}\n{result.stderr[-3000:]}", pytrace=False)
    if "absent" in found:
        pytest.skip(f"this interpreter comes without its tests, or they do not run here ({found['absent']})")
    return found


def check(found: Mapping[str, Mapping[str, str]], expected: Iterable[str] = ()) -> None:
    """AssertionError unless what failed is just what the patterns *expected* name, and something passed."""
    unexpected = {
        test: text for test, text in found["failed"].items() if not any(fnmatch.fnmatchcase(test, each) for each in expected)
    }
    assert unexpected == {}
    # What is listed and has come to pass is to be taken off the list; a test that this version does not have says nothing.
    assert [test for test in found["passed"] if test in expected] == []
    assert found["passed"]
