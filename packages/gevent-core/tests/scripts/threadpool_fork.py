"""A pool in a forked child, after use in the parent. argument: who tells gevent of the fork.

reinit: gevent.reinit(); loop: the loop's reinit() alone; plain: nobody; multiprocessing: nobody, in a multiprocessing.Process.
"""

import os
import sys
import threading

import gevent
from gevent.threadpool import ThreadPool
from gevent_testkit import collect_garbage
from gevent_testkit.children import status_of_child

how = sys.argv[1]
hub = gevent.get_hub()
own = ThreadPool(3)
pools = [hub.threadpool, own]
for pool in pools:
    barrier = threading.Barrier(3, timeout=20)
    pool.map(lambda _, barrier=barrier: barrier.wait(), range(3))
    assert pool.size == 3, pool
dropped = [ThreadPool(1)]
dropped[0].size = 1


def child():
    queue = dropped[0].task_queue
    dropped.clear()
    collect_garbage()
    assert queue.size == 1, "a thread that is in the parent was told to end, by a lock that may be in use there"
    if how == "reinit":
        gevent.reinit()
    elif how == "loop":
        hub.loop.reinit()
        gevent.sleep(0.0001)
        assert own.pid == os.getpid(), "the fork watcher has not told the pool"
    else:
        own.maxsize = 2
        own.maxsize = 3
    for pool in pools:
        assert pool.apply(os.getpid) == os.getpid()
        assert pool.size == 1, pool
        barrier = threading.Barrier(3, timeout=20)
        assert sorted(pool.map(lambda _, barrier=barrier: barrier.wait(), range(3))) == [0, 1, 2]
        assert (pool.size, pool.pid, len(pool)) == (3, os.getpid(), 0)
    own.kill()
    assert own.size == 0


# As if a worker held the lock of its queue just then.
for pool in pools:
    pool.task_queue.lock.acquire()

status = status_of_child(child, by_multiprocessing=how == "multiprocessing")
assert status == 0, status
for pool in pools:
    pool.task_queue.lock.release()
    assert (pool.apply(os.getpid), pool.size) == (os.getpid(), 3)
own.kill()
print("parent ok")
