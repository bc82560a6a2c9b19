"""Queues that are asked without waiting, and pools of threads that never have to.

Native threads are preempted: one may ask a queue again and again until it has something, and another gets to put it there. A greenlet
would do so for ever. So who finds a queue empty or full, and did not want to wait, lets others run. A thread of a pool does so between two
tasks.
"""

import functools

from gevent._config import import_path
from gevent.monkey import is_module_patched
from gevent.monkey._shared import Empty, let_others_run

__all__ = ["adapt_native_queues", "adapt_queues", "adapt_thread_pools"]


def adapt_queues(queue):
    """Have queues that are empty or full let others run before they say so."""
    for name in ("get", "put"):
        setattr(queue.Queue, name, _fair(getattr(queue.Queue, name), (queue.Empty, queue.Full)))


def _fair(method, failures):
    @functools.wraps(method)
    def asked(*args, **kwargs):
        try:
            return method(*args, **kwargs)
        except failures:
            let_others_run()
            raise

    return asked


def adapt_native_queues(module):
    """A fresh copy of the compiled module has ours, too."""
    if is_module_patched("queue"):
        module.SimpleQueue = import_path("gevent.queue.SimpleQueue")
        module.Empty = Empty


def adapt_thread_pools(module):
    """Have the threads of ``concurrent.futures`` let others run before each task, also if the next one is there already."""
    run = module._WorkItem.run

    def _run(self, *args):
        let_others_run()
        run(self, *args)
        self = None  # this frame may be kept by the traceback of what the future has, and is not to keep that

    module._WorkItem.run = _run
