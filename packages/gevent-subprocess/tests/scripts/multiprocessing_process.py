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
processes = [context.Process(target=work, args=(number,)) for number in range(8)]
for each in processes:
    each.start()
children = [subprocess.Popen(["sh", "-c", f"exit {number}"]) for number in range(8)]
for each in processes:
    each.join()
assert [each.exitcode for each in processes] == list(range(8))
assert [each.wait() for each in children] == list(range(8))

# join() keeps nobody waiting: here it ends when another greenlet has run.
read, write = os.pipe()
slow = context.Process(target=os.read, args=(read, 1))
slow.start()
other = gevent.spawn(os.write, write, b"x")
slow.join()
assert slow.exitcode == 0
assert other.ready()
killed = context.Process(target=gevent.sleep, args=(1000,))
killed.start()
killed.terminate()
killed.join()
assert killed.exitcode == -15
for each in [*processes, slow, killed]:
    each.close()
try:
    raise AssertionError(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    pass
