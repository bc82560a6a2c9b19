"""The loop contract under valgrind: no invalid read, write or free, no use of what is not there any more.

Run it from anywhere, with the interpreter that gevent-core is built for and with valgrind installed::

    python packages/gevent-core/tests/scripts/valgrind_core.py                    # all of test_core.py and test_core_resources.py
    python packages/gevent-core/tests/scripts/valgrind_core.py -k "collect"       # arguments go to pytest
    python packages/gevent-core/tests/scripts/valgrind_core.py --leaks -k destroy # also memory that nothing points to
    python packages/gevent-core/tests/scripts/valgrind_core.py --script destroy_inside cext   # one of the core_*.py scripts
    python packages/gevent-core/tests/scripts/valgrind_core.py --scripts          # all of them, with the cext backend

Ten minutes for everything. Exit status and how it works: gevent_testkit.valgrind. Valgrind 3.19 does not know pidfd_open(2) and says so
once; the loop then watches children through SIGCHLD.
"""

import sys
from pathlib import Path

from gevent_testkit import valgrind

SCRIPTS = Path(__file__).resolve().parent
TESTS = SCRIPTS.parent

#: What measures time or memory. (Scripts are left out by test_core.py itself: valgrind does not follow them there.)
LEFT_OUT = [
    "memory",
    "test_batches_of_callbacks_are_bounded_in_time",
    "test_timer_waits_as_long_as_it_says",
]

#: The arguments of each script: as in test_core.py.
RUNS = [
    ("flags",),
    ("syserr", "default"),
    ("syserr", "other"),
    ("closed_descriptor", "epoll"),
    ("closed_wait",),
    ("python_signals", "default"),
    ("python_signals", "other"),
    ("sigchld", "default"),
    ("child", "default"),
    ("child", "other"),
    ("fork", "default"),
    ("fork_inside", "default"),
    ("default_loop",),
    ("destroy_inside",),
    *(("parked", how) for how in ("park", "timeout", "sleep", "wait_fd", "throw", "collect")),
    *(("exit", how) for how in ("started", "default", "global", "inside", "finalizer", "thread")),
    *(("misuse", how) for how in ("unmade", "made again", "finalizers")),
]

#: No script runs in a child of the tests: see main().
ENVIRONMENT = {"GEVENT_CHILD_WATCHER": "sigchld", "GEVENT_TEST_WITHOUT_SCRIPTS": "1"}


def main():
    parser = valgrind.parser("%(prog)s [--leaks] [--script NAME BACKEND ... | --scripts | pytest arguments]")
    parser.add_argument(
        "--script", action="store_true", help="run one of the core_*.py scripts instead: its name and its arguments"
    )
    parser.add_argument("--scripts", action="store_true", help="run all of the core_*.py scripts instead")
    options, rest = valgrind.parse(parser)
    if not options.script and not options.scripts:
        files = [TESTS / "test_core.py", TESTS / "test_core_resources.py"]
        return valgrind.run_pytest(options, rest, files, LEFT_OUT, **ENVIRONMENT)
    status = 0
    for name, *arguments in [rest] if options.script else [(name, "cext", *arguments) for name, *arguments in RUNS]:
        print("---", name, *arguments, flush=True)
        ended = valgrind.run(options, str(SCRIPTS / f"core_{name}.py"), *arguments, **ENVIRONMENT)
        status = status or ended
    return status


if __name__ == "__main__":
    sys.exit(main())
