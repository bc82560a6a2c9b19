"""What nobody should do, each in a loop of its own: errors are fine, crashes and hangs are not. The argument says what."""

import gc
import os
import resource
import signal
import threading

from core_support import Recorder, arguments, core, make_loop, run

KINDS = ["io", "timer", "signal", "child", "stat", "async_", "idle", "prepare", "check", "fork"]
how = arguments[0]


def poke(watcher):
    """Use everything that a watcher has, whatever comes of it."""
    for name in dir(watcher):
        if name.startswith("_") and name not in ("__repr__", "__enter__"):
            continue
        try:
            value = getattr(watcher, name)
            for call in ((), (print,), (1, print)) if callable(value) else ():
                try:
                    value(*call)
                except Exception:
                    pass
            if not name.startswith("_"):
                setattr(watcher, name, 1)
        except Exception:
            pass
    repr(watcher)


if how == "unmade":
    # Watchers and loops whose __init__ never ran, as a subclass that forgets super() makes them.
    for kind in KINDS:
        cls = getattr(core, kind)
        poke(cls.__new__(cls))

        class Forgetful(cls):
            def __init__(self):
                pass

        poke(Forgetful())
    poke(core.loop.__new__(core.loop))
    for cls in (core.watcher,):
        try:
            poke(cls())
        except TypeError:
            pass
elif how == "made again":
    loop = make_loop("other")
    watchers = [
        loop.timer(10),
        loop.async_(),
        loop.idle(),
        loop.prepare(),
        loop.check(),
        loop.fork(),
        loop.stat("/"),
        loop.io(0, 1),
    ]
    for watcher in watchers:
        watcher.start(int)
    fed = loop.timer(1)
    fed.feed(core.CUSTOM, int)
    for watcher in [*watchers, fed]:
        try:
            type(watcher).__init__(watcher, make_loop("other"), *([0, 1] if isinstance(watcher, core.io) else []))
        except Exception:
            pass
    try:
        loop.__init__(None, False)
    except Exception:
        pass
    for watcher in watchers:
        try:
            watcher.stop()
        except ValueError:
            pass
    del watcher, watchers, fed
    gc.collect()
    loop.run(nowait=True)
    loop.destroy()
elif how == "finalizers":
    # What destroy() lets go of may use the loop while it is being taken apart.
    class Argument:
        def __init__(self, loop, action):
            self.loop, self.action = loop, action

        def __del__(self):
            done.append(self.action)
            try:
                if self.action == "destroy":
                    self.loop.destroy()
                elif self.action == "start":
                    timer = self.loop.timer(10)
                    timer.start(int, Argument(self.loop, "none"))
                elif self.action == "callback":
                    self.loop.run_callback(int, Argument(self.loop, "none"))
                elif self.action == "posted":
                    self.loop.run_callback_threadsafe(int, Argument(self.loop, "none"))
                elif self.action == "stop all":
                    for watcher in kept:
                        watcher.stop()
                elif self.action == "run":
                    self.loop.run(nowait=True)
                elif self.action == "collect":
                    gc.collect()
            except ValueError:
                pass

    for action in ("destroy", "start", "callback", "posted", "stop all", "run", "collect"):
        for via in ("started", "fed", "callback", "posted"):
            done = []
            loop = make_loop("other")
            kept = [loop.timer(10) for _ in range(3)]
            for watcher in kept:
                watcher.start(int, Argument(loop, "none"))
            if via == "started":
                watcher = loop.timer(10)
                watcher.start(int, Argument(loop, action))
            elif via == "fed":
                watcher = loop.timer(10)
                watcher.feed(core.CUSTOM, int, Argument(loop, action))
            elif via == "callback":
                loop.run_callback(int, Argument(loop, action))
            else:
                loop.run_callback_threadsafe(int, Argument(loop, action))
            for watcher in [loop.timer(10) for _ in range(3)]:
                watcher.start(int, Argument(loop, "none"))
            del watcher
            loop.destroy()
            assert "destroyed" in repr(loop)
            kept = []  # the finalizers may come as late as now
            gc.collect()
            assert action in done, (action, via, done)
            # No kind of use in a finalizer may bring the loop back to life.
            try:
                loop.run(nowait=True)
            except ValueError:
                pass
            else:
                raise AssertionError("a destroyed loop ran")
elif how == "no descriptors":
    # Making a loop needs a few. Without them it fails, now, with an error; libev by itself would try again for ever.
    signal.alarm(5)  # what tries again for ever also prints for ever
    make_loop("other").destroy()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    taken = []
    try:
        while True:
            taken.append(os.dup(2))
    except OSError:
        pass
    for spare in range(6):
        if spare:
            os.close(taken.pop())
        before = len(os.listdir("/dev/fd")) if spare > 1 else None
        try:
            loop = make_loop("other")
        except (OSError, SystemError):
            pass
        else:
            # One was made, so it has to work, threads included.
            loop.run_callback_threadsafe(int)
            timer = loop.timer(0)
            timer.start(int)
            run(loop)
            loop.destroy()
        assert before is None or len(os.listdir("/dev/fd")) == before
    signal.alarm(0)
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    loop = make_loop("other")
    timer = loop.timer(0)
    timer.start(int)
    run(loop)
    loop.destroy()
elif how == "two threads":
    # One loop, run() by a second thread while the first is in it: refused.
    recorder = Recorder()
    loop = make_loop("other", recorder)
    entered, leave = threading.Event(), threading.Event()
    outcome = []

    def second():
        entered.wait()
        try:
            loop.run(nowait=True)
        except Exception as error:
            outcome.append(type(error).__name__)
        else:
            outcome.append("ran")
        loop.run_callback_threadsafe(keep.stop)

    thread = threading.Thread(target=second)
    thread.start()
    keep = loop.timer(15)
    keep.start(int)
    loop.run_callback(entered.set)
    run(loop)
    thread.join()
    assert outcome != ["ran"], outcome
    assert recorder.reports == []
    loop.destroy()
else:
    raise SystemExit(f"no such misuse: {how!r}")
print("ok")
