"""Servers in processes of their own, for the tests whose clients are programs: curl, nginx, wrk, http.client.

Nothing here imports gevent: the clients block, and what is shown is what anybody's client sees.
"""

import contextlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gevent_testkit.interpreters import PATIENCE

HERE = Path(__file__).parent
ACCESS_LINE = re.compile(r'\S+ - - \[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ".* HTTP/1\.[01]" (\d{3}|socket error) (\d+|-) \d+\.\d{6}')


class Served:
    """scripts/wsgi_served.py in a child process.

    ``port`` or ``path`` is where it listens, ``requests`` what its access log has so far.
    """

    def __init__(self, application, *options):
        self.path = options[options.index("--unix") + 1] if "--unix" in options else None
        self._log = tempfile.TemporaryFile("w+", errors="backslashreplace")  # noqa: SIM115 - closed by stop()
        command = [sys.executable, "-W", "error", str(HERE / "scripts" / "wsgi_served.py"), application, *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)
        line = self.process.stdout.readline() if select.select([self.process.stdout], [], [], 15 * PATIENCE)[0] else ""
        if not line.strip().isdigit():
            self.process.kill()
            raise AssertionError(f"the server did not start: {self.end()}")
        self.port = int(line)

    @property
    def log(self):
        """What the server has written to standard error, as lines."""
        self._log.seek(0)
        return self._log.read().splitlines()

    @property
    def requests(self):
        """The access log: (request line, status) of each request."""
        found = (re.search(r'"(.*)" (\d+)', line) for line in self.log)
        return [(each[1], int(each[2])) for each in found if each]

    def end(self):
        """Wait for the end of the process; returns its status and what it wrote. Releases everything."""
        self.process.wait(10)
        log = self.log
        self.process.stdout.close()
        self._log.close()
        return self.process.returncode, log

    def stop(self):
        """Ask the server to end, and hold against it whatever it wrote that is no line of the access log."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status, log = self.end()
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the server did not end on SIGTERM: {self.end()}") from None
        unexpected = [line for line in log if not ACCESS_LINE.fullmatch(line)]
        assert not unexpected, "the server wrote:\n" + "\n".join(unexpected[:60])
        assert status == 0


@contextlib.contextmanager
def served(application, *options):
    """A :class:`Served`, stopped and looked into at the end."""
    server = Served(application, *options)
    try:
        yield server
    except BaseException:
        server.process.kill()
        _, log = server.end()
        sys.stderr.write("\n".join(log[-50:]))
        raise
    server.stop()


@pytest.fixture(scope="session")
def serve():
    """:func:`served`, for fixtures and tests: ``with serve("flask") as server: ...``."""
    return served


@pytest.fixture(scope="session")
def certificate():
    """A file with the certificate of localhost and its key."""
    return HERE / "localhost.pem"


@pytest.fixture(scope="session")
def program():
    """``program("curl")``: the path of an installed program; a test without it is skipped."""

    def find(name):
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None:
            pytest.skip(f"{name} is not installed; ci/bootstrap.py would, run by root on Debian")
        return path

    return find
