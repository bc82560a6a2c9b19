"""fork_with(): at-fork hooks find a gevent that works; a plain fork is left alone."""

import os
import sys

import gevent
from gevent.hub import fork_with, get_hub

order = []


class Part:
    def _on_fork(self):
        order.append("part")

    def close(self):
        pass

    kill = close


get_hub().resolver = Part()
get_hub().threadpool = Part()
waiting = gevent.spawn(order.append, "greenlet")


def hook():
    order.append("hook")
    gevent.sleep(0.001)


os.register_at_fork(after_in_child=hook)
pid = fork_with(os.fork)
if not pid:
    sys.stderr.flush()
    os._exit(0 if order == ["part", "part", "hook", "greenlet"] else 1)
assert os.waitpid(pid, 0) == (pid, 0)
assert order == []

try:
    fork_with(lambda: 1 / 0)
except ZeroDivisionError:
    pass
pid = os.fork()
if not pid:
    os._exit(0 if order[0] == "hook" else 1)
assert os.waitpid(pid, 0) == (pid, 0)
waiting.join()
del get_hub().resolver, get_hub().threadpool
print("ok")
