"""Queues and the Channel."""

import gevent
from declare import rate
from gevent.queue import Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue


def streamed(queue, loops, clock):
    """One greenlet puts *loops* ones, this one gets them. Returns their sum."""

    def producer():
        for _ in range(loops):
            queue.put(1)

    total = 0
    greenlet = gevent.spawn(producer)
    with clock:
        for _ in range(loops):
            total += queue.get()
    greenlet.get()
    return total


def ping_pong(ping, pong, loops, clock):
    """One greenlet sends back through *pong* what it gets from *ping*. Returns the sum of what came back."""

    def partner():
        for _ in range(loops):
            pong.put(ping.get())

    total = 0
    greenlet = gevent.spawn(partner)
    with clock:
        for _ in range(loops):
            ping.put(1)
            total += pong.get()
    greenlet.get()
    return total


def put_then_get(queue, loops, clock):
    """put() and get() in one greenlet, never blocking. Returns the sum of what was got."""
    total = 0
    with clock:
        for _ in range(loops):
            queue.put(1)
            total += queue.get()
    return total


@rate(unit="items", goal=2)
def queue_1_stream(loops, clock):
    """A producer and a consumer over Queue(1)."""
    return streamed(Queue(1), loops, clock)


@rate(unit="round trips", goal=2)
def queue_1_ping_pong(loops, clock):
    """Two greenlets pass an item to and fro over two Queue(1)."""
    return ping_pong(Queue(1), Queue(1), loops, clock)


@rate(unit="items")
def queue_100_stream(loops, clock):
    """A producer and a consumer over Queue(100)."""
    return streamed(Queue(100), loops, clock)


@rate(unit="items")
def queue_put_get(loops, clock):
    """put() and get() on an unbounded Queue, nobody waiting."""
    return put_then_get(Queue(), loops, clock)


@rate(unit="items")
def queue_nowait(loops, clock):
    """put_nowait() and get_nowait() on an unbounded Queue."""
    queue = Queue()
    total = 0
    with clock:
        for _ in range(loops):
            queue.put_nowait(1)
            total += queue.get_nowait()
    return total


@rate(unit="items")
def lifo_queue_put_get(loops, clock):
    """put() and get() on a LifoQueue, nobody waiting."""
    return put_then_get(LifoQueue(), loops, clock)


@rate(unit="items")
def priority_queue_put_get(loops, clock):
    """put() and get() on a PriorityQueue, nobody waiting."""
    return put_then_get(PriorityQueue(), loops, clock)


@rate(unit="items")
def joinable_queue(loops, clock):
    """put(), get() and task_done() on a JoinableQueue, join() at the end."""
    queue = JoinableQueue()
    total = 0
    with clock:
        for _ in range(loops):
            queue.put(1)
            total += queue.get()
            queue.task_done()
        queue.join()
    return total


@rate(unit="items", goal=2)
def channel_stream(loops, clock):
    """A producer and a consumer over a Channel."""
    return streamed(Channel(), loops, clock)


@rate(unit="round trips", goal=2)
def channel_ping_pong(loops, clock):
    """Two greenlets pass an item to and fro over two Channels."""
    return ping_pong(Channel(), Channel(), loops, clock)
