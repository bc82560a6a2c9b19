"""Greenlets that wait while their loop is destroyed. The argument says in what, and what happens to them then."""

import gc
import socket

import greenlet
from core_support import arguments, core, run

how = arguments[0]
loop = core.loop(default=False)
hub = greenlet.greenlet(lambda: run(loop))
loop.hub = hub
left, right = socket.socketpair()
parks = []
seen = []


def waiter():
    park = loop.park("the test")
    parks.append(park)
    try:
        if how == "sleep":
            loop.sleep(50)
        elif how == "wait_fd":
            loop.wait_fd(left.fileno(), core.READ, 50)
        elif how == "park":
            park.wait()
        else:
            park.wait(50)
    except BaseException as error:
        seen.append(type(error).__name__)
        raise
    seen.append("woken")


waiters = [greenlet.greenlet(waiter, hub) for _ in range(3)]
for each in waiters:
    loop.ready(each)
timer = loop.timer(0.001)
timer.start(loop.destroy)
hub.switch()
assert "destroyed" in repr(loop)
assert not any(each.dead for each in waiters)
loop.hub = None

if how in ("park", "timeout"):
    for park in parks:
        try:
            assert park.wake() is False
        except ValueError as error:
            assert "destroyed" in str(error), error
        try:
            park.fail(KeyError("x"))
        except ValueError as error:
            assert "destroyed" in str(error), error
        repr(park)
main = greenlet.getcurrent()
for each in waiters:
    each.parent = main
if how == "collect":
    # A greenlet that waits holds itself, as far as the collector can see; where it does not, it gets GreenletExit.
    each = park = None
    del waiters[:]
    del parks[:]
    gc.collect()
    assert seen in ([], ["GreenletExit"] * 3), seen
else:
    for each in waiters:
        try:
            each.throw(KeyError("thrown"))
        except KeyError:
            pass
    assert seen == ["KeyError"] * 3, seen
left.close()
right.close()
print("ok")
