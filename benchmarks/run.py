"""Measure this checkout's gevent beside upstream's (and other servers), and print the ratios.

    python benchmarks/run.py                                  everything, result kept in benchmarks/results/
    python benchmarks/run.py --only event,queue --rounds 3    some groups or names (globs allowed)
    python benchmarks/run.py --ours-path --only spawn         our side from the checkout as compiled in place
    python benchmarks/run.py --python python3.13              with another interpreter
    python benchmarks/run.py --self --quick                   upstream beside itself: how much is noise
    python benchmarks/run.py --profile spawn_get              where our side's time goes

How it works: sides.py makes an environment for each side. For every benchmark there are some rounds, and in each round a
fresh process for each side, on the same processor. The two take turns, 15 ms each (servers: half a second each), who goes
first alternating from round to round. The best slice of each counts, and the ratio is taken within the round, so what
slows the machine for a while slows both or neither; the table shows the median of these ratios and the span they cover.
README.md says how to read the table and how to add a benchmark. Exit status 1: something failed or counted wrong.
"""

import argparse
import contextlib
import datetime
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import figures
import profiling
import scenarios
import sides
from declare import declared, matching
from machine import about_commit, about_machine, pinned, usable_cpus

BENCHMARKS = Path(__file__).resolve().parent
WIDTHS = (30, 12, 10, 10, 7, 15, 8, 7)
FORMAT = 1


def parse(arguments):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\nHow it works")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_argument_group("what is measured")
    what.add_argument("--only", metavar="NAME,...", help="groups, names or globs; default: everything")
    what.add_argument("--against", metavar="NAME,...", help="of the servers, compare with these only")
    what.add_argument("--list", action="store_true", help="list groups and benchmarks, and stop")
    what.add_argument("--profile", metavar="NAME", help="profile one benchmark or server instead")
    what.add_argument("--profile-side", choices=["ours", "upstream"], default="ours", help="default: ours")
    how = parser.add_argument_group("how")
    how.add_argument("--rounds", type=int, help="default 5, with --quick 3")
    how.add_argument(
        "--slice", type=float, default=0.015, metavar="SECONDS", help="length of a slice; a JIT needs more to get warm"
    )
    how.add_argument(
        "--warm", type=float, default=0.0, metavar="SECONDS", help="processor time before anything is timed, where there is a JIT"
    )
    how.add_argument("--quick", action="store_true", help="a rough look: short samples, small amounts")
    how.add_argument(
        "--no-pin", action="store_true", help="leave processes to the scheduler: not bound to processors, servers not favoured"
    )
    how.add_argument("--cpus", metavar="A,B", help="processors for the measured process and for the client")
    who = parser.add_argument_group("the two sides")
    who.add_argument("--python", default=sys.executable, help="interpreter for both; default: the one running this")
    who.add_argument(
        "--ours-path",
        nargs="?",
        const="",
        metavar="DIR:DIR",
        help="import ours from these folders (no value: packages/*/src), as compiled in place, nothing is installed",
    )
    who.add_argument("--ours-python", metavar="PYTHON", help="interpreter that has ours installed, or with --ours-path, greenlet")
    who.add_argument("--upstream-python", metavar="PYTHON", help="interpreter that has the peers installed")
    who.add_argument("--self", dest="self_test", action="store_true", help="upstream on both sides: the noise floor")
    who.add_argument("--setup", action="store_true", help="only make the environments")
    parser.add_argument("--keep", metavar="NAME", help="keep the result of a part of the benchmarks, in results/NAME/")
    parser.add_argument("--json", metavar="FILE", help="write the result there; '-': to standard output, instead of the table")
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 3 if options.quick else 5
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, not {options.rounds}")
    if options.self_test and (options.ours_path is not None or options.ours_python):
        parser.error("--self puts upstream on both sides: it takes neither --ours-path nor --ours-python")
    return options


def make_sides(options):
    """Return {"ours": Side, "upstream": Side}, both asked what they have."""
    upstream = sides.upstream(options.python, options.upstream_python)
    if options.self_test:
        ours = sides.Side("ours", upstream.python, "upstream itself")
    elif options.ours_path is not None:
        paths = [path for path in options.ours_path.split(os.pathsep) if path]
        ours = sides.ours_in_place(paths, options.ours_python or options.python)
    else:
        ours = sides.ours(options.python, options.ours_python)
    found = {"ours": ours, "upstream": upstream}
    for side in found.values():
        side.describe()
    return found


def check_sides(found, options, note):
    """Raise SetupError where the two sides cannot be compared; note what makes the comparison doubtful."""
    ours, upstream = found["ours"].about, found["upstream"].about
    if not options.self_test and ours["gevent_file"] == upstream["gevent_file"]:
        raise sides.SetupError(f"both sides import {ours['gevent_file']}: ours is not installed for its interpreter")
    for what in ("python", "implementation", "compiler", "greenlet", "libev", "backend"):
        if ours[what] != upstream[what]:
            note(f"the sides differ in {what}: ours {ours[what]}, upstream {upstream[what]}")
    if not ours["compiled"]:
        note("ours is not compiled at all")
    for module, error in ours["not_importable"].items():
        note(f"ours: {module} cannot be imported: {error}")


def choose_cpus(options, note):
    """Return the processors (measured process, client); (None, None): do not pin."""
    usable = usable_cpus()
    if options.no_pin or not usable:
        return None, None
    if options.cpus:
        try:
            chosen = tuple(int(number) for number in options.cpus.split(","))
        except ValueError:
            chosen = ()
        if len(chosen) != 2 or not set(chosen) <= set(usable):
            raise sides.SetupError(f"--cpus takes two of {usable!r} with a comma between, not {options.cpus!r}")
        return chosen
    if len(usable) == 1:
        note("one processor only: servers share it with their client")
        return usable[0], usable[0]
    # Interrupts and other work tend to be on the first ones.
    return usable[-1], usable[-2]


class Worker:
    """A process that runs one micro benchmark on one side, a slice whenever it is told to."""

    def __init__(self, benchmark, side, cpu, options, loops):
        command = [side.python, str(BENCHMARKS / "worker.py"), benchmark.group, benchmark.name, "--paced"]
        command += ["--loops", str(loops), "--slices", str(slices(benchmark, options)), "--slice", str(options.slice)]
        command += ["--warm", str(options.warm)]
        command += ["--quick"] if options.quick else []
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed by close()
        with pinned(cpu):
            self._process = subprocess.Popen(
                command,
                env=side.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )

    def read(self):
        """Return what the worker tells next. Raises RuntimeError where it failed; its own alarm ends one that hangs."""
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"exit status {status}\n{self._errors.read().strip()}")
        return json.loads(line)

    def slice(self):
        """Let the worker run one slice and return its times."""
        with contextlib.suppress(BrokenPipeError):  # it has ended: what it said to that is to be read
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
        return self.read()

    def close(self):
        """End the process; raise RuntimeError where it printed a traceback."""
        self._process.kill()
        self._process.communicate()
        self._errors.seek(0)
        errors = self._errors.read()
        self._errors.close()
        if "Traceback" in errors:
            raise RuntimeError(f"it printed:\n{errors.strip()}")


def slices(benchmark, options):
    """Return how many slices (of 15 ms, for a rate) make a sample."""
    if benchmark.kind == "amount":
        return (benchmark.samples + 1) // 2 if options.quick else benchmark.samples
    return 5 if options.quick else 20


def in_turn(contestants, number):
    """Return the contestants in the order of round *number*: who goes first changes."""
    first = number % len(contestants)
    return contestants[first:] + contestants[:first]


def measure(names, play, rounds):
    """Call ``play(names in this round's order, results)`` for each round; it puts a result for each name there.

    Returns ({name: [result or None, ...]}, [error, ...]); after an error there are no more rounds.
    """
    samples = {name: [None] * rounds for name in names}
    errors = []
    for number in range(rounds):
        results = {}
        # One round at a time on this machine: two runs at once would each find the other's processor busy.
        with sides.locked("measuring"):
            errors = play(in_turn(names, number), results)
        for name, result in results.items():
            samples[name][number] = result
        if errors:
            break
    return samples, errors


def measure_micro(benchmark, found, cpus, options):
    """Measure one micro benchmark on both sides; return its records (one)."""
    loops = dict.fromkeys(found, 0)

    def play(names, results):
        workers = {}
        errors = []
        name = None
        try:
            for name in names:
                workers[name] = Worker(benchmark, found[name], cpus[0], options, loops[name])
                results[name] = workers[name].read()
            taken = {name: [] for name in names}
            for _ in range(slices(benchmark, options)):
                for name in names:
                    taken[name].append(workers[name].slice())
            for name in names:
                loops[name] = results[name].get("loops", 0)  # later rounds need not calibrate
                results[name].update(summed_up(benchmark, taken[name], loops[name]))
        except (RuntimeError, OSError) as error:
            errors.append(f"{name}: {error}")
            results.clear()
        for name, worker in workers.items():
            try:
                worker.close()
            except RuntimeError as error:
                if not errors:
                    errors.append(f"{name}: {error}")
                    results.clear()
        return errors

    samples, errors = measure(["ours", "upstream"], play, options.rounds)
    return [
        {
            **asdict(benchmark),
            "against": "upstream",
            "more_is_better": benchmark.more_is_better,
            "ours": samples["ours"],
            "theirs": samples["upstream"],
            "errors": errors,
        }
    ]


def summed_up(benchmark, taken, loops):
    """Return the figures of a sample: of a rate, the best slice's operations per second; of amounts, the least.

    The best, because whatever else a machine does (or the host of a virtual one) can only make slices slower. For the same
    reason time spent waiting for a processor that somebody else had does not count; time spent asleep does.
    """
    if benchmark.kind == "amount":
        return {"value": min(sample["value"] for sample in taken)}
    operations = loops * benchmark.ops
    return {
        "value": operations / min(times["seconds"] for times in taken),
        "cpu_value": operations / max(min(times["cpu"] for times in taken), 1e-9),
        "seconds": [round(times["seconds"], 6) for times in taken],
        "waited": round(sum(times["waited"] for times in taken), 4),
    }


def measure_servers(scenario, found, cpus, options, note):
    """Measure one server scenario; return a record for each server ours is compared with."""
    against = options.against.split(",") if options.against else []
    servers, left_out = scenarios.available(scenario, found, against)
    for text in left_out:
        note(text)
    by_name = {server.name: server for server in servers}

    def play(names, results):
        fresh, errors = scenarios.play_round(scenario, [by_name[name] for name in names], found, cpus, options.quick)
        results.update(fresh)
        return errors

    samples, errors = measure(list(by_name), play, options.rounds)
    return [
        {
            "group": scenario.group,
            "name": scenario.name,
            "kind": "server",
            "unit": scenario.unit,
            "summary": scenario.summary,
            "goal": scenario.goals.get(name),
            "against": name,
            "more_is_better": True,
            "ours": samples["ours"],
            "theirs": samples[name],
            "errors": [error for error in errors if error.startswith(("ours:", f"{name}:"))],
        }
        for name in by_name
        if name != "ours"
    ]


def show_row(cells, stream):
    """Print one line of the table."""
    parts = [
        f"{cell:<{width}}" if column < 2 or column > 6 else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, WIDTHS))
    ]
    print(" ".join(parts).rstrip(), file=stream, flush=True)


def show_record(record, stream):
    """Print a record's line, what processor time says of a server, and its errors."""
    show_row(figures.row(record), stream)
    for error in record["errors"]:
        lines = error.splitlines()
        # The start, which says who failed, and the end, which says how.
        shown = lines if len(lines) <= 12 else [*lines[:1], "...", *lines[-8:]]
        print("\n".join("    " + line for line in shown), file=stream, flush=True)


def show_servers(records, stream):
    """Print processor time per request, average rate and latencies of the servers of one scenario."""
    samples = {"ours": records[0]["ours"]} if records else {}
    samples.update((record["against"], record["theirs"]) for record in records)
    ours_cpu = None
    for name, taken in samples.items():
        taken = [sample for sample in taken if sample]
        if not taken:
            continue
        best = max(taken, key=lambda sample: sample["rate"])
        latency = best["latency_us"]
        cpu = min(sample.get("cpu_us", 0) for sample in taken)
        ours_cpu = ours_cpu or cpu
        print(
            f"    {name:<16} {cpu:6.1f} us of processor per request ({cpu / ours_cpu if ours_cpu else 0:.2f} of ours);"
            f" best turn {figures.amount_text(best['rate'], '', True)} on average,"
            f" latency p50 {latency['p50']:.0f}, p99 {latency['p99']:.0f}, max {latency['max']:.0f} us,"
            f" {max(sample.get('memory', 0) for sample in taken) / 2**20:.1f} MiB",
            file=stream,
        )


def header(found):
    """Return the lines above the table: what is compared."""
    lines = []
    for name, side in found.items():
        about = side.about
        lines.append(
            f"{name:<9} gevent {about['gevent']} ({side.how}), {about['implementation']} {about['python']},"
            f" greenlet {about['greenlet']}, {about['libev']}, {about['backend']}, {len(about['compiled'])} modules compiled"
        )
    return lines


def result_file(options, result):
    """Return where the result goes: results/ for a complete run, its folder NAME with --keep, the cache for any other."""
    if options.json:
        return Path(options.json)
    started = result["date"].replace(":", "").replace("-", "")[:15]
    commit = (result["commit"] or "no-commit")[:10] + ("-dirty" if result["dirty"] else "")
    name = f"{started}-{commit}-{result['sides']['ours']['implementation'].lower()}{result['sides']['ours']['python']}.json"
    partial = options.only or options.quick or options.self_test or options.against
    if options.keep:
        return BENCHMARKS / "results" / options.keep / name
    return (sides.CACHE / "runs" if partial else BENCHMARKS / "results") / name


def public(about):
    """Return what of a side's description belongs in a file: no paths of this machine."""
    return {key: value for key, value in about.items() if key != "gevent_file"}


def allow_descriptors():
    """Let the processes started from here have as many descriptors as may be: a scenario needs some for 5,000 connections."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(arguments=None):
    """Run what the command line asks for; return the exit status."""
    options = parse(arguments)
    stream = sys.stderr if options.json == "-" else sys.stdout
    everything = declared() + scenarios.SCENARIOS
    if options.list:
        for thing in everything:
            print(f"{thing.group:<10} {thing.name:<30} {thing.summary}")
        return 0
    notes = []

    def note(text):
        notes.append(text)
        print(f"note: {text}", file=sys.stderr, flush=True)

    try:
        chosen = matching(everything, options.only.split(",")) if options.only else everything
        if options.profile:
            (profiled,) = matching(everything, [options.profile])[:1]
        found = make_sides(options)
        check_sides(found, options, note)
        cpus = choose_cpus(options, note)
    except (sides.SetupError, ValueError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    if options.setup:
        return 0
    if options.profile:
        return profiling.profile(profiled, found[options.profile_side], cpus)

    allow_descriptors()
    machine = about_machine()
    if machine["load_before"] > 0.5 * (machine["usable_cores"] or 1):
        note(f"the machine is busy (load {machine['load_before']}): mind the spread")
    result = {
        "format": FORMAT,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **about_commit(),
        "machine": machine,
        "rounds": options.rounds,
        "quick": options.quick,
        "pinned": cpus[0] is not None,
        "sides": {name: {"how": side.how, "settings": side.settings, **public(side.about)} for name, side in found.items()},
        "notes": notes,
        "records": [],
    }
    for line in header(found):
        print(line, file=stream)
    print(file=stream)
    show_row(figures.COLUMNS, stream)
    interrupted = False
    try:
        for thing in chosen:
            if isinstance(thing, scenarios.Scenario):
                records = measure_servers(thing, found, cpus, options, note)
            else:
                records = measure_micro(thing, found, cpus, options)
            result["records"].extend(records)
            for record in records:
                show_record(record, stream)
            if isinstance(thing, scenarios.Scenario):
                show_servers(records, stream)
    except sides.SetupError as error:
        note(str(error))
        interrupted = True
    except KeyboardInterrupt:
        note("interrupted")
        interrupted = True
    machine["load_after"] = round(os.getloadavg()[0], 2)

    verdicts = [figures.verdict(record) for record in result["records"]]
    counted = {kind: verdicts.count(kind) for kind in ("ok", "ok?", "even", "short?", "short", "FAILED")}
    print("\n" + ", ".join(f"{count} {kind}" for kind, count in counted.items() if count), file=stream)
    text = json.dumps(result, indent=1) + "\n"
    if options.json == "-":
        print(text, end="")
    else:
        path = result_file(options, result)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"written: {os.path.relpath(path)}", file=stream)
    return 1 if interrupted or counted["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
