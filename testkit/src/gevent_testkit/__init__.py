"""The test kit of gevent's repository: a pytest plugin (see ``plugin.py``) and helpers for tests."""

from gevent_testkit.scripts import Result, run_script

__all__ = ["Result", "run_script"]
