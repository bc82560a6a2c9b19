"""APScheduler's gevent scheduler, and huey's consumer with greenlets for workers."""

from gevent import monkey

monkey.patch_all()

from apscheduler.schedulers.gevent import GeventScheduler
from gevent.queue import Queue
from huey import MemoryHuey

rings = Queue()
scheduler = GeventScheduler()
scheduler.add_job(rings.put, "interval", ["ring"], seconds=0.05)
scheduler.start()
assert [rings.get(timeout=20) for _ in range(3)] == ["ring"] * 3
scheduler.shutdown()

huey = MemoryHuey(immediate=False)


@huey.task()
def add(one, other):
    return one + other


consumer = huey.create_consumer(workers=4, worker_type="greenlet", periodic=False)
consumer.start()
results = [add(number, 1) for number in range(20)]
assert [result.get(blocking=True, timeout=20) for result in results] == list(range(1, 21))
consumer.stop(graceful=True)
print("ok")
