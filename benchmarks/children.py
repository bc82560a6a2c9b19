#!/usr/bin/env python3
"""5000 short children in batches of 100 greenlets, ours beside upstream; 500 from 8 native threads, which only ours can; and a storm.

    python benchmarks/children.py --upstream-python PYTHON [--children 5000] [--turn 500] [--output FILE]

Run it with an interpreter that has our distributions; *PYTHON* has upstream's gevent. The two take turns, 500 children each, and each
counts what came back right, its zombies and its descriptors. The storm is of 200 forked children that end at once while the program has
a SIGCHLD handler of its own: how many of their ends came back, and how often the handler was called (once at least). Prints every turn,
and the median ratio of the rates; FILE gets it all as JSON.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from machine import about_commit, about_machine

TRUE = ["/bin/sh", "-c", "exit 3"]


def batch(children):
    """In the measured process: start them, a hundred at a time; prints what came of it."""
    import threading
    import time

    import gevent
    from gevent import subprocess as ours

    gevent.sleep(0.001)  # makes the hub; a call may find that the child has ended, and wait for nothing
    ours.call(TRUE)
    descriptors = len(os.listdir("/dev/fd"))
    start = time.perf_counter()
    right = 0
    for _ in range(children // 100):
        jobs = [gevent.spawn(ours.call, TRUE) for _ in range(100)]
        gevent.joinall(jobs)
        right += sum(job.value == 3 for job in jobs)
    seconds = time.perf_counter() - start
    threads_right = []
    if gevent.__version__.startswith("26.11"):

        def work():
            threads_right.extend(ours.call(TRUE) == 3 for _ in range(63))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    storm, handled = storm_of(200)
    try:
        zombies = os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        zombies = 0
    print(
        json.dumps(
            {
                "rate": children / seconds,
                "right": right,
                "threads": sum(threads_right),
                "storm": storm,
                "handled": handled,
                "zombies": zombies,
                "descriptors": len(os.listdir("/dev/fd")) - descriptors,
            }
        )
    )


def storm_of(children):
    """How many of so many forked children were told of rightly, and how often the program's own handler was called."""
    import importlib
    import signal

    import gevent
    from gevent import os as ours

    ours_too = importlib.import_module("gevent.signal")
    calls = []
    ends = []
    before = ours_too.signal(signal.SIGCHLD, lambda *args: calls.append(1))
    read, write = os.pipe()
    for _ in range(children):
        pid = ours.fork_and_watch(lambda watcher: ends.append((watcher.pid, watcher.rstatus)))
        if not pid:
            os.close(write)
            os.read(read, 1)
            os._exit(5)
    os.close(write)  # all end now
    with gevent.Timeout(20, False):
        while len(ends) < children:
            gevent.sleep(0.01)
    os.close(read)
    ours_too.signal(signal.SIGCHLD, before)
    return len({pid for pid, status in ends if status == 5 << 8}), len(calls)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream-python", required=True)
    parser.add_argument("--children", type=int, default=5000)
    parser.add_argument("--turn", type=int, default=500)
    parser.add_argument("--output", metavar="FILE", type=Path)
    options = parser.parse_args()
    result = {
        "format": "children-1",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **about_commit(),
        "machine": about_machine(),
        "python": sys.version.split()[0],
        "turns": [],
    }
    ratios = []
    for turn in range(options.children // options.turn):
        results = {}
        for side, python in (("ours", sys.executable), ("upstream", options.upstream_python)):
            command = [python, str(Path(__file__).resolve()), "measure", str(options.turn)]
            results[side] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        ratios.append(results["ours"]["rate"] / results["upstream"]["rate"])
        result["turns"].append({**results, "ratio": ratios[-1]})
        print(turn, results, f"{ratios[-1]:.2f}", flush=True)
    result["median_ratio"] = statistics.median(ratios)
    print(f"median ratio {result['median_ratio']:.2f}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        batch(int(sys.argv[2]))
    else:
        main()
