"""The page of live.py in a real browser, and what it is made of over plain HTTP."""

import contextlib
import http.client
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gevent_testkit.browser import Browser, chromium

SCRIPT = Path(__file__).resolve().parent.parent / "live.py"


@pytest.fixture(scope="module")
def port():
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(SCRIPT)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield int(re.search(r":(\d+)/ in a browser", process.stdout.readline())[1])
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert errors == ""


@pytest.fixture
def connection(port):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        yield connection


def post(connection, path, body, kind="application/json"):
    connection.request("POST", path, body, {"Content-Type": kind})
    response = connection.getresponse()
    return response.status, response.read().decode()


def next_event(response):
    """(name, data) of the next server-sent event."""
    lines = iter(response.readline, b"\n")
    fields = dict(line.decode().rstrip("\n").split(": ", 1) for line in lines)
    return fields["event"], json.loads(fields["data"])


def test_events(port, connection):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as listener:
        listener.request("GET", "/events")
        response = listener.getresponse()
        assert response.headers["Content-Type"] == "text/event-stream"
        name, hello = next_event(response)
        assert (name, hello["clients"], len(hello["rows"])) == ("hello", 0, 24)
        assert post(connection, "/say", json.dumps({"name": " Ada ", "text": "<b>hello</b>"}))[0] == 202
        events = [next_event(response) for _ in range(3)]
        response.close()
    said = [data for name, data in events if name == "said"]
    assert [(each["name"], each["text"]) for each in said] == [("Ada", "<b>hello</b>")]
    figures = [data for name, data in events if name == "figures"]
    assert sum(each["rows"] != [0] * 24 for each in figures) == 1  # the second in which something was said
    assert figures[0]["connections"] == 2
    assert figures[0]["memory"] > 1_000_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/say", "{"),
        ("/say", "[]"),
        ("/say", '{"name": "Ada"}'),
        ("/say", '{"name": "Ada", "text": "  "}'),
        ("/say", '{"name": 1, "text": "a"}'),
        ("/load", '{"clients": 1001}'),
        ("/load", '{"clients": -1}'),
        ("/load", '{"clients": "many"}'),
    ],
)
def test_nonsense_is_refused(connection, path, body):
    status, text = post(connection, path, body)
    assert status == 400
    assert text.startswith("not understood: ")


def test_forms_of_other_sites_are_refused(connection):
    assert post(connection, "/load", '{"clients": 1}', "text/plain")[0] == 400


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.skipif(chromium() is None, reason="chromium is not installed; ci/bootstrap.py would, run by root on Debian")
def test_in_a_browser(port):
    """Somebody opens the page, reads the figures, presses a button, and says something; a second page hears it."""
    with Browser() as browser, Browser(390, 844) as phone:
        for each in (browser, phone):
            each.open(f"http://127.0.0.1:{port}/")
            each.wait_for("document.getElementById('state').className == 'open'")
        browser.click("[data-clients='10']")
        browser.wait_for("document.querySelector('[aria-pressed=true]').textContent == '10'")
        rate = browser.wait_for("Number(document.getElementById('rate').textContent.replaceAll(',', '')) > 20")
        assert rate
        assert browser.evaluate("document.getElementById('errors').textContent") == "0"
        assert browser.evaluate("document.getElementById('p99').textContent").endswith(("µs", "ms"))
        assert browser.evaluate("document.getElementById('curve').getAttribute('d').length") > 10

        browser.click("#name")
        browser.type("Ada")
        browser.click("#text")
        browser.type("<i>hello</i>\n")
        assert phone.wait_for("document.querySelector('#said li:last-child p')?.textContent.includes('<i>')")
        assert phone.evaluate("document.querySelector('#said li:last-child b').textContent") == "Ada"
        browser.click("[data-clients='0']")
        phone.wait_for("document.querySelector('[aria-pressed=true]').textContent == 'none'")
        # Nothing is wider than the telephone.
        assert phone.evaluate("document.documentElement.scrollWidth") <= 390
        assert (browser.errors, phone.errors) == ([], [])
