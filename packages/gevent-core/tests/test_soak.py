"""Greenlets killed at random over locks, queues and sockets, all at once: nothing is lost, nothing is doubled, nothing is left."""

import os
import random
import threading
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket
from gevent.event import Event
from gevent.lock import BoundedSemaphore, RLock
from gevent.queue import Channel, Queue
from gevent.timeout import Timeout
from gevent_testkit import run_script

SECONDS = float(os.environ.get("GEVENT_TEST_SOAK_SECONDS", "3"))
WORKERS = 60
TOKENS = 25


class Soak:
    """Things that greenlets take and give back, and the books of who has what."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.semaphore = BoundedSemaphore(7)
        self.rlock = RLock()
        self.inside = 0
        self.tokens = Queue()
        for number in range(TOKENS):
            self.tokens.put(number)
        self.narrow = Queue(3)
        self.channel = Channel()
        self.event = Event()
        self.over = False
        self.poked = 0
        self.done = 0
        self.offered = []
        self.received = []

    def limit(self):
        return self.random.choice([None, None, 0, 0.0001, 0.001, 0.01])

    def use_semaphore(self):
        if self.semaphore.acquire(timeout=self.limit()):
            try:
                self.inside += 1
                assert self.inside <= 7
                gevent.sleep(self.random.choice([0, 0, 0.0005]))
            finally:
                self.inside -= 1
                self.semaphore.release()

    def use_rlock(self):
        with self.rlock, self.rlock:
            gevent.sleep(0)

    def use_tokens(self):
        token = None
        try:
            token = self.tokens.get(timeout=0.01)
            gevent.sleep(self.random.choice([0, 0.0003]))
        except gevent.queue.Empty:
            pass
        finally:
            if token is not None:
                self.tokens.put(token)

    def use_narrow(self):
        """Put and get through a queue that is mostly full: both sides block, both are killed."""
        number = len(self.offered)
        self.offered.append(False)
        try:
            self.narrow.put(number, timeout=0.005)
            self.offered[number] = True
        except gevent.queue.Full:
            pass

    def take_narrow(self):
        try:
            item = self.narrow.get(timeout=0.005)
        except gevent.queue.Empty:
            return
        self.received.append(item)

    def use_channel(self):
        try:
            if self.random.random() < 0.5:
                self.channel.put("x", timeout=0.003)
            else:
                assert self.channel.get(timeout=0.003) == "x"
        except (gevent.queue.Full, gevent.queue.Empty):
            pass

    def use_event(self):
        if self.random.random() < 0.3:
            self.event.set()
            self.event.clear()
        else:
            self.event.wait(0.002)

    def use_sockets(self):
        left, right = socket.socketpair()
        with left, right:
            echo = gevent.spawn(lambda: right.sendall(right.recv(100)))
            try:
                message = b"%d" % self.random.randrange(10**9)
                left.settimeout(self.random.choice([None, 1]))
                left.sendall(message)
                assert left.recv(100) == message
            finally:
                echo.kill()

    def use_timeout(self):
        with Timeout(0.001, False):
            gevent.sleep(self.random.choice([0, 0.0005, 1]))

    def poke(self):
        """What a native thread without a hub does to the same objects, as fast as it can."""
        while not self.over:
            if self.semaphore.acquire(blocking=False):
                self.semaphore.release()
            try:
                self.tokens.put(self.tokens.get_nowait())
                self.received.append(self.narrow.get_nowait())
            except gevent.queue.Empty:
                pass
            self.event.set()
            self.event.clear()
            self.poked += 1

    def work(self):
        uses = [
            self.use_semaphore,
            self.use_rlock,
            self.use_tokens,
            self.use_narrow,
            self.take_narrow,
            self.use_channel,
            self.use_event,
            self.use_sockets,
            self.use_timeout,
        ]
        while True:
            self.random.choice(uses)()
            self.done += 1
            gevent.sleep(0)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize(("seed", "threads"), [(1, 0), (2, 0), (3, 2)])
def test_random_kills(seed, threads):
    """Under one hub, and with native threads that use the same objects meanwhile."""
    soak = Soak(seed)
    failed = []
    pokers = [threading.Thread(target=soak.poke) for _ in range(threads)]
    for each in pokers:
        each.start()
    workers = [gevent.spawn(soak.work) for _ in range(WORKERS)]
    kills = 0
    until = monotonic() + SECONDS / 2
    while monotonic() < until or kills <= 100:
        gevent.sleep(soak.random.choice([0, 0, 0.0002]))
        for _ in range(soak.random.randrange(4)):
            place = soak.random.randrange(WORKERS)
            workers[place].kill(block=soak.random.random() < 0.2)
            kills += 1
            if workers[place].exception is not None:
                failed.append(workers[place].exception)
            workers[place] = gevent.spawn(soak.work)
    soak.over = True
    for each in pokers:
        each.join()
    assert soak.poked >= threads
    gevent.killall(workers)
    failed += [each.exception for each in workers if each.exception is not None]
    assert failed == []
    assert soak.done > (1000 if not threads else 100)
    # All that was taken is back, and can be taken again.
    assert (soak.semaphore.counter, soak.inside) == (7, 0)
    assert soak.rlock.acquire(blocking=False)
    soak.rlock.release()
    assert sorted(soak.tokens.get_nowait() for _ in range(TOKENS)) == list(range(TOKENS))
    assert soak.tokens.empty()
    assert soak.channel.balance == 0
    # What came out of the narrow queue went in, once; what went in for certain came out or is still there.
    left = [soak.narrow.get_nowait() for _ in range(soak.narrow.qsize())]
    assert len(set(soak.received + left)) == len(soak.received + left)
    assert {number for number, certain in enumerate(soak.offered) if certain} <= set(soak.received + left)
    assert gevent.get_hub().loop.activecnt == 0


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_network():
    """The short form of scripts/soak_network.py: connections of clients that are killed and timed out, for seconds instead of hours."""
    script = Path(__file__).parent / "scripts" / "soak_network.py"
    assert run_script(script, SECONDS, timeout=50).check().stdout.endswith("\nok\n")
