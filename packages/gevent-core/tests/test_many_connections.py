"""A great many connections on one hub."""

import resource
from pathlib import Path

import pytest
from gevent_testkit import run_script

NUMBER = 10_000


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < NUMBER + 100, reason="too few descriptors are allowed here")
def test_ten_thousand_connections():
    """All open at once, one hub for each end, and every byte comes back to who sent it."""
    result = run_script(Path(__file__).parent / "scripts" / "many_connections.py", NUMBER, timeout=120).check()
    assert result.stdout == "ok\n"
