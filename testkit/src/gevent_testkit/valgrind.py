"""Running tests under valgrind: no invalid read, write or free, no use of what is not there any more.

A script that runs a package's tests so is made of::

    options, rest = parse(parser())
    sys.exit(run_pytest(options, rest, files, left_out))

It ends with status 0 when every test passed and valgrind found nothing, 99 when valgrind found something, else with pytest's.

How it works: ``PYTHONMALLOC=malloc`` takes CPython's own allocator away, which would hide most errors from valgrind: it hands out
pieces of large blocks, and reads memory that it never got to find out whose it is. The use of undefined values is not looked at
(``--undef-value-errors=no``): the interpreter does that on purpose when it makes small integers, and greenlet copies pieces of
the C stack with all their holes. With that, Debian 12 with CPython 3.11 needs only the suppressions of valgrind.supp; should another
libc or interpreter need more, ``--suppressions=FILE`` is handed to valgrind too. greenlet also lets the stack pointer jump; valgrind
follows as long as it does not take a jump for a change of stacks (``--max-stackframe``). Build with ``CFLAGS="-g -O1"`` for line
numbers. Twenty times slower than without, so tests that measure time are to be left out, and so are those that run in a child, where
valgrind does not follow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALWAYS = [
    "--tool=memcheck",
    "--error-exitcode=99",
    "--num-callers=40",
    "--max-stackframe=16000000",
    "--main-stacksize=16000000",
    "--undef-value-errors=no",
    "--quiet",
    f"--suppressions={Path(__file__).with_name('valgrind.supp')}",
]
_LEAKS = ["--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"]
_PYTEST = ["-m", "pytest", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:gevent_testkit", "-q"]


def parser(usage: str = "%(prog)s [--leaks] [pytest arguments]") -> argparse.ArgumentParser:
    """The parser of a script's command line, to which it can add."""
    made = argparse.ArgumentParser(usage=usage)
    made.add_argument("--leaks", action="store_true", help="also report memory that nothing points to at the end")
    made.add_argument("--suppressions", metavar="FILE", help="what else valgrind is to pass over")
    return made


def parse(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the arguments that are pytest's. Ends the process where valgrind is not installed."""
    options, rest = parser.parse_known_args()
    if shutil.which("valgrind") is None:
        parser.exit(2, "valgrind is not installed: it is in the package of that name\n")
    return options, rest


def run(options: argparse.Namespace, *arguments: str, **environment: str) -> int:
    """Run the interpreter with *arguments* under valgrind, with *environment* on top of this one's; its exit status."""
    suppressions = [f"--suppressions={options.suppressions}"] if options.suppressions else []
    leaks = _LEAKS if options.leaks else ["--leak-check=no"]
    variables = {"PYTHONMALLOC": "malloc", "PYTHONFAULTHANDLER": "", "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = ["valgrind", *_ALWAYS, *suppressions, *leaks, sys.executable, *arguments]
    return subprocess.run(command, env={**os.environ, **variables}, check=False).returncode


def run_pytest(
    options: argparse.Namespace, rest: list[str], files: Iterable[Path], left_out: Iterable[str], **environment: str
) -> int:
    """Run pytest with the arguments *rest*; on *files*, if those name none. *left_out* are parts of names of tests."""
    chosen = " and ".join(f"not {name}" for name in left_out)
    if "-k" in rest:
        position = rest.index("-k")
        chosen += f" and ({rest[position + 1]})"
        rest = rest[:position] + rest[position + 2 :]
    if not any(argument.endswith(".py") or "::" in argument for argument in rest):
        rest = [*rest, *map(str, files)]
    return run(options, *_PYTEST, "-k", chosen, *rest, **environment)
