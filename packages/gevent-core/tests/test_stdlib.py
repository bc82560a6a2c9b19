"""The standard library's own tests, run against gevent's classes: what differs is in stdlib_differences.py, each with its reason.

Each file is a process of its own; see scripts/stdlib_tests.py. An interpreter that comes without its tests is said to.
"""

import fnmatch
import importlib.util
import json
import os
from pathlib import Path

import pytest
from gevent_testkit import run_script

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("stdlib_differences", HERE / "stdlib_differences.py")
differences = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(differences)

FILES = ["test_queue", "test_select", "test_poll", "test_thread", "test_threading_local", "test_fileio", "lock_tests"]
LONG = ["test_ssl", "test_socket"]


def run(file, seconds):
    left_out = differences.LEFT_OUT.get(file, {})
    # They warn about deprecated calls of their own, and write where they are.
    environment = {"PYTHONWARNINGS": None}
    result = run_script(HERE / "scripts" / "stdlib_tests.py", file, *left_out, env=environment, timeout=seconds)
    try:
        found = json.loads(result.stdout.strip().rpartition("\n")[2])
    except ValueError:
        pytest.fail(f"{file} ended with status {result.status}\n{result.stderr[-3000:]}", pytrace=False)
    if "absent" in found:
        pytest.skip(f"this interpreter comes without its tests, or they do not run here ({found['absent']})")
    return found


def check(file, seconds):
    found = run(file, seconds)
    expected = differences.DIFFERENCES.get(file, {})
    unexpected = {
        test: text for test, text in found["failed"].items() if not any(fnmatch.fnmatchcase(test, each) for each in expected)
    }
    assert unexpected == {}
    # What is listed and has come to pass is to be taken off the list; a test that this version does not have says nothing.
    assert [test for test in found["passed"] if test in expected] == []
    assert found["passed"]


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
