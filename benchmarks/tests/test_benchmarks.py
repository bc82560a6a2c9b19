"""The tools that measure: they have to notice wrong results, and say of right ones what they say."""

import importlib
import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent


@pytest.fixture
def tool(monkeypatch):
    """Import a module of benchmarks/ by name, for one test."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)

    yield importlib.import_module

    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def record(ours, theirs, goal=1.0, more_is_better=True):
    """A record as run.py writes it, of these figures."""
    return {
        "group": "some",
        "name": "thing",
        "against": "upstream",
        "unit": "things",
        "goal": goal,
        "more_is_better": more_is_better,
        "ours": [value and {"value": value} for value in ours],
        "theirs": [value and {"value": value} for value in theirs],
        "errors": [],
    }


@pytest.mark.parametrize(
    ("ours", "goal", "more_is_better", "said"),
    [
        ([210, 220, 230], 2, True, "ok"),
        ([190, 220, 230], 2, True, "ok?"),
        ([190, 195, 230], 2, True, "short?"),
        ([110, 120, 130], 2, True, "short"),
        ([70, 75, 79], 0.8, False, "ok"),
        ([81, 85, 90], 0.8, False, "short"),
        ([98, 99, 110], 1, True, "even"),
        ([90, 92, 93], 1, True, "short"),
        ([None, None, None], 1, True, "FAILED"),
        ([1, 2, 3], None, True, ""),
    ],
)
def test_verdict(tool, ours, goal, more_is_better, said):
    figures = tool("figures")
    assert figures.verdict(record(ours, [100, 100, 100], goal, more_is_better)) == said


def test_ratios_are_taken_within_rounds(tool):
    figures = tool("figures")
    # The second round was slow for both, the third failed on one side.
    assert figures.ratios(record([200, 20, None], [100, 10, 100])) == [2, 2]


def test_an_error_leaves_no_verdict(tool):
    failed = record([200], [100])
    failed["errors"] = ["ours: exit status 1"]
    assert tool("figures").verdict(failed) == "FAILED"


@pytest.mark.parametrize(
    ("value", "unit", "is_rate", "text"),
    [
        (1_260_000, "greenlets", True, "1.26M/s"),
        (85_000, "greenlets", True, "85k/s"),
        (900, "wake-ups", True, "900/s"),
        (8007, "bytes", False, "8007 B"),
        (5_521_408, "bytes", False, "5392 KiB"),
        (21.94, "ms", False, "21.9 ms"),
        (None, "ms", False, "-"),
    ],
)
def test_amount_text(tool, value, unit, is_rate, text):
    assert tool("figures").amount_text(value, unit, is_rate) == text


def test_declared_without_importing_gevent(tool):
    loaded = "gevent.queue" in sys.modules
    found = {benchmark.name: benchmark for benchmark in tool("declare").declared()}
    assert found["spawn_joinall"].ops == 1000
    assert found["spawn_joinall"].goal == 8
    assert found["parked_greenlet"].kind == "amount"
    assert not found["parked_greenlet"].more_is_better
    assert ("gevent.queue" in sys.modules) == loaded


def test_matching(tool):
    declare = tool("declare")
    things = [SimpleNamespace(group="event", name=name) for name in ("event_set", "event_wait")]
    things.append(SimpleNamespace(group="queue", name="queue_put"))
    assert declare.matching(things, ["event"]) == things[:2]
    assert declare.matching(things, ["queue_put", "event_set"]) == [things[0], things[2]]
    assert declare.matching(things, ["*_put"]) == things[2:]
    with pytest.raises(ValueError, match="'put'; did you mean queue_put"):
        declare.matching(things, ["put"])


def test_a_wrong_count_is_an_error(tool):
    worker, declare = tool("worker"), tool("declare")

    @declare.rate(unit="things", ops=10)
    def loses_one(loops, clock):
        with clock:
            return loops * 10 - 1

    with pytest.raises(ValueError, match="loses_one did 19 operations where 20 were asked for"):
        worker.timed(loses_one, 2)


def test_a_benchmark_that_times_nothing_is_an_error(tool):
    worker, declare = tool("worker"), tool("declare")

    @declare.rate(unit="things")
    def forgot_the_clock(loops, clock):
        return loops

    with pytest.raises(ValueError, match="forgot_the_clock never entered its clock"):
        worker.timed(forgot_the_clock, 2)


def test_calibration_sees_that_a_function_got_faster(tool, monkeypatch):
    worker, costs = tool("worker"), iter([0.1] * 2)

    def timed(function, loops):
        return SimpleNamespace(seconds=loops * next(costs, 0.001))

    monkeypatch.setattr(worker, "timed", timed)
    assert 125 <= worker.calibrate(None, 0.25) <= 500  # 2 or 3, as long as it was cold


def test_warming_up_takes_processor_time(tool):
    worker, declare, calls = tool("worker"), tool("declare"), []

    @declare.rate(unit="things")
    def counts(loops, clock):
        with clock:
            calls.append(sum(1 for _ in range(loops)))
        return calls[-1]

    before = worker.time.process_time()
    worker.warm(counts, 0.2)
    assert worker.time.process_time() - before >= 0.2
    assert max(calls) > 1000 > calls[0]
    del calls[:]
    worker.warm(counts, 0)
    assert calls == []


def test_interpreters_variables_do_not_reach_the_sides(tool, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("GEVENT_LOOP", "libev-cffi")
    sides = tool("sides")
    upstream = sides.Side("upstream", sys.executable, "installed").environment()
    ours = sides.Side("ours", sys.executable, "in place", ("/somewhere",), sides.SETTINGS).environment()
    assert "PYTHONDONTWRITEBYTECODE" not in {**upstream, **ours}
    assert "GEVENT_LOOP" not in upstream
    assert "PYTHONPATH" not in upstream
    assert ours["GEVENT_LOOP"] == "libev-cffi"
    assert ours["PYTHONPATH"] == "/somewhere"


def test_report_refuses_what_is_no_result(tool, tmp_path, capsys):
    report = tool("report")
    other = tmp_path / "other.json"
    other.write_text('{"format": 0}', encoding="utf-8")
    assert report.main([str(other)]) == 2
    assert "other.json was not written by this version of run.py" in capsys.readouterr().err


def write_result(path, *records, python="3.11.7", upstream="CPython", **changes):
    """Write a result file of *records*, as run.py does."""
    about = {
        "implementation": "CPython",
        "gevent": "26.11.0",
        "how": "installed",
        "backend": "epoll",
        "greenlet": "3",
        "libev": "4",
    }
    result = {
        "format": 1,
        "date": "2026-11-23T02:00:00+00:00",
        "commit": "0123456789abcdef",
        "dirty": False,
        "machine": {"cpu": "some", "cores": 2, "kernel": "Linux", "load_before": 0.1},
        "rounds": 3,
        "quick": False,
        "pinned": True,
        "notes": [],
        "sides": {"ours": {**about, "python": python}, "upstream": {**about, "implementation": upstream}},
        "records": records,
        **changes,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result), encoding="utf-8")


def test_report_sets_results_side_by_side(tool, tmp_path, capsys):
    files = []
    for python, ours in (("3.11.7", 210), ("3.13.0", 150)):
        files.append(tmp_path / f"{python}.json")
        write_result(files[-1], record([ours], [100], 2), python=python)
    tool("report").main([str(file) for file in files])
    lines = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in lines[-1].strip("|").split("|")] == [
        "some",
        "thing",
        ">= 2",
        "2.10 (2.10..2.10) ok",
        "1.50 (1.50..1.50) short",
    ]


def test_report_shows_the_newest_figure_of_each_benchmark(tool, tmp_path):
    """Whichever file has it, with its own day and commit; a failure or a quick run does not stand in for a figure."""
    report = tool("report")
    old, new = "2026-11-23T02:00:00+00:00", "2026-11-25T02:00:00+00:00"
    named = {name: {**record([200], [100], 2), "name": name} for name in ("both", "once", "fails", "quick")}
    write_result(tmp_path / "all.json", *named.values(), date=old)
    failed = {**named["fails"], "errors": ["went wrong"]}
    write_result(
        tmp_path / "lock" / "some.json",
        {**named["both"], "group": "lock", "ours": [{"value": 300}]},
        failed,
        date=new,
        commit="fedcba",
    )
    write_result(tmp_path / "quick.json", named["quick"], date=new, quick=True)
    write_result(tmp_path / "other.json", named["once"], date=new, python="3.13.0")
    write_result(tmp_path / "pypy.json", named["once"], date=new, upstream="PyPy")
    (tmp_path / "children.json").write_text('{"format": "children-1"}', encoding="utf-8")
    results = report.newest(tmp_path)
    found = {
        name: {each["file"]: [record["name"] for record in each["records"]] for each in those} for name, those in results.items()
    }
    assert found == {
        "CPython 3.11": {"lock/some.json": ["both"], "all.json": ["once", "fails", "quick"]},
        "CPython 3.13": {"other.json": ["once"]},
    }
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.newest_table(results["CPython 3.11"])][2:]
    assert [row[1:] for row in rows] == [
        ["both", ">= 2", "3.00 (3.00..3.00) ok", "2026-11-25, fedcba"],
        ["once", ">= 2", "2.00 (2.00..2.00) ok", "2026-11-23, 0123456789"],
        ["fails", ">= 2", "2.00 (2.00..2.00) ok", "2026-11-23, 0123456789"],
        ["quick", ">= 2", "2.00 (2.00..2.00) ok", "2026-11-23, 0123456789"],
    ]


class Answering:
    """A server in a thread, which answers each piece received by ``answer(piece)``, for one connection after the other."""

    def __init__(self, answer):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._thread.join(30)
        self._listener.close()

    def _serve(self):
        connection, _address = self._listener.accept()
        with connection:
            try:
                while True:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    connection.sendall(self._answer(piece))
            except ConnectionError:
                return


@pytest.fixture(scope="module")
def clients(tmp_path_factory):
    """The folder with the compiled clients."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("clients")
    for name in ("echo_client", "http_client"):
        source = BENCHMARKS / "clients" / f"{name}.c"
        subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-o", str(folder / name), str(source)], check=True)
    return folder


def run_client(clients, name, answer, *arguments):
    """Run a client with one connection against a server that gives these answers."""
    with Answering(answer) as server:
        return subprocess.run(
            [str(clients / name), "-p", str(server.port), "-c", "1", "-t", "0.2", "-w", "0", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


@pytest.mark.slow
def test_echo_client_counts_an_echo(clients):
    child = run_client(clients, "echo_client", lambda piece: piece)
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    assert found["requests"] == found["fewest_per_connection"] == found["most_per_connection"] > 0
    assert found["rate"] == pytest.approx(found["requests"] / 0.2, rel=0.01)
    latency = found["latency_us"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"] < 1e6


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [
        lambda piece: piece[:-1] + b"?",
        lambda piece: b"\xff" + piece[1:],
        lambda piece: piece + b"x",
    ],
    ids=["last byte", "first byte", "too much"],
)
def test_echo_client_refuses_a_wrong_echo(clients, answer):
    child = run_client(clients, "echo_client", answer)
    assert child.returncode == 1
    assert child.stdout == ""
    assert "wrong answer" in child.stderr


def hello(_piece, body=b"Hello", length=5, status=b"200 OK", more=b""):
    return b"HTTP/1.1 %b\r\nContent-LENGTH: %d\r\n%bX: y\r\n\r\n%b" % (status, length, more, body)


@pytest.mark.slow
def test_http_client_counts_responses(clients):
    child = run_client(clients, "http_client", hello, "-e", "Hello")
    assert child.returncode == 0, child.stderr
    assert json.loads(child.stdout)["requests"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"status": b"500 Oops"},
        {"body": b"Hullo"},
        {"body": b"Hello!", "length": 6},
        {"body": b"Hello!"},
        {"more": b"Connection: close\r\n"},
    ],
    ids=["status", "body", "longer body", "more than the length", "close"],
)
def test_http_client_refuses_a_wrong_response(clients, given):
    child = run_client(clients, "http_client", lambda piece: hello(piece, **given), "-e", "Hello")
    assert child.returncode == 1
    assert child.stdout == ""
    assert "wrong answer" in child.stderr


@pytest.mark.slow
def test_http_client_posts_and_counts_octets(clients):
    requests = []

    def answer(piece):
        requests.append(piece)
        return hello(piece, bytes(range(256)) + b"\0\1", 258)

    child = run_client(clients, "http_client", answer, "-b", "258", "-n", "3")
    assert child.returncode == 0, child.stderr
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert body == bytes(range(256)) + b"\0\1"
    assert head.startswith(b"POST / HTTP/1.1\r\n")
    assert b"\r\nX-Number-2: the value of header 2\r\n" in head
    assert head.endswith(b"\r\nContent-Length: 258")


def serve_the_first_connection_only(listener):
    connection, _address = listener.accept()
    with connection:
        while connection.recv(65536):
            connection.sendall(hello(b""))


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [False, True])
def test_client_counts_connections_without_an_answer(clients, allowed):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve_the_first_connection_only, args=(listener,))
        thread.start()
        port = str(listener.getsockname()[1])
        command = [str(clients / "http_client"), "-p", port, "-c", "2", "-t", "0.2", "-w", "0", "-e", "Hello"]
        child = subprocess.run([*command, *(["-f"] if allowed else [])], capture_output=True, text=True, check=False)
        thread.join(30)
    if allowed:
        assert json.loads(child.stdout)["starved"] == 1
    else:
        assert (child.returncode, child.stdout) == (1, "")
        assert "of 2 connections 1 had no answer" in child.stderr


@pytest.mark.slow
def test_client_notices_that_the_server_closes(clients):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = subprocess.Popen(
            [str(clients / "echo_client"), "-p", str(port), "-c", "1", "-t", "5"], stderr=subprocess.PIPE, text=True
        )
        connection, _address = listener.accept()
        connection.recv(1024, socket.MSG_WAITALL)
        connection.close()
        _output, errors = client.communicate(timeout=30)
    assert client.returncode == 1
    assert "the server closed a connection after 1 requests" in errors


def test_processes_memory_and_processor_time_of_a_tree(tool):
    scenarios = tool("scenarios")
    code = "import subprocess, sys; sum(range(10**6)); subprocess.run([sys.executable, '-c', 'print(flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        parent.stdout.readline()
        tree = scenarios.processes(parent.pid)
        assert len(tree) == 2
        assert scenarios.resident_bytes(parent.pid) > scenarios.resident_bytes(tree[1]) > 1_000_000
        assert scenarios.processor_seconds(parent.pid) > scenarios.processor_seconds(tree[1]) > 0.001
        parent.communicate(b"\n")


def test_trials_knows_its_trials(tool, capsys):
    with pytest.raises(SystemExit):
        tool("trials").main(["nonsense"])
    assert "there is no trial 'nonsense'; there are idle, slow, million, term" in capsys.readouterr().err
