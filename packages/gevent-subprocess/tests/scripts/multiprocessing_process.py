"""multiprocessing.Process with our fork and waitpid in place, beside Popen and somebody who waits for any child."""

import multiprocessing
import os
import sys

import gevent
from patched import patch

patch()
import subprocess  # noqa: E402


def work(number):
    gevent.sleep(0.001)
    sys.exit(number)


context = multiprocessing.get_context("fork")
turns = []


def count():
    while True:
        turns.append(1)
        gevent.sleep(0.001)


counter = gevent.spawn(count)
processes = [context.Process(target=work, args=(number,)) for number in range(8)]
for each in processes:
    each.start()
children = [subprocess.Popen(["sh", "-c", f"exit {number}"]) for number in range(8)]
for each in processes:
    each.join()
assert [each.exitcode for each in processes] == list(range(8))
assert [each.wait() for each in children] == list(range(8))
slow = context.Process(target=gevent.sleep, args=(0.05,))
slow.start()
del turns[:]
slow.join()
assert slow.exitcode == 0
assert len(turns) > 3, "join() keeps others waiting"
killed = context.Process(target=gevent.sleep, args=(1000,))
killed.start()
killed.terminate()
killed.join()
assert killed.exitcode == -15
for each in [*processes, slow, killed]:
    each.close()
counter.kill()
try:
    raise AssertionError(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    pass
