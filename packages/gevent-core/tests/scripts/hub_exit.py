"""sys.exit() elsewhere than in the main greenlet. arguments: where, and the status."""

import os
import signal
import sys

import gevent

how, code = sys.argv[1], int(sys.argv[2])
loop = gevent.get_hub().loop
if how == "spawn":
    gevent.spawn(sys.exit, code)
elif how == "spawn_raw":
    gevent.spawn_raw(sys.exit, code)
elif how == "callback":
    loop.run_callback(sys.exit, code)
elif how == "timer":
    timer = loop.timer(0)
    timer.start(sys.exit, code)
elif how == "link":
    gevent.spawn(int).link(lambda source: sys.exit(code))
elif how == "signal":
    gevent.signal(signal.SIGUSR2, sys.exit, code)
    os.kill(os.getpid(), signal.SIGUSR2)
else:
    raise ValueError(how)

try:
    gevent.sleep(20)
    print("not reached")
finally:
    print("finally")
