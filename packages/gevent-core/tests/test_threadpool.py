"""Thread pools: results and errors that come back, threads that come and go, and what happens to both when a process forks.

Native threads wait on native events here, and tell of themselves by posting to the loop: nothing is timed.
"""

import concurrent.futures
import os
import random
import sys
import threading
import time
import traceback
import weakref
from pathlib import Path

import gevent
import pytest
from gevent import threadpool
from gevent._config import Setting, config
from gevent.core import held_lock
from gevent.event import AsyncResult, Event
from gevent.exceptions import BlockingSwitchOutError, InvalidThreadUseError
from gevent.greenlet import Greenlet
from gevent.hub import LoopExit, get_hub
from gevent.threadpool import TaskQueue, ThreadPool, ThreadPoolExecutor, ThreadResult, Worker
from gevent_testkit import collect_garbage, run_script
from gevent_testkit.greenlets import settle
from greenlet import GreenletExit

SCRIPTS = Path(__file__).parent / "scripts"

#: Seconds until a native thread that waits for a test gives up. Nothing waits that long unless it is broken.
PATIENCE = 20


class Failure(Exception):
    pass


class Thing:
    """Something that can be weakly referenced."""


class Gate:
    """A function for a native thread: it tells the hub that it runs, and then waits for open()."""

    def __init__(self):
        self.loop = get_hub().loop
        self.started = Event()
        self.opened = threading.Event()

    def __call__(self, value=None):
        self.loop.run_callback_threadsafe(self.started.set)
        assert self.opened.wait(PATIENCE)
        if isinstance(value, BaseException):
            raise value
        return value

    def open(self):
        self.opened.set()


@pytest.fixture
def make_pool():
    """ThreadPool(), with threads that have ended when the test has."""
    pools = []

    def make(*args, **kwargs):
        pools.append(ThreadPool(*args, **kwargs))
        return pools[-1]

    yield make
    for each in pools:
        each.kill()


@pytest.fixture
def pool(make_pool):
    return make_pool(3)


def double_or_fail(number):
    if number < 0:
        raise Failure(number)
    return number * 2


def in_thread(function):
    """The result of *function* in a native thread that is none of a pool's, or the exception it raised."""
    done = []

    def run():
        try:
            done.append(function())
        except BaseException as error:
            done.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)
    return done[0]


# ---- apply and spawn -------------------------------------------------------------------------------------------------------------


def test_apply(pool):
    """THP-02: the call is made in another thread."""
    assert pool.apply(pow, (2, 5)) == 32
    assert pool.apply(pow, [2], {"exp": 5}) == 32
    assert pool.apply(list) == []
    assert pool.apply(threading.get_ident) != threading.get_ident()


def test_apply_raises(pool, reports):
    """THP-02, THP-07: the exception of the function, with its traceback; the hub is told too, with the function."""
    for _ in range(2):
        with pytest.raises(Failure, match="-1") as caught:
            pool.apply(double_or_fail, (-1,))
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-1] == "double_or_fail"
        assert "run" not in names  # nothing of the worker's own frames
        settle()
        assert reports == [(double_or_fail, caught.value)]
        reports.clear()
    assert pool.apply(double_or_fail, (2,)) == 4


def test_apply_of_a_builtin_that_raises(pool, reports):
    """THP-07: without a frame of its own, the traceback has nothing of the worker either."""
    with pytest.raises(ValueError, match="invalid literal") as caught:
        pool.apply(int, ("x",))
    assert "run" not in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert reports.pop() == (int, caught.value)


def test_apply_e(pool, reports):
    """THP-07: but errors that are expected are not reported."""
    with pytest.raises(Failure):
        pool.apply_e(Failure, double_or_fail, (-1,))
    with pytest.raises(Failure):
        pool.apply_e((KeyError, Failure), double_or_fail, [], {"number": -1})
    settle()
    assert reports == []
    with pytest.raises(Failure):
        pool.apply_e(KeyError, double_or_fail, (-1,))
    assert len(reports) == 1
    reports.clear()
    assert pool.apply_e(Failure, double_or_fail, (1,)) == 2
    assert pool.apply_e(Failure, list) == []


@pytest.mark.parametrize("error", [GreenletExit("x"), SystemExit(3), KeyboardInterrupt()])
def test_every_exception_comes_back(pool, reports, error):
    """THP-07: what would end a thread does not."""
    with pytest.raises(type(error)) as caught:
        pool.apply(threadpool_raise, (error,))
    assert caught.value is error
    assert reports.pop() == (threadpool_raise, error)
    assert pool.apply(abs, (-1,)) == 1
    assert pool.size == 1


def threadpool_raise(error):
    raise error


def test_system_errors_end_the_program():
    """THP-07: as they do from a greenlet."""
    done = run_script("import gevent, sys; gevent.get_hub().threadpool.spawn(sys.exit, 3); gevent.sleep(20)")
    assert (done.status, done.stderr) == (3, "")


def test_errors_are_printed():
    """THP-07: traceback and function, by the hub's own handler."""
    done = run_script(
        "import gevent\n"
        "def function():\n"
        "    raise KeyError('key')\n"
        "result = gevent.get_hub().threadpool.spawn(function)\n"
        "print(gevent.wait([result]) == [result], repr(result.exception))\n"
    )
    assert (done.status, done.stdout) == (0, "True KeyError('key')\n")
    assert "line 3, in function\n" in done.stderr
    assert "failed with KeyError" in done.stderr


def test_apply_within_a_task(pool):
    """THP-01: it runs directly, so that a full pool is no deadlock."""
    pool.maxsize = 1

    def outer():
        return threading.get_ident(), pool.apply(threading.get_ident), pool.apply_e(OSError, threading.get_ident)

    assert len(set(pool.apply(outer))) == 1


def test_apply_in_another_thread(pool):
    """THP-01: and so it does in every native thread that is not the hub's."""
    assert in_thread(lambda: pool.apply(threading.get_ident)) != threading.get_ident()
    assert isinstance(in_thread(lambda: pool.apply(double_or_fail, (-1,))), Failure)
    assert pool.size == 0


def test_the_rest_in_another_thread(pool):
    """Everything else belongs to the hub's thread, and says so."""
    for call in (lambda: pool.spawn(int), lambda: setattr(pool, "size", 1)):
        error = in_thread(call)
        assert isinstance(error, InvalidThreadUseError)
        assert "make a pool in this thread" in str(error)
    assert (pool.size, len(pool)) == (0, 0)


def test_spawn(pool, reports):
    """THP-04: an AsyncResult."""
    result = pool.spawn(pow, 2, exp=5)
    assert type(result) is AsyncResult
    assert (len(pool), result.ready()) == (1, False)
    assert result.get() == 32
    assert len(pool) == 0
    failed = pool.spawn(double_or_fail, -1)
    gevent.wait([failed])
    assert isinstance(failed.exception, Failure)
    assert not failed.successful()
    assert reports.pop() == (double_or_fail, failed.exception)


@pytest.mark.parametrize("function", [3, None, "int"])
def test_spawn_what_cannot_be_called(pool, function):
    """At once, and nothing has changed."""
    for call in (pool.spawn, pool.apply, lambda function: pool.apply_e(OSError, function)):
        with pytest.raises(TypeError, match=f"must be callable, not {function!r}"):
            call(function)
    assert (len(pool), pool.size, pool._semaphore.counter) == (0, 0, 3)


def test_wrong_arguments(pool, reports):
    with pytest.raises(TypeError, match="double_or_fail"):
        pool.apply(double_or_fail)
    assert len(reports) == 1
    reports.clear()


def test_spawn_blocks(make_pool):
    """THP-04: while maxsize tasks are running or queued; whoever waits is served in order."""
    pool = make_pool(2)
    gates = [Gate() for _ in range(4)]
    log = []

    def spawn(number):
        log.append((number, pool.spawn(gates[number], number)))

    spawners = [gevent.spawn(spawn, number) for number in range(4)]
    gates[0].started.wait()
    gates[1].started.wait()
    settle()
    assert [number for number, _ in log] == [0, 1]
    assert (len(pool), gates[2].started.is_set()) == (2, False)
    gates[1].open()
    gates[2].started.wait()
    assert [number for number, _ in log] == [0, 1, 2]
    for gate in gates:
        gate.open()
    gevent.joinall(spawners)
    assert [result.get() for _, result in log] == [0, 1, 2, 3]
    assert pool.size == 2


def test_no_room_at_all(make_pool):
    """THP-04: LoopExit, since nobody can make room."""
    pool = make_pool(0)
    with pytest.raises(LoopExit):
        pool.apply(int)
    assert pool._semaphore.counter == 0


def test_spawn_in_the_hub(make_pool):
    """It works while there is room, and refuses to wait for it."""
    pool = make_pool(1)
    gate = Gate()
    found = []

    def spawn():
        try:
            found.append(pool.spawn(gate, 5))
        except BlockingSwitchOutError as error:
            found.append(error)

    for _ in range(2):
        get_hub().loop.run_callback(spawn)
    gate.started.wait()
    gate.open()
    assert found[0].get() == 5
    assert isinstance(found[1], BlockingSwitchOutError)
    assert pool._semaphore.counter == 1


def test_spawner_killed_while_it_waits(make_pool):
    """THP-04: it takes nobody's room."""
    pool = make_pool(1)
    gate = Gate()
    result = pool.spawn(gate, 1)
    spawners = [gevent.spawn(pool.spawn, abs, -2) for _ in range(2)]
    gate.started.wait()
    settle()
    spawners[0].kill()
    gate.open()
    assert spawners[1].get().get() == 2
    assert (result.get(), len(pool), pool._semaphore.counter) == (1, 0, 1)


def test_waiter_killed(make_pool):
    """The task goes on; its room comes back, and its result is not kept."""
    pool = make_pool(1)
    gate = Gate()
    thing = Thing()
    reference = weakref.ref(thing)
    waiter = gevent.spawn(pool.apply, gate, (thing,))
    gate.started.wait()
    waiter.kill()
    assert (len(pool), pool._semaphore.counter) == (1, 0)
    del thing, waiter
    gate.open()
    pool.join()
    settle()
    collect_garbage()
    assert (len(pool), pool._semaphore.counter, reference()) == (0, 1, None)


def test_timeout_around_apply(pool):
    """A foreign Timeout passes through, and the task goes on."""
    gate = Gate()
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.001) as mine:
        pool.apply(gate)
    assert caught.value is mine
    assert len(pool) == 1
    gate.open()
    pool.join()
    assert pool._semaphore.counter == 3


def test_a_task_holds_the_loop_open(pool):
    """Whoever waits for a task never gets LoopExit, and wait() waits for it."""
    gate = Gate()
    result = pool.spawn(gate, 1)
    get_hub().loop.run_callback(gate.open)
    assert gevent.wait() is True
    assert result.ready()
    gate = Gate()
    result = pool.spawn(gate, 2)
    get_hub().loop.run_callback(gate.open)
    assert result.get() == 2
    before = get_hub().loop.activecnt
    pool.map(abs, range(20))
    assert get_hub().loop.activecnt == before
    with pytest.raises(LoopExit):
        Event().wait()


def test_all_at_the_same_time(make_pool):
    """As many tasks as there can be threads run beside one another, when the threads are new and when they idle."""
    pool = make_pool(6)
    for _ in range(4):
        barrier = threading.Barrier(6, timeout=PATIENCE)
        assert sorted(pool.map(lambda _, barrier=barrier: barrier.wait(), range(6))) == list(range(6))
    assert pool.size == 6


def test_order(make_pool):
    """One thread does its tasks in the order they came."""
    pool = make_pool(1)
    done = []
    pool.map(done.append, range(50))
    assert done == list(range(50))


def test_one_call_after_the_other_needs_one_thread(pool):
    """THP-05: threads are made on demand, and none is started while one is free."""
    assert len({pool.apply(threading.get_ident) for _ in range(200)}) == 1
    assert pool.size == 1


# ---- map and kin -----------------------------------------------------------------------------------------------------------------


def test_map(pool, reports):
    """THP-08: as the groups."""
    assert pool.map(double_or_fail, range(10)) == list(range(0, 20, 2))
    assert list(pool.imap(pow, [2, 3, 4], [1, 2])) == [2, 9]
    assert sorted(pool.imap_unordered(abs, range(-9, 0), maxsize=2)) == list(range(1, 10))
    assert list(pool.imap(abs, [])) == []
    with pytest.raises(Failure):
        pool.map(double_or_fail, [1, -1])
    assert [type(error) for _, error in reports] == [Failure]
    reports.clear()
    called = []
    assert pool.map_async(abs, [-1, -2], callback=called.append).get() == [1, 2]
    assert called == [[1, 2]]


def test_imap_order(pool):
    """THP-08: imap in the order of the input, imap_unordered in that of completion."""
    for name, expected in (("imap", [0, 1]), ("imap_unordered", [1, 0])):
        gates = [Gate(), Gate()]
        results = getattr(pool, name)(lambda number, gates=gates: gates[number](number), [0, 1])
        gates[0].started.wait()
        gates[1].started.wait()
        gates[1].open()
        while len(pool) > 1:
            gevent.sleep(1e-6)
        gates[0].open()
        assert list(results) == expected


def test_apply_async(pool, reports):
    """THP-08: always through a greenlet; the callback runs in it, and only on success."""
    called = []
    good = pool.apply_async(double_or_fail, (1,), callback=lambda value: called.append((value, gevent.getcurrent())))
    bad = pool.apply_async(double_or_fail, (-1,), callback=called.append)
    assert type(good) is Greenlet
    assert good.get() == 2
    with pytest.raises(Failure):
        bad.get()
    settle()
    assert [type(error) for _, error in reports] == [Failure, Failure]  # of the task, and of the greenlet
    reports.clear()
    assert called == [(2, good)]
    assert pool.apply_cb(abs, (-1,), callback=called.append) == 1
    assert called == [(2, good), 1]  # at once


def test_apply_async_does_not_block(make_pool):
    """THP-08: not when the pool is full either."""
    pool = make_pool(1)
    gate = Gate()
    first = pool.spawn(gate)
    second = pool.apply_async(abs, (-1,))
    gate.started.wait()
    settle()
    assert not second.ready()
    gate.open()
    assert second.get() == 1
    first.get()


# ---- threads ---------------------------------------------------------------------------------------------------------------------


def test_attributes(pool):
    """What gevent 1.1 shows."""
    hub = get_hub()
    assert (pool.hub, pool.pid, pool.manager, pool.maxsize, pool.size, len(pool)) == (hub, os.getpid(), None, 3, 0, 0)
    assert not pool.fork_watcher.ref
    assert (len(pool.task_queue), pool.task_queue.qsize()) == (0, 0)
    assert f"tasks=0 size=0 maxsize=3 hub=<Hub at {id(hub):#x}" in repr(pool)


def test_the_hubs_pool():
    """HUB-18: made on first use; repr() of both does not go round in circles."""
    run_script(
        "import gevent\n"
        "hub = gevent.get_hub()\n"
        "pool = hub.threadpool\n"
        "assert (type(pool).__name__, pool.maxsize, pool.hub is hub, hub.threadpool is pool) == ('ThreadPool', 10, True, True)\n"
        "assert repr(pool) in repr(hub)\n"
        "del hub.threadpool\n"
        "assert hub.threadpool is not pool\n"
    ).check()


@pytest.mark.parametrize(("maxsize", "error"), [(-1, ValueError), ("a", TypeError), (1.5, TypeError), (None, TypeError)])
def test_bad_maxsize(pool, maxsize, error):
    """THP-05: negative, not an int."""
    with pytest.raises(error, match=str(maxsize)):
        ThreadPool(maxsize)
    with pytest.raises(error, match=str(maxsize)):
        pool.maxsize = maxsize
    assert pool.maxsize == 3


def test_size(pool):
    """THP-05: setting it makes or ends threads."""
    sizes = []
    for size in (2, 3, 0, 1, 0):
        pool.size = size
        sizes.append((pool.size, pool.task_queue.leaving))
    assert sizes == [(2, 0), (3, 0), (0, 0), (1, 0), (0, 0)]
    assert pool.apply(abs, (-1,)) == 1
    assert pool.size == 1


@pytest.mark.parametrize(
    ("size", "error"), [(4, ValueError), (-1, ValueError), ("a", TypeError), (1.5, TypeError), (None, TypeError)]
)
def test_bad_size(pool, size, error):
    """THP-05: above maxsize, negative, not an int."""
    with pytest.raises(error, match=str(size)):
        pool.size = size
    assert pool.size == 0


def test_fewer_threads_while_they_are_busy(pool):
    """THP-05: setting the size waits until those that are to go have done what they do."""
    gates = [Gate() for _ in range(3)]
    results = [pool.spawn(gate, number) for number, gate in enumerate(gates)]
    for gate in gates:
        gate.started.wait()
    assert pool.size == 3
    setter = gevent.spawn(setattr, pool, "size", 1)
    settle()
    assert (pool.size, pool.task_queue.leaving, setter.ready()) == (1, 2, False)
    gates[2].open()
    results[2].get()
    settle()
    assert not setter.ready()
    gates[0].open()
    setter.join()
    assert (pool.size, pool.task_queue.leaving) == (1, 0)
    gates[1].open()
    assert [each.get() for each in results] == [0, 1, 2]


def test_more_threads_before_those_have_gone(pool):
    """THP-05: whoever was to go may stay then."""
    gates = [Gate() for _ in range(2)]
    for gate in gates:
        pool.spawn(gate)
    for gate in gates:
        gate.started.wait()
    setter = gevent.spawn(setattr, pool, "size", 0)
    settle()
    assert (pool.size, pool.task_queue.leaving) == (0, 2)
    pool.size = 3
    assert (pool.size, pool.task_queue.leaving) == (3, 0)
    for gate in gates:
        gate.open()
    pool.join()
    assert pool.size == 3
    setter.kill()


def test_maxsize(make_pool):
    """THP-05: more room wakes who waits for it; less ends threads."""
    pool = make_pool(1)
    gates = [Gate() for _ in range(3)]
    spawners = [gevent.spawn(pool.spawn, gate) for gate in gates]
    gates[0].started.wait()
    settle()
    assert [each.ready() for each in spawners] == [True, False, False]
    pool.maxsize = 3
    gates[2].started.wait()
    assert (pool.size, pool.maxsize) == (3, 3)
    pool.maxsize = 1
    assert (pool.size, pool.maxsize) == (1, 1)
    late = gevent.spawn(pool.apply, abs, (-1,))
    for gate in gates[1:]:
        gate.open()
    for spawner in spawners[1:]:
        spawner.get().get()
    settle()
    assert not late.ready()  # two less are done, but only one may be under way
    gates[0].open()
    assert late.get() == 1
    assert pool._semaphore.counter == 1


def test_adjust(pool):
    """THP-05: nothing is to be done."""
    pool.size = 2
    pool.adjust()
    assert pool.size == 2


def test_threads_left_to_others_tasks(make_pool):
    """A thread that ends leaves nothing undone: what came last is done by those that stay."""
    pool = make_pool(2)
    gates = [Gate(), Gate()]
    for gate in gates:
        pool.spawn(gate)
    for gate in gates:
        gate.started.wait()
    pool._semaphore.release()
    pool.task_queue.limit = 1  # so that the next one finds no thread, and none is started for it
    waiting = pool.spawn(abs, -5)
    setter = gevent.spawn(setattr, pool, "size", 1)
    settle()
    gates[0].open()
    setter.join()
    assert (len(pool.task_queue), pool.size, waiting.ready()) == (1, 1, False)
    gates[1].open()
    assert waiting.get() == 5
    pool._semaphore.acquire()


def test_join(pool):
    """THP-09: waits for the tasks."""
    pool.join()
    gates = [Gate(), Gate()]
    for gate in gates:
        pool.spawn(gate)
    joiner = gevent.spawn(pool.join)
    for gate in gates:
        gate.started.wait()
        settle()
        assert not joiner.ready()
        gate.open()
    joiner.join()
    assert len(pool) == 0


def test_kill(pool):
    """THP-09: ends the threads, which do what they have before; the pool can be used again."""
    gate = Gate()
    result = pool.spawn(gate, 7)
    gate.started.wait()
    killer = gevent.spawn(pool.kill)
    settle()
    assert (killer.ready(), pool.size, pool.task_queue.leaving) == (False, 0, 1)
    gate.open()
    killer.join()
    assert (pool.size, pool.task_queue.leaving, result.get()) == (0, 0, 7)
    assert pool.apply(abs, (-1,)) == 1
    assert pool.size == 1
    pool.kill()
    pool.kill()
    assert pool.size == 0


def test_kill_with_spawners_waiting(make_pool):
    """THP-09: their tasks are done too, and then there are no threads."""
    pool = make_pool(1)
    gate = Gate()
    pool.spawn(gate)
    gate.started.wait()
    spawners = [gevent.spawn(pool.apply, abs, (-number,)) for number in range(3)]
    settle()
    killer = gevent.spawn(pool.kill)
    settle()
    gate.open()
    killer.join()
    assert (pool.size, pool.task_queue.leaving) == (0, 0)
    assert [each.get() for each in spawners] == [0, 1, 2]


def test_kill_in_the_hub(pool):
    """THP-09: it cannot wait there, so it does not."""
    gate = Gate()
    pool.spawn(gate)
    gate.started.wait()
    done = []
    get_hub().loop.run_callback(lambda: done.append(pool.kill()))
    settle()
    assert (done, pool.size, pool.task_queue.leaving) == ([None], 0, 1)
    gate.open()
    pool.join()


def wait_for_leaving(pool):
    """Wait until another thread of *pool* has ended."""
    loop = get_hub().loop
    left = Event()
    watcher = lambda: loop.run_callback_threadsafe(left.set)  # noqa: E731
    pool.task_queue.leave_watchers.append(watcher)
    while pool.size:
        left.clear()
        assert left.wait(PATIENCE)
    pool.task_queue.leave_watchers.remove(watcher)


def test_idle_timeout(make_pool):
    """A thread that has nothing to do for so long ends; the next task gets another."""
    pool = make_pool(2, idle_task_timeout=0.001)
    for number in range(3):
        assert pool.apply(abs, (-number,)) == number
        wait_for_leaving(pool)
        assert pool.size == 0


@pytest.mark.parametrize("timeout", [-1, None, 1e300])
def test_no_idle_timeout(make_pool, timeout):
    pool = make_pool(2, idle_task_timeout=timeout)
    assert len({pool.apply(threading.get_ident) for _ in range(50)}) == 1


def test_idle_timeouts_and_tasks_at_once(make_pool):
    """A task that is given to a thread just as that has had enough is not lost."""
    pool = make_pool(3, idle_task_timeout=0.00005)
    chance = random.Random(5)
    for number in range(600):
        assert pool.apply(abs, (-number,)) == number
        if chance.random() < 0.3:
            gevent.sleep(0.00005)
    assert pool.map(abs, range(-300, 0)) == list(range(300, 0, -1))


def test_random_use(make_pool):
    """Tasks, sizes and kills at random: every task is done once, and all is as it was afterwards."""
    pool = make_pool(4, idle_task_timeout=0.0002)
    chance = random.Random(7)
    done = []

    def user(number):
        for turn in range(60):
            task = (number, turn)
            assert pool.apply(lambda task=task: done.append(task) or task) == task

    def meddler():
        while len(done) < 480:
            choice = chance.random()
            if choice < 0.4:
                pool.size = chance.randint(0, pool.maxsize)
            elif choice < 0.6:
                pool.maxsize = chance.randint(1, 6)
            elif choice < 0.7:
                jobs.append(gevent.spawn(pool.kill))
            gevent.sleep(0.0003)

    jobs = [gevent.spawn(user, number) for number in range(8)]
    gevent.spawn(meddler).get()
    gevent.joinall(jobs, raise_error=True)
    assert sorted(done) == [(number, turn) for number in range(8) for turn in range(60)]
    pool.kill()
    assert (len(pool), pool._semaphore.counter, pool.size, pool.task_queue.leaving) == (0, pool.maxsize, 0, 0)
    assert get_hub().loop.activecnt == 0


def test_many_short_tasks(make_pool):
    """Of very many tasks each is done once, and has its own result, while the threads fall asleep, are woken and end all the time."""
    pool = make_pool(4, idle_task_timeout=0.0001)
    users, turns, done = 5, 300, []

    def work(number):
        done.append(number)
        return -number

    def user(first):
        for number in range(first, first + 11 * turns, 11):
            assert pool.apply(work, (number,)) == -number
            results = [pool.spawn(work, each) for each in range(number + 1, number + 11)]
            assert [each.get(timeout=PATIENCE) for each in results] == [-each for each in range(number + 1, number + 11)]

    gevent.joinall([gevent.spawn(user, 11 * turns * each) for each in range(users)], raise_error=True)
    assert sorted(done) == list(range(11 * turns * users))


def test_threads_sleep_on_what_the_loop_wakes_best(pool):
    """On PyPy, threads that sleep on the interpreter's own locks are woken a tenth of a millisecond late."""
    assert type(Worker().wake) is type(held_lock())


def no_thread(*args):
    raise RuntimeError("can't start new thread")


def test_no_thread_can_be_started(pool, monkeypatch):
    """spawn says so, and nothing has changed."""
    monkeypatch.setattr(threadpool, "start_new_thread", no_thread)
    before = get_hub().loop.activecnt
    for _ in range(5):
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.spawn(abs, -1)
    with pytest.raises(RuntimeError):
        pool.size = 1
    assert (len(pool), pool.size, pool._semaphore.counter, get_hub().loop.activecnt) == (0, 0, 3, before)
    monkeypatch.undo()
    assert pool.apply(abs, (-1,)) == 1


def test_no_more_threads_can_be_started(pool, monkeypatch):
    """Those there are have to do."""
    gate = Gate()
    pool.spawn(gate)
    gate.started.wait()
    monkeypatch.setattr(threadpool, "start_new_thread", no_thread)
    results = [pool.spawn(abs, -number) for number in range(2)]
    assert (pool.size, len(pool.task_queue)) == (1, 2)
    gate.open()
    assert [each.get() for each in results] == [0, 1]
    assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]


def test_a_thread_comes_free_as_none_can_be_started(pool, monkeypatch):
    """It is called then."""
    pool.size = 1
    queue = pool.task_queue
    pool.apply(int)
    idle = queue.idle.pop()  # as if it were busy

    def start(*args):
        queue.idle.append(idle)
        no_thread()

    monkeypatch.setattr(threadpool, "start_new_thread", start)
    assert pool.apply(abs, (-3,)) == 3


def test_the_pool_is_killed_as_none_can_be_started(pool, monkeypatch):
    """THP-09: what was counted as a thread is not waited for."""
    gate = Gate()
    pool.spawn(gate)
    gate.started.wait()

    def start(*args):
        pool.task_queue.resize(0)
        no_thread()

    monkeypatch.setattr(threadpool, "start_new_thread", start)
    result = pool.spawn(abs, -1)
    assert (pool.size, pool.task_queue.excess, pool.task_queue.leaving) == (0, 1, 1)
    gate.open()
    assert result.get() == 1
    pool.kill()
    assert (pool.size, pool.task_queue.excess, pool.task_queue.leaving) == (0, 0, 0)


def test_nothing_is_kept(pool, reports):
    """THP-06: an idle thread keeps neither the function nor the arguments, nor the result; nor the error."""

    class Function(Thing):
        def __call__(self, argument, keyword):
            made.append(weakref.ref(result := Thing()))
            if keyword is None:
                error = Failure()
                error.thing = result
                raise error
            return result

    made = []
    function, argument, keyword = Function(), Thing(), Thing()
    made += [weakref.ref(function), weakref.ref(argument), weakref.ref(keyword)]
    pool.apply(function, (argument,), {"keyword": keyword})
    with pytest.raises(Failure):
        pool.apply(function, (argument, None))
    reports.clear()
    del function, argument, keyword
    settle()
    collect_garbage()
    assert (len(made), [each() for each in made]) == (5, [None] * 5)
    assert pool.size == 1


def test_a_pool_that_is_dropped():
    """Its threads end by themselves: the leak check counts them."""
    pool = ThreadPool(3)
    pool.size = 2
    assert pool.apply(abs, (-1,)) == 1
    reference, queue = weakref.ref(pool), pool.task_queue
    del pool
    collect_garbage()
    assert (reference(), queue.size) == (None, 0)
    settle()


def test_a_pool_that_is_dropped_while_it_works():
    """What was begun is finished, and its result delivered."""
    pool = ThreadPool(1)
    gate = Gate()
    result = pool.spawn(gate, 3)
    gate.started.wait()
    reference = weakref.ref(pool)
    del pool
    collect_garbage()
    gate.open()
    assert result.get() == 3
    settle()
    collect_garbage()
    assert reference() is None


def test_a_pool_that_is_dropped_by_its_own_thread():
    """The collector may run the finalizer anywhere, where a worker holds the queue's lock also."""

    class Lock:
        def __init__(self):
            self.native = threading.Lock()
            self.interrupt = None

        def acquire(self, blocking=True):
            return self.native.acquire(blocking)

        def release(self):
            self.native.release()

        def __enter__(self):
            self.native.acquire()
            interrupt, self.interrupt = self.interrupt, None
            if interrupt is not None:
                interrupt()

        def __exit__(self, t, v, tb):
            self.native.release()

    for method in ("take", "sleep", "left"):
        queue = TaskQueue(2, 0.001 if method == "sleep" else -1)
        queue.lock = lock = Lock()
        queue.size = 2
        worker, other = Worker(), Worker()
        queue.idle.append(other)
        if method == "sleep":
            queue.idle.append(worker)
        elif method == "left":
            queue.leaving = 1
        lock.interrupt = queue.abandon
        if method == "left":
            queue.left()
        else:
            getattr(queue, method)(worker)
        assert (other.told, queue.size, queue.abandoned) == (True, 0, True)


def test_tasks_that_use_gevent(pool):
    """A hub is made in the worker, and destroyed when that ends."""

    def task():
        gevent.sleep(0)
        job = gevent.spawn(abs, -3)
        return job.get(), weakref.ref(get_hub()), weakref.ref(get_hub().loop)

    value, hub, loop = pool.apply(task)
    assert (value, hub() is None, hub() is get_hub()) == (3, False, False)
    pool.kill()
    while threading.active_count() > 1:
        time.sleep(0)  # the thread has told us that it ends; now it does
    collect_garbage()
    assert hub() is None or hub().loop is None
    assert loop() is None or "destroyed" in repr(loop())


def test_a_pool_of_another_threads_hub():
    """ALL-05: each native thread may have its own."""

    def use():
        pool = ThreadPool(2)
        try:
            return pool.map(abs, [-1, -2]), get_hub().threadpool.apply(abs, (-3,)), pool.hub is get_hub()
        finally:
            pool.kill()
            get_hub().destroy()

    assert in_thread(use) == ([1, 2], 3, True)


def test_trace_functions(pool):
    """Debuggers and coverage see the tasks, as they see the threads of the threading module."""
    seen = []

    def trace(frame, event, argument):
        if frame.f_code is double_or_fail.__code__:
            seen.append(("trace", event))

    def profile(frame, event, argument):
        if frame.f_code is double_or_fail.__code__:
            seen.append(("profile", event))

    before = getattr(threading, "_trace_hook", None), getattr(threading, "_profile_hook", None)
    threading.settrace(trace)
    threading.setprofile(profile)
    try:
        pool.apply(double_or_fail, (1,))
    finally:
        threading.settrace(before[0])
        threading.setprofile(before[1])
    assert sorted(seen) == [("profile", "call"), ("profile", "return"), ("trace", "call")]


def test_the_end_of_the_program():
    """It does not wait for tasks, and they do not disturb it."""
    run_script(
        "import gevent, time\npool = gevent.get_hub().threadpool\npool.spawn(time.sleep, 100)\npool.map(abs, range(20))\n"
    ).check()


def test_hub_destroyed_while_a_task_runs():
    """HUB-15: the pool is closed; the task ends some time, and nobody is told."""
    done = run_script(
        "import gevent, threading\n"
        "opened, ended = threading.Event(), threading.Event()\n"
        "def task():\n"
        "    opened.wait(20)\n"
        "    ended.set()\n"
        "hub = gevent.get_hub()\n"
        "pool = hub.threadpool\n"
        "pool.spawn(task)\n"
        "hub.destroy(destroy_loop=True)\n"
        "assert pool.size == 0\n"
        "opened.set()\n"
        "assert ended.wait(20)\n"
        "while pool.task_queue.leaving:\n"
        "    pass\n"
        "try:\n"
        "    pool.spawn(abs, -1)\n"
        "except gevent.exceptions.InvalidThreadUseError as error:\n"
        "    print('refused')\n"
        "print(gevent.get_hub().threadpool.apply(abs, (-1,)))\n"
    )
    assert done.check().stdout == "refused\n1\n"


# ---- ThreadResult ----------------------------------------------------------------------------------------------------------------


def test_thread_result():
    """A value set in another thread arrives in the hub, in this order."""
    log = []
    result = ThreadResult(
        lambda source: log.append((source, source.value, gevent.getcurrent())), get_hub(), lambda: log.append("ready")
    )
    assert (result.exception, result.exc_info, result.successful()) == (None, (), True)
    assert "ThreadResult at 0x" in repr(result)
    in_thread(lambda: result.set(5))
    assert log == []
    gevent.sleep(1e-6)
    assert log == ["ready", (result, 5, get_hub())]
    assert (result.value, result.hub, result.receiver, result.context) == (None, None, None, None)


def test_thread_result_with_an_error(reports):
    """THP-07: and so does an error, for receiver and hub."""
    seen = []
    result = ThreadResult(lambda source: seen.append((source.exception, source.exc_info[0], source.successful())))
    error = Failure()
    in_thread(lambda: result.handle_error("context", (Failure, error, None)))
    gevent.sleep(1e-6)
    assert seen == [(error, Failure, False)]
    assert reports.pop() == ("context", error)


def test_thread_result_holds_the_loop_open():
    loop = get_hub().loop
    before = loop.activecnt
    result = ThreadResult(AsyncResult())
    assert loop.activecnt == before + 1
    result.destroy()
    result.destroy()
    assert loop.activecnt == before
    result.set(1)  # nobody is told
    settle()


def test_thread_result_destroyed_on_its_way():
    called = []
    result = ThreadResult(called.append)
    in_thread(lambda: result.set(1))
    result.destroy()
    gevent.sleep(1e-6)
    assert called == []


# ---- forking ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reinit", "loop", "plain", "multiprocessing"])
def test_fork(how):
    """THP-03: the pool works in the child: after gevent.reinit(), after the loop's alone, and when nobody was told of the fork."""
    assert run_script(SCRIPTS / "threadpool_fork.py", how).check().stdout == "parent ok\n"


@pytest.mark.parametrize("how", ["reinit", "plain"])
def test_fork_with_tasks_under_way(how):
    """THP-03: in the child, what was running fails, what was waiting is done there too; the parent notices nothing."""
    assert run_script(SCRIPTS / "threadpool_fork_busy.py", how).check().stdout == "parent ok\n"


# ---- ThreadPoolExecutor ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_executor_gives_what_it_does_not_know_to_the_interpreters_class():
    with pytest.raises(TypeError, match="no_such_argument"):
        ThreadPoolExecutor(1, no_such_argument=True)


def test_executor_is_imported_late():
    """Most programs never need it, and it brings half of the standard library."""
    run_script(
        "import sys\n"
        "import gevent.threadpool\n"
        "assert not any(name.startswith('concurrent') for name in sys.modules)\n"
        "from gevent.threadpool import ThreadPoolExecutor\n"
        "import concurrent.futures\n"
        "assert issubclass(ThreadPoolExecutor, concurrent.futures.ThreadPoolExecutor)\n"
        "assert gevent.threadpool.ThreadPoolExecutor is ThreadPoolExecutor\n"
    ).check()
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        threadpool.Nonsense  # noqa: B018


def test_submit(executor):
    future = executor.submit(pow, 2, exp=5)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result() == 32
    assert (future.done(), future.running(), future.cancelled(), future.exception()) == (True, False, False, None)
    assert future.result(timeout=0) == 32
    assert executor.submit(threading.get_ident).result() != threading.get_ident()


def test_submit_does_not_block(executor):
    """However many there are."""
    gate = Gate()
    futures = [executor.submit(gate, number) for number in range(10)]
    assert not any(each.done() for each in futures)
    gate.open()
    assert [each.result() for each in futures] == list(range(10))


def test_failing_future(executor, reports):
    """Nothing is reported: whoever has the future is told."""
    future = executor.submit(double_or_fail, -1)
    with pytest.raises(Failure) as caught:
        future.result()
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "double_or_fail"
    assert future.exception() is caught.value
    settle()
    assert reports == []


def test_future_timeout(executor):
    gate = Gate()
    future = executor.submit(gate, 1)
    gate.started.wait()
    for method in (future.result, future.exception):
        with pytest.raises(concurrent.futures.TimeoutError):
            method(timeout=0.001)
    assert (future.running(), future.done()) == (True, False)
    gate.open()
    assert future.result(timeout=PATIENCE) == 1


def test_greenlets_wait_for_futures(executor):
    """gevent.wait takes them; other greenlets run while one waits."""
    gates = [Gate(), Gate()]
    futures = [executor.submit(gate, number) for number, gate in enumerate(gates)]
    waiters = [gevent.spawn(each.result) for each in futures]
    settle()
    gates[1].open()
    assert gevent.wait(futures, count=1) == [futures[1]]
    gates[0].open()
    assert gevent.wait(futures) == [futures[1], futures[0]]
    assert [each.get() for each in waiters] == [0, 1]
    assert gevent.wait(futures, timeout=0.001) == futures


def test_callbacks_of_futures(executor):
    """They run in the hub."""
    called = []
    gate = Gate()
    future = executor.submit(gate)
    future.add_done_callback(lambda done: called.append((done, gevent.getcurrent())))
    gate.open()
    future.result()
    assert called == [(future, get_hub())]


def test_a_future_in_another_thread(executor):
    """Waiting there blocks the thread, not a greenlet."""
    gate = Gate()
    future = executor.submit(gate, 4)
    found = []
    thread = threading.Thread(target=lambda: found.append(future.result(PATIENCE)))
    thread.start()
    gate.open()
    assert future.result() == 4
    thread.join(PATIENCE)
    assert found == [4]
    assert isinstance(in_thread(lambda: executor.submit(int)), InvalidThreadUseError)


def test_cancel(executor):
    """What no thread has begun can be cancelled, and whoever waits for it is told."""
    gate = Gate()
    running = [executor.submit(gate) for _ in range(2)]
    gate.started.wait()
    while executor._threadpool.task_queue.tasks:
        gevent.sleep(1e-6)
    waiting = executor.submit(abs, -1)
    waiter = gevent.spawn(waiting.exception)
    hub = get_hub()
    hub.handle_error = lambda *args: None
    settle()
    assert (waiting.cancel(), waiting.cancelled(), waiting.done(), waiting.cancel()) == (True, True, True, True)
    waiter.join()
    del hub.handle_error
    assert isinstance(waiter.exception, concurrent.futures.CancelledError)
    assert (running[0].cancel(), running[0].cancelled()) == (False, False)
    gate.open()
    assert [each.result() for each in running] == [None, None]
    assert len(executor._threadpool) == 0


def test_executor_map(executor):
    assert list(executor.map(double_or_fail, range(20))) == list(range(0, 40, 2))


@pytest.mark.parametrize("wait", [True, False])
def test_shutdown(wait):
    """It takes no more; what it has is done first."""
    executor = ThreadPoolExecutor(max_workers=1)
    gate = Gate()
    futures = [executor.submit(gate, number) for number in range(2)]
    gate.started.wait()
    get_hub().loop.run_callback(gate.open)
    executor.shutdown(wait=wait)
    assert all(each.done() for each in futures) is wait
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)
    assert [each.result() for each in futures] == [0, 1]
    executor.kill()
    assert executor._threadpool.size == 0


def test_shutdown_with_cancel():
    executor = ThreadPoolExecutor(1)
    gate = Gate()
    futures = [executor.submit(gate, number) for number in range(3)]
    gate.started.wait()
    get_hub().loop.run_callback(gate.open)
    executor.shutdown(cancel_futures=True)
    assert [each.cancelled() for each in futures] == [False, True, True]
    assert futures[0].result() == 0


def test_initializer():
    """Called once in each thread, before the first call."""
    log = []
    with ThreadPoolExecutor(1, "name", log.append, ("begin",)) as executor:
        assert executor.submit(abs, -1).result() == 1
        assert executor.submit(abs, -2).result() == 2
    assert log == ["begin"]


def test_failing_initializer():
    with ThreadPoolExecutor(1, initializer=double_or_fail, initargs=(-1,)) as executor:
        with pytest.raises(concurrent.futures.thread.BrokenThreadPool, match="Failure"):
            executor.submit(abs, -1).result()
        with pytest.raises(concurrent.futures.thread.BrokenThreadPool):
            executor.submit(abs, -1)


@pytest.mark.parametrize("workers", [0, -1])
def test_bad_executor(workers):
    with pytest.raises(ValueError, match="max_workers"):
        ThreadPoolExecutor(workers)


def test_executor_under_patching():
    """concurrent.futures.wait and as_completed work where threading is patched; the threads stay native."""
    if sys.modules.get("gevent.monkey") is None and not _have_monkey():
        pytest.skip("gevent-monkey is not installed")
    run_script(
        "from gevent import monkey; monkey.patch_all()\n"
        "import concurrent.futures, _thread, gevent\n"
        "from gevent.threadpool import ThreadPoolExecutor\n"
        "executor = ThreadPoolExecutor(2)\n"
        "futures = [executor.submit(monkey.get_original('_thread', 'get_ident')) for _ in range(4)]\n"
        "assert concurrent.futures.wait(futures).not_done == set()\n"
        "assert len(list(concurrent.futures.as_completed(futures))) == 4\n"
        "assert monkey.get_original('_thread', 'get_ident')() not in {each.result() for each in futures}\n"
        "executor.shutdown()\n"
    ).check()


def _have_monkey():
    try:
        import gevent.monkey  # noqa: F401
    except ImportError:
        return False
    return True


def test_the_hubs_pool_has_the_idle_timeout_of_the_configuration(monkeypatch):
    hub = get_hub()
    monkeypatch.setitem(config.settings, "threadpool_idle_task_timeout", Setting("x", "GEVENT_TEST_IDLE", float, 0.25, ""))
    before = hub._threadpool
    try:
        del hub.threadpool
        assert hub.threadpool.task_queue.idle_timeout == 0.25
        hub.threadpool.kill()
    finally:
        hub.threadpool = before
