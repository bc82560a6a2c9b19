"""gevent.util: what it tells of threads and greenlets, the check that code cooperates, and wrap_errors."""

import copy
import gc
import io
import os
import re
import threading
import time

import gevent
import greenlet
import pytest
from gevent import util
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.queue import Channel, Queue
from gevent.util import GreenletTree, assert_switches, format_run_info, print_run_info, running_greenlet, wrap_errors
from gevent_testkit import REFERENCE_COUNTING


@pytest.fixture
def tracking():
    """Greenlets record who spawned them."""
    before = gevent.config.track_greenlet_tree
    gevent.config.track_greenlet_tree = True
    yield
    gevent.config.track_greenlet_tree = before


@pytest.fixture
def resting():
    """A greenlet that waits on an event; it and the event."""
    event = Event()
    waiting = gevent.spawn(rest, event)
    waiting.name = "resting one"
    gevent.sleep(0)
    yield waiting, event
    event.set()
    waiting.join()


def rest(event):
    event.wait()


# ---- print_run_info --------------------------------------------------------------------------------------------------------------


def test_run_info_shows_threads_and_greenlets(resting):
    waiting, event = resting
    text = "\n".join(format_run_info())
    assert re.search(rf"Thread {threading.get_ident():#x} \(MainThread\) \(CURRENT\)\n  File ", text)
    assert "in test_run_info_shows_threads_and_greenlets" in text
    assert repr(waiting) in text
    assert f"Waits on: {event!r}" in text
    assert re.search(r"in rest\n.* event\.wait\(\)", text)
    assert repr(gevent.get_hub()) in text
    assert os.path.join("gevent", "util.py") not in text  # what asks is not shown


def test_run_info_shows_who_waits_for_locks_and_queues():
    things = [Semaphore(0), Queue(), Channel()]
    jobs = [gevent.spawn(call) for call in (things[0].acquire, things[1].get, things[2].get)]
    gevent.sleep(0)
    text = "\n".join(format_run_info())
    for each in things:
        assert f"Waits on: {each!r}" in text
    gevent.killall(jobs)


def test_run_info_without_stacks(resting):
    waiting, _ = resting
    text = "\n".join(format_run_info(thread_stacks=False, greenlet_stacks=False))
    assert repr(waiting) in text
    assert "  File " not in text
    assert "(MainThread) (CURRENT)" in text
    lines = format_run_info(limit=1, greenlet_stacks=False)
    [start] = [number for number, line in enumerate(lines) if line.endswith("(CURRENT)")]
    assert [line.strip()[:4] for line in lines[start + 1 : start + 3]] == ["File", "line"]
    assert not [line for line in format_run_info(current_thread_ident=1) if line.endswith("(CURRENT)")]


def test_print_run_info(capsys, resting):
    file = io.StringIO()
    print_run_info(file=file)
    assert repr(resting[0]) in file.getvalue()
    print_run_info(False, False)
    assert repr(resting[0]) in capsys.readouterr().err


def test_other_native_threads_are_shown():
    inside, leave = threading.Event(), threading.Event()

    def busy():
        inside.set()
        leave.wait()

    def run():
        sleeping = gevent.spawn(gevent.sleep, 10)  # one without a frame of Python, if gevent is compiled
        gevent.sleep(0)
        gevent.spawn(busy).join()
        sleeping.kill()

    thread = threading.Thread(target=run, name="the other")
    thread.start()
    inside.wait()
    try:
        forest = GreenletTree.forest()
        lines = format_run_info()
    finally:
        leave.set()
        thread.join()
    assert [tree.is_current_tree for tree in forest] == [True] + [False] * (len(forest) - 1)
    assert all(tree.root for tree in forest)
    assert f"Thread {thread.ident:#x} (the other)" in lines
    start = lines.index("---- Another native thread")
    assert sum("in busy" in line for line in lines[start:]) == 1  # as that of the greenlet, and of no other
    assert sum("sleep(10)" in line for line in lines[start:]) == 1


def test_a_greenlet_whose_repr_fails():
    class Odd(gevent.Greenlet):
        def __repr__(self):
            raise ValueError("no")

    odd = Odd()
    assert "Odd at" in "\n".join(format_run_info())
    assert "whose repr failed" in str(GreenletTree.current_tree())
    del odd


# ---- GreenletTree ----------------------------------------------------------------------------------------------------------------


def test_tree_by_parents(resting):
    tree = GreenletTree.current_tree()
    assert tree.is_current_tree
    assert tree.root
    assert tree.greenlet is greenlet.getcurrent()
    hub = gevent.get_hub()
    assert [each.greenlet for each in tree.child_trees if each.greenlet is hub] == [hub]
    lines = str(tree).splitlines()
    assert lines[0] == repr(tree.greenlet)
    assert f"      +--- {resting[0]!r}" in lines
    assert lines == tree.format_lines(details=False)


def test_tree_by_who_spawned(tracking):
    event = Event()
    children = []

    def child():
        gevent.getcurrent().spawn_tree_locals["answer"] = 42
        event.wait()

    def spawner():
        children.append(gevent.spawn(child))
        gevent.sleep(0)

    parent = gevent.spawn(spawner)
    gevent.joinall([parent])
    tree = GreenletTree.current_tree()
    lines = tree.format_lines()
    text = "\n".join(lines)
    title = next(line for line in lines if repr(parent) in line)
    assert title.endswith("; finished")
    below = next(line for line in lines if repr(children[0]) in line)
    assert below.index("+") > title.index("+")
    assert "Spawned at:" in text
    assert re.search(r"in spawner\n.* children\.append", text)
    assert text.count("Spawn tree locals: {'answer': 42}") == 1
    without = tree.format({"spawning_stacks": False, "locals": False, "running_stacks": False})
    assert "Spawned at:" not in without
    assert "answer" not in without
    assert "Running:" not in without
    assert repr(children[0]) in without
    event.set()
    gevent.joinall(children)


def test_failed_and_finished(resting):
    def fail():
        raise KeyError("gone")

    hub = gevent.get_hub()
    hub.handle_error = lambda *args: None
    failed, fine = gevent.spawn(fail), gevent.spawn(int)
    gevent.joinall([failed, fine])
    del hub.handle_error
    lines = str(GreenletTree.current_tree()).splitlines()
    assert [line.partition("; ")[2] for line in lines if repr(failed) in line] == ["failed with KeyError('gone')"]
    assert [line.partition("; ")[2] for line in lines if repr(fine) in line] == ["finished"]


def test_tree_of_one():
    each = gevent.Greenlet()
    tree = GreenletTree(each)
    assert not tree.root
    assert not tree.is_current_tree
    assert tree.minimal_ident == each.minimal_ident
    with pytest.raises(AttributeError):
        tree.no_such_thing  # noqa: B018
    tree.add_child(tree)
    assert tree.child_trees == []
    tree.add_child(GreenletTree(each))
    assert tree.format(False).splitlines() == [repr(each), f" +--- {each!r}"]


def test_long_chains(tracking):
    """Each greenlet spawned the next: neither recursion nor memory grows out of hand."""
    event = Event()
    last = []

    def chain(count):
        if count:
            gevent.spawn(chain, count - 1).join()
        else:
            last.append(GreenletTree.current_tree().format())

    gevent.spawn(chain, 1500).join()
    assert last[0].count("+---") >= 1501
    # Most of it is the indentation of stacks, which are deepest where nothing is compiled, and on PyPy.
    assert len(last[0]) < (15_000_000 if REFERENCE_COUNTING else 25_000_000)
    del event


def test_spawner_and_child_in_a_circle(tracking):
    """Whatever becomes of the parents, the tree has an end."""
    event = Event()
    spawned = []

    def spawner():
        spawned.append(gevent.spawn(rest, event))
        gevent.sleep(0)
        event.wait()

    one = gevent.spawn(spawner)
    gevent.sleep(0)
    gevent.sleep(0)
    raw = greenlet.greenlet(int, spawned[0])
    raw.spawning_greenlet = lambda: raw
    lines = str(GreenletTree.current_tree()).splitlines()
    assert sum(repr(raw) in line for line in lines) == 1
    other = greenlet.greenlet(int, raw)
    other.spawning_greenlet = lambda: raw
    raw.spawning_greenlet = lambda: other
    lines = str(GreenletTree.current_tree()).splitlines()
    assert [sum(repr(each) in line for line in lines) for each in (raw, other)] == [1, 1]
    del raw.spawning_greenlet, other.spawning_greenlet
    event.set()
    gevent.joinall([one, *spawned])


def test_running_greenlet():
    hub = gevent.get_hub()
    assert running_greenlet(hub) is greenlet.getcurrent()
    found = []
    gevent.spawn(gevent.sleep, 0.001).start()
    asking = gevent.spawn(lambda: found.append(running_greenlet(hub)))
    asking.join()
    hub.loop.run_callback(lambda: found.append(running_greenlet(hub)))
    gevent.sleep(0.002)
    assert found == [asking, hub]


@pytest.mark.skipif(not hasattr(gc, "freeze"), reason="the collector of this interpreter sees all objects")
@pytest.mark.leaks("gc.unfreeze() shows what earlier tests and the interpreter had left to the collector's permanent generation")
def test_with_objects_that_the_collector_does_not_see(resting):
    gc.freeze()
    try:
        assert repr(gevent.get_hub()) in str(GreenletTree.forest()[0])
        assert GreenletTree.current_tree().greenlet is greenlet.getcurrent()
    finally:
        gc.unfreeze()


# ---- assert_switches -------------------------------------------------------------------------------------------------------------


def test_code_that_does_not_switch():
    with pytest.raises(AssertionError, match="did not let other greenlets run"), assert_switches():
        pass
    with pytest.raises(AssertionError, match=r"did not switch for 0\.0\d+ seconds; allowed are 0\.0010"), assert_switches(0.001):
        time.sleep(0.01)
    with pytest.raises(AssertionError, match="did not switch to the hub"), assert_switches(0.001, hub_only=True):
        time.sleep(0.01)


@pytest.mark.parametrize("switch", [gevent.sleep, lambda: gevent.sleep(0.001), lambda: gevent.spawn(int).join()])
def test_code_that_switches(switch):
    def run():
        with assert_switches() as checking:
            switch()
        assert isinstance(checking, assert_switches)
        assert checking.tracer is None
        assert checking.hub is gevent.get_hub()

    run()
    gevent.spawn(run).get()


def test_code_that_is_fast_enough():
    with assert_switches(max_blocking_time=10.0):
        pass


@pytest.mark.parametrize("hub_only", [False, True])
def test_waiting_is_not_blocking(hub_only):
    with assert_switches(0.05, hub_only):
        for _ in range(3):
            gevent.sleep(0.06)


@pytest.mark.parametrize("hub_only", [False, True])
def test_yielding_often_is_not_blocking(hub_only):
    def run():
        with assert_switches(0.1, hub_only):
            for _ in range(15):
                time.sleep(0.01)
                gevent.sleep(0)

    gevent.spawn(run).get()


def test_who_blocks_is_named():
    def block():
        time.sleep(0.02)

    blocking = gevent.spawn(block)
    blocking.name = "the one that blocks"
    with pytest.raises(AssertionError, match="the one that blocks"), assert_switches(0.01):
        blocking.join()


def test_an_error_in_the_block_goes_its_way():
    with pytest.raises(KeyError), assert_switches():
        raise KeyError
    assert greenlet.gettrace() is None


def test_other_trace_functions_stay():
    events = []

    def trace(event, args):
        events.append(event)

    greenlet.settrace(trace)
    try:
        with assert_switches():
            gevent.sleep(0)
        assert greenlet.gettrace() is trace
        assert events.count("switch") >= 2
        with assert_switches(), assert_switches():
            gevent.sleep(0)
        assert greenlet.gettrace() is trace
    finally:
        greenlet.settrace(None)


@pytest.mark.parametrize("seconds", [0, -1])
def test_bad_limits(seconds):
    with pytest.raises(ValueError, match="max_blocking_time"):
        assert_switches(seconds)


# ---- wrap_errors -----------------------------------------------------------------------------------------------------------------


def divide(number):
    """Doc."""
    return 1 // number


def test_wrap_errors():
    """BKD-03"""
    wrapped = wrap_errors(ZeroDivisionError, divide)
    assert wrapped(1) == 1
    assert wrapped(number=1) == 1
    assert isinstance(wrapped(0), ZeroDivisionError)
    with pytest.raises(TypeError):
        wrapped("1")
    assert isinstance(wrap_errors((TypeError, ZeroDivisionError), divide)("1"), TypeError)
    assert (str(wrapped), repr(wrapped)) == (str(divide), repr(divide))
    assert (wrapped.__name__, wrapped.__code__) == ("divide", divide.__code__)
    assert copy.copy(wrapped)(1) == 1


def test_wrapped_errors_are_not_reported(capsys):
    """BKD-03: what a greenlet returns is not printed."""
    job = gevent.spawn(wrap_errors(ZeroDivisionError, divide), 0)
    assert isinstance(job.get(), ZeroDivisionError)
    assert capsys.readouterr().err == ""


def test_all():
    assert all(hasattr(util, name) for name in util.__all__)
