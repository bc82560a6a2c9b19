"""How a process with loops ends. The argument tells in which state; each has to end quietly, with status 0."""

import os
import sys
import threading

from core_support import arguments, core, make_loop, run

how = arguments[0]
read, write = os.pipe()


def crowd(loop):
    """Started watchers of most kinds, and a queued callback."""
    made = [loop.io(read, 1), loop.timer(10), loop.async_(), loop.idle(), loop.prepare(), loop.check(), loop.fork(), loop.stat("/")]
    for watcher in made:
        watcher.start(int)
    fed = loop.timer(1)
    fed.feed(core.CUSTOM, int)
    loop.run_callback(int)
    return made


class Finalizer:
    """Uses its watchers when it is collected, which at exit is after most else is gone."""

    def __init__(self, loop, watchers):
        self.loop, self.watchers = loop, watchers

    def __del__(self):
        for watcher in self.watchers:
            watcher.stop()
        self.loop.destroy()


if how in ("started", "default"):
    crowd(make_loop("default" if how == "default" else "other"))
elif how == "global":
    sys.kept_loop = make_loop("default")
    sys.kept_watchers = crowd(sys.kept_loop)
    other = make_loop("other")
    watchers = crowd(other)
elif how == "daemon":
    # Native threads inside run() when the interpreter goes: one asleep in the kernel, one busy.
    ready = threading.Barrier(3)

    def body(busy):
        loop = make_loop("other")
        timer = loop.timer(0.0001, 0.0001) if busy else loop.timer(60)
        timer.start(int)
        loop.run_callback(ready.wait)
        loop.run()

    for busy in (False, True):
        threading.Thread(target=body, args=(busy,), daemon=True).start()
    ready.wait()
elif how == "thread":
    # A thread that ends and leaves its loop behind, never destroyed.
    def leave():
        loop = make_loop("other")
        crowd(loop)
        timer = loop.timer(0)
        timer.start(loop.break_)
        loop.run()

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
elif how == "inside":
    # sys.exit() in a callback, handed out of run() by the error handler the way a hub does it.
    class Leaving:
        def handle_error(self, context, type, value, tb):
            self.value = value
            loop.break_()

    loop = make_loop("default", Leaving())
    watchers = crowd(loop)
    loop.run_callback(sys.exit, 0)
    run(loop)
    print("ok")
    sys.stdout.flush()
    raise loop.error_handler.value
elif how == "finalizer":
    loop = make_loop("other")
    finalizer = Finalizer(loop, crowd(loop))
    sys.kept = Finalizer(make_loop("default"), [])
    sys.kept.watchers = crowd(sys.kept.loop)
else:
    raise SystemExit(f"no such state: {how!r}")
print("ok")
