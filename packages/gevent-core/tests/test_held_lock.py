"""The lock that threads of a pool sleep on: ``gevent.core.held_lock()``, of each backend, and when the GIL is free for who is woken."""

import gc
import os
import sys
import threading
import time

import pytest
from gevent_testkit import run_script

PATIENCE = 20  # seconds that anything may take


def test_held_lock(core):
    """It is held at first, is acquired once for each release, whichever came first, and waits no longer than it is told to."""
    lock = core.held_lock()
    assert not lock.acquire(False)
    before = time.monotonic()
    assert not lock.acquire(True, 0.02)
    assert 0.019 < time.monotonic() - before < 10
    for timeout in (-1, 0, 0.5, 100_000.0):
        lock.release()
        assert lock.acquire(True, timeout)
    assert not lock.acquire(True, 0)
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()
    assert lock.acquire()


def test_held_lock_between_two_threads(core):
    """Nobody who sleeps is forgotten: with a limit or without, and where that is just over."""
    ping, pong = core.held_lock(), core.held_lock()
    turns = 3000
    answered = []

    def answer():
        for number in range(turns):
            while not ping.acquire(True, (-1, 100_000.0, 0.00001)[number % 3]):
                pass
            answered.append(number)
            pong.release()

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    for number in range(turns):
        ping.release()
        assert pong.acquire(True, PATIENCE), number
        assert answered[-1] == number
    thread.join()
    assert not ping.acquire(False)
    assert not pong.acquire(False)


def test_wrong_use(core):
    lock = core.held_lock()
    with pytest.raises(TypeError):
        lock.acquire(True, "1")
    with pytest.raises(TypeError):
        lock.acquire(True, 1, 2)
    with pytest.raises(TypeError):
        lock.release(True)
    with pytest.raises(TypeError):
        core.held_lock(True)
    assert not lock.acquire(False)
    lock.release()
    assert lock.acquire(False, -1)
    for limit in (float("inf"), 1e300, -5):  # for ever, all of them
        threading.Timer(0.001, lock.release).start()
        assert lock.acquire(True, limit)


def test_many_threads_in_turn(core):
    """Nobody gets a release that was another one's, and no thread that ends takes anything with it."""
    locks = [core.held_lock() for _ in range(20)]
    order = []

    def pass_on(number):
        for turn in range(100):
            assert locks[number].acquire(True, PATIENCE)
            order.append((turn, number))
            locks[(number + 1) % 20].release()

    threads = [threading.Thread(target=pass_on, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    locks[0].release()
    for each in threads:
        each.join()
    assert order == [(turn, number) for turn in range(100) for number in range(20)]


def test_a_lock_that_nobody_has_any_more(core):
    """Held or not, and with a thread that was asleep on it."""
    for _ in range(1000):
        core.held_lock()
        core.held_lock().release()
        lock = core.held_lock()
        thread = threading.Thread(target=lock.acquire)
        thread.start()
        lock.release()
        del lock
        thread.join()
    gc.collect()


@pytest.mark.parametrize("development", ["", "1"])
def test_asleep_in_a_forked_child_and_at_exit(core, development):
    """Threads that sleep, with a limit and without, are in the way of neither."""
    done = run_script(
        f"""
import gc, os, sys, threading
from {core.__name__} import held_lock

# Who has begun goes on until it sleeps, lest somebody be on the way as the interpreter ends: CPython 3.9 crashes then, with any lock.
sys.setswitchinterval(100)

class Sleeper(threading.Thread):
    def __init__(self, limit):
        super().__init__(daemon=True)
        self.lock, self.limit, self.begun = held_lock(), limit, threading.Lock()
        self.begun.acquire()
        self.start()
        self.begun.acquire()

    def run(self):
        self.begun.release()
        while not self.lock.acquire(True, self.limit):
            pass

    def wake(self):
        self.lock.release()
        self.join(20)
        assert not self.is_alive()

asleep = [Sleeper((-1, 1000)[number % 2]) for number in range(6)]
for each in asleep[:3]:
    each.wake()
for _ in range(20):
    pid = os.fork()
    if not pid:
        del asleep, each
        gc.collect()
        Sleeper(-1).wake()
        left = Sleeper(1000), Sleeper(-1)
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
for each in asleep[3:5]:
    each.wake()
print("ok")
""",
        env={"PYTHONDEVMODE": development or None},
    )
    assert (done.status, done.stdout, done.stderr) == (0, "ok\n", "")


# ---- Who has the GIL -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def wake(core):
    """A function that wakes a thread, and tells whether that could run before the waker went on.

    All is on one processor, and nobody is made to give way. Where the GIL is free the system may still let the waker go on first.
    """
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the two threads cannot be put on one processor")
    lock, back = core.held_lock(), core.held_lock()
    woken, over = [], False

    def sleeper():
        while lock.acquire() and not over:
            woken.append(True)
            back.release()

    def wake():
        woken.clear()
        lock.release()
        at_once = bool(woken)
        assert back.acquire(True, PATIENCE)
        return at_once

    interval, processors = sys.getswitchinterval(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    thread = threading.Thread(target=sleeper, daemon=True)
    thread.start()
    sys.setswitchinterval(10)  # seconds
    try:
        yield wake
    finally:
        sys.setswitchinterval(interval)
        over = True
        lock.release()
        thread.join()
        os.sched_setaffinity(0, processors)


@pytest.fixture
def next_round(core):
    """A function that has a loop, the calling thread's, poll once."""
    before = core.current_loop()
    loop = core.loop(default=False)
    core.set_current_loop(loop)
    keep = loop.async_()
    keep.start(lambda: None)

    def next_round():
        iteration = loop.iteration
        loop.run(nowait=True)
        assert loop.iteration != iteration

    yield next_round
    core.set_current_loop(before)
    keep.stop()
    loop.destroy()


def sometimes(wake, before):
    """Whether ever it is at once; *before* is called each time, before."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        before()
        if wake():
            return True
    return False


def has_no_gil():
    return not getattr(sys, "_is_gil_enabled", lambda: True)()


def test_the_GIL_is_free_as_a_thread_is_woken(wake, next_round):
    assert sometimes(wake, next_round)


@pytest.fixture
def compiled(core):
    if core.__name__ != "gevent._libev.cext":
        pytest.skip("the other backend always lets go of the GIL")
    if has_no_gil():
        pytest.skip("there is no GIL")


def test_who_wakes_many_keeps_the_GIL(compiled, wake, next_round):
    """From the third time between two polls on, and, since it did that, for some rounds."""
    assert sometimes(wake, next_round)
    next_round()
    wake()
    wake()
    assert not any(wake() for _ in range(200))
    for _ in range(16):
        next_round()
        assert not any(wake() for _ in range(20))
    assert sometimes(wake, next_round)
    for _ in range(50):  # twice is not many
        next_round()
        wake()
        wake()
    assert sometimes(wake, next_round)


def test_who_has_more_to_do_keeps_the_GIL(compiled, core, wake, next_round):
    ready = []

    def have_somebody_ready():
        next_round()
        assert ready == [1]
        del ready[:]
        core.current_loop().run_callback(ready.append, 1)

    core.current_loop().run_callback(ready.append, 1)
    for _ in range(200):
        have_somebody_ready()
        assert not wake()
    next_round()
    assert sometimes(wake, next_round)


def test_who_runs_no_loop_keeps_the_GIL(compiled, core, wake, next_round):
    """As a thread of the pool, which has something to do itself if it calls another one."""
    loop = core.current_loop()
    core.set_current_loop(None)
    assert not any(wake() for _ in range(200))
    core.set_current_loop(loop)
    assert sometimes(wake, next_round)
    destroyed = core.loop(default=False)
    destroyed.destroy()
    core.set_current_loop(destroyed)
    assert not any(wake() for _ in range(200))
