"""gevent._reaper: a child's status is told to everybody who said he wants it, and otherwise once."""

import contextlib
import os
import signal
import sys

import pytest
from gevent import _reaper
from gevent_testkit import run_script
from gevent_testkit.children import start_shell, wait_for_end, wait_for_stop


@pytest.fixture
def spawn():
    """A function that starts a child that ends with a status, and has ended when it returns."""
    children = []

    def spawn(status=0, group=None, wait=True):
        pid = start_shell(f"exit {status}" if wait else "exec sleep 60", group=group)
        children.append(pid)
        if wait:
            wait_for_end(pid)
        return pid

    yield spawn
    for pid in children:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    _reaper._after_fork()  # forget


def test_everybody_with_a_claim_is_told(spawn):
    pid = spawn(3)
    first, second = _reaper.claim(pid), _reaper.claim(pid)
    assert _reaper.collect(first) == (pid, 3 << 8)
    assert _reaper.collect(second) == (pid, 3 << 8)
    assert _reaper.collect(first) == (pid, 3 << 8)  # as often as one asks
    assert _reaper._claims == {}
    with pytest.raises(ChildProcessError):
        _reaper.take(pid)


def test_nothing_yet(spawn):
    pid = spawn(wait=False)
    assert _reaper.collect(_reaper.claim(pid)) is None
    assert _reaper.take(pid)[:2] == (0, 0)
    assert _reaper.take(-1)[:2] == (0, 0)


def test_taken_by_another(spawn):
    """A claim holds whoever asks the kernel, for that child or for any."""
    for asked in (None, -1):
        pid = spawn(4)
        claim = _reaper.claim(pid)
        got, status, usage = _reaper.take(asked or pid, usage=True)
        assert (got, status) == (pid, 4 << 8)
        assert usage.ru_utime >= 0
        assert _reaper.collect(claim) == (pid, 4 << 8)


class Interruption:
    """Calls *function* once in this block, as a signal handler would: inside gevent._reaper, after *steps* steps there."""

    def __init__(self, steps, function):
        self.steps = steps
        self.function = function

    def __enter__(self):
        sys.settrace(self.trace)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def trace(self, frame, event, arg):
        if frame.f_code.co_filename != _reaper.__file__:
            return None
        if hasattr(frame, "f_trace_opcodes"):
            frame.f_trace_opcodes = True
        self.steps -= 1
        if self.steps == 0:
            sys.settrace(None)
            self.function()
        return self.trace


@pytest.mark.slow
@pytest.mark.timeout(120)  # a child for each of some hundred steps
def test_taken_by_a_signal_handler_that_interrupts(spawn):
    """In the middle of claim() and collect(), wherever that is: the claim holds."""

    def handler():
        with contextlib.suppress(ChildProcessError):
            _reaper.take(-1)

    steps = 0
    interrupted = True
    while interrupted:
        steps += 1
        with _reaper.Expecting():
            pid = spawn(4)
            with Interruption(steps, handler) as interruption:
                claim = _reaper.claim(pid)
                told = _reaper.collect(claim)
        assert told == (pid, 4 << 8), steps
        assert _reaper._claims == {}
        interrupted = interruption.steps <= 0
    assert steps > 20


def test_taken_outside(spawn):
    pid = spawn(4)
    claim = _reaper.claim(pid)
    os.waitpid(pid, 0)
    with pytest.raises(ChildProcessError):
        _reaper.collect(claim)


def test_taken_before_it_was_claimed(spawn):
    """A handler may collect a child before its maker even knows its number."""
    with _reaper.Expecting():
        with _reaper.Expecting():
            pid = spawn(4)
            assert _reaper.take(-1)[:2] == (pid, 4 << 8)
        assert _reaper.collect(_reaper.claim(pid)) == (pid, 4 << 8)
        assert _reaper.collect(_reaper.claim(pid)) == (pid, 4 << 8)
    assert (_reaper._claims, _reaper._unclaimed) == ({}, {})
    pid = spawn(4)
    _reaper.take(-1)
    assert _reaper._unclaimed == {}


def test_released(spawn):
    pid = spawn(4)
    claim = _reaper.claim(pid)
    other = _reaper.claim(pid)
    _reaper.release(claim)
    _reaper.release(claim)
    _reaper.take(pid)
    assert (claim.end, other.end.status) == (None, 4 << 8)


def test_kept_for_one_take(spawn):
    for asked in (None, -1, 0):
        pid = spawn(5)
        claim = _reaper.claim(pid)
        assert _reaper.collect(claim, keep=True) == (pid, 5 << 8)
        got, status, usage = _reaper.take(pid if asked is None else asked)
        assert (got, status) == (pid, 5 << 8)
        assert usage.ru_stime >= 0
        with pytest.raises(ChildProcessError):
            _reaper.take(pid)


def test_kept_is_shown_to_later_claims(spawn):
    """A watcher that is started after another has fetched the status."""
    pid = spawn(5)
    _reaper.collect(_reaper.claim(pid), keep=True)
    assert _reaper.collect(_reaper.claim(pid), keep=True) == (pid, 5 << 8)
    assert _reaper.take(pid)[:2] == (pid, 5 << 8)


def test_who_collects_for_himself_takes_it(spawn):
    """What a watcher has kept is gone when the owner of the child has it."""
    pid = spawn(5)
    mine, watcher = _reaper.claim(pid), _reaper.claim(pid)
    _reaper.collect(watcher, keep=True)
    assert _reaper.collect(mine) == (pid, 5 << 8)
    with pytest.raises(ChildProcessError):
        _reaper.take(pid)


def test_any_child_the_kernel_first(spawn):
    """Kept statuses come after those of the kernel, and also while other children are running."""
    kept = spawn(5)
    _reaper.collect(_reaper.claim(kept), keep=True)
    ended = spawn(6)
    spawn(wait=False)
    assert [_reaper.take(-1)[:2] for _ in range(3)] == [(ended, 6 << 8), (kept, 5 << 8), (0, 0)]


def test_groups(spawn):
    """A kept status knows its process group."""
    leader = spawn(1, group=0)
    plain = spawn(2)
    for pid in (leader, plain):
        _reaper.collect(_reaper.claim(pid), keep=True)
    with pytest.raises(ChildProcessError):
        _reaper.take(-plain)
    assert _reaper.take(0)[:2] == (plain, 2 << 8)
    assert _reaper.take(-leader)[:2] == (leader, 1 << 8)


def test_a_number_used_again(spawn):
    """What is known of an earlier child is not told of a later one: neither when the kernel has such a child, nor after forget()."""
    pid = spawn(wait=False)
    _reaper._kept[pid] = _reaper._End(7 << 8)
    assert _reaper.take(pid)[:2] == (0, 0)
    _reaper._kept[pid] = _reaper._End(7 << 8)
    stale = _reaper.claim(pid)
    _reaper.forget(pid)
    claim = _reaper.claim(pid)
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert _reaper.collect(claim) == (pid, signal.SIGKILL)
    assert stale.end is None


def test_kept_are_dropped(spawn, monkeypatch):
    """FRK-04: after a minute, if many have come since."""
    monkeypatch.setattr(_reaper, "KEPT_COUNT", 2)
    pids = [spawn(number) for number in range(3)]
    for pid in pids:
        _reaper.collect(_reaper.claim(pid), keep=True)
    assert list(_reaper._kept) == pids  # too many, but not old enough
    for pid in pids:
        _reaper._kept[pid].when -= _reaper.KEPT_SECONDS + 1
    newest = spawn(3)
    _reaper.collect(_reaper.claim(newest), keep=True)
    assert list(_reaper._kept) == [pids[2], newest]


def test_stops_are_told_to_those_who_trace(spawn):
    pid = spawn(wait=False)
    tracing, plain, any_child = _reaper.claim(pid, trace=True), _reaper.claim(pid), _reaper.claim(0)
    os.kill(pid, signal.SIGSTOP)
    wait_for_stop(pid)
    got, status, _ = _reaper.take(pid, os.WUNTRACED)
    assert got == pid
    assert os.WSTOPSIG(status) == signal.SIGSTOP
    assert _reaper.collect(plain) is None
    assert _reaper.collect(tracing) == (pid, status)  # once
    assert _reaper.collect(tracing) is None
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert [_reaper.collect(each) for each in (tracing, plain, any_child)] == [(pid, signal.SIGKILL)] * 3


def test_a_handler_that_asks_in_the_middle(spawn, monkeypatch):
    """A Python signal handler may run between any two steps, holding the lock already."""
    first, second = spawn(1), spawn(2)
    claims = {pid: _reaper.claim(pid) for pid in (first, second)}
    real, taken = _reaper._waitpid, []

    def interrupted(pid, options):
        answer = real(pid, options)
        if not taken:
            taken.append(None)
            taken.append(_reaper.take(-1)[:2])
        return answer

    monkeypatch.setattr(_reaper, "_waitpid", interrupted)
    assert _reaper.take(first)[:2] == (first, 1 << 8)
    assert taken == [None, (second, 2 << 8)]
    assert [claims[pid].end.status for pid in (first, second)] == [1 << 8, 2 << 8]


def test_forked(spawn):
    """A child has none of its parent's children, and a lock that nobody holds."""
    pid = spawn(3)
    claim = _reaper.claim(pid)
    with _reaper._lock:
        held = _reaper._lock
        child = os.fork()
        if not child:
            os._exit(_reaper._claims == {} and _reaper._lock is not held)
    assert os.waitpid(child, 0) == (child, 1 << 8)
    assert _reaper.collect(claim) == (pid, 3 << 8)


def test_closed_standard_streams():
    """What watches a child takes no number of a standard stream: the program will put another stream there, and keep it."""
    run_script(
        """
import os
import gevent
from gevent.hub import get_hub

loop = get_hub().loop
gevent.sleep(0)
for number in range(3):
    kept = os.dup(number)
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(writer)
        os.read(reader, 1)
        os._exit(0)
    os.close(number)
    watcher = loop.child(pid)
    watcher.start(lambda: None)
    os.dup2(kept, number)
    os.close(writer)
    with gevent.Timeout(20):
        while watcher.active:
            gevent.sleep(0.001)
    os.fstat(number)
    os.close(kept)
    os.close(reader)
"""
    ).check()


def test_signal_handler_that_raises_in_the_watcher():
    """What it raised reaches the main greenlet, as KeyboardInterrupt has to, and the watcher is told of the child's end all the same."""
    source = """
import os
import gevent
from gevent import _reaper
from gevent.event import Event

reading, writing = os.pipe()
pid = os.fork()
if not pid:
    os.read(reading, 1)
    os._exit(3)
reap = _reaper._reap

def interrupted(*args):
    _reaper._reap = reap
    raise KeyboardInterrupt

watcher = gevent.get_hub().loop.child(pid)
ended = Event()
watcher.start(ended.set)
_reaper._reap = interrupted
os.write(writing, b"x")
try:
    ended.wait()
except KeyboardInterrupt:
    print("interrupted")
ended.wait()
print(watcher.rstatus)
watcher.close()
"""
    done = run_script(source)
    assert (done.status, done.stdout) == (0, "interrupted\n768\n"), done.stderr
    assert done.stderr.count("\nKeyboardInterrupt") == 1  # the hub reports it, as it does for every callback
