"""Put our functions in place of those of the standard ``os`` and ``signal``, and our ``subprocess``, as gevent.monkey would."""

import os
import signal
import sys

import gevent.os
import gevent.signal
import gevent.subprocess


def patch():
    for theirs, ours in ((os, gevent.os), (signal, gevent.signal)):
        for name in ours.__implements__:
            setattr(theirs, name, getattr(ours, name))
    sys.modules["subprocess"] = gevent.subprocess
