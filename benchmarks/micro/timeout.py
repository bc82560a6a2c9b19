"""gevent.Timeout, with_timeout, and waits that have a timeout."""

import gevent
from declare import rate
from gevent.event import Event


def one():
    """Return the number one."""
    return 1


@rate(unit="timeouts")
def timeout_start_cancel(loops, clock):
    """Make a Timeout, start() and cancel() it."""
    cancelled = 0
    with clock:
        for _ in range(loops):
            timeout = gevent.Timeout(5)
            timeout.start()
            timeout.cancel()
            cancelled += not timeout.pending
    return cancelled


@rate(unit="timeouts")
def timeout_with(loops, clock):
    """Enter and leave ``with gevent.Timeout(5)``."""
    left = 0
    with clock:
        for _ in range(loops):
            with gevent.Timeout(5):
                left += 1
    return left


@rate(unit="calls")
def with_timeout_call(loops, clock):
    """with_timeout() around a function that returns at once."""
    total = 0
    with clock:
        for _ in range(loops):
            total += gevent.with_timeout(5, one)
    return total


@rate(unit="timeouts", ops=100)
def timeout_expires(loops, clock):
    """100 greenlets wait on an Event until their with_timeout() of 1 ms expires."""
    never = Event()
    expired = []

    def wait():
        expired.append(gevent.with_timeout(0.001, never.wait, timeout_value=1))

    with clock:
        for _ in range(loops):
            gevent.joinall([gevent.spawn(wait) for _ in range(100)])
    return sum(expired)


@rate(unit="waits")
def event_wait_timeout(loops, clock):
    """Event ping-pong in which every wait() has a timeout of 5 s."""
    ping, pong = Event(), Event()
    rounds = []

    def partner():
        done = 0
        while done < loops and ping.wait(5):
            ping.clear()
            done += 1
            pong.set()
        rounds.append(done)

    greenlet = gevent.spawn(partner)
    with clock:
        for _ in range(loops):
            ping.set()
            pong.wait(5)
            pong.clear()
    greenlet.join()
    return sum(rounds)
