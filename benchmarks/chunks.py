#!/usr/bin/env python3
"""What keeping interpreter stack chunks for new greenlets gains on this interpreter: the same process with the cache and without, in turns.

    python benchmarks/chunks.py [--rounds 15] [--output FILE]

Prints greenlets a second, raw ones that call a function and end, and gevent's, spawned and joined by the thousand; the best of the
rounds each, and the median of the rounds' ratios. FILE is a JSON file that gets it beside what other interpreters have put there.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import gevent
from gevent import core
from greenlet import greenlet
from machine import about_commit, about_machine

NUMBER = 5000


def called():
    pass


def work():
    called()  # a frame of its own: only then the greenlet gets a chunk


def raw():
    for _ in range(NUMBER):
        greenlet(work).switch()


def spawned():
    for _ in range(NUMBER // 1000):
        gevent.joinall([gevent.spawn(work) for _ in range(1000)])


def rate(function, chunks):
    if core.install_stack_chunk_cache(chunks) is not True and chunks:
        raise SystemExit(f"no stack chunks are kept on {sys.implementation.name} {sys.version.split()[0]}")
    start = time.process_time()
    function()
    return NUMBER / (time.process_time() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", metavar="FILE", type=Path)
    options = parser.parse_args()
    version = sys.version.split()[0]
    measured = {}
    for function in (raw, spawned):
        rounds = [(rate(function, 0), rate(function, 1024)) for _ in range(options.rounds)]
        without, kept = (max(rates) for rates in zip(*rounds))
        ratios = [with_ / without_ for without_, with_ in rounds]
        ratio = statistics.median(ratios)
        measured[function.__name__] = {
            "without": round(without),
            "with": round(kept),
            "ratio": round(ratio, 2),
            "ratios": [round(each, 2) for each in ratios],
        }
        figures = f"{without:9.0f}/s without {kept:9.0f}/s with  {ratio:5.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(f"{version} {function.__name__:8} {figures}")
    if options.output:
        found = json.loads(options.output.read_text()) if options.output.exists() else {"format": "chunks-1", "interpreters": {}}
        found["interpreters"][version] = {**about_commit(), "machine": about_machine(), **measured}
        options.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
