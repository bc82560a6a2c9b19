"""abandon() in a forked child: a new loop has the signals, and what waits on the old one never runs. arguments: default or other loop."""

import os
import signal

from core_support import Recorder, arguments, check_child, core, make_loop, run
from gevent_testkit.children import exit_child

which = arguments[0]
loop = make_loop(which, Recorder())
order = []
waiting = loop.timer(0.001)
waiting.start(order.append, "the parent's")
watched = loop.signal(signal.SIGUSR1, ref=False)
watched.start(order.append, "the parent's signal")


def in_child():
    loop.reinit()
    loop.run_callback(order.append, "the parent's callback")
    loop.abandon()
    assert not loop.default
    new = core.loop(default=which == "default")
    assert new.default == (which == "default")
    timer = new.timer(0.01)
    timer.start(order.append, "timer")
    usr = new.signal(signal.SIGUSR1, ref=False)
    usr.start(order.append, "signal")
    new.run_callback(os.kill, os.getpid(), signal.SIGUSR1)
    run(new)
    assert sorted(order) == ["signal", "timer"], order
    usr.stop()
    loop.abandon()  # again: nothing happens
    assert new.default == (which == "default")
    new.destroy()


pid = os.fork()
if not pid:
    exit_child(in_child)
check_child(pid)
run(loop)
assert order == ["the parent's"], order
assert loop.default == (which == "default")
loop.run_callback(os.kill, os.getpid(), signal.SIGUSR1)
while len(order) < 2:
    waiting.start(int)
    loop.run(once=True)
assert order[1] == "the parent's signal", order
watched.stop()
loop.destroy()
print("ok")
