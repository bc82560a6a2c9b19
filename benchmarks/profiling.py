"""Where the time of one benchmark or server goes, by perf; without perf, by cProfile (Python functions only)."""

import os
import pstats
import shutil
import subprocess
import sys
import time
from pathlib import Path

import scenarios
from machine import pinned
from sides import CACHE, SetupError

BENCHMARKS = Path(__file__).resolve().parent
# Software clock: virtual machines often have no hardware counters to sample by.
RECORD = ["perf", "record", "--quiet", "--event", "cpu-clock", "--freq", "4000", "-g"]


def profile(thing, side, cpus):
    """Run *thing* on *side* for some seconds under a profiler and print the report; return the exit status."""
    folder = CACHE / "profiles"
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"{thing.name}-{side.name}.perf"
    perf = shutil.which("perf")
    try:
        if isinstance(thing, scenarios.Scenario):
            if not perf:
                raise SetupError("profiling a server needs perf (linux-perf on Debian)")
            status = _profile_server(thing, side, cpus, data)
        elif perf:
            command = [*RECORD, "--output", str(data), "--", *_worker(thing, side)]
            with pinned(cpus[0]):
                # From 3.12 on Python functions appear by name as well.
                status = subprocess.call(command, env=side.environment(PYTHONPERFSUPPORT="1"))
        else:
            return _by_cprofile(thing, side, cpus, data.with_suffix(".cprofile"))
    except (SetupError, RuntimeError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    if status:
        return status
    for title, sort, least in (("objects", "dso", "0.5"), ("functions", "dso,symbol", "0.5")):
        print(f"\n== {thing.name}, {side.name}: by {title}, per cent of samples ==", flush=True)
        _report(data, sort, least)
    print(f"\ncallers: perf report -i {os.path.relpath(data)} --no-children")
    return 0


def _worker(benchmark, side, *more):
    return [side.python, str(BENCHMARKS / "worker.py"), benchmark.group, benchmark.name, "--slice", "0.5", "--slices", "6", *more]


def _report(data, sort, least):
    command = ["perf", "report", "--stdio", "--no-children", "--call-graph", "none", "--sort", sort]
    command += ["--percent-limit", least, "--input", str(data)]
    for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
        if line.strip() and not line.startswith("#"):
            share, thing, *more = line.replace(" -      -", "").split(None, 2)
            print(f"{share:>7}  {thing:<40} {' '.join(more)}".rstrip(), flush=True)


def _profile_server(scenario, side, cpus, data):
    server = next(server for server in scenario.servers if server.name == side.name)
    program = scenarios.client_program(scenario.client)
    with scenarios.Running(server, side, cpus[0]) as running:
        with pinned(cpus[1]):
            client = subprocess.Popen([program, "-p", str(running.port), "-t", "4", *scenario.client_arguments])
        time.sleep(0.5)  # the client's warm-up
        command = [*RECORD, "--output", str(data), "--pid", str(running.process.pid), "--", "sleep", "3"]
        status = subprocess.call(command)
        if client.wait(30):
            raise RuntimeError(f"the client failed; the server said: {running.errors()}")
    return status


def _by_cprofile(benchmark, side, cpus, file):
    print("no perf here (linux-perf on Debian): by cProfile, which sees Python functions only", file=sys.stderr)
    with pinned(cpus[0]):
        status = subprocess.call(_worker(benchmark, side, "--cprofile", str(file)), env=side.environment())
    if status == 0:
        pstats.Stats(str(file)).sort_stats("tottime").print_stats(25)
    return status
