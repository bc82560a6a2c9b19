"""Each example as somebody runs it: a process, and clients of the standard library."""

import contextlib
import hashlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from gevent_testkit import run_script, servers

EXAMPLES = Path(__file__).resolve().parent.parent
CERTIFICATE = EXAMPLES.parent / "packages" / "gevent-wsgi" / "tests" / "localhost.pem"


class Example:
    """A running example."""

    def __init__(self, name, *arguments):
        command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.first_line = self.line()
        found = re.search(r"127\.0\.0\.1:(\d+)", self.first_line)
        self.port = int(found[1]) if found else None

    def line(self):
        return self.process.stdout.readline()

    def end(self, signum=signal.SIGTERM):
        """Send the signal, and wait for the end; returns what was written to standard error."""
        self.process.send_signal(signum)
        return self.process.communicate(timeout=10)[1]


@pytest.fixture
def example():
    """``example(name, *arguments)``: the example, started. Nothing may have been written to standard error in the end."""
    running = []

    def start(*arguments):
        running.append(Example(*arguments))
        return running[-1]

    yield start
    for each in running:
        if each.process.returncode is None:
            assert each.end() == ""


class Origin(BaseHTTPRequestHandler):
    """A web server for the proxy and the downloads: the path's number of octets."""

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        size = int(re.search(r"\d+", self.path)[0]) if re.search(r"\d", self.path) else None
        if size is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(b"x" * size)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def origin():
    with ThreadingHTTPServer(("127.0.0.1", 0), Origin) as server:
        server.seen = []
        server.daemon_threads = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_echo_server(example):
    server = example("echo_server.py")
    with connect(server.port) as first, connect(server.port) as second:
        second.sendall(b"two\n")
        assert second.recv(100) == b"two\n"
        first.sendall(b"one\n")
        assert first.recv(100) == b"one\n"
    assert sorted(server.line().split()[-1] for _ in range(4)) == ["here", "here", "left", "left"]


def test_download(origin, tmp_path):
    base = f"http://127.0.0.1:{origin.server_port}"
    names = [f"file-{size}" for size in (0, 1, 70_000, 1_000_000)]
    done = run_script(EXAMPLES / "download.py", "--at-once", 2, *[f"{base}/{name}" for name in names], cwd=tmp_path)
    assert (done.status, [(tmp_path / name).stat().st_size for name in names]) == (0, [0, 1, 70_000, 1_000_000])
    assert done.stdout.splitlines() == [f"{base}/{name}: {name}" for name in names]
    assert "█" in done.stderr or "░" in done.stderr


def test_a_download_that_fails_is_told(origin, tmp_path):
    url = f"http://127.0.0.1:{origin.server_port}/missing"
    done = run_script(EXAMPLES / "download.py", url, url.replace("missing", "5"), cwd=tmp_path)
    assert done.status == 1
    assert "the server answered 'HTTP/1.0 404" in done.stdout
    assert (tmp_path / "5").read_bytes() == b"xxxxx"


def test_port_forwarder(example):
    echo = example("echo_server.py")
    forwarder = example("port_forwarder.py", "127.0.0.1", echo.port)
    data = b"x" * 999_999 + b"\n"
    with connect(forwarder.port) as connection, contextlib.closing(connection.makefile("rb")) as answers:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        assert answers.readline() == data
        sender.join()
        # The end of what we say goes through, and so does that of the answer.
        connection.shutdown(socket.SHUT_WR)
        assert answers.read() == b""


def test_port_forwarder_to_nowhere(example):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening
        forwarder = example("port_forwarder.py", "127.0.0.1", taken.getsockname()[1])
        with connect(forwarder.port) as connection:
            assert connection.recv(1) == b""
    assert "cannot be reached" in forwarder.line()


def test_udp(example):
    server = example("udp_server.py")
    done = run_script(EXAMPLES / "udp_client.py", "127.0.0.1", server.port, "good morning").check()
    assert re.fullmatch(r"\d{10}\.\d{6} good morning\n", done.stdout)


@pytest.mark.slow
def test_udp_without_an_answer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        done = run_script(EXAMPLES / "udp_client.py", "127.0.0.1", silent.getsockname()[1])
        silent.setblocking(False)
        assert [silent.recv(100) for _ in range(4)] == [b"hello"] * 4
    assert (done.status, done.stderr.endswith("did not answer 4 times\n")) == (1, True)


def test_unix_server(example, tmp_path):
    path = tmp_path / "socket"
    server = example("unix_server.py", path)
    assert path.stat().st_mode & 0o077 == 0
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as answer:
            assert answer.read().endswith(f"in process {os.getpid()}\n".encode())
    again = run_script(EXAMPLES / "unix_server.py", path)
    assert "is running at" in again.stderr
    assert "KeyboardInterrupt" in server.end(signal.SIGINT)
    assert not path.exists()


def test_web_proxy(example, origin):
    proxy = example("web_proxy.py")
    base = f"http://127.0.0.1:{origin.server_port}"
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:
        connection.request("GET", f"{base}/100000?a=b", headers={"Proxy-Connection": "keep-alive", "X-Mine": "1"})
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"x" * 100_000)
    path, headers = origin.seen[0]
    assert (path, headers["X-Mine"], headers["Host"]) == ("/100000?a=b", "1", f"127.0.0.1:{origin.server_port}")
    assert "Proxy-Connection" not in headers
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:
        connection.request("POST", f"{base}/", b"y" * 100_000)
        assert connection.getresponse().read() == b"y" * 100_000


def test_web_proxy_tunnel(example, origin):
    proxy = example("web_proxy.py")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:
        connection.set_tunnel("127.0.0.1", origin.server_port)
        connection.request("GET", "/1234")
        assert connection.getresponse().read() == b"x" * 1234


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET / HTTP/1.1", 400), (b"nonsense", 400), (b"GET ftp://a/ HTTP/1.1", 400), (b"GET http://127.0.0.1:1/ HTTP/1.1", 502)],
)
def test_web_proxy_refuses(example, request_line, status):
    proxy = example("web_proxy.py")
    with connect(proxy.port) as connection:
        connection.sendall(request_line + b"\r\nHost: a\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 %d " % status)


def test_wsgi_server(example):
    server = example("wsgi_server.py")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"<h1>Hello, 127.0.0.1</h1><p>by http</p>\n"
        connection.request("GET", "/nowhere")
        response = connection.getresponse()
        assert (response.status, response.read()) == (404, b"There are / and /countdown here.\n")
        connection.request("GET", "/countdown")
        response = connection.getresponse()
        assert response.readline() == b"3\n"
        # Told to end in the middle of it, the server answers all of it first.
        server.process.send_signal(signal.SIGTERM)
        assert response.read() == b"2\n1\nlift-off\n"
    server.process.communicate(timeout=10)
    assert server.process.returncode == 0


def test_wsgi_server_over_tls(example):
    server = example("wsgi_server.py", "--cert", CERTIFICATE, "--key", CERTIFICATE)
    assert server.first_line.startswith("https://")
    context = ssl.create_default_context(cafile=str(CERTIFICATE))  # PyPy takes no Path
    context.check_hostname = False
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read().endswith(b"<p>by https</p>\n")
    assert server.end().count("\n") == 1  # the access log


def test_thread_pool(tmp_path):
    files = [tmp_path / f"{number}" for number in range(6)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number * 3_000_000)
    done = run_script(EXAMPLES / "thread_pool.py", *files, tmp_path / "missing")
    expected = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file}" for file in files]
    assert (done.status, done.stdout.splitlines()) == (1, expected)
    assert f"{tmp_path / 'missing'}: No such file or directory" in done.stderr
    assert int(re.search(r"(\d+) times a greenlet ran", done.stderr)[1]) > 0


def test_process_pipeline():
    done = run_script(EXAMPLES / "process_pipeline.py", stdin="the cat and THE dog and the bird\n").check()
    assert [line.split() for line in done.stdout.splitlines()][:2] == [["3", "the"], ["2", "and"]]


def test_process_pipeline_leaves_nobody_behind():
    done = run_script(
        f"import sys; sys.path.insert(0, {str(EXAMPLES)!r})\n"
        "import gevent, process_pipeline\n"
        "for stages, error in (([['cat'], ['sleep', '60']], gevent.Timeout), ([['cat'], ['false']], RuntimeError)):\n"
        "    try: process_pipeline.run(stages, [b'x' * 100], seconds=0.2)\n"
        "    except error as caught: print(type(caught).__name__)\n"
        "import os\n"
        "try: os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError: print('no child')\n"
    ).check()
    assert done.stdout.split("\n") == ["Timeout", "RuntimeError", "no child", ""]


@pytest.mark.parametrize("resolver", ["thread", "ares"])
def test_dns_mass_resolve(resolver):
    done = run_script(
        EXAMPLES / "dns_mass_resolve.py", "localhost", "127.0.0.1", "name.invalid.", env={"GEVENT_RESOLVER": resolver}, timeout=60
    )
    lines = sorted(done.stdout.splitlines()[:-1])
    assert (done.status, done.stderr) == (1, "")
    assert lines[0].split()[0] == lines[0].split()[-1] == "127.0.0.1"
    assert lines[1].split()[0] == "localhost"
    assert "127.0.0.1" in lines[1]
    assert lines[2].startswith("name.invalid.")
    assert "3 names, 1 without an answer" in done.stdout


@pytest.mark.timeout(120)
def test_psycopg2_pool():
    pytest.importorskip("psycopg2", reason="no wheel of psycopg2-binary for this interpreter")
    if servers.obstacle("postgres"):
        pytest.skip(servers.obstacle("postgres"))
    with tempfile.TemporaryDirectory(prefix="pg") as folder, servers.postgresql(Path(folder, "s")) as address:
        dsn = f"host={os.path.dirname(address.path)} port={address.port} user=postgres dbname=postgres"
        done = run_script(EXAMPLES / "psycopg2_pool.py", dsn, timeout=60).check()
    answers, seconds = re.fullmatch(r"(\d+) answers in ([\d.]+) s\n", done.stdout).groups()
    assert answers == "50"
    assert 0.5 <= float(seconds) < 4  # one after the other it would be 5 s
