"""Running a child Python: for tests of what changes a whole process (patching, forking, signals, exit)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gevent_testkit.interpreters import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Errors, but for what CPython 3.12 and later say of a fork beside native threads, which many scripts are about.
_WARNINGS = "error,ignore:This process:DeprecationWarning"


class Result(NamedTuple):
    """How a child ended: its exit status (negative: the signal that killed it) and what it printed."""

    status: int
    stdout: str
    stderr: str

    def check(self) -> Result:
        """This result, if the status is 0 and nothing was printed to stderr; otherwise AssertionError with all of it."""
        if self.status or self.stderr:
            raise AssertionError(f"the script ended with status {self.status}\n{self._output()}")
        return self

    def _output(self) -> str:
        return f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def run_script(
    script: str | Path,
    *arguments: object,
    env: Mapping[str, object] | None = None,
    timeout: float = 20,
    cwd: str | Path | None = None,
    stdin: str = "",
) -> Result:
    """Run *script* in a child of the running interpreter and wait for it; returns a :class:`Result`.

    *script* is a :class:`~pathlib.Path` of a file, or the source itself. *env* is laid over the environment; a value of None
    removes a variable. Warnings are errors in the child too, but for those of forks beside threads; *env* may set ``PYTHONWARNINGS``.
    After *timeout* seconds, or PATIENCE times as many, the child and all its children are killed, and AssertionError tells what was
    printed so far.
    """
    command = [sys.executable, *([str(script)] if isinstance(script, Path) else ["-c", script]), *map(str, arguments)]
    wanted = {**os.environ, "PYTHONWARNINGS": _WARNINGS, "PYTHONFAULTHANDLER": "1", **(env or {})}
    environment = {name: str(value) for name, value in wanted.items() if value is not None}
    # A session of its own, so that grandchildren which inherited the pipes can be killed along with the child.
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=cwd,
        text=True,
        errors="backslashreplace",
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(stdin, timeout * PATIENCE)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            result = Result(process.returncode, stdout, stderr)
            raise AssertionError(f"the script did not end within {timeout * PATIENCE} seconds\n{result._output()}") from None
        raise
    return Result(process.returncode, stdout, stderr)
