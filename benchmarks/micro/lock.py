"""Semaphores and the reentrant lock."""

import gevent
from declare import rate
from gevent.lock import BoundedSemaphore, RLock, Semaphore


def contended(lock, loops, clock):
    """Ten greenlets, each *loops* times: take *lock*, yield, give it back. Returns how often it was held alone."""
    inside = 0
    alone = []

    def user():
        nonlocal inside
        done = 0
        for _ in range(loops):
            with lock:
                inside += 1
                gevent.sleep(0)
                done += inside == 1
                inside -= 1
        alone.append(done)

    greenlets = [gevent.spawn(user) for _ in range(10)]
    with clock:
        gevent.joinall(greenlets)
    return sum(alone)


@rate(unit="acquires")
def semaphore_free(loops, clock):
    """acquire() and release() a Semaphore nobody else wants."""
    semaphore = Semaphore()
    done = 0
    with clock:
        for _ in range(loops):
            done += semaphore.acquire()
            semaphore.release()
    return done


@rate(unit="round trips", goal=2)
def semaphore_ping_pong(loops, clock):
    """Two greenlets wake each other through two Semaphores: every acquire() blocks."""
    ping, pong = Semaphore(0), Semaphore(0)
    rounds = []

    def partner():
        done = 0
        for _ in range(loops):
            done += ping.acquire()
            pong.release()
        rounds.append(done)

    greenlet = gevent.spawn(partner)
    with clock:
        for _ in range(loops):
            ping.release()
            pong.acquire()
    greenlet.join()
    return sum(rounds)


@rate(unit="acquires", ops=10, goal=2)
def semaphore_contended(loops, clock):
    """Ten greenlets want one Semaphore, each yields while it holds it."""
    return contended(Semaphore(), loops, clock)


@rate(unit="acquires")
def bounded_semaphore_free(loops, clock):
    """``with`` a BoundedSemaphore nobody else wants."""
    semaphore = BoundedSemaphore()
    done = 0
    with clock:
        for _ in range(loops):
            with semaphore:
                done += 1
    return done


@rate(unit="acquires")
def rlock_free(loops, clock):
    """acquire() and release() an RLock nobody else wants, twice over."""
    lock = RLock()
    done = 0
    with clock:
        for _ in range(loops):
            with lock, lock:
                done += 1
    return done


@rate(unit="acquires", ops=10)
def rlock_contended(loops, clock):
    """Ten greenlets want one RLock, each yields while it holds it."""
    return contended(RLock(), loops, clock)
