"""Tasks for celery, over the Redis at REDIS_PORT."""

import os
import time

from celery import Celery

redis = f"redis://127.0.0.1:{os.environ['REDIS_PORT']}"
application = Celery("tasks", broker=f"{redis}/0", backend=f"{redis}/1")
application.conf.broker_connection_retry_on_startup = True


running = 0


@application.task
def wait():
    """Take a second, and tell how many were at it."""
    global running
    running += 1
    time.sleep(1)
    seen, running = running, running - 1
    return seen


def check():
    """Fifty in one worker process: they wait together."""
    results = [wait.delay() for _ in range(50)]
    seen = [result.get(timeout=60) for result in results]
    assert max(seen) > 10, seen
    print("ok")
