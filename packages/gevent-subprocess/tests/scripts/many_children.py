"""Many short children: statuses all right, no zombie, no descriptor left. arguments: how many from greenlets, and from threads."""

import contextlib
import gc
import os
import sys
import threading

import gevent
from gevent import subprocess

from_greenlets, from_threads = map(int, sys.argv[1:])


def run(number):
    """Every third with pipes; whether all is as it should be."""
    status = number % 200
    if number % 3:
        return subprocess.call(["sh", "-c", f"exit {status}"]) == status
    done = subprocess.run(["sh", "-c", f"cat; exit {status}"], input=b"x" * 100, capture_output=True)
    return (done.returncode, done.stdout, done.stderr) == (status, b"x" * 100, b"")


def descriptors():
    """What the open descriptors are of, whatever their numbers: libev makes its epoll anew if a forked child has it report nonsense."""
    gc.collect()  # PyPy's selectors are closed by it
    found = []
    for number in os.listdir("/dev/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that the folder was read by
            found.append(os.readlink(f"/dev/fd/{number}"))
    return sorted(found)


assert run(0)
before = descriptors()
for start in range(0, from_greenlets, 100):
    jobs = [gevent.spawn(run, number) for number in range(start, start + 100)]
    gevent.joinall(jobs, raise_error=True)
    assert all(job.value for job in jobs)
    assert descriptors() == before

good = []


def work(numbers):
    jobs = [gevent.spawn(run, number) for number in numbers]
    gevent.joinall(jobs, raise_error=True)
    good.extend(job.value for job in jobs)


# The main thread's hub runs meanwhile, with children of its own.
threads = [threading.Thread(target=work, args=(range(start, from_threads, 8),)) for start in range(8)]
for each in threads:
    each.start()
while any(each.is_alive() for each in threads):
    assert run(len(good))
for each in threads:
    each.join()
assert good == [True] * from_threads
assert descriptors() == before
with contextlib.suppress(ChildProcessError):
    raise AssertionError(os.waitpid(-1, os.WNOHANG))
