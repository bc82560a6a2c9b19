"""The measured process: runs one micro benchmark, prints a line of JSON for each part of it.

run.py starts this file with the interpreter of each side, so it runs unchanged under both gevents and imports nothing of
gevent itself; the module of the benchmark does. With ``--paced`` two such processes take turns, slice by slice. Exit
status 0 means: ran to the end, and every count was right.

    python worker.py event event_ping_pong
    python worker.py --describe
"""

import argparse
import contextlib
import cProfile
import faulthandler
import gc
import importlib
import json
import os
import platform
import sys
import time
from importlib import metadata

MODULES = ("core", "event", "local", "lock", "pool", "pywsgi", "queue", "select", "server", "socket", "threadpool", "timeout")

DISTRIBUTIONS = ("gevent", "gevent-core", "gevent-ares", "gevent-subprocess", "gevent-wsgi", "gevent-monkey", "greenlet", "uvloop")
DISTRIBUTIONS += ("bjoern", "gunicorn", "waitress", "cheroot", "granian")


class Clock:
    """Adds up the seconds spent inside ``with clock:``.

    ``wall`` is what the clock says, ``cpu`` the processor time, and ``waited`` how long this thread was ready to run while
    the processor ran somebody else's. A busy machine adds to the last and nothing else does, as long as the benchmark has
    no threads of its own.
    """

    schedstat = None  # descriptor of the main thread's scheduler figures; main() opens it where there are any

    def __init__(self, threads=False):
        self._threads = threads
        self.wall = 0.0
        self.cpu = 0.0
        self.waited = 0.0

    def __enter__(self):
        # The wall clock outermost: a kernel likes to switch as a system call returns, and what is taken off must be in it.
        self._wall = time.perf_counter()
        self._waited = self._waited_so_far()
        self._cpu = time.process_time()
        return self

    def __exit__(self, *exc_info):
        self.cpu += time.process_time() - self._cpu
        self.waited += self._waited_so_far() - self._waited
        self.wall += time.perf_counter() - self._wall

    def _waited_so_far(self):
        return 0.0 if self.schedstat is None else int(os.pread(self.schedstat, 100, 0).split()[1]) / 1e9

    @property
    def seconds(self):
        """The time that counts: without what others took, except where those may be threads of the benchmark."""
        return self.wall - (0.0 if self._threads else self.waited)


def timed(function, loops):
    """Call a rate benchmark for *loops* and return its Clock; raise where the count is not what was asked for."""
    gc.collect()
    clock = Clock(function.threads)
    count = function(loops, clock)
    if count != loops * function.ops:
        raise ValueError(f"{function.__name__} did {count!r} operations where {loops * function.ops} were asked for")
    if clock.seconds <= 0:
        raise ValueError(f"{function.__name__} never entered its clock")
    return clock


def warm(function, seconds):
    """Run a rate benchmark for *seconds* of processor time, for a JIT to compile what it wants to."""
    loops = 1
    end = time.process_time() + seconds
    while time.process_time() < end:
        if timed(function, loops).seconds < 0.1:
            loops *= 2


def calibrate(function, seconds):
    """Return how many loops take about *seconds*."""
    # Once before the clock counts: the first call makes the hub and the threads, and fills caches.
    timed(function, 1)
    loops = 1
    while True:
        taken = timed(function, loops).seconds
        if taken >= seconds / 3:
            loops = max(1, round(loops * seconds / taken))
            again = timed(function, loops).seconds
            if again >= seconds / 2:
                return loops
            taken = again  # a JIT got warm meanwhile: what took a quarter of a second cold takes a few milliseconds
        # At most ten times more: what took microseconds was hardly measured.
        loops = max(loops + 1, round(loops * min(10, seconds / max(taken, 1e-6))))


def tell(message):
    """Print one line of JSON."""
    print(json.dumps(message), flush=True)


def measure(options):
    """Run one benchmark, telling first how many loops make a slice, then of each slice (or amount)."""
    function = getattr(importlib.import_module(f"micro.{options.group}"), options.name)
    if function.kind == "amount":
        tell({})
        for _ in range(options.slices):
            if options.paced and not sys.stdin.readline():
                return
            tell({"value": function(options.quick)})
        return
    if options.loops:
        timed(function, options.loops)
    if sys.implementation.name != "cpython":
        warm(function, options.warm)
    loops = options.loops or calibrate(function, options.slice)
    tell({"loops": loops})
    for _ in range(options.slices):
        if options.paced and not sys.stdin.readline():
            return
        # The limit is for what hangs here, not for the time that the other side's turns take.
        faulthandler.dump_traceback_later(options.limit, exit=True)
        clock = timed(function, loops)
        tell({"seconds": clock.seconds, "cpu": clock.cpu, "waited": clock.waited})


def describe():
    """Return what this interpreter has: versions, the loop, which modules are compiled."""
    gevent = importlib.import_module("gevent")
    failed = {}
    for module in MODULES:
        try:
            importlib.import_module(f"gevent.{module}")
        except ImportError as error:
            failed[f"gevent.{module}"] = str(error)
    versions = {}
    for distribution in DISTRIBUTIONS:
        try:
            versions[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    loop = gevent.get_hub().loop
    compiled = sorted(
        name
        for name, module in list(sys.modules.items())
        if name.startswith("gevent.") and (getattr(module, "__file__", None) or "").endswith((".so", ".pyd"))
    )
    get_version = getattr(gevent.core, "get_version", None)
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "compiler": platform.python_compiler(),
        "gevent": gevent.__version__,
        "gevent_file": gevent.__file__,
        "greenlet": versions.get("greenlet") or getattr(importlib.import_module("greenlet"), "__version__", None),
        "loop": f"{type(loop).__module__}.{type(loop).__qualname__}",
        "backend": loop.backend,
        "libev": str(get_version()) if get_version else None,
        "versions": versions,
        "compiled": compiled,
        "not_importable": failed,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group", nargs="?")
    parser.add_argument("name", nargs="?")
    parser.add_argument("--slice", type=float, default=0.015, metavar="SECONDS", help="how long to time at a stretch")
    parser.add_argument("--warm", type=float, default=0.0, help="seconds of processor time to run before anything is timed")
    parser.add_argument("--slices", type=int, default=20, help="how often")
    parser.add_argument("--paced", action="store_true", help="wait for a line on standard input before each slice")
    parser.add_argument("--loops", type=int, default=0, help="loops per slice; 0: calibrate")
    parser.add_argument("--quick", action="store_true", help="smaller amounts")
    parser.add_argument("--limit", type=float, default=90, help="seconds of one turn after which to print the stacks and exit")
    parser.add_argument("--cprofile", metavar="FILE", help="write a cProfile of the run to FILE")
    parser.add_argument("--describe", action="store_true", help="print versions instead")
    options = parser.parse_args()
    faulthandler.dump_traceback_later(options.limit, exit=True)
    with contextlib.suppress(OSError):  # Linux only
        Clock.schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    if options.describe:
        tell(describe())
    elif options.cprofile:
        profile = cProfile.Profile()
        profile.runcall(measure, options)
        profile.dump_stats(options.cprofile)
    else:
        measure(options)
    faulthandler.cancel_dump_traceback_later()
    # What an interpreter does at exit with a hub and its threads is no part of any figure.
    os._exit(0)


if __name__ == "__main__":
    main()
