"""The channel's tests under valgrind: no invalid read, write or free in the shim, or in c-ares for what we do to it.

Run it from anywhere, with the interpreter that gevent-ares is built for and with valgrind installed::

    python packages/gevent-ares/tests/scripts/valgrind_ares.py                      # all of test_ares.py
    python packages/gevent-ares/tests/scripts/valgrind_ares.py -k malformed         # arguments go to pytest
    python packages/gevent-ares/tests/scripts/valgrind_ares.py --leaks -k destroy   # also memory that nothing points to

Exit status and how it works: gevent_testkit.valgrind.
"""

import sys
from pathlib import Path

from gevent_testkit.valgrind import parse, parser, run_pytest

TESTS = Path(__file__).resolve().parents[1]

#: What measures time, and what runs in a child.
LEFT_OUT = ["lookup_timeout", "thousands", "loop_open", "loop_may_be", "no_descriptors_left", "distribution"]

if __name__ == "__main__":
    options, rest = parse(parser())
    sys.exit(run_pytest(options, rest, [TESTS / "test_ares.py"], LEFT_OUT))
