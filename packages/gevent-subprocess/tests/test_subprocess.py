"""gevent.subprocess: the interpreter's own, and nobody else waits. What CPython's tests show is not shown again here: test_stdlib.py."""

import contextlib
import fcntl
import gc
import inspect
import io
import os
import resource
import shutil
import signal
import subprocess as stdlib
import sys
import threading
import warnings
from pathlib import Path
from unittest import mock

import gevent
import gevent.os
import pytest
from gevent import _reaper, subprocess
from gevent.event import AsyncResult, Event
from gevent.exceptions import BlockingSwitchOutError
from gevent.fileobject import FileObjectPosix
from gevent.subprocess import PIPE, Popen, TimeoutExpired
from gevent_testkit import run_script
from gevent_testkit.children import wait_for_end

SCRIPTS = Path(__file__).parent / "scripts"

#: Runs until its standard input is closed, then ends with status 3.
UNTIL_EOF = ["sh", "-c", "read line; exit 3"]

#: Runs until it is killed.
ENDLESS = ["sleep", "1000"]


@contextlib.contextmanager
def ended(popen):
    """Kill and collect a child whatever happens."""
    try:
        yield popen
    finally:
        popen.kill()
        with popen:
            pass


def is_gone(pid):
    """Whether there is no such child, not even a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def open_descriptors():
    return set(os.listdir("/dev/fd"))


# ---- The module ------------------------------------------------------------------------------------------------------------------


def test_names():
    """Everything that the interpreter's module has, its exceptions and constants the same objects."""
    assert set(stdlib.__all__) <= set(subprocess.__all__)
    for name in stdlib.__all__:
        same = getattr(subprocess, name) is getattr(stdlib, name)
        assert same is (name not in subprocess.__implements__), name
    assert {"Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"} == set(subprocess.__implements__)
    assert subprocess.list2cmdline(["a b"]) == '"a b"'
    assert subprocess.MAXFD > 2
    assert subprocess.__doc__.startswith("Child processes")


def test_functions():
    assert subprocess.run("echo out; echo err >&2; exit 3", shell=True, capture_output=True) == mock.ANY
    done = subprocess.run("echo out; echo err >&2; exit 3", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert isinstance(done, stdlib.CompletedProcess)
    assert subprocess.call(["sh", "-c", "exit 4"]) == 4
    assert subprocess.check_output(["cat"], input=b"given") == b"given"
    with pytest.raises(stdlib.CalledProcessError) as caught:
        subprocess.check_call(["sh", "-c", "kill -TERM $$"])
    assert caught.value.returncode == -signal.SIGTERM
    assert subprocess.getoutput("echo hello") == "hello"
    assert subprocess.getstatusoutput("exit 5") == (5, "")


def test_switches_of_the_standard_module(monkeypatch):
    """What the documentation says how to switch off is switched off here too, set there or here; whatever was set last."""
    spawned = []
    monkeypatch.setattr(Popen, "_posix_spawn", lambda self, *args: spawned.append(True) or 1 / 0)
    for module, value in ((stdlib, True), (stdlib, False), (subprocess, True), (stdlib, True), (subprocess, False)):
        monkeypatch.setattr(module, "_USE_POSIX_SPAWN", value)
        try:
            Popen([shutil.which("true")], close_fds=False).wait()
        except ZeroDivisionError:
            continue
        spawned.append(False)
    assert spawned == [True, False, True, True, False]


@pytest.mark.skipif(
    not (hasattr(stdlib, "_USE_VFORK") and hasattr(stdlib, "_fork_exec")),
    reason="the standard module of this interpreter has no switch for vfork() that could be watched",
)
def test_the_switch_for_vfork(monkeypatch):
    used = []
    monkeypatch.setattr(subprocess, "_fork_exec", lambda *args: used.append(bool(args[-1])) or 1 / 0)
    for module, value in ((None, True), (stdlib, False), (subprocess, True), (stdlib, True), (subprocess, False)):
        if module is not None:
            monkeypatch.setattr(module, "_USE_VFORK", value)
        with pytest.raises(ZeroDivisionError):
            Popen(["true"])
    assert used == [True, False, True, True, False]


def test_others_run_meanwhile(method):
    """Waiting, communicating, reading and writing keep nobody waiting."""

    def run_five_times(source):
        for _ in range(5):
            gevent.sleep(0.001)
        source.close()

    for action in (
        lambda child: child.wait(),
        lambda child: child.wait(20),
        lambda child: child.communicate(),
        lambda child: child.communicate(timeout=20),
        lambda child: child.stdout.read(),
        lambda child: child.stdout.readline(),
    ):
        with ended(Popen(["sh", "-c", "read line; echo; exit 3"], stdin=PIPE, stdout=PIPE)) as child:
            source, child.stdin = child.stdin, None
            other = gevent.spawn(run_five_times, source)
            action(child)  # the child ends when the other has run
            assert other.ready()
            assert child.wait() == 3


# ---- Waiting ---------------------------------------------------------------------------------------------------------------------


def test_wait_with_timeout(method):
    """SUB-01: TimeoutExpired, and the child can be waited for again."""
    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        for timeout in (0, -1, 0.01):
            with pytest.raises(TimeoutExpired) as caught:
                child.wait(timeout)
            assert (caught.value.cmd, caught.value.timeout) == (UNTIL_EOF, timeout)
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(20) == 3
        assert child.wait(0) == 3


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("stderr", [PIPE, subprocess.STDOUT, None])
def test_communicate_with_timeout(text, stderr):
    """SUB-01: the output so far is in the exception, and in what the next call returns."""
    script = "echo one; read line; echo two; echo wrong >&2" if stderr else "echo one; read line; echo two"
    with ended(Popen(["sh", "-c", script], stdin=PIPE, stdout=PIPE, stderr=stderr, text=text)) as child:
        source, child.stdin = child.stdin, None
        with pytest.raises(TimeoutExpired) as caught:
            child.communicate(timeout=0.2)
        assert caught.value.output == b"one\n"
        source.close()
        out, err = child.communicate(timeout=20)
        expected = "one\ntwo\n" + ("wrong\n" if stderr == subprocess.STDOUT else "")
        wrong = "wrong\n" if stderr == PIPE else None
        assert (out, err) == ((expected, wrong) if text else (expected.encode(), wrong and wrong.encode()))
        assert child.returncode == 0


def test_communicate_with_timeout_and_no_pipe():
    """SUB-02: the timeout counts when there is nothing to communicate by."""
    with ended(Popen(ENDLESS)) as child:
        with pytest.raises(TimeoutExpired):
            child.communicate(timeout=0.01)
        child.kill()
        assert child.communicate(timeout=20) == (None, None)


@pytest.mark.parametrize("function", ["run", "call", "check_call", "check_output"])
def test_functions_with_timeout(function):
    """SUB-06: the child is killed and collected before the exception comes."""
    children = []

    class Recorded(Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            children.append(self)

    with mock.patch.object(subprocess, "Popen", Recorded), pytest.raises(TimeoutExpired):
        getattr(subprocess, function)(ENDLESS, timeout=0.01)
    assert children[0].returncode == -signal.SIGKILL
    assert is_gone(children[0].pid)


def test_timeout_does_not_wait_for_grandchildren():
    """run() comes back after its timeout, although a grandchild still holds the pipes."""
    with gevent.Timeout(5), pytest.raises(TimeoutExpired) as caught:
        subprocess.run("echo here; sleep 7 & sleep 7", shell=True, timeout=0.1, capture_output=True)
    assert caught.value.output == b"here\n"


def test_poll(method):
    """SUB-08: poll() tells at once, neither blocking nor switching, and collects the child."""
    others = gevent.spawn(lambda: None)
    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        assert child.poll() is None
        child.stdin.close()
        wait_for_end(child.pid)
        assert child.returncode is None
        assert (child.poll(), child.returncode) == (3, 3)
        assert is_gone(child.pid)
        assert not others.started or not others.dead
    others.join()


def test_gevent_wait(method):
    """SUB-08: children are waited for along with everything else."""
    first, second = (Popen(UNTIL_EOF, stdin=PIPE) for _ in range(2))
    with ended(first), ended(second):
        assert gevent.wait([first, second], timeout=0.01) == []
        second.stdin.close()
        assert gevent.wait([first, second], count=1, timeout=20) == [second]
        assert second.returncode == 3
        first.stdin.close()
        assert gevent.wait([first, second], timeout=20) == [second, first]
        assert isinstance(first.result, AsyncResult)
        assert (first.result.get(), second.result.get()) == (3, 3)


def test_rawlink(method):
    """SUB-08: links are called in order, with the Popen, and can be taken back."""
    order = []
    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        links = [lambda popen, number=number: order.append((number, popen)) for number in range(3)]
        for link in links:
            child.rawlink(link)
        child.unlink(links[1])
        child.stdin.close()
        assert child.wait() == 3
        child.result.get()
        gevent.sleep(0)
        assert order == [(0, child), (2, child)]
        late = Event()
        child.rawlink(lambda popen: late.set())
        assert late.wait(5)
        with pytest.raises(TypeError, match="7"):
            child.rawlink(7)


def test_killed_while_waiting(method):
    """A greenlet that is killed in wait() leaves no trace, and others get the status."""
    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        waiting = [gevent.spawn(child.wait) for _ in range(3)]
        gevent.sleep(0)
        waiting[0].kill()
        child.stdin.close()
        assert [each.get() for each in waiting[1:]] == [3, 3]
        assert is_gone(child.pid)


def test_in_the_hub(method):
    """Where nobody can wait, poll() works and wait() says so; once the child has ended, that works too."""
    seen = []

    def look(child):
        seen.append(child.poll())
        try:
            seen.append(child.wait())
        except BlockingSwitchOutError:
            seen.append("blocks")

    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        gevent.get_hub().loop.run_callback(look, child)
        gevent.sleep(0)
        child.stdin.close()
        wait_for_end(child.pid)
        gevent.get_hub().loop.run_callback(look, child)
        gevent.sleep(0)
    assert seen == [None, "blocks", 3, 3]


# ---- Exactly once ----------------------------------------------------------------------------------------------------------------


def test_status_taken_by_waitpid(method):
    """SUB-07: gevent.os.waitpid, for this child or any, takes no status from a Popen: not from one that waits, nor from others."""
    for asked in (None, -1):
        with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child, ended(Popen(["sh", "-c", "exit 4"])) as other:
            waiting = gevent.spawn(child.wait)
            wait_for_end(other.pid)
            assert gevent.os.waitpid(asked or other.pid, 0) == (other.pid, 4 << 8)
            child.stdin.close()
            wait_for_end(child.pid)
            assert gevent.os.waitpid(asked or child.pid, os.WNOHANG) == (child.pid, 3 << 8)
            assert waiting.get() == 3
            assert other.poll() == 4


def test_status_taken_by_a_watcher(method):
    """SUB-07: a child watcher of somebody else's neither."""
    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        told = Event()
        watcher = gevent.get_hub().loop.child(child.pid)
        watcher.start(told.set)
        child.stdin.close()
        assert told.wait(20)
        assert watcher.rstatus == 3 << 8
        assert child.poll() == 3
        with pytest.raises(ChildProcessError):
            gevent.os.waitpid(child.pid, 0)


def test_status_that_nobody_knows(method):
    """Who goes to the kernel himself leaves nothing: the return code is 0 then, as the standard library has it."""
    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        waiting = gevent.spawn(child.wait)
        gevent.sleep(0)
        child.stdin.close()
        os.waitpid(child.pid, 0)
        assert waiting.get() == 0
        assert child.pid not in _reaper._claims


@pytest.mark.parametrize("call", ["_waitpid", "_wait4", "_waitid"])
def test_handler_that_comes_in_the_middle(method, monkeypatch, call):
    """A signal handler that collects children may run between any two steps of asking for one: whoever asks hears of it all the same."""
    real = getattr(_reaper, call)
    if real is None:
        pytest.skip("os.waitid is not in this interpreter")
    taken = []

    def interrupted(*args):
        if not taken:
            taken.append(None)
            taken[0] = gevent.os.waitpid(-1, os.WNOHANG)
        return real(*args)

    child = Popen(["sh", "-c", "exit 7"])
    wait_for_end(child.pid)
    monkeypatch.setattr(_reaper, call, interrupted)
    if call == "_waitpid":
        assert child.wait() == 7
    else:  # as a watcher asks
        watching = _reaper.claim(child.pid)
        assert _reaper.collect(watching, keep=True) == (child.pid, 7 << 8)
        assert child.wait() == 7
    assert taken == [(child.pid, 7 << 8)]


@pytest.mark.parametrize("method", ["pidfd", "sigchld"])
@pytest.mark.parametrize("patched", ["patched", "plain"])
def test_sigchld_handlers(method, patched):
    """SUB-07: handlers for SIGCHLD, set before and after, that collect children or not, and a storm of children: nothing is lost."""
    run_script(SCRIPTS / "sigchld_handlers.py", patched, env={"GEVENT_CHILD_WATCHER": method}, timeout=60).check()


@pytest.mark.parametrize("method", ["pidfd", "sigchld"])
def test_multiprocessing(method):
    """SUB-10: multiprocessing.Process on our fork and waitpid, beside a Popen and a waitpid for any child (SUB-07)."""
    run_script(SCRIPTS / "multiprocessing_process.py", env={"GEVENT_CHILD_WATCHER": method}, timeout=60).check()


# ---- Native threads --------------------------------------------------------------------------------------------------------------


def in_threads(*functions):
    """Run each in a native thread of its own, meanwhile this thread's hub; the results, or the first error."""
    results = [AsyncResult() for _ in functions]
    loop = gevent.get_hub().loop

    def run(function, result):
        try:
            done = result.set, function()
        except BaseException as error:
            done = result.set_exception, error
        loop.run_callback_threadsafe(*done)

    threads = [threading.Thread(target=run, args=each) for each in zip(functions, results)]
    for each in threads:
        each.start()
    values = [each.get(timeout=25) for each in results]
    for each in threads:
        each.join()
    return values


def test_native_threads(method):
    """SUB-09: they start children, communicate and wait, each with its own hub."""

    def work():
        jobs = [gevent.spawn(subprocess.run, ["sh", "-c", f"cat; exit {n}"], input=b"in", stdout=PIPE) for n in range(4)]
        return [(job.get().returncode, job.get().stdout) for job in jobs]

    assert in_threads(*[work] * 4) == [[(n, b"in") for n in range(4)]] * 4


def test_waiting_in_another_thread_than_it_was_made(method):
    """SUB-09: any thread may wait, several at the same time too, and all are told."""
    with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
        gevent.spawn_later(0.02, child.stdin.close)
        here = gevent.spawn(child.wait)
        assert in_threads(*[child.wait] * 3) == [3, 3, 3]
        assert here.get() == 3
    [child] = in_threads(lambda: Popen(["sh", "-c", "exit 5"]))
    assert child.wait() == 5


# ---- Starting --------------------------------------------------------------------------------------------------------------------


def test_failing_to_start():
    """SUB-03: what keeps the child from starting is raised here, and no descriptor, no zombie is left."""
    before = open_descriptors()
    for error, args, options in (
        (FileNotFoundError, ["/nowhere/program"], {}),
        (FileNotFoundError, ["true"], {"cwd": "/nowhere"}),
        (PermissionError, ["/"], {}),
        (stdlib.SubprocessError, ["true"], {"preexec_fn": lambda: 1 / 0}),
        (LookupError, ["true"], {"encoding": "no-such-encoding"}),
        (ValueError, ["nul\0inside"], {}),
        (TypeError, [1], {}),
    ):
        with pytest.raises(error):
            Popen(args, stdin=PIPE, stdout=PIPE, stderr=PIPE, **options)
        gc.collect()
        assert open_descriptors() == before, error
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(("stdin", "needed"), [(PIPE, 8), (subprocess.DEVNULL, 7)], ids=["pipe", "devnull"])
def test_no_descriptors_left(stdin, needed):
    """SUB-03: EMFILE while the pipes are made, and later: everything that was opened is closed again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, open_descriptors()))
    fillers = [os.dup(2)]
    while fillers[-1] < highest:
        fillers.append(os.dup(2))
    gc.collect()
    before = open_descriptors()
    failed = 0
    try:
        # What the child gets, and the pipe by which it tells of its failure.
        for spare in range(needed + 1):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(highest, *fillers) + 1 + spare, hard))
            try:
                with Popen(["true"], stdin=stdin, stdout=PIPE, stderr=PIPE) as child:
                    child.wait()
            except OSError:
                failed += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert failed == needed
    gc.collect()
    assert open_descriptors() == before
    for each in fillers:
        os.close(each)


def test_waiting_without_a_descriptor():
    """When there is none left for a pidfd, waiting works nevertheless, in the main thread and in others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def wait():
        gevent.sleep(0)  # makes the hub
        with ended(Popen(UNTIL_EOF, stdin=PIPE)) as child:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                gevent.spawn_later(0.02, child.stdin.close)
                return child.wait()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert wait() == 3
    assert in_threads(wait) == [3]


def test_a_slow_preexec_fn_keeps_nobody_waiting():
    """While the child is between fork and exec, others run: here it waits for one of them."""
    read, write = os.pipe()
    job = gevent.spawn(Popen, ["sh", "-c", "exit 6"], preexec_fn=lambda: os.read(read, 1))
    gevent.sleep(0)
    assert not job.ready()
    os.write(write, b"x")
    assert job.get().wait() == 6
    os.close(read)
    os.close(write)


@pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")
def test_killed_while_starting():
    """Whoever is killed there leaves no descriptor; the child is collected when the next one is made."""
    before = open_descriptors()
    read, write = os.pipe()
    pids = []

    class Noted(Popen):
        def __del__(self, *args):
            pids.append(self.pid)
            super().__del__(*args)

    job = gevent.spawn(Noted, ["true"], preexec_fn=lambda: os.read(read, 1), stdin=PIPE, stdout=PIPE)
    gevent.sleep(0)
    job.kill()
    job = None
    gc.collect()
    os.write(write, b"x")
    os.close(read)
    os.close(write)
    assert open_descriptors() == before
    [pid] = pids
    wait_for_end(pid)
    assert subprocess.call(["true"]) == 0
    assert is_gone(pid)


def test_bufsize():
    """SUB-04: it is honoured; by default there is a buffer, and None is the default."""
    for bufsize, kind in ((-1, io.BufferedIOBase), (None, io.BufferedIOBase), (0, io.RawIOBase), (4096, io.BufferedIOBase)):
        with ended(Popen(["cat"], bufsize=bufsize, stdin=PIPE, stdout=PIPE)) as child:
            assert isinstance(child.stdin, kind)
            assert isinstance(child.stdout, kind)
            assert isinstance(child.stdin, FileObjectPosix)
            child.stdin.write(b"x")
            if bufsize != 0:
                child.stdin.flush()
            assert child.stdout.read(1) == b"x"
    with ended(Popen(["cat"], bufsize=1, stdin=PIPE, stdout=PIPE, text=True)) as child:
        child.stdin.write("line\n")
        assert child.stdout.readline() == "line\n"
    with ended(Popen(["true"])) as child:
        assert (child.stdin, child.stdout, child.stderr) == (None, None, None)


def test_pass_fds():
    """SUB-05: those and no others are there; close_fds=False is overridden, with a warning."""
    read, write = os.pipe()
    script = f"import os; os.write({write}, b'x')"
    with pytest.warns(RuntimeWarning, match="close_fds"):
        assert subprocess.call([sys.executable, "-c", script], pass_fds=[write], close_fds=False) == 0
    assert os.read(read, 1) == b"x"
    assert subprocess.call([sys.executable, "-c", script], stderr=subprocess.DEVNULL) == 1
    os.close(read)
    os.close(write)


def test_start_new_session_and_restore_signals():
    """SUB-05: the other two."""
    script = "import os, signal; print(os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL)"

    def told(**options):
        return subprocess.check_output([sys.executable, "-S", "-c", "import signal; " + script], text=True, **options).split()

    assert told() == ["False", "False"]  # Python ignores SIGPIPE by itself
    assert told(start_new_session=True)[0] == "True"
    status = "import re; print(int(re.search('SigIgn:\\\\s*(\\\\w+)', open('/proc/self/status').read())[1], 16) >> 12 & 1)"
    shell = "grep SigIgn /proc/self/status"
    ignored = [
        int(subprocess.check_output(shell, shell=True, restore_signals=restore).split()[1], 16) >> signal.SIGPIPE - 1 & 1
        for restore in (True, False)
    ]
    assert ignored == [0, 1], status


# Only root may become somebody else.
ROOT = os.getuid() == 0
ANOTHER = 12345 if ROOT else os.getuid()
ANOTHER_GROUP = 12345 if ROOT else os.getgid()
GROUPS = [12346, 12347] if ROOT else os.getgroups()
#: {argument of Popen: (options, a command, what it prints with them)}.
ARGUMENTS = {
    "args": ({}, ["echo", "x"], "x"),
    "bufsize": ({"bufsize": 0}, ["echo", "x"], "x"),
    "executable": ({"executable": "/bin/echo"}, ["no such program", "x"], "x"),
    "stdin": ({"stdin": subprocess.DEVNULL}, ["cat"], ""),
    "stdout": ({}, ["echo", "x"], "x"),
    "stderr": ({"stderr": subprocess.STDOUT}, ["sh", "-c", "echo x >&2"], "x"),
    "preexec_fn": ({"preexec_fn": lambda: os.write(1, b"y")}, ["echo", "x"], "yx"),
    "close_fds": ({"close_fds": True}, ["echo", "x"], "x"),
    "shell": ({"shell": True}, "echo x | tr x y", "y"),
    "cwd": ({"cwd": "/"}, ["pwd"], "/"),
    "env": ({"env": {"NAME": "x"}}, ["/bin/sh", "-c", "echo $NAME"], "x"),
    "universal_newlines": ({"universal_newlines": True}, ["printf", "x\\r\\n"], "x"),
    "startupinfo": ({"startupinfo": None}, ["echo", "x"], "x"),
    "creationflags": ({"creationflags": 0}, ["echo", "x"], "x"),
    "restore_signals": ({"restore_signals": True}, ["echo", "x"], "x"),
    "start_new_session": ({"start_new_session": True}, ["sh", "-c", "test $(ps -o sid= $$) = $$ && echo x"], "x"),
    "pass_fds": ({"pass_fds": (2,)}, ["echo", "x"], "x"),
    "user": ({"user": ANOTHER}, ["id", "-u"], str(ANOTHER)),
    "group": ({"group": ANOTHER_GROUP}, ["id", "-g"], str(ANOTHER_GROUP)),
    "extra_groups": (
        {"extra_groups": GROUPS} if ROOT else {},
        ["id", "-G"],
        " ".join(map(str, [os.getgid(), *GROUPS] if ROOT else dict.fromkeys([os.getgid(), *GROUPS]))),
    ),
    "encoding": ({"encoding": "utf-16-le"}, ["printf", "x\\0y\\0"], "xy"),
    "errors": ({"errors": "replace", "encoding": "ascii"}, ["printf", "\\377"], "\ufffd"),
    "text": ({"text": True}, ["echo", "x"], "x"),
    "umask": ({"umask": 0o27}, ["sh", "-c", "umask"], "0027"),
    "pipesize": ({"pipesize": 1 << 16}, ["echo", "x"], "x"),
    "process_group": ({"process_group": 0}, ["sh", "-c", "test $(ps -o pgid= $$) = $$ && echo x"], "x"),
}


@pytest.mark.parametrize("name", [each for each in inspect.signature(stdlib.Popen.__init__).parameters if each != "self"])
def test_each_argument(name):
    """SUB-05: every argument of the interpreter's Popen is taken, and does what it does there. A new one has to come into the table."""
    options, args, output = ARGUMENTS[name]
    found = []
    for module in (subprocess, stdlib):
        done = module.run(args, stdout=PIPE, **options)
        found.append(done.stdout if isinstance(done.stdout, str) else done.stdout.decode())
    assert [each.strip() for each in found] == [output, output]


def test_arguments_in_effect():
    """What of the newer arguments a child's output does not show."""
    if sys.version_info >= (3, 10) and hasattr(fcntl, "F_GETPIPE_SZ"):
        with ended(Popen(["cat"], stdin=PIPE, stdout=PIPE, pipesize=1 << 17)) as child:
            assert [fcntl.fcntl(each, fcntl.F_GETPIPE_SZ) for each in (child.stdin, child.stdout)] == [1 << 17] * 2
        assert subprocess.run(["cat"], input=b"x" * 200_000, stdout=PIPE, pipesize=1 << 16).stdout == b"x" * 200_000
    if sys.version_info >= (3, 11):
        with (
            ended(Popen(["cat"], stdin=PIPE, process_group=0)) as first,
            ended(Popen(["cat"], stdin=PIPE, process_group=first.pid)) as second,
        ):
            assert os.getpgid(second.pid) == os.getpgid(first.pid) == first.pid
    assert Popen(["true"], threadpool=None).wait() == 0
    with pytest.raises(TypeError, match="no_such_argument"):
        Popen(["true"], no_such_argument=1)
    for options in ({"user": "no such user"}, {"group": "no such group"}, {"extra_groups": ["no such group"]}):
        with pytest.raises((KeyError, PermissionError)):
            Popen(["true"], **options)


def test_child_never_comes_back():
    """SUB-11: whatever fails before exec, no code of the parent's runs in the child."""
    script = """
import atexit, os
from gevent import subprocess
parent = os.getpid()
atexit.register(lambda: print("parent" if os.getpid() == parent else "child", flush=True))
def leave():
    raise SystemExit(0)
for options in (dict(preexec_fn=leave), dict(preexec_fn=lambda: 1 / 0), dict(cwd="/nowhere")):
    try:
        subprocess.Popen(["true"], **options)
    except (subprocess.SubprocessError, OSError) as error:
        print(type(error).__name__, flush=True)
"""
    done = run_script(script).check()
    assert done.stdout.split() == ["SubprocessError", "SubprocessError", "FileNotFoundError", "parent"]


def test_context_manager():
    """SUB-12: it closes the streams and waits."""
    with Popen(UNTIL_EOF, stdin=PIPE, stdout=PIPE, stderr=PIPE) as child:
        assert child.returncode is None
    assert (child.stdin.closed, child.stdout.closed, child.stderr.closed) == (True, True, True)
    assert child.returncode == 3


@pytest.mark.parametrize("name", ["universal_newlines", "text", "encoding"])
def test_text(name):
    """SUB-13: text streams that translate the ends of lines."""
    options = {name: "utf-8" if name == "encoding" else True}
    with ended(Popen(["sh", "-c", r"cat; printf 'a\r\nb\rc\n'"], stdin=PIPE, stdout=PIPE, **options)) as child:
        assert isinstance(child.stdout, io.TextIOBase)
        child.stdin.write("ä\n")
        child.stdin.close()
        assert child.stdout.readline() == "ä\n"
        assert list(child.stdout) == ["a\n", "b\n", "c\n"]
    assert subprocess.check_output(["cat"], input="x\n", **options) == "x\n"


# ---- Pipes -----------------------------------------------------------------------------------------------------------------------


def test_pipeline():
    """Our end of one child's pipe is another's standard input or output: it blocks there, as programs expect."""
    with ended(Popen(["cat"], stdin=PIPE, stdout=PIPE)) as first, ended(Popen(["cat"], stdin=first.stdout, stdout=PIPE)) as last:
        first.stdout.close()
        first.stdin.write(b"x")
        first.stdin.flush()
        assert last.stdout.read(1) == b"x"  # so the second one is reading
        first.stdin.write(b"y" * 100_000)
        first.stdin.close()
        assert last.stdout.read() == b"y" * 100_000
        assert (first.wait(), last.wait()) == (0, 0)
    last = Popen(["sh", "-c", "read go; cat"], stdin=PIPE, stdout=PIPE)
    first = Popen(["sh", "-c", "echo go; head -c 300000 /dev/zero"], stdout=last.stdin)
    with ended(last), ended(first):
        last.stdin.close()
        assert len(last.stdout.read()) == 300_000
        assert (first.wait(), last.wait()) == (0, 0)


def test_much_data_both_ways():
    """A child that stops reading while it writes, and the other way round: neither side waits for ever."""
    data = os.urandom(1 << 20)
    for bufsize in (-1, 0):
        with ended(Popen(["cat"], stdin=PIPE, stdout=PIPE, bufsize=bufsize)) as child:
            reader = gevent.spawn(child.stdout.read)
            child.stdin.write(data)
            child.stdin.close()
            assert reader.get() == data
        assert subprocess.run(["cat"], input=data, stdout=PIPE, bufsize=bufsize).stdout == data


def test_closed_while_somebody_reads():
    with ended(Popen(ENDLESS, stdout=PIPE)) as child:
        reader = gevent.spawn(child.stdout.read, 1)
        gevent.sleep(0)
        child.stdout.close()
        with pytest.raises(OSError):
            reader.get()


def test_child_that_closed_its_input():
    with ended(Popen(["sh", "-c", "exec <&-; sleep 1000"], stdin=PIPE, bufsize=0)) as child, pytest.raises(BrokenPipeError):
        while True:
            child.stdin.write(b"x" * 4096)
            gevent.sleep(0.001)
    assert subprocess.run(["true"], input=b"x" * 100_000).returncode == 0


# ---- Left behind -----------------------------------------------------------------------------------------------------------------


def test_dropped_while_running():
    """As in the standard library: a warning, and the child is collected when another one is made."""
    child = Popen(UNTIL_EOF, stdin=PIPE)
    pid, source = child.pid, child.stdin
    with pytest.warns(ResourceWarning, match="still running"):
        del child
        gc.collect()
    assert [each.pid for each in subprocess._active] == [pid]
    source.close()
    wait_for_end(pid)
    assert subprocess.call(["true"]) == 0
    assert subprocess._active == []
    assert is_gone(pid)


def test_the_end_of_the_interpreter():
    """A Popen that is still there when the interpreter goes makes no noise."""
    script = """
import warnings
warnings.simplefilter("ignore", ResourceWarning)
from gevent import subprocess
class Cycle: pass
cycle = Cycle()
cycle.itself, cycle.child = cycle, subprocess.Popen(["true"])
other = subprocess.Popen(["sleep", "0.01"])
"""
    run_script(script).check()


def test_send_signal_after_the_end():
    with ended(Popen(["true"])) as child:
        wait_for_end(child.pid)
        child.send_signal(signal.SIGKILL)
        assert child.returncode == 0


def test_warnings_of_the_interpreter():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="line buffering"):
            Popen(["true"], bufsize=1, stdout=PIPE).wait()
