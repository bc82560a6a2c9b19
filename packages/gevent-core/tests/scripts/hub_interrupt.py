"""KeyboardInterrupt reaches the main greenlet: while all wait, and while a greenlet computes."""

import os
import signal
import sys
import threading

import gevent

signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background leaves it ignored
gevent.sleep(0)
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    gevent.sleep(20)
except KeyboardInterrupt:
    print("waiting")


def compute():
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass


sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - the report of the greenlet that it hit
job = gevent.spawn(compute)
try:
    gevent.sleep(20)
except KeyboardInterrupt:
    print("computing")
assert job.dead
gevent.sleep(0)
sys.stderr.close()
sys.stderr = sys.__stderr__
print("end")
