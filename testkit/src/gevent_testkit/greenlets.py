"""Functions for tests of what greenlets wait for: run something in the hub, at a certain moment, or up to where it waits."""

from time import sleep as block

import gevent
from gevent.event import Event
from gevent.hub import get_hub


def in_hub(function, *args, **kwargs):
    """What *function* returns, or the exception it raises, called in the hub."""
    results = []

    def call():
        try:
            results.append(function(*args, **kwargs))
        except BaseException as error:
            results.append(error)

    get_hub().loop.run_callback(call)
    while not results:
        gevent.sleep(0)
    return results[0]


def at_the_same_moment(seconds, function, *args):
    """Have *function* called in the hub after *seconds*, behind the time limits of that moment and before whom they wake.

    Who is to run out of time has begun to wait already. This blocks the loop until the moment has come, so that both are due
    when it next looks, however slow the machine is.
    """
    timer = get_hub().loop.timer(seconds, priority=-2)
    timer.start(function, *args)
    block(seconds + 0.002)
    return timer


def waiting(function, *args, **kwargs):
    """A greenlet that waits in *function*."""
    job = gevent.spawn(function, *args, **kwargs)
    gevent.sleep(0)
    return job


def sleepers(*times):
    """Greenlets that sleep, all of them by now, and end so many seconds after one moment, returning that: in that order on any machine."""
    begun = []

    def sleep(seconds, timer, over):
        begun.append(timer)
        try:
            over.wait()
        finally:
            timer.close()
        return seconds

    timers = [get_hub().loop.timer(seconds) for seconds in times]
    overs = [Event() for _ in times]
    jobs = [gevent.spawn(sleep, *each) for each in zip(times, timers, overs)]
    while len(begun) < len(jobs):
        gevent.sleep(0)
    for timer, over in zip(timers, overs):
        timer.start(over.set, update=False)
    return jobs


def settle():
    """Let everybody run who can: more turns of the ready queue than any chain of wake-ups in a test is long, and a round of the loop."""
    for _ in range(12):
        gevent.sleep(0)
    gevent.sleep(1e-6)
