#!/usr/bin/env python3
"""5000 short children in batches of 100 greenlets, ours beside upstream; and 500 from 8 native threads, which only ours can.

    python benchmarks/children.py --upstream-python PYTHON [--children 5000] [--turn 500]

Run it with an interpreter that has our distributions; *PYTHON* has upstream's gevent. The two take turns, 500 children each, and each
counts what came back right, its zombies and its descriptors. Prints the rates, and their median ratio.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

TRUE = ["/bin/sh", "-c", "exit 3"]


def batch(children):
    """In the measured process: start them, a hundred at a time; prints what came of it."""
    import threading
    import time

    import gevent
    from gevent import subprocess as ours

    ours.call(TRUE)  # makes the hub
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
                "zombies": zombies,
                "descriptors": len(os.listdir("/dev/fd")) - descriptors,
            }
        )
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream-python", required=True)
    parser.add_argument("--children", type=int, default=5000)
    parser.add_argument("--turn", type=int, default=500)
    options = parser.parse_args()
    ratios = []
    for turn in range(options.children // options.turn):
        results = {}
        for side, python in (("ours", sys.executable), ("upstream", options.upstream_python)):
            command = [python, str(Path(__file__).resolve()), "measure", str(options.turn)]
            results[side] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        ratios.append(results["ours"]["rate"] / results["upstream"]["rate"])
        print(turn, results, f"{ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        batch(int(sys.argv[2]))
    else:
        main()
