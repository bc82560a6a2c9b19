"""The test kit of gevent's repository: a pytest plugin (see ``plugin.py``) and helpers for tests."""

from gevent_testkit.interpreters import REFERENCE_COUNTING, collect_garbage, collecting_at, runs_sources
from gevent_testkit.scripts import Result, run_script

__all__ = ["REFERENCE_COUNTING", "Result", "collect_garbage", "collecting_at", "run_script", "runs_sources"]
