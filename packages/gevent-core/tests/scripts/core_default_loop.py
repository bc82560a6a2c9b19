"""The default loop: one per process, whatever loop objects there are (COR-05)."""

import gc
import weakref

from core_support import Recorder, core, run


def refused(operation):
    try:
        operation()
    except ValueError as error:
        assert "destroyed" in str(error), error
    else:
        raise AssertionError("a destroyed loop did that")


recorder = Recorder()
first = core.loop(default=True)
second = core.loop(default=True)
assert core.loop().default is True  # without a word, the default one
assert first.default is True
assert first.ptr == second.ptr
assert "default" in repr(first)
other = core.loop(default=False)
assert other.default is False
assert other.ptr != first.ptr
assert "default" not in repr(other)

# What is started through one is run by the other; each tells its errors to its own handler.
order = []
first.error_handler = recorder
timer = first.timer(0.001)
timer.start(order.append, "timer")
first.run_callback(order.append, "callback")
run(second)
assert order == ["callback", "timer"], order

# A loop object that goes leaves the loop to the others.
gone = weakref.ref(second)
timer = first.timer(0.001)
timer.start(order.append, "again")
del second
gc.collect()
assert gone() is None
run(first)
assert order[2:] == ["again"]

# Destroyed through one object, it is gone for all, and the other loops are untouched.
second = core.loop(default=True)
timer = second.timer(10)
timer.start(print, "never")
first.destroy()
assert not timer.active
for loop in (first, second):
    refused(loop.run)
    refused(loop.now)
    refused(lambda loop=loop: loop.run_callback(print))
    assert "destroyed" in repr(loop)
refused(lambda: timer.start(print))
first.destroy()
second.destroy()
run(other)

# And it can be had anew.
third = core.loop(default=True)
assert third.default is True
third.run_callback(order.append, "anew")
timer = third.timer(0.001)
timer.start(order.append, "anew")
run(third)
assert order[3:] == ["anew", "anew"]
refused(first.run)
third.destroy()
refused(third.run)
other.destroy()
assert recorder.reports == []
print("ok")
