"""Projects that are built on gevent, on this one: what they do for a living, once. `nox -s projects` installs and runs them.

They are not part of the usual run, since what they need is a hundred packages. What of gevent their sources name is checked there
all the same, by test_downstream.py of gevent-core.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from gevent_testkit import run_script, servers

SCRIPTS = Path(__file__).parent / "scripts"
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.timeout(180)


def passes(script, *arguments):
    """Have a script of ours use a project; it prints "ok" when all was as it should be."""
    # What a project deprecates, or patches twice, is its own business.
    done = run_script(SCRIPTS / script, *arguments, timeout=60, env={"PYTHONWARNINGS": "ignore"}).check()
    assert done.stdout.splitlines()[-1] == "ok", done


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as response:
        return response.read()


def wait_until(condition, log):
    """Ask for *condition* until it is true; what stands in *log* is told where it never is."""
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


@contextmanager
def running(command, log):
    """A program of a project, writing to *log*; on SIGTERM it has to end with status 0, and to have told of no error."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=SCRIPTS, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
    finally:
        process.kill()
        process.wait()
    text = log.read_text()
    assert (status, re.findall("Traceback|ERROR|CRITICAL", text)) == (0, []), text


@contextmanager
def gunicorn(worker, log):
    """gunicorn with one *worker* class: yields (process, url)."""
    command = [BIN / "gunicorn", "-k", worker, "-w", "1", "-b", "127.0.0.1:0", "application:hello"]
    with running(command, log) as process:
        wait_until(lambda: "Booting worker" in log.read_text(), log)
        yield process, re.search(r"http://127\.0\.0\.1:\d+", log.read_text()).group()


@pytest.mark.parametrize("worker", ["gevent", "gevent_pywsgi"])
def test_gunicorn(worker, tmp_path):
    """Serves, starts new workers on SIGHUP while it does, and ends in order."""
    log = tmp_path / "log"
    with gunicorn(worker, log) as (process, url):
        assert fetch(url) == b"hello"
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_text().count("Booting worker") == 2, log)
        assert fetch(url) == b"hello"


def test_locust(tmp_path):
    """Twenty users of both of its clients for some seconds: no request fails."""
    with gunicorn("gevent", tmp_path / "log") as (_, url):
        command = [BIN / "locust", "-f", "users.py", "--headless", "-u", "20", "-r", "20", "-t", "4s", "-H", url, "--json"]
        done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    seen = {row["name"]: (row["num_requests"] > 20, row["num_failures"]) for row in json.loads(done.stdout)}
    assert seen == {"/requests": (True, 0), "/fast": (True, 0)}


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids="-".join)
def test_flask_socketio(transports):
    passes("flask_socketio_events.py", *transports)


def test_gevent_websocket():
    passes("gevent_websocket_server.py")


def test_http_clients():
    """geventhttpclient and grequests."""
    passes("http_clients.py")


def test_zmq_and_zerorpc(tmp_path):
    passes("zmq_green.py", f"ipc://{tmp_path}/zmq")


def test_gipc():
    """Processes that talk through pipes, with a hub in each."""
    passes("gipc_processes.py")


def test_schedulers():
    """APScheduler and huey."""
    passes("schedulers.py")


@pytest.mark.skipif(servers.obstacle("redis-server") is not None, reason="needs redis-server")
def test_celery(tmp_path, tmp_path_factory):
    """Fifty tasks that wait, in one worker process."""
    log = tmp_path / "log"
    with servers.redis(tmp_path_factory.mktemp("r") / "s") as address:
        os.environ["REDIS_PORT"] = str(address.port)
        try:
            with running([BIN / "celery", "-A", "tasks", "worker", "-P", "gevent", "-c", "50", "--loglevel=INFO"], log):
                wait_until(lambda: "ready." in log.read_text(), log)
                done = run_script("import tasks; tasks.check()", timeout=90, cwd=SCRIPTS, env={"PYTHONWARNINGS": "ignore"})
                assert done.check().stdout == "ok\n"
        finally:
            del os.environ["REDIS_PORT"]
