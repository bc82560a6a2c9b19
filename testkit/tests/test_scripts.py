"""run_script: the child Python of the tests."""

import os
import signal
import time

import pytest
from gevent_testkit import Result, run_script


def test_source_status_and_output():
    done = run_script("import sys; print('out', sys.argv[1:]); print('err', file=sys.stderr); sys.exit(3)", "a", 7)
    assert done == Result(3, "out ['a', '7']\n", "err\n")


def test_a_path_is_run_as_a_file(tmp_path):
    path = tmp_path / "script.py"
    path.write_text("print(__file__)")
    assert run_script(path).check().stdout == f"{path}\n"


def test_a_killed_child_has_a_negative_status():
    assert run_script("import os, signal; os.kill(os.getpid(), signal.SIGKILL)").status == -signal.SIGKILL


def test_env_adds_and_removes(monkeypatch):
    monkeypatch.setenv("TESTKIT_OLD", "1")
    source = "import os; print(os.environ.get('TESTKIT_OLD'), os.environ.get('TESTKIT_NEW'))"
    assert run_script(source, env={"TESTKIT_OLD": None, "TESTKIT_NEW": 2}).stdout == "None 2\n"


def test_warnings_are_errors_in_the_child():
    done = run_script("import warnings; warnings.warn('mind')")
    assert done.status == 1
    assert "UserWarning: mind" in done.stderr


def test_check_refuses_a_failure_and_shows_the_output():
    with pytest.raises(AssertionError, match=r"(?s)status 1.*before.*ZeroDivisionError"):
        run_script("print('before', flush=True); 1/0").check()


def test_check_refuses_stderr_output():
    with pytest.raises(AssertionError, match="complaint"):
        run_script("import sys; print('complaint', file=sys.stderr)").check()


def test_time_limit_kills_the_child_and_its_children(tmp_path):
    pids = tmp_path / "pids"
    source = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
with open({str(pids)!r}, "w") as file:
    print(os.getpid(), child.pid, file=file)
print("started", flush=True)
child.wait()
"""
    with pytest.raises(AssertionError, match=r"(?s)did not end within [26] seconds.*started"):
        run_script(source, timeout=2)
    for pid in map(int, pids.read_text().split()):
        assert gone(pid), f"process {pid} is still there"


def gone(pid, patience=5):
    """Whether the process has ended; a killed grandchild needs a moment until init has reaped it."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False
