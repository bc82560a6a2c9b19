"""Waiter in all its states, the current hub, and the loop's own doors: ready, ready_call, forget, park."""

import gc
import weakref

import gevent
import pytest
from gevent import _switching
from gevent._switching import Waiter, get_hub, get_hub_if_exists, get_loop
from gevent.hub import BlockingSwitchOutError, ConcurrentObjectUseError, InvalidSwitchError
from gevent_testkit.greenlets import in_hub


class Failure(Exception):
    pass


# ---- Waiter ----------------------------------------------------------------------------------------------------------------------


def test_empty():
    waiter = Waiter()
    assert (waiter.ready(), waiter.successful(), waiter.value, waiter.exc_info, waiter.greenlet) == (False, False, None, None, None)
    assert waiter.hub is get_hub()
    assert Waiter("another").hub == "another"
    assert Waiter(hub=None).hub is get_hub()
    assert "Waiter" in repr(waiter)
    assert "empty" in repr(waiter)


def test_value_before_get():
    waiter = Waiter()
    waiter.switch(5)
    assert (waiter.ready(), waiter.successful(), waiter.value) == (True, True, 5)
    assert "value=5" in repr(waiter)
    assert waiter.get() == 5
    assert waiter.get() == 5
    waiter.clear()
    assert (waiter.ready(), waiter.successful(), waiter.value) == (False, False, None)
    waiter.switch()
    assert waiter.get() is None
    waiter.clear()
    waiter.switch_args(1, 2)
    assert waiter.get() == (1, 2)


def test_exception_before_get():
    waiter = Waiter()
    error = Failure()
    waiter.throw(error)
    assert (waiter.ready(), waiter.successful()) == (True, False)
    assert waiter.exc_info == (error,)
    assert "Failure" in repr(waiter)
    for _ in range(2):
        with pytest.raises(Failure) as caught:
            waiter.get()
        assert caught.value is error


@pytest.mark.parametrize("form", ["class", "class and text", "instance", "class, instance, no traceback"])
def test_forms_of_throw(form):
    error = Failure("text")
    args = {"class": (Failure,), "class and text": (Failure, "text"), "instance": (error,)}.get(form, (Failure, error, None))
    waiter = Waiter()
    waiter.throw(*args)
    with pytest.raises(Failure):
        waiter.get()
    waiter = Waiter()
    job = gevent.spawn(waiter.get)
    get_hub().handle_error = lambda *args: None
    gevent.sleep(0)
    get_loop().run_callback(waiter.throw, *args)
    job.join()
    gevent.sleep(0)
    del get_hub().handle_error
    assert type(job.exception) is Failure


def test_value_while_waiting():
    """The value arrives, in the greenlet at once; the waiter is as empty as before."""
    waiter = Waiter()
    job = gevent.spawn(waiter.get)
    gevent.sleep(0)
    assert waiter.greenlet is job
    assert len(repr(waiter)) < 1000
    in_hub(waiter.switch, "value")
    assert job.value == "value"
    assert waiter.greenlet is None
    assert not waiter.ready()
    job = gevent.spawn(waiter.get)
    gevent.sleep(0)
    in_hub(waiter.switch_args, 1, 2)
    assert job.value == (1, 2)


def test_only_in_the_hub():
    """HUB-20: handing over elsewhere than in the hub is an AssertionError, and nothing happens."""
    waiter = Waiter()
    job = gevent.spawn(waiter.get)
    gevent.sleep(0)
    with pytest.raises(AssertionError, match="hub"):
        waiter.switch(5)
    with pytest.raises(AssertionError, match="hub"):
        waiter.throw(Failure)
    assert not job.ready()
    in_hub(waiter.switch, 6)
    assert job.get() == 6


def test_second_user():
    """HUB-05."""
    waiter = Waiter()
    job = gevent.spawn(waiter.get)
    gevent.sleep(0)
    with pytest.raises(ConcurrentObjectUseError, match="Waiter"):
        waiter.get()
    job.kill()
    assert waiter.greenlet is None
    in_hub(waiter.switch, 3)
    assert waiter.get() == 3


def test_get_in_the_hub():
    """HUB-04: and the waiter is free afterwards."""
    waiter = Waiter()
    assert isinstance(in_hub(waiter.get), BlockingSwitchOutError)
    assert waiter.greenlet is None


def test_as_a_link():
    """It takes over value or exception of what it is called with."""
    get_hub().handle_error = lambda *args: None

    def fail():
        raise Failure

    for run, check in ((lambda: 5, None), (fail, Failure)):
        waiter = Waiter()
        job = gevent.spawn(run)
        job.rawlink(waiter)
        if check is None:
            assert waiter.get() == 5
        else:
            with pytest.raises(check):
                waiter.get()
    gevent.sleep(0)
    del get_hub().handle_error


def test_weak_references_and_attributes():
    waiter = Waiter()
    waiter.anything = 5
    reference = weakref.ref(waiter)
    assert waiter.anything == 5
    del waiter
    gc.collect()
    assert reference() is None


def test_subclass():
    class Own(Waiter):
        __slots__ = []

        def switch(self, value=None):
            Waiter.switch(self, ("own", value))

    waiter = Own()
    waiter.switch_args(1)
    assert waiter.get() == ("own", (1,))


def test_an_error_of_the_greenlet_is_reported():
    """A raw greenlet that dies of an error while it is switched to: the callback of the waiter does not see it."""
    waiter, reports = Waiter(), []
    get_hub().handle_error = lambda context, type, value, tb: reports.append(value)
    error = Failure()

    def run():
        waiter.get()
        raise error

    gevent.spawn_raw(run)
    gevent.sleep(0)
    assert in_hub(waiter.switch, 1) is None
    del get_hub().handle_error
    assert reports == [error]


# ---- The current hub -------------------------------------------------------------------------------------------------------------


def test_doors_to_the_hub():
    assert get_hub() is get_hub_if_exists() is gevent.get_hub() is gevent.hub.get_hub()
    assert get_loop() is get_hub().loop
    assert _switching.get_hub_class() is gevent.hub.Hub


# ---- The loop's doors ------------------------------------------------------------------------------------------------------------


def test_ready_and_forget():
    """In the order queued; what is taken back never runs, and only once can it be taken back."""
    loop, order = get_loop(), []
    tickets = [loop.ready_call(order.append, (number,)) for number in range(5)]
    assert loop.forget(tickets[1]) is True
    assert loop.forget(tickets[1]) is False
    callback = loop.run_callback(order.append, "callback")
    stopped = loop.run_callback(order.append, "stopped")
    stopped.stop()
    assert callback.pending
    gevent.sleep(0)
    assert order == [0, 2, 3, 4, "callback"]
    assert [loop.forget(ticket) for ticket in tickets] == [False] * 5
    assert loop.forget(0) is False


def test_park():
    """wake() from anywhere, once; then the wait is over and the park can be used again."""
    loop = get_loop()
    park = loop.park("owner")
    for _ in range(3):
        loop.ready_call(park.wake, ())
        assert park.wait() is True
    assert park.wait(0.0001) is False
    assert park.wait(0) is False
    for bad in (float("nan"), "x"):
        with pytest.raises((TypeError, ValueError)):
            park.wait(bad)
    loop.ready_call(park.wake, ())
    assert park.wait(float("inf")) is True
    assert "owner" in repr(park)


def test_park_woken_before_the_wait():
    """The wake-up is kept, once, for the next wait, which returns at once."""
    park = get_loop().park("owner")
    assert [park.wake(), park.wake()] == [True, False]
    assert park.waiting is False
    assert park.wait() is True
    assert park.wait(0) is False
    assert park.wake() is True
    assert park.wait(0) is True


def test_park_is_for_one():
    loop = get_loop()
    park = loop.park("owner")
    job = gevent.spawn(park.wait)
    gevent.sleep(0)
    assert (park.waiting, park.greenlet, park.owner) == (True, job, "owner")
    with pytest.raises(ConcurrentObjectUseError, match="owner"):
        park.wait()
    assert park.wake() is True
    assert park.wake() is False
    assert park.waiting is False
    assert job.get() is True


def test_park_fail():
    """Its wait raises the error, unless it was woken before."""
    loop = get_loop()
    error = Failure()
    park = loop.park()
    assert park.fail(error) is False
    loop.ready_call(park.fail, (error,))
    with pytest.raises(Failure) as caught:
        park.wait(10)
    assert caught.value is error
    loop.ready_call(park.wake, ())
    loop.ready_call(park.fail, (error,))
    assert park.wait() is True


def test_park_call():
    """A callback in the same line: once, cancelable."""
    loop, seen = get_loop(), []
    park = loop.park_call(seen.append, 5)
    assert park.wake() is True
    assert park.wake() is False
    gevent.sleep(0)
    assert seen == [5]
    park = loop.park_call(seen.append, 6)
    park.wake()
    assert park.cancel() is True
    gevent.sleep(0)
    assert seen == [5]
    with pytest.raises(TypeError, match="callable"):
        loop.park_call(5, 6)


def test_thrown_while_woken():
    """The wake-up is forgotten: no stale switch in later waits (the reason for tickets)."""
    loop = get_loop()
    park, log = loop.park(), []

    def run():
        try:
            park.wait()
        except Failure:
            log.append("thrown")
        for _ in range(3):
            loop.yield_now()
            park.wait(0.0001)
        log.append("end")

    job = gevent.spawn(run)
    gevent.sleep(0)
    loop.ready_call(park.wake, ())
    loop.ready_call(job.throw, (Failure,))
    job.join()
    assert log == ["thrown", "end"]


def test_switched_to_while_woken():
    """HUB-06: early, so an error and not a result; the queued wake-up is gone."""
    loop = get_loop()
    park, log = loop.park(), []

    def run():
        try:
            log.append(park.wait())
        except InvalidSwitchError:
            log.append("invalid")
        loop.yield_now()
        log.append("end")

    job = gevent.spawn(run)
    gevent.sleep(0)
    loop.ready_call(job.switch, ())
    park.wake()
    job.join()
    assert log == ["invalid", "end"]


def test_from_another_thread():
    """ready(), ready_call(), run_callback() and wake() from a foreign thread wake the loop."""
    import threading

    loop, log = get_loop(), []
    park = loop.park()

    def other():
        loop.run_callback(log.append, "callback")
        loop.ready_call(log.append, ("call",))
        loop.run_callback_threadsafe(log.append, "threadsafe")
        park.wake()

    thread = threading.Timer(0.005, other)
    thread.start()
    assert park.wait(10) is True
    assert log == ["callback", "call", "threadsafe"]
    thread.join()


def test_many_from_another_thread():
    """None lost, each thread's in its order, while the loop is busy and while it sleeps."""
    import threading

    loop, log = get_loop(), []
    done = loop.park()
    count = 2000

    def other(name):
        for number in range(count):
            loop.run_callback(log.append, (name, number))
        loop.run_callback(finish)

    ended = []

    def finish():
        ended.append(1)
        if len(ended) == 3:
            done.wake()

    threads = [threading.Thread(target=other, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    assert done.wait(20) is True
    for thread in threads:
        thread.join()
    for name in "abc":
        assert [number for each, number in log if each == name] == list(range(count))


def test_a_park_of_another_threads_loop():
    """ALL-05: objects stay in their thread: an error that says so."""
    import threading

    park = get_loop().park("the owner")
    errors = []

    def other():
        try:
            gevent.sleep(0)
            park.wait(0.01)
        except RuntimeError as error:
            errors.append(str(error))
        finally:
            gevent.get_hub().destroy()

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert errors == ["'the owner' belongs to the event loop of another native thread"]
