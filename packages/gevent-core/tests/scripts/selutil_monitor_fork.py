"""The monitor is started again in a forked child by gevent.reinit(), and goes on in the parent."""

import os
import sys
import threading

import gevent
from gevent import events

gevent.config.max_blocking_time = 0.02
gevent.config.print_blocking_reports = False
told = threading.Event()


def hear(event):
    if isinstance(event, events.IEventLoopBlocked):
        told.set()


events.subscribers.append(hear)
monitor = gevent.get_hub().start_periodic_monitoring_thread()
pid = os.fork()
if not pid:
    told.clear()
    thread = monitor.thread_ident
    gevent.reinit()
    assert gevent.get_hub().periodic_monitoring_thread is monitor
    assert monitor._thread.is_here()
gevent.spawn(told.wait, 10).join()
if not pid:
    print("child has reported" if told.is_set() else "nothing", flush=True)
    os._exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0, status
print("parent has reported" if told.is_set() else "nothing")
sys.stdout.flush()
