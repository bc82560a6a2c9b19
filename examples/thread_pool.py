"""Work that blocks, in native threads, while greenlets go on: here, hashes of files.

    python examples/thread_pool.py FILE...

hashlib lets go of the interpreter while it computes, so several processors are put to use; whatever blocks without help
from gevent (a library in C, a slow disk) belongs into a thread as well, or no greenlet runs in the meantime.
"""

import hashlib
import sys

import gevent
from gevent.threadpool import ThreadPool


def digest(path):
    """Runs in a thread."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            found.update(data)
    return found.hexdigest()


def tick(counted):
    """Runs in a greenlet, to show that those are not held up."""
    while True:
        gevent.sleep(0.001)
        counted.append(1)


def main(paths):
    pool = ThreadPool(4)
    counted = []
    ticker = gevent.spawn(tick, counted)
    status = 0
    # In the order of the paths, each as soon as it and those before it are there.
    for path, job in [(path, pool.spawn(digest, path)) for path in paths]:
        try:
            print(f"{job.get()}  {path}")
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)
            status = 1
    ticker.kill()
    pool.kill()
    print(f"{len(counted)} times a greenlet ran meanwhile", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
