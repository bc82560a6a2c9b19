"""What the core_*.py scripts share: the backend named by the first argument, and loops that do not hang for ever.

The scripts are run by test_core.py: ``python core_NAME.py BACKEND [ARGUMENTS]``. A script that is content prints "ok" on its last line
and exits with status 0, with nothing on stderr.
"""

import contextlib
import importlib
import os
import sys

backend = sys.argv[1]
arguments = sys.argv[2:]
core = importlib.import_module(f"gevent._libev.{backend}")


class Recorder:
    """An error handler that keeps what it is told, as (context, exception) pairs."""

    def __init__(self):
        self.reports = []

    def handle_error(self, context, type, value, tb):
        self.reports.append((context, value))


def make_loop(which, error_handler=None):
    """The default loop, or one of its own."""
    loop = core.loop(default=which == "default")
    loop.error_handler = error_handler
    return loop


def run(loop, limit=20.0):
    """Run *loop* to its end; AssertionError if that takes longer than *limit* seconds."""
    late = []

    def give_up():
        late.append(limit)
        loop.break_()

    guard = loop.timer(limit, ref=False)
    guard.start(give_up)
    loop.run()
    with contextlib.suppress(ValueError):  # a callback may have destroyed the loop
        guard.stop()
    assert not late, f"the loop was still running after {limit} seconds"


def check_child(pid):
    """Wait for a forked child natively; AssertionError unless it was content."""
    waited, status = os.waitpid(pid, 0)
    assert waited == pid
    assert status == 0, f"the child ended with wait status {status:#x}"
