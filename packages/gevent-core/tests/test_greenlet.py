"""Greenlet: its life from queued to dead, what it keeps and what it lets go, its links, and the order in which greenlets run."""

import gc
import sys
import traceback
import weakref

import gevent
import greenlet
import pytest
from gevent._switching import get_loop
from gevent.event import AsyncResult, Event
from gevent.greenlet import FailureSpawnedLink, Greenlet, SpawnedLink, SuccessSpawnedLink, getfuncname, joinall, killall
from gevent.hub import get_hub
from gevent_testkit import REFERENCE_COUNTING, collect_garbage, run_script, runs_sources

PURE = runs_sources()


class Failure(Exception):
    pass


class Thing:
    """Something that can be weakly referenced."""


def fail(error):
    raise error


def take(reports):
    """The reports so far, after those that are queued."""
    gevent.sleep(0)
    taken = list(reports)
    reports.clear()
    return taken


# ---- What it returns -------------------------------------------------------------------------------------------------------------


def test_value():
    """GRN-07: get() returns the value."""
    job = gevent.spawn(pow, 2, 5)
    assert job.value is None
    assert job.get() == 32
    assert (job.value, job.exception, job.successful(), job.ready(), job.dead) == (32, None, True, True, True)
    assert job.get(block=False) == 32
    assert job.get(timeout=0) == 32


def test_keyword_arguments():
    job = gevent.spawn(dict, [("a", 1)], b=2)
    assert (job.args, job.kwargs) == (([("a", 1)],), {"b": 2})
    assert job.get() == {"a": 1, "b": 2}


def test_get_raises_what_ended_it(reports):
    """GRN-07, GRN-08, GRN-09: get() raises the failure itself, with its traceback; exc_info has all of it."""
    error = Failure("no")

    def deep():
        raise error

    def job():
        deep()

    failed = gevent.spawn(job)
    for _ in range(3):
        with pytest.raises(Failure) as caught:
            failed.get()
        assert caught.value is error
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["job", "deep"]
        assert names.count("deep") == 1  # asking again does not make the traceback longer
    assert failed.exc_info[:2] == (Failure, error)
    assert [frame.name for frame in traceback.extract_tb(failed.exc_info[2])][-1] == "deep"
    assert failed.exception is error
    assert (failed.value, bool(failed.successful()), bool(failed.ready())) == (None, False, True)
    assert take(reports) == [(failed, error)]


def test_no_exc_info_without_failure():
    """GRN-09: empty or None for one that lives, and for one that ended well."""
    job = gevent.spawn(int)
    assert not job.exc_info
    job.join()
    assert not job.exc_info
    killed = gevent.spawn(gevent.sleep, 60)
    gevent.sleep(0)
    killed.kill()
    assert not killed.exc_info


def test_get_of_a_live_one():
    """GRN-07: Timeout at once with block=False, and after the time limit; the limit does not touch the greenlet."""
    go = Event()
    job = gevent.spawn(lambda: go.wait() and None)
    with pytest.raises(gevent.Timeout):
        job.get(block=False)
    with pytest.raises(gevent.Timeout) as caught:
        job.get(timeout=0.001)
    assert caught.value.seconds == 0.001
    with pytest.raises(gevent.Timeout):
        job.get(timeout=0)
    go.set()
    assert job.get(timeout=None) is None
    assert job.get(timeout=60) is None


def test_get_with_a_timeout_object():
    """A gevent.Timeout as the limit is the one that is raised."""
    job = gevent.spawn(gevent.sleep, 60)
    limit = gevent.Timeout(0.001)
    with pytest.raises(gevent.Timeout) as caught:
        job.get(timeout=limit)
    assert caught.value is limit
    assert not limit.pending
    job.kill()


def test_foreign_timeouts_pass_through():
    """GRN-10, ALL-01: join and get know their own time limit from somebody else's."""
    job = gevent.spawn(gevent.sleep, 60)
    for wait in (job.join, job.get):
        with gevent.Timeout(0.001) as foreign:
            with pytest.raises(gevent.Timeout) as caught:
                wait(timeout=50)
            assert caught.value is foreign
    job.kill()


def test_join():
    """GRN-10: None, whether it ended or the time did."""
    job = gevent.spawn(gevent.sleep, 0.005)
    assert job.join(timeout=0.0001) is None
    assert not job.ready()
    assert job.join() is None
    assert job.ready()
    assert job.join(timeout=0) is None


@pytest.mark.parametrize("bad", ["1", object(), [1]])
def test_time_limits_must_be_numbers(bad):
    job = gevent.spawn(gevent.sleep, 60)
    for wait in (job.join, job.get):
        with pytest.raises(TypeError):
            wait(timeout=bad)
    with pytest.raises(ValueError, match="NaN"):
        job.join(timeout=float("nan"))
    job.kill()
    assert job.dead


def test_endless_and_negative_time_limits():
    job = gevent.spawn(gevent.sleep, 0.002)
    job.join(timeout=-1)
    assert not job.ready()
    job.join(timeout=float("inf"))
    assert job.ready()


# ---- Truth, state, start -----------------------------------------------------------------------------------------------------------


def test_truth():
    """GRN-11, GRN-12: true from its start to its end, and so is `started`."""
    seen = []
    job = Greenlet(lambda: seen.append(bool(job)))
    assert (bool(job), job.started, bool(job.ready()), bool(job.successful()), job.dead) == (False, False, False, False, False)
    job.start()
    assert (bool(job), job.started, bool(job.ready())) == (True, True, False)
    job.join()
    assert seen == [True]
    assert (bool(job), job.started, bool(job.ready()), bool(job.successful())) == (False, False, True, True)
    later = gevent.spawn_later(60, int)
    assert bool(later)
    later.kill()
    assert not later


def test_start_again_does_nothing():
    """GRN-13: a started, running, waiting or dead one."""
    ran = []

    def run():
        ran.append("run")
        job.start()
        gevent.sleep(0)
        ran.append("end")

    job = Greenlet(run)
    job.start()
    job.start()
    job.start_later(0)
    gevent.sleep(0)
    job.start()
    job.start_later(0)
    job.join()
    job.start()
    job.start_later(0)
    gevent.sleep(0.001)
    assert ran == ["run", "end"]


def test_start_after_start_later_does_nothing():
    """GRN-13: the first of both counts."""
    job = Greenlet(int)
    job.start_later(60)
    job.start()
    gevent.sleep(0)
    assert not job.ready()
    job.kill()


def test_switched_to_by_hand():
    """A started greenlet that somebody switches to before its turn runs once."""
    ran = []
    job = gevent.spawn(ran.append, 1)
    get_loop().run_callback(job.switch)
    later = gevent.spawn_later(60, ran.append, 2)
    get_loop().run_callback(later.switch)
    gevent.sleep(0)
    gevent.sleep(0)
    assert ran == [1, 2]
    assert job.ready()
    assert later.ready()


def test_subclass_run():
    """GRN-14: _run of a subclass is what it runs, with its arguments."""

    class Job(Greenlet):
        def __init__(self, *args):
            Greenlet.__init__(self)
            self.args = args

        def _run(self, *args):
            return args, self is gevent.getcurrent()

    job = Job(1, 2)
    job.start()
    assert job.get() == ((1, 2), True)


def test_run_argument_over_method():
    """GRN-14, GRN-22: the argument is run rather than the method, and let go like any other."""

    class Job(Greenlet):
        def _run(self):
            return "method"

    function = Thing()
    call = type("Call", (), {"__call__": lambda self: "argument", "function": function})
    released = weakref.ref(function)
    job = Job(call())
    job.start()
    del function, call
    assert job.get() == "argument"
    gc.collect()
    assert released() is None


def test_nothing_to_run():
    """GRN-14: no argument and no _run: it ends at once with None."""
    job = Greenlet()
    job.start()
    assert job.get() is None
    assert job.successful()


@pytest.mark.parametrize("bad", [5, "name", [], object()])
def test_not_callable(bad):
    """SPW-06."""
    for make in (Greenlet, gevent.spawn, lambda run: gevent.spawn_later(1, run)):
        with pytest.raises(TypeError, match="callable"):
            make(bad)


@pytest.mark.parametrize("seconds", ["1", None, [], float("nan")])
def test_start_later_needs_a_number(seconds):
    with pytest.raises((TypeError, ValueError)):
        gevent.spawn_later(seconds, int)


def test_start_later():
    order = []
    jobs = [gevent.spawn_later(seconds, order.append, seconds) for seconds in (0.06, 0.02, 0.04, 0)]
    joinall(jobs)
    assert order == [0, 0.02, 0.04, 0.06]


# ---- Killing it at each moment of its life ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["new", "queued", "later"])
def test_killed_before_it_ran(start, reports):
    """GRN-01, GRN-02, GRN-03, GRN-06: it never runs, is dead at once, has the exit as value, and its links are called."""
    ran, linked = [], []
    job = Greenlet(ran.append, 1)
    job.link(lambda source: linked.append(("link", source)))
    job.rawlink(lambda source: linked.append(("rawlink", source)))
    if start == "queued":
        job.start()
    elif start == "later":
        job.start_later(0.001)
    assert job.kill() is None
    assert (job.dead, bool(job.ready()), bool(job.successful()), bool(job)) == (True, True, True, False)
    assert isinstance(job.value, greenlet.GreenletExit)
    assert job.get() is job.value
    assert linked == []  # through the loop, not at once
    gevent.sleep(0)
    gevent.sleep(0)
    assert linked == [("rawlink", job), ("link", job)]
    job.start()
    job.start_later(0)
    gevent.sleep(0.003)
    assert ran == []


@pytest.mark.parametrize("start", ["new", "queued", "later"])
@pytest.mark.parametrize("make", [lambda: Failure, lambda: Failure("text")])
def test_killed_before_it_ran_with_another_exception(start, make, reports):
    """GRN-02: failed with it; never raised anywhere but in get()."""
    job = Greenlet(fail, AssertionError("ran"))
    if start == "queued":
        job.start()
    elif start == "later":
        job.start_later(0)
    job.kill(make())
    assert (job.dead, bool(job.successful())) == (True, False)
    assert type(job.exception) is Failure
    assert job.exc_info[:2] == (Failure, job.exception)
    with pytest.raises(Failure):
        job.get()
    gevent.sleep(0.001)
    assert job.value is None


def test_switched_to_after_it_was_killed_unstarted():
    """GRN-01: not even then does it run."""
    ran = []
    job = gevent.spawn(ran.append, 1)
    job.kill()
    get_loop().run_callback(job.switch)
    gevent.sleep(0)
    gevent.sleep(0)
    assert ran == []


def test_kill_of_a_waiting_one():
    """GRN-04, GRN-06: it is over when kill() returns; kill may be repeated, also on dead ones."""
    left = []

    def run():
        try:
            gevent.sleep(60)
        finally:
            left.append("cleaned")

    job = gevent.spawn(run)
    gevent.sleep(0)
    assert job.kill() is None
    assert left == ["cleaned"]
    assert job.dead
    assert isinstance(job.get(), greenlet.GreenletExit)
    assert job.kill() is None
    assert job.kill(Failure, block=False) is None
    assert job.successful()


def test_kill_without_block():
    """GRN-04: not at once, but before anything that is queued afterwards."""
    order = []

    def run():
        try:
            gevent.sleep(60)
        except greenlet.GreenletExit:
            order.append("killed")
            raise

    job = gevent.spawn(run)
    gevent.sleep(0)
    assert job.kill(block=False) is None
    order.append("kill returned")
    gevent.spawn(order.append, "next")
    gevent.sleep(0)
    assert order == ["kill returned", "killed", "next"]


def test_kill_of_the_running_one():
    """A greenlet may kill itself: block or not, it ends at its next wait."""
    order = []

    def run(block):
        gevent.getcurrent().kill(block=block)
        order.append("after kill")
        gevent.sleep(60)

    for block in (True, False):
        job = gevent.spawn(run, block)
        job.join()
        assert isinstance(job.value, greenlet.GreenletExit)
    assert order == ["after kill"]


def test_kill_of_one_that_was_woken():
    """A wake-up that is queued when the kill arrives is gone: nobody switches to the greenlet for it later."""
    order = []

    def run():
        try:
            gevent.sleep(0)
            order.append("woken")
        except greenlet.GreenletExit:
            order.append("killed")
        for number in range(3):
            gevent.sleep(0)  # a stale switch would come out of here: InvalidSwitchError
            order.append(number)
        gevent.sleep(0.001)
        order.append("end")

    job = gevent.spawn(run)

    def spoil():
        job.throw(greenlet.GreenletExit)

    get_loop().run_callback(spoil)  # behind the start, before the wake-up
    job.join()
    assert order == ["killed", 0, 1, 2, "end"]
    assert job.successful()


def test_kill_races_the_end_of_a_sleep():
    """Timer and kill in the same round: one of both ends the wait, the other leaves no trace."""
    seen = []

    def run():
        try:
            gevent.sleep(0.001)
            seen.append("slept")
        except Failure:
            seen.append("killed")
        try:
            gevent.sleep(0.001)
        except Failure:  # on a slow machine the timer is not due in the round in which the sleep ends
            seen.append("killed later")
        gevent.sleep(0)
        return "end"

    job = gevent.spawn(run)
    gevent.sleep(0)
    timer = get_loop().timer(0.001)
    timer.start(job.kill, Failure, False)
    assert job.get() == "end"
    assert seen in (["slept"], ["killed"], ["slept", "killed later"])
    timer.stop()


def test_kill_races_a_link_and_a_timeout(reports):
    """A greenlet that waits for another with a limit: end, limit and kill in any order, and later waits are not disturbed."""
    for first in range(2):
        log = []

        def wait(target, log=log):
            for seconds in (0.001, 5):
                try:
                    target.get(timeout=seconds)
                    log.append("value")
                except (gevent.Timeout, Failure) as error:
                    log.append(type(error).__name__)
            gevent.sleep(0)
            gevent.sleep(0.001)
            return "end"

        target = gevent.spawn(gevent.sleep, 60)
        waiter = gevent.spawn(wait, target)
        gevent.sleep(0)
        actions = [
            lambda target=target: target.kill(block=False),
            lambda waiter=waiter: waiter.kill(Failure, block=False),
        ]
        for action in actions[first:] + actions[:first]:
            action()
        assert waiter.get() == "end"
        assert log == ["Failure", "value"]
        target.kill()
    assert take(reports) == []


def test_kill_with_a_time_limit():
    """GRN-05: one that catches the exception goes on; kill waits no longer than told."""
    caught = []

    def run():
        try:
            gevent.sleep(60)
        except greenlet.GreenletExit:
            caught.append("exit")
        gevent.sleep(0.005)
        return "survived"

    job = gevent.spawn(run)
    gevent.sleep(0)
    assert job.kill(timeout=0.0001) is None
    assert caught == ["exit"]
    assert not job.dead
    assert job.get() == "survived"


def test_kill_waits_for_the_end():
    """GRN-04: also when the greenlet catches the exception and takes its time."""

    def run():
        try:
            gevent.sleep(60)
        except greenlet.GreenletExit:
            gevent.sleep(0.002)
        return "survived"

    job = gevent.spawn(run)
    gevent.sleep(0)
    job.kill()
    assert job.value == "survived"


def test_kill_never_raises(reports):
    """GRN-04: however it ends."""
    error = Failure("in the finally block")

    def run():
        try:
            gevent.sleep(60)
        finally:
            raise error

    job = gevent.spawn(run)
    gevent.sleep(0)
    assert job.kill() is None
    assert job.exception is error
    assert take(reports) == [(job, error)]


@pytest.mark.parametrize("bad", [5, "text", None, object, object()])
@pytest.mark.parametrize("started", [False, True])
def test_kill_with_what_is_no_exception(bad, started):
    """A clear error at once: the hub could only report it, and the caller would wait for ever."""
    job = gevent.spawn(gevent.sleep, 0.001)
    if started:
        gevent.sleep(0)
    with pytest.raises(TypeError, match="exception"):
        job.kill(bad, timeout=0.01)
    job.join()
    assert job.value is None  # it was not touched


@pytest.mark.parametrize("started", [False, True])
def test_kill_with_a_class_that_cannot_be_made(started, reports):
    """The error of making it is what arrives."""

    class Demanding(Exception):
        def __init__(self, argument):
            super().__init__(argument)

    job = gevent.spawn(gevent.sleep, 60)
    if started:
        gevent.sleep(0)
    job.kill(Demanding)
    assert job.dead
    assert isinstance(job.exception, TypeError)
    take(reports)


def test_two_kills_at_once():
    """Both arrive if the greenlet survives the first."""
    caught = []

    def run():
        for _ in range(2):
            try:
                gevent.sleep(60)
            except (Failure, KeyError) as error:
                caught.append(type(error))
        gevent.sleep(0)
        return "end"

    job = gevent.spawn(run)
    gevent.sleep(0)
    job.kill(Failure, block=False)
    job.kill(KeyError, block=False)
    assert job.get() == "end"
    assert caught == [Failure, KeyError]


def test_a_kill_that_comes_too_late():
    """Killed without block, and ended by itself before the kill arrives: nothing happens."""
    job = gevent.spawn(gevent.sleep, 0)
    gevent.sleep(0)  # it waits in sleep(0) now, and its turn is before the kill's
    job.kill(block=False)
    gevent.sleep(0)
    assert job.successful()
    assert job.value is None


def test_exit_classes(reports):
    """GRN-06, GRN-23: GreenletExit is a BaseException; subclasses count as an end without failure, and are not printed."""
    assert issubclass(greenlet.GreenletExit, BaseException)
    assert not issubclass(greenlet.GreenletExit, Exception)
    assert gevent.GreenletExit is greenlet.GreenletExit

    class Exit(greenlet.GreenletExit):
        pass

    error = Exit("bye")
    job = gevent.spawn(fail, error)
    assert job.get() is error
    assert (job.value, job.exception, bool(job.successful())) == (error, None, True)
    job = gevent.spawn(gevent.sleep, 60)
    gevent.sleep(0)
    job.kill(Exit)
    assert type(job.get()) is Exit
    assert take(reports) == []


# ---- throw ----------------------------------------------------------------------------------------------------------------------


def test_throw_on_an_unstarted_one():
    """GRN-21: it cancels the start and fires the links."""
    for start in (lambda job: None, lambda job: job.start(), lambda job: job.start_later(0)):
        linked, ran = [], []
        job = Greenlet(ran.append, 1)
        job.rawlink(linked.append)
        get_loop().run_callback(job.throw, Failure("text"))
        start(job)
        gevent.sleep(0)
        gevent.sleep(0.001)
        assert ran == []
        assert linked == [job]
        assert job.exception.args == ("text",)
        assert job.dead


@pytest.mark.parametrize(
    ("args", "expected"),
    [((), ()), ((Failure,), ()), ((Failure, "a"), ("a",)), ((Failure, ("a", "b")), ("a", "b")), ((Failure, Failure), ())],
)
def test_throw_forms(args, expected):
    """GRN-21: class, class and value, instance; the same for one that waits and for one that did not start."""
    waiting = gevent.spawn(gevent.sleep, 60)
    gevent.sleep(0)
    fresh = Greenlet(int)
    hub = get_hub()
    hub.handle_error = lambda *args: None
    for job in (waiting, fresh):
        # An instance of its own for each: one that was raised refers to what it went through.
        get_loop().run_callback(job.throw, *args[:1], *(each() if each is Failure else each for each in args[1:]))
    gevent.sleep(0)
    gevent.sleep(0)
    del hub.handle_error
    for job in (waiting, fresh):
        assert job.dead
        ended = job.exception if args else job.value
        assert type(ended) is (Failure if args else greenlet.GreenletExit)
        assert ended.args == expected


def test_throw_of_nonsense():
    job = Greenlet(int)
    job.start()
    with pytest.raises(TypeError, match="'text'"):
        job.throw("text")
    assert job.get() == 0  # still queued


# ---- Links -----------------------------------------------------------------------------------------------------------------------


def test_links():
    """GRN-16: rawlink in the hub, link in a greenlet of its own; both with the greenlet, in the order linked."""
    seen = []

    def note(name):
        return lambda source: seen.append((name, source, gevent.getcurrent() is get_hub()))

    job = gevent.spawn(int)
    job.rawlink(note("a"))
    job.link(note("b"))
    job.rawlink(note("c"))
    job.link(note("d"))
    job.join()
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == [("a", job, True), ("c", job, True), ("b", job, False), ("d", job, False)]


def test_links_and_waiters_in_one_line():
    """GRN-16: waiting greenlets and links are served in the order they came."""
    order = []
    job = gevent.spawn(gevent.sleep, 0.001)

    def wait(name):
        job.join()
        order.append(name)

    job.rawlink(lambda _: order.append("raw 1"))
    jobs = [gevent.spawn(wait, "wait 1")]
    gevent.sleep(0)
    job.rawlink(lambda _: order.append("raw 2"))
    jobs.append(gevent.spawn(wait, "wait 2"))
    gevent.sleep(0)
    job.rawlink(lambda _: order.append("raw 3"))
    joinall(jobs)
    gevent.sleep(0)
    assert order == ["raw 1", "wait 1", "raw 2", "wait 2", "raw 3"]


def test_linking_to_a_finished_one():
    """GRN-16: it still calls, through the loop."""
    seen = []
    job = gevent.spawn(int)
    job.join()
    job.rawlink(lambda source: seen.append(("rawlink", source)))
    job.link(lambda source: seen.append(("link", source)))
    assert seen == []
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == [("rawlink", job), ("link", job)]


def test_link_value_and_exception(reports):
    """GRN-17."""
    seen = []
    error = Failure()
    good, bad = gevent.spawn(int), gevent.spawn(fail, error)
    exited = gevent.spawn(fail, greenlet.GreenletExit())
    for name, job in (("good", good), ("bad", bad), ("exited", exited)):
        job.link_value(lambda source, name=name: seen.append((name, "value")))
        job.link_exception(lambda source, name=name: seen.append((name, "exception")))
    joinall([good, bad, exited])
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == [("good", "value"), ("bad", "exception"), ("exited", "value")]
    assert take(reports) == [(bad, error)]


def test_unlink():
    """GRN-17: with the callback that was given, whichever way it was linked; unknown ones are ignored."""
    seen = []

    def first(source):
        seen.append("first")

    def second(source):
        seen.append("second")

    job = gevent.spawn(int)
    for link in (job.link, job.rawlink, job.link_value, job.link_exception):
        link(first)
        job.unlink(first)
    job.rawlink(second)
    job.unlink(first)
    job.rawlink(first)
    job.unlink_all()
    job.rawlink(second)
    job.join()
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == ["second"]


def test_unlink_of_one_of_two():
    """Links may be made twice; each unlink undoes one."""
    seen = []
    job = gevent.spawn(int)
    job.rawlink(seen.append)
    job.rawlink(seen.append)
    job.unlink(seen.append)
    job.join()
    gevent.sleep(0)
    assert seen == [job]


def test_unlink_of_a_link_that_is_queued():
    """It ended, its links are on their way, and are undone: they are not called."""
    seen = []
    job = Greenlet(int)
    job.kill()
    job.rawlink(seen.append)
    job.unlink(seen.append)
    job.rawlink(seen.append)
    job.unlink_all()
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == []


def test_a_link_unlinks_another():
    seen = []

    def first(source):
        seen.append("first")
        source.unlink(second)

    def second(source):
        seen.append("second")

    job = gevent.spawn(int)
    job.rawlink(first)
    job.rawlink(second)
    job.join()
    gevent.sleep(0)
    assert seen == ["first"]


@pytest.mark.parametrize("bad", [5, "text", object()])
def test_links_must_be_callable(bad):
    """GRN-18."""
    for job in (gevent.spawn(int), Greenlet()):
        for link in (job.link, job.rawlink, job.link_value, job.link_exception):
            with pytest.raises(TypeError, match="callable"):
                link(bad)
        job.kill()


def test_an_error_in_a_link(reports):
    """GRN-19: reported; the others are called."""
    seen = []
    errors = [Failure("raw"), Failure("link")]
    job = gevent.spawn(int)
    job.rawlink(lambda source: fail(errors[0]))
    job.link(lambda source: fail(errors[1]))
    job.rawlink(seen.append)
    job.link(seen.append)
    job.join()
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == [job, job]
    assert [error for context, error in take(reports)] == errors


def test_a_link_that_may_be_called_with_the_source():
    """GRN-20: any object with __call__ takes over value or exception; gevent.hub's Waiter and AsyncResult are such."""
    job = gevent.spawn(pow, 2, 3)
    waiter = gevent.hub.Waiter()
    job.rawlink(waiter)
    assert waiter.get() == 8
    for link in (job.link, job.rawlink):
        result = AsyncResult()
        link(result)
        assert result.get(timeout=10) == 8


def test_links_are_called_once():
    seen = []
    job = gevent.spawn(int)
    job.rawlink(seen.append)
    job.join()
    job.rawlink(lambda source: None)
    gevent.sleep(0)
    gevent.sleep(0)
    assert seen == [job]


def test_spawned_link():
    """The wrapper compares equal to what it wraps, and hashes like it."""
    assert SpawnedLink(int) == int  # noqa: E721 - that is what is tested
    assert SpawnedLink(int) == SpawnedLink(int)
    assert SpawnedLink(int) != SpawnedLink(float)
    assert hash(SpawnedLink(int)) == hash(int)
    assert issubclass(SuccessSpawnedLink, SpawnedLink)
    assert issubclass(FailureSpawnedLink, SpawnedLink)
    assert "int" in repr(SpawnedLink(int))
    with pytest.raises(TypeError, match="callable"):
        SpawnedLink(None)


# ---- Errors that are reported ----------------------------------------------------------------------------------------------------


def test_failure_is_reported_after_the_greenlet_is_dead(reports):
    """HUB-11, GRN-15: asynchronously, with the greenlet as context."""
    seen = []
    error = Failure()
    hub = get_hub()
    hub.handle_error = lambda context, *args: seen.append((context, context.dead, context.exception, gevent.getcurrent()))
    job = gevent.spawn(fail, error)
    job.join()
    gevent.sleep(0)
    assert seen == [(job, True, error, hub)]


def test_printed_report(capsys):
    """GRN-15, HUB-11: traceback, then the greenlet's repr or a subclass's own text, "failed with" and the class."""

    class Named(Greenlet):
        def __str__(self):
            return "the named one"

        __repr__ = __str__

    def broken(argument, keyword):
        raise Failure("text of it")

    job = gevent.spawn(broken, "argument", keyword=3)
    job.join()
    named = Named(broken, 1, 2)
    named.start()
    named.join()
    gevent.sleep(0)
    err = capsys.readouterr().err
    first, second = err.split("failed with Failure")[:2]
    assert "Traceback (most recent call last)" in first
    assert 'raise Failure("text of it")' in first
    assert "broken('argument', keyword=3)" in first
    assert second.splitlines()[-1] == "the named one "
    assert "Failure: text of it" in second


# ---- repr, names ----------------------------------------------------------------------------------------------------------------


def test_repr_of_one_that_runs_a_method_of_what_it_waits_on():
    """No endless recursion: each shows the other once."""
    waiter = gevent.hub.Waiter()
    job = gevent.spawn(waiter.get)
    gevent.sleep(0)
    assert len(repr(waiter)) < 1000
    assert len(repr(job)) < 1000
    job.kill()


def test_failure_with_arguments_that_have_no_repr(reports):
    """A repr that fails is no reason for the greenlet not to end."""

    class Unprintable:
        def __repr__(self):
            raise KeyError("no repr")

    job = gevent.spawn(lambda argument: fail(Failure()), Unprintable())
    job.join(timeout=1)
    assert job.dead
    assert type(job.exception) is Failure
    assert [type(error) for context, error in take(reports)] == [Failure]


def test_repr():
    """GRN-15: class, address, function and arguments, long ones cut."""

    def function(*args, **kwargs):
        pass

    class Owner:
        def method(self):
            pass

        def __repr__(self):
            return "<owner>"

    job = Greenlet(function, 1, "two", key=3)
    assert repr(job) == f"<Greenlet at {id(job):#x}: function(1, 'two', key=3)>"
    assert str(job) == repr(job)
    assert "<owner>.method" in repr(Greenlet(Owner().method))
    assert len(repr(Greenlet(function, "x" * 10000))) < 200
    assert repr(Greenlet()).startswith("<Greenlet at 0x")
    assert type(job).__name__ == "Greenlet"

    class Job(Greenlet):
        pass

    assert repr(Job()).startswith("<Job at 0x")
    assert getfuncname(len) == "len"
    assert getfuncname(function) == "function"
    assert getfuncname(Owner().method) == "<owner>.method"
    assert getfuncname(5) == "5"


def test_name_and_minimal_ident():
    """Small numbers, free ones first; the name can be set and shows in repr()."""
    first, second = Greenlet(int), Greenlet(int)
    numbers = {first.minimal_ident, second.minimal_ident}
    assert len(numbers) == 2
    assert first.name == f"Greenlet-{first.minimal_ident}"
    number = first.minimal_ident
    assert first.minimal_ident == number
    del first
    gc.collect()
    third = Greenlet(int)
    assert third.minimal_ident <= number
    third.name = "worker"
    assert third.name == "worker"
    assert "'worker'" in repr(third)


def test_minimal_idents_are_reused():
    """However many greenlets come and go, the numbers stay small."""
    highest = max(gevent.spawn(int).minimal_ident for _ in range(3))
    gevent.sleep(0)
    for number in range(200):
        job = gevent.spawn(int)
        assert job.minimal_ident <= highest + (5 if REFERENCE_COUNTING else 55)
        job.join()
        if not REFERENCE_COUNTING and not number % 50:
            del job
            gc.collect()


# ---- What it keeps, and what it lets go -----------------------------------------------------------------------------------------


def released_at_once(make):
    """Whether what *make* returns weak references to is gone without the collector; on PyPy, after a collection."""
    gc.collect()
    gc.disable()
    try:
        references = make()
        gevent.sleep(0)
        gevent.sleep(0)
        if not REFERENCE_COUNTING:
            collect_garbage()
        return [reference() is None for reference in references]
    finally:
        gc.enable()


@pytest.mark.parametrize("end", ["returns", "fails", "killed", "killed unstarted"])
def test_function_and_arguments_are_released(end, reports):
    """GRN-22: when it ends, however long the Greenlet itself is kept."""
    thing, keyword = Thing(), Thing()

    class Function:
        def __call__(self, thing, keyword):
            if end == "fails":
                raise Failure
            if end == "killed":
                gevent.sleep(60)

    function = Function()
    references = [weakref.ref(each) for each in (thing, keyword, function)]
    job = gevent.spawn(function, thing, keyword=keyword)
    del thing, keyword, function
    assert [reference() is None for reference in references] == [False] * 3
    if end != "killed unstarted":
        gevent.sleep(0)
    job.kill()
    assert (job.args, job.kwargs) == ((), {})
    if end == "fails":
        take(reports)
        assert job.exc_info[0] is Failure
        del job  # its traceback has the frames, and so has a GreenletExit's
    elif end == "killed":
        job.value.__traceback__ = None
    gc.collect()
    assert [reference() is None for reference in references] == [True] * 3


def test_value_is_kept_as_long_as_the_greenlet():
    job = gevent.spawn(Thing)
    job.join()
    value = weakref.ref(job.value)
    gevent.sleep(0)
    assert value() is not None
    del job
    if not REFERENCE_COUNTING:
        collect_garbage()
    assert value() is None


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="only reference counting frees at once")
def test_dead_ones_are_freed_at_once():
    """A finished greenlet that nobody keeps is gone when the next one runs, whatever the loop is in the middle of."""
    things, seen = [], []

    def job():
        thing = Thing()
        things.append(weakref.ref(thing))
        gevent.sleep(0)
        return thing

    def look():
        for _ in range(3):
            seen.append([reference() is None for reference in things])
            gevent.sleep(0)

    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            gevent.spawn(job)
        gevent.spawn(look).join()
    finally:
        gc.enable()
    assert seen == [[False] * 3, [True] * 3, [True] * 3]


@pytest.mark.skipif(not REFERENCE_COUNTING, reason="only reference counting frees at once")
def test_dead_ones_are_freed_while_others_stay_parked():
    """Hand-over leaves no reference on the stacks of greenlets that wait for long."""
    references = []
    sleepers = [gevent.spawn(gevent.sleep, 60) for _ in range(5)]

    def job():
        thing = Thing()
        references.append(weakref.ref(thing))
        for _ in range(3):
            gevent.sleep(0)
        return thing

    def mix():
        for _ in range(5):
            gevent.spawn(job)
            sleepers.append(gevent.spawn(gevent.sleep, 60))
        return []

    gc.collect()
    gc.disable()
    try:
        mix()
        for _ in range(6):
            gevent.sleep(0)
        assert [reference() is None for reference in references] == [True] * 5
    finally:
        gc.enable()
    killall(sleepers)


def test_finished_with_waiters_and_links_freed_without_the_collector():
    """No reference cycle stays behind: neither of a join, nor of a link, called or undone."""

    def make():
        plain, joined, linked, unlinked, raw = [gevent.spawn(int) for _ in range(5)]
        references = [weakref.ref(each) for each in (plain, joined, linked, unlinked, raw)]
        joined.join()
        linked.link(lambda source: None)
        raw.rawlink(lambda source: None)
        unlinked.rawlink(print)
        unlinked.unlink(print)
        gevent.sleep(0)
        gevent.sleep(0)
        return references

    assert released_at_once(make) == [True] * 5


@pytest.mark.skipif(PURE and REFERENCE_COUNTING, reason="an interpreted run() is in the traceback, and refers to the greenlet")
def test_failed_freed_without_the_collector(reports):
    """The traceback that a failed greenlet keeps does not refer to it."""

    def make():
        job = gevent.spawn(fail, Failure())
        job.join()
        take(reports)
        return [weakref.ref(job)]

    assert released_at_once(make) == [True]


@pytest.mark.skipif(
    PURE and REFERENCE_COUNTING, reason="an interpreted run() is in the traceback of its GreenletExit, and refers to it"
)
def test_killed_freed_without_the_collector():
    def make():
        job, fresh = gevent.spawn(gevent.sleep, 60), gevent.spawn(int)
        gevent.sleep(0)
        job.kill()
        fresh.kill()
        return [weakref.ref(job), weakref.ref(fresh)]

    assert released_at_once(make) == [True] * 2


@pytest.mark.skipif(
    not REFERENCE_COUNTING, reason="PyPy drops the stack of a greenlet that nobody can reach, and does not unwind it"
)
def test_a_parked_raw_greenlet_that_nobody_can_reach_is_collected():
    """It is unwound, so finally blocks run. (A Greenlet's own stack refers to it.)"""
    left = []

    def run():
        try:
            get_hub().switch()
        finally:
            left.append("unwound")

    gevent.spawn_raw(run)
    gevent.sleep(0)
    gevent.sleep(0.0001)
    gc.collect()
    assert left == ["unwound"]


def test_an_unstarted_one_is_collected():
    job = Greenlet(Thing)
    reference = weakref.ref(job)
    del job
    gc.collect()
    assert reference() is None


# ---- Order ---------------------------------------------------------------------------------------------------------------------


def test_order_of_starts():
    """SPW-05: in the order spawned, and not before the spawner leaves."""
    order = []
    jobs = [gevent.spawn(order.append, number) for number in range(500)]
    assert order == []
    joinall(jobs)
    assert order == list(range(500))


def test_order_of_a_mixture():
    """Callbacks, new greenlets, raw ones, links, wake-ups and sleep(0) run in the order in which they were queued."""
    order = []
    loop = get_loop()

    def yielding(name):
        for number in range(3):
            order.append(f"{name}{number}")
            gevent.sleep(0)

    def spawner():
        order.append("s0")
        loop.run_callback(order.append, "callback of s")
        gevent.spawn(order.append, "spawned by s")
        gevent.sleep(0)
        order.append("s1")

    done = gevent.spawn(int)
    done.rawlink(lambda _: order.append("link"))
    gevent.spawn(yielding, "a")
    loop.run_callback(order.append, "callback 1")
    gevent.spawn_raw(yielding, "b")
    gevent.spawn(spawner)
    loop.run_callback(order.append, "callback 2")
    gevent.sleep(0)
    order.append("main 0")
    gevent.sleep(0)
    order.append("main 1")
    gevent.sleep(0)
    gevent.sleep(0)
    assert order == [
        "a0", "callback 1", "b0", "s0", "callback 2", "main 0",
        "link", "a1", "b1", "callback of s", "spawned by s", "s1", "main 1",
        "a2", "b2",
    ]  # fmt: skip


def test_order_over_more_than_one_batch():
    """The bound on a batch does not change who is next."""
    order = []

    def job(number):
        for turn in range(4):
            order.append((turn, number))
            gevent.sleep(0)

    joinall([gevent.spawn(job, number) for number in range(3000)])
    assert order == [(turn, number) for turn in range(4) for number in range(3000)]


def test_a_callback_that_switches_goes_on_itself(reports):
    """A callback that switches to a greenlet has its turn back when that waits, before anybody else, with nobody else's error."""
    order = []
    error = Failure()

    def job(name):
        order.append(f"{name} begins")
        gevent.sleep(0)
        order.append(f"{name} ends")

    first, second = (greenlet.greenlet(job, get_hub()) for _ in range(2))

    def callback():
        first.switch("first")
        order.append("callback goes on")
        second.switch("second")
        order.append("callback ends")

    get_loop().run_callback(callback)
    raw = gevent.spawn_raw(fail, error)
    gevent.spawn_raw(order.append, "raw")
    gevent.sleep(0)
    order.append("main")
    gevent.sleep(0)
    assert order == [
        "first begins", "callback goes on", "second begins", "callback ends", "raw", "main", "first ends", "second ends",
    ]  # fmt: skip
    assert take(reports) == [(raw, error)]


def test_the_context_is_who_failed(reports):
    """HUB-11: also when it was switched to by a greenlet that waits rather than by the hub."""
    errors = [Failure(number) for number in range(3)]
    jobs = []

    def later(error):
        gevent.sleep(0)
        raise error

    gevent.spawn_raw(gevent.sleep, 0)
    for error in errors:
        gevent.spawn_raw(gevent.sleep, 0)
        jobs.append(gevent.spawn_raw(later, error))
        gevent.spawn_raw(gevent.sleep, 0)
    for _ in range(3):
        gevent.sleep(0)
    assert take(reports) == list(zip(jobs, errors))


def test_sleep_0_of_many():
    """SPW-01: everybody else once, in turn."""
    order = []

    def job(name):
        for _ in range(4):
            order.append(name)
            gevent.sleep(0)

    joinall([gevent.spawn(job, name) for name in "abc"])
    assert "".join(order) == "abc" * 4


# ---- The tree, and spawn callbacks -----------------------------------------------------------------------------------------------


def test_spawn_callbacks():
    """Told of each start, where it happens; once each; only gevent.Greenlet's."""
    seen = []
    Greenlet.add_spawn_callback(seen.append)
    Greenlet.add_spawn_callback(seen.append)
    try:
        job = Greenlet(int)
        assert seen == []
        job.start()
        job.start()
        assert seen == [job]
        later = gevent.spawn_later(60, int)
        gevent.spawn_raw(int)
        assert seen == [job, later]
        later.kill()
        job.join()
    finally:
        Greenlet.remove_spawn_callback(seen.append)
    Greenlet.remove_spawn_callback(seen.append)
    gevent.spawn(int).join()
    assert seen == [job, later]


def test_tree_is_off_by_default():
    job = gevent.spawn(int)
    assert (job.spawning_greenlet, job.spawning_stack, job.spawn_tree_locals) == (None, None, None)
    job.join()


def test_tree():
    """track_greenlet_tree, switched on at run time: who spawned it, where, and locals shared by the whole tree."""
    inner = []

    def outer():
        gevent.getcurrent().spawn_tree_locals["name"] = "tree"
        inner.append(gevent.spawn(Thing))
        inner[0].join()

    gevent.config.track_greenlet_tree = True
    try:
        job = gevent.spawn(outer)
        other = gevent.spawn(int)
        job.get()
        other.get()
    finally:
        gevent.config.track_greenlet_tree = False
    assert inner[0].spawning_greenlet() is job
    assert job.spawning_greenlet() is gevent.getcurrent()
    assert inner[0].spawn_tree_locals == {"name": "tree"}
    assert "name" not in other.spawn_tree_locals
    text = "".join(traceback.format_list(traceback.StackSummary.from_list(inner[0].spawning_stack)))
    assert "in outer" in text
    assert len(list(inner[0].spawning_stack)) <= Greenlet.spawning_stack_limit
    assert gevent.spawn(int).spawning_greenlet is None
    gevent.sleep(0)


def test_the_tree_keeps_no_locals_alive():
    """The spawning stack is names and lines, not frames."""

    def spawn():
        thing = Thing()
        return gevent.spawn(int), weakref.ref(thing)

    gevent.config.track_greenlet_tree = True
    try:
        job, reference = spawn()
        if not REFERENCE_COUNTING:
            collect_garbage()
        assert reference() is None
        job.join()
    finally:
        gevent.config.track_greenlet_tree = False


# ---- As a context manager, and in other threads ----------------------------------------------------------------------------------


def test_context_manager():
    with gevent.spawn(gevent.sleep, 60) as job:
        gevent.sleep(0)
    assert job.dead
    with pytest.raises(Failure), gevent.spawn(gevent.sleep, 60) as job:
        raise Failure
    assert job.dead


def test_attributes_of_it():
    job = gevent.spawn(int)
    assert job.loop is get_hub().loop
    assert job.parent is get_hub()
    job.anything = 5
    assert job.anything == 5
    job.join()
    job.value = 7
    assert job.get() == 7
    for name in ("dead", "loop", "exception", "exc_info", "started"):
        with pytest.raises(AttributeError):
            setattr(job, name, 1)


def test_many_that_fail_in_link_and_kill_soak(reports):
    """Random kills over greenlets that wait for one another: all end, nothing is reported, nothing hangs."""
    import random

    dice = random.Random(5)
    jobs = []

    def job():
        for _ in range(dice.randrange(6)):
            action = dice.randrange(4)
            if action == 0:
                gevent.sleep(0)
            elif action == 1:
                gevent.sleep(dice.random() / 2000)
            elif action == 2:
                dice.choice(jobs).join(timeout=dice.random() / 2000)
            else:
                dice.choice(jobs).kill(block=dice.random() < 0.5, timeout=0.0005)

    jobs.extend(gevent.spawn(job) for _ in range(300))
    joinall(jobs)
    assert all(each.dead for each in jobs)
    assert take(reports) == []


def test_python_O():
    """HUB-20: the errors for wrong use do not rest on assert statements."""
    script = """
import gevent, greenlet
from gevent.hub import get_hub, Waiter
assert False, "asserts are off"
def expect(error, function, *args):
    try:
        function(*args)
    except error:
        return
    raise SystemExit(f"{function} did not raise {error}")
expect(TypeError, gevent.spawn, 5)
expect(TypeError, gevent.spawn_raw, 5)
expect(TypeError, gevent.spawn(int).rawlink, 5)
get_hub().handle_error = lambda *args: None
expect(AssertionError, gevent.spawn(gevent.get_hub().join).get)
expect(AssertionError, get_hub().run)
seen = []
def blocks():
    try:
        gevent.sleep(1)
    except AssertionError as error:
        seen.append(error)
get_hub().loop.run_callback(blocks)
gevent.sleep(0)
if not seen:
    raise SystemExit("sleep in the hub")
waiter = Waiter()
first = gevent.spawn(waiter.get)
gevent.sleep(0)
expect(AssertionError, waiter.get)
expect(AssertionError, waiter.switch, 5)
timeout = gevent.Timeout(5)
timeout.start()
expect(AssertionError, timeout.start)
timeout.cancel()
sleeper = gevent.spawn(gevent.sleep, 1)
gevent.sleep(0)
get_hub().handle_error = lambda *args: None
gevent.spawn_raw(sleeper.switch)
expect(AssertionError, sleeper.get)
first.kill()
print("ok")
"""
    result = run_script(script, env={"PYTHONOPTIMIZE": "1"}).check()
    assert result.stdout == "ok\n"


def test_exit_of_the_interpreter_with_greenlets_alive():
    """Whatever is parked or queued when the program ends: no noise, no crash."""
    script = """
import gevent
def job():
    try:
        gevent.sleep(100)
    finally:
        print("unwound")
keep = [gevent.spawn(job) for _ in range(3)]
gevent.sleep(0)
queued = gevent.spawn(print, "never")
"""
    result = run_script(script).check()
    assert "never" not in result.stdout


def test_each_has_its_own_depth_of_recursion():
    """A greenlet that starts while others wait deep down has the whole stack for itself: the hub starts it, not they."""

    def deep(n):
        if n == 0:
            gevent.sleep(0)
            return 0
        return 1 + deep(n - 1)

    depth = sys.getrecursionlimit() * 7 // 10
    jobs = [gevent.spawn(deep, depth) for _ in range(5)]
    assert [job.get() for job in jobs] == [depth] * 5


def test_recursion_error_in_a_greenlet(reports):
    """It ends that greenlet alone."""

    def recurse():
        recurse()

    job = gevent.spawn(recurse)
    with pytest.raises(RecursionError):
        job.get()
    assert [type(error) for context, error in take(reports)] == [RecursionError]
    assert sys.getrecursionlimit() > 0


def test_a_spawn_callback_that_removes_itself_keeps_no_other_from_its_turn():
    order = []

    def once(new):
        order.append("once")
        Greenlet.remove_spawn_callback(once)

    def always(new):
        order.append("always")

    Greenlet.add_spawn_callback(once)
    Greenlet.add_spawn_callback(always)
    try:
        gevent.spawn(int).join()
        gevent.spawn(int).join()
    finally:
        Greenlet.remove_spawn_callback(once)
        Greenlet.remove_spawn_callback(always)
    assert order == ["once", "always", "always"]
