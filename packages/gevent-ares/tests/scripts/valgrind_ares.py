"""The channel's tests under valgrind: no invalid read, write or free in the shim, or in c-ares for what we do to it.

Run it from anywhere, with the interpreter that gevent-ares is built for and with valgrind installed::

    python packages/gevent-ares/tests/scripts/valgrind_ares.py                      # all of test_ares.py
    python packages/gevent-ares/tests/scripts/valgrind_ares.py -k malformed         # arguments go to pytest
    python packages/gevent-ares/tests/scripts/valgrind_ares.py --leaks -k destroy   # also memory that nothing points to

It ends with status 0 when every test passed and valgrind found nothing, 99 when valgrind found something, else with pytest's. The
environment and the options are explained in gevent-core's valgrind_core.py. What measures time is left out, and what runs in a child.
"""

import os
import pathlib
import shutil
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]

LEFT_OUT = ["lookup_timeout", "thousands", "loop_open", "loop_may_be", "no_descriptors_left", "distribution"]

VALGRIND = [
    "valgrind",
    "--tool=memcheck",
    "--error-exitcode=99",
    "--num-callers=40",
    "--max-stackframe=16000000",
    "--main-stacksize=16000000",
    "--undef-value-errors=no",
    "--quiet",
]
LEAKS = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]


def main():
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: it is in the package of that name")
    rest = sys.argv[1:]
    leaks = LEAKS if "--leaks" in rest else ["--leak-check=no"]
    rest = [argument for argument in rest if argument != "--leaks"]
    chosen = " and ".join(f"not {name}" for name in LEFT_OUT)
    if "-k" in rest:
        position = rest.index("-k")
        chosen += f" and ({rest[position + 1]})"
        del rest[position : position + 2]
    pytest = ["-m", "pytest", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:gevent_testkit", "-q", "-k", chosen]
    environment = {**os.environ, "PYTHONMALLOC": "malloc", "PYTHONFAULTHANDLER": "", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*VALGRIND, *leaks, sys.executable, *pytest, *rest, str(TESTS / "test_ares.py")]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
