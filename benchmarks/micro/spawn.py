"""Making greenlets, running them, getting rid of them."""

import itertools

import gevent
from declare import rate
from gevent.event import Event


def nothing():
    """Return at once."""


def one():
    """Return the number one."""
    return 1


@rate(unit="greenlets", ops=1000, goal=8)
def spawn_joinall(loops, clock):
    """Spawn 1000 greenlets that do nothing, joinall() them."""
    joined = 0
    with clock:
        for _ in range(loops):
            joined += len(gevent.joinall([gevent.spawn(nothing) for _ in range(1000)]))
    return joined


@rate(unit="greenlets", goal=4)
def spawn_get(loops, clock):
    """Spawn one greenlet, get() its value."""
    total = 0
    with clock:
        for _ in range(loops):
            total += gevent.spawn(one).get()
    return total


@rate(unit="greenlets", ops=1000)
def spawn_raw(loops, clock):
    """Start 1000 functions by spawn_raw(), let them all run."""
    counter = itertools.count()
    with clock:
        for _ in range(loops):
            for _ in range(1000):
                gevent.spawn_raw(counter.__next__)
            gevent.sleep(0)
    return next(counter)


@rate(unit="greenlets", ops=100)
def spawn_arguments(loops, clock):
    """Spawn 100 greenlets with positional and keyword arguments, add up their values."""

    def add(a, b, *, c):
        return a + b + c

    total = 0
    with clock:
        for _ in range(loops):
            greenlets = [gevent.spawn(add, 0, 0, c=1) for _ in range(100)]
            gevent.joinall(greenlets)
            for greenlet in greenlets:
                total += greenlet.value
    return total


@rate(unit="kills", ops=100)
def greenlet_kill(loops, clock):
    """kill() 100 parked greenlets, one after the other."""
    never = Event()
    killed = 0
    for _ in range(loops):
        greenlets = [gevent.spawn(never.wait) for _ in range(100)]
        gevent.sleep(0)
        with clock:
            for greenlet in greenlets:
                greenlet.kill()
        killed += sum(isinstance(greenlet.value, gevent.GreenletExit) for greenlet in greenlets)
    return killed


@rate(unit="kills", ops=100)
def killall_100(loops, clock):
    """killall() 100 parked greenlets."""
    never = Event()
    killed = 0
    for _ in range(loops):
        greenlets = [gevent.spawn(never.wait) for _ in range(100)]
        gevent.sleep(0)
        with clock:
            gevent.killall(greenlets)
        killed += sum(isinstance(greenlet.value, gevent.GreenletExit) for greenlet in greenlets)
    return killed


@rate(unit="greenlets", ops=100)
def wait_100(loops, clock):
    """gevent.wait() for 100 greenlets."""
    done = 0
    with clock:
        for _ in range(loops):
            done += len(gevent.wait([gevent.spawn(nothing) for _ in range(100)]))
    return done


@rate(unit="greenlets", ops=100)
def iwait_100(loops, clock):
    """Go through 100 greenlets by gevent.iwait()."""
    done = 0
    with clock:
        for _ in range(loops):
            for greenlet in gevent.iwait([gevent.spawn(one) for _ in range(100)]):
                done += greenlet.value
    return done


@rate(unit="calls")
def link_called(loops, clock):
    """Spawn one greenlet with a link(), wait until the link was called."""
    values = []
    called = Event()

    def linked(greenlet):
        values.append(greenlet.value)
        called.set()

    with clock:
        for _ in range(loops):
            gevent.spawn(one).link(linked)
            called.wait()
            called.clear()
    return sum(values)
