"""CPython's own tests of the modules that ours stand in for, on ours.

Here a selection runs; with ``GEVENT_STDLIB_TESTS=whole``, which the nox session ``stdlib`` sets, all of it, of two to three minutes.
Each file is a process of its own; see scripts/stdlib_tests.py.
"""

import os
from pathlib import Path

import pytest
from gevent_testkit import stdlib

SCRIPT = Path(__file__).parent / "scripts" / "stdlib_tests.py"

#: {file: patterns of what is selected}; the classes left out run the same tests in another way, or wait for real time to pass.
SELECTED = {
    "test_subprocess": ["POSIXProcessTestCase.*", "RunFuncTestCase.*", "MiscTests.*", "ContextManagerTests.*"],
    "test_signal": ["PosixTests.*", "GenericTests.*", "WakeupFDTests.*", "RaiseSignalTest.*", "PidfdSignalTest.*"],
    "test_fork1": ["*.test_nested_import_lock*", "*.test_threaded_import_lock*"],
    "test_wait3": ["*.test_wait3_rusage_initialized"],
    "test_wait4": [],
    "test_pty": [],
    "test_popen": [],
}

#: {file: {test that cannot pass: why}}.
DIFFERENCES = {
    "test_subprocess": {
        "POSIXProcessTestCase.test_stopped": "takes the status by os.waitpid, and has a mocked os.waitpid give Popen another one; "
        "but our os.waitpid has told Popen already",
    },
}

WHOLE = os.environ.get("GEVENT_STDLIB_TESTS") == "whole"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("file", SELECTED)
def test_of_the_interpreter(file, tmp_path):
    only = [] if WHOLE else SELECTED[file]
    stdlib.check(stdlib.outcomes(SCRIPT, file, only, timeout=380, cwd=tmp_path), DIFFERENCES.get(file, {}))
