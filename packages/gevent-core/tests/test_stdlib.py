"""The standard library's own tests, run against gevent's classes: what differs is in stdlib_differences.py, each with its reason.

Each file is a process of its own; see scripts/stdlib_tests.py.
"""

import importlib.util
import os
from pathlib import Path

import pytest
from gevent_testkit import stdlib

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("stdlib_differences", HERE / "stdlib_differences.py")
differences = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(differences)

FILES = [
    "test_queue",
    "test_select",
    "test_poll",
    "test_epoll",
    "test_selectors",
    "test_thread",
    "test_threading_local",
    "test_fileio",
    "lock_tests",
]
LONG = ["test_ssl", "test_socket"]


def check(file, seconds):
    left_out = differences.LEFT_OUT.get(file, {})
    found = stdlib.outcomes(HERE / "scripts" / "stdlib_tests.py", file, without=left_out, timeout=seconds)
    stdlib.check(found, differences.DIFFERENCES.get(file, {}))


@pytest.mark.timeout(130)
@pytest.mark.parametrize("file", FILES)
def test_file(file):
    check(file, 120)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("GEVENT_STDLIB_TESTS") != "whole", reason="takes minutes: nox -s stdlib")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", LONG)
def test_long_file(file):
    check(file, 880)
