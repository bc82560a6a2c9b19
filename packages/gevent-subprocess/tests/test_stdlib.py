"""CPython's own tests of the modules that ours stand in for, on ours.

Here a selection runs; with ``GEVENT_STDLIB_TESTS=whole``, which the nox session ``stdlib`` sets, all of it, of two to three minutes.
Which tests cannot pass, and why, stands in scripts/stdlib_tests.py.
"""

import importlib.util
import os
from pathlib import Path

import pytest
from gevent_testkit import run_script

SCRIPT = Path(__file__).parent / "scripts" / "stdlib_tests.py"

#: {module: patterns of what is selected}; the classes left out run the same tests in another way, or wait for real time to pass.
SELECTED = {
    "test_subprocess": ["POSIXProcessTestCase", "RunFuncTestCase", "MiscTests", "ContextManagerTests"],
    "test_signal": ["PosixTests", "GenericTests", "WakeupFDTests", "RaiseSignalTest", "PidfdSignalTest"],
    "test_fork1": ["test_nested_import_lock", "test_threaded_import_lock"],
    "test_wait3": ["test_wait3_rusage_initialized"],
    "test_wait4": [],
    "test_pty": [],
    "test_popen": [],
}

WHOLE = os.environ.get("GEVENT_STDLIB_TESTS") == "whole"


@pytest.mark.timeout(400)
@pytest.mark.parametrize("module", SELECTED)
def test_of_the_interpreter(module, tmp_path):
    if importlib.util.find_spec(f"test.{module}") is None:
        pytest.skip("this interpreter was installed without its tests")
    selection = [] if WHOLE else [option for pattern in SELECTED[module] for option in ("-k", pattern)]
    # Its tests judge warnings by themselves.
    done = run_script(
        SCRIPT, module, *selection, cwd=tmp_path, timeout=380, env={"PYTHONWARNINGS": None, "PYTHONFAULTHANDLER": None}
    )
    assert done.status == 0, done.stdout + done.stderr
    assert "OK" in done.stderr
