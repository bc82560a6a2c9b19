"""Server scenarios: a server process, a C client that loads it, several servers in turn.

How it works: SCENARIOS says which servers take part. play_round() starts them all on one processor, where they wait, and
lets the client, on another processor, load one after the other for a fraction of a second, several times over; meanwhile
the processor time each server uses is read from /proc, and afterwards its memory. The best turn of each counts. The client
checks every answer; where it exits with an error, there is no result. Servers and client run favoured where that is allowed:
a server kept from its processor cannot be told from a slow one by its client.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from machine import pinned
from sides import CACHE, SetupError, run

BENCHMARKS = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Server:
    """One who takes part: a script of ``servers/`` with arguments, run by one of the sides."""

    name: str
    side: str
    script: str
    arguments: tuple = ()
    needs: str = ""


@dataclass(frozen=True)
class Scenario:
    """Servers that do the same, the first of them ours, and the client that loads each.

    ``goals`` gives for some servers the ratio ours/theirs to reach. ``seconds`` is how long a turn is: long enough for
    each connection to have its turn, too, with the slowest of the servers.
    """

    group: str
    name: str
    summary: str
    client: str
    client_arguments: tuple
    servers: tuple
    goals: dict
    unit: str = "requests"
    seconds: float = 0.5  # of each turn


SCENARIOS = [
    Scenario(
        group="servers",
        name="tcp_echo",
        summary="TCP echo, 50 connections, 1 KiB: StreamServer, uvloop, asyncio.",
        client="echo_client",
        client_arguments=("-c", "50", "-s", "1024"),
        servers=(
            Server("ours", "ours", "echo_gevent.py"),
            Server("upstream", "upstream", "echo_gevent.py"),
            Server("uvloop_streams", "upstream", "echo_asyncio.py", ("uvloop", "streams"), "uvloop"),
            Server("uvloop_protocol", "upstream", "echo_asyncio.py", ("uvloop", "protocol"), "uvloop"),
            Server("asyncio_streams", "upstream", "echo_asyncio.py", ("asyncio", "streams")),
        ),
        goals={"upstream": 1.6, "uvloop_streams": 1.0, "uvloop_protocol": 0.96},
    ),
]


def wsgi(name, application, summary, goals, *client_arguments, seconds=0.5):
    """Return the scenario in which all WSGI servers run *application*.

    ``goals["others"]`` is for those that are not named. Some servers leave a part of the connections without an answer
    for as long as others keep them busy: that is in the result as ``starved``.
    """
    peers = {
        "bjoern": "bjoern",
        "gunicorn_gevent": "gunicorn",
        "gunicorn_gthread": "gunicorn",
        "waitress": "waitress",
        "cheroot": "cheroot",
        "granian": "granian",
    }
    return Scenario(
        group="wsgi",
        name=name,
        summary=summary,
        client="http_client",
        client_arguments=(*client_arguments, "-f"),
        servers=(
            Server("ours", "ours", "wsgi_gevent.py", (application,)),
            Server("upstream", "upstream", "wsgi_gevent.py", (application,)),
            *(Server(peer, "upstream", "wsgi_peer.py", (peer, application), needs) for peer, needs in peers.items()),
        ),
        goals={peer: goals.get(peer, goals["others"]) for peer in ("upstream", *peers)},
        seconds=seconds,
    )


SCENARIOS += [
    wsgi(
        "wsgi_hello",
        "hello",
        "WSGI hello on keep-alive, 50 connections: pywsgi (TCP_NODELAY on the listener) and other servers.",
        {"upstream": 6, "bjoern": 0.75, "others": 1},
        *("-c", "50", "-e", "Hello, World!\n"),
    ),
    wsgi(
        "wsgi_echo",
        "echo",
        "WSGI POST of 10 KB that comes back, 50 connections.",
        {"bjoern": None, "others": 1},
        *("-c", "50", "-b", "10000"),
    ),
    wsgi(
        "wsgi_download",
        "download",
        "WSGI response of 1 MiB, 50 connections.",
        {"bjoern": None, "others": 1},
        *("-c", "50", "-s", "1048576"),
    ),
    wsgi(
        "wsgi_headers",
        "headers",
        "WSGI request with 99 headers, the most that upstream takes (the application looks at one of them), 50 connections.",
        {"bjoern": None, "others": 1},
        *("-c", "50", "-n", "96", "-e", "Hello, World!\n"),
    ),
    wsgi(
        "wsgi_5000",
        "hello",
        "WSGI hello on keep-alive, 5,000 connections, each with a request under way.",
        {"bjoern": None, "others": 1},
        *("-c", "5000", "-e", "Hello, World!\n"),
        seconds=4,
    ),
]


def available(scenario, sides, against):
    """Return the scenario's servers that can run here, those named in *against* only (ours always), and notes."""
    chosen, notes = [], []
    for server in scenario.servers:
        if against and server.name != "ours" and server.name not in against:
            continue
        if server.needs and server.needs not in sides[server.side].about["versions"]:
            notes.append(f"{scenario.name}: {server.name} left out, {server.needs} is not installed")
            continue
        chosen.append(server)
    return chosen, notes


def processes(pid):
    """Return the process *pid* and all its descendants."""
    found = [pid]
    for each in found:
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in path.read_text(encoding="ascii").split())
    return found


def processor_seconds(pid):
    """Return the processor time that the process *pid* and its descendants have used so far, or None where that is not told."""
    total = 0
    for each in processes(pid):
        for path in Path(f"/proc/{each}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError, IndexError):
                total += int(path.read_text(encoding="ascii").split()[0])
    return total / 1e9 if total else None


def resident_bytes(pid):
    """Return what the process *pid* and its descendants have resident, or None where that is not told."""
    total = 0
    for each in processes(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{each}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total or None


def client_program(name):
    """Return the path of the compiled client *name*, compiling it where its source is newer."""
    source = BENCHMARKS / "clients" / f"{name}.c"
    program = CACHE / "clients" / name
    newest = max(path.stat().st_mtime for path in (source, source.with_name("load.h")))
    if not program.exists() or program.stat().st_mtime < newest:
        compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if not compiler:
            raise SetupError("the server scenarios need a C compiler for their client: install gcc, or set CC")
        program.parent.mkdir(parents=True, exist_ok=True)
        run([*compiler.split(), "-O2", "-o", program, source], f"compiling {source.name}")
    return str(program)


class Running:
    """A started server: ``with Running(server, side, cpu) as server: server.port``."""

    def __init__(self, server, side, cpu):
        self.name = server.name
        script = BENCHMARKS / "servers" / server.script
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        with pinned(cpu, favoured=True):
            self.process = subprocess.Popen(
                [side.python, str(script), *server.arguments],
                env=side.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )

    def __enter__(self):
        try:
            self.port = self._read_port(20)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        for pid in reversed(processes(self.process.pid)):  # a master would start another worker; but it is killed as well
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self._errors.close()

    def _read_port(self, seconds):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise RuntimeError(f"the server {self.name} printed no port within {seconds} s: {self.errors()}")
        line = self.process.stdout.readline().strip()
        if not line.isdigit():
            self.process.wait(5)
            raise RuntimeError(f"the server {self.name} did not start: {self.errors()}")
        return int(line)

    def all_errors(self):
        """Return what the server wrote to its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def errors(self):
        """Return the end of that, without the folder of this checkout: results are committed."""
        return self.all_errors()[-2000:].replace(f"{BENCHMARKS.parent}/", "")

    def cpu_seconds(self):
        """Return the processor time the server has used so far, all threads and processes, or None where that is not told."""
        return processor_seconds(self.process.pid)


def load(scenario, running, cpu, seconds):
    """Run the scenario's client on processor *cpu* against the server *running*; return what it found.

    Adds ``cpu_us``, the server's processor time per request in microseconds, and ``memory``, what it has resident
    afterwards in bytes (of all its processes, pages that several share counted once). Raises RuntimeError where the client found
    an answer wrong or missing.
    """
    command = [client_program(scenario.client), "-p", str(running.port), *scenario.client_arguments]
    command += ["-t", str(seconds), "-w", str(min(0.5, seconds / 4))]
    before = running.cpu_seconds()
    with pinned(cpu, favoured=True):
        client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        output, errors = client.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        raise RuntimeError(f"the client did not finish within {seconds + 30:.0f} s") from None
    after = running.cpu_seconds()
    if client.returncode:
        raise RuntimeError(f"{errors.strip()}\n{running.errors()}".strip())
    found = json.loads(output)
    if before is not None and after is not None:
        found["cpu_us"] = round((after - before) / found["requests_in_all"] * 1e6, 2)
    memory = resident_bytes(running.process.pid)
    if memory:
        found["memory"] = memory
    return found


def summed_up(turns):
    """Return one result for the turns of a server.

    ``value`` is the requests per second in the fast tenth of the windows of its best turn: what it does while nobody else
    has its processor or the client's. ``rate`` and the latencies are the averages and percentiles of the turn with the
    best average. ``cpu_us`` is the least of all turns, and hardly suffers from other programs; ``memory`` is the most.
    """
    best = max(turns, key=lambda turn: turn["rate"])
    result = {**best, "turns": [turn["fast_rate"] for turn in turns]}
    result["value"] = max(result["turns"])
    if "cpu_us" in best:
        result["cpu_us"] = min(turn["cpu_us"] for turn in turns)
    if "memory" in best:
        result["memory"] = max(turn["memory"] for turn in turns)
    return result


def play_round(scenario, servers, sides, cpus, quick):
    """Measure *servers* in turn; return ({name: result}, [error, ...])."""
    server_cpu, client_cpu = cpus
    turns, seconds = (3, 0.6 * scenario.seconds) if quick else (6, scenario.seconds)
    if scenario.seconds > 2:
        turns //= 3
    taken = {server.name: [] for server in servers}
    errors = []
    with contextlib.ExitStack() as stack:
        started = []
        for server in servers:
            try:
                started.append(stack.enter_context(Running(server, sides[server.side], server_cpu)))
            except RuntimeError as error:
                errors.append(f"{server.name}: {error}")
        for _ in range(turns):
            for running in started[:]:
                try:
                    taken[running.name].append(load(scenario, running, client_cpu, seconds))
                except RuntimeError as error:
                    errors.append(f"{running.name}: {error}")
                    started.remove(running)
        errors += [
            f"{running.name}: the server printed {running.errors()}" for running in started if "Traceback" in running.errors()
        ]
    failed = {error.partition(":")[0] for error in errors}
    return {name: summed_up(found) for name, found in taken.items() if found and name not in failed}, errors
