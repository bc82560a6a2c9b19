"""SIGCHLD belongs to the program. arguments: default or other loop."""

import os
import signal
import subprocess

from core_support import arguments, make_loop, run
from gevent_testkit.children import has_pidfd, start_shell, wait_for_end

which = arguments[0]


def caught():
    """Whether the process has a C-level handler for SIGCHLD; None where the system does not tell."""
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("SigCgt:"):
                    return bool(int(line.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)
    except OSError:
        pass
    return None


def spawn(status):
    return start_shell(f"exit {status}")


def run_for(loop, seconds):
    timer = loop.timer(seconds)
    timer.start(int)
    run(loop)


# 1. Nobody handles SIGCHLD, before, during or after.
assert not caught()
loop = make_loop(which)
assert not caught()
pid = spawn(7)
run_for(loop, 0.05)
assert not caught()
assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
# ... and the child is there for whoever waits for it: libev would have taken it in the poll.
assert os.waitpid(pid, 0) == (pid, 7 << 8)
process = subprocess.Popen(["/bin/sh", "-c", "exit 3"])
run_for(loop, 0.05)
assert process.wait() == 3
loop.destroy()
assert not caught()

# 2. A handler of the program stays and runs.
calls = []
signal.signal(signal.SIGCHLD, lambda *args: calls.append(1))
handler = signal.getsignal(signal.SIGCHLD)
loop = make_loop(which)
pid = spawn(1)
# Blocks in the kernel, so that the signal comes before the end whatever the machine does; the child stays to be waited for.
wait_for_end(pid)
run_for(loop, 0.001)
assert calls
assert signal.getsignal(signal.SIGCHLD) is handler
assert caught() in (True, None)
assert os.waitpid(pid, 0) == (pid, 1 << 8)

# 3. So it does with a child watcher, where the kernel offers pidfd_open: the watcher has no business with the signal.
if has_pidfd():
    del calls[:]
    pid, other = spawn(5), spawn(6)
    seen = []
    child = loop.child(pid)
    child.start(lambda: (seen.append((child.rpid, child.rstatus)), child.stop()))
    run(loop)
    assert seen == [(pid, 5 << 8)]
    assert signal.getsignal(signal.SIGCHLD) is handler
    assert os.waitpid(other, 0) == (other, 6 << 8)
    assert calls
loop.destroy()
del calls[:]
pid = spawn(2)
assert os.waitpid(pid, 0) == (pid, 2 << 8)
assert calls
assert signal.getsignal(signal.SIGCHLD) is handler

# 4. To ignore it, so that the kernel reaps, stays the program's choice as well.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
loop = make_loop(which)
run_for(loop, 0.001)
assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
assert not caught()
loop.destroy()
print("ok")
