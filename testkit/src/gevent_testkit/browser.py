"""A headless Chromium for tests of pages: what a person would see and press.

How it works: Chromium speaks its DevTools protocol over two pipes (``--remote-debugging-pipe``): JSON, a NUL behind each message,
commands on descriptor 3, answers and events on 4. So there is no port, no driver program and no WebSocket.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
)


def chromium() -> str | None:
    """The path of an installed Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One page of a new, empty Chromium: ``with Browser() as browser: browser.open(url)``.

    Blocks; not for use from greenlets. RuntimeError tells what Chromium refused, TimeoutError what did not come within
    *patience* seconds. Errors of the page's scripts are kept in ``errors``.
    """

    def __init__(self, width: int = 1280, height: int = 900, patience: float = 20) -> None:
        program = chromium()
        if program is None:
            raise RuntimeError("there is no chromium on PATH; install it (Debian: apt-get install chromium)")
        self.patience = patience
        self.errors: list[str] = []
        self._numbers = itertools.count(1)
        self._received = b""
        self._session: str | None = None
        # An Any, lest mypy miss the option where Python 3.9 does not have it.
        options: dict[str, Any] = {"ignore_cleanup_errors": True} if _FORGIVING else {}
        self._profile = tempfile.TemporaryDirectory(**options)
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        # Descriptors 3 and 4 are given out by the shell: subprocess can pass some on, but not under other numbers. None of
        # these may be 3 or 4 itself.
        theirs_in, theirs_out = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (commands, answers))
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out} {theirs_in}<&- {theirs_out}>&-'
        words = ["bash", "-c", command, "bash", program, *FLAGS, f"--user-data-dir={self._profile.name}", "about:blank"]
        self._process = subprocess.Popen(
            words, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for fd in (commands, answers, theirs_in, theirs_out):
            os.close(fd)
        try:
            targets = self.command("Target.getTargets")["targetInfos"]
            page = next(target["targetId"] for target in targets if target["type"] == "page")
            self._session = self.command("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime"):
                self.command(f"{domain}.enable")
            self.resize(width, height)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the browser, and remove what it wrote."""
        if self._process.poll() is None:
            with contextlib.suppress(OSError, RuntimeError, TimeoutError):
                self._session = None
                self.command("Browser.close")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def command(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.patience
        while True:
            answer = self._next_message(method, deadline)
            if answer.get("method") == "Runtime.exceptionThrown":
                details = answer["params"]["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            if answer.get("id") == number:
                break
        if "error" in answer:
            raise RuntimeError(f"{method} was refused: {answer['error']!r}")
        return answer["result"]

    def _next_message(self, method: str, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._received:
            if not select.select([self._in], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"{method} had no answer within {self.patience} seconds")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise RuntimeError(f"the browser ended during {method}")
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def resize(self, width: int, height: int, mobile: bool = False) -> None:
        """Give the page another size, in CSS pixels; *mobile* as a telephone has it."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def dark(self, dark: bool = True) -> None:
        """Whether the page is told that its reader prefers dark colours."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go to *url*, and wait until its document is there."""
        found = self.command("Page.navigate", url=url)
        if "errorText" in found:
            raise RuntimeError(f"{url} was not opened: {found['errorText']}")
        self.wait_for("document.readyState != 'loading'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript *expression* in the page; a promise's once it is there."""
        found = self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression!r} failed: {found['exceptionDetails']!r}")
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """The value of *expression* once it is true in the sense of JavaScript."""
        deadline = time.monotonic() + self.patience
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > deadline:
                raise TimeoutError(f"{expression!r} was still {value!r} after {self.patience} seconds")
            time.sleep(0.02)

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of the first element that *selector* matches."""
        middle = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        x, y = self.evaluate(middle)
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type *text* where the focus is; a line feed is the Enter key."""
        for index, line in enumerate(text.split("\n")):
            if index:
                enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
                self.command("Input.dispatchKeyEvent", type="keyDown", text="\r", **enter)
                self.command("Input.dispatchKeyEvent", type="keyUp", **enter)
            if line:
                self.command("Input.insertText", text=line)

    def screenshot(self, path: str | Path, whole: bool = True) -> None:
        """Write a PNG of the page (not only of what fits into the window, if *whole*) to *path*."""
        found = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(found["data"]))


_FORGIVING = "ignore_cleanup_errors" in tempfile.TemporaryDirectory.__init__.__code__.co_varnames
