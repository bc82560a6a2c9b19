"""Many children at once, from greenlets and from native threads: none is lost. The long form is benchmarks/children.py."""

from pathlib import Path

import pytest
from gevent_testkit import run_script

SCRIPT = Path(__file__).parent / "scripts" / "many_children.py"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("method", ["pidfd", "sigchld"])
def test_many_children(method):
    run_script(SCRIPT, 300, 80, env={"GEVENT_CHILD_WATCHER": method}, timeout=110).check()
