"""Switching through the hub, and timers."""

import gevent
from declare import rate
from gevent.event import Event


@rate(unit="switches", ops=1000, goal=2)
def sleep0_100(loops, clock):
    """100 greenlets call sleep(0) in turn."""
    turns = []
    gate = Event()

    def turn():
        done = 0
        gate.wait()
        for _ in range(loops * 10):
            gevent.sleep(0)
            done += 1
        turns.append(done)

    greenlets = [gevent.spawn(turn) for _ in range(100)]
    gevent.sleep(0)  # they are all at the gate: that they had to be started is not timed
    with clock:
        gate.set()
        gevent.joinall(greenlets)
    return sum(turns)


@rate(unit="switches")
def sleep0_alone(loops, clock):
    """sleep(0) with nobody else there."""
    done = 0
    with clock:
        for _ in range(loops):
            gevent.sleep(0)
            done += 1
    return done


@rate(unit="wake-ups", ops=1000)
def timers_200(loops, clock):
    """200 greenlets sleep 0.1 to 1 ms each, over and over."""
    wakes = []
    gate = Event()

    def sleeper(seconds):
        done = 0
        gate.wait()
        for _ in range(loops * 5):
            gevent.sleep(seconds)
            done += 1
        wakes.append(done)

    greenlets = [gevent.spawn(sleeper, 0.0001 * (1 + i % 10)) for i in range(200)]
    gevent.sleep(0)
    with clock:
        gate.set()
        gevent.joinall(greenlets)
    return sum(wakes)


@rate(unit="wake-ups")
def timer_alone(loops, clock):
    """sleep(0.0001) with nobody else there: mostly the kernel's time."""
    done = 0
    with clock:
        for _ in range(loops):
            gevent.sleep(0.0001)
            done += 1
    return done


@rate(unit="calls", ops=100)
def spawn_later_100(loops, clock):
    """spawn_later() 100 greenlets for at once, join them."""
    calls = []
    with clock:
        for _ in range(loops):
            gevent.joinall([gevent.spawn_later(0, calls.append, 1) for _ in range(100)])
    return sum(calls)
