"""The main job in small: it counts right, and it notices wrong responses."""

import importlib.util
import io
import json
import re
from pathlib import Path

import pytest
from gevent_testkit import run_script

SCRIPT = Path(__file__).resolve().parent.parent / "load.py"


@pytest.fixture(scope="module")
def load():
    spec = importlib.util.spec_from_file_location("load", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Replies:
    """In place of a connection: each recv gives the next of the *parts*."""

    def __init__(self, *parts):
        self.parts = [*parts, b""]

    def recv(self, size):
        return self.parts.pop(0)


@pytest.fixture
def job(load):
    job = load.Job(0, clients=20, seconds=0.2, live=io.StringIO())
    yield job
    job.server.stop()


def test_the_script_reports_and_succeeds():
    done = run_script(SCRIPT, "--clients", 20, "--seconds", 1.5).check()
    assert "20 of 20 clients connected" in done.stdout
    assert re.search(r"\d requests/s +20 open connections +p50 .* 0 errors\n", done.stdout)
    assert re.search(r"errors +0\n$", done.stdout)
    assert re.search(r"connections +20 open", done.stdout)


def test_a_wrong_response_makes_it_fail(job, capsys):
    right = job.application
    job.server.application = lambda environ, start_response: [right(environ, start_response)[0][:-1] + b"?"]
    assert job.run() is False
    output = capsys.readouterr().out
    assert "errors       20\n" in output
    assert re.search(r"the answer to b'(\d+)-1' was b'\1-\?'", output)  # whichever client was answered first


def test_the_server_answers_a_browser(load, job):
    with load.socket.create_connection(job.address) as connection:
        connection.sendall(b"GET /figures.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        figures = json.loads(load.read_body(connection))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        page = load.read_body(connection)
    assert (figures["running"], figures["connections"], figures["served"]) == (False, 1, 0)
    assert b"<title>gevent, live</title>" in page


def test_percentiles_are_within_one_percent(load):
    latencies = load.Latencies()
    for n in range(1, 1001):
        latencies.add(n / 1000)
    assert [latencies.percentile(p) for p in (50, 90, 99)] == [pytest.approx(x, rel=0.01) for x in (0.5, 0.9, 0.99)]
    assert (latencies.count, latencies.longest) == (1000, 1.0)


def test_a_response_may_arrive_in_pieces(load):
    replies = Replies(b"HTTP/1.1 200 OK\r\nContent-Len", b"gth: 5\r\n\r", b"\nhe", b"llo")
    assert load.read_body(replies) == b"hello"


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        ([b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"], ValueError),
        ([b"HTTP/1.1 200 OK\r\n\r\nhello"], ValueError),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhello"], ValueError),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"], ConnectionError),
        ([], ConnectionError),
    ],
)
def test_every_other_response_is_wrong(load, replies, error):
    with pytest.raises(error):
        load.read_body(Replies(*replies))


@pytest.mark.parametrize("arguments", [["--clients", "0"], ["--seconds", "-1"], ["--seconds", "inf"], ["--clients", "x"]])
def test_nonsense_options_are_refused(arguments):
    done = run_script(SCRIPT, *arguments)
    assert done.status == 2
    assert repr(arguments[1]) in done.stderr


def test_a_descriptor_limit_that_cannot_be_raised_is_explained():
    source = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
def refuse(*arguments):
    raise ValueError("not allowed to raise maximum limit")
resource.setrlimit = refuse
sys.argv = ["load.py", "--clients", "100"]
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""
    done = run_script(source)
    assert done.status == 2
    assert "100 clients need 264 open files, and this process may have 200 at most" in done.stderr
    assert "--clients 68" in done.stderr
