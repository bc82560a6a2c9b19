"""One program, on every way that gevent can run."""

import sys
from pathlib import Path

import pytest
from gevent_testkit import run_script

SCRIPT = Path(__file__).parent / "scripts" / "semantics.py"

SEEN = """\
a 0
b 0
a 1
b 1
a 2
b 2
get KeyError: 'key'
state True False None KeyError
finally
killed GreenletExit() True False
links [7]
unhandled ValueError: invalid literal for int() with base 10: 'x'
timeout True
silent late False
served ['a', 'b', 'c']
rlock False
queue [0, 1, 2] Empty Empty
result ValueError: told
pool [1, 2, 3] [1, 2]
threadpool (3, 1) ValueError: invalid literal for int() with base 10: 'x'
local False 1
recv b'data'
recv timed out
recv b''
recv OSError: [Errno 9] Bad file descriptor
gone True
LoopExit
"""

#: PyPy has one way, the loop through cffi and no other compiled module. CPython has that too, so that the interpreter alone differs.
WAYS = {"PyPy's": {"GEVENT_LOOP": "libev-cffi", "GEVENT_PURE_PYTHON": "1"}, "the default": {}}
if sys.implementation.name == "cpython":
    WAYS["no compiled module but the loop"] = {"GEVENT_PURE_PYTHON": "1"}


@pytest.mark.parametrize("way", WAYS)
def test_same_semantics(way):
    """ALL-03: whatever the interpreter, the loop's backend, and what is compiled: the same, line for line."""
    done = run_script(SCRIPT, env={"GEVENT_LOOP": None, "GEVENT_PURE_PYTHON": None, **WAYS[way]}).check()
    assert done.stdout.splitlines() == SEEN.splitlines()
