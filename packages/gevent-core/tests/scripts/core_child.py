"""Child watchers. arguments: default or other loop; GEVENT_CHILD_WATCHER says how children are watched."""

import gc
import os
import signal

from core_support import Recorder, arguments, core, make_loop, run
from gevent import _reaper
from gevent_testkit.children import start_shell, wait_for_end

which = arguments[0]
method = os.environ["GEVENT_CHILD_WATCHER"]
recorder = Recorder()
loop = make_loop(which, recorder)


def spawn(script):
    return start_shell(script)


def gone(pid):
    """Whether there is nothing left of the child, not even a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def watch(pid, seen, **options):
    child = loop.child(pid, **options)
    assert child.pid == pid
    child.start(lambda: (seen.append((child.rpid, child.rstatus)), child.stop()))
    return child


def run_for(seconds):
    timer = loop.timer(seconds)
    timer.start(int)
    run(loop)


if method == "sigchld" and which == "other":
    for make in (loop.child, lambda pid: core.child(loop, pid)):
        try:
            make(1)
        except TypeError as error:
            assert "default" in str(error), error
        else:
            raise AssertionError("a child watcher on a loop that cannot have one")
    loop.destroy()
    print("ok")
    raise SystemExit

# Explicit, allowed at any time and more than once, and of no consequence to children that nobody watches.
if which == "default":
    assert loop.install_sigchld() is None
    assert loop.install_sigchld() is None
pid = spawn("exit 9")
run_for(0.05)
assert os.waitpid(pid, 0) == (pid, 9 << 8)

# How a child ended, as os.waitpid tells it.
for script, expected in (("exit 0", 0), ("exit 3", 3 << 8), ("kill -TERM $$", signal.SIGTERM), ("kill -KILL $$", signal.SIGKILL)):
    seen = []
    pid = spawn(script)
    child = watch(pid, seen)
    run(loop)
    assert seen == [(pid, expected)], (script, seen)
    assert (child.rpid, child.rstatus) == (pid, expected)
    assert gone(pid)

# One that ended before it was watched.
pid = spawn("exit 4")
wait_for_end(pid)
run_for(0.001)
seen = []
watch(pid, seen)
run(loop)
assert seen == [(pid, 4 << 8)]

# Many at once, none lost, none mixed up.
seen = []
statuses = {}
for number in range(60):
    pid = spawn(f"exit {number % 50}")
    statuses[pid] = (number % 50) << 8
    watch(pid, seen)
run(loop)
assert len(seen) == 60
assert dict(seen) == statuses
assert all(gone(pid) for pid in statuses)

# Two watchers of one child are both told.
pid = spawn("exec sleep 60")
os.kill(pid, signal.SIGKILL)
seen = []
watchers = [watch(pid, seen) for _ in range(2)]
run(loop)
assert seen == [(pid, signal.SIGKILL)] * 2, seen

# A watcher that was stopped is not, and its child stays for others.
pid = spawn("exit 8")
seen = []
watch(pid, seen).stop()
run_for(0.05)
assert seen == []
assert os.waitpid(pid, 0) == (pid, 8 << 8)

# A watcher that was stopped can be started again.
read, write = os.pipe()
pid = start_shell("read x; exit 5", stdin=read)
os.close(read)
seen = []
child = watch(pid, seen)
run_for_me = loop.timer(0.001)
child.stop()
child.start(lambda: (seen.append((child.rpid, child.rstatus)), child.stop()))
run_for_me.start(os.write, write, b"x\n")
run(loop)
os.close(write)
assert seen == [(pid, 5 << 8)]

# Unwatched children are left alone while others are watched.
unwatched = spawn("exit 1")
seen = []
pid = spawn("exit 2")
watch(pid, seen)
run(loop)
run_for(0.02)
assert seen == [(pid, 2 << 8)]
assert os.waitpid(unwatched, 0) == (unwatched, 1 << 8)

# ref=False does not keep the loop running, and is told while something else does.
read, write = os.pipe()
pid = start_shell("read x; exit 7", stdin=read)
os.close(read)
seen = []
child = watch(pid, seen, ref=False)
run(loop)
assert seen == []
os.close(write)
keep = loop.timer(15)
child.callback = lambda: (seen.append(child.rstatus), child.stop(), keep.stop())
keep.start(print, "never")
run(loop)
assert seen == [7 << 8], seen

# A callback may watch the next child, and an error in one does not keep the others from being told.
seen = []


def next_child(number):
    seen.append(number)
    if number < 3:
        watcher = loop.child(spawn(f"exit {number}"))
        watcher.start(lambda: (watcher.stop(), next_child(number + 1)))


next_child(0)
run(loop)
assert seen == [0, 1, 2, 3]

seen = []
children = [loop.child(spawn("exit 1")) for _ in range(3)]


def failing(child):
    child.stop()
    seen.append(child.rstatus)
    raise ValueError(child.pid)


for child in children:
    child.start(failing, child)
run(loop)
assert seen == [1 << 8] * 3
assert sorted(error.args[0] for context, error in recorder.reports) == sorted(child.pid for child in children)
assert {id(context) for context, error in recorder.reports} == {id(child) for child in children}
del recorder.reports[:]

# A child that somebody else has waited for: nobody can know its status any more, and it does not pass for success.
pid = spawn("exit 1")
wait_for_end(pid)
seen = []
child = watch(pid, seen, ref=False)
assert os.waitpid(pid, 0) == (pid, 1 << 8)
iterations = loop.iteration
run_for(0.05)
assert loop.iteration - iterations < 1000
assert seen == [(pid, 255 << 8)], seen

# The same with somebody who asks gevent: both know.
for any_child in (False, True):
    pid = spawn("exit 6")
    wait_for_end(pid)
    seen = []
    watchers = [watch(pid, seen, ref=False) for _ in range(2)]
    assert _reaper.take(-1 if any_child else pid)[:2] == (pid, 6 << 8)
    run_for(0.05)
    assert seen == [(pid, 6 << 8)] * 2, seen

# rpid and rstatus can be written: fork-and-wait code passes a status on to whoever asks the watcher.
child = loop.child(os.getpid())
assert (child.rpid, child.rstatus) == (0, 0)
child.rpid, child.rstatus = 5, 6
assert (child.rpid, child.rstatus) == (5, 6)

# Priorities are kept, and what is fed does not hide what happens.
child = loop.child(os.getpid())
child.priority = 2
child.start(print)
assert child.priority == 2
child.stop()
assert child.priority == 2

pid = spawn("exec sleep 60")
seen = []
child = loop.child(pid, ref=False)
child.start(seen.append, "started")
loop.run(nowait=True)
assert seen == [], seen
os.kill(pid, signal.SIGKILL)
wait_for_end(pid)
keep = loop.timer(15)
keep.start(seen.append, "too late")


def ended():
    seen.append(child.rstatus)
    if child.rstatus:
        child.stop()
        keep.stop()


child.feed(core.CUSTOM, ended)
run(loop)
assert seen in ([0, signal.SIGKILL], [signal.SIGKILL]), seen
assert gone(pid)

# Fed, started, stopped and forgotten in any order: libev must not be left with an event for a watcher that is gone.
for steps in ("fsx", "sfx", "fsxf", "fxsx", "ffsxfx"):
    seen = []
    pid = spawn("exec sleep 60")
    child = loop.child(pid, ref=False)
    for step in steps:
        if step == "f":
            child.feed(core.CUSTOM, seen.append, steps)
        elif step == "s":
            child.start(seen.append, steps)
        else:
            child.stop()
    wanted = [steps] if steps.endswith("f") else []
    loop.run(nowait=True)
    assert seen == wanted, (steps, seen)
    del child
    gc.collect()
    garbage = [bytearray(400) for _ in range(100)]
    loop.run(nowait=True)
    os.kill(pid, signal.SIGKILL)
    loop.run(nowait=True)
    assert seen == wanted, (steps, seen)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass

# A handler of the program for SIGCHLD is in force again when no child is watched any more.
if which == "default":
    calls = []
    loop.reset_sigchld()
    signal.signal(signal.SIGCHLD, lambda *args: calls.append(1))
    seen = []
    pid = spawn("exit 2")
    watch(pid, seen)
    run(loop)
    assert seen == [(pid, 2 << 8)]
    # ... and it was called meanwhile, as is one that was installed while a child is watched.
    assert calls == [1], calls
    first = watch(spawn("exec sleep 60"), [], ref=False)
    signal.signal(signal.SIGCHLD, lambda *args: calls.append(2))
    seen = []
    pid = spawn("exit 3")
    watch(pid, seen)
    run(loop)
    assert seen == [(pid, 3 << 8)]
    assert calls == [1, 2], calls
    first.stop()
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    loop.reset_sigchld()
    del calls[:]
    pid = spawn("exit 3")
    assert os.waitpid(pid, 0) == (pid, 3 << 8)
    assert calls
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)

# trace=1: stops are told too. Only SIGCHLD knows of them, so on the default loop.
if which == "default":
    read, write = os.pipe()
    pid = start_shell("kill -STOP $$; exit 3")
    seen = []
    child = loop.child(pid, trace=1)

    def traced():
        seen.append(child.rstatus)
        if os.WIFSTOPPED(child.rstatus):
            os.kill(pid, signal.SIGCONT)
        elif os.WIFEXITED(child.rstatus):
            child.stop()

    child.start(traced)
    run(loop)
    assert os.WIFSTOPPED(seen[0]), seen
    assert seen[-1] == 3 << 8, seen

    # Whoever traces is told everything, by whichever watcher it was fetched; others of the end alone. pid 0 is any child.
    read, write = os.pipe()
    pid = start_shell("kill -STOP $$; read x; exit 4", stdin=read)
    os.close(read)
    seen = [[], [], [], []]
    watchers = [loop.child(pid, trace=1), loop.child(pid, trace=1), loop.child(pid), loop.child(0)]

    def told(which):
        seen[which].append((watchers[which].rpid, watchers[which].rstatus))
        if which == 0 and os.WIFSTOPPED(watchers[0].rstatus):
            os.kill(pid, signal.SIGCONT)
        if which == 0 and os.WIFCONTINUED(watchers[0].rstatus):
            os.close(write)
        if which == 3:
            watchers[3].stop()

    for which, child in enumerate(watchers):
        child.start(told, which)
    run(loop)
    everything = [(pid, signal.SIGSTOP << 8 | 0x7F), (pid, 0xFFFF), (pid, 4 << 8)]
    assert seen == [everything, everything, [(pid, 4 << 8)], [(pid, 4 << 8)]], seen

assert recorder.reports == []
loop.destroy()
print("ok")
