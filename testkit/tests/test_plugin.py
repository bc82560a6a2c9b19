"""The plugin, run over small test files in a pytest of their own."""

import importlib.machinery
import os

import pytest
from gevent_testkit import REFERENCE_COUNTING
from gevent_testkit.interpreters import PATIENCE

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]  # each starts an interpreter with pytest and gevent


@pytest.fixture
def run(pytester, monkeypatch):
    """Run the given test source under the plugin; returns pytester's result."""
    for name in ("GEVENT_PURE_PYTHON", "GEVENT_LOOP"):
        monkeypatch.delenv(name, raising=False)
    # coverage and friends of the outer run have no business in the inner one
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(source, *options, env=()):
        for name, value in dict(env).items():
            monkeypatch.setenv(name, value)
        pytester.makepyfile(source)
        return pytester.runpytest_subprocess("-p", "gevent_testkit.plugin", "-W", "error", *options)

    return run


class TestLeaks:
    def test_a_clean_test_passes(self, run):
        result = run(
            """
            import greenlet, os, threading
            def test_clean():
                thread = threading.Thread(target=greenlet.greenlet(lambda: None).switch)
                del thread
                greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch()).switch()
                os.close(os.open("/dev/null", os.O_RDONLY))
                thread = threading.Thread(target=lambda: None)
                thread.start()
                thread.join()
            """
        )
        result.assert_outcomes(passed=1)

    def test_a_greenlet_is_reported_by_its_repr(self, run):
        result = run(
            """
            import greenlet
            kept = []
            class Mine(greenlet.greenlet):
                def __repr__(self):
                    return "<Mine, left>"
            def test_leak():
                kept.append(Mine(lambda: greenlet.getcurrent().parent.switch()))
                kept[0].switch()
            """
        )
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*the test left behind:*", "*greenlet <Mine, left>"])

    @pytest.mark.skipif(not REFERENCE_COUNTING, reason="PyPy's greenlets that have ended lead to no stack, and are not counted")
    def test_a_dead_greenlet_that_is_still_referred_to_is_reported_as_such(self, run):
        result = run(
            """
            import greenlet
            kept = []
            def test_leak():
                kept.append(greenlet.greenlet(lambda: None))
                kept[0].switch()
            """
        )
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*greenlet <greenlet.greenlet object *dead, but something refers to it)"])

    def test_a_greenlet_in_a_reference_cycle_is_no_leak(self, run):
        result = run(
            """
            import greenlet
            def test_cycle():
                each = greenlet.greenlet(lambda: None)
                each.itself = each
            """
        )
        result.assert_outcomes(passed=1)

    def test_a_descriptor_is_reported_by_its_target(self, run):
        result = run(
            """
            import os
            def test_leak(tmp_path):
                os.open(tmp_path / "forgotten", os.O_CREAT)
            """
        )
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*open descriptor * -> */forgotten"])

    def test_a_thread_is_reported_by_its_name(self, run):
        result = run(
            """
            import threading
            gate = threading.Event()
            def test_leak():
                threading.Thread(target=gate.wait, name="straggler", daemon=True).start()
            """
        )
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*Thread(straggler, *"])

    def test_a_thread_that_is_just_ending_is_no_leak(self, run):
        result = run(
            """
            import threading, time
            def test_ending():
                threading.Thread(target=time.sleep, args=(0.2,)).start()
            """
        )
        result.assert_outcomes(passed=1)

    def test_the_marker_excuses_one_test(self, run):
        result = run(
            """
            import os, pytest
            @pytest.mark.leaks("shows the marker")
            def test_leak():
                os.open("/dev/null", os.O_RDONLY)
            """
        )
        result.assert_outcomes(passed=1)

    def test_the_marker_wants_a_reason(self, run):
        result = run("import pytest\n@pytest.mark.leaks\ndef test_leak(): pass")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*the leaks marker takes the reason as a string*"])

    def test_a_failed_test_is_reported_once(self, run):
        result = run(
            """
            import os
            def test_leak():
                fd = os.open("/dev/null", os.O_RDONLY)
                assert fd < 0
            """
        )
        result.assert_outcomes(failed=1)

    def test_fixtures_are_torn_down_before_the_check(self, run):
        result = run(
            """
            import greenlet, os, pytest
            @pytest.fixture(scope="module")
            def wide():
                fd = os.open("/dev/null", os.O_RDONLY)
                yield fd
                os.close(fd)
            @pytest.fixture
            def narrow(wide):
                fd = os.open("/dev/null", os.O_RDONLY)
                each = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch())
                each.switch()
                yield each
                os.close(fd)
                each.throw()
            def test_one(narrow): pass
            def test_two(narrow): pass
            """
        )
        result.assert_outcomes(passed=2)

    @pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="children are looked for in /proc")
    def test_what_fixtures_leave_running_is_told_of_the_module(self, run):
        result = run(
            """
            import pytest, subprocess, threading
            gate, kept = threading.Event(), []
            @pytest.fixture(scope="module")
            def wide():
                threading.Thread(target=gate.wait, name="straggler", daemon=True).start()
                kept.append(subprocess.Popen(["sleep", "2"]))
                kept.append(subprocess.Popen(["true"]))
            @pytest.fixture(scope="module")
            def tidy():
                with subprocess.Popen(["sleep", "100"]) as child:
                    yield
                    child.kill()
            def test_one(wide, tidy): pass
            def test_two(): pass
            """
        )
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(
            [
                "*the tests of * left running:*",
                "*child process * (sleep)",
                "*child process * (true, ended but not waited for)",
                "*Thread(straggler, *",
            ]
        )


class TestHub:
    """The same with gevent itself."""

    def test_the_hub_and_its_pool_are_no_leak(self, run):
        pytest.importorskip("gevent")
        result = run(
            """
            def test_first_use():
                import gevent
                gevent.sleep(0)
                assert gevent.get_hub().threadpool.apply(int) == 0
                gevent.spawn(gevent.sleep, 0.001).join()
            """
        )
        result.assert_outcomes(passed=1)

    def test_a_greenlet_that_sleeps_on_is_a_leak(self, run):
        pytest.importorskip("gevent")
        result = run(
            """
            import gevent
            def forgotten_task():
                gevent.sleep(1000)
            def test_leak():
                gevent.spawn(forgotten_task)
                gevent.sleep(0)
            """
        )
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*greenlet <Greenlet *forgotten_task*>*"])

    def test_a_failed_test_leaves_the_next_one_a_loop_with_nothing_to_do(self, run):
        pytest.importorskip("gevent")
        result = run(
            """
            import gevent.event, pytest
            @pytest.mark.timeout(10)
            def test_fails():
                jobs = [gevent.spawn(gevent.sleep, 1000), gevent.spawn_raw(gevent.sleep, 1000), gevent.spawn_later(1000, int)]
                gevent.sleep(0)
                assert not jobs
            @pytest.mark.timeout(10)
            def test_waits():
                with pytest.raises(gevent.hub.LoopExit):
                    gevent.event.Event().wait()
            """,
        )
        result.assert_outcomes(passed=1, failed=1)

    def test_a_greenlet_that_is_being_killed_is_no_leak(self, run):
        pytest.importorskip("gevent")
        result = run(
            """
            import gevent
            def test_killed():
                task = gevent.spawn(gevent.sleep, 1000)
                gevent.sleep(0)
                task.kill(block=False)
            """
        )
        result.assert_outcomes(passed=1)

    def test_a_started_watcher_is_a_leak(self, run):
        pytest.importorskip("gevent")
        result = run(
            """
            import gevent
            kept = []
            def test_leak():
                kept.append(gevent.get_hub().loop.timer(1000))
                kept[0].start(print)
            """
        )
        result.assert_outcomes(passed=1, errors=1)
        result.stdout.fnmatch_lines(["*1 started watcher(s) more than before*"])


class TestTimeLimit:
    def test_a_hanging_test_ends_the_run_with_its_stack(self, run, pytester):
        result = run(
            """
            import pytest, threading
            @pytest.mark.timeout(1)
            def test_hangs():
                threading.Lock().acquire()
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()
            """
        )
        assert result.ret == 1
        result.stderr.fnmatch_lines([f"Timeout (0:00:0{PATIENCE})!", "*test_*.py*in test_hangs"])
        running = pytester.path / ".pytest_cache" / "running-test"
        assert running.read_text().endswith("::test_hangs")

    def test_the_limit_is_per_test(self, run, pytester):
        result = run(
            """
            import pytest, time
            pytestmark = pytest.mark.timeout(2)
            @pytest.mark.parametrize("n", range(5))
            def test_short(n):
                time.sleep(0.5)
            """
        )
        result.assert_outcomes(passed=5)
        assert not (pytester.path / ".pytest_cache" / "running-test").exists()

    def test_the_marker_wants_a_number(self, run):
        result = run("import pytest\n@pytest.mark.timeout(0)\ndef test(): pass")
        result.stderr.fnmatch_lines(["*the timeout marker takes one positive number of seconds*"])
        assert result.ret != 0


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="on PyPy nothing is compiled by Cython, so nothing can be stale")
class TestStaleBuilds:
    @pytest.fixture
    def package(self, pytester):
        """A source folder with a stale module `from_py`, made from Python; the test adds others."""
        package = pytester.path / "packages" / "some" / "src"
        package.mkdir(parents=True)
        for name in ("from_py.py", "from_py.pxd"):
            (package / name).touch()
        self.compile_long_ago(package, "from_py")
        return package

    def compile_long_ago(self, package, name):
        built = package / (name + importlib.machinery.EXTENSION_SUFFIXES[0])
        built.touch()
        os.utime(built, (1000, 1000))

    def test_the_run_is_refused_with_advice(self, run, package):
        result = run("def test(): pass", "--rootdir=.")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*packages/some/src/from_py.py (from_py.p* has changed*", "*nox -s build*"])

    def test_without_compiled_modules_only_those_of_pyx_can_be_stale(self, run, package):
        pure = {"GEVENT_PURE_PYTHON": "1"}
        run("def test(): pass", "--rootdir=.", env=pure).assert_outcomes(passed=1)
        (package / "from_pyx.pyx").touch()
        self.compile_long_ago(package, "from_pyx")
        result = run("def test(): pass", "--rootdir=.", env=pure)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.no_fnmatch_line("*from_py.py*")
        result.stderr.fnmatch_lines(["*from_pyx.pyx (from_pyx.pyx has changed*"])
