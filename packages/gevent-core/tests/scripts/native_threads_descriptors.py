"""Native threads with hubs of their own come and go: their descriptors go with them, also where hubs wait for the collector."""

import os
import threading

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from gevent_testkit import collect_garbage

COUNT = 30
event = Event()


def count(folder):
    return len(os.listdir(f"/proc/self/{folder}"))


def wait(destroy):
    gevent.spawn(event.wait).join()
    if destroy:
        get_hub().destroy()


def some():
    """Each makes a hub, waits, is woken from here and ends, half of them without destroying the hub; returns the descriptors then."""
    event.clear()
    group = [threading.Thread(target=wait, args=(number % 2,)) for number in range(COUNT)]
    for each in group:
        each.start()
    while f"waiters={COUNT}" not in repr(event):
        gevent.sleep(0.001)
    event.set()
    for each in group:
        each.join()
    while count("task") > threads:  # just after join(), when what they had is garbage on PyPy
        gevent.sleep(0.001)
    collect_garbage()
    return count("fd")


gevent.sleep(0.001)  # a hub of our own, whether or not we have to wait below
threads = count("task")
some()  # opens what lasts
before = some()
found = [some() for _ in range(3)]
assert found == [before] * 3, (before, found)

most = before
for _ in range(300):
    thread = threading.Thread(target=gevent.sleep)
    thread.start()
    thread.join()
    most = max(most, count("fd"))
assert most < before + 150, (before, most)
print("ok")
