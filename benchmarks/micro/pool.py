"""Groups and pools of greenlets, and the pool of native threads."""

import gevent
from declare import rate
from gevent.pool import Group, Pool
from gevent.threadpool import ThreadPool


def one(_=None):
    """Return the number one."""
    return 1


@rate(unit="calls", ops=100)
def pool_map(loops, clock):
    """Pool(10).map() over 100 items."""
    pool = Pool(10)
    total = 0
    with clock:
        for _ in range(loops):
            total += sum(pool.map(one, range(100)))
    return total


@rate(unit="calls", ops=100)
def pool_imap_unordered(loops, clock):
    """Pool(10).imap_unordered() over 100 items."""
    pool = Pool(10)
    total = 0
    with clock:
        for _ in range(loops):
            total += sum(pool.imap_unordered(one, range(100)))
    return total


@rate(unit="greenlets", ops=100)
def pool_spawn_join(loops, clock):
    """Spawn 100 greenlets in a Pool(10), join() it."""
    pool = Pool(10)
    calls = []
    with clock:
        for _ in range(loops):
            for _ in range(100):
                pool.spawn(calls.append, 1)
            pool.join()
    return sum(calls)


@rate(unit="greenlets", ops=100)
def group_spawn_join(loops, clock):
    """Spawn 100 greenlets in a Group, join() it."""
    group = Group()
    calls = []
    with clock:
        for _ in range(loops):
            for _ in range(100):
                group.spawn(calls.append, 1)
            group.join()
    return sum(calls)


@rate(unit="calls", threads=True)
def threadpool_apply(loops, clock):
    """ThreadPool.apply(), one call at a time."""
    pool = ThreadPool(1)
    total = pool.apply(one) - 1
    with clock:
        for _ in range(loops):
            total += pool.apply(one)
    pool.kill()
    return total


@rate(unit="calls", ops=100, threads=True)
def threadpool_spawn_100(loops, clock):
    """ThreadPool.spawn() 100 calls, get() all their results."""
    pool = ThreadPool(2)
    total = pool.apply(one) - 1
    with clock:
        for _ in range(loops):
            results = [pool.spawn(one) for _ in range(100)]
            gevent.wait(results)
            total += sum(result.get() for result in results)
    pool.kill()
    return total
