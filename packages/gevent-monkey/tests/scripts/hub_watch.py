"""How long the hub did not come round: a watch for programs that claim never to block it.

A turn begins when the loop has polled, and ends when it is about to poll again; what runs in between keeps all other greenlets waiting. Its
length is the time by the clock, less the time for which the kernel let somebody else have the processor: that is the machine's
load, and not this program's doing. A call that sleeps in the kernel counts whole, and so does computing.
"""

import contextlib
import os
import time

from gevent.hub import get_hub


class HubWatch:
    """``longest``: seconds of the longest turn in the block; ``turns``: how many there were.

    with HubWatch() as watch:
        ...
    """

    def __init__(self):
        self.longest = 0.0
        self.turns = 0
        self._schedstat = None

    def __enter__(self):
        loop = get_hub().loop
        with contextlib.suppress(OSError):  # a kernel without: then nothing is taken off
            self._schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._began = self._own_time()
        self._after_poll, self._before_poll = loop.check(), loop.prepare()
        self._after_poll.start(self._begin)
        self._before_poll.start(self._end)
        return self

    def __exit__(self, *exc_info):
        self._end()
        self._after_poll.stop()
        self._before_poll.stop()
        if self._schedstat is not None:
            os.close(self._schedstat)

    def _own_time(self):
        """Seconds by the clock, without those in which this thread was ready and others ran."""
        waited = 0 if self._schedstat is None else int(os.pread(self._schedstat, 100, 0).split()[1])
        return time.perf_counter() - waited / 1e9

    def _begin(self):
        self._began = self._own_time()

    def _end(self):
        self.turns += 1
        self.longest = max(self.longest, self._own_time() - self._began)
