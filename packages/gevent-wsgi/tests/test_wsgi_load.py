"""Short forms of scripts/wsgi_load.py: what holds for minutes of load has to hold for a second."""

import json
import pathlib
import subprocess
import sys

import pytest
from gevent_testkit import REFERENCE_COUNTING
from gevent_testkit.interpreters import PATIENCE

SCRIPT = pathlib.Path(__file__).parent / "scripts" / "wsgi_load.py"


def load(kind, amount):
    done = subprocess.run([sys.executable, str(SCRIPT), kind, str(amount)], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.timeout(60)
def test_sigterm_under_load_loses_no_request():
    """50 clients, half of them on keep-alive; what was seen was answered, and nothing sent was left without an answer."""
    figures = load("term", 0.3 * PATIENCE)
    assert (figures["lost"], figures["status"]) == ([], 0)
    assert figures["seen"] == figures["answered"] > 50


@pytest.mark.timeout(60)
def test_memory_does_not_grow_with_requests():
    figures = load("requests", 20_000)
    # PyPy compiles on, and collects when it has doubled: its growth comes to an end later than a short run.
    assert figures["rss_end"] - figures["rss_first_tenth"] < (1_000_000 if REFERENCE_COUNTING else 20_000_000)


@pytest.mark.timeout(60)
def test_memory_of_an_idle_connection():
    """A greenlet with its stack, a handler with its parser, and no buffer."""
    figures = load("idle", 500)
    assert figures["bytes_each"] < (30_000 if REFERENCE_COUNTING else 300_000)  # PyPy: with what was compiled meanwhile
