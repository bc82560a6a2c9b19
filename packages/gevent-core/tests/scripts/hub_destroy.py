"""Destroy the default hub. arguments: from where, and destroy_loop."""

import gc
import sys

import gevent
from gevent._switching import get_hub_if_exists
from gevent.hub import LoopExit, get_hub

where, destroy_loop = sys.argv[1], {"True": True, "False": False, "None": None}[sys.argv[2]]
hub = get_hub()
loop = hub.loop


def destroy():
    hub.destroy(destroy_loop)  # noqa: F821 - deleted at the end, after the last call
    assert hub.loop is None  # noqa: F821
    assert get_hub_if_exists() is None


if where == "main never ran":
    destroy()
elif where == "main":
    gevent.sleep(0)
    destroy()
    assert hub.dead
else:
    timer = loop.timer(0)
    if where == "greenlet":
        gevent.spawn(destroy)
    elif where == "raw":
        gevent.spawn_raw(destroy)
    elif where == "callback":
        loop.run_callback(destroy)
    elif where == "timer":
        timer.start(destroy)
    try:
        gevent.sleep(20)
    except LoopExit as error:
        assert "destroyed" in str(error), error
    else:
        raise AssertionError("the sleep has ended under a hub that is gone")
    assert hub.dead
    del timer

if destroy_loop:
    try:
        loop.run_callback(print)
    except ValueError:
        pass
    else:
        raise AssertionError("the loop still works")

second = get_hub()
assert second is not hub
assert destroy_loop or second.loop is loop
assert gevent.spawn(pow, 2, 3).get() == 8
gevent.sleep(0.001)
assert gevent.wait(timeout=5) is True
second.destroy(destroy_loop=True)
del hub, second, loop
gc.collect()
third = get_hub()
assert gevent.spawn(pow, 2, 3).get() == 8
gevent.sleep(0.001)
third.destroy()
gc.collect()
print("ok")
