"""Children: starting them, and hearing of their end.

``threads`` for all: the children run on the same processor, and their time is part of what a child costs.
"""

import gevent
from declare import rate
from gevent import subprocess

TRUE = ["/bin/true"]


def ended_well(results):
    return sum(result == 0 for result in results)


@rate(unit="children", threads=True)
def popen_wait(loops, clock):
    """One child after the other."""
    with clock:
        return ended_well([subprocess.Popen(TRUE).wait() for _ in range(loops)])


@rate(unit="children", ops=25, threads=True)
def popen_25(loops, clock):
    """Batches of 25, each child with a greenlet that starts it and waits."""
    done = 0
    with clock:
        for _ in range(loops):
            jobs = [gevent.spawn(subprocess.call, TRUE) for _ in range(25)]
            gevent.joinall(jobs)
            done += ended_well([job.value for job in jobs])
    return done


@rate(unit="children", threads=True)
def popen_output(loops, clock):
    """What one child after the other prints."""
    with clock:
        return sum(subprocess.check_output(["/bin/echo", "hello"]) == b"hello\n" for _ in range(loops))


@rate(unit="children", threads=True)
def popen_pipes(loops, clock):
    """A child with three pipes, and a little data to and fro."""
    with clock:
        return sum(subprocess.run(["/bin/cat"], input=b"hello", capture_output=True).stdout == b"hello" for _ in range(loops))
