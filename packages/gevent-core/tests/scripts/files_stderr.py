"""Errors are reported through a FileObjectThread that stands in for sys.stderr."""

import sys

import gevent
from gevent.fileobject import FileObjectThread


def fail(text):
    raise ValueError(text)


sys.stderr = FileObjectThread(sys.stderr, close=False)
gevent.joinall([gevent.spawn(fail, "first"), gevent.spawn(fail, "second")])
gevent.wait()  # they are printed by greenlets of their own, through a native thread
sys.stderr = sys.__stderr__
print("done")
