"""loop.destroy() inside everything that a loop can call. Prints each kind when it is done."""

import gc
import os
import signal
import socket
import subprocess
import tempfile

from core_support import Recorder, core, make_loop
from gevent_testkit.children import has_pidfd

KINDS = ["io", "timer", "signal", "child", "stat", "async_", "idle", "prepare", "check", "fork"]


def check_destroyed(loop):
    for operation in (loop.run, lambda: loop.run_callback(print), lambda: loop.timer(0).start(print)):
        try:
            operation()
        except ValueError as error:
            assert "destroyed" in str(error), error
        else:
            raise AssertionError("a destroyed loop did that")
    assert "destroyed" in repr(loop)


def crowd(loop, left, path):
    """One started watcher of each kind, one fed, one stopped; none may be called, all must be let go."""
    made = []
    for make in (
        lambda: loop.io(left.fileno(), core.READ),
        lambda: loop.timer(0.001, 0.001),
        lambda: loop.signal(signal.SIGUSR2),
        lambda: loop.stat(path),
        loop.async_,
        loop.idle,
        loop.prepare,
        loop.check,
        loop.fork,
    ):
        for priority in (-2, 2) if make != loop.idle else (-2,):  # an idle watcher keeps those below it from their turn
            started, fed, stopped = make(), make(), make()
            for watcher in (started, fed, stopped):
                watcher.priority = priority
            started.start(int)
            fed.feed(core.CUSTOM, int)
            stopped.start(int)
            stopped.stop()
            made += [started, fed, stopped]
    return made


def destroy_in(kind, crowded):
    loop = make_loop("other", recorder)
    left, right = socket.socketpair()
    with left, right, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        process = None
        if kind == "io":
            right.send(b"x")
            watcher = loop.io(left.fileno(), core.READ)
        elif kind == "timer":
            watcher = loop.timer(0.001, 0.001)
        elif kind == "signal":
            watcher = loop.signal(signal.SIGUSR1)
        elif kind == "child":
            process = subprocess.Popen(["/bin/sh", "-c", "exit 0"])
            watcher = loop.child(process.pid)
        elif kind == "stat":
            watcher = loop.stat(path)
        else:
            watcher = getattr(loop, kind)()
        seen = []

        def destroy():
            seen.append(kind)
            loop.run_callback(seen.append, "a callback of a destroyed loop")
            loop.destroy()
            gc.collect()

        watcher.start(destroy)
        others = crowd(loop, left, path) if crowded else []
        if kind == "signal":
            os.kill(os.getpid(), signal.SIGUSR1)
        elif kind == "stat":
            with open(path, "w") as file:
                file.write("x")
        elif kind == "async_":
            watcher.send()
        elif kind == "fork":
            loop.reinit()
        while not seen:
            loop.run(nowait=kind in ("prepare", "check"))
        assert seen == [kind], seen
        check_destroyed(loop)
        for each in [watcher, *others]:
            assert not each.active
            assert not each.pending
        del each, others, watcher
        gc.collect()
        if process is not None:
            process.wait()


recorder = Recorder()
anywhere = has_pidfd()
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
for kind in KINDS:
    if kind != "child" or anywhere:
        destroy_in(kind, False)
        destroy_in(kind, True)
    print(kind)

for name in ("run_callback", "run_callback_threadsafe"):
    loop = make_loop("other", recorder)
    timer = loop.timer(10)
    timer.start(print, "never")
    order = []
    getattr(loop, name)(lambda order=order, loop=loop: (order.append("destroy"), loop.destroy()))
    getattr(loop, name)(order.append, "a callback of a destroyed loop")
    loop.run()
    assert order == ["destroy"], order
    check_destroyed(loop)
    print(name)

# Inside an inner run(): both end.
loop = make_loop("other", recorder)
order = []
inner, outer, never = loop.timer(0.001), loop.timer(0), loop.timer(10)
never.start(print, "never")


def run_again():
    inner.start(loop.destroy)
    try:
        loop.run()
    except ValueError:
        pass
    order.append("outer")


outer.start(run_again)
loop.run()
assert order == ["outer"], order
check_destroyed(loop)
print("nested")

# Inside the error handler.
loop = make_loop("other")


class Destroying(Recorder):
    def handle_error(self, context, type, value, tb):
        super().handle_error(context, type, value, tb)
        loop.destroy()


loop.error_handler = handler = Destroying()
left, right = socket.socketpair()
right.send(b"x")
io = loop.io(left.fileno(), core.READ)
io.start(lambda: 1 / 0)
loop.run()
assert [type(error) for context, error in handler.reports] == [ZeroDivisionError]
check_destroyed(loop)
left.close()
right.close()
print("handler")

assert recorder.reports == [], recorder.reports
print("ok")
