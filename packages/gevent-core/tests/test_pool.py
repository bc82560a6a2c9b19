"""Groups and pools: who is in and who must wait, what the mapping functions hand out, and what is left when nobody wants it."""

import io
import queue
import re
import traceback
import weakref

import gevent
import pytest
from gevent import _imap, pool
from gevent.event import Event
from gevent.exceptions import BlockingSwitchOutError
from gevent.greenlet import Greenlet
from gevent.hub import LoopExit, get_hub
from gevent.pool import Group, Pool, PoolFull
from gevent_testkit import collect_garbage, run_script
from gevent_testkit.greenlets import settle
from greenlet import GreenletExit


class Failure(Exception):
    pass


def take(reports):
    """The exceptions reported so far, those that are queued included."""
    settle()
    taken = [value for _, value in reports]
    reports.clear()
    return taken


def fail(error):
    raise error


def double_or_fail(number):
    if number < 0:
        raise Failure(number)
    return number * 2


def stubborn(gate, log):
    """Catches one GreenletExit and goes on until the *gate* opens."""
    try:
        gevent.sleep(30)
    except GreenletExit:
        log.append("caught")
    gate.wait()
    log.append("done")


# ---- Group: who is in it ---------------------------------------------------------------------------------------------------------


def test_empty_group():
    """POO-10: false, nothing in it, nothing to wait for."""
    group = Group()
    assert (bool(group), len(group), list(group), None in group) == (False, 0, [], False)
    assert group.join() is True
    group.kill()
    assert (group.greenlets, group.dying, group.full(), group.wait_available()) == (set(), set(), False, 1)


def test_members():
    """POO-07, POO-10: whoever is added is in it until it has ended."""
    gate = Event()
    first, second = gevent.spawn(gate.wait), Greenlet(gate.wait)
    group = Group([first])
    group.add(second)
    assert (bool(group), len(group), set(group), second in group) == (True, 2, {first, second}, True)
    second.start()
    gate.set()
    gevent.joinall([first, second])
    settle()
    assert (bool(group), len(group), list(group), second in group) == (False, 0, [], False)


def test_add_twice():
    group = Group()
    job = group.spawn(int)
    group.add(job)
    assert len(group) == 1
    group.join()
    assert len(group) == 0


def test_add_finished():
    """POO-07: it leaves soon after."""
    job = gevent.spawn(int)
    job.join()
    group = Group([job])
    assert group.join(timeout=10) is True
    assert list(group) == []


def test_too_many_arguments():
    with pytest.raises(TypeError, match=r"one iterable of greenlets, not 2 arguments: \(1, 2\)"):
        Group(1, 2)


@pytest.mark.parametrize("make", [Group, Pool])
def test_add_what_is_no_greenlet(make):
    """POO-13: and nothing has changed afterwards."""
    group = make()
    with pytest.raises(TypeError, match="3 cannot be added"):
        group.add(3)
    assert len(group) == 0
    assert group.join() is True


def test_discard():
    """It goes on, but is no member."""
    gate = Event()
    group = Group()
    job = group.spawn(gate.wait)
    group.discard(job)
    assert (job in group, group.join()) == (False, True)
    group.discard(job)
    group.discard(None)
    gate.set()
    assert job.get() is True


def test_raw_greenlets():
    """POO-07: they may be added; once dead, they are found to be gone."""
    gate = Event()
    raw = gevent.spawn_raw(gate.wait)
    group = Group([raw])
    assert (len(group), raw in group, group.join(timeout=0)) == (1, True, False)
    gate.set()
    settle()
    assert raw.dead
    assert (len(group), list(group), group.join()) == (0, [], True)


def test_kill_raw_greenlets():
    """POO-09: a raw one that goes on is not waited for, since nobody would tell."""
    log = []
    gate = Event()
    group = Group([gevent.spawn_raw(gevent.sleep, 30), gevent.spawn_raw(stubborn, gate, log)])
    settle()
    group.kill()
    assert (len(group), log) == (1, ["caught"])
    gate.set()
    settle()
    assert (len(group), log) == (0, ["caught", "done"])


def test_killone_raw():
    raw = gevent.spawn_raw(gevent.sleep, 30)
    group = Group([raw])
    group.killone(raw)
    assert (raw.dead, len(group)) == (True, 0)


def test_spawn_and_start():
    group = Group()
    job = group.spawn(pow, 2, exp=5)
    assert (type(job), job in group) == (Greenlet, True)
    other = Greenlet(pow, 2, 6)
    group.start(other)
    assert other in group
    group.join()
    assert (job.value, other.value) == (32, 64)


def test_greenlet_class():
    class Mine(Greenlet):
        pass

    class MyGroup(Group):
        greenlet_class = Mine

    for group in (MyGroup(), Pool(2, greenlet_class=Mine), Pool(greenlet_class=Mine)):
        assert type(group.spawn(int)) is Mine
        group.join()


def test_repr():
    gate = Event()
    group, limited = Group(), Pool(3)
    group.spawn(gate.wait)
    assert repr(group) == f"<Group at {id(group):#x} greenlets=1>"
    assert repr(limited) == f"<Pool at {id(limited):#x} size=3 greenlets=0>"
    gate.set()
    group.join()


# ---- Group: join and kill --------------------------------------------------------------------------------------------------------


def test_join_waits_for_all():
    """POO-08: it returns once the group is empty."""
    log = []
    gates = [Event(), Event()]
    group = Group()
    for gate in gates:
        group.spawn(gate.wait)
    waiter = gevent.spawn(lambda: log.append(group.join()))
    for gate in gates:
        settle()
        assert log == []
        gate.set()
    waiter.join()
    assert log == [True]


def test_join_of_a_group_that_is_refilled():
    """POO-08: having been empty once is enough."""
    gates = [Event(), Event()]
    group = Group()
    group.spawn(gates[0].wait)
    waiter = gevent.spawn(group.join)
    settle()
    group._empty.rawlink(lambda _: group.spawn(gates[1].wait))
    gates[0].set()
    assert waiter.get() is True
    assert len(group) == 1
    gates[1].set()
    group.join()


def test_join_timeout():
    gate = Event()
    group = Group()
    group.spawn(gate.wait)
    assert group.join(timeout=0.001) is False
    assert len(group) == 1
    gate.set()
    assert group.join(timeout=10) is True


def test_foreign_timeout_in_join():
    group = Group()
    group.spawn(gevent.sleep, 30)
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.001) as mine:
        group.join(timeout=20)
    assert caught.value is mine
    group.kill()


def test_join_raise_error(reports):
    """POO-08: with the failure of one that was in it, and its traceback."""
    group = Group()
    group.spawn(int)
    group.spawn(fail, Failure("x"))
    with pytest.raises(Failure) as caught:
        group.join(raise_error=True)
    assert [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)][-1] == "fail"
    assert [str(error) for error in take(reports)] == ["x"]
    group.join(raise_error=True)


def test_kill():
    """POO-09: everybody, whether it has started or not, and the group is empty when it returns."""
    ran = []
    group = Group()
    jobs = [group.spawn(gevent.sleep, 30) for _ in range(3)]
    settle()
    jobs.append(group.spawn(ran.append, 1))
    assert group.kill() is None
    assert [job.dead for job in jobs] == [True] * 4
    assert (len(group), group.dying, ran) == (0, set(), [])


def test_kill_with_another_exception(reports):
    group = Group()
    job = group.spawn(gevent.sleep, 30)
    settle()
    group.kill(Failure("killed"))
    assert isinstance(job.exception, Failure)
    assert [str(error) for error in take(reports)] == ["killed"]


def test_kill_without_waiting():
    group = Group()
    job = group.spawn(gevent.sleep, 30)
    settle()
    group.kill(block=False)
    assert (job.dead, job in group, group.dying) == (False, True, {job})
    group.join()
    assert job.dead


def test_kill_also_those_added_meanwhile():
    """POO-09: while one that catches the exception is waited for, each of the others once."""
    log = []
    gate = Event()
    group = Group()
    group.spawn(stubborn, gate, log)
    settle()
    killer = gevent.spawn(group.kill)
    settle()
    assert (log, killer.ready()) == (["caught"], False)
    late = group.spawn(gevent.sleep, 30)
    settle()
    assert (late.dead, late.value.__class__, log, killer.ready()) == (True, GreenletExit, ["caught"], False)
    gate.set()
    killer.join()
    assert (log, len(group), group.dying) == (["caught", "done"], 0, set())


def test_two_kills_kill_once():
    """POO-09: the second waits, and does not disturb the one that handles the first."""
    log = []
    gate = Event()
    group = Group()
    group.spawn(stubborn, gate, log)
    settle()
    killers = [gevent.spawn(group.kill), gevent.spawn(group.kill)]
    settle()
    gate.set()
    gevent.joinall(killers)
    assert log == ["caught", "done"]


def test_kill_timeout():
    """POO-09: the end of the time limit is silent."""
    log = []
    gate = Event()
    group = Group()
    group.spawn(stubborn, gate, log)
    settle()
    assert group.kill(timeout=0.001) is None
    assert len(group) == 1
    gate.set()
    group.join()
    assert log == ["caught", "done"]


def test_foreign_timeout_in_kill():
    log = []
    gate = Event()
    group = Group()
    group.spawn(stubborn, gate, log)
    settle()
    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.001) as mine:
        group.kill(timeout=20)
    assert caught.value is mine
    gate.set()
    group.join()


def test_kill_from_within():
    group = Group()
    other = group.spawn(gevent.sleep, 30)
    job = group.spawn(group.kill)
    group.join()
    assert [type(each.value) for each in (other, job)] == [GreenletExit] * 2


def test_kill_a_full_pool_with_spawners_waiting():
    """POO-09, POO-13: those who get in meanwhile are killed as well, and all the room is there afterwards."""
    limited = Pool(1)
    jobs = []
    limited.spawn(gevent.sleep, 30)
    spawners = [gevent.spawn(lambda: jobs.append(limited.spawn(gevent.sleep, 30))) for _ in range(3)]
    settle()
    limited.kill()
    gevent.joinall(spawners)
    limited.kill()
    assert [job.dead for job in jobs] == [True] * 3
    assert (limited.free_count(), limited._semaphore.counter) == (1, 1)


def test_killone():
    log = []
    gate = Event()
    group = Group()
    job, other = group.spawn(stubborn, gate, log), group.spawn(gevent.sleep, 30)
    settle()
    group.killone(other)
    assert (other.dead, other in group, job.dead) == (True, False, False)
    group.killone(job, timeout=0.001)
    group.killone(job, block=False)
    settle()
    assert (log, job in group, group.dying) == (["caught"], True, {job})
    stranger = gevent.spawn(gate.wait)
    group.killone(stranger)
    gate.set()
    assert stranger.get() is True
    group.join()
    assert log == ["caught", "done"]


# ---- apply -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[Group, lambda: Pool(2), Pool], ids=["group", "pool2", "pool"])
def group(request):
    return request.param()


def test_apply(group, reports):
    """POO-05: the result, or the exception with its traceback."""
    assert group.apply(pow, (2, 5)) == 32
    assert group.apply(pow, [2], {"exp": 5}) == 32
    assert group.apply(list) == []
    with pytest.raises(Failure) as caught:
        group.apply(double_or_fail, (-1,))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "double_or_fail"
    assert [str(error) for error in take(reports)] == ["-1"]


def test_apply_from_within():
    """POO-05: in one of its own greenlets it runs directly, so a full pool is no deadlock."""
    limited = Pool(1)

    def outer():
        return limited.apply(gevent.getcurrent), gevent.getcurrent()

    inner, current = limited.apply(outer)
    assert inner is current


def test_apply_cb(group):
    """The callback runs in a greenlet of its own."""
    called = []
    result = group.apply_cb(pow, (2, 5), callback=lambda value: called.append((value, gevent.getcurrent())))
    assert (result, called) == (32, [])
    settle()
    assert [value for value, _ in called] == [32]
    assert called[0][1] is not gevent.getcurrent()
    assert group.apply_cb(pow, (2, 3)) == 8


def test_apply_async(group, reports):
    """POO-06: callback only on success."""
    called = []
    good = group.apply_async(double_or_fail, (1,), callback=called.append)
    bad = group.apply_async(double_or_fail, (-1,), callback=called.append)
    plain = group.apply_async(list, None, None)
    group.join()
    assert good.get() == 2
    assert isinstance(bad.exception, Failure)
    assert plain.get() == []
    assert [str(error) for error in take(reports)] == ["-1"]
    assert called == [2]


def test_apply_async_on_a_full_pool(reports):
    """POO-06: it does not block; the call is made when there is room."""
    log = []
    gate = Event()
    limited = Pool(1)
    limited.spawn(gate.wait)
    good = limited.apply_async(double_or_fail, (1,), callback=log.append)
    bad = limited.apply_async(double_or_fail, (-1,), callback=log.append)
    settle()
    assert (limited.full(), len(limited), good.ready(), log) == (True, 1, False, [])
    gate.set()
    assert good.get() == 2
    with pytest.raises(Failure):
        bad.get()
    # The call, and the greenlet that waited for the room to make it.
    assert [str(error) for error in take(reports)] == ["-1", "-1"]
    assert log == [2]


def test_unlink_the_callback_of_apply_async():
    called = []
    group = Group()
    job = group.apply_async(int, callback=called.append)
    job.unlink(called.append)
    job.join()
    settle()
    assert called == []


# ---- map, imap -------------------------------------------------------------------------------------------------------------------


def test_map(group):
    assert group.map(double_or_fail, [3, 1, 2]) == [6, 2, 4]
    assert group.map(double_or_fail, iter(())) == []
    assert group.map_cb(double_or_fail, [1]) == [2]
    called = []
    assert group.map_cb(double_or_fail, [1], called.append) == [2]
    assert called == [[2]]
    job = group.map_async(double_or_fail, [3, 4], callback=called.append)
    assert job.get() == [6, 8]
    assert called == [[2], [6, 8]]


def test_map_raises_the_first_failure_in_order(group, reports):
    """POO-04: however the calls end."""
    gate = Event()

    def call(number):
        if number == 1:
            gate.wait()
        if number == 2:
            gate.set()
        raise Failure(number)

    with pytest.raises(Failure, match="1"):
        group.map(call, [1, 2])
    assert sorted(str(error) for error in take(reports)) == ["1", "2"]


def test_map_raises_before_the_end():
    """A failure does not wait for an input that never ends."""
    group = Pool(1)
    inputs = iter([0, "x"])
    endless = Event()

    def numbers():
        yield from inputs
        endless.wait()

    hub = get_hub()
    hub.handle_error = lambda *args: None
    try:
        with pytest.raises(TypeError):
            group.map(lambda value: value + 1, numbers())
    finally:
        del hub.handle_error
    endless.set()
    settle()


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_imap_of_several_iterables(group, name):
    """POO-01: an item of each; it ends with the shortest."""
    results = getattr(group, name)(lambda *args: args, [1, 2, 3], "ab")
    assert list(results) == [(1, "a"), (2, "b")]
    assert list(getattr(group, name)(lambda *args: args, [1], [2], [3], maxsize=1)) == [(1, 2, 3)]
    assert list(getattr(group, name)(lambda *args: args)) == []


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("maxsize", [None, 0, 1, 2, 7])
def test_imap_of_nothing(group, name, maxsize):
    """POO-04: no hang on an empty iterable, and none after the end."""
    results = getattr(group, name)(double_or_fail, [], maxsize=maxsize)
    for _ in range(3):
        with pytest.raises(StopIteration):
            next(results)


def in_order_of(gates):
    """A function of a number that waits for the number's gate."""

    def call(number):
        gates[number].wait()
        return number

    return call


def test_imap_keeps_the_order():
    """POO-03: and yields each as soon as it can."""
    gates = [Event() for _ in range(3)]
    got = []
    consumer = gevent.spawn(lambda: [got.append(each) for each in Group().imap(in_order_of(gates), range(3))])
    history = []
    for number in (0, 2, 1):
        gates[number].set()
        settle()
        history.append(list(got))
    assert history == [[0], [0], [0, 1, 2]]
    consumer.join()


def test_imap_unordered_has_the_order_of_completion():
    """POO-03: and yields each at once."""
    gates = [Event() for _ in range(3)]
    got = []
    consumer = gevent.spawn(lambda: [got.append(each) for each in Group().imap_unordered(in_order_of(gates), range(3))])
    history = []
    for number in (1, 2, 0):
        gates[number].set()
        settle()
        history.append(list(got))
    assert history == [[1], [1, 2], [1, 2, 0]]
    consumer.join()


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_imap_begins_without_a_consumer(group, name):
    """POO-03: the calls are made beside whatever the caller does."""
    called = []
    results = getattr(group, name)(called.append, range(3))
    settle()
    assert called == [0, 1, 2]
    assert list(results) == [None] * 3


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_imap_maxsize(name):
    """POO-02: at most so many calls have begun whose results were not fetched."""
    begun = []
    results = getattr(Group(), name)(begun.append, range(6), maxsize=2)
    history = []
    for _ in range(6):
        settle()
        history.append(len(begun))
        next(results)
    assert history == [2, 3, 4, 5, 6, 6]
    with pytest.raises(StopIteration):
        next(results)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("maxsize", [None, 1, 2])
def test_imap_goes_on_after_a_failure(group, name, maxsize, reports):
    """POO-02, POO-04: a failure comes in its place, with its traceback, and its room is given back."""
    results = getattr(group, name)(double_or_fail, [0, -1, 1, -2], maxsize=maxsize)
    got = []
    while True:
        try:
            got.append(next(results))
        except StopIteration:
            break
        except Failure as error:
            got.append((str(error), traceback.extract_tb(error.__traceback__)[-1].name))
    assert got == [0, ("-1", "double_or_fail"), 2, ("-2", "double_or_fail")]
    assert [str(error) for error in take(reports)] == ["-1", "-2"]


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("maxsize", [None, 1])
def test_imap_of_a_failing_iterable(group, name, maxsize, reports):
    """POO-04: its exception comes after the results of what it gave, once, with its traceback."""

    def numbers():
        yield 1
        yield 2
        raise Failure("the iterable")

    results = getattr(group, name)(double_or_fail, numbers(), maxsize=maxsize)
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(Failure, match="the iterable") as caught:
        next(results)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "numbers"
    with pytest.raises(StopIteration):
        next(results)
    assert [str(error) for error in take(reports)] == ["the iterable"]


@pytest.mark.parametrize("name", ["map", "imap", "imap_unordered"])
def test_imap_of_no_iterable(group, name):
    """POO-04: at once."""
    with pytest.raises(TypeError, match=r"'int' object is not iterable|zip argument #1 must support iteration"):  # CPython, PyPy
        getattr(group, name)(double_or_fail, 3)


@pytest.mark.parametrize(("maxsize", "error"), [(-1, ValueError), ("a", TypeError)])
def test_imap_bad_maxsize(maxsize, error):
    with pytest.raises(error):
        Group().imap(double_or_fail, [], maxsize=maxsize)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_imap_of_what_cannot_be_called(name, reports):
    """POO-04: the consumer is told, and does not wait for ever."""
    with pytest.raises(TypeError, match="must be callable, not 3"):
        list(getattr(Group(), name)(3, [1]))
    assert len(take(reports)) == 1


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("started", [False, True])
def test_imap_killed(name, started):
    """A consumer gets what is there, and then what killed it."""
    results = getattr(Group(), name)(abs, [-1, -2], maxsize=1)
    if started:
        settle()
    results.kill()
    if started:
        assert next(results) == 1
    with pytest.raises(GreenletExit):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_imap_workers_killed():
    """A GreenletExit counts as a result, as everywhere."""
    group = Group()
    results = group.imap(gevent.sleep, [30, 30])
    settle()
    group.kill()
    assert [type(each) for each in results] == [GreenletExit] * 2


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_several_consumers(name):
    """Each result goes to one of them, and all of them end."""
    gates = [Event() for _ in range(4)]
    results = getattr(Group(), name)(in_order_of(gates), range(4))
    got = []
    consumers = [gevent.spawn(lambda: got.extend(results)) for _ in range(3)]
    settle()
    for gate in reversed(gates):
        gate.set()
    gevent.joinall(consumers)
    assert sorted(got) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_a_consumer_killed_as_it_is_woken(name):
    """The result goes to another one."""
    gate = Event()
    results = getattr(Group(), name)(in_order_of([gate]), range(1))
    got = []
    consumers = [gevent.spawn(lambda: got.append(next(results))) for _ in range(2)]
    settle()
    gate.rawlink(lambda _: consumers[0].kill(block=False))  # runs before the worker does, and the kill before the consumer
    gate.set()
    gevent.joinall(consumers)
    assert got == [0]


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
@pytest.mark.parametrize("collect", [False, True])
def test_imap_dropped_half_way(name, collect):
    """With maxsize, where it could only wait for ever, it ends; the room it had is there again, and nothing is left."""
    limited = Pool(3)
    begun, closed = [], []

    def numbers():
        try:
            yield from range(1000)
        finally:
            gevent.sleep(0)  # it is closed in a greenlet, where it may wait
            closed.append(1)

    results = getattr(limited, name)(begun.append, numbers(), maxsize=2)
    assert next(results) is None
    driver = weakref.ref(results._imap)
    if collect:
        results.itself = results
    del results
    collect_garbage()
    settle()
    count = len(begun)
    assert count <= 3
    settle()
    collect_garbage()
    assert (len(begun), closed, driver()) == (count, [1], None)
    assert (limited.free_count(), limited._semaphore.counter) == (3, 3)


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_imap_dropped_without_maxsize(name):
    """All calls are made, as in gevent 1.1; their results are not kept."""

    class Result:
        pass

    begun = []
    kept = []

    def call(number):
        begun.append(number)
        result = Result()
        kept.append(weakref.ref(result))
        return result

    gate = Event()

    def numbers():
        yield from range(3)
        gate.wait()
        yield from range(3, 6)

    limited = Pool(2)
    driver = weakref.ref(getattr(limited, name)(call, numbers())._imap)
    settle()
    assert begun == [0, 1, 2]
    gate.set()
    settle()
    collect_garbage()
    assert begun == [0, 1, 2, 3, 4, 5]
    assert [each() for each in kept] == [None] * 6
    assert (driver(), limited.free_count()) == (None, 2)


def test_imap_after_its_loop():
    """Dropping an iterator whose hub is gone is no error."""
    run_script(
        "import gevent\n"
        "from gevent.pool import Group\n"
        "results = Group().imap(abs, [1, 2])\n"
        "gevent.get_hub().destroy(destroy_loop=True)\n"
        "del results\n"
    ).check()


def test_results_are_also_the_greenlet():
    """What imap returns has everything that the greenlet behind it has, and can be waited for."""
    results = Group().imap(abs, [-1])
    assert repr(results) == repr(results._imap)
    assert (results.ready(), iter(results)) == (False, results)
    assert gevent.wait([results]) == [results._imap]
    assert results.ready()
    assert list(results) == [1]
    with pytest.raises(AttributeError, match="nonsense"):
        results.nonsense  # noqa: B018
    with pytest.raises(AttributeError):
        _imap.Results.__new__(_imap.Results)._imap  # noqa: B018
    assert results._imap.next == results._imap.__next__


def test_replaced_classes(monkeypatch):
    """A tracer puts subclasses in place of the module's classes, with a run() of their own."""
    log = []

    class Traced:
        def run(self):
            log.append(type(self).__name__)
            super().run()

    class TracedGreenlet(Traced, Greenlet):
        pass

    class TracedIMap(Traced, pool.IMap):
        pass

    class TracedIMapUnordered(Traced, pool.IMapUnordered):
        pass

    for module in (pool, _imap):
        monkeypatch.setattr(module, "IMap", TracedIMap)
        monkeypatch.setattr(module, "IMapUnordered", TracedIMapUnordered)
        monkeypatch.setattr(module, "Greenlet", TracedGreenlet)
    monkeypatch.setattr(Group, "greenlet_class", TracedGreenlet)
    assert list(Group().imap(abs, [-1])) == [1]
    assert list(Pool(2).imap_unordered(abs, [-1])) == [1]
    assert Group().map_async(abs, [-1]).get() == [1]
    assert log == [
        "TracedIMap",
        "TracedGreenlet",
        "TracedIMapUnordered",
        "TracedGreenlet",
        "TracedGreenlet",
        "TracedIMap",
        "TracedGreenlet",
    ]


# ---- Pool ------------------------------------------------------------------------------------------------------------------------


def test_a_pool_limits():
    """POO-11: spawn blocks while the pool is full, and whoever waits is served in order."""
    gates = [Event() for _ in range(5)]
    log = []
    limited = Pool(2)

    def job(number):
        log.append(("begin", number))
        gates[number].wait()

    def spawner():
        for number in range(5):
            limited.spawn(job, number)
            log.append(("spawned", number))

    main = gevent.spawn(spawner)
    settle()
    assert log == [("spawned", 0), ("spawned", 1), ("begin", 0), ("begin", 1)]
    assert (limited.full(), limited.free_count(), len(limited)) == (True, 0, 2)
    log.clear()
    gates[1].set()
    settle()
    assert log == [("spawned", 2), ("begin", 2)]
    for gate in gates:
        gate.set()
    main.join()
    limited.join()
    assert (limited.full(), limited.free_count(), len(limited)) == (False, 2, 0)


@pytest.mark.parametrize("how", ["spawn", "add", "start"])
def test_the_three_that_block(how):
    """POO-11: spawn, add and start."""
    gate = Event()
    limited = Pool(1)
    limited.spawn(gate.wait)
    new = Greenlet(int)
    action = {"spawn": lambda: limited.spawn(int), "add": lambda: limited.add(new), "start": lambda: limited.start(new)}[how]
    waiter = gevent.spawn(action)
    settle()
    assert not waiter.ready()
    gate.set()
    waiter.join()
    if how == "add":
        assert new in limited
        new.start()
    limited.join()


def test_an_unlimited_pool():
    """POO-11: None."""
    gate = Event()
    limitless = Pool()
    for _ in range(50):
        limitless.spawn(gate.wait)
    assert (len(limitless), limitless.full(), limitless.free_count(), limitless.size) == (50, False, 1, None)
    assert limitless.wait_available() == 1
    gate.set()
    limitless.join()


def test_a_pool_of_nothing():
    """POO-11: 0 never has room."""
    none = Pool(0)
    assert (none.full(), none.free_count(), none.wait_available(timeout=0.001)) == (True, 0, 0)
    with pytest.raises(PoolFull):
        none.add(Greenlet(int), timeout=0.001)
    with pytest.raises(LoopExit):
        none.spawn(int)


@pytest.mark.parametrize(("size", "error"), [(-1, ValueError), ("a", TypeError), (1.5, TypeError)])
def test_bad_sizes(size, error):
    """POO-11: negative: ValueError."""
    with pytest.raises(error, match=str(size) if error is ValueError else None):
        Pool(size)


def test_wait_available():
    """POO-12: how many could be added, waiting for one."""
    gate = Event()
    limited = Pool(3)
    assert limited.wait_available() == 3
    for _ in range(3):
        limited.spawn(gate.wait)
    assert limited.wait_available(timeout=0.001) == 0
    waiter = gevent.spawn(limited.wait_available)
    settle()
    assert not waiter.ready()
    gate.set()
    assert waiter.get() >= 1
    limited.join()
    assert limited.wait_available(timeout=1) == 3


@pytest.mark.parametrize("arguments", [{"blocking": False}, {"timeout": 0.001}, {"blocking": True, "timeout": 0}])
def test_pool_full(arguments):
    """POO-13: no room in time."""
    gate = Event()
    limited = Pool(1)
    limited.spawn(gate.wait)
    for method in (limited.add, limited.start):
        with pytest.raises(PoolFull, match="size=1 greenlets=1> is full") as caught:
            method(Greenlet(int), **arguments)
        assert isinstance(caught.value, queue.Full)
    assert (len(limited), limited.free_count()) == (1, 0)
    gate.set()
    limited.join()
    assert limited._semaphore.counter == 1
    new = Greenlet(int)
    limited.start(new, **arguments)
    assert new.get() == 0


def test_spawner_killed_while_it_waits():
    """POO-13: it takes no room, and keeps nobody else from it."""
    gate = Event()
    limited = Pool(1)
    limited.spawn(gate.wait)
    spawners = [gevent.spawn(limited.spawn, int) for _ in range(2)]
    settle()
    spawners[0].kill()
    gate.set()
    assert spawners[1].get().get() == 0
    limited.join()
    assert (limited.free_count(), limited._semaphore.counter) == (1, 1)


def test_spawner_killed_as_room_comes():
    """POO-13: the room that it was woken for goes to the next."""
    gate = Event()
    limited = Pool(1)
    limited.spawn(gate.wait)
    spawners = [gevent.spawn(limited.spawn, int) for _ in range(2)]
    settle()
    gate.set()
    gevent.sleep(0)  # the worker has ended, and its leaving is queued
    spawners[0].kill(block=False)
    assert spawners[1].get().get() == 0
    gevent.joinall(spawners)
    limited.join()
    assert limited._semaphore.counter == 1


def test_failed_add_gives_the_room_back():
    """POO-13: whatever the failure."""

    class Broken(Greenlet):
        def rawlink(self, callback):
            raise Failure("no link")

    limited = Pool(1)
    with pytest.raises(TypeError):
        limited.add("no greenlet")
    with pytest.raises(Failure):
        limited.add(Broken(int))
    with pytest.raises(TypeError):
        limited.spawn("not to be called")
    assert (len(limited), limited.free_count(), limited._semaphore.counter) == (0, 1, 1)
    assert limited.spawn(int).get() == 0


def test_added_by_two_at_a_time():
    """POO-13: who finds it added meanwhile takes no room."""
    gate = Event()
    limited = Pool(1)
    limited.spawn(gate.wait)
    new = Greenlet(int)
    adders = [gevent.spawn(limited.add, new) for _ in range(2)]
    settle()
    gate.set()
    settle()
    limited.discard(new)
    gevent.joinall(adders)
    limited.discard(new)
    assert (len(limited), limited._semaphore.counter) == (0, 1)


def test_add_twice_to_a_pool():
    gate = Event()
    limited = Pool(2)
    job = limited.spawn(gate.wait)
    limited.add(job)
    assert (limited.free_count(), limited._semaphore.counter) == (1, 1)
    gate.set()
    limited.join()
    assert limited._semaphore.counter == 2


def test_discard_gives_the_room_back_once():
    gate = Event()
    limited = Pool(2)
    job = limited.spawn(gate.wait)
    limited.discard(job)
    limited.discard(job)
    assert limited._semaphore.counter == 2
    gate.set()
    job.join()
    settle()
    assert limited._semaphore.counter == 2


def test_raw_greenlets_in_a_pool():
    """POO-07: a dead one makes room when somebody wants it."""
    limited = Pool(1)
    limited.add(gevent.spawn_raw(int))
    assert limited.full()
    settle()
    limited.add(gevent.spawn_raw(int), blocking=False)
    settle()
    assert limited.wait_available(timeout=0.001) == 1
    assert limited.free_count() == 1


def test_blocking_in_the_hub():
    limited = Pool(1)
    gate = Event()
    limited.spawn(gate.wait)
    errors = []

    def spawn():
        try:
            limited.spawn(int)
        except BlockingSwitchOutError as error:
            errors.append(error)

    get_hub().loop.run_callback(spawn)
    settle()
    assert len(errors) == 1
    gate.set()
    limited.join()
    assert limited._semaphore.counter == 1


def test_growing_and_shrinking():
    """As celery does it: the size and the count of the semaphore, both by hand; the count may become negative."""
    gates = [Event() for _ in range(4)]
    limited = Pool(1)
    jobs = [limited.spawn(gates[0].wait)]
    spawner = gevent.spawn(lambda: jobs.append(limited.spawn(gates[1].wait)))
    settle()
    limited._semaphore.release()
    limited.size += 1
    spawner.join()
    assert (len(limited), limited.full(), limited.free_count()) == (2, True, 0)
    limited._semaphore.counter -= 1
    limited.size -= 1
    assert (limited.full(), limited.free_count(), limited._semaphore.counter) == (True, 0, -1)
    gates[0].set()
    jobs[0].join()
    settle()
    with pytest.raises(PoolFull):
        limited.add(Greenlet(int), blocking=False)
    gates[1].set()
    limited.join()
    assert (limited.full(), limited.free_count(), limited._semaphore.counter) == (False, 1, 1)


def test_a_pool_that_is_dropped():
    """Its greenlets go on, and it goes with the last of them."""
    gate = Event()
    limited = Pool(2)
    job = limited.spawn(gate.wait)
    settle()
    reference = weakref.ref(limited)
    del limited
    assert reference() is not None
    gate.set()
    job.join()
    settle()
    collect_garbage()
    assert reference() is None


# ---- A pool that is stuck -------------------------------------------------------------------------------------------------------


def test_a_full_pool_says_what_it_runs(monkeypatch):
    """Once, when somebody has waited for too long; not when a place comes free in time; never if it is not to."""
    stream = io.StringIO()
    monkeypatch.setattr(type(get_hub()), "exception_stream", stream)
    stop = Event()

    def occupy():
        stop.wait()

    for seconds in (10, None, 0.001):
        pool = Pool(1)
        assert pool.stuck_after == 60
        pool.stuck_after = seconds
        pool.spawn(occupy)
        for _ in range(2):
            with pytest.raises(PoolFull):
                pool.add(gevent.Greenlet(occupy), timeout=0.01)
        stop.set()
        pool.join()
        stop.clear()
        if seconds != 0.001:
            assert stream.getvalue() == ""
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("<Pool at ")
    assert "has been full for 0.001 seconds" in lines[0]
    assert "occupy" in lines[1]
    assert __file__ in lines[1]
    with pytest.raises(PoolFull):
        Pool(0).add(gevent.Greenlet(occupy), blocking=False)


def test_a_full_thread_pool_says_what_it_runs(monkeypatch):
    from _thread import allocate_lock

    from gevent.threadpool import ThreadPool

    stream = io.StringIO()
    monkeypatch.setattr(type(get_hub()), "exception_stream", stream)
    pool, stop = ThreadPool(1), allocate_lock()
    pool.stuck_after = 0.001
    stop.acquire()
    running = pool.spawn(stop.acquire)
    while not list(pool._describe_running()):  # until a thread has begun with it
        gevent.sleep(0.001)
    get_hub().loop.timer(0.05).start(stop.release)
    assert pool.spawn(int).get() == 0
    assert running.get() is True
    pool.kill()
    assert "has been full for 0.001 seconds" in stream.getvalue()
    assert (
        len(re.findall(r"<(?:built-in method|bound method lock\.)\s*acquire(?:_lock)? of", stream.getvalue())) == 1
    )  # CPython, PyPy
