"""Timeout and with_timeout."""

import gc
import weakref

import gevent
import pytest
from gevent.hub import get_hub
from gevent.timeout import Timeout, with_timeout
from gevent_testkit import REFERENCE_COUNTING, collect_garbage


class Failure(Exception):
    pass


def fire(timeout):
    """Start *timeout*, wait, and return what is raised."""
    with pytest.raises(BaseException) as caught:
        try:
            timeout.start()
            gevent.sleep(20)
        finally:
            timeout.cancel()
    return caught.value


def test_raised_in_the_greenlet_that_started_it():
    """TMO-01: a BaseException, in that greenlet and no other, when it waits."""
    assert issubclass(Timeout, BaseException)
    assert not issubclass(Timeout, Exception)
    log = []

    def run(name, seconds):
        timeout = Timeout(seconds)
        timeout.start()
        try:
            gevent.sleep(20)
        except Timeout as error:
            log.append((name, error is timeout))

    gevent.joinall([gevent.spawn(run, "slow", 0.004), gevent.spawn(run, "fast", 0.001)])
    assert log == [("fast", True), ("slow", True)]


def test_not_while_it_computes():
    """TMO-01: code that never waits is not interrupted."""
    import time

    timeout = Timeout(0.001)
    timeout.start()
    time.sleep(0.005)
    timeout.cancel()
    gevent.sleep(0.002)


@pytest.mark.parametrize("exception", [None, False, "text"])
def test_itself(exception):
    """TMO-02: without an exception, with False, and with a text."""
    timeout = Timeout(0.0001, exception)
    assert fire(timeout) is timeout


def test_another_exception():
    """TMO-02: a class or an instance."""
    assert type(fire(Timeout(0.0001, Failure))) is Failure
    error = Failure("text")
    assert fire(Timeout(0.0001, error)) is error


def test_context_manager():
    """TMO-03: False swallows its own instance, and only that; the block just ends."""
    reached = []
    with Timeout(0.0001, False) as timeout:
        assert timeout.pending
        gevent.sleep(20)
        reached.append("not reached")
    assert not timeout.pending
    assert reached == []
    with pytest.raises(Timeout) as caught, Timeout(0.0001) as timeout:
        gevent.sleep(20)
    assert caught.value is timeout
    with pytest.raises(Timeout) as caught, Timeout(20, False):
        raise Timeout(1)
    with pytest.raises(Failure), Timeout(20, False):
        raise Failure
    with Timeout(20, False) as timeout:
        pass
    assert not timeout.pending


def test_a_pending_one_as_context_manager():
    timeout = Timeout.start_new(20)
    with timeout:
        assert timeout.pending
    assert not timeout.pending


def test_nested():
    """TMO-04: told apart by identity; the inner one does not swallow the outer one."""
    with pytest.raises(Timeout) as caught, Timeout(0.001) as outer, Timeout(20, False):
        gevent.sleep(20)
    assert caught.value is outer
    with Timeout(20) as outer:
        with Timeout(0.001, False):
            gevent.sleep(20)
        assert outer.pending
    with pytest.raises(Timeout) as caught, Timeout(0.001) as outer:
        with_timeout(20, gevent.sleep, 20, timeout_value="inner")
    assert caught.value is outer
    log = []
    with Timeout(1, False):
        for _ in range(2):
            with Timeout(0.0005, False):
                gevent.sleep(20)
            log.append("inner")
        gevent.sleep(20)
        log.append("not reached")
    assert log == ["inner", "inner"]


def test_without_seconds():
    """TMO-05: never fires and starts no timer."""
    before = get_hub().loop.activecnt
    with Timeout(None) as timeout:
        assert not timeout.pending
        assert get_hub().loop.activecnt == before
        timer = timeout.timer
        timeout.start()
        assert timeout.timer is timer is Timeout(None).timer
        gevent.sleep(0.0001)
    timeout.cancel()
    assert str(timeout) == ""


@pytest.mark.parametrize("seconds", [0, -1, -0.001])
def test_zero(seconds):
    """TMO-05, TMO-06: fires at the next switch, not before; negative numbers do no harm and warn of nothing."""
    timeout = Timeout(seconds)
    timeout.start()
    try:
        with pytest.raises(Timeout) as caught:
            gevent.sleep(20)
        assert caught.value is timeout
    finally:
        timeout.cancel()


@pytest.mark.parametrize("bad", ["1", object(), [], float("nan")])
def test_seconds_must_be_a_number(bad):
    timeout = Timeout(bad)
    with pytest.raises((TypeError, ValueError)):
        timeout.start()
    assert not timeout.pending
    timeout.cancel()
    with pytest.raises((TypeError, ValueError)):
        with_timeout(bad, int)


def test_endless():
    with Timeout(float("inf")) as timeout:
        gevent.sleep(0.0001)
        assert timeout.pending


def test_start_twice():
    """TMO-07: AssertionError while it is pending; cancel may be repeated; then it can be started anew."""
    timeout = Timeout(20)
    assert not timeout.pending
    timeout.start()
    with pytest.raises(AssertionError, match="already started"):
        timeout.start()
    assert timeout.pending
    for _ in range(3):
        timeout.cancel()
        assert not timeout.pending
    timeout.seconds = 0.0001
    assert fire(timeout) is timeout
    assert fire(timeout) is timeout
    timeout.close()


def test_start_new():
    """TMO-08: a number, None, or a Timeout, which is started unless it is pending."""
    timeout = Timeout.start_new(20)
    assert type(timeout) is Timeout
    assert timeout.pending
    assert Timeout.start_new(timeout) is timeout
    timeout.cancel()
    assert Timeout.start_new(timeout) is timeout
    assert timeout.pending
    timeout.cancel()
    assert not Timeout.start_new(None).pending
    assert not Timeout.start_new().pending
    other = Timeout.start_new(20, Failure)
    assert other.exception is Failure
    other.cancel()

    class Own(Timeout):
        pass

    own = Own.start_new(20)
    assert type(own) is Own
    own.cancel()


def test_with_timeout():
    """TMO-09: the result; timeout_value for its own timeout only; all else passes."""
    assert with_timeout(20, pow, 2, 3) == 8
    assert with_timeout(None, pow, 2, 3, timeout_value=1) == 8
    assert with_timeout(0.0001, gevent.sleep, 20, timeout_value="late") == "late"
    assert with_timeout(0.0001, gevent.sleep, 20, timeout_value=None) is None
    with pytest.raises(Timeout) as caught:
        with_timeout(0.0001, gevent.sleep, 20)
    assert caught.value.seconds == 0.0001
    assert with_timeout(20, dict, a=1, timeout_value=5) == {"a": 1}
    foreign = Timeout(5)

    def fail(error):
        raise error

    with pytest.raises(Timeout) as caught:
        with_timeout(20, fail, foreign, timeout_value=5)
    assert caught.value is foreign
    with pytest.raises(Failure):
        with_timeout(20, fail, Failure(), timeout_value=5)
    limit = Timeout(0.0001)
    assert with_timeout(limit, gevent.sleep, 20, timeout_value="late") == "late"


def test_what_is_ready_wins():
    """TMO-10: priority -1: an event of the same moment comes first, and the timeout does not fire."""
    import time

    assert Timeout()._priority == -1
    loop = get_hub().loop
    order = []
    early = loop.timer(0.001)
    timeout = Timeout(0.001)
    timeout.start()
    early.start(order.append, "event")
    time.sleep(0.005)  # both are due
    try:
        with pytest.raises(Timeout):
            gevent.sleep(20)
        order.append("timeout")
    finally:
        timeout.cancel()
        early.close()
    assert order == ["event", "timeout"]


def test_a_wake_up_of_the_same_round_wins():
    """TMO-10: a sleep and its limit are due at once: the sleep ends, and the timeout is cancelled in time."""
    import time

    for _ in range(3):
        with Timeout(0.05):
            get_hub().loop.run_callback(time.sleep, 0.06)
            gevent.sleep(0.001)
    gevent.sleep(0.001)


def test_cancelled_between_being_due_and_being_thrown():
    """A callback of the same round cancels it: it does not come later."""
    import time

    timeout = Timeout(0.0001)
    timeout.start()
    get_hub().loop.run_callback(time.sleep, 0.001)

    def cancel():
        timer = get_hub().loop.timer(0)
        timer.start(lambda: (timeout.cancel(), timer.close()))

    get_hub().loop.run_callback(cancel)
    try:
        gevent.sleep(0.003)
    except Timeout:
        pass  # whichever is first in the round
    assert not timeout.pending
    gevent.sleep(0.002)
    gevent.sleep(0)


def test_the_greenlet_that_ends_first():
    """A greenlet that forgets its timeout and ends is not disturbed, and neither is anybody else."""
    timeout = Timeout(0.001)
    job = gevent.spawn(timeout.start)
    job.join()
    assert timeout.pending
    gevent.sleep(0.003)
    assert not timeout.pending
    assert job.successful()


def test_ref():
    """TMO-10: ref=False does not hold the loop; the default does."""
    with Timeout(20, ref=False):
        assert gevent.wait(timeout=10) is True
    with Timeout(20):
        assert gevent.wait(timeout=0.001) is False


def test_in_a_wait_with_a_limit_of_its_own():
    """Two limits on one wait: the one that is due first ends it, the other leaves no trace."""
    job = gevent.spawn(gevent.sleep, 20)
    with Timeout(0.001, False):
        job.join(timeout=20)
        pytest.fail("join has returned")
    with Timeout(20):
        job.join(timeout=0.001)
    with Timeout(0.001, False):
        job.join(timeout=0.001)
    gevent.sleep(0.002)
    job.kill()


@pytest.mark.parametrize(
    ("seconds", "exception", "text"),
    [
        (1, None, "1 second"),
        (0.5, None, "0.5 seconds"),
        (2, False, "2 seconds (silent)"),
        (1, False, "1 second (silent)"),
        (3, "too late", "3 seconds: too late"),
        (3, ValueError("x"), "3 seconds: x"),
        (None, "text", ""),
    ],
)
def test_str(seconds, exception, text):
    """TMO-11."""
    assert str(Timeout(seconds, exception)) == text


def test_repr():
    timeout = Timeout(5, Failure)
    assert repr(timeout).startswith("<Timeout at 0x")
    assert "seconds=5" in repr(timeout)
    assert "Failure" in repr(timeout)
    assert "pending" not in repr(timeout)
    timeout.start()
    assert "pending" in repr(timeout)
    timeout.cancel()


def test_subclass_hook():
    """_on_expiration may be overridden, and __init__ need not call ours."""
    seen = []

    class Own(Timeout):
        def _on_expiration(self, prev_greenlet, ex):
            seen.append((prev_greenlet, ex))
            super()._on_expiration(prev_greenlet, ex)

    timeout = Own(0.0001)
    assert fire(timeout) is timeout
    assert seen == [(gevent.getcurrent(), timeout)]

    class Bare(Timeout):
        def __init__(self):
            pass

    assert not Bare().pending
    Bare().cancel()


def test_freed():
    """A timeout that is over is kept by nobody, nor does it keep the greenlet."""
    gc.collect()
    gc.disable()
    try:
        with Timeout(20) as timeout:
            pass
        reference = weakref.ref(timeout)
        del timeout
        if not REFERENCE_COUNTING:
            collect_garbage()
        assert reference() is None
    finally:
        gc.enable()


def test_many_that_are_cancelled_leave_nothing():
    loop = get_hub().loop
    before = loop.activecnt
    for _ in range(1000):
        with Timeout(20):
            pass
    gevent.sleep(0)
    assert loop.activecnt == before
