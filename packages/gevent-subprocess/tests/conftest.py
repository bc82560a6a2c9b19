import os

import pytest
from gevent._config import config


def has_pidfd():
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


@pytest.fixture(params=["pidfd", "sigchld"])
def method(request):
    """How children are watched, one after the other."""
    if request.param == "pidfd" and not has_pidfd():
        pytest.skip("the kernel has no pidfd_open(2)")
    before = config.child_watcher
    config.child_watcher = request.param
    yield request.param
    config.child_watcher = before
