"""What things weigh: growth of the resident set, in a process of its own."""

import gc

import gevent
from declare import amount
from gevent import socket
from gevent.event import Event
from resident import resident_bytes


@amount(unit="bytes", goal=0.8)
def parked_greenlet(quick):
    """A greenlet that waits on an Event (of 100,000)."""
    number = 20_000 if quick else 100_000
    event = Event()
    gevent.joinall([gevent.spawn(event.wait, 0.001)])
    gc.collect()
    before = resident_bytes()
    greenlets = [gevent.spawn(event.wait) for _ in range(number)]
    gevent.sleep(0)
    gc.collect()
    weight = (resident_bytes() - before) / number
    event.set()
    gevent.joinall(greenlets)
    woken = sum(greenlet.value is True for greenlet in greenlets)
    if woken != number:
        raise ValueError(f"{woken} of {number} greenlets came back from Event.wait() with True")
    return weight


@amount(unit="bytes")
def finished_greenlet(quick):
    """A finished greenlet that is still referred to (of 100,000)."""
    number = 20_000 if quick else 100_000
    gevent.joinall([gevent.spawn(int)])
    gc.collect()
    before = resident_bytes()
    kept = []
    for _ in range(number // 100):
        kept.extend(gevent.joinall([gevent.spawn(int) for _ in range(100)]))
    gc.collect()
    weight = (resident_bytes() - before) / number
    if len(kept) != number or any(greenlet.value != 0 for greenlet in kept):
        raise ValueError(f"{len(kept)} of {number} greenlets finished")
    return weight


@amount(unit="bytes", goal=0.8)
def parked_recv(quick):
    """A greenlet that waits in recv() on a socket of its own (of 400 socketpairs)."""
    number = 200 if quick else 400
    pairs = [socket.socketpair() for _ in range(number)]
    gc.collect()
    before = resident_bytes()
    greenlets = [gevent.spawn(there.recv, 10) for here, there in pairs]
    gevent.sleep(0)
    gc.collect()
    weight = (resident_bytes() - before) / number
    for here, _there in pairs:
        here.send(b"x")
    gevent.joinall(greenlets)
    if [greenlet.value for greenlet in greenlets] != [b"x"] * number:
        raise ValueError(f"not all of {number} greenlets received what was sent to them")
    return weight
