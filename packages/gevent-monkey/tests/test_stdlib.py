"""MON-17: the interpreter's own tests under patch_all(): a short selection, the whole is ``nox -s stdlib``."""

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "stdlib"
_spec = importlib.util.spec_from_file_location("stdlib_run", FOLDER / "run.py")
runner = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runner)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("name", runner.SHORT)
def test_as_unpatched(name):
    """MON-17: what passes unpatched passes patched, but for what known_losses.json names with a reason."""
    if importlib.util.find_spec("test") is None or importlib.util.find_spec(f"test.{name}") is None:
        pytest.skip(f"{sys.executable} comes without test.{name}")
    _passed, lost, output = runner.compare(sys.executable, name, 90)
    known = runner.known_losses().get(name, {})
    unknown = {test: outcome for test, outcome in lost.items() if test.removeprefix("test.") not in known}
    assert unknown == {}, output


@pytest.mark.slow
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="CPython has preemption")
@pytest.mark.skipif(sys.version_info < (3, 11), reason="the test of signals wants one of them to be lost, up to Python 3.10")
@pytest.mark.parametrize("name", ["test_threading", "test_signal"])
def test_with_preemption(name):
    """What needs threads to be preempted passes with gevent.config.preempt_threads."""
    if importlib.util.find_spec("test") is None or importlib.util.find_spec(f"test.{name}") is None:
        pytest.skip(f"{sys.executable} comes without test.{name}")
    results, running, _status, output = runner.run_one(sys.executable, name, True, 90, preempted=True)
    if not results and running is None:
        pytest.skip("this version of Python has no such test")
    assert results == dict.fromkeys([f"test.{test}" for test in runner.PREEMPTED[name]], "ok"), output


def test_reasons():
    """Every known loss has a reason, and belongs to a file that is run."""
    for name, tests in runner.known_losses().items():
        assert name in runner.FILES or name.partition(".")[0] in runner.FILES
        assert all(isinstance(reason, str) and len(reason) > 20 for reason in tests.values()), name
    assert sum(map(len, runner.known_losses().values())) < 20


def test_what_needs_preemption_is_no_loss():
    """It is run, apart from the rest, and passes."""
    for name, tests in runner.PREEMPTED.items():
        assert name in runner.FILES
        assert not set(tests) & set(runner.known_losses().get(name, ()))


def test_comparison_finds_losses():
    """A test that fails, hangs or is not run when patched is lost; one that failed before is not."""
    plain = ({"a": "ok", "b": "ok", "c": "ok", "d": "fail", "e": "ok"}, None)
    patched = ({"a": "ok", "b": "error", "d": "fail"}, "c")
    assert runner.losses(plain, patched) == {"b": "error", "c": "hang or crash", "e": "not run"}
