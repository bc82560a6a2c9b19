"""Event and AsyncResult."""

import gevent
from declare import rate
from gevent.event import AsyncResult, Event


@rate(unit="round trips", goal=2)
def event_ping_pong(loops, clock):
    """Two greenlets wake each other through two Events."""
    ping, pong = Event(), Event()
    rounds = []

    def partner():
        done = 0
        while done < loops:
            ping.wait()
            ping.clear()
            done += 1
            pong.set()
        rounds.append(done)

    greenlet = gevent.spawn(partner)
    with clock:
        for _ in range(loops):
            ping.set()
            pong.wait()
            pong.clear()
    greenlet.join()
    return sum(rounds)


@rate(unit="wake-ups", ops=100)
def event_wake_100(loops, clock):
    """One set() wakes 100 greenlets, each of which waits again."""
    gates = [Event() for _ in range(loops)]
    passed = []

    def walker():
        done = 0
        for gate in gates:
            done += gate.wait()
        passed.append(done)

    greenlets = [gevent.spawn(walker) for _ in range(100)]
    gevent.sleep(0)
    with clock:
        for gate in gates:
            gate.set()
            gevent.sleep(0)
        gevent.joinall(greenlets)
    return sum(passed)


@rate(unit="waits")
def event_already_set(loops, clock):
    """wait() on an Event that is set."""
    event = Event()
    event.set()
    done = 0
    with clock:
        for _ in range(loops):
            done += event.wait()
    return done


@rate(unit="round trips", goal=2)
def async_result_ping_pong(loops, clock):
    """Two greenlets hand each other values, each in an AsyncResult made for it."""
    pairs = []
    returned = 0

    def partner():
        for request, answer in pairs:
            answer.set(request.get())

    with clock:
        pairs.extend((AsyncResult(), AsyncResult()) for _ in range(loops))
        greenlet = gevent.spawn(partner)
        for request, answer in pairs:
            request.set(1)
            returned += answer.get()
    greenlet.join()
    return returned


@rate(unit="results")
def async_result_set_get(loops, clock):
    """Make an AsyncResult, set() it, get() it: nobody waits."""
    total = 0
    with clock:
        for _ in range(loops):
            result = AsyncResult()
            result.set(1)
            total += result.get()
    return total
