"""os.fork() inside a callback of a running loop, as greenlets do it: the same run() goes on in both. arguments: default or other."""

import os
import signal
import socket
import sys
import threading
import traceback

from core_support import Recorder, arguments, check_child, core, make_loop, run

recorder = Recorder()
loop = make_loop(arguments[0], recorder)
left, right = sockets = list(socket.socketpair())
order = []
pids = []
io = loop.io(left.fileno(), core.READ)
io.start(lambda: (order.append(left.recv(9)), io.stop()))
fork = loop.fork(ref=False)
fork.start(order.append, "fork")


def fork_here():
    pid = os.fork()
    pids.append(pid)
    if pid:
        order.append("parent")
        check_child(pid)
        right.send(b"parent")
    else:
        order.append("child")
        loop.reinit()
        # The sockets are shared with the parent, so this child has its own way to find out that it is awake.
        io.stop()
        a, b = socket.socketpair()
        sockets.extend((a, b))
        mine = loop.io(a.fileno(), core.READ)
        mine.start(lambda: (order.append(a.recv(9)), mine.stop(), keep.stop()))
        # Python's signal handlers run while this loop waits, although run() was called in the parent. The signals reach a thread
        # that cannot run handlers, so something has to wake the loop; the first may come before it waits, the later ones do not.
        handled = threading.Event()
        signal.signal(signal.SIGUSR1, lambda *args: handled.set())

        def volley():
            for _ in range(10):
                handled.clear()
                signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
                if not handled.wait(10):
                    return
            b.send(b"child")

        keep = loop.timer(15)
        keep.start(order.append, "too late")
        loop.run_callback(threading.Thread(target=volley).start)


timer = loop.timer(0.001)
timer.start(fork_here)
status = 1
try:
    run(loop)
    expected = ["parent", b"parent"] if pids[0] else ["child", "fork", b"child"]
    assert order == expected, order
    assert recorder.reports == []
    for each in sockets:
        each.close()
    status = 0
except BaseException:
    traceback.print_exc()
if not pids or not pids[0]:
    sys.stderr.flush()
    os._exit(status)
loop.destroy()
if not status:
    print("ok")
sys.exit(status)
