"""gevent.os: forking, waiting for children of whatever kind, and reading and writing descriptors."""

import contextlib
import functools
import os
import signal
import threading
from pathlib import Path

import gevent
import gevent.os
import gevent.subprocess
import pytest
from gevent import _reaper
from gevent._config import config
from gevent.event import AsyncResult, Event
from gevent.hub import get_hub
from gevent_testkit import run_script
from gevent_testkit.children import wait_for_end

SCRIPTS = Path(__file__).parent / "scripts"


class Children:
    """Starts children that end with a status when they are told."""

    def __init__(self):
        self.pipes = {}

    def start(self, status=0, fork=gevent.os.fork, **options):
        """A forked child; its pid. What *fork* returns may also be a tuple that begins with that."""
        read, write = os.pipe()
        result = fork(**options)
        pid = result[0] if isinstance(result, tuple) else result
        if not pid:
            os.close(write)
            for _, other in self.pipes.values():  # else no child ends before those that were made after it
                os.close(other)
            os.read(read, 1)
            os._exit(status)
        self.pipes[pid] = (read, write)
        return pid

    def end(self, pid, block=True):
        """Let it end; with *block*, it has ended afterwards, and can be waited for."""
        for each in self.pipes.pop(pid):
            os.close(each)
        if block:
            wait_for_end(pid)

    def close(self):
        for pid in list(self.pipes):
            self.end(pid, block=False)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        _reaper._after_fork()  # forget the statuses that nobody fetched


@pytest.fixture
def children():
    children = Children()
    yield children
    children.close()


def in_thread(function):
    """The result of *function* in a native thread, meanwhile this thread's hub."""
    result = AsyncResult()
    loop = get_hub().loop

    def run():
        try:
            done = result.set, function()
        except BaseException as error:
            done = result.set_exception, error
        loop.run_callback_threadsafe(*done)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return result.get(timeout=25)
    finally:
        thread.join()


def soon(function, *args):
    """Call it from another greenlet, once the current one waits."""
    return gevent.spawn(function, *args)


# ---- Forking ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["pidfd", "sigchld"])
@pytest.mark.parametrize("where", ["main", "greenlet", "thread", "thread greenlet", "pool"])
def test_fork(where, method):
    """FRK-01, FRK-10: whoever forks, the child has hub, timers, pool, resolver, signals, children, and at-fork hooks may use them."""
    done = run_script(SCRIPTS / "fork.py", where, env={"GEVENT_CHILD_WATCHER": method}).check()
    assert done.stdout == "child\nparent\n"


def test_gevent_fork(children):
    """FRK-01: gevent.fork is this one."""
    pid = gevent.fork()
    if not pid:
        os._exit(gevent.spawn(lambda: 5).get())
    assert gevent.os.waitpid(pid, 0) == (pid, 5 << 8)


def test_fork_and_watch(children, method):
    """FRK-02: the callback gets the watcher, in the hub; loop, ref and fork may be given."""
    told = AsyncResult()
    pid = children.start(7, gevent.os.fork_and_watch, callback=told.set, ref=True)
    soon(children.end, pid, False)
    watcher = told.get()
    assert (watcher.pid, watcher.rpid, watcher.rstatus) == (pid, pid, 7 << 8)
    assert gevent.os.waitpid(pid, 0) == (pid, 7 << 8)

    forks = []
    told = AsyncResult()
    fork = functools.partial(gevent.os.fork_and_watch, told.set, get_hub().loop, True, lambda: forks.append(1) or os.fork())
    pid = children.start(0, fork)
    assert forks == [1]
    children.end(pid)
    assert gevent.os.waitpid(pid, 0) == (pid, 0)
    assert told.get().rstatus == 0


def test_ref(children, method):
    """FRK-02: with ref, the loop runs until the child has ended; without, it does not."""
    told = []
    pid = children.start(7, gevent.os.fork_and_watch, callback=told.append)
    assert gevent.wait(timeout=20) is True
    assert told == []
    children.end(pid)
    gevent.os.waitpid(pid, 0)
    pid = children.start(7, gevent.os.fork_and_watch, callback=told.append, ref=True)
    assert gevent.wait(timeout=0.01) is False
    children.end(pid, block=False)
    assert gevent.wait(timeout=20) is True
    assert told[-1].rstatus == 7 << 8


def test_a_callback_that_fails(children, capsys):
    failed = Event()

    def callback(watcher):
        failed.set()
        raise ZeroDivisionError(watcher.pid)

    pid = children.start(7, gevent.os.fork_and_watch, callback=callback, ref=True)
    children.end(pid)
    failed.wait(20)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert gevent.os.waitpid(pid, 0) == (pid, 7 << 8)


def test_fork_and_watch_in_a_native_thread(children, method):
    """FRK-02: on that thread's loop, whether or not the kernel has pidfds."""

    def work():
        told = AsyncResult()
        pid = children.start(6, gevent.os.fork_and_watch, callback=told.set, ref=True)
        soon(children.end, pid, False)
        watcher = told.get()
        return (watcher.pid, watcher.rstatus) == (pid, 6 << 8), gevent.os.waitpid(pid, 0) == (pid, 6 << 8)

    assert in_thread(work) == (True, True)


@pytest.mark.skipif(not hasattr(os, "posix_spawn"), reason="os.posix_spawn is not in this interpreter")
def test_posix_spawn(method):
    """What fork() does, this does; it is watched too, so there is no zombie, and its status is kept."""
    for spawn, program in ((gevent.os.posix_spawn, "/bin/sh"), (gevent.os.posix_spawnp, "sh")):
        pid = spawn(program, ["sh", "-c", "exit 3"], os.environ)
        wait_for_end(pid)
        with gevent.Timeout(20):
            while pid not in _reaper._kept:
                gevent.sleep(0.001)
        assert gevent.os.waitpid(pid, 0) == (pid, 3 << 8)


@pytest.mark.parametrize("how", ["forkpty", "forkpty_and_watch", "forkpty_gevent"])
def test_forkpty(how):
    """FRK-05: as fork, with a terminal."""
    pid, terminal = getattr(gevent.os, how)()
    if not pid:
        gevent.sleep(0.001)
        os.write(1, b"tty\n" if os.isatty(0) else b"no tty\n")
        os._exit(4)
    try:
        assert gevent.os.tp_read(terminal, 100).strip() == b"tty"
        assert gevent.os.waitpid(pid, 0) == (pid, 4 << 8)
    finally:
        os.close(terminal)
    _reaper._after_fork()


def test_forkpty_callback():
    """FRK-05: the callback and the other arguments are those of fork_and_watch."""
    told = AsyncResult()
    pid, terminal = gevent.os.forkpty_and_watch(told.set, ref=True)
    if not pid:
        os._exit(4)
    assert told.get().rstatus == 4 << 8
    assert gevent.os.waitpid(pid, 0) == (pid, 4 << 8)
    os.close(terminal)


def test_pty_fork():
    """FRK-05: pty.fork goes by os.forkpty, which may be ours."""
    script = """
import os, pty
import gevent.os
os.forkpty, os.waitpid = gevent.os.forkpty, gevent.os.waitpid
pid, terminal = pty.fork()
if not pid:
    gevent.sleep(0.001)
    os._exit(4)
assert os.waitpid(pid, 0) == (pid, 4 << 8)
"""
    run_script(script, env={"PYTHONWARNINGS": "error"}).check()


def test_not_watching(children, monkeypatch):
    """FRK-06: with GEVENT_NOWAITPID nobody fetches the status but who asks; waitpid() still keeps nobody waiting."""
    assert (
        run_script("from gevent import config; print(config.disable_watch_children)", env={"GEVENT_NOWAITPID": "1"}).stdout
        == "True\n"
    )
    monkeypatch.setattr(config.settings["disable_watch_children"], "value", True)
    pid = children.start(5)
    children.end(pid)
    gevent.sleep(0.001)
    gevent.sleep(0.001)
    wait_for_end(pid)  # nobody has taken its status, or this would fail
    assert pid not in _reaper._kept
    assert gevent.os.waitpid(pid, 0) == (pid, 5 << 8)
    pid, terminal = gevent.os.forkpty()
    if not pid:
        os._exit(0)
    os.close(terminal)
    gevent.os.waitpid(pid, 0)
    with pytest.raises(TypeError):
        gevent.os.fork(callback=print)


def test_no_zombies(method):
    """FRK-03: forked children that nobody waits for are collected nevertheless."""
    for _ in range(10):
        if not gevent.os.fork():
            os._exit(1)
    with gevent.Timeout(20):
        while len(_reaper._kept) < 10:
            gevent.sleep(0.001)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert [gevent.os.waitpid(-1, 0)[1] for _ in range(10)] == [1 << 8] * 10


# ---- Waiting ---------------------------------------------------------------------------------------------------------------------


def test_waitpid(children, method):
    """FRK-03: for one child, while others run; WNOHANG gives (0, 0); each status is told once."""
    for fork in (gevent.os.fork, os.fork):
        pid = children.start(3, fork)
        assert gevent.os.waitpid(pid, os.WNOHANG) == (0, 0)
        other = soon(children.end, pid, False)
        assert gevent.os.waitpid(pid, 0) == (pid, 3 << 8)
        assert other.ready()
        for options in (0, os.WNOHANG):
            with pytest.raises(ChildProcessError):
                gevent.os.waitpid(pid, options)


def test_any_child(children, method):
    """FRK-03: -1 is any child: forked, of subprocess, or unknown to us."""
    forked, plain = children.start(1), children.start(2, os.fork)
    popen = gevent.subprocess.Popen(["sh", "-c", "read line; exit 3"], stdin=gevent.subprocess.PIPE)
    assert gevent.os.waitpid(-1, os.WNOHANG) == (0, 0)
    found = []
    for end in (lambda: children.end(plain, False), popen.stdin.close, lambda: children.end(forked, False)):
        soon(end)
        found.append(gevent.os.waitpid(-1, 0))
    assert found == [(plain, 2 << 8), (popen.pid, 3 << 8), (forked, 1 << 8)]
    assert popen.wait() == 3
    with pytest.raises(ChildProcessError):
        gevent.os.waitpid(-1, 0)


def test_wait_functions(children, method):
    """wait, wait3 and wait4 as the standard ones, resource usage included, also when a watcher has fetched the status."""
    for wait in (
        lambda pid: gevent.os.wait(),
        lambda pid: gevent.os.wait3(0),
        lambda pid: gevent.os.wait4(pid, 0),
        lambda pid: gevent.os.wait4(-1, 0),
    ):
        pid = children.start(3)
        assert gevent.os.wait3(os.WNOHANG)[:2] == (0, 0)
        assert gevent.os.wait4(pid, os.WNOHANG)[2].ru_utime == 0
        soon(children.end, pid, False)
        found = wait(pid)
        assert found[:2] == (pid, 3 << 8)
        if len(found) > 2:
            assert found[2].ru_maxrss > 0
        with pytest.raises(ChildProcessError):
            wait(pid)


def test_groups(children, method):
    """FRK-03: process groups: of one's own, and of others."""
    own, other = children.start(1), children.start(2)
    os.setpgid(other, other)
    assert gevent.os.waitpid(-other, os.WNOHANG) == (0, 0)
    soon(children.end, own, False)
    assert gevent.os.waitpid(0, 0) == (own, 1 << 8)
    with pytest.raises(ChildProcessError):
        gevent.os.waitpid(0, 0)
    soon(children.end, other, False)
    assert gevent.os.waitpid(-other, 0) == (other, 2 << 8)


def test_stopped_and_continued(children, method):
    pid = children.start(3)
    soon(os.kill, pid, signal.SIGSTOP)
    got, status = gevent.os.waitpid(pid, os.WUNTRACED)
    assert (got, os.WSTOPSIG(status)) == (pid, signal.SIGSTOP)
    soon(os.kill, pid, signal.SIGCONT)
    got, status = gevent.os.waitpid(pid, os.WCONTINUED)
    assert got == pid
    assert os.WIFCONTINUED(status)
    soon(os.kill, pid, signal.SIGKILL)
    assert gevent.os.waitpid(pid, os.WUNTRACED) == (pid, signal.SIGKILL)


# ---- waitid ----------------------------------------------------------------------------------------------------------------------

needs_waitid = pytest.mark.skipif(not hasattr(os, "waitid"), reason="os.waitid is not in this interpreter")


@needs_waitid
@pytest.mark.parametrize("fork", [gevent.os.fork, os.fork], ids=["watched", "plain"])
@pytest.mark.parametrize("which", ["P_PID", "P_PGID", "P_ALL", "P_PIDFD"])
def test_waitid(children, method, which, fork):
    """One child, a group, any child, a descriptor: what the standard one says, once, while others run."""
    if not hasattr(os, which):
        pytest.skip(f"there is no os.{which} here")
    kind = getattr(os, which)
    pid = children.start(3, fork)
    if which == "P_PGID":
        os.setpgid(pid, pid)
    number = os.pidfd_open(pid) if which == "P_PIDFD" else 0 if which == "P_ALL" else pid
    assert gevent.os.waitid(kind, number, os.WEXITED | os.WNOHANG) is None
    soon(children.end, pid, False)
    for _ in range(1 if which == "P_PIDFD" and fork is gevent.os.fork else 2):  # the second time it is known at once
        info = gevent.os.waitid(kind, number, os.WEXITED | os.WNOWAIT)
        assert type(info) is os.waitid_result
        assert tuple(info) == (pid, os.getuid(), signal.SIGCHLD, 3, os.CLD_EXITED)
    if which == "P_PIDFD" and fork is gevent.os.fork:  # fetched by the watcher: nothing can tell any more whose descriptor it is
        with pytest.raises(ChildProcessError):
            gevent.os.waitid(kind, number, os.WEXITED)
        assert gevent.os.waitid(os.P_PID, pid, os.WEXITED) == info
    else:
        assert gevent.os.waitid(kind, number, os.WEXITED) == info
    for options in (os.WEXITED, os.WEXITED | os.WNOHANG, os.WEXITED | os.WNOWAIT):
        with pytest.raises(ChildProcessError):
            gevent.os.waitid(kind, number, options)
    with pytest.raises(ChildProcessError):
        gevent.os.waitpid(pid, os.WNOHANG)
    if which == "P_PIDFD":
        os.close(number)


@needs_waitid
@pytest.mark.parametrize("fork", [gevent.os.fork, os.fork], ids=["watched", "plain"])
def test_waitid_waits_itself(children, method, fork):
    """Without a look with WNOWAIT before: it fetches the status, or takes it from the watcher that did."""
    pid = children.start(4, fork)
    soon(children.end, pid, False)
    assert gevent.os.waitid(os.P_PID, pid, os.WEXITED).si_status == 4
    pid = children.start(5, fork)
    descriptor = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    if descriptor is not None:
        soon(children.end, pid, False)
        assert gevent.os.waitid(os.P_PIDFD, descriptor, os.WEXITED).si_status == 5
        os.close(descriptor)
    other, killed = children.start(6, fork), children.start(7, fork)
    soon(os.kill, killed, signal.SIGTERM)
    info = gevent.os.waitid(os.P_ALL, 0, os.WEXITED)
    assert (info.si_pid, info.si_status, info.si_code) == (killed, signal.SIGTERM, os.CLD_KILLED)
    assert gevent.os.waitid(os.P_PID, other, os.WEXITED | os.WNOHANG) is None
    soon(children.end, other, False)
    assert gevent.os.waitid(os.P_PID, other, os.WEXITED).si_status == 6


@needs_waitid
def test_waitid_of_stops(children, method):
    """Only what was asked for is told: stopping, going on, the end."""
    pid = children.start(3)
    assert gevent.os.waitid(os.P_PID, pid, os.WSTOPPED | os.WCONTINUED | os.WEXITED | os.WNOHANG) is None
    soon(os.kill, pid, signal.SIGSTOP)
    info = gevent.os.waitid(os.P_PID, pid, os.WSTOPPED)
    assert (info.si_pid, info.si_status, info.si_code) == (pid, signal.SIGSTOP, os.CLD_STOPPED)
    soon(os.kill, pid, signal.SIGCONT)
    info = gevent.os.waitid(os.P_ALL, 0, os.WCONTINUED)
    assert (info.si_pid, info.si_code) == (pid, os.CLD_CONTINUED)
    soon(os.kill, pid, signal.SIGKILL)
    info = gevent.os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED)
    assert (info.si_pid, info.si_status, info.si_code) == (pid, signal.SIGKILL, os.CLD_KILLED)


@needs_waitid
def test_waitid_of_stops_leaves_the_end(children, method):
    """Who wants to hear of stops only takes no status away, not even one that a watcher has fetched."""
    pid = children.start(3)
    children.end(pid, False)
    watcher = get_hub().loop.child(pid)
    ended = Event()
    watcher.start(ended.set)
    ended.wait()
    with pytest.raises(ChildProcessError):
        gevent.os.waitid(os.P_PID, pid, os.WSTOPPED)
    assert gevent.os.waitpid(pid, 0) == (pid, 3 << 8)


@needs_waitid
def test_waitid_tells_the_others(children, method):
    """A Popen whose status it takes gets it too: how a child ended, whatever the end was."""
    for script, code in (("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM), ("ulimit -c 0; kill -ABRT $$", -signal.SIGABRT)):
        popen = gevent.subprocess.Popen(["sh", "-c", script])
        assert gevent.os.waitid(os.P_ALL, 0, os.WEXITED).si_pid == popen.pid
        assert popen.wait() == code


@needs_waitid
def test_waitid_keeps_what_kind_of_end_it_was(children, method):
    """What a watcher fetched is told as the kernel would have: by which signal, and for which user."""
    pid = children.start(3)
    soon(os.kill, pid, signal.SIGTERM)
    ended = Event()
    watcher = get_hub().loop.child(pid)
    watcher.start(ended.set)
    ended.wait()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # the kernel has it no more
    info = gevent.os.waitid(os.P_PID, pid, os.WEXITED)
    assert tuple(info) == (pid, os.getuid(), signal.SIGCHLD, signal.SIGTERM, os.CLD_KILLED)


@needs_waitid
def test_waitid_in_a_native_thread(children, method):
    for options in (os.WEXITED | os.WNOWAIT, os.WEXITED):
        pid = children.start(3)
        outcome = gevent.spawn(in_thread, lambda pid=pid, options=options: gevent.os.waitid(os.P_PID, pid, options))
        gevent.sleep(0)
        children.end(pid, block=False)
        assert outcome.get().si_status == 3
        assert gevent.os.waitpid(-1, os.WNOHANG) if options & os.WNOWAIT else True


@needs_waitid
def test_waitid_of_nothing_that_can_be_waited_for(children, method):
    """The errors are the standard one's."""
    pid = children.start(3)
    read, write = os.pipe()
    calls = [
        (os.P_PID, pid, 0),  # nothing that is to be told
        (os.P_PID, 0, os.WEXITED),
        (os.P_PID, -1, os.WEXITED),
        (os.P_PID, os.getpid(), os.WEXITED),
        (os.P_PGID, 1, os.WEXITED),
        (os.P_PGID, -1, os.WEXITED),
        (99, pid, os.WEXITED),
        ("P_PID", pid, os.WEXITED),
        (os.P_PID, "1", os.WEXITED),
        (os.P_PID, pid),
        *((os.P_PIDFD, fd, os.WEXITED) for fd in (read, 10_000, -1) if hasattr(os, "P_PIDFD")),
    ]
    for arguments in calls:
        errors = []
        for function in (os.waitid, gevent.os.waitid):
            with pytest.raises((OSError, TypeError)) as caught:
                function(*arguments)
            errors.append((type(caught.value), getattr(caught.value, "errno", None)))
        assert errors[0] == errors[1], arguments
    os.close(read)
    os.close(write)
    soon(children.end, pid, False)
    assert gevent.os.waitid(os.P_PID, pid, os.WEXITED).si_status == 3


@needs_waitid
@pytest.mark.skipif(not hasattr(os, "P_PIDFD"), reason="there is no os.P_PIDFD here")
def test_waitid_of_a_nonblocking_descriptor(children):
    """As the kernel has it (Linux 5.10): who made it so does not want to wait."""
    pid = children.start(3, os.fork)
    descriptor = os.pidfd_open(pid)
    os.set_blocking(descriptor, False)
    with pytest.raises(BlockingIOError):
        gevent.os.waitid(os.P_PIDFD, descriptor, os.WEXITED)
    children.end(pid)
    assert gevent.os.waitid(os.P_PIDFD, descriptor, os.WEXITED).si_pid == pid
    os.close(descriptor)


@pytest.mark.parametrize("when", ["while the hub runs", "before it runs"])
def test_watcher_whose_handler_is_displaced(children, when):
    """Where SIGCHLD tells of children, a handler that a program sets by the standard module keeps it from nobody."""
    before = config.child_watcher
    config.child_watcher = "sigchld"
    calls = []
    told = Event()
    previous = signal.getsignal(signal.SIGCHLD)
    try:
        pid = children.start(3, callback=lambda watcher: told.set())
        if when == "while the hub runs":
            gevent.sleep(0.001)
        signal.signal(signal.SIGCHLD, lambda *args: calls.append(1))
        if when == "while the hub runs":
            soon(children.end, pid, False)
        else:
            children.end(pid)
        assert told.wait(20)
        assert calls == [1]
        assert gevent.os.waitpid(pid, os.WNOHANG) == (pid, 3 << 8)
    finally:
        config.child_watcher = before
        signal.signal(signal.SIGCHLD, previous)


@pytest.mark.parametrize("which", ["pid", "any"])
def test_waiting_in_a_native_thread(children, method, which):
    """In a thread that has no loop for signals it works as well, for a child made elsewhere too."""
    pid = children.start(3)
    outcome = gevent.spawn(in_thread, lambda: gevent.os.waitpid(pid if which == "pid" else -1, 0))
    gevent.sleep(0)
    children.end(pid, block=False)
    assert outcome.get() == (pid, 3 << 8)


@pytest.mark.parametrize("which", ["pid", "any"])
def test_killed_while_waiting(children, method, which):
    """Who is killed takes nothing; who waits for the same child gets it."""
    pid = children.start(3, os.fork)
    waiting = [gevent.spawn(gevent.os.waitpid, pid if which == "pid" else -1, 0) for _ in range(2)]
    gevent.sleep(0)
    waiting[0].kill()
    children.end(pid, block=False)
    assert waiting[1].get() == (pid, 3 << 8)


def test_many_wait_for_any(children, method):
    """Each status goes to one of those who wait for any child, and the rest hears that there are no more."""
    pids = [children.start(number, os.fork) for number in range(5)]
    waiting = [gevent.spawn(gevent.os.waitpid, -1, 0) for _ in range(6)]
    gevent.sleep(0)
    for pid in pids:
        children.end(pid, block=False)
    gevent.joinall(waiting, timeout=20)
    assert sorted(each.value for each in waiting if each.successful()) == sorted((pid, n << 8) for n, pid in enumerate(pids))
    assert [type(each.exception) for each in waiting if not each.successful()] == [ChildProcessError]


def test_handler_that_displaces_ours(children):
    """Who waits by SIGCHLD hears of a child although somebody has set a handler meanwhile."""
    before = config.child_watcher
    config.child_watcher = "sigchld"
    calls = []
    try:
        pids = [children.start(3, os.fork) for _ in range(2)]
        waiting = [gevent.spawn(gevent.os.waitpid, pids[0], 0), gevent.spawn(gevent.os.waitpid, -pids[1], 0)]
        os.setpgid(pids[1], pids[1])
        gevent.sleep(0.001)
        previous = signal.signal(signal.SIGCHLD, lambda *args: calls.append(1))
        for pid in pids:
            children.end(pid, block=False)
        assert [each.get() for each in waiting] == [(pid, 3 << 8) for pid in pids]
        signal.signal(signal.SIGCHLD, previous)
        assert calls
    finally:
        config.child_watcher = before


# ---- Descriptors -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe():
    ends = list(os.pipe())
    yield ends
    for each in ends:
        with contextlib.suppress(OSError):
            os.close(each)


def test_nonblocking(pipe):
    """FRK-12: make_nonblocking tells whether it changed anything; nb_read and nb_write wait."""
    for each in pipe:
        assert gevent.os.make_nonblocking(each)
        assert not gevent.os.make_nonblocking(each)
        assert not os.get_blocking(each)
    read, write = pipe
    reading = gevent.spawn(gevent.os.nb_read, read, 10)
    gevent.sleep(0)
    assert not reading.ready()
    assert gevent.os.nb_write(write, b"hello") == 5
    assert reading.get() == b"hello"
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 65536)
    writing = gevent.spawn(gevent.os.nb_write, write, b"x" * 4096)
    gevent.sleep(0)
    assert not writing.ready()
    while not writing.ready():
        os.read(read, 65536)
        gevent.sleep(0.001)
    assert writing.get() == 4096
    assert gevent.os.ignored_errors


def test_by_the_pool(pipe, tmp_path):
    """FRK-12: tp_read and tp_write leave it to a native thread, and work for files."""
    read, write = pipe
    reading = gevent.spawn(gevent.os.tp_read, read, 10)
    gevent.sleep(0)
    assert not reading.ready()
    assert gevent.os.tp_write(write, b"hello") == 5
    assert reading.get() == b"hello"
    with open(tmp_path / "file", "wb+") as file:
        assert gevent.os.tp_write(file.fileno(), b"hello") == 5
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        assert gevent.os.tp_read(file.fileno(), 10) == b"hello"
    get_hub().threadpool.kill()
    del get_hub().threadpool


def test_what_is_patched():
    """FRK-13: os.read and os.write are not among it; what is exists in the standard module."""
    assert set(gevent.os.__implements__) == {
        *("close", "fork", "forkpty", "wait", "wait3", "wait4", "waitpid"),
        *(name for name in ("posix_spawn", "posix_spawnp", "waitid") if hasattr(os, name)),
    }
    assert all(hasattr(os, name) for name in gevent.os.__implements__)
    assert set(gevent.os.__all__) == {*gevent.os.__implements__, *gevent.os.__extensions__}


def test_close(pipe):
    """Watchers of a descriptor that is closed are stopped first."""
    watcher = get_hub().loop.io(pipe[0], 1)
    watcher.start(print)
    gevent.os.close(pipe[0])
    assert not watcher.active
    with pytest.raises(OSError):
        gevent.os.close(pipe[0])
    in_thread(lambda: gevent.os.close(pipe[1]))
