"""fork() by hand and gevent.reinit() in the child."""

import os

import gevent
from gevent.hub import get_hub
from gevent_testkit.children import status_of_child

hub = get_hub()
order = []


class Part:
    def _on_fork(self):
        order.append("part")

    def close(self):
        pass

    kill = close


hub.resolver = Part()
hub.threadpool = Part()
watcher = hub.loop.fork(ref=False)
watcher.start(order.append, "watcher")
parked = gevent.spawn(gevent.sleep, 0.02)
waiting = gevent.spawn(gevent.sleep, 60, ref=False)
gevent.sleep(0)


def child():
    gevent.reinit()
    assert order == ["part", "part", "watcher"], order
    assert get_hub() is hub
    assert gevent.spawn(pow, 2, 3).get() == 8
    parked.get()
    assert gevent.wait(timeout=5) is True
    grandchild = os.fork()
    if not grandchild:
        gevent.reinit(hub)
        gevent.sleep(0.001)
        assert order == ["part", "part", "watcher"] * 2, order
        os._exit(5)
    assert os.waitpid(grandchild, 0) == (grandchild, 5 << 8)


assert status_of_child(child) == 0
assert order == []
parked.get()
waiting.kill()
watcher.stop()
del hub.resolver, hub.threadpool
print("ok")
