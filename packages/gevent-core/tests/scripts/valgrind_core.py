"""The loop contract under valgrind: no invalid read, write or free, no use of what is not there any more.

Run it from anywhere, with the interpreter that gevent-core is built for and with valgrind installed::

    python packages/gevent-core/tests/scripts/valgrind_core.py                    # all of test_core.py and test_core_cext.py
    python packages/gevent-core/tests/scripts/valgrind_core.py -k "collect"       # arguments go to pytest
    python packages/gevent-core/tests/scripts/valgrind_core.py --leaks -k destroy # also memory that nothing points to
    python packages/gevent-core/tests/scripts/valgrind_core.py --script destroy_inside cext   # one of the core_*.py scripts
    python packages/gevent-core/tests/scripts/valgrind_core.py --scripts          # all of them, with the cext backend

It ends with status 0 when every test passed and valgrind found nothing, 99 when valgrind found something, else with pytest's.
Twenty times slower than without: ten minutes for everything. Tests that measure time or memory are left out.

How it works: ``PYTHONMALLOC=malloc`` takes CPython's own allocator away, which would hide most errors from valgrind: it hands out
pieces of large blocks, and reads memory that it never got to find out whose it is. The use of undefined values is not looked at
(``--undef-value-errors=no``): the interpreter does that on purpose when it makes small integers, and greenlet copies pieces of
the C stack with all their holes. With that, nothing needs to be suppressed on Debian 12 with CPython 3.11; should another
libc or interpreter need it, ``--suppressions=FILE`` is handed to valgrind. greenlet also lets the stack pointer jump; valgrind
follows as long as it does not take a jump for a change of stacks (``--max-stackframe``). Build with ``CFLAGS="-g -O1"`` for line
numbers. Valgrind 3.19 does not know pidfd_open(2) and says so once; the loop then watches children through SIGCHLD.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys

SCRIPTS = pathlib.Path(__file__).resolve().parent
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

LEAKS = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]


def valgrind(options):
    """The command line before the interpreter's."""
    return [
        "valgrind",
        "--tool=memcheck",
        "--error-exitcode=99",
        "--num-callers=40",
        "--max-stackframe=16000000",
        "--main-stacksize=16000000",
        "--undef-value-errors=no",
        "--quiet",
        *([f"--suppressions={options.suppressions}"] if options.suppressions else []),
        *(LEAKS if options.leaks else ["--leak-check=no"]),
    ]


def main():
    parser = argparse.ArgumentParser(usage="%(prog)s [--leaks] [--script NAME BACKEND ... | --scripts | pytest arguments]")
    parser.add_argument("--leaks", action="store_true", help="also report memory that nothing points to at the end")
    parser.add_argument(
        "--script", action="store_true", help="run one of the core_*.py scripts instead: its name and its arguments"
    )
    parser.add_argument("--scripts", action="store_true", help="run all of the core_*.py scripts instead")
    parser.add_argument("--suppressions", metavar="FILE", help="what valgrind is to pass over")
    options, rest = parser.parse_known_args()
    if shutil.which("valgrind") is None:
        parser.exit(2, "valgrind is not installed: it is in the package of that name\n")
    environment = {
        **os.environ,
        "PYTHONMALLOC": "malloc",
        "PYTHONFAULTHANDLER": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GEVENT_CHILD_WATCHER": "sigchld",
        "GEVENT_TEST_WITHOUT_SCRIPTS": "1",
    }
    command = [*valgrind(options), sys.executable]
    if options.script or options.scripts:
        status = 0
        for name, *arguments in [rest] if options.script else [(name, "cext", *arguments) for name, *arguments in RUNS]:
            print("---", name, *arguments, flush=True)
            ended = subprocess.run([*command, str(SCRIPTS / f"core_{name}.py"), *arguments], env=environment, check=False)
            status = status or ended.returncode
        return status
    chosen = " and ".join(f"not {name}" for name in LEFT_OUT)
    if "-k" in rest:
        position = rest.index("-k")
        chosen += f" and ({rest[position + 1]})"
        del rest[position : position + 2]
    pytest = ["-m", "pytest", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:gevent_testkit", "-q", "-k", chosen]
    if not any(argument.endswith(".py") or "::" in argument for argument in rest):
        rest += [str(TESTS / "test_core.py"), str(TESTS / "test_core_cext.py")]
    return subprocess.run([*command, *pytest, *rest], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
