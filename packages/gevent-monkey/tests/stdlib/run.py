"""Run the interpreter's own regression tests under ``patch_all()``, and beside that unpatched; compare test by test.

    python run.py [--python PYTHON] [--jobs 2] [--seconds 300] [--only-patched] [--report FOLDER] [--more FOLDER] [test_queue ...]

Each file runs in a process of its own with a time limit; of a package such as ``test_asyncio`` each of its files. What passes unpatched and
does not patched has to stand in ``known_losses.json`` (``{file: {test: reason}}``), or the exit status is 1. Without names, all files of
``FILES`` are run.

Tests that need threads to be preempted (``PREEMPTED``) are run patched in a process of their own, with ``gevent.config.preempt_threads``
set; all others without it.

*PYTHON* needs the package ``test`` and gevent: the first is missing in Debian's interpreters, and then this says so with status 2.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent

FILES = [
    "test_socket",
    "test_ssl",
    "test_select",
    "test_selectors",
    "test_epoll",
    "test_poll",
    "test_threading",
    "test_thread",
    "test_threading_local",
    "test_queue",
    "test_subprocess",
    "test_signal",
    "test_fork1",
    "test_wait3",
    "test_wait4",
    "test_os",
    "test_time",
    "test_ftplib",
    "test_httplib",
    "test_httpservers",
    "test_urllib2_localnet",
    "test_smtplib",
    "test_poplib",
    "test_imaplib",
    "test_telnetlib",
    "test_socketserver",
    "test_wsgiref",
    "test_xmlrpc",
    "test_logging",
    "test_concurrent_futures",
    "multiprocessing_fork",
    "multiprocessing_spawn",
    "test_asyncio",
    "test_contextlib",
    "test_context",
    "test_sched",
    "test_pty",
    "test_threadsignals",
    "test_posix",
    "test_popen",
    "test_urllib",
    "test_threadedtempfile",
    "test_importlib.test_threaded_import",
    "test_asyncore",
    "test_asynchat",
    "test_smtpd",
    "test_robotparser",
    "test_nntplib",
    "test_functools",
    "test_reprlib",
    "test_tempfile",
    "test_contextlib_async",
    "test_timeout",
    "test_largefile",
    "test_pdb",
    "test_dummy_thread",
    "test_thread_local_bytecode",
    "test_weakref",
]

#: A few minutes together: what every run of the test suite does.
SHORT = [
    "test_select",
    "test_selectors",
    "test_epoll",
    "test_poll",
    "test_thread",
    "test_threading_local",
    "test_queue",
    "test_fork1",
    "test_wait3",
    "test_wait4",
    "test_sched",
    "test_contextlib",
    "test_context",
    "test_threadsignals",
    "test_socketserver",
    "test_poplib",
    "test_urllib2_localnet",
]

#: ``{file: tests}`` in which a thread spins until another has done something.
PREEMPTED = {
    "test_threading": ["test_threading.InterruptMainTests.test_can_interrupt_tight_loops"],
    "test_signal": ["test_signal.StressTest.test_stress_modifying_handlers"],
    "multiprocessing_fork": ["multiprocessing_fork.WithProcessesTestFinalize.test_thread_safety"],
    "multiprocessing_spawn": ["multiprocessing_spawn.WithProcessesTestFinalize.test_thread_safety"],
}

#: Seconds after which a thread is preempted in those.
PREEMPT = "0.05"

_EXISTING = """
import importlib.util, pathlib, sys, test
more, *names = sys.argv[1:]
test.__path__.append(more)
for name in names:
    spec = None if name.startswith("multiprocessing_") else importlib.util.find_spec(f"test.{name}")
    if spec is not None and spec.submodule_search_locations:
        for file in sorted(pathlib.Path(spec.submodule_search_locations[0]).glob("test_*.py")):
            print(f"{name}.{file.stem}")
    elif spec is not None or name.startswith("multiprocessing_"):
        print(name)
"""


def run_one(python, name, patched, seconds, more="", preempted=False):
    """({test: outcome}, the test that ran when the time limit came or the process died, or None, exit status, output) of one file.

    Patched, of the tests in ``PREEMPTED`` only or of all others.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        command = [python, str(HERE / "one.py"), *(["--patched"] if patched else []), str(log), name]
        with open(Path(folder, "output"), "w+b") as output:
            apart = " ".join(f"test.{test}" for test in PREEMPTED.get(name, ()))
            environment = {**os.environ, "STDLIB_MORE": str(more), "GEVENT_PREEMPT_THREADS": PREEMPT if preempted else ""}
            environment["STDLIB_ONLY" if preempted else "STDLIB_WITHOUT"] = apart if patched else ""
            child = subprocess.Popen(
                command,
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = child.wait(seconds)
            except subprocess.TimeoutExpired:
                status = None
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
            output.seek(0)
            text = output.read().decode(errors="replace")
        results, running = read_log(log) if log.exists() else ({}, None)
    return results, running, status, text


def read_log(log):
    results, running = {}, None
    for line in log.read_text().splitlines():
        kind, _, test = line.partition(" ")
        if kind == "start":
            running = test
        else:
            if results.get(test) in (None, "ok", "skip"):
                results[test] = kind
            if running == test:
                running = None
    return results, running


def losses(plain, patched):
    """{test: outcome} of what passes in *plain* and not in *patched*."""
    lost = {}
    for test, outcome in plain[0].items():
        if outcome == "ok" and patched[0].get(test) not in ("ok", "skip"):
            lost[test] = patched[0].get(test, "hang or crash" if test == patched[1] else "not run")
    return lost


def known_losses():
    return json.loads((HERE / "known_losses.json").read_text())


def run_patched(python, name, seconds, more=""):
    """What :func:`run_one` returns, of both patched runs of one file."""
    runs = [run_one(python, name, True, seconds, more)]
    if name in PREEMPTED:
        runs.append(run_one(python, name, True, seconds, more, preempted=True))
    results = {test: outcome for each in runs for test, outcome in each[0].items()}
    return results, next((each[1] for each in runs if each[1]), None), runs[0][2], "".join(each[3] for each in runs)


def compare(python, name, seconds, only_patched=False, more=""):
    """(passed unpatched, {test: outcome} lost, output of the patched run)."""
    plain = None if only_patched else run_one(python, name, False, seconds, more)
    patched = run_patched(python, name, seconds, more)
    if only_patched:
        lost = {test: outcome for test, outcome in patched[0].items() if outcome in ("fail", "error")}
        if patched[1]:
            lost[patched[1]] = "hang or crash"
        return len(patched[0]), lost, patched[3]
    return sum(outcome == "ok" for outcome in plain[0].values()), losses(plain, patched), patched[3]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*")
    options.add_argument("--python", default=sys.executable)
    options.add_argument("--jobs", type=int, default=2)
    options.add_argument("--seconds", type=float, default=300)
    options.add_argument("--only-patched", action="store_true", help="take for granted that everything passes unpatched")
    options.add_argument("--report", type=Path, help="a folder for the output of each patched run")
    options.add_argument("--more", type=Path, default="", help="a folder with test files that the interpreter comes without")
    arguments = options.parse_args()
    if subprocess.run([arguments.python, "-c", "import test.support, gevent.monkey"]).returncode:
        print(f"{arguments.python} lacks the package test, or gevent", file=sys.stderr)
        return 2
    known = known_losses()
    total = unexpected = lost_all = 0
    command = [arguments.python, "-c", _EXISTING, str(arguments.more), *(arguments.names or FILES)]
    found = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.split()
    common = (arguments.seconds, arguments.only_patched, arguments.more)
    with ThreadPoolExecutor(arguments.jobs) as executor:
        jobs = {name: executor.submit(compare, arguments.python, name, *common) for name in found}
        for name, job in jobs.items():
            passed, lost, text = job.result()
            total += passed
            lost_all += len(lost)
            print(f"{name}: {passed} pass unpatched, {len(lost)} of them lost", flush=True)
            for test, outcome in lost.items():
                reason = known.get(name, {}).get(test.removeprefix("test."))
                unexpected += reason is None
                print(f"    {outcome}: {test} ({reason or 'NOT KNOWN'})", flush=True)
            if arguments.report is not None:
                arguments.report.mkdir(exist_ok=True)
                (arguments.report / name).write_text(text)
    print(f"{total} tests pass unpatched; {lost_all} of them are lost when patched, {unexpected} of which are not known")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
