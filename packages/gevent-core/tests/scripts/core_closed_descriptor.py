"""An io watcher of a descriptor that is not open (COR-03): an error or an event, never an abort, never an endless wait.

A script because libev, where it was built with assertions, ends the process. arguments: the backend of libev to try.
"""

import fcntl
import os

from core_support import arguments, core, run

loop = core.loop(arguments[0], default=False)
number = fcntl.fcntl(0, fcntl.F_DUPFD, 500)  # so high that nothing else gets it meanwhile
os.close(number)
seen = []
try:
    io = loop.io(number, core.READ)
    io.start(lambda events: (seen.append(events), io.stop()), pass_events=True)
except OSError:
    seen.append("refused")
run(loop)
assert len(seen) == 1, seen

# The number is then good for the file that gets it next.
low, write = os.pipe()
read = fcntl.fcntl(low, fcntl.F_DUPFD, 500)
os.close(low)
assert read == number
seen = []
io = loop.io(read, core.READ)
io.start(lambda: (seen.append(os.read(read, 1)), io.stop()))
os.write(write, b"x")
run(loop)
assert seen == [b"x"]

# Closed while it is watched and known to the kernel: nothing is to be had of it any more, but the loop goes on, the watcher can
# be stopped, and another one started for the same number. (poll and select are told all numbers anew in each round, and libev
# with assertions ends the process: there closing a watched descriptor is an error of the program.)
if arguments[0] == "epoll":
    io.start(seen.append, "closed")
    loop.run(nowait=True)
    os.close(read)
    timer = loop.timer(0.01)
    timer.start(io.stop)
    run(loop)
    again = fcntl.fcntl(write, fcntl.F_DUPFD, 500)
    os.close(write)
    assert again == number
    seen = []
    io = loop.io(again, core.WRITE)
    io.start(lambda: (seen.append("writable"), io.stop()))
    run(loop)
    assert seen == ["writable"]
loop.destroy()
print("ok")
