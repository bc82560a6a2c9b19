"""The pytest plugin: leak check, time limit, and refusal of stale builds. See README.md.

gevent itself is imported no sooner than the first test runs, when coverage and the warning filters are in force.
"""

import contextlib
import faulthandler
import importlib
import os
import signal

import pytest

from gevent_testkit import leaks
from gevent_testkit.backends import core  # noqa: F401 - found here by name, as those of the fixtures
from gevent_testkit.fixtures import closing, listener, pair, reports, tcp, unresponsive  # noqa: F401 - found here by name
from gevent_testkit.freshness import CFFI_BUILD, stale_modules
from gevent_testkit.interpreters import PATIENCE, runs_sources

#: Seconds a test may take, its fixtures included; here, as in the marker, it is CPython's.
TIME_LIMIT = 30.0

_stderr_fd = pytest.StashKey()
_running_file = pytest.StashKey()
_passed = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "leaks(reason): this test may leave greenlets, watchers, descriptors or threads behind")
    config.addinivalue_line("markers", f"timeout(seconds): stop the run when this test takes longer (default {TIME_LIMIT:g})")
    # A shell's background job ignores it, and so would every script that a test runs.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Capturing is not active yet: this is the real stderr, and the report of a hanging test must reach it.
    config.stash[_stderr_fd] = os.dup(2)


def pytest_unconfigure(config):
    fd = config.stash.get(_stderr_fd, None)
    if fd is not None:
        os.close(fd)
        del config.stash[_stderr_fd]
    running = config.stash.get(_running_file, None)
    if running is not None:
        running.unlink(missing_ok=True)


# -- Stale builds -----------------------------------------------------------------------------------------------------


def pytest_sessionstart(session):
    root = session.config.rootpath
    # Then a .py is run as it stands, whatever has been compiled from it; the loops have nothing else.
    pure = runs_sources()
    lines = [
        f"  {source.relative_to(root)} ({newer.name} has changed since it was compiled)"
        for src in sorted(root.glob("packages/*/src"))
        for source, newer in stale_modules(src)
        if source.suffix == ".pyx" or source.name == CFFI_BUILD or not pure
    ]
    if lines:
        advice = 'Run "nox -s build" or "python3 ci/bootstrap.py".'
        raise pytest.UsageError("compiled modules are older than their sources:\n" + "\n".join(lines) + "\n" + advice)
    if hasattr(session.config, "workerinput"):
        return  # a worker of xdist: its controller reports a crash by itself
    cache = root / ".pytest_cache"
    cache.mkdir(exist_ok=True)
    session.config.stash[_running_file] = cache / "running-test"


def pytest_runtestloop(session):
    # So that the hub can be made before the first test, even if that test is the first to import gevent. Where it cannot be
    # imported, the tests that need it say so.
    if not session.config.option.collectonly:
        with contextlib.suppress(ImportError):
            importlib.import_module("gevent.hub")


# -- Time limit -------------------------------------------------------------------------------------------------------


def _time_limit(item):
    marker = item.get_closest_marker("timeout")
    if marker is None:
        return TIME_LIMIT * PATIENCE
    if len(marker.args) != 1 or marker.kwargs or not marker.args[0] > 0:
        raise pytest.UsageError(f"{item.nodeid}: the timeout marker takes one positive number of seconds")
    return marker.args[0] * PATIENCE


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    running = item.config.stash.get(_running_file, None)
    if running is not None:
        running.write_text(item.nodeid, encoding="utf-8")
    # A thread of faulthandler's own ends the process. SIGALRM would not do: its handler runs only after the C code that hangs.
    faulthandler.dump_traceback_later(_time_limit(item), exit=True, file=item.config.stash[_stderr_fd])
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


# -- Leaks ------------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.stash[_passed] = report.passed
    return report


@pytest.fixture(autouse=True, scope="module")
def _module_leak_check(request):
    """First of the module's own fixtures, so the last to end."""
    before = leaks.ModuleSnapshot()
    yield
    left = before.left_behind()
    if left and request.node.get_closest_marker("leaks") is None:
        pytest.fail(f"the tests of {request.node.name} left running:\n  " + "\n  ".join(left), pytrace=False)


@pytest.fixture(autouse=True)
def _leak_check(request):
    """First of the test's own fixtures, so the last to end: everything else has been torn down by then."""
    marker = request.node.get_closest_marker("leaks")
    if marker is not None:
        if len(marker.args) != 1 or not isinstance(marker.args[0], str):
            raise pytest.UsageError(f"{request.node.nodeid}: the leaks marker takes the reason as a string")
        yield
        return
    leaks.warm_up()
    before = leaks.Snapshot()
    yield
    # The frames of a failed test hold whatever it used: only a passed one can be judged.
    if not request.node.stash.get(_passed, False):
        before.kill_greenlets()
        return
    # The values of fixtures that have ended are not the test's any more.
    getattr(request.node, "funcargs", {}).clear()
    left = before.left_behind()
    if left:
        pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)
