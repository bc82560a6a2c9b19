"""The browser of the test kit: it sees, types, clicks, and tells what went wrong."""

import pytest
from gevent_testkit.browser import Browser, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60),
    pytest.mark.skipif(chromium() is None, reason="chromium is not installed; ci/bootstrap.py would, run by root on Debian"),
]

PAGE = """data:text/html,<meta name=viewport content=width=device-width><form onsubmit="done = document.querySelector('input').value;
return false"><input><button>go</button></form>"""


def test_a_page(tmp_path):
    with Browser(400, 300, patience=10) as browser:
        browser.open(PAGE)
        browser.click("input")
        browser.type("some text\n")
        assert browser.wait_for("window.done") == "some text"
        browser.evaluate("document.querySelector('input').value = 'other'")
        browser.click("button")
        assert browser.wait_for("done == 'other'")
        browser.dark()
        assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is True
        browser.resize(320, 480, mobile=True)
        assert browser.evaluate("innerWidth") == 320
        browser.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")

        with pytest.raises(RuntimeError, match="'nonsense' failed"):
            browser.evaluate("nonsense")
        with pytest.raises(RuntimeError, match=r"No\.Such was refused"):
            browser.command("No.Such")
        with pytest.raises(RuntimeError, match="was not opened: net::ERR_"):
            browser.open("http://127.0.0.1:1/")
        browser.evaluate("setTimeout(() => { throw new Error('thrown') })")
        browser.wait_for("new Promise(done => setTimeout(done, 50, true))")
        assert "Error: thrown" in browser.errors[0]
        browser.patience = 0.1
        with pytest.raises(TimeoutError, match="'0' was still 0"):
            browser.wait_for("0")
