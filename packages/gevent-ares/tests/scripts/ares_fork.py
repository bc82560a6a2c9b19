"""What a fork does to look-ups: argument 1 is the name server's port, argument 2 how the child is made ready.

It prints what each of the two processes found, the child first.
"""

import os
import sys

import gevent
from gevent.resolver_ares import Resolver

port, how = sys.argv[1:]
hub = gevent.get_hub()
resolver = hub.resolver = Resolver(servers=f"127.0.0.1:{port}", timeout=2)


def look_up(name):
    return resolver.gethostbyname(name)


def report(who):
    # One was under way over the fork, the other comes after it.
    print(who, under_way.get(), look_up("many.test"), flush=True)


look_up("one.test")
under_way = gevent.spawn(look_up, "late.test")
gevent.sleep(0.02)
channel = resolver.ares
pid = os.fork()
if pid == 0:
    if how == "reinit":
        gevent.reinit()
    else:
        hub.loop.reinit()  # and its fork watchers come with the first round of the loop
    report("child")
    assert resolver.ares is not channel
    assert resolver.pid == os.getpid()
    resolver.close()
    os._exit(0)
os.waitpid(pid, 0)
report("parent")
assert resolver.ares is channel
resolver.close()
