"""What gevent-wsgi stands: crowds of idle and slow connections, a million requests, and the end under load.

    python benchmarks/trials.py                           all; the result goes to results/trials/
    python benchmarks/trials.py idle slow --rounds 3      some of: idle, slow, million, term
    python benchmarks/trials.py --quick                   a small form of each, nothing is kept

How it works: servers and clients are those of scenarios.py. For the crowds, two equal servers run on one processor, one of them with
the crowd attached (servers/crowd.py), and the fast clients load the two in turn: what the crowd costs them is the
ratio. Upstream goes through the same, to compare. Exit status 1: something was lost, failed, or is worse than its bound.
"""

import argparse
import collections
import contextlib
import datetime
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

import scenarios
import sides
from machine import about_commit, about_machine, pinned
from run import allow_descriptors, check_sides, choose_cpus, make_sides, public

RESULTS = Path(__file__).resolve().parent / "results" / "trials"
LOAD = scenarios.Scenario(
    group="trials",
    name="trials",
    summary="",
    client="http_client",
    client_arguments=("-c", "100", "-e", "Hello, World!\n", "-f"),
    servers=(),
    goals={},
)


def server_of(side, application="hello"):
    """Return the Server of pywsgi on this side."""
    return scenarios.Server(side, side, "wsgi_gevent.py", (application,))


@contextlib.contextmanager
def crowd(kind, count, port, cpu):
    """Keep *count* connections to *port*; yields a function that ends them and returns how many the server had closed."""
    command = [sys.executable, str(scenarios.BENCHMARKS / "servers" / "crowd.py"), str(port), str(count), kind]
    with pinned(cpu, favoured=True):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def end():
        process.terminate()
        return int(process.communicate(timeout=30)[0])

    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the crowd of {count} {kind} connections did not come together")
        yield end
    finally:
        process.kill()
        process.communicate()


def beside_a_crowd(kind, count, side, found, cpus, rounds, seconds):
    """Return the figures of fast clients with and without the crowd, and their ratios."""
    with contextlib.ExitStack() as stack:
        alone, crowded = (stack.enter_context(scenarios.Running(server_of(side), found[side], cpus[0])) for _ in range(2))
        scenarios.load(LOAD, crowded, cpus[1], 0.2)
        before = scenarios.resident_bytes(crowded.process.pid)
        end = stack.enter_context(crowd(kind, count, crowded.port, cpus[1]))
        held = scenarios.resident_bytes(crowded.process.pid) - before
        turns = {"alone": [], "crowded": []}
        for number in range(rounds):
            for name, running in sorted({"alone": alone, "crowded": crowded}.items(), reverse=number % 2 == 1):
                turns[name].append(scenarios.load(LOAD, running, cpus[1], seconds))
        closed = end()
    pairs = list(zip(turns["alone"], turns["crowded"]))
    return {
        "connections": count,
        "closed_by_server": closed,
        "bytes_per_connection": round(held / count),
        "rate_ratio": round(median(crowded["fast_rate"] / alone["fast_rate"] for alone, crowded in pairs), 3),
        **{
            f"{name}_ratio": round(median(crowded["latency_us"][name] / alone["latency_us"][name] for alone, crowded in pairs), 3)
            for name in ("p50", "p99")
        },
        "turns": turns,
    }


def idle(found, cpus, options):
    """10,000 idle connections beside 100 active ones."""
    count, seconds = (1000, 0.3) if options.quick else (10_000, 1)
    record = {side: beside_a_crowd("idle", count, side, found, cpus, options.rounds, seconds) for side in ("ours", "upstream")}
    ours = record["ours"]
    return record, ours["rate_ratio"] >= 0.9 and not ours["closed_by_server"], "rate with the crowd at least 0.9 of without"


def slow(found, cpus, options):
    """2,000 slow clients, an octet a second each way, beside 100 fast ones."""
    count, seconds = (200, 0.3) if options.quick else (2000, 2)
    record = {side: beside_a_crowd("slow", count, side, found, cpus, options.rounds, seconds) for side in ("ours", "upstream")}
    return record, record["ours"]["p99_ratio"] <= 1.2, "p99 of the fast ones within 1.2 of that without the crowd"


def million(found, cpus, options):
    """1,000,000 requests, and the memory of the server all the while."""
    wanted = 20_000 if options.quick else 1_000_000
    memory, done = [], 0
    with scenarios.Running(server_of("ours"), found["ours"], cpus[0]) as running:
        while done < wanted:
            taken = scenarios.load(LOAD, running, cpus[1], 0.2 if options.quick else 2)
            done += taken["requests_in_all"]
            memory.append(taken["memory"])
    grown = memory[-1] - memory[len(memory) // 10]
    return (
        {"requests": done, "memory": memory, "grown": grown},
        grown <= 256 * 1024,
        "no more than 256 KiB more after the first tenth",
    )


def term(found, cpus, options):
    """SIGTERM under load: of all requests that the application was given, how many are not answered."""
    record = {"begun": 0, "answered": 0, "lost": 0, "wrong": 0, "statuses": [], "seconds_to_end": []}
    for number in range(3 if options.quick else 20):
        with scenarios.Running(server_of("ours", "ledger"), found["ours"], cpus[0]) as running:
            answered = collections.deque()
            wrong = collections.deque()
            threads = [
                threading.Thread(target=ask_on, args=(running.port, f"{number}-{client}", answered, wrong)) for client in range(50)
            ]
            for thread in threads:
                thread.start()
            time.sleep(0.3 + 0.013 * number)
            running.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            record["statuses"].append(running.process.wait(20))
            record["seconds_to_end"].append(round(time.monotonic() - began, 3))
            for thread in threads:
                thread.join()
            begun = set(running.all_errors().split())
        record["begun"] += len(begun)
        record["answered"] += len(answered)
        record["lost"] += len(begun.difference(answered))
        record["wrong"] += len(wrong)
    good = record["answered"] > 0 and not record["lost"] and not record["wrong"] and set(record["statuses"]) == {0}
    return record, good, "none lost, none wrong, exit status 0"


def ask_on(port, name, answered, wrong):
    """Send request after request on one connection until it ends; collect what was answered, and answers to something else."""
    sequence = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.auto_open = True
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        while True:
            sequence += 1
            number = f"{name}-{sequence}"
            connection.request("GET", f"/?{number}")
            response = connection.getresponse()
            body = response.read().decode()
            (answered if (response.status, body) == (200, number) else wrong).append(body)
            if response.will_close:
                return


TRIALS = {trial.__name__: trial for trial in (idle, slow, million, term)}


def summary(name, record):
    """Yield the lines that say what a trial found."""
    if name in ("idle", "slow"):
        for side, figures in record.items():
            turns = figures["turns"]
            p99 = {key: median(turn["latency_us"]["p99"] for turn in turns[key]) for key in turns}
            yield (
                f"{side:<9} {figures['connections']} {name}: rate x {figures['rate_ratio']}, p50 x {figures['p50_ratio']},"
                f" p99 x {figures['p99_ratio']} ({p99['alone']:.0f} to {p99['crowded']:.0f} us),"
                f" {figures['bytes_per_connection']} bytes a connection, {figures['closed_by_server']} closed by the server"
            )
    elif name == "million":
        yield f"{record['requests']} requests: memory {record['memory'][0]} to {record['memory'][-1]} bytes, grown {record['grown']}"
    else:
        yield f"{record['begun']} begun, {record['lost']} lost, {record['wrong']} wrong; ended within {max(record['seconds_to_end'])} s"


def main(arguments=None):
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=f"of {', '.join(TRIALS)}; default: all")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5, help="turns with and without a crowd (default 5)")
    parser.add_argument("--python", default=sys.executable, help="interpreter of both sides")
    parser.add_argument("--ours-path", nargs="?", const="", help="as for run.py")
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    options = parser.parse_args(arguments)
    unknown = set(options.trials) - set(TRIALS)
    if unknown:
        parser.error(f"there is no trial {sorted(unknown)[0]!r}; there are {', '.join(TRIALS)}")
    for name in ("ours_python", "upstream_python", "cpus"):
        setattr(options, name, None)
    options.self_test = options.no_pin = False
    notes = []
    try:
        found = make_sides(options)
        check_sides(found, options, notes.append)
        cpus = choose_cpus(options, notes.append)
    except sides.SetupError as error:
        print(f"trials.py: {error}", file=sys.stderr)
        return 2
    allow_descriptors()
    result = {
        "format": "trials-1",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **about_commit(),
        "machine": about_machine(),
        "quick": options.quick,
        "sides": {name: {"how": side.how, "settings": side.settings, **public(side.about)} for name, side in found.items()},
        "notes": notes,
        "trials": {},
    }
    status = 0
    for name in options.trials or TRIALS:
        print(f"{name}: {TRIALS[name].__doc__}", flush=True)
        try:
            with sides.locked("measuring"):
                record, good, bound = TRIALS[name](found, cpus, options)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            print(f"    FAILED {error}", flush=True)
            status = 1
            continue
        for line in summary(name, record):
            print(f"    {line}")
        print(f"    {'ok' if good else 'SHORT'}: {bound}", flush=True)
        result["trials"][name] = {"good": good, "bound": bound, **record}
        status = status or (0 if good else 1)
    if options.json or not options.quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        stamp = result["date"].replace(":", "").replace("-", "")[:15]
        commit = (result["commit"] or "no-commit")[:10] + ("-dirty" if result["dirty"] else "")
        path = Path(options.json) if options.json else RESULTS / f"{stamp}-{commit}.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(f"written: {os.path.relpath(path)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
