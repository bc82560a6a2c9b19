"""os.fork() beside a loop, reinit() in the child: both go on, neither disturbs the other. arguments: default or other loop."""

import os
import signal
import socket
import threading

from core_support import Recorder, arguments, check_child, core, make_loop, run
from gevent_testkit.children import exit_child

which = arguments[0]
recorder = Recorder()
loop = make_loop(which, recorder)
left, right = socket.socketpair()
child_left, child_right = socket.socketpair()
order = []
pulse = loop.timer(0.001)
pulse.start(order.append, "before")
parents = loop.io(left.fileno(), core.READ)
parents.start(lambda: (order.append(("parent", left.recv(9))), parents.stop()))
childs = loop.io(child_left.fileno(), core.READ)
childs.start(lambda: (order.append(("child", child_left.recv(9))), childs.stop()))
fork = loop.fork(ref=False)
fork.start(order.append, "fork")
usr = loop.signal(signal.SIGUSR1, ref=False)
usr.start(order.append, "signal")
wake = loop.async_(ref=False)
wake.start(order.append, "async")
while not order:  # everything is registered with the kernel
    loop.run(once=True)
assert order == ["before"]
del order[:]


def in_child():
    loop.reinit()
    # With the parent's epoll descriptor this would take the parent's descriptor out of it.
    parents.stop()
    child_right.send(b"hello")
    run(loop)
    assert order == ["fork", ("child", b"hello")], order
    del order[:]

    # Every way to wake it works with the child's own descriptors.
    keep = loop.timer(15)
    keep.start(order.append, "too late")
    starter = loop.timer(0.001)
    thread = threading.Thread(target=lambda: loop.run_callback_threadsafe(lambda: (order.append("threadsafe"), keep.stop())))
    starter.start(thread.start)
    run(loop)
    thread.join()
    assert order == ["threadsafe"], order
    del order[:]
    for name, cause in (("async", wake.send), ("signal", lambda: os.kill(os.getpid(), signal.SIGUSR1))):
        keep = loop.timer(15)
        watcher = {"async": wake, "signal": usr}[name]
        watcher.callback = lambda name=name, keep=keep: (order.append(name), keep.stop())
        watcher.args = ()
        keep.start(order.append, "too late")
        starter.start(cause)
        run(loop)
    assert order == ["async", "signal"], order
    del order[:]

    # A grandchild.
    pid = os.fork()
    if not pid:
        exit_child(in_grandchild)
    check_child(pid)
    run(loop)
    assert order == []
    loop.destroy()
    other = core.loop(default=False)
    timer = other.timer(0)
    timer.start(order.append, "another loop")
    run(other)
    assert order == ["another loop"]
    assert recorder.reports == []


def in_grandchild():
    loop.reinit()
    timer = loop.timer(0.001)
    timer.start(order.append, "timer")
    run(loop)
    assert order == ["fork", "timer"], order


pid = os.fork()
if not pid:
    exit_child(in_child)
check_child(pid)
childs.stop()
right.send(b"hello")
run(loop)
assert order == [("parent", b"hello")], order
loop.destroy()

# Without a loop that matters: reinit() of a destroyed loop is no crash, and a child may simply make a new one.
pid = os.fork()
if not pid:

    def fresh():
        try:
            loop.reinit()
        except ValueError:
            pass
        new = make_loop(which)
        new.run_callback(order.append, "new")
        run(new)
        assert order[-1] == "new"
        new.destroy()

    exit_child(fresh)
check_child(pid)
assert recorder.reports == []
for each in (left, right, child_left, child_right):
    each.close()
print("ok")
